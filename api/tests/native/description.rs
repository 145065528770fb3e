//! The description tells what is there, and health tells how it is.

use crate::server::Server;
use serde_json::Value;
use std::collections::HashSet;

const ROUTES: &[(&str, &[&str])] = &[
    ("/v1/checkouts", &["get", "post"]),
    ("/v1/checkouts/{id}", &["get"]),
    ("/v1/checkouts/{id}/events", &["get"]),
    ("/v1/checkouts/{id}/timeline", &["get"]),
    ("/v1/checkouts/{id}/cancel", &["post"]),
    ("/v1/checkouts/{id}/resolve", &["post"]),
    ("/v1/checkouts/{id}/refunds", &["get", "post"]),
    ("/v1/refunds/{id}", &["get"]),
    ("/v1/refunds/{id}/resolve", &["post"]),
    ("/v1/sessions", &["get"]),
    ("/v1/sessions/{id}", &["get", "put"]),
    ("/v1/sessions/{id}/availability", &["get"]),
    ("/v1/sessions/{id}/cancel", &["post"]),
    ("/v1/jobs", &["get"]),
    ("/v1/jobs/{id}", &["get"]),
    ("/v1/jobs/{id}/pause", &["post"]),
    ("/v1/jobs/{id}/resume", &["post"]),
    ("/v1/jobs/{id}/retry", &["post"]),
    ("/v1/products", &["get"]),
    ("/v1/sessions/{id}/waiting-list", &["get", "post"]),
    ("/v1/waiting-list/{id}", &["delete", "get"]),
    ("/v1/products/{id}", &["get", "put"]),
    ("/v1/promo-codes", &["get"]),
    ("/v1/promo-codes/{id}", &["get", "put"]),
    ("/v1/memberships", &["get"]),
    ("/v1/memberships/{id}", &["get", "put"]),
    ("/v1/plans", &["get"]),
    ("/v1/plans/{id}", &["get", "put"]),
    ("/v1/subscriptions", &["get"]),
    ("/v1/subscriptions/{id}", &["get"]),
    ("/v1/subscriptions/{id}/pause", &["post"]),
    ("/v1/subscriptions/{id}/resume", &["post"]),
    ("/v1/subscriptions/{id}/cancel", &["post"]),
    ("/v1/subscriptions/{id}/payment-method", &["post"]),
    ("/v1/customers", &["get"]),
    ("/v1/customers/{id}", &["get", "put"]),
    ("/v1/customers/{customer}/payment-methods", &["get"]),
    ("/v1/customers/{customer}/payment-methods/{id}", &["delete", "get", "put"]),
    ("/v1/customers/{customer}/balance", &["get"]),
    ("/v1/customers/{customer}/balance-adjustments", &["get", "post"]),
    ("/v1/customers/{customer}/bought-memberships", &["get"]),
    ("/v1/customers/{customer}/bought-memberships/{id}", &["get", "put"]),
    ("/v1/customers/{customer}/bought-memberships/{id}/freeze", &["post"]),
    ("/v1/customers/{customer}/bought-memberships/{id}/unfreeze", &["post"]),
    ("/v1/webhook-endpoints", &["get"]),
    ("/v1/webhook-endpoints/{id}", &["delete", "get", "put"]),
    ("/v1/webhook-endpoints/{id}/rotate-secret", &["post"]),
    ("/v1/webhook-secret", &["get"]),
    ("/v1/webhook-secret/rotate", &["post"]),
    ("/v1/deliveries", &["get"]),
    ("/v1/deliveries/{id}", &["get"]),
    ("/v1/deliveries/{id}/replay", &["post"]),
    ("/v1/ledger/transactions", &["get"]),
    ("/v1/ledger/balances", &["get"]),
    ("/v1/checkouts/{id}/receipt", &["get"]),
    ("/v1/checkouts/{id}/tickets", &["get"]),
    ("/v1/tickets/{id}", &["get"]),
    ("/v1/tickets/{id}/undo-check-in", &["post"]),
    ("/v1/tickets/{id}/transfer", &["post"]),
    ("/v1/check-ins", &["post"]),
    ("/v1/ticket-keys", &["get"]),
    ("/v1/settings", &["get", "put"]),
    ("/v1/providers", &["get", "post"]),
    ("/v1/providers/{id}", &["get", "patch"]),
    ("/v1/routing", &["get", "put"]),
    ("/v1/webhooks/stripe", &["post"]),
    ("/loop/v1/webhooks/stripe", &["post"]),
    ("/sandbox/charges", &["get"]),
    ("/api/v2/host/checkout", &["post"]),
    ("/api/v2/host/checkout/prices", &["post"]),
    ("/api/v2/host/checkout/compatible-memberships", &["post"]),
    ("/api/v2/member/checkout", &["post"]),
    ("/api/v2/member/checkout/prices", &["post"]),
    ("/api/v2/member/checkout/compatible-memberships", &["post"]),
    ("/api/v2/host/session-bookings/{id}", &["delete"]),
    ("/api/v2/host/sessions/{id}/waitlist/bookings", &["post"]),
    ("/momence/api/v2/host/checkout", &["post"]),
    ("/momence/api/v2/host/checkout/prices", &["post"]),
    ("/momence/api/v2/host/checkout/compatible-memberships", &["post"]),
    ("/momence/api/v2/member/checkout", &["post"]),
    ("/momence/api/v2/member/checkout/prices", &["post"]),
    ("/momence/api/v2/member/checkout/compatible-memberships", &["post"]),
    ("/momence/api/v2/host/session-bookings/{id}", &["delete"]),
    ("/momence/api/v2/host/sessions/{id}/waitlist/bookings", &["post"]),
    ("/sandbox/payment-intents", &["post"]),
    ("/sandbox/payment-intents/{id}", &["get"]),
    ("/v1/basket/{familyId}/quote", &["get"]),
    ("/v1/basket/{familyId}/checkout", &["post"]),
    ("/v1/balances", &["get"]),
    ("/v1/transactions/", &["get"]),
    ("/classmanager/v1/basket/{familyId}/quote", &["get"]),
    ("/classmanager/v1/basket/{familyId}/checkout", &["post"]),
    ("/classmanager/v1/balances", &["get"]),
    ("/classmanager/v1/transactions/", &["get"]),
    ("/v1/checkout", &["post"]),
    ("/v1/payments/{id}", &["get"]),
    ("/v1/checkout-sessions", &["get", "post"]),
    ("/v1/checkout-sessions/{id}", &["delete", "get"]),
    ("/monime/v1/checkout-sessions", &["get", "post"]),
    ("/monime/v1/checkout-sessions/{id}", &["delete", "get"]),
    ("/loop/v1/checkout", &["post"]),
    ("/loop/v1/payments/{id}", &["get"]),
    ("/loop/v1/subscriptions/{id}", &["get"]),
    ("/loop/v1/subscriptions/{id}/pause", &["post"]),
    ("/payment/stripe/v1/checkout", &["post"]),
    ("/payment/stripe/v1/checkout.json", &["post"]),
    ("/payment/stripe/v1/checkout/status", &["post"]),
    ("/payment/stripe/v1/checkout/status.json", &["post"]),
    ("/bokamera/payment/stripe/v1/checkout", &["post"]),
    ("/bokamera/payment/stripe/v1/checkout.json", &["post"]),
    ("/bokamera/payment/stripe/v1/checkout/status", &["post"]),
    ("/bokamera/payment/stripe/v1/checkout/status.json", &["post"]),
    ("/webhooks/{provider}/{account}", &["post"]),
    ("/healthz", &["get"]),
    ("/readyz", &["get"]),
    ("/metrics", &["get"]),
];

