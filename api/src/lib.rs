//! The HTTP intake of the checkout engine: parses strictly, decides through the ports, answers. It holds no rules about
//! sales of its own.
//!
//! [`router`] is the map of the routes; [`context`] is what they work with; [`intake`] is the one way in for checkouts;
//! [`problem`] is every error that a client can see.

pub mod aftermath;
pub mod auth;
pub mod bounds;
pub mod callback_address;
mod card_guard;
mod client_address;
mod compatible;
pub mod context;
mod csv;
mod dialects;
pub mod edge;
pub mod fields;
pub mod hint_rate;
pub mod idempotency;
pub mod intake;
pub mod json;
pub mod key;
pub mod metering;
pub mod openapi;
mod pages;
mod participants;
pub mod problem;
pub mod publisher;
pub mod rate_limit;
mod receipts;
pub mod respond;
mod router;
pub mod routes;
pub mod sandbox;
pub mod seldom;
pub mod shedding;
pub mod shelves;
pub mod strict;
mod subscribing;
pub mod trace;
pub mod waiting;

pub use client_address::Peer;
pub use context::{ApiConfig, ApiContext, ApiParts};
pub use router::router;
pub use sandbox::{BookUnavailable, SandboxBook};
