//! A basket as a cart of ours: whose family it is, which sessions its places are in, and who comes and pays.

use super::request::{Kind, Place};
use crate::{bounds, context::ApiContext, dialects::customers, problem::Problem};
use boxoffice_common::{
    domain::{
        catalogue::{Kind as Shelf, Session, SessionStatus},
        customer::Customer,
        error::{Code, CodedError},
        id::{CatalogueId, CustomerId},
        money::Currency,
        participant::Participant,
        pricing::{Cart, CartItem, CartLine},
        scope::Scope,
        time_zone::TimeZone,
    },
    ports::store::{CatalogueRow, Occurrences, PageRequest, StoreError},
};
use std::collections::HashMap;

/// The most sessions of one class that begin at the same moment, of which one is chosen.
const MAX_TWINS: u32 = 10;

/// The customers of one family, as far as they matter here.
pub(super) struct Family {
    pub(super) id: String,
    pub(super) name: String,
}

/// A basket that can be priced.
pub(super) struct Basket {
    pub(super) places: Vec<Place>,
    pub(super) cart: Cart,
    /// Who pays: the student who is named first.
    pub(super) payer: CustomerId,
}

/// The family, if anybody belongs to it.
pub(super) async fn family(ctx: &ApiContext, scope: &Scope, id: String) -> Result<Family, Problem> {
    bounds::text(&id, 64, "familyId").map_err(|_| Problem::NotFound)?;
    let first = ctx.store().customers(scope, Some(&id), &PageRequest { limit: 1, after: None }).await?.data;
    let name = surname(first.first().ok_or(Problem::NotFound)?);
    Ok(Family { name, id })
}

/// What a family is called: as one of it is, last.
pub(super) fn surname(customer: &Customer) -> String {
    let last = customer.name.as_deref().and_then(|name| name.split_whitespace().last());
    last.or(customer.family.as_deref()).unwrap_or_default().to_owned()
}

/// Finds everything that the places name. Nothing where there are none.
pub(super) async fn resolve(ctx: &ApiContext, scope: &Scope, family: &Family, places: Vec<Place>) -> Result<Option<Basket>, Problem> {
    let Some(first) = places.first() else { return Ok(None) };
    let names: Vec<String> = places.iter().map(|place| place.student.clone()).collect();
    let students = customers::find_all(ctx, scope, &names).await?;
    let mut payer = None;
    let mut sessions = Sessions::of(ctx, scope);
    let mut lines = Vec::with_capacity(places.len());
    let currency = match sessions.of_place(first).await? {
        Some(found) => found.currency,
        None => return Err(missing(first)),
    };
    for place in &places {
        let student = student(&students, place, family)?;
        payer.get_or_insert_with(|| student.clone());
        let session = sessions.of_place(place).await?.ok_or_else(|| missing(place))?.id;
        let pricing_plan = match &place.kind {
            Kind::Enrolment(plan) => Some(plan.clone()),
            Kind::Trial { .. } => None,
        };
        let participants = vec![Participant { customer: Some(student), ..Participant::default() }];
        let item = CartItem::Session { session, seats: Vec::new(), offer: None, participants, pricing_plan };
        lines.push(CartLine { item, quantity: 1, unit_amount: None, total_amount: None });
    }
    let cart = Cart { currency, lines, promo_code: None };
    Ok(payer.map(|payer| Basket { places, cart, payer }))
}

/// A student of the family.
fn student(students: &HashMap<String, Customer>, place: &Place, family: &Family) -> Result<CustomerId, Problem> {
    let at = || format!("{}.studentId", place.param);
    let found = students.get(&place.student);
    let found = found.ok_or_else(|| CodedError::new(Code::ResourceMissing, "there is no such student").at(at()))?;
    if found.family.as_deref() != Some(family.id.as_str()) {
        return Err(CodedError::new(Code::ParticipantNotInFamily, "this student is not of the family").at(at()).into());
    }
    found.id.clone().ok_or(Problem::Internal)
}

fn missing(place: &Place) -> Problem {
    let (field, words) = match place.kind {
        Kind::Enrolment(_) => ("classId", "there is no such class"),
        Kind::Trial { .. } => ("trialAt", "the class does not take place then"),
    };
    CodedError::new(Code::ResourceMissing, words).at(format!("{}.{field}", place.param)).into()
}

#[derive(Clone)]
struct Found {
    id: CatalogueId,
    currency: Currency,
}

/// A class itself, or an occurrence of it.
type Named = (CatalogueId, Option<(time::Date, time::Time)>);

/// Looks sessions up, each once.
struct Sessions<'c> {
    ctx: &'c ApiContext,
    scope: &'c Scope,
    time_zone: Option<TimeZone>,
    seen: HashMap<Named, Option<Found>>,
}

