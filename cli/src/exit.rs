//! Why a command failed, in words that say how to mend it.

use boxoffice_common::{
    adapters::{callback::sender::SenderError, providers::SameName, sandbox::BaseUrlError, sandbox::BookError},
    config::ConfigError,
    ports::{provider_book::BookError as ProviderBookError, queue::QueueError, store::StoreError},
};
use std::io;

/// A command that could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The environment.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something is not set up for this command.
    #[error("{0}")]
    Setup(String),
    /// The store.
    #[error("{0} (is DATABASE_URL right? `boxoffice doctor` checks every dependency)")]
    Store(#[from] StoreError),
    /// The queue.
    #[error("{0} (is AMQP_URL right? `boxoffice doctor` checks every dependency)")]
    Queue(#[from] QueueError),
    /// REDIS_URL.
    #[error("REDIS_URL: {0}")]
    Redis(String),
    /// SANDBOX_PROVIDER_URL.
    #[error("SANDBOX_PROVIDER_URL: {0}")]
    SandboxUrl(#[from] BaseUrlError),
    /// The sandbox's book.
    #[error("the sandbox's book: {0}")]
    Book(#[from] BookError),
    /// Two providers of one name.
    #[error(transparent)]
    Providers(#[from] SameName),
    /// The client for callbacks.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// A provider's book.
    #[error("{0}")]
    ProviderBook(#[from] ProviderBookError),
    /// Going through the book of one account, which is named.
    #[error("{0}: {1}")]
    Reconcile(String, Box<Failure>),
    /// Files and sockets.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The bench.
    #[error(transparent)]
    Bench(#[from] crate::bench::BenchError),
}

/// Names what was tried when a file or a socket failed.
pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
    let what = what.into();
    move |source| Failure::Io { what, source }
}
