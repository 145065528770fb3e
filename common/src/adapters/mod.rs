//! The ports' implementations: two each, one that lives in this process and one that is shared by many.

pub mod announce;
pub mod callback;
pub mod clock;
mod pool;
pub mod provider_events;
pub mod provider_guard;
pub mod providers;
pub mod queue;
mod redis_link;
pub mod sandbox;
pub mod seats;
pub mod sql;

pub use redis_link::BadRedisUrl;
