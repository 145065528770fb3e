//! One installation: its folder, its environment, how its processes are started, and the books that it keeps.

use super::process::Process;
use boxoffice_common::{
    adapters::sandbox::{Operation, SandboxService},
    domain::id::Entropy,
    ports::clock::SystemClock,
};
use boxoffice_testkit::{Postgres, Program, RabbitMq, Redis, program::Recipe, shared};
use sqlx::{Connection, PgConnection, SqliteConnection};
use std::{
    collections::BTreeMap,
    path::Path,
    process::Output,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;

/// Everything short, so that a death costs seconds.
const PACE: [(&str, &str); 9] = [
    ("BOXOFFICE_LEASE_MS", "3000"),
    ("BOXOFFICE_PROVIDER_TIMEOUT_MS", "750"),
    ("BOXOFFICE_RESCUE_MS", "200"),
    ("BOXOFFICE_CALLBACK_TIMEOUT_MS", "1000"),
    ("BOXOFFICE_CALLBACK_SCHEDULE_MS", "0,100,200,400,800,1600,1600,1600,1600,1600,1600,1600,1600,1600,1600,1600,1600,1600,1600,1600"),
    ("BOXOFFICE_ALLOW_PRIVATE_CALLBACKS", "true"),
    ("BOXOFFICE_RATE_LIMIT", "0"),
    ("BOXOFFICE_CARD_TESTING", "off"),
    ("RUST_LOG", "info,boxoffice_worker=debug"),
];
/// The key of `serve --demo`.
const DEMO_KEY: &str = "bo_test_demo";
/// What the sandbox signs its events with.
const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The most charges on one page of the provider's book.
const PAGE: u32 = 100;

/// An installation.
pub struct Site {
    folder: TempDir,
    env: BTreeMap<String, String>,
    key: String,
    /// The API that the sandbox tells what became of payments.
    first_api: Mutex<Option<Recipe>>,
}

impl Site {
    /// Everything in one process, in a folder of its own.
    pub fn embedded() -> Self {
        let folder = tempfile::Builder::new().prefix("boxoffice-chaos-").tempdir().unwrap();
        let env = PACE.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { folder, env, key: DEMO_KEY.to_owned(), first_api: Mutex::default() }
    }

    /// Many processes on servers that others use too: a database of its own, and names of its own on the broker.
    pub async fn on_shared_servers(name: &str) -> Self {
        let (database, broker, redis) = tokio::join!(shared::postgres_url(), shared::amqp_url(), shared::redis_url());
        let site = Self::embedded().on(&database.unwrap(), &broker.unwrap(), &redis.unwrap());
        // A broker outlives us: what an earlier run left there is not ours.
        let unique = format!("chaos-{name}-{}-{}", std::process::id(), Entropy::from_os().next_u64() % 1_000_000);
        site.with("BOXOFFICE_QUEUE_PREFIX", &unique).prepared().await
    }

    /// Many processes on servers of our own, which may die too.
    pub async fn on_own_servers(postgres: &Postgres, broker: &RabbitMq, redis: &Redis) -> Self {
        Self::embedded().on(&postgres.url(), &broker.url(), &redis.url()).prepared().await
    }

    fn on(self, database: &str, broker: &str, redis: &str) -> Self {
        self.with("DATABASE_URL", database).with("AMQP_URL", broker).with("REDIS_URL", redis)
    }

    /// The same with another setting for all its processes.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    async fn prepared(mut self) -> Self {
        let migrated = self.run(&["migrate"]).await;
        assert!(migrated.status.success(), "migrate: {}", words(&migrated));
        let made = self.run(&["keys", "create", "--tenant", "demo"]).await;
        assert!(made.status.success(), "keys create: {}", words(&made));
        self.key = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        self
    }

    /// The API key of one more tenant.
    pub async fn newcomer(&self, tenant: &str) -> String {
        let recipe = self.recipe(&["keys", "create", "--tenant", tenant]).args(["--data-dir".as_ref(), self.folder.path()]);
        let made = recipe.run().await.unwrap();
        assert!(made.status.success(), "keys create: {}", words(&made));
        String::from_utf8_lossy(&made.stdout).trim().to_owned()
    }

    /// Runs a statement on the database itself.
    pub async fn sql(&self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        match self.env.get("DATABASE_URL") {
            Some(url) => {
                sqlx::query(sql).execute(&mut PgConnection::connect(url).await?).await?;
            }
            None => {
                let file = format!("sqlite://{}", self.folder.path().join("boxoffice.db").display());
                sqlx::query(sql).execute(&mut SqliteConnection::connect(&file).await?).await?;
            }
        }
        Ok(())
    }

    /// The API key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The database that its processes share.
    pub fn database(&self) -> &str {
        &self.env["DATABASE_URL"]
    }

    /// `boxoffice serve --demo`.
    pub fn serve(&self) -> Recipe {
        self.recipe(&["serve", "--demo"]).args(["--data-dir".as_ref(), self.folder.path()]).listen().unwrap()
    }

    /// `boxoffice sandbox`; the API and the workers that are started afterwards know it.
    pub async fn sandbox(&mut self) -> Process {
        self.env.insert("SANDBOX_WEBHOOK_SECRET".to_owned(), WEBHOOK_SECRET.to_owned());
        let api = self.recipe(&["api"]).listen().unwrap();
        let told = format!("{}/webhooks/sandbox/test", api.base_url().unwrap());
        let recipe = self.recipe(&["sandbox", "--webhook-url", &told]).args(["--data-dir".as_ref(), self.folder.path()]).listen().unwrap();
        let sandbox = Process::start("sandbox", recipe).await;
        self.env.insert("SANDBOX_PROVIDER_URL".to_owned(), sandbox.base_url().to_owned());
        *self.first_api.lock().unwrap() = Some(api.env("SANDBOX_PROVIDER_URL", sandbox.base_url()));
        sandbox
    }

    /// `boxoffice api`. The first one is told by the sandbox.
    pub fn api(&self) -> Recipe {
        let first = self.first_api.lock().unwrap().take();
        first.unwrap_or_else(|| self.recipe(&["api"]).listen().unwrap())
    }

    /// `boxoffice worker`.
    pub fn worker(&self) -> Recipe {
        self.recipe(&["worker"]).ready_line("working")
    }

    fn recipe(&self, args: &[&str]) -> Recipe {
        let mut recipe = Program::at(env!("CARGO_BIN_EXE_boxoffice")).args(args).patience(Duration::from_secs(120));
        for (name, value) in &self.env {
            recipe = recipe.env(name, value);
        }
        recipe
    }

    async fn run(&self, args: &[&str]) -> Output {
        self.recipe(args).run().await.unwrap()
    }

    /// `boxoffice audit`: the breaches that it prints, a line each. Nothing may be late by more than `stuck_after`.
    pub async fn breaches(&self, stuck_after: Duration) -> Vec<String> {
        let seconds = stuck_after.as_secs().to_string();
        let recipe = self.recipe(&["audit", "--stuck-after", &seconds]).args(["--data-dir".as_ref(), self.folder.path()]);
        let audit = recipe.run().await.unwrap();
        let is_breach =
            |line: &&str| line.split_once(": ").is_some_and(|(rule, _)| rule.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()));
        let breaches: Vec<String> = String::from_utf8_lossy(&audit.stdout).lines().filter(is_breach).map(str::to_owned).collect();
        assert_eq!(audit.status.success(), breaches.is_empty(), "the audit says: {}", words(&audit));
        breaches
    }

    /// Panics with what the audit prints unless every invariant holds.
    pub async fn audit(&self, stuck_after: Duration) {
        let breaches = self.breaches(stuck_after).await;
        assert!(breaches.is_empty(), "the audit finds: {breaches:#?}");
    }

    /// Every charge in the provider's own book, read from its file. The provider must not be running.
    pub async fn charges(&self) -> Vec<Operation> {
        let file = self.folder.path().join("sandbox.db");
        assert!(Path::exists(&file), "the provider has a book");
        let clock = Arc::new(SystemClock::default());
        let book = SandboxService::open(&file, "", clock, Arc::new(Entropy::from_os())).await.unwrap();
        let mut charges: Vec<Operation> = Vec::new();
        loop {
            let page = book.charges(PAGE, charges.last().map(|charge| charge.id)).await.unwrap();
            charges.extend(page.data);
            if page.next_cursor.is_none() {
                return charges;
            }
        }
    }
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
