//! What nobody can find out: it is never called a failure, it keeps its places, and an operator decides.

use crate::support::{
    catalogue::{places, put, session, with},
    client::{Client, callback},
    system::System,
};
use boxoffice_testkit::Receiver;
use serde_json::{Value, json};

/// A provider whose silence is noticed soon, and whose key is good no longer than until the second try.
pub const SETTINGS: &[(&str, &str)] =
    &[("BOXOFFICE_PROVIDER_TIMEOUT_MS", "400"), ("BOXOFFICE_LEASE_MS", "3000"), ("BOXOFFICE_KEY_WINDOW_MS", "500")];

pub async fn story(system: &System) {
    let (shop, receiver) = (system.shop(), Receiver::start().await.unwrap());
    put(&shop, "sessions", "ses_review", session(10)).await;
    let clerk = system.newcomer("shop-of-clerks", &["--scopes", "checkouts:write"]).await;
    clerk.post("/v1/checkouts/chk_any/resolve", &json!({"outcome": "failed"})).await.expect_problem(403, "scope_missing");
    let (sold, failed, canceled) =
        tokio::join!(doubtful(&shop, &receiver), doubtful(&shop, &receiver), canceled_in_silence(&shop, &receiver));
    assert_eq!(shop.left("ses_review").await, (0, 3, 7));
    let sold = resolved(&shop, &receiver, &sold, "succeeded").await;
    assert_eq!((&sold["amount_paid"], &sold["error"]), (&json!(1500), &json!(null)), "{sold}");
    for doubtful in [&failed, &canceled] {
        let failed = resolved(&shop, &receiver, doubtful, "failed").await;
        assert_eq!((&failed["amount_paid"], &failed["error"]["code"]), (&json!(0), &json!("resolved_by_operator")), "{failed}");
    }
    assert_eq!(shop.left("ses_review").await, (1, 0, 9));
    // Nothing of this was ever charged: the card never answers.
    assert!(shop.charges(sold["id"].as_str().unwrap()).await.is_empty());
    found_after_all(&shop).await;
    let fine = shop.buy(&places("ses_review", 1, "tok_visa")).await;
    shop.post(&resolve(&fine), &json!({"outcome": "failed", "note": "no"})).await.expect_problem(409, "not_in_review");
    shop.post("/v1/checkouts/chk_nothing/resolve", &json!({"outcome": "failed"})).await.expect_problem(404, "not_found");
    shop.post(&resolve(&fine), &json!({"outcome": "maybe"})).await.expect_problem(400, "parameter_invalid");
}

fn resolve(checkout: &Value) -> String {
    format!("/v1/checkouts/{}/resolve", checkout["id"].as_str().unwrap())
}

async fn order(shop: &Client, receiver: &Receiver) -> String {
    shop.order(&with(&places("ses_review", 1, "tok_outage"), json!({"callback_url": receiver.url()}))).await
}

/// A checkout whose provider never answered.
async fn doubtful(shop: &Client, receiver: &Receiver) -> Value {
    let id = order(shop, receiver).await;
    let doubtful = shop.settled(&id).await;
    assert_eq!((&doubtful["status"], &doubtful["amount_paid"]), (&json!("needs_review"), &json!(0)), "{doubtful}");
    assert_eq!(callback(receiver, "checkout.needs_review", &id).await.json()["data"], doubtful);
    shop.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await.expect_problem(409, "not_cancelable");
    doubtful
}

/// A cancel does not make an unknown charge known.
async fn canceled_in_silence(shop: &Client, receiver: &Receiver) -> Value {
    let id = order(shop, receiver).await;
    shop.until(&id, "reconciling").await;
    assert_eq!(shop.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await.expect(202)["status"], "reconciling");
    shop.until(&id, "needs_review").await
}

async fn resolved(shop: &Client, receiver: &Receiver, doubtful: &Value, outcome: &str) -> Value {
    let ended = shop.post(&resolve(doubtful), &json!({"outcome": outcome, "note": "asked the bank"})).await.expect(200);
    let id = doubtful["id"].as_str().unwrap();
    assert_eq!(ended["status"], outcome, "{ended}");
    let told = callback(receiver, &format!("checkout.{outcome}"), id).await.json()["data"].clone();
    assert_eq!((lasting(&told), lasting(&shop.checkout(id).await)), (lasting(&ended), lasting(&ended)));
    let timeline = shop.get(&format!("/v1/checkouts/{id}/timeline")).await.expect(200);
    let said = |entry: &Value| entry["what"] == "resolved" && entry["detail"] == "asked the bank";
    assert!(timeline["data"].as_array().unwrap().iter().any(said), "{timeline}");
    shop.post(&resolve(doubtful), &json!({"outcome": outcome})).await.expect_problem(409, "not_in_review");
    let again = shop.post(&resolve(doubtful), &json!({"outcome": outcome, "note": "asked the bank"})).await.expect(200);
    assert_eq!(lasting(&again), lasting(&ended));
    ended
}

/// What stays as the operator has said. (The provider is asked on whether it has money of a checkout that failed.)
fn lasting(checkout: &Value) -> Value {
    let mut lasting = checkout.clone();
    for passing in ["payment_attempts", "version", "updated_at"] {
        lasting.as_object_mut().unwrap().remove(passing);
    }
    lasting
}

/// The provider took the money, its answer was lost, and its key is good no more: it is looked for and found, and nobody has to decide.
async fn found_after_all(shop: &Client) {
    let sold = shop.settled(&shop.order(&places("ses_review", 1, "tok_timeout_charged")).await).await;
    let id = sold["id"].as_str().unwrap();
    assert_eq!((&sold["status"], &sold["amount_paid"]), (&json!("succeeded"), &json!(1500)), "{sold}");
    assert_eq!(shop.charged(id).await, ["captured"]);
    let timeline = shop.timeline(id).await;
    assert!(timeline.contains("charge.unknown") && !timeline.contains("needs_review"), "{timeline}");
}
