//! What providers tell us of their own accord, and what may be done about it. An event is a claim: only what fits an attempt of ours in
//! every part moves anything.

use super::{
    attempt::{Advice, Attempt, AttemptKind, AttemptStatus, Decline, Outcome, Receipt},
    checkout::Checkout,
    dispute::ToldDispute,
    id::{CheckoutId, ProviderEventId},
    money::{Amount, Currency},
    provider_account::ProviderAccount,
    refund_resolve,
    scope::Mode,
    secret::Secret,
    settle,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// How often an event is put off before a person has to look. With [`crate::retry::EVENTS`] that is most of a day: whatever it waits for has
/// come to an end by then.
pub const MAX_TRIES: u32 = 16;

/// What is said of an event of a kind that we do nothing about ([`Told::Other`]).
pub const OF_NO_USE: &str = "of a kind that we do nothing about";

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Kept, and to be worked on.
    Pending,
    /// It moved something, or told what was known.
    Done,
    /// It is about nothing of ours, or of a kind that we do nothing about.
    Ignored,
    /// A person has to look: it does not fit what we have asked for, or was tried too often. It changed nothing.
    NeedsReview,
}

impl EventStatus {
    const ALL: [Self; 4] = [Self::Pending, Self::Done, Self::Ignored, Self::NeedsReview];

    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Ignored => "ignored",
            Self::NeedsReview => "needs_review",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// An event as it was kept. Its signature was verified before.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderEvent {
    /// Ours.
    pub id: ProviderEventId,
    /// Who told it.
    pub provider: String,
    /// Which of our accounts there.
    pub account: String,
    /// The provider's own id: the same one is the same event.
    pub event: String,
    /// As it came. May hold what customers told the provider.
    pub body: String,
    /// Where it stands.
    pub status: EventStatus,
    /// What was said of it when it was last worked on.
    pub note: Option<String>,
    /// How often it was worked on and put off.
    pub tries: u32,
    /// When it came.
    pub received_at: Timestamp,
}

impl std::fmt::Debug for ProviderEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, provider, account, event, status, tries, .. } = self;
        write!(f, "ProviderEvent {{ {id}, {provider}/{account}, {event}, {status:?}, tries: {tries}, body: [redacted] }}")
    }
}

/// Whose events a provider's account tells: nobody else's attempts are touched by them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventAccount {
    /// As it stands in attempts.
    pub provider: &'static str,
    /// As it stands in the address.
    pub account: String,
    /// Whose money.
    pub mode: Mode,
    /// The one tenant whose account it is; everybody's of that mode when `None`.
    pub tenant: Option<String>,
}

impl EventAccount {
    /// That of a tenant's own account.
    pub fn of(account: &ProviderAccount) -> Self {
        Self {
            provider: account.provider.as_str(),
            account: account.id.to_string(),
            mode: account.scope.mode(),
            tenant: Some(account.scope.tenant().to_owned()),
        }
    }

    /// Whether a checkout is one that this account can have been asked for.
    pub fn owns(&self, checkout: &Checkout) -> bool {
        checkout.scope.mode() == self.mode && self.tenant.as_deref().is_none_or(|tenant| tenant == checkout.scope.tenant())
    }

    /// Whether an attempt went to this account.
    pub fn has_sent(&self, attempt: &Attempt) -> bool {
        let is_there = match &attempt.request.account {
            Some(account) => account.as_str() == self.account,
            // An account of nobody's in particular has no id among a tenant's.
            None => self.tenant.is_none(),
        };
        attempt.provider == self.provider && is_there
    }
}

/// What an event says, read from its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// What became of money that we have asked for.
    Money(ToldMoney),
    /// A bank takes back what was paid, or gives that back.
    Dispute(ToldDispute),
    /// What it keeps of a charge of ours is known to it by now.
    Fee(ToldFee),
    /// That something changed about this id of the provider's: it has to be asked what.
    Ask(String),
    /// Of a kind that we do nothing about.
    Other,
}

