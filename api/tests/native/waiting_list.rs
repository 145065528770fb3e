//! Waiting lists over the API: what is answered, what is refused, and what is whose.

use crate::server::{Reply, Server};
use boxoffice_common::domain::scope::Mode;
use serde_json::{Value, json};

const LIST: &str = "/v1/sessions/ses_solo/waiting-list";

/// A session with one place, sold for cash; and two customers.
async fn sold_out(server: &Server) -> Value {
    let session = json!({"name": "Solo", "starts_at": "2099-01-01T10:00:00Z", "capacity": 1, "unit_amount": 1500, "currency": "usd"});
    assert_eq!(server.put("/v1/sessions/ses_solo", &session).await.code(), 201);
    for name in ["cus_ada", "cus_eve"] {
        assert_eq!(server.put(&format!("/v1/customers/{name}"), &json!({})).await.code(), 201);
    }
    buy(server, "sale", &json!({})).await
}

/// One place for cash, with more fields in the line, worked on.
async fn buy(server: &Server, key: &str, more: &Value) -> Value {
    let mut line = json!({"type": "session", "session": "ses_solo"});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = ask(server, key, &line, "cus_ada").await;
    assert_eq!(reply.code(), 202, "{:?}", reply.body);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    server.work(&id).await;
    server.get(&format!("/v1/checkouts/{id}")).await.json()
}

async fn ask(server: &Server, key: &str, line: &Value, customer: &str) -> Reply {
    let payment = json!({"methods": [{"type": "custom", "name": "cash"}]});
    server.checkout(key, &json!({"currency": "usd", "customer": customer, "lines": [line], "payment": payment})).await
}

async fn join(server: &Server, headers: &[(&str, &str)], body: &Value) -> Reply {
    server.post_json(LIST, headers, &body.to_string()).await
}

async fn refund(server: &Server, sale: &Value) {
    let path = format!("/v1/checkouts/{}/refunds", sale["id"].as_str().unwrap());
    assert_eq!(server.post_json(&path, &[("idempotency-key", "back")], "{}").await.code(), 202);
}

async fn delete(server: &Server, path: &str) -> Reply {
    server.send(crate::server::request("DELETE", path, &[]).body(axum::body::Body::empty()).unwrap()).await
}

#[tokio::test]
async fn who_waits_is_offered_what_comes_back_and_buys_it_with_the_offer() {
    let server = Server::start().await;
    let sale = sold_out(&server).await;
    let body = json!({"customer": "cus_ada", "callback_url": "https://shop.example/hook", "offer_for": 60});
    let first = join(&server, &[("idempotency-key", "k")], &body).await;
    let entry = first.json();
    let shown = ["object", "session", "customer", "quantity", "status", "seats", "offer_for", "expires_at", "checkout", "version"];
    let expected = json!(["waiting_list_entry", "ses_solo", "cus_ada", 1, "waiting", [], 60, null, null, 1]);
    assert_eq!((first.code(), json!(shown.map(|field| entry[field].clone()))), (201, expected));
    let path = format!("/v1/waiting-list/{}", entry["id"].as_str().unwrap());
    assert_eq!(first.header("location"), path);
    let again = join(&server, &[("idempotency-key", "k")], &body).await;
    assert_eq!((again.code(), again.header("idempotent-replayed"), &again.body), (201, "true", &first.body));
    let other = join(&server, &[("idempotency-key", "k")], &json!({"customer": "cus_eve"})).await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".to_owned()));
    assert_eq!(join(&server, &[], &json!({"customer": "cus_ada"})).await.problem(), (409, "already_waiting".to_owned()));
    let early = json!({"type": "session", "session": "ses_solo", "offer": entry["id"]});
    assert_eq!(ask(&server, "early", &early, "cus_ada").await.problem(), (422, "offer_unavailable".to_owned()));

    refund(&server, &sale).await;
    let offered = server.get(&path).await.json();
    assert_eq!((&offered["status"], offered["expires_at"].is_string()), (&json!("offered"), true));
    let left = server.get("/v1/sessions/ses_solo/availability").await.json();
    assert_eq!((&left["sold"], &left["held"], &left["available"]), (&json!(0), &json!(1), &json!(0)));
    let told = server.get("/v1/deliveries").await.json();
    let told = told["data"].as_array().unwrap().iter().find(|delivery| delivery["event_type"] == "waiting_list.offered").cloned().unwrap();
    assert_eq!((&told["subject"], &told["checkout"]), (&entry["id"], &json!(null)));
    let stranger = buy(&server, "stranger", &json!({})).await;
    assert_eq!(stranger["error"]["code"], "session_full");
    let two = json!({"type": "session", "session": "ses_solo", "quantity": 2, "offer": entry["id"]});
    assert_eq!(ask(&server, "two", &two, "cus_ada").await.problem(), (422, "offer_unavailable".to_owned()));
    let unknown = json!({"type": "session", "session": "ses_solo", "offer": "wle_unknown"});
    assert_eq!(ask(&server, "unknown", &unknown, "cus_ada").await.problem(), (422, "resource_missing".to_owned()));

    let bought = buy(&server, "taking", &json!({"offer": entry["id"]})).await;
    assert_eq!((&bought["status"], &bought["lines"][0]["offer"]), (&json!("succeeded"), &entry["id"]));
    let taken = server.get(&path).await.json();
    assert_eq!((&taken["status"], &taken["checkout"]), (&json!("taken"), &bought["id"]));
    let list = server.get(&format!("{LIST}?status=taken")).await.json();
    assert_eq!((&list["data"], &list["next_cursor"]), (&json!([taken]), &json!(null)));
    assert_eq!(server.get(&format!("{LIST}?status=waiting")).await.json()["data"], json!([]));
    assert_eq!(delete(&server, &path).await.problem(), (409, "not_waiting".to_owned()));
}

