//! Events on their way to endpoints: signed, sent again until a 2xx, and held, doubled or forged when a test wants that.
//! <https://docs.stripe.com/webhooks>.

use super::{account::Account, clock::StripeClock, events::StripeEvent, lock};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{Notify, Semaphore};

/// Deliveries under way at once.
const MOST_AT_ONCE: usize = 256;
/// Deliveries that are remembered.
const REMEMBERED: usize = 20_000;
/// How long an endpoint may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An address that events are sent to.
#[derive(Debug, Clone)]
struct Endpoint {
    url: String,
    secrets: Vec<String>,
}

/// One try to deliver an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// `evt_…`.
    pub event: String,
    /// Such as `payment_intent.succeeded`.
    pub kind: String,
    /// Where it was sent to.
    pub url: String,
    /// What was answered; `None`: nothing.
    pub status: Option<u16>,
}

#[derive(Debug)]
struct State {
    endpoints: Vec<Endpoint>,
    held: bool,
    times: usize,
    delay: Duration,
    retries: Vec<Duration>,
    lost: Vec<String>,
    sent: Vec<Sent>,
}

/// The sending of events, and what a test can make of it.
#[derive(Debug, Clone)]
pub struct Webhooks {
    account: Arc<Mutex<Account>>,
    clock: Arc<StripeClock>,
    state: Arc<Mutex<State>>,
    pub(super) stirred: Arc<Notify>,
    client: reqwest::Client,
    room: Arc<Semaphore>,
}

impl Webhooks {
    pub(super) fn new(account: Arc<Mutex<Account>>, clock: Arc<StripeClock>) -> reqwest::Result<Self> {
        // A second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).build()?;
        let retries = [50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800].map(Duration::from_millis).to_vec();
        let state =
            State { endpoints: Vec::new(), held: false, times: 1, delay: Duration::ZERO, retries, lost: Vec::new(), sent: Vec::new() };
        Ok(Self {
            account,
            clock,
            state: Arc::new(Mutex::new(state)),
            stirred: Arc::new(Notify::new()),
            client,
            room: Arc::new(Semaphore::new(MOST_AT_ONCE)),
        })
    }

    /// Sends every event from now on to `url`, signed with `secret` (`whsec_…`).
    pub fn add(&self, url: &str, secret: &str) {
        lock(&self.state).endpoints.push(Endpoint { url: url.to_owned(), secrets: vec![secret.to_owned()] });
        lock(&self.account).events.endpoints += 1;
    }

    /// Signs with both secrets from now on, as while one is rotated: the newest first.
    pub fn rotate(&self, url: &str, secret: &str) {
        for endpoint in lock(&self.state).endpoints.iter_mut().filter(|endpoint| endpoint.url == url) {
            endpoint.secrets.insert(0, secret.to_owned());
        }
    }

    /// The rotation is over: only the newest secret signs.
    pub fn end_rotation(&self, url: &str) {
        for endpoint in lock(&self.state).endpoints.iter_mut().filter(|endpoint| endpoint.url == url) {
            endpoint.secrets.truncate(1);
        }
    }

    /// Keeps new events back until [`Webhooks::release`].
    pub fn hold(&self) {
        lock(&self.state).held = true;
    }

    /// The events that are held back, oldest first.
    pub fn held(&self) -> Vec<Arc<StripeEvent>> {
        lock(&self.account).events.unsent().cloned().collect()
    }

    /// Sends what was held back, and new events as they come.
    pub fn release(&self) {
        lock(&self.state).held = false;
        self.stirred.notify_one();
    }

    /// Sends what was held back one after the other, the newest first; then as [`Webhooks::release`].
    pub async fn release_newest_first(&self) {
        let events = lock(&self.account).events.take_unsent();
        for event in events.into_iter().rev() {
            self.send_to_all(&event).await;
        }
        self.release();
    }

    /// Forgets what was held back: it is lost on the way.
    pub fn lose_held(&self) {
        drop(lock(&self.account).events.take_unsent());
    }

    /// Never sends events of this kind.
    pub fn lose(&self, kind: &str) {
        lock(&self.state).lost.push(kind.to_owned());
    }

    /// Sends each event so many times.
    pub fn set_times(&self, times: usize) {
        lock(&self.state).times = times.max(1);
    }

    /// Waits so long before an event is sent.
    pub fn set_delay(&self, delay: Duration) {
        lock(&self.state).delay = delay;
    }

    /// The waits before an event is sent again. After the last it is given up.
    pub fn set_retries(&self, retries: impl IntoIterator<Item = Duration>) {
        lock(&self.state).retries = retries.into_iter().collect();
    }

    /// Every try so far, in the order of its end.
    pub fn sent(&self) -> Vec<Sent> {
        lock(&self.state).sent.clone()
    }

