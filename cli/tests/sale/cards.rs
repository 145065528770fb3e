//! Every way to pay: the sandbox's cards, cash, and nothing at all.

use crate::support::{
    catalogue::{custom, order, places, put, session, with},
    client::{Client, callback, fresh_key},
    system::System,
};
use boxoffice_testkit::Receiver;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub async fn story(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_cards", session(100)).await;
    let receiver = Receiver::start().await.unwrap();
    tokio::join!(
        a_card_is_charged_and_the_callback_says_what_polling_says(&shop, &receiver),
        declines_end_in_failed_and_give_the_places_back(&shop, &receiver),
        trouble_on_the_way_is_overcome_with_one_charge(&shop),
        a_lost_answer_is_found_out_and_never_charged_again(&shop),
        a_customer_approves(&shop, &receiver),
        a_customer_refuses(&shop, &receiver),
        a_customer_stays_away(&shop, &receiver),
        cash_and_nothing_need_no_provider(&shop, &receiver),
    );
    // 2 + flaky 1 + slow 1 + two lost answers + approved 1 + free 1 + cash 3.
    assert_eq!(shop.left("ses_cards").await, (11, 0, 89));
}

async fn buy(shop: &Client, token: &str, receiver: &Receiver) -> String {
    shop.order(&with(&places("ses_cards", 1, token), json!({"callback_url": format!("{}/hooks", receiver.url())}))).await
}

/// The callback about this end is signed with the tenant's secret, and its data is what GET says at that version.
async fn told(shop: &Client, receiver: &Receiver, kind: &str, checkout: &Value) {
    let delivery = callback(receiver, kind, checkout["id"].as_str().unwrap()).await;
    let secret = shop.get("/v1/webhook-secret").await.expect(200)["secret"].as_str().unwrap().to_owned();
    delivery.verify(&secret).unwrap();
    let event = delivery.json();
    assert_eq!(&event["data"], checkout);
    assert_eq!((delivery.id(), event.as_object().unwrap().len()), (event["id"].as_str().unwrap(), 4));
    assert!(delivery.id().starts_with("evt_") && event["created_at"].as_str().is_some_and(|at| at.ends_with('Z')));
    assert_eq!(delivery.header("content-type").unwrap(), "application/json");
}

async fn a_card_is_charged_and_the_callback_says_what_polling_says(shop: &Client, receiver: &Receiver) {
    let body = with(
        &places("ses_cards", 2, "tok_visa"),
        json!({
            "customer": {"external_id": "u-1", "email": "ada@example.com", "name": "Ada", "date_of_birth": "1990-12-10"},
            "success_url": "https://shop.example/thanks?c={CHECKOUT_ID}", "cancel_url": "https://shop.example/cart",
            "callback_url": format!("{}/hooks?shop=1", receiver.url()), "callback_state": "opaque", "reference": "order-77",
            "expires_in": 1800, "metadata": {"any": ["json", 1, null, {"deep": true}]},
        }),
    );
    let first = shop.submit(&fresh_key(), &body).await.expect(202);
    assert!(first["queue"]["position"].is_u64() && first["queue"]["estimated_wait_ms"].is_u64(), "{first}");
    let sold = shop.settled(first["id"].as_str().unwrap()).await;
    for (field, value) in [
        ("object", json!("checkout")),
        ("status", json!("succeeded")),
        ("livemode", json!(false)),
        ("currency", json!("usd")),
        ("amount_subtotal", json!(3000)),
        ("amount_discount", json!(0)),
        ("amount_tax", json!(0)),
        ("amount_total", json!(3000)),
        ("amount_paid", json!(3000)),
        ("amount_refunded", json!(0)),
        ("error", json!(null)),
        ("payment_url", json!(null)),
        ("success_url", body["success_url"].clone()),
        ("cancel_url", body["cancel_url"].clone()),
        ("callback_url", body["callback_url"].clone()),
        ("callback_state", json!("opaque")),
        ("reference", json!("order-77")),
        ("metadata", body["metadata"].clone()),
    ] {
        assert_eq!(sold[field], value, "{field}");
    }
    assert!(sold.get("queue").is_none(), "{sold}");
    assert!(sold["version"].as_i64() > first["version"].as_i64());
    assert!(sold["completed_at"].is_string() && sold["customer"].as_str().is_some_and(|id| id.starts_with("cus_")));
    let line = &sold["lines"][0];
    assert!(line["id"].as_str().is_some_and(|id| id.starts_with("li_")), "{line}");
    let shown = ["type", "session", "name", "quantity", "unit_amount", "amount", "seats"].map(|field| line[field].clone());
    assert_eq!(json!(shown), json!(["session", "ses_cards", "Evening class", 2, 1500, 3000, []]));
    let attempt = &sold["payment_attempts"][0];
    assert!(attempt["id"].as_str().is_some_and(|id| id.starts_with("pat_")), "{attempt}");
    let shown = ["provider", "status", "amount", "decline_code"].map(|field| attempt[field].clone());
    assert_eq!(json!(shown), json!(["sandbox", "approved", 3000, null]));
    let charges = shop.charges(sold["id"].as_str().unwrap()).await;
    assert_eq!(charges.len(), 1);
    assert_eq!(
        (&charges[0]["status"], &charges[0]["amount"], &charges[0]["amount_refunded"]),
        (&json!("captured"), &json!(3000), &json!(0))
    );
    assert_eq!((&charges[0]["reference"], &charges[0]["id"]), (&sold["id"], &attempt["provider_reference"]));
    told(shop, receiver, "checkout.succeeded", &sold).await;
}

