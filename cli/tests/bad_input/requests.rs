//! Requests that are wrong in themselves: bodies, fields, headers, addresses, ids, queries, methods.

use crate::support::{
    catalogue::{places, put, session, with},
    client::{Client, Reply, fresh_key},
    system::System,
};
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};

/// A Visa test number, which passes the check of every validator.
const CARD: &str = "4242424242424242";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_request_is_refused_with_a_code_and_leaves_nothing_behind() {
    let system = System::embedded_bare(&[("BOXOFFICE_RATE_LIMIT", "0")]).await;
    let shop = system.shop();
    put(&shop, "sessions", "ses_1", session(20)).await;
    let rows = bodies(&shop).await + fields(&shop).await + callback_addresses(&shop).await + headers(&shop).await + others(&shop).await;
    assert!(rows >= 150, "{rows} rows");
    let nothing = json!({"data": [], "next_cursor": null});
    for list in ["checkouts", "customers", "products", "promo-codes", "webhook-endpoints", "deliveries"] {
        assert_eq!(shop.get(&format!("/v1/{list}")).await.expect(200), nothing, "{list}");
    }
    assert_eq!(shop.get("/v1/sessions").await.expect(200)["data"].as_array().unwrap().len(), 1);
    assert_eq!(shop.left("ses_1").await, (0, 0, 20));
    // After all that it still sells.
    assert_eq!(shop.buy(&places("ses_1", 1, "tok_visa")).await["status"], "succeeded");
    let log = system.server.log().join("\n");
    assert!(!log.contains(CARD) && !log.contains("tok_visa"), "the log shows what it must not");
    system.finish().await;
}

/// POSTs a body as it is.
async fn raw(shop: &Client, body: impl Into<reqwest::Body>) -> Reply {
    let request = shop.request(Method::POST, "/v1/checkouts").header("idempotency-key", fresh_key());
    shop.send(request.header("content-type", "application/json").body(body)).await
}

fn good() -> Value {
    places("ses_1", 1, "tok_visa")
}

