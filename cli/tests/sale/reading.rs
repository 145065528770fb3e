//! How a client learns what came of a checkout: poll, conditional poll, wait, stream, list, timeline.

use crate::support::{
    catalogue::{custom, places, put, seated, session, with},
    client::{Client, PATIENCE},
    system::System,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub async fn story(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_read", session(50)).await;
    put(&shop, "sessions", "ses_other", session(50)).await;
    put(&shop, "customers", "cus_reader", json!({"email": "reader@example.com"})).await;
    tokio::join!(
        a_version_that_is_known_is_not_sent_again(&shop),
        a_wait_ends_with_the_checkout_or_with_the_clients_patience(&shop),
        a_stream_tells_every_change_and_ends(&shop),
        lists_are_narrowed_and_paged(&shop),
        what_is_put_can_be_read_and_listed(&shop),
        the_ledger_of_a_sale_sums_to_zero(&shop),
        the_server_describes_itself(&shop),
    );
}

async fn a_version_that_is_known_is_not_sent_again(shop: &Client) {
    let sold = shop.buy(&places("ses_read", 1, "tok_visa")).await;
    let path = format!("/v1/checkouts/{}", sold["id"].as_str().unwrap());
    let etag = format!("\"{}\"", sold["version"]);
    assert_eq!(shop.get(&path).await.header("etag"), Some(etag.as_str()));
    for known in [etag.clone(), format!("W/{etag}"), format!("\"1\", {etag}"), "*".to_owned()] {
        let reply = shop.get_with(&path, "if-none-match", &known).await;
        assert_eq!((reply.status, reply.text.as_str(), reply.header("etag")), (304, "", Some(etag.as_str())), "{known}");
    }
    assert_eq!(shop.get_with(&path, "if-none-match", "\"1\"").await.expect(200), sold);
    // The timeline, oldest first, from the first word to the last.
    let timeline = shop.get(&format!("{path}/timeline")).await.expect(200);
    let entries = timeline["data"].as_array().unwrap();
    let what: Vec<&str> = entries.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(what.first(), Some(&"accepted"), "{timeline}");
    for word in ["begun", "charge.approved", "checkout.succeeded"] {
        assert!(what.contains(&word), "{word} is missing: {timeline}");
    }
    assert!(entries.windows(2).all(|pair| pair[0]["at"].as_str() <= pair[1]["at"].as_str()), "{timeline}");
    assert!(entries.iter().all(|entry| !entry.to_string().contains("tok_")), "{timeline}");
}

async fn a_wait_ends_with_the_checkout_or_with_the_clients_patience(shop: &Client) {
    let id = shop.order(&places("ses_read", 1, "tok_slow")).await;
    let path = format!("/v1/checkouts/{id}");
    let started = Instant::now();
    let impatient = shop.get_with(&path, "prefer", "wait=1").await;
    assert!((Duration::from_millis(900)..Duration::from_millis(2900)).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(impatient.header("preference-applied"), Some("wait=1"));
    assert!(matches!(impatient.json()["status"].as_str(), Some("queued" | "processing")), "{}", impatient.text);
    let (one, two) = tokio::join!(shop.get_with(&path, "prefer", "wait=30"), shop.get_with(&path, "prefer", "respond-async, wait=\"60\""));
    assert!(started.elapsed() >= Duration::from_secs(3) && started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!((&one.json()["status"], two.header("preference-applied")), (&json!("succeeded"), Some("wait=60")));
    assert_eq!(one.text, two.text);
    // What cannot be read is not preferred, and what has ended is not waited for.
    for prefer in ["wait=soon", "wait=-1", "wait=60"] {
        let started = Instant::now();
        assert_eq!(shop.get_with(&path, "prefer", prefer).await.text, one.text);
        assert!(started.elapsed() < Duration::from_secs(5), "{prefer}");
    }
}

/// The events of a stream, read to its end: `(name, id, data)`.
async fn stream(shop: &Client, path: &str, last: Option<&str>) -> Vec<(String, i64, Value)> {
    let mut request = shop.request(Method::GET, path);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let reply = tokio::time::timeout(PATIENCE, shop.send(request)).await.expect("the stream ends at the end");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")), "{}", reply.text);
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim_start));
        line.unwrap_or_default().to_owned()
    };
    let blocks = reply.text.split("\n\n").filter(|block| block.lines().any(|line| line.starts_with("data")));
    blocks
        .map(|block| (field(block, "event"), field(block, "id").parse().unwrap(), serde_json::from_str(&field(block, "data")).unwrap()))
        .collect()
}

