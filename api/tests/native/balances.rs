//! Balances over the API: given, spent, held, given back, and whose they are.

use crate::server::{Reply, Server};
use boxoffice_common::domain::scope::Mode;
use serde_json::{Value, json};

const ADJUSTMENTS: &str = "/v1/customers/cus_ada/balance-adjustments";
const BALANCE: &str = "/v1/customers/cus_ada/balance";

async fn shop() -> Server {
    let server = Server::start().await;
    server.yoga().await;
    for customer in ["cus_ada", "cus_bob"] {
        assert_eq!(server.put(&format!("/v1/customers/{customer}"), &json!({})).await.code(), 201);
    }
    server
}

async fn adjust(server: &Server, key: &str, body: Value) -> Reply {
    server.post_json(ADJUSTMENTS, &[("idempotency-key", key)], &body.to_string()).await
}

async fn give(server: &Server, key: &str, amount: i64) {
    let reply = adjust(server, key, json!({"amount": amount, "currency": "usd", "reason": "correction"})).await;
    assert_eq!(reply.code(), 201, "{:?}", reply.body);
}

async fn order(server: &Server, key: &str, customer: Value, methods: Value) -> Reply {
    let mut body = json!({"currency": "usd", "lines": [{"type": "session", "session": "ses_yoga"}], "payment": {"methods": methods}});
    if !customer.is_null() {
        body["customer"] = customer;
    }
    server.checkout(key, &body).await
}

/// Amount, held and available.
async fn has(server: &Server) -> Value {
    let balances = server.get(BALANCE).await.json();
    let usd = balances["data"].as_array().unwrap().iter().find(|balance| balance["currency"] == "usd").cloned().unwrap_or_default();
    json!([usd["amount"], usd["held"], usd["available"]])
}

