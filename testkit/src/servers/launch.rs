//! What the three servers have in common: a scratch folder, a child with a log file, a wait until it answers.

use super::error::ServerError;
use crate::daemon::{Daemon, Farewell};
use std::{
    fs::File,
    future::Future,
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long a server may take until it answers. A busy machine starts RabbitMQ in tens of seconds.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(25);
const LOG_LINES: usize = 20;

/// Turns an I/O error into ours.
pub(super) fn local(server: &'static str, what: &'static str) -> impl Fn(io::Error) -> ServerError {
    move |source| ServerError::Local { server, what, source }
}

/// A folder that goes with its server. Its name begins with `boxoffice-`, as the guard demands.
pub(super) fn scratch(server: &'static str) -> Result<TempDir, ServerError> {
    let prefix = format!("boxoffice-{}-", server.to_lowercase());
    tempfile::Builder::new().prefix(&prefix).tempdir().map_err(local(server, "making a scratch folder"))
}

/// The first of `folders`, then of `PATH`, that holds `program`.
pub(super) fn find(server: &'static str, program: &'static str, folders: &[PathBuf]) -> Result<PathBuf, ServerError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = folders.iter().cloned().chain(std::env::split_paths(&path)).map(|folder| folder.join(program));
    candidates.find(|candidate| candidate.is_file()).ok_or(ServerError::NotInstalled { server, program })
}

/// Starts `command` with its output in `log`, cut off from our terminal.
pub(super) fn spawn(server: &'static str, command: &mut Command, log: &Path, end: Farewell) -> Result<Daemon, ServerError> {
    let out = File::options().create(true).append(true).open(log).map_err(local(server, "opening its log"))?;
    let err = out.try_clone().map_err(local(server, "opening its log"))?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    Daemon::spawn(command, end, log.parent()).map_err(local(server, "starting it"))
}

/// Asks `answers` again and again until it says yes, the child ends, or time is up.
pub(super) async fn until_ready<F, R>(server: &'static str, daemon: &mut Daemon, log: &Path, answers: F) -> Result<(), ServerError>
where
    F: Fn() -> R,
    R: Future<Output = bool>,
{
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = daemon.exited() {
            return Err(ServerError::Exited { server, status: status.to_string(), log: tail(log) });
        }
        if tokio::time::timeout(Duration::from_secs(5), answers()).await.unwrap_or(false) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    Err(ServerError::NotReady { server, seconds: PATIENCE.as_secs(), log: tail(log) })
}

/// Sends `request` to a loopback port and returns the first bytes of the answer.
pub(super) async fn ask(port: u16, request: &[u8]) -> io::Result<Vec<u8>> {
    let talk = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(request).await?;
        let mut answer = vec![0; 512];
        let read = stream.read(&mut answer).await?;
        answer.truncate(read);
        Ok(answer)
    };
    tokio::time::timeout(Duration::from_secs(10), talk).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n")
}