impl<'c> Sessions<'c> {
    fn of(ctx: &'c ApiContext, scope: &'c Scope) -> Self {
        Self { ctx, scope, time_zone: None, seen: HashMap::new() }
    }

    /// The class itself, or its occurrence at that time. Of two at the same time, the first by its id that is not called off.
    async fn of_place(&mut self, place: &Place) -> Result<Option<Found>, Problem> {
        let at = if let Kind::Trial { date, time, .. } = place.kind { Some((date, time)) } else { None };
        let key = (place.class.clone(), at);
        if let Some(found) = self.seen.get(&key) {
            return Ok(found.clone());
        }
        let rows = match place.kind {
            Kind::Enrolment(_) => self.ctx.store().get(self.scope, Shelf::Session, &place.class).await?.into_iter().collect(),
            Kind::Trial { date, time, within } => {
                let starts_at = self.time_zone().await?.at(date, time);
                let Some(from) = starts_at else { return Ok(None) };
                let of = Occurrences { class: place.class.clone(), from: Some(from), to: Some(from.after(within)) };
                self.ctx.store().occurrences(self.scope, &of, &PageRequest { limit: MAX_TWINS, after: None }).await?.data
            }
        };
        let read = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let on = read.iter().find(|(_, session)| session.status == SessionStatus::Scheduled);
        let found = on.or(read.first()).map(|(id, session)| Found { id: (*id).clone(), currency: session.currency });
        self.seen.insert(key, found.clone());
        Ok(found)
    }

    async fn time_zone(&mut self) -> Result<TimeZone, StoreError> {
        if let Some(zone) = &self.time_zone {
            return Ok(zone.clone());
        }
        let zone = self.ctx.store().settings(self.scope).await?.settings.time_zone;
        Ok(self.time_zone.insert(zone).clone())
    }
}

fn read(row: &CatalogueRow) -> Result<(&CatalogueId, Session), StoreError> {
    let session = serde_json::from_str(&row.doc).map_err(|error| StoreError::Corrupt(format!("session {}: {error}", row.id)))?;
    Ok((&row.id, session))
}

impl Basket {
    /// The same problem at its place in the basket.
    pub(super) fn in_their_words(&self, problem: Problem) -> Problem {
        match problem {
            Problem::Parameter { code: "parameter_missing", param: Some(param), .. } if param == "payment" => {
                Problem::invalid("paymentIntentId", "an amount is due, and nothing is named that pays it")
            }
            Problem::Refused(error) => {
                let param = error.param.as_deref().map(|param| theirs(&self.places, param));
                Problem::Refused(CodedError { param, ..error })
            }
            Problem::Parameter { code, detail, param } => {
                Problem::Parameter { code, detail, param: param.map(|param| theirs(&self.places, &param)) }
            }
            other => other,
        }
    }
}

/// Where it is in the basket, by where it is in the cart.
fn theirs(places: &[Place], param: &str) -> String {
    if param.starts_with("payment") {
        return "paymentIntentId".to_owned();
    }
    let line = param.strip_prefix("lines[").and_then(|rest| rest.split_once(']'));
    let place = line.and_then(|(at, rest)| Some((places.get(at.parse::<usize>().ok()?)?, rest)));
    let Some((place, rest)) = place else { return param.to_owned() };
    let field = match (&place.kind, rest) {
        (_, ".pricing_plan") => ".pricingPlanId",
        (Kind::Enrolment(_), ".session") => ".classId",
        (Kind::Trial { .. }, ".session") => ".trialAt",
        (_, rest) if rest.starts_with(".participants") => ".studentId",
        _ => "",
    };
    format!("{}{field}", place.param)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_in_the_cart_is_told_where_it_stands_in_the_basket() {
        let place = |kind, param: &str| Place {
            class: CatalogueId::parse("cls").unwrap(),
            student: "stu".to_owned(),
            kind,
            param: param.to_owned(),
        };
        let plan = Kind::Enrolment(CatalogueId::parse("pp").unwrap());
        let trial = Kind::Trial { date: time::Date::MIN, time: time::Time::MIDNIGHT, within: std::time::Duration::ZERO };
        let places = [place(plan, "items.enrolments[0]"), place(trial, "items.trials[0]")];
        for (ours, told) in [
            ("lines[0].pricing_plan", "items.enrolments[0].pricingPlanId"),
            ("lines[0].session", "items.enrolments[0].classId"),
            ("lines[1].session", "items.trials[0].trialAt"),
            ("lines[1].participants[0]", "items.trials[0].studentId"),
            ("lines[1].participants[0].date_of_birth", "items.trials[0].studentId"),
            ("lines[1]", "items.trials[0]"),
            ("lines[2].session", "lines[2].session"),
            ("payment.methods[0].id", "paymentIntentId"),
            ("payment", "paymentIntentId"),
        ] {
            assert_eq!(theirs(&places, ours), told);
        }
    }
}
