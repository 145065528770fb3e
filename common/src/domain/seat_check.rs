//! What the seat table believes, held against the store: what is lag, and what is a contradiction.
//!
//! The table only advises, and it lags by design: a word of the store may be lost, and then the table says less, or more, than
//! there is until it forgets. So an older version is no contradiction, whatever it says. What no lag explains is: another word
//! about the *same* version, a version that the store has never had, and whatever does not end by itself.

use super::{
    catalogue::Kind,
    claim::{StockKey, StockLevel},
};
use std::collections::BTreeSet;

/// All that the table believes of one thing, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belief {
    /// Of which thing.
    pub key: StockKey,
    /// What; `None` when it cannot be read.
    pub known: Option<Known>,
}

/// What is known of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The newest version that the table was told.
    pub version: i64,
    /// Free at that version, try-tokens not counted.
    pub free: u64,
    /// Its named seats, where it has been told of them.
    pub seats: Option<KnownSeats>,
    /// What all try-tokens together count for, as it stands in the table.
    pub held: u64,
    /// The same, token by token.
    pub tokens: u64,
    /// Whether all of it is forgotten at some time unless it is told again.
    pub ends: bool,
}

/// The named seats that are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSeats {
    /// As of this version.
    pub version: i64,
    /// Their names.
    pub taken: BTreeSet<String>,
}

/// What the store says, read *after* the belief: whoever tells the table has committed before, so no legal belief is newer.
#[derive(Debug, Clone, Copy)]
pub struct Truth<'s> {
    /// How much is left, and at which version.
    pub level: &'s StockLevel,
    /// Named seats with a live claim at that very version; `None` when they may be of another one.
    pub taken: Option<&'s [String]>,
}

/// Something that no lag explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// Which rule of the audit.
    pub rule: &'static str,
    /// What was found.
    pub finding: String,
}

fn contradiction(rule: &'static str, finding: String) -> Contradiction {
    Contradiction { rule, finding }
}

/// Holds a belief against the store. `None`: the store does not count this thing.
pub fn contradictions(belief: &Belief, truth: Option<Truth<'_>>) -> Vec<Contradiction> {
    let Some(known) = &belief.known else {
        return vec![contradiction("seats_unreadable", "is nothing that the seat table wrote: tries for it may fail".to_owned())];
    };
    let mut found = Vec::new();
    if !known.ends {
        found.push(contradiction("seats_lasting", "never ends, so that it would not heal by being forgotten".to_owned()));
    }
    if known.held != known.tokens {
        found.push(contradiction("seats_tokens", format!("{} counted as held, its tokens are {}", known.held, known.tokens)));
    }
    match truth {
        Some(truth) => found.extend(against(belief.key.kind, known, truth)),
        // Goods and codes that are not counted any more leave a belief behind, which nobody tells again.
        None if belief.key.kind != Kind::Session => {}
        None => found.push(contradiction("seats_ahead", format!("is at version {}, the store does not know the thing", known.version))),
    }
    found
}

fn against(kind: Kind, known: &Known, Truth { level, taken }: Truth<'_>) -> Vec<Contradiction> {
    let mut found = Vec::new();
    let newest = known.seats.as_ref().map_or(known.version, |seats| seats.version.max(known.version));
    // Goods and codes that were not counted for a while begin anew at version 1. A session's version only grows.
    if newest > level.version && kind == Kind::Session {
        found.push(contradiction("seats_ahead", format!("is at version {newest}, the store at {}", level.version)));
    }
    if known.version == level.version && known.free != u64::from(level.free()) {
        let finding = format!("{} free at version {}, the store says {}", known.free, level.version, level.free());
        found.push(contradiction("seats_level", finding));
    }
    let same = known.seats.as_ref().filter(|seats| seats.version == level.version);
    if let (Some(seats), Some(taken)) = (same, taken) {
        let told: BTreeSet<&str> = taken.iter().map(String::as_str).collect();
        let believed: BTreeSet<&str> = seats.taken.iter().map(String::as_str).collect();
        let free_there = named("free in the table and taken in the store", told.difference(&believed));
        let taken_there = named("taken in the table and free in the store", believed.difference(&told));
        let finding: Vec<String> = free_there.into_iter().chain(taken_there).collect();
        if !finding.is_empty() {
            found.push(contradiction("seats_named", format!("at version {}: {}", level.version, finding.join("; "))));
        }
    }
    found
}

/// The most seats that a finding names.
const MOST_NAMED: usize = 10;

