//! One connection to Redis that every caller of this process shares: pipelined, reconnecting, bounded in time, and quick to
//! say no while Redis is out.

use crate::domain::secret::Secret;
use redis::{
    Client, Cmd, ErrorKind, IntoConnectionInfo, Pipeline, RedisError, Script, ServerErrorKind, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    io::tcp::TcpSettings,
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// How long a caller waits for Redis, a reconnect and one more try included.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// How long one attempt to connect may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(400);
/// How long a peer may leave our bytes unacknowledged before the kernel gives the connection up: a lost host sends no reset.
const UNACKNOWLEDGED: Duration = Duration::from_secs(3);
/// After a failure, how long callers are refused at once; then one of them probes.
const COOL_DOWN: Duration = Duration::from_millis(200);
/// How many commands may wait for the socket; more callers wait their turn.
const PIPELINE_BUFFER: usize = 1024;
/// The first try, one after a dropped connection, one after a lost script.
const TRIES: usize = 3;

/// `REDIS_URL` cannot be used. Says nothing of the URL itself: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a usable Redis URL: {0}")]
pub struct BadRedisUrl(String);

/// Why Redis gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LinkError {
    /// It failed a moment ago; nobody asks again yet.
    #[error("Redis failed a moment ago")]
    CoolingDown,
    /// No answer in time.
    #[error("Redis did not answer within {} ms", PATIENCE.as_millis())]
    Slow,
    /// An error, by Redis or by the connection.
    #[error("{0}")]
    Failed(String),
}

/// What is sent.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    /// One command, one answer.
    One(&'a Cmd),
    /// Many commands in one write; the answer is an array.
    Many(&'a Pipeline),
}

/// Makes a client with our socket settings. It does not connect.
pub(super) fn client(url: &Secret<String>) -> Result<Client, BadRedisUrl> {
    let bad = |error: RedisError| BadRedisUrl(error.to_string());
    let tcp = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(UNACKNOWLEDGED);
    let info = url.reveal().as_str().into_connection_info().map_err(bad)?.set_tcp_settings(tcp);
    Client::open(info).map_err(bad)
}

/// The shared connection. What is sent through it must be idempotent: it is sent once more when the connection drops.
pub(super) struct RedisLink {
    manager: ConnectionManager,
    scripts: Vec<Script>,
    circuit: Circuit,
}

impl RedisLink {
    /// Opens it without connecting: Redis may be down when we start. `scripts` are loaded again whenever Redis has lost them.
    /// Must be called within a tokio runtime.
    pub(super) fn open(url: &Secret<String>, scripts: Vec<Script>) -> Result<Self, BadRedisUrl> {
        // Our own deadline spans connecting and both tries, so the manager needs none for responses, and no retries.
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None)
            .set_number_of_retries(0)
            .set_pipeline_buffer_size(PIPELINE_BUFFER);
        let manager = ConnectionManager::new_lazy_with_config(client(url)?, config).map_err(|error| BadRedisUrl(error.to_string()))?;
        Ok(Self { manager, scripts, circuit: Circuit::default() })
    }

    /// Sends and waits, at most [`PATIENCE`]; not at all while the circuit is open.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Value, LinkError> {
        if !self.circuit.admits() {
            return Err(LinkError::CoolingDown);
        }
        let answer = match tokio::time::timeout(PATIENCE, self.ask_again(ask)).await {
            Ok(answer) => answer.map_err(|error| LinkError::Failed(error.to_string())),
            Err(_) => Err(LinkError::Slow),
        };
        self.circuit.report(answer.is_ok());
        answer
    }

    /// `PING`, whatever the circuit says.
    pub(super) async fn ping(&self) -> Result<(), LinkError> {
        let ping = redis::cmd("PING");
        let answer = match tokio::time::timeout(PATIENCE, self.ask_again(Ask::One(&ping))).await {
            Ok(answer) => answer.map(drop).map_err(|error| LinkError::Failed(error.to_string())),
            Err(_) => Err(LinkError::Slow),
        };
        self.circuit.report(answer.is_ok());
        answer
    }

    async fn ask_again(&self, ask: Ask<'_>) -> Result<Value, RedisError> {
        let mut manager = self.manager.clone();
        let (mut reconnected, mut reloaded) = (false, false);
        for _ in 1..TRIES {
            match send(&mut manager, ask).await {
                // The command in flight fails once; the next one waits for the new connection.
                Err(error) if error.is_connection_dropped() && !reconnected => reconnected = true,
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) && !reloaded => {
                    reloaded = true;
                    for script in &self.scripts {
                        script.load_async(&mut manager).await?;
                    }
                }
                answer => return answer,
            }
        }
        send(&mut manager, ask).await
    }
}

async fn send(manager: &mut ConnectionManager, ask: Ask<'_>) -> Result<Value, RedisError> {
    match ask {
        Ask::One(cmd) => manager.req_packed_command(cmd).await?.extract_error(),
        Ask::Many(pipeline) => pipeline.query_async(manager).await,
    }
}

/// Keeps an outage from costing every caller the whole of [`PATIENCE`].
struct Circuit {
    born: Instant,
    /// Milliseconds since `born` before which nobody passes; 0: closed, everybody passes.
    open_until: AtomicU64,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { born: Instant::now(), open_until: AtomicU64::new(0) }
    }
}

impl Circuit {
    fn after(&self, wait: Duration) -> u64 {
        u64::try_from((self.born.elapsed() + wait).as_millis()).unwrap_or(u64::MAX).max(1)
    }

    fn admits(&self) -> bool {
        let until = self.open_until.load(Ordering::Acquire);
        if until == 0 {
            return true;
        }
        // Whoever moves the deadline on is the probe. It may be dropped before it reports; then the next one probes.
        self.after(Duration::ZERO) >= until
            && self.open_until.compare_exchange(until, self.after(PATIENCE + COOL_DOWN), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn report(&self, well: bool) {
        if !well {
            self.open_until.store(self.after(COOL_DOWN), Ordering::Release);
        } else if self.open_until.load(Ordering::Acquire) != 0 {
            self.open_until.store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_nobody_passes_for_a_while_and_then_one_probe_does() {
        let circuit = Circuit::default();
        assert!(circuit.admits() && circuit.admits());
        circuit.report(false);
        assert!(!circuit.admits());
        tokio::time::advance(COOL_DOWN).await;
        assert!(circuit.admits(), "the probe");
        assert!(!circuit.admits(), "nobody beside the probe");
        circuit.report(true);
        assert!(circuit.admits() && circuit.admits());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_never_reports_is_followed_by_another() {
        let circuit = Circuit::default();
        circuit.report(false);
        tokio::time::advance(COOL_DOWN).await;
        assert!(circuit.admits());
        tokio::time::advance(PATIENCE + COOL_DOWN).await;
        assert!(circuit.admits());
    }

    #[test]
    fn a_bad_url_is_refused_without_showing_it() {
        let error = client(&Secret::new("http://:hunter2@host".to_owned())).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
