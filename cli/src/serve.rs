//! The processes that stay: `serve`, `api`, `worker`, `sandbox`.

use crate::{
    command::{Api, Sandbox as SandboxArgs, Serve, Worker as WorkerArgs},
    demo,
    exit::Failure,
    http::{Listening, asked_to_stop},
    log, watch,
    wire::{self, Engine, Sandbox},
};
use axum::Router;
use boxoffice_api::{ApiConfig, ApiContext, ApiParts, SandboxBook};
use boxoffice_common::{
    adapters::{
        callback::signature::generate_secret,
        provider_registry::ProviderRegistry,
        sandbox::{EVENTS_PATH, Notify, SandboxService, actions_router},
    },
    config::Config,
    domain::{id::Entropy, secret::Secret},
    ports::clock::SystemClock,
};
use boxoffice_worker::Worker;
use metrics_exporter_prometheus::PrometheusHandle;
use std::{path::PathBuf, sync::Arc};
use tokio_util::sync::CancellationToken;

/// What is logged unless `RUST_LOG` says otherwise.
const LOG: &str = "info";
/// With `--demo`, each transition and each callback is a line.
const DEMO_LOG: &str = "info,boxoffice_worker=debug";

/// `boxoffice serve`: everything in one process.
pub async fn serve(args: Serve) -> Result<(), Failure> {
    log::start(if args.demo { DEMO_LOG } else { LOG });
    if args.demo && !args.listen.ip().is_loopback() {
        return Err(Failure::Setup("--demo has a key that everybody knows: it listens on the loopback only".to_owned()));
    }
    let _lock = wire::lock_data_dir(&args.data_dir)?;
    let metrics = recorder()?;
    let listening = Listening::bind(args.listen).await?;
    let mut engine = wire::engine(args.data_dir, true).await?;
    if args.demo {
        demo::relax(&mut engine.config);
    }
    let public_url = engine.config.public_url.clone().unwrap_or_else(|| listening.url.clone());
    let sandbox = Arc::new(Sandbox::open(&engine.config, &engine.entropy, &public_url).await?);
    if matches!(&*sandbox, Sandbox::Here(_)) && engine.config.sandbox_webhook_secret.is_none() {
        // The sandbox in this process signs with it, the intake in this process verifies with it, and nobody else needs it.
        engine.config.sandbox_webhook_secret = Some(generate_secret(&engine.entropy));
    }
    let stop = CancellationToken::new();
    let synced = tokio::spawn(engine.clock.clone().keep_in_sync(engine.store.clone(), stop.clone()));
    // One registry for both: what the worker learns of a provider, the intake knows.
    let registry = wire::registry(&engine, Some(&*sandbox))?;
    let api = api_context(&engine, &public_url, Some(sandbox.clone()), Arc::clone(&registry), metrics, &stop)?;
    let mut router = boxoffice_api::router(api.clone());
    let mut customers = None;
    if let Sandbox::Here(service) = &*sandbox {
        router = router.merge(actions_router(Arc::clone(service)));
        let notify = notify(&format!("{}{EVENTS_PATH}", listening.url), engine.config.sandbox_webhook_secret.clone())?;
        customers = Some(tokio::spawn(Arc::clone(service).run(notify, stop.clone())));
    }
    if args.demo {
        demo::fill(&engine).await?;
        router = router.merge(demo::receiver(&engine));
    }
    let worker = Worker::start(wire::worker_context(&engine, registry)?).await?;
    let url = listening.url.clone();
    let server = listening.serve(router, stop.clone());
    println!("listening on {url}");
    if args.demo {
        demo::greet(&url);
    }
    asked_to_stop().await;
    // First no new work comes in, then what is in hand is finished.
    stop.cancel();
    let _ = server.await;
    api.drain().await;
    finish(worker).await;
    let _ = synced.await;
    if let Some(customers) = customers {
        let _ = customers.await;
    }
    Ok(())
}

/// `boxoffice api`: the intake alone.
pub async fn api(args: Api) -> Result<(), Failure> {
    log::start(LOG);
    wire::require_shared("api", false)?;
    let metrics = recorder()?;
    let engine = wire::engine(PathBuf::from("./data"), false).await?;
    let listening = Listening::bind(args.listen).await?;
    let book: Option<Arc<dyn SandboxBook>> = match &engine.config.sandbox_url {
        Some(_) => Some(Arc::new(Sandbox::open(&engine.config, &engine.entropy, "").await?)),
        None => None,
    };
    let stop = CancellationToken::new();
    let synced = tokio::spawn(engine.clock.clone().keep_in_sync(engine.store.clone(), stop.clone()));
    let url = listening.url.clone();
    let registry = wire::registry(&engine, None)?;
    let api = api_context(&engine, &url, book, registry, metrics, &stop)?;
    let server = listening.serve(boxoffice_api::router(api.clone()), stop.clone());
    println!("listening on {url}");
    asked_to_stop().await;
    stop.cancel();
    let _ = server.await;
    api.drain().await;
    let _ = synced.await;
    Ok(())
}

