//! A sale through Mollie: the customer confirms at the issuer's page, and an unsigned notice leads to the provider's own word.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use boxoffice_common::{
    adapters::{
        announce::MemoryAnnouncer,
        callback::sender::CallbackSender,
        mollie::{MOLLIE, MollieFactory, MollieTransport},
        provider_events::EventSources,
        provider_guard::GuardLimits,
        provider_registry::{AccountOffice, NewProviderAccount, ProviderFactories, ProviderRegistry},
        providers::Providers,
        queue::MemoryQueue,
        sealing::Sealer,
        seats::MemorySeats,
        sql::SqlStore,
    },
    config::Config,
    domain::{
        checkout::Checkout,
        difference::Difference,
        id::{CheckoutId, Entropy, ProviderAccountId, ProviderEventId},
        provider_account::{CredentialParts, ProviderKind},
        provider_book::BookRow,
        provider_event::{About, EventAccount, EventStatus},
        reconcile::{Moment, compare},
        scope::{Mode, Scope},
        secret::Secret,
        state::Status,
    },
    ports::{
        clock::{Clock, SystemClock},
        queue::{Lane, Queue, Work},
        store::{CheckoutStore, HintKept, NewProviderEvent, ProviderAccountStore, ProviderEventStore, UpkeepStore},
    },
};
use boxoffice_testkit::mollie::{Executed, Fault, Mollie, PaymentStatus, Which};
use boxoffice_worker::{Mended, Worker, WorkerContext, WorkerSettings, mend};
use std::{sync::Arc, time::Duration};
use support::accept_a_place;

const PATIENCE: Duration = Duration::from_secs(60);

