//! One process that dies and comes back, and what it logged over all its lives.

use super::POLL;
use boxoffice_testkit::{
    Program,
    program::{ProgramError, Recipe},
};
use std::{
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    time::{Duration, Instant},
};

/// SIGKILL, as it stands in an exit status.
const SIGKILL: i32 = 9;
/// How often a start is tried while what the process needs comes and goes.
const STARTS: u32 = 20;

/// A process of the system under test.
pub struct Process {
    name: String,
    program: Program,
    /// What earlier lives logged.
    past: Vec<String>,
}

impl Process {
    /// Starts it.
    pub async fn start(name: impl Into<String>, recipe: Recipe) -> Self {
        let name = name.into();
        let program = recipe.start().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name, program, past: Vec::new() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn base_url(&self) -> &str {
        self.program.base_url()
    }

    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// All that it ever logged, oldest first.
    pub fn log(&self) -> Vec<String> {
        let mut log = self.past.clone();
        log.extend(self.program.log());
        log
    }

    /// SIGKILL now.
    pub fn kill9(&mut self) {
        self.program.kill9();
    }

    /// Waits until it has been killed by its own failpoint: nobody else sends SIGKILL here. `false`: it lives on.
    pub async fn killed_itself(&mut self, patience: Duration) -> bool {
        match self.program.ended(patience).await {
            None => false,
            Some(status) => {
                assert_eq!(status.signal(), Some(SIGKILL), "{} ended ({status}):\n{}", self.name, tail(&self.program.log()));
                true
            }
        }
    }

    /// Waits until it has been stopped by its own failpoint. `false`: it runs on, or has ended.
    pub async fn stopped_itself(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.program.pid())).unwrap_or_default();
            // The state stands behind the name, which is in brackets.
            if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')) {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    /// SIGCONT: it goes on where it stopped.
    pub fn go_on(&mut self) {
        self.program.cont_signal().unwrap();
    }

    /// Starts it again with other failpoints. It may cross one before it is even ready.
    pub async fn again_with_failpoints(&mut self, failpoints: &str) {
        self.remember();
        let started = self.program.restart_with(|recipe| recipe.env("BOXOFFICE_FAILPOINTS", failpoints)).await;
        match started {
            Ok(()) => {}
            Err(ProgramError::Exited { status, .. }) if status.signal() == Some(SIGKILL) && !failpoints.is_empty() => {}
            Err(error) => panic!("{} does not come back: {error}", self.name),
        }
    }

    /// Ends it in good order and starts it again with another setting.
    pub async fn again_with(&mut self, name: &str, value: &str) {
        self.program.terminate(super::PATIENCE).await.unwrap();
        self.remember();
        self.program.restart_with(|recipe| recipe.env(name, value)).await.unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Starts it again as before, as often as it takes: what it needs may be down just now.
    pub async fn again(&mut self) {
        for _ in 0..STARTS {
            self.remember();
            match self.program.restart().await {
                Ok(()) => return,
                Err(error) => self.past.push(format!("-- did not start: {error}")),
            }
        }
        panic!("{} does not come back:\n{}", self.name, tail(&self.past));
    }

    fn remember(&mut self) {
        self.past.extend(self.program.log());
        self.past.push(format!("-- {} starts again", self.name));
    }
}

/// A failing test leaves the logs behind.
impl Drop for Process {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{}.log", self.name, self.program.pid()));
        match std::fs::write(&file, self.log().join("\n")) {
            Ok(()) => eprintln!("the log of {} is in {}", self.name, file.display()),
            Err(error) => eprintln!("the log of {} is lost: {error}", self.name),
        }
    }
}

fn tail(log: &[String]) -> String {
    log.iter().skip(log.len().saturating_sub(30)).cloned().collect::<Vec<_>>().join("\n")
}
