//! The `boxoffice` binary under test: a process that can be started, read, frozen, killed and started again at the same address.

mod log;

use crate::{
    daemon::{Daemon, Farewell, GRACE},
    ports::Port,
    usage::{self, Usage},
};
use log::Log;
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// What a serving process prints before its address.
const LISTENING: &str = "listening on ";
/// How long a start may take unless told otherwise: debug builds on a busy machine are slow.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
/// Settings of the surrounding shell that must not leak into a test.
const CLEARED: &[&str] = &["DATABASE_URL", "AMQP_URL", "REDIS_URL", "SANDBOX_PROVIDER_URL"];

/// Why the program is not running as wished.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started.
    #[error("starting {}: {source}", program.display())]
    Spawn {
        /// The binary.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("{command} ended ({status}) before it printed {awaited:?}; the end of its log:\n{log}")]
    Exited {
        /// What was run.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The line that was awaited.
        awaited: String,
        /// Its last lines.
        log: String,
    },
    /// Time ran out.
    #[error("{command} did not {awaited} within {seconds} s; the end of its log:\n{log}")]
    TooLate {
        /// What was run.
        command: String,
        /// What was awaited.
        awaited: String,
        /// How long.
        seconds: u64,
        /// Its last lines.
        log: String,
    },
}

/// How to start the program. Made by [`Program::at`]; can be started as often as you like.
#[derive(Debug, Clone)]
pub struct Recipe {
    binary: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    listen: Option<Arc<Port>>,
    ready_line: Option<String>,
    patience: Duration,
}

impl Recipe {
    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable; the four URLs and `BOXOFFICE_…` of our own environment are not passed on.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Adds `--listen 127.0.0.1:PORT` with a port that stays reserved, so that a restart comes back at the same address.
    pub fn listen(mut self) -> io::Result<Self> {
        let port = Port::reserve()?;
        self.args.push("--listen".into());
        self.args.push(format!("127.0.0.1:{}", port.number()).into());
        self.listen = Some(Arc::new(port));
        Ok(self)
    }

    /// Where it will answer, if it listens: known before it is started.
    pub fn base_url(&self) -> Option<String> {
        self.listen.as_ref().map(|port| format!("http://127.0.0.1:{}", port.number()))
    }

    /// Waits at start for a line that holds `text`, instead of the address line.
    pub fn ready_line(mut self, text: &str) -> Self {
        self.ready_line = Some(text.to_owned());
        self
    }

    /// How long a start, or a [`run`](Self::run), may take (60 s).
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Result<Program, ProgramError> {
        let mut program = self.spawn()?;
        program.ready().await?;
        Ok(program)
    }

    /// Starts it without waiting for anything.
    pub fn spawn(self) -> Result<Program, ProgramError> {
        let (daemon, log) = launch(&self)?;
        Ok(Program { daemon, log, recipe: self, base_url: String::new() })
    }

    /// Runs it to its end and returns what it printed.
    pub async fn run(self) -> Result<Output, ProgramError> {
        let mut command = tokio::process::Command::from(self.command());
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        match tokio::time::timeout(self.patience, output).await {
            Ok(output) => output.map_err(|source| ProgramError::Spawn { program: self.binary.clone(), source }),
            Err(_) => Err(self.too_late("end", String::new())),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("BOXOFFICE_"));
        for name in ours.chain(CLEARED.iter().map(OsString::from)) {
            command.env_remove(name);
        }
        command.args(&self.args).envs(&self.env);
        command
    }

    fn awaited(&self) -> &str {
        self.ready_line.as_deref().unwrap_or(LISTENING)
    }

    fn name(&self) -> String {
        let words = std::iter::once(self.binary.as_os_str()).chain(self.args.iter().map(OsString::as_os_str));
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }

    fn too_late(&self, awaited: &str, log: String) -> ProgramError {
        ProgramError::TooLate { command: self.name(), awaited: awaited.to_owned(), seconds: self.patience.as_secs(), log }
    }
}

/// A running program; ended when dropped.
#[derive(Debug)]
pub struct Program {
    daemon: Daemon,
    log: Log,
    recipe: Recipe,
    base_url: String,
}

impl Program {
    /// The program at `binary` (in tests: `env!("CARGO_BIN_EXE_boxoffice")`).
    pub fn at(binary: impl AsRef<Path>) -> Recipe {
        Recipe {
            binary: binary.as_ref().to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            listen: None,
            ready_line: None,
            patience: PATIENCE,
        }
    }

    /// Where it listens, such as `http://127.0.0.1:8080`; empty if it was not waited for, or listens nowhere.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// CPU time and memory until now; `None` once it has ended.
    pub fn usage(&self) -> Option<Usage> {
        usage::of(self.pid())
    }

