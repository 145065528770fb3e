//! The circuit breaker before a provider: what it saw of the last calls, and whether the next one may be made. Time comes in as an argument.

use crate::{
    domain::{id::ProviderAccountId, provider_account::CircuitState},
    retry::Policy,
};
use metrics::Label;
use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// How long the circuit stays open: longer each time that the probe fails, too.
const PAUSE: Policy = Policy { base: Duration::from_secs(1), cap: Duration::from_secs(30), jitter: 0.2 };
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

/// What metrics and the log call it.
#[derive(Debug, Clone)]
pub(super) struct Whose {
    pub(super) provider: &'static str,
    pub(super) account: Option<ProviderAccountId>,
}

impl Whose {
    /// Labels of a series: the account stands there only where there is one, so that there are no more than accounts.
    pub(super) fn labels<const N: usize>(&self, others: [(&'static str, &'static str); N]) -> Vec<Label> {
        let account = self.account.as_ref().map(|account| Label::new("account", account.to_string()));
        let others = others.into_iter().map(|(key, value)| Label::from_static_parts(key, value));
        std::iter::once(Label::from_static_parts("provider", self.provider)).chain(account).chain(others).collect()
    }

    fn account(&self) -> Option<&str> {
        self.account.as_ref().map(ProviderAccountId::as_str)
    }
}

/// What a call says about the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Well,
    Failed,
    Neither,
}

/// Leave to call. What comes of it counts only for the circuit as it was then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
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

/// The circuit breaker.
pub(super) struct Circuit {
    whose: Whose,
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
    pub(super) fn new(whose: Whose, policy: CircuitPolicy) -> Self {
        describe(&whose, Light::Closed);
        Self { whose, policy, light: Light::Closed, turn: 0, openings: 0, samples: VecDeque::new(), failures: 0 }
    }

    /// As others are told. When its pause is over it wants to be tried: it is not open any more, though nobody has tried yet.
    pub(super) fn state(&self, now: Instant) -> CircuitState {
        match self.light {
            Light::Closed => CircuitState::Closed,
            Light::Open { until } if now < until => CircuitState::Open,
            Light::Open { .. } | Light::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// Leave to call, or how long to wait.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Pass, Duration> {
        match &mut self.light {
            Light::Closed => {}
            Light::Open { until } if now < *until => return Err(*until - now),
            Light::Open { .. } => self.turn_to(Light::HalfOpen { probing: 1 }),
            Light::HalfOpen { probing } if *probing < self.policy.probes.max(1) => *probing += 1,
            Light::HalfOpen { .. } => return Err(self.policy.pause.base),
        }
        Ok(Pass { turn: self.turn })
    }

    pub(super) fn report(&mut self, pass: Pass, verdict: Verdict, reference: u64, now: Instant) {
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
                tracing::info!(
                    provider = self.whose.provider,
                    account = self.whose.account(),
                    "the provider answers again: circuit closed"
                );
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
            provider = self.whose.provider,
            account = self.whose.account(),
            pause_ms = pause.as_millis(),
            openings = self.openings,
            "the provider fails: circuit open"
        );
        self.turn_to(Light::Open { until: now + pause });
        metrics::counter!("boxoffice_provider_circuit_openings_total", self.whose.labels([])).increment(1);
    }

    fn turn_to(&mut self, light: Light) {
        self.light = light;
        self.turn = self.turn.wrapping_add(1);
        self.samples.clear();
        self.failures = 0;
        describe(&self.whose, light);
    }
}

/// Shows the light: 0 closed, 1 half open, 2 open.
fn describe(whose: &Whose, light: Light) {
    let value = match light {
        Light::Closed => 0.0,
        Light::HalfOpen { .. } => 1.0,
        Light::Open { .. } => 2.0,
    };
    metrics::gauge!("boxoffice_provider_circuit", whose.labels([])).set(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEADY: Policy = Policy { base: Duration::from_secs(1), cap: Duration::from_secs(8), jitter: 0.0 };

    fn circuit() -> Circuit {
        Circuit::new(Whose { provider: "test", account: None }, CircuitPolicy { pause: STEADY, ..CircuitPolicy::default() })
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
    fn an_open_circuit_says_so_until_its_pause_is_over_and_it_wants_to_be_tried() {
        let (mut circuit, now) = (circuit(), Instant::now());
        assert_eq!(circuit.state(now), CircuitState::Closed);
        break_down(&mut circuit, now);
        let later = now + Duration::from_secs(1);
        assert_eq!((circuit.state(now), circuit.state(later)), (CircuitState::Open, CircuitState::HalfOpen));
        let probe = circuit.admit(later).unwrap();
        assert_eq!(circuit.state(later), CircuitState::HalfOpen);
        circuit.report(probe, Verdict::Well, 1, later);
        assert_eq!(circuit.state(later), CircuitState::Closed);
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
