//! The ports' implementations: two each, one that lives in this process and one that is shared by many.

pub mod announce;
pub mod callback;
pub mod card_tries;
pub mod clock;
pub mod mollie;
mod pool;
mod provider_circuit;
pub mod provider_events;
pub mod provider_guard;
pub mod provider_http;
pub mod provider_registry;
pub mod providers;
pub mod queue;
mod redis_link;
pub mod sandbox;
pub mod sealing;
pub mod seats;
pub mod sql;
pub mod stripe;

pub use redis_link::BadRedisUrl;