#[tokio::test]
async fn an_offer_of_somebody_else_buys_nothing() {
    let server = Server::start().await;
    let sale = sold_out(&server).await;
    let entry = join(&server, &[], &json!({"customer": "cus_ada"})).await.json();
    refund(&server, &sale).await;
    let line = json!({"type": "session", "session": "ses_solo", "offer": entry["id"]});
    let theirs = ask(&server, "theirs", &line, "cus_eve").await.json()["id"].as_str().unwrap().to_owned();
    server.work(&theirs).await;
    let theirs = server.get(&format!("/v1/checkouts/{theirs}")).await.json();
    assert_eq!((&theirs["error"]["code"], &theirs["error"]["param"]), (&json!("offer_unavailable"), &json!("lines[0].offer")));
    let line = json!({"type": "custom", "name": "x", "unit_amount": 5, "offer": entry["id"]});
    assert_eq!(ask(&server, "custom", &line, "cus_ada").await.problem(), (400, "parameter_unknown".to_owned()));
}

#[tokio::test]
async fn who_leaves_is_off_the_list_and_the_next_is_offered() {
    let server = Server::start().await;
    let sale = sold_out(&server).await;
    let ada = join(&server, &[], &json!({"customer": "cus_ada"})).await.json();
    let eve = join(&server, &[], &json!({"customer": "cus_eve"})).await.json();
    let path = |entry: &Value| format!("/v1/waiting-list/{}", entry["id"].as_str().unwrap());
    let page = server.get(&format!("{LIST}?limit=1")).await.json();
    assert_eq!(page["data"], json!([ada]));
    let rest = server.get(&format!("{LIST}?cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!(rest["data"], json!([eve]));
    refund(&server, &sale).await;
    let left = delete(&server, &path(&ada)).await;
    assert_eq!((left.code(), &left.json()["status"]), (200, &json!("left")));
    assert_eq!(delete(&server, &path(&ada)).await.json()["status"], "left", "it may be repeated");
    assert_eq!(server.get(&path(&eve)).await.json()["status"], "offered");
}

#[tokio::test]
async fn what_cannot_wait_is_refused_and_other_tenants_see_nothing() {
    let server = Server::start().await;
    sold_out(&server).await;
    for (body, refused) in [
        (json!({"customer": "cus_nobody"}), (422, "resource_missing")),
        (json!({}), (400, "parameter_missing")),
        (json!({"customer": "cus_ada", "quantity": 0}), (400, "parameter_invalid")),
        (json!({"customer": "cus_ada", "quantity": 2}), (400, "parameter_invalid")),
        (json!({"customer": "cus_ada", "offer_for": 59}), (400, "parameter_invalid")),
        (json!({"customer": "cus_ada", "offer_for": 86_401}), (400, "parameter_invalid")),
        (json!({"customer": "cus_ada", "callback_url": "ftp://x"}), (400, "parameter_invalid")),
        (json!({"customer": "cus_ada", "seat": "A1"}), (400, "parameter_unknown")),
    ] {
        assert_eq!(join(&server, &[], &body).await.problem(), (refused.0, refused.1.to_owned()), "{body}");
    }
    server.yoga().await;
    let free = server.post_json("/v1/sessions/ses_yoga/waiting-list", &[], r#"{"customer": "cus_ada"}"#).await;
    assert_eq!(free.problem(), (409, "session_not_full".to_owned()));
    let nowhere = server.post_json("/v1/sessions/ses_nowhere/waiting-list", &[], r#"{"customer": "cus_ada"}"#).await;
    assert_eq!(nowhere.problem(), (404, "not_found".to_owned()));
    let entry = join(&server, &[], &json!({"customer": "cus_ada"})).await.json();
    server.add_key("bo_test_other", "other", Mode::Test, &["admin", "checkouts:write", "checkouts:read"]).await;
    let theirs = [("authorization", "Bearer bo_test_other")];
    let path = format!("/v1/waiting-list/{}", entry["id"].as_str().unwrap());
    for path in [path.as_str(), LIST] {
        assert_eq!(server.get_with(path, &theirs).await.problem(), (404, "not_found".to_owned()));
    }
    let request = crate::server::request("DELETE", &path, &theirs).body(axum::body::Body::empty()).unwrap();
    assert_eq!(server.send(request).await.problem(), (404, "not_found".to_owned()));
    assert_eq!(join(&server, &theirs, &json!({"customer": "cus_ada"})).await.problem(), (404, "not_found".to_owned()));
    server.add_key("bo_test_reader", "demo", Mode::Test, &["checkouts:read"]).await;
    let reader = [("authorization", "Bearer bo_test_reader")];
    assert_eq!(join(&server, &reader, &json!({"customer": "cus_eve"})).await.problem(), (403, "scope_missing".to_owned()));
}
