//! A private Redis without persistence: whatever it is told may vanish, as the design demands.

use super::{error::ServerError, launch};
use crate::{
    daemon::{Daemon, Farewell},
    ports::Port,
};
use rustix::process::Signal;
use std::{path::PathBuf, process::Command};
use tempfile::TempDir;

const NAME: &str = "Redis";
/// Databases to tell tests apart by; see [`super::shared`].
const DATABASES: &str = "4096";

/// A private Redis; gone when dropped.
#[derive(Debug)]
pub struct Redis {
    daemon: Daemon,
    port: Port,
    folder: TempDir,
    program: PathBuf,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub async fn start() -> Result<Self, ServerError> {
        let program = launch::find(NAME, "redis-server", &[]).or_else(|_| launch::find(NAME, "valkey-server", &[]))?;
        let folder = launch::scratch(NAME)?;
        let port = Port::reserve().map_err(launch::local(NAME, "reserving a port"))?;
        let daemon = Self::launch(&program, &folder, &port)?;
        let mut redis = Self { daemon, port, folder, program };
        redis.ready().await?;
        Ok(redis)
    }

    /// `redis://…`, database 0.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port.number())
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Kills it; what it knew is lost.
    pub fn kill9(&mut self) {
        self.daemon.kill9();
    }

    /// Stops it and starts it again, empty, on the same port.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.daemon.stop();
        self.daemon = Self::launch(&self.program, &self.folder, &self.port)?;
        self.ready().await
    }

    /// Stops it for good, or until [`restart`](Self::restart).
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// Freezes it: connections stay open and nothing answers.
    pub fn pause(&mut self) -> Result<(), ServerError> {
        self.daemon.signal(Signal::STOP).map_err(launch::local(NAME, "pausing it"))
    }

    /// Lets a paused one go on.
    pub fn resume(&mut self) -> Result<(), ServerError> {
        self.daemon.signal(Signal::CONT).map_err(launch::local(NAME, "resuming it"))
    }

    /// Forgets everything in every database.
    pub async fn flushall(&self) -> Result<(), ServerError> {
        let answer = launch::ask(self.port.number(), b"FLUSHALL\r\n").await.map_err(launch::local(NAME, "FLUSHALL"))?;
        match answer.starts_with(b"+OK") {
            true => Ok(()),
            false => Err(ServerError::Refused { server: NAME, answer: String::from_utf8_lossy(&answer).into_owned() }),
        }
    }

    fn launch(program: &PathBuf, folder: &TempDir, port: &Port) -> Result<Daemon, ServerError> {
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--port", &port.number().to_string(), "--databases", DATABASES])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning", "--dir"])
            .arg(folder.path())
            .current_dir(folder.path());
        launch::spawn(NAME, &mut command, &folder.path().join("log"), Farewell::Kill)
    }

    async fn ready(&mut self) -> Result<(), ServerError> {
        let port = self.port.number();
        let answers = || async move { launch::ask(port, b"PING\r\n").await.is_ok_and(|answer| answer.starts_with(b"+PONG")) };
        launch::until_ready(NAME, &mut self.daemon, &self.folder.path().join("log"), answers).await
    }
}
