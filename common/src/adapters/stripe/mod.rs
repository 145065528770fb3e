//! The payment provider Stripe: one `StripeProvider` for each account that a tenant has there, all over one pool of connections.
//!
//! `transport` and `wire` carry a request there under its key, and tell what was certainly not sent. `request` and `page_request` build what
//! is asked from the generated types, `answer` is what is read of Stripe's objects, `units` how Stripe counts money. `verdict` decides what an
//! answer means, `declines` what makes sense behind a no, `outcome` what either means for an attempt. `charge`, `intents`, `page` and
//! `refund` are what is done, `look_up` what is asked about it later, `calls` what one request's calls share, and `provider` is the port over
//! all of them. `signature` and `events` read what Stripe tells of its own accord, `walk` its book, and `vault` keeps cards.

mod answer;
mod calls;
#[cfg(test)]
mod canned;
mod charge;
mod declines;
mod events;
mod factory;
mod intents;
mod look_up;
mod outcome;
mod page;
mod page_request;
mod provider;
mod refund;
mod request;
mod signature;
mod transport;
mod units;
mod vault;
mod verdict;
mod walk;
mod wire;

pub use events::StripeEvents;
pub use factory::StripeFactory;
pub use provider::{KeyError, STRIPE, StripeProvider};
pub use transport::{Answer, ClientError, StripeConnection, StripeTransport};
pub use walk::PAGE;
pub use wire::{BadKey, STRIPE_URL};
