//! What every payment provider promises the engine, over the sandbox in this process and over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod guard;
mod intents;
mod promises;
mod push;
mod rig;
mod wire;
