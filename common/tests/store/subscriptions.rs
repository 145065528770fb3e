//! Subscriptions: a sold plan renews by itself, one charge for each period, whoever races and whoever cancels.

use super::{
    fixture::{self, Shop, approved, declined},
    memberships::ada,
};
use boxoffice_common::{
    domain::{
        attempt::Outcome,
        error::Code,
        id::{CheckoutId, CustomerId, PaymentMethodId, SubscriptionId},
        line::Item,
        payment_method::CardFace,
        secret::Secret,
        state::Status,
        subscription::{Subscription, SubscriptionStatus},
        subscription_change::Change,
    },
    ports::store::*,
};
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// What the only line of a checkout starts.
fn starts(new: &NewCheckout) -> SubscriptionId {
    match &new.order.lines[0].item {
        Item::Plan { subscription, .. } => subscription.clone(),
        other => panic!("{other:?}"),
    }
}

pub async fn subscription(shop: &Shop, id: &SubscriptionId) -> Subscription {
    shop.store.subscription(&shop.scope, id).await.unwrap().unwrap()
}

/// A plan that was sold and paid.
pub async fn sold(shop: &Shop, customer: &CustomerId, changes: Value) -> SubscriptionId {
    let new = shop.buy_plan(customer, &changes);
    let id = starts(&new);
    let checkout = shop.accept(new).await;
    charge(shop, &checkout, approved(4900)).await;
    id
}

pub async fn charge(shop: &Shop, checkout: &CheckoutId, outcome: Outcome) {
    let (n, token) = shop.begin_charge(checkout).await;
    shop.settle(checkout, n, &token, outcome).await;
}

/// As if it had all been so much longer ago.
pub async fn let_days_pass(shop: &Shop, id: &SubscriptionId, days: i64) {
    let ms = days * DAY_MS;
    let moved =
        ["period_from", "period_until", "starts_at", "due_at", "created_at", "updated_at"].map(|name| format!("{name} = {name} - {ms}"));
    shop.sql(&format!("UPDATE subscriptions SET {} WHERE id = '{id}'", moved.join(", "))).await;
}

/// The checkouts of the renewals that are made now.
pub async fn renew(shop: &Shop) -> Vec<CheckoutId> {
    shop.store.renew(1_000).await.unwrap().checkouts.into_iter().map(|(_, checkout)| checkout).collect()
}

pub async fn renew_one(shop: &Shop) -> CheckoutId {
    let mut renewed = renew(shop).await;
    assert_eq!(renewed.len(), 1, "{renewed:?}");
    renewed.remove(0)
}

/// One whose period is over.
async fn due(shop: &Shop) -> SubscriptionId {
    let ada = ada(shop).await;
    let id = sold(shop, &ada, json!({})).await;
    let_days_pass(shop, &id, 32).await;
    id
}

/// One that is being renewed, and the checkout of that.
pub async fn renewing(shop: &Shop) -> (SubscriptionId, CheckoutId) {
    let id = due(shop).await;
    let checkout = renew_one(shop).await;
    (id, checkout)
}

pub async fn change(shop: &Shop, id: &SubscriptionId, change: Change) -> SubscriptionChanged {
    shop.store.change_subscription(&shop.scope, id, &change).await.unwrap()
}

pub async fn changed(shop: &Shop, id: &SubscriptionId, to: Change) -> Subscription {
    match change(shop, id, to).await {
        SubscriptionChanged::Done { subscription, .. } => *subscription,
        other => panic!("{other:?}"),
    }
}

async fn save_card(shop: &Shop, customer: &CustomerId, id: &str) -> PaymentMethodId {
    let card = CardFace { brand: "visa".to_owned(), last4: "4242".to_owned(), exp_month: 1, exp_year: 2030 };
    let id = PaymentMethodId::parse(id).unwrap();
    let token = Secret::new("tok_new".to_owned());
    let put = PutMethod {
        scope: shop.scope.clone(),
        customer: customer.clone(),
        id: id.clone(),
        token,
        card,
        is_default: false,
        is_shared: false,
    };
    assert!(matches!(shop.store.put_method(&put).await.unwrap(), MethodPut::Created(_)));
    id
}

