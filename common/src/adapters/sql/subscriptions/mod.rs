//! Subscriptions: rows that change under their own lock, which is taken after every other.
//!
//! | file | owns |
//! |---|---|
//! | `rows` | rows into subscriptions and back |
//! | `turn` | what one transaction changes of them, and who is told |
//! | `follow` | what the end of a checkout does to them |
//! | `renew` | what is due |
//! | `change` | what a shop changes |

mod change;
mod follow;
mod renew;
mod rows;
mod turn;

pub(super) use follow::follow;
