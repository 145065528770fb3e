//! What comes after the charge: refunds, refunds that come back, disputes, and events that nobody has asked for.

use crate::{
    studio::{SECRET, Studio, by_card},
    support::{
        catalogue::with,
        client::{PATIENCE, callback, fresh_key},
        system::said,
    },
};
use boxoffice_testkit::{
    Receiver,
    stripe::{Effect, Fault},
};
use serde_json::{Value, json};

pub async fn story(studio: &Studio) {
    let receiver = Receiver::start().await.unwrap();
    what_is_given_back_goes_back_once_and_may_come_back(studio, &receiver).await;
    a_dispute_is_told_and_booked_from_its_beginning_to_its_end(studio, &receiver).await;
    an_event_moves_nothing_that_it_is_not_about(studio).await;
    what_stripe_keeps_is_booked_once_though_only_events_tell_of_the_sale(studio).await;
}

/// The worker never hears Stripe's answer: an event settles the sale, which has no fee yet, and a later one brings that.
async fn what_stripe_keeps_is_booked_once_though_only_events_tell_of_the_sale(studio: &Studio) {
    studio.stripe.faults().order(Fault::new(Effect::SilenceAfter).on("POST", "/v1/payment_intents"));
    let id = studio.shop.order(&by_card("pm_card_visa")).await;
    studio.shop.until(&id, "succeeded").await;
    let path = format!("/v1/checkouts/{id}");
    let sold = studio.shop.eventually(&path, |sold| !sold["payment_attempts"][0]["fee"].is_null()).await;
    assert_eq!(sold["payment_attempts"][0]["fee"], json!({"amount": 74, "currency": "usd"}), "{sold}");
    let ledger = studio.shop.get(&format!("/v1/ledger/transactions?checkout={id}")).await.expect(200).to_string();
    assert_eq!((ledger.matches("\"fees\"").count(), studio.captures(&id).len()), (1, 1), "{ledger}");
}

async fn sell(studio: &Studio, receiver: &Receiver) -> Value {
    let sold = studio.shop.buy(&with(&by_card("pm_card_visa"), json!({"callback_url": format!("{}/hooks", receiver.url())}))).await;
    assert_eq!(sold["status"], "succeeded", "{sold}");
    sold
}

async fn balance(studio: &Studio, account: &str) -> i64 {
    let balances = studio.shop.get("/v1/ledger/balances").await.expect(200);
    let of_it = |row: &&Value| row["account"] == account;
    balances["data"].as_array().unwrap().iter().find(of_it).and_then(|row| row["amount"].as_i64()).unwrap_or(0)
}

async fn what_is_given_back_goes_back_once_and_may_come_back(studio: &Studio, receiver: &Receiver) {
    let sold = sell(studio, receiver).await;
    let id = sold["id"].as_str().unwrap();
    let asked = studio.shop.request(reqwest::Method::POST, &format!("/v1/checkouts/{id}/refunds")).header("idempotency-key", fresh_key());
    let refund = studio.shop.send(asked.json(&json!({"amount": 500}))).await;
    assert!(refund.status < 300, "{}", refund.text);
    callback(receiver, "refund.succeeded", id).await;
    let capture = studio.captures(id).remove(0);
    assert_eq!((capture.amount, capture.refunded), (1500, 500));
    let booked = studio.stripe.book().refunds().into_iter().find(|refund| refund.intent == capture.intent).unwrap();
    studio.stripe.fail_refund(&booked.id, "expired_or_canceled_card");
    callback(receiver, "refund.failed", id).await;
    assert_eq!(studio.shop.checkout(id).await["amount_refunded"], 0);
}

