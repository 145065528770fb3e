//! A tenant's settings: checked, replaced whole, and nobody else's.

use crate::server::{Server, request};
use axum::body::Body;
use boxoffice_common::domain::scope::Mode;
use serde_json::{Value, json};

fn opera() -> Value {
    json!({
        "name": "Opéra & Ballet", "color": "#7A1F5C", "time_zone": "europe/paris", "support_email": "aide@opera.example",
        "embed_origins": ["https://opera.example/", "http://localhost:3000"], "company_id": "6F9619FF8B86D011B42D00C04FC964FF",
        "custom_payment_methods": [{"id": "1", "name": "Cash"}, {"id": "2", "name": "Invoice", "note_required": true}],
    })
}

#[tokio::test]
async fn settings_are_put_shown_and_put_back() {
    let server = Server::start().await;
    let before = server.get("/v1/settings").await;
    let defaults = json!({"name": null, "color": null, "time_zone": "UTC", "support_email": null, "embed_origins": [],
        "company_id": null, "custom_payment_methods": []});
    assert_eq!((before.code(), before.json()), (200, defaults.clone()));
    let put = server.put("/v1/settings", &opera()).await;
    assert_eq!(put.code(), 200);
    let shown = json!({
        "name": "Opéra & Ballet", "color": "#7a1f5c", "time_zone": "Europe/Paris", "support_email": "aide@opera.example",
        "embed_origins": ["https://opera.example", "http://localhost:3000"], "company_id": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "custom_payment_methods": [{"id": "1", "name": "Cash", "note_required": false}, {"id": "2", "name": "Invoice", "note_required": true}],
    });
    assert_eq!(put.json(), shown);
    let again = server.get_with("/v1/settings", &[("if-none-match", before.header("etag"))]).await;
    assert_eq!((again.code(), again.json()), (200, shown.clone()));
    assert_eq!(server.get_with("/v1/settings", &[("if-none-match", put.header("etag"))]).await.code(), 304);
    assert_eq!(server.put("/v1/settings", &shown).await.json(), shown, "what was read can be put back");
    assert_eq!(server.put("/v1/settings", &json!({})).await.json(), defaults, "what is left out is gone");
}

#[tokio::test]
async fn settings_that_break_the_rules_are_refused_with_their_field_and_change_nothing() {
    let server = Server::start().await;
    let many: Vec<String> = (0..21).map(|n| format!("https://shop{n}.example")).collect();
    for (field, value, param) in [
        ("name", json!(""), "name"),
        ("name", json!("x".repeat(101)), "name"),
        ("name", json!("a\u{7}b"), "name"),
        ("color", json!("red"), "color"),
        ("color", json!("#fff"), "color"),
        ("time_zone", json!("Mars/Olympus"), "time_zone"),
        ("time_zone", json!("+02:00"), "time_zone"),
        ("support_email", json!("nobody"), "support_email"),
        ("embed_origins", json!(["https://*.example"]), "embed_origins[0]"),
        ("embed_origins", json!(["https://a.example", "http://shop.example"]), "embed_origins[1]"),
        ("embed_origins", json!(["https://a.example/page"]), "embed_origins[0]"),
        ("embed_origins", json!(["https://a.example;script-src"]), "embed_origins[0]"),
        ("embed_origins", json!(many), "embed_origins"),
        ("custom_payment_methods", json!([{"id": "1", "name": "Cash"}, {"id": "1", "name": "Bar"}]), "custom_payment_methods[1].id"),
        ("custom_payment_methods", json!([{"id": "1", "name": ""}]), "custom_payment_methods[0].name"),
    ] {
        let mut settings = opera();
        settings[field] = value.clone();
        let reply = server.put("/v1/settings", &settings).await;
        assert_eq!(reply.problem(), (400, "parameter_invalid".to_owned()), "{field} {value}");
        assert_eq!(reply.json()["param"], param, "{value}");
    }
    let unknown = server.put("/v1/settings", &json!({"colour": "#ffffff"})).await;
    assert_eq!(unknown.problem(), (400, "parameter_unknown".to_owned()));
    assert_eq!(server.get("/v1/settings").await.json()["name"], Value::Null);
}

#[tokio::test]
async fn settings_are_changed_by_an_admin_read_by_any_key_of_the_tenant_and_http_is_for_tests() {
    let server = Server::start().await;
    server.put("/v1/settings", &opera()).await;
    server.add_key("bo_test_reader", "demo", Mode::Test, &["checkouts:read"]).await;
    server.add_key("bo_live_admin", "demo", Mode::Live, &["admin"]).await;
    let with = async |key: &str, body: Option<Value>| {
        let headers = [("authorization", &*format!("Bearer {key}")), ("content-type", "application/json")];
        let method = if body.is_some() { "PUT" } else { "GET" };
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        server.send(request(method, "/v1/settings", &headers).body(body).unwrap()).await
    };
    assert_eq!(with("bo_test_reader", None).await.json()["name"], "Opéra & Ballet");
    assert_eq!(with("bo_test_reader", Some(opera())).await.problem(), (403, "scope_missing".to_owned()));
    assert_eq!(with("bo_live_admin", None).await.json()["name"], Value::Null, "another mode's are another's");
    let refused = with("bo_live_admin", Some(opera())).await;
    assert_eq!((refused.problem().0, refused.json()["param"].clone()), (400, json!("embed_origins[1]")));
}
