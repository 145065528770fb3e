use super::*;
use crate::domain::{
    state::Status,
    subscription::{
        Due,
        tests::{at, ended, paid, renewal, subscription, unpaid},
    },
};
use serde_json::json;

const SOLD: &str = "2027-01-01T10:00:00Z";

fn changed(subscription: Subscription, change: Change, now: &str) -> Subscription {
    subscription.change(&change, at(now)).unwrap().unwrap().0
}

#[test]
fn a_pause_keeps_what_is_paid_and_charges_nothing_until_it_is_over() {
    let paused = changed(subscription(json!({}), SOLD), Change::Pause(Some("holiday".to_owned())), "2027-01-10T00:00:00Z");
    assert_eq!((paused.status, paused.due_at), (SubscriptionStatus::Paused, None));
    let pause = Pause { since: at("2027-01-10T00:00:00Z"), reason: Some("holiday".to_owned()) };
    assert_eq!(paused.pause, Some(pause), "as it was said first");
    assert_eq!(paused.clone().change(&Change::Pause(None), at("2027-01-11T00:00:00Z")), Ok(None));
    let back = changed(paused.clone(), Change::Resume, "2027-01-20T00:00:00Z");
    assert_eq!((back.status, back.due_at, back.pause), (SubscriptionStatus::Active, Some(at("2027-02-01T10:00:00Z")), None));
    // What was paid is over: a new period begins with the resume, and is charged then.
    let late = changed(paused, Change::Resume, "2027-03-20T12:00:00Z");
    assert_eq!(late.due_at, Some(at("2027-03-20T12:00:00Z")));
    let renewal = renewal(late, "2027-03-20T12:00:01Z");
    assert_eq!((renewal.period.n, renewal.period.from, renewal.period.until), (2, at("2027-03-20T12:00:00Z"), at("2027-04-20T12:00:00Z")));
    assert_eq!(paid(ended(renewal, Status::Succeeded, "2027-03-20T12:00:02Z").0, "2027-04-20T12:00:00Z").period.n, 3);
}

#[test]
fn a_trial_that_was_paused_goes_on_as_a_trial() {
    let paused = changed(subscription(json!({"trial_days": 30}), SOLD), Change::Pause(None), "2027-01-10T00:00:00Z");
    let back = changed(paused, Change::Resume, "2027-01-20T00:00:00Z");
    assert_eq!((back.status, back.due_at), (SubscriptionStatus::Trialing, Some(at("2027-01-31T10:00:00Z"))));
}

