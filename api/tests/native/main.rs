//! The native API over the real router, the SQLite store, and the in-process queue, seat table and announcer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod access;
mod bad_input;
mod balances;
mod browser;
mod catalogue;
mod checkouts;
mod description;
mod idempotency;
mod jobs;
mod joined;
mod ledger;
mod limits;
mod memberships;
mod monime;
mod participants;
mod pay;
mod pay_accounts;
mod pay_looks;
mod pay_push;
mod pay_strangers;
mod payment_methods;
mod provider_events;
mod provider_hints;
mod providers;
mod receipts;
mod refunds;
mod review;
mod server;
mod settings;
mod strangers;
mod tickets;
mod waiting;
mod waiting_list;
mod webhooks;
