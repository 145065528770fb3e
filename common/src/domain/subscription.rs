//! Subscriptions: what a sold plan becomes, when it renews, and what follows when a renewal is not paid.
//!
//! ```text
//! trialing ─┬─► active ─┬─► past_due ─┬─► active          (a later try was paid)
//!           │           │             ├─► unpaid          (the tries are used up; another method goes on)
//!           ├───────────┴─────────────┴─► paused ─► …     (and back)
//!           └─► canceled                                  (from everywhere, for good)
//! ```
//!
//! Always: what is charged is the period of now. Periods that went by unpaid, in an outage or while nobody could be charged, are never
//! charged afterwards. Never: a second renewal while one is under way.

use super::{
    checkout::Checkout,
    error::{Code, CodedError},
    event::EventType,
    id::{CatalogueId, CheckoutId, CustomerId, Entropy, LineId, PaymentMethodId, SubscriptionId},
    leg::{Leg, Tender},
    line::{Gift, Item, Line},
    money::{Amount, Currency, MoneyError},
    order::{Order, Totals},
    payment_method::BoundToken,
    plan::PlanTerms,
    schedule::{Period, Schedule},
    scope::Scope,
    secret::Secret,
    state::Status,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long after a renewal that was not paid the next one is tried. When all of these are used up, it is unpaid.
pub const RETRY_AFTER: [Duration; 4] = [DAY, DAY.saturating_mul(3), DAY.saturating_mul(5), DAY.saturating_mul(7)];
/// How long a renewal may wait for a worker, or for a customer who has to confirm it with the bank.
pub const RENEWAL_DEADLINE: Duration = DAY;

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// Nothing is due yet.
    Trialing,
    /// Its period is paid.
    Active,
    /// A period has begun that is not paid, and it is tried again.
    PastDue,
    /// It renews when it is resumed. What is paid stays paid.
    Paused,
    /// The tries are used up. Another payment method, or a resume, tries again.
    Unpaid,
    /// Ended for good.
    Canceled,
}

impl SubscriptionStatus {
    /// Every status, for documentation and tests.
    pub const ALL: [Self; 6] = [Self::Trialing, Self::Active, Self::PastDue, Self::Paused, Self::Unpaid, Self::Canceled];

    /// As it stands in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Paused => "paused",
            Self::Unpaid => "unpaid",
            Self::Canceled => "canceled",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A renewal that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// The checkout that charges it.
    pub checkout: CheckoutId,
    /// Somebody wants the subscription to end with it.
    pub is_called_off: bool,
}

/// What was agreed on, and what never changes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// As the plan was called.
    pub name: String,
    /// Of its price.
    pub currency: Currency,
    /// Price and calendar.
    pub terms: PlanTerms,
    /// Where callbacks go, its own and those of its renewals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Echoed by its renewals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_state: Option<String>,
}

/// Why it does not renew for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Why, for people: up to [`MAX_REASON`] characters.
    pub reason: Option<String>,
}

/// The longest reason for a pause, characters.
pub const MAX_REASON: usize = 255;

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Public id.
    pub id: SubscriptionId,
    /// Whose.
    pub scope: Scope,
    /// Who pays.
    pub customer: CustomerId,
    /// What was sold.
    pub plan: CatalogueId,
    /// What was agreed on.
    pub agreement: Agreement,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// Grows by one with every change.
    pub version: i64,
    /// Which of the customer's methods is charged.
    pub method: PaymentMethodId,
    /// The last period that was paid, or the trial.
    pub period: Period,
    /// The number of the last period that a renewal was made for; at least that of `period`. Numbers are never used again.
    pub asked: u32,
    /// Boundary 0 of its calendar: when the first paid period began, or the one after a pause that was longer than what was paid.
    pub starts_at: Timestamp,
    /// How many periods there were before that.
    pub base: u32,
    /// How many renewals since the last one that was paid came to nothing.
    pub tries: u32,
    /// The renewal that is under way.
    pub renewal: Option<UnderWay>,
    /// Why the last one came to nothing.
    pub error: Option<CodedError>,
    /// It ends with its period.
    pub cancel_at_period_end: bool,
    /// Its pause, while there is one.
    pub pause: Option<Pause>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When something is to be done: a renewal, another try, its end. Nothing while a renewal is under way.
    pub due_at: Option<Timestamp>,
    /// The checkout and the line that sold it.
    pub sold_by: (CheckoutId, LineId),
    /// When it was sold.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A subscription after a change, and what clients are told.
pub type Changed = (Subscription, EventType);

/// Whether the end of a checkout is one of a subscription's, too.
pub fn concerns(checkout: &Checkout) -> bool {
    checkout.order.lines.iter().any(|line| matches!(line.item, Item::Plan { .. } | Item::Subscription { .. }))
}