    /// Sends an event now, once, to all endpoints, whether it was sent before or is held back. Answers the statuses.
    pub async fn send(&self, event: &str) -> Vec<Option<u16>> {
        let found = {
            let mut account = lock(&self.account);
            account.events.take_one(event);
            account.events.find(event)
        };
        match found {
            Some(event) => self.send_to_all(&event).await,
            None => Vec::new(),
        }
    }

    /// Sends a body of your own to `url`, signed with `secret`: a forgery when the secret is a wrong one. Answers the status.
    pub async fn forge(&self, url: &str, body: &str, secret: &str) -> Option<u16> {
        let header = signature_header(body.as_bytes(), self.clock.now(), [secret]);
        self.post(url, body.to_owned(), Some(header)).await
    }

    /// Sends a body with a signature header of your own, or with none. Answers the status.
    pub async fn send_raw(&self, url: &str, body: &str, header: Option<&str>) -> Option<u16> {
        self.post(url, body.to_owned(), header.map(str::to_owned)).await
    }

    async fn send_to_all(&self, event: &StripeEvent) -> Vec<Option<u16>> {
        let endpoints = lock(&self.state).endpoints.clone();
        let mut statuses = Vec::new();
        for endpoint in endpoints {
            statuses.push(self.deliver(event, &endpoint).await);
        }
        statuses
    }

    async fn post(&self, url: &str, body: String, signature: Option<String>) -> Option<u16> {
        let mut request = self.client.post(url).header("Content-Type", "application/json; charset=utf-8");
        request =
            request.header("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)").header("Accept", "*/*; q=0.5, application/xml");
        if let Some(signature) = signature {
            request = request.header("Stripe-Signature", signature);
        }
        request.body(body).send().await.ok().map(|response| response.status().as_u16())
    }

    /// One try, noted.
    async fn deliver(&self, event: &StripeEvent, endpoint: &Endpoint) -> Option<u16> {
        let header = signature_header(event.body().as_bytes(), self.clock.now(), endpoint.secrets.iter().map(String::as_str));
        let status = self.post(&endpoint.url, event.body().to_owned(), Some(header)).await;
        let mut state = lock(&self.state);
        if state.sent.len() < REMEMBERED {
            state.sent.push(Sent { event: event.id.clone(), kind: event.kind.clone(), url: endpoint.url.clone(), status });
        }
        status
    }

    /// Tries until a 2xx or until the retries are used up.
    async fn persist(self, event: Arc<StripeEvent>, endpoint: Endpoint, delay: Duration, retries: Vec<Duration>) {
        for wait in std::iter::once(delay).chain(retries) {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            if self.deliver(&event, &endpoint).await.is_some_and(|status| (200..300).contains(&status)) {
                return;
            }
        }
    }

    /// Sends events as they come, until it is dropped.
    pub(super) async fn run(self) {
        let mut under_way = tokio::task::JoinSet::new();
        loop {
            let held = lock(&self.state).held;
            let events = if held { Vec::new() } else { lock(&self.account).events.take_unsent() };
            for event in events {
                let (endpoints, times, delay, retries) = {
                    let state = lock(&self.state);
                    let lost = state.lost.contains(&event.kind);
                    let endpoints = if lost { Vec::new() } else { state.endpoints.clone() };
                    (endpoints, state.times, state.delay, state.retries.clone())
                };
                for endpoint in endpoints.iter().flat_map(|endpoint| std::iter::repeat_n(endpoint, times)) {
                    let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else { return };
                    let sending = self.clone().persist(Arc::clone(&event), endpoint.clone(), delay, retries.clone());
                    under_way.spawn(async move {
                        sending.await;
                        drop(permit);
                    });
                }
                while under_way.try_join_next().is_some() {}
            }
            self.stirred.notified().await;
        }
    }
}

/// `Stripe-Signature` over `{t}.{body}`: a `v1` for each secret, and a `v0`, which nobody may accept.
/// <https://docs.stripe.com/webhooks#verify-manually>.
pub fn signature_header<'a>(body: &[u8], at: i64, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut header = format!("t={at}");
    for secret in secrets {
        let _ = write!(header, ",v1={}", signature(body, at, secret));
    }
    let _ = write!(header, ",v0={}", signature(body, at, "whsec_of_nobody"));
    header
}

fn signature(body: &[u8], at: i64, secret: &str) -> String {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_signs_the_time_and_the_body() {
        // HMAC-SHA256 of `1492774577.{}` under `whsec_test`, computed with another implementation.
        let header = signature_header(b"{}", 1_492_774_577, ["whsec_test", "whsec_old"]);
        let parts: Vec<&str> = header.split(',').collect();
        assert_eq!((parts[0], parts.len()), ("t=1492774577", 4));
        assert_eq!(parts[1], "v1=0d0602f6611bd2252dd4b74b58a4528355a7380639a15e6cc21e3059d56d5b8b");
        assert!(parts[1] != parts[2] && parts[2].starts_with("v1=") && parts[3].starts_with("v0="));
    }
}
