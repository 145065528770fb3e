//! Our adapter for Stripe in front of localstripe, and what we ask of it.

use crate::{
    server::{KEY, LONG, LocalStripe},
    without::Without,
};
use boxoffice_common::{
    adapters::stripe::{StripeProvider, StripeTransport},
    domain::{
        attempt::{Attempt, AttemptKind, AttemptStatus, Decline, MoneyRequest, Outcome, Receipt, Visit},
        id::{AttemptId, CheckoutId, Entropy},
        money::{Amount, Currency},
        scope::Mode,
        secret::Secret,
        time::Timestamp,
    },
    ports::provider::PaymentProvider,
};

/// Our account, by our own id.
pub const ACCOUNT: &str = "pac_1";

pub struct Rig {
    pub stripe: LocalStripe,
    pub way: Without,
    pub provider: StripeProvider,
    entropy: Entropy,
}

/// An account whose API is at `url`, which ends in a slash.
pub fn provider(url: &str, key: &str) -> StripeProvider {
    let transport = StripeTransport::new(url).unwrap();
    StripeProvider::new(ACCOUNT, Mode::Test, &Secret::new(key.to_owned()), &transport, LONG).unwrap()
}

impl Rig {
    pub async fn start() -> Self {
        Self::start_without(None).await
    }

    /// The same, with one more parameter left out on the way.
    pub async fn start_without(more: Option<&'static str>) -> Self {
        let stripe = LocalStripe::start().await;
        let way = Without::start(stripe.url(), more).await;
        let provider = provider(way.url(), KEY);
        Self { stripe, way, provider, entropy: Entropy::from_os() }
    }

    /// A charge of 15.00 USD.
    pub fn charge(&self, token: &str) -> MoneyRequest {
        let reference = CheckoutId::generate(&self.entropy, Timestamp::from_millis(1_800_000_000_000));
        MoneyRequest {
            token: Some(Secret::new(token.to_owned())),
            ..MoneyRequest::new(AttemptKind::Charge, reference, 1, Amount::from_minor(1500), Currency::USD)
        }
    }

    /// One whose customer is there, and may be sent to the issuer's page.
    pub fn visit(&self, token: &str) -> MoneyRequest {
        MoneyRequest { visit: Some(Visit { return_url: "https://box.example/back".to_owned(), page: None }), ..self.charge(token) }
    }

    /// A charge that was approved, and localstripe's id of it.
    pub async fn sold(&self, token: &str) -> (MoneyRequest, String) {
        let request = self.charge(token);
        let receipt = approved(self.provider.send(&request).await, &request);
        (request, receipt.provider_reference)
    }

    /// Looks an attempt up by localstripe's id, or by what we wrote into it.
    pub async fn look_up(&self, request: &MoneyRequest, known: Option<&str>) -> Outcome {
        self.provider.look_up(&attempt(request, known)).await
    }
}

/// What is asked about an earlier charge, as attempt `n`.
pub fn about(charge: &MoneyRequest, n: u32, kind: AttemptKind, amount: i64, target: &str) -> MoneyRequest {
    MoneyRequest {
        kind,
        key: Attempt::key(&charge.reference, n),
        amount: Amount::from_minor(amount),
        token: None,
        target: Some(target.to_owned()),
        capture_later: false,
        ..charge.clone()
    }
}

fn attempt(request: &MoneyRequest, known: Option<&str>) -> Attempt {
    Attempt {
        id: AttemptId::parse("pat_1").unwrap(),
        n: 1,
        provider: "stripe".to_owned(),
        request: request.clone(),
        status: AttemptStatus::Unknown,
        provider_reference: known.map(str::to_owned),
        decline_code: None,
        action: None,
        lease_token: None,
        lease_until: None,
        takeovers: 0,
        tries: 1,
        request_id: None,
        fee: None,
        reusable: None,
        created_at: Timestamp::from_millis(1_800_000_000_000),
    }
}

/// An approval of just what was asked.
pub fn approved(outcome: Outcome, request: &MoneyRequest) -> Receipt {
    let Outcome::Approved(receipt) = outcome else { panic!("not approved: {outcome:?}") };
    assert_eq!((receipt.amount, receipt.currency), (request.amount, request.currency));
    receipt
}

pub fn declined(outcome: Outcome) -> Decline {
    let Outcome::Declined(decline) = outcome else { panic!("not declined: {outcome:?}") };
    decline
}

pub fn unknown(outcome: Outcome) -> String {
    let Outcome::Unknown(cause) = outcome else { panic!("known: {outcome:?}") };
    cause
}
