//! Faults to order: which requests, how often, and what goes wrong with them.

use super::lock;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// Where an answer ends, when it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// In the status line.
    StatusLine,
    /// Amid the headers.
    Headers,
    /// The head is whole and no byte of the body follows.
    BeforeBody,
    /// Amid the body.
    Body,
    /// One byte is missing.
    BeforeLastByte,
    /// After so many bytes of the answer; at the latest before its last.
    Byte(usize),
}

impl Boundary {
    /// One of every class.
    pub const CLASSES: [Self; 5] = [Self::StatusLine, Self::Headers, Self::BeforeBody, Self::Body, Self::BeforeLastByte];
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The connection ends, and nothing was executed.
    CutBefore,
    /// Executed; the connection ends before the first byte of the answer.
    CutAfter,
    /// Executed; the connection ends amid the answer.
    CutAnswer(Boundary),
    /// Nothing is executed, nothing is answered, and the connection stays.
    Silence,
    /// Executed, and no answer comes, and the connection stays.
    SilenceAfter,
    /// Executed at once, answered after a while. The key is in use meanwhile.
    ExecuteThenWait(Duration),
    /// Executed and answered after a while. The key is in use meanwhile.
    WaitThenExecute(Duration),
    /// Executed, and answered by a 500 that is kept under the key.
    ServerErrorAfter,
    /// Not executed, and answered by a 500 that is not kept.
    ServerErrorBefore,
    /// Not executed; a page in HTML with this status, as a proxy would send it.
    Html(u16),
    /// Executed; a page in HTML with this status instead of the answer.
    HtmlAfter(u16),
    /// 429 `rate_limit` with `Retry-After` in seconds, before anything else.
    RateLimit(u32),
    /// 429 `lock_timeout`, before anything else.
    LockTimeout,
    /// 409 `idempotency_key_in_use`, before anything else.
    KeyInUse,
    /// Answered as it should be, with `Stripe-Should-Retry`.
    ShouldRetry(bool),
    /// Not executed; 500 with `Stripe-Should-Retry`.
    ServerErrorShouldRetry(bool),
    /// Executed; a 200 whose body is no JSON.
    Garbage,
}

/// A fault and the requests that it befalls.
#[derive(Debug, Clone)]
pub struct Fault {
    effect: Effect,
    method: Option<&'static str>,
    path: String,
    skip: usize,
    times: usize,
    metadata: Option<(String, String)>,
    key: Option<String>,
}

impl Fault {
    /// Befalls the next request to the API, once.
    pub fn new(effect: Effect) -> Self {
        Self { effect, method: None, path: "/v1/".to_owned(), skip: 0, times: 1, metadata: None, key: None }
    }

    /// Only requests with this method and a path that begins so, such as `POST` and `/v1/payment_intents`.
    #[must_use]
    pub fn on(mut self, method: &'static str, path: &str) -> Self {
        (self.method, self.path) = (Some(method), path.to_owned());
        self
    }

    /// Lets so many fitting requests pass first.
    #[must_use]
    pub fn after(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    /// Befalls so many fitting requests.
    #[must_use]
    pub fn times(mut self, requests: usize) -> Self {
        self.times = requests;
        self
    }

    /// Befalls every fitting request until the faults are cleared.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Only requests that carry this metadata.
    #[must_use]
    pub fn with_metadata(mut self, name: &str, value: &str) -> Self {
        self.metadata = Some((name.to_owned(), value.to_owned()));
        self
    }

    /// Only requests with this idempotency key.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    fn fits(&self, request: &Request<'_>) -> bool {
        self.method.is_none_or(|method| method == request.method)
            && request.path.starts_with(&self.path)
            && self.key.as_deref().is_none_or(|key| request.key == Some(key))
            && self.metadata.as_ref().is_none_or(|(name, value)| request.params.at(&["metadata", name]) == Some(value.as_str()))
    }
}

/// What a fault looks at.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) params: &'a super::form::Params,
}

/// The faults that are ordered. The first that fits befalls a request.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    ordered: Arc<Mutex<Vec<Fault>>>,
    latency: Arc<Mutex<Duration>>,
    happened: Arc<Mutex<Vec<Effect>>>,
}

/// Those that happened and are remembered.
const REMEMBERED: usize = 10_000;

impl Faults {
    /// Orders one more.
    pub fn order(&self, fault: Fault) {
        lock(&self.ordered).push(fault);
    }

    /// Takes all orders back.
    pub fn clear(&self) {
        lock(&self.ordered).clear();
    }

    /// Orders that have not been used up.
    pub fn pending(&self) -> usize {
        lock(&self.ordered).len()
    }

    /// What has gone wrong so far, in order.
    pub fn happened(&self) -> Vec<Effect> {
        lock(&self.happened).clone()
    }

    /// How long everything takes.
    pub fn set_latency(&self, latency: Duration) {
        *lock(&self.latency) = latency;
    }

    pub(super) fn latency(&self) -> Duration {
        *lock(&self.latency)
    }

    pub(super) fn take(&self, request: &Request<'_>) -> Option<Effect> {
        let mut ordered = lock(&self.ordered);
        let at = ordered.iter_mut().position(|fault| {
            let fits = fault.fits(request);
            let due = fits && fault.skip == 0;
            if fits && !due {
                fault.skip -= 1;
            }
            due
        })?;
        let fault = ordered.get_mut(at)?;
        let effect = fault.effect;
        fault.times = if fault.times == usize::MAX { fault.times } else { fault.times.saturating_sub(1) };
        if fault.times == 0 {
            ordered.remove(at);
        }
        drop(ordered);
        let mut happened = lock(&self.happened);
        if happened.len() < REMEMBERED {
            happened.push(effect);
        }
        Some(effect)
    }
}
