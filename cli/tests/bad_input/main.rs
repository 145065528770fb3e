//! What a hostile or clumsy client sends: every piece of it is refused with a 4xx problem that has a code, nothing is
//! written, and nothing of another tenant is seen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod fences;
mod limits;
mod oversize;
mod requests;
#[path = "../support/mod.rs"]
mod support;
