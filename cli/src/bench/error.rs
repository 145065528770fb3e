//! Why there is no figure, or why the figure is worth nothing.

use super::client::Fault;
use boxoffice_testkit::{program::ProgramError, servers::ServerError, stripe::StartError};
use std::io;

/// A bench that cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The arguments contradict each other.
    #[error("{0}")]
    Usage(String),
    /// A private server did not start.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A part of boxoffice did not start.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Stripe's part could not be played.
    #[error(transparent)]
    Stripe(#[from] StartError),
    /// A command that prepares the run failed.
    #[error("{command} failed:\n{output}")]
    Command {
        /// Which.
        command: &'static str,
        /// What it printed.
        output: String,
    },
    /// The server could not be asked.
    #[error("{what}: {fault}")]
    Api {
        /// What was asked.
        what: String,
        /// What went wrong.
        fault: Fault,
    },
    /// Something local failed.
    #[error("{what}: {source}")]
    Local {
        /// What was being done.
        what: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The load ran and something that must hold did not: see the report.
    #[error("{0} of the checks after the run failed")]
    Broken(usize),
}

/// Turns an I/O error into ours.
pub(super) fn local(what: &'static str) -> impl Fn(io::Error) -> BenchError {
    move |source| BenchError::Local { what, source }
}
