use super::*;
use stripe_client_core::{IdempotencyKey, RequestStrategy, StripeRequest};
use stripe_core::refund::{CreateRefund, ListRefund};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

const LONG: Duration = Duration::from_secs(20);

fn connection(base: &str, timeout: Duration) -> StripeConnection {
    StripeTransport::new(base).unwrap().connection(&Secret::new("sk_test_1".to_owned()), timeout).unwrap()
}

/// A server that hands on each request as it came, and answers with these bytes, or holds its tongue with none.
async fn server(answer: Option<String>) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let (told, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0u8; 16_384];
            let length = stream.read(&mut request).await.unwrap();
            let _ = told.send(String::from_utf8_lossy(&request[..length]).into_owned());
            match &answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                None => held.push(stream),
            }
        }
    });
    (base, heard)
}

fn whole(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn refund() -> RequestBuilder {
    CreateRefund::new().payment_intent("pi_1").amount(500).build()
}

async fn send(connection: &StripeConnection) -> Result<Answer, CallError> {
    connection.call(refund(), Some("chk_1_2"), connection.deadline()).await
}

#[tokio::test]
async fn a_request_has_all_that_stripe_asks_for_and_its_answer_is_told_whole() {
    let headers = "Request-Id: req_1\r\nRetry-After: 3\r\nStripe-Should-Retry: false\r\nIdempotent-Replayed: true\r\n";
    let (base, mut heard) = server(Some(whole("200 OK", headers, "{}"))).await;
    let answer = send(&connection(&base, LONG)).await.unwrap();
    assert_eq!((answer.status, answer.request_id.as_deref(), answer.is_replayed), (StatusCode::OK, Some("req_1"), true));
    assert_eq!((answer.retry_after, answer.should_retry, &*answer.body), (Some(Duration::from_secs(3)), Some(false), &b"{}"[..]));
    let request = heard.recv().await.unwrap().to_lowercase();
    assert!(request.starts_with("post /v1/refunds http/1.1\r\n"), "{request}");
    for part in [
        "authorization: bearer sk_test_1\r\n",
        "idempotency-key: chk_1_2\r\n",
        "stripe-version: 2026-09-30.endive\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "\r\n\r\namount=500&payment_intent=pi_1",
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
}

#[tokio::test]
async fn what_was_certainly_not_sent_is_told_from_all_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let name = |result: Result<Answer, CallError>| match result {
        Ok(answer) => answer.status.as_u16().to_string(),
        Err(CallError::NotSent(_)) => "not sent".to_owned(),
        Err(CallError::Unknown(_)) => "unknown".to_owned(),
    };
    assert_eq!(name(send(&connection(&nobody, LONG)).await), "not sent");
    for (answer, told) in [
        (Some(String::new()), "unknown"),
        (Some("HTTP/1.1 200 OK\r\n".to_owned()), "unknown"),
        (Some("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".to_owned()), "unknown"),
        (Some("not http at all\r\n\r\n".to_owned()), "unknown"),
        (Some(whole("200 OK", "", &"x".repeat(MAX_ANSWER_BYTES + 1))), "unknown"),
        (Some(whole("302 Found", "Location: http://127.0.0.1:1/\r\n", "")), "302"),
        (Some(whole("502 Bad Gateway", "", "<html>")), "502"),
    ] {
        let (base, _heard) = server(answer.clone()).await;
        assert_eq!(name(send(&connection(&base, LONG)).await), told, "{:?}", answer.map(|text| text.len()));
    }
    let (base, mut heard) = server(None).await;
    let hasty = connection(&base, Duration::from_millis(200));
    assert_eq!(name(send(&hasty).await), "unknown");
    assert!(heard.recv().await.is_some(), "it was sent");
}

#[tokio::test]
async fn without_a_key_nothing_is_changed_and_without_time_nothing_is_sent() {
    let (base, mut heard) = server(Some(whole("200 OK", "", "{}"))).await;
    let connection = connection(&base, LONG);
    let keyless = connection.call(refund(), None, connection.deadline()).await;
    assert!(matches!(keyless, Err(CallError::NotSent(_))), "{keyless:?}");
    let late = connection.call(refund(), Some("chk_1_2"), Instant::now()).await;
    assert!(matches!(late, Err(CallError::NotSent(_))), "{late:?}");
    connection.call(ListRefund::new().limit(1).build(), None, connection.deadline()).await.unwrap();
    assert!(heard.recv().await.unwrap().starts_with("GET /v1/refunds?limit=1 HTTP/1.1"));
    assert!(heard.try_recv().is_err(), "only the look was sent");
}

#[tokio::test]
async fn requests_of_the_generated_types_go_the_same_way() {
    let body = r#"{"object":"list","data":[],"has_more":false,"url":"/v1/refunds"}"#;
    let (base, _heard) = server(Some(whole("200 OK", "", body))).await;
    let list = ListRefund::new().send(&connection(&base, LONG)).await.unwrap();
    assert!(list.data.is_empty());
    let (base, mut heard) = server(Some(whole("402 Payment Required", "Request-Id: req_7\r\n", "{}"))).await;
    let create = || CreateRefund::new().payment_intent("pi_1").customize();
    let keyless = create().send(&connection(&base, LONG)).await.unwrap_err();
    assert!(matches!(keyless, ClientError::Call(CallError::NotSent(_))), "{keyless:?}");
    let key = RequestStrategy::Idempotent(IdempotencyKey::new("chk_1_2").unwrap());
    let refused = create().request_strategy(key).send(&connection(&base, LONG)).await.unwrap_err();
    assert_eq!(refused, ClientError::Status { status: 402, request_id: Some("req_7".to_owned()) });
    assert!(heard.recv().await.unwrap().to_lowercase().contains("idempotency-key: chk_1_2\r\n"));
}

#[test]
fn nothing_shows_the_key() {
    let connection = connection("http://127.0.0.1:1/", LONG);
    assert!(!format!("{connection:?}").contains("sk_test_1"), "{connection:?}");
}