#[tokio::test]
async fn a_gift_is_booked_once_shown_and_listed() {
    let server = shop().await;
    assert_eq!(server.get(BALANCE).await.json(), json!({"data": [], "next_cursor": null}));
    let gift = json!({"amount": 2500, "currency": "usd", "reason": "gift", "note": "for the long wait"});
    let first = adjust(&server, "k1", gift.clone()).await;
    let shown = ["object", "customer", "amount", "currency", "reason", "note"].map(|field| first.json()[field].clone());
    let expected = [json!("balance_adjustment"), json!("cus_ada"), json!(2500), json!("usd"), json!("gift"), json!("for the long wait")];
    assert_eq!((first.code(), shown), (201, expected));
    let again = adjust(&server, "k1", gift.clone()).await;
    assert_eq!((again.code(), again.header("idempotent-replayed"), again.json()), (201, "true", first.json()));
    let other = adjust(&server, "k1", json!({"amount": 1, "currency": "usd", "reason": "gift"})).await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".to_owned()));
    give(&server, "k2", -500).await;
    assert_eq!(has(&server).await, json!([2000, 0, 2000]));
    let list = server.get(&format!("{ADJUSTMENTS}?limit=1")).await.json();
    assert_eq!(list["data"][0]["amount"], -500, "the newest first");
    let rest = server.get(&format!("{ADJUSTMENTS}?limit=1&cursor={}", list["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!((&rest["data"][0], &rest["next_cursor"]), (&first.json(), &json!(null)));
    let ledger = server.get("/v1/ledger/transactions?kind=adjustment&customer=cus_ada").await.json();
    let oldest = &ledger["data"][1];
    assert_eq!((&oldest["checkout"], &oldest["customer"], &oldest["kind"]), (&json!(null), &json!("cus_ada"), &json!("adjustment")));
    let csv = String::from_utf8(server.get("/v1/ledger/transactions?format=csv").await.body.to_vec()).unwrap();
    let row = csv.lines().find(|row| row.contains("tender:balance") && row.contains("-2500")).unwrap();
    assert!(row.contains(",adjustment,,cus_ada,,usd,2,gift,tender:balance,-2500,-25.00,customer,cus_ada"), "{row}");
}

#[tokio::test]
async fn what_cannot_be_given_or_taken_is_refused_and_writes_nothing() {
    let server = shop().await;
    give(&server, "k1", 1000).await;
    let body = |amount: Value, reason: &str| json!({"amount": amount, "currency": "usd", "reason": reason});
    for (n, (body, code, param)) in [
        (body(json!(-1001), "correction"), (422, "balance_insufficient"), "amount"),
        (body(json!(0), "gift"), (400, "parameter_invalid"), "amount"),
        (body(json!(-1), "deposit"), (400, "parameter_invalid"), "amount"),
        (body(json!(1), "payout"), (400, "parameter_invalid"), "amount"),
        (body(json!(i64::MAX), "gift"), (400, "parameter_invalid"), "amount"),
        (body(json!(i64::MIN), "gift"), (400, "parameter_invalid"), "amount"),
        (body(json!(1.5), "gift"), (400, "parameter_invalid"), "amount"),
        (body(json!(1_000_000_000_000i64), "gift"), (422, "amount_out_of_range"), "amount"),
        (body(json!(1), "bribe"), (400, "parameter_invalid"), "reason"),
        (json!({"amount": 1, "currency": "usd"}), (400, "parameter_missing"), "reason"),
        (json!({"amount": 1, "currency": "xyz", "reason": "gift"}), (400, "parameter_invalid"), "currency"),
        (json!({"amount": 1, "currency": "usd", "reason": "gift", "nota": "x"}), (400, "parameter_unknown"), "nota"),
        (json!({"amount": 1, "currency": "usd", "reason": "gift", "note": "x".repeat(501)}), (400, "parameter_invalid"), "note"),
        (json!({"amount": 1, "currency": "usd", "reason": "gift", "note": "4242 4242 4242 4242"}), (400, "card_number_refused"), "note"),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = adjust(&server, &format!("bad-{n}"), body.clone()).await;
        assert_eq!(reply.problem(), (code.0, code.1.to_owned()), "{body}");
        assert_eq!(reply.json()["param"], param, "{body}");
    }
    let body = json!({"amount": 1, "currency": "usd", "reason": "gift"}).to_string();
    assert_eq!(server.post_json(ADJUSTMENTS, &[], &body).await.problem(), (400, "idempotency_key_missing".to_owned()));
    let nobody = server.post_json("/v1/customers/cus_nobody/balance-adjustments", &[("idempotency-key", "n")], &body).await;
    assert_eq!(nobody.problem().0, 404);
    assert_eq!((has(&server).await, server.get(ADJUSTMENTS).await.json()["data"].as_array().unwrap().len()), (json!([1000, 0, 1000]), 1));
}

#[tokio::test]
async fn only_an_admin_changes_a_balance_and_nobody_sees_anothers() {
    let server = shop().await;
    give(&server, "k1", 1000).await;
    for (key, mode, scopes) in [
        ("bo_test_writer", Mode::Test, &["checkouts:write", "checkouts:read", "catalog:write"][..]),
        ("bo_test_catalog", Mode::Test, &["catalog:write"]),
    ] {
        server.add_key(key, "demo", mode, scopes).await;
        let headers = [("authorization", format!("Bearer {key}")), ("idempotency-key", "k9".to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = json!({"amount": 1, "currency": "usd", "reason": "gift"}).to_string();
        assert_eq!(server.post_json(ADJUSTMENTS, &headers, &body).await.problem(), (403, "scope_missing".to_owned()));
    }
    for (key, tenant, mode) in [("bo_test_other", "other", Mode::Test), ("bo_live_demo", "demo", Mode::Live)] {
        server.add_key(key, tenant, mode, &["admin"]).await;
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k9")];
        for path in [BALANCE, ADJUSTMENTS] {
            assert_eq!(server.get_with(path, &headers[..1]).await.problem().0, 404);
        }
        let body = json!({"amount": 1, "currency": "usd", "reason": "gift"}).to_string();
        assert_eq!(server.post_json(ADJUSTMENTS, &headers, &body).await.problem().0, 404);
    }
}

#[tokio::test]
async fn a_balance_pays_for_its_own_customer_in_its_currency_as_far_as_it_goes() {
    let server = shop().await;
    give(&server, "k1", 2000).await;
    let balance = || json!([{"type": "balance"}]);
    let euros = json!({"amount": 5000, "currency": "eur", "reason": "gift"});
    assert_eq!(adjust(&server, "eur", euros).await.code(), 201);
    for (key, customer, methods, code, param) in [
        ("guest", json!(null), balance(), (400, "parameter_missing"), "customer"),
        ("bob", json!("cus_bob"), balance(), (422, "balance_insufficient"), "payment.methods[0].amount"),
        ("new", json!({"email": "new@shop.example"}), balance(), (422, "balance_insufficient"), "payment.methods[0].amount"),
        ("nobody", json!("cus_nobody"), balance(), (422, "resource_missing"), "customer"),
        ("field", json!("cus_ada"), json!([{"type": "balance", "token": "x"}]), (400, "parameter_unknown"), "payment.methods[0].token"),
        (
            "twice",
            json!("cus_ada"),
            json!([{"type": "balance", "amount": 1}, {"type": "balance"}]),
            (400, "parameter_invalid"),
            "payment.methods[1].type",
        ),
    ] {
        let reply = order(&server, key, customer, methods).await;
        assert_eq!((reply.problem(), reply.json()["param"].as_str()), ((code.0, code.1.to_owned()), Some(param)), "{key}");
    }
    let first = order(&server, "o1", json!("cus_ada"), balance()).await;
    let id = first.json()["id"].as_str().unwrap().to_owned();
    server.work(&id).await;
    let sale = server.get(&format!("/v1/checkouts/{id}")).await.json();
    assert_eq!((&sale["status"], &sale["amount_paid"], &sale["payment_attempts"]), (&json!("succeeded"), &json!(1500), &json!([])));
    assert_eq!(has(&server).await, json!([500, 0, 500]));
    let short = order(&server, "o2", json!("cus_ada"), balance()).await;
    assert_eq!(short.problem(), (422, "balance_insufficient".to_owned()));
    assert!(short.json()["detail"].as_str().unwrap().contains("500 minor units (5.00 usd)"), "{}", short.json());
    // The first answer is found again, although nothing is left that could pay for it.
    let again = order(&server, "o1", json!("cus_ada"), balance()).await;
    assert_eq!((again.code(), again.json()["id"].clone()), (202, json!(id)));
    let refunds = format!("/v1/checkouts/{id}/refunds");
    let refund = server.post_json(&refunds, &[("idempotency-key", "r")], "{}").await.json();
    assert_eq!(
        (&refund["status"], &refund["parts"]),
        (&json!("succeeded"), &json!([{"method": "balance", "amount": 1500, "status": "succeeded"}]))
    );
    assert_eq!(has(&server).await, json!([2000, 0, 2000]));
}
