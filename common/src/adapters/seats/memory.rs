//! The seat table of one process. The rules are in the module above.

use super::{
    LOAD_AGAIN, Lifetimes, SWEEPS_PER_LIFE,
    asked::{self, Asked, Short},
};
use crate::{
    domain::{
        claim::{StockKey, Want},
        id::CheckoutId,
        scope::Scope,
        seat_check::{Belief, Known, KnownSeats},
    },
    ports::seats::{BeliefPage, Seats, SeatsOffice, SeatsUnavailable, Told, Tried},
};
use async_trait::async_trait;
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many things are kept. What comes on top is not taken in while all of them are fresh: its tries go to the store.
const MAX_THINGS: usize = 65_536;
/// How often forgotten things are cleared away, at most.
const PRUNE_EVERY: Duration = Duration::from_secs(1);

/// The seat table in this process. One lock: a try spans several things, and holds it for about a microsecond.
#[derive(Debug)]
pub struct MemorySeats {
    lifetimes: Lifetimes,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    things: HashMap<StockKey, Thing>,
    prune_at: Instant,
}

/// What is known of one scarce thing.
#[derive(Debug)]
struct Thing {
    free: u64,
    version: i64,
    known_until: Instant,
    named: Option<Named>,
    tokens: HashMap<CheckoutId, Token>,
    /// Named seats held by tokens. A holder without a live token holds nothing.
    holders: HashMap<String, CheckoutId>,
    /// The sum of all tokens, expired ones included until they are swept.
    held: u64,
    sweep_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    quantity: u64,
    until: Instant,
}

/// Which named seats are taken.
#[derive(Debug)]
struct Named {
    taken: HashSet<String>,
    version: i64,
    known_until: Instant,
    /// Set when the level has moved on without the seats.
    reload_at: Option<Instant>,
}

/// The answer for one thing.
enum Look {
    Free,
    Missing,
    Short(Short),
}

impl Default for MemorySeats {
    fn default() -> Self {
        Self::new(Lifetimes::default())
    }
}

