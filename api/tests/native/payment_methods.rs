//! Saved payment methods over the API: kept without being shown, used by their own customer, and by nobody else.

use crate::server::{Reply, Server};
use boxoffice_common::{
    domain::{id::CheckoutId, leg::Tender, scope::Mode},
    ports::store::CheckoutStore,
};
use serde_json::{Value, json};

const ADAS: &str = "/v1/customers/cus_ada/payment-methods";

fn card(token: &str) -> Value {
    json!({"type": "card", "token": token, "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030})
}

async fn shop() -> Server {
    let server = Server::start().await;
    server.yoga().await;
    for customer in ["cus_ada", "cus_bob"] {
        assert_eq!(server.put(&format!("/v1/customers/{customer}"), &json!({})).await.code(), 201);
    }
    assert_eq!(server.put(&format!("{ADAS}/pm_1"), &card("tok_visa")).await.code(), 201);
    server
}

async fn buy(server: &Server, key: &str, customer: Value, id: &str) -> Reply {
    let body = json!({
        "customer": customer, "currency": "usd", "lines": [{"type": "session", "session": "ses_yoga"}],
        "payment": {"methods": [{"type": "saved_method", "id": id}]},
    });
    server.checkout(key, &body).await
}

#[tokio::test]
async fn a_saved_card_is_shown_without_its_token_and_one_is_the_default() {
    let server = shop().await;
    let mut second = card("tok_declined");
    second["default"] = json!(true);
    let put = server.put(&format!("{ADAS}/pm_2"), &second).await;
    let shown = ["id", "object", "customer", "type", "brand", "last4", "exp_month", "exp_year", "default"];
    let expected = json!(["pm_2", "payment_method", "cus_ada", "card", "visa", "4242", 12, 2030, true]);
    assert_eq!((put.code(), json!(shown.map(|field| put.json()[field].clone()))), (201, expected));
    let mut first = card("tok_visa");
    first["default"] = json!(true);
    assert_eq!(server.put(&format!("{ADAS}/pm_1"), &first).await.code(), 200);
    let list = server.get(ADAS).await;
    let defaults: Vec<Value> = list.json()["data"].as_array().unwrap().iter().map(|method| method["default"].clone()).collect();
    assert_eq!(defaults, [json!(true), json!(false)]);
    for reply in [&put, &list, &server.get(&format!("{ADAS}/pm_1")).await] {
        assert!(!String::from_utf8_lossy(&reply.body).contains("tok_"), "{:?}", reply.body);
    }
    let delete = crate::server::request("DELETE", &format!("{ADAS}/pm_1"), &[]).body(axum::body::Body::empty()).unwrap();
    assert_eq!(server.send(delete).await.code(), 204);
    assert_eq!(server.get(&format!("{ADAS}/pm_1")).await.problem().0, 404);
}

#[tokio::test]
async fn a_checkout_is_paid_with_a_saved_card_of_its_own_customer_and_shows_no_token() {
    let server = shop().await;
    let reply = buy(&server, "k", json!("cus_ada"), "pm_1").await;
    assert_eq!(reply.code(), 202, "{:?}", reply.body);
    let id = CheckoutId::parse(reply.json()["id"].as_str().unwrap()).unwrap();
    let kept = server.store.checkout(&id).await.unwrap().unwrap();
    assert_eq!(kept.order.legs[0].tender.token().map(|token| token.reveal().clone()), Some("tok_visa".to_owned()), "frozen at the intake");
    assert!(matches!(kept.order.legs[0].tender, Tender::SavedMethod { .. }));
    let shown = server.get(&format!("/v1/checkouts/{id}")).await;
    assert!(!String::from_utf8_lossy(&shown.body).contains("tok_visa"));
    for (customer, method) in
        [(json!("cus_bob"), "pm_1"), (json!("cus_ada"), "pm_none"), (json!(null), "pm_1"), (json!({"external_id": "ada"}), "pm_1")]
    {
        let refused = buy(&server, "other", customer.clone(), method).await;
        assert_eq!(refused.problem(), (422, "payment_method_invalid".to_owned()), "{customer} {method}");
        assert_eq!(refused.json()["param"], "payment.methods[0].id");
    }
}

#[tokio::test]
async fn the_family_pays_with_what_its_owner_shares_and_strangers_with_nothing() {
    let server = shop().await;
    for (customer, family) in [("cus_ada", "lovelace"), ("cus_bo", "lovelace"), ("cus_eve", "moriarty")] {
        server.put(&format!("/v1/customers/{customer}"), &json!({"family": family})).await;
    }
    let with_adas = async |key: &str, customer: Value| {
        let method = json!({"type": "saved_method", "id": "pm_1", "customer": "cus_ada"});
        let lines = json!([{"type": "session", "session": "ses_yoga"}]);
        server.checkout(key, &json!({"customer": customer, "currency": "usd", "lines": lines, "payment": {"methods": [method]}})).await
    };
    assert_eq!(with_adas("a", json!("cus_bo")).await.problem(), (422, "payment_method_invalid".to_owned()), "she has not said so");
    let mut shared = card("tok_visa");
    shared["shared_with_family"] = json!(true);
    assert_eq!(server.put(&format!("{ADAS}/pm_1"), &shared).await.json()["shared_with_family"], true);
    let paid = with_adas("b", json!("cus_bo")).await;
    assert_eq!(paid.code(), 202, "{:?}", paid.body);
    assert!(!String::from_utf8_lossy(&paid.body).contains("tok_visa"));
    assert_eq!(with_adas("c", json!("cus_ada")).await.code(), 202, "her own, said twice");
    for stranger in [json!("cus_eve"), json!("cus_bob"), json!(null), json!({"external_id": "crm-bo"})] {
        assert_eq!(with_adas("d", stranger.clone()).await.problem(), (422, "payment_method_invalid".to_owned()), "{stranger}");
    }
    assert_eq!(server.get("/v1/customers/cus_bo/payment-methods").await.json()["data"], json!([]), "it stays hers");
}

#[tokio::test]
async fn what_cannot_be_saved_is_refused_and_others_see_nothing() {
    let server = shop().await;
    let with = |field: &str, value: Value| {
        let mut body = card("tok_visa");
        body[field] = value;
        body
    };
    for (body, refused) in [
        (with("token", json!("4111111111111111")), (400, "card_number_refused")),
        (with("last4", json!("4111111111111111")), (400, "card_number_refused")),
        (with("last4", json!("42424")), (400, "parameter_invalid")),
        (with("exp_month", json!(13)), (400, "parameter_invalid")),
        (with("token", json!("a b")), (400, "parameter_invalid")),
        (with("type", json!("bank")), (400, "parameter_invalid")),
        (with("number", json!("1")), (400, "parameter_unknown")),
        (with("id", json!("pm_9")), (400, "parameter_invalid")),
    ] {
        assert_eq!(server.put(&format!("{ADAS}/pm_3"), &body).await.problem(), (refused.0, refused.1.to_owned()), "{body}");
    }
    assert_eq!(server.put("/v1/customers/cus_none/payment-methods/pm_1", &card("tok_visa")).await.problem().0, 404);
    assert_eq!(server.get("/v1/customers/cus_bob/payment-methods/pm_1").await.problem().0, 404);
    server.add_key("bo_test_other", "other", Mode::Test, &["checkouts:read", "checkouts:write", "catalog:write"]).await;
    let theirs = [("authorization", "Bearer bo_test_other")];
    for path in [ADAS.to_owned(), format!("{ADAS}/pm_1")] {
        assert_eq!(server.get_with(&path, &theirs).await.problem().0, 404);
    }
    let theirs = crate::server::request("DELETE", &format!("{ADAS}/pm_1"), &theirs).body(axum::body::Body::empty()).unwrap();
    assert_eq!(server.send(theirs).await.problem().0, 404);
    assert_eq!(server.get(&format!("{ADAS}/pm_1")).await.code(), 200);
}
