//! The queue on a RabbitMQ broker.

use super::{
    consume::{LastOut, RabbitConsumer, Source},
    dead,
    depth::Depths,
    link::Link,
    publish::{Outgoing, Publisher},
    topology::Topology,
    wire,
};
use crate::{
    domain::secret::Secret,
    ports::queue::{Consumer, DeadLetterOffice, DeadLetters, Head, Lane, Queue, QueueError, Work},
};
use async_trait::async_trait;
use lapin::uri::AMQPUri;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How to connect.
#[derive(Debug, Clone)]
pub struct RabbitOptions {
    /// What every queue and exchange name begins with: 1 to 64 letters, digits, `-`, `_`, `.` (`boxoffice`).
    pub prefix: String,
    /// How long [`RabbitQueue::connect`] tries to reach a broker that is not there yet (30 s).
    pub patience: Duration,
}

impl Default for RabbitOptions {
    fn default() -> Self {
        Self { prefix: "boxoffice".to_owned(), patience: Duration::from_secs(30) }
    }
}

/// Work on a RabbitMQ broker. Connections come back by themselves; dropping it closes them.
pub struct RabbitQueue {
    uri: AMQPUri,
    topology: Topology,
    publishing: Arc<Link>,
    /// Only processes that consume have it.
    consuming: OnceLock<Arc<Link>>,
    publisher: Publisher,
    depths: Depths,
    last_out: [Arc<LastOut>; Lane::ALL.len()],
}

impl RabbitQueue {
    /// Connects and declares everything.
    ///
    /// # Errors
    /// At once when the address is none, the broker refuses the login or a queue of ours is declared otherwise; after
    /// `patience` when the broker cannot be reached.
    pub async fn connect(url: &Secret<String>, options: RabbitOptions) -> Result<Self, QueueError> {
        // The parser's own error could show the password.
        let uri: AMQPUri =
            url.reveal().parse().map_err(|_| QueueError::Unavailable("the address is not amqp:// or amqps://".to_owned()))?;
        let topology = Topology::new(&options.prefix)?;
        let publishing = Arc::new(Link::start(uri.clone(), "boxoffice publishing", topology.clone()));
        publishing.up(options.patience).await?;
        Ok(Self {
            publisher: Publisher::start(Arc::clone(&publishing)),
            depths: Depths::new(Arc::clone(&publishing), topology.clone()),
            consuming: OnceLock::new(),
            last_out: Default::default(),
            uri,
            topology,
            publishing,
        })
    }

    fn consuming(&self) -> &Arc<Link> {
        self.consuming.get_or_init(|| Arc::new(Link::start(self.uri.clone(), "boxoffice consuming", self.topology.clone())))
    }

    fn last_out(&self, lane: Lane) -> Arc<LastOut> {
        self.last_out.get(lane as usize).cloned().unwrap_or_default()
    }

    fn outgoing(&self, work: &Work, delay: Duration) -> Result<Outgoing, QueueError> {
        let body = wire::encode(work).map_err(|error| QueueError::Refused(error.to_string()))?;
        Ok(Outgoing { exchange: self.topology.after(delay), lane: work.lane, body })
    }
}

#[async_trait]
impl Queue for RabbitQueue {
    async fn publish(&self, work: Vec<Work>) -> Vec<Result<(), QueueError>> {
        // While there is no connection every caller hears so at once, without waiting in line.
        if let Err(error) = self.publishing.now() {
            return vec![Err(error); work.len()];
        }
        let mut outgoing = Vec::with_capacity(work.len());
        let mut refused = Vec::new();
        for (place, work) in work.iter().enumerate() {
            match self.outgoing(work, Duration::ZERO) {
                Ok(message) => outgoing.push(message),
                Err(error) => refused.push((place, error)),
            }
        }
        let mut verdicts = self.publisher.publish(outgoing).await;
        for (place, error) in refused {
            verdicts.insert(place.min(verdicts.len()), Err(error));
        }
        verdicts
    }

    async fn publish_after(&self, work: Work, delay: Duration) -> Result<(), QueueError> {
        self.publishing.now()?;
        let message = self.outgoing(&work, delay)?;
        let verdict = self.publisher.publish(vec![message]).await.pop();
        verdict.unwrap_or_else(|| Err(QueueError::Unavailable("no confirm came".to_owned())))
    }

    async fn consume(&self, lane: Lane, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        let (link, topology, last_out) = (Arc::clone(self.consuming()), self.topology.clone(), self.last_out(lane));
        Ok(Box::new(RabbitConsumer::open(Source { link, topology, lane, prefetch, last_out }).await?))
    }

    async fn depth(&self, lane: Lane) -> Result<u64, QueueError> {
        self.depths.now(lane).await
    }

    async fn head(&self, lane: Lane) -> Head {
        match self.depths.lately(lane).await {
            Ok(0) => Head::Empty,
            Ok(_) => self.last_out(lane).get().map_or(Head::Unknown, Head::At),
            Err(_) => Head::Unknown,
        }
    }

    async fn ping(&self) -> Result<(), QueueError> {
        self.depths.lately(Lane::Checkouts).await.map(drop)
    }
}

#[async_trait]
impl DeadLetterOffice for RabbitQueue {
    async fn dead_letters(&self, limit: usize) -> Result<DeadLetters, QueueError> {
        dead::look(&*self.publishing.now()?, &self.topology, limit).await
    }

    async fn redrive(&self, limit: usize) -> Result<usize, QueueError> {
        dead::redrive(&*self.publishing.now()?, &self.topology, &self.publisher, limit).await
    }
}
