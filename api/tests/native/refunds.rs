//! Refunds over the API: what is answered, what is refused, and what is whose.

use crate::server::{Reply, Server};
use boxoffice_common::{
    domain::{
        attempt::{AttemptKind, Outcome, Receipt},
        begin::Begin,
        id::CheckoutId,
        money::Amount,
        scope::Mode,
        settle::Settlement,
    },
    ports::{
        queue::{Lane, Queue},
        store::{CheckoutStore, Next, Settled},
    },
};
use serde_json::{Value, json};
use std::time::Duration;

/// Two places for cash, sold.
async fn cash(server: &Server) -> Value {
    server.yoga().await;
    let body = json!({
        "currency": "usd",
        "lines": [{"type": "session", "session": "ses_yoga", "quantity": 2}, {"type": "custom", "name": "Mat", "unit_amount": 500}],
        "payment": {"methods": [{"type": "custom", "name": "cash"}]},
    });
    let reply = server.checkout("sale", &body).await;
    assert_eq!(reply.code(), 202, "{:?}", reply.body);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    server.work(&id).await;
    server.get(&format!("/v1/checkouts/{id}")).await.json()
}

fn path(sale: &Value) -> String {
    format!("/v1/checkouts/{}/refunds", sale["id"].as_str().unwrap())
}

async fn ask(server: &Server, sale: &Value, key: &str, body: &Value) -> Reply {
    server.post_json(&path(sale), &[("idempotency-key", key)], &body.to_string()).await
}

#[tokio::test]
async fn a_refund_is_answered_found_listed_and_replayed() {
    let server = Server::start().await;
    let sale = cash(&server).await;
    let body = json!({"amount": 1000, "reason": "rain"});
    let first = ask(&server, &sale, "k1", &body).await;
    let refund = first.json();
    assert_eq!((first.code(), first.header("idempotent-replayed")), (202, ""));
    let shown = ["object", "checkout", "status", "amount", "currency", "lines", "reason", "release_seats", "error"];
    let expected = json!(["refund", sale["id"], "succeeded", 1000, "usd", [], "rain", false, null]);
    assert_eq!(json!(shown.map(|field| refund[field].clone())), expected);
    let location = format!("/v1/refunds/{}", refund["id"].as_str().unwrap());
    assert_eq!(first.header("location"), location);
    let again = ask(&server, &sale, "k1", &body).await;
    assert_eq!((again.code(), again.header("idempotent-replayed"), &again.body), (202, "true", &first.body));
    assert_eq!(ask(&server, &sale, "k1", &json!({"amount": 999})).await.problem(), (422, "idempotency_key_reused".to_owned()));
    assert_eq!(server.get(&location).await.json(), refund);
    let line = ask(&server, &sale, "k2", &json!({"lines": [sale["lines"][1]["id"]]})).await.json();
    assert_eq!((&line["amount"], &line["release_seats"]), (&json!(500), &json!(true)));
    assert_eq!(server.get(&path(&sale)).await.json()["data"], json!([refund, line]));
    let rest = ask(&server, &sale, "k3", &json!({})).await.json();
    assert_eq!(rest["amount"], 2000);
    let after = server.get(&format!("/v1/checkouts/{}", sale["id"].as_str().unwrap())).await.json();
    assert_eq!((&after["amount_refunded"], &after["status"]), (&json!(3500), &json!("succeeded")));
    assert_eq!(server.get("/v1/sessions/ses_yoga/availability").await.json()["available"], 20);
    assert_eq!(server.queue.depth(Lane::Money).await.unwrap(), 0, "no provider has a say in cash");
}

