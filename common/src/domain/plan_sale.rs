//! Selling a plan: what is due of it at once, and how it may be paid.

use super::{
    error::{Code, CodedError},
    id::{CatalogueId, LineId, SubscriptionId},
    leg::{Leg, Tender},
    line::{Gift, Item, Line},
    money::Amount,
    plan::{Given, Plan},
    pricing::Shelf,
    routing::{Candidate, Method, Routing},
    schedule::Period,
    tender::Asked,
    time::Timestamp,
};

/// What a line sells of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sold {
    /// With the first period, or the trial, and all that is agreed on.
    pub item: Item,
    /// For that, minor units, tax not included.
    pub due: Amount,
}

/// Sells a plan as it is now: its first period, or for nothing its trial.
///
/// Errors: `resource_missing` when the membership that it gives is not there; `amount_out_of_range`.
pub fn sell(plan: &Plan, id: &CatalogueId, line: &LineId, shelf: &Shelf, now: Timestamp) -> Result<Sold, CodedError> {
    let given = match &plan.membership {
        None => None,
        Some(membership) => {
            let missing = || CodedError::new(Code::ResourceMissing, "the membership that this plan gives is not there");
            let terms = shelf.memberships.get(membership).ok_or_else(missing)?.terms();
            Some(Given { membership: membership.clone(), terms })
        }
    };
    let terms = plan.terms(&shelf.time_zone, given);
    let starts_at = plan.starts_at(&shelf.time_zone, now);
    let (period, due, gives) = if starts_at > now {
        (Period { n: 0, from: now, until: starts_at }, Amount::ZERO, None)
    } else {
        let schedule = terms.schedule(starts_at);
        let due = terms.price(&schedule, 1).map_err(|error| CodedError::new(Code::AmountOutOfRange, error.to_string()))?;
        (schedule.period(1, 1), due, terms.gives.as_ref().map(|given| Gift::of(given, line)))
    };
    let subscription = SubscriptionId::sold_by(line);
    Ok(Sold { item: Item::Plan { plan: id.clone(), subscription, period, gives, terms }, due })
}

/// Whether any of the lines is a plan.
pub fn sells_plan(lines: &[Line]) -> bool {
    lines.iter().any(|line| matches!(line.item, Item::Plan { .. }))
}

/// Whether plans may be paid like this: with one method that can be charged again when nobody is there, also where nothing is due at
/// once. `methods`: nothing for our page.
pub fn check_payment(lines: &[Line], methods: Option<&[Asked]>) -> Result<(), CodedError> {
    if !sells_plan(lines) {
        return Ok(());
    }
    let refused = |at: &str, words: &str| Err(CodedError::new(Code::PaymentMethodInvalid, words).at(at));
    let Some(methods) = methods else {
        return refused("payment", "a plan renews by itself: it is paid with one card or saved_method in payment.methods");
    };
    match methods {
        // Renewals are paid with the customer's own: nobody goes on paying for somebody else who has agreed to one sale.
        [method] if matches!(method.tender, Tender::Card { .. } | Tender::SavedMethod { owner: None, .. }) => Ok(()),
        [method] => refused(&method.param, "a plan renews by itself: this method cannot be charged again, a card or a saved_method can"),
        _ => refused("payment.methods", "a plan renews by itself: it is paid with one card or saved_method, and with nothing beside it"),
    }
}

