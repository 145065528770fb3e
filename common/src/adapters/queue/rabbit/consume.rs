//! One consumer: a channel at a time, opened again whenever it ends.

use super::{
    link::{Link, within},
    settle::{Fate, Settler},
    topology::Topology,
    wire,
};
use crate::{
    domain::time::Timestamp,
    ports::queue::{Consumer, Lane, QueueError, Receipt, Taken},
    retry::RECONNECT,
};
use async_trait::async_trait;
use futures::{StreamExt, future::join_all};
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio_util::task::AbortOnDropHandle;

/// How long opening waits for the connection before it is tried again.
const CONNECTION_WITHIN: Duration = Duration::from_secs(30);

/// When the message that came out of a lane last was handed in.
#[derive(Debug)]
pub(super) struct LastOut(AtomicI64);

impl Default for LastOut {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl LastOut {
    pub(super) fn get(&self) -> Option<Timestamp> {
        let ms = self.0.load(Ordering::Relaxed);
        (ms != i64::MIN).then(|| Timestamp::from_millis(ms))
    }

    fn set(&self, at: Timestamp) {
        self.0.store(at.millis(), Ordering::Relaxed);
    }
}

/// What a consumer takes, and from where.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) link: Arc<Link>,
    pub(super) topology: Topology,
    pub(super) lane: Lane,
    pub(super) prefetch: u16,
    pub(super) last_out: Arc<LastOut>,
}

/// A channel with a consumer on it. Dropping it closes the channel, and the broker gives what is unsettled to others.
struct Session {
    channel: Channel,
    deliveries: lapin::Consumer,
    settler: Arc<Settler>,
}

impl Source {
    async fn open(&self, patience: Duration) -> Result<Session, QueueError> {
        let live = self.link.up(patience).await?;
        let opened = self.subscribe(&live).await;
        if opened.is_err() {
            self.link.doubt();
        }
        opened
    }

    async fn subscribe(&self, live: &super::link::Live) -> Result<Session, QueueError> {
        let channel = live.channel().await?;
        let subscribed = async {
            channel.basic_qos(self.prefetch.max(1), BasicQosOptions { global: false }).await?;
            let (queue, options) = (self.topology.lane(self.lane), BasicConsumeOptions::default());
            channel.basic_consume(queue, "".into(), options, FieldTable::default()).await
        };
        let deliveries = within(subscribed).await?;
        let settler = Arc::new(Settler::start(channel.clone(), self.prefetch));
        Ok(Session { channel, deliveries, settler })
    }
}

/// Takes from one lane, over as many connections as it needs.
pub(super) struct RabbitConsumer {
    source: Source,
    session: Option<Session>,
    /// A task of its own: a caller that looks at something else meanwhile does not make it begin anew.
    opening: Option<AbortOnDropHandle<Session>>,
    stopped: bool,
}

impl RabbitConsumer {
    pub(super) async fn open(source: Source) -> Result<Self, QueueError> {
        let session = source.open(super::link::ANSWER_WITHIN).await?;
        Ok(Self { source, session: Some(session), opening: None, stopped: false })
    }

    async fn reopen(&mut self) {
        let source = &self.source;
        let opening = self.opening.get_or_insert_with(|| AbortOnDropHandle::new(tokio::spawn(keep_opening(source.clone()))));
        let opened = opening.await;
        self.opening = None;
        // An error would be a panic in the task: the next call begins anew.
        self.session = opened.ok();
    }

    /// The work in a delivery, or `None` when it was not work at all and went to the dead letters.
    fn taken(&self, session: &Session, delivery: Delivery) -> Option<Taken> {
        let (tag, settler) = (delivery.delivery_tag, &session.settler);
        settler.opened(tag);
        match wire::decode(self.source.lane, &delivery.data) {
            Ok(work) => {
                self.source.last_out.set(work.enqueued_at);
                Some(Taken { work, receipt: Box::new(RabbitReceipt { settler: Arc::downgrade(settler), tag, said: false }) })
            }
            Err(error) => {
                tracing::error!(lane = self.source.lane.as_str(), %error, "a message is not work");
                let settler = Arc::clone(settler);
                tokio::spawn(async move { settler.settle(tag, Fate::Dead).await });
                None
            }
        }
    }
}

async fn keep_opening(source: Source) -> Session {
    let mut failures = 0u32;
    loop {
        match source.open(CONNECTION_WITHIN).await {
            Ok(session) => {
                tracing::info!(lane = source.lane.as_str(), "consuming again");
                return session;
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(lane = source.lane.as_str(), %error, failures, "cannot consume");
                tokio::time::sleep(RECONNECT.wait(failures, None)).await;
            }
        }
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn next(&mut self) -> Option<Taken> {
        while !self.stopped {
            let Some(session) = &mut self.session else {
                self.reopen().await;
                continue;
            };
            match session.deliveries.next().await {
                Some(Ok(delivery)) => {
                    let session = self.session.as_ref()?;
                    if let Some(taken) = self.taken(session, delivery) {
                        return Some(taken);
                    }
                }
                ended => {
                    let why = ended.and_then(Result::err).map_or_else(|| "cancelled by the broker".to_owned(), |error| error.to_string());
                    tracing::warn!(lane = self.source.lane.as_str(), why, "a consumer's channel ended");
                    self.session = None;
                    self.source.link.doubt();
                }
            }
        }
        None
    }

    async fn stop(&mut self) {
        self.stopped = true;
        self.opening = None;
        let Some(session) = &mut self.session else { return };
        let cancelled = session.channel.basic_cancel(session.deliveries.tag(), BasicCancelOptions::default());
        if within(cancelled).await.is_err() {
            return;
        }
        // What was on its way to us is for others now, at once.
        session.settler.drain();
        let mut back = Vec::new();
        while let Some(Ok(delivery)) = session.deliveries.next().await {
            session.settler.opened(delivery.delivery_tag);
            back.push(session.settler.settle(delivery.delivery_tag, Fate::Back));
        }
        join_all(back).await;
    }
}

struct RabbitReceipt {
    settler: Weak<Settler>,
    tag: u64,
    said: bool,
}

impl RabbitReceipt {
    async fn say(mut self: Box<Self>, fate: Fate) -> bool {
        self.said = true;
        match self.settler.upgrade() {
            Some(settler) => settler.settle(self.tag, fate).await,
            None => false,
        }
    }
}

#[async_trait]
impl Receipt for RabbitReceipt {
    async fn ack(self: Box<Self>) -> bool {
        self.say(Fate::Done).await
    }

    async fn dead_letter(self: Box<Self>) -> bool {
        self.say(Fate::Dead).await
    }
}

impl Drop for RabbitReceipt {
    fn drop(&mut self) {
        if self.said {
            return;
        }
        // Outside of a runtime the connection is going down anyway, and the message comes again with that.
        if let (Some(settler), Ok(runtime)) = (self.settler.upgrade(), tokio::runtime::Handle::try_current()) {
            let tag = self.tag;
            runtime.spawn(async move { settler.settle(tag, Fate::Back).await });
        }
    }
}