impl MemorySeats {
    /// An empty table.
    pub fn new(lifetimes: Lifetimes) -> Self {
        Self { lifetimes, table: Mutex::new(Table { things: HashMap::new(), prune_at: Instant::now() }) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics half-way; and whatever is in the table, the store decides.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Seats for MemorySeats {
    async fn try_reserve(&self, scope: &Scope, checkout: &CheckoutId, wants: &[Want]) -> Result<Tried, SeatsUnavailable> {
        let asked = asked::gather(wants);
        let keys: Vec<StockKey> =
            asked.iter().map(|thing| StockKey { scope: scope.clone(), kind: thing.kind, id: thing.id.clone() }).collect();
        let now = Instant::now();
        let mut table = self.table();
        let mut missing = Vec::new();
        for (key, asked) in keys.iter().zip(&asked) {
            let known = table.things.get_mut(key).filter(|thing| thing.known_until > now);
            match known.map_or(Look::Missing, |thing| thing.look(checkout, asked, self.lifetimes, now)) {
                Look::Free => {}
                Look::Missing => missing.push(asked),
                Look::Short(short) => return Ok(asked.gone(short)),
            }
        }
        if !missing.is_empty() {
            return Ok(asked::missing(missing.into_iter()));
        }
        for (key, asked) in keys.iter().zip(&asked) {
            if let Some(thing) = table.things.get_mut(key) {
                thing.reserve(checkout, asked, now + self.lifetimes.token);
            }
        }
        Ok(Tried::Reserved)
    }

    async fn tell(&self, told: Vec<Told>) {
        let now = Instant::now();
        let mut table = self.table();
        for told in told {
            table.tell(told, self.lifetimes, now);
        }
    }

    async fn forget(&self, scope: &Scope, checkouts: Vec<(CheckoutId, Vec<Want>)>) {
        let mut table = self.table();
        for (checkout, wants) in &checkouts {
            for want in wants {
                let key = StockKey { scope: scope.clone(), kind: want.kind, id: want.id.clone() };
                if let Some(thing) = table.things.get_mut(&key) {
                    thing.forget(checkout, &want.seats);
                }
            }
        }
    }

    async fn ping(&self) -> Result<(), SeatsUnavailable> {
        Ok(())
    }
}

#[async_trait]
impl SeatsOffice for MemorySeats {
    async fn beliefs(&self, _from: u64) -> Result<BeliefPage, SeatsUnavailable> {
        let now = Instant::now();
        let table = self.table();
        let alive = table.things.iter().filter(|(_, thing)| thing.known_until > now);
        let beliefs = alive.map(|(key, thing)| Belief { key: key.clone(), known: Some(thing.known(now)) }).collect();
        Ok(BeliefPage { beliefs, next: None })
    }

    async fn drop_beliefs(&self, things: &[StockKey]) -> Result<(), SeatsUnavailable> {
        let mut table = self.table();
        for key in things {
            table.things.remove(key);
        }
        Ok(())
    }
}

impl Table {
    fn tell(&mut self, told: Told, lifetimes: Lifetimes, now: Instant) {
        let Told { level, taken_seats } = told;
        let (free, version) = (u64::from(level.free()), level.version);
        let known = self.things.get(&level.key).is_some_and(|thing| thing.known_until > now);
        if !known && !self.has_room(&level.key, now) {
            metrics::counter!("boxoffice_seats_untold_total", "why" => "table_full").increment(1);
            return;
        }
        let thing = match self.things.entry(level.key) {
            // What was forgotten takes its tokens with it.
            std::collections::hash_map::Entry::Occupied(mut entry) if !known => {
                entry.insert(Thing::new(free, version, now));
                entry.into_mut()
            }
            entry => entry.or_insert_with(|| Thing::new(free, version, now)),
        };
        thing.tell(free, version, taken_seats, lifetimes, now);
    }

    /// Whether one more can be taken in, after clearing away what was forgotten.
    fn has_room(&mut self, key: &StockKey, now: Instant) -> bool {
        if now >= self.prune_at {
            self.things.retain(|_, thing| thing.known_until > now);
            self.prune_at = now + PRUNE_EVERY;
        }
        self.things.len() < MAX_THINGS || self.things.contains_key(key)
    }
}

impl Thing {
    fn new(free: u64, version: i64, now: Instant) -> Self {
        let (tokens, holders) = Default::default();
        Self { free, version, known_until: now, named: None, tokens, holders, held: 0, sweep_at: None }
    }

    fn tell(&mut self, free: u64, version: i64, taken: Option<Vec<String>>, lifetimes: Lifetimes, now: Instant) {
        if version >= self.version {
            (self.free, self.version, self.known_until) = (free, version, now + lifetimes.told);
        }
        let newest = self.version;
        let named = self.named.as_mut().filter(|named| named.known_until > now);
        match (taken, named) {
            // Seats a little older than the level are better than none: a change may overtake the load.
            (Some(taken), named) if named.as_ref().is_none_or(|named| version >= named.version) => {
                self.named = Some(Named {
                    taken: taken.into_iter().collect(),
                    version,
                    known_until: now + lifetimes.told,
                    reload_at: (version < newest).then_some(now + lifetimes.stale_seats),
                });
            }
            (None, Some(named)) if newest > named.version => {
                named.reload_at.get_or_insert(now + lifetimes.stale_seats);
            }
            _ => {}
        }
    }

    fn known(&self, now: Instant) -> Known {
        let named = self.named.as_ref().filter(|named| named.known_until > now);
        Known {
            version: self.version,
            free: self.free,
            seats: named.map(|named| KnownSeats { version: named.version, taken: named.taken.iter().cloned().collect() }),
            held: self.held,
            tokens: self.tokens.values().map(|token| token.quantity).sum(),
            ends: true,
        }
    }

    fn look(&mut self, checkout: &CheckoutId, asked: &Asked<'_>, lifetimes: Lifetimes, now: Instant) -> Look {
        if self.sweep_at.is_some_and(|at| now >= at) {
            self.sweep(now + lifetimes.token / SWEEPS_PER_LIFE, now);
        }
        let own = self.tokens.get(checkout).copied();
        // Whoever holds a token already gets the same answer again, whatever was told since.
        if own.is_some_and(|own| own.until > now && own.quantity >= asked.counted()) {
            return Look::Free;
        }
        let others = self.held.saturating_sub(own.map_or(0, |own| own.quantity));
        let free = if asked.seats.is_empty() { self.free.saturating_sub(others) } else { self.free };
        if asked.quantity > free {
            return Look::Short(Short::Free(free));
        }
        if asked.seats.is_empty() { Look::Free } else { self.look_at_seats(checkout, &asked.seats, now) }
    }

    fn look_at_seats(&mut self, checkout: &CheckoutId, seats: &[&str], now: Instant) -> Look {
        let Some(named) = self.named.as_mut().filter(|named| named.known_until > now) else { return Look::Missing };
        if named.reload_at.is_some_and(|at| now >= at) {
            named.reload_at = Some(now + LOAD_AGAIN);
            return Look::Missing;
        }
        let is_live = |holder: &CheckoutId| self.tokens.get(holder).is_some_and(|token| token.until > now);
        let taken = |seat: &&str| {
            named.taken.contains(*seat) || self.holders.get(*seat).is_some_and(|holder| holder != checkout && is_live(holder))
        };
        seats.iter().position(taken).map_or(Look::Free, |place| Look::Short(Short::Seat(place)))
    }

    fn reserve(&mut self, checkout: &CheckoutId, asked: &Asked<'_>, until: Instant) {
        let before = self.tokens.insert(checkout.clone(), Token { quantity: asked.counted(), until });
        self.held = self.held.saturating_sub(before.map_or(0, |token| token.quantity)).saturating_add(asked.counted());
        self.sweep_at = Some(self.sweep_at.map_or(until, |at| at.min(until)));
        for seat in &asked.seats {
            self.holders.insert((*seat).to_owned(), checkout.clone());
        }
    }

    fn forget(&mut self, checkout: &CheckoutId, seats: &[String]) {
        if let Some(token) = self.tokens.remove(checkout) {
            self.held = self.held.saturating_sub(token.quantity);
        }
        for seat in seats {
            if self.holders.get(seat) == Some(checkout) {
                self.holders.remove(seat);
            }
        }
    }

    /// Drops expired tokens and the seats that they held.
    fn sweep(&mut self, not_before: Instant, now: Instant) {
        let Self { tokens, holders, .. } = self;
        tokens.retain(|_, token| token.until > now);
        holders.retain(|_, holder| tokens.contains_key(holder));
        self.held = tokens.values().map(|token| token.quantity).sum();
        self.sweep_at = tokens.values().map(|token| token.until).min().map(|first| first.max(not_before));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{catalogue::Kind, claim::StockLevel, id::CatalogueId, scope::Mode};

    fn told(n: usize) -> Told {
        let scope = Scope::new("acme", Mode::Test).unwrap();
        let key = StockKey { scope, kind: Kind::Session, id: CatalogueId::parse(format!("ses_{n}")).unwrap() };
        Told { level: StockLevel { key, capacity: 1, taken: 0, version: 1 }, taken_seats: None }
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_makes_room_for_what_is_fresh() {
        let seats = MemorySeats::default();
        seats.tell((0..MAX_THINGS + 10).map(told).collect()).await;
        assert_eq!(seats.table().things.len(), MAX_THINGS);
        tokio::time::advance(Lifetimes::default().told + Duration::from_millis(1)).await;
        seats.tell(vec![told(MAX_THINGS + 20)]).await;
        assert_eq!(seats.table().things.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_leave_nothing_behind() {
        let seats = MemorySeats::default();
        let told = told(1);
        let key = told.level.key.clone();
        seats.tell(vec![told.clone()]).await;
        let want = Want { kind: key.kind, id: key.id.clone(), quantity: 1, seats: vec![], line: None };
        let checkouts = ["chk_1", "chk_2"].map(|id| CheckoutId::parse(id).unwrap());
        for checkout in &checkouts {
            assert_eq!(seats.try_reserve(&key.scope, checkout, std::slice::from_ref(&want)).await, Ok(Tried::Reserved));
            tokio::time::advance(Lifetimes::default().token + Duration::from_millis(1)).await;
            seats.tell(vec![told.clone()]).await;
        }
        seats.forget(&key.scope, vec![(checkouts[1].clone(), vec![want])]).await;
        let table = seats.table();
        let thing = &table.things[&key];
        assert_eq!((thing.held, thing.tokens.len(), thing.holders.len()), (0, 0, 0));
    }
}
