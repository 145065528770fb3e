//! Payment providers: strangers that move money.

use crate::domain::{
    attempt::{Attempt, MoneyRequest, Outcome},
    provider_account::CircuitState,
};
use async_trait::async_trait;
use std::time::Duration;

/// What a provider can do, stated where it can be checked before a request is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Authorise now, capture later.
    pub capture_later: bool,
    /// Give up a pending or authorised charge.
    pub void: bool,
    /// Give back money.
    pub refund: bool,
    /// Find a charge by our reference.
    pub look_up: bool,
    /// How long the provider remembers an idempotency key.
    pub key_window: Duration,
}

/// How a provider does, as far as this process has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its circuit.
    pub circuit: CircuitState,
    /// What went wrong last, and how long ago.
    pub last_error: Option<(String, Duration)>,
}

impl Default for Seen {
    /// Nothing went wrong.
    fn default() -> Self {
        Self { circuit: CircuitState::Closed, last_error: None }
    }
}

/// A provider. Every method ends within its own timeout; a timeout after sending is `Outcome::Unknown`.
#[async_trait]
pub trait PaymentProvider: Send + Sync {
    /// As it stands in attempts and in metrics.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// How it does. Only what stands before a provider and watches it knows.
    fn seen(&self) -> Seen {
        Seen::default()
    }

    /// Sends the request under its own key. Sending it again is safe and answers the same.
    async fn send(&self, request: &MoneyRequest) -> Outcome;

    /// What became of an attempt, found by our reference and key. Not finding it is `Outcome::Unknown`: a search may lag.
    async fn look_up(&self, attempt: &Attempt) -> Outcome;
}

#[async_trait]
impl<P: PaymentProvider + ?Sized> PaymentProvider for std::sync::Arc<P> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn seen(&self) -> Seen {
        (**self).seen()
    }

    async fn send(&self, request: &MoneyRequest) -> Outcome {
        (**self).send(request).await
    }

    async fn look_up(&self, attempt: &Attempt) -> Outcome {
        (**self).look_up(attempt).await
    }
}