#[tokio::test]
async fn what_cannot_go_back_is_refused_and_leaves_nothing_behind() {
    let server = Server::start().await;
    let sale = cash(&server).await;
    for (body, refused) in [
        (json!({"amount": 3501}), (422, "refund_exceeds_paid")),
        (json!({"amount": 0}), (400, "parameter_invalid")),
        (json!({"amount": -1}), (400, "parameter_invalid")),
        (json!({"lines": []}), (400, "parameter_invalid")),
        (json!({"lines": ["li_unknown"]}), (422, "resource_missing")),
        (json!({"amount": 5, "release_seats": true}), (400, "parameter_invalid")),
        (json!({"reason": ""}), (400, "parameter_invalid")),
        (json!({"much": 5}), (400, "parameter_unknown")),
    ] {
        assert_eq!(ask(&server, &sale, "k", &body).await.problem(), (refused.0, refused.1.to_owned()), "{body}");
    }
    assert_eq!(server.post_json(&path(&sale), &[], "{}").await.problem(), (400, "idempotency_key_missing".to_owned()));
    let queued = json!({"id": server.free("unsold").await});
    assert_eq!(ask(&server, &queued, "k", &json!({})).await.problem(), (409, "not_refundable".to_owned()));
    let unknown = json!({"id": "chk_unknown"});
    assert_eq!(ask(&server, &unknown, "k", &json!({})).await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.get(&path(&unknown)).await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.get("/v1/refunds/ref_unknown").await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.get(&path(&sale)).await.json()["data"], json!([]));
    let same = server.get(&format!("/v1/checkouts/{}", sale["id"].as_str().unwrap())).await.json();
    assert_eq!(same, sale, "nothing was written");
    assert_eq!(ask(&server, &sale, "k", &json!({})).await.code(), 202, "and the key was not used up");
}

