//! Whole systems of the real binary: everything in one process, or an API, two workers and a sandbox on shared servers.

use super::client::Client;
use boxoffice_testkit::{Program, program::Recipe, shared};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::Path,
    process::Output,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tempfile::TempDir;

/// What a key may be allowed to do.
pub const ALL_SCOPES: &str = "checkouts:write,checkouts:read,catalog:write,admin";

/// What the sandbox signs its events with.
pub const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The binary under test.
pub fn boxoffice() -> Recipe {
    Program::at(env!("CARGO_BIN_EXE_boxoffice")).env("RUST_LOG", "info,boxoffice_worker=debug")
}

/// Where a system runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// `boxoffice serve --demo`.
    Embedded,
    /// `boxoffice api`, two `boxoffice worker` and `boxoffice sandbox` on PostgreSQL, RabbitMQ and Redis.
    Distributed,
}

/// A running system; gone when dropped.
pub struct System {
    pub deployment: Deployment,
    /// What answers HTTP.
    pub server: Program,
    pub workers: Vec<Program>,
    _sandbox: Option<Program>,
    env: BTreeMap<String, String>,
    data: TempDir,
    client: Client,
}

fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("boxoffice-e2e-").tempdir().unwrap()
}

fn with_env(recipe: Recipe, env: &BTreeMap<String, String>) -> Recipe {
    env.iter().fold(recipe, |recipe, (name, value)| recipe.env(name, value))
}

fn owned(env: &[(&str, &str)]) -> BTreeMap<String, String> {
    env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Runs the binary to its end.
pub async fn run(args: &[&str], env: &BTreeMap<String, String>) -> Output {
    with_env(boxoffice().args(args), env).run().await.unwrap()
}

/// Standard output of a command that went well.
#[track_caller]
pub fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    text
}

/// A fresh database, a queue prefix of one's own and a fresh Redis database on the servers that all tests share.
pub async fn shared_servers() -> BTreeMap<String, String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("e2e-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let (postgres, amqp, redis) = tokio::join!(shared::postgres_url(), shared::amqp_url(), shared::redis_url());
    owned(&[
        ("DATABASE_URL", &postgres.unwrap()),
        ("AMQP_URL", &amqp.unwrap()),
        ("REDIS_URL", &redis.unwrap()),
        ("BOXOFFICE_QUEUE_PREFIX", &prefix),
    ])
}

impl Deployment {
    /// Starts a system with these settings on top of the usual ones: callbacks may go to loopback, no rate limit.
    pub async fn start(self, env: &[(&str, &str)]) -> System {
        match self {
            Self::Embedded => System::embedded(env).await,
            Self::Distributed => System::distributed(env, 2).await,
        }
    }
}

impl System {
    /// Everything in one process, with the demo's key and catalogue.
    pub async fn embedded(env: &[(&str, &str)]) -> Self {
        let (data, env) = (scratch(), owned(env));
        let recipe = boxoffice().args(["serve", "--demo", "--data-dir"]).arg(data.path()).listen().unwrap();
        let server = with_env(recipe, &env).start().await.unwrap();
        let client = Client::new(server.base_url(), Some("bo_test_demo"));
        Self { deployment: Deployment::Embedded, server, workers: Vec::new(), _sandbox: None, env, data, client }
    }

    /// Everything in one process, as an operator would start it: no demo, a key made by `boxoffice keys`.
    pub async fn embedded_bare(env: &[(&str, &str)]) -> Self {
        let (data, env) = (scratch(), owned(env));
        let recipe = boxoffice().args(["serve", "--data-dir"]).arg(data.path()).listen().unwrap();
        let server = with_env(recipe, &env).start().await.unwrap();
        let client = Client::new(server.base_url(), None);
        let mut system = Self { deployment: Deployment::Embedded, server, workers: Vec::new(), _sandbox: None, env, data, client };
        system.client = system.newcomer("shop", &[]).await;
        system
    }