fn references(value: &Value, found: &mut HashSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref") {
                found.insert(target.clone());
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_route_is_described_with_its_answers_and_every_reference_leads_somewhere() {
    let server = Server::start().await;
    let api = server.get("/openapi.json").await.json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3."));
    let paths = api["paths"].as_object().unwrap();
    assert_eq!(paths.len(), ROUTES.len(), "{:?}", paths.keys());
    let mut ids = HashSet::new();
    for (path, methods) in ROUTES {
        let operations = paths[*path].as_object().unwrap();
        assert_eq!(operations.keys().map(String::as_str).collect::<Vec<_>>(), *methods, "{path}");
        for operation in operations.values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}: {}", operation["operationId"]);
            assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{path}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')));
            let faults = [
                ("loop", "LoopError"),
                ("momence", "MomenceError"),
                ("monime", "MonimeError"),
                ("classmanager", "ClassManagerError"),
                ("bokamera", "BokameraError"),
            ];
            let theirs = faults.into_iter().find(|(tag, _)| operation["tags"][0] == *tag);
            // What its sender signs has no API key.
            let is_signed = path.ends_with("/v1/webhooks/stripe");
            assert!(!is_signed || operation["security"].is_null(), "{path}");
            if (path.starts_with("/v1") || theirs.is_some()) && !is_signed {
                assert!(responses.contains_key("401") && responses.contains_key("429") && operation["security"].is_array(), "{path}");
                let (kind, schema) = theirs.map_or(("application/problem+json", "Problem"), |(_, schema)| ("application/json", schema));
                let problem = &responses["401"]["content"][kind]["schema"]["$ref"];
                assert_eq!(problem.as_str(), Some(format!("#/components/schemas/{schema}").as_str()), "{path}");
            }
        }
    }
    let mut targets = HashSet::new();
    references(&api, &mut targets);
    assert!(targets.len() > 20);
    for target in targets {
        assert!(api.pointer(target.strip_prefix('#').unwrap()).is_some(), "{target} leads nowhere");
    }
}

#[tokio::test]
async fn the_description_can_be_browsed_without_the_internet() {
    let server = Server::start().await;
    let page = server.get("/docs/").await;
    assert_eq!(page.code(), 200);
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(text.contains("swagger-ui") && !text.contains("https://"), "{text}");
    let script = server.get("/docs/swagger-initializer.js").await;
    assert!(String::from_utf8_lossy(&script.body).contains("/openapi.json"));
}

#[tokio::test]
async fn health_says_which_dependency_answers() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.code(), 200);
    let ready = server.get("/readyz").await;
    assert_eq!((ready.code(), ready.json()["status"].clone(), ready.json()["store"].clone()), (200, "ready".into(), "ok".into()));
}
