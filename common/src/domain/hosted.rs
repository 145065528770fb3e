//! Hosted checkouts: the customer pays on our own page. What is frozen about it, and what a submitted form does.
//!
//! `begin` claims everything and waits (`await_payment`); the page submits a payment (`pay`); a no lets the customer try again
//! (`unpaid`), until the deadline or [`MAX_TRIES`].

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus},
    charge,
    checkout::{Checkout, Closing},
    effects::{DecideError, Effects},
    error::{Code, CodedError},
    id::{CheckoutId, Entropy},
    leg::{Leg, Tender},
    order::Order,
    push::{self, PushMethod},
    routing::Routing,
    saga,
    secret::Secret,
    settings::Color,
    state::{Status, Step},
    time::Timestamp,
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use subtle::ConstantTimeEq;

/// How often a customer may try to pay one checkout. *Because* a page that takes any number of cards is a machine for trying out stolen ones.
pub const MAX_TRIES: usize = 10;
/// How often the provider is asked at the most because a customer is back. *Because* a page is loaded again in no time.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(3);
/// The `decline_code` of a question that was taken back for the customer to pay in another way.
pub const TAKEN_BACK: &str = "taken_back";
/// Random bytes in the link.
const TOKEN_BYTES: usize = 32;

/// What is frozen of a payment on our page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosted {
    /// What the page offers.
    #[serde(default, skip_serializing_if = "PaymentOptions::is_everything")]
    pub options: PaymentOptions,
    /// How the page is shown.
    #[serde(default)]
    pub ui_mode: UiMode,
    /// What is this page's alone, and not its tenant's.
    #[serde(default, skip_serializing_if = "Looks::is_plain")]
    pub looks: Looks,
    /// Who knows it may pay: 256 random bits in base64url. The link carries it behind the checkout's id, by which it is looked up.
    pub token: Secret<String>,
    /// How browsers reach us, without a slash at the end.
    pub origin: String,
}

impl Hosted {
    /// A page nobody can guess.
    pub fn new(options: PaymentOptions, ui_mode: UiMode, origin: impl Into<String>, entropy: &Entropy) -> Self {
        let mut random = [0u8; TOKEN_BYTES];
        entropy.fill(&mut random);
        Self { options, ui_mode, looks: Looks::default(), token: Secret::new(BASE64URL_NOPAD.encode(&random)), origin: origin.into() }
    }

    /// Where the customer pays.
    pub fn url(&self, checkout: &CheckoutId) -> String {
        format!("{}/pay/{checkout}.{}", self.origin, self.token.reveal())
    }

    /// Whether `given` is the token. Takes as long whatever is wrong with it.
    pub fn is_opened_by(&self, given: &str) -> bool {
        self.token.reveal().as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// What a page says and shows of one checkout. What is left out is the tenant's, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Looks {
    /// Above the lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Under the title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Instead of the tenant's colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
}

impl Looks {
    fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// The parts of a link's last segment: the checkout, and what has to be its token.
pub fn read_link(segment: &str) -> Option<(CheckoutId, &str)> {
    let (id, token) = segment.split_once('.')?;
    Some((CheckoutId::parse(id).ok()?, token))
}

/// How the page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UiMode {
    /// As a page of its own, never in a frame.
    #[default]
    Hosted,
    /// Also in a frame on the tenant's allowed origins.
    Embedded,
}

/// What the page offers; what is left out is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PaymentOptions {
    /// A card.
    pub card: PaymentOption,
    /// A method that the customer has saved.
    pub saved_method: PaymentOption,
    /// Mobile money.
    pub mobile_money: ProviderOption,
    /// A bank transfer.
    pub bank: ProviderOption,
    /// A wallet.
    pub wallet: ProviderOption,
}

impl PaymentOptions {
    fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// One way to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PaymentOption {
    /// Not offered.
    pub disable: bool,
}

/// One way to pay that several providers have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderOption {
    /// Not offered.
    pub disable: bool,
    /// Only these, when any are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enabled_providers: Vec<String>,
    /// All but these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disabled_providers: Vec<String>,
}

impl ProviderOption {
    /// Whether the page offers `provider`.
    pub fn offers(&self, provider: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|name| name == provider);
        !self.disable && (self.enabled_providers.is_empty() || is_in(&self.enabled_providers)) && !is_in(&self.disabled_providers)
    }
}

