//! Checkouts of which a provider has a say: the customer acts, an operator decides.

use crate::server::{Server, two_places};
use boxoffice_common::{
    domain::{
        attempt::{Outcome, Receipt},
        begin::Begin,
        id::CheckoutId,
        money::{Amount, Currency},
        settle::Settlement,
    },
    ports::{
        queue::Lane,
        store::{CheckoutStore, Next, Settled},
    },
};
use serde_json::json;
use std::time::Duration;

/// A card checkout for two places of which the provider said `outcome`.
async fn charged(server: &Server, key: &str, outcome: Outcome) -> String {
    let id = server.checkout(key, &two_places()).await.json()["id"].as_str().unwrap().to_owned();
    let checkout = CheckoutId::parse(id.as_str()).unwrap();
    let begin = Begin {
        checkout: checkout.clone(),
        lease_token: "lease".to_owned(),
        lease_for: Duration::from_secs(30),
        routing: boxoffice_common::domain::routing::to_the_sandbox(),
        key_window: Duration::from_secs(3600),
    };
    let Next::Act { n, .. } = server.store.begin(begin).await.unwrap().next else { panic!("nothing to charge") };
    let settlement = Settlement {
        checkout,
        n,
        lease_token: "lease".to_owned(),
        outcome,
        retry_in: Duration::from_secs(1),
        routing: boxoffice_common::domain::routing::to_the_sandbox(),
        is_last_look: false,
        known: None,
    };
    assert!(matches!(server.store.settle(settlement).await.unwrap(), Settled::Moved(_)));
    id
}

/// The provider took another amount than was asked: nobody but an operator can say what that means.
fn wrong_amount() -> Outcome {
    let currency = Currency::parse("usd").unwrap();
    Outcome::Approved(Receipt::of("ch_1".to_owned(), Amount::from_minor(1), currency))
}

#[tokio::test]
async fn an_operator_ends_what_nobody_else_can() {
    let server = Server::start().await;
    server.yoga().await;
    let id = charged(&server, "k1", wrong_amount()).await;
    let path = format!("/v1/checkouts/{id}");
    assert_eq!(server.get_with(&path, &[("prefer", "wait=30")]).await.json()["status"], "needs_review");
    assert_eq!(server.post(&format!("{path}/cancel")).await.problem(), (409, "not_cancelable".to_owned()));
    let resolve = async || server.post_json(&format!("{path}/resolve"), &[], r#"{"outcome":"succeeded","note":"seen in the bank"}"#).await;
    let resolved = resolve().await;
    assert_eq!((resolved.code(), resolved.json()["status"].clone()), (200, json!("succeeded")));
    // The answer was lost on its way: the same words again are no conflict, other words are.
    let again = resolve().await;
    assert_eq!((again.code(), again.json()), (200, resolved.json()));
    for other in [r#"{"outcome":"succeeded"}"#, r#"{"outcome":"failed","note":"seen in the bank"}"#] {
        let refused = server.post_json(&format!("{path}/resolve"), &[], other).await;
        assert_eq!(refused.problem(), (409, "not_in_review".to_owned()), "{other}");
    }
    let timeline = server.get(&format!("{path}/timeline")).await;
    assert!(String::from_utf8_lossy(&timeline.body).contains("seen in the bank"));
    assert_eq!(server.get("/v1/sessions/ses_yoga/availability").await.json()["sold"], 2);
}

#[tokio::test]
async fn what_an_operator_fails_gives_its_places_back() {
    let server = Server::start().await;
    server.yoga().await;
    let id = charged(&server, "k1", wrong_amount()).await;
    assert_eq!(server.get("/v1/sessions/ses_yoga/availability").await.json()["held"], 2);
    let resolved = server.post_json(&format!("/v1/checkouts/{id}/resolve"), &[], r#"{"outcome":"failed"}"#).await;
    assert_eq!(
        (resolved.json()["status"].clone(), resolved.json()["error"]["code"].clone()),
        (json!("failed"), json!("resolved_by_operator"))
    );
    let left = server.get("/v1/sessions/ses_yoga/availability").await.json();
    assert_eq!((left["held"].clone(), left["available"].clone()), (json!(0), json!(20)));
}

#[tokio::test]
async fn a_cancel_while_the_customer_may_still_pay_waits_for_the_providers_word() {
    let server = Server::start().await;
    server.yoga().await;
    let asked = Outcome::RequiresAction { url: "https://pay.example/1".to_owned(), provider_reference: "pi_1".to_owned() };
    let id = charged(&server, "k1", asked).await;
    let path = format!("/v1/checkouts/{id}");
    let shown = server.get_with(&path, &[("prefer", "wait=30")]).await.json();
    assert_eq!((shown["status"].clone(), shown["payment_url"].clone()), (json!("awaiting_payment"), json!("https://pay.example/1")));
    server.queued(Lane::Checkouts, 1).await;
    let canceled = server.post(&format!("{path}/cancel")).await;
    assert_eq!((canceled.code(), canceled.json()["status"].clone()), (202, json!("reconciling")));
    assert_eq!(server.queued(Lane::Checkouts, 1).await[0].id, id);
}
