//! A charge of one part of a payment: where it goes, by what means, and where to behind a definite no.

use super::{
    attempt::{Advice, AttemptKind, AttemptStatus, MoneyRequest, ProviderPage, Visit},
    checkout::Checkout,
    effects::{DecideError, Effects},
    error::{Code, CodedError},
    hosted::{MAX_TRIES, PaidWith},
    id::Entropy,
    leg::Tender,
    line::Item,
    payment_intent::IntentUse,
    payment_method::BoundToken,
    push::PushMethod,
    routing::{Ask, MAX_CHARGES, Method, Route},
    saga,
    secret::Secret,
    state::Status,
};
use data_encoding::BASE64URL_NOPAD;
use std::time::Duration;

/// From this refusal on the next provider is asked, where there is one.
const PATIENT_REFUSALS: u32 = 2;
/// How often the same is tried at one account by itself.
const CHARGES_AT_ONE: usize = 2;

/// With less time than this left nobody is sent to a provider's page whose address was lost on the way. *Because* nobody confirms or pays so
/// fast, and the page would be taken back under his hands.
const LEAST_TURN: Duration = Duration::from_secs(30);

/// What a provider is given to take the money with.
#[derive(Debug, Clone, Default)]
pub(super) struct Means {
    pub(super) token: Option<Secret<String>>,
    pub(super) push: Option<PushMethod>,
    pub(super) intent: Option<IntentUse>,
    /// Paid on the provider's own page; whether that is shown within the tenant's.
    pub(super) page: Option<bool>,
    /// The customer is not there.
    pub(super) off_session: bool,
}

/// Whether a customer whom the provider asks after all, although its first answer was lost, may still act: what is asked again under the same key
/// leads to the same page, nobody wants the end, and its time goes on as it was.
pub(super) fn may_be_asked_after_all(checkout: &Checkout, leg: usize) -> bool {
    is_in_doubt(checkout) && !is_too_late_to_ask(checkout) && !checkout.has_asked_to_void(leg)
}

/// Whether it is the clock that keeps such a customer from acting. Our own page says so by itself.
pub(super) fn comes_too_late(checkout: &Checkout) -> bool {
    is_in_doubt(checkout) && checkout.order.hosted().is_none() && is_too_late_to_ask(checkout)
}

/// Whether what became of a charge is not known, and nobody wants the end.
fn is_in_doubt(checkout: &Checkout) -> bool {
    checkout.status == Status::Reconciling && checkout.closing.is_none() && checkout.error.is_none()
}

fn is_too_late_to_ask(checkout: &Checkout) -> bool {
    // On our own page he is there, and waits.
    let needs = if checkout.order.hosted().is_some() { Duration::ZERO } else { LEAST_TURN };
    checkout.updated_at.after(needs) >= checkout.expires_at
}

/// Why nobody is asked for the money.
pub(super) fn nobody_takes_it() -> CodedError {
    CodedError::new(Code::ProviderNotConfigured, "no payment provider that takes this is set up; nothing was charged").at("payment")
}

/// Where a leg is charged at first, and by what means. `None`: nobody takes it.
pub(super) fn first(effects: &Effects, leg: usize) -> Option<(Route, Means)> {
    let tender = &effects.checkout.order.legs.get(leg)?.tender;
    route(effects, leg, Method::of(tender)?, tender.token(), &[]).map(|route| {
        let means = means_of(&effects.checkout, tender, &route);
        (route, means)
    })
}

/// Where what the customer chose on our page is charged, and by what means. `None`: nobody takes it.
pub(super) fn chosen(effects: &Effects, leg: usize, with: &PaidWith) -> Option<(Route, Means)> {
    let (method, means) = match with {
        PaidWith::Card(token) => {
            let bound = BoundToken::read(token);
            let method = if bound.account.is_some() { Method::SavedMethod } else { Method::Card };
            (method, Means { token: Some(token.clone()), ..Means::default() })
        }
        PaidWith::Push(push) => (Method::Push, Means { push: Some(push.clone()), ..Means::default() }),
        PaidWith::ProviderPage => (Method::ProviderPage, Means { page: Some(false), ..Means::default() }),
    };
    let route = route(effects, leg, method, means.token.as_ref(), &[])?;
    let token = means.token.as_ref().map(|token| BoundToken::read(token).token);
    Some((route, Means { token, ..means }))
}

