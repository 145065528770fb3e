//! A shop's callback endpoint, faked: it records what arrives, answers as scripted, and checks signatures as Standard Webhooks 1.0 says.

use crate::tls::{PrivateCa, TlsListener};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response, StatusCode, Uri, header},
    serve::Listener,
};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{
    collections::VecDeque,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// One answer of the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A status, at once.
    Status(u16),
    /// A status after a while.
    Late(Duration, u16),
    /// A status with `Retry-After` in seconds.
    RetryAfter(u16, u32),
    /// 302 to another address, which must not be followed.
    Redirect(String),
    /// A 200 whose body has this many bytes.
    Long(usize),
}

/// What arrived.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Path and query.
    pub uri: Uri,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as sent.
    pub body: Bytes,
    /// When it had arrived whole.
    pub at: Instant,
}

/// Why a delivery is not genuine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// A header is missing or not text.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// The secret is not `whsec_` and Base64.
    #[error("the secret is not whsec_ followed by Base64")]
    Secret,
    /// The timestamp is not a number of seconds, or more than five minutes off.
    #[error("the timestamp {0:?} is not within five minutes of now")]
    Stale(String),
    /// No signature fits.
    #[error("no signature in {0:?} fits")]
    Signature(String),
}

impl Delivery {
    /// A header as text.
    pub fn header(&self, name: &'static str) -> Result<&str, Forged> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Forged::Missing(name))
    }

    /// `webhook-id`, or an empty string.
    pub fn id(&self) -> &str {
        self.header("webhook-id").unwrap_or_default()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Checks id, timestamp and signature against `secret` (`whsec_…`), as a receiver's library would.
    pub fn verify(&self, secret: &str) -> Result<(), Forged> {
        let (id, timestamp, signatures) =
            (self.header("webhook-id")?, self.header("webhook-timestamp")?, self.header("webhook-signature")?);
        let key = secret.strip_prefix("whsec_").and_then(|text| BASE64.decode(text.as_bytes()).ok()).ok_or(Forged::Secret)?;
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let sent: u64 = timestamp.parse().map_err(|_| Forged::Stale(timestamp.to_owned()))?;
        if sent.abs_diff(now) > 300 {
            return Err(Forged::Stale(timestamp.to_owned()));
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| Forged::Secret)?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(&self.body);
        let genuine = signatures
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .any(|signature| BASE64.decode(signature.as_bytes()).is_ok_and(|signature| mac.clone().verify_slice(&signature).is_ok()));
        if genuine { Ok(()) } else { Err(Forged::Signature(signatures.to_owned())) }
    }

    /// Checks `Monime-Signature` as Monime's documentation tells a receiver to: the HMAC-SHA256 of `{t}_{body}` under the secret as it stands,
    /// and a `t` that is at most 300 s off.
    pub fn verify_monime(&self, secret: &str) -> Result<(), Forged> {
        let header = self.header("monime-signature")?;
        let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
        let sent = parts().find(|(name, _)| *name == "t").map_or("", |(_, value)| value);
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        if sent.parse::<u64>().map_or(true, |sent| sent.abs_diff(now) > 300) {
            return Err(Forged::Stale(sent.to_owned()));
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| Forged::Secret)?;
        mac.update(format!("{sent}_").as_bytes());
        mac.update(&self.body);
        let ours = BASE64.encode(&mac.finalize().into_bytes());
        let genuine = parts().any(|(name, theirs)| name == "v1" && theirs == ours);
        if genuine { Ok(()) } else { Err(Forged::Signature(header.to_owned())) }
    }
}

/// A running endpoint on a loopback port; closed when dropped.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    shared: Arc<Shared>,
    arrived: watch::Receiver<usize>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    deliveries: Mutex<Vec<Delivery>>,
    script: Mutex<VecDeque<Answer>>,
    afterwards: Mutex<Answer>,
    arrived: watch::Sender<usize>,
}

