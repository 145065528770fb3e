//! The requests that the stand-in has seen.

use super::{faults::Effect, form::Params};
use http::HeaderMap;
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// `req_…`.
    pub id: String,
    /// Such as `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// `Idempotency-Key`.
    pub key: Option<String>,
    /// All headers.
    pub headers: Arc<HeaderMap>,
    /// When it had arrived whole.
    pub at: Instant,
    /// The status that was answered, or would have been if nothing had gone wrong. `None`: not yet, or never.
    pub status: Option<u16>,
    /// Whether the answer was one of an earlier request with the same key.
    pub replayed: bool,
    /// What went wrong, as ordered.
    pub fault: Option<Effect>,
    pub(super) params: Arc<Params>,
}

/// The requests that were seen.
#[derive(Debug)]
pub(super) struct Log {
    seen: VecDeque<SeenRequest>,
    first: u64,
    most: usize,
}

impl Log {
    pub(super) fn new(most: usize) -> Self {
        Self { seen: VecDeque::new(), first: 0, most: most.max(1) }
    }

    pub(super) fn add(&mut self, request: SeenRequest) -> u64 {
        if self.seen.len() >= self.most {
            self.seen.pop_front();
            self.first += 1;
        }
        self.seen.push_back(request);
        self.count() - 1
    }

    pub(super) fn change(&mut self, number: u64, change: impl FnOnce(&mut SeenRequest)) {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(seen) = at.and_then(|at| self.seen.get_mut(at)) {
            change(seen);
        }
    }

    pub(super) fn requests(&self) -> impl Iterator<Item = &SeenRequest> {
        self.seen.iter()
    }

    pub(super) fn count(&self) -> u64 {
        self.first + self.seen.len() as u64
    }
}

impl SeenRequest {
    /// The parameters, of query or body.
    pub fn params(&self) -> &Params {
        &self.params
    }
}
