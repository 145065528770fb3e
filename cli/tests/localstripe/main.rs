//! localstripe, a Stripe that nobody here wrote, as a second opinion: what our adapter says to it and hears from it, what it says of the same
//! requests as our own stand-in, and where it is no Stripe at all. What came of it is told in docs/localstripe.md.
//!
//! `server` is localstripe, `without` the way to it that leaves out what it does not know, `rig` what we ask. `charges`, `cards`, `refunds`
//! and `events` go through the adapter, `shop` through the whole system, and `beside` asks it and our stand-in the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod beside;
mod cards;
mod charges;
mod events;
mod refunds;
mod rig;
mod server;
mod shop;
#[path = "../support/mod.rs"]
mod support;
mod without;
