//! The one way in for checkouts: native routes and dialects parse, the intake decides.
//!
//! Always: an idempotency key that was answered before gets that answer, whatever has changed since. Never: a refusal that
//! leaves something behind. The usual, new key costs no look-up of its own: `accept` finds a used key in its own
//! transaction, and only a request that is about to be refused is looked up before. How it is paid is `payment`'s.

mod payment;

use crate::{
    aftermath::Aftermath, bounds, participants, problem::Problem, publisher::Publisher, shedding::Gate, shelves::Shelves,
    trace::TraceParent, waiting::Waiters,
};
use boxoffice_common::{
    domain::{
        customer::Customer,
        error::{Code, CodedError},
        hosted::{Looks, PaymentOptions, UiMode},
        id::{CheckoutId, CustomerId, Entropy, SpaceId},
        leg::{Leg, Tender},
        line::Item,
        money::Currency,
        order::Order,
        plan_sale,
        pricing::{Cart, CartItem, Priced, Shelf, price},
        replace::MAX_REPLACED,
        scope::Scope,
        tender::Asked,
        time::Timestamp,
        view::QueueEstimate,
        waiting::WaitingStatus,
    },
    ports::{
        clock::Clock,
        queue::{Lane, Work},
        routes::Routes,
        store::{Accepted, IdempotencyRow, NewCheckout, Replacing, Store, StoreError, StoredAnswer},
    },
};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

/// Who buys.
#[derive(Debug, Clone)]
pub enum Buyer {
    /// A customer that is there already.
    Known(CustomerId),
    /// One to find by `external_id`, or to make.
    Described(Box<Customer>),
}

/// What a page that the customer pays on offers, and how it is shown.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What it offers.
    pub options: PaymentOptions,
    /// How it is shown.
    pub ui_mode: UiMode,
    /// What it says and shows of this checkout.
    pub looks: Looks,
}

/// A checkout as a client asks for it: well formed, not yet priced.
#[derive(Debug)]
pub struct Submission {
    /// Whose.
    pub scope: Arc<Scope>,
    /// The key, bound to route and body.
    pub idempotency: IdempotencyRow,
    /// What is bought.
    pub cart: Cart,
    /// Who buys; nobody we know for a guest.
    pub buyer: Option<Buyer>,
    /// How; may be left out when nothing is due.
    pub payment: Option<Vec<Asked>>,
    /// Instead: the customer pays on our page.
    pub page: Option<Page>,
    /// Where the browser goes after a payment.
    pub success_url: Option<String>,
    /// Where the browser goes after a cancel.
    pub cancel_url: Option<String>,
    /// Where callbacks go; checked.
    pub callback_url: Option<String>,
    /// Echoed.
    pub callback_state: Option<String>,
    /// The client's own reference.
    pub reference: Option<String>,
    /// Whether what is open under that reference is called off for it.
    pub replaces_open: bool,
    /// The part of the tenant that it stands in.
    pub space: Option<SpaceId>,
    /// The client's own.
    pub metadata: Map<String, Value>,
    /// How long it may wait.
    pub expires_in: Duration,
    /// The request's trace.
    pub trace: TraceParent,
}

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status, object and body.
    pub stored: StoredAnswer,
    /// Whether it was given before.
    pub replayed: bool,
}

/// What a submission comes to, and how it is paid.
struct Offer {
    priced: Priced,
    legs: Vec<Leg>,
    /// Where customers come back to whom a provider sends elsewhere; nothing where none can.
    origin: Option<String>,
}

/// Takes checkouts in.
pub struct Intake {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) shelves: Shelves,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<Entropy>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) publisher: Publisher,
    pub(crate) aftermath: Arc<Aftermath>,
    /// Where charges may go.
    pub(crate) routes: Arc<dyn Routes>,
    /// How browsers reach us.
    pub(crate) public_url: String,
}

impl Intake {
    /// Makes a checkout durable and hands it on, or gives the first answer again.
    pub async fn accept(&self, submission: Submission) -> Result<Answer, Problem> {
        let estimate = match self.gate.admit() {
            Ok(estimate) => estimate,
            Err(shed) => return self.answered_or(&submission, shed).await,
        };
        match self.price(&submission).await {
            Ok(priced) => self.make(submission, priced, estimate).await,
            Err(refusal) => self.answered_or(&submission, refusal).await,
        }
    }

    /// The answer that this key got before, or the refusal.
    async fn answered_or(&self, submission: &Submission, refusal: Problem) -> Result<Answer, Problem> {
        match self.store.answered(&submission.scope, &submission.idempotency).await? {
            Some(before) => answer(before),
            None => Err(refusal),
        }
    }

    /// What a cart comes to for this buyer, as `accept` would price it. Makes nothing, and says nothing of what is left.
    pub async fn quote(&self, scope: &Arc<Scope>, cart: &Cart, buyer: Option<&Buyer>) -> Result<Priced, Problem> {
        Ok(self.priced(scope, cart, buyer, self.clock.now()).await?.0)
    }

    /// What a thing of the catalogue is sold in, for clients that name no currency; nothing where it is not there.
    pub async fn currency_of(&self, scope: &Arc<Scope>, item: &CartItem) -> Result<Option<Currency>, Problem> {
        let wanted = item.wanted().map(|(kind, id)| (kind, id.clone()));
        Ok(self.shelves.load(scope, wanted.into_iter().collect()).await?.currency_of(item))
    }

