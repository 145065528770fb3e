//! The queue: in this process, or RabbitMQ.

pub mod memory;
pub mod rabbit;

pub use memory::MemoryQueue;
pub use rabbit::{RabbitOptions, RabbitQueue};
