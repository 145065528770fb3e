//! What sending promises, against receivers on real sockets.

use super::*;
use crate::{
    adapters::callback::{resolver::tests::Scripted, signature::generate_secret},
    domain::{
        delivery::{DeliveryRecord, DeliveryStatus},
        id::{CheckoutId, DeliveryId, EventId},
        scope::{Mode, Scope},
        secret::Secret,
    },
    ports::clock::{Clock, SystemClock},
};
use boxoffice_testkit::{Answer as Fake, PrivateCa, Receiver};
use std::{io::ErrorKind, net::TcpListener as StdListener};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

const SHORT: Duration = Duration::from_millis(300);
/// Far above anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

fn job(url: &str, tries: u32, secrets: Vec<Secret<String>>) -> DeliveryJob {
    let now = SystemClock::default().now();
    DeliveryJob {
        scope: Scope::new("demo", Mode::Test).unwrap(),
        record: DeliveryRecord {
            id: DeliveryId::parse("dlv_1").unwrap(),
            event: EventId::parse("evt_1").unwrap(),
            event_type: "checkout.succeeded".to_owned(),
            subject: "chk_1".to_owned(),
            checkout: CheckoutId::parse("chk_1").ok(),
            endpoint: None,
            url: url.to_owned(),
            status: DeliveryStatus::Pending,
            tries,
            last_status_code: None,
            last_error: None,
            next_try_at: None,
            created_at: now,
            updated_at: now,
        },
        body: r#"{"id":"evt_1","type":"checkout.succeeded","data":{"a":"é"}}"#.to_owned(),
        secrets,
        lease_token: "lease-1".to_owned(),
    }
}

fn secret() -> Secret<String> {
    generate_secret(&Entropy::from_seed(5))
}

fn entropy() -> Arc<Entropy> {
    Arc::new(Entropy::from_seed(9))
}

fn lenient() -> CallbackSettings {
    CallbackSettings { allow_private: true, ..CallbackSettings::default() }
}

async fn send(settings: CallbackSettings, url: &str) -> DeliveryResult {
    send_try(settings, url, 0).await
}

async fn send_try(settings: CallbackSettings, url: &str, tries: u32) -> DeliveryResult {
    let sender = CallbackSender::new(settings, entropy()).unwrap();
    let sending = async { sender.send(&job(url, tries, vec![secret()]), SystemClock::default().now()).await };
    tokio::time::timeout(PATIENCE, sending).await.expect("a try ends by itself")
}

/// The wait, in whole seconds.
fn waits(result: &DeliveryResult) -> u64 {
    match result.verdict {
        DeliveryVerdict::RetryIn(wait) => wait.as_secs(),
        other => panic!("{other:?}, {:?}", result.error),
    }
}

/// Reads a request's head and body from a raw connection, then does `answer`.
fn raw_receiver<F>(listener: TcpListener, answer: impl FnOnce(TcpStream) -> F + Send + 'static) -> JoinHandle<usize>
where
    F: Future<Output = usize> + Send,
{
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"}}") {
            let mut chunk = [0; 1024];
            let read = stream.read(&mut chunk).await.unwrap();
            assert!(read > 0, "the request ended early");
            seen.extend_from_slice(&chunk[..read]);
        }
        answer(stream).await
    })
}

async fn raw_listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks", listener.local_addr().unwrap());
    (listener, url)
}

