//! Events of providers of which the work goes wrong: each try counts in the event's own row, and nobody behind it waits.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use boxoffice_common::{
    adapters::{
        announce::MemoryAnnouncer,
        callback::sender::CallbackSender,
        provider_events::{EventSource, EventSources, NotGenuine},
        provider_guard::GuardLimits,
        provider_registry::{AccountOffice, ProviderFactories, ProviderRegistry},
        providers::Providers,
        queue::MemoryQueue,
        seats::MemorySeats,
        sql::SqlStore,
    },
    config::Config,
    domain::{
        attempt::{Outcome, Receipt},
        begin::Begin,
        id::{CheckoutId, Entropy, ProviderEventId},
        money::{Amount, Currency},
        provider_event::{About, EventAccount, EventStatus, MAX_TRIES, ProviderEvent, Told, ToldMoney, Word},
        routing::to_the_sandbox,
        scope::{Mode, Scope},
        secret::Secret,
        settle::Settlement,
        state::Status,
        time::Timestamp,
    },
    ports::{
        clock::{Clock, SystemClock},
        queue::{DeadLetterOffice, Lane, Queue, Work},
        routes::SandboxOnly,
        store::{BeginAnswer, CheckoutStore, NewProviderEvent, Next, ProviderEventStore, UpkeepStore},
    },
};
use boxoffice_worker::{Worker, WorkerContext, WorkerSettings};
use std::{sync::Arc, time::Duration};
use support::accept_a_place;

/// A checkout of which the row is damaged.
const DAMAGED: &str = "chk_damaged";
/// What makes the work on an event panic.
const POISON: &str = "poison";
/// Whoever asks the provider holds it.
const LEASE: &str = "whoever asks";
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells of the checkout that the body names, and panics at poison.
struct Teller(EventAccount);

impl EventSource for Teller {
    fn account(&self) -> &EventAccount {
        &self.0
    }

    fn verify(&self, _: &http::HeaderMap, body: &[u8], _: Timestamp) -> Result<String, NotGenuine> {
        Ok(String::from_utf8_lossy(body).into_owned())
    }

    fn read(&self, body: &str) -> Result<Told, serde_json::Error> {
        assert_ne!(body, POISON, "as the test wants it");
        Ok(Told::Money(ToldMoney {
            about: About::Charge,
            reference: CheckoutId::parse(body).unwrap(),
            key: format!("{body}_1"),
            provider_reference: "ch_1".to_owned(),
            pending_as: None,
            reusable: None,
            amount: Amount::from_minor(1500),
            currency: Currency::parse("usd").unwrap(),
            word: Word::Moved,
        }))
    }
}

struct Site {
    store: Arc<SqlStore>,
    queue: Arc<MemoryQueue>,
    entropy: Arc<Entropy>,
    context: Arc<WorkerContext>,
    _folder: tempfile::TempDir,
}

