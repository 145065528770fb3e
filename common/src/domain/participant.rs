//! Who comes: the participants of a line, one for each place, and what holds for each of them instead of for the buyer.

use super::{
    catalogue::{Kind, Session},
    checkout::Checkout,
    claim::{StockKey, Want},
    customer::{BirthDate, Customer},
    eligibility::{World, check_person},
    error::{Code, CodedError},
    id::{CustomerId, WaitingId},
    line::Item,
};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fmt};

/// The most participants that a checkout may name, over all its lines: each is looked at while others wait.
pub const MAX_PARTICIPANTS: usize = 500;

/// Who takes a place: a customer, or somebody whom we do not know. Frozen with its line, and serializes as it stands in the API. Its
/// `Debug` shows the customer's id and nothing personal.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Participant {
    /// The buyer, or a customer of his family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// The client's name for somebody who is no customer yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Shown on the ticket; a customer's as it was when the checkout was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of somebody who is no customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The same one's `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_of_birth: Option<BirthDate>,
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant").field("customer", &self.customer).finish_non_exhaustive()
    }
}

impl Participant {
    /// A stranger as a customer without tags, to be held against a session's ages.
    pub fn described(&self) -> Customer {
        Customer {
            id: None,
            external_id: self.external_id.clone(),
            email: self.email.clone(),
            name: self.name.clone(),
            date_of_birth: self.date_of_birth,
            tags: Vec::new(),
            family: None,
            metadata: serde_json::Map::new(),
        }
    }
}

/// Whether a customer may be named by this buyer: it is himself, or both are of one family. `None` for a buyer whom we do not know.
pub fn check_family(buyer: Option<&Customer>, participant: &Customer) -> Result<(), CodedError> {
    let is_buyer = buyer.is_some_and(|buyer| buyer.id.is_some() && buyer.id == participant.id);
    let is_family = buyer.is_some_and(|buyer| buyer.family.is_some() && buyer.family == participant.family);
    if is_buyer || is_family {
        return Ok(());
    }
    let words = "a participant who is a customer is the buyer, or of the buyer's family";
    Err(CodedError::new(Code::ParticipantNotInFamily, words))
}

/// The participants that a want's line names; none where the buyer comes for all of it.
pub(super) fn named<'c>(checkout: &'c Checkout, want: &Want) -> &'c [Participant] {
    match (want.kind, want.line.and_then(|at| checkout.order.lines.get(at))) {
        (Kind::Session, Some(line)) => line.item.participants(),
        _ => &[],
    }
}

/// Whether the session is open to everybody who is to come, and each of them may be named here. The error's `param` is the participant's.
pub(super) fn check_open_to(session: &Session, want: &Want, checkout: &Checkout, world: &World) -> Result<(), CodedError> {
    let scope = &checkout.scope;
    let known = |id: &CustomerId| world.customers.get(&(scope.clone(), id.clone()));
    let buyer = checkout.order.customer.as_ref().and_then(known);
    let zone = world.time_zones.get(scope);
    let named = named(checkout, want);
    if named.is_empty() {
        return check_person(session, buyer, zone);
    }
    for (index, participant) in named.iter().enumerate() {
        let open = match &participant.customer {
            None => check_person(session, Some(&participant.described()), zone),
            Some(id) => {
                let known = known(id).ok_or_else(|| CodedError::new(Code::ParticipantNotInFamily, "there is no such customer any more"));
                known.and_then(|known| check_family(buyer, known).and_then(|()| check_person(session, Some(known), zone)))
            }
        };
        open.map_err(|error| error.at(param(want, index)))?;
    }
    Ok(())
}

