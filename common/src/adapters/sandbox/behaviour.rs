//! Trouble on demand: how the sandbox is told to misbehave. Forgotten when the process ends.

use crate::domain::id::Entropy;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest latency that may be asked for.
const MAX_LATENCY_MS: u64 = 30_000;

/// How the sandbox misbehaves towards its callers (not towards people who look at its book). Rates are from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// How late every answer is; what was asked is done at once.
    pub latency_ms: u64,
    /// How often it answers 500 instead of doing anything.
    pub error_rate: f64,
    /// How often it does what was asked and the connection breaks before the answer.
    pub lose_answer_rate: f64,
    /// How often it refuses before doing anything (503, `Retry-After`).
    pub refuse_rate: f64,
    /// Nothing is done or answered.
    pub outage: bool,
}

/// A behaviour out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be from 0 to {most}")]
pub struct BehaviourError {
    /// Which part.
    pub field: &'static str,
    /// The largest value that it may have.
    pub most: u64,
}

/// What one call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It is done and answered, after this long.
    Well(Duration),
    /// It is done, and the answer is lost.
    LoseAnswer(Duration),
    /// 500, nothing done.
    Error(Duration),
    /// Refused before execution.
    Refuse,
    /// Silence.
    Outage,
}

impl Behaviour {
    /// Checks the bounds.
    pub fn check(&self) -> Result<(), BehaviourError> {
        if self.latency_ms > MAX_LATENCY_MS {
            return Err(BehaviourError { field: "latency_ms", most: MAX_LATENCY_MS });
        }
        let rates = [("error_rate", self.error_rate), ("lose_answer_rate", self.lose_answer_rate), ("refuse_rate", self.refuse_rate)];
        match rates.into_iter().find(|(_, rate)| !(0.0..=1.0).contains(rate)) {
            Some((field, _)) => Err(BehaviourError { field, most: 1 }),
            None => Ok(()),
        }
    }

    /// Throws the dice for one call.
    pub(super) fn draw(&self, entropy: &Entropy) -> Mood {
        let latency = Duration::from_millis(self.latency_ms);
        // No dice without need: they are shared by everybody.
        let happens = |rate: f64| rate > 0.0 && entropy.fraction() < rate;
        if self.outage {
            Mood::Outage
        } else if happens(self.refuse_rate) {
            Mood::Refuse
        } else if happens(self.error_rate) {
            Mood::Error(latency)
        } else if happens(self.lose_answer_rate) {
            Mood::LoseAnswer(latency)
        } else {
            Mood::Well(latency)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_behaviour_out_of_bounds_is_named() {
        let field = |behaviour: Behaviour| behaviour.check().map_err(|error| error.field);
        assert_eq!(field(Behaviour { latency_ms: 30_001, ..Behaviour::default() }), Err("latency_ms"));
        assert_eq!(field(Behaviour { error_rate: -0.1, ..Behaviour::default() }), Err("error_rate"));
        assert_eq!(field(Behaviour { lose_answer_rate: 1.1, ..Behaviour::default() }), Err("lose_answer_rate"));
        assert_eq!(field(Behaviour { refuse_rate: f64::NAN, ..Behaviour::default() }), Err("refuse_rate"));
        assert_eq!(field(Behaviour { latency_ms: 30_000, refuse_rate: 1.0, ..Behaviour::default() }), Ok(()));
    }

    #[test]
    fn rates_come_true_in_the_long_run() {
        let entropy = Entropy::from_seed(7);
        let behaviour = Behaviour { refuse_rate: 0.25, ..Behaviour::default() };
        let refused = (0..4000).filter(|_| behaviour.draw(&entropy) == Mood::Refuse).count();
        assert!((900..1100).contains(&refused), "{refused}");
        assert_eq!(Behaviour::default().draw(&entropy), Mood::Well(Duration::ZERO));
    }
}