/// The types of the events about it, oldest first.
async fn told(shop: &Shop, id: &SubscriptionId) -> Vec<String> {
    let page = shop.store.deliveries(&shop.scope, None, None, &fixture::page(100)).await.unwrap();
    page.data.into_iter().rev().filter(|delivery| delivery.subject == id.as_str()).map(|delivery| delivery.event_type).collect()
}

over_both! {
    async fn a_plan_that_is_sold_starts_a_subscription_and_leaves_the_card_with_its_customer(shop) {
        let ada = ada(&shop).await;
        let new = shop.buy_plan(&ada, &json!({}));
        let id = starts(&new);
        let checkout = shop.accept(new).await;
        let (n, token) = shop.begin_charge(&checkout).await;
        assert_eq!(shop.store.subscription(&shop.scope, &id).await.unwrap(), None, "nobody has paid");
        shop.settle(&checkout, n, &token, approved(4900)).await;
        let started = subscription(&shop, &id).await;
        assert_eq!((started.status, started.period.n, started.due_at), (SubscriptionStatus::Active, 1, Some(started.period.until)));
        assert_eq!((&started.sold_by.0, &started.customer), (&checkout, &ada));
        let method = shop.store.method(&shop.scope, &ada, &started.method).await.unwrap().unwrap();
        assert_eq!((method.token.reveal().as_str(), method.card, method.is_default), ("tok_visa", None, false));
        assert_eq!(renew(&shop).await, [], "it is not due");
        shop.assert_clean().await;
    }

    async fn a_sale_that_fails_starts_nothing_and_leaves_no_card(shop) {
        let ada = ada(&shop).await;
        let new = shop.buy_plan(&ada, &json!({}));
        let id = starts(&new);
        let checkout = shop.accept(new).await;
        charge(&shop, &checkout, declined()).await;
        assert_eq!(shop.store.subscription(&shop.scope, &id).await.unwrap(), None);
        assert_eq!(shop.store.methods_of(&shop.scope, &ada, &fixture::page(10)).await.unwrap().data, []);
        shop.assert_clean().await;
    }

    async fn a_trial_starts_for_nothing_and_is_charged_when_it_is_over(shop) {
        let ada = ada(&shop).await;
        let new = shop.buy_plan(&ada, &json!({"trial_days": 14}));
        let id = starts(&new);
        let checkout = shop.accept(new).await;
        let (begun, _) = shop.begin(&checkout).await;
        assert!(matches!(begun.next, Next::Moved(ref moved) if moved.status == Status::Succeeded), "{begun:?}");
        let trial = subscription(&shop, &id).await;
        assert_eq!((trial.status, trial.period.n), (SubscriptionStatus::Trialing, 0));
        let_days_pass(&shop, &id, 15).await;
        let renewal = renew_one(&shop).await;
        charge(&shop, &renewal, approved(4900)).await;
        let active = subscription(&shop, &id).await;
        assert_eq!((active.status, active.period.n, active.period.from), (SubscriptionStatus::Active, 1, trial.period.until.before(Duration::from_secs(15 * 86_400))));
        shop.assert_clean().await;
    }

    async fn a_renewal_that_is_due_is_a_checkout_of_its_own_that_moves_the_subscription_on_when_it_is_paid(shop) {
        let id = due(&shop).await;
        let before = subscription(&shop, &id).await;
        let checkout = renew_one(&shop).await;
        assert_eq!(renew(&shop).await, [], "one is under way");
        let under_way = subscription(&shop, &id).await;
        assert_eq!((under_way.renewal.map(|renewal| renewal.checkout), under_way.due_at), (Some(checkout.clone()), None));
        let renewal = shop.checkout(&checkout).await;
        assert_eq!((renewal.status, renewal.order.totals.total.minor(), renewal.due_at.is_some()), (Status::Queued, 4900, true));
        shop.assert_clean().await;
        charge(&shop, &checkout, approved(4900)).await;
        let after = subscription(&shop, &id).await;
        assert_eq!((after.period.n, after.period.from, after.due_at), (2, before.period.until, Some(after.period.until)));
        assert_eq!((after.renewal, after.status), (None, SubscriptionStatus::Active));
        assert_eq!(renew(&shop).await, [], "nothing is due");
        shop.assert_clean().await;
    }

    async fn after_an_outage_of_several_periods_one_is_charged(shop) {
        let ada = ada(&shop).await;
        let id = sold(&shop, &ada, json!({"interval_count": 1})).await;
        let_days_pass(&shop, &id, 10).await;
        let checkout = renew_one(&shop).await;
        charge(&shop, &checkout, approved(4900)).await;
        let now = shop.store.now().await.unwrap();
        let after = subscription(&shop, &id).await;
        assert!(after.period.from <= now && now < after.period.until && after.period.n == 11, "{after:?}");
        assert_eq!(renew(&shop).await, []);
        shop.assert_clean().await;
    }

    async fn of_many_that_renew_at_once_each_makes_one_checkout_for_each_subscription(shop) {
        let ada = ada(&shop).await;
        let mut ids = Vec::new();
        for _ in 0..10 {
            let id = sold(&shop, &ada, json!({})).await;
            let_days_pass(&shop, &id, 40).await;
            ids.push(id);
        }
        let (here, there) = (&shop.store, shop.another_store().await);
        let renewed = join_all((0..16).map(async |n| if n % 2 == 0 { here.renew(100).await } else { there.renew(100).await })).await;
        let mut checkouts: Vec<CheckoutId> = renewed.into_iter().flat_map(|renewed| renewed.unwrap().checkouts).map(|(_, checkout)| checkout).collect();
        // Who finds a row locked leaves it to whoever has it.
        checkouts.extend(renew(&shop).await);
        assert_eq!(checkouts.len(), ids.len());
        for id in &ids {
            let renewal = subscription(&shop, id).await.renewal.unwrap().checkout;
            assert!(checkouts.contains(&renewal));
        }
        shop.assert_clean().await;
    }

    async fn a_renewal_that_is_not_paid_is_tried_again_later_and_at_once_with_another_method(shop) {
        let ada = ada(&shop).await;
        let id = sold(&shop, &ada, json!({})).await;
        let_days_pass(&shop, &id, 32).await;
        for (attempt, days) in [1, 3, 5, 7].into_iter().enumerate() {
            let checkout = renew_one(&shop).await;
            charge(&shop, &checkout, declined()).await;
            let past_due = subscription(&shop, &id).await;
            assert_eq!((past_due.status, past_due.tries as usize), (SubscriptionStatus::PastDue, attempt + 1));
            assert_eq!(past_due.error.map(|error| error.code), Some(Code::CardDeclined));
            let wait = past_due.due_at.unwrap().since(past_due.updated_at);
            assert_eq!(wait, Duration::from_secs(days * 86_400));
            assert_eq!(renew(&shop).await, []);
            let_days_pass(&shop, &id, i64::try_from(days).unwrap()).await;
        }
        let checkout = renew_one(&shop).await;
        charge(&shop, &checkout, declined()).await;
        let unpaid = subscription(&shop, &id).await;
        assert_eq!((unpaid.status, unpaid.due_at, unpaid.tries), (SubscriptionStatus::Unpaid, None, 5));
        assert!(matches!(change(&shop, &id, Change::PayWith(PaymentMethodId::parse("pm_none").unwrap())).await, SubscriptionChanged::MethodMissing));
        let method = save_card(&shop, &ada, "pm_new").await;
        let again = changed(&shop, &id, Change::PayWith(method)).await;
        assert_eq!(again.status, SubscriptionStatus::PastDue);
        let checkout = renew_one(&shop).await;
        assert_eq!(shop.checkout(&checkout).await.order.legs[0].tender.token().map(|token| token.reveal().as_str()), Some("tok_new"));
        charge(&shop, &checkout, approved(4900)).await;
        let active = subscription(&shop, &id).await;
        assert_eq!((active.status, active.tries, active.error), (SubscriptionStatus::Active, 0, None));
        shop.assert_clean().await;
    }

    async fn without_its_method_nobody_is_charged_and_the_subscription_is_past_due(shop) {
        let ada = ada(&shop).await;
        let id = sold(&shop, &ada, json!({})).await;
        let method = subscription(&shop, &id).await.method;
        assert!(shop.store.delete_method(&shop.scope, &ada, &method).await.unwrap());
        let_days_pass(&shop, &id, 32).await;
        assert_eq!(renew(&shop).await, []);
        let past_due = subscription(&shop, &id).await;
        assert_eq!((past_due.status, past_due.error.map(|error| error.code)), (SubscriptionStatus::PastDue, Some(Code::PaymentMethodInvalid)));
        shop.assert_clean().await;
    }

    async fn a_renewal_waits_for_a_customer_who_has_to_confirm_it_and_is_tried_again_when_that_comes_to_nothing(shop) {
        let (id, checkout) = renewing(&shop).await;
        let pending = Outcome::RequiresAction { url: "https://bank.example".to_owned(), provider_reference: "ch_1".to_owned() };
        charge(&shop, &checkout, pending).await;
        let waiting = shop.checkout(&checkout).await;
        assert_eq!((waiting.status, waiting.payment_url.as_deref()), (Status::AwaitingPayment, Some("https://bank.example")));
        assert_eq!(waiting.expires_at.since(waiting.created_at), Duration::from_secs(86_400));
        assert_eq!(subscription(&shop, &id).await.renewal.map(|renewal| renewal.checkout), Some(checkout.clone()));
        // Its time is over: the provider is asked to give it up, and does.
        shop.sql(&format!("UPDATE checkouts SET expires_at = 1, due_at = 1 WHERE id = '{checkout}'")).await;
        charge(&shop, &checkout, approved(4900)).await;
        assert_eq!(shop.checkout(&checkout).await.status, Status::Expired);
        let past_due = subscription(&shop, &id).await;
        assert_eq!((past_due.status, past_due.tries, past_due.renewal), (SubscriptionStatus::PastDue, 1, None));
        shop.assert_clean().await;
    }

    async fn a_renewal_that_a_shop_cancels_as_a_checkout_is_tried_again(shop) {
        let (id, checkout) = renewing(&shop).await;
        assert!(matches!(shop.store.cancel(&shop.scope, &checkout).await.unwrap(), CancelResult::Canceled(..)));
        let past_due = subscription(&shop, &id).await;
        assert_eq!((past_due.status, past_due.error.map(|error| error.code)), (SubscriptionStatus::PastDue, Some(Code::Canceled)));
        shop.assert_clean().await;
    }

    async fn each_paid_period_gives_a_membership_of_its_own(shop) {
        let ada = ada(&shop).await;
        let id = sold(&shop, &ada, json!({"membership": "mem_pack"})).await;
        let_days_pass(&shop, &id, 32).await;
        let checkout = renew_one(&shop).await;
        charge(&shop, &checkout, approved(4900)).await;
        let now = subscription(&shop, &id).await;
        let bought = shop.store.bought_of(&shop.scope, &ada, &fixture::page(10)).await.unwrap().data;
        assert_eq!(bought.iter().map(|credited| credited.left()).collect::<Vec<_>>(), [Some(8), Some(8)]);
        assert!(bought.iter().any(|credited| credited.bought.valid_until == Some(now.period.until) && credited.bought.valid_from == now.period.from));
        shop.assert_clean().await;
    }

    async fn everybody_is_told_in_the_same_transaction(shop) {
        let secret = Secret::new("whsec_1".to_owned());
        let id = boxoffice_common::domain::id::EndpointId::parse("crm").unwrap();
        shop.store.put_endpoint(&shop.scope, &PutEndpoint::standard(&id, "https://crm.example/hooks", &["*"]), &secret).await.unwrap();
        let (id, checkout) = renewing(&shop).await;
        charge(&shop, &checkout, declined()).await;
        let_days_pass(&shop, &id, 1).await;
        let checkout = renew_one(&shop).await;
        let (n, token) = shop.begin_charge(&checkout).await;
        let Settled::Moved(moved) = shop.settle(&checkout, n, &token, approved(4900)).await else { panic!() };
        assert_eq!(moved.deliveries.len(), 2, "the checkout's and the subscription's");
        changed(&shop, &id, Change::Pause(None)).await;
        let SubscriptionChanged::Done { deliveries, .. } = change(&shop, &id, Change::CancelNow).await else { panic!() };
        assert_eq!(deliveries.len(), 1);
        let words = ["created", "past_due", "renewed", "updated", "canceled"].map(|word| format!("subscription.{word}"));
        assert_eq!(told(&shop, &id).await, words);
    }

    async fn another_scope_sees_and_changes_nothing_and_lists_are_narrowed(shop) {
        let ada = ada(&shop).await;
        let (first, second) = (sold(&shop, &ada, json!({})).await, sold(&shop, &ada, json!({})).await);
        assert_eq!(shop.store.subscription(&shop.other_scope(), &first).await.unwrap(), None);
        let theirs = shop.store.change_subscription(&shop.other_scope(), &first, &Change::CancelNow).await.unwrap();
        assert!(matches!(theirs, SubscriptionChanged::Missing), "{theirs:?}");
        let paused = changed(&shop, &first, Change::Pause(Some("holiday".to_owned()))).await;
        assert_eq!(paused.pause.as_ref().and_then(|pause| pause.reason.as_deref()), Some("holiday"));
        assert_eq!(shop.store.subscription(&shop.scope, &first).await.unwrap().as_ref(), Some(&paused));
        let list = |filter: SubscriptionFilter, page: PageRequest| {
            let shop = &shop;
            async move { shop.store.subscriptions(&shop.scope, &filter, &page).await.unwrap() }
        };
        let ids = |page: Page<Subscription>| page.data.into_iter().map(|subscription| subscription.id).collect::<Vec<_>>();
        assert_eq!(ids(list(SubscriptionFilter::default(), fixture::page(10)).await), [second.clone(), first.clone()]);
        let paused = SubscriptionFilter { status: Some(SubscriptionStatus::Paused), customer: Some(ada) };
        assert_eq!(ids(list(paused, fixture::page(10)).await), std::slice::from_ref(&first));
        let page = list(SubscriptionFilter::default(), fixture::page(1)).await;
        let next = PageRequest { limit: 1, after: page.next_cursor.clone() };
        assert_eq!((ids(page), ids(list(SubscriptionFilter::default(), next).await)), (vec![second], vec![first]));
        let nobody = SubscriptionFilter { customer: Some(CustomerId::parse("cus_nobody").unwrap()), status: None };
        assert_eq!(ids(list(nobody, fixture::page(10)).await), []);
    }

    async fn the_audit_sees_what_is_forgotten_paid_twice_or_invented(shop) {
        let ada = ada(&shop).await;
        let id = sold(&shop, &ada, json!({})).await;
        let_days_pass(&shop, &id, 32).await;
        let checkout = renew_one(&shop).await;
        charge(&shop, &checkout, approved(4900)).await;
        let other = sold(&shop, &ada, json!({})).await;
        shop.assert_clean().await;
        shop.sql(&format!("UPDATE subscriptions SET due_at = NULL WHERE id = '{id}'")).await;
        assert_eq!(shop.broken().await, ["stuck_subscription"]);
        assert_eq!(shop.store.repair().await.unwrap(), ["1 subscriptions made due"]);
        shop.assert_clean().await;
        let sale = subscription(&shop, &other).await.sold_by.0;
        shop.sql(&format!("INSERT INTO subscription_renewals VALUES ('{id}', 2, 9, '{sale}', 1)")).await;
        assert_eq!(shop.broken().await, ["period_paid_twice"]);
        shop.sql("DELETE FROM subscription_renewals WHERE attempt = 9").await;
        shop.sql(&format!("UPDATE subscriptions SET period = 1 WHERE id = '{id}'")).await;
        assert_eq!(shop.broken().await, ["renewal_not_followed"]);
        shop.sql(&format!("UPDATE subscriptions SET period = 2, due_at = NULL, renewal = '{checkout}' WHERE id = '{id}'")).await;
        assert_eq!(shop.broken().await, ["renewal_of_ended_checkout"]);
        shop.sql(&format!("UPDATE subscriptions SET due_at = 1, renewal = NULL, checkout = 'chk_nobodys' WHERE id = '{id}'")).await;
        assert_eq!(shop.broken().await, ["subscription_not_started", "subscription_not_sold", "stuck_subscription"]);
    }
}
