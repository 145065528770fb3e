use super::*;
use crate::domain::{
    line::Gift,
    membership::{MembershipType, Terms},
    plan::{Given, Plan},
    scope::Mode,
    subscription_change::Change,
    time_zone::TimeZone,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashSet;

pub(in crate::domain) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn entropy() -> Entropy {
    Entropy::from_seed(1)
}

fn token() -> Option<Secret<String>> {
    Some(Secret::new("tok_visa".to_owned()))
}

/// A checkout that has sold a plan at `now`.
pub(in crate::domain) fn sale(changes: &Value, now: Timestamp, gives: Option<Given>) -> Checkout {
    let mut object = json!({"name": "Monthly", "unit_amount": 4900, "currency": "usd", "interval": "month", "tax_rate_bp": 1000});
    object.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let plan: Plan = serde_json::from_value(object).unwrap();
    plan.check().unwrap();
    let (entropy, zone) = (entropy(), TimeZone::default());
    let id = LineId::generate(&entropy, now);
    let terms = plan.terms(&zone, gives);
    let starts_at = plan.starts_at(&zone, now);
    let period = if starts_at > now { Period { n: 0, from: now, until: starts_at } } else { terms.schedule(starts_at).period(1, 1) };
    let gift = terms.gives.as_ref().filter(|_| period.n > 0).map(|given| Gift::of(given, &id));
    let item =
        Item::Plan { plan: CatalogueId::parse("pln_1").unwrap(), subscription: SubscriptionId::sold_by(&id), period, gives: gift, terms };
    let amount = if period.n == 0 { Amount::ZERO } else { plan.unit_amount };
    let zero = Amount::ZERO;
    let line = Line { id, item, name: plan.name, quantity: 1, unit_amount: amount, amount, discount_amount: zero, tax_amount: zero };
    let totals = Totals { subtotal: amount, discount: zero, tax: zero, total: amount };
    let legs = vec![Leg { amount, tender: Tender::card(token().unwrap()) }];
    let order = Order {
        customer: Some(CustomerId::parse("cus_1").unwrap()),
        callback_url: Some("https://shop.example/hooks".to_owned()),
        callback_state: Some("state".to_owned()),
        reference: Some("order-77".to_owned()),
        ..Order::of(plan.currency, vec![line], totals, legs)
    };
    let scope = Scope::new("studio", Mode::Test).unwrap();
    let mut checkout = Checkout::queued(CheckoutId::generate(&entropy, now), scope, order, now, now);
    (checkout.status, checkout.updated_at) = (Status::Succeeded, now);
    checkout
}

pub(in crate::domain) fn subscription(changes: Value, now: &str) -> Subscription {
    let checkout = sale(&changes, at(now), None);
    // What is frozen comes back from the store as it went in.
    let order: Order = serde_json::from_str(&serde_json::to_string(&checkout.order).unwrap()).unwrap();
    assert_eq!(order, checkout.order);
    sold(&checkout).pop().unwrap()
}

pub(in crate::domain) fn renewal(subscription: Subscription, now: &str) -> Renewal {
    match subscription.fall_due(token(), at(now), &entropy()).unwrap() {
        Due::Renew(renewal) => *renewal,
        other => panic!("{other:?}"),
    }
}

pub(in crate::domain) fn ended(renewal: Renewal, status: Status, now: &str) -> (Subscription, EventType) {
    let checkout = Checkout { status, ..renewal.checkout };
    renewal.subscription.follow(&checkout, at(now)).unwrap()
}

pub(in crate::domain) fn paid(subscription: Subscription, now: &str) -> Subscription {
    let (subscription, event) = ended(renewal(subscription, now), Status::Succeeded, now);
    assert_eq!((event, subscription.status), (EventType::SubscriptionRenewed, SubscriptionStatus::Active));
    subscription
}

pub(in crate::domain) fn unpaid(subscription: Subscription, now: &str) -> Subscription {
    ended(renewal(subscription, now), Status::Failed, now).0
}

fn due(subscription: &Subscription) -> String {
    subscription.due_at.unwrap().to_rfc3339()
}

#[test]
fn a_sold_plan_is_a_subscription_that_renews_at_the_end_of_each_period_for_its_own_price() {
    let sold = subscription(json!({}), "2027-01-31T10:00:00Z");
    assert_eq!((sold.status, sold.period.n, due(&sold).as_str()), (SubscriptionStatus::Active, 1, "2027-02-28T10:00:00.000Z"));
    let renewal = renewal(sold, "2027-02-28T10:00:05Z");
    assert_eq!((renewal.attempt, renewal.period.n, renewal.subscription.due_at), (1, 2, None));
    let order = &renewal.checkout.order;
    assert_eq!((order.totals.subtotal.minor(), order.totals.tax.minor(), order.totals.total.minor()), (4900, 490, 5390));
    assert_eq!((order.callback_state.as_deref(), order.reference.as_deref()), (Some("state"), None));
    assert!(matches!(&order.legs[..], [Leg { amount, tender: Tender::SavedMethod { .. } }] if amount.minor() == 5390));
    assert_eq!((renewal.checkout.due_at, renewal.checkout.expires_at), (Some(at("2027-02-28T10:00:05Z")), at("2027-03-01T10:00:05Z")));
    let (renewed, _) = ended(renewal, Status::Succeeded, "2027-02-28T10:00:07Z");
    assert_eq!((renewed.period.n, due(&renewed).as_str()), (2, "2027-03-31T10:00:00.000Z"));
}

#[test]
fn a_trial_costs_nothing_until_it_is_over_and_an_anchored_plan_its_part_after_that() {
    let changes = json!({"trial_days": 14, "anchor_day": 1, "proration": "first_period", "unit_amount": 3100});
    let trial = subscription(changes, "2027-01-02T00:00:00Z");
    assert_eq!((trial.status, trial.period.n, due(&trial).as_str()), (SubscriptionStatus::Trialing, 0, "2027-01-16T00:00:00.000Z"));
    let first = renewal(trial, "2027-01-16T00:00:00Z");
    assert_eq!((first.period.n, first.checkout.order.totals.subtotal.minor()), (1, 1600), "16 of 31 days");
    let (first, _) = ended(first, Status::Succeeded, "2027-01-16T00:00:01Z");
    assert_eq!(due(&first), "2027-02-01T00:00:00.000Z");
    assert_eq!(renewal(first, "2027-02-01T00:00:00Z").checkout.order.totals.subtotal.minor(), 3100);
}

#[test]
fn after_an_outage_the_period_of_now_is_charged_and_none_that_went_by() {
    let sold = subscription(json!({"interval": "day"}), "2027-01-01T10:00:00Z");
    let late = renewal(sold, "2027-01-09T12:00:00Z");
    assert_eq!((late.period.n, late.period.from, late.period.until), (9, at("2027-01-09T10:00:00Z"), at("2027-01-10T10:00:00Z")));
    let (late, _) = ended(late, Status::Succeeded, "2027-01-09T12:00:01Z");
    assert_eq!(due(&late), "2027-01-10T10:00:00.000Z");
}

#[test]
fn a_renewal_that_is_not_paid_is_tried_after_one_three_five_and_seven_days_and_then_no_more() {
    let mut subscription = subscription(json!({}), "2027-01-01T10:00:00Z");
    let tries = ["02-01", "02-02", "02-05", "02-10", "02-17"];
    for (n, day) in tries.into_iter().enumerate() {
        let now = format!("2027-{day}T10:00:00Z");
        let renewal = renewal(subscription, &now);
        assert_eq!((renewal.attempt as usize, renewal.period.n), (n + 1, 2));
        let event = if n + 1 == tries.len() { EventType::SubscriptionUnpaid } else { EventType::SubscriptionPastDue };
        let (next, told) = ended(renewal, [Status::Failed, Status::Expired, Status::Canceled][n % 3], &now);
        assert_eq!(told, event);
        if let Some(day) = tries.get(n + 1) {
            assert_eq!((next.status, due(&next)), (SubscriptionStatus::PastDue, format!("2027-{day}T10:00:00.000Z")));
        }
        subscription = next;
    }
    assert_eq!((subscription.status, subscription.due_at, subscription.tries), (SubscriptionStatus::Unpaid, None, 5));
    assert_eq!(subscription.fall_due(token(), at("2028-01-01T00:00:00Z"), &entropy()), Ok(Due::Nothing));
}

#[test]
fn a_later_try_that_is_paid_pays_the_period_and_the_calendar_stays() {
    let past_due = unpaid(subscription(json!({}), "2027-01-01T10:00:00Z"), "2027-02-01T10:00:00Z");
    assert_eq!(past_due.error.as_ref().map(|error| error.code), Some(Code::PaymentFailed));
    let active = paid(past_due, "2027-02-02T10:00:00Z");
    assert_eq!((active.period.n, active.tries, active.error.as_ref()), (2, 0, None));
    assert_eq!((active.period.from, due(&active).as_str()), (at("2027-02-01T10:00:00Z"), "2027-03-01T10:00:00.000Z"));
}

#[test]
fn a_try_that_comes_when_its_period_is_over_pays_for_the_one_of_then() {
    let past_due = unpaid(subscription(json!({"interval": "day"}), "2027-01-01T10:00:00Z"), "2027-01-02T10:00:00Z");
    let again = renewal(past_due, "2027-01-03T10:00:00Z");
    assert_eq!((again.period.n, again.attempt), (3, 2));
}

#[test]
fn without_a_method_nobody_is_charged_and_it_counts_as_a_try() {
    let sold = subscription(json!({}), "2027-01-01T10:00:00Z");
    let now = at("2027-02-01T10:00:00Z");
    let Due::Changed(changed) = sold.fall_due(None, now, &entropy()).unwrap() else { panic!() };
    let (sold, event) = *changed;
    assert_eq!((sold.status, sold.tries, event), (SubscriptionStatus::PastDue, 1, EventType::SubscriptionPastDue));
    assert_eq!(sold.error.map(|error| error.code), Some(Code::PaymentMethodInvalid));
}

#[test]
fn nothing_is_renewed_early_twice_or_by_the_end_of_another_renewal() {
    let sold = subscription(json!({}), "2027-01-01T10:00:00Z");
    assert_eq!(sold.clone().fall_due(token(), at("2027-02-01T09:59:59.999Z"), &entropy()), Ok(Due::Nothing));
    let renewal = renewal(sold, "2027-02-01T10:00:00Z");
    assert_eq!(renewal.subscription.clone().fall_due(token(), at("2027-05-01T10:00:00Z"), &entropy()), Ok(Due::Nothing));
    let another = Checkout { id: CheckoutId::parse("chk_other").unwrap(), status: Status::Succeeded, ..renewal.checkout };
    assert_eq!(renewal.subscription.follow(&another, at("2027-02-01T10:00:01Z")), None);
}

#[test]
fn each_paid_period_gives_a_membership_that_is_good_for_it_and_a_trial_gives_none() {
    let terms = Terms { kind: MembershipType::Pack, credits: Some(8), valid_for: None };
    let given = Some(Given { membership: CatalogueId::parse("mem_1").unwrap(), terms });
    let now = at("2027-01-01T10:00:00Z");
    let checkout = sale(&json!({}), now, given.clone());
    let bought = crate::domain::bought_membership::sold(&checkout).pop().unwrap();
    let until = Some(at("2027-02-01T10:00:00Z"));
    assert_eq!((bought.credits, bought.valid_from, bought.valid_until), (Some(8), now, until));
    let renewal = renewal(sold(&checkout).pop().unwrap(), "2027-02-01T11:00:00Z");
    let next = crate::domain::bought_membership::sold(&renewal.checkout).pop().unwrap();
    assert_eq!((Some(next.valid_from), next.valid_until), (until, Some(at("2027-03-01T10:00:00Z"))));
    assert_ne!(next.id, bought.id);
    assert_eq!(crate::domain::bought_membership::sold(&sale(&json!({"trial_days": 7}), now, given)), []);
}

#[test]
fn a_card_is_left_with_the_customer_and_a_saved_one_is_kept() {
    let checkout = sale(&json!({}), at("2027-01-01T10:00:00Z"), None);
    let (id, token) = left_method(&checkout).unwrap();
    assert_eq!((token.reveal().as_str(), &sold(&checkout)[0].method), ("tok_visa", &id));
    let saved = PaymentMethodId::parse("pm_mine").unwrap();
    let mut with_saved = checkout;
    with_saved.order.legs[0].tender = Tender::SavedMethod { id: saved.clone(), token: None, owner: None };
    assert_eq!((left_method(&with_saved), &sold(&with_saved)[0].method), (None, &saved));
    // The renewal's own card stays where it is.
    let checkout = renewal(sold(&with_saved).remove(0), "2027-02-01T10:00:00Z").checkout;
    assert_eq!(left_method(&checkout), None);
}

/// What can happen to a subscription.
#[derive(Debug, Clone)]
enum Happening {
    Hours(u16),
    Work { has_method: bool },
    End(Status),
    Change(Change),
}

fn happenings() -> impl Strategy<Value = Happening> {
    let ends = vec![Status::Succeeded, Status::Failed, Status::Expired, Status::Canceled];
    let changes = vec![
        Change::Pause(None),
        Change::Resume,
        Change::Resume,
        Change::PayWith(PaymentMethodId::parse("pm_2").unwrap()),
        Change::CancelAtPeriodEnd,
    ];
    prop_oneof![
        4 => (1u16..1_500).prop_map(Happening::Hours),
        6 => (0u8..10).prop_map(|n| Happening::Work { has_method: n > 0 }),
        4 => prop::sample::select(ends).prop_map(Happening::End),
        2 => prop::sample::select(changes).prop_map(Happening::Change),
    ]
}

proptest! {
    /// Whatever happens in whatever order: no period is charged twice or under another's number, none that overlaps with one that was
    /// paid, none before its time; nothing is forgotten, and nothing is charged behind an end.
    #[test]
    fn no_period_is_paid_twice_and_no_subscription_is_forgotten(
        happenings in prop::collection::vec(happenings(), 1..120),
        interval in prop::sample::select(vec!["day", "week", "month"]),
        trial in 0u32..40, anchored in any::<bool>(), ends in any::<bool>(),
    ) {
        let mut plan = json!({"interval": interval, "trial_days": trial});
        if anchored && interval == "month" {
            plan["anchor_day"] = json!(15);
        }
        let mut now = at("2027-01-31T10:00:00Z");
        let entropy = entropy();
        let mut subscription = sold(&sale(&plan, now, None)).pop().unwrap();
        let mut under_way: Option<Renewal> = None;
        let mut asked: HashSet<(u32, u32)> = HashSet::new();
        let mut paid_until = subscription.period.until;
        let end = ends.then_some(Happening::Change(Change::CancelNow));
        for happening in happenings.into_iter().chain(end) {
            let version = subscription.version;
            match happening {
                Happening::Hours(hours) => now = now.after(Duration::from_secs(u64::from(hours) * 3600)),
                Happening::Work { has_method } => match subscription.clone().fall_due(token().filter(|_| has_method), now, &entropy).unwrap() {
                    Due::Nothing => {}
                    Due::Changed(changed) => subscription = changed.0,
                    Due::Renew(renewal) => {
                        prop_assert!(under_way.is_none() && subscription.ended_at.is_none());
                        prop_assert!(asked.insert((renewal.period.n, renewal.attempt)), "asked twice: {:?}", renewal.period);
                        prop_assert!(renewal.period.from <= now && now < renewal.period.until, "not the period of now");
                        prop_assert!(renewal.period.from >= paid_until, "was paid before: {:?}", renewal.period);
                        subscription = renewal.subscription.clone();
                        under_way = Some(*renewal);
                    }
                },
                Happening::End(status) => if let Some(Renewal { checkout, period, .. }) = under_way.take() {
                    subscription = subscription.follow(&Checkout { status, ..checkout }, now).unwrap().0;
                    if status == Status::Succeeded {
                        paid_until = period.until;
                    }
                },
                Happening::Change(change) => if let Ok(Some((changed, _))) = subscription.clone().change(&change, now) {
                    subscription = changed;
                },
            }
            prop_assert!(subscription.version >= version);
            prop_assert_eq!(subscription.renewal.is_some(), under_way.is_some());
            let comes = subscription.due_at.is_some() || under_way.is_some();
            match subscription.status {
                SubscriptionStatus::Trialing | SubscriptionStatus::Active | SubscriptionStatus::PastDue => prop_assert!(comes, "{subscription:?}"),
                SubscriptionStatus::Paused => prop_assert_eq!(subscription.due_at.is_some(), subscription.cancel_at_period_end),
                SubscriptionStatus::Unpaid => prop_assert!(!comes),
                SubscriptionStatus::Canceled => prop_assert!(!comes && subscription.ended_at.is_some()),
            }
        }
    }
}