#[test]
fn an_end_with_the_period_comes_then_and_can_be_called_back() {
    let ending = changed(subscription(json!({}), SOLD), Change::CancelAtPeriodEnd, "2027-01-10T00:00:00Z");
    assert_eq!((ending.status, ending.due_at), (SubscriptionStatus::Active, Some(at("2027-02-01T10:00:00Z"))));
    assert_eq!(ending.clone().change(&Change::CancelAtPeriodEnd, at("2027-01-11T00:00:00Z")), Ok(None));
    let end = |subscription: Subscription| {
        let entropy = crate::domain::id::Entropy::from_seed(1);
        match subscription.fall_due(None, at("2027-02-01T10:00:00Z"), &entropy).unwrap() {
            Due::Changed(changed) => changed.0.status,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(end(ending.clone()), SubscriptionStatus::Canceled);
    let paused = changed(ending.clone(), Change::Pause(None), "2027-01-12T00:00:00Z");
    assert_eq!(end(paused), SubscriptionStatus::Canceled, "a pause does not hold it up");
    let on = changed(ending, Change::Resume, "2027-01-12T00:00:00Z");
    assert_eq!(paid(on, "2027-02-01T10:00:00Z").period.n, 2);
    // Where the period is over the end is now.
    let past_due = unpaid(subscription(json!({}), SOLD), "2027-02-01T10:00:00Z");
    assert_eq!(changed(past_due, Change::CancelAtPeriodEnd, "2027-02-01T11:00:00Z").status, SubscriptionStatus::Canceled);
}

#[test]
fn what_has_ended_stays_so() {
    let canceled = changed(subscription(json!({}), SOLD), Change::CancelNow, "2027-01-10T00:00:00Z");
    assert_eq!((canceled.status, canceled.due_at, canceled.ended_at.is_some()), (SubscriptionStatus::Canceled, None, true));
    for again in [Change::CancelNow, Change::CancelAtPeriodEnd] {
        assert_eq!(canceled.clone().change(&again, at("2027-01-11T00:00:00Z")), Ok(None));
    }
    for change in [Change::Pause(None), Change::Resume, Change::PayWith(PaymentMethodId::parse("pm_2").unwrap())] {
        assert_eq!(canceled.clone().change(&change, at("2027-01-11T00:00:00Z")), Err(ChangeRefusal::Ended));
    }
}

#[test]
fn an_end_waits_for_the_renewal_that_is_under_way_whatever_comes_of_it() {
    for (status, period) in [(Status::Failed, 1), (Status::Canceled, 1), (Status::Succeeded, 2)] {
        let mut renewal = renewal(subscription(json!({}), SOLD), "2027-02-01T10:00:00Z");
        assert_eq!(renewal.subscription.clone().change(&Change::Pause(None), at("2027-02-01T10:00:01Z")), Err(ChangeRefusal::UnderWay));
        renewal.subscription = changed(renewal.subscription, Change::CancelNow, "2027-02-01T10:00:01Z");
        assert_eq!(renewal.subscription.status, SubscriptionStatus::Active);
        assert_eq!(renewal.subscription.clone().change(&Change::CancelNow, at("2027-02-01T10:00:02Z")), Ok(None));
        assert_eq!(renewal.subscription.clone().change(&Change::Resume, at("2027-02-01T10:00:02Z")), Err(ChangeRefusal::UnderWay));
        let (end, event) = ended(renewal, status, "2027-02-01T10:00:03Z");
        assert_eq!(
            (end.status, end.period.n, end.due_at, event),
            (SubscriptionStatus::Canceled, period, None, EventType::SubscriptionCanceled)
        );
    }
}

#[test]
fn an_end_with_the_period_that_is_asked_for_behind_a_renewal_is_that_of_the_period_it_pays() {
    let mut renewal = renewal(subscription(json!({}), SOLD), "2027-02-01T10:00:00Z");
    renewal.subscription = changed(renewal.subscription, Change::CancelAtPeriodEnd, "2027-02-01T10:00:01Z");
    assert_eq!(ended(renewal.clone(), Status::Failed, "2027-02-01T10:00:03Z").0.status, SubscriptionStatus::Canceled);
    let (paid, event) = ended(renewal, Status::Succeeded, "2027-02-01T10:00:03Z");
    assert_eq!(
        (paid.status, paid.due_at, event),
        (SubscriptionStatus::Active, Some(at("2027-03-01T10:00:00Z")), EventType::SubscriptionRenewed)
    );
}

#[test]
fn another_method_is_charged_at_once_when_a_period_is_owed_and_else_when_it_is_due() {
    let with = |subscription: Subscription, method: &str| {
        subscription
            .change(&Change::PayWith(PaymentMethodId::parse(method).unwrap()), at("2027-03-10T00:00:00Z"))
            .unwrap()
            .map(|changed| changed.0)
    };
    let active = paid(paid(subscription(json!({}), SOLD), "2027-02-01T10:00:00Z"), "2027-03-01T10:00:00Z");
    let changed = with(active, "pm_2").unwrap();
    assert_eq!(
        (changed.method.as_str(), changed.status, changed.due_at),
        ("pm_2", SubscriptionStatus::Active, Some(at("2027-04-01T10:00:00Z")))
    );
    assert_eq!(with(changed, "pm_2"), None);
    let mut owing = subscription(json!({}), SOLD);
    for now in ["2027-02-01T10:00:00Z", "2027-02-02T10:00:00Z", "2027-02-05T10:00:00Z", "2027-02-10T10:00:00Z", "2027-02-17T10:00:00Z"] {
        owing = unpaid(owing, now);
    }
    assert_eq!(owing.status, SubscriptionStatus::Unpaid);
    let again = with(owing, "pm_2").unwrap();
    assert_eq!((again.status, again.due_at), (SubscriptionStatus::PastDue, Some(at("2027-03-10T00:00:00Z"))));
    let renewal = renewal(again, "2027-03-10T00:00:01Z");
    assert_eq!((renewal.period.n, renewal.attempt), (3, 6), "the period of now, and no number twice");
    assert_eq!(ended(renewal, Status::Failed, "2027-03-10T00:00:02Z").1, EventType::SubscriptionUnpaid, "one more try, not five");
}
