//! The payment provider Mollie: one `MollieProvider` for each account that a tenant has there, all over one pool of connections
//! (<https://docs.mollie.com/reference>).
//!
//! | file | owns |
//! |---|---|
//! | `transport`, `base` | carrying a request there under its key, and telling what was certainly not sent |
//! | `request` | what is asked, in Mollie's words |
//! | `answer` | what is read of Mollie's objects |
//! | `verdict` | what an HTTP answer means |
//! | `outcome` | what a payment, a refund or a capture means for an attempt |
//! | `declines` | what makes sense behind a no |
//! | `charge`, `void`, `follow_up` | what is done: charges, voids; captures and refunds |
//! | `look_up` | what is asked about it later |
//! | `walk` | Mollie's book, page by page |
//! | `events` | what Mollie tells of its own accord |
//! | `provider` | the port over all of them |

mod answer;
mod base;
mod charge;
mod declines;
mod events;
mod factory;
mod follow_up;
mod look_up;
mod outcome;
mod provider;
mod request;
mod transport;
mod verdict;
mod void;
mod walk;

pub use base::MOLLIE_URL;
pub use events::MollieEvents;
pub use factory::MollieFactory;
pub use provider::{KeyError, MOLLIE, MollieProvider, MollieSetup};
pub use transport::{MollieConnection, MollieTransport};
pub use walk::PAGE;
