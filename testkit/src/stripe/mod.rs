//! A stateful stand-in for Stripe's HTTP API, written after its public documentation and without a line of the engine.
//!
//! | file | owns |
//! |---|---|
//! | `server`, `wire`, `limits`, `log` | connections, headers, too many requests, cut answers, what was seen |
//! | `idempotency`, `faults` | keys and their answers; what goes wrong on demand |
//! | `routes`, `form`, `refusal`, `expand`, `lists`, `search` | calls in, objects and errors out |
//! | `account`, `table`, `clock`, `ids` | the state and its time |
//! | `intents`, `paying`, `authorising`, `delayed`, `charges`, `cards`, `money` | payments |
//! | `refunds`, `disputes`, `transactions` | what comes after |
//! | `methods`, `customers` | who pays, and with what |
//! | `sessions`, `checkout`, `pages` | Checkout Sessions, how they change, and the pages of theirs and of 3-D Secure |
//! | `events`, `webhooks` | what happened, and telling it |
//! | `book` | looking into the books |

mod account;
mod authorising;
mod book;
mod cards;
mod charges;
mod checkout;
mod clock;
mod customers;
mod delayed;
mod disputes;
mod events;
mod expand;
mod faults;
mod form;
mod idempotency;
mod ids;
mod intents;
mod limits;
mod lists;
mod log;
mod methods;
mod money;
mod pages;
mod paying;
mod refunds;
mod refusal;
mod routes;
mod search;
mod server;
mod sessions;
mod stand_in;
mod table;
mod transactions;
mod webhooks;
mod wire;

pub use book::{Book, BookedIntent, BookedRefund, Capture};
pub use clock::StripeClock;
pub use events::{API_VERSION, StripeEvent};
pub use faults::{Boundary, Effect, Fault, Faults};
pub use form::Params;
pub use log::SeenRequest;
pub use stand_in::{Settings, StartError, StripeStandIn};
pub use webhooks::{Sent, Webhooks, signature_header};

use std::sync::{Mutex, MutexGuard, PoisonError};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