    /// How it ended, once it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.daemon.exited()
    }

    /// Everything it has written to standard output and standard error, oldest first; the last 20,000 lines.
    pub fn log(&self) -> Vec<String> {
        self.log.lines().iter().cloned().collect()
    }

    /// Waits for a line that holds `text`; lines written before count. `None`: not in time, or it has ended without.
    pub async fn wait_for_line(&mut self, text: &str, patience: Duration) -> Option<String> {
        let deadline = Instant::now() + patience;
        loop {
            // Asked first, so that what it wrote before its end is still read.
            let over = self.daemon.exited().is_some() && self.log.closed() || Instant::now() >= deadline;
            if let Some(line) = self.log.find(text) {
                return Some(line);
            }
            if over {
                return None;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill9(&mut self) {
        self.daemon.kill9();
    }

    /// SIGSTOP: it freezes where it is.
    pub fn stop_signal(&mut self) -> io::Result<()> {
        self.daemon.signal(Signal::STOP)
    }

    /// SIGCONT: it goes on.
    pub fn cont_signal(&mut self) -> io::Result<()> {
        self.daemon.signal(Signal::CONT)
    }

    /// SIGTERM, and waits up to `patience` for a tidy end. Error: it still runs.
    pub async fn terminate(&mut self, patience: Duration) -> Result<ExitStatus, ProgramError> {
        let _ = self.daemon.signal(Signal::TERM);
        self.ended(patience).await.ok_or_else(|| {
            let recipe = self.recipe.clone().patience(patience);
            recipe.too_late("end after SIGTERM", self.log.tail())
        })
    }

    /// Waits up to `patience` for it to end by itself, as under a failpoint. `None`: it still runs.
    pub async fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            match self.daemon.exited() {
                None if Instant::now() < deadline => tokio::time::sleep(POLL).await,
                ended => return ended,
            }
        }
    }

    /// Starts it again as before, killing it first if it still runs, and waits until it is ready. The log begins anew.
    pub async fn restart(&mut self) -> Result<(), ProgramError> {
        self.restart_with(|recipe| recipe).await
    }

    /// The same with another recipe from now on, such as one with failpoints taken out.
    pub async fn restart_with(&mut self, change: impl FnOnce(Recipe) -> Recipe) -> Result<(), ProgramError> {
        self.daemon.kill9();
        self.recipe = change(self.recipe.clone());
        (self.daemon, self.log) = launch(&self.recipe)?;
        self.ready().await
    }

    async fn ready(&mut self) -> Result<(), ProgramError> {
        let awaited = self.recipe.awaited().to_owned();
        let Some(line) = self.wait_for_line(&awaited, self.recipe.patience).await else {
            let log = self.log.tail();
            return Err(match self.daemon.exited() {
                Some(status) => ProgramError::Exited { command: self.recipe.name(), status, awaited, log },
                None => self.recipe.too_late(&format!("print {awaited:?}"), log),
            });
        };
        self.base_url = address(&line).unwrap_or_default();
        Ok(())
    }
}

/// The URL behind `listening on`, whatever the log puts around it.
fn address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(LISTENING)?;
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | '\u{1b}')).unwrap_or(rest.len());
    rest.get(..end).map(|url| url.trim_end_matches('/').to_owned())
}

fn launch(recipe: &Recipe) -> Result<(Daemon, Log), ProgramError> {
    let failed = |source| ProgramError::Spawn { program: recipe.binary.clone(), source };
    let mut command = recipe.command();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut daemon = Daemon::spawn(&mut command, Farewell::Kill, None).map_err(failed)?;
    let log = Log::default();
    if let Some(out) = daemon.child().stdout.take() {
        log.read_from(out).map_err(failed)?;
    }
    if let Some(err) = daemon.child().stderr.take() {
        log.read_from(err).map_err(failed)?;
    }
    Ok((daemon, log))
}

/// A tidy end is waited for when dropped, as long as [`GRACE`] at most.
impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.daemon.signal(Signal::CONT);
        let _ = self.daemon.signal(Signal::TERM);
        let _ = self.daemon.wait(GRACE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Recipe {
        Program::at("sh").args(["-c", script])
    }

    #[test]
    fn the_address_is_found_in_plain_and_in_json_logs() {
        for line in [
            "listening on http://127.0.0.1:8080",
            "2026-11-20T10:00:00Z  INFO boxoffice: listening on http://127.0.0.1:8080/ tenant=demo",
            r#"{"message":"listening on http://127.0.0.1:8080","level":"INFO"}"#,
        ] {
            assert_eq!(address(line).as_deref(), Some("http://127.0.0.1:8080"), "{line}");
        }
    }

    #[tokio::test]
    async fn it_is_ready_when_it_says_so_and_again_after_a_kill() {
        let mut program = shell("echo listening on http://127.0.0.1:1; exec sleep 1000").start().await.unwrap();
        assert_eq!(program.base_url(), "http://127.0.0.1:1");
        let before = program.pid();
        program.kill9();
        assert!(program.exited().is_some() && program.usage().is_none());
        program.restart().await.unwrap();
        assert_ne!(program.pid(), before);
    }

    #[tokio::test]
    async fn an_early_end_is_told_with_the_log() {
        let error = shell("echo no database >&2; exit 3").start().await.unwrap_err().to_string();
        assert!(error.contains("no database") && error.contains("exit status: 3"), "{error}");
    }

    #[tokio::test]
    async fn sigterm_is_waited_for() {
        let script = "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.05; done";
        let mut program = shell(script).ready_line("ready").start().await.unwrap();
        assert_eq!(program.terminate(GRACE).await.unwrap().code(), Some(4));
        assert!(program.wait_for_line("bye", GRACE).await.is_some());
    }

    #[tokio::test]
    async fn a_frozen_program_does_nothing_until_it_is_woken() {
        let script = "echo ready; while :; do echo tick; sleep 0.01; done";
        let mut program = shell(script).ready_line("ready").start().await.unwrap();
        program.stop_signal().unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let frozen = program.log().len();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(program.log().len(), frozen);
        program.cont_signal().unwrap();
        let deadline = Instant::now() + GRACE;
        while program.log().len() == frozen && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        assert!(program.log().len() > frozen);
    }

    #[tokio::test]
    async fn our_own_settings_do_not_leak_into_it() {
        let output = Program::at("env").env("BOXOFFICE_LEASE_MS", "5").run().await.unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        assert!(output.contains("BOXOFFICE_LEASE_MS=5"));
        assert!(!output.lines().any(|line| line.starts_with("DATABASE_URL=") || line.starts_with("BOXOFFICE_TEST_")));
    }
}