impl Receiver {
    /// Starts one that answers 204 to everything.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        Ok(Self::serve(listener, url))
    }

    /// The same over TLS, with a certificate of `ca`.
    pub async fn start_tls(ca: &PrivateCa) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("https://{}", listener.local_addr()?);
        Ok(Self::serve(TlsListener::new(listener, ca)?, url))
    }

    fn serve<L: Listener<Addr: std::fmt::Debug>>(listener: L, url: String) -> Self {
        let (sender, arrived) = watch::channel(0);
        let shared = Arc::new(Shared {
            deliveries: Mutex::default(),
            script: Mutex::default(),
            afterwards: Mutex::new(Answer::Status(204)),
            arrived: sender,
        });
        let app = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Self { url, shared, arrived, server }
    }

    /// `http://127.0.0.1:PORT`, or `https://…`; every path works.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next answers, one a delivery; when they are used up, as before.
    pub fn then(&self, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.shared.script).extend(answers);
    }

    /// The answer to everything that is not scripted.
    pub fn always(&self, answer: Answer) {
        *lock(&self.shared.afterwards) = answer;
    }

    /// Everything that arrived, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.shared.deliveries).clone()
    }

    /// How many arrived.
    pub fn count(&self) -> usize {
        lock(&self.shared.deliveries).len()
    }

    /// Waits for the `n`-th delivery, counted from 1. `None`: it did not come in time.
    pub async fn nth(&self, n: usize, patience: Duration) -> Option<Delivery> {
        self.wait_for(patience, |deliveries| deliveries.get(n.checked_sub(1)?).cloned()).await
    }

    /// Waits until `find` returns something. `None`: it did not in time.
    pub async fn wait_for<T>(&self, patience: Duration, find: impl Fn(&[Delivery]) -> Option<T>) -> Option<T> {
        let mut arrived = self.arrived.clone();
        let look = async {
            loop {
                arrived.borrow_and_update();
                if let Some(found) = find(&lock(&self.shared.deliveries)) {
                    return Some(found);
                }
                arrived.changed().await.ok()?;
            }
        };
        tokio::time::timeout(patience, look).await.ok().flatten()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let answer = lock(&shared.script).pop_front().unwrap_or_else(|| lock(&shared.afterwards).clone());
    lock(&shared.deliveries).push(Delivery { uri, headers, body, at: Instant::now() });
    shared.arrived.send_modify(|count| *count += 1);
    let mut response = Response::new(Body::empty());
    let (status, extra) = match answer {
        Answer::Status(status) => (status, None),
        Answer::Late(delay, status) => {
            tokio::time::sleep(delay).await;
            (status, None)
        }
        Answer::RetryAfter(status, seconds) => (status, Some((header::RETRY_AFTER, seconds.to_string()))),
        Answer::Redirect(target) => (302, Some((header::LOCATION, target))),
        Answer::Long(bytes) => {
            *response.body_mut() = Body::from(vec![b'x'; bytes]);
            (200, None)
        }
    };
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some((name, value)) = extra.and_then(|(name, value)| Some((name, value.parse().ok()?))) {
        response.headers_mut().insert(name, value);
    }
    response
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn client() -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
    }

    fn delivery(signature: &str, timestamp: u64, body: &'static [u8]) -> Delivery {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "evt_1".parse().unwrap());
        headers.insert("webhook-timestamp", timestamp.to_string().parse().unwrap());
        headers.insert("webhook-signature", signature.parse().unwrap());
        Delivery { uri: Uri::from_static("/"), headers, body: Bytes::from_static(body), at: Instant::now() }
    }

    fn sign(secret: &str, message: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64.decode(secret.as_bytes()).unwrap()).unwrap();
        mac.update(message.as_bytes());
        format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
    }

    #[test]
    fn the_example_of_the_standard_is_signed_as_published() {
        // From the reference libraries' own tests.
        let signed = sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", r#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_a_fresh_delivery_with_a_fitting_signature_is_genuine() {
        let secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let good = sign(secret, &format!("evt_1.{now}.{{}}"));
        let whsec = format!("whsec_{secret}");
        assert_eq!(delivery(&good, now, b"{}").verify(&whsec), Ok(()));
        assert_eq!(delivery(&format!("v1,AAAA {good}"), now, b"{}").verify(&whsec), Ok(()), "one of two secrets is enough");
        assert!(matches!(delivery(&good, now, b"{ }").verify(&whsec), Err(Forged::Signature(_))));
        assert!(matches!(delivery(&good, now + 1, b"{}").verify(&whsec), Err(Forged::Signature(_))));
        assert!(matches!(delivery(&good, now - 1000, b"{}").verify(&whsec), Err(Forged::Stale(_))));
        assert_eq!(delivery(&good, now, b"{}").verify(secret), Err(Forged::Secret));
    }

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_script_and_every_delivery_is_kept() {
        let receiver = Receiver::start().await.unwrap();
        receiver.then([
            Answer::Status(500),
            Answer::RetryAfter(503, 7),
            Answer::Redirect("http://127.0.0.1:1/".to_owned()),
            Answer::Late(Duration::from_millis(20), 410),
        ]);
        let client = client();
        let mut statuses = Vec::new();
        for n in 0..5 {
            let response = client.post(format!("{}/hook?n={n}", receiver.url())).body(n.to_string()).send().await.unwrap();
            statuses.push(response.status().as_u16());
        }
        assert_eq!(statuses, [500, 503, 302, 410, 204]);
        let third = receiver.nth(3, PATIENCE).await.unwrap();
        assert_eq!((third.uri.query(), third.json()), (Some("n=2"), serde_json::json!(2)));
        assert!(receiver.nth(6, Duration::from_millis(20)).await.is_none());
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_arrival() {
        let receiver = Receiver::start().await.unwrap();
        let url = receiver.url().to_owned();
        let send = async {
            tokio::task::yield_now().await;
            client().post(url).body("{}").send().await.unwrap();
        };
        let (arrived, ()) = tokio::join!(receiver.nth(1, PATIENCE), send);
        assert_eq!(arrived.unwrap().id(), "");
    }
}