async fn declines_end_in_failed_and_give_the_places_back(shop: &Client, receiver: &Receiver) {
    for (token, decline_code) in [
        ("tok_declined", "generic_decline"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_expired_card", "expired_card"),
        ("tok_of_nobody", "invalid_token"),
    ] {
        let failed = shop.settled(&buy(shop, token, receiver).await).await;
        let error = &failed["error"];
        assert_eq!(
            (&failed["status"], &error["code"], &error["decline_code"]),
            (&json!("failed"), &json!("card_declined"), &json!(decline_code))
        );
        assert_eq!((&failed["amount_paid"], &failed["payment_attempts"][0]["status"]), (&json!(0), &json!("declined")));
        assert_eq!(shop.charged(failed["id"].as_str().unwrap()).await, ["declined"]);
        told(shop, receiver, "checkout.failed", &failed).await;
    }
}

async fn trouble_on_the_way_is_overcome_with_one_charge(shop: &Client) {
    let (flaky, slow) = tokio::join!(async { shop.buy(&places("ses_cards", 1, "tok_flaky")).await }, async {
        let started = Instant::now();
        let slow = shop.buy(&places("ses_cards", 1, "tok_slow")).await;
        assert!(started.elapsed() >= Duration::from_secs(3));
        slow
    });
    for sold in [flaky, slow] {
        assert_eq!((&sold["status"], sold["payment_attempts"].as_array().unwrap().len()), (&json!("succeeded"), 1), "{sold}");
        assert_eq!(shop.charged(sold["id"].as_str().unwrap()).await, ["captured"]);
    }
}

async fn a_lost_answer_is_found_out_and_never_charged_again(shop: &Client) {
    let lost = async |token: &str| {
        let id = shop.order(&places("ses_cards", 1, token)).await;
        // Between the lost answer and the second asking nobody knows, and it says so.
        let unknown = shop.until(&id, "reconciling").await;
        assert_eq!((&unknown["payment_attempts"][0]["status"], &unknown["amount_paid"]), (&json!("unknown"), &json!(0)));
        let sold = shop.settled(&id).await;
        assert_eq!((&sold["status"], &sold["amount_paid"]), (&json!("succeeded"), &json!(1500)), "{sold}");
        assert_eq!(shop.charged(&id).await, ["captured"]);
    };
    tokio::join!(lost("tok_timeout_charged"), lost("tok_timeout_not_charged"));
}

/// A checkout whose customer was sent to the sandbox's page, seen as it stands then.
async fn awaiting(shop: &Client, receiver: &Receiver, more: Value) -> Value {
    let body = with(&places("ses_cards", 1, "tok_3ds"), json!({"callback_url": receiver.url()}));
    let waiting = shop.settled(&shop.order(&with(&body, more)).await).await;
    assert_eq!((&waiting["status"], &waiting["amount_paid"]), (&json!("awaiting_payment"), &json!(0)), "{waiting}");
    // While it waits it is looked at now and then, which may count its version up.
    let event = callback(receiver, "checkout.awaiting_payment", waiting["id"].as_str().unwrap()).await.json();
    assert_eq!((&event["data"]["status"], &event["data"]["payment_url"]), (&waiting["status"], &waiting["payment_url"]));
    assert!(event["data"]["version"].as_i64() <= waiting["version"].as_i64());
    waiting
}

/// The customer opens the page and presses a button.
async fn answer(shop: &Client, waiting: &Value, word: &str) {
    let shown = shop.with_key(None).get(waiting["payment_url"].as_str().unwrap()).await;
    assert!(shown.status == 200 && shown.text.contains("<form"), "{shown:?}");
    press(shop, waiting, word).await;
}

async fn press(shop: &Client, waiting: &Value, word: &str) {
    let (page, anyone) = (waiting["payment_url"].as_str().unwrap(), shop.with_key(None));
    let form = anyone.request(Method::POST, page).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(anyone.send(form.body(format!("answer={word}"))).await.status, 303);
}

async fn a_customer_approves(shop: &Client, receiver: &Receiver) {
    let waiting = awaiting(shop, receiver, json!({})).await;
    answer(shop, &waiting, "approve").await;
    let id = waiting["id"].as_str().unwrap();
    let sold = shop.until(id, "succeeded").await;
    assert_eq!((&sold["payment_url"], &sold["amount_paid"]), (&json!(null), &json!(1500)), "{sold}");
    assert_eq!(shop.charged(id).await, ["captured"]);
    told(shop, receiver, "checkout.succeeded", &sold).await;
}

async fn a_customer_refuses(shop: &Client, receiver: &Receiver) {
    let waiting = awaiting(shop, receiver, json!({})).await;
    answer(shop, &waiting, "refuse").await;
    let id = waiting["id"].as_str().unwrap();
    let failed = shop.until(id, "failed").await;
    assert_eq!((&failed["error"]["code"], &failed["payment_url"]), (&json!("card_declined"), &json!(null)), "{failed}");
    assert_eq!(shop.charged(id).await, ["declined"]);
    told(shop, receiver, "checkout.failed", &failed).await;
}

async fn a_customer_stays_away(shop: &Client, receiver: &Receiver) {
    let waiting = awaiting(shop, receiver, json!({"expires_in": 10})).await;
    let id = waiting["id"].as_str().unwrap();
    let expired = shop.until(id, "expired").await;
    assert_eq!((&expired["error"]["code"], &expired["payment_url"]), (&json!("expired"), &json!(null)), "{expired}");
    assert!(expired["completed_at"].as_str() >= expired["expires_at"].as_str(), "{expired}");
    assert_eq!(shop.charged(id).await, ["voided"]);
    told(shop, receiver, "checkout.expired", &expired).await;
    // Whoever comes back to the page afterwards pays nothing.
    press(shop, &waiting, "approve").await;
    assert_eq!(shop.charged(id).await, ["voided"]);
}

async fn cash_and_nothing_need_no_provider(shop: &Client, receiver: &Receiver) {
    let lines = |quantity: u32| json!([{"type": "session", "session": "ses_cards", "quantity": quantity}]);
    let cash = json!({"methods": [{"type": "custom", "name": "cash", "note": "till 3", "amount": 4500}]});
    let body = json!({"currency": "usd", "lines": lines(3), "payment": cash, "callback_url": receiver.url()});
    let sold = shop.buy(&body).await;
    assert_eq!(
        (&sold["status"], &sold["amount_paid"], &sold["payment_attempts"]),
        (&json!("succeeded"), &json!(4500), &json!([])),
        "{sold}"
    );
    assert!(shop.charges(sold["id"].as_str().unwrap()).await.is_empty());
    told(shop, receiver, "checkout.succeeded", &sold).await;

    put(shop, "promo-codes", "ALL", json!({"percent_off_bp": 10000})).await;
    let gift = json!({"currency": "usd", "lines": lines(1), "promo_code": "ALL", "payment": {"methods": [{"type": "free"}]}});
    let given = shop.buy(&gift).await;
    assert_eq!((&given["status"], &given["amount_total"], &given["amount_paid"]), (&json!("succeeded"), &json!(0), &json!(0)), "{given}");
    // What costs something is not free, and a free line needs no payment at all.
    shop.refused(&json!({"currency": "usd", "lines": lines(1), "payment": {"methods": [{"type": "free"}]}}))
        .await
        .expect_problem(422, "payment_method_invalid");
    let nothing = json!({"currency": "usd", "lines": [{"type": "custom", "name": "Hello", "unit_amount": 0}]});
    assert_eq!(shop.buy(&nothing).await["status"], "succeeded");
    // A card for nothing is not charged.
    let idle = shop.buy(&custom(0, "tok_declined")).await;
    assert_eq!(idle["status"], "succeeded", "{idle}");
    assert!(shop.charges(idle["id"].as_str().unwrap()).await.is_empty());
    shop.refused(&json!({"currency": "usd", "lines": lines(1)})).await.expect_problem(400, "parameter_missing");
    shop.refused(&order(json!([]), "tok_visa")).await.expect_problem(400, "parameter_invalid");
}
