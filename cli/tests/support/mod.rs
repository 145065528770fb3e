//! What the end-to-end tests have in common: whole systems of the real binary, a small client, and things to sell.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod catalogue;
pub mod client;
pub mod ledger;
pub mod system;
