//! The seat table in Redis, shared by all workers. The rules are in the module above; the keys and the encoding in
//! `try_reserve.lua`. All keys of one call carry the hash tag `{tenant/mode}`, so that a cluster keeps them together.
//!
//! Redis' own clock decides when a token expires: workers' clocks differ.

use super::{
    LOAD_AGAIN, Lifetimes, SWEEPS_PER_LIFE,
    asked::{self, Asked, Short},
    writer::{self, Write},
};
use crate::{
    adapters::redis_link::{Ask, BadRedisUrl, PATIENCE, RedisLink},
    domain::{catalogue::Kind, claim::Want, id::CatalogueId, id::CheckoutId, scope::Scope, secret::Secret},
    ports::seats::{Seats, SeatsUnavailable, Told, Tried},
};
use async_trait::async_trait;
use redis::{Cmd, Script, Value};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};

/// How many `tell`s and `forget`s may wait to be written. What comes on top is dropped: it is loaded later, or expires.
const MAX_WAITING: usize = 8192;
/// Lua hands at most about 8,000 values to one command. A checkout for more seats than this goes to the store directly.
const MAX_SEATS: usize = 4000;

/// The seat table in Redis.
pub struct RedisSeats {
    pub(super) link: Arc<RedisLink>,
    pub(super) look: Script,
    try_reserve: Script,
    lifetimes: Lifetimes,
    writes: mpsc::Sender<Write>,
}

impl std::fmt::Debug for RedisSeats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSeats").field("lifetimes", &self.lifetimes).finish_non_exhaustive()
    }
}

impl RedisSeats {
    /// A table on this server. Does not wait for it: Redis may be down when we start, and `ping` tells. Must be called within
    /// a tokio runtime: it starts the task that writes.
    pub fn connect(url: &Secret<String>, lifetimes: Lifetimes) -> Result<Self, BadRedisUrl> {
        let try_reserve = Script::new(include_str!("try_reserve.lua"));
        let write = Script::new(include_str!("write.lua"));
        let look = Script::new(include_str!("look.lua"));
        let link = Arc::new(RedisLink::open(url, vec![try_reserve.clone(), write.clone(), look.clone()])?);
        let (writes, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(writer::run(Arc::clone(&link), write, lifetimes, waiting));
        Ok(Self { link, look, try_reserve, lifetimes, writes })
    }

    fn command(&self, scope: &Scope, checkout: &CheckoutId, asked: &[Asked<'_>]) -> Cmd {
        let keys = asked.iter().map(|thing| 1 + usize::from(!thing.seats.is_empty())).sum();
        let mut cmd = evalsha(&self.try_reserve, keys);
        for thing in asked {
            let (table, seats) = keys_of(scope, thing.kind, thing.id);
            cmd.arg(table);
            if !thing.seats.is_empty() {
                cmd.arg(seats);
            }
        }
        let token = self.lifetimes.token;
        cmd.arg(checkout.as_str()).arg(millis(token)).arg(millis(token / SWEEPS_PER_LIFE)).arg(millis(LOAD_AGAIN));
        for thing in asked {
            cmd.arg(thing.quantity).arg(thing.seats.len()).arg(&thing.seats);
        }
        cmd
    }
}

#[async_trait]
impl Seats for RedisSeats {
    async fn try_reserve(&self, scope: &Scope, checkout: &CheckoutId, wants: &[Want]) -> Result<Tried, SeatsUnavailable> {
        if wants.is_empty() {
            return Ok(Tried::Reserved);
        }
        let asked = asked::gather(wants);
        if asked.iter().any(|thing| thing.seats.len() > MAX_SEATS) {
            return Err(SeatsUnavailable(format!("more than {MAX_SEATS} seats at once")));
        }
        let answer = self.link.ask(Ask::One(&self.command(scope, checkout, &asked))).await;
        let tried = answer
            .map_err(|error| error.to_string())
            .and_then(|value| read(&value, &asked).ok_or_else(|| "an answer that is none of ours".to_owned()));
        tried.map_err(|why| {
            metrics::counter!("boxoffice_seats_unavailable_total").increment(1);
            SeatsUnavailable(why)
        })
    }

    /// Comes back when it is written (together with what others tell and forget at the same time) or has failed.
    async fn tell(&self, told: Vec<Told>) {
        if told.is_empty() {
            return;
        }
        let (written, wait) = oneshot::channel();
        if self.writes.try_send(Write::Tell(told, written)).is_err() {
            metrics::counter!("boxoffice_seats_untold_total", "why" => "line_full").increment(1);
            return;
        }
        // The line in front of it fails fast when Redis is out, so this is a bound, not a wait.
        let _ = tokio::time::timeout(PATIENCE * 2, wait).await;
    }

    /// Comes back at once. Tokens that are not given back expire.
    async fn forget(&self, scope: &Scope, checkouts: Vec<(CheckoutId, Vec<Want>)>) {
        if self.writes.try_send(Write::Forget(scope.clone(), checkouts)).is_err() {
            metrics::counter!("boxoffice_seats_unforgotten_total", "why" => "line_full").increment(1);
        }
    }

    async fn ping(&self) -> Result<(), SeatsUnavailable> {
        self.link.ping().await.map_err(|error| SeatsUnavailable(error.to_string()))
    }
}

/// A thing's table and the set of its taken seats. Ids have no colon, so no two things share a key.
pub(super) fn keys_of(scope: &Scope, kind: Kind, id: &CatalogueId) -> (String, String) {
    let table = format!("bo:{{{scope}}}:{}:{id}", letter(kind));
    let seats = format!("{table}:n");
    (table, seats)
}

/// How a kind stands in a key.
pub(super) fn letter(kind: Kind) -> &'static str {
    match kind {
        Kind::Session => "s",
        Kind::Product => "p",
        Kind::PromoCode => "c",
        Kind::Membership => "m",
        Kind::Plan => "l",
        Kind::BoughtMembership => "b",
    }
}

/// Calls a script that Redis has; the link loads it when it has not.
pub(super) fn evalsha(script: &Script, keys: usize) -> Cmd {
    let mut cmd = redis::cmd("EVALSHA");
    cmd.arg(script.get_hash()).arg(keys);
    cmd
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads the answer of `try_reserve.lua`; things are counted from 1.
fn read(value: &Value, asked: &[Asked<'_>]) -> Option<Tried> {
    let Value::Array(items) = value else { return None };
    let mut numbers = items.iter().map(|item| if let Value::Int(number) = item { Some(*number) } else { None });
    let thing = |number: i64| usize::try_from(number).ok()?.checked_sub(1).and_then(|index| asked.get(index));
    match numbers.next()?? {
        0 => Some(Tried::Reserved),
        1 => {
            let (thing, n) = (thing(numbers.next()??)?, numbers.next()??);
            let short = match u64::try_from(n) {
                Ok(free) => Short::Free(free),
                Err(_) => Short::Seat(usize::try_from(n.unsigned_abs()).ok()?.checked_sub(1)?),
            };
            Some(thing.gone(short))
        }
        2 => {
            let things: Vec<&Asked<'_>> = numbers.map(|number| thing(number?)).collect::<Option<_>>()?;
            Some(asked::missing(things.into_iter()))
        }
        _ => None,
    }
}
