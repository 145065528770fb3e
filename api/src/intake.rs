//! The one way in for checkouts: native routes and dialects parse, the intake decides.
//!
//! Always: an idempotency key that was answered before gets that answer, whatever has changed since. Never: a refusal that
//! leaves something behind. The usual, new key costs no look-up of its own: `accept` finds a used key in its own
//! transaction, and only a request that is about to be refused is looked up before.

use crate::{
    aftermath::Aftermath, bounds, participants, problem::Problem, publisher::Publisher, shedding::Gate, shelves::Shelves,
    trace::TraceParent, waiting::Waiters,
};
use boxoffice_common::{
    domain::{
        balance,
        bought_membership::Spendable,
        customer::Customer,
        error::{Code, CodedError},
        hosted::{Hosted, Looks, PaymentOptions, UiMode},
        id::{CheckoutId, CustomerId, Entropy, SpaceId},
        leg::{Leg, Tender},
        line::Item,
        money::{Amount, Currency},
        order::Order,
        payment_intent, plan_sale,
        pricing::{Cart, CartItem, Priced, Shelf, price},
        push,
        redeem::{self, Redeeming, Whose},
        replace::MAX_REPLACED,
        routing::{Candidate, Method, Routing},
        scope::Scope,
        tender::{self, Asked},
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
use futures::future::try_join_all;
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
        let origin = may_send_elsewhere(&legs, &routing).then(|| self.public_url.clone());
        Ok(Offer { priced, legs, origin })
    }

    /// Gives saved methods their tokens: those of the checkout's own customer, who pays, and those that their owner has shared with the
    /// customer's family.
    async fn unseal(&self, submission: &Submission, methods: &mut [Asked]) -> Result<(), Problem> {
        for method in methods {
            let Tender::SavedMethod { id, token, owner } = &mut method.tender else { continue };
            let found = match &submission.buyer {
                Some(Buyer::Known(customer)) => match owner.as_ref().filter(|owner| *owner != customer) {
                    None => self.store.method(&submission.scope, customer, id).await?,
                    Some(owner) => self.store.method_shared_with(&submission.scope, customer, owner, id).await?,
                },
                Some(Buyer::Described(_)) | None => None,
            };
            let words = "the customer has no such payment method";
            let missing = || CodedError::new(Code::PaymentMethodInvalid, words).at(format!("{}.id", method.param));
            *token = Some(found.ok_or_else(missing)?.token);
        }
        Ok(())
    }

    /// Says of payment intents who pays with them: the checkout's own customer, by all its names, and its family.
    async fn own_intents(&self, submission: &Submission, methods: &mut [Asked]) -> Result<(), Problem> {
        for method in methods {
            let Tender::PaymentIntent(intent) = &mut method.tender else { continue };
            let (ids, externals) = match &submission.buyer {
                None => return Err(Problem::missing("customer")),
                Some(Buyer::Known(customer)) => (vec![customer.clone()], Vec::new()),
                Some(Buyer::Described(customer)) => (Vec::new(), customer.external_id.iter().cloned().collect()),
            };
            let mut found = self.store.customers_by_name(&submission.scope, &ids, &externals).await?;
            if let Some(Buyer::Described(customer)) = &submission.buyer {
                // Who is not there yet is made as described.
                found.is_empty().then(|| found.push(Customer::clone(customer)));
            }
            intent.account = submission.scope.as_str().to_owned();
            intent.owners = found.first().map(payment_intent::owners).unwrap_or_default();
        }
        Ok(())
    }

    /// How it is paid. Whoever names what is kept here waits for a look at it, and nobody else.
    async fn legs(
        &self,
        submission: &Submission,
        priced: &Priced,
        shelf: &Shelf,
        routing: &Routing,
        now: Timestamp,
    ) -> Result<Vec<Leg>, Problem> {
        let total = priced.totals.total;
        let methods = submission.payment.as_deref();
        let is_kept = |method: &Asked| {
            matches!(method.tender, Tender::Membership { .. } | Tender::SavedMethod { .. } | Tender::Balance {} | Tender::PaymentIntent(_))
        };
        let Some(methods) = methods.filter(|methods| methods.iter().any(is_kept)) else { return check_payment(methods, total, routing) };
        let mut methods = methods.to_vec();
        self.unseal(submission, &mut methods).await?;
        self.own_intents(submission, &mut methods).await?;
        let looks = redeem::named(&methods).map(|id| self.store.spendable(&submission.scope, id));
        let bought: Vec<Spendable> = try_join_all(looks).await?.into_iter().flatten().collect();
        let buyer = match &submission.buyer {
            Some(Buyer::Known(customer)) => Whose::Known(customer),
            Some(Buyer::Described(customer)) if customer.external_id.is_some() => Whose::ToBeFound,
            Some(Buyer::Described(_)) | None => Whose::Nobody,
        };
        redeem::cover(&mut methods, &Redeeming { lines: &priced.lines, sessions: &shelf.sessions, bought: &bought, buyer, now })?;
        let legs = check_payment(Some(&methods), total, routing)?;
        self.check_balance(submission, &methods, &legs).await?;
        Ok(legs)
    }

    /// Others may spend it until a worker comes to it; whether it has as much is known now.
    async fn check_balance(&self, submission: &Submission, methods: &[Asked], legs: &[Leg]) -> Result<(), Problem> {
        let Some((leg, method)) = legs.iter().zip(methods).find(|(leg, _)| matches!(leg.tender, Tender::Balance {})) else { return Ok(()) };
        let currency = submission.cart.currency;
        let balances = match &submission.buyer {
            None => return Err(Problem::missing("customer")),
            // That there is no such customer is told by whoever looks for it.
            Some(Buyer::Known(customer)) => self.store.balances_of(&submission.scope, customer).await?,
            Some(Buyer::Described(customer)) if customer.external_id.is_some() => None,
            Some(Buyer::Described(_)) => Some(Vec::new()),
        };
        let Some(balances) = balances else { return Ok(()) };
        let available = balances.iter().find(|balance| balance.currency == currency).map_or(Amount::ZERO, |balance| balance.available);
        if leg.amount <= available {
            return Ok(());
        }
        let at = format!("{}.amount", method.param);
        Err(CodedError::new(Code::BalanceInsufficient, balance::insufficient(available, currency)).at(at).into())
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

    /// A page with a link of its own, on which something can be paid with.
    fn open_page(&self, page: &Page, routing: &Routing) -> Result<Hosted, Problem> {
        if !takes(routing, can_be_chosen) {
            return Err(CodedError::new(Code::ProviderNotConfigured, NOBODY).at("payment.hosted").into());
        }
        // What the options leave, and what somebody takes, have to be the same for one way to pay at least.
        let has_card =
            !page.options.card.disable && takes(routing, |method, candidate| method != Method::Push && can_be_chosen(method, candidate));
        let has_push = push::offers_push(&page.options) && takes(routing, |method, _| method == Method::Push);
        if !has_card && !has_push {
            return Err(Problem::unsupported("payment.hosted.options", "nothing is left that the page could take"));
        }
        let hosted = Hosted::new(page.options.clone(), page.ui_mode, self.public_url.as_str(), &self.entropy);
        Ok(Hosted { looks: page.looks.clone(), ..hosted })
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

/// Why nobody can be asked for money.
const NOBODY: &str = "no payment provider that takes this is set up; the sandbox is for test keys";
/// The same of a page within the shop's own.
const NOBODY_EMBEDS: &str =
    "no payment provider is set up whose page can stand within yours: that takes an account with stripe that has its publishable_key";

/// Whether a customer can pay so on a page of ours.
fn can_be_chosen(method: Method, candidate: &Candidate) -> bool {
    matches!(method, Method::ProviderPage | Method::Push) || (method == Method::Card && candidate.route.account.is_none())
}

/// Whether somebody takes a payment of this kind, of those who come into question by themselves or by a rule.
fn takes(routing: &Routing, is_it: impl Fn(Method, &Candidate) -> bool) -> bool {
    routing
        .candidates
        .iter()
        .filter(|candidate| routing.may_ask(candidate, &[]))
        .any(|candidate| candidate.takes.iter().any(|method| is_it(*method, candidate)))
}

/// Whether a provider's page may have to send the customer back to us: from our own page it comes back there.
fn may_send_elsewhere(legs: &[Leg], routing: &Routing) -> bool {
    let is_asked = |leg: &Leg| leg.is_outside() && !matches!(leg.tender, Tender::Hosted(_));
    legs.iter().any(is_asked) && routing.candidates.iter().any(|candidate| candidate.route.account.is_some())
}

fn check_payment(payment: Option<&[Asked]>, total: Amount, routing: &Routing) -> Result<Vec<Leg>, Problem> {
    let Some(methods) = payment else {
        return if total.is_zero() { Ok(vec![Leg { amount: total, tender: Tender::Free {} }]) } else { Err(Problem::missing("payment")) };
    };
    // An intent that nothing is due on is not taken.
    let asked = |method: &Asked| Method::of(&method.tender).filter(|asked| *asked != Method::PaymentIntent || !total.is_zero());
    let is_taken = |method: &Asked, asked: Method| {
        let providers = method.tender.providers();
        routing.candidates.iter().any(|candidate| candidate.takes.contains(&asked) && routing.may_ask(candidate, &providers))
    };
    if let Some(method) = methods.iter().find(|method| asked(method).is_some_and(|asked| !is_taken(method, asked))) {
        let words = if asked(method) == Some(Method::EmbeddedPage) { NOBODY_EMBEDS } else { NOBODY };
        return Err(CodedError::new(Code::ProviderNotConfigured, words).at(format!("{}.type", method.param)).into());
    }
    Ok(tender::legs(methods, total)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_common::domain::{
        routing::{nowhere, to_the_sandbox},
        secret::Secret,
    };

    fn pay(tender: Tender, amount: Option<i64>, total: i64) -> Result<Tender, &'static str> {
        pay_by(&to_the_sandbox(), tender, amount, total)
    }

    fn pay_by(routing: &Routing, tender: Tender, amount: Option<i64>, total: i64) -> Result<Tender, &'static str> {
        let method = Asked { tender, amount: amount.map(Amount::from_minor), param: "payment.methods[0]".to_owned() };
        let legs = check_payment(Some(&[method]), Amount::from_minor(total), routing).map_err(|problem| problem.code())?;
        assert_eq!(legs.iter().map(|leg| leg.amount.minor()).sum::<i64>(), total);
        Ok(legs.into_iter().next().unwrap().tender)
    }

    #[test]
    fn a_card_pays_where_somebody_takes_it() {
        let card = || Tender::card(Secret::new("tok_visa".to_owned()));
        let cash = || Tender::Custom { name: "cash".to_owned(), note: None };
        assert_eq!(pay_by(&to_the_sandbox(), card(), None, 1500), Ok(card()));
        for total in [0, 1500] {
            assert_eq!(pay_by(&nowhere(), card(), None, total), Err("provider_not_configured"));
            assert_eq!(pay_by(&nowhere(), cash(), None, total), Ok(cash()));
        }
        assert_eq!(pay_by(&nowhere(), Tender::Free {}, None, 0), Ok(Tender::Free {}));
        let mut only_apart = Routing::clone(&to_the_sandbox());
        only_apart.candidates[0].takes.push(Method::ProviderPage);
        let page = |is_embedded| Tender::ProviderPage { is_embedded };
        assert_eq!(pay_by(&only_apart, page(false), None, 1500), Ok(page(false)));
        assert_eq!(pay_by(&only_apart, page(true), None, 1500), Err("provider_not_configured"));
    }

    #[test]
    fn a_payment_is_for_the_whole_total_and_free_is_for_nothing() {
        let cash = || Tender::Custom { name: "cash".to_owned(), note: None };
        assert_eq!(pay(cash(), Some(1500), 1500), Ok(cash()));
        assert_eq!(pay(cash(), None, 1500), Ok(cash()));
        assert_eq!(pay(cash(), Some(1499), 1500), Err("payment_amount_mismatch"));
        assert_eq!(pay(Tender::Free {}, None, 0), Ok(Tender::Free {}));
        assert_eq!(pay(Tender::Free {}, None, 1), Err("payment_method_invalid"));
        assert_eq!(check_payment(None, Amount::ZERO, &nowhere()).ok(), Some(vec![Leg { amount: Amount::ZERO, tender: Tender::Free {} }]));
        assert_eq!(check_payment(None, Amount::from_minor(1), &nowhere()).unwrap_err().code(), "parameter_missing");
    }
}
