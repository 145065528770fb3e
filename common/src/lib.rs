//! The checkout engine's core: the pure domain, the ports it is driven through, and their adapters.
//!
//! `domain` knows no I/O. `ports` are the traits that the API and the worker speak. `adapters` implement them, two for
//! each port: one that lives in this process and one that is shared by many.

pub mod adapters;
pub mod batch;
pub mod config;
pub mod domain;
pub mod failpoint;
pub mod newest;
pub mod ports;
pub mod retry;
