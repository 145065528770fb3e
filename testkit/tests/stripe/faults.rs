//! Faults on demand: what the client sees, and what the books say.

use super::client::{PATIENCE, Shop, sale};
use boxoffice_testkit::stripe::{Book, Boundary, Effect, Fault};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const INTENTS: &str = "/v1/payment_intents";

async fn cut(shop: &Shop, effect: Effect) -> bool {
    shop.stripe.faults().order(Fault::new(effect).on("POST", INTENTS));
    let answer = shop.call(reqwest::Method::POST, "payment_intents", &sale("pm_card_visa"), Some("key")).await;
    assert_eq!(shop.stripe.faults().pending(), 0, "the fault was used up");
    answer.is_err()
}

#[tokio::test]
async fn a_cut_before_execution_leaves_nothing() {
    let shop = Shop::open().await;
    assert!(cut(&shop, Effect::CutBefore).await);
    assert!(shop.stripe.book().intents().is_empty());
    let again = shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, None));
}

#[tokio::test]
async fn a_cut_after_execution_has_taken_the_money_once() {
    let shop = Shop::open().await;
    assert!(cut(&shop, Effect::CutAfter).await);
    assert_eq!(shop.stripe.book().captures().len(), 1);
    let again = shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(shop.stripe.book().captures().len(), 1);
}

#[tokio::test]
async fn an_answer_is_cut_at_every_class_of_boundary_and_at_any_byte() {
    let bytes = [Boundary::Byte(0), Boundary::Byte(1), Boundary::Byte(100), Boundary::Byte(usize::MAX)];
    for boundary in Boundary::CLASSES.into_iter().chain(bytes) {
        let shop = Shop::open().await;
        assert!(cut(&shop, Effect::CutAnswer(boundary)).await, "{boundary:?}: the client sees a whole answer");
        assert_eq!(shop.stripe.book().captures().len(), 1, "{boundary:?}");
        let again = shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")), "{boundary:?}");
    }
}

/// What comes over the wire when the answer to `GET /v1/account` is cut.
async fn raw(shop: &Shop, boundary: Boundary) -> Vec<u8> {
    shop.stripe.faults().order(Fault::new(Effect::CutAnswer(boundary)));
    let address = shop.stripe.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET /v1/account HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\r\n", shop.stripe.secret_key());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_cut_answer_ends_where_it_was_ordered_byte_for_byte() {
    let shop = Shop::open().await;
    assert!(raw(&shop, Boundary::Byte(0)).await.is_empty());
    assert_eq!(raw(&shop, Boundary::Byte(7)).await, b"HTTP/1.");
    let line = raw(&shop, Boundary::StatusLine).await;
    assert!(b"HTTP/1.1 200 OK\r\n".starts_with(&line) && !line.is_empty());
    let headers = String::from_utf8(raw(&shop, Boundary::Headers).await).unwrap();
    assert!(headers.starts_with("HTTP/1.1 200 OK\r\n") && !headers.contains("\r\n\r\n"));
    let head = String::from_utf8(raw(&shop, Boundary::BeforeBody).await).unwrap();
    assert!(head.ends_with("\r\n\r\n"));
    let length: usize = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    let but_one = raw(&shop, Boundary::BeforeLastByte).await;
    let body = but_one.len() - but_one.windows(4).position(|window| window == b"\r\n\r\n").unwrap() - 4;
    assert_eq!(body + 1, length);
}

#[tokio::test]
async fn slow_answers_come_late_and_are_executed_before_or_after_the_wait() {
    let wait = Duration::from_millis(150);
    for (effect, executed) in [(Effect::ExecuteThenWait(wait), 1), (Effect::WaitThenExecute(wait), 0)] {
        let shop = Shop::open().await;
        shop.stripe.faults().order(Fault::new(effect));
        let impatient = shop.http.post(format!("{}v1/payment_intents", shop.stripe.url())).bearer_auth(shop.stripe.secret_key());
        let body = "amount=1000&currency=usd&confirm=true&payment_method=pm_card_visa&payment_method_types[]=card";
        let impatient = impatient.header("Content-Type", "application/x-www-form-urlencoded").header("Idempotency-Key", "key").body(body);
        assert!(impatient.timeout(Duration::from_millis(60)).send().await.is_err(), "it takes longer");
        assert_eq!(shop.stripe.book().captures().len(), executed, "{effect:?}");
        let taken = |book: &Book| (!book.captures().is_empty()).then_some(());
        assert!(shop.stripe.book().wait_for(PATIENCE, taken).await.is_some(), "hanging up stops nothing");
    }
}

#[tokio::test]
async fn silence_keeps_the_connection_and_says_nothing() {
    for (effect, captured) in [(Effect::Silence, 0), (Effect::SilenceAfter, 1)] {
        let shop = Shop::open().await;
        shop.stripe.faults().order(Fault::new(effect));
        let form = sale("pm_card_visa");
        let call = shop.post("payment_intents", &form);
        assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
        assert_eq!(shop.stripe.book().captures().len(), captured, "{effect:?}");
    }
}

#[tokio::test]
async fn a_500_after_execution_is_repeated_under_its_key() {
    let shop = Shop::open().await;
    shop.stripe.faults().order(Fault::new(Effect::ServerErrorAfter));
    let failed = shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await;
    assert_eq!(failed.error(), (500, "api_error", "", ""));
    let again = shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (500, Some("true")));
    assert_eq!(shop.stripe.book().captures().len(), 1, "and the money was taken");
}

