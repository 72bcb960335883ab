//! HTTP as plain data, for the exchange of Entra tokens and for the ready refresher: a request, its response, and what a response
//! says besides a token.

mod hints;
mod message;
mod refusal;
mod response;
mod scrub;

pub use self::message::{HttpRequest, HttpResponse};
pub use self::response::{BadResponse, ErrorDetail, ErrorResponse};

pub(crate) use self::hints::{retry_after, rfc3339, server_time};
pub(crate) use self::message::{AUTHORIZATION, Text};
pub(crate) use self::refusal::{Refusal, refusal};
pub(crate) use self::response::{Advised, body, down_to_the_cause};