#[tokio::test]
async fn cash_that_is_back_is_not_resolved_and_kept_places_are_freed_for_nothing() {
    let server = Server::start().await;
    let sale = cash(&server).await;
    let line = sale["lines"][0]["id"].clone();
    let kept = ask(&server, &sale, "k1", &json!({"lines": [line], "release_seats": false})).await.json();
    let resolve = format!("/v1/refunds/{}/resolve", kept["id"].as_str().unwrap());
    for body in [r#"{"outcome": "failed"}"#, r#"{"outcome": "succeeded", "note": "x"}"#] {
        assert_eq!(server.post_json(&resolve, &[], body).await.problem(), (409, "not_in_review".to_owned()));
    }
    assert_eq!(server.post_json(&resolve, &[], "{}").await.problem(), (400, "parameter_missing".to_owned()));
    assert_eq!(server.post_json("/v1/refunds/ref_unknown/resolve", &[], r#"{"outcome": "failed"}"#).await.problem().0, 404);
    server.add_key("bo_test_clerk", "demo", Mode::Test, &["checkouts:write", "checkouts:read"]).await;
    let clerk = [("authorization", "Bearer bo_test_clerk")];
    assert_eq!(server.post_json(&resolve, &clerk, r#"{"outcome": "failed"}"#).await.problem(), (403, "scope_missing".to_owned()));
    assert_eq!(server.get("/v1/sessions/ses_yoga/availability").await.json()["available"], 18);
    let freed = ask(&server, &sale, "k2", &json!({"lines": [line], "amount": 0, "release_seats": true})).await.json();
    assert_eq!((&freed["status"], &freed["amount"]), (&json!("succeeded"), &json!(0)));
    assert_eq!(server.get("/v1/sessions/ses_yoga/availability").await.json()["available"], 20);
}

#[tokio::test]
async fn another_tenant_sees_and_refunds_nothing() {
    let server = Server::start().await;
    let sale = cash(&server).await;
    let refund = ask(&server, &sale, "k", &json!({"amount": 5})).await.json();
    server.add_key("bo_test_other", "other", Mode::Test, &["admin", "checkouts:write", "checkouts:read"]).await;
    let theirs = [("authorization", "Bearer bo_test_other"), ("idempotency-key", "k")];
    assert_eq!(server.post_json(&path(&sale), &theirs, "{}").await.problem(), (404, "not_found".to_owned()));
    for path in [path(&sale), format!("/v1/refunds/{}", refund["id"].as_str().unwrap())] {
        assert_eq!(server.get_with(&path, &theirs[..1]).await.problem(), (404, "not_found".to_owned()));
    }
    server.add_key("bo_test_reader", "demo", Mode::Test, &["checkouts:read"]).await;
    let reader = [("authorization", "Bearer bo_test_reader"), ("idempotency-key", "k")];
    assert_eq!(server.post_json(&path(&sale), &reader, "{}").await.problem(), (403, "scope_missing".to_owned()));
}

/// Does a worker's work until nothing is left to be sent. What is to be taken or promised is; of a refund the provider gives a cent less than
/// it was asked for, so that nobody knows.
async fn work_with_a_doubtful_provider(server: &Server, id: &CheckoutId) {
    loop {
        let begin = Begin {
            checkout: id.clone(),
            lease_token: "lease".to_owned(),
            lease_for: Duration::from_secs(30),
            routing: boxoffice_common::domain::routing::to_the_sandbox(),
            key_window: Duration::from_secs(3600),
        };
        let Next::Act { checkout, n, .. } = server.store.begin(begin).await.unwrap().next else { return };
        let request = &checkout.attempts.iter().find(|attempt| attempt.n == n).unwrap().request;
        let missing = Amount::from_minor(i64::from(request.kind == AttemptKind::Refund));
        let amount = request.amount.minus(missing).unwrap();
        let receipt = Receipt::of(format!("op_{n}"), amount, request.currency);
        let outcome = if request.capture_later { Outcome::Authorized(receipt) } else { Outcome::Approved(receipt) };
        let (lease_token, retry_in) = ("lease".to_owned(), Duration::from_secs(1));
        let settlement = Settlement {
            checkout: id.clone(),
            n,
            lease_token,
            outcome,
            retry_in,
            routing: boxoffice_common::domain::routing::to_the_sandbox(),
            is_last_look: false,
            known: None,
        };
        assert!(matches!(server.store.settle(settlement).await.unwrap(), Settled::Moved(_)));
    }
}

#[tokio::test]
async fn of_a_refund_to_two_cards_an_operator_says_which_part_is_meant() {
    let server = Server::start().await;
    server.yoga().await;
    let card = |amount: i64| json!({"type": "card", "token": "tok_visa", "amount": amount});
    let mut body = crate::server::two_places();
    body["payment"] = json!({"methods": [card(2000), card(1000)]});
    let sale = server.checkout("sale", &body).await.json();
    let id = CheckoutId::parse(sale["id"].as_str().unwrap()).unwrap();
    work_with_a_doubtful_provider(&server, &id).await;
    assert_eq!(server.get(&format!("/v1/checkouts/{id}")).await.json()["status"], "succeeded");
    let asked = ask(&server, &sale, "k", &json!({})).await.json();
    work_with_a_doubtful_provider(&server, &id).await;
    let refund = format!("/v1/refunds/{}", asked["id"].as_str().unwrap());
    let parts = async || {
        let parts = server.get(&refund).await.json()["parts"].clone();
        parts
            .as_array()
            .unwrap()
            .iter()
            .map(|part| (part["amount"].as_i64().unwrap(), part["status"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let all = |first: &str, second: &str| vec![(1000, first.to_owned()), (2000, second.to_owned())];
    assert_eq!(parts().await, all("needs_review", "needs_review"));
    let resolve = async |body: Value| server.post_json(&format!("{refund}/resolve"), &[], &body.to_string()).await;
    for outcome in ["succeeded", "failed"] {
        let which = resolve(json!({"outcome": outcome, "note": "seen"})).await;
        assert_eq!((which.problem(), &which.json()["param"]), ((409, "which_part".to_owned()), &json!("part")));
        assert_eq!(resolve(json!({"outcome": outcome, "part": 2})).await.problem(), (409, "not_in_review".to_owned()), "there are two");
    }
    for part in [json!(-1), json!(256), json!("0"), json!(0.5)] {
        assert_eq!(resolve(json!({"outcome": "failed", "part": part})).await.problem(), (400, "parameter_invalid".to_owned()), "{part}");
    }
    assert_eq!(parts().await, all("needs_review", "needs_review"), "nothing has changed");
    let second = json!({"outcome": "succeeded", "part": 1, "note": "in the book"});
    for _ in 0..2 {
        let resolved = resolve(second.clone()).await;
        assert_eq!((resolved.code(), &resolved.json()["status"]), (200, &json!("needs_review")), "the other one is in doubt");
    }
    assert_eq!(parts().await, all("needs_review", "succeeded"));
    assert_eq!(server.get(&format!("/v1/checkouts/{id}")).await.json()["amount_refunded"], 2000);
    // Only one is left that could be meant.
    let resolved = resolve(json!({"outcome": "failed"})).await;
    assert_eq!((resolved.code(), &resolved.json()["status"]), (200, &json!("failed")));
    assert_eq!(parts().await, all("failed", "succeeded"));
}