/// Whether the card of a sale that charges nothing now, as a trial, can be charged later. A provider keeps a card that it charges, and this one
/// it is not shown: a token that is good once, or for minutes, would be all that the first renewal has.
pub fn check_kept(lines: &[Line], legs: &[Leg], routing: &Routing) -> Result<(), CodedError> {
    let raw = legs.iter().find(|leg| leg.amount.is_zero() && matches!(leg.tender, Tender::Card { .. }));
    let Some(leg) = raw.filter(|_| sells_plan(lines)) else { return Ok(()) };
    let providers = leg.tender.providers();
    let goes_there = |candidate: &Candidate| {
        let is_meant = providers.is_empty() || providers.contains(&candidate.route.provider.as_str());
        is_meant && candidate.route.account.is_some() && candidate.takes.contains(&Method::Card)
    };
    if !routing.candidates.iter().any(goes_there) {
        return Ok(());
    }
    let words = "nothing is charged now, so no provider would keep this card for the renewals: save it first, with PUT \
                 /v1/customers/{customer}/payment-methods/{method}, and pay with it as saved_method";
    Err(CodedError::new(Code::PaymentMethodInvalid, words).at("payment.methods[0]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        id::{Entropy, PaymentMethodId},
        membership::Membership,
        money::Currency,
        pricing::{Cart, CartItem, CartLine, Priced, price},
        secret::Secret,
        time_zone::TimeZone,
    };
    use serde_json::{Value, json};
    use std::collections::HashMap;

    fn id(text: &str) -> CatalogueId {
        CatalogueId::parse(text).unwrap()
    }

    fn shelf(changes: &Value) -> Shelf {
        let mut plan = json!({"name": "Monthly", "unit_amount": 3100, "currency": "usd", "interval": "month", "tax_rate_bp": 1000});
        plan.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let pack: Membership =
            serde_json::from_value(json!({"name": "Eight", "unit_amount": 1, "currency": "usd", "type": "pack", "credits": 8})).unwrap();
        Shelf {
            plans: HashMap::from([(id("pln_1"), serde_json::from_value(plan).unwrap())]),
            memberships: HashMap::from([(id("mem_1"), pack)]),
            promo_codes: HashMap::from([(id("TEN"), serde_json::from_value(json!({"percent_off_bp": 1000})).unwrap())]),
            time_zone: TimeZone::parse("Europe/Berlin").unwrap(),
            ..Shelf::default()
        }
    }

    fn priced(changes: Value, change: impl FnOnce(&mut Cart)) -> Result<Priced, CodedError> {
        let item = CartItem::Plan { plan: id("pln_1") };
        let quantity = item.default_quantity();
        let lines = vec![CartLine { item, quantity, unit_amount: None, total_amount: None }];
        let mut cart = Cart { currency: Currency::parse("usd").unwrap(), lines, promo_code: None };
        change(&mut cart);
        let now = Timestamp::parse("2027-01-15T23:00:00Z").unwrap();
        price(&cart, &shelf(&changes), now, &Entropy::from_seed(1))
    }

    #[test]
    fn a_plan_is_sold_with_its_first_period_where_the_tenant_is() {
        let sold = priced(json!({"anchor_day": 1, "proration": "first_period", "membership": "mem_1"}), |_| {}).unwrap();
        // Half of January is left in Berlin, where it is the 16th.
        assert_eq!((sold.totals.subtotal.minor(), sold.totals.tax.minor(), sold.totals.total.minor()), (1600, 160, 1760));
        let Item::Plan { period, gives: Some(Gift::Membership { terms, .. }), .. } = &sold.lines[0].item else { panic!() };
        assert_eq!((period.n, period.until.to_rfc3339(), terms.credits), (1, "2027-01-31T23:00:00.000Z".to_owned(), Some(8)));
    }

    #[test]
    fn a_trial_is_not_begun_with_a_card_that_no_provider_would_keep() {
        use crate::domain::{
            id::ProviderAccountId,
            routing::{Route, to_the_sandbox},
        };
        let trial = priced(json!({"trial_days": 7}), |_| {}).unwrap();
        let legs = |tender: Tender, amount: Amount| vec![Leg { amount, tender }];
        let card = || Tender::card(Secret::new("pm_card_visa".to_owned()));
        let saved = || Tender::SavedMethod { id: PaymentMethodId::parse("pm_ada").unwrap(), token: None, owner: None };
        let mut routing = Routing::clone(&to_the_sandbox());
        assert_eq!(
            check_kept(&trial.lines, &legs(card(), Amount::ZERO), &routing),
            Ok(()),
            "the sandbox keeps no cards, and needs to keep none"
        );
        let route = Route { provider: "stripe".to_owned(), account: Some(ProviderAccountId::parse("pac_1").unwrap()) };
        routing.candidates.push(Candidate { route, takes: vec![Method::Card], is_failing: false, is_named_only: false });
        let refused = check_kept(&trial.lines, &legs(card(), Amount::ZERO), &routing).unwrap_err();
        assert_eq!((refused.code, refused.param.as_deref()), (Code::PaymentMethodInvalid, Some("payment.methods[0]")));
        assert_eq!(check_kept(&trial.lines, &legs(saved(), Amount::ZERO), &routing), Ok(()));
        assert_eq!(check_kept(&trial.lines, &legs(card(), Amount::from_minor(3100)), &routing), Ok(()), "a provider keeps what it charges");
        assert_eq!(check_kept(&[], &legs(card(), Amount::ZERO), &routing), Ok(()));
        let here = Tender::Card { token: Secret::new("tok_visa".to_owned()), provider: Some("sandbox".to_owned()), elsewhere: Vec::new() };
        assert_eq!(check_kept(&trial.lines, &legs(here, Amount::ZERO), &routing), Ok(()));
    }

    #[test]
    fn a_trial_is_due_for_nothing_and_a_discount_is_one_on_the_first_period_only() {
        let trial = priced(json!({"trial_days": 7, "membership": "mem_1"}), |_| {}).unwrap();
        assert!(trial.totals.total.is_zero());
        assert!(matches!(&trial.lines[0].item, Item::Plan { period: Period { n: 0, .. }, gives: None, .. }));
        let cheaper = priced(json!({}), |cart| cart.promo_code = Some(id("TEN"))).unwrap();
        assert_eq!((cheaper.totals.subtotal.minor(), cheaper.totals.discount.minor()), (3100, 310));
        let Item::Plan { terms, .. } = &cheaper.lines[0].item else { panic!() };
        assert_eq!(terms.unit_amount.minor(), 3100, "renewals cost as much as was agreed on");
    }

    #[test]
    fn an_echo_is_that_of_a_whole_period_and_what_is_not_sold_is_refused() {
        let refused = |changes: Value, change: fn(&mut Cart)| {
            let error = priced(changes, change).unwrap_err();
            (error.code, error.param.unwrap())
        };
        let anchored = json!({"anchor_day": 1, "proration": "first_period"});
        assert!(priced(anchored, |cart| cart.lines[0].unit_amount = Some(Amount::from_minor(3100))).is_ok());
        let wrong = |cart: &mut Cart| cart.lines[0].unit_amount = Some(Amount::from_minor(3000));
        assert_eq!(refused(json!({}), wrong), (Code::PriceMismatch, "lines[0].unit_amount".to_owned()));
        assert_eq!(refused(json!({}), |cart| cart.lines[0].quantity = 2), (Code::ParameterInvalid, "lines[0].quantity".to_owned()));
        let plan = "lines[0].plan".to_owned();
        assert_eq!(refused(json!({"status": "archived"}), |_| {}), (Code::ResourceMissing, plan.clone()));
        assert_eq!(refused(json!({"membership": "mem_none"}), |_| {}), (Code::ResourceMissing, plan));
        assert_eq!(refused(json!({"currency": "eur"}), |_| {}), (Code::CurrencyMismatch, "lines[0]".to_owned()));
    }

    #[test]
    fn only_what_can_be_charged_again_pays_for_a_plan() {
        let lines = priced(json!({}), |_| {}).unwrap().lines;
        let asked = |tender| Asked { tender, amount: None, param: "payment.methods[0]".to_owned() };
        let card = || asked(Tender::card(Secret::new("tok_visa".to_owned())));
        let saved = asked(Tender::SavedMethod { id: PaymentMethodId::parse("pm_1").unwrap(), token: None, owner: None });
        assert_eq!(check_payment(&lines, Some(&[card()])), Ok(()));
        assert_eq!(check_payment(&lines, Some(&[saved])), Ok(()));
        let at = |methods: Option<&[Asked]>| check_payment(&lines, methods).unwrap_err().param.unwrap();
        let cash = asked(Tender::Custom { name: "cash".to_owned(), note: None });
        assert_eq!(at(Some(std::slice::from_ref(&cash))), "payment.methods[0]");
        assert_eq!(at(Some(&[asked(Tender::Free {})])), "payment.methods[0]");
        assert_eq!(at(Some(&[card(), cash])), "payment.methods");
        assert_eq!(at(None), "payment");
        assert_eq!(check_payment(&[], None), Ok(()));
    }
}
