//! Accounts with payment providers: added and changed by an admin, their secrets never shown, and events taken by account.

use crate::server::{KEY, Reply, Server, WithProviders, request};
use axum::body::Body;
use boxoffice_common::{
    adapters::{
        provider_events::{EventSource, NotGenuine},
        provider_registry::{AccountAdapter, NotBuilt, ProviderFactories, ProviderFactory},
        sealing::Sealer,
    },
    domain::{
        attempt::{Attempt, MoneyRequest, Outcome},
        id::{ProviderAccountId, ProviderEventId},
        provider_account::{CircuitState, Credentials, ProviderAccount, ProviderKind},
        provider_event::{EventAccount, Told},
        scope::Mode,
        time::Timestamp,
    },
    ports::{
        provider::{Capabilities, PaymentProvider},
        queue::Lane,
        routes::Routes,
        store::{ProviderAccountStore, ProviderEventStore, ToldHealth},
    },
};
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const SECRET_KEY: &str = "sk_test_planted_secret_4242";
const SECRETS: [&str; 3] = ["whsec_planted_one", "whsec_planted_two", "whsec_planted_three"];

/// An event is genuine where its header is one of the account's secrets.
struct Factory;

struct Fake {
    account: EventAccount,
    secrets: Vec<String>,
}

struct Adapter(Arc<Fake>);

impl ProviderFactory for Factory {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Stripe
    }

    fn build(&self, account: &ProviderAccount, credentials: &Credentials) -> Result<Arc<dyn AccountAdapter>, NotBuilt> {
        let Credentials::Stripe(stripe) = credentials else { return Err(NotBuilt("no credentials of Stripe's".to_owned())) };
        let secrets = stripe.webhook_secrets.iter().map(|secret| secret.reveal().clone()).collect();
        let (mode, tenant) = (account.scope.mode(), Some(account.scope.tenant().to_owned()));
        let account = EventAccount { provider: "stripe", account: account.id.to_string(), mode, tenant };
        Ok(Arc::new(Adapter(Arc::new(Fake { account, secrets }))))
    }
}

impl AccountAdapter for Adapter {
    fn provider(&self) -> Arc<dyn PaymentProvider> {
        Arc::clone(&self.0) as _
    }

    fn events(&self) -> Arc<dyn EventSource> {
        Arc::clone(&self.0) as _
    }
}

#[async_trait::async_trait]
impl PaymentProvider for Fake {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { capture_later: true, void: true, refund: true, look_up: true, key_window: Duration::from_secs(3600) }
    }

    async fn send(&self, _: &MoneyRequest) -> Outcome {
        Outcome::Unknown("nothing is sent here".to_owned())
    }

    async fn look_up(&self, _: &Attempt) -> Outcome {
        Outcome::Unknown("nothing is looked for here".to_owned())
    }
}

impl EventSource for Fake {
    fn account(&self) -> &EventAccount {
        &self.account
    }

    fn verify(&self, headers: &HeaderMap, body: &[u8], _: Timestamp) -> Result<String, NotGenuine> {
        let signed = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).ok_or(NotGenuine::Header("stripe-signature"))?;
        if !self.secrets.iter().any(|secret| secret == signed) {
            return Err(NotGenuine::Forged("no signature matches".to_owned()));
        }
        let body: Value = serde_json::from_slice(body).map_err(|_| NotGenuine::Forged("no event".to_owned()))?;
        Ok(body["id"].as_str().unwrap_or_default().to_owned())
    }

    fn read(&self, _: &str) -> Result<Told, serde_json::Error> {
        Ok(Told::Ask("pi_1".to_owned()))
    }
}

pub async fn server() -> Server {
    let (key, factories) = (Sealer::generate_key().unwrap(), ProviderFactories::default().with(Arc::new(Factory)));
    let server = Server::start_with_providers(WithProviders { factories, key: Some(key) }).await;
    server.add_key("bo_test_reader", "demo", Mode::Test, &["checkouts:read"]).await;
    server.add_key("bo_test_other", "other", Mode::Test, &["admin"]).await;
    server.add_key("bo_live_demo", "demo", Mode::Live, &["admin"]).await;
    server
}

pub async fn call(server: &Server, method: &str, path: &str, key: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {key}");
    let request = request(method, path, &[("authorization", &bearer), ("content-type", "application/json")]);
    server.send(request.body(Body::from(body.to_string())).unwrap()).await
}

pub fn main_account() -> Value {
    let credentials = json!({"secret_key": SECRET_KEY, "publishable_key": "pk_test_0123456789", "webhook_secrets": [SECRETS[0]]});
    json!({"provider": "stripe", "name": "Main", "credentials": credentials})
}

