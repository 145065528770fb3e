//! A child process that never outlives us.
//!
//! Each child runs in a process group of its own, watched by a guard: a small shell at the other end of a pipe. Whatever ends this process,
//! be it a panic, an exit with statics still alive, or SIGKILL, closes the pipe; the guard then ends the child and removes its folder.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How long a child may take to end after a signal that asks it to.
pub const GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// Waits for the end of the pipe, then: signal, up to five seconds of patience (none for a zombie), SIGKILL, folder.
const GUARD: &str = r#"
read -r _
kill -CONT -"$2"; kill -"$1" -"$2"
tries=0
while kill -0 -"$2" && ! grep -q '^State:.*Z' "/proc/$2/status" && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
kill -KILL -"$2"
case "$3" in */boxoffice-*) rm -rf -- "$3" ;; esac
"#;

/// How a child is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// SIGTERM: finish what you do.
    Terminate,
    /// SIGQUIT: PostgreSQL's immediate shutdown, which takes its backends along (they sit in groups of their own).
    Quit,
    /// SIGKILL: nothing worth keeping.
    Kill,
}

impl Farewell {
    fn signal(self) -> Signal {
        match self {
            Self::Terminate => Signal::TERM,
            Self::Quit => Signal::QUIT,
            Self::Kill => Signal::KILL,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
        }
    }
}

/// A running child and its guard.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    guard: Child,
    farewell: Farewell,
}

impl Daemon {
    /// Starts `command` in a process group of its own. If this process dies, the guard removes `folder` after the child has ended; only
    /// folders whose name begins with `boxoffice-` are ever removed.
    pub fn spawn(command: &mut Command, farewell: Farewell, folder: Option<&Path>) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "boxoffice-guard", farewell.name(), &child.id().to_string()])
            .arg(folder.unwrap_or_else(|| Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn();
        match guard {
            Ok(guard) => Ok(Self { child, guard, farewell }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, to take its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends `signal` to the child alone. An ended child takes it in silence.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        match (self.exited(), self.raw_pid()) {
            (None, Some(pid)) => kill_process(pid, signal).map_err(io::Error::from),
            _ => Ok(()),
        }
    }

    /// Sends `signal` to the child and to those of its descendants that stayed in its group.
    pub fn signal_group(&mut self, signal: Signal) -> io::Result<()> {
        match (self.exited(), self.raw_pid()) {
            (None, Some(pid)) => kill_process_group(pid, signal).map_err(io::Error::from),
            _ => Ok(()),
        }
    }

    /// How it ended, once it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits up to `patience` for the end; blocks the thread. `None`: it still runs.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            match self.exited() {
                None if Instant::now() < deadline => std::thread::sleep(POLL),
                ended => return ended,
            }
        }
    }

    /// Kills the whole group without a chance to tidy up, and waits until it is gone.
    pub fn kill9(&mut self) {
        let _ = self.signal_group(Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, waits up to [`GRACE`], then kills it.
    pub fn stop(&mut self) {
        let _ = self.signal_group(Signal::CONT);
        let _ = self.signal(self.farewell.signal());
        if self.wait(GRACE).is_none() {
            self.kill9();
        }
    }

    fn raw_pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
        // The child is gone; its guard has nothing left to watch.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::alive;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("1000");
        command
    }

    fn gone_within(pid: u32, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while alive(pid) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        !alive(pid)
    }

    #[test]
    fn a_dropped_daemon_is_gone_and_so_is_its_guard() {
        let daemon = Daemon::spawn(&mut sleeper(), Farewell::Terminate, None).unwrap();
        let (child, guard) = (daemon.pid(), daemon.guard.id());
        assert!(alive(child) && alive(guard));
        drop(daemon);
        assert!(!alive(child) && !alive(guard));
    }

    #[test]
    fn the_guard_ends_the_child_and_removes_its_folder_when_the_pipe_closes() {
        let folder = tempfile::Builder::new().prefix("boxoffice-guard-").tempdir().unwrap();
        let mut daemon = Daemon::spawn(&mut sleeper(), Farewell::Terminate, Some(folder.path())).unwrap();
        // What the kernel does when this process dies.
        drop(daemon.guard.stdin.take());
        assert!(gone_within(daemon.pid(), GRACE), "the guard left the child alive");
        daemon.guard.wait().unwrap();
        assert!(!folder.path().exists(), "the guard left the folder");
    }

    #[test]
    fn a_stopped_child_can_still_be_ended() {
        let mut daemon = Daemon::spawn(&mut sleeper(), Farewell::Terminate, None).unwrap();
        daemon.signal(Signal::STOP).unwrap();
        daemon.stop();
        assert!(daemon.exited().is_some());
    }
}
