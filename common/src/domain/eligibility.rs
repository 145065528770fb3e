//! Who may buy what, and whether there is any left: decided under the store's locks, one checkout after the other.

use super::{
    balance::{self, BalanceKey},
    bought_membership::BoughtMembership,
    catalogue::{Kind, PromoCode, Session, SessionStatus},
    checkout::Checkout,
    claim::{ClaimState, NewClaim, StockKey, StockLevel, Want},
    customer::Customer,
    error::{Code, CodedError},
    id::{CheckoutId, CustomerId, WaitingId},
    incompatibility::Incompatibility,
    money::Amount,
    participant,
    promo::{bad_promo, check_promo_open},
    redeem,
    scope::Scope,
    state::Status,
    time::Timestamp,
    time_zone::TimeZone,
    waiting::WaitingEntry,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// What the store read for a batch, under its locks. Claims are taken out of it as they are decided.
#[derive(Debug, Default)]
pub struct World {
    /// The store's time.
    pub now: Timestamp,
    /// The sessions that the batch asks for.
    pub sessions: HashMap<StockKey, Arc<Session>>,
    /// The promo codes that the batch asks for and that are counted.
    pub promo_codes: HashMap<StockKey, PromoCode>,
    /// The memberships that the batch pays with.
    pub bought: HashMap<StockKey, BoughtMembership>,
    /// What is left of each.
    pub stock: HashMap<StockKey, StockLevel>,
    /// Named seats with a live claim, of those that the batch asks for.
    pub taken_seats: HashSet<(StockKey, String)>,
    /// The customers of the batch.
    pub customers: HashMap<(Scope, CustomerId), Customer>,
    /// Places that customers of the batch have already, where a session limits them.
    pub owned: HashMap<(StockKey, CustomerId), u32>,
    /// What is neither spent nor held of the balances that the batch pays with.
    pub balances: HashMap<BalanceKey, Amount>,
    /// The offers that the batch names and that are open.
    pub offers: HashMap<WaitingId, WaitingEntry>,
    /// How those stand that a checkout of the batch waits for.
    pub earlier: HashMap<CheckoutId, Vec<Status>>,
    /// Where the days of those are counted who have said so; in UTC elsewhere. Read where a session asks about its buyers.
    pub time_zones: HashMap<Scope, TimeZone>,
}

/// Checks every line and claims all that it wants, or nothing: on an error the world is as it was.
///
/// The error's `param` is the line (`lines[0]`), its participant (`lines[0].participants[1]`), `promo_code` or `payment`. Claims come one for
/// each named seat, else one for each line and customer who gets places of it, all in `state`.
pub fn claim_everything(checkout: &Checkout, state: ClaimState, world: &mut World) -> Result<Vec<NewClaim>, CodedError> {
    let wants = checkout.order.wants();
    let buyer = Buyer { checkout, scope: &checkout.scope, id: checkout.order.customer.as_ref() };
    // Everything is decided on the side, and written to the world only when all of it holds.
    let mut taking = Vec::new();
    for want in &wants {
        check_want(want, &wants, &buyer, world, &mut taking).map_err(|error| place(error, want))?;
    }
    balance::check(checkout, &world.balances)?;
    let claims = wants.iter().filter(|want| taking.iter().any(|taken| taken.key.kind == want.kind && taken.key.id == want.id));
    let claims = claims.flat_map(|want| claims_for(want, checkout, state)).collect();
    count_owners(&taking, &wants, checkout, world);
    take(taking, world);
    balance::take(checkout, &mut world.balances);
    checkout.order.offers().for_each(|offer| drop(world.offers.remove(offer)));
    Ok(claims)
}

/// Who is buying, as far as we know them.
struct Buyer<'a> {
    checkout: &'a Checkout,
    scope: &'a Scope,
    id: Option<&'a CustomerId>,
}

/// What this checkout takes of one thing, over all its lines.
struct Taking {
    key: StockKey,
    /// Beyond what was offered, which is counted already.
    quantity: u32,
    seats: Vec<String>,
    /// Counts against a purchase limit.
    limited: bool,
}

