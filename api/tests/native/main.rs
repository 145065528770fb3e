//! The native API over the real router, the SQLite store, and the in-process queue, seat table and announcer.

mod access;
mod bad_input;
mod catalogue;
mod checkouts;
mod description;
mod idempotency;
mod limits;
mod server;
mod waiting;
mod webhooks;
