//! What the walk over one account's book came to.

use boxoffice_common::domain::{
    money::Currency,
    provider_event::About,
    reconcile::{Finding, Sum},
};
use std::collections::BTreeMap;

/// How many findings are kept for the report; beyond it they are counted.
const MAX_SHOWN: usize = 1_000;

/// Where a finding stands at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is left, and the words say why it was not mended, if that was tried.
    Left(Option<&'static str>),
    /// It was mended.
    Mended,
    /// Somebody works on it, or may be about to.
    UnderWay,
}

/// Money of one kind, minor units: the provider's, and ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) theirs: i64,
    pub(super) ours: i64,
}

/// Money in one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) captured: Sides,
    pub(super) refunded: Sides,
    pub(super) fees: Sides,
}

/// Which of the totals.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Captured,
    Refunded,
    Fees,
}

impl From<About> for Kind {
    fn from(about: About) -> Self {
        match about {
            About::Charge => Self::Captured,
            About::Refund => Self::Refunded,
        }
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) payments: usize,
    pub(super) refunds: usize,
    /// Rows that are not this account's: nobody's of ours, or another account's.
    pub(super) others: usize,
    pub(super) left: usize,
    pub(super) mended: usize,
    pub(super) under_way: usize,
    pub(super) findings: Vec<(Finding, State)>,
    /// By the currency's code.
    pub(super) totals: BTreeMap<String, (Currency, Totals)>,
}

impl Tally {
    /// Whether nothing is left.
    pub(super) const fn agrees(&self) -> bool {
        self.left == 0
    }

    pub(super) fn row(&mut self, about: About) {
        match about {
            About::Charge => self.payments += 1,
            About::Refund => self.refunds += 1,
        }
    }

    pub(super) fn found(&mut self, finding: Finding, state: State) {
        match state {
            State::Left(_) => self.left += 1,
            State::Mended => self.mended += 1,
            State::UnderWay => self.under_way += 1,
        }
        if self.findings.len() < MAX_SHOWN {
            self.findings.push((finding, state));
        }
    }

    pub(super) fn theirs(&mut self, kind: Kind, sum: Option<Sum>) {
        self.add(kind, sum, |sides| &mut sides.theirs);
    }

    pub(super) fn ours(&mut self, kind: Kind, sum: Option<Sum>) {
        self.add(kind, sum, |sides| &mut sides.ours);
    }

    fn add(&mut self, kind: Kind, sum: Option<Sum>, side: impl FnOnce(&mut Sides) -> &mut i64) {
        let Some((amount, currency)) = sum else { return };
        let (_, totals) = self.totals.entry(currency.as_str().to_owned()).or_insert_with(|| (currency, Totals::default()));
        let sides = match kind {
            Kind::Captured => &mut totals.captured,
            Kind::Refunded => &mut totals.refunded,
            Kind::Fees => &mut totals.fees,
        };
        let total = side(sides);
        *total = total.saturating_add(amount.minor());
    }
}
