//! The promises, held against every account that there is: what clients see, what receivers got, what the provider's own book says,
//! and what the store recomputes of itself.

use super::{
    PATIENCE, POLL,
    order::{MEMBER, Order},
    shop::{GIVEN, Sale, Shop},
    site::Site,
    subscribers::Paid,
    until,
};
use boxoffice_common::adapters::sandbox::{Operation, OperationStatus};
use boxoffice_testkit::{Delivery, Receiver};
use futures::{StreamExt, stream};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Questions at once.
const AT_ONCE: usize = 8;
/// How far a callback's timestamp may be from the store's time. The store's machine is ours.
const TIMESTAMP_TOLERANCE: Duration = Duration::from_secs(10);
/// At the end nothing may be late by more.
const STUCK_AFTER: Duration = Duration::from_secs(2);
/// What the audit says of an event that waits for a worker.
const LEFT_OVER: &str = "stuck_event: ";

/// What may keep an order that can be paid from being sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    /// Nothing: there are places for all, and the provider lives.
    Certain,
    /// Somebody else may be faster, and the provider may be away.
    Open,
}

/// Checkouts by id, as clients saw them at the end.
pub type Ends = BTreeMap<String, Value>;

/// The checks that need a running system. Waits until every checkout has ended, every callback has come, and whatever the provider has
/// told so far was worked on.
pub async fn of_the_living(site: &Site, shop: &Shop, receiver: &Receiver, sales: &[Sale], luck: Luck) -> Ends {
    let ends = ends(shop, sales).await;
    for sale in sales {
        assert_allowed(shop, sale, &ends[&sale.id], luck).await;
    }
    places(shop, sales, &ends).await;
    balance(shop, sales, &ends).await;
    nobody_else(shop, sales).await;
    same_answers(shop, sales).await;
    callbacks(shop, receiver, &ends).await;
    let deadline = Instant::now() + PATIENCE;
    while site.breaches(Duration::ZERO).await.iter().any(|breach| breach.starts_with(LEFT_OVER)) {
        assert!(Instant::now() < deadline, "what the provider told is not worked on");
        tokio::time::sleep(POLL).await;
    }
    ends
}

/// The checks on what is left on disk: the provider must not be running.
pub async fn of_the_dead(site: &Site, sales: &[Sale], ends: &Ends) {
    of_the_dead_and_subscribers(site, sales, ends, &Paid::new()).await;
}

/// The same where subscribers were charged beside them.
pub async fn of_the_dead_and_subscribers(site: &Site, sales: &[Sale], ends: &Ends, renewed: &Paid) {
    // The provider may have told something when nobody was at work any more: it is kept, and that is all that is promised.
    let breaches: Vec<String> = site.breaches(STUCK_AFTER).await.into_iter().filter(|breach| !breach.starts_with(LEFT_OVER)).collect();
    assert!(breaches.is_empty(), "the audit finds: {breaches:#?}");
    let mut charges: HashMap<String, Vec<Operation>> = HashMap::new();
    for charge in site.charges().await {
        charges.entry(charge.reference.clone()).or_default().push(charge);
    }
    for sale in sales {
        let theirs = charges.remove(&sale.id).unwrap_or_default();
        assert_charged_rightly(sale, &ends[&sale.id], &theirs);
    }
    for (id, paid) in renewed {
        let theirs = charges.remove(id).unwrap_or_default();
        let (kept, may_come) = (of_status(&theirs, &[OperationStatus::Captured]), of_status(&theirs, &STILL_OPEN));
        assert_eq!((kept, may_come), (usize::from(*paid), 0), "{id} was paid: {paid}; {theirs:#?}");
    }
    assert!(charges.is_empty(), "somebody was charged who bought nothing: {charges:?}");
}

/// What the provider may still take.
const STILL_OPEN: [OperationStatus; 2] = [OperationStatus::Pending, OperationStatus::Authorized];

fn of_status(charges: &[Operation], statuses: &[OperationStatus]) -> usize {
    charges.iter().filter(|charge| statuses.contains(&charge.status)).count()
}

