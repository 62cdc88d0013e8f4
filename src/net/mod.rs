//! What every outgoing connection shares.

mod secret;

pub use secret::Secret;
