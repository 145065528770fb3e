//! The same for programs: JSON lines on standard output, one for each difference as it is found, and one for all of it in the end.

use super::{
    Looked,
    tally::{Sides, State, Tally, Totals},
    walk::Window,
};
use crate::exit::{Failure, io};
use boxoffice_common::domain::{
    money::{Amount, Currency},
    provider_account::{ProviderAccount, ProviderKind},
    provider_event::EventAccount,
    reconcile::{Finding, Sum},
    time::Timestamp,
};
use serde::Serialize;
use std::io::Write;

/// One difference.
#[derive(Debug, Serialize)]
struct DifferenceLine<'a> {
    object: &'static str,
    difference: &'static str,
    state: &'static str,
    account: &'a str,
    tenant: Option<&'a str>,
    mode: &'static str,
    kind: &'static str,
    provider_reference: Option<&'a str>,
    checkout: Option<&'a str>,
    attempt: Option<u32>,
    theirs: Option<Money>,
    ours: Option<Money>,
    /// Why it was not mended, where that was tried.
    reason: Option<&'static str>,
    advice: Option<&'static str>,
}

/// Minor units.
#[derive(Debug, Serialize)]
struct Money {
    amount: Amount,
    currency: Currency,
}

impl Money {
    const fn of((amount, currency): Sum) -> Self {
        Self { amount, currency }
    }
}

/// All of it.
#[derive(Debug, Serialize)]
struct SummaryLine<'a> {
    object: &'static str,
    provider: &'static str,
    since: Timestamp,
    until: Timestamp,
    /// What the exit code says: 0, 1, 2.
    agrees: bool,
    complete: bool,
    differ: usize,
    mended: usize,
    under_way: usize,
    accounts: Vec<AccountPart<'a>>,
}

/// One account of it.
#[derive(Debug, Serialize)]
struct AccountPart<'a> {
    account: &'a str,
    tenant: &'a str,
    mode: &'static str,
    name: &'a str,
    payments: usize,
    refunds: usize,
    others: usize,
    differ: usize,
    mended: usize,
    under_way: usize,
    /// Why it was not looked at, or not to its end.
    error: Option<String>,
    totals: Vec<CurrencyPart>,
}

/// Sums in one currency, minor units.
#[derive(Debug, Serialize)]
struct CurrencyPart {
    currency: Currency,
    captured: SidesPart,
    refunded: SidesPart,
    fees: SidesPart,
}

#[derive(Debug, Serialize)]
struct SidesPart {
    theirs: i64,
    ours: i64,
    difference: i64,
}

impl From<Sides> for SidesPart {
    fn from(Sides { theirs, ours }: Sides) -> Self {
        Self { theirs, ours, difference: theirs.saturating_sub(ours) }
    }
}

/// Prints a difference.
///
/// Errors: standard output is closed.
pub(super) fn difference(account: &EventAccount, finding: &Finding, state: State) -> Result<(), Failure> {
    let (name, reason, advice) = match state {
        State::Left(reason) => ("differs", reason, Some(finding.difference.advice())),
        State::Mended => ("mended", None, None),
        State::UnderWay => ("under_way", None, None),
    };
    print(&DifferenceLine {
        object: "difference",
        difference: finding.difference.as_str(),
        state: name,
        account: &account.account,
        tenant: account.tenant.as_deref(),
        mode: account.mode.as_str(),
        kind: finding.about.noun(),
        provider_reference: finding.provider_reference.as_deref(),
        checkout: finding.checkout.as_ref().map(|checkout| checkout.as_str()),
        attempt: finding.n,
        theirs: finding.theirs.map(Money::of),
        ours: finding.ours.map(Money::of),
        reason,
        advice,
    })
}

/// Prints what all accounts came to.
///
/// Errors: standard output is closed.
pub(super) fn summary(provider: ProviderKind, window: Window, looked: &[Looked]) -> Result<(), Failure> {
    let complete = looked.iter().all(|looked| looked.failure.is_none());
    let sum = |of: fn(&Tally) -> usize| looked.iter().map(|looked| of(&looked.tally)).sum();
    print(&SummaryLine {
        object: "summary",
        provider: provider.as_str(),
        since: window.since,
        until: window.until,
        agrees: complete && looked.iter().all(|looked| looked.tally.agrees()),
        complete,
        differ: sum(|tally| tally.left),
        mended: sum(|tally| tally.mended),
        under_way: sum(|tally| tally.under_way),
        accounts: looked.iter().map(part).collect(),
    })
}

fn part(Looked { account, tally, passed_over, failure, .. }: &Looked) -> AccountPart<'_> {
    let ProviderAccount { id, scope, name, .. } = account;
    AccountPart {
        account: id.as_str(),
        tenant: scope.tenant(),
        mode: scope.mode().as_str(),
        name,
        payments: tally.payments,
        refunds: tally.refunds,
        others: tally.others,
        differ: tally.left,
        mended: tally.mended,
        under_way: tally.under_way,
        error: failure.as_ref().map(ToString::to_string).or_else(|| passed_over.clone()),
        totals: tally.totals.values().map(currency).collect(),
    }
}

fn currency((currency, Totals { captured, refunded, fees }): &(Currency, Totals)) -> CurrencyPart {
    CurrencyPart { currency: *currency, captured: (*captured).into(), refunded: (*refunded).into(), fees: (*fees).into() }
}

/// One line at once, whole: whoever reads it may act on it while we go on.
fn print(line: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec(line).map_err(|error| Failure::Setup(format!("a line of JSON: {error}")))?;
    text.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&text).and_then(|()| out.flush()).map_err(io("standard output"))
}
