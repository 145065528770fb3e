//! What the ways to all providers over HTTP have in common: where a provider is, one pool of connections, and what is known of a call that
//! has no whole answer.

mod address;
mod pool;

pub use address::{ApiAddress, BadAddress};
pub use pool::{CallError, ProviderPool, TransportError};
pub(crate) use pool::{Exchange, retry_after};

/// How we call ourselves.
pub(crate) const USER_AGENT: &str = concat!("boxoffice/", env!("CARGO_PKG_VERSION"));
