//! What stands before every provider: a bounded number of calls at once, and a circuit breaker.
//!
//! The circuit judges the provider, never a card. It opens when, among the last calls, too many failed *and* the
//! failures come from many different checkouts. A refusal that carries the provider's own `Retry-After` is the provider
//! speaking: it counts neither way. So one card that is refused again and again takes nobody else down.

pub use super::provider_circuit::CircuitPolicy;
use super::provider_circuit::{Circuit, Pass, Verdict, Whose};
use crate::{
    domain::{
        attempt::{Attempt, MoneyRequest, Outcome},
        id::ProviderAccountId,
    },
    ports::provider::{Capabilities, PaymentProvider, Seen},
};
use async_trait::async_trait;
use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// The longest that a call waits for its place.
const MAX_PATIENCE: Duration = Duration::from_secs(5);
/// How much is kept of why a call failed, characters.
const MAX_CAUSE: usize = 200;

/// The bounds of a guard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GuardLimits {
    /// Calls at once.
    pub concurrency: usize,
    /// How long a call waits for its place; then it was not sent.
    pub patience: Duration,
    /// The circuit's.
    pub circuit: CircuitPolicy,
}

impl GuardLimits {
    /// Limits under which a call, waiting included, ends well within its lease.
    pub fn within(lease: Duration, provider_timeout: Duration, concurrency: usize) -> Self {
        let patience = (lease.saturating_sub(provider_timeout) / 2).min(MAX_PATIENCE);
        Self { concurrency, patience, circuit: CircuitPolicy::default() }
    }
}

/// A provider behind its guard.
pub struct Guarded<P> {
    inner: P,
    places: Semaphore,
    patience: Duration,
    circuit: Mutex<Circuit>,
    /// Why a call failed last, and when.
    failed: Mutex<Option<(String, Instant)>>,
    whose: Whose,
}

impl<P: PaymentProvider> Guarded<P> {
    /// Guards `inner`.
    pub fn new(inner: P, limits: GuardLimits) -> Self {
        Self::guard(inner, limits, None)
    }

    /// Guards one account of a provider: its failures are nobody else's.
    pub fn for_account(inner: P, limits: GuardLimits, account: ProviderAccountId) -> Self {
        Self::guard(inner, limits, Some(account))
    }

    fn guard(inner: P, limits: GuardLimits, account: Option<ProviderAccountId>) -> Self {
        let whose = Whose { provider: inner.name(), account };
        Self {
            inner,
            places: Semaphore::new(limits.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            patience: limits.patience,
            circuit: Mutex::new(Circuit::new(whose.clone(), limits.circuit)),
            failed: Mutex::default(),
            whose,
        }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `call` when there is a place and the circuit lets it through. `Err`: it was not made.
    async fn guarded(&self, reference: &str, call: impl Future<Output = Outcome> + Send, judge: Judge) -> Result<Outcome, Refusal> {
        let _place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(_) => match tokio::time::timeout(self.patience, self.places.acquire()).await {
                Ok(Ok(place)) => place,
                Ok(Err(_)) | Err(_) => return Err(self.refused("too many calls at once", "busy", None)),
            },
        };
        // Only now: the circuit may have opened while it waited.
        let pass = self.circuit().admit(Instant::now());
        let ticket = match pass {
            Ok(pass) => Ticket { guard: self, pass, verdict: Verdict::Neither, reference: fingerprint(reference) },
            Err(wait) => return Err(self.refused("the circuit is open: the provider fails", "circuit_open", Some(wait))),
        };
        let started = Instant::now();
        let outcome = ticket.run(call, judge).await;
        if judge.verdict(&outcome) == Verdict::Failed {
            self.note_failure(&outcome);
        }
        metrics::counter!("boxoffice_provider_calls_total", self.whose.labels([("outcome", outcome.name())])).increment(1);
        metrics::histogram!("boxoffice_provider_call_seconds", self.whose.labels([])).record(started.elapsed().as_secs_f64());
        Ok(outcome)
    }

    fn note_failure(&self, outcome: &Outcome) {
        let (Outcome::Unknown(cause) | Outcome::NotSent { cause, .. }) = outcome else { return };
        let cause = cause.chars().filter(|c| !c.is_control()).take(MAX_CAUSE).collect();
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some((cause, Instant::now()));
    }

    fn refused(&self, cause: &'static str, reason: &'static str, retry_after: Option<Duration>) -> Refusal {
        metrics::counter!("boxoffice_provider_refused_total", self.whose.labels([("reason", reason)])).increment(1);
        Refusal { cause, retry_after }
    }
}

/// A call that was not made.
struct Refusal {
    cause: &'static str,
    retry_after: Option<Duration>,
}

#[async_trait]
impl<P: PaymentProvider> PaymentProvider for Guarded<P> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn seen(&self) -> Seen {
        let now = Instant::now();
        let circuit = self.circuit().state(now);
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        Seen { circuit, last_error: failed.as_ref().map(|(cause, at)| (cause.clone(), now.saturating_duration_since(*at))) }
    }

    async fn send(&self, request: &MoneyRequest) -> Outcome {
        let call = self.guarded(request.reference.as_str(), self.inner.send(request), Judge::Send).await;
        call.unwrap_or_else(|refusal| Outcome::NotSent { cause: refusal.cause.to_owned(), retry_after: refusal.retry_after })
    }

    async fn look_up(&self, attempt: &Attempt) -> Outcome {
        let call = self.guarded(attempt.request.reference.as_str(), self.inner.look_up(attempt), Judge::LookUp).await;
        // The request may have been sent long ago: a question that was not put leaves it unknown.
        call.unwrap_or_else(|refusal| Outcome::Unknown(refusal.cause.to_owned()))
    }
}

fn fingerprint(reference: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    reference.hash(&mut hasher);
    hasher.finish()
}

/// What is judged: a look-up that finds nothing is no failure.
#[derive(Clone, Copy)]
enum Judge {
    Send,
    LookUp,
}

impl Judge {
    const fn verdict(self, outcome: &Outcome) -> Verdict {
        match (self, outcome) {
            (
                _,
                Outcome::Approved(_)
                | Outcome::Authorized(_)
                | Outcome::Declined(_)
                | Outcome::RequiresAction { .. }
                | Outcome::RequiresForm { .. }
                | Outcome::Pending { .. },
            ) => Verdict::Well,
            (_, Outcome::NotSent { retry_after: Some(_), .. }) | (Self::LookUp, _) => Verdict::Neither,
            (Self::Send, Outcome::Unknown(_) | Outcome::NotSent { retry_after: None, .. }) => Verdict::Failed,
        }
    }
}

/// A call under way. Tells the circuit when it ends, even when it is dropped half-way.
struct Ticket<'a, P: PaymentProvider> {
    guard: &'a Guarded<P>,
    pass: Pass,
    verdict: Verdict,
    reference: u64,
}

impl<P: PaymentProvider> Ticket<'_, P> {
    async fn run(mut self, call: impl Future<Output = Outcome> + Send, judge: Judge) -> Outcome {
        let outcome = call.await;
        self.verdict = judge.verdict(&outcome);
        outcome
    }
}

impl<P: PaymentProvider> Drop for Ticket<'_, P> {
    fn drop(&mut self) {
        self.guard.circuit().report(self.pass, self.verdict, self.reference, Instant::now());
    }
}
