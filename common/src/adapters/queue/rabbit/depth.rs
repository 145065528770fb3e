//! How many messages wait: asked of the broker by one caller for all, at most every so often by those for whom an answer of just
//! now will do.

use super::{
    link::{Link, unavailable},
    topology::Topology,
};
use crate::ports::queue::{Lane, QueueError};
use lapin::{Channel, options::QueueDeclareOptions, types::FieldTable};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How old an answer may be.
const FRESH_FOR: Duration = Duration::from_millis(250);
/// How long the broker may take.
const ASK_FOR: Duration = Duration::from_secs(2);

type Answer = Result<u64, QueueError>;

/// The depths of all lanes.
pub(super) struct Depths {
    link: Arc<Link>,
    topology: Topology,
    asking: tokio::sync::Mutex<Option<Channel>>,
    known: Mutex<[Option<(Instant, Answer)>; Lane::ALL.len()]>,
}

impl Depths {
    pub(super) fn new(link: Arc<Link>, topology: Topology) -> Self {
        Self { link, topology, asking: tokio::sync::Mutex::default(), known: Mutex::default() }
    }

    /// As the broker last told, not long ago.
    pub(super) async fn lately(&self, lane: Lane) -> Answer {
        if let Some(known) = self.known(lane) {
            return known;
        }
        let mut channel = self.asking.lock().await;
        // Somebody else may have asked while we waited in line.
        match self.known(lane) {
            Some(known) => known,
            None => self.ask_on(&mut channel, lane).await,
        }
    }

    /// As the broker tells now: what was confirmed before the call is in it.
    pub(super) async fn now(&self, lane: Lane) -> Answer {
        self.ask_on(&mut *self.asking.lock().await, lane).await
    }

    async fn ask_on(&self, channel: &mut Option<Channel>, lane: Lane) -> Answer {
        let answer = match tokio::time::timeout(ASK_FOR, self.ask(channel, lane)).await {
            Ok(answer) => answer,
            Err(_) => Err(QueueError::Unavailable("the broker did not answer in time".to_owned())),
        };
        if answer.is_err() {
            *channel = None;
            self.link.doubt();
        }
        self.note(lane, answer.clone());
        answer
    }

    async fn ask(&self, channel: &mut Option<Channel>, lane: Lane) -> Answer {
        let live = self.link.now()?;
        live.ready()?;
        let channel = match channel.take().filter(|channel| channel.status().connected()) {
            Some(open) => channel.insert(open),
            None => channel.insert(live.channel().await?),
        };
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare(self.topology.lane(lane), passive, FieldTable::default()).await.map_err(unavailable)?;
        Ok(u64::from(queue.message_count()))
    }

    fn known(&self, lane: Lane) -> Option<Answer> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(lane as usize)?.as_ref().filter(|(at, _)| at.elapsed() < FRESH_FOR).map(|(_, answer)| answer.clone())
    }

    fn note(&self, lane: Lane, answer: Answer) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = known.get_mut(lane as usize) {
            *slot = Some((Instant::now(), answer));
        }
    }
}
