//! What handlers work with: the ports, and the few things that live as long as the process.

use crate::{
    aftermath::Aftermath,
    auth::Keys,
    card_guard::CardGuard,
    hint_rate::HintRate,
    intake::Intake,
    metering::RequestSeries,
    pages::PageMemory,
    publisher::Publisher,
    rate_limit::RateLimits,
    sandbox::SandboxBook,
    seldom::Seldom,
    shedding::Gate,
    shelves::Shelves,
    strict::Bodies,
    waiting::{MAX_WAITING, Waiters},
};
use boxoffice_common::{
    adapters::provider_registry::ProviderRegistry,
    config::Config,
    domain::{card_testing::Limits, checkout::Checkout, id::Entropy, network::TrustedProxies, state::Status, view::QueueEstimate},
    ports::{announcer::Announcer, card_tries::CardTries, clock::Clock, queue::Queue, routes::Routes, seats::Seats, store::Store},
};
use metrics_exporter_prometheus::PrometheusHandle;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How many requests may be under way, those that wait apart.
const MAX_IN_FLIGHT: usize = 4_096;
/// How often metrics and rate limits are tidied.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// The API's own settings.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Whether callbacks may go to private addresses.
    pub allow_private_callbacks: bool,
    /// How browsers reach us, without a slash at the end.
    pub public_url: String,
    /// Requests per second and key; 0 for no limit.
    pub rate_limit_per_second: u32,
    /// Above so many waiting checkouts, new ones are shed.
    pub max_queue_depth: u64,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// From when on tries to pay by card on our page are slowed and stopped; `None`: never.
    pub card_testing: Option<Limits>,
}

impl ApiConfig {
    /// As the environment says; `listening` is how this server is reached where it does not say.
    pub fn new(config: &Config, listening: &str) -> Self {
        Self {
            public_url: config.public_url.clone().unwrap_or_else(|| listening.to_owned()),
            allow_private_callbacks: config.allow_private_callbacks,
            rate_limit_per_second: config.rate_limit_per_second,
            max_queue_depth: config.max_queue_depth,
            trusted_proxies: config.trusted_proxies.clone(),
            card_testing: config.card_testing,
        }
    }
}

/// What the API is built from.
pub struct ApiParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Where accepted checkouts go.
    pub queue: Arc<dyn Queue>,
    /// The seat table, which is told of new capacities.
    pub seats: Arc<dyn Seats>,
    /// Who wakes the waiting.
    pub announcer: Arc<dyn Announcer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<Entropy>,
    /// Settings.
    pub config: ApiConfig,
    /// Where tries to pay by card are counted.
    pub card_tries: Arc<dyn CardTries>,
    /// The sandbox provider's book, where there is one.
    pub sandbox: Option<Arc<dyn SandboxBook>>,
    /// Payment providers, and how what they tell us is verified.
    pub registry: Arc<ProviderRegistry>,
    /// What `/metrics` renders.
    pub metrics: Option<PrometheusHandle>,
    /// Cancelled when the process begins to stop: streams and waits end, `/readyz` says no.
    pub shutdown: CancellationToken,
}

/// The state of the router. Cheap to clone.
#[derive(Clone)]
pub struct ApiContext(Arc<Inner>);