/// A route that is none of `tried`. Where no rules are at hand, that of the last attempt.
fn route(effects: &Effects, leg: usize, method: Method, token: Option<&Secret<String>>, tried: &[&Route]) -> Option<Route> {
    let checkout = &effects.checkout;
    let Some(routing) = &effects.routing else {
        return checkout.attempts.last().map(|attempt| attempt.route()).filter(|route| !tried.contains(&route));
    };
    let asked = checkout.order.legs.get(leg)?;
    let bound = token.and_then(|token| BoundToken::read(token).account);
    let providers = asked.tender.providers();
    let ask = Ask {
        checkout: &checkout.id,
        method,
        amount: asked.amount,
        currency: checkout.order.currency,
        bound_to: bound.as_ref(),
        providers: &providers,
    };
    routing.next(&ask, tried).cloned()
}

fn means_of(checkout: &Checkout, tender: &Tender, route: &Route) -> Means {
    Means {
        token: tender.token_at(&route.provider).map(|token| BoundToken::read(token).token),
        push: tender.push().cloned(),
        intent: tender.intent().cloned(),
        page: if let Tender::ProviderPage { is_embedded } = tender { Some(*is_embedded) } else { None },
        off_session: is_renewal(checkout),
    }
}

/// Whether nobody is there: the clock has made it, and not a customer.
fn is_renewal(checkout: &Checkout) -> bool {
    checkout.order.lines.iter().any(|line| matches!(line.item, Item::Subscription { .. }))
}

/// What a provider's page has to know. Nothing where the provider has none of its own, as the sandbox, or we do not know how browsers reach us.
pub(super) fn visit(checkout: &Checkout, leg: usize, route: &Route, page: Option<bool>, entropy: &Entropy) -> Option<Visit> {
    route.account.as_ref()?;
    let hosted = checkout.order.legs.get(leg).filter(|leg| matches!(leg.tender, Tender::Hosted(_))).and_then(|_| checkout.hosted_url());
    let hosted = hosted.map(|url| format!("{url}?after=bank&wait=1"));
    let back = || {
        let mut random = [0u8; 16];
        entropy.fill(&mut random);
        let origin = checkout.order.origin.as_ref()?;
        Some(format!("{origin}{}{}.{}", Visit::PATH, checkout.id, BASE64URL_NOPAD.encode(&random)))
    };
    let return_url = hosted.or_else(back)?;
    let page = page.map(|is_embedded| ProviderPage { is_embedded, title: title(checkout), expires_at: checkout.expires_at });
    Some(Visit { return_url, page })
}

/// What the customer reads above the amount: the first line, and how many there are beside it.
fn title(checkout: &Checkout) -> String {
    let lines = &checkout.order.lines;
    let first = lines.first().map_or("", |line| line.name.as_str());
    match lines.len() {
        0 | 1 => first.to_owned(),
        more => format!("{first} (+{})", more - 1),
    }
}

/// Behind a definite no: charges the leg anew, at the same account or the next, as far as the provider's word makes sense of that. `false`: it
/// does not, or there is nobody else, or somebody wants the end.
pub(super) fn go_on_elsewhere(
    effects: &mut Effects,
    n: u32,
    advice: Advice,
    retry_in: Duration,
    entropy: &Entropy,
) -> Result<bool, DecideError> {
    let is_again = match advice {
        Advice::Retry => true,
        Advice::NextProvider => false,
        Advice::AskCustomer | Advice::Stop => return Ok(false),
    };
    let charge = effects.attempt(n)?.clone();
    if !may_go_on(effects, n) {
        return Ok(false);
    }
    let here = charge.route();
    let tried_here = effects.checkout.charges().filter(|other| other.request.leg == charge.request.leg && other.route() == here).count();
    if is_again && tried_here < CHARGES_AT_ONE {
        let due = effects.checkout.updated_at.after(retry_in);
        let next = saga::open_charge(effects, charge.request.leg, &here, same(&charge.request), entropy);
        effects.checkout.due_at = Some(due);
        effects.note("charge.retried", format!("attempt {next} with {}", here.name()));
        return Ok(true);
    }
    elsewhere(effects, n, &charge.request, entropy)
}

