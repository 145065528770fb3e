//! One connection to the broker that is always being kept up.

use super::topology::Topology;
use crate::{ports::queue::QueueError, retry::RECONNECT};
use futures::StreamExt;
use lapin::{
    Channel, Connection, ConnectionProperties, ErrorKind, Event,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    uri::AMQPUri,
};
use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

/// How long one exchange with the broker may take.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection may take to come up. Giving up leaves lapin's thread behind until the broker answers or hangs up.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);
/// A peer that is silent for twice as long is gone. In seconds.
const HEARTBEAT: u16 = 10;
/// The most bytes of a frame. *Because* lapin keeps room for 32 of them in each direction from the start: with RabbitMQ's 128 KiB that is 8 MiB a
/// connection, of which messages of a few hundred bytes need nothing. Whatever is longer goes in several.
const FRAME_MAX: u32 = 16 * 1024;
/// How long a queue that is gone stays gone. Declared again at once, RabbitMQ 3.10 moves the consumers of the old queue over
/// to the new one instead of cancelling them, and then drops what it should deliver to them as already delivered.
const DECLARE_AFTER: Duration = Duration::from_secs(1);
/// How often the connection's state is looked at beside what its events tell.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A connection that is up.
pub(super) struct Live {
    connection: Connection,
    topology: Topology,
    declared: Mutex<Declared>,
}

#[derive(Clone, Copy, PartialEq)]
enum Declared {
    Yes,
    /// Something seems to be gone. It is declared again at that time.
    Doubtful(Instant),
}

impl Live {
    /// A new channel, everything declared. Fails at once while the broker holds publishers back.
    pub(super) async fn channel(&self) -> Result<Channel, QueueError> {
        self.ready()?;
        let open = async {
            let channel = self.connection.create_channel().await?;
            let doubtful = *self.declared();
            if let Declared::Doubtful(due) = doubtful {
                tokio::time::sleep_until(due).await;
                self.topology.declare(&channel).await?;
                let mut declared = self.declared();
                // A doubt that came meanwhile stays.
                if *declared == doubtful {
                    *declared = Declared::Yes;
                }
            }
            Ok(channel)
        };
        within(open).await
    }

    fn declared(&self) -> MutexGuard<'_, Declared> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails while the broker holds publishers back: it would not even read what we send.
    pub(super) fn ready(&self) -> Result<(), QueueError> {
        if self.connection.status().blocked() {
            return Err(QueueError::Unavailable("the broker holds publishers back".to_owned()));
        }
        Ok(())
    }
}

/// Waits for the broker's answer, but not for ever.
pub(super) async fn within<T>(answer: impl Future<Output = lapin::Result<T>>) -> Result<T, QueueError> {
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(answer) => answer.map_err(unavailable),
        Err(_) => Err(QueueError::Unavailable("the broker did not answer in time".to_owned())),
    }
}

pub(super) fn unavailable(error: lapin::Error) -> QueueError {
    QueueError::Unavailable(error.to_string())
}

#[derive(Clone)]
enum State {
    Up(Arc<Live>),
    Down { why: QueueError, hopeless: bool },
}

/// A connection kept up by a task of its own, until it is dropped.
pub(super) struct Link {
    state: watch::Receiver<State>,
    suspect: Arc<Notify>,
    _supervisor: AbortOnDropHandle<()>,
}

impl Link {
    /// Begins to connect. `name` is what the broker's operators see.
    pub(super) fn start(mut uri: AMQPUri, name: &str, topology: Topology) -> Self {
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        uri.query.connection_timeout.get_or_insert(u64::try_from(ANSWER_WITHIN.as_millis()).unwrap_or(u64::MAX));
        let why = QueueError::Unavailable("not connected yet".to_owned());
        let (sender, state) = watch::channel(State::Down { why, hopeless: false });
        let suspect = Arc::new(Notify::new());
        let supervisor = Supervisor { uri, name: name.to_owned(), topology, state: sender, suspect: Arc::clone(&suspect) };
        Self { state, suspect, _supervisor: AbortOnDropHandle::new(tokio::spawn(supervisor.run())) }
    }

    /// The connection, when it is up now.
    pub(super) fn now(&self) -> Result<Arc<Live>, QueueError> {
        match &*self.state.borrow() {
            State::Up(live) => Ok(Arc::clone(live)),
            State::Down { why, .. } => Err(why.clone()),
        }
    }

    /// The connection, when it comes up within `patience`. Fails at once when waiting cannot help, as with a wrong password.
    pub(super) async fn up(&self, patience: Duration) -> Result<Arc<Live>, QueueError> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| matches!(state, State::Up(_) | State::Down { hopeless: true, .. }));
        drop(tokio::time::timeout(patience, settled).await);
        self.now()
    }

    /// Something failed: the supervisor looks at the connection now, and what is declared is declared again.
    pub(super) fn doubt(&self) {
        if let Ok(live) = self.now() {
            let mut declared = live.declared();
            if *declared == Declared::Yes {
                *declared = Declared::Doubtful(Instant::now() + DECLARE_AFTER);
            }
        }
        self.suspect.notify_one();
    }
}

struct Supervisor {
    uri: AMQPUri,
    name: String,
    topology: Topology,
    state: watch::Sender<State>,
    suspect: Arc<Notify>,
}

impl Supervisor {
    async fn run(self) {
        let mut failures = 0u32;
        loop {
            match self.connect().await {
                Ok(live) => {
                    tracing::info!(connection = %self.name, "connected to the broker");
                    let since = Instant::now();
                    let live = Arc::new(live);
                    self.state.send_replace(State::Up(Arc::clone(&live)));
                    let why = self.until_lost(&live.connection).await;
                    tracing::warn!(connection = %self.name, %why, "lost the broker");
                    self.state.send_replace(State::Down { why: QueueError::Unavailable(why), hopeless: false });
                    failures = if since.elapsed() > RECONNECT.cap { 0 } else { failures.saturating_add(1) };
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(connection = %self.name, %error, failures, "cannot reach the broker");
                    self.state.send_replace(State::Down { hopeless: is_hopeless(&error), why: unavailable(error) });
                }
            }
            tokio::time::sleep(RECONNECT.wait(failures, None)).await;
        }
    }

    async fn connect(&self) -> lapin::Result<Live> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let connected = async {
            let connection = Connection::connect_uri(self.uri.clone(), properties).await?;
            let channel = connection.create_channel().await?;
            self.topology.declare(&channel).await?;
            Ok(Live { connection, topology: self.topology.clone(), declared: Mutex::new(Declared::Yes) })
        };
        match tokio::time::timeout(CONNECT_WITHIN, connected).await {
            Ok(connected) => connected,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }

    async fn until_lost(&self, connection: &Connection) -> String {
        let mut events = pin!(connection.events_listener());
        while connection.status().connected() {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::Error(error)) => return error.to_string(),
                    Some(Event::ConnectionBlocked(why)) => tracing::warn!(connection = %self.name, why, "the broker holds publishers back"),
                    Some(_) => {}
                    None => break,
                },
                () = self.suspect.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        "the connection was closed".to_owned()
    }
}

/// Whether the broker answered and will always answer so: a wrong password, a missing virtual host, a queue declared otherwise.
fn is_hopeless(error: &lapin::Error) -> bool {
    const NO: [AMQPErrorKind; 3] = [
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED),
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED),
        AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED),
    ];
    match error.kind() {
        ErrorKind::ProtocolError(error) => NO.contains(error.kind()),
        ErrorKind::AuthProviderError(_) | ErrorKind::InvalidProtocolVersion(_) => true,
        _ => false,
    }
}