    /// One API, so many workers and a sandbox.
    pub async fn distributed(more: &[(&str, &str)], workers: usize) -> Self {
        let data = scratch();
        let mut env = shared_servers().await;
        env.insert("BOXOFFICE_ALLOW_PRIVATE_CALLBACKS".to_owned(), "true".to_owned());
        env.insert("BOXOFFICE_RATE_LIMIT".to_owned(), "0".to_owned());
        // As with `--demo`: one address is everybody here.
        env.insert("BOXOFFICE_CARD_TESTING".to_owned(), "off".to_owned());
        env.insert("SANDBOX_WEBHOOK_SECRET".to_owned(), WEBHOOK_SECRET.to_owned());
        env.extend(owned(more));
        let api = boxoffice().arg("api").listen().unwrap();
        let told = format!("{}/webhooks/sandbox/test", api.base_url().unwrap());
        let recipe = boxoffice().args(["sandbox", "--webhook-url", &told, "--data-dir"]).arg(data.path()).listen().unwrap();
        let (sandbox, migrated) = tokio::join!(with_env(recipe, &env).start(), run(&["migrate"], &env));
        let sandbox = sandbox.unwrap();
        said(&migrated);
        env.insert("SANDBOX_PROVIDER_URL".to_owned(), sandbox.base_url().to_owned());
        let server = with_env(api, &env).start().await.unwrap();
        let client = Client::new(server.base_url(), None);
        let deployment = Deployment::Distributed;
        let mut system = Self { deployment, server, workers: Vec::new(), _sandbox: Some(sandbox), env, data, client };
        let started = futures::future::join_all((0..workers).map(|_| system.worker().start())).await;
        system.workers = started.into_iter().map(Result::unwrap).collect();
        system.client = system.newcomer("shop", &[]).await;
        system
    }

    /// One more worker, not started yet.
    pub fn worker(&self) -> Recipe {
        with_env(boxoffice().arg("worker").ready_line("working"), &self.env)
    }

    /// A shop with a test key that may do everything.
    pub fn shop(&self) -> Client {
        self.client.clone()
    }

    /// Another tenant, or another key of the same one, with what `boxoffice keys create` is told.
    pub async fn newcomer(&self, tenant: &str, args: &[&str]) -> Client {
        let output = self.command(&[&["keys", "create", "--tenant", tenant], args].concat()).await;
        self.client.with_key(Some(said(&output).trim()))
    }

    /// Lets subscriptions go through so much time. Embedded, the clock is ahead from now on. On shared servers time is the database's, which is
    /// nobody's to set: there their rows are moved into the past.
    pub async fn go_ahead(&mut self, by: Duration) {
        let by = by.as_millis().to_string();
        if self.deployment == Deployment::Embedded {
            self.env.insert("BOXOFFICE_CLOCK_AHEAD_MS".to_owned(), by.clone());
            self.server.terminate(Duration::from_secs(45)).await.unwrap();
            self.server.restart_with(|recipe| recipe.env("BOXOFFICE_CLOCK_AHEAD_MS", by)).await.unwrap();
            return;
        }
        let database = sqlx::PgPool::connect(&self.env["DATABASE_URL"]).await.unwrap();
        let moved = ["period_from", "period_until", "starts_at", "due_at"].map(|name| format!("{name} = {name} - {by}")).join(", ");
        sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE subscriptions SET {moved}"))).execute(&database).await.unwrap();
        database.close().await;
    }

    /// Runs a command on this system's data.
    pub async fn command(&self, args: &[&str]) -> Output {
        let data = self.data.path().as_os_str();
        let args = args.iter().map(OsStr::new).chain([OsStr::new("--data-dir"), data]);
        with_env(boxoffice().args(args), &self.env).run().await.unwrap()
    }

    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Every invariant holds.
    pub async fn audited(&self) {
        let report = said(&self.command(&["audit"]).await);
        assert!(report.contains("every invariant holds"), "{report}");
    }

    /// The end of a story: the books are in order, nothing broke on the way, and everybody stops when told.
    pub async fn finish(mut self) {
        self.audited().await;
        let mut programs: Vec<Program> = std::mem::take(&mut self.workers);
        programs.push(self.server);
        programs.extend(self._sandbox.take());
        let ends = programs.iter_mut().map(|program| async {
            let ended = program.terminate(Duration::from_secs(45)).await.unwrap();
            let log = program.log();
            assert!(ended.success(), "{ended}\n{}", log.join("\n"));
            let broken = log.iter().find(|line| line.contains(" ERROR ") || line.contains("panicked"));
            assert_eq!(broken, None, "the log has an error");
        });
        futures::future::join_all(ends).await;
    }
}
