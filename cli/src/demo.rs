//! The demo: a tenant with a key that everybody knows, and a small catalogue with fixed ids.

use crate::{demo_classmanager, demo_dialects, demo_momence, exit::Failure, wire::Engine};
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use boxoffice_common::{
    adapters::callback::signature::{self, generate_secret},
    config::Config,
    domain::{
        balance::Reason,
        catalogue::{Kind, Session},
        id::{AdjustmentId, BoughtMembershipId, CatalogueId, CustomerId, KeyId},
        membership::{Membership, MembershipType},
        money::{Amount, Currency},
        plan::Plan,
        scope::{Mode, Scope},
        secret::Secret,
        time::Timestamp,
    },
    ports::{
        clock::Clock,
        store::{
            AdjustResult, ApiKey, BalanceStore, BoughtPut, CatalogueStore, DeliveryStore, IdempotencyRow, KeyStore, MembershipStore,
            NewAdjustment, PutBought, StoreError,
        },
    },
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The demo's key, test mode.
const KEY: &str = "bo_test_demo";
/// The demo's pack of credits.
const PACK: &str = "mem_demo_pack10";
/// What Ada has to begin with, in cents.
const GIFT: i64 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Where the demo's own callbacks go.
const RECEIVER: &str = "/demo/callbacks";
/// How old a callback may be (Standard Webhooks leaves it to the receiver).
const TOLERANCE: Duration = Duration::from_secs(300);

/// Callbacks may go to this machine, and nobody counts requests, unless the environment says so.
pub fn relax(config: &mut Config) {
    config.allow_private_callbacks = true;
    if std::env::var("BOXOFFICE_RATE_LIMIT").is_err() {
        config.rate_limit_per_second = 0;
    }
    // Whoever looks at the demo tries all its cards.
    if std::env::var("BOXOFFICE_CARD_TESTING").is_err() {
        config.card_testing = None;
    }
}

pub(crate) fn invalid(what: impl std::fmt::Display) -> Failure {
    Failure::Setup(format!("the demo catalogue: {what}"))
}

fn scope() -> Result<Scope, Failure> {
    Scope::new("demo", Mode::Test).map_err(invalid)
}

/// Makes the tenant, its key and its catalogue, or brings them up to date.
pub async fn fill(engine: &Engine) -> Result<(), Failure> {
    let (scope, now) = (scope()?, engine.clock.now());
    let key = boxoffice_api::key::from_text(KEY.to_owned());
    let row = ApiKey {
        id: KeyId::parse("key_demo").map_err(invalid)?,
        scope: scope.clone(),
        scopes: ["checkouts:write", "checkouts:read", "catalog:write", "admin"].map(str::to_owned).to_vec(),
        hint: key.hint,
        created_at: now,
        revoked_at: None,
    };
    engine.store.add_key(&row, &key.hash).await?;
    for (id, session) in sessions(now)? {
        put_session(engine, &scope, id, &session).await?;
    }
    let mat = json!({"name": "Yoga mat", "unit_amount": 2500, "currency": "usd"});
    put(engine, &scope, Kind::Product, "prd_demo_mat", &mat.to_string(), None, None).await?;
    let promo = json!({"percent_off_bp": 1000});
    put(engine, &scope, Kind::PromoCode, "DEMO10", &promo.to_string(), None, None).await?;
    let ada = json!({"name": "Ada Lovelace", "email": "ada@example.com", "date_of_birth": "1990-12-10", "tags": ["member"]});
    let ada = serde_json::from_value(ada).map_err(invalid)?;
    let id = CustomerId::parse("cus_demo_ada").map_err(invalid)?;
    engine.store.put_customer(&scope, &id, &ada).await?.map_err(|other| invalid(format!("customer {other} has Ada's external id")))?;
    fill_balance(engine, &scope, &id).await?;
    let monthly = json!({"name": "Monthly", "unit_amount": 4900, "currency": "usd", "interval": "month"});
    put(engine, &scope, Kind::Plan, "pln_demo_monthly", &monthly.to_string(), None, None).await?;
    fill_memberships(engine, &scope, id).await?;
    demo_momence::fill(engine, &scope).await?;
    demo_classmanager::fill(engine, &scope).await?;
    demo_dialects::fill(engine, &scope).await
}

/// Ten dollars for Ada, unless she was given something before.
async fn fill_balance(engine: &Engine, scope: &Scope, ada: &CustomerId) -> Result<(), Failure> {
    if engine.store.balances_of(scope, ada).await?.is_none_or(|balances| !balances.is_empty()) {
        return Ok(());
    }
    let idempotency = IdempotencyRow { route: "demo".to_owned(), key: "ada".to_owned(), body_hash: String::new() };
    let gift = NewAdjustment {
        id: AdjustmentId::generate(&engine.entropy, engine.clock.now()),
        scope: scope.clone(),
        customer: ada.clone(),
        amount: Amount::from_minor(GIFT),
        currency: Currency::parse("usd").map_err(invalid)?,
        reason: Reason::Gift,
        note: None,
        idempotency,
    };
    match engine.store.adjust_balance(&gift).await? {
        AdjustResult::Created(_) | AdjustResult::Replayed(_) => Ok(()),
        other => Err(invalid(format!("Ada's balance: {other:?}"))),
    }
}

/// A pack of ten, and Ada's, unless she has it from before.
async fn fill_memberships(engine: &Engine, scope: &Scope, ada: CustomerId) -> Result<(), Failure> {
    let pack = json!({"name": "Ten classes", "unit_amount": 12_000, "currency": "usd", "type": "pack", "credits": 10});
    put(engine, scope, Kind::Membership, PACK, &pack.to_string(), None, None).await?;
    let id = BoughtMembershipId::parse("bmb_demo_ada").map_err(invalid)?;
    if engine.store.bought(scope, &ada, &id).await?.is_some() {
        return Ok(());
    }
    let membership = CatalogueId::parse(PACK).map_err(invalid)?;
    let (kind, credits, metadata) = (MembershipType::Pack, Some(10), serde_json::Map::new());
    let (valid_from, valid_until) = (None, None);
    let given = PutBought { scope: scope.clone(), id, customer: ada, membership, kind, credits, valid_from, valid_until, metadata };
    match engine.store.put_bought(&given).await? {
        BoughtPut::Created(_) | BoughtPut::Replaced(_) => Ok(()),
        other => Err(invalid(format!("Ada's pack: {other:?}"))),
    }
}

fn sessions(now: Timestamp) -> Result<Vec<(&'static str, Session)>, Failure> {
    let (next_week, yesterday) = (now.after(7 * DAY), now.before(DAY));
    let rows: Vec<String> = ["A", "B", "C", "D", "E"].iter().flat_map(|row| (1..=10).map(move |n| format!("{row}{n}"))).collect();
    [
        ("ses_demo_yoga", json!({"name": "Morning yoga", "capacity": 20, "unit_amount": 1500, "currency": "usd", "starts_at": next_week, "compatible_memberships": [PACK]})),
        ("ses_demo_gala", json!({"name": "Opening gala", "seats": rows, "unit_amount": 5000, "currency": "usd", "starts_at": next_week})),
        (
            "ses_demo_full",
            json!({"name": "Sold-out workshop", "capacity": 0, "unit_amount": 1500, "currency": "usd", "starts_at": next_week}),
        ),
        (
            "ses_demo_past",
            json!({"name": "Yesterday's class", "capacity": 20, "unit_amount": 1500, "currency": "usd", "starts_at": yesterday}),
        ),
    ]
    .into_iter()
    .map(|(id, session)| serde_json::from_value(session).map(|session| (id, session)).map_err(invalid))
    .collect()
}

pub(crate) async fn put_session(engine: &Engine, scope: &Scope, id: &str, session: &Session) -> Result<(), Failure> {
    let doc = serde_json::to_string(session).map_err(invalid)?;
    put(engine, scope, Kind::Session, id, &doc, Some(session.places()), session.seats.as_deref()).await
}

pub(crate) async fn put(
    engine: &Engine,
    scope: &Scope,
    kind: Kind,
    id: &str,
    doc: &str,
    capacity: Option<u32>,
    seats: Option<&[String]>,
) -> Result<(), Failure> {
    let id = CatalogueId::parse(id).map_err(invalid)?;
    // What is written is read back through the domain's own type when it is used; a demo must not be an exception.
    match kind {
        Kind::Session => drop(serde_json::from_str::<Session>(doc).map_err(invalid)?),
        Kind::Product => drop(serde_json::from_str::<boxoffice_common::domain::catalogue::Product>(doc).map_err(invalid)?),
        Kind::Membership => drop(serde_json::from_str::<Membership>(doc).map_err(invalid)?),
        Kind::Plan => drop(serde_json::from_str::<Plan>(doc).map_err(invalid)?),
        Kind::BoughtMembership => return Err(invalid("a bought membership is no catalogue object")),
        Kind::PromoCode => drop(serde_json::from_str::<boxoffice_common::domain::catalogue::PromoCode>(doc).map_err(invalid)?),
    }
    engine.store.put(scope, kind, &id, doc, capacity, seats).await?;
    Ok(())
}

/// Takes the demo's own callbacks, checks their signatures, and says so in the log.
pub fn receiver(engine: &Engine) -> Router {
    Router::new().route(RECEIVER, post(received)).with_state((engine.store.clone(), engine.clock.clone(), Arc::clone(&engine.entropy)))
}

type Receiver = (
    Arc<boxoffice_common::adapters::sql::SqlStore>,
    Arc<boxoffice_common::adapters::clock::SyncedClock>,
    Arc<boxoffice_common::domain::id::Entropy>,
);

async fn received(State((store, clock, entropy)): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let secret = async {
        let scope = scope().map_err(|error| StoreError::Inconsistent(error.to_string()))?;
        store.default_secret(&scope, &generate_secret(&entropy)).await
    };
    let Ok(secret) = secret.await else { return StatusCode::SERVICE_UNAVAILABLE };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let signed = verify(&secret, &header, &body, clock.now());
    let event: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |pointer: &str| event.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
    tracing::info!(
        event = text("/type"),
        checkout = text("/data/id"),
        status = text("/data/status"),
        signature = if signed { "valid" } else { "INVALID" },
        "callback received"
    );
    if signed { StatusCode::OK } else { StatusCode::BAD_REQUEST }
}

fn verify(secret: &Secret<String>, header: &dyn Fn(&str) -> String, body: &[u8], now: Timestamp) -> bool {
    let (id, at, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    signature::verify(secret, &id, &at, &signature, body, now, TOLERANCE).is_ok()
}

/// Says how to sell a seat.
pub fn greet(url: &str) {
    println!("demo key: {KEY} (test mode; docs at {url}/docs)");
    println!("sell a seat:");
    println!("{}", first_sale(url));
}

/// A line for a shell: posts a checkout, waits for its end, and prints it.
fn first_sale(url: &str) -> String {
    let body = json!({
        "currency": "usd",
        "lines": [{"type": "session", "session": "ses_demo_yoga", "quantity": 1}],
        "payment": {"methods": [{"type": "card", "token": "tok_visa"}]},
        "callback_url": format!("{url}{RECEIVER}"),
    });
    format!(
        "  curl -s -H 'Authorization: Bearer {KEY}' -H 'Prefer: wait=30' \"{url}$(curl -s -o /dev/null -w '%header{{location}}' {url}/v1/checkouts \
         -H 'Authorization: Bearer {KEY}' -H \"Idempotency-Key: first-sale-$(date +%s%N)\" -H 'Content-Type: application/json' -d '{body}')\""
    )
}
