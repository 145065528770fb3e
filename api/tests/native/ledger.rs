//! The ledger over HTTP: pages, filters, balances, and the export.

use crate::server::{Reply, Server};
use boxoffice_common::domain::{scope::Mode, state::Status};
use serde_json::{Value, json};

/// As in docs/ledger.md: programs read by it.
const HEAD: &str =
    "transaction,created_at,kind,checkout,customer,reference,currency,line,type,account,amount,amount_decimal,entity_type,entity,note";

/// A sale of one place at 15.00 usd for cash.
async fn sell(server: &Server, key: &str, reference: &str, customer: Option<&str>) -> String {
    let mut body = json!({
        "currency": "usd", "reference": reference,
        "lines": [{"type": "session", "session": "ses_yoga", "quantity": 1}],
        "payment": {"methods": [{"type": "custom", "name": "cash"}]},
    });
    if let Some(customer) = customer {
        body["customer"] = json!(customer);
    }
    let reply = server.checkout(key, &body).await;
    assert_eq!(reply.code(), 202, "{:?}", reply.body);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.work(&id).await, Status::Succeeded);
    id
}

async fn checkouts(server: &Server, query: &str) -> Vec<String> {
    let reply = server.get(&format!("/v1/ledger/transactions{query}")).await;
    assert_eq!(reply.code(), 200, "{query}: {:?}", reply.body);
    let data = reply.json()["data"].as_array().unwrap().clone();
    data.iter().map(|transaction| transaction["checkout"].as_str().unwrap().to_owned()).collect()
}

fn text(reply: &Reply) -> String {
    assert_eq!((reply.code(), reply.header("content-type")), (200, "text/csv; charset=utf-8; header=present"), "{:?}", reply.body);
    String::from_utf8(reply.body.to_vec()).unwrap()
}

