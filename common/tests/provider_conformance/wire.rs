//! What holds on the wire only: broken answers, malformed requests, pages.

use super::rig::*;
use axum::http::StatusCode;
use boxoffice_common::{
    adapters::sandbox::{Behaviour, OperationId, OperationStatus, SandboxProvider},
    domain::attempt::{AttemptKind, Outcome},
    ports::provider::PaymentProvider,
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

#[tokio::test]
async fn a_refused_connection_was_not_sent_and_says_nothing_when_looking_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let rig = Rig::start(Over::Http).await;
    let (provider, request) = (SandboxProvider::http(&url, LONG).unwrap(), rig.charge("tok_visa"));
    let Outcome::NotSent { retry_after: None, cause } = provider.send(&request).await else { panic!("was sent") };
    assert!(cause.to_lowercase().contains("refused"), "{cause}");
    assert_unknown(&look_up(&provider, &request).await);
}

/// A server that reads a request and then answers with these bytes, or with none, and closes.
async fn closes_after(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0u8; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn whatever_is_no_whole_answer_to_this_request_is_unknown() {
    let rig = Rig::start(Over::Http).await;
    let request = rig.charge("tok_visa");
    let whole = |status: &str, body: String| format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let body = |key: &str, kind: &str| {
        let reference = &request.reference;
        format!(
            r#"{{"id":"ch_1","kind":"{kind}","reference":"{reference}","idempotency_key":"{key}","amount":1500,"currency":"usd","status":"captured"}}"#
        )
    };
    let good = whole("200 OK", body(&request.key, "charge"));
    let provider = SandboxProvider::http(&closes_after(good.clone()).await, LONG).unwrap();
    assert_eq!(approved(provider.send(&request).await, &request), "ch_1");
    let answers = [
        String::new(),
        "HTTP/1.1 200 OK\r\n".to_owned(),
        good[..good.len() - 1].to_owned(),
        whole("200 OK", "not json".to_owned()),
        whole("200 OK", "{}".to_owned()),
        whole("200 OK", body("another_key", "charge")),
        whole("200 OK", body(&request.key, "void")),
        whole("200 OK", "x".repeat(100_000)),
        whole("409 Conflict", r#"{"code":"idempotency_key_in_flight"}"#.to_owned()),
        whole("500 Internal Server Error", body(&request.key, "charge")),
        whole("502 Bad Gateway", String::new()),
        // A gateway's, after who knows what.
        whole("503 Service Unavailable", String::new()),
        whole("504 Gateway Timeout", String::new()),
    ];
    for answer in answers {
        let provider = SandboxProvider::http(&closes_after(answer.clone()).await, LONG).unwrap();
        let outcome = provider.send(&request).await;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{answer:?}: {outcome:?}");
    }
    let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n".to_owned();
    let provider = SandboxProvider::http(&closes_after(busy).await, LONG).unwrap();
    let Outcome::NotSent { retry_after, .. } = provider.send(&request).await else { panic!("was sent") };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    for bad in ["", "127.0.0.1:80", "ftp://host", "http://user:pass@host", "http://", "http://host?x=1"] {
        assert!(SandboxProvider::http(bad, LONG).is_err(), "{bad}");
    }
    for good in ["http://sandbox:8090", "http://sandbox:8090/", "https://host/prefix/"] {
        assert!(SandboxProvider::http(good, LONG).is_ok(), "{good}");
    }
}

#[tokio::test]
async fn the_provider_refuses_what_is_malformed_and_writes_nothing() {
    let rig = Rig::start(Over::Http).await;
    let good = r#"{"reference":"chk_x","amount":1,"currency":"usd","token":"tok_visa"}"#;
    let key = "Idempotency-Key: k1\r\n";
    let cases = [
        ("", good.to_owned()),
        ("Idempotency-Key: \r\n", good.to_owned()),
        (key, String::new()),
        (key, "[]".to_owned()),
        (key, good.replace("\"amount\":1", "\"amount\":1.5")),
        (key, good.replace("\"amount\":1", "\"amount\":99999999999999999999")),
        (key, good.replace("usd", "zzz")),
        (key, good.replace("chk_x", "")),
        (key, good.replace("chk_x", "a b")),
        (key, good.replace("\"token\"", "\"tokne\"")),
        (key, good.replace('}', ",\"extra\":1}")),
        (key, format!("{}{}", "[".repeat(500), "]".repeat(500))),
        (key, good.replace("tok_visa", &"t".repeat(300))),
    ];
    for (headers, body) in cases {
        let (status, _, answer) = http(&rig.base_url, "POST", "/sandbox/charges", headers, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert!(answer.contains("invalid_request"), "{answer}");
    }
    let (status, _, _) = http(&rig.base_url, "POST", "/sandbox/charges", key, &" ".repeat(20_000)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(rig.service.totals().await.unwrap().data, []);
}

#[tokio::test]
async fn an_authorised_charge_is_captured_once_or_voided() {
    let rig = Rig::start(Over::Http).await;
    let send = async |path: &str, key: &str, body: String| {
        let (status, _, answer) = http(&rig.base_url, "POST", path, &format!("Idempotency-Key: {key}\r\n"), &body).await;
        (status.as_u16(), serde_json::from_str::<serde_json::Value>(&answer).unwrap())
    };
    let charge = r#"{"reference":"chk_a","amount":500,"currency":"usd","token":"tok_visa","capture":false}"#.to_owned();
    let (_, authorized) = send("/sandbox/charges", "a1", charge).await;
    assert_eq!(authorized["status"], "authorized");
    let about = |amount: i64| format!(r#"{{"reference":"chk_a","amount":{amount},"currency":"usd","charge":{}}}"#, authorized["id"]);
    let (status, refund) = send("/sandbox/refunds", "a2", about(1)).await;
    assert_eq!((status, &refund["decline_code"]), (402, &"not_captured".into()));
    let (status, part) = send("/sandbox/captures", "a3", about(499)).await;
    assert_eq!((status, &part["decline_code"]), (402, &"amount_mismatch".into()));
    let (status, captured) = send("/sandbox/captures", "a4", about(500)).await;
    assert_eq!((status, &captured["status"]), (200, &"captured".into()));
    let (status, void) = send("/sandbox/voids", "a5", about(500)).await;
    assert_eq!((status, &void["decline_code"]), (402, &"already_captured".into()));
    let (status, reused) = send("/sandbox/voids", "a4", about(500)).await;
    assert_eq!((status, &reused["code"]), (422, &"idempotency_key_reused".into()));
}

#[tokio::test]
async fn the_book_pages_from_the_newest_charge_to_the_oldest() {
    let rig = Rig::start(Over::Http).await;
    let provider = rig.provider(LONG);
    for _ in 0..5 {
        let request = rig.charge("tok_visa");
        let reference = approved(provider.send(&request).await, &request);
        let refund = about(&request, 2, AttemptKind::Refund, 1, &reference);
        approved(provider.send(&refund).await, &refund);
    }
    let (mut seen, mut path) = (Vec::new(), "/sandbox/charges?limit=2".to_owned());
    loop {
        let (status, _, page) = http(&rig.base_url, "GET", &path, "", "").await;
        assert_eq!(status, StatusCode::OK);
        let page: serde_json::Value = serde_json::from_str(&page).unwrap();
        let rows = page["data"].as_array().unwrap();
        assert!(rows.iter().all(|row| row.as_object().unwrap().len() == 7 && row["amount_refunded"] == 1), "{rows:?}");
        seen.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/sandbox/charges?limit=2&cursor={cursor}");
    }
    let places: Vec<i64> = seen.iter().map(|id| OperationId::parse(id).unwrap().seq).collect();
    assert_eq!(places, [9, 7, 5, 3, 1]);
    for bad in ["limit=0", "limit=101", "limit=x", "cursor=x", "unknown=1"] {
        let (status, _, _) = http(&rig.base_url, "GET", &format!("/sandbox/charges?{bad}"), "", "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn behaviour_is_told_over_http_within_bounds() {
    let rig = Rig::start(Over::Http).await;
    let (status, _, _) = http(&rig.base_url, "POST", "/sandbox/behaviour", "", r#"{"latency_ms":5,"refuse_rate":0.5}"#).await;
    assert_eq!(status, StatusCode::OK);
    let (_, _, now) = http(&rig.base_url, "GET", "/sandbox/behaviour", "", "").await;
    let now: Behaviour = serde_json::from_str(&now).unwrap();
    assert_eq!(now, Behaviour { latency_ms: 5, refuse_rate: 0.5, ..Behaviour::default() });
    for bad in [r#"{"latency_ms":30001}"#, r#"{"refuse_rate":1.5}"#, r#"{"outage":"yes"}"#, r#"{"outrage":true}"#] {
        let (status, _, _) = http(&rig.base_url, "POST", "/sandbox/behaviour", "", bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(rig.service.behaviour(), now);
}

#[tokio::test]
async fn a_page_that_is_not_there_or_not_understood_changes_nothing() {
    let rig = Rig::start(Over::Http).await;
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_3ds"));
    let (url, reference) = requires_action(provider.send(&request).await);
    let guessed = format!("/sandbox/actions/{}_0000000000000001", reference.rsplit_once('_').unwrap().0);
    for path in [guessed.as_str(), "/sandbox/actions/x", "/sandbox/actions/vo_1_0000000000000001"] {
        let (status, _, _) = http(&rig.base_url, "GET", path, "", "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(rig.act(path, "approve").await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(rig.act(&url, "perhaps").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Pending);
}
