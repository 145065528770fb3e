//! Attempts: every request that moves money is a row of one kind, and what can come of it.

use super::{
    id::{AttemptId, CheckoutId, ProviderAccountId},
    money::{Amount, Currency},
    payment_intent::IntentUse,
    push::PushMethod,
    routing::Route,
    secret::Secret,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use subtle::ConstantTimeEq;

/// The provider that moves no money, as it stands in attempts.
pub const SANDBOX: &str = "sandbox";
/// How often a lease may be taken over before nobody tries again.
pub const MAX_TAKEOVERS: u32 = 5;
/// How often a send that was refused before execution is tried before it counts as a definite no.
pub const MAX_REFUSALS: u32 = 6;

/// What an attempt asks of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    /// Take the money (at once, or authorise only, as the request says).
    Charge,
    /// Take what was authorised.
    Capture,
    /// Give up what was authorised or is pending.
    Void,
    /// Give back what was taken.
    Refund,
}

impl AttemptKind {
    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Charge, Self::Capture, Self::Void, Self::Refund].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The exact request. Frozen when the attempt is recorded, sent again byte for byte under the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyRequest {
    /// What is asked.
    pub kind: AttemptKind,
    /// Our reference at the provider: the checkout.
    pub reference: CheckoutId,
    /// The provider's idempotency key, at most 36 characters.
    pub key: String,
    /// Minor units.
    pub amount: Amount,
    /// The amount's currency.
    pub currency: Currency,
    /// The card's token, for a charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret<String>>,
    /// Whom the customer is asked by, for a charge without a card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushMethod>,
    /// The payment intent that a charge takes instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentUse>,
    /// The provider's reference of the charge that a capture, void or refund is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The place of the order's leg that it is for.
    #[serde(default, skip_serializing_if = "is_first")]
    pub leg: usize,
    /// Of a charge: to be authorised only, and captured when every other leg is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub capture_later: bool,
    /// Which of the tenant's accounts it goes to; none at a provider that needs none, such as the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<ProviderAccountId>,
    /// What a provider's page needs to know, for a charge of a customer who is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit: Option<Visit>,
    /// Of a charge: the card is to be charged again later, without the customer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_card: bool,
    /// Of a charge: the customer is not there, and can be asked nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off_session: bool,
}

impl MoneyRequest {
    /// What attempt `n` of a checkout asks, with nothing but what every request has.
    pub fn new(kind: AttemptKind, reference: CheckoutId, n: u32, amount: Amount, currency: Currency) -> Self {
        Self {
            kind,
            key: Attempt::key(&reference, n),
            reference,
            amount,
            currency,
            token: None,
            push: None,
            intent: None,
            target: None,
            leg: 0,
            capture_later: false,
            account: None,
            visit: None,
            keep_card: false,
            off_session: false,
        }
    }
}

/// A customer at a provider's page: to confirm a payment, or to make it there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Where the provider sends the customer back to: a page of ours, which knows what came of it. Whoever has this link sees that, and may pay,
    /// so that it is shown in no log or dump.
    pub return_url: String,
    /// Set where the customer pays on the provider's own page, instead of with a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<ProviderPage>,
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("return_url", &"[redacted]").field("page", &self.page).finish()
    }
}

impl Visit {
    /// Where whoever comes back is looked up by the checkout and a token of this visit's own.
    pub const PATH: &str = "/return/";
    /// Set in the query of whoever turned back without having paid.
    pub const TURNED_BACK: &str = "turned_back";

    /// Where a provider's page sends a customer who turns back there: to the same page of ours, which waits for no answer then.
    pub fn cancel_url(&self) -> String {
        let joint = if self.return_url.contains('?') { '&' } else { '?' };
        format!("{}{joint}{}=1", self.return_url, Self::TURNED_BACK)
    }

    /// Whether `given` is this visit's token. Takes as long whatever is wrong with it.
    pub fn leads_back_by(&self, given: &str) -> bool {
        let ours = self.return_url.rsplit_once(Self::PATH).and_then(|(_, link)| link.split_once('.'));
        ours.is_some_and(|(_, token)| token.as_bytes().ct_eq(given.as_bytes()).into())
    }
}

/// A provider's own page to pay on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderPage {
    /// Whether it is shown within the tenant's page, and not as one of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_embedded: bool,
    /// What the customer reads there, for the whole amount.
    pub title: String,
    /// Until when it may be paid, our time; providers have bounds of their own.
    pub expires_at: Timestamp,
}

