//! What happened: latencies, statuses, errors.

use hdrhistogram::Histogram;
use std::{collections::BTreeMap, time::Duration};

/// The longest latency that is told apart, in microseconds; longer ones count as this.
const LONGEST_US: u64 = 600_000_000;

/// How one checkout ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was accepted and reached this status; with the error's code if it failed.
    Reached {
        /// As polled.
        status: String,
        /// `error.code`.
        code: Option<String>,
        /// Whether it was sent twice and answered the same.
        replayed: bool,
    },
    /// It was refused, or lost sight of: what to count it under.
    Error(String),
}

/// Counts and latencies of a run.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    latencies: Histogram<u64>,
    /// Checkouts by the status they ended in.
    pub(super) statuses: BTreeMap<String, u64>,
    /// Failed checkouts by code: the worker's answers.
    pub(super) failures: BTreeMap<String, u64>,
    /// What did not end, by what was wrong.
    pub(super) errors: BTreeMap<String, u64>,
    /// Checkouts sent twice.
    pub(super) replays: u64,
}

impl Tally {
    /// Nothing yet. Fails only if the bounds of the histogram made no sense.
    pub(super) fn new() -> Option<Self> {
        Some(Self {
            latencies: Histogram::new_with_bounds(1, LONGEST_US, 3).ok()?,
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            errors: BTreeMap::new(),
            replays: 0,
        })
    }

    /// Adds one checkout.
    pub(super) fn add(&mut self, latency: Duration, ending: Ending) {
        match ending {
            Ending::Reached { status, code, replayed } => {
                self.latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US).max(1));
                self.replays += u64::from(replayed);
                if let Some(code) = code {
                    count(&mut self.failures, code);
                }
                count(&mut self.statuses, status);
            }
            Ending::Error(label) => count(&mut self.errors, label),
        }
    }

    /// Checkouts that ended.
    pub(super) fn ended(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Checkouts that did not.
    pub(super) fn failed_to_end(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Checkouts that ended in `status`.
    pub(super) fn in_status(&self, status: &str) -> u64 {
        self.statuses.get(status).copied().unwrap_or(0)
    }

    /// Latency below which `quantile` of all checkouts lie, in milliseconds.
    pub(super) fn latency_ms(&self, quantile: f64) -> f64 {
        // A thousandth of a millisecond is the unit of the histogram; no precision is lost below 2^53 of them.
        Duration::from_micros(self.latencies.value_at_quantile(quantile)).as_secs_f64() * 1_000.0
    }

    /// The longest latency, in milliseconds.
    pub(super) fn longest_ms(&self) -> f64 {
        Duration::from_micros(self.latencies.max()).as_secs_f64() * 1_000.0
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: String) {
    *counts.entry(name).or_default() += 1;
}
