//! A provider with its test cards, its troubles and its book, told alike whichever it is: what every provider promises is tried on it.

use super::rig::{LONG, Over, Rig, http};
use async_trait::async_trait;
use axum::http::StatusCode;
use boxoffice_common::{
    adapters::{
        sandbox::{Behaviour, OperationStatus},
        stripe::{StripeProvider, StripeTransport},
    },
    domain::{
        attempt::{MoneyRequest, Visit},
        scope::Mode,
        secret::Secret,
    },
    ports::provider::PaymentProvider,
};
use boxoffice_testkit::stripe::{Effect, Fault, StripeStandIn};
use std::{sync::Arc, time::Duration};

/// What a card does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    Good,
    Declined,
    NoFunds,
    Expired,
    /// Its owner has to confirm.
    Confirmed,
}

/// What goes wrong with each request from now on, until it is calm again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Turned away before it is executed, with a second to wait.
    Refused,
    /// An error of the provider's, and nothing was executed.
    Fails,
    /// Executed, and the answer is lost.
    AnswerLost,
    /// Lost on the way there.
    RequestLost,
    /// Executed, and answered after half a minute.
    Slow,
}

/// Where a charge stands in the provider's own book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Open,
    Promised,
    Taken,
    Refused,
    CalledOff,
}

/// A charge in the provider's own book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    pub id: String,
    pub amount: i64,
    pub refunded: i64,
    pub standing: Standing,
}

/// A provider under test.
#[async_trait]
pub trait World: Send + Sync {
    fn provider(&self, timeout: Duration) -> Arc<dyn PaymentProvider>;

    /// A charge of 15.00 dollars to a card, for a new checkout.
    fn charge(&self, card: Card) -> MoneyRequest;

    fn trouble(&self, trouble: Trouble);

    fn calm(&self);

    /// The book's charges of a checkout.
    async fn book(&self, request: &MoneyRequest) -> Vec<Booked>;

    /// Answers at the page of a pending charge as its customer would.
    async fn answer(&self, url: &str, reference: &str, yes: bool);

    /// The one charge of this checkout.
    async fn only(&self, request: &MoneyRequest) -> Booked {
        let mut charges = self.book(request).await;
        assert_eq!(charges.len(), 1, "{charges:?}");
        charges.remove(0)
    }
}

#[async_trait]
impl World for Rig {
    fn provider(&self, timeout: Duration) -> Arc<dyn PaymentProvider> {
        Rig::provider(self, timeout)
    }

    fn charge(&self, card: Card) -> MoneyRequest {
        Rig::charge(
            self,
            match card {
                Card::Good => "tok_visa",
                Card::Declined => "tok_declined",
                Card::NoFunds => "tok_insufficient_funds",
                Card::Expired => "tok_expired_card",
                Card::Confirmed => "tok_3ds",
            },
        )
    }

    fn trouble(&self, trouble: Trouble) {
        let calm = Behaviour::default();
        let behaviour = match trouble {
            Trouble::Refused => Behaviour { refuse_rate: 1.0, ..calm },
            Trouble::Fails => Behaviour { error_rate: 1.0, ..calm },
            Trouble::AnswerLost => Behaviour { lose_answer_rate: 1.0, ..calm },
            Trouble::RequestLost => Behaviour { outage: true, ..calm },
            Trouble::Slow => Behaviour { latency_ms: 30_000, ..calm },
        };
        self.service.set_behaviour(behaviour).unwrap();
    }

    fn calm(&self) {
        self.service.set_behaviour(Behaviour::default()).unwrap();
    }

    async fn book(&self, request: &MoneyRequest) -> Vec<Booked> {
        let rows = Rig::provider(self, LONG).charges_by_reference(request.reference.as_str()).await.unwrap();
        let booked = rows.into_iter().map(|row| Booked {
            id: row.id,
            amount: row.amount.minor(),
            refunded: row.amount_refunded.minor(),
            standing: match row.status {
                OperationStatus::Pending => Standing::Open,
                OperationStatus::Authorized => Standing::Promised,
                OperationStatus::Captured | OperationStatus::Refunded => Standing::Taken,
                OperationStatus::Declined => Standing::Refused,
                OperationStatus::Voided => Standing::CalledOff,
            },
        });
        booked.collect()
    }

