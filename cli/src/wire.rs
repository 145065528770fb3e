//! Which adapters a process gets, by its environment.

use crate::exit::{Failure, io};
use async_trait::async_trait;
use boxoffice_api::{BookUnavailable, SandboxBook};
use boxoffice_common::{
    adapters::{
        announce::{MemoryAnnouncer, RedisAnnouncer},
        callback::sender::CallbackSender,
        card_tries::{MemoryCardTries, RedisCardTries},
        clock::SyncedClock,
        mollie::{MollieFactory, MollieTransport},
        provider_events::EventSources,
        provider_guard::{GuardLimits, Guarded},
        provider_registry::{AccountOffice, ProviderFactories, ProviderRegistry},
        providers::Providers,
        queue::{MemoryQueue, RabbitOptions, RabbitQueue},
        sandbox::{SandboxEvents, SandboxProvider, SandboxService},
        sealing::Sealer,
        seats::{Lifetimes, MemorySeats, RedisSeats},
        sql::SqlStore,
        stripe::{StripeFactory, StripeTransport},
    },
    config::Config,
    domain::{
        id::{Entropy, PaymentIntentId},
        payment_intent::{NewIntent, PaymentIntent},
        secret::Secret,
    },
    ports::{
        announcer::Announcer, card_tries::CardTries, clock::Clock, clock::SystemClock, queue::Queue, seats::Seats, store::UpkeepStore,
    },
};
use boxoffice_worker::{WorkerContext, WorkerSettings};
use std::{fs::File, path::Path, path::PathBuf, sync::Arc, time::Duration};

/// How long a process waits at its start for a store that is not up yet.
const STORE_PATIENCE: Duration = Duration::from_secs(30);

/// What every process works with.
pub struct Engine {
    pub config: Config,
    pub entropy: Arc<Entropy>,
    pub store: Arc<SqlStore>,
    pub clock: Arc<SyncedClock>,
    pub queue: Arc<dyn Queue>,
    pub seats: Arc<dyn Seats>,
    pub announcer: Arc<dyn Announcer>,
}

/// Where tries to pay by card are counted: with the other processes, where there are others.
pub fn card_tries(config: &Config) -> Result<Arc<dyn CardTries>, Failure> {
    let window = config.card_testing.unwrap_or_default().window;
    Ok(match &config.redis_url {
        Some(url) => Arc::new(RedisCardTries::connect(url, window).map_err(|error| Failure::Redis(error.to_string()))?),
        None => Arc::new(MemoryCardTries::new(window)),
    })
}

