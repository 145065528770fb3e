//! Disputes: a cardholder's bank takes money back that was paid, until the provider tells who was right.
//!
//! ```text
//! inquiry ─┬─► closed                     (asked, and nothing came of it: no money moved)
//!          └─► open ─┬─► won              (the money is back)
//!                    └─► lost ──► won     (a bank may think better of it)
//! ```
//!
//! What a bank took is no refund: nobody here gave it back, places stay sold, and it is in `disputes` until it is known whose it is.

use super::{
    attempt::{Attempt, AttemptStatus},
    checkout::Checkout,
    effects::{DecideError, Effects},
    event::EventType,
    id::{DisputeId, Entropy},
    ledger::{self, Entry, LedgerKind},
    money::{Amount, Currency, MoneyError},
    provider_event::EventAccount,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// The most disputes that are kept of one checkout: a charge has one, now and then two.
pub const MAX_DISPUTES: usize = 20;

/// Where a dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// The bank asks; no money has moved.
    Inquiry,
    /// The bank has the money, and looks into it.
    Open,
    /// The money is back.
    Won,
    /// The money is gone.
    Lost,
    /// It was an inquiry, and nothing came of it.
    Closed,
}

/// A dispute of a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Dispute {
    /// Ours.
    pub id: DisputeId,
    /// The number of the attempt that took the money.
    pub charge: u32,
    /// The provider's id.
    pub provider_reference: String,
    /// What the bank takes back, minor units.
    pub amount: Amount,
    /// The bank's reason, in the provider's words.
    pub reason: String,
    /// Where it stands.
    pub status: DisputeStatus,
    /// When we were told of it.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Dispute {
    /// Whether the bank has the money.
    const fn has_the_money(&self) -> bool {
        matches!(self.status, DisputeStatus::Open | DisputeStatus::Lost)
    }
}

/// What a provider tells of a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldDispute {
    /// The provider's id of the charge, as our attempt has it.
    pub charge: String,
    /// The provider's id of the dispute.
    pub provider_reference: String,
    /// Minor units.
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
    /// In the provider's words.
    pub reason: String,
    /// Where it stands.
    pub status: DisputeStatus,
}

impl Checkout {
    /// What banks have taken back of it, minor units.
    pub fn amount_disputed(&self) -> Result<Amount, MoneyError> {
        self.taken_back(|_| true)
    }

    /// The same of charge `n`.
    pub(super) fn amount_disputed_of(&self, n: u32) -> Result<Amount, MoneyError> {
        self.taken_back(|dispute| dispute.charge == n)
    }

    fn taken_back(&self, is_meant: impl Fn(&Dispute) -> bool) -> Result<Amount, MoneyError> {
        let taken = self.disputes.iter().filter(|dispute| dispute.has_the_money() && is_meant(dispute));
        taken.map(|dispute| dispute.amount).try_fold(Amount::ZERO, Amount::plus)
    }
}

/// The charge that a dispute is about, if it fits in every part; why a person has to look when it does not.
pub fn charge_of<'c>(checkout: &'c Checkout, account: &EventAccount, told: &ToldDispute) -> Result<&'c Attempt, &'static str> {
    if !account.owns(checkout) {
        return Err("it is of another account");
    }
    let is_it = |charge: &&Attempt| account.has_sent(charge) && charge.provider_reference.as_ref() == Some(&told.charge);
    let charge = checkout.charges().filter(is_it).last().ok_or("we have asked for no such charge")?;
    if charge.request.currency != told.currency {
        return Err("its currency is not the charge's");
    }
    if told.amount <= Amount::ZERO || told.amount > charge.request.amount {
        return Err("its amount is not within the charge's");
    }
    let known = checkout.disputes.iter().find(|dispute| dispute.provider_reference == told.provider_reference);
    if known.is_some_and(|known| known.amount != told.amount) {
        return Err("its amount is not what the bank has taken");
    }
    if known.is_none() && checkout.disputes.len() >= MAX_DISPUTES {
        return Err("it has as many disputes as are kept");
    }
    if !matches!(charge.status, AttemptStatus::Approved) {
        return Err("we do not know that the charge was paid");
    }
    Ok(charge)
}

