//! A stand-in for Mollie's HTTP API v2 with a book of its own, written after its public documentation (docs.mollie.com and the OpenAPI
//! document that Mollie publishes). It moves no money, listens on the loopback and ends with the process.
//!
//! | file | owns |
//! |---|---|
//! | `serve` | a request's way to its answer: faults, authentication, idempotency keys, the endpoint |
//! | `call` | a request, an answer, the error object |
//! | `book` | what was created, where it stands, how it moves on |
//! | `payments`, `refunds` (with captures), `customers` (with mandates) | the endpoints |
//! | `list` | pages of lists |
//! | `money` | amounts and times as Mollie writes them |
//! | `page` | the page to pay on |
//! | `hooks` | webhooks, the classic ones and the signed ones |
//! | `faults` | what goes wrong on demand |
//!
//! Mollie's own card tokens come from a browser. Here their names say what happens: `tkn_paid` is paid at once, `tkn_3ds` needs the page,
//! `tkn_pending` stays pending, `tkn_fail_{reason}` fails, `tkn_saved_fail_{reason}` is paid and fails when it is charged again; any other is
//! invalid. A payment that fails on the page does so for the reason that its amount stands for in Mollie's test mode.
//!
//! Where the documentation is silent: an executed request is remembered with whatever it was answered with, a refusal included; what was not
//! authenticated, or met a limit, is not. Unlike Mollie's, webhook addresses may be on the loopback.

mod book;
mod call;
mod customers;
mod faults;
mod hooks;
mod list;
mod money;
mod page;
mod payments;
mod refunds;
mod serve;
#[cfg(test)]
mod tests;

pub use book::{Capture, Customer, Payment, PaymentStatus, Refund};
pub use faults::{Executed, Fault, Which};
pub use money::Money;

use crate::cut::{CutListener, Scissors};
use axum::Router;
use book::Book;
use call::Call;
use hooks::Hook;
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// The one profile.
pub const PROFILE: &str = "pfl_standin";

/// How it is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What clients authenticate with.
    pub api_key: String,
    /// How long a minute between two tries of a webhook takes.
    pub minute: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { api_key: "test_standin0000000000000000000000".to_owned(), minute: Duration::from_millis(20) }
    }
}

struct Shared {
    settings: Settings,
    url: String,
    book: Mutex<Book>,
    faults: Mutex<VecDeque<(Which, Fault)>>,
    held: Mutex<Vec<Hook>>,
    holds: AtomicBool,
    /// Changes when there may be something to be told.
    changed: watch::Sender<u64>,
    /// How many requests of the API came.
    asked: watch::Sender<u64>,
    /// Whose webhook was told, and whether it was taken; the oldest first.
    told: watch::Sender<Vec<(String, bool)>>,
}

impl Shared {
    fn wake(&self) {
        self.changed.send_modify(|changed| *changed += 1);
    }

    fn holds_webhooks(&self) -> bool {
        self.holds.load(Ordering::SeqCst)
    }

    fn fault_for(&self, call: &Call) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let at = faults.iter().position(|(which, _)| which.fits(call))?;
        faults.remove(at).map(|(_, fault)| fault)
    }
}

/// A running stand-in; it ends when dropped.
pub struct Mollie {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
    teller: JoinHandle<()>,
}

impl Drop for Mollie {
    fn drop(&mut self) {
        self.server.abort();
        self.teller.abort();
    }
}