/// Polls every checkout to its end.
pub async fn ends(shop: &Shop, sales: &[Sale]) -> Ends {
    let deadline = Instant::now() + PATIENCE;
    let mut ends = Ends::new();
    loop {
        let open: Vec<&Sale> = sales.iter().filter(|sale| !ends.contains_key(&sale.id)).collect();
        let look = |id: String| async move { shop.get(&checkout(&id)).await };
        let seen: Vec<Value> = stream::iter(open).map(|sale| look(sale.id.clone())).buffer_unordered(AT_ONCE).collect().await;
        let back: HashMap<&str, i64> = sales.iter().map(|sale| (sale.id.as_str(), sale.refunded)).collect();
        let ended = |seen: &Value| {
            let is_back = back.get(seen["id"].as_str().unwrap()).is_some_and(|&back| seen["amount_refunded"] == back);
            matches!(status(seen), "failed" | "canceled" | "expired") || (status(seen) == "succeeded" && is_back)
        };
        ends.extend(seen.into_iter().filter(ended).map(|seen| (seen["id"].as_str().unwrap().to_owned(), seen)));
        let Some(stuck) = sales.iter().find(|sale| !ends.contains_key(&sale.id)) else { return ends };
        if Instant::now() >= deadline {
            let left = sales.len() - ends.len();
            panic!("{left} of {} checkouts have no end, such as {}", sales.len(), story(shop, stuck).await);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Whether an order may have come to this end, and its amounts say so.
async fn assert_allowed(shop: &Shop, sale: &Sale, end: &Value, luck: Luck) {
    let code = end["error"]["code"].as_str().unwrap_or_default();
    let Order { tender, .. } = sale.order;
    let allowed = match (status(end), luck) {
        ("succeeded", _) => tender.can_pay(),
        ("failed", Luck::Certain) => tender.is_declined() && code == tender.no(),
        ("failed", Luck::Open) => {
            // A no on the page is never the end, also where it was lost at first: there is another try.
            (tender.is_declined() && code == tender.no()) || ["session_full", "seat_taken", "provider_unavailable"].contains(&code)
        }
        ("canceled", _) => sale.called_off,
        ("expired", _) => sale.order.expires_in.is_some() && end["completed_at"].as_str() >= end["expires_at"].as_str(),
        _ => false,
    };
    let kept = end["amount_paid"].as_i64().unwrap() - end["amount_refunded"].as_i64().unwrap();
    let due = if status(end) == "succeeded" { sale.order.total() - sale.refunded } else { 0 };
    if !allowed || kept != due {
        panic!("this must not be (kept {kept}, due {due}): {}", story(shop, sale).await);
    }
}

/// Nothing is oversold, nothing is still held, and what is sold is what was bought.
async fn places(shop: &Shop, sales: &[Sale], ends: &Ends) {
    let mut bought: BTreeMap<&str, i64> = BTreeMap::new();
    for sale in sales {
        let (session, quantity) = sale.order.wants();
        // Whoever got everything back has no place any more.
        let sold = status(&ends[&sale.id]) == "succeeded" && sale.refunded < sale.order.total();
        *bought.entry(session).or_default() += if sold { i64::from(quantity) } else { 0 };
    }
    for (session, bought) in bought {
        let left = shop.get(&format!("/v1/sessions/{session}/availability")).await;
        let number = |field: &str| left[field].as_i64().unwrap();
        assert!(number("sold") + number("held") <= number("capacity"), "{session} is oversold: {left}");
        assert_eq!((number("held"), number("sold")), (0, bought), "{session}: held and sold, against what was bought: {left}");
    }
}

/// The customer has what was given less what the sales took, and nothing is held of it.
async fn balance(shop: &Shop, sales: &[Sale], ends: &Ends) {
    let sold = sales.iter().filter(|sale| status(&ends[&sale.id]) == "succeeded");
    let spent: i64 = sold.map(|sale| sale.order.by_balance(sale.order.total(), sale.refunded)).sum();
    let balance = shop.get(&format!("/v1/customers/{MEMBER}/balance")).await["data"][0].clone();
    let [amount, held] = ["amount", "held"].map(|field| balance[field].as_i64().unwrap());
    assert_eq!((amount, held), (GIVEN - spent, 0), "what is left of the balance: {balance}");
}

/// The store knows no checkout that no client was told of.
async fn nobody_else(shop: &Shop, sales: &[Sale]) {
    let told: BTreeSet<&str> = sales.iter().map(|sale| sale.id.as_str()).collect();
    assert_eq!(told.len(), sales.len(), "two orders got the same checkout");
    let mut known = BTreeSet::new();
    let mut page = String::new();
    loop {
        let list = shop.get(&format!("/v1/checkouts?limit=100{page}")).await;
        known.extend(list["data"].as_array().unwrap().iter().map(|checkout| checkout["id"].as_str().unwrap().to_owned()));
        match list["next_cursor"].as_str() {
            Some(cursor) => page = format!("&cursor={cursor}"),
            None => break,
        }
    }
    let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    assert_eq!(known, told, "the store's checkouts, against those that clients were told of");
}

/// A key still finds its checkout.
async fn same_answers(shop: &Shop, sales: &[Sale]) {
    let again = |sale: &Sale| {
        let sale = sale.clone();
        async move { (shop.post(&sale.idempotency_key, &sale.order).await, sale) }
    };
    let answers: Vec<_> = stream::iter(sales).map(again).buffer_unordered(AT_ONCE).collect().await;
    for (answer, sale) in answers {
        assert_eq!((answer.status.as_u16(), answer.body["id"].as_str()), (202, Some(sale.id.as_str())), "{}", answer.body);
        assert_eq!(answer.headers.get("idempotent-replayed").map(|value| value.as_bytes()), Some(&b"true"[..]));
    }
}

/// Every end was told at least once, under one id, as clients see it, and signed.
async fn callbacks(shop: &Shop, receiver: &Receiver, ends: &Ends) {
    let told = |deliveries: &[Delivery]| {
        let about: BTreeSet<String> = deliveries.iter().filter_map(|delivery| about_end(&delivery.json())).collect();
        ends.keys().all(|id| about.contains(id)).then_some(())
    };
    if receiver.wait_for(PATIENCE, told).await.is_none() {
        let about: BTreeSet<String> = receiver.deliveries().iter().filter_map(|delivery| about_end(&delivery.json())).collect();
        let silent: Vec<&String> = ends.keys().filter(|id| !about.contains(*id)).collect();
        let deliveries = shop.get(&format!("/v1/deliveries?checkout={}", silent[0])).await;
        panic!("nobody was told of {} ends, such as {}: {deliveries}", silent.len(), silent[0]);
    }
    until("every delivery is done with", PATIENCE, || async {
        let pending = shop.get("/v1/deliveries?status=pending").await;
        pending["data"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    let failed = shop.get("/v1/deliveries?status=failed").await;
    assert_eq!(failed["data"].as_array().unwrap().len(), 0, "deliveries were given up: {failed}");
    let secret = shop.get("/v1/webhook-secret").await["secret"].as_str().unwrap().to_owned();
    let mut ids: HashMap<(String, String, i64), String> = HashMap::new();
    for delivery in receiver.deliveries() {
        assert_eq!(delivery.verify(&secret), Ok(()), "{:?}", delivery.json());
        assert_timely(&delivery);
        let event = delivery.json();
        let (id, kind) = (event["data"]["id"].as_str().unwrap().to_owned(), event["type"].as_str().unwrap().to_owned());
        let Some(end) = ends.get(&id) else { panic!("a callback about {id}, which nobody bought") };
        if event["data"]["version"] == end["version"] {
            assert_eq!(&event["data"], end, "the callback tells what polling tells");
        }
        let version = event["data"]["version"].as_i64().unwrap();
        let known = ids.entry((id, kind, version)).or_insert_with(|| delivery.id().to_owned());
        assert_eq!(known, delivery.id(), "one event, one id");
    }
    let terminal = ["checkout.succeeded", "checkout.failed", "checkout.canceled", "checkout.expired"];
    let mut told_of: HashMap<&String, Vec<&String>> = HashMap::new();
    for (id, kind, _) in ids.keys().filter(|(_, kind, _)| terminal.contains(&kind.as_str())) {
        told_of.entry(id).or_default().push(kind);
    }
    for (id, end) in ends {
        let kinds: Vec<&str> = told_of.get(id).into_iter().flatten().map(|kind| kind.as_str()).collect();
        assert_eq!(kinds, [format!("checkout.{}", status(end))], "{id} ended once");
    }
}

/// The checkout that a callback tells the end of.
fn about_end(event: &Value) -> Option<String> {
    let told = event["type"].as_str()? == format!("checkout.{}", event["data"]["status"].as_str()?);
    let terminal = ["succeeded", "failed", "canceled", "expired"].contains(&status(&event["data"]));
    (told && terminal).then(|| event["data"]["id"].as_str().map(str::to_owned))?
}

fn assert_timely(delivery: &Delivery) {
    let stamped: u64 = delivery.header("webhook-timestamp").unwrap().parse().unwrap();
    let arrived = SystemTime::now() - delivery.at.elapsed();
    let arrived = arrived.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(arrived.abs_diff(stamped) <= TIMESTAMP_TOLERANCE.as_secs(), "stamped {stamped}, arrived {arrived}");
}

/// No card was charged twice; what is kept is what the sale came to less what was given back, and nothing of anything else.
fn assert_charged_rightly(sale: &Sale, end: &Value, charges: &[Operation]) {
    let taken: Vec<&Operation> =
        charges.iter().filter(|charge| matches!(charge.status, OperationStatus::Captured | OperationStatus::Refunded)).collect();
    let kept: i64 = taken.iter().map(|charge| charge.amount.minor() - charge.amount_refunded.minor()).sum();
    let due = if status(end) == "succeeded" { sale.order.by_card(sale.order.total(), sale.refunded) } else { 0 };
    let pending = of_status(charges, &STILL_OPEN);
    assert!(taken.len() <= sale.order.tender.cards(), "{} was charged {} times: {charges:#?}", sale.id, taken.len());
    assert_eq!((kept, pending), (due, 0), "kept and still pending of {}, {:?}: {charges:#?}\n{end:#}", sale.id, sale.order);
}

/// A checkout and its timeline, for people.
async fn story(shop: &Shop, sale: &Sale) -> String {
    let (now, timeline) = (shop.get(&checkout(&sale.id)).await, shop.get(&format!("{}/timeline", checkout(&sale.id))).await);
    format!("{:?}: {now:#}\n{timeline:#}", sale.order)
}

fn checkout(id: &str) -> String {
    format!("/v1/checkouts/{id}")
}

fn status(checkout: &Value) -> &str {
    checkout["status"].as_str().unwrap_or_default()
}