impl Site {
    /// A store with a damaged checkout in it, and all that a worker needs.
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let (entropy, clock) = (Arc::new(Entropy::from_os()), Arc::new(SystemClock::default()));
        let store = Arc::new(SqlStore::open(&Secret::new(url.clone()), clock.clone(), Arc::clone(&entropy)).await.unwrap());
        store.migrate().await.unwrap();
        let raw = sqlx::SqlitePool::connect(&url).await.unwrap();
        let damaged = "INSERT INTO checkouts (id, scope, status, version, doc, amount_paid, amount_refunded, rescues, expires_at, created_at, updated_at) \
                       VALUES ($1, 'studio/test', 'succeeded', 1, '{', 1500, 0, 0, 1, 1, 1)";
        sqlx::query(damaged).bind(DAMAGED).execute(&raw).await.unwrap();
        raw.close().await;
        let queue = Arc::new(MemoryQueue::new());
        let config = Config::read(folder.path().to_owned(), &|_| None).unwrap();
        let account = EventAccount { provider: "sandbox", account: "test".to_owned(), mode: Mode::Test, tenant: None };
        let events = EventSources::default().with(Arc::new(Teller(account)));
        let limits = GuardLimits::within(config.lease, config.provider_timeout, config.provider_concurrency);
        let office = AccountOffice::new(store.clone(), None);
        let registry = ProviderRegistry::new(store.clone(), office, ProviderFactories::default(), limits, Providers::new(), events);
        let context = Arc::new(WorkerContext {
            store: store.clone(),
            queue: queue.clone(),
            seats: Arc::new(MemorySeats::default()),
            announcer: Arc::new(MemoryAnnouncer::new()),
            registry: Arc::new(registry),
            routes: Arc::new(SandboxOnly),
            sender: CallbackSender::new((&config).into(), Arc::clone(&entropy)).unwrap(),
            clock,
            entropy: Arc::clone(&entropy),
            settings: WorkerSettings::from(&config),
            direct_tries: WorkerContext::direct_tries(),
        });
        Self { store, queue, entropy, context, _folder: folder }
    }

    /// Keeps an event that was tried so often before.
    async fn keep(&self, body: &str, tries: u32) -> ProviderEventId {
        let id = ProviderEventId::generate(&self.entropy, SystemClock::default().now());
        let (provider, scope) = ("sandbox".to_owned(), Scope::new("test", Mode::Test).unwrap());
        let new = NewProviderEvent { id: id.clone(), provider, scope, event: id.to_string(), body: body.to_owned(), ignored: None };
        assert!(self.store.keep_event(new).await.unwrap());
        for _ in 0..tries {
            assert!(self.store.put_event_off(&id, Duration::from_secs(3600), "not yet").await.unwrap());
        }
        id
    }

    /// A place for 15.00 dollars, for which somebody asks the sandbox just now.
    async fn asked(&self) -> (CheckoutId, u32) {
        let scope = Scope::new("studio", Mode::Test).unwrap();
        let id = accept_a_place(&self.store, &self.entropy, &scope, "usd", "tok_visa", None).await;
        let begin = Begin {
            checkout: id.clone(),
            lease_token: LEASE.to_owned(),
            lease_for: PATIENCE,
            routing: to_the_sandbox(),
            key_window: Duration::from_secs(3600),
        };
        match self.store.begin(begin).await.unwrap() {
            BeginAnswer { next: Next::Act { n, .. }, .. } => (id, n),
            other => panic!("{other:?}"),
        }
    }

    /// The sandbox's answer to whoever asked.
    async fn answer(&self, checkout: &CheckoutId, n: u32) {
        let receipt = Receipt::of("ch_1".to_owned(), Amount::from_minor(1500), Currency::parse("usd").unwrap());
        let (checkout, lease_token, outcome) = (checkout.clone(), LEASE.to_owned(), Outcome::Approved(receipt));
        let (retry_in, routing) = (Duration::from_secs(60), to_the_sandbox());
        self.store
            .settle(Settlement { checkout, n, lease_token, outcome, retry_in, routing, is_last_look: false, known: None })
            .await
            .unwrap();
    }

    /// Hands events to a worker, and answers what has become of each when it has been worked on.
    async fn work(&self, ids: &[&ProviderEventId]) -> Vec<ProviderEvent> {
        let before = self.look(ids).await;
        let work = |id: &&ProviderEventId| Work {
            lane: Lane::Events,
            id: id.to_string(),
            scope: "test/test".to_owned(),
            enqueued_at: SystemClock::default().now(),
            wants: Vec::new(),
            trace: None,
        };
        for published in self.queue.publish(ids.iter().map(work).collect()).await {
            published.unwrap();
        }
        let worker = Worker::start(Arc::clone(&self.context)).await.unwrap();
        let is_worked_on = |before: &ProviderEvent, now: &ProviderEvent| (before.tries, before.status) != (now.tries, now.status);
        let worked = tokio::time::timeout(PATIENCE, async {
            loop {
                let now = self.look(ids).await;
                if before.iter().zip(&now).all(|(before, now)| is_worked_on(before, now)) {
                    return now;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let worked = worked.await.unwrap_or_else(|_| panic!("nothing was counted of one of them"));
        assert!(worker.drain().await);
        worked
    }

    async fn look(&self, ids: &[&ProviderEventId]) -> Vec<ProviderEvent> {
        let mut events = Vec::new();
        for id in ids {
            events.push(self.store.provider_event(id).await.unwrap().unwrap());
        }
        events
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_try_counts_also_where_the_checkouts_row_cannot_be_read_or_the_work_panics_and_others_are_worked_on() {
    let site = Site::open().await;
    let (damaged, poison, fine) = (site.keep(DAMAGED, 0).await, site.keep(POISON, 0).await, site.keep("chk_nobody", 0).await);
    let worked = site.work(&[&damaged, &poison, &fine]).await;
    let notes = ["our own row about it cannot be read", "the work on it panics"];
    for (event, note) in worked.iter().zip(notes) {
        assert_eq!((event.status, event.note.as_deref()), (EventStatus::Pending, Some(note)));
    }
    assert_eq!((worked[2].status, worked[2].note.as_deref()), (EventStatus::Ignored, Some("there is no such checkout")));
    assert_eq!(site.queue.dead_letters(10).await.unwrap().total, 0, "they wait for their next try, and for nothing else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_so_many_tries_a_person_has_to_look() {
    let site = Site::open().await;
    let (damaged, poison) = (site.keep(DAMAGED, MAX_TRIES).await, site.keep(POISON, MAX_TRIES).await);
    let worked = site.work(&[&damaged, &poison]).await;
    assert!(worked.iter().all(|event| event.status == EventStatus::NeedsReview), "{worked:?}");
    let mut shown: Vec<_> = site.store.events_to_review(10).await.unwrap().into_iter().map(|event| event.id).collect();
    shown.sort();
    assert_eq!(shown, [damaged, poison]);
    let rules: Vec<_> = site.store.audit(Duration::from_secs(60)).await.unwrap().into_iter().map(|breach| breach.rule).collect();
    assert_eq!(rules.iter().filter(|rule| *rule == "event_needs_review").count(), 2, "{rules:?}");
    // Nobody comes for them any more.
    assert_eq!(site.store.rescue(Lane::Events, Duration::ZERO, None, 10).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_the_provider_just_now_settles_it_by_its_answer_and_where_none_comes_the_event_does() {
    let site = Site::open().await;
    let ((answered, n), (silent, _)) = (site.asked().await, site.asked().await);
    let (known, moves) = (site.keep(answered.as_str(), 0).await, site.keep(silent.as_str(), 0).await);
    let answer = async {
        // The provider told of it before its answer came through.
        tokio::time::sleep(Duration::from_millis(150)).await;
        site.answer(&answered, n).await;
    };
    let ids = [&known, &moves];
    let (worked, ()) = tokio::join!(site.work(&ids), answer);
    let notes: Vec<_> = worked.iter().map(|event| (event.status, event.note.as_deref())).collect();
    assert_eq!(notes, [(EventStatus::Done, Some("known already")), (EventStatus::Done, Some("it moved its checkout"))]);
    for id in [&answered, &silent] {
        let told: Vec<String> = site.store.timeline(id).await.unwrap().into_iter().map(|entry| entry.what).collect();
        assert_eq!(site.store.checkout(id).await.unwrap().unwrap().status, Status::Succeeded, "{told:?}");
        assert_eq!(told.iter().filter(|what| *what == "charge.approved").count(), 1, "{told:?}");
    }
}
