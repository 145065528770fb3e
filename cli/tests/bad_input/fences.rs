//! What is another's is not there: tenants, modes, scopes, keys.

use crate::support::{
    catalogue::{places, put, session, with},
    client::{Client, callback, fresh_key},
    system::System,
};
use boxoffice_testkit::Receiver;
use reqwest::Method;
use serde_json::{Value, json};

/// A shop with one of everything, and the paths of all of it.
async fn furnished(shop: &Client, receiver: &Receiver) -> Vec<(Method, String)> {
    put(shop, "sessions", "ses_mine", session(20)).await;
    put(shop, "products", "prd_mine", json!({"name": "Mat", "unit_amount": 100, "currency": "usd"})).await;
    put(shop, "promo-codes", "MINE", json!({"percent_off_bp": 1000})).await;
    put(shop, "customers", "cus_mine", json!({"external_id": "mine", "tags": ["member"]})).await;
    let made = shop.put("/v1/webhook-endpoints/end_mine", &json!({"url": receiver.url(), "events": ["*"]})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let sold = shop.buy(&with(&places("ses_mine", 1, "tok_visa"), json!({"customer": "cus_mine", "reference": "mine"}))).await;
    let id = sold["id"].as_str().unwrap();
    callback(receiver, "checkout.succeeded", id).await;
    let deliveries = shop.get(&format!("/v1/deliveries?checkout={id}")).await.expect(200);
    let delivery = deliveries["data"][0]["id"].as_str().unwrap();
    let get = |path: String| (Method::GET, path);
    let post = |path: String| (Method::POST, path);
    vec![
        get(format!("/v1/checkouts/{id}")),
        get(format!("/v1/checkouts/{id}/events")),
        get(format!("/v1/checkouts/{id}/timeline")),
        post(format!("/v1/checkouts/{id}/cancel")),
        get(format!("/sandbox/charges?reference={id}")),
        get(format!("/v1/deliveries/{delivery}")),
        post(format!("/v1/deliveries/{delivery}/replay")),
        get("/v1/webhook-endpoints/end_mine".to_owned()),
        post("/v1/webhook-endpoints/end_mine/rotate-secret".to_owned()),
        (Method::DELETE, "/v1/webhook-endpoints/end_mine".to_owned()),
        get("/v1/sessions/ses_mine".to_owned()),
        get("/v1/sessions/ses_mine/availability".to_owned()),
        get("/v1/products/prd_mine".to_owned()),
        get("/v1/promo-codes/MINE".to_owned()),
        get("/v1/customers/cus_mine".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_another_tenant_or_mode_is_not_there() {
    let system = System::embedded_bare(&[("BOXOFFICE_RATE_LIMIT", "0"), ("BOXOFFICE_ALLOW_PRIVATE_CALLBACKS", "true")]).await;
    let (shop, receiver) = (system.shop(), Receiver::start().await.unwrap());
    let paths = furnished(&shop, &receiver).await;
    let checkout = paths[0].1.clone();
    let before = shop.get(&checkout).await.expect(200);
    let secret = shop.get("/v1/webhook-secret").await.expect(200);
    let (rival, live) = tokio::join!(system.newcomer("rival", &[]), system.newcomer("shop", &["--live"]));
    for stranger in [&rival, &live] {
        for (method, path) in &paths {
            println!("{method} {path}");
            stranger.send(stranger.request(method.clone(), path)).await.expect_problem(404, "not_found");
        }
        let resolve = format!("{checkout}/resolve");
        stranger.post(&resolve, &json!({"outcome": "failed"})).await.expect_problem(404, "not_found");
        for list in
            ["checkouts", "checkouts?reference=mine", "sessions", "products", "promo-codes", "customers", "webhook-endpoints", "deliveries"]
        {
            let found = stranger.get(&format!("/v1/{list}")).await.expect(200);
            assert_eq!(found["data"], json!([]), "{list}");
        }
        // Nor can it be bought, used or borrowed.
        put(stranger, "sessions", "ses_own", session(5)).await;
        // In cash: no card pays live.
        let buy = |session: &str| with(&places(session, 1, ""), json!({"payment": {"methods": [{"type": "custom", "name": "cash"}]}}));
        for (body, param) in [
            (buy("ses_mine"), "lines[0].session"),
            (with(&buy("ses_own"), json!({"customer": "cus_mine"})), "customer"),
            (with(&buy("ses_own"), json!({"promo_code": "MINE"})), "promo_code"),
        ] {
            let reply = stranger.refused(&body).await;
            assert_eq!((reply.status, &reply.json()["param"]), (422, &json!(param)), "{}", reply.text);
        }
        // The same ids are free for everybody, and the same external id is another person.
        put(stranger, "sessions", "ses_mine", session(1)).await;
        let own = stranger.submit(&fresh_key(), &with(&buy("ses_mine"), json!({"customer": {"external_id": "mine"}}))).await;
        assert!(own.clone().expect(202)["customer"].as_str().is_some_and(|id| id != "cus_mine"), "{}", own.text);
        stranger.settled(own.json()["id"].as_str().unwrap()).await;
        assert_ne!(stranger.get("/v1/webhook-secret").await.expect(200), secret);
    }
    assert_eq!(shop.get(&checkout).await.expect(200), before);
    assert_eq!(shop.left("ses_mine").await, (1, 0, 19));
    assert_eq!(receiver.deliveries().iter().filter(|delivery| delivery.json()["data"]["id"] != before["id"]).count(), 0);
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_does_what_its_scopes_say_and_no_key_does_nothing() {
    let system = System::embedded_bare(&[("BOXOFFICE_RATE_LIMIT", "0")]).await;
    let shop = system.shop();
    put(&shop, "sessions", "ses_1", session(20)).await;
    let scoped = async |scopes: &str| system.newcomer("shop", &["--scopes", scopes]).await;
    let (reader, writer, keeper) = (scoped("checkouts:read").await, scoped("checkouts:write").await, scoped("catalog:write").await);
    let order = places("ses_1", 1, "tok_visa");
    let endpoint = json!({"url": "https://shop.example/", "events": ["*"]});
    let requests: [(Method, &str, &Value, [bool; 3]); 11] = [
        // Who may: the reader, the writer, the keeper of the catalogue.
        (Method::POST, "/v1/checkouts", &order, [false, true, false]),
        (Method::GET, "/v1/checkouts", &Value::Null, [true, true, false]),
        (Method::GET, "/v1/customers", &Value::Null, [true, true, false]),
        (Method::GET, "/v1/deliveries", &Value::Null, [true, true, false]),
        (Method::GET, "/v1/sessions/ses_1", &Value::Null, [true, true, true]),
        (Method::PUT, "/v1/sessions/ses_1", &session(20), [false, false, true]),
        (Method::PUT, "/v1/promo-codes/P", &json!({"percent_off_bp": 100}), [false, false, true]),
        (Method::PUT, "/v1/customers/cus_1", &json!({}), [false, false, true]),
        (Method::PUT, "/v1/webhook-endpoints/end_1", &endpoint, [false, false, false]),
        (Method::GET, "/v1/webhook-secret", &Value::Null, [false, false, false]),
        (Method::POST, "/v1/checkouts/chk_1/resolve", &json!({"outcome": "failed"}), [false, false, false]),
    ];
    for (method, path, body, may) in requests {
        println!("{method} {path}");
        let ask = async |client: &Client| {
            let request = client.request(method.clone(), path).header("idempotency-key", fresh_key());
            client.send(if body.is_null() { request } else { request.json(body) }).await
        };
        for (client, may) in [&reader, &writer, &keeper].into_iter().zip(may) {
            let reply = ask(client).await;
            if may {
                assert!(matches!(reply.status, 200..=202), "{}", reply.text);
            } else {
                reply.expect_problem(403, "scope_missing");
            }
        }
        assert_ne!(ask(&shop).await.status, 403);
        let other_mode = shop.key().replace("bo_test_", "bo_live_");
        for key in [None, Some("bo_test_nobody"), Some("sk_test_123"), Some(""), Some(other_mode.as_str()), Some(CONTROL)] {
            let reply = ask(&shop.with_key(key)).await;
            reply.expect_problem(401, "unauthenticated");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
    }
    let basic = shop.with_key(None).request(Method::GET, "/v1/checkouts").basic_auth(shop.key(), Some(""));
    shop.send(basic).await.expect_problem(401, "unauthenticated");
    for list in shop.get("/v1/checkouts").await.expect(200)["data"].as_array().unwrap() {
        shop.settled(list["id"].as_str().unwrap()).await;
    }
    system.finish().await;
}

/// As long as a header may be.
const CONTROL: &str =
    "bo_test_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
