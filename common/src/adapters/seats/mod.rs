//! The seat table: in this process ([`MemorySeats`]), or Redis ([`RedisSeats`]). Both keep the same rules:
//!
//! - Free, as the table sees it = capacity − taken, as the store last told, − the quantities of live tokens. The newer version
//!   wins, an equal one refreshes, an older one is ignored. What was not told for [`Lifetimes::told`] is forgotten: a stale
//!   entry (even one of a version that the store no longer knows, after a restore) heals by being loaded again.
//!   Tokens for named seats do not count here: the seats themselves exclude each other.
//! - A token is a checkout's quantity of a thing, with an expiry. A try by a checkout that holds a token succeeds again and
//!   renews it. Expired tokens may count a little longer (1/32 of their life): they are swept together.
//! - A level may be told before the token of the claim in it is forgotten, and then that claim counts twice for a moment: the
//!   table says `Gone` too early, never for long. The store looks before anybody is refused, and it has the last word.
//! - Named seats: a try is `Gone` when a seat is taken, as last told, or is held by another checkout's live token. A level told
//!   without its seats (a change) keeps the seats that are there, and they are stale from then on. A seat that looks free may be
//!   sold: the store refuses it. A seat that looks taken may be free: after [`Lifetimes::stale_seats`] one try a second is
//!   answered `Missing`, and its load brings the seats up to date, while others go on with what is there; without any try they
//!   are forgotten after [`Lifetimes::told`], whatever levels were told since.
//! - Forgetting is not awaited. When a checkout is tried again right after, its new token may be taken back by the old
//!   `forget`: the table lets one too many try, and the store refuses it.

mod asked;
mod memory;
mod office;
mod redis;
mod writer;

pub use memory::MemorySeats;
pub use redis::RedisSeats;

use crate::ports::seats::TOKEN_LIFE;
use std::time::Duration;

/// How long the table believes what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// A try-token that nobody gives back.
    pub token: Duration,
    /// What the store told, unless it tells again. At least `token`, or tokens end with it.
    pub told: Duration,
    /// Which named seats are taken, once the level has moved on without them.
    pub stale_seats: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { token: TOKEN_LIFE, told: Duration::from_secs(60), stale_seats: Duration::from_secs(5) }
    }
}

/// How long a load may take before another try is asked to make it.
const LOAD_AGAIN: Duration = Duration::from_secs(1);
/// Tokens that expire within this part of their life of each other are swept together.
const SWEEPS_PER_LIFE: u32 = 32;
