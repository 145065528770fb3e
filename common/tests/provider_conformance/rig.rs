//! A sandbox with its book, the ways to it, and what is said about its answers.

use axum::http::StatusCode;
use boxoffice_common::{
    adapters::sandbox::{ChargeRow, SandboxProvider, SandboxService, router},
    domain::{
        attempt::{Attempt, AttemptKind, AttemptStatus, MoneyRequest, Outcome},
        id::{AttemptId, CheckoutId, Entropy},
        money::{Amount, Currency},
        secret::Secret,
        time::Timestamp,
    },
    ports::{clock::SystemClock, provider::PaymentProvider},
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// Enough for an answer on a busy machine.
pub const LONG: Duration = Duration::from_secs(20);
/// For calls that are not answered.
pub const SHORT: Duration = Duration::from_millis(300);

/// A charge of 15.00 with this card token, of a checkout of its own.
pub fn charge(entropy: &Entropy, currency: &str, token: &str) -> MoneyRequest {
    let reference = CheckoutId::generate(entropy, Timestamp::from_millis(1_800_000_000_000));
    MoneyRequest {
        token: Some(Secret::new(token.to_owned())),
        ..MoneyRequest::new(AttemptKind::Charge, reference, 1, Amount::from_minor(1500), Currency::parse(currency).unwrap())
    }
}

#[derive(Clone, Copy)]
pub enum Over {
    Process,
    Http,
}

/// A sandbox with its book, and the way to it.
pub struct Rig {
    pub over: Over,
    pub service: Arc<SandboxService>,
    pub base_url: String,
    pub server: JoinHandle<()>,
    /// Lets customers answer on their phones.
    customers: JoinHandle<()>,
    pub entropy: Entropy,
    pub folder: tempfile::TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.abort();
        self.customers.abort();
    }
}

pub async fn open(path: &Path, public_url: &str) -> Arc<SandboxService> {
    SandboxService::open(path, public_url, Arc::new(SystemClock::default()), Arc::new(Entropy::from_os())).await.unwrap()
}

impl Rig {
    pub async fn start(over: Over) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let service = open(&folder.path().join("sandbox.db"), &base_url).await;
        let app = router(Arc::clone(&service));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let customers = tokio::spawn(Arc::clone(&service).run(None, CancellationToken::new()));
        Self { over, service, base_url, server, customers, entropy: Entropy::from_os(), folder }
    }

    pub fn provider(&self, timeout: Duration) -> Arc<SandboxProvider> {
        Arc::new(match self.over {
            Over::Process => SandboxProvider::in_process(Arc::clone(&self.service), timeout),
            Over::Http => SandboxProvider::http(&self.base_url, timeout).unwrap(),
        })
    }

    pub fn charge(&self, token: &str) -> MoneyRequest {
        charge(&self.entropy, "usd", token)
    }

    pub async fn book(&self, request: &MoneyRequest) -> Vec<ChargeRow> {
        let charges = self.provider(LONG).charges_by_reference(request.reference.as_str()).await.unwrap();
        assert!(charges.iter().all(|charge| charge.reference == request.reference.as_str()));
        charges
    }

    /// The one charge of this reference.
    pub async fn only_charge(&self, request: &MoneyRequest) -> ChargeRow {
        let mut charges = self.book(request).await;
        assert_eq!(charges.len(), 1, "{charges:?}");
        charges.remove(0)
    }

    /// Answers for a pending charge as a person would, through the page.
    pub async fn act(&self, url: &str, answer: &str) -> (StatusCode, String) {
        let (_, _, page) = http(&self.base_url, "GET", path_of(url), "", "").await;
        let form = format!("answer={answer}");
        let (status, head, _) =
            http(&self.base_url, "POST", path_of(url), "Content-Type: application/x-www-form-urlencoded\r\n", &form).await;
        assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
        (status, page)
    }
}

pub fn path_of(url: &str) -> &str {
    &url[url.find("/sandbox").unwrap()..]
}

/// A request by hand: status, head, body.
pub async fn http(base_url: &str, method: &str, path: &str, headers: &str, body: &str) -> (StatusCode, String, String) {
    let address = base_url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse::<u16>().unwrap();
    (StatusCode::from_u16(status).unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

/// A request about what an earlier charge took.
pub fn about(charge: &MoneyRequest, n: u32, kind: AttemptKind, amount: i64, target: &str) -> MoneyRequest {
    MoneyRequest {
        kind,
        key: Attempt::key(&charge.reference, n),
        amount: Amount::from_minor(amount),
        token: None,
        push: None,
        intent: None,
        target: Some(target.to_owned()),
        capture_later: false,
        ..charge.clone()
    }
}

pub fn attempt(request: &MoneyRequest, status: AttemptStatus) -> Attempt {
    let (id, at) = (AttemptId::parse("pat_1").unwrap(), Timestamp::from_millis(0));
    Attempt { status, ..Attempt::recorded(id, 1, "sandbox".to_owned(), request.clone(), at) }
}

pub async fn look_up(provider: &SandboxProvider, request: &MoneyRequest) -> Outcome {
    provider.look_up(&attempt(request, AttemptStatus::Unknown)).await
}

/// The provider's reference of an approval of what was asked.
pub fn approved(outcome: Outcome, request: &MoneyRequest) -> String {
    let Outcome::Approved(receipt) = outcome else { panic!("not approved: {outcome:?}") };
    assert_eq!((receipt.amount, receipt.currency), (request.amount, request.currency));
    receipt.provider_reference
}

pub fn declined(outcome: Outcome) -> String {
    let Outcome::Declined(decline) = outcome else { panic!("not declined: {outcome:?}") };
    assert!(!decline.message.is_empty());
    decline.decline_code
}

pub fn requires_action(outcome: Outcome) -> (String, String) {
    let Outcome::RequiresAction { url, provider_reference } = outcome else { panic!("no action: {outcome:?}") };
    (url, provider_reference)
}

pub fn assert_unknown(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
}

pub fn assert_not_sent(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
}
