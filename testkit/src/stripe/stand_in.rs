//! The running stand-in: started on a port of its own, stopped when dropped.

use super::{
    account::{Account, Call},
    book::Book,
    clock::StripeClock,
    faults::Faults,
    idempotency::Keys,
    ids::Ids,
    limits::Rate,
    lock,
    log::Log,
    server::{Shared, serve},
    webhooks::Webhooks,
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// How often what is due is looked for when no call comes.
const TICK: Duration = Duration::from_millis(200);

/// Why the stand-in does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}; choose another port, or 0 for a free one")]
    Listen(SocketAddr, #[source] io::Error),
    /// No client for webhooks can be made.
    #[error("no client for webhooks: {0}")]
    Client(#[from] reqwest::Error),
}

/// How a stand-in is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 is a free one.
    pub listen: SocketAddr,
    /// The secret key that it takes; `None`: one of its own.
    pub secret_key: Option<String>,
    /// How many objects of a kind, events, keys and requests are kept; the oldest are dropped.
    pub kept: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), secret_key: None, kept: 20_000 }
    }
}

/// A running stand-in for Stripe's HTTP API.
#[derive(Debug)]
pub struct StripeStandIn {
    url: String,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl StripeStandIn {
    /// Starts one on a free port of the loopback.
    pub async fn start() -> Result<Self, StartError> {
        Self::start_with(Settings::default()).await
    }

    /// Starts one as `settings` say.
    pub async fn start_with(settings: Settings) -> Result<Self, StartError> {
        let listen = settings.listen;
        let listener = TcpListener::bind(listen).await.map_err(|error| StartError::Listen(listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(listen, error))?;
        let clock = Arc::new(StripeClock::default());
        let account = Arc::new(Mutex::new(Account::new(Arc::clone(&clock), format!("http://{address}"), settings.kept)));
        let webhooks = Webhooks::new(Arc::clone(&account), Arc::clone(&clock))?;
        let mut requests = Ids::new();
        let secret_key = settings.secret_key.unwrap_or_else(|| format!("sk_test_{}", requests.secret(24)));
        let shared = Arc::new(Shared {
            good_keys: Mutex::new(vec![secret_key.clone()]),
            neighbours: Mutex::default(),
            secret_key,
            account,
            clock,
            keys: Mutex::new(Keys::new(settings.kept)),
            log: Arc::new(Mutex::new(Log::new(settings.kept))),
            requests: Mutex::new(requests),
            faults: Faults::default(),
            rate: Rate::default(),
            webhooks: webhooks.clone(),
            changes: watch::channel(0).0,
            at_once: Arc::default(),
        });
        let tasks =
            vec![tokio::spawn(serve(listener, Arc::clone(&shared))), tokio::spawn(webhooks.run()), tokio::spawn(tick(Arc::clone(&shared)))];
        Ok(Self { url: format!("http://{address}/"), shared, tasks })
    }

    /// `http://127.0.0.1:PORT/`; `v1/…` is appended.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `sk_test_…`: the key that it began with.
    pub fn secret_key(&self) -> &str {
        &self.shared.secret_key
    }

    /// Makes one more key of this account, as rolling it at Stripe's dashboard does: the others are good until they are ended.
    pub fn roll_key(&self) -> String {
        let key = format!("sk_test_{}", lock(&self.shared.requests).secret(24));
        lock(&self.shared.good_keys).push(key.clone());
        key
    }

    /// A key is good no more.
    pub fn end_key(&self, key: &str) {
        lock(&self.shared.good_keys).retain(|good| good != key);
    }

    /// Another account, with a book, faults and events of its own, whose keys are taken at this one's address, too. Its pages are at its own.
    pub async fn neighbour(&self) -> Result<Self, StartError> {
        let neighbour = Self::start().await?;
        lock(&self.shared.neighbours).push(Arc::clone(&neighbour.shared));
        Ok(neighbour)
    }

    /// The account's id, `acct_…`.
    pub fn account_id(&self) -> String {
        lock(&self.shared.account).id.clone()
    }

    /// What it has in its books.
    pub fn book(&self) -> Book {
        Book { account: Arc::clone(&self.shared.account), log: Arc::clone(&self.shared.log), changes: self.shared.changes.subscribe() }
    }

    /// The most calls of the API that it was ever answering at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.at_once.most()
    }

    /// Faults to order.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The sending of events.
    pub fn webhooks(&self) -> &Webhooks {
        &self.shared.webhooks
    }

    /// Sets the clock forward, and does what becomes due.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
        self.run_due();
    }

    /// Its clock.
    pub fn clock(&self) -> &StripeClock {
        &self.shared.clock
    }

    /// How long a new payment stays out of the search.
    pub fn set_search_lag(&self, lag: Duration) {
        lock(&self.shared.account).pace.search_lag_ms = milliseconds(lag);
    }

    /// How long a pending refund takes, and one that will fail.
    pub fn set_refund_delay(&self, delay: Duration) {
        lock(&self.shared.account).pace.refund_ms = milliseconds(delay);
    }

    /// How long the bank of a bank account takes to answer about a payment.
    pub fn set_bank_delay(&self, delay: Duration) {
        lock(&self.shared.account).pace.bank_ms = milliseconds(delay);
    }

    /// How long the fee of an asynchronous capture takes to be known.
    pub fn set_fee_delay(&self, delay: Duration) {
        lock(&self.shared.account).pace.fee_ms = milliseconds(delay);
    }

    /// Answers at most so many requests a second, and 429 to the rest. 0: all.
    pub fn set_rate_limit(&self, requests: u32) {
        self.shared.rate.limit.store(requests, Ordering::Relaxed);
    }

    /// The customer completes, or fails, 3-D Secure. `false`: the payment did not wait for that, or failed.
    pub fn authenticate(&self, intent: &str, success: bool) -> bool {
        self.change(|account| {
            let outcome = account.authenticated(&Call::default(), intent, success).is_ok();
            account.way_back(intent, outcome);
            outcome
        })
    }

    /// The cardholder disputes a charge, for a reason such as `fraudulent`. Answers the dispute's id; `None`: it cannot be disputed.
    pub fn open_dispute(&self, charge: &str, reason: &str) -> Option<String> {
        self.change(|account| account.open_dispute(&Call::default(), charge, reason).ok())
    }

    /// The bank decides a dispute. `false`: it is closed, or there is none.
    pub fn close_dispute(&self, dispute: &str, won: bool) -> bool {
        self.change(|account| account.decide_dispute(&Call::default(), dispute, won).is_ok())
    }

    /// A refund fails now, for a reason such as `lost_or_stolen_card`.
    pub fn fail_refund(&self, refund: &str, reason: &str) {
        self.change(|account| account.refund_fails(refund, reason));
    }

    /// Forgets a payment, as if it had never been made. `false`: there is none.
    pub fn forget(&self, intent: &str) -> bool {
        self.change(|account| account.intents.remove(intent).is_some())
    }

    /// Where a session's page is, embedded ones' too.
    pub fn session_page(&self, session: &str) -> String {
        format!("{}c/pay/{session}", self.url)
    }

    fn run_due(&self) {
        self.change(Account::run_due);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        let result = change(&mut lock(&self.shared.account));
        self.shared.wake();
        result
    }
}

impl Drop for StripeStandIn {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Does what is due while no call comes.
async fn tick(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(TICK).await;
        lock(&shared.account).run_due();
        shared.wake();
    }
}
