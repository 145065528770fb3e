//! Publishing with confirms. Whoever publishes at the same time shares a batch: its messages leave together and their
//! confirms come back together, several batches at once on a channel each.

use super::link::{ANSWER_WITHIN, Link};
use crate::{
    batch::{BatchLimits, BatchRun, Batcher, Closed, Panicked},
    ports::queue::{Lane, QueueError},
};
use async_trait::async_trait;
use futures::future::join_all;
use lapin::{
    BasicProperties, Channel, Confirmation,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::{Instant, timeout_at};

/// How many batches, each on a channel of its own, are under way at once.
const CHANNELS: usize = 2;
/// The most messages between two waits for confirms.
const WINDOW: usize = 512;
/// The most messages that one call hands to a batch.
const CHUNK: usize = 128;
const PERSISTENT: u8 = 2;

/// A message on its way out.
pub(super) struct Outgoing {
    pub(super) exchange: ShortString,
    pub(super) lane: Lane,
    pub(super) body: Vec<u8>,
}

type Verdict = Result<(), QueueError>;

/// Publishes for many callers.
pub(super) struct Publisher(Batcher<Publish>);

impl Publisher {
    pub(super) fn start(link: Arc<Link>) -> Self {
        let limits =
            BatchLimits { max_items: WINDOW, max_running: CHANNELS, max_waiting: 4096, patience: ANSWER_WITHIN, ..BatchLimits::default() };
        Self(Batcher::start(Publish { link, idle: Mutex::default() }, limits))
    }

    /// Answers in order, each when the broker has the message on disk, on a majority of its nodes.
    pub(super) async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Verdict> {
        let mut messages = messages.into_iter().peekable();
        let mut calls = Vec::new();
        while messages.peek().is_some() {
            let chunk: Arc<[Outgoing]> = messages.by_ref().take(CHUNK).collect();
            calls.push(self.call(chunk));
        }
        join_all(calls).await.into_iter().flatten().collect()
    }

    async fn call(&self, chunk: Arc<[Outgoing]>) -> Vec<Verdict> {
        let len = chunk.len();
        self.0.call(chunk).await.unwrap_or_else(|NotPublished(error)| vec![Err(error); len])
    }
}

/// Why none of a batch was published.
#[derive(Clone)]
struct NotPublished(QueueError);

impl From<Closed> for NotPublished {
    fn from(_: Closed) -> Self {
        Self(QueueError::Unavailable("no confirm came in time".to_owned()))
    }
}

impl From<Panicked> for NotPublished {
    fn from(_: Panicked) -> Self {
        Self(QueueError::Refused("publishing it panicked".to_owned()))
    }
}

struct Publish {
    link: Arc<Link>,
    idle: Mutex<Vec<Channel>>,
}

#[async_trait]
impl BatchRun for Publish {
    type Item = Arc<[Outgoing]>;
    type Answer = Vec<Verdict>;
    type Error = NotPublished;

    async fn run(&self, items: &[Self::Item]) -> Result<Vec<Self::Answer>, NotPublished> {
        let channel = self.channel().await.map_err(NotPublished)?;
        let messages: Vec<&Outgoing> = items.iter().flat_map(|item| item.iter()).collect();
        let mut verdicts = Vec::with_capacity(messages.len());
        let mut sound = true;
        for window in messages.chunks(WINDOW) {
            let told = publish_window(&channel, window).await;
            verdicts.extend(told.verdicts);
            sound &= told.sound;
        }
        if sound {
            self.idle().push(channel);
        } else {
            // The next channel knows nothing of late confirms, and declares again what may be gone.
            self.link.doubt();
        }
        let mut verdicts = verdicts.into_iter();
        Ok(items.iter().map(|item| verdicts.by_ref().take(item.len()).collect()).collect())
    }

    fn name(&self) -> Option<&'static str> {
        Some("publish")
    }

    fn worth_retrying(&self, _: &NotPublished) -> bool {
        false
    }
}

impl Publish {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn channel(&self) -> Result<Channel, QueueError> {
        let live = self.link.now()?;
        live.ready()?;
        while let Some(channel) = { self.idle().pop() } {
            if channel.status().connected() {
                return Ok(channel);
            }
        }
        let channel = live.channel().await.inspect_err(|_| self.link.doubt())?;
        super::link::within(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(channel)
    }
}

/// What the broker told about the messages of a window.
struct Told {
    verdicts: Vec<Verdict>,
    /// Every message was confirmed or refused, and the broker knew where to put it.
    sound: bool,
}

/// Publishes `window` on a channel that nobody else uses now, and waits for what becomes of each.
async fn publish_window(channel: &Channel, window: &[&Outgoing]) -> Told {
    let deadline = Instant::now() + ANSWER_WITHIN;
    let late = || Err(QueueError::Unavailable("no confirm came in time".to_owned()));
    let sends = window.iter().map(|message| {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        channel.basic_publish(message.exchange.clone(), message.lane.as_str().into(), options, &message.body, properties)
    });
    let Ok(sent) = timeout_at(deadline, join_all(sends)).await else {
        return Told { verdicts: window.iter().map(|_| late()).collect(), sound: false };
    };
    let mut verdicts = Vec::with_capacity(window.len());
    let mut returned = Vec::new();
    for sent in sent {
        let confirmed = async { sent?.await };
        verdicts.push(match timeout_at(deadline, confirmed).await {
            Ok(Ok(confirmation)) => verdict(confirmation, &mut returned),
            Ok(Err(error)) => Err(super::link::unavailable(error)),
            Err(_) => late(),
        });
    }
    let sound = returned.is_empty() && !verdicts.iter().any(|verdict| matches!(verdict, Err(QueueError::Unavailable(_))));
    if !returned.is_empty() {
        refuse_returned(window, &mut verdicts, &returned);
    }
    Told { verdicts, sound }
}

fn verdict(confirmation: Confirmation, returned: &mut Vec<BasicReturnMessage>) -> Verdict {
    match confirmation {
        Confirmation::Ack(message) => {
            returned.extend(message);
            Ok(())
        }
        Confirmation::Nack(message) => {
            returned.extend(message);
            Err(QueueError::Refused("the queue is full".to_owned()))
        }
        Confirmation::NotRequested => Err(QueueError::Unavailable("the channel does not confirm".to_owned())),
    }
}

/// lapin hands a returned message to whichever confirm completes next, not to its own; the body tells whose it is.
fn refuse_returned(window: &[&Outgoing], verdicts: &mut [Verdict], returned: &[BasicReturnMessage]) {
    let returned: HashSet<&[u8]> = returned.iter().map(|message| message.delivery.data.as_slice()).collect();
    for (message, verdict) in window.iter().zip(verdicts) {
        if returned.contains(message.body.as_slice()) {
            *verdict = Err(QueueError::Refused("no queue takes it".to_owned()));
        }
    }
}