fn is_first(leg: &usize) -> bool {
    *leg == 0
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// Recorded; may have been sent.
    Started,
    /// The provider did it.
    Approved,
    /// A charge whose money is promised and not taken: it is captured, or voided.
    Authorized,
    /// A definite no.
    Declined,
    /// The customer has to act at an address; money may still move.
    RequiresAction,
    /// The provider asks the customer by itself; money may still move.
    Pending,
    /// Sent, and nobody knows what came of it. Never ages into failure.
    Unknown,
    /// Never executed, for certain, and not tried again.
    NotSent,
    /// Nothing we may do can find out. An operator decides.
    NeedsReview,
}

impl AttemptStatus {
    const ALL: [Self; 9] = [
        Self::Started,
        Self::Approved,
        Self::Authorized,
        Self::Declined,
        Self::RequiresAction,
        Self::Pending,
        Self::Unknown,
        Self::NotSent,
        Self::NeedsReview,
    ];

    /// Whether its outcome is still to come.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Started | Self::RequiresAction | Self::Pending | Self::Unknown)
    }

    /// Whether it is the customer's turn.
    pub const fn is_the_customers(self) -> bool {
        matches!(self, Self::RequiresAction | Self::Pending)
    }

    /// As it stands in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Approved => "approved",
            Self::Authorized => "authorized",
            Self::Declined => "declined",
            Self::RequiresAction => "requires_action",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::NotSent => "not_sent",
            Self::NeedsReview => "needs_review",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// One request that moves money, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Public id.
    pub id: AttemptId,
    /// Counts from 1 within the checkout.
    pub n: u32,
    /// Which provider.
    pub provider: String,
    /// What is sent.
    pub request: MoneyRequest,
    /// Where it stands.
    pub status: AttemptStatus,
    /// The provider's own id for it.
    pub provider_reference: Option<String>,
    /// The issuer's reason.
    pub decline_code: Option<String>,
    /// What the customer has to do.
    pub action: Option<CustomerAction>,
    /// Who may send it now: changes with every taker.
    pub lease_token: Option<String>,
    /// Until when, by the store's time.
    pub lease_until: Option<Timestamp>,
    /// How often a lease that ran out was taken over.
    pub takeovers: u32,
    /// How often it came back without a definite answer, in a row.
    pub tries: u32,
    /// The provider's id of the request that was last answered, for its support.
    pub request_id: Option<String>,
    /// What the provider kept of it, once that is known.
    pub fee: Option<Fee>,
    /// What to charge the card again with, in the transition that is told of it. Not stored with the attempt.
    pub reusable: Option<Secret<String>>,
    /// When it was recorded: the provider's key window counts from here.
    pub created_at: Timestamp,
}

impl Attempt {
    /// As it is recorded, before anybody may send it.
    pub const fn recorded(id: AttemptId, n: u32, provider: String, request: MoneyRequest, now: Timestamp) -> Self {
        Self {
            id,
            n,
            provider,
            request,
            status: AttemptStatus::Started,
            provider_reference: None,
            decline_code: None,
            action: None,
            lease_token: None,
            lease_until: None,
            takeovers: 0,
            tries: 0,
            request_id: None,
            fee: None,
            reusable: None,
            created_at: now,
        }
    }

    /// The idempotency key of attempt `n`: at most 36 characters for ids that we made.
    pub fn key(checkout: &CheckoutId, n: u32) -> String {
        format!("{checkout}_{n}")
    }

    /// Where it went, and where all goes that is about it.
    pub fn route(&self) -> Route {
        Route { provider: self.provider.clone(), account: self.request.account.clone() }
    }

    /// Whether nothing of it can have reached the provider: nobody holds it, and whoever did said that it was refused before
    /// execution. A lease that ran out is no such word: its holder may have sent.
    pub fn was_never_sent(&self) -> bool {
        self.status == AttemptStatus::Started && self.takeovers == 0 && self.lease_until.is_none()
    }

    /// What is kept of what the customer has to do: what a form is filled in with, only while it may be.
    pub fn kept_action(&self) -> Option<&CustomerAction> {
        self.action.as_ref().filter(|action| action.form().is_none() || self.status.is_open())
    }

    /// The form that the customer has to fill in now.
    pub fn open_form(&self) -> Option<&EmbeddedForm> {
        self.action.as_ref().filter(|_| self.status == AttemptStatus::RequiresAction)?.form()
    }

    /// Whether somebody holds it now.
    pub fn is_leased(&self, now: Timestamp) -> bool {
        self.lease_until.is_some_and(|until| until > now)
    }
}

/// What a customer has to do before money moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomerAction {
    /// Go to this address: a page of the provider's, or of the card's issuer.
    Visit(String),
    /// Fill in the provider's form, which the shop's own page shows.
    Form(EmbeddedForm),
}