/// Reads the environment and opens the store that it names.
pub async fn open_store(data_dir: PathBuf) -> Result<(Config, Arc<Entropy>, Arc<SqlStore>), Failure> {
    let config = Config::from_env(data_dir)?;
    let entropy = Arc::new(Entropy::from_os());
    let url = match &config.database_url {
        Some(url) => url.clone(),
        None => {
            make_dir(&config.data_dir)?;
            Secret::new(format!("sqlite://{}", config.data_dir.join("boxoffice.db").display()))
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::ahead_by_ms(config.clock_ahead_ms));
    let started = tokio::time::Instant::now();
    loop {
        match SqlStore::open(&url, Arc::clone(&clock), Arc::clone(&entropy)).await {
            Ok(store) => return Ok((config, entropy, Arc::new(store))),
            Err(error) if started.elapsed() > STORE_PATIENCE || !config.is_postgres() => return Err(error.into()),
            Err(error) => {
                tracing::info!(%error, "waiting for the store");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

/// `boxoffice migrate`.
pub async fn migrate(data_dir: PathBuf) -> Result<(), Failure> {
    crate::log::start("warn");
    let (_, _, store) = open_store(data_dir).await?;
    store.migrate().await?;
    println!("the schema is up to date");
    Ok(())
}

/// Opens everything that the environment names. `migrates`: whether this process brings the schema up to date.
pub async fn engine(data_dir: PathBuf, migrates: bool) -> Result<Engine, Failure> {
    let (config, entropy, store) = open_store(data_dir).await?;
    if migrates {
        store.migrate().await?;
    }
    store.ping().await?;
    let own: Arc<dyn Clock> = Arc::new(SystemClock::ahead_by_ms(config.clock_ahead_ms));
    let clock = Arc::new(SyncedClock::new(own));
    clock.sync(&*store).await?;
    let queue: Arc<dyn Queue> = match &config.amqp_url {
        Some(url) => Arc::new(RabbitQueue::connect(url, rabbit_options(&config)).await?),
        None => Arc::new(MemoryQueue::new()),
    };
    let (seats, announcer): (Arc<dyn Seats>, Arc<dyn Announcer>) = match &config.redis_url {
        Some(url) => {
            let bad = |error: &dyn std::fmt::Display| Failure::Redis(error.to_string());
            let seats = RedisSeats::connect(url, Lifetimes::default()).map_err(|error| bad(&error))?;
            let announcer = RedisAnnouncer::connect(url, &entropy).map_err(|error| bad(&error))?;
            (Arc::new(seats), Arc::new(announcer))
        }
        None => (Arc::new(MemorySeats::default()), Arc::new(MemoryAnnouncer::new())),
    };
    Ok(Engine { config, entropy, store, clock, queue, seats, announcer })
}

/// How this process uses the broker.
pub fn rabbit_options(config: &Config) -> RabbitOptions {
    RabbitOptions { prefix: config.queue_prefix.clone(), ..RabbitOptions::default() }
}

/// A process that shares its work with others refuses to start on what only it could see.
pub fn require_shared(what: &str, needs_sandbox: bool) -> Result<(), Failure> {
    let missing = |name: &&str| std::env::var(name).unwrap_or_default().is_empty();
    let mut needed = vec!["DATABASE_URL", "AMQP_URL", "REDIS_URL"];
    if needs_sandbox {
        needed.push("SANDBOX_PROVIDER_URL");
    }
    let missing: Vec<&str> = needed.into_iter().filter(missing).collect();
    let sqlite = std::env::var("DATABASE_URL").is_ok_and(|url| url.starts_with("sqlite:"));
    if !missing.is_empty() {
        return Err(Failure::Setup(format!(
            "`boxoffice {what}` shares its work with other processes and would be alone on embedded parts: set {}, or run `boxoffice serve`",
            missing.join(", ")
        )));
    }
    if sqlite {
        return Err(Failure::Setup(format!(
            "`boxoffice {what}` shares its store with other processes, maybe on other servers: set DATABASE_URL to postgres:…, or run `boxoffice serve`"
        )));
    }
    Ok(())
}

/// The sandbox provider as this process reaches it.
pub enum Sandbox {
    /// In this process.
    Here(Arc<SandboxService>),
    /// Behind HTTP.
    There(Arc<SandboxProvider>),
}

impl Sandbox {
    /// `SANDBOX_PROVIDER_URL`, or a service on a book in the data directory.
    pub async fn open(config: &Config, entropy: &Arc<Entropy>, public_url: &str) -> Result<Self, Failure> {
        if let Some(url) = &config.sandbox_url {
            return Ok(Self::There(Arc::new(SandboxProvider::http(url, config.provider_timeout)?)));
        }
        make_dir(&config.data_dir)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let book = config.data_dir.join("sandbox.db");
        Ok(Self::Here(SandboxService::open(&book, public_url, clock, Arc::clone(entropy)).await?))
    }

    fn provider(&self, config: &Config) -> Result<SandboxProvider, Failure> {
        match (self, &config.sandbox_url) {
            (Self::Here(service), _) => Ok(SandboxProvider::in_process(Arc::clone(service), config.provider_timeout)),
            (Self::There(_), url) => Ok(SandboxProvider::http(url.as_deref().unwrap_or_default(), config.provider_timeout)?),
        }
    }
}

#[async_trait]
impl SandboxBook for Sandbox {
    async fn charges(&self, reference: &str) -> Result<serde_json::Value, BookUnavailable> {
        let unavailable = |error: &dyn std::fmt::Display| BookUnavailable(error.to_string());
        let rows = match self {
            Self::Here(service) => service.charges_by_reference(reference).await.map_err(|error| unavailable(&error))?,
            Self::There(provider) => provider.charges_by_reference(reference).await.map_err(|error| unavailable(&error))?,
        };
        Ok(serde_json::json!({ "data": rows }))
    }

    async fn authorize_intent(&self, new: NewIntent) -> Result<Result<PaymentIntent, String>, BookUnavailable> {
        let unavailable = |error: &dyn std::fmt::Display| BookUnavailable(error.to_string());
        Ok(match self {
            Self::Here(service) => service.authorize_intent(new).await.map_err(|error| unavailable(&error))?.map_err(str::to_owned),
            Self::There(provider) => provider.authorize_intent(new).await.map_err(|error| unavailable(&error))?,
        })
    }

    async fn intent(&self, account: &str, id: &PaymentIntentId) -> Result<Option<PaymentIntent>, BookUnavailable> {
        let unavailable = |error: &dyn std::fmt::Display| BookUnavailable(error.to_string());
        match self {
            Self::Here(service) => service.intent(account, id).await.map_err(|error| unavailable(&error)),
            Self::There(provider) => provider.intent(account, id).await.map_err(|error| unavailable(&error)),
        }
    }
}

/// The providers that tenants can have accounts with, and how each is talked to.
pub fn factories(config: &Config) -> Result<ProviderFactories, Failure> {
    let stripe = StripeTransport::new(&config.stripe_url).map_err(|error| Failure::Setup(format!("BOXOFFICE_STRIPE_URL: {error}")))?;
    let mollie = MollieTransport::new(&config.mollie_url).map_err(|error| Failure::Setup(format!("BOXOFFICE_MOLLIE_URL: {error}")))?;
    let timeout = config.provider_timeout;
    Ok(ProviderFactories::default().with(Arc::new(StripeFactory::new(stripe, timeout))).with(Arc::new(MollieFactory::new(
        mollie,
        timeout,
        config.public_url.clone(),
    ))))
}

/// Adds and changes accounts, with what the environment has to seal their credentials with.
pub fn account_office(config: &Config, store: &Arc<SqlStore>) -> Result<AccountOffice, Failure> {
    let sealer = config.secrets_key.as_ref().map(Sealer::parse).transpose();
    let sealer = sealer.map_err(|error| Failure::Setup(format!("BOXOFFICE_SECRETS_KEY {error}")))?;
    Ok(AccountOffice::new(store.clone(), sealer.map(Arc::new)).asking(factories(config)?))
}

fn limits(config: &Config) -> GuardLimits {
    GuardLimits::within(config.lease, config.provider_timeout, config.provider_concurrency)
}

/// The providers that this process can use: the sandbox, where it is reached from here, and tenants' accounts.
pub fn registry(engine: &Engine, sandbox: Option<&Sandbox>) -> Result<Arc<ProviderRegistry>, Failure> {
    let config = &engine.config;
    let fixed = match sandbox {
        Some(sandbox) => Providers::new().with(Arc::new(Guarded::new(sandbox.provider(config)?, limits(config))))?,
        None => Providers::new(),
    };
    let secrets = config.sandbox_webhook_secret.clone().into_iter().collect();
    let fixed_events = EventSources::default().with(Arc::new(SandboxEvents::new(secrets)));
    let office = account_office(config, &engine.store)?;
    let registry = ProviderRegistry::new(engine.store.clone(), office, factories(config)?, limits(config), fixed, fixed_events);
    Ok(Arc::new(registry))
}

/// Tenants' accounts alone, for a command that looks at them.
pub fn accounts_alone(config: &Config, store: &Arc<SqlStore>) -> Result<ProviderRegistry, Failure> {
    let office = account_office(config, store)?;
    let (fixed, fixed_events) = (Providers::new(), EventSources::default());
    Ok(ProviderRegistry::new(store.clone(), office, factories(config)?, limits(config), fixed, fixed_events))
}

/// What a worker works with.
pub fn worker_context(engine: &Engine, registry: Arc<ProviderRegistry>) -> Result<Arc<WorkerContext>, Failure> {
    let config = &engine.config;
    Ok(Arc::new(WorkerContext {
        store: engine.store.clone(),
        queue: Arc::clone(&engine.queue),
        seats: Arc::clone(&engine.seats),
        announcer: Arc::clone(&engine.announcer),
        routes: Arc::clone(&registry) as _,
        registry,
        sender: CallbackSender::new(config.into(), Arc::clone(&engine.entropy))?,
        clock: engine.clock.clone(),
        entropy: Arc::clone(&engine.entropy),
        settings: WorkerSettings::from(config),
        direct_tries: WorkerContext::direct_tries(),
    }))
}

/// Keeps a second process off a data directory, for as long as the answer lives.
pub fn lock_data_dir(data_dir: &Path) -> Result<File, Failure> {
    make_dir(data_dir)?;
    let path = data_dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io(format!("opening {}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Failure::Setup(format!(
            "{} is in use by another `boxoffice serve`: stop it, or choose another --data-dir",
            data_dir.display()
        ))),
    }
}

fn make_dir(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(io(format!("making {}", path.display())))
}