impl Order {
    /// The part that is paid on our page, if any.
    pub fn hosted(&self) -> Option<(&Leg, &Hosted)> {
        self.legs.iter().find_map(|leg| match &leg.tender {
            Tender::Hosted(hosted) => Some((leg, &**hosted)),
            Tender::Card { .. }
            | Tender::ProviderPage { .. }
            | Tender::SavedMethod { .. }
            | Tender::PaymentIntent(_)
            | Tender::Push(_)
            | Tender::Membership { .. }
            | Tender::Balance {}
            | Tender::Custom { .. }
            | Tender::Free {} => None,
        })
    }
}

impl Checkout {
    /// Where its customer pays on our page; nothing of another kind of payment.
    pub fn hosted_url(&self) -> Option<String> {
        self.order.hosted().map(|(_, hosted)| hosted.url(&self.id))
    }
}

/// Everything is claimed: from here on it is the customer's turn.
pub(super) fn await_payment(effects: &mut Effects) -> Result<(), DecideError> {
    effects.step(Step::Await)?;
    effects.checkout.payment_url = effects.checkout.hosted_url();
    effects.checkout.due_at = Some(effects.checkout.expires_at);
    Ok(())
}

/// A payment that a customer submits on the page.
#[derive(Debug, Clone)]
pub struct Pay {
    /// Which checkout.
    pub checkout: CheckoutId,
    /// The attempt that the form was made for. *Because* the same form twice, by a double click or the back button, must be one payment.
    pub n: u32,
    /// What the customer has chosen.
    pub with: PaidWith,
    /// Where charges go.
    pub routing: Arc<Routing>,
    /// The checkout as it was when its page was shown: while its version is still this, it need not be read again.
    pub known: Option<Arc<Checkout>>,
}

/// What a customer chooses on the page.
#[derive(Debug, Clone)]
pub enum PaidWith {
    /// A card, by the provider's token. Never a card number.
    Card(Secret<String>),
    /// Mobile money, a bank, a wallet.
    Push(PushMethod),
    /// Whatever the customer chooses on the provider's own page.
    ProviderPage,
}

impl PaidWith {
    /// For the timeline. Whose phone it is stands nowhere.
    fn words(&self) -> String {
        match self {
            Self::Card(_) => String::new(),
            Self::ProviderPage => ", on the provider's page".to_owned(),
            Self::Push(push) => format!(", by {} at {}", push.method.as_str(), push.provider),
        }
    }

    fn is_offered(&self, options: &PaymentOptions) -> bool {
        match self {
            Self::Card(_) | Self::ProviderPage => !options.card.disable,
            Self::Push(push) => push::offered(push.method, options).any(|provider| provider.id == push.provider),
        }
    }
}

/// Decides. `None`: it cannot be paid now, or not with this, or this form was submitted before; nothing changes.
pub fn pay(checkout: Checkout, ask: &Pay, now: Timestamp, entropy: &Entropy) -> Result<Option<Effects>, DecideError> {
    let Some(leg) = checkout.order.legs.iter().position(|leg| matches!(leg.tender, Tender::Hosted(_))) else { return Ok(None) };
    let is_offered = checkout.order.hosted().is_some_and(|(_, hosted)| ask.with.is_offered(&hosted.options));
    let is_its_turn = checkout.status == Status::AwaitingPayment && checkout.open_attempt().is_none() && now < checkout.expires_at;
    if !is_its_turn || !is_offered || ask.n != checkout.next_n() || checkout.charges().count() >= MAX_TRIES {
        return Ok(None);
    }
    let mut effects = Effects::start(checkout, now).routed_by(&ask.routing);
    let Some((route, means)) = charge::chosen(&effects, leg, &ask.with) else { return Ok(None) };
    effects.step(Step::Resume)?;
    effects.checkout.error = None;
    // Nobody holds it: whoever comes first sends it.
    saga::open_charge(&mut effects, leg, &route, means, entropy);
    effects.note("payment.submitted", format!("attempt {} with {}{}", ask.n, route.provider, ask.with.words()));
    Ok(Some(effects))
}

/// A customer who comes back from the bank, or looks at the page, need not wait until somebody looks by himself. `None`: there is nothing to look for, or somebody
/// looks or has looked a moment ago; nothing changes.
pub fn look_now(checkout: Checkout, now: Timestamp) -> Option<Effects> {
    let asks = |attempt: &&Attempt| attempt.status.is_the_customers() && !attempt.is_leased(now);
    let is_asked = checkout.status == Status::AwaitingPayment && checkout.open_attempt().filter(asks).is_some();
    let is_due = checkout.due_at.is_some_and(|due| due <= now);
    if !is_asked || is_due || checkout.updated_at.after(LOOK_AT_MOST_EVERY) > now {
        return None;
    }
    let mut effects = Effects::start(checkout, now);
    effects.checkout.due_at = Some(now);
    Some(effects)
}