/// The method that a sale leaves with its customer, so that renewals can be charged: the card's token, and its id. Where the card was charged
/// at an account of the tenant's, it is good there only, and by the token that the provider has given for that.
pub fn left_method(checkout: &Checkout) -> Option<(PaymentMethodId, Secret<String>)> {
    if !starts(checkout) {
        return None;
    }
    let token = checkout.order.legs.iter().find_map(|leg| if let Tender::Card { token, .. } = &leg.tender { Some(token) } else { None })?;
    let charged = checkout.approved_charges().last();
    let token = match charged.and_then(|charge| charge.request.account.clone().map(|account| (charge, account))) {
        None => token.clone(),
        Some((charge, account)) => {
            let theirs = charge.reusable.as_ref().or(charge.request.token.as_ref()).unwrap_or(token);
            BoundToken { account: Some(account), token: theirs.clone() }.stored()
        }
    };
    Some((PaymentMethodId::left_by(&checkout.id), token))
}

/// Whether a subscription begins with it, which charges the card again.
pub(super) fn starts(checkout: &Checkout) -> bool {
    checkout.order.lines.iter().any(|line| matches!(line.item, Item::Plan { .. }))
}

/// What comes into being with the sale of a checkout, at its time. A checkout without a customer, or without a method that can be charged
/// again, sells none: the intake refuses it.
pub fn sold(checkout: &Checkout) -> Vec<Subscription> {
    let saved =
        checkout.order.legs.iter().find_map(|leg| if let Tender::SavedMethod { id, .. } = &leg.tender { Some(id.clone()) } else { None });
    let method = saved.or_else(|| left_method(checkout).map(|(id, _)| id));
    let (Some(customer), Some(method)) = (&checkout.order.customer, method) else { return Vec::new() };
    let order = &checkout.order;
    let started = order.lines.iter().filter_map(|line| {
        let Item::Plan { plan, subscription, period, terms, .. } = &line.item else { return None };
        let is_trial = period.n == 0;
        Some(Subscription {
            id: subscription.clone(),
            scope: checkout.scope.clone(),
            customer: customer.clone(),
            plan: plan.clone(),
            agreement: Agreement {
                name: line.name.clone(),
                currency: order.currency,
                terms: terms.clone(),
                callback_url: order.callback_url.clone(),
                callback_state: order.callback_state.clone(),
            },
            status: if is_trial { SubscriptionStatus::Trialing } else { SubscriptionStatus::Active },
            version: 1,
            method: method.clone(),
            period: *period,
            asked: period.n,
            starts_at: if is_trial { period.until } else { period.from },
            base: 0,
            tries: 0,
            renewal: None,
            error: None,
            cancel_at_period_end: false,
            pause: None,
            ended_at: None,
            due_at: Some(period.until),
            sold_by: (checkout.id.clone(), line.id.clone()),
            created_at: checkout.updated_at,
            updated_at: checkout.updated_at,
        })
    });
    started.collect()
}

/// What is to be done with a subscription that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Nothing: somebody else has done it.
    Nothing,
    /// Write it; nobody is charged.
    Changed(Box<Changed>),
    /// Write it, and make its renewal durable.
    Renew(Box<Renewal>),
}

/// A renewal on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The subscription from now on.
    pub subscription: Subscription,
    /// The checkout that charges it.
    pub checkout: Checkout,
    /// The period that it pays.
    pub period: Period,
    /// Which try that is, from 1.
    pub attempt: u32,
}

impl Subscription {
    fn schedule(&self) -> Schedule {
        self.agreement.terms.schedule(self.starts_at)
    }

    pub(super) fn changed(self, now: Timestamp) -> Self {
        Self { version: self.version + 1, updated_at: now, ..self }
    }

    pub(super) fn canceled(self, now: Timestamp) -> Changed {
        let ended = Self {
            status: SubscriptionStatus::Canceled,
            renewal: None,
            due_at: None,
            pause: None,
            ended_at: Some(now),
            ..self.changed(now)
        };
        (ended, EventType::SubscriptionCanceled)
    }

    /// Does what is due at `now`. `token`: what the provider is given to charge; nothing when the customer does not have the method any more.
    pub fn fall_due(self, token: Option<Secret<String>>, now: Timestamp, entropy: &Entropy) -> Result<Due, MoneyError> {
        if self.renewal.is_some() || self.due_at.is_none_or(|due| due > now) {
            return Ok(Due::Nothing);
        }
        if self.cancel_at_period_end && self.period.until <= now {
            return Ok(Due::Changed(Box::new(self.canceled(now))));
        }
        match self.status {
            SubscriptionStatus::Trialing | SubscriptionStatus::Active | SubscriptionStatus::PastDue => {}
            SubscriptionStatus::Paused | SubscriptionStatus::Unpaid | SubscriptionStatus::Canceled => return Ok(Due::Nothing),
        }
        let Some(token) = token else {
            let error = CodedError::new(Code::PaymentMethodInvalid, "the customer does not have this payment method any more");
            return Ok(Due::Changed(Box::new(self.not_paid(error, now))));
        };
        self.renew(token, now, entropy).map(|renewal| Due::Renew(Box::new(renewal)))
    }

