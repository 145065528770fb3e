//! What a provider tells of its own accord, posted by the provider and by others: what is not genuine changes nothing, what does not fit is
//! shown to an operator, and what is genuine and fits counts once, whenever it comes.

use crate::support::{
    catalogue::{places, put, session, with},
    client::{Client, PATIENCE, Reply},
    system::{System, WEBHOOK_SECRET, said},
};
use boxoffice_common::{
    adapters::{
        callback::signature::{generate_secret, sign},
        sql::SqlStore,
    },
    domain::{
        id::{Entropy, ProviderEventId},
        provider_event::{EventStatus, MAX_TRIES},
        scope::{Mode, Scope},
        secret::Secret,
        time::Timestamp,
    },
    ports::{
        clock::{Clock, SystemClock},
        store::{NewProviderEvent, ProviderEventStore},
    },
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// We know what the sandbox signs with, and speak in its name.
pub const SETTINGS: &[(&str, &str)] =
    &[("BOXOFFICE_PROVIDER_TIMEOUT_MS", "4000"), ("BOXOFFICE_LEASE_MS", "8000"), ("SANDBOX_WEBHOOK_SECRET", WEBHOOK_SECRET)];

/// Nothing that is told becomes durable.
pub const DEAF: &[(&str, &str)] = &[("BOXOFFICE_FAILPOINTS", "event.before_commit=fail"), ("SANDBOX_WEBHOOK_SECRET", WEBHOOK_SECRET)];

/// The answer to a charge is in nobody's hands for so long that the customer has agreed, and the provider has told it.
pub const SLOW: &[(&str, &str)] = &[("BOXOFFICE_FAILPOINTS", "charge.after_send=sleep(5000)")];

const APPROVES: &str = "+23276000001";
const NEVER_LOOKS: &str = "+23270000003";
const TOLD_WITH_ANOTHER_AMOUNT: &str = "+23270000007";
const INTAKE: &str = "/webhooks/sandbox/test";

pub async fn story(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_told", session(20)).await;
    what_is_not_genuine_changes_nothing(system, &shop).await;
    what_the_provider_says_counts_once_and_in_any_order(&shop).await;
    what_does_not_fit_is_shown_and_changes_nothing(system, &shop).await;
    what_cannot_be_worked_on_is_tried_so_often_and_then_shown(system).await;
}

/// All its events are lost: the look-up tells.
pub async fn deaf(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_told", session(20)).await;
    let (id, _) = asked(&shop, APPROVES).await;
    let sale = shop.until(&id, "succeeded").await;
    assert_eq!((&sale["amount_paid"], shop.charged(&id).await), (&json!(1500), vec!["captured".to_owned()]), "{sale}");
    let event = Told::of(&shop, &id, "captured").await;
    assert_eq!(tell(&shop, INTAKE, &event.body(), &Signed::now()).await.status, 503, "it is not answered for before it is durable");
}

/// The event is there before our own request is answered.
pub async fn slow(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_told", session(20)).await;
    let id = shop.order(&order(APPROVES)).await;
    let sale = shop.until(&id, "succeeded").await;
    let before_the_answer = shop.timeline(&id).await;
    assert!(!before_the_answer.contains("awaiting_payment"), "{before_the_answer}");
    assert_eq!((&sale["amount_paid"], before_the_answer.matches("charge.approved").count()), (&json!(1500), 1), "{before_the_answer}");
    // The answer that comes now says that the customer has been asked.
    let log = || system.server.log().into_iter().chain(system.workers.iter().flat_map(|worker| worker.log())).collect::<Vec<_>>();
    let deadline = Instant::now() + PATIENCE;
    while !log().iter().any(|line| line.contains("answered") && line.contains(&id)) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(shop.checkout(&id).await, sale);
    assert_eq!(shop.charged(&id).await, ["captured"]);
}

fn order(phone: &str) -> Value {
    let methods = json!([{"type": "mobile_money", "provider": "m17", "phone": phone}]);
    with(&places("ses_told", 1, "tok_visa"), json!({"payment": {"methods": methods}}))
}

async fn asked(shop: &Client, phone: &str) -> (String, Value) {
    let id = shop.order(&order(phone)).await;
    let checkout = shop.until(&id, "awaiting_payment").await;
    (id, checkout)
}

/// An event in the sandbox's words about a charge in its book.
#[derive(Clone)]
struct Told {
    id: String,
    kind: String,
    data: Value,
}

impl Told {
    async fn of(shop: &Client, checkout: &str, status: &str) -> Self {
        let mut data = shop.charges(checkout).await.remove(0);
        data["kind"] = json!("charge");
        data["status"] = json!(status);
        Self { id: fresh_id(), kind: format!("charge.{status}"), data }
    }

    fn with(&self, field: &str, value: Value) -> Self {
        let mut other = self.clone();
        other.id = fresh_id();
        other.data[field] = value;
        other
    }

    fn body(&self) -> String {
        let now = SystemClock::default().now();
        json!({"id": self.id, "type": self.kind, "created_at": now, "data": self.data}).to_string()
    }
}

fn fresh_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("sev_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// How an event is signed.
struct Signed {
    id: String,
    secret: Secret<String>,
    at: Timestamp,
}

impl Signed {
    fn now() -> Self {
        Self { id: fresh_id(), secret: Secret::new(WEBHOOK_SECRET.to_owned()), at: SystemClock::default().now() }
    }
}

async fn tell(shop: &Client, path: &str, body: &str, signed: &Signed) -> Reply {
    tell_other(shop, path, body, body, signed).await
}

async fn tell_other(shop: &Client, path: &str, body: &str, sent: &str, signed: &Signed) -> Reply {
    let signature = sign(std::slice::from_ref(&signed.secret), &signed.id, signed.at, body.as_bytes()).unwrap();
    let request = shop.with_key(None).request(Method::POST, path).header("webhook-id", &signed.id);
    let request = request.header("webhook-timestamp", signed.at.seconds().to_string()).header("webhook-signature", signature);
    shop.send(request.body(sent.to_owned())).await
}

async fn what_is_not_genuine_changes_nothing(system: &System, shop: &Client) {
    let (id, waiting) = asked(shop, NEVER_LOOKS).await;
    let told = Told::of(shop, &id, "captured").await;
    let body = told.body();
    let off = |millis: i64| Timestamp::from_millis(SystemClock::default().now().millis() + millis);
    let stranger = generate_secret(&Entropy::from_os());
    let answers = [
        tell(shop, INTAKE, &body, &Signed { secret: stranger, ..Signed::now() }).await,
        tell(shop, INTAKE, &body, &Signed { at: off(-310_000), ..Signed::now() }).await,
        tell(shop, INTAKE, &body, &Signed { at: off(310_000), ..Signed::now() }).await,
        tell_other(shop, INTAKE, &told.with("status", json!("declined")).body(), &body, &Signed::now()).await,
        tell(shop, "/webhooks/sandbox/live", &body, &Signed::now()).await,
        tell(shop, "/webhooks/nobody/test", &body, &Signed::now()).await,
        tell(shop, INTAKE, &" ".repeat(512 * 1024 + 1), &Signed::now()).await,
        shop.send(shop.request(Method::POST, INTAKE).body(body.clone())).await,
    ];
    let details: Vec<Value> = answers.iter().map(|answer| answer.expect_problem(400, "event_not_genuine")["detail"].clone()).collect();
    assert!(details.iter().all(|detail| *detail == details[0]), "{details:?}");
    // Each is counted, and the log has room for others.
    let metrics = shop.with_key(None).get("/metrics").await.text;
    let refused = metrics.lines().filter(|line| line.starts_with("boxoffice_provider_events_refused_total{"));
    let refused: u64 = refused.map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(refused, answers.len() as u64, "{metrics}");
    // A genuine one about nobody is worked on behind all of these: when it is done, they are.
    assert_eq!(tell(shop, INTAKE, &told.with("reference", json!("chk_nobody")).body(), &Signed::now()).await.status, 200);
    shop.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await.expect(202);
    let canceled = shop.until(&id, "canceled").await;
    assert_eq!((&canceled["amount_paid"], &waiting["amount_paid"]), (&json!(0), &json!(0)), "{canceled}");
    let timeline = shop.timeline(&id).await;
    assert!(!timeline.contains("charge.approved") && !timeline.contains("late_money"), "{timeline}");
    let warned = system.server.log().into_iter().filter(|line| line.contains(" WARN ") && line.contains("an event is not genuine")).count();
    assert_eq!(warned, 1);
}

async fn what_the_provider_says_counts_once_and_in_any_order(shop: &Client) {
    // Only the event says so: the customer never looks, so no look-up can have told it.
    let (id, _) = asked(shop, NEVER_LOOKS).await;
    let told = Told::of(shop, &id, "captured").await;
    let signed = Signed::now();
    for _ in 0..3 {
        assert_eq!(tell(shop, INTAKE, &told.body(), &signed).await.expect(200), json!({"received": true}));
    }
    let sale = shop.until(&id, "succeeded").await;
    assert_eq!(sale["amount_paid"], 1500, "{sale}");
    // The same news under other ids, older news, and news that it did not happen.
    let again = [told.clone(), Told::of(shop, &id, "pending").await, Told::of(shop, &id, "declined").await];
    for told in &again {
        assert_eq!(tell(shop, INTAKE, &told.body(), &Signed::now()).await.status, 200);
    }
    // A kind that we know nothing of is kept, and nothing is done about it.
    let other = Told { kind: "charge.dispute.opened".to_owned(), ..told.clone() };
    assert_eq!(tell(shop, INTAKE, &other.body(), &Signed::now()).await.status, 200);
    // What is told last is worked on, too: whatever came before it has had its turn.
    let (last, _) = asked(shop, NEVER_LOOKS).await;
    assert_eq!(tell(shop, INTAKE, &Told::of(shop, &last, "declined").await.body(), &Signed::now()).await.status, 200);
    let failed = shop.until(&last, "failed").await;
    assert_eq!(failed["error"]["code"], "payment_failed", "{failed}");
    assert_eq!(shop.checkout(&id).await, sale, "an end never changes");
    assert_eq!(shop.timeline(&id).await.matches("charge.approved").count(), 1);
}

async fn what_does_not_fit_is_shown_and_changes_nothing(system: &System, shop: &Client) {
    assert_eq!(to_review(system).await.len(), 0, "nothing so far needs a person");
    let (id, waiting) = asked(shop, NEVER_LOOKS).await;
    let told = Told::of(shop, &id, "captured").await;
    let misfits = [
        told.with("amount", json!(1)),
        told.with("amount", json!(1501)),
        told.with("currency", json!("eur")),
        told.with("idempotency_key", json!(format!("{id}_9"))),
        told.with("id", json!("ch_999_00000000000000ff")),
    ];
    for misfit in &misfits {
        assert_eq!(tell(shop, INTAKE, &misfit.body(), &Signed::now()).await.status, 200, "it is genuine, and kept");
    }
    let shown = until_to_review(system, misfits.len()).await;
    assert_eq!(shop.checkout(&id).await, waiting);
    shop.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await.expect(202);
    shop.until(&id, "canceled").await;
    let audit = String::from_utf8_lossy(&system.command(&["audit"]).await.stdout).into_owned();
    assert_eq!(audit.matches("event_needs_review").count(), shown.len(), "{audit}");
    // The sandbox's own wrong amount: what moves money is what the look-up says.
    let (wrong, _) = asked(shop, TOLD_WITH_ANOTHER_AMOUNT).await;
    let sale = shop.until(&wrong, "succeeded").await;
    assert_eq!((&sale["amount_paid"], shop.charged(&wrong).await), (&json!(1500), vec!["captured".to_owned()]), "{sale}");
    let shown = until_to_review(system, shown.len() + 1).await;
    // An operator looks. Tried once more, it fits no better.
    let first = shown[0].split_whitespace().next().unwrap();
    assert!(said(&system.command(&["provider-events", "--show", first]).await).contains("charge.captured"));
    said(&system.command(&["provider-events", "--retry", first]).await);
    for line in until_to_review(system, shown.len()).await {
        let id = line.split_whitespace().next().unwrap();
        said(&system.command(&["provider-events", "--dismiss", id, "--note", "seen at the provider"]).await);
        let again = system.command(&["provider-events", "--dismiss", id, "--note", "again"]).await;
        assert!(!again.status.success());
    }
    assert_eq!(to_review(system).await.len(), 0);
}

/// The last try of many: of an account that was taken out of the settings while its events were on their way.
async fn what_cannot_be_worked_on_is_tried_so_often_and_then_shown(system: &System) {
    let entropy = Arc::new(Entropy::from_os());
    let file = || format!("sqlite://{}", system.data_dir().join("boxoffice.db").display());
    let url = Secret::new(system.env().get("DATABASE_URL").cloned().unwrap_or_else(file));
    let store = SqlStore::open(&url, Arc::new(SystemClock::default()), Arc::clone(&entropy)).await.unwrap();
    let [tried, fresh] = ["sev_tried", "sev_fresh"].map(|event| NewProviderEvent {
        id: ProviderEventId::generate(&entropy, SystemClock::default().now()),
        scope: Scope::new("closed", Mode::Test).unwrap(),
        provider: "sandbox".to_owned(),
        event: event.to_owned(),
        body: "{}".to_owned(),
        ignored: None,
    });
    store.keep_event(fresh.clone()).await.unwrap();
    store.keep_event(tried.clone()).await.unwrap();
    for _ in 0..MAX_TRIES {
        store.put_event_off(&tried.id, Duration::ZERO, "not yet").await.unwrap();
    }
    let shown = until_to_review(system, 1).await;
    assert!(shown[0].starts_with(tried.id.as_str()) && shown[0].ends_with("this account is not set up"), "{shown:?}");
    let log = || system.server.log().into_iter().chain(system.workers.iter().flat_map(|worker| worker.log())).collect::<Vec<_>>();
    assert!(log().iter().any(|line| line.contains(" WARN ") && line.contains(tried.id.as_str())), "the log warns of it");
    // The other one goes on being tried.
    let deadline = Instant::now() + PATIENCE;
    let waiting = loop {
        let event = store.provider_event(&fresh.id).await.unwrap().unwrap();
        if event.tries > 0 {
            break event;
        }
        assert!(Instant::now() < deadline, "{event:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((waiting.status, waiting.note.as_deref()), (EventStatus::Pending, Some("this account is not set up")));
    assert!(store.close_event(&fresh.id, EventStatus::Ignored, "told in a test").await.unwrap());
    said(&system.command(&["provider-events", "--dismiss", tried.id.as_str(), "--note", "the account was closed"]).await);
}

/// What an operator is shown, a line each.
async fn to_review(system: &System) -> Vec<String> {
    let listed = said(&system.command(&["provider-events"]).await);
    let (lines, last): (Vec<&str>, Vec<&str>) = listed.lines().partition(|line| line.starts_with("pev_"));
    assert_eq!(last, [format!("{} to be looked at", lines.len())]);
    lines.into_iter().map(str::to_owned).collect()
}

async fn until_to_review(system: &System, count: usize) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = to_review(system).await;
        if shown.len() == count {
            return shown;
        }
        assert!(Instant::now() < deadline && shown.len() < count, "{shown:?}");
    }
}
