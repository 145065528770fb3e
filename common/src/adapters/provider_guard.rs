//! What stands before every provider: a bounded number of calls at once, and a circuit breaker.
//!
//! The circuit judges the provider, never a card. It opens when, among the last calls, too many failed *and* the
//! failures come from many different checkouts. A refusal that carries the provider's own `Retry-After` is the provider
//! speaking: it counts neither way. So one card that is refused again and again takes nobody else down.

use crate::{
    domain::attempt::{Attempt, MoneyRequest, Outcome},
    ports::provider::{Capabilities, PaymentProvider},
    retry::Policy,
};
use async_trait::async_trait;
use std::{
    collections::{HashSet, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// How long the circuit stays open: longer each time that the probe fails, too.
const PAUSE: Policy = Policy { base: Duration::from_secs(1), cap: Duration::from_secs(30), jitter: 0.2 };
/// The longest that a call waits for its place.
const MAX_PATIENCE: Duration = Duration::from_secs(5);

/// When the circuit opens, and how it closes again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CircuitPolicy {
    /// How many of the last calls are judged, at most.
    pub max_samples: usize,
    /// How old a call may be to be judged.
    pub max_age: Duration,
    /// Fewer calls than this are not judged.
    pub min_samples: usize,
    /// The share of failures that opens it, 0 to 1.
    pub failure_ratio: f64,
    /// From how many different checkouts the failures must come.
    pub min_failing: usize,
    /// How long it stays open.
    pub pause: Policy,
    /// How many calls at once try it when the pause is over. The first that is answered closes it.
    pub probes: u32,
}

impl Default for CircuitPolicy {
    fn default() -> Self {
        Self {
            max_samples: 200,
            max_age: Duration::from_secs(30),
            min_samples: 20,
            failure_ratio: 0.5,
            min_failing: 10,
            pause: PAUSE,
            probes: 3,
        }
    }
}

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
}