    /// Makes the checkout that charges the period of now.
    fn renew(self, token: Secret<String>, now: Timestamp, entropy: &Entropy) -> Result<Renewal, MoneyError> {
        let schedule = self.schedule();
        let next = self.period.n.saturating_sub(self.base).saturating_add(1);
        let k = schedule.period_at(now, next);
        let period = schedule.period(k, self.base.saturating_add(k));
        let line = self.line(period, self.agreement.terms.price(&schedule, k)?, now, entropy)?;
        let checkout = self.checkout(line, token, now, entropy)?;
        let attempt = self.tries.saturating_add(1);
        let renewal = Some(UnderWay { checkout: checkout.id.clone(), is_called_off: false });
        let subscription = Self { asked: period.n, renewal, due_at: None, ..self.changed(now) };
        Ok(Renewal { subscription, checkout, period, attempt })
    }

    fn line(&self, period: Period, price: Amount, now: Timestamp, entropy: &Entropy) -> Result<Line, MoneyError> {
        let id = LineId::generate(entropy, now);
        let terms = &self.agreement.terms;
        let gives = terms.gives.as_ref().map(|given| Gift::of(given, &id));
        let item = Item::Subscription { plan: self.plan.clone(), subscription: self.id.clone(), period, gives };
        Ok(Line {
            item,
            name: self.agreement.name.clone(),
            quantity: 1,
            unit_amount: price,
            amount: price,
            discount_amount: Amount::ZERO,
            tax_amount: price.basis_points(terms.tax_rate_bp)?,
            id,
        })
    }

    fn checkout(&self, line: Line, token: Secret<String>, now: Timestamp, entropy: &Entropy) -> Result<Checkout, MoneyError> {
        let (subtotal, tax) = (line.amount, line.tax_amount);
        let total = subtotal.plus(tax)?;
        let legs = vec![Leg { amount: total, tender: Tender::SavedMethod { id: self.method.clone(), token: Some(token), owner: None } }];
        let totals = Totals { subtotal, discount: Amount::ZERO, tax, total };
        let order = Order {
            customer: Some(self.customer.clone()),
            callback_url: self.agreement.callback_url.clone(),
            callback_state: self.agreement.callback_state.clone(),
            ..Order::of(self.agreement.currency, vec![line], totals, legs)
        };
        let expires_at = now.after(RENEWAL_DEADLINE);
        Ok(Checkout::queued(CheckoutId::generate(entropy, now), self.scope.clone(), order, now, expires_at))
    }

    /// What the end of its renewal does to it. Nothing when that renewal is not under way any more.
    pub fn follow(self, checkout: &Checkout, now: Timestamp) -> Option<Changed> {
        let under_way = self.renewal.clone().filter(|renewal| renewal.checkout == checkout.id)?;
        let paid = checkout.order.lines.iter().find_map(|line| match &line.item {
            Item::Subscription { subscription, period, .. } if *subscription == self.id => Some(*period),
            _ => None,
        });
        let this = Self { renewal: None, ..self };
        let this = match (checkout.status, paid) {
            (Status::Succeeded, Some(period)) => {
                let (status, due_at) = (SubscriptionStatus::Active, Some(period.until));
                Self { status, period, due_at, tries: 0, error: None, ..this }
            }
            _ if under_way.is_called_off => this,
            _ => {
                let unsaid = || CodedError::new(Code::PaymentFailed, "the renewal was not paid");
                return Some(this.not_paid(checkout.error.clone().unwrap_or_else(unsaid), now));
            }
        };
        Some(if under_way.is_called_off { this.canceled(now) } else { (this.changed(now), EventType::SubscriptionRenewed) })
    }

    /// A renewal came to nothing: another try later, or no more of them.
    fn not_paid(self, error: CodedError, now: Timestamp) -> Changed {
        let this = Self { tries: self.tries.saturating_add(1), error: Some(error), ..self };
        if this.cancel_at_period_end {
            return this.canceled(now);
        }
        let after = usize::try_from(this.tries).ok().and_then(|tries| RETRY_AFTER.get(tries.saturating_sub(1)).copied());
        let (status, due_at, event) = match after {
            Some(after) => (SubscriptionStatus::PastDue, Some(now.after(after)), EventType::SubscriptionPastDue),
            None => (SubscriptionStatus::Unpaid, None, EventType::SubscriptionUnpaid),
        };
        (Self { status, due_at, ..this.changed(now) }, event)
    }
}

#[cfg(test)]
#[path = "subscription_tests.rs"]
pub(super) mod tests;