    /// A cart with its prices, and what they were read from.
    pub(crate) async fn priced(
        &self,
        scope: &Arc<Scope>,
        cart: &Cart,
        buyer: Option<&Buyer>,
        now: Timestamp,
    ) -> Result<(Priced, Arc<Shelf>), Problem> {
        if let Some(Buyer::Described(customer)) = buyer {
            bounds::born(customer, now, "customer.")?;
        }
        let shelf = self.shelves.load(scope, cart.wanted()).await?;
        let needs_buyer = cart.lines.iter().any(|line| matches!(line.item, CartItem::Plan { .. } | CartItem::Membership { .. }));
        let shelf = self.with_plans(scope, shelf, needs_buyer).await?;
        let mut priced = price(cart, &shelf, now, &self.entropy)?;
        participants::resolve(&*self.store, scope, buyer, &mut priced.lines, now).await?;
        if needs_buyer && buyer.is_none() {
            return Err(Problem::missing("customer"));
        }
        Ok((priced, shelf))
    }

    /// Everything that can be refused at once.
    async fn price(&self, submission: &Submission) -> Result<Offer, Problem> {
        let now = self.clock.now();
        let (priced, shelf) = self.priced(&submission.scope, &submission.cart, submission.buyer.as_ref(), now).await?;
        plan_sale::check_payment(&priced.lines, submission.payment.as_deref())?;
        self.check_offers(&submission.scope, &priced).await?;
        let routing = self.routes.routing(&submission.scope).await?;
        let legs = match &submission.page {
            Some(page) => {
                vec![Leg { amount: priced.totals.total, tender: Tender::Hosted(Box::new(self.open_page(page, &routing)?)) }]
            }
            None => self.legs(submission, &priced, &shelf, &routing, now).await?,
        };
        plan_sale::check_kept(&priced.lines, &legs, &routing)?;
        let origin = payment::may_send_elsewhere(&legs, &routing).then(|| self.public_url.clone());
        Ok(Offer { priced, legs, origin })
    }

    /// What is offered can change until a worker comes to it; that there is such an offer, for just this, is known now.
    async fn check_offers(&self, scope: &Scope, priced: &Priced) -> Result<(), Problem> {
        for (at, line) in priced.lines.iter().enumerate() {
            let Item::Session { session, seats, offer: Some(offer), .. } = &line.item else { continue };
            let refused = |code, words: &str| Problem::from(CodedError::new(code, words).at(format!("lines[{at}].offer")));
            let entry = self.store.waiting_entry(scope, offer).await?;
            let entry = entry.ok_or_else(|| refused(Code::ResourceMissing, "no such entry of a waiting list"))?;
            if entry.status != WaitingStatus::Offered || !entry.is_for(session, line.quantity, seats) {
                return Err(refused(Code::OfferUnavailable, "nothing is offered there, or not just this: an offer is taken whole"));
            }
        }
        Ok(())
    }

    async fn make(&self, submission: Submission, offer: Offer, queue: QueueEstimate) -> Result<Answer, Problem> {
        let now = self.clock.now();
        let id = CheckoutId::generate(&self.entropy, now);
        let (customer, described) = match submission.buyer {
            None => (None, None),
            Some(Buyer::Known(customer)) => (Some(customer), None),
            Some(Buyer::Described(customer)) => (None, Some(*customer)),
        };
        let Offer { priced, legs, origin } = offer;
        let order = Order {
            customer,
            currency: submission.cart.currency,
            lines: priced.lines,
            totals: priced.totals,
            promo_code: priced.promo_code,
            promo_uses_counted: priced.promo_uses_counted,
            legs,
            success_url: submission.success_url,
            cancel_url: submission.cancel_url,
            callback_url: submission.callback_url,
            callback_state: submission.callback_state,
            reference: submission.reference,
            replaces_open: submission.replaces_open,
            origin,
            space: submission.space,
            metadata: submission.metadata,
        };
        let mut work = Work {
            lane: Lane::Checkouts,
            id: id.as_str().to_owned(),
            scope: submission.scope.as_str().to_owned(),
            enqueued_at: now,
            wants: order.contested(),
            trace: Some(submission.trace.as_str().to_owned()),
        };
        let new = NewCheckout {
            id: id.clone(),
            scope: Scope::clone(&submission.scope),
            order,
            customer: described,
            expires_in: submission.expires_in,
            idempotency: submission.idempotency,
            queue,
        };
        let accepted = self.store_it(new, &submission.trace).await?;
        if let Accepted::Created { at, .. } = &accepted {
            work.enqueued_at = *at;
            self.waiters.accepted(&id, submission.scope);
            self.publisher.send(work);
            tracing::debug!(checkout = %id, trace = submission.trace.as_str(), "accepted");
        }
        answer(accepted)
    }

    async fn store_it(&self, new: NewCheckout, trace: &TraceParent) -> Result<Accepted, StoreError> {
        if !new.order.replaces_open {
            return self.store.accept(new).await;
        }
        let Replacing { accepted, moved } = self.store.accept_and_replace(new).await?;
        // What comes free is known before the new one is worked on.
        for moved in moved {
            self.aftermath.after(moved, trace.as_str()).await;
        }
        Ok(accepted)
    }
}

fn answer(accepted: Accepted) -> Result<Answer, Problem> {
    match accepted {
        Accepted::Created { answer, .. } => Ok(Answer { stored: answer, replayed: false }),
        Accepted::Replayed(answer) => Ok(Answer { stored: answer, replayed: true }),
        Accepted::KeyReused => Err(Problem::IdempotencyKeyReused),
        Accepted::TooManyOpen => {
            let detail = format!("more than {MAX_REPLACED} checkouts are open under this reference; cancel some");
            Err(Problem::Conflict { code: "too_many_open", detail, param: Some("reference") })
        }
        Accepted::CustomerMissing => Err(CodedError::new(Code::ResourceMissing, "no such customer").at("customer").into()),
    }
}
