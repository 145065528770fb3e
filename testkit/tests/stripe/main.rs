//! The stand-in for Stripe's HTTP API, held to what the public documentation says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where it fails")]

mod client;
mod events;
mod faults;
mod idempotency;
mod lists;
mod payments;
mod refunds;
mod saved;
mod sessions;
