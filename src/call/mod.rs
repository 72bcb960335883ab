//! The authorized call: one HTTP request to the service, from the token to the response, without I/O and without a clock.
//!
//! A [`Call`] is one request. It asks for a token, says when to send, hears the response, and knows what a 401 means: reject
//! the token that was sent, get another, send once more, and never a third time. A host has the request, sends it, and does
//! what the [`CallAction`]s say. The tower layer, the `azure_core` policy and the `reqwest` middleware of this project are
//! such hosts.
//!
//! # The host's contract
//!
//! > **Make a [`Call`] only for a request to the configured [`Origin`] that has no `Authorization` header. Do what the actions
//! > say, and hand in what comes of it.**
//!
//! 1. Another request passes untouched: it gets no token. Ask [`Origin::covers`].
//! 2. If the request can be sent twice, keep a clone of it from before the first [`Send`](CallAction::Send).
//! 3. Poll actions until there are no more, do what each says, and hand in its outcome as a [`CallEvent`]. Repeat this until
//!    [`Return`](CallAction::Return).
//! 4. Keep the last response and the last failure. [`Return`](CallAction::Return) says which one the caller gets.
//!    [`SendAgain`](CallAction::SendAgain) comes first: drop the response, with its connection, then send.
//! 5. Do not follow redirects below this, or say where the response [came from](CallResponse::from_another_origin).
//! 6. If the caller gives up, hand in [`Cancelled`](CallEvent::Cancelled) and drop what is under way.
//!
//! The trailers of gRPC are out of scope: a status in a trailer is no 401.
//!
//! ```
//! use acs_common::call::{Authorization, Call, CallAction, CallEvent, CallResponse, Returned};
//! use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
//!
//! let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
//! let token = |text| Machine::<()>::with_static_token(NewToken::new(text), Policy::default(), now).map(|machine| {
//!     machine.token(now).expect("a static credential always holds its token").clone()
//! });
//! let (old, new) = (token("old")?, token("new")?);
//!
//! let mut call = Call::with_token(true);
//! let Some(CallAction::GetToken { other_than: None }) = call.poll_action() else { panic!() };
//! call.handle(CallEvent::TokenReceived { token: old.clone() });
//! let Some(CallAction::Send { with: Authorization::Token(sent) }) = call.poll_action() else { panic!() };
//! assert!(sent.ptr_eq(&old));
//!
//! let response = CallResponse::new(401).with_challenge(br#"Bearer error="invalid_token""#);
//! call.handle(CallEvent::ResponseReceived { response });
//! let Some(CallAction::RejectToken { token }) = call.poll_action() else { panic!() };
//! assert!(token.ptr_eq(&old));
//! let Some(CallAction::GetToken { other_than: Some(_) }) = call.poll_action() else { panic!() };
//! call.handle(CallEvent::TokenReceived { token: new });
//! let Some(CallAction::SendAgain { .. }) = call.poll_action() else { panic!() };
//!
//! call.handle(CallEvent::ResponseReceived { response: CallResponse::new(200) });
//! let Some(CallAction::Return { what: Returned::Response }) = call.poll_action() else { panic!() };
//! # Ok::<(), acs_common::TokenError>(())
//! ```
#![doc = include_str!("transitions.md")]

mod action;
mod challenge;
mod event;
mod machine;
mod origin;

pub use self::action::{Authorization, CallAction, Returned};
pub use self::event::{CallEvent, CallResponse};
pub use self::machine::Call;
pub use self::origin::{Origin, OriginError};