/// Decides what a provider's word on a dispute of charge `n` does. `None`: we know as much, or more; nothing changes.
pub fn told(checkout: Checkout, n: u32, told: &ToldDispute, now: Timestamp, entropy: &Entropy) -> Result<Option<Effects>, DecideError> {
    let known = checkout.disputes.iter().position(|dispute| dispute.provider_reference == told.provider_reference);
    let before = known.and_then(|at| checkout.disputes.get(at)).map(|dispute| dispute.status);
    if !is_news(before, told.status) || (known.is_none() && checkout.disputes.len() >= MAX_DISPUTES) {
        return Ok(None);
    }
    let mut effects = Effects::start(checkout, now);
    let id = known.and_then(|at| effects.checkout.disputes.get(at)).map(|dispute| dispute.id.clone());
    let dispute = Dispute {
        id: id.unwrap_or_else(|| DisputeId::generate(entropy, now)),
        charge: n,
        provider_reference: told.provider_reference.clone(),
        amount: told.amount,
        reason: told.reason.clone(),
        status: told.status,
        created_at: known.and_then(|at| effects.checkout.disputes.get(at)).map_or(now, |dispute| dispute.created_at),
        updated_at: now,
    };
    book(&mut effects, &dispute, before, entropy)?;
    let name = dispute.provider_reference.clone();
    effects.note(word(told.status), format!("{name}: {} {}, {}", dispute.amount, told.currency, dispute.reason));
    match known.and_then(|at| effects.checkout.disputes.get_mut(at)) {
        Some(kept) => *kept = dispute,
        None => effects.checkout.disputes.push(dispute),
    }
    Ok(Some(effects))
}

/// Events come in any order: what is told of an earlier standing changes nothing.
const fn is_news(before: Option<DisputeStatus>, now: DisputeStatus) -> bool {
    use DisputeStatus::{Closed, Inquiry, Lost, Open, Won};
    match (before, now) {
        (None, _) | (Some(Inquiry), Open | Won | Lost | Closed) | (Some(Open), Won | Lost) | (Some(Lost), Won) => true,
        (Some(Inquiry | Open | Won | Lost | Closed), _) => false,
    }
}

const fn word(status: DisputeStatus) -> &'static str {
    match status {
        DisputeStatus::Inquiry => "dispute.inquiry",
        DisputeStatus::Open => "dispute.opened",
        DisputeStatus::Won => "dispute.won",
        DisputeStatus::Lost => "dispute.lost",
        DisputeStatus::Closed => "dispute.closed",
    }
}

/// The ledger and the events. Whoever hears of an end first is told of the beginning with it.
fn book(effects: &mut Effects, dispute: &Dispute, before: Option<DisputeStatus>, entropy: &Entropy) -> Result<(), DecideError> {
    use DisputeStatus::{Lost, Open, Won};
    let provider = ledger::provider_account(&effects.attempt(dispute.charge)?.provider);
    let mut moved = |kind: LedgerKind, from: &str, to: &str| {
        let entry = |account: &str, amount: Amount| Entry {
            account: account.to_owned(),
            amount,
            detail: "dispute".to_owned(),
            entity: Some(dispute.id.to_string()),
        };
        effects.post(kind, vec![entry(to, dispute.amount), entry(from, dispute.amount.negated())], entropy);
    };
    let was_taken = matches!(before, Some(Open | Lost));
    if matches!(dispute.status, Open | Won | Lost) && !was_taken {
        moved(LedgerKind::Dispute, &provider, ledger::DISPUTES);
    }
    match dispute.status {
        Won if before == Some(Lost) => moved(LedgerKind::DisputeWon, ledger::CHARGEBACKS, &provider),
        Won => moved(LedgerKind::DisputeWon, ledger::DISPUTES, &provider),
        Lost => moved(LedgerKind::DisputeLost, ledger::DISPUTES, ledger::CHARGEBACKS),
        DisputeStatus::Inquiry | Open | DisputeStatus::Closed => {}
    }
    if matches!(dispute.status, Open | Won | Lost) && !was_taken {
        effects.events.push(EventType::DisputeOpened);
    }
    match dispute.status {
        Won => effects.events.push(EventType::DisputeWon),
        Lost => effects.events.push(EventType::DisputeLost),
        DisputeStatus::Inquiry | Open | DisputeStatus::Closed => {}
    }
    Ok(())
}

#[cfg(test)]
#[path = "dispute_tests.rs"]
mod tests;
