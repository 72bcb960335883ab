//! Tokens for Entra users: the exchange of an Entra token for an access token, without I/O.

mod exchange;
mod hints;
mod http;
mod machine;
mod options;
mod response;
mod scrub;
mod source;

pub use self::http::{HttpRequest, HttpResponse};
pub use self::machine::{CallId, EntraAction, EntraEvent, EntraMachine};
pub use self::options::{EntraOptions, EntraOptionsError};
pub use self::response::{BadResponse, ErrorDetail, ErrorResponse, ExchangeError};
pub use self::source::EntraToken;
