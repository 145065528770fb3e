//! Announcements between processes, through one Redis pub/sub channel, in batches.
//!
//! Listeners of this process hear at once, whatever Redis does. The others hear a moment later, or, when Redis is out or a
//! connection is being made, not at all: whoever waits looks at the store again at a slow beat.

use super::memory::MemoryAnnouncer;
use crate::{
    adapters::redis_link::{self, Ask, BadRedisUrl, CONNECT_TIMEOUT, PATIENCE, RedisLink},
    domain::{
        id::{CheckoutId, Entropy},
        secret::Secret,
        state::Status,
    },
    ports::announcer::{Announcement, Announcer},
    retry::RECONNECT,
};
use futures::StreamExt;
use redis::{Client, aio::PubSubSink, aio::PubSubStream};
use std::{convert::Infallible, time::Duration};
use tokio::sync::{broadcast, mpsc};
use tokio_util::task::AbortOnDropHandle;

/// Where all processes meet. Pub/sub knows no databases, so the database's number is added: two deployments on one server stay
/// strangers.
const CHANNEL: &str = "boxoffice:announcements";
/// How many announcements may wait to be published. What comes on top is dropped.
const MAX_WAITING: usize = 16_384;
/// The most announcements in one message.
const MAX_BATCH: usize = 256;
/// How long a message waits for company.
const GATHER: Duration = Duration::from_millis(1);
/// How often the subscriber's connection is looked at when nothing comes: a lost host sends no reset.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How long the answer to that may take: a busy server is no reason to lose announcements over a reconnect.
const CHECK_PATIENCE: Duration = Duration::from_secs(3);

/// A message: who sent it, and checkout, version, status of each announcement. An array, because names would double its size.
type Message<'a> = (std::borrow::Cow<'a, str>, Vec<(CheckoutId, i64, Status)>);

/// Tells everybody in every process on the same Redis.
#[derive(Debug)]
pub struct RedisAnnouncer {
    here: MemoryAnnouncer,
    others: mpsc::Sender<Announcement>,
    _subscriber: AbortOnDropHandle<Infallible>,
}

impl RedisAnnouncer {
    /// Starts to publish and to subscribe. Does not wait for Redis, which may be down when we start. Must be called within a
    /// tokio runtime. `entropy` names this process, so that it does not hear itself twice.
    pub fn connect(url: &Secret<String>, entropy: &Entropy) -> Result<Self, BadRedisUrl> {
        let origin = format!("{:016x}", entropy.next_u64());
        let here = MemoryAnnouncer::new();
        let link = RedisLink::open(url, Vec::new())?;
        let client = redis_link::client(url)?;
        let channel = format!("{CHANNEL}:{}", client.get_connection_info().redis_settings().db());
        let (others, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(publish(link, channel.clone(), origin.clone(), waiting));
        let subscriber = tokio::spawn(subscribe(client, channel, origin, here.clone()));
        Ok(Self { here, others, _subscriber: AbortOnDropHandle::new(subscriber) })
    }
}

impl Announcer for RedisAnnouncer {
    fn announce(&self, announcement: Announcement) {
        self.here.announce(announcement.clone());
        if self.others.try_send(announcement).is_err() {
            dropped(1, "line_full");
        }
    }

    fn is_our_own(&self) -> bool {
        false
    }

    fn listen(&self) -> broadcast::Receiver<Announcement> {
        self.here.listen()
    }
}

fn dropped(count: usize, why: &'static str) {
    metrics::counter!("boxoffice_announcements_dropped_total", "why" => why).increment(u64::try_from(count).unwrap_or(0));
}

/// Publishes until the announcer is dropped and its line is empty.
async fn publish(link: RedisLink, channel: String, origin: String, mut waiting: mpsc::Receiver<Announcement>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while waiting.recv_many(&mut batch, MAX_BATCH).await > 0 {
        if batch.len() < MAX_BATCH {
            gather(&mut waiting, &mut batch).await;
        }
        let count = batch.len();
        let items = batch.drain(..).map(|one| (one.checkout, one.version, one.status)).collect();
        let message: Message<'_> = (origin.as_str().into(), items);
        let Ok(text) = serde_json::to_string(&message) else { continue };
        let mut cmd = redis::cmd("PUBLISH");
        cmd.arg(&channel).arg(text);
        if let Err(error) = link.ask(Ask::One(&cmd)).await {
            tracing::debug!(%error, count, "announcements were not published");
            dropped(count, "unavailable");
        }
    }
}

/// Waits for company, but not for long.
async fn gather(waiting: &mut mpsc::Receiver<Announcement>, batch: &mut Vec<Announcement>) {
    let fill = async { while batch.len() < MAX_BATCH && waiting.recv_many(batch, MAX_BATCH - batch.len()).await > 0 {} };
    // What was received stays in the batch when the time is up.
    let _ = tokio::time::timeout(GATHER, fill).await;
}

/// Subscribes, and again whenever the connection ends.
async fn subscribe(client: Client, channel: String, origin: String, here: MemoryAnnouncer) -> Infallible {
    let mut failures = 0;
    loop {
        match tokio::time::timeout(CONNECT_TIMEOUT + PATIENCE, open(&client, &channel)).await {
            Ok(Ok((sink, messages))) => {
                failures = 0;
                tracing::debug!("subscribed to announcements");
                tokio::select! {
                    () = hear(messages, &origin, &here) => {}
                    () = watch(sink) => {}
                }
                tracing::warn!("the subscription to announcements ended; subscribing again");
            }
            Ok(Err(error)) => tracing::debug!(%error, failures, "cannot subscribe to announcements"),
            Err(_) => tracing::debug!(failures, "cannot subscribe to announcements in time"),
        }
        failures += 1;
        metrics::counter!("boxoffice_announcements_resubscribed_total").increment(1);
        tokio::time::sleep(RECONNECT.wait(failures, None)).await;
    }
}

async fn open(client: &Client, channel: &str) -> redis::RedisResult<(PubSubSink, PubSubStream)> {
    let (mut sink, messages) = client.get_async_pubsub().await?.split();
    sink.subscribe(channel).await?;
    Ok((sink, messages))
}

/// Passes on what comes, until the connection ends.
async fn hear(mut messages: PubSubStream, origin: &str, here: &MemoryAnnouncer) {
    while let Some(message) = messages.next().await {
        match serde_json::from_slice::<Message<'_>>(message.get_payload_bytes()) {
            // Our own come back, too; they were heard before they were sent.
            Ok((from, _)) if from == origin => {}
            Ok((_, items)) => {
                for (checkout, version, status) in items {
                    here.announce(Announcement { checkout, version, status });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "an announcement that cannot be read");
                metrics::counter!("boxoffice_announcements_unreadable_total").increment(1);
            }
        }
    }
}

/// Returns when the connection no longer answers.
async fn watch(mut sink: PubSubSink) {
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        let answer = tokio::time::timeout(CHECK_PATIENCE, sink.ping::<redis::Value>()).await;
        if !matches!(answer, Ok(Ok(_))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_compact_and_reads_back() {
        let items = vec![(CheckoutId::parse("chk_1").unwrap(), 3, Status::AwaitingPayment)];
        let message: Message<'_> = ("00ff".into(), items);
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(text, r#"["00ff",[["chk_1",3,"awaiting_payment"]]]"#);
        assert_eq!(serde_json::from_str::<Message<'_>>(&text).unwrap(), message);
    }
}
