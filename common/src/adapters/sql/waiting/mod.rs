//! Waiting lists.
//!
//! | file | owns |
//! |---|---|
//! | `rows` | rows into entries and back |
//! | `turn` | what one transaction does to waiting lists: offers, what they hold, who is told |
//! | `follow` | what follows from what checkouts claim and give back |
//! | `list` | joining, leaving, reading |
//! | `lapse` | offers whose time is over, and waits that came to nothing |

mod follow;
mod lapse;
mod list;
mod rows;
mod turn;

pub(super) use follow::{follow, open_offers, taken_offers};
pub(super) use turn::{Turn, give_up};
