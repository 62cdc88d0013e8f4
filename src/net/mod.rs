//! What every outgoing connection shares.

mod backoff;
mod http;
mod resolve;
mod secret;
mod url;

pub use backoff::Backoff;
pub use http::{Http, HttpError, Post, Reply};
pub use secret::Secret;
pub use url::Url;