fn check_want(want: &Want, all: &[Want], buyer: &Buyer<'_>, world: &World, taking: &mut Vec<Taking>) -> Result<(), CodedError> {
    let key = StockKey { scope: buyer.scope.clone(), kind: want.kind, id: want.id.clone() };
    match want.kind {
        Kind::Session => {
            let session = world.sessions.get(&key).ok_or_else(|| refuse(Code::SessionUnavailable, "this session is not there"))?;
            check_sale(session, world.now)?;
            if !session.dropins_allowed && !is_paid_with_memberships(want, all) {
                return Err(refuse(Code::DropinsNotAllowed, "this session takes members only: memberships pay for all places"));
            }
            participant::check_open_to(session, want, buyer.checkout, world)?;
            participant::check_limit(session, &key, all, buyer.checkout, world)?;
            let level = world.stock.get(&key).ok_or_else(|| refuse(Code::SessionUnavailable, "this session is not on sale"))?;
            if let Some(offer) = participant::offer(buyer.checkout, want) {
                check_offer(want, offer, buyer, world)?;
                let nothing = Want { quantity: 0, seats: Vec::new(), ..want.clone() };
                return add(&nothing, key, session.purchase_limit.is_some(), level, taking, Code::SessionFull, "no places left");
            }
            check_seats(want, session, &key, world, taking)?;
            add(want, key, session.purchase_limit.is_some(), level, taking, Code::SessionFull, "no places left")
        }
        Kind::PromoCode => {
            let promo = world.promo_codes.get(&key).ok_or_else(|| bad_promo("no such promo code"))?;
            check_promo_open(promo, world.now)?;
            match world.stock.get(&key) {
                Some(level) => add(want, key, false, level, taking, Code::PromoCodeInvalid, "this promo code is used up"),
                // The limit was lifted since the checkout was accepted: there is nothing to count any more.
                None if promo.max_uses.is_none() => Ok(()),
                None => Err(bad_promo("this promo code cannot be used now")),
            }
        }
        Kind::Product => match world.stock.get(&key) {
            Some(level) => add(want, key, false, level, taking, Code::ProductSoldOut, "not so many of this product are left"),
            // No level, no limit.
            None => Ok(()),
        },
        Kind::BoughtMembership => {
            check_membership(want, &key, all, buyer, world)?;
            let level = world.stock.get(&key).ok_or(Incompatibility::NotThere)?;
            let taken = add(want, key, false, level, taking, Code::MembershipInsufficient, "not so many credits are left");
            taken.map_err(|_| Incompatibility::TooFewCreditsLeft.into())
        }
        // One is made for whoever buys it.
        Kind::Membership | Kind::Plan => Ok(()),
    }
}

/// Whether the session is on sale at `now`.
pub fn check_sale(session: &Session, now: Timestamp) -> Result<(), CodedError> {
    match session.status {
        SessionStatus::Scheduled => {}
        SessionStatus::Canceled => return Err(refuse(Code::SessionUnavailable, "this session was canceled")),
        SessionStatus::Draft => return Err(refuse(Code::SessionUnavailable, "this session is not published")),
    }
    if now >= session.starts_at {
        return Err(refuse(Code::SessionPassed, "this session has begun already"));
    }
    if session.sales_end_at.is_some_and(|end| now >= end) {
        return Err(refuse(Code::SalesEnded, "sales have ended"));
    }
    if session.sales_start_at.is_some_and(|start| now < start) {
        return Err(refuse(Code::SalesNotStarted, "sales have not begun"));
    }
    Ok(())
}

/// Whether the session is open to this person, by tag and age. Whoever is not known carries no tag and has no age. Ages are
/// those of the day on which the session starts where the tenant is; in UTC when `time_zone` is none.
pub fn check_person(session: &Session, known: Option<&Customer>, time_zone: Option<&TimeZone>) -> Result<(), CodedError> {
    if let Some(tag) = &session.required_tag {
        let carries = known.is_some_and(|customer| customer.tags.contains(tag));
        if !carries {
            return Err(refuse(Code::AccessRestricted, "this session is restricted to certain customers"));
        }
    }
    if session.min_age.is_none() && session.max_age.is_none() {
        return Ok(());
    }
    let born = known.and_then(|customer| customer.date_of_birth);
    let born = born.ok_or_else(|| refuse(Code::DateOfBirthRequired, "this session has an age limit: a date of birth is needed"))?;
    // Negative for somebody not born yet, who is too young for any limit.
    let day = time_zone.map_or_else(|| session.starts_at.date(), |zone| zone.date_of(session.starts_at));
    let age = i64::from(born.age_on(day));
    let old_enough = age >= i64::from(session.min_age.unwrap_or(0));
    let young_enough = session.max_age.is_none_or(|max| age <= i64::from(max));
    if old_enough && young_enough { Ok(()) } else { Err(refuse(Code::AgeRestricted, "outside the age limits of this session")) }
}

