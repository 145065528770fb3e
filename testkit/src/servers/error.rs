//! Why a private server is not there, in words that say what to do.

use std::io;

/// A private server could not be started, reached or prepared.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its program was not found.
    #[error("{server} is not installed ({program} not found); run scripts/services.sh install")]
    NotInstalled {
        /// Which server.
        server: &'static str,
        /// What was looked for.
        program: &'static str,
    },
    /// Something local failed: a folder, a port, a process.
    #[error("{server}: {what}: {source}")]
    Local {
        /// Which server.
        server: &'static str,
        /// What was being done.
        what: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// It ended instead of serving.
    #[error("{server} ended ({status}) instead of serving; the end of its log:\n{log}")]
    Exited {
        /// Which server.
        server: &'static str,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// It did not answer in time.
    #[error("{server} did not answer within {seconds} s; the end of its log:\n{log}")]
    NotReady {
        /// Which server.
        server: &'static str,
        /// How long it was given.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// It answered with a refusal.
    #[error("{server} refused: {answer}")]
    Refused {
        /// Which server.
        server: &'static str,
        /// What it said.
        answer: String,
    },
}
