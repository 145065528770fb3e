//! Saying what became of deliveries: many receipts, few frames.

use super::link::ANSWER_WITHIN;
use crate::batch::{BatchLimits, BatchRun, Batcher, Closed};
use async_trait::async_trait;
use futures::future::join_all;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Done with.
    Done,
    /// Not to be tried again.
    Dead,
    /// Not tried; somebody else may have it.
    Back,
}

/// Settles the deliveries of one channel, which closes when this is dropped.
pub(super) struct Settler {
    line: Batcher<Settle>,
    open: Arc<OpenTags>,
}

impl Settler {
    pub(super) fn start(channel: Channel) -> Self {
        let open = Arc::new(OpenTags::default());
        let limits = BatchLimits { max_items: 4096, max_running: 1, max_waiting: usize::from(u16::MAX), patience: ANSWER_WITHIN };
        Self { line: Batcher::start(Settle { channel, open: Arc::clone(&open) }, limits), open }
    }

    /// Notes a delivery. Must be called in the order of delivery, before anybody can settle it.
    pub(super) fn opened(&self, tag: u64) {
        self.open.lock().insert(tag);
    }

    /// `true` when the broker was told on the channel that the delivery came on.
    pub(super) async fn settle(&self, tag: u64, fate: Fate) -> bool {
        self.line.call((tag, fate)).await.unwrap_or(false)
    }
}

/// Deliveries that nothing was said about. Those not yet taken from lapin are not in it, but their tags are higher.
#[derive(Default)]
struct OpenTags(Mutex<BTreeSet<u64>>);

impl OpenTags {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Strikes out `done` and returns how much of its beginning (in order) one ack can cover: all that is below every open tag.
    fn strike(&self, done: &[u64]) -> usize {
        let mut open = self.lock();
        for tag in done {
            open.remove(tag);
        }
        open.first().map_or(done.len(), |lowest| done.partition_point(|tag| tag < lowest))
    }
}

/// The channel is gone.
#[derive(Clone)]
struct Gone;

impl From<Closed> for Gone {
    fn from(_: Closed) -> Self {
        Self
    }
}

struct Settle {
    channel: Channel,
    open: Arc<OpenTags>,
}

#[async_trait]
impl BatchRun for Settle {
    type Item = (u64, Fate);
    type Answer = bool;
    type Error = Gone;

    async fn run(&self, items: &[(u64, Fate)]) -> Result<Vec<bool>, Gone> {
        let all = async {
            // Before the acks: an ack that covers many must not cover these.
            self.nack(items).await?;
            self.ack(items).await
        };
        match tokio::time::timeout(ANSWER_WITHIN, all).await {
            Ok(Ok(())) => Ok(vec![true; items.len()]),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    fn worth_retrying(&self, _: &Gone) -> bool {
        false
    }
}

impl Settle {
    async fn nack(&self, items: &[(u64, Fate)]) -> lapin::Result<()> {
        let told: Vec<_> = items.iter().filter(|(_, fate)| *fate != Fate::Done).collect();
        for (tag, fate) in &told {
            let options = BasicNackOptions { multiple: false, requeue: *fate == Fate::Back };
            self.channel.basic_nack(*tag, options).await?;
        }
        let mut open = self.open.lock();
        for (tag, _) in told {
            open.remove(tag);
        }
        Ok(())
    }

    async fn ack(&self, items: &[(u64, Fate)]) -> lapin::Result<()> {
        let mut done: Vec<u64> = items.iter().filter(|(_, fate)| *fate == Fate::Done).map(|(tag, _)| *tag).collect();
        done.sort_unstable();
        let covered = self.open.strike(&done);
        let (together, singly) = done.split_at(covered);
        let first = together.last().map(|tag| (*tag, together.len() > 1));
        let frames = first.into_iter().chain(singly.iter().map(|tag| (*tag, false)));
        let sends = frames.map(|(tag, multiple)| self.channel.basic_ack(tag, BasicAckOptions { multiple }));
        join_all(sends).await.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(tags: impl IntoIterator<Item = u64>) -> OpenTags {
        OpenTags(Mutex::new(tags.into_iter().collect()))
    }

    #[test]
    fn one_ack_covers_only_what_lies_below_every_open_delivery() {
        let tags = open(1..=8);
        assert_eq!(tags.strike(&[2, 3]), 0, "1 is still open");
        assert_eq!(tags.strike(&[1, 4, 6]), 2, "5 is still open");
        assert_eq!(tags.strike(&[5, 7, 8]), 3);
        assert!(tags.lock().is_empty());
        tags.lock().insert(9);
        assert_eq!(tags.strike(&[]), 0);
    }
}