/// A port where nobody may come.
fn closed_shop() -> (StdListener, u16) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn nobody_came(listener: &StdListener) -> bool {
    listener.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[tokio::test]
async fn a_receiver_gets_a_signed_message_and_can_verify_it_with_either_secret() {
    let receiver = Receiver::start().await.unwrap();
    let (new, old) = (generate_secret(&Entropy::from_seed(1)), generate_secret(&Entropy::from_seed(2)));
    let job = job(&format!("{}/hooks?a=b", receiver.url()), 0, vec![new.clone(), old.clone()]);
    let sender = CallbackSender::new(lenient(), entropy()).unwrap();
    let result = sender.send(&job, SystemClock::default().now()).await;
    let delivered = DeliveryResult {
        id: job.record.id.clone(),
        lease_token: "lease-1".to_owned(),
        verdict: DeliveryVerdict::Delivered,
        status_code: Some(204),
        error: None,
    };
    assert_eq!(result, delivered);
    let got = receiver.nth(1, PATIENCE).await.unwrap();
    assert_eq!((got.id(), got.uri.to_string().as_str(), &got.body[..]), ("evt_1", "/hooks?a=b", job.body.as_bytes()));
    assert_eq!((got.verify(new.reveal()), got.verify(old.reveal())), (Ok(()), Ok(())));
    assert!(got.verify(secret().reveal()).is_err());
    assert_eq!(got.header("content-type").unwrap(), "application/json");
    assert!(got.header("user-agent").unwrap().starts_with("boxoffice/"));
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let (receiver, elsewhere) = (Receiver::start().await.unwrap(), Receiver::start().await.unwrap());
    receiver.always(Fake::Redirect(elsewhere.url().to_owned()));
    let result = send(lenient(), receiver.url()).await;
    assert!((4..=6).contains(&waits(&result)));
    assert!(result.status_code.is_some_and(|status| (300..400).contains(&status)));
    assert!(result.error.unwrap().contains("not followed"));
    assert_eq!((receiver.count(), elsewhere.count()), (1, 0));
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_left_after_the_timeout() {
    let (listener, url) = raw_listener().await;
    let started = Instant::now();
    let result = send(CallbackSettings { timeout: SHORT, ..lenient() }, &url).await;
    assert!(started.elapsed() < PATIENCE / 4);
    assert!((4..=6).contains(&waits(&result)));
    assert_eq!((result.status_code, result.error.as_deref()), (None, Some("no answer within 300 ms")));
    drop(listener);
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_and_still_counts() {
    let (listener, url) = raw_listener().await;
    let flood = raw_receiver(listener, async |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let chunk = [b"2000\r\n".as_slice(), &[b'x'; 0x2000], b"\r\n"].concat();
        let mut written = 0;
        // Ends only when the other side has had enough.
        while stream.write_all(&chunk).await.is_ok() {
            written += chunk.len();
        }
        written
    });
    assert_eq!(send(lenient(), &url).await.verdict, DeliveryVerdict::Delivered);
    let written = tokio::time::timeout(PATIENCE, flood).await.expect("the connection was closed").unwrap();
    // What the kernel buffers on loopback comes on top of what was read.
    assert!(written > MAX_ANSWER_BYTES && written < 64 * 1024 * 1024, "{written}");
}

#[tokio::test]
async fn a_body_that_never_comes_does_not_change_the_verdict() {
    let (listener, url) = raw_listener().await;
    let stalled = raw_receiver(listener, async |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
        stream.read(&mut [0; 1]).await.unwrap_or(0)
    });
    let result = send(CallbackSettings { timeout: SHORT, ..lenient() }, &url).await;
    assert_eq!((result.verdict, result.status_code), (DeliveryVerdict::Delivered, Some(200)));
    assert_eq!(tokio::time::timeout(PATIENCE, stalled).await.expect("the connection was closed").unwrap(), 0);
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_a_failure() {
    let (listener, url) = raw_listener().await;
    let receiver = raw_receiver(listener, async |mut stream: TcpStream| {
        stream.write_all(b"SSH-2.0-hello\r\n").await.unwrap();
        0
    });
    let result = send(lenient(), &url).await;
    assert!((4..=6).contains(&waits(&result)));
    assert_eq!(result.error.as_deref(), Some("the receiver does not speak HTTP as it should"));
    receiver.await.unwrap();
}

#[tokio::test]
async fn a_receiver_that_is_gone_disables_the_endpoint() {
    let receiver = Receiver::start().await.unwrap();
    receiver.always(Fake::Status(410));
    let result = send(lenient(), receiver.url()).await;
    assert_eq!((result.verdict, result.status_code), (DeliveryVerdict::Disable, Some(410)));
}

#[tokio::test]
async fn a_receiver_can_ask_for_more_time_but_not_for_less_or_for_ever() {
    let receiver = Receiver::start().await.unwrap();
    receiver.then([Fake::RetryAfter(503, 120), Fake::RetryAfter(429, 1), Fake::RetryAfter(503, 1_000_000)]);
    assert_eq!(waits(&send(lenient(), receiver.url()).await), 120);
    assert!((4..=6).contains(&waits(&send(lenient(), receiver.url()).await)));
    assert_eq!(waits(&send(lenient(), receiver.url()).await), 24 * 3600);
}

#[tokio::test]
async fn failures_are_tried_by_the_schedule_and_then_given_up() {
    let receiver = Receiver::start().await.unwrap();
    for (tries, status, seconds) in [(0, 500, 5), (1, 404, 300), (8, 302, 86_400)] {
        receiver.always(Fake::Status(status));
        let result = send_try(lenient(), receiver.url(), tries).await;
        let (wait, middle) = (waits(&result) as f64, f64::from(seconds));
        assert!((middle * 0.8 - 1.0..=middle * 1.2).contains(&wait), "after {tries} tries: {wait}");
        assert_eq!(result.status_code, Some(status));
    }
    receiver.always(Fake::RetryAfter(503, 10));
    let last = send_try(lenient(), receiver.url(), 9).await;
    assert_eq!((last.verdict, last.error.as_deref()), (DeliveryVerdict::GiveUp, Some("the receiver answered 503")));
}

#[tokio::test]
async fn a_closed_port_is_tried_again() {
    let (listener, port) = closed_shop();
    drop(listener);
    let result = send(lenient(), &format!("http://127.0.0.1:{port}/")).await;
    assert!((4..=6).contains(&waits(&result)));
    assert_eq!(result.error.as_deref(), Some("the connection failed: connection refused"));
}

#[tokio::test]
async fn private_addresses_are_refused_unless_the_operator_allows_them() {
    let (shop, port) = closed_shop();
    let strict = CallbackSettings::default;
    for url in [format!("https://127.0.0.1:{port}/"), format!("https://2130706433:{port}/"), format!("https://[::ffff:127.0.0.1]:{port}/")]
    {
        let result = send(strict(), &url).await;
        assert_eq!((result.verdict, result.status_code), (DeliveryVerdict::GiveUp, None), "{url}");
        assert!(result.error.unwrap().contains("loopback"));
    }
    // A public name with a private address gets as far as the connector and no further.
    let sender = CallbackSender::with(strict(), entropy(), AddressFilter::public_only(), Scripted::new(&[&["127.0.0.1", "::1"]])).unwrap();
    let named = job(&format!("https://shop.example:{port}/"), 0, vec![secret()]);
    let result = sender.send(&named, SystemClock::default().now()).await;
    assert_eq!(result.verdict, DeliveryVerdict::GiveUp, "{:?}", result.error);
    assert!(result.error.unwrap().contains("loopback"));
    // An address in the URL is never resolved; the filter sees it all the same.
    let sender = CallbackSender::with(lenient(), entropy(), AddressFilter::public_only(), Scripted::new(&[])).unwrap();
    let literal = job(&format!("http://127.0.0.1:{port}/"), 0, vec![secret()]);
    assert_eq!(sender.send(&literal, SystemClock::default().now()).await.verdict, DeliveryVerdict::GiveUp);
    assert!(nobody_came(&shop));
    let receiver = Receiver::start().await.unwrap();
    assert_eq!(send(lenient(), receiver.url()).await.verdict, DeliveryVerdict::Delivered);
}

/// `127.0.0.2` stands for the public internet, as the one address that the filter lets through; `127.0.0.1` is inside.
async fn two_hosts_one_port() -> (TcpListener, StdListener, u16) {
    for _ in 0..50 {
        let public = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = public.local_addr().unwrap().port();
        // Somebody else may have that port on the other address.
        if let Ok(inside) = StdListener::bind(("127.0.0.1", port)) {
            return (public, inside, port);
        }
    }
    panic!("no port is free on both addresses");
}

#[tokio::test]
async fn a_name_that_is_bound_anew_does_not_lead_inside() {
    let (public, inside, port) = two_hosts_one_port().await;
    inside.set_nonblocking(true).unwrap();
    let filter = AddressFilter::public_only().and("127.0.0.2/32".parse().unwrap());
    let answers: &[&[&str]] = &[&["127.0.0.2", "127.0.0.1"], &["127.0.0.1"]];
    let sender = CallbackSender::with(lenient(), entropy(), filter, Scripted::new(answers)).unwrap();
    let job = job(&format!("http://shop.example:{port}/"), 0, vec![secret()]);
    let receiver = raw_receiver(public, async |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
        0
    });
    let first = sender.send(&job, SystemClock::default().now()).await;
    assert_eq!(first.verdict, DeliveryVerdict::Delivered, "{:?}", first.error);
    receiver.await.unwrap();
    let second = sender.send(&job, SystemClock::default().now()).await;
    assert_eq!(second.verdict, DeliveryVerdict::GiveUp, "{:?}", second.error);
    assert!(nobody_came(&inside));
}

#[tokio::test]
async fn only_https_is_spoken_to_the_public() {
    let sender = CallbackSender::with(CallbackSettings::default(), entropy(), AddressFilter::anything(), Scripted::new(&[&["127.0.0.1"]]));
    let (shop, port) = closed_shop();
    let job = job(&format!("http://shop.example:{port}/"), 0, vec![secret()]);
    let result = sender.unwrap().send(&job, SystemClock::default().now()).await;
    assert_eq!((result.verdict, result.error.as_deref()), (DeliveryVerdict::GiveUp, Some("the address must begin with https://")));
    assert!(nobody_came(&shop));
}

#[tokio::test]
async fn over_https_a_server_without_a_good_certificate_gets_nothing() {
    let (listener, url) = raw_listener().await;
    let plain = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 1024];
        let read = stream.read(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        hello[..read].to_vec()
    });
    let result = send(lenient(), &url.replace("http:", "https:")).await;
    assert!((4..=6).contains(&waits(&result)));
    assert!(result.error.as_deref().is_some_and(|error| error.starts_with("TLS failed")), "{:?}", result.error);
    // A TLS handshake record, and no request in the clear.
    let hello = plain.await.unwrap();
    assert_eq!(hello.first(), Some(&22));
    assert!(!hello.windows(4).any(|four| four == b"POST"));
}