/// Behind a refusal before execution: charges the leg at the next account, if this one's circuit is open, or it has refused too often.
pub(super) fn go_on_unsent(effects: &mut Effects, n: u32, cause: &str, entropy: &Entropy) -> Result<bool, DecideError> {
    let charge = effects.attempt(n)?.clone();
    let is_failing = effects.routing.as_ref().is_some_and(|routing| routing.is_failing(&charge.route()));
    if !(is_failing || charge.tries >= PATIENT_REFUSALS) || !may_go_on(effects, n) {
        return Ok(false);
    }
    if !elsewhere(effects, n, &charge.request, entropy)? {
        return Ok(false);
    }
    effects.attempt(n)?.status = AttemptStatus::NotSent;
    effects.note("charge.not_sent", format!("attempt {n}: {cause}"));
    Ok(true)
}

fn elsewhere(effects: &mut Effects, n: u32, request: &MoneyRequest, entropy: &Entropy) -> Result<bool, DecideError> {
    if effects.routing.is_none() {
        return Ok(false);
    }
    let leg = request.leg;
    // On our page only the customer knows another card: this one's token is good where it was made.
    let is_bound = request.token.is_some() && request.account.is_some();
    if is_bound && effects.checkout.order.hosted().is_some() {
        return Ok(false);
    }
    let tried: Vec<Route> = effects.checkout.charges().filter(|charge| charge.request.leg == leg).map(|charge| charge.route()).collect();
    let tried: Vec<&Route> = tried.iter().collect();
    let Some(tender) = effects.checkout.order.legs.get(leg).map(|leg| &leg.tender) else { return Ok(false) };
    let method = Method::of(tender).unwrap_or_else(|| method_of(request));
    let bound = if Method::of(tender).is_some() { tender.token() } else { None };
    let Some(route) = route(effects, leg, method, bound, &tried) else { return Ok(false) };
    let means = match tender {
        Tender::Hosted(_) => same(request),
        tender => means_of(&effects.checkout, tender, &route),
    };
    let next = saga::open_charge(effects, leg, &route, means, entropy);
    effects.note("charge.rerouted", format!("attempt {next} with {}, behind attempt {n}", route.name()));
    Ok(true)
}

/// By what it was to be paid.
fn method_of(request: &MoneyRequest) -> Method {
    let page = request.visit.as_ref().and_then(|visit| visit.page.as_ref());
    match (page, &request.push, &request.intent) {
        (Some(ProviderPage { is_embedded: true, .. }), ..) => Method::EmbeddedPage,
        (Some(ProviderPage { is_embedded: false, .. }), ..) => Method::ProviderPage,
        (None, Some(_), _) => Method::Push,
        (None, None, Some(_)) => Method::PaymentIntent,
        (None, None, None) => Method::Card,
    }
}

fn same(request: &MoneyRequest) -> Means {
    Means {
        token: request.token.clone(),
        push: request.push.clone(),
        intent: request.intent.clone(),
        page: request.visit.as_ref().and_then(|visit| visit.page.as_ref()).map(|page| page.is_embedded),
        off_session: request.off_session,
    }
}

/// Whether charge `n` may be followed by another one of its leg, without a word of the customer's.
fn may_go_on(effects: &Effects, n: u32) -> bool {
    let checkout = &effects.checkout;
    let Some(charge) = checkout.attempts.iter().find(|attempt| attempt.n == n) else { return false };
    let leg = charge.request.leg;
    let is_wanted =
        matches!(checkout.status, Status::Processing | Status::Reconciling) && checkout.closing.is_none() && checkout.error.is_none();
    // Whoever held it before may have sent it, and bring another answer yet.
    let was_alone = charge.takeovers == 0;
    let is_newest = checkout.charge_of(leg).is_some_and(|newest| newest.n == n);
    let is_alone = !checkout.attempts.iter().any(|other| other.n != n && other.status.is_open());
    let charges = checkout.charges().filter(|other| other.request.leg == leg).count();
    let few = charges < if checkout.order.hosted().is_some() { MAX_TRIES } else { MAX_CHARGES };
    let was_voided = checkout.attempts.iter().any(|other| other.request.kind == AttemptKind::Void && other.request.leg == leg);
    is_wanted
        && was_alone
        && is_newest
        && is_alone
        && few
        && !was_voided
        && checkout.updated_at < checkout.expires_at
        && !saga::is_unwinding(checkout)
}