async fn a_dispute_is_told_and_booked_from_its_beginning_to_its_end(studio: &Studio, receiver: &Receiver) {
    for (won, kind, account) in [(true, "dispute.won", "disputes"), (false, "dispute.lost", "chargebacks")] {
        let sold = sell(studio, receiver).await;
        let id = sold["id"].as_str().unwrap();
        let before = balance(studio, account).await;
        let charge = studio.captures(id).remove(0).charge;
        let dispute = studio.stripe.open_dispute(&charge, "fraudulent").unwrap();
        callback(receiver, "dispute.opened", id).await;
        assert_eq!(studio.shop.checkout(id).await["disputes"][0]["status"], "open");
        assert!(studio.stripe.close_dispute(&dispute, won));
        callback(receiver, kind, id).await;
        let ended = studio.shop.checkout(id).await;
        assert_eq!((&ended["disputes"][0]["status"], &ended["status"]), (&json!(if won { "won" } else { "lost" }), &json!("succeeded")));
        assert_eq!(balance(studio, account).await - before, if won { 0 } else { 1500 });
        assert!(studio.shop.timeline(id).await.contains(kind));
    }
}

async fn an_event_moves_nothing_that_it_is_not_about(studio: &Studio) {
    studio.stripe.webhooks().hold();
    let waiting = studio.shop.buy(&by_card("pm_card_authenticationRequired")).await;
    let (id, intent) = (waiting["id"].as_str().unwrap(), waiting["payment_attempts"][0]["provider_reference"].as_str().unwrap());
    let url = format!("{}/webhooks/stripe/{}", studio.system.server.base_url(), studio.account);
    let mut forged = studio.stripe.book().object(intent).unwrap();
    forged["status"] = json!("succeeded");
    forged["amount_received"] = json!(1500);
    let event = |id: &str, object: &Value| {
        json!({"id": id, "object": "event", "type": "payment_intent.succeeded", "livemode": false, "created": 1, "data": {"object": object}}).to_string()
    };
    let webhooks = studio.stripe.webhooks();
    assert_eq!(webhooks.forge(&url, &event("evt_forged", &forged), "whsec_of_somebody_else_0123456789").await, Some(400));
    assert_eq!(webhooks.send_raw(&url, &event("evt_unsigned", &forged), None).await, Some(400));
    // Signed, and of another amount than was asked for.
    forged["amount"] = json!(1);
    forged["amount_received"] = json!(1);
    assert_eq!(webhooks.forge(&url, &event("evt_other_amount", &forged), SECRET).await, Some(200));
    let to_be_looked_at = || async {
        let listed = said(&studio.system.command(&["provider-events"]).await);
        let line = listed.lines().find(|line| line.contains("evt_other_amount")).map(str::to_owned);
        line.and_then(|line| line.split_whitespace().next().map(str::to_owned))
    };
    let deadline = std::time::Instant::now() + PATIENCE;
    let kept = loop {
        if let Some(kept) = to_be_looked_at().await {
            break kept;
        }
        assert!(std::time::Instant::now() < deadline, "somebody has to look at it");
    };
    said(&studio.system.command(&["provider-events", "--dismiss", &kept, "--note", "it was a test"]).await);
    assert_eq!(studio.shop.checkout(id).await["status"], "awaiting_payment");
    // Its own word, twice and out of order, sells it once.
    webhooks.set_times(2);
    assert!(studio.stripe.authenticate(intent, true));
    webhooks.release_newest_first().await;
    let sold = studio.shop.until(id, "succeeded").await;
    assert_eq!((&sold["amount_paid"], studio.captures(id).len()), (&json!(1500), 1));
    webhooks.set_times(1);
    let rotated = "whsec_rotated0123456789abcdef";
    let changed = json!({"credentials": {"webhook_secrets": [rotated, SECRET]}});
    let path = format!("/v1/providers/{}", studio.account);
    studio.shop.send(studio.shop.request(reqwest::Method::PATCH, &path).json(&changed)).await.expect(200);
    webhooks.rotate(&url, rotated);
    let paid = studio.shop.buy(&by_card("pm_card_visa")).await;
    let about = |event: &std::sync::Arc<boxoffice_testkit::stripe::StripeEvent>| event.kind == "payment_intent.succeeded";
    let newest = studio.stripe.book().events().into_iter().rev().find(about).unwrap();
    assert_eq!(webhooks.send(&newest.id).await, [Some(200)]);
    assert_eq!(paid["status"], "succeeded");
}
