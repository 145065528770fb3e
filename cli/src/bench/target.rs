//! The servers under load: somebody else's by URL, or our own as children.

use super::{
    args::BenchArgs,
    client::Origin,
    error::{BenchError, local},
    meter::Part,
    provider,
};
use boxoffice_common::domain::secret::Secret;
use boxoffice_testkit::{Postgres, Program, RabbitMq, Redis, program::Recipe, stripe::StripeStandIn};
use std::path::PathBuf;
use tempfile::TempDir;

/// The key that `serve --demo` makes.
const DEMO_KEY: &str = "bo_test_demo";
const TENANT: &str = "bench";

/// What is measured; its children end when it is dropped.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) origin: Origin,
    pub(super) parts: Vec<Part>,
    pub(super) kind: &'static str,
    /// Where the data lies, if we know.
    pub(super) data_dir: Option<PathBuf>,
    // In the order in which they must end: programs before the servers that they use.
    _programs: Vec<Program>,
    pub(super) servers: Option<Servers>,
    /// Stripe, if the servers charge through it.
    pub(super) stripe: Option<StripeStandIn>,
    _folder: Option<TempDir>,
}

/// The private servers of a distributed target.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) postgres: Postgres,
    pub(super) rabbitmq: RabbitMq,
    pub(super) redis: Redis,
}

impl Target {
    /// Finds or starts what `args` ask for.
    pub(super) async fn start(args: &BenchArgs) -> Result<Self, BenchError> {
        match &args.url {
            Some(url) => Self::running(url, args),
            None if args.distributed => Self::distributed(args).await,
            None => Self::embedded(args).await,
        }
    }

    fn running(url: &str, args: &BenchArgs) -> Result<Self, BenchError> {
        let key = args.key.clone().ok_or_else(|| BenchError::Usage("--url needs --key".to_owned()))?;
        Ok(Self {
            origin: origin(url, &key)?,
            parts: args.processes.iter().map(|(name, pid)| Part::process(name, *pid)).collect(),
            kind: "url",
            data_dir: None,
            _programs: Vec::new(),
            servers: None,
            stripe: None,
            _folder: None,
        })
    }

    async fn embedded(args: &BenchArgs) -> Result<Self, BenchError> {
        let folder = scratch()?;
        let stripe = provider::stand_in(args).await?;
        let recipe = boxoffice(args)?.args(["serve", "--demo", "--data-dir"]).arg(folder.path());
        let server = listening(provider::found_by(recipe, stripe.as_ref()))?.start().await?;
        let origin = origin(server.base_url(), &Secret::new(DEMO_KEY.to_owned()))?;
        provider::set_up(args, stripe.as_ref(), &origin, server.base_url(), &origin).await?;
        Ok(Self {
            origin,
            parts: vec![Part::process("server", server.pid())],
            kind: "embedded",
            data_dir: Some(folder.path().to_owned()),
            _programs: vec![server],
            servers: None,
            stripe,
            _folder: Some(folder),
        })
    }

    async fn distributed(args: &BenchArgs) -> Result<Self, BenchError> {
        let folder = scratch()?;
        let (postgres, rabbitmq, redis) = tokio::try_join!(Postgres::start(), RabbitMq::start(), Redis::start())?;
        let sandbox_dir = folder.path().join("sandbox");
        std::fs::create_dir_all(&sandbox_dir).map_err(local("making a folder for the sandbox"))?;
        let sandbox = boxoffice(args)?.args(["sandbox", "--data-dir"]).arg(&sandbox_dir);
        let sandbox = listening(sandbox)?.start().await?;
        let stripe = provider::stand_in(args).await?;
        let recipe = provider::found_by(boxoffice(args)?, stripe.as_ref())
            .env("DATABASE_URL", postgres.create_database().await?)
            .env("AMQP_URL", rabbitmq.url())
            .env("REDIS_URL", redis.url())
            .env("SANDBOX_PROVIDER_URL", sandbox.base_url());
        command("boxoffice migrate", recipe.clone().arg("migrate")).await?;
        let printed = command("boxoffice keys create", recipe.clone().args(["keys", "create", "--tenant", TENANT])).await?;
        let key =
            key_in(&printed).ok_or(BenchError::Command { command: "boxoffice keys create", output: "it printed no key".to_owned() })?;

        let api = listening(recipe.clone().arg("api"))?.start().await?;
        let origin = origin(api.base_url(), &key)?;
        let sandbox_origin = self::origin(sandbox.base_url(), &key)?;
        provider::set_up(args, stripe.as_ref(), &origin, api.base_url(), &sandbox_origin).await?;
        let mut parts = vec![Part::process("api", api.pid())];
        let mut programs = vec![api];
        for number in 1..=args.workers {
            let worker = recipe.clone().arg("worker").ready_line("working").start().await?;
            parts.push(Part::process(format!("worker {number}"), worker.pid()));
            programs.push(worker);
        }
        parts.extend([
            Part::process("sandbox", sandbox.pid()),
            Part::tree("postgresql", postgres.pid()),
            Part::tree("rabbitmq", rabbitmq.pid()),
            Part::process("redis", redis.pid()),
        ]);
        programs.push(sandbox);
        Ok(Self {
            origin,
            parts,
            kind: "distributed",
            data_dir: Some(folder.path().to_owned()),
            _programs: programs,
            servers: Some(Servers { postgres, rabbitmq, redis }),
            stripe,
            _folder: Some(folder),
        })
    }
}

fn origin(url: &str, key: &Secret<String>) -> Result<Origin, BenchError> {
    Origin::new(url, key)
        .ok_or_else(|| BenchError::Usage(format!("{url:?} is not a plain http:// address, or the key holds what a header cannot")))
}

fn scratch() -> Result<TempDir, BenchError> {
    tempfile::Builder::new().prefix("boxoffice-bench-").tempdir().map_err(local("making a scratch folder"))
}

/// This very binary, without a limit on requests and with a quiet log.
fn boxoffice(args: &BenchArgs) -> Result<Recipe, BenchError> {
    let binary: PathBuf = std::env::current_exe().map_err(local("finding our own binary"))?;
    let recipe = Program::at(&binary).env("BOXOFFICE_RATE_LIMIT", "0").env("BOXOFFICE_CARD_TESTING", "off").env("RUST_LOG", "warn");
    Ok(args.env.iter().fold(recipe, |recipe, (name, value)| recipe.env(name, value)))
}

fn listening(recipe: Recipe) -> Result<Recipe, BenchError> {
    recipe.listen().map_err(local("reserving a port"))
}

async fn command(name: &'static str, recipe: Recipe) -> Result<String, BenchError> {
    let output = recipe.run().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(BenchError::Command { command: name, output: text(&output.stderr) }),
    }
}

/// The test key in what `keys create` printed.
fn key_in(printed: &str) -> Option<Secret<String>> {
    let start = printed.find("bo_test_")?;
    let rest = printed.get(start..)?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    rest.get(..end).map(|key| Secret::new(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_in_what_is_printed() {
        let key = |text: &str| key_in(text).map(|key| key.reveal().clone());
        assert_eq!(key("key: bo_test_a1B2_c3\n(shown once)").as_deref(), Some("bo_test_a1B2_c3"));
        assert_eq!(key(r#"{"key":"bo_test_x"}"#).as_deref(), Some("bo_test_x"));
        assert_eq!(key("nothing"), None);
    }
}