/// Whether a membership may pay for the session of its line: what was true when the checkout was accepted may have changed.
fn check_membership(want: &Want, key: &StockKey, all: &[Want], buyer: &Buyer<'_>, world: &World) -> Result<(), Incompatibility> {
    let is_his = |bought: &&BoughtMembership| buyer.id == Some(&bought.customer);
    let bought = world.bought.get(key).filter(is_his).ok_or(Incompatibility::NotThere)?;
    let place = all.iter().find(|other| other.kind == Kind::Session && other.line == want.line);
    let session = place.map(|place| StockKey { scope: key.scope.clone(), kind: Kind::Session, id: place.id.clone() });
    let session = session.and_then(|key| world.sessions.get(&key)).ok_or(Incompatibility::NoPlaces)?;
    redeem::check_session(bought, session, world.now)
}

/// Whether memberships pay for all places of a line.
fn is_paid_with_memberships(want: &Want, all: &[Want]) -> bool {
    let paid = all.iter().filter(|other| other.kind == Kind::BoughtMembership && other.line == want.line);
    paid.map(|other| u64::from(other.quantity)).sum::<u64>() >= u64::from(want.places())
}

/// Whether this customer is offered just what the line asks for.
fn check_offer(want: &Want, offer: &WaitingId, buyer: &Buyer<'_>, world: &World) -> Result<(), CodedError> {
    let gone = || refuse(Code::OfferUnavailable, "there is no such offer for this customer, or not any more");
    let entry = world.offers.get(offer).filter(|entry| entry.is_open() && entry.scope == *buyer.scope).ok_or_else(gone)?;
    let named_once = buyer.checkout.order.offers().filter(|named| *named == offer).count() == 1;
    let in_time = entry.expires_at.is_some_and(|end| world.now < end);
    if buyer.id != Some(&entry.customer) || !in_time || !named_once {
        return Err(gone());
    }
    if !entry.is_for(&want.id, want.quantity, &want.seats) {
        return Err(refuse(Code::OfferUnavailable, "an offer is taken whole: the same session, places and seats"));
    }
    Ok(())
}