/// `boxoffice worker`: the pipeline alone.
pub async fn worker(args: WorkerArgs) -> Result<(), Failure> {
    log::start(LOG);
    wire::require_shared("worker", true)?;
    let metrics = recorder()?;
    let engine = wire::engine(PathBuf::from("./data"), false).await?;
    let sandbox = Sandbox::open(&engine.config, &engine.entropy, "").await?;
    let stop = CancellationToken::new();
    let synced = tokio::spawn(engine.clock.clone().keep_in_sync(engine.store.clone(), stop.clone()));
    let server = match args.listen {
        None => None,
        Some(address) => {
            let listening = Listening::bind(address).await?;
            println!("listening on {}", listening.url);
            Some(listening.serve(watch::router(&engine, metrics), stop.clone()))
        }
    };
    let registry = wire::registry(&engine, Some(&sandbox))?;
    let worker = Worker::start(wire::worker_context(&engine, registry)?).await?;
    println!("working");
    asked_to_stop().await;
    stop.cancel();
    finish(worker).await;
    if let Some(server) = server {
        let _ = server.await;
    }
    let _ = synced.await;
    Ok(())
}

/// `boxoffice sandbox`: the sandbox provider alone.
pub async fn sandbox(args: SandboxArgs) -> Result<(), Failure> {
    log::start(LOG);
    let _lock = wire::lock_data_dir(&args.data_dir)?;
    let listening = Listening::bind(args.listen).await?;
    let public_url = args.public_url.clone().unwrap_or_else(|| listening.url.clone());
    let entropy = Arc::new(Entropy::from_os());
    let book = args.data_dir.join("sandbox.db");
    let service = SandboxService::open(&book, &public_url, Arc::new(SystemClock::default()), entropy).await?;
    let health = Router::new().route("/healthz", axum::routing::get(|| async { "ok" }));
    let router = boxoffice_common::adapters::sandbox::router(Arc::clone(&service)).merge(health);
    let stop = CancellationToken::new();
    let notify = match &args.webhook_url {
        Some(url) => notify(url, Config::from_env(args.data_dir.clone())?.sandbox_webhook_secret)?,
        None => None,
    };
    let customers = tokio::spawn(service.run(notify, stop.clone()));
    let url = listening.url.clone();
    let server = listening.serve(router, stop.clone());
    println!("listening on {url}");
    asked_to_stop().await;
    stop.cancel();
    let _ = server.await;
    let _ = customers.await;
    Ok(())
}

/// Whom the sandbox tells, if there is something to sign with.
fn notify(url: &str, secret: Option<Secret<String>>) -> Result<Option<Notify>, Failure> {
    let bad = || Failure::Setup(format!("{url} is no address that the sandbox could tell anything: give http://…{EVENTS_PATH}"));
    match secret {
        Some(secret) => Notify::new(url, secret).map(Some).map_err(|_| bad()),
        None => Err(Failure::Setup("--webhook-url needs SANDBOX_WEBHOOK_SECRET, to sign with".to_owned())),
    }
}

fn api_context(
    engine: &Engine,
    listening: &str,
    sandbox: Option<Arc<dyn SandboxBook>>,
    registry: Arc<ProviderRegistry>,
    metrics: PrometheusHandle,
    stop: &CancellationToken,
) -> Result<ApiContext, Failure> {
    Ok(ApiContext::start(ApiParts {
        store: engine.store.clone(),
        queue: Arc::clone(&engine.queue),
        seats: Arc::clone(&engine.seats),
        announcer: Arc::clone(&engine.announcer),
        clock: engine.clock.clone(),
        entropy: Arc::clone(&engine.entropy),
        config: ApiConfig::new(&engine.config, listening),
        card_tries: wire::card_tries(&engine.config)?,
        sandbox,
        registry,
        metrics: Some(metrics),
        shutdown: stop.clone(),
    }))
}

async fn finish(worker: Worker) {
    if !worker.drain().await {
        tracing::warn!("some work was left in hand; another worker takes it over when its lease ends");
    }
}

fn recorder() -> Result<PrometheusHandle, Failure> {
    boxoffice_api::metering::install().map_err(|error| Failure::Setup(format!("metrics: {error}")))
}
