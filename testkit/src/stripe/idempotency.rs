//! What was answered under which idempotency key: <https://docs.stripe.com/api/idempotent_requests>.

use super::{form::Params, refusal::Refusal};
use hyper::body::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

/// Keys are forgotten after a day.
const KEPT_MS: u64 = 24 * 3600 * 1000;
/// A key's greatest length, in characters.
const MAX_LENGTH: usize = 255;

/// An answer, whole.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

#[derive(Debug)]
struct Entry {
    made_ms: u64,
    path: String,
    parameters: u64,
    /// `None`: the request has not ended.
    answer: Option<(String, Answer)>,
}

/// What a key says of a request.
#[derive(Debug)]
pub(super) enum Known {
    /// It is the first with this key: execute it, then [`Keys::finish`] or [`Keys::forget`].
    New,
    /// It was answered before: the first request's id and the answer.
    Before(String, Answer),
    Refused(Refusal),
}

/// The keys of the account.
#[derive(Debug)]
pub(super) struct Keys {
    entries: HashMap<String, Entry>,
    order: VecDeque<(u64, String)>,
    most: usize,
}

impl Keys {
    pub(super) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), most: most.max(1) }
    }

    /// Looks a key up, and takes it when it is new.
    pub(super) fn begin(&mut self, key: &str, path: &str, params: &Params, now_ms: u64) -> Known {
        if key.chars().count() > MAX_LENGTH {
            return Known::Refused(Refusal::invalid(format!("Idempotency keys must be at most {MAX_LENGTH} characters long.")));
        }
        self.prune(now_ms);
        let mut hasher = DefaultHasher::new();
        params.hash(&mut hasher);
        let parameters = hasher.finish();
        let Some(entry) = self.entries.get(key) else {
            self.order.push_back((now_ms, key.to_owned()));
            self.entries.insert(key.to_owned(), Entry { made_ms: now_ms, path: path.to_owned(), parameters, answer: None });
            return Known::New;
        };
        if entry.path != path {
            return Known::Refused(Refusal::key_reused(format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for ('{path}' vs '{}'). Try using a \
                 key other than '{key}' if you meant to execute a different request.",
                entry.path
            )));
        }
        if entry.parameters != parameters {
            return Known::Refused(Refusal::key_reused(format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than \
                 '{key}' if you meant to execute a different request."
            )));
        }
        match &entry.answer {
            Some((request, answer)) => Known::Before(request.clone(), answer.clone()),
            None => Known::Refused(Refusal::key_in_use(key)),
        }
    }

    /// Keeps the answer for those who ask again.
    pub(super) fn finish(&mut self, key: &str, request: &str, answer: &Answer) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.answer = Some((request.to_owned(), answer.clone()));
        }
    }

    /// Nothing was executed: the key is free again.
    pub(super) fn forget(&mut self, key: &str) {
        self.entries.remove(key);
    }

    fn prune(&mut self, now_ms: u64) {
        while let Some((made_ms, _)) = self.order.front() {
            if self.order.len() < self.most && now_ms.saturating_sub(*made_ms) < KEPT_MS {
                return;
            }
            let Some((made_ms, key)) = self.order.pop_front() else { return };
            // A key that was freed and taken again is younger than its first place in the order.
            if self.entries.get(&key).is_some_and(|entry| entry.made_ms == made_ms) {
                self.entries.remove(&key);
            }
        }
    }
}