/// What a provider's word is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Money from the customer.
    Charge,
    /// Money back to the customer.
    Refund,
}

impl About {
    /// What an attempt at it is.
    pub const fn kind(self) -> AttemptKind {
        match self {
            Self::Charge => AttemptKind::Charge,
            Self::Refund => AttemptKind::Refund,
        }
    }

    /// As reports name it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Charge => "payment",
            Self::Refund => "refund",
        }
    }
}

/// What became of a charge or a refund, as the provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldMoney {
    /// Which of the two.
    pub about: About,
    /// Our reference.
    pub reference: CheckoutId,
    /// Our key.
    pub key: String,
    /// The provider's id.
    pub provider_reference: String,
    /// The id that it went by before it was decided, where the provider has two: a page to pay on, and the payment that was made there.
    pub pending_as: Option<String>,
    /// What to charge the card again with, where the provider tells it.
    pub reusable: Option<Secret<String>>,
    /// Minor units.
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
    /// What became of it.
    pub word: Word,
}

/// Of which charge a provider knows by now what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldFee {
    /// Our reference.
    pub reference: CheckoutId,
    /// Our key.
    pub key: String,
    /// The provider's id of the payment.
    pub provider_reference: String,
}

/// What is to be done about a fee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeeVerdict {
    /// Ask the provider about attempt `n`.
    Ask(u32),
    /// Nothing: it is in the books, or never will be.
    Known,
    /// Not now: the charge is not settled.
    Later,
    /// Nothing: it is about nothing that we have asked for.
    NotOurs,
}

/// A provider's word on a charge or a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// It is under way: the customer has been asked.
    Asked,
    /// The money moved.
    Moved,
    /// A definite no, with its code and words for people. Of a refund that had gone: it came back.
    Refused {
        /// The provider's reason.
        code: String,
        /// For people.
        message: String,
        /// What makes sense now.
        advice: Advice,
    },
}

/// What is to be done about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Attempt `n` came to this.
    Settle {
        /// Which.
        n: u32,
        /// What came of it.
        outcome: Outcome,
    },
    /// Attempt `n`, a refund that had gone, came back to the provider.
    CameBack {
        /// Which.
        n: u32,
        /// Why.
        decline: Decline,
    },
    /// Nothing: we know as much, or more.
    Known,
    /// Nothing, until a person has looked: it does not fit what we have asked for.
    Review(&'static str),
    /// Not now: another try is under way, or nobody knows what came of it, and that has to end first.
    Later,
}

/// Decides. Whatever does not fit in every part (account, tenant, mode, reference, key, amount, currency, the provider's own id) changes nothing.
pub fn judge(checkout: &Checkout, account: &EventAccount, told: &ToldMoney) -> Verdict {
    if told.word == Word::Asked && account.owns(checkout) {
        // It changes nothing, by whichever of its names the provider calls it just now.
        return Verdict::Known;
    }
    let attempt = match attempt_of(checkout, account, told) {
        Ok(attempt) => attempt,
        Err(why) => return Verdict::Review(why),
    };
    let n = attempt.n;
    match &told.word {
        // Whoever asked knows it, or is about to.
        Word::Asked => Verdict::Known,
        Word::Moved if attempt.status == AttemptStatus::Approved => Verdict::Known,
        Word::Moved if attempt.status == AttemptStatus::NotSent => Verdict::Review("we have never sent it"),
        Word::Moved => {
            let was_refused = attempt.status == AttemptStatus::Declined;
            if was_refused && told.about == About::Refund {
                // What is called as the refund that failed is an older word: one that has failed stays so, and events come in any order.
                if attempt.provider_reference.is_some() {
                    return Verdict::Known;
                }
                return Verdict::Review("a refund that was refused went all the same");
            }
            // What was taken behind a no goes back: for that, everything else has to rest.
            if was_refused && !settle::may_be_taken_after_all(checkout, attempt) {
                return Verdict::Later;
            }
            let reusable = told.reusable.clone().filter(|_| attempt.request.keep_card);
            let receipt = Receipt { reusable, ..Receipt::of(told.provider_reference.clone(), told.amount, told.currency) };
            Verdict::Settle { n, outcome: Outcome::Approved(receipt) }
        }
        Word::Refused { code, message, advice } => {
            let provider_reference = Some(told.provider_reference.clone());
            let decline = Decline { advice: *advice, ..Decline::new(code.clone(), message.clone(), provider_reference) };
            match (told.about, attempt.status) {
                (About::Refund, AttemptStatus::Approved) if refund_resolve::gave_credits(checkout, n) => {
                    Verdict::Review("the refund came back, and the credits that went with it may be used again by now")
                }
                (About::Refund, AttemptStatus::Approved) => Verdict::CameBack { n, decline },
                (_, status) if status.is_open() || status == AttemptStatus::NeedsReview => {
                    Verdict::Settle { n, outcome: Outcome::Declined(decline) }
                }
                _ => Verdict::Known,
            }
        }
    }
}

