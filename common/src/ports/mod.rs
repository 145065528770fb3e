//! The traits between the rules and the world. Each has one conformance suite, in `common/tests`, over all its adapters.

pub mod announcer;
pub mod card_tries;
pub mod clock;
pub mod provider;
pub mod provider_book;
pub mod queue;
pub mod routes;
pub mod seats;
pub mod store;
pub mod vault;
