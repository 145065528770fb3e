//! RabbitMQ: quorum queues, confirms, a ladder of delays, dead letters.
//!
//! There are two connections, so that a broker that holds back publishers (memory or disk alarm) does not hold back
//! acknowledgements. Each is kept up by one supervisor ([`link`]); lapin's own recovery stays off, because a deleted
//! queue and a refused declaration need a supervisor anyway, and one mechanism is easier to trust than two.

mod consume;
mod dead;
mod depth;
mod link;
mod publish;
mod queue;
mod settle;
mod topology;
mod wire;

pub use queue::{RabbitOptions, RabbitQueue};