/// Whether somebody is asking the provider just now for what a verdict would settle: that answer says as much, and more (its fee).
pub fn is_being_answered(checkout: &Checkout, verdict: &Verdict, now: Timestamp) -> bool {
    let Verdict::Settle { n, .. } = verdict else { return false };
    let is_asking = |attempt: &Attempt| attempt.n == *n && attempt.status == AttemptStatus::Started && attempt.is_leased(now);
    checkout.attempts.iter().any(is_asking)
}

/// Decides whether a provider is asked what it keeps of a charge. The answer settles nothing else.
pub fn judge_fee(checkout: &Checkout, account: &EventAccount, told: &ToldFee) -> FeeVerdict {
    let is_it = |charge: &&Attempt| charge.request.key == told.key && account.has_sent(charge);
    let Some(charge) = checkout.charges().find(is_it).filter(|_| checkout.id == told.reference && account.owns(checkout)) else {
        return FeeVerdict::NotOurs;
    };
    match charge.status {
        _ if checkout.fee_of(charge).is_some() => FeeVerdict::Known,
        // The answer of a capture that is under way brings it.
        _ if checkout.is_being_captured(charge) => FeeVerdict::Later,
        // An account of nobody's in particular keeps nothing.
        AttemptStatus::Approved if charge.request.account.is_none() => FeeVerdict::Known,
        AttemptStatus::Approved if charge.provider_reference.as_ref() == Some(&told.provider_reference) => FeeVerdict::Ask(charge.n),
        AttemptStatus::Approved => FeeVerdict::NotOurs,
        status if status.is_open() || status == AttemptStatus::Authorized => FeeVerdict::Later,
        _ => FeeVerdict::Known,
    }
}

/// The attempt that it is about, if it fits in every part.
fn attempt_of<'c>(checkout: &'c Checkout, account: &EventAccount, told: &ToldMoney) -> Result<&'c Attempt, &'static str> {
    if checkout.id != told.reference || !account.owns(checkout) {
        return Err("it is of another account");
    }
    let (kind, key) = (told.about.kind(), &told.key);
    let is_it = |attempt: &&Attempt| attempt.request.kind == kind && attempt.request.key == *key && account.has_sent(attempt);
    let attempt = checkout.attempts.iter().find(is_it).ok_or("we have asked for no such thing")?;
    if attempt.request.amount != told.amount {
        return Err("its amount is not what we have asked for");
    }
    if attempt.request.currency != told.currency {
        return Err("its currency is not what we have asked for");
    }
    let is_it = |reference: &String| *reference == told.provider_reference || told.pending_as.as_ref() == Some(reference);
    if !attempt.provider_reference.as_ref().is_none_or(is_it) {
        return Err("the provider has called it otherwise");
    }
    Ok(attempt)
}

#[cfg(test)]
#[path = "provider_event_tests.rs"]
mod tests;
