//! Whatever is wrong with a request is refused with a code, and nothing is written.

use crate::server::{Server, request, two_places};
use axum::body::Body;
use futures::stream;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

async fn nothing_was_written(server: &Server) {
    assert_eq!(server.get("/v1/checkouts").await.json()["data"], json!([]));
    assert_eq!(server.get("/v1/customers").await.json()["data"], json!([]));
}

#[tokio::test]
async fn bodies_that_are_not_what_they_should_be_are_refused_and_nothing_is_written() {
    let server = Server::start().await;
    server.yoga().await;
    let deep = format!("{{\"metadata\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    let endless = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, status, code) in [
        ("", 400, "json_malformed"),
        ("{", 400, "json_malformed"),
        ("[]", 400, "parameter_invalid"),
        ("null", 400, "parameter_invalid"),
        ("\"x\"", 400, "parameter_invalid"),
        (r#"{"currency":"usd","currency":"eur"}"#, 400, "duplicate_key"),
        (deep.as_str(), 400, "json_too_deep"),
        (endless.as_str(), 400, "json_too_deep"),
        (r#"{"reference":"a\u0000b"}"#, 400, "parameter_invalid"),
        ("{}", 400, "parameter_missing"),
        (r#"{"reference":"4242 4242 4242 4242"}"#, 400, "card_number_refused"),
    ] {
        let reply = server.post_json("/v1/checkouts", &[("idempotency-key", "k1")], body).await;
        assert_eq!(reply.problem(), (status, code.to_owned()), "{}", &body[..body.len().min(80)]);
    }
    nothing_was_written(&server).await;
}

#[tokio::test]
async fn fields_that_are_wrong_are_named_and_nothing_is_written() {
    let server = Server::start().await;
    server.yoga().await;
    let card = "4111111111111111";
    for (path, value, status, code, param) in [
        ("/currency", json!("eur"), 422, "currency_mismatch", "lines[0]"),
        ("/currency", json!("xxx"), 400, "parameter_invalid", "currency"),
        ("/lines", json!([]), 400, "parameter_invalid", "lines"),
        ("/lines/0/quantity", json!(0), 400, "parameter_invalid", "lines[0].quantity"),
        ("/lines/0/quantity", json!(-1), 400, "parameter_invalid", "lines[0].quantity"),
        ("/lines/0/quantity", json!(u64::MAX), 400, "parameter_invalid", "lines[0].quantity"),
        ("/lines/0/unit_amount", json!(1499), 422, "price_mismatch", "lines[0].unit_amount"),
        ("/lines/0/unit_amount", json!(15.5), 400, "parameter_invalid", "lines[0].unit_amount"),
        ("/lines/0/session", json!("ses_unknown"), 422, "resource_missing", "lines[0].session"),
        ("/lines/0/session", json!("../etc"), 400, "parameter_invalid", "lines[0].session"),
        ("/lines/0/name", json!(card), 400, "card_number_refused", "lines[0].name"),
        ("/metadata", json!({"a": [{"b": card}]}), 400, "card_number_refused", "metadata.a[0].b"),
        ("/payment/methods/0/token", json!(card), 400, "card_number_refused", "payment.methods[0].token"),
        ("/payment/methods/0/amount", json!(1), 422, "payment_amount_mismatch", "payment.methods[0].amount"),
        ("/payment/methods/0", json!({"type": "free"}), 422, "payment_method_invalid", "payment.methods[0]"),
        ("/payment/methods/0/type", json!("wallet"), 400, "parameter_unknown", "payment.methods[0].token"),
        ("/payment", Value::Null, 400, "parameter_missing", "payment"),
        ("/promo_code", json!("NOPE"), 422, "promo_code_invalid", "promo_code"),
        ("/customer", json!("cus_nobody"), 422, "resource_missing", "customer"),
        ("/customer", json!({"external_id": "u1", "emial": "x"}), 400, "parameter_unknown", "customer.emial"),
        ("/customer", json!({"date_of_birth": "2999-01-01"}), 400, "parameter_invalid", "customer.date_of_birth"),
        ("/customer", json!({"date_of_birth": "2001-02-29"}), 400, "parameter_invalid", "customer.date_of_birth"),
        ("/callback_url", json!("https://user:pw@shop.example/"), 400, "parameter_invalid", "callback_url"),
        ("/expires_in", json!(0), 400, "parameter_invalid", "expires_in"),
        ("/note", json!("x"), 400, "parameter_unknown", "note"),
    ] {
        let mut body = two_places();
        let (parent, key) = path.rsplit_once('/').unwrap();
        let parent = body.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value.clone(),
            _ => parent[key] = value.clone(),
        }
        let reply = server.checkout("k1", &body).await;
        assert_eq!(reply.problem(), (status, code.to_owned()), "{path}: {value}: {:?}", reply.body);
        assert_eq!(reply.json()["param"], param, "{path}: {value}");
        assert!(!String::from_utf8_lossy(&reply.body).contains(card));
    }
    nothing_was_written(&server).await;
}

#[tokio::test]
async fn a_customer_who_is_not_born_yet_is_refused() {
    let server = Server::start().await;
    let reply = server.put("/v1/customers/cus_1", &json!({"date_of_birth": "2999-01-01"})).await;
    assert_eq!(reply.problem(), (400, "parameter_invalid".to_owned()));
    assert_eq!(reply.json()["param"], "date_of_birth");
    nothing_was_written(&server).await;
    assert_eq!(server.put("/v1/customers/cus_1", &json!({"date_of_birth": "1990-12-10"})).await.code(), 201);
}

#[tokio::test]
async fn a_body_of_the_wrong_type_or_length_is_refused() {
    let server = Server::start().await;
    let send = async |kind: &str, body: String| {
        let request = request("POST", "/v1/checkouts", &[("idempotency-key", "k1"), ("content-type", kind)]);
        server.send(request.body(Body::from(body)).unwrap()).await.problem()
    };
    assert_eq!(send("text/plain", "{}".to_owned()).await, (415, "unsupported_media_type".to_owned()));
    assert_eq!(send("application/json", " ".repeat(256 * 1024 + 1)).await, (413, "body_too_large".to_owned()));
    // A client that is still sending gets its answer at once, and is told to send nothing more on this connection.
    let taken = Arc::new(AtomicUsize::new(0));
    let (counted, length) = (Arc::clone(&taken), (300 * 1024).to_string());
    let pieces = stream::iter((0..300).map(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(vec![b' '; 1024])
    }));
    let headers = [("idempotency-key", "k1"), ("content-type", "application/json"), ("content-length", &*length)];
    let reply = server.send(request("POST", "/v1/checkouts", &headers).body(Body::from_stream(pieces)).unwrap()).await;
    assert_eq!((reply.code(), reply.header("connection"), taken.load(Ordering::Relaxed)), (413, "close", 0));
    let request = request("POST", "/v1/checkouts", &[("idempotency-key", "k1"), ("content-type", "application/json")]);
    let reply = server.send(request.body(Body::from(vec![b'{', 0xff, b'}'])).unwrap()).await;
    assert_eq!(reply.problem(), (400, "json_malformed".to_owned()));
    nothing_was_written(&server).await;
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems_too() {
    let server = Server::start().await;
    assert_eq!(server.get("/v2/checkouts").await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.get("/v1/checkouts/chk_1/refunds").await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.get("/v1/checkouts/a%2Fb").await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.get("/v1/checkouts/%ff").await.problem(), (404, "not_found".to_owned()));
    let reply = server.send(request("DELETE", "/v1/checkouts", &[]).body(Body::empty()).unwrap()).await;
    assert_eq!(reply.problem(), (405, "method_not_allowed".to_owned()));
    assert!(reply.header("allow").contains("POST"), "{:?}", reply.headers);
}
