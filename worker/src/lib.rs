//! The checkout pipeline: takes work off the queue, holds seats, charges, settles, tells.
//!
//! | file | owns |
//! |---|---|
//! | `worker` | starting and draining |
//! | `lane` | the loop that takes work in hand |
//! | `checkout` | the steps of a checkout, in their order |
//! | `reserve` | whether a checkout may try for its seats |
//! | `charge` | one attempt at a provider, under a lease |
//! | `follow` | what a transition is followed by: announcements, seats, more work |
//! | `deliver` | one try of a callback |
//! | `provider_event` | what a provider told us |
//! | `reconcile` | what was missed, and is mended by the provider's own word |
//! | `jobs` | what takes long: sessions that are called off |
//! | `renew` | renewals of subscriptions that are due |
//! | `rescue`, `expire`, `health`, `tidy` | the services beside the queue |

mod charge;
mod checkout;
mod context;
mod deliver;
mod expire;
mod follow;
mod health;
mod jobs;
mod lane;
mod provider_event;
mod reconcile;
mod renew;
mod rescue;
mod reserve;
mod service;
mod tidy;
mod worker;

pub use context::{WorkerContext, WorkerSettings};
pub use reconcile::{MendError, Mended, mend};
pub use worker::Worker;