struct Site {
    store: Arc<SqlStore>,
    queue: Arc<MemoryQueue>,
    entropy: Arc<Entropy>,
    mollie: Mollie,
    worker: Option<Worker>,
    context: Arc<WorkerContext>,
    scope: Scope,
    account: ProviderAccountId,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let (entropy, clock) = (Arc::new(Entropy::from_os()), Arc::new(SystemClock::default()));
        let store = Arc::new(SqlStore::open(&Secret::new(url), clock.clone(), Arc::clone(&entropy)).await.unwrap());
        store.migrate().await.unwrap();
        let mollie = Mollie::start().await.unwrap();
        let transport = MollieTransport::new(&format!("{}/", mollie.url())).unwrap();
        let sealer = Arc::new(Sealer::parse(&Sealer::generate_key().unwrap()).unwrap());
        let office = AccountOffice::new(store.clone(), Some(sealer));
        let scope = Scope::new("studio", Mode::Test).unwrap();
        let credentials = CredentialParts { api_key: Some(Secret::new(mollie.api_key().to_owned())), ..CredentialParts::default() };
        let new = NewProviderAccount { provider: ProviderKind::Mollie, name: "Mollie".to_owned(), enabled: true, credentials };
        let account = office.add(&scope, new, &entropy, clock.now()).await.unwrap().id;
        let limits = GuardLimits::within(Duration::from_secs(30), Duration::from_secs(5), 8);
        let factories = ProviderFactories::default().with(Arc::new(MollieFactory::new(transport, Duration::from_secs(5), None)));
        let registry = ProviderRegistry::new(store.clone(), office, factories, limits, Providers::new(), EventSources::default());
        let registry = Arc::new(registry);
        let queue = Arc::new(MemoryQueue::new());
        let config = Config::read(folder.path().to_owned(), &|_| None).unwrap();
        let context = Arc::new(WorkerContext {
            store: store.clone(),
            queue: queue.clone(),
            seats: Arc::new(MemorySeats::default()),
            announcer: Arc::new(MemoryAnnouncer::new()),
            routes: Arc::clone(&registry) as _,
            registry,
            sender: CallbackSender::new((&config).into(), Arc::clone(&entropy)).unwrap(),
            clock,
            entropy: Arc::clone(&entropy),
            settings: WorkerSettings::from(&config),
            direct_tries: WorkerContext::direct_tries(),
        });
        let worker = Worker::start(Arc::clone(&context)).await.unwrap();
        Self { store, queue, entropy, mollie, worker: Some(worker), context, scope, account, _folder: folder }
    }

    /// Nobody works any more; whether all that was in hand was finished.
    async fn stop(&mut self) -> bool {
        self.worker.take().unwrap().drain().await
    }

    /// Sells a place for 15.00 euros, and waits until the customer has to confirm.
    async fn sell(&self) -> Checkout {
        let id = accept_a_place(&self.store, &self.entropy, &self.scope, "eur", "tkn_3ds", Some("https://tickets.example")).await;
        self.hand_on(Lane::Checkouts, id.as_str()).await;
        self.until(&id, |checkout| checkout.status == Status::AwaitingPayment).await
    }

    async fn hand_on(&self, lane: Lane, id: &str) {
        let work = Work {
            lane,
            id: id.to_owned(),
            scope: self.scope.as_str().to_owned(),
            enqueued_at: SystemClock::default().now(),
            wants: Vec::new(),
            trace: None,
        };
        for published in self.queue.publish(vec![work]).await {
            published.unwrap();
        }
    }

    async fn until(&self, id: &CheckoutId, is_so: impl Fn(&Checkout) -> bool) -> Checkout {
        let found = async {
            loop {
                let checkout = self.store.checkout(id).await.unwrap().unwrap();
                if is_so(&checkout) {
                    return checkout;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap()
    }

    /// Keeps a notice about a payment, as the route does with what anybody may have sent.
    async fn notice(&self, payment: &str) -> (ProviderEventId, HintKept) {
        let id = ProviderEventId::generate(&self.entropy, SystemClock::default().now());
        let hint = NewProviderEvent {
            id: id.clone(),
            scope: Scope::new(self.account.as_str(), Mode::Test).unwrap(),
            provider: MOLLIE.to_owned(),
            event: payment.to_owned(),
            body: format!("id={payment}"),
            ignored: None,
        };
        let kept = self.store.keep_hint(hint, payment).await.unwrap();
        if kept == HintKept::Kept {
            self.hand_on(Lane::Events, id.as_str()).await;
        }
        (id, kept)
    }

    async fn ended(&self, id: &ProviderEventId) -> (EventStatus, String) {
        let found = async {
            loop {
                let event = self.store.provider_event(id).await.unwrap().unwrap();
                if event.status != EventStatus::Pending {
                    return (event.status, event.note.unwrap());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_anybody_may_have_sent_sells_only_what_mollie_itself_says_is_paid() {
    let mut site = Site::open().await;
    let checkout = site.sell().await;
    let payment = site.mollie.payments().remove(0).id;
    assert_eq!(checkout.attempts[0].provider_reference.as_deref(), Some(payment.as_str()));
    assert_eq!(checkout.payment_url, Some(format!("{}/checkout/{payment}", site.mollie.url())));
    // Nothing was paid yet, and no such payment was ever made.
    let (early, _) = site.notice(&payment).await;
    assert_eq!(site.ended(&early).await, (EventStatus::Done, "known already".to_owned()));
    let (made_up, _) = site.notice("tr_madeup").await;
    assert_eq!(site.ended(&made_up).await, (EventStatus::Ignored, "the provider knows of no such thing".to_owned()));
    assert_eq!(site.store.checkout(&checkout.id).await.unwrap().unwrap().status, Status::AwaitingPayment);
    // The same payment again, later: it is another event, and not swallowed as a twin of the first.
    assert!(site.mollie.moves(&payment, PaymentStatus::Paid));
    let (paid, kept) = site.notice(&payment).await;
    assert_eq!(kept, HintKept::Kept);
    assert_eq!(site.ended(&paid).await, (EventStatus::Done, "it moved its checkout".to_owned()));
    let sold = site.until(&checkout.id, |checkout| checkout.status == Status::Succeeded).await;
    assert_eq!(sold.amount_paid.minor(), 1500);
    let (again, _) = site.notice(&payment).await;
    assert_eq!(site.ended(&again).await, (EventStatus::Done, "known already".to_owned()));
    assert_eq!(site.mollie.payments().len(), 1);
    assert!(site.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_mollie_does_not_answer_a_notice_waits_and_changes_nothing() {
    let mut site = Site::open().await;
    let checkout = site.sell().await;
    let payment = site.mollie.payments().remove(0).id;
    site.mollie.faults(Which::Reads, [Fault::Status(500, Executed::No)]);
    assert!(site.mollie.moves(&payment, PaymentStatus::Paid));
    let (id, _) = site.notice(&payment).await;
    let waits = async {
        loop {
            let event = site.store.provider_event(&id).await.unwrap().unwrap();
            if event.tries > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.unwrap();
    // By its own next try, or because the pending payment is looked up.
    let sold = site.until(&checkout.id, |checkout| checkout.status == Status::Succeeded).await;
    assert_eq!((sold.amount_paid.minor(), site.mollie.payments().len()), (1500, 1));
    assert_eq!(site.ended(&id).await.0, EventStatus::Done);
    assert!(site.stop().await);
}

impl Site {
    /// The account as a comparison knows it, and what Mollie's book has of payments.
    async fn book(&self) -> (EventAccount, Vec<BookRow>) {
        let opened = self.context.registry.open(self.store.account(&self.account).await.unwrap().unwrap());
        let book = opened.book().unwrap();
        let since = SystemClock::default().now().before(Duration::from_secs(3600));
        (EventAccount::of(opened.account()), book.payments(since, None).await.unwrap().rows)
    }

    /// What differs between the one payment there and ours.
    async fn difference(&self, id: &CheckoutId) -> Option<(Difference, bool)> {
        let (account, rows) = self.book().await;
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        let checkout = self.store.checkout(id).await.unwrap().unwrap();
        let at = Moment { now: self.store.now().await.unwrap(), grace: Duration::ZERO };
        let compared = compare(row, About::Charge, &account, Some(&checkout), at);
        assert!(compared.is_ours, "{row:?}");
        compared.finding.map(|finding| (finding.difference, finding.can_be_mended && !finding.is_under_way))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_paid_at_mollie_while_nobody_worked_is_found_in_its_book_and_mended_once() {
    let mut site = Site::open().await;
    let id = site.sell().await.id;
    assert_eq!(site.difference(&id).await, None, "it waits on both sides");
    assert!(site.stop().await);
    let payment = site.mollie.payments().remove(0).id;
    assert!(site.mollie.moves(&payment, PaymentStatus::Paid));
    assert_eq!(site.difference(&id).await, Some((Difference::MissedPayment, true)));
    let (account, _) = site.book().await;
    let other = EventAccount { account: "pac_other".to_owned(), ..account.clone() };
    assert!(matches!(mend(&site.context, &other, &id, 1).await.unwrap(), Mended::Not(_)));
    // While Mollie does not answer nothing is mended.
    site.mollie.faults(Which::Reads, [Fault::Status(500, Executed::No)]);
    assert!(matches!(mend(&site.context, &account, &id, 1).await.unwrap(), Mended::Not(_)));
    assert_eq!(mend(&site.context, &account, &id, 1).await.unwrap(), Mended::Moved);
    let sold = site.store.checkout(&id).await.unwrap().unwrap();
    assert_eq!((sold.status, sold.amount_paid.minor()), (Status::Succeeded, 1500));
    assert_eq!(mend(&site.context, &account, &id, 1).await.unwrap(), Mended::Agrees);
    assert_eq!(site.store.checkout(&id).await.unwrap().unwrap().version, sold.version, "twice changes nothing");
    assert_eq!(site.difference(&id).await, None);
}