/// Whether the customer may have a question taken back to pay in another way: a provider asks him, and his page has another try left.
pub fn may_take_back(checkout: &Checkout) -> Option<&Attempt> {
    let asks = |attempt: &&Attempt| attempt.request.kind == AttemptKind::Charge && attempt.status.is_the_customers();
    let asked = checkout.open_attempt().filter(asks)?;
    let is_open = checkout.status == Status::AwaitingPayment && checkout.closing.is_none() && checkout.order.hosted().is_some();
    let may = is_open && checkout.charges().count() < MAX_TRIES && !checkout.has_asked_to_void(asked.request.leg);
    may.then_some(asked)
}

/// The customer wants to pay in another way than the one that he is being asked about: the provider is asked to take its question back, and
/// only its word opens the page again (`unpaid`). If he turns out to have paid, he has paid. `n`: the attempt that the form was made for.
/// `None`: nobody asks him, or this was the last try, or this form was submitted before; nothing changes.
pub fn take_back(checkout: Checkout, n: u32, now: Timestamp, entropy: &Entropy) -> Result<Option<Effects>, DecideError> {
    let is_new = n == checkout.next_n() && now < checkout.expires_at;
    let Some(asked) = may_take_back(&checkout).filter(|_| is_new).map(|asked| asked.n) else { return Ok(None) };
    let mut effects = Effects::start(checkout, now);
    effects.step(Step::Reconcile)?;
    effects.note("payment.taken_back", format!("attempt {asked}: the customer wants to pay in another way"));
    // Whoever looks for the answer just now finds that it is being taken back, and waits for nobody.
    saga::open_about(&mut effects, AttemptKind::Void, asked, None, entropy)?;
    Ok(Some(effects))
}

/// Whether a no leaves the page open: nobody wants the end, and no provider has money of it, or can still take any. What was unclear for a
/// while and turns out to be a no is as good a no as one that came at once.
pub(super) fn may_go_on(checkout: &Checkout) -> bool {
    let may_come = |charge: &Attempt| !matches!(charge.status, AttemptStatus::Declined | AttemptStatus::NotSent);
    let is_clear = || checkout.error.is_none() && checkout.open_attempt().is_none() && !checkout.charges().any(may_come);
    checkout.order.hosted().is_some() && checkout.closing.is_none() && (checkout.status != Status::Reconciling || is_clear())
}

/// The void that was sent while the provider said no by itself, and that is answered before the page opens again: one thing at a time.
pub(super) fn waits_for_void(checkout: &Checkout) -> Option<&Attempt> {
    let may_come = |charge: &Attempt| !matches!(charge.status, AttemptStatus::Declined | AttemptStatus::NotSent);
    let is_page = checkout.order.hosted().is_some() && checkout.status == Status::Reconciling;
    let is_open = is_page && checkout.closing.is_none() && checkout.error.is_none() && !checkout.charges().any(may_come);
    checkout.open_attempt().filter(|open| is_open && open.request.kind == AttemptKind::Void)
}

/// Why it is not paid when the provider has confirmed that it takes nothing any more. On our page it was the customer's own wish.
pub(super) fn called_off(checkout: &Checkout) -> CodedError {
    let error = CodedError::new(Code::PaymentFailed, "the payment was called off before it was made");
    if checkout.order.hosted().is_some() && checkout.closing.is_none() { error.declined(TAKEN_BACK) } else { error }
}

/// A definite no to what the customer submitted: another try, as long as there is time and not too many were made. What stands in
/// `error` until then is for the page, and for whoever asks why it is not paid yet.
pub(super) fn unpaid(effects: &mut Effects, error: CodedError) -> Result<(), DecideError> {
    if effects.checkout.updated_at >= effects.checkout.expires_at {
        return expire(effects);
    }
    let was_waiting = effects.checkout.status == Status::AwaitingPayment;
    if effects.checkout.charges().count() >= MAX_TRIES {
        if was_waiting {
            effects.step(Step::Resume)?;
        }
        return effects.fail(error);
    }
    effects.checkout.error = Some(error);
    if was_waiting {
        effects.checkout.due_at = Some(effects.checkout.expires_at);
        return Ok(());
    }
    await_payment(effects)
}

/// The deadline has passed and no provider can take money: nothing has to be asked of anybody.
pub(super) fn expire(effects: &mut Effects) -> Result<(), DecideError> {
    if effects.checkout.status != Status::Reconciling {
        effects.step(Step::Reconcile)?;
    }
    effects.close(Some(Closing::Expire), CodedError::new(Code::Expired, "not paid in time"))
}

#[cfg(test)]
#[path = "hosted_tests.rs"]
mod tests;