pub async fn add(server: &Server, key: &str, body: &Value) -> String {
    let added = call(server, "POST", "/v1/providers", key, body).await;
    assert_eq!(added.code(), 201, "{:?}", added.body);
    added.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_account_is_added_shown_and_changed_and_its_secrets_are_not_seen_again() {
    let server = server().await;
    let id = add(&server, KEY, &main_account()).await;
    let list = server.get("/v1/providers").await;
    let (account, sandbox) = (list.json()["data"][0].clone(), list.json()["data"][1].clone());
    assert_eq!((&account["id"], &account["object"]), (&json!(id), &json!("provider_account")));
    assert_eq!(account["credentials"], json!({"key": "sk_test_…4242", "publishable_key": "pk_test_0123456789", "webhook_secrets": 1}));
    assert_eq!(account["webhook_url"], format!("https://pay.example/webhooks/stripe/{id}"));
    assert_eq!(
        (&account["livemode"], &account["enabled"], &account["health"]),
        (&json!(false), &json!(true), &json!({"circuit": "closed"}))
    );
    assert_eq!((&sandbox["id"], &sandbox["provider"]), (&json!("sandbox"), &json!("sandbox")));
    let path = format!("/v1/providers/{id}");
    let change = json!({"name": "Zürich", "enabled": false, "credentials": {"webhook_secrets": [SECRETS[0], SECRETS[1]]}});
    let changed = call(&server, "PATCH", &path, KEY, &change).await;
    assert_eq!((changed.code(), &changed.json()["name"], &changed.json()["enabled"]), (200, &json!("Zürich"), &json!(false)));
    assert_eq!(changed.json()["credentials"]["webhook_secrets"], 2);
    assert_eq!(server.get(&path).await.json(), changed.json());
    let nothing = call(&server, "PATCH", &path, KEY, &json!({})).await;
    assert_eq!((nothing.code(), &nothing.json()["name"]), (200, &json!("Zürich")));
    for reply in [list, changed, server.get(&path).await] {
        assert!(!String::from_utf8_lossy(&reply.body).contains("planted"), "{:?}", reply.body);
    }
    let stored = server.store.account(&ProviderAccountId::parse(id).unwrap()).await.unwrap().unwrap();
    assert!(!stored.sealed.reveal().contains("planted"), "it is sealed in the store");
}

#[tokio::test]
async fn a_page_within_the_shops_own_takes_an_account_with_a_key_for_browsers() {
    let server = server().await;
    server.yoga().await;
    let mut keyless = main_account();
    keyless["credentials"].as_object_mut().unwrap().remove("publishable_key");
    let id = add(&server, KEY, &keyless).await;
    let order = |ui_mode: &str| {
        json!({
            "currency": "usd", "lines": [{"type": "session", "session": "ses_yoga", "quantity": 1}],
            "payment": {"methods": [{"type": "provider_page", "ui_mode": ui_mode}]},
        })
        .to_string()
    };
    let buy =
        async |key: &'static str, ui_mode: &str| server.post_json("/v1/checkouts", &[("idempotency-key", key)], &order(ui_mode)).await;
    assert_eq!(buy("k1", "hosted").await.code(), 202);
    let refused = buy("k2", "embedded").await;
    assert_eq!(refused.problem(), (422, "provider_not_configured".to_owned()));
    assert_eq!(refused.json()["param"], "payment.methods[0].type");
    let change = json!({"credentials": {"publishable_key": "pk_test_0123456789"}});
    assert_eq!(call(&server, "PATCH", &format!("/v1/providers/{id}"), KEY, &change).await.code(), 200);
    assert_eq!(buy("k3", "embedded").await.code(), 202);
}

#[tokio::test]
async fn only_an_admin_changes_accounts_and_nobody_sees_anothers() {
    let server = server().await;
    let id = add(&server, KEY, &main_account()).await;
    let path = format!("/v1/providers/{id}");
    for (method, path, body) in [
        ("POST", "/v1/providers", main_account()),
        ("PATCH", path.as_str(), json!({"enabled": false})),
        ("PUT", "/v1/routing", json!({"rules": []})),
    ] {
        let refused = call(&server, method, path, "bo_test_reader", &body).await;
        assert_eq!(refused.problem(), (403, "scope_missing".to_owned()), "{method} {path}");
    }
    let bearer = [("authorization", "Bearer bo_test_reader")];
    assert_eq!(server.get_with("/v1/providers", &bearer).await.json()["data"].as_array().unwrap().len(), 2);
    for key in ["bo_test_other", "bo_live_demo"] {
        let bearer = format!("Bearer {key}");
        assert_eq!(server.get_with(&path, &[("authorization", &bearer)]).await.problem(), (404, "not_found".to_owned()), "{key}");
        let refused = call(&server, "PATCH", &path, key, &json!({"enabled": false})).await;
        assert_eq!(refused.problem(), (404, "not_found".to_owned()), "{key}");
    }
    let live = server.get_with("/v1/providers", &[("authorization", "Bearer bo_live_demo")]).await;
    assert_eq!(live.json()["data"], json!([]), "no sandbox among real money");
}

#[tokio::test]
async fn wrong_credentials_are_refused_with_their_place_and_never_quoted() {
    let server = server().await;
    let with = |field: &str, value: Value| {
        let mut body = main_account();
        body["credentials"][field] = value;
        body
    };
    let mut unknown = main_account();
    unknown["credentials"]["password"] = json!("planted");
    let mut nameless = main_account();
    nameless["name"] = json!("");
    for (body, param) in [
        (with("secret_key", json!("sk_live_planted_secret_4242")), "credentials.secret_key"),
        (with("secret_key", json!(null)), "credentials.secret_key"),
        (with("webhook_secrets", json!(["planted"])), "credentials.webhook_secrets[0]"),
        (with("api_key", json!("test_planted_0123456789")), "credentials.api_key"),
        (unknown, "credentials.password"),
        (nameless, "name"),
        (json!({"provider": "paypal", "name": "x", "credentials": {}}), "provider"),
    ] {
        let refused = call(&server, "POST", "/v1/providers", KEY, &body).await;
        assert_eq!((refused.code(), &refused.json()["param"]), (400, &json!(param)), "{:?}", refused.body);
        assert!(!String::from_utf8_lossy(&refused.body).contains("planted"), "{:?}", refused.body);
    }
    assert_eq!(server.get("/v1/providers").await.json()["data"].as_array().unwrap().len(), 1, "nothing was added");
}

#[tokio::test]
async fn without_a_key_to_seal_with_nothing_is_added_and_it_says_so() {
    let server = Server::start().await;
    let refused = call(&server, "POST", "/v1/providers", KEY, &main_account()).await;
    assert_eq!(refused.problem(), (409, "secrets_key_missing".to_owned()));
    assert!(refused.json()["detail"].as_str().unwrap().contains("BOXOFFICE_SECRETS_KEY"));
}

#[tokio::test]
async fn rules_name_accounts_of_this_tenant_and_mode() {
    let server = server().await;
    let id = add(&server, KEY, &main_account()).await;
    let none = server.get("/v1/routing").await;
    assert_eq!((none.code(), none.json()), (200, json!({"rules": []})));
    let rules = json!({"rules": [
        {"currencies": ["eur"], "methods": ["card"], "min_amount": 100, "max_amount": 5000, "to": [{"account": id, "weight": 9}, {"account": "sandbox", "weight": 1}]},
        {"to": [{"account": id}]},
    ]});
    let put = server.put("/v1/routing", &rules).await;
    assert_eq!(put.code(), 200, "{:?}", put.body);
    assert_eq!(put.json()["rules"][1], json!({"to": [{"account": id, "weight": 1}]}));
    assert_eq!(server.get("/v1/routing").await.json(), put.json());
    assert_eq!(server.get_with("/v1/routing", &[("if-none-match", put.header("etag"))]).await.code(), 304);
    let scope = boxoffice_common::domain::scope::Scope::new("demo", Mode::Test).unwrap();
    assert_eq!(server.ctx.registry().routing(&scope).await.unwrap().rules.rules.len(), 2, "this process knows at once");
    let other = add(&server, "bo_live_demo", &{
        let mut body = main_account();
        body["credentials"] = json!({"secret_key": "sk_live_planted_secret_4242"});
        body
    })
    .await;
    for (rules, param) in [
        (json!([{"to": [{"account": "pac_nobody"}]}]), "rules[0].to[0].account"),
        (json!([{"to": [{"account": id}, {"account": other}]}]), "rules[0].to[1].account"),
        (json!([{"to": []}]), "rules[0].to"),
        (json!([{"to": [{"account": id, "weight": 1001}]}]), "rules[0].to[0].weight"),
        (json!([{"to": [{"account": id}], "country": "ch"}]), "rules[0].country"),
    ] {
        let refused = server.put("/v1/routing", &json!({"rules": rules})).await;
        assert_eq!((refused.code(), &refused.json()["param"]), (400, &json!(param)), "{:?}", refused.body);
    }
    let live = call(&server, "PUT", "/v1/routing", "bo_live_demo", &json!({"rules": [{"to": [{"account": "sandbox"}]}]})).await;
    assert_eq!((live.code(), &live.json()["param"]), (400, &json!("rules[0].to[0].account")));
    assert_eq!(server.get("/v1/routing").await.json(), put.json(), "what was refused changed nothing");
}

#[tokio::test]
async fn the_health_is_what_workers_have_told() {
    let server = server().await;
    let id = add(&server, KEY, &main_account()).await;
    let error = Some(("the connection was reset".to_owned(), Duration::from_secs(2)));
    let told = [
        ToldHealth { account: id.clone(), circuit: CircuitState::Open, last_error: error },
        ToldHealth { account: "sandbox".to_owned(), circuit: CircuitState::HalfOpen, last_error: None },
    ];
    server.store.tell_health("worker", &told).await.unwrap();
    let data = server.get("/v1/providers").await.json()["data"].clone();
    assert_eq!((&data[0]["health"]["circuit"], &data[1]["health"]["circuit"]), (&json!("open"), &json!("half_open")));
    assert_eq!(data[0]["health"]["last_error"]["message"], "the connection was reset");
    assert_eq!(server.get(&format!("/v1/providers/{id}")).await.json()["health"], data[0]["health"]);
}

fn event(path: &str, id: &str, signed: Option<&str>) -> Request<Body> {
    let body = json!({"id": id, "type": "payment_intent.succeeded"}).to_string();
    let request = Request::post(path).header("content-type", "application/json");
    let request = signed.into_iter().fold(request, |request, signed| request.header("stripe-signature", signed));
    request.body(Body::from(body)).unwrap()
}

async fn with_two_accounts() -> (Server, String, String) {
    let server = server().await;
    let one = add(&server, KEY, &main_account()).await;
    let mut other = main_account();
    other["credentials"]["webhook_secrets"] = json!([SECRETS[1], SECRETS[2]]);
    let two = add(&server, "bo_test_other", &other).await;
    (server, one, two)
}

async fn kept(server: &Server) -> Vec<(String, String)> {
    let mut kept = Vec::new();
    for work in server.queued(Lane::Events, 1).await {
        let event = server.store.provider_event(&ProviderEventId::parse(work.id.as_str()).unwrap()).await.unwrap().unwrap();
        kept.push((event.account, event.event));
    }
    kept
}

#[tokio::test]
async fn an_event_is_taken_by_the_account_that_its_address_names_with_any_of_its_secrets() {
    let (server, one, two) = with_two_accounts().await;
    let path = |id: &str| format!("/webhooks/stripe/{id}");
    for (path, signed) in [
        (path(&one), Some(SECRETS[1])),
        (path(&two), Some(SECRETS[0])),
        (path(&one), None),
        (path("pac_nobody"), Some(SECRETS[0])),
        (format!("/webhooks/mollie/{one}"), Some(SECRETS[0])),
    ] {
        let refused = server.send(event(&path, "evt_forged", signed)).await;
        assert_eq!(refused.problem(), (400, "event_not_genuine".to_owned()), "{path}");
    }
    for (path, id, signed) in [
        (path(&one), "evt_1", SECRETS[0]),
        (path(&two), "evt_2", SECRETS[1]),
        (path(&two), "evt_3", SECRETS[2]),
        (path(&two), "evt_3", SECRETS[2]),
    ] {
        assert_eq!(server.send(event(&path, id, Some(signed))).await.code(), 200);
    }
    // One that is disabled still has open attempts.
    let disabled = call(&server, "PATCH", &format!("/v1/providers/{one}"), KEY, &json!({"enabled": false})).await;
    assert_eq!(disabled.code(), 200);
    assert_eq!(server.send(event(&path(&one), "evt_4", Some(SECRETS[0]))).await.code(), 200);
    let expected =
        [(&one, "evt_1"), (&two, "evt_2"), (&two, "evt_3"), (&one, "evt_4")].map(|(account, id)| (account.clone(), id.to_owned()));
    assert_eq!(kept(&server).await, expected);
}

#[tokio::test]
async fn loops_address_finds_the_account_by_the_signature_and_answers_in_its_words() {
    let (server, one, two) = with_two_accounts().await;
    for (path, id, signed) in [("/v1/webhooks/stripe", "evt_1", SECRETS[2]), ("/loop/v1/webhooks/stripe", "evt_2", SECRETS[0])] {
        let taken = server.send(event(path, id, Some(signed))).await;
        let answer = taken.json();
        assert_eq!((taken.code(), &answer["stripe_event_id"], &answer["status"]), (200, &json!(id), &json!("received")));
        assert_eq!(answer["event_type"], "payment_intent.succeeded");
        assert!(answer["event_id"].as_str().unwrap().starts_with("pev_"));
        let again = server.send(event(path, id, Some(signed))).await;
        assert_eq!((again.code(), &again.json()["error"]), (409, &json!("event_duplicate")));
        for signed in [None, Some("whsec_of_a_stranger")] {
            let refused = server.send(event(path, "evt_forged", signed)).await;
            assert_eq!((refused.code(), &refused.json()["error"]), (401, &json!("signature_invalid")));
        }
    }
    assert_eq!(kept(&server).await, [(two, "evt_1".to_owned()), (one, "evt_2".to_owned())]);
}