struct Inner {
    parts: ApiParts,
    keys: Keys,
    rate_limits: RateLimits,
    not_genuine: Seldom,
    hint_rate: HintRate,
    card_guard: Option<CardGuard>,
    bodies: Bodies,
    in_flight: Semaphore,
    series: RequestSeries,
    intake: Intake,
    aftermath: Arc<Aftermath>,
    gate: Arc<Gate>,
    waiters: Arc<Waiters>,
    pages: PageMemory,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl ApiContext {
    /// Starts what runs behind the handlers: the publisher, the queue gauge and the listener. Needs a tokio runtime.
    pub fn start(parts: ApiParts) -> Self {
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        let gate = Arc::new(Gate::new(parts.config.max_queue_depth));
        let (publisher, publishing) = Publisher::start(Arc::clone(&parts.queue), Arc::clone(&gate), closing.clone());
        tasks.spawn(publishing);
        tasks.spawn(Arc::clone(&gate).watch(Arc::clone(&parts.queue), closing.clone()));
        let waiters = Waiters::new(MAX_WAITING);
        tasks.spawn(Arc::clone(&waiters).listen(Arc::clone(&parts.announcer), closing.clone()));
        let aftermath = Arc::new(Aftermath {
            store: Arc::clone(&parts.store),
            seats: Arc::clone(&parts.seats),
            announcer: Arc::clone(&parts.announcer),
            clock: Arc::clone(&parts.clock),
            publisher: publisher.clone(),
        });
        let intake = Intake {
            store: Arc::clone(&parts.store),
            shelves: Shelves::start(Arc::clone(&parts.store)),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            gate: Arc::clone(&gate),
            waiters: Arc::clone(&waiters),
            publisher,
            aftermath: Arc::clone(&aftermath),
            routes: Arc::clone(&parts.registry) as _,
            public_url: parts.config.public_url.clone(),
        };
        let context = Self(Arc::new(Inner {
            keys: Keys::new(Arc::clone(&parts.store)),
            rate_limits: RateLimits::new(parts.config.rate_limit_per_second),
            not_genuine: Seldom::default(),
            hint_rate: HintRate::default(),
            card_guard: parts.config.card_testing.map(|limits| CardGuard::new(limits, Arc::clone(&parts.card_tries))),
            bodies: Bodies::default(),
            in_flight: Semaphore::new(MAX_IN_FLIGHT + MAX_WAITING),
            series: RequestSeries::default(),
            intake,
            aftermath,
            gate,
            waiters,
            pages: PageMemory::default(),
            tasks,
            closing,
            parts,
        }));
        context.0.tasks.spawn(context.clone().tidy());
        context
    }

    /// Publishes what is left and stops the tasks. To be called after the server has answered its last request.
    pub async fn drain(&self) {
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    async fn tidy(self) {
        let closing = self.0.closing.clone();
        while closing.run_until_cancelled(tokio::time::sleep(TIDY_EVERY)).await.is_some() {
            self.rate_limits().tidy();
            metrics::gauge!("boxoffice_api_waiting").set(self.waiters().count() as f64);
            if let Some(metrics) = &self.0.parts.metrics {
                metrics.run_upkeep();
            }
        }
    }

    /// The truth.
    pub fn store(&self) -> &dyn Store {
        &*self.0.parts.store
    }

    /// The queue.
    pub fn queue(&self) -> &dyn Queue {
        &*self.0.parts.queue
    }

    /// The seat table.
    pub fn seats(&self) -> &dyn Seats {
        &*self.0.parts.seats
    }

    /// Who wakes the waiting.
    pub fn announcer(&self) -> &dyn Announcer {
        &*self.0.parts.announcer
    }

    /// Time.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.parts.clock
    }

    /// Randomness.
    pub fn entropy(&self) -> &Entropy {
        &self.0.parts.entropy
    }

    /// Settings.
    pub fn config(&self) -> &ApiConfig {
        &self.0.parts.config
    }

    /// The sandbox provider's book.
    pub fn sandbox(&self) -> Option<&dyn SandboxBook> {
        self.0.parts.sandbox.as_deref()
    }

    /// Where charges may go.
    pub fn routes(&self) -> &dyn Routes {
        &*self.0.parts.registry
    }

    /// Payment providers, and how what they tell us is verified.
    pub fn registry(&self) -> &ProviderRegistry {
        &self.0.parts.registry
    }

    /// What `/metrics` renders.
    pub fn metrics(&self) -> Option<&PrometheusHandle> {
        self.0.parts.metrics.as_ref()
    }

    /// Cancelled when the process begins to stop.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.parts.shutdown
    }

    /// Who calls.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// How often each may.
    pub fn rate_limits(&self) -> &RateLimits {
        &self.0.rate_limits
    }

    /// How many notices that prove nothing are looked at.
    pub fn hint_rate(&self) -> &HintRate {
        &self.0.hint_rate
    }

    /// Who slows and stops whoever tries cards out; nobody where that is off.
    pub(crate) fn card_guard(&self) -> Option<&CardGuard> {
        self.0.card_guard.as_ref()
    }

    /// Runs beside the handlers, until the process ends at the latest.
    pub(crate) fn beside(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.0.closing.clone();
        self.0.tasks.spawn(async move {
            let _ = closing.run_until_cancelled(task).await;
        });
    }

    /// The warning of events of providers that are not genuine.
    pub fn not_genuine(&self) -> &Seldom {
        &self.0.not_genuine
    }

    /// The memory for bodies.
    pub fn bodies(&self) -> &Bodies {
        &self.0.bodies
    }

    /// Places for requests under way.
    pub fn in_flight(&self) -> &Semaphore {
        &self.0.in_flight
    }

    /// What is counted of requests.
    pub fn series(&self) -> &RequestSeries {
        &self.0.series
    }

    /// Takes orders.
    pub fn intake(&self) -> &Intake {
        &self.0.intake
    }

    /// What follows what is done here.
    pub fn aftermath(&self) -> &Aftermath {
        &self.0.aftermath
    }

    /// How much is waiting.
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Where a checkout stands in the queue; nothing unless it is queued.
    pub fn estimate_for(&self, checkout: &Checkout) -> Option<QueueEstimate> {
        (checkout.status == Status::Queued).then(|| self.gate().estimate())
    }

    /// What pages were shown.
    pub(crate) fn pages(&self) -> &PageMemory {
        &self.0.pages
    }

    /// Who is waiting.
    pub fn waiters(&self) -> &Arc<Waiters> {
        &self.0.waiters
    }
}
