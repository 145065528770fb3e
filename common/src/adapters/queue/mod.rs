//! The queue: in this process, or RabbitMQ.
