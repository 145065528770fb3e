//! What every payment provider promises the engine: over the sandbox in this process and over HTTP, and over Stripe and Mollie against their
//! stand-ins.
//!
//! `promises` is what all have in common, told by `world`; `sandbox`, `intents`, `push` and `wire` what only the sandbox does, `stripe` what
//! only Stripe does, `mollie` what Mollie does.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod guard;
mod intents;
mod mollie;
mod mollie_later;
mod promises;
mod push;
mod rig;
mod sandbox;
mod stripe;
mod wire;
mod world;
