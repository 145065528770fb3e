//! What is said in the end, on standard output.

use super::{
    Looked,
    tally::{Sides, State, Totals},
};
use crate::exit::Failure;
use boxoffice_common::domain::{
    money::{Amount, Currency},
    reconcile::{Finding, Sum},
};

/// Prints what the walk over an account's book came to, however far it came. What could not be begun is told as an error.
pub(super) fn print(Looked { name, tally, passed_over, failure, .. }: &Looked) {
    if let Some(words) = passed_over {
        println!("{words}");
        return;
    }
    if matches!(failure, Some(Failure::Setup(_))) {
        return;
    }
    println!("{name}: {} payments and {} refunds, {} of somebody else", tally.payments, tally.refunds, tally.others);
    for (finding, state) in &tally.findings {
        println!("  {}", line(finding, *state));
    }
    let shown = tally.findings.len();
    let all = tally.left + tally.mended + tally.under_way;
    if shown < all {
        println!("  and {} more", all - shown);
    }
    let mut advised = Vec::new();
    for (finding, _) in tally.findings.iter().filter(|(_, state)| matches!(state, State::Left(_))) {
        if !advised.contains(&finding.difference) {
            advised.push(finding.difference);
            println!("  → {}: {}", finding.difference.as_str(), finding.difference.advice());
        }
    }
    for (currency, totals) in tally.totals.values() {
        println!("{}", money(*currency, totals));
    }
    println!("  {} differ, {} mended, {} under way", tally.left, tally.mended, tally.under_way);
}

fn line(finding: &Finding, state: State) -> String {
    let about = finding.about.noun();
    let ours = match (&finding.checkout, finding.n) {
        (Some(checkout), Some(n)) => format!("{checkout} attempt {n}"),
        (Some(checkout), None) => checkout.to_string(),
        (None, _) => "-".to_owned(),
    };
    let ending = match state {
        State::Left(None) => "differs".to_owned(),
        State::Left(Some(why)) => format!("differs, not mended: {why}"),
        State::Mended => "mended".to_owned(),
        State::UnderWay => "under way, come again".to_owned(),
    };
    let id = finding.provider_reference.as_deref().unwrap_or("-");
    let (difference, theirs, we_have) = (finding.difference.as_str(), sum(finding.theirs), sum(finding.ours));
    format!("{difference:<17}  {about:<7}  {id}  {ours}  theirs {theirs}  ours {we_have}  {ending}")
}

fn sum(sum: Option<Sum>) -> String {
    sum.map_or_else(|| "-".to_owned(), |(amount, currency)| format!("{} {}", currency.decimal(amount), currency.as_str()))
}

fn money(currency: Currency, totals: &Totals) -> String {
    let said = |minor: i64| currency.decimal(Amount::from_minor(minor));
    let side = |what: &str, Sides { theirs, ours }: Sides| {
        format!("{what} theirs {} ours {} difference {}", said(theirs), said(ours), said(theirs.saturating_sub(ours)))
    };
    let Totals { captured, refunded, fees } = *totals;
    format!("  {}: {}; {}; {}", currency.as_str(), side("captured", captured), side("refunded", refunded), side("fees", fees))
}