async fn a_stream_tells_every_change_and_ends(shop: &Client) {
    let id = shop.order(&places("ses_read", 1, "tok_slow")).await;
    let path = format!("/v1/checkouts/{id}/events");
    let events = stream(shop, &path, None).await;
    let names: Vec<&str> = events.iter().map(|(name, _, _)| name.as_str()).collect();
    assert!(
        matches!(
            names.as_slice(),
            ["checkout.queued", "checkout.processing", "checkout.succeeded"] | ["checkout.processing", "checkout.succeeded"]
        ),
        "{names:?}"
    );
    for (name, version, data) in &events {
        assert_eq!((data["version"].as_i64(), format!("checkout.{}", data["status"].as_str().unwrap())), (Some(*version), name.clone()));
    }
    assert!(events.windows(2).all(|pair| pair[0].1 < pair[1].1));
    let (_, last, data) = events.last().unwrap();
    assert_eq!(data, &shop.checkout(&id).await);
    // Whoever comes back goes on where it was; whoever has seen the end need not come back.
    assert_eq!(stream(shop, &path, Some("1")).await.last().unwrap().1, *last);
    let gone = shop.send(shop.request(Method::GET, &path).header("last-event-id", last.to_string())).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
}

/// The ids of all pages of a list.
async fn pages(shop: &Client, path: &str, limit: usize) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = shop.get(&format!("{path}limit={limit}{cursor}")).await.expect(200);
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= limit);
        ids.extend(data.iter().map(|object| object["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { return ids };
        assert!(!data.is_empty(), "an empty page has no next one");
        cursor = format!("&cursor={next}");
    }
}

async fn lists_are_narrowed_and_paged(shop: &Client) {
    let mut made = Vec::new();
    for n in 0..7 {
        let body = with(&places("ses_other", 1, "tok_visa"), json!({"reference": format!("ref-{}", n % 2), "customer": "cus_reader"}));
        made.push(shop.order(&body).await);
    }
    let declined = shop.order(&with(&places("ses_other", 1, "tok_declined"), json!({"reference": "ref-0"}))).await;
    futures::future::join_all(made.iter().chain([&declined]).map(|id| shop.settled(id))).await;
    let newest_first: Vec<String> = made.iter().rev().cloned().collect();
    assert_eq!(pages(shop, "/v1/checkouts?customer=cus_reader&", 3).await, newest_first);
    assert_eq!(pages(shop, "/v1/checkouts?customer=cus_reader&", 7).await, newest_first);
    let all: Vec<String> = [&declined].into_iter().chain(&newest_first).cloned().collect();
    assert_eq!(pages(shop, "/v1/checkouts?session=ses_other&", 100).await, all);
    assert_eq!(pages(shop, "/v1/checkouts?session=ses_other&status=failed&", 2).await, [declined.as_str()]);
    assert_eq!(pages(shop, "/v1/checkouts?session=ses_other&reference=ref-1&", 2).await, [&*made[5], &*made[3], &*made[1]]);
    assert_eq!(pages(shop, "/v1/checkouts?session=ses_nowhere&", 2).await, [""; 0]);
    let third = shop.checkout(&made[2]).await["created_at"].as_str().unwrap().to_owned();
    let later = pages(shop, &format!("/v1/checkouts?session=ses_other&created_after={third}&"), 5).await;
    assert!(later.contains(&declined) && !later.contains(&made[2]) && !later.contains(&made[0]), "{later:?}");
    let page = shop.get("/v1/checkouts?session=ses_other&limit=1").await.expect(200);
    assert_eq!(page["data"][0], shop.checkout(&declined).await);
}

async fn what_is_put_can_be_read_and_listed(shop: &Client) {
    let gala = with(&seated(&["A1", "A2"]), json!({"purchase_limit": 4, "metadata": {"row": ["A"]}}));
    let made = shop.put("/v1/sessions/ses_kept", &gala).await;
    let made_body = made.clone().expect(201);
    for (field, value) in gala.as_object().unwrap() {
        // Times are shown in UTC with milliseconds, whatever they were written in.
        if field != "starts_at" {
            assert_eq!(&made_body[field], value, "{field}");
        }
    }
    assert_eq!((&made_body["id"], &made_body["starts_at"]), (&json!("ses_kept"), &json!("2060-06-01T18:00:00.000Z")));
    let read = shop.get("/v1/sessions/ses_kept").await;
    assert_eq!((read.text.as_str(), read.header("etag")), (made.text.as_str(), made.header("etag")));
    assert_eq!(shop.get_with("/v1/sessions/ses_kept", "if-none-match", read.header("etag").unwrap()).await.status, 304);
    let again = shop.put("/v1/sessions/ses_kept", &gala).await;
    assert_eq!(again.clone().expect(200), made_body);
    for (kind, id, object) in [
        ("products", "prd_kept", json!({"name": "Mat", "unit_amount": 2500, "currency": "usd"})),
        ("promo-codes", "KEPT", json!({"percent_off_bp": 1000})),
        ("customers", "cus_kept", json!({"external_id": "kept", "name": "Kept", "date_of_birth": "1990-12-10", "tags": ["a"]})),
    ] {
        let path = format!("/v1/{kind}/{id}");
        let made = shop.put(&path, &object).await.expect(201);
        assert_eq!(shop.get(&path).await.expect(200), made);
        assert_eq!(shop.put(&path, &object).await.expect(200), made);
        for (field, value) in object.as_object().unwrap() {
            assert_eq!(&made[field], value, "{kind} {field}");
        }
        assert!(pages(shop, &format!("/v1/{kind}?"), 1).await.contains(&id.to_owned()));
        shop.get(&format!("/v1/{kind}/nothing")).await.expect_problem(404, "not_found");
        shop.put(&path, &with(&object, json!({"id": "another"}))).await.expect_problem(400, "parameter_invalid");
    }
    shop.put("/v1/customers/cus_twin", &json!({"external_id": "kept"})).await.expect_problem(409, "external_id_taken");
    let ids = pages(shop, "/v1/sessions?", 2).await;
    assert!(ids.contains(&"ses_kept".to_owned()) && ids.is_sorted(), "{ids:?}");
}

async fn the_ledger_of_a_sale_sums_to_zero(shop: &Client) {
    let sold = shop.buy(&places("ses_read", 2, "tok_visa")).await;
    assert_eq!(sold["status"], "succeeded");
    let path = format!("/v1/ledger/transactions?checkout={}", sold["id"].as_str().unwrap());
    let ledger = shop.get(&path).await.expect(200);
    let transactions = ledger["data"].as_array().unwrap();
    assert_eq!((transactions.len(), &transactions[0]["kind"]), (1, &json!("sale")), "{ledger}");
    let mut sums = std::collections::BTreeMap::<String, i64>::new();
    let mut paid = 0;
    for transaction in transactions {
        for entry in transaction["entries"].as_array().unwrap() {
            let amount = entry["amount"].as_i64().unwrap();
            *sums.entry(transaction["currency"].as_str().unwrap().to_owned()).or_default() += amount;
            paid += if entry["account"] == "provider:sandbox" { amount } else { 0 };
        }
    }
    assert_eq!(sums, [("usd".to_owned(), 0)].into(), "{ledger}");
    assert_eq!(json!(paid), sold["amount_paid"], "{ledger}");
    let csv = shop.get(&format!("{path}&format=csv")).await;
    assert_eq!((csv.status, csv.text.lines().count()), (200, 1 + transactions[0]["entries"].as_array().unwrap().len()), "{}", csv.text);
}

async fn the_server_describes_itself(shop: &Client) {
    let anyone = shop.with_key(None);
    anyone.get("/healthz").await.expect(200);
    let ready = anyone.get("/readyz").await.expect(200);
    assert_eq!(ready, json!({"status": "ready", "store": "ok", "queue": "ok", "seats": "ok"}));
    shop.buy(&custom(100, "tok_visa")).await;
    let metrics = anyone.get("/metrics").await;
    assert!(metrics.status == 200 && metrics.text.contains("boxoffice_http_requests_total"), "{}", metrics.text);
    let api = anyone.get("/openapi.json").await.expect(200);
    for path in ["/v1/checkouts", "/v1/checkouts/{id}/events", "/v1/sessions/{id}/availability", "/v1/deliveries/{id}/replay"] {
        assert!(api["paths"][path].is_object(), "{path} is not described");
    }
    assert!(matches!(anyone.get("/docs").await.status, 200 | 303 | 307 | 308));
}