#[tokio::test]
async fn over_https_a_receiver_gets_a_signed_message_when_its_certificate_is_trusted() {
    let (ca, other) = (PrivateCa::new().unwrap(), PrivateCa::new().unwrap());
    let receiver = Receiver::start_tls(&ca).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let trusting = || {
        let get = |name: &str| (name == "BOXOFFICE_CALLBACK_CA_FILE").then(|| path.clone());
        let config = Config::read("data".into(), &get).unwrap();
        CallbackSettings { allow_private: true, ..CallbackSettings::from(&config) }
    };
    let url = format!("{}/hooks?a=b", receiver.url());
    // One of several is enough, and comments between them do no harm.
    std::fs::write(&path, format!("{}\n# ours\n{}", other.pem(), ca.pem())).unwrap();
    let result = send(trusting(), &url).await;
    assert_eq!((result.verdict, result.status_code, result.error), (DeliveryVerdict::Delivered, Some(204), None));
    let got = receiver.nth(1, PATIENCE).await.unwrap();
    assert_eq!((got.verify(secret().reveal()), got.uri.to_string().as_str()), (Ok(()), "/hooks?a=b"));
    // Whoever does not trust its certificate sends it nothing.
    std::fs::write(&path, other.pem()).unwrap();
    for settings in [lenient(), trusting()] {
        let result = send(settings, &url).await;
        assert!((4..=6).contains(&waits(&result)));
        assert!(
            result.error.as_deref().is_some_and(|error| error.starts_with("TLS failed: invalid peer certificate")),
            "{:?}",
            result.error
        );
    }
    assert_eq!(receiver.count(), 1);
    // A file that is of no use is told at the start.
    for (text, problem) in [("", "holds no certificate"), ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "not PEM")] {
        std::fs::write(&path, text).unwrap();
        let error = CallbackSender::new(trusting(), entropy()).err().unwrap().to_string();
        assert!(error.contains("BOXOFFICE_CALLBACK_CA_FILE") && error.contains(problem) && error.contains(&path), "{error}");
    }
    drop(file);
    assert!(matches!(CallbackSender::new(trusting(), entropy()), Err(SenderError::CaFile { .. })));
}

#[tokio::test]
async fn what_went_wrong_is_told_without_secrets_bodies_or_urls() {
    let (listener, url) = raw_listener().await;
    let receiver = raw_receiver(listener, async |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 500 HUSH\r\ncontent-length: 4\r\nconnection: close\r\n\r\nHUSH").await.unwrap();
        0
    });
    let told = send(lenient(), &format!("{url}?token=HUSH")).await;
    receiver.await.unwrap();
    let (listener, port) = closed_shop();
    drop(listener);
    let refused = send(lenient(), &format!("http://127.0.0.1:{port}/?token=HUSH")).await;
    let sender = CallbackSender::new(lenient(), entropy()).unwrap();
    let unusable = job(&url, 0, vec![Secret::new("whsec_HUSH!".to_owned())]);
    let unsigned = sender.send(&unusable, SystemClock::default().now()).await;
    assert!(waits(&unsigned) <= 6);
    for text in [told.error, refused.error, unsigned.error] {
        let text = text.unwrap();
        assert!(!text.contains("HUSH") && !text.contains("127.0.0.1"), "{text}");
    }
}
