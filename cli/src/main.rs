//! `boxoffice`: a queue-driven checkout engine for seats. One binary runs everything embedded, or a part of it.
//!
//! | file | owns |
//! |---|---|
//! | `command` | what can be typed |
//! | `wire` | which adapters a process gets, by its environment |
//! | `serve` | `serve`, `api`, `worker`, `sandbox`: the processes that stay |
//! | `http` | a listening server and its end |
//! | `linger` | that no answer is lost because it came before the request's end |
//! | `watch` | what a worker can be asked |
//! | `demo` | the demo catalogue |
//! | `keys`, `providers`, `doctor`, `audit`, `dead_letters`, `provider_events`, `reconcile` | the commands that end |
//! | `bench` | load and figures |

mod audit;
mod bench;
mod command;
mod dead_letters;
mod demo;
mod demo_classmanager;
mod demo_dialects;
mod demo_momence;
mod doctor;
mod exit;
mod http;
mod keys;
mod linger;
mod log;
mod provider_events;
mod providers;
mod reconcile;
mod serve;
mod watch;
mod wire;

use clap::Parser;
use command::{Cli, Command};
use exit::Failure;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Once per process, before anything speaks TLS. A second call would only say that it is done.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Serve(args) => serve::serve(args).await.map(done),
        Command::Api(args) => serve::api(args).await.map(done),
        Command::Worker(args) => serve::worker(args).await.map(done),
        Command::Sandbox(args) => serve::sandbox(args).await.map(done),
        Command::Migrate(data) => wire::migrate(data.data_dir).await.map(done),
        Command::Doctor(data) => doctor::run(data.data_dir).await,
        Command::Keys(keys) => keys::run(keys).await.map(done),
        Command::Providers(providers) => providers::run(providers).await.map(done),
        Command::Audit(args) => audit::run(args).await,
        Command::DeadLetters(args) => dead_letters::run(args).await.map(done),
        Command::ProviderEvents(args) => provider_events::run(args).await.map(done),
        Command::Reconcile(args) => Ok(reconcile::run(args).await),
        Command::Bench(args) => Ok(bench::run(*args).await.map(done)?),
    }
}
