//! Real private servers, the program under test as a process, and a fake callback receiver: for tests and for `boxoffice bench`.
//!
//! Everything started here dies with the process that started it, even when that process is killed: see [`daemon`].

// The objects of Stripe's API are written out whole, each in one `json!`.
#![recursion_limit = "512"]

pub mod cut;
pub mod daemon;
pub mod mollie;
pub mod ports;
pub mod program;
pub mod proxy;
pub mod receiver;
pub mod servers;
pub mod snapshot;
pub mod stripe;
pub mod tls;
pub mod usage;

pub use program::Program;
pub use receiver::{Answer, Delivery, Receiver};
pub use servers::{Postgres, RabbitMq, Redis, shared};
pub use stripe::StripeStandIn;
pub use tls::PrivateCa;