#[tokio::test]
async fn a_500_before_execution_is_forgotten() {
    let shop = Shop::open().await;
    shop.stripe.faults().order(Fault::new(Effect::ServerErrorBefore));
    assert_eq!(shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await.status, 500);
    assert!(shop.stripe.book().captures().is_empty());
    assert_eq!(shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await.status, 200);
}

#[tokio::test]
async fn a_proxys_page_and_garbage_are_no_json() {
    let shop = Shop::open().await;
    for (effect, status, captured) in
        [(Effect::Html(502), 502, 0), (Effect::Html(503), 503, 0), (Effect::HtmlAfter(504), 504, 1), (Effect::Garbage, 200, 2)]
    {
        shop.stripe.faults().order(Fault::new(effect));
        let answer = shop.pay("pm_card_visa").await;
        assert_eq!((answer.status, answer.json.is_null()), (status, true), "{}", answer.text);
        assert_eq!(shop.stripe.book().captures().len(), captured, "{effect:?}");
        if status != 200 {
            assert_eq!((answer.header("content-type"), answer.header("request-id")), (Some("text/html"), None));
        }
    }
}

#[tokio::test]
async fn hints_for_retries_are_sent() {
    let shop = Shop::open().await;
    for wanted in [true, false] {
        shop.stripe.faults().order(Fault::new(Effect::ShouldRetry(wanted)));
        let answer = shop.pay("pm_card_visa").await;
        assert_eq!((answer.status, answer.header("stripe-should-retry")), (200, Some(wanted.to_string().as_str())));
        shop.stripe.faults().order(Fault::new(Effect::ServerErrorShouldRetry(wanted)));
        let answer = shop.pay("pm_card_visa").await;
        assert_eq!((answer.status, answer.header("stripe-should-retry")), (500, Some(wanted.to_string().as_str())));
    }
    shop.stripe.faults().order(Fault::new(Effect::LockTimeout));
    assert_eq!(shop.pay("pm_card_visa").await.error(), (429, "invalid_request_error", "lock_timeout", ""));
    shop.stripe.faults().order(Fault::new(Effect::KeyInUse));
    assert_eq!(shop.pay("pm_card_visa").await.error(), (409, "invalid_request_error", "idempotency_key_in_use", ""));
}

#[tokio::test]
async fn a_fault_befalls_only_what_it_was_ordered_for() {
    let shop = Shop::open().await;
    let faults = shop.stripe.faults();
    faults.order(Fault::new(Effect::ServerErrorBefore).on("POST", INTENTS).with_metadata("reference", "sale-2"));
    faults.order(Fault::new(Effect::ServerErrorBefore).on("POST", "/v1/customers").after(1).times(2));
    faults.order(Fault::new(Effect::ServerErrorBefore).with_key("unlucky"));
    assert_eq!(shop.pay("pm_card_visa").await.status, 200);
    let mut second = sale("pm_card_visa");
    second[6] = ("metadata[reference]", "sale-2");
    assert_eq!(shop.post("payment_intents", &second).await.status, 500);
    assert_eq!(shop.post("payment_intents", &second).await.status, 200, "once");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(shop.post("customers", &[]).await.status);
    }
    assert_eq!(statuses, [200, 500, 500, 200]);
    assert_eq!(shop.post_with("lucky", "customers", &[]).await.status, 200);
    assert_eq!(shop.post_with("unlucky", "customers", &[]).await.status, 500);
    assert_eq!((faults.pending(), faults.happened().len()), (0, 4));
    faults.order(Fault::new(Effect::Html(503)).always());
    for _ in 0..3 {
        assert_eq!(shop.pay("pm_card_visa").await.status, 503);
    }
    faults.clear();
    assert_eq!(shop.pay("pm_card_visa").await.status, 200);
}

#[tokio::test]
async fn more_than_so_many_a_second_are_too_many() {
    let shop = Shop::open().await;
    shop.stripe.set_rate_limit(3);
    let mut limited = 0;
    for _ in 0..12 {
        let answer = shop.get("account", &[]).await;
        if answer.status == 429 {
            assert_eq!((answer.str("/error/code"), answer.header("retry-after")), ("rate_limit", Some("1")));
            assert_eq!(answer.header("stripe-should-retry"), Some("true"));
            limited += 1;
        }
    }
    assert!((1..12).contains(&limited), "{limited}");
    shop.stripe.set_rate_limit(0);
    assert_eq!(shop.get("account", &[]).await.status, 200);
}

#[tokio::test]
async fn a_thousand_calls_wait_side_by_side() {
    let shop = std::sync::Arc::new(Shop::open().await);
    shop.stripe.faults().set_latency(Duration::from_millis(200));
    let begun = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..1000 {
        let shop = std::sync::Arc::clone(&shop);
        calls.spawn(async move { shop.post_with(&format!("key-{n}"), "payment_intents", &sale("pm_card_visa")).await.status });
    }
    let statuses = calls.join_all().await;
    assert!(statuses.iter().all(|status| *status == 200));
    // One after the other they would take 200 s.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!(shop.stripe.book().captures().len(), 1000);
}
