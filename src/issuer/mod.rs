//! A ready refresher over HTTP, without I/O: one request to your server, and what its response says.
//!
//! Your server holds the key of the Azure resource and issues a token for each of its users. An [`Issuer`] describes the request
//! that asks for one. It makes the [`HttpRequest`], and reads the [`HttpResponse`]. Each refresh is one request: the
//! [machine](crate::Machine) tries again after a failure. `acs-common-driver` has the refresher that sends it
//! (`HttpRefresher`), on any HTTP client.
//!
//! # What is read
//!
//! Any status from 200 to 299 brings a token. The body is the token itself, as plain text or as a JSON string; or it is a JSON
//! object with the token in a [field](Issuer::with_token_field). Beside that field may stand
//!
//! | field | value |
//! |---|---|
//! | `expires_in`, `expiresIn` | the lifetime in seconds, from the start of the refresh |
//! | `expiresOn`, `expires_on`, `expiresAt`, `expires_at` | a moment: RFC 3339 with an offset, or seconds since 1970 (larger numbers are milliseconds, and so on, as in a JWT) |
//!
//! A lifetime has priority over a moment, because it needs no clock that is right. A value that cannot be read counts as absent:
//! then the token's own `exp` counts, as for any refresher.
//!
//! The response's `Date` is the issuer's time (contract, section 7), and `Retry-After` is when to ask again. Of the other
//! statuses, only a refusal by the server itself is permanent: 400, 401, 403, 404 or 409 with an error code in a JSON body, or
//! 401 with `WWW-Authenticate` (contract, rule 5.5). A redirect is a transient failure and is not followed. Bodies over 1 MiB are
//! refused.
//!
//! # Secrets
//!
//! The values of your headers, the URL's query and the body count as secrets: `Debug`, errors and logs do not show them. They
//! are wiped when they are dropped, except in copies that HTTP clients make of URLs. If the server repeats one of them in an
//! error, it is removed from the text. The token that the service refused is not sent, unless you
//! [say so](Issuer::with_rejected_token_header).
//!
//! ```
//! use acs_common::issuer::{HttpResponse, Issuer};
//! use acs_common::{Action, Event, Machine, Monotonic, Now, Policy, UnixTime};
//!
//! let issuer = Issuer::post("https://contoso.example/chat/token?code=a-function-key")?
//!     .with_header("Authorization", "Bearer my-session")?
//!     .with_reason_header("x-reason")?;
//!
//! // The host's loop.
//! let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
//! let mut machine = Machine::new(None, Policy::default(), now)?;
//! machine.handle(Event::TokenRequested { waiter: "chat" }, now);
//! let Some(Action::CallRefresher { request, reason, .. }) = machine.poll_action() else { panic!() };
//!
//! let sent = issuer.request(&reason);
//! assert_eq!((sent.method(), sent.display_url()), ("POST", "https://contoso.example/chat/token"));
//! assert!(sent.expose_headers().any(|header| header == ("x-reason", "first")));
//!
//! let response = HttpResponse::new(200).with_body(br#"{"token": "eyJhbGci", "expires_in": 3600}"#.to_vec());
//! machine.handle(
//!     match issuer.read(&reason, &response, now.unix) {
//!         Ok(token) => Event::TokenReceived { request, token },
//!         Err(error) => Event::RefreshFailed { request, error },
//!     },
//!     now,
//! );
//! assert_eq!(machine.token(now).unwrap().expires_on(), UnixTime::from_secs(1_700_003_600));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod description;
mod error;
mod read;

pub use self::description::Issuer;
pub use self::error::{IssuerError, IssuerOptionsError};
pub use crate::wire::{BadResponse, ErrorDetail, ErrorResponse, HttpRequest, HttpResponse};