    async fn answer(&self, url: &str, _: &str, yes: bool) {
        self.act(url, if yes { "approve" } else { "refuse" }).await;
    }
}

/// The name of our account in what Stripe keeps.
pub const ACCOUNT: &str = "pac_conformance";

/// Stripe, by its stand-in.
pub struct Stripe {
    pub stand_in: StripeStandIn,
    pub transport: Arc<StripeTransport>,
    /// For requests: what they are made of is the same everywhere.
    rig: Rig,
}

impl Stripe {
    pub async fn start() -> Self {
        let stand_in = StripeStandIn::start().await.unwrap();
        let transport = StripeTransport::new(stand_in.url()).unwrap();
        Self { stand_in, transport, rig: Rig::start(Over::Process).await }
    }

    pub fn stripe(&self, timeout: Duration) -> StripeProvider {
        let key = Secret::new(self.stand_in.secret_key().to_owned());
        StripeProvider::new(ACCOUNT, Mode::Test, &key, &self.transport, timeout).unwrap()
    }

    /// Pays on a session's page with one of the test cards that it offers.
    pub async fn pay(&self, session: &str, card: &str) {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let base = self.stand_in.url().trim_end_matches('/');
        let (status, head, page) = http(base, "POST", &format!("/c/pay/{session}"), form, &format!("card={card}")).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{head} {page}");
        assert!(head.contains("location: http://127.0.0.1:9/back"), "{head}");
    }

    /// A charge to one of Stripe's own test cards.
    pub fn of(&self, token: &str) -> MoneyRequest {
        self.rig.charge(token)
    }

    /// The same, and its customer can be sent to a page.
    pub fn visit(&self, token: &str) -> MoneyRequest {
        MoneyRequest { visit: Some(Visit { return_url: "http://127.0.0.1:9/back".to_owned(), page: None }), ..self.of(token) }
    }
}

#[async_trait]
impl World for Stripe {
    fn provider(&self, timeout: Duration) -> Arc<dyn PaymentProvider> {
        Arc::new(self.stripe(timeout))
    }

    fn charge(&self, card: Card) -> MoneyRequest {
        self.visit(match card {
            Card::Good => "pm_card_visa",
            Card::Declined => "pm_card_visa_chargeDeclined",
            Card::NoFunds => "pm_card_visa_chargeDeclinedInsufficientFunds",
            Card::Expired => "pm_card_visa_chargeDeclinedExpiredCard",
            Card::Confirmed => "pm_card_authenticationRequired",
        })
    }

    fn trouble(&self, trouble: Trouble) {
        let effect = match trouble {
            Trouble::Refused => Effect::RateLimit(1),
            Trouble::Fails => Effect::ServerErrorBefore,
            Trouble::AnswerLost => Effect::CutAfter,
            Trouble::RequestLost => Effect::Silence,
            Trouble::Slow => Effect::ExecuteThenWait(Duration::from_secs(30)),
        };
        self.stand_in.faults().order(Fault::new(effect).always());
    }

    fn calm(&self) {
        self.stand_in.faults().clear();
    }

    async fn book(&self, request: &MoneyRequest) -> Vec<Booked> {
        let book = self.stand_in.book();
        let is_of = |metadata: &std::collections::BTreeMap<String, String>| {
            metadata.get("reference").is_some_and(|reference| reference == request.reference.as_str())
        };
        let captures = book.captures();
        let refunded = |id: &str| captures.iter().filter(|capture| capture.intent == id).map(|capture| capture.refunded).sum();
        let booked = book.intents().into_iter().filter(|intent| is_of(&intent.metadata)).map(|intent| Booked {
            refunded: refunded(&intent.id),
            amount: intent.amount,
            standing: match intent.status {
                "succeeded" => Standing::Taken,
                "requires_capture" => Standing::Promised,
                "requires_payment_method" => Standing::Refused,
                "canceled" => Standing::CalledOff,
                _ => Standing::Open,
            },
            id: intent.id,
        });
        booked.collect()
    }

    async fn answer(&self, _: &str, reference: &str, yes: bool) {
        self.stand_in.authenticate(reference, yes);
    }
}