impl<P: PaymentProvider> Guarded<P> {
    /// Guards `inner`.
    pub fn new(inner: P, limits: GuardLimits) -> Self {
        let name = inner.name();
        describe(name, Light::Closed);
        Self {
            inner,
            places: Semaphore::new(limits.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            patience: limits.patience,
            circuit: Mutex::new(Circuit::new(name, limits.circuit)),
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
        let labels = [("provider", self.inner.name()), ("outcome", outcome_name(&outcome))];
        metrics::counter!("boxoffice_provider_calls_total", &labels).increment(1);
        metrics::histogram!("boxoffice_provider_call_seconds", "provider" => self.inner.name()).record(started.elapsed().as_secs_f64());
        Ok(outcome)
    }

    fn refused(&self, cause: &'static str, reason: &'static str, retry_after: Option<Duration>) -> Refusal {
        let labels = [("provider", self.inner.name()), ("reason", reason)];
        metrics::counter!("boxoffice_provider_refused_total", &labels).increment(1);
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

const fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Approved(_) => "approved",
        Outcome::Authorized(_) => "authorized",
        Outcome::Declined(_) => "declined",
        Outcome::RequiresAction { .. } => "requires_action",
        Outcome::Pending { .. } => "pending",
        Outcome::Unknown(_) => "unknown",
        Outcome::NotSent { .. } => "not_sent",
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

/// What a call says about the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Well,
    Failed,
    Neither,
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

/// Leave to call. What comes of it counts only for the circuit as it was then.
#[derive(Debug, Clone, Copy)]
struct Pass {
    turn: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Light {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: u32 },
}

struct Sample {
    at: Instant,
    failed: bool,
    reference: u64,
}

/// The circuit breaker: time comes in as an argument.
struct Circuit {
    provider: &'static str,
    policy: CircuitPolicy,
    light: Light,
    /// Changes with the light, so that a call of an earlier time is not judged.
    turn: u64,
    /// How often it opened without a success in between.
    openings: u32,
    samples: VecDeque<Sample>,
    failures: usize,
}

impl Circuit {
    const fn new(provider: &'static str, policy: CircuitPolicy) -> Self {
        Self { provider, policy, light: Light::Closed, turn: 0, openings: 0, samples: VecDeque::new(), failures: 0 }
    }

    /// Leave to call, or how long to wait.
    fn admit(&mut self, now: Instant) -> Result<Pass, Duration> {
        match &mut self.light {
            Light::Closed => {}
            Light::Open { until } if now < *until => return Err(*until - now),
            Light::Open { .. } => self.turn_to(Light::HalfOpen { probing: 1 }),
            Light::HalfOpen { probing } if *probing < self.policy.probes.max(1) => *probing += 1,
            Light::HalfOpen { .. } => return Err(self.policy.pause.base),
        }
        Ok(Pass { turn: self.turn })
    }

    fn report(&mut self, pass: Pass, verdict: Verdict, reference: u64, now: Instant) {
        if pass.turn != self.turn {
            return;
        }
        match (&mut self.light, verdict) {
            (Light::Closed, Verdict::Well | Verdict::Failed) => {
                self.note(Sample { at: now, failed: verdict == Verdict::Failed, reference });
                if verdict == Verdict::Failed && self.is_failing() {
                    self.open(now);
                }
            }
            (Light::HalfOpen { .. }, Verdict::Well) => {
                self.openings = 0;
                self.turn_to(Light::Closed);
                tracing::info!(provider = self.provider, "the provider answers again: circuit closed");
            }
            (Light::HalfOpen { .. }, Verdict::Failed) => self.open(now),
            (Light::HalfOpen { probing }, Verdict::Neither) => *probing = probing.saturating_sub(1),
            (Light::Closed, Verdict::Neither) | (Light::Open { .. }, _) => {}
        }
    }

    fn note(&mut self, sample: Sample) {
        let oldest = sample.at.checked_sub(self.policy.max_age);
        self.failures += usize::from(sample.failed);
        self.samples.push_back(sample);
        while let Some(first) = self.samples.front() {
            if self.samples.len() <= self.policy.max_samples && oldest.is_none_or(|oldest| first.at >= oldest) {
                break;
            }
            self.failures -= usize::from(first.failed);
            self.samples.pop_front();
        }
    }

    fn is_failing(&self) -> bool {
        let enough = self.samples.len() >= self.policy.min_samples && self.failures >= self.policy.min_failing;
        if !enough || (self.failures as f64) < self.policy.failure_ratio * self.samples.len() as f64 {
            return false;
        }
        let failing: HashSet<u64> = self.samples.iter().filter(|sample| sample.failed).map(|sample| sample.reference).collect();
        failing.len() >= self.policy.min_failing
    }

    fn open(&mut self, now: Instant) {
        self.openings = self.openings.saturating_add(1);
        let pause = self.policy.pause.wait(self.openings, None);
        tracing::warn!(
            provider = self.provider,
            pause_ms = pause.as_millis(),
            openings = self.openings,
            "the provider fails: circuit open"
        );
        self.turn_to(Light::Open { until: now + pause });
        metrics::counter!("boxoffice_provider_circuit_openings_total", "provider" => self.provider).increment(1);
    }

    fn turn_to(&mut self, light: Light) {
        self.light = light;
        self.turn = self.turn.wrapping_add(1);
        self.samples.clear();
        self.failures = 0;
        describe(self.provider, light);
    }
}

/// Shows the light: 0 closed, 1 half open, 2 open.
fn describe(provider: &'static str, light: Light) {
    let value = match light {
        Light::Closed => 0.0,
        Light::HalfOpen { .. } => 1.0,
        Light::Open { .. } => 2.0,
    };
    metrics::gauge!("boxoffice_provider_circuit", "provider" => provider).set(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEADY: Policy = Policy { base: Duration::from_secs(1), cap: Duration::from_secs(8), jitter: 0.0 };

    fn circuit() -> Circuit {
        Circuit::new("test", CircuitPolicy { pause: STEADY, ..CircuitPolicy::default() })
    }

    fn call(circuit: &mut Circuit, verdict: Verdict, reference: u64, now: Instant) -> Result<(), Duration> {
        circuit.admit(now).map(|pass| circuit.report(pass, verdict, reference, now))
    }

    /// Fails until it opens, and says after how many calls.
    fn break_down(circuit: &mut Circuit, now: Instant) -> usize {
        (1..1000)
            .find(|&n| {
                let _ = call(circuit, Verdict::Failed, n, now);
                matches!(circuit.light, Light::Open { .. })
            })
            .unwrap() as usize
    }

    #[test]
    fn it_opens_when_many_checkouts_fail_and_not_before_there_is_enough_to_judge() {
        assert_eq!(break_down(&mut circuit(), Instant::now()), 20);
    }

    #[test]
    fn one_card_that_fails_for_ever_takes_nobody_down() {
        let (mut circuit, now) = (circuit(), Instant::now());
        for _ in 0..1000 {
            assert_eq!(call(&mut circuit, Verdict::Failed, 7, now), Ok(()));
        }
    }

    #[test]
    fn a_minority_of_failures_and_refusals_without_number_keep_it_closed() {
        let (mut circuit, now) = (circuit(), Instant::now());
        for n in 0..3000 {
            let verdict = match n % 3 {
                0 => Verdict::Failed,
                _ => Verdict::Well,
            };
            assert_eq!(call(&mut circuit, verdict, n, now), Ok(()));
            assert_eq!(call(&mut circuit, Verdict::Neither, n, now), Ok(()));
        }
    }

    #[test]
    fn failures_of_long_ago_do_not_count() {
        let (mut circuit, mut now) = (circuit(), Instant::now());
        for n in 0..200 {
            assert_eq!(call(&mut circuit, Verdict::Failed, n, now), Ok(()), "{n}");
            now += Duration::from_secs(2);
        }
        assert!(circuit.samples.len() <= 16);
    }

    #[test]
    fn when_the_pause_is_over_a_few_may_try_and_the_first_answer_closes_it() {
        let (mut circuit, now) = (circuit(), Instant::now());
        let before = circuit.admit(now).unwrap();
        break_down(&mut circuit, now);
        assert_eq!(circuit.admit(now + Duration::from_millis(400)).unwrap_err(), Duration::from_millis(600));
        let later = now + Duration::from_secs(1);
        let probes: Vec<Pass> = (0..3).map(|_| circuit.admit(later).unwrap()).collect();
        assert!(circuit.admit(later).is_err());
        // A call from before it opened is no probe, and one that says nothing gives its place back.
        circuit.report(before, Verdict::Well, 1, later);
        assert!(circuit.admit(later).is_err());
        circuit.report(probes[0], Verdict::Neither, 1, later);
        assert!(circuit.admit(later).is_ok());
        circuit.report(probes[1], Verdict::Well, 2, later);
        assert_eq!(circuit.light, Light::Closed);
        circuit.report(probes[2], Verdict::Failed, 3, later);
        assert_eq!(circuit.light, Light::Closed);
    }

    #[test]
    fn each_failed_probe_makes_the_pause_longer_up_to_its_cap() {
        let (mut circuit, mut now) = (circuit(), Instant::now());
        break_down(&mut circuit, now);
        for expected in [1, 2, 4, 8, 8] {
            let wait = circuit.admit(now).unwrap_err();
            assert_eq!(wait, Duration::from_secs(expected));
            now += wait;
            assert_eq!(call(&mut circuit, Verdict::Failed, 1, now), Ok(()));
        }
    }
}
