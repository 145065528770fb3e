//! PostgreSQL, RabbitMQ and Redis as private instances on scratch ports and in scratch folders.

mod error;
mod launch;
mod postgres;
mod rabbitmq;
mod redis;
pub mod shared;

pub use error::ServerError;
pub use postgres::{Postgres, PostgresOptions};
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