#[tokio::test]
async fn transactions_are_shown_as_documented_and_paged() {
    let server = Server::start().await;
    server.yoga().await;
    let mut sold = Vec::new();
    for n in 0..5 {
        sold.insert(0, sell(&server, &format!("k{n}"), "order", None).await);
    }
    let first = server.get("/v1/ledger/transactions?limit=2").await;
    assert_eq!((first.code(), first.header("content-type")), (200, "application/json"));
    assert!(first.headers.get_all("vary").iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"accept")), "{:?}", first.headers);
    let shown = first.json()["data"][0].clone();
    assert!(shown["id"].as_str().unwrap().starts_with("ltx_") && shown["created_at"].is_string());
    for (field, value) in [
        ("object", json!("ledger_transaction")),
        ("kind", json!("sale")),
        ("checkout", json!(sold[0])),
        ("customer", Value::Null),
        ("reference", json!("order")),
        ("currency", json!("usd")),
        (
            "entries",
            json!([
                {"type": "payment", "account": "tender:custom", "amount": 1500, "entity": {"type": "custom", "id": "cash"}},
                {"type": "session", "account": "revenue", "amount": -1500, "entity": {"type": "session", "id": "ses_yoga"}},
            ]),
        ),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = server.get(&format!("/v1/ledger/transactions{query}")).await.json();
        seen.extend(page["data"].as_array().unwrap().iter().map(|one| one["checkout"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    assert_eq!(seen, sold);
}

#[tokio::test]
async fn transactions_are_narrowed_and_bad_filters_are_named() {
    let server = Server::start().await;
    server.yoga().await;
    server.put("/v1/customers/cus_1", &json!({"name": "Ada"})).await;
    let plain = sell(&server, "k1", "one", None).await;
    let hers = sell(&server, "k2", "two", Some("cus_1")).await;
    assert_eq!(checkouts(&server, &format!("?checkout={plain}")).await, [plain.as_str()]);
    assert_eq!(checkouts(&server, "?customer=cus_1").await, [hers.as_str()]);
    assert_eq!(checkouts(&server, "?account=tender:custom&kind=sale").await, [&*hers, &*plain]);
    for nothing in ["?account=tax", "?kind=refund", "?from=2099-01-01T00:00:00Z", "?to=2020-01-01T00:00:00Z", "?customer=cus_2"] {
        assert_eq!(checkouts(&server, nothing).await, [""; 0], "{nothing}");
    }
    assert_eq!(checkouts(&server, "?from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z").await.len(), 2);
    for (bad, param) in [
        ("checkout=a%20b", "checkout"),
        ("customer=", "customer"),
        ("account=", "account"),
        ("account=a%0Ab", "account"),
        ("kind=gift", "kind"),
        ("from=yesterday", "from"),
        ("to=now", "to"),
        ("from=2030-01-02T00:00:00Z&to=2030-01-01T00:00:00Z", "to"),
        ("limit=0", "limit"),
        ("cursor=%00", "cursor"),
        ("format=xml", "format"),
        ("format=csv&limit=5", "limit"),
        ("format=csv&cursor=ltx_1", "cursor"),
    ] {
        let reply = server.get(&format!("/v1/ledger/transactions?{bad}")).await;
        assert_eq!((reply.problem(), reply.json()["param"].clone()), ((400, "parameter_invalid".to_owned()), json!(param)), "{bad}");
    }
    for (path, code) in [("transactions?knd=sale", "parameter_unknown"), ("balances?account=tax", "parameter_unknown")] {
        assert_eq!(server.get(&format!("/v1/ledger/{path}")).await.problem(), (400, code.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn balances_are_told_per_account_and_customer() {
    let server = Server::start().await;
    server.yoga().await;
    server.put("/v1/customers/cus_1", &json!({"name": "Ada"})).await;
    sell(&server, "k1", "one", None).await;
    sell(&server, "k2", "two", Some("cus_1")).await;
    let named = |sum: i64| {
        json!({"data": [
            {"account": "revenue", "currency": "usd", "amount": -sum},
            {"account": "tender:custom", "currency": "usd", "amount": sum},
        ], "next_cursor": null})
    };
    assert_eq!(server.get("/v1/ledger/balances").await.json(), named(3000));
    assert_eq!(server.get("/v1/ledger/balances?customer=cus_1").await.json(), named(1500));
    assert_eq!(server.get("/v1/ledger/balances?customer=cus_2").await.json()["data"], json!([]));
    assert_eq!(server.get("/v1/ledger/balances?customer=a%20b").await.problem(), (400, "parameter_invalid".to_owned()));
}

#[tokio::test]
async fn nobody_reads_the_ledger_of_another_tenant_or_mode_or_without_the_scope() {
    let server = Server::start().await;
    server.yoga().await;
    let id = sell(&server, "k1", "secret", None).await;
    server.add_key("bo_test_other", "other", Mode::Test, &["admin"]).await;
    server.add_key("bo_live_demo", "demo", Mode::Live, &["admin"]).await;
    server.add_key("bo_test_reader", "demo", Mode::Test, &["checkouts:read"]).await;
    server.add_key("bo_test_editor", "demo", Mode::Test, &["catalog:write"]).await;
    let paths = ["transactions", "balances", "transactions?format=csv", &format!("transactions?checkout={id}")];
    for path in paths.map(|path| format!("/v1/ledger/{path}")) {
        let with = async |key: &str| server.get_with(&path, &[("authorization", &format!("Bearer {key}"))]).await;
        for key in ["bo_test_other", "bo_live_demo"] {
            let reply = with(key).await;
            if path.contains("csv") {
                assert_eq!(text(&reply), format!("{HEAD}\r\n"), "{key}");
            } else {
                assert_eq!((reply.code(), reply.json()["data"].clone()), (200, json!([])), "{key} {path}");
            }
        }
        assert!(String::from_utf8_lossy(&with("bo_test_reader").await.body).contains("revenue"), "{path}");
        assert_eq!(with("bo_test_editor").await.problem(), (403, "scope_missing".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn an_export_quotes_what_breaks_rows_and_disarms_formulas() {
    let server = Server::start().await;
    server.yoga().await;
    let formula = sell(&server, "k1", "=HYPERLINK(\"https://evil.example\",\"a\")", None).await;
    let comma = sell(&server, "k2", "Ünï, \"quoted\"", None).await;
    let reply = server.get_with("/v1/ledger/transactions", &[("accept", "text/csv")]).await;
    assert_eq!(reply.header("content-disposition"), "attachment; filename=\"ledger.csv\"");
    let csv = text(&reply);
    assert_eq!(text(&server.get("/v1/ledger/transactions?format=csv").await), csv);
    let rows: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!((rows.len(), rows[0]), (5, HEAD));
    let (newer, older) = (rows[1].split_once(",sale,").unwrap().1, rows[4].split_once(",sale,").unwrap().1);
    assert_eq!(newer, format!("{comma},,\"Ünï, \"\"quoted\"\"\",usd,1,payment,tender:custom,1500,15.00,custom,cash,"));
    let disarmed = "\"'=HYPERLINK(\"\"https://evil.example\"\",\"\"a\"\")\"";
    assert_eq!(older, format!("{formula},,{disarmed},usd,2,session,revenue,-1500,-15.00,session,ses_yoga,"));
    // What is asked for in the query goes before what the client accepts.
    let json = server.get_with("/v1/ledger/transactions?format=json", &[("accept", "text/csv")]).await;
    assert_eq!(json.header("content-type"), "application/json");
    let narrowed = text(&server.get(&format!("/v1/ledger/transactions?format=csv&checkout={comma}")).await);
    assert_eq!(narrowed.matches("\r\n").count(), 3);
}

#[tokio::test]
async fn an_export_goes_on_over_pages_and_a_stop_breaks_it_off() {
    let server = Server::start().await;
    let session = json!({"name": "Yoga", "starts_at": "2099-01-01T10:00:00Z", "capacity": 500, "unit_amount": 1500, "currency": "usd"});
    assert_eq!(server.put("/v1/sessions/ses_yoga", &session).await.code(), 201);
    let mut sold = Vec::new();
    for n in 0..203 {
        sold.insert(0, sell(&server, &format!("k{n}"), "many", None).await);
    }
    let csv = text(&server.get("/v1/ledger/transactions?format=csv").await);
    let payments: Vec<&str> = csv.lines().filter(|row| row.contains(",payment,")).map(|row| row.split(',').nth(3).unwrap()).collect();
    assert_eq!(payments, sold);
    server.shutdown.cancel();
    let request = crate::server::request("GET", "/v1/ledger/transactions?format=csv", &[]).body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(server.router.clone(), request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(axum::body::to_bytes(response.into_body(), 4 << 20).await.is_err(), "half an export passes for a whole one");
}

#[tokio::test]
async fn the_note_of_a_payment_made_outside_is_shown_to_the_shop_and_to_nobody_else() {
    let server = Server::start().await;
    server.yoga().await;
    let notes = ["=till 3, \"Ada\"", "<b>paid & counted</b>"];
    let body = json!({
        "currency": "usd",
        "lines": [{"type": "session", "session": "ses_yoga", "quantity": 1}],
        "payment": {"methods": [
            {"type": "custom", "name": "cash", "note": notes[0], "amount": 500},
            {"type": "custom", "name": "invoice", "amount": 400},
            {"type": "custom", "name": "cash", "note": notes[1], "amount": 600},
        ]},
    });
    let id = server.checkout("k", &body).await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.work(&id).await, Status::Succeeded);
    let shown = server.get(&format!("/v1/checkouts/{id}")).await.json();
    let payments = json!([
        {"name": "cash", "note": notes[0], "amount": 500},
        {"name": "invoice", "note": null, "amount": 400},
        {"name": "cash", "note": notes[1], "amount": 600},
    ]);
    assert_eq!(shown["custom_payments"], payments);
    let sale = server.get(&format!("/v1/ledger/transactions?checkout={id}")).await.json()["data"][0].clone();
    let told: Vec<(i64, Value)> =
        sale["entries"].as_array().unwrap()[..4].iter().map(|entry| (entry["amount"].as_i64().unwrap(), entry["note"].clone())).collect();
    assert_eq!(told, [(500, json!(notes[0])), (400, Value::Null), (600, json!(notes[1])), (-1500, Value::Null)]);
    let csv = text(&server.get(&format!("/v1/ledger/transactions?format=csv&checkout={id}")).await);
    let rows: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert!(rows[1].ends_with(",custom,cash,\"'=till 3, \"\"Ada\"\"\""), "a comma, a quotation mark and a formula: {}", rows[1]);
    assert!(rows[2].ends_with(",custom,invoice,") && rows[3].ends_with(",custom,cash,<b>paid & counted</b>"), "{csv}");
    // What whoever has a link to the receipt sees.
    let links = server.get(&format!("/v1/checkouts/{id}/receipt")).await.json();
    for link in ["url", "pdf_url"] {
        let url = links[link].as_str().unwrap().splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap();
        let page = server.get_with(&url, &[]).await;
        assert_eq!(page.code(), 200, "{url}");
        let page = String::from_utf8_lossy(&page.body).into_owned();
        assert!(!page.contains("till 3") && !page.contains("counted"), "{page}");
    }
    // A card has none, and nothing is said of it.
    let card = json!({"currency": "usd", "lines": body["lines"], "payment": {"methods": [{"type": "card", "token": "tok_visa"}]}});
    assert!(server.checkout("k2", &card).await.json().get("custom_payments").is_none());
}
