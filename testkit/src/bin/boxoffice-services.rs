//! PostgreSQL, RabbitMQ and Redis for a test run or for a look around: private, on free ports, gone with this process.
//!
//! `boxoffice-services` prints the variables to use and serves until SIGINT or SIGTERM;
//! `boxoffice-services COMMAND ARGS…` runs a command with them and ends with its exit status.

use boxoffice_testkit::{
    Postgres, RabbitMq, Redis,
    servers::ServerError,
    shared::{AMQP_VARIABLE, POSTGRES_VARIABLE, REDIS_VARIABLE},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{io, os::unix::process::ExitStatusExt, process::ExitCode};
use tokio::{
    process::{Child, Command},
    signal::unix::{Signal as Stream, SignalKind, signal},
};

/// Why there is nothing to use.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("{0}: {1}")]
    Command(String, io::Error),
    #[error("signals: {0}")]
    Signals(#[from] io::Error),
}

struct Services {
    postgres: Postgres,
    rabbitmq: RabbitMq,
    redis: Redis,
}

impl Services {
    async fn start() -> Result<Self, ServerError> {
        let (postgres, rabbitmq, redis) = tokio::try_join!(Postgres::start(), RabbitMq::start(), Redis::start())?;
        Ok(Self { postgres, rabbitmq, redis })
    }

    /// Both what tests look for and what the program itself reads.
    fn variables(&self, database: &str) -> [(&'static str, String); 6] {
        [
            (POSTGRES_VARIABLE, self.postgres.url()),
            (AMQP_VARIABLE, self.rabbitmq.url()),
            (REDIS_VARIABLE, self.redis.url()),
            ("DATABASE_URL", database.to_owned()),
            ("AMQP_URL", self.rabbitmq.url()),
            ("REDIS_URL", self.redis.url()),
        ]
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("boxoffice-services: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode, Failure> {
    let mut args = std::env::args_os().skip(1);
    let mut ends = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    let services = tokio::select! {
        services = Services::start() => services?,
        () = asked_to_end(&mut ends) => return Ok(ExitCode::FAILURE),
    };
    let Some(program) = args.next() else {
        let database = services.postgres.create_database().await?;
        for (name, value) in services.variables(&database) {
            println!("export {name}='{value}'");
        }
        println!("# serving until this process ends");
        asked_to_end(&mut ends).await;
        return Ok(ExitCode::SUCCESS);
    };
    // Tests take what they ask for; the program's own variables stay unset, since unset means embedded.
    let variables = services.variables("").into_iter().take(3);
    let name = program.to_string_lossy().into_owned();
    let mut command = Command::new(program);
    command.args(args).envs(variables);
    let mut child = command.spawn().map_err(|error| Failure::Command(name.clone(), error))?;
    let status = tokio::select! {
        status = child.wait() => status,
        () = asked_to_end(&mut ends) => {
            terminate(&child);
            child.wait().await
        }
    };
    let status = status.map_err(|error| Failure::Command(name, error))?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

async fn asked_to_end(ends: &mut [Stream; 2]) {
    let [interrupt, terminate] = ends;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn terminate(child: &Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}
