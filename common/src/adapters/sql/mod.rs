//! The store in SQL, written once for PostgreSQL and SQLite.
//!
//! | file | owns |
//! |---|---|
//! | `open` | connecting, migrating |
//! | `db`, `bulk`, `value` | running one statement on either database, for one row or many |
//! | `accept`, `begin`, `pay`, `settle`, `refund_open` | the batched transitions |
//! | `answers` | first answers, bound to their keys |
//! | `close` | cancel, expire, resolve |
//! | `load`, `apply` | rows into checkouts, decisions into rows |
//! | `remembered`, `sessions` | what need not be read again, by its version |
//! | `stock` | counters of what can run out |
//! | `rescue` | what is overdue |
//! | `look` | looks that many take at once |
//! | `read` | checkouts as people look at them |
//! | `catalogue`, `customers`, `keys`, `endpoints`, `deliveries` | a subject each |
//! | `attempts` | attempts by time, whichever checkouts they are of |
//! | `balance` | what customers' balances have, and their adjustments |
//! | `memberships`, `payment_methods` | what customers have bought, and saved, to pay with |
//! | `jobs` | sessions that are called off |
//! | `jobs_again` | what of a job is looked at next, and again |
//! | `ledger` | the ledger as people read it |
//! | `numbers` | numbers for things whose ids are none |
//! | `provider_accounts`, `provider_health` | accounts with payment providers, and how they do |
//! | `provider_events` | what providers tell us of their own accord |
//! | `provider_event_batches` | keeping, reading and ending of such events, many at once |
//! | `replace` | checkouts that take the place of earlier ones of their reference |
//! | `settings` | a tenant's settings |
//! | `tickets` | tickets of which something has become, and their keys |
//! | `unanswered` | what was asked for without a key, and not answered yet |
//! | `subscriptions` | what sold plans have become, and their renewals |
//! | `waiting` | waiting lists |
//! | `audit`, `repair` | recomputing every invariant; mending what follows from other rows |

mod accept;
mod answers;
mod apply;
mod attempts;
mod audit;
mod balance;
mod begin;
mod bulk;
mod catalogue;
mod close;
mod customers;
mod db;
mod deliveries;
mod endpoints;
mod events;
mod jobs;
mod jobs_again;
mod keys;
mod ledger;
mod load;
mod look;
mod memberships;
mod numbers;
mod open;
mod pay;
mod payment_methods;
mod provider_accounts;
mod provider_event_batches;
mod provider_events;
mod provider_health;
mod read;
mod refund;
mod refund_open;
mod refund_resolve;
mod remembered;
mod repair;
mod replace;
mod rescue;
mod script;
mod seat;
mod sessions;
mod settings;
mod settle;
mod spendable;
mod stock;
mod store;
mod subscriptions;
mod tickets;
mod unanswered;
mod value;
mod waiting;

pub use open::SqlStore;