/// Bodies that are no JSON as we read it.
async fn bodies(shop: &Client) -> usize {
    let nested = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let text = |value: Value| value.to_string();
    let twice = text(good()).replacen('{', r#"{"currency":"eur","#, 1);
    let twice_inside = text(good()).replace(r#""quantity":1"#, r#""quantity":1,"quantity":2"#);
    let rows: Vec<(Vec<u8>, u16, &str)> = vec![
        (b"".to_vec(), 400, "json_malformed"),
        (b"{".to_vec(), 400, "json_malformed"),
        (b"{}{}".to_vec(), 400, "json_malformed"),
        (b"currency=usd".to_vec(), 400, "json_malformed"),
        (b"{'currency':'usd'}".to_vec(), 400, "json_malformed"),
        (b"{\"currency\":\"usd\",}".to_vec(), 400, "json_malformed"),
        (b"{\"a\":NaN}".to_vec(), 400, "json_malformed"),
        (b"{\"a\":1e999}".to_vec(), 400, "json_malformed"),
        (b"{\"a\":01}".to_vec(), 400, "json_malformed"),
        (b"{\"reference\":\"\xff\xfe\"}".to_vec(), 400, "json_malformed"),
        (b"\xef\xbb\xbf{}".to_vec(), 400, "json_malformed"),
        (br#"{"reference":"\ud800"}"#.to_vec(), 400, "json_malformed"),
        (b"null".to_vec(), 400, "parameter_invalid"),
        (b"[]".to_vec(), 400, "parameter_invalid"),
        (b"\"text\"".to_vec(), 400, "parameter_invalid"),
        (b"7".to_vec(), 400, "parameter_invalid"),
        (b"{}".to_vec(), 400, "parameter_missing"),
        (twice.into_bytes(), 400, "duplicate_key"),
        (twice_inside.into_bytes(), 400, "duplicate_key"),
        (nested("[", "]", 33).into_bytes(), 400, "json_too_deep"),
        (nested("[", "]", 100_000).into_bytes(), 400, "json_too_deep"),
        (nested("{\"a\":", "}", 20_000).into_bytes(), 400, "json_too_deep"),
        (text(with(&good(), json!({"reference": "a\0b"}))).into_bytes(), 400, "parameter_invalid"),
        (text(json!({"x".repeat(300): 1})).into_bytes(), 400, "parameter_invalid"),
        (text(with(&good(), json!({"metadata": {"a": "x".repeat(16 * 1024 + 1)}}))).into_bytes(), 400, "parameter_invalid"),
        (vec![b' '; 256 * 1024 + 1], 413, "body_too_large"),
        (text(with(&good(), json!({"metadata": {"a": vec!["x".repeat(1000); 300]}}))).into_bytes(), 413, "body_too_large"),
    ];
    let count = rows.len();
    for (body, status, code) in rows {
        let shown = String::from_utf8_lossy(&body).chars().take(80).collect::<String>();
        println!("{shown}");
        raw(shop, body).await.expect_problem(status, code);
    }
    count
}

/// Fields that are wrong: the field in a good checkout, what stands in it, and what is said about which field.
async fn fields(shop: &Client) -> usize {
    let line = |more: Value| json!([with(&json!({"type": "session", "session": "ses_1"}), more)]);
    let method = |more: Value| json!({"methods": [with(&json!({"type": "card"}), more)]});
    let customs = |count: usize| json!(vec![json!({"type": "custom", "name": "x", "unit_amount": 1}); count]);
    let invalid = "parameter_invalid";
    let card = "card_number_refused";
    let rows = vec![
        ("currency", json!(null), invalid, "currency"),
        ("currency", json!(840), invalid, "currency"),
        ("currency", json!("us"), invalid, "currency"),
        ("currency", json!("zzz"), invalid, "currency"),
        ("currency", json!("usd "), invalid, "currency"),
        ("lines", json!(null), invalid, "lines"),
        ("lines", json!({}), invalid, "lines"),
        ("lines", json!([]), invalid, "lines"),
        ("lines", json!([null]), invalid, "lines[0]"),
        ("lines", json!([[]]), invalid, "lines[0]"),
        ("lines", customs(51), invalid, "lines"),
        ("lines", json!([{"type": "ticket"}]), invalid, "lines[0].type"),
        ("lines", json!([{"session": "ses_1"}]), "parameter_missing", "lines[0].type"),
        ("lines", json!([{"type": "session"}]), "parameter_missing", "lines[0].session"),
        ("lines", line(json!({"session": "../etc/passwd"})), invalid, "lines[0].session"),
        ("lines", line(json!({"session": "x".repeat(65)})), invalid, "lines[0].session"),
        ("lines", line(json!({"session": ""})), invalid, "lines[0].session"),
        ("lines", line(json!({"session": "'; DROP TABLE checkouts; --"})), invalid, "lines[0].session"),
        ("lines", line(json!({"quantity": 0})), invalid, "lines[0].quantity"),
        ("lines", line(json!({"quantity": -1})), invalid, "lines[0].quantity"),
        ("lines", line(json!({"quantity": 1001})), invalid, "lines[0].quantity"),
        ("lines", line(json!({"quantity": 1.5})), invalid, "lines[0].quantity"),
        ("lines", line(json!({"quantity": "2"})), invalid, "lines[0].quantity"),
        ("lines", line(json!({"quantity": true})), invalid, "lines[0].quantity"),
        ("lines", line(json!({"quantity": 4_294_967_297u64})), invalid, "lines[0].quantity"),
        ("lines", line(json!({"quantity": u64::MAX})), invalid, "lines[0].quantity"),
        ("lines", line(json!({"unit_amount": "1500"})), invalid, "lines[0].unit_amount"),
        ("lines", line(json!({"unit_amount": 1500.0})), invalid, "lines[0].unit_amount"),
        ("lines", line(json!({"unit_amount": u64::MAX})), invalid, "lines[0].unit_amount"),
        ("lines", line(json!({"seats": "A1"})), invalid, "lines[0].seats"),
        ("lines", line(json!({"seats": [1]})), invalid, "lines[0].seats[0]"),
        ("lines", line(json!({"qty": 1})), "parameter_unknown", "lines[0].qty"),
        ("lines", line(json!({"product": "prd_1"})), "parameter_unknown", "lines[0].product"),
        ("lines", json!([{"type": "custom", "name": "x", "unit_amount": -1}]), invalid, "lines[0].unit_amount"),
        ("lines", json!([{"type": "custom", "name": " ", "unit_amount": 1}]), invalid, "lines[0].name"),
        ("lines", json!([{"type": "custom", "name": "a\u{1b}[31m", "unit_amount": 1}]), invalid, "lines[0].name"),
        ("lines", json!([{"type": "custom", "name": "x".repeat(201), "unit_amount": 1}]), invalid, "lines[0].name"),
        ("lines", json!([{"type": "custom", "unit_amount": 1}]), "parameter_missing", "lines[0].name"),
        ("payment", json!([]), invalid, "payment"),
        ("payment", json!({}), "parameter_missing", "payment.methods"),
        ("payment", json!({"methods": []}), invalid, "payment.methods"),
        ("payment", json!({"methods": {}}), invalid, "payment.methods"),
        ("payment", json!({"card": "tok_visa"}), "parameter_unknown", "payment.card"),
        ("payment", method(json!({})), "parameter_missing", "payment.methods[0].token"),
        ("payment", method(json!({"token": ""})), invalid, "payment.methods[0].token"),
        ("payment", method(json!({"token": "a b"})), invalid, "payment.methods[0].token"),
        ("payment", method(json!({"token": "x".repeat(256)})), invalid, "payment.methods[0].token"),
        ("payment", method(json!({"token": 7})), invalid, "payment.methods[0].token"),
        ("payment", method(json!({"token": "tok_visa", "cvc": "123"})), "parameter_unknown", "payment.methods[0].cvc"),
        ("payment", method(json!({"token": "tok_visa", "amount": -5})), "payment_amount_mismatch", "payment.methods[0].amount"),
        ("payment", method(json!({"type": "bitcoin"})), invalid, "payment.methods[0].type"),
        ("payment", json!({"methods": [{"type": "wallet"}]}), "parameter_missing", "payment.methods[0].provider"),
        ("payment", json!({"methods": [{"type": "free"}, {"type": "free"}]}), invalid, "payment.methods[1].amount"),
        ("payment", json!({"methods": vec![json!({"type": "card", "token": "tok_visa", "amount": 1}); 6]}), invalid, "payment.methods"),
        (
            "payment",
            json!({"methods": [{"type": "card", "token": "tok_visa", "amount": 1}, {"type": "card", "token": "tok_visa", "amount": 2}]}),
            "payment_amount_mismatch",
            "payment.methods",
        ),
        ("customer", json!(7), invalid, "customer"),
        ("customer", json!("not an id"), invalid, "customer"),
        ("customer", json!({"email": "nobody"}), invalid, "customer.email"),
        ("customer", json!({"email": "a@b c"}), invalid, "customer.email"),
        ("customer", json!({"date_of_birth": "1990-02-30"}), invalid, "customer.date_of_birth"),
        ("customer", json!({"date_of_birth": 19900101}), invalid, "customer.date_of_birth"),
        ("customer", json!({"external_id": "x".repeat(256)}), invalid, "customer.external_id"),
        ("customer", json!({"tags": ["member"]}), "parameter_unknown", "customer.tags"),
        ("customer", json!({"id": "cus_1"}), "parameter_unknown", "customer.id"),
        ("promo_code", json!(10), invalid, "promo_code"),
        ("success_url", json!("javascript:alert(1)"), invalid, "success_url"),
        ("cancel_url", json!("https://user:pw@shop.example/"), invalid, "cancel_url"),
        ("success_url", json!(format!("https://shop.example/{}", "x".repeat(2048))), invalid, "success_url"),
        ("callback_state", json!("x".repeat(1025)), invalid, "callback_state"),
        ("reference", json!("x".repeat(256)), invalid, "reference"),
        ("reference", json!("line\nbreak"), invalid, "reference"),
        ("expires_in", json!(9), invalid, "expires_in"),
        ("expires_in", json!(86_401), invalid, "expires_in"),
        ("expires_in", json!(-1), invalid, "expires_in"),
        ("expires_in", json!("60"), invalid, "expires_in"),
        ("metadata", json!([]), invalid, "metadata"),
        ("metadata", json!("x"), invalid, "metadata"),
        ("metadata", json!((0..51).map(|n| (format!("k{n}"), json!(n))).collect::<serde_json::Map<_, _>>()), invalid, "metadata"),
        ("amount_total", json!(1500), "parameter_unknown", "amount_total"),
        ("livemode", json!(true), "parameter_unknown", "livemode"),
        // Card numbers, wherever they stand and however they are written.
        ("reference", json!(CARD), card, "reference"),
        ("reference", json!("card 4242 4242 4242 4242."), card, "reference"),
        ("callback_state", json!("4242-4242-4242-4242"), card, "callback_state"),
        ("metadata", json!({"note": [{"pan": 4_242_424_242_424_242u64}]}), card, "metadata.note[0].pan"),
        ("metadata", json!({CARD: 1}), card, "metadata"),
        ("customer", json!({"name": CARD}), card, "customer.name"),
        ("customer", json!({"external_id": "378282246310005"}), card, "customer.external_id"),
        ("payment", method(json!({"token": CARD})), card, "payment.methods[0].token"),
        ("lines", json!([{"type": "custom", "name": CARD, "unit_amount": 1}]), card, "lines[0].name"),
        ("success_url", json!(format!("https://shop.example/?pan={CARD}")), card, "success_url"),
        ("unknown", json!(CARD), card, "unknown"),
    ];
    let count = rows.len();
    for (field, value, code, param) in rows {
        let reply = shop.refused(&with(&good(), json!({field: value}))).await;
        println!("{field}: {:.120}", value.to_string());
        let status = if code == "payment_amount_mismatch" { 422 } else { 400 };
        assert_eq!(reply.expect_problem(status, code)["param"], param);
        assert!(!reply.text.contains("4242"), "{}", reply.text);
    }
    count
}

/// Addresses that callbacks must never go to.
async fn callback_addresses(shop: &Client) -> usize {
    let rows = [
        "http://shop.example/hooks",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "/hooks",
        "shop.example",
        "https://",
        "https://user:pw@shop.example/",
        "https://shop.example/#here",
        "https://shop.example:22/",
        "https://shop.example:6379/",
        "https://localhost/",
        "https://api.localhost/",
        "https://db.internal/",
        "https://intranet/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a00:1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://[2001:0:1::]/",
        "https://[fc00::1]/",
        "https://[fe80::1]/",
        "https://shop.example/ hooks",
        "https://shop.example\\@evil.example/",
        "",
    ];
    for url in rows {
        println!("{url}");
        let problem = shop.refused(&with(&good(), json!({"callback_url": url}))).await.expect_problem(400, "parameter_invalid");
        assert_eq!(problem["param"], "callback_url");
        let endpoint = json!({"url": url, "events": ["*"]});
        let problem = shop.put("/v1/webhook-endpoints/end_1", &endpoint).await.expect_problem(400, "parameter_invalid");
        assert_eq!(problem["param"], "url");
    }
    rows.len() * 2
}

/// Headers that are wrong about a good body.
async fn headers(shop: &Client) -> usize {
    let json = "application/json";
    let long = "k".repeat(256);
    let umlaut = HeaderValue::from_bytes("schlüssel".as_bytes()).unwrap();
    let text = |value: &str| HeaderValue::from_str(value).unwrap();
    // The headers, and the status and code that they are answered with.
    type Row = (Vec<(&'static str, HeaderValue)>, u16, &'static str);
    let rows: Vec<Row> = vec![
        (vec![("content-type", text(json))], 400, "idempotency_key_missing"),
        (vec![("content-type", text(json)), ("idempotency-key", text(""))], 400, "idempotency_key_invalid"),
        (vec![("content-type", text(json)), ("idempotency-key", text("\"\""))], 400, "idempotency_key_invalid"),
        (vec![("content-type", text(json)), ("idempotency-key", text("two words"))], 400, "idempotency_key_invalid"),
        (vec![("content-type", text(json)), ("idempotency-key", text("\"open"))], 400, "idempotency_key_invalid"),
        (vec![("content-type", text(json)), ("idempotency-key", text(&long))], 400, "idempotency_key_invalid"),
        (vec![("content-type", text(json)), ("idempotency-key", umlaut)], 400, "idempotency_key_invalid"),
        (
            vec![("content-type", text(json)), ("idempotency-key", text("a")), ("idempotency-key", text("b"))],
            400,
            "idempotency_key_invalid",
        ),
        (vec![("idempotency-key", text("k"))], 415, "unsupported_media_type"),
        (vec![("content-type", text("text/plain")), ("idempotency-key", text("k"))], 415, "unsupported_media_type"),
        (vec![("content-type", text("application/x-www-form-urlencoded")), ("idempotency-key", text("k"))], 415, "unsupported_media_type"),
        (vec![("content-type", text("application/json; charset=latin1")), ("idempotency-key", text("k"))], 415, "unsupported_media_type"),
        (
            vec![("content-type", text(json)), ("content-encoding", text("gzip")), ("idempotency-key", text("k"))],
            415,
            "unsupported_media_type",
        ),
    ];
    let count = rows.len();
    for (headers, status, code) in rows {
        println!("{headers:?}");
        let mut request = shop.request(Method::POST, "/v1/checkouts");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        shop.send(request.body(good().to_string())).await.expect_problem(status, code);
    }
    count
}

/// Ids, cursors, filters, methods, and bodies of the other routes.
async fn others(shop: &Client) -> usize {
    let invalid = "parameter_invalid";
    let put_session = |more: Value| Some(with(&session(5), more));
    let rows = vec![
        (Method::GET, "/v1/checkouts?limit=0", None, 400, invalid),
        (Method::GET, "/v1/checkouts?limit=101", None, 400, invalid),
        (Method::GET, "/v1/checkouts?limit=-1", None, 400, invalid),
        (Method::GET, "/v1/checkouts?limit=ten", None, 400, invalid),
        (Method::GET, "/v1/checkouts?limit=99999999999999999999", None, 400, invalid),
        (Method::GET, "/v1/checkouts?limit=5&limit=6", None, 400, "duplicate_key"),
        (Method::GET, "/v1/checkouts?cursor=", None, 400, invalid),
        (Method::GET, "/v1/checkouts?cursor=a%20b", None, 400, invalid),
        (Method::GET, "/v1/checkouts?status=paid", None, 400, invalid),
        (Method::GET, "/v1/checkouts?created_after=yesterday", None, 400, invalid),
        (Method::GET, "/v1/checkouts?session=a%2Fb", None, 400, invalid),
        (Method::GET, "/v1/checkouts?reference=%00", None, 400, invalid),
        (Method::GET, "/v1/checkouts?offset=5", None, 400, "parameter_unknown"),
        (Method::GET, "/v1/deliveries?status=lost", None, 400, invalid),
        (Method::GET, "/v1/sessions?name=x", None, 400, "parameter_unknown"),
        (Method::GET, "/v1/checkouts/chk_nothing", None, 404, "not_found"),
        (Method::GET, "/v1/checkouts/..%2F..%2Fetc%2Fpasswd", None, 404, "not_found"),
        (Method::GET, "/v1/checkouts/%FF%FE", None, 404, "not_found"),
        (Method::GET, "/v1/checkouts/chk_nothing/events", None, 404, "not_found"),
        (Method::GET, "/v1/checkouts/chk_nothing/timeline", None, 404, "not_found"),
        (Method::POST, "/v1/checkouts/chk_nothing/cancel", Some(json!({})), 404, "not_found"),
        (Method::POST, "/v1/checkouts/chk_nothing/cancel", Some(json!({"reason": "x"})), 400, "parameter_unknown"),
        (Method::POST, "/v1/checkouts/chk_nothing/resolve", Some(json!({})), 400, "parameter_missing"),
        (Method::GET, "/v1/sessions/nothing/availability", None, 404, "not_found"),
        (Method::GET, "/v1/nothing", None, 404, "not_found"),
        (Method::GET, "/", None, 404, "not_found"),
        (Method::GET, "/sandbox/charges", None, 400, "parameter_missing"),
        (Method::GET, "/sandbox/charges?reference=chk_nothing", None, 404, "not_found"),
        (Method::DELETE, "/v1/checkouts", None, 405, "method_not_allowed"),
        (Method::PUT, "/v1/checkouts/chk_nothing", Some(json!({})), 405, "method_not_allowed"),
        (Method::POST, "/v1/sessions/ses_1", Some(session(5)), 405, "method_not_allowed"),
        (Method::PATCH, "/v1/sessions/ses_1", Some(json!({})), 405, "method_not_allowed"),
        (Method::POST, "/healthz", None, 405, "method_not_allowed"),
        (Method::PUT, "/v1/sessions/a%20b", Some(session(5)), 400, invalid),
        (Method::PUT, "/v1/sessions/4242424242424242", Some(session(5)), 400, "card_number_refused"),
        (Method::PUT, "/v1/customers/4242424242424242", Some(json!({})), 400, "card_number_refused"),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"capacity": -1})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"capacity": 100_001})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"seats": ["A1"]})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"unit_amount": -1})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"unit_amount": i64::MAX})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"tax_rate_bp": 10_001})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"starts_at": "tomorrow"})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"starts_at": "2060-06-01"})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"starts_at": "0000-01-01T00:00:00+12:00"})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"starts_at": "9999-12-31T23:59:59-12:00"})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"ends_at": "2000-01-01T00:00:00Z"})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"min_age": 20, "max_age": 10})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"price": 1})), 400, "parameter_unknown"),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"id": "ses_2"})), 400, invalid),
        (Method::PUT, "/v1/sessions/ses_1", put_session(json!({"name": CARD})), 400, "card_number_refused"),
        (Method::PUT, "/v1/sessions/ses_2", Some(with(&session(5), json!({"capacity": null, "seats": ["A1", "A1"]}))), 400, invalid),
        (Method::PUT, "/v1/products/prd_1", Some(json!({"name": "x", "currency": "usd"})), 400, "parameter_missing"),
        (Method::PUT, "/v1/products/prd_1", Some(json!({"name": "x", "currency": "usd", "unit_amount": 1, "stock": -1})), 400, invalid),
        (Method::PUT, "/v1/promo-codes/P", Some(json!({})), 400, invalid),
        (Method::PUT, "/v1/promo-codes/P", Some(json!({"percent_off_bp": 10_001})), 400, invalid),
        (Method::PUT, "/v1/promo-codes/P", Some(json!({"amount_off": 5})), 400, invalid),
        (Method::PUT, "/v1/customers/cus_1", Some(json!({"email": "nobody"})), 400, invalid),
        (Method::PUT, "/v1/customers/cus_1", Some(json!({"tags": "member"})), 400, invalid),
        (Method::PUT, "/v1/customers/cus_1", Some(json!({"date_of_birth": "31.12.1990"})), 400, invalid),
        (Method::PUT, "/v1/webhook-endpoints/end_1", Some(json!({"url": "https://shop.example/", "events": []})), 400, invalid),
        (
            Method::PUT,
            "/v1/webhook-endpoints/end_1",
            Some(json!({"url": "https://shop.example/", "events": ["checkout.paid"]})),
            400,
            invalid,
        ),
        (Method::PUT, "/v1/webhook-endpoints/end_1", Some(json!({"events": ["*"]})), 400, "parameter_missing"),
        (Method::POST, "/v1/deliveries/dlv_nothing/replay", Some(json!({})), 404, "not_found"),
        (Method::DELETE, "/v1/webhook-endpoints/end_1", None, 404, "not_found"),
    ];
    let count = rows.len();
    for (method, path, body, status, code) in rows {
        println!("{method} {path} {body:?}");
        let request = shop.request(method, path);
        let request = if let Some(body) = &body { request.json(body) } else { request };
        let reply = shop.send(request).await;
        reply.expect_problem(status, code);
        assert!(status != 405 || reply.header("allow").is_some(), "RFC 9110, 15.5.6: {:?}", reply.headers);
    }
    count
}
