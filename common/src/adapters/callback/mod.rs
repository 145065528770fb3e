//! Callbacks: Standard Webhooks signatures, the address filter, and the sender.
//!
//! What keeps a callback from being turned against somebody's own network, and where:
//! - [`public_url`]: what an address must look like, when it is registered and again before each try;
//! - [`resolver`]: what a name resolves to is filtered inside the connector, so that what was checked is what is connected to;
//! - [`address_filter`]: the ranges;
//! - [`sender`]: no redirects, no proxies, bounded time, bounded answers.

pub mod address_filter;
pub mod public_url;
pub mod resolver;
pub mod retry_after;
pub mod schedule;
pub mod sender;
pub mod signature;