/// Who has a place, as far as one can be told from another.
#[derive(PartialEq, Eq, Hash)]
enum Person<'c> {
    Customer(&'c CustomerId),
    /// By the client's own name for him, or else by his own and the day of his birth.
    Stranger(&'c str),
    Described(String, Option<String>),
    Guest,
}

impl<'c> Person<'c> {
    fn of(participant: &'c Participant) -> Self {
        match (&participant.customer, &participant.external_id) {
            (Some(customer), _) => Self::Customer(customer),
            (None, Some(external)) => Self::Stranger(external),
            (None, None) => {
                let name = participant.name.as_deref().unwrap_or_default().to_lowercase();
                Self::Described(name, participant.date_of_birth.map(|born| born.to_string()))
            }
        }
    }

    fn buyer(checkout: &'c Checkout) -> Self {
        checkout.order.customer.as_ref().map_or(Self::Guest, Self::Customer)
    }
}

/// Whether nobody gets more places than one may have, over all lines of this checkout, each participant counted for himself. Of a guest or a
/// stranger other checkouts cannot be told, so the limit counts this one alone.
pub(super) fn check_limit<'c>(
    session: &Session,
    key: &StockKey,
    all: &[Want],
    checkout: &'c Checkout,
    world: &World,
) -> Result<(), CodedError> {
    let Some(limit) = session.purchase_limit else { return Ok(()) };
    let mut counted: HashMap<Person<'_>, u64> = HashMap::new();
    let mut add = |person: Person<'c>, places: u32| {
        let owned = match &person {
            Person::Customer(id) => world.owned.get(&(key.clone(), CustomerId::clone(id))).copied().unwrap_or(0),
            Person::Stranger(_) | Person::Described(..) | Person::Guest => 0,
        };
        let has = counted.entry(person).or_insert_with(|| u64::from(owned));
        *has += u64::from(places);
        if *has <= u64::from(limit) {
            return Ok(());
        }
        Err(CodedError::new(Code::PurchaseLimitReached, format!("a customer may have {limit} places and has {owned}")))
    };
    for want in all.iter().filter(|want| want.kind == key.kind && want.id == key.id) {
        let named = named(checkout, want);
        // What is offered to the buyer is held for him already, and counted among what he has.
        let is_offered = offer(checkout, want).is_some();
        if named.is_empty() && !is_offered {
            add(Person::buyer(checkout), want.places())?;
        }
        for (index, participant) in named.iter().enumerate() {
            let person = Person::of(participant);
            if !is_offered || person != Person::buyer(checkout) {
                add(person, 1).map_err(|error| error.at(param(want, index)))?;
            }
        }
    }
    Ok(())
}

/// Which customers get how many places of a want: each one once, in the order of the places. Nobody for guests and strangers.
pub(super) fn owners(checkout: &Checkout, want: &Want) -> Vec<(Option<CustomerId>, u32)> {
    let named = named(checkout, want);
    if named.is_empty() {
        return vec![(checkout.order.customer.clone(), want.places())];
    }
    let mut owners: Vec<(Option<CustomerId>, u32)> = Vec::new();
    let mut positions: HashMap<Option<&CustomerId>, usize> = HashMap::new();
    for participant in named {
        let at = *positions.entry(participant.customer.as_ref()).or_insert_with(|| {
            owners.push((participant.customer.clone(), 0));
            owners.len() - 1
        });
        if let Some((_, places)) = owners.get_mut(at) {
            *places += 1;
        }
    }
    owners
}

/// Which customer gets the seat at `index` of a want.
pub(super) fn owner_of_seat(checkout: &Checkout, want: &Want, index: usize) -> Option<CustomerId> {
    match named(checkout, want) {
        [] => checkout.order.customer.clone(),
        named => named.get(index).and_then(|participant| participant.customer.clone()),
    }
}

/// The entry of the waiting list whose offer a want's line takes.
pub(super) fn offer<'c>(checkout: &'c Checkout, want: &Want) -> Option<&'c WaitingId> {
    match &checkout.order.lines.get(want.line?)?.item {
        Item::Session { offer, .. } => offer.as_ref(),
        Item::Product { .. } | Item::Membership { .. } | Item::Plan { .. } | Item::Subscription { .. } | Item::Custom(_) => None,
    }
}

fn param(want: &Want, index: usize) -> String {
    format!("lines[{}].participants[{index}]", want.line.unwrap_or(0))
}

#[cfg(test)]
#[path = "participant_tests.rs"]
mod tests;