impl Mollie {
    /// Starts one on a free port of the loopback.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Settings::default()).await
    }

    /// The same, set up otherwise.
    pub async fn start_with(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            settings,
            url,
            book: Mutex::default(),
            faults: Mutex::default(),
            held: Mutex::default(),
            holds: AtomicBool::new(false),
            changed: watch::channel(0).0,
            asked: watch::channel(0).0,
            told: watch::channel(Vec::new()).0,
        });
        let app = Router::new().fallback(serve::answer).with_state(Arc::clone(&shared));
        let service = app.into_make_service_with_connect_info::<Scissors>();
        let server = tokio::spawn(async move {
            let _ = axum::serve(CutListener(listener), service).await;
        });
        let teller = tokio::spawn(hooks::run(Arc::downgrade(&shared)));
        Ok(Self { shared, server, teller })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// What clients authenticate with.
    pub fn api_key(&self) -> &str {
        &self.shared.settings.api_key
    }

    /// The next requests that fit meet these, one each.
    pub fn faults(&self, which: Which, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.shared.faults).extend(faults.into_iter().map(|fault| (which, fault)));
    }

    /// How many requests of the API came.
    pub fn requests(&self) -> u64 {
        *self.shared.asked.borrow()
    }

    /// Waits for more than `seen` requests. `false`: none came in time.
    pub async fn more_requests_than(&self, seen: u64, patience: Duration) -> bool {
        let mut asked = self.shared.asked.subscribe();
        let more = asked.wait_for(|asked| *asked > seen);
        tokio::time::timeout(patience, more).await.is_ok_and(|seen| seen.is_ok())
    }

    /// All payments, the oldest first.
    pub fn payments(&self) -> Vec<Payment> {
        let mut book = self.book();
        book.expire();
        book.payments.clone()
    }

    /// One payment.
    pub fn payment(&self, id: &str) -> Option<Payment> {
        self.payments().into_iter().find(|payment| payment.id == id)
    }

    /// All refunds, the oldest first.
    pub fn refunds(&self) -> Vec<Refund> {
        self.book().refunds.clone()
    }

    /// All captures, the oldest first.
    pub fn captures(&self) -> Vec<Capture> {
        self.book().captures.clone()
    }

    /// All customers, the oldest first.
    pub fn customers(&self) -> Vec<Customer> {
        self.book().customers.clone()
    }

    /// What the customer does, or the bank; a payment that fails does so for its amount's reason. Whether it could.
    pub fn moves(&self, payment: &str, to: PaymentStatus) -> bool {
        let reason = self.payment(payment).filter(|_| to == PaymentStatus::Failed).map(|payment| payment.magic_reason());
        self.with(|book| book.advance(payment, to, reason))
    }

    /// Moves a refund on: to `processing`, `refunded`, or `failed` after all. Whether there is one.
    pub fn move_refund(&self, refund: &str, to: &'static str) -> bool {
        self.with(|book| book.move_refund(refund, to))
    }

    /// A bank takes a payment back; the chargeback's id. `None`: nothing was paid.
    pub fn charge_back(&self, payment: &str) -> Option<String> {
        self.with(|book| book.charge_back(payment))
    }

    /// The bank gives it back. Whether it had it.
    pub fn reverse_chargeback(&self, chargeback: &str) -> bool {
        self.with(|book| book.reverse(chargeback))
    }

    /// New captures stay pending, and are ended with [`Mollie::end_capture`].
    pub fn captures_wait(&self, wait: bool) {
        self.with(|book| book.captures_wait = wait);
    }

    /// Ends a pending capture. Whether it was pending.
    pub fn end_capture(&self, capture: &str, succeeds: bool) -> bool {
        self.with(|book| book.end_capture(capture, succeeds))
    }

    /// Releases of authorisations are accepted, and come true only by [`Mollie::moves`].
    pub fn releases_wait(&self, wait: bool) {
        self.with(|book| book.releases_wait = wait);
    }

    /// New refunds are queued for want of a balance.
    pub fn refunds_queue(&self, queue: bool) {
        self.with(|book| book.refunds_queue = queue);
    }

    /// Sets the clock forward: keys are forgotten, open payments expire.
    pub fn pass(&self, time: Duration) {
        self.with(|book| book.pass(time));
    }

    /// Holds webhooks back, or lets those go that were held.
    pub fn hold_webhooks(&self, hold: bool) {
        self.shared.holds.store(hold, Ordering::SeqCst);
        if !hold {
            let held = std::mem::take(&mut *lock(&self.shared.held));
            self.with(|book| book.hooks.extend(held));
        }
    }

    /// Tells a payment's webhook once more.
    pub fn tell_again(&self, payment: &str) {
        self.with(|book| book.tell(payment, "payment.paid", None));
    }

    /// Signed events go to `url` from now on, beside the payments' own webhooks.
    pub fn subscribe(&self, url: &str, secret: &str) {
        self.with(|book| book.subscription = Some((url.to_owned(), secret.to_owned())));
    }

    /// Waits until `n` tries of webhooks were made; whose they were, and whether they were taken. `None`: not in time.
    pub async fn told(&self, n: usize, patience: Duration) -> Option<Vec<(String, bool)>> {
        let mut told = self.shared.told.subscribe();
        let enough = told.wait_for(|told| told.len() >= n);
        tokio::time::timeout(patience, enough).await.ok()?.ok().map(|told| told.clone())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.shared.book)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let done = change(&mut self.book());
        self.shared.wake();
        done
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