/// What a shop's page shows a provider's form with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddedForm {
    /// Whoever has it can pay this payment, and see what is paid.
    pub client_secret: Secret<String>,
    /// The account's key for browsers, which is no secret.
    pub publishable_key: String,
}

impl CustomerAction {
    /// The address to go to.
    pub fn url(&self) -> Option<&str> {
        if let Self::Visit(url) = self { Some(url) } else { None }
    }

    /// The form to fill in.
    pub const fn form(&self) -> Option<&EmbeddedForm> {
        if let Self::Form(form) = self { Some(form) } else { None }
    }
}

/// What a provider answered, once something may have been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done, with the amount and currency as the provider echoes them.
    Approved(Receipt),
    /// Promised and not taken, with the amount and currency as the provider echoes them.
    Authorized(Receipt),
    /// A no that the provider repeats for this key.
    Declined(Decline),
    /// The customer must act at `url` before money moves.
    RequiresAction {
        /// The provider's page.
        url: String,
        /// The provider's id of the pending payment.
        provider_reference: String,
    },
    /// The customer must fill in the provider's form before money moves.
    RequiresForm {
        /// What the shop's page shows it with.
        form: EmbeddedForm,
        /// The provider's id of the pending payment.
        provider_reference: String,
    },
    /// The provider has asked the customer, on the phone say, and tells later what came of it.
    Pending {
        /// The provider's id of the pending payment.
        provider_reference: String,
    },
    /// Timeout, reset, 5xx after sending, key in use, parameters that do not match: the money may have moved.
    Unknown(String),
    /// It never reached execution: connection refused, 429, an open circuit.
    NotSent {
        /// For people.
        cause: String,
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// As it stands in logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Approved(_) => "approved",
            Self::Authorized(_) => "authorized",
            Self::Declined(_) => "declined",
            Self::RequiresAction { .. } | Self::RequiresForm { .. } => "requires_action",
            Self::Pending { .. } => "pending",
            Self::Unknown(_) => "unknown",
            Self::NotSent { .. } => "not_sent",
        }
    }

    /// As the answer to a question about an earlier request: that the question was not put says nothing about the request.
    pub fn of_a_question(self) -> Self {
        match self {
            Self::NotSent { cause, .. } => Self::Unknown(cause),
            told => told,
        }
    }
}

/// Proof of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's id.
    pub provider_reference: String,
    /// What moved, as echoed, minor units.
    pub amount: Amount,
    /// In this currency, as echoed.
    pub currency: Currency,
    /// What the provider keeps of it, where it says so at once.
    pub fee: Option<Fee>,
    /// What to charge the card again with, where that was asked for.
    pub reusable: Option<Secret<String>>,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
}

/// What a provider keeps for its service, in the currency that it pays out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Fee {
    /// Minor units; negative where the provider gives some back.
    pub amount: Amount,
    /// Its currency, which need not be the payment's.
    pub currency: Currency,
}

/// A definite no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    /// The issuer's or provider's reason.
    pub decline_code: String,
    /// For people.
    pub message: String,
    /// The provider's id, when it made one.
    pub provider_reference: Option<String>,
    /// What makes sense now.
    pub advice: Advice,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
}

/// What makes sense behind a definite no. Each provider's adapter has one table from its codes to these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Advice {
    /// The same once more, as a new attempt: something failed on the way to the issuer.
    Retry,
    /// The same elsewhere: this provider, or this account with it, does not do it.
    NextProvider,
    /// The customer has to change something: another card, more money, a confirmation.
    #[default]
    AskCustomer,
    /// Nothing: the issuer suspects a fraud, and the customer is not told why.
    Stop,
}

impl Receipt {
    /// Without a word on the fee.
    pub fn of(provider_reference: String, amount: Amount, currency: Currency) -> Self {
        Self { provider_reference, amount, currency, fee: None, reusable: None, request_id: None }
    }
}

impl Decline {
    /// One that the customer has to do something about.
    pub const fn new(decline_code: String, message: String, provider_reference: Option<String>) -> Self {
        Self { decline_code, message, provider_reference, advice: Advice::AskCustomer, request_id: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_that_leads_back_is_shown_nowhere_and_stored_whole() {
        let visit = Visit { return_url: "https://box.example/return/chk_1.capability".to_owned(), page: None };
        assert!(!format!("{visit:?} {visit:#?}").contains("capability"));
        let stored = serde_json::to_string(&visit).unwrap();
        assert_eq!(serde_json::from_str::<Visit>(&stored).unwrap(), visit);
        assert!(visit.leads_back_by("capability") && !visit.leads_back_by("another"));
    }
}
