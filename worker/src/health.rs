//! Tells the store how this worker finds providers to do, for those who ask the API: circuits live where requests are sent.

use crate::{
    lane::StepError,
    service::{Service, Shared},
};
use boxoffice_common::{domain::provider_account::CircuitState, ports::store::ToldHealth};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Often enough that a circuit that is not closed is told again before what was told of it is too old to count.
const EVERY: Duration = Duration::from_secs(5);
/// An error that is older than this was told in an earlier round.
const NEW: Duration = Duration::from_secs(10);

/// The teller.
pub(crate) struct HealthTeller {
    shared: Shared,
    /// This process, among those that tell.
    process: String,
    /// Circuits that were not closed when they were told last.
    ill: Mutex<HashMap<String, CircuitState>>,
}

impl HealthTeller {
    pub(crate) fn new(shared: Shared) -> Self {
        let process = format!("{:016x}", shared.entropy.next_u64());
        Self { shared, process, ill: Mutex::default() }
    }

    /// What somebody could not know yet: whatever is not closed, was not before, or has failed just now.
    fn news(&self) -> Vec<ToldHealth> {
        let ill = self.ill.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.shared.registry.seen().into_iter();
        seen.filter(|(account, seen)| {
            let has_failed = seen.last_error.as_ref().is_some_and(|(_, ago)| *ago < NEW);
            seen.circuit != CircuitState::Closed || ill.contains_key(account) || has_failed
        })
        .map(|(account, seen)| ToldHealth { account, circuit: seen.circuit, last_error: seen.last_error })
        .collect()
    }
}

impl Service for HealthTeller {
    const NAME: &'static str = "health teller";

    fn every(&self) -> Duration {
        EVERY
    }

    async fn round(&self, _: &CancellationToken) -> Result<(), StepError> {
        let news = self.news();
        if news.is_empty() {
            return Ok(());
        }
        self.shared.store.tell_health(&self.process, &news).await?;
        let ill = news.into_iter().filter(|told| told.circuit != CircuitState::Closed).map(|told| (told.account, told.circuit));
        *self.ill.lock().unwrap_or_else(PoisonError::into_inner) = ill.collect();
        Ok(())
    }
}