fn named<'s>(what: &str, seats: impl Iterator<Item = &'s &'s str>) -> Option<String> {
    let mut seats: Vec<&str> = seats.copied().collect();
    let more = seats.len().saturating_sub(MOST_NAMED);
    seats.truncate(MOST_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!seats.is_empty()).then(|| format!("{}{more} {what}", seats.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{id::CatalogueId, scope::Mode, scope::Scope};

    fn key(kind: Kind) -> StockKey {
        StockKey { scope: Scope::new("acme", Mode::Test).unwrap(), kind, id: CatalogueId::parse("gala").unwrap() }
    }

    fn belief(kind: Kind, version: i64, free: u64, seats: Option<(i64, &[&str])>) -> Belief {
        let seats = seats.map(|(version, taken)| KnownSeats { version, taken: taken.iter().map(|seat| (*seat).to_owned()).collect() });
        Belief { key: key(kind), known: Some(Known { version, free, seats, held: 2, tokens: 2, ends: true }) }
    }

    fn rules(belief: &Belief, (version, taken): (i64, &[&str])) -> Vec<&'static str> {
        let level = StockLevel { key: belief.key.clone(), capacity: 5, taken: u32::try_from(taken.len()).unwrap(), version };
        let taken: Vec<String> = taken.iter().map(|seat| (*seat).to_owned()).collect();
        let truth = Truth { level: &level, taken: Some(&taken) };
        contradictions(belief, Some(truth)).into_iter().map(|found| found.rule).collect()
    }

    #[test]
    fn an_older_version_is_lag_whatever_it_says_and_the_same_one_must_say_the_same() {
        let session = |version, free, seats| belief(Kind::Session, version, free, seats);
        for legal in
            [session(3, 0, None), session(3, 99, Some((2, &["Z9"]))), session(4, 4, Some((3, &[]))), session(4, 4, Some((4, &["A1"])))]
        {
            assert_eq!(rules(&legal, (4, &["A1"])), [""; 0], "{legal:?}");
        }
        assert_eq!(rules(&session(4, 5, None), (4, &["A1"])), ["seats_level"]);
        assert_eq!(rules(&session(4, 3, None), (4, &["A1"])), ["seats_level"]);
        assert_eq!(rules(&session(4, 4, Some((4, &[]))), (4, &["A1"])), ["seats_named"]);
        assert_eq!(rules(&session(4, 4, Some((4, &["A1", "A2"]))), (4, &["A1"])), ["seats_named"]);
    }

    #[test]
    fn seats_of_which_the_version_is_not_sure_are_not_judged() {
        let belief = belief(Kind::Session, 4, 4, Some((4, &[])));
        let level = StockLevel { key: belief.key.clone(), capacity: 5, taken: 1, version: 4 };
        assert_eq!(contradictions(&belief, Some(Truth { level: &level, taken: None })), []);
    }

    #[test]
    fn a_version_that_the_store_never_had_is_a_contradiction_unless_the_count_can_begin_anew() {
        assert_eq!(rules(&belief(Kind::Session, 5, 4, None), (4, &["A1"])), ["seats_ahead"]);
        assert_eq!(rules(&belief(Kind::Session, 4, 4, Some((5, &["A1"]))), (4, &["A1"])), ["seats_ahead"]);
        assert_eq!(rules(&belief(Kind::Product, 5, 4, None), (1, &[])), [""; 0]);
        let unknown = |kind| contradictions(&belief(kind, 5, 4, None), None).len();
        assert_eq!((unknown(Kind::Session), unknown(Kind::Product), unknown(Kind::PromoCode)), (1, 0, 0));
    }

    #[test]
    fn what_does_not_heal_by_itself_is_a_contradiction_even_at_an_older_version() {
        let spoil = |change: fn(&mut Known)| {
            let mut belief = belief(Kind::Session, 3, 1, None);
            change(belief.known.as_mut().unwrap());
            rules(&belief, (4, &["A1"]))
        };
        assert_eq!(spoil(|known| known.ends = false), ["seats_lasting"]);
        assert_eq!(spoil(|known| known.held = 3), ["seats_tokens"]);
        assert_eq!(rules(&Belief { key: key(Kind::Session), known: None }, (4, &[])), ["seats_unreadable"]);
    }

    #[test]
    fn a_finding_names_ten_seats_at_most() {
        let seats: Vec<String> = (0..13).map(|n| format!("A{n:02}")).collect();
        let names: Vec<&str> = seats.iter().map(String::as_str).collect();
        let text = named("taken", names.iter()).unwrap();
        assert!(text.contains("A09 and 3 more taken") && !text.contains("A10"), "{text}");
    }
}