/// Whether a customer may wait for `quantity` places who `owned` places has already: what would keep him from buying them keeps him from
/// the list. How they are paid is not known yet, so nothing is asked about memberships.
pub fn check_waiter(
    session: &Session,
    customer: &Customer,
    owned: u32,
    quantity: u32,
    now: Timestamp,
    time_zone: Option<&TimeZone>,
) -> Result<(), CodedError> {
    check_sale(session, now)?;
    check_person(session, Some(customer), time_zone)?;
    if quantity > session.places() {
        return Err(refuse(Code::ParameterInvalid, format!("the session has {} places in all", session.places())).at("quantity"));
    }
    match session.purchase_limit {
        Some(limit) if u64::from(owned) + u64::from(quantity) > u64::from(limit) => {
            Err(refuse(Code::PurchaseLimitReached, format!("a customer may have {limit} places and has {owned}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether the seats that were named still exist and are free.
fn check_seats(want: &Want, session: &Session, key: &StockKey, world: &World, taking: &[Taking]) -> Result<(), CodedError> {
    let named = session.seats.as_deref();
    if named.is_some() == want.seats.is_empty() {
        // The session was replaced since the checkout was accepted.
        return Err(refuse(Code::SessionUnavailable, "the seating of this session has changed"));
    }
    for (index, seat) in want.seats.iter().enumerate() {
        let exists = named.is_some_and(|named| named.contains(seat));
        let elsewhere = taking.iter().any(|taken| taken.key == *key && taken.seats.contains(seat));
        let twice = want.seats.iter().take(index).any(|other| other == seat);
        if !exists || elsewhere || twice || world.taken_seats.contains(&(key.clone(), seat.clone())) {
            return Err(refuse(Code::SeatTaken, format!("seat {seat} is not free")));
        }
    }
    Ok(())
}

/// Adds the want to what this checkout takes, if there is as much left.
fn add(
    want: &Want,
    key: StockKey,
    limited: bool,
    level: &StockLevel,
    taking: &mut Vec<Taking>,
    full: Code,
    message: &str,
) -> Result<(), CodedError> {
    let before = taking.iter().find(|taken| taken.key == key).map_or(0, |taken| taken.quantity);
    let quantity = before.checked_add(want.places()).filter(|&quantity| quantity <= level.free());
    let quantity = quantity.ok_or_else(|| refuse(full, message))?;
    match taking.iter_mut().find(|taken| taken.key == key) {
        Some(taken) => {
            taken.quantity = quantity;
            taken.seats.extend_from_slice(&want.seats);
        }
        None => taking.push(Taking { key, quantity, seats: want.seats.clone(), limited }),
    }
    Ok(())
}

/// Writes to the world who has more places now, where that is limited. What was offered to the buyer is counted already.
fn count_owners(taking: &[Taking], wants: &[Want], checkout: &Checkout, world: &mut World) {
    let limited = |want: &&Want| taking.iter().any(|taken| taken.limited && taken.key.kind == want.kind && taken.key.id == want.id);
    for want in wants.iter().filter(limited) {
        let is_offered = participant::offer(checkout, want).is_some();
        for (owner, places) in participant::owners(checkout, want) {
            let Some(owner) = owner.filter(|owner| !is_offered || checkout.order.customer.as_ref() != Some(owner)) else { continue };
            let key = StockKey { scope: checkout.scope.clone(), kind: want.kind, id: want.id.clone() };
            *world.owned.entry((key, owner)).or_default() += places;
        }
    }
}

/// Writes to the world what was decided.
fn take(taking: Vec<Taking>, world: &mut World) {
    for taken in taking {
        if let Some(level) = world.stock.get_mut(&taken.key) {
            level.taken += taken.quantity;
            level.version += 1;
            debug_assert!(level.taken <= level.capacity);
        }
        world.taken_seats.extend(taken.seats.into_iter().map(|seat| (taken.key.clone(), seat)));
    }
}

/// One claim for each named seat, else one for each customer who gets places.
fn claims_for(want: &Want, checkout: &Checkout, state: ClaimState) -> Vec<NewClaim> {
    let claim = |seat: Option<String>, customer: Option<CustomerId>, quantity| NewClaim {
        checkout: checkout.id.clone(),
        stock: StockKey { scope: checkout.scope.clone(), kind: want.kind, id: want.id.clone() },
        seat,
        line: want.line.and_then(|at| checkout.order.lines.get(at)).map(|line| line.id.clone()),
        quantity,
        customer,
        state,
    };
    if want.seats.is_empty() {
        participant::owners(checkout, want).into_iter().map(|(owner, places)| claim(None, owner, places)).collect()
    } else {
        let owner = |index| participant::owner_of_seat(checkout, want, index);
        want.seats.iter().enumerate().map(|(index, seat)| claim(Some(seat.clone()), owner(index), 1)).collect()
    }
}

fn refuse(code: Code, message: impl Into<String>) -> CodedError {
    CodedError::new(code, message)
}

fn place(error: CodedError, want: &Want) -> CodedError {
    match (want.line, error.code) {
        (Some(_), _) if want.kind == Kind::BoughtMembership => error.at("payment"),
        (Some(_), _) if error.param.is_some() => error,
        (Some(line), Code::OfferUnavailable) => error.at(format!("lines[{line}].offer")),
        (Some(line), _) => error.at(format!("lines[{line}]")),
        (None, _) => error.at("promo_code"),
    }
}

#[cfg(test)]
#[path = "eligibility_tests.rs"]
mod tests;
