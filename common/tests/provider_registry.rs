//! The registry of payment providers: whose account is whose, what outlives a change, and where charges may go.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use async_trait::async_trait;
use boxoffice_common::{
    adapters::{
        provider_events::{EventSource, EventSources, NotGenuine},
        provider_guard::GuardLimits,
        provider_registry::*,
        providers::Providers,
        sealing::Sealer,
        sql::SqlStore,
    },
    domain::{
        attempt::{Attempt, AttemptKind, MoneyRequest, Outcome},
        id::{CheckoutId, Entropy, ProviderAccountId},
        money::{Amount, Currency},
        provider_account::{CircuitState, CredentialParts, Credentials, ProviderAccount, ProviderKind},
        provider_event::{EventAccount, Told},
        routing::{Method, Routing, RoutingRule, RoutingRules, Target},
        scope::{Mode, Scope},
        secret::Secret,
        time::Timestamp,
    },
    ports::{
        clock::{Clock, SystemClock},
        provider::{Capabilities, PaymentProvider},
        routes::Routes,
        store::{ProviderAccountStore, UpkeepStore},
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

const LIMITS_AT_ONCE: usize = 64;

/// Makes providers that say which key they were made with, and fail when they are told to.
#[derive(Default)]
struct Factory {
    fails: Arc<AtomicBool>,
    built: AtomicU32,
}

struct Fake {
    key: Secret<String>,
    account: EventAccount,
    fails: Arc<AtomicBool>,
}

struct Adapter(Arc<Fake>);

impl ProviderFactory for Factory {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Stripe
    }

    fn build(&self, account: &ProviderAccount, credentials: &Credentials) -> Result<Arc<dyn AccountAdapter>, NotBuilt> {
        self.built.fetch_add(1, Ordering::Relaxed);
        let (mode, tenant) = (account.scope.mode(), Some(account.scope.tenant().to_owned()));
        let account = EventAccount { provider: "stripe", account: account.id.to_string(), mode, tenant };
        Ok(Arc::new(Adapter(Arc::new(Fake { key: credentials.key().clone(), account, fails: Arc::clone(&self.fails) }))))
    }
}

#[async_trait]
impl AccountAdapter for Adapter {
    fn provider(&self) -> Arc<dyn PaymentProvider> {
        Arc::clone(&self.0) as _
    }

    fn events(&self) -> Arc<dyn EventSource> {
        Arc::clone(&self.0) as _
    }

    /// `…_of_acct_…` is whose key it is.
    async fn own_id(&self) -> Result<Option<String>, NotIdentified> {
        let key = self.0.key.reveal();
        if self.0.fails.load(Ordering::Relaxed) {
            return Err(NotIdentified("the connection was reset".to_owned()));
        }
        if key.contains("revoked") {
            return Err(NotIdentified("no such key".to_owned()));
        }
        Ok(key.split_once("_of_").map(|(_, account)| account.to_owned()))
    }
}

#[async_trait]
impl PaymentProvider for Fake {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { capture_later: true, void: true, refund: true, look_up: true, key_window: Duration::from_secs(3600) }
    }

    async fn send(&self, _: &MoneyRequest) -> Outcome {
        if self.fails.load(Ordering::Relaxed) {
            return Outcome::Unknown("the connection was reset".to_owned());
        }
        Outcome::Pending { provider_reference: self.key.reveal().clone() }
    }

    async fn look_up(&self, _: &Attempt) -> Outcome {
        Outcome::Unknown("not looked for".to_owned())
    }
}

impl EventSource for Fake {
    fn account(&self) -> &EventAccount {
        &self.account
    }

    fn verify(&self, _: &http::HeaderMap, _: &[u8], _: Timestamp) -> Result<String, NotGenuine> {
        Ok(self.key.reveal().clone())
    }

    fn read(&self, _: &str) -> Result<Told, serde_json::Error> {
        Ok(Told::Other)
    }
}

struct Site {
    store: Arc<SqlStore>,
    entropy: Arc<Entropy>,
    key: Secret<String>,
    scope: Scope,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = Secret::new(format!("sqlite://{}", folder.path().join("store.db").display()));
        let entropy = Arc::new(Entropy::from_os());
        let store = Arc::new(SqlStore::open(&url, Arc::new(SystemClock::default()), Arc::clone(&entropy)).await.unwrap());
        store.migrate().await.unwrap();
        let key = Sealer::generate_key().unwrap();
        Self { store, entropy, key, scope: Scope::new("studio", Mode::Test).unwrap(), _folder: folder }
    }

    /// A process's registry; its keys may be others.
    fn registry_with(&self, factory: &Arc<Factory>, key: Option<&str>) -> ProviderRegistry {
        let sealer = key.map(|key| Arc::new(Sealer::parse(&Secret::new(key.to_owned())).unwrap()));
        let office = AccountOffice::new(self.store.clone(), sealer);
        let factories = ProviderFactories::default().with(Arc::clone(factory) as _);
        let limits = GuardLimits::within(Duration::from_secs(30), Duration::from_secs(10), LIMITS_AT_ONCE);
        ProviderRegistry::new(self.store.clone(), office, factories, limits, Providers::new(), EventSources::default())
    }

    fn registry(&self, factory: &Arc<Factory>) -> ProviderRegistry {
        self.registry_with(factory, Some(self.key.reveal()))
    }

    async fn add(&self, registry: &ProviderRegistry, scope: &Scope, key: &str) -> ProviderAccountId {
        let credentials = parts(key, &[]);
        let new = NewProviderAccount { provider: ProviderKind::Stripe, name: "Main".to_owned(), enabled: true, credentials };
        let account = registry.office().add(scope, new, &self.entropy, SystemClock::default().now()).await.unwrap();
        registry.forget(scope, Some(&account.id));
        account.id
    }

    async fn change(&self, registry: &ProviderRegistry, id: &ProviderAccountId, edit: AccountEdit) {
        registry.office().change(&self.scope, id, edit).await.unwrap();
        registry.forget(&self.scope, Some(id));
    }
}

fn parts(key: &str, secrets: &[&str]) -> CredentialParts {
    let webhook_secrets = (!secrets.is_empty()).then(|| secrets.iter().map(|text| Secret::new((*text).to_owned())).collect());
    CredentialParts { secret_key: Some(Secret::new(key.to_owned())), webhook_secrets, ..CredentialParts::default() }
}

fn request(n: u32) -> MoneyRequest {
    let reference = CheckoutId::parse(format!("chk_{n}")).unwrap();
    MoneyRequest::new(AttemptKind::Charge, reference, 1, Amount::from_minor(100), Currency::USD)
}

/// With which key the account is charged.
async fn charged_with(registry: &ProviderRegistry, id: &ProviderAccountId, scope: &Scope) -> Option<String> {
    let provider = registry.provider("stripe", Some(id), scope).await.unwrap()?;
    match provider.send(&request(1)).await {
        Outcome::Pending { provider_reference } => Some(provider_reference),
        other => panic!("{other:?}"),
    }
}

const ONE: &str = "sk_test_the_first_0001";
const TWO: &str = "sk_test_the_second_0002";

#[tokio::test]
async fn an_account_is_its_scopes_alone_and_serves_its_attempts_when_it_is_disabled() {
    let (site, factory) = (Site::open().await, Arc::default());
    let registry = site.registry(&factory);
    let id = site.add(&registry, &site.scope, ONE).await;
    assert_eq!(charged_with(&registry, &id, &site.scope).await.as_deref(), Some(ONE));
    for other in [Scope::new("studio", Mode::Live).unwrap(), Scope::new("other", Mode::Test).unwrap()] {
        assert!(registry.provider("stripe", Some(&id), &other).await.unwrap().is_none(), "{other}");
    }
    assert!(registry.provider("mollie", Some(&id), &site.scope).await.unwrap().is_none());
    assert!(registry.provider("stripe", None, &site.scope).await.unwrap().is_none());
    let nobody = ProviderAccountId::parse("pac_nobody").unwrap();
    assert!(registry.provider("stripe", Some(&nobody), &site.scope).await.unwrap().is_none());
    assert_eq!(registry.routing(&site.scope).await.unwrap().candidates.len(), 2);
    site.change(&registry, &id, AccountEdit { enabled: Some(false), ..AccountEdit::default() }).await;
    assert_eq!(charged_with(&registry, &id, &site.scope).await.as_deref(), Some(ONE));
    let routing = registry.routing(&site.scope).await.unwrap();
    let left: Vec<_> = routing.candidates.iter().map(|left| (left.route.name(), left.is_named_only)).collect();
    assert_eq!(left, [("sandbox", true)], "no new charge goes there, nor to the sandbox in its place");
    assert_eq!(routing.key_window("stripe", Duration::MAX), ProviderKind::Stripe.key_window(), "what is open there goes on");
    assert_eq!(registry.sources(ProviderKind::Stripe).await.unwrap().len(), 1, "and its events are taken");
}

#[tokio::test]
async fn events_are_read_by_the_account_that_their_address_names() {
    let (site, factory) = (Site::open().await, Arc::default());
    let registry = site.registry(&factory);
    let (one, two) =
        (site.add(&registry, &site.scope, ONE).await, site.add(&registry, &Scope::new("other", Mode::Test).unwrap(), TWO).await);
    let source = registry.source("stripe", two.as_str()).await.unwrap().unwrap();
    assert_eq!((source.account().account.as_str(), source.account().tenant.as_deref()), (two.as_str(), Some("other")));
    for (provider, account) in [("mollie", one.as_str()), ("stripe", "pac_nobody"), ("stripe", "test"), ("stripe", ""), ("", one.as_str())]
    {
        assert!(registry.source(provider, account).await.unwrap().is_none(), "{provider} {account}");
    }
    let all = registry.sources(ProviderKind::Stripe).await.unwrap();
    assert_eq!(all.iter().map(|source| source.account().account.as_str()).collect::<Vec<_>>(), [one.as_str(), two.as_str()]);
}

#[tokio::test]
async fn charges_may_go_to_the_accounts_by_age_then_to_the_sandbox_and_with_a_live_key_never_to_that() {
    let (site, factory) = (Site::open().await, Arc::default());
    let registry = site.registry(&factory);
    let live = Scope::new("studio", Mode::Live).unwrap();
    let alone = registry.routing(&site.scope).await.unwrap();
    assert_eq!(alone.candidates, Routing::default().candidates);
    for kind in ProviderKind::ALL {
        assert_eq!(alone.key_window(kind.as_str(), Duration::MAX), kind.key_window(), "whatever accounts there are");
    }
    assert!(registry.routing(&live).await.unwrap().candidates.is_empty());
    let (one, two) = (site.add(&registry, &site.scope, ONE).await, site.add(&registry, &site.scope, TWO).await);
    let of_live = site.add(&registry, &live, "sk_live_the_third_0003").await;
    let target = Target { account: two.to_string(), weight: 1 };
    let rule = RoutingRule { currencies: Vec::new(), methods: vec![Method::Card], min_amount: None, max_amount: None, to: vec![target] };
    site.store.put_routing_rules(&site.scope, &RoutingRules { rules: vec![rule] }).await.unwrap();
    registry.forget(&site.scope, None);
    let routing = registry.routing(&site.scope).await.unwrap();
    let names: Vec<&str> = routing.candidates.iter().map(|candidate| candidate.route.name()).collect();
    assert_eq!((names, routing.rules.rules.len()), (vec![one.as_str(), two.as_str(), "sandbox"], 1));
    assert!(routing.candidates[2].is_named_only, "not for whoever has an account");
    assert_eq!(routing.key_window("stripe", Duration::MAX), ProviderKind::Stripe.key_window());
    assert_eq!(routing.key_window("sandbox", Duration::MAX), Duration::from_secs(24 * 3600));
    assert!(Arc::ptr_eq(&routing, &registry.routing(&site.scope).await.unwrap()), "the same one while nothing turns");
    let routing = registry.routing(&live).await.unwrap();
    assert_eq!(routing.candidates.iter().map(|candidate| candidate.route.name()).collect::<Vec<_>>(), [of_live.as_str()]);
}

#[tokio::test]
async fn what_is_known_of_how_an_account_does_outlives_all_changes_but_that_of_its_key() {
    let (site, factory) = (Site::open().await, Arc::<Factory>::default());
    let registry = site.registry(&factory);
    let (id, well) = (site.add(&registry, &site.scope, ONE).await, site.add(&registry, &site.scope, TWO).await);
    factory.fails.store(true, Ordering::Relaxed);
    let provider = registry.provider("stripe", Some(&id), &site.scope).await.unwrap().unwrap();
    for n in 0..40 {
        provider.send(&request(n)).await;
    }
    let states = async || {
        let routing = registry.routing(&site.scope).await.unwrap();
        [&id, &well].map(|id| routing.candidates.iter().find(|candidate| candidate.route.name() == id.as_str()).unwrap().is_failing)
    };
    assert_eq!(states().await, [true, false], "one account's failures are nobody else's");
    let seen = registry.seen().into_iter().find(|(account, _)| *account == id.as_str()).unwrap().1;
    assert_eq!((seen.circuit, seen.last_error.unwrap().0.as_str()), (CircuitState::Open, "the connection was reset"));
    factory.fails.store(false, Ordering::Relaxed);
    site.change(&registry, &id, AccountEdit { name: Some("Other".to_owned()), ..AccountEdit::default() }).await;
    assert_eq!((states().await, factory.built.load(Ordering::Relaxed)), ([true, false], 2));
    // Another webhook secret is built anew behind the same guard.
    let rotated = CredentialParts { webhook_secrets: parts(ONE, &["whsec_0123456789"]).webhook_secrets, ..CredentialParts::default() };
    site.change(&registry, &id, AccountEdit { credentials: Some(rotated), ..AccountEdit::default() }).await;
    assert_eq!((states().await, factory.built.load(Ordering::Relaxed)), ([true, false], 3));
    // Sealing anew changes nothing at all.
    let new = Sealer::generate_key().unwrap();
    let both = format!("{},{}", new.reveal(), site.key.reveal());
    let resealing = site.registry_with(&factory, Some(&both));
    assert_eq!(resealing.office().reseal().await.unwrap(), Resealed { done: 2, current: 0, left: 0 });
    assert_eq!(resealing.office().reseal().await.unwrap(), Resealed { done: 0, current: 2, left: 0 });
    let replaced = AccountEdit { credentials: Some(parts("sk_test_the_third_0003", &[])), ..AccountEdit::default() };
    resealing.office().change(&site.scope, &id, replaced).await.unwrap();
    let after = site.registry_with(&factory, Some(new.reveal()));
    assert_eq!(charged_with(&after, &id, &site.scope).await.as_deref(), Some("sk_test_the_third_0003"));
    assert!(charged_with(&after, &well, &site.scope).await.is_some());
}

#[tokio::test]
async fn a_new_key_is_a_new_account_as_far_as_its_circuit_goes() {
    let (site, factory) = (Site::open().await, Arc::<Factory>::default());
    let registry = site.registry(&factory);
    let id = site.add(&registry, &site.scope, ONE).await;
    factory.fails.store(true, Ordering::Relaxed);
    let provider = registry.provider("stripe", Some(&id), &site.scope).await.unwrap().unwrap();
    for n in 0..40 {
        provider.send(&request(n)).await;
    }
    factory.fails.store(false, Ordering::Relaxed);
    site.change(&registry, &id, AccountEdit { credentials: Some(parts(TWO, &[])), ..AccountEdit::default() }).await;
    assert_eq!(charged_with(&registry, &id, &site.scope).await.as_deref(), Some(TWO));
}

#[tokio::test]
async fn without_the_key_nothing_is_added_and_nothing_works_and_with_it_all_does_again() {
    let (site, factory) = (Site::open().await, Arc::default());
    let registry = site.registry(&factory);
    let id = site.add(&registry, &site.scope, ONE).await;
    let other = Sealer::generate_key().unwrap();
    for (key, words) in [(None, "no BOXOFFICE_SECRETS_KEY"), (Some(other.reveal().as_str()), "not in BOXOFFICE_SECRETS_KEY")] {
        let without = site.registry_with(&factory, key);
        assert!(without.provider("stripe", Some(&id), &site.scope).await.unwrap().is_none());
        assert!(without.source("stripe", id.as_str()).await.unwrap().is_none());
        let candidates = without.routing(&site.scope).await.unwrap().candidates.clone();
        assert_eq!(candidates.iter().map(|sandbox| (sandbox.route.name(), sandbox.is_named_only)).collect::<Vec<_>>(), [("sandbox", true)]);
        let accounts = without.accounts(&site.scope).await.unwrap();
        assert!(accounts[0].problem().unwrap().contains(words), "{:?}", accounts[0].problem());
        assert!(accounts[0].check().await.unwrap_err().mend.contains("BOXOFFICE_SECRETS_KEY"));
    }
    let without = site.registry_with(&factory, None);
    let new = NewProviderAccount { provider: ProviderKind::Stripe, name: "x".to_owned(), enabled: true, credentials: parts(TWO, &[]) };
    let now = SystemClock::default().now();
    assert_eq!(without.office().add(&site.scope, new, &site.entropy, now).await.unwrap_err(), AccountError::NoKey);
    let edit = AccountEdit { enabled: Some(false), ..AccountEdit::default() };
    assert!(!without.office().change(&site.scope, &id, edit).await.unwrap().enabled, "it can still be disabled");
    // Whoever has lost the key gives everything anew, and not only a part.
    let lost = site.registry_with(&factory, Some(other.reveal()));
    let part = CredentialParts { webhook_secrets: Some(Vec::new()), ..CredentialParts::default() };
    let edit = AccountEdit { credentials: Some(part), ..AccountEdit::default() };
    assert!(matches!(lost.office().change(&site.scope, &id, edit).await, Err(AccountError::NotOpened(_))));
    site.change(&lost, &id, AccountEdit { credentials: Some(parts(TWO, &[])), ..AccountEdit::default() }).await;
    assert_eq!(charged_with(&lost, &id, &site.scope).await.as_deref(), Some(TWO));
}

#[tokio::test]
async fn whoever_has_lost_the_sealing_key_loses_no_secret_of_the_account_without_being_told() {
    let (site, factory) = (Site::open().await, Arc::default());
    let registry = site.registry(&factory);
    let (secret, browsers) = ("whsec_0123456789abcdef", "pk_test_the_first_0001");
    let credentials = CredentialParts { publishable_key: Some(browsers.to_owned()), ..parts(ONE, &[secret]) };
    let new = NewProviderAccount { provider: ProviderKind::Stripe, name: "Main".to_owned(), enabled: true, credentials };
    let id = registry.office().add(&site.scope, new, &site.entropy, SystemClock::default().now()).await.unwrap().id;
    let other = Sealer::generate_key().unwrap();
    let lost = site.registry_with(&factory, Some(other.reveal()));
    let with = |credentials| AccountEdit { credentials: Some(credentials), ..AccountEdit::default() };
    // The secrets of its events were not given: they cannot stay, and are not to vanish.
    let refused = lost.office().change(&site.scope, &id, with(parts(TWO, &[]))).await;
    assert!(matches!(refused, Err(AccountError::NotOpened(_))), "{refused:?}");
    let changed = lost.office().change(&site.scope, &id, with(parts(TWO, &[secret]))).await.unwrap();
    assert_eq!((changed.hints.webhook_secrets, changed.hints.publishable_key.as_deref()), (1, Some(browsers)), "what is no secret stays");
}

#[tokio::test]
async fn a_row_that_was_copied_to_another_tenant_does_not_open_there() {
    let (site, factory) = (Site::open().await, Arc::default());
    let registry = site.registry(&factory);
    let id = site.add(&registry, &site.scope, ONE).await;
    let stored = site.store.account(&id).await.unwrap().unwrap();
    let thief = Scope::new("thief", Mode::Test).unwrap();
    let mut copied = stored.clone();
    copied.account.scope = thief;
    assert!(registry.office().open(&stored).is_ok() && registry.office().open(&copied).is_err());
    let mut live = stored;
    live.account.scope = Scope::new("studio", Mode::Live).unwrap();
    assert!(registry.office().open(&live).is_err());
}

/// An account of which it was never told whose it is, since its provider could not be asked.
async fn whose_it_is_is_learnt_where_nobody_could_tell(site: &Site, office: &AccountOffice, factory: &Factory, known: ProviderAccount) {
    let stored = async |id: &ProviderAccountId| site.store.account(id).await.unwrap().unwrap();
    assert_eq!(office.learn(&stored(&known.id).await).await.unwrap(), None, "it is known");
    assert_eq!(stored(&known.id).await.account, known, "and nothing was changed");
    factory.fails.store(true, Ordering::Relaxed);
    let credentials = parts("sk_test_late_of_acct_3", &["whsec_0123456789"]);
    let new = NewProviderAccount { provider: ProviderKind::Stripe, name: "Late".to_owned(), enabled: true, credentials };
    let late = office.add(&site.scope, new, &site.entropy, SystemClock::default().now()).await.unwrap();
    let before = stored(&late.id).await;
    assert_eq!(office.learn(&before).await.unwrap(), None, "it cannot be asked yet");
    factory.fails.store(false, Ordering::Relaxed);
    let edit = AccountEdit { name: Some("Later".to_owned()), ..AccountEdit::default() };
    office.change(&site.scope, &late.id, edit).await.unwrap();
    assert_eq!(office.learn(&before).await.unwrap(), None, "somebody has changed it meanwhile");
    let before = stored(&late.id).await;
    assert_eq!(office.learn(&before).await.unwrap().as_deref(), Some("acct_3"));
    let after = stored(&late.id).await;
    assert_eq!((after.account.hints.account.as_deref(), after.account.name.as_str()), (Some("acct_3"), "Later"));
    assert_eq!((after.account.hints.webhook_secrets, &after.account.hints.key), (1, &late.hints.key));
    assert_eq!(after.sealed, before.sealed, "its keys stay as they are");
    let edit = AccountEdit { credentials: Some(parts("sk_test_two_of_acct_2", &[])), ..AccountEdit::default() };
    assert!(matches!(office.change(&site.scope, &late.id, edit).await, Err(AccountError::OtherAccount { .. })));
}

#[tokio::test]
async fn keys_of_another_account_of_the_same_provider_are_refused() {
    const OURS: &str = "sk_test_one_of_acct_1";
    let (site, factory) = (Site::open().await, Arc::<Factory>::default());
    let registry = site.registry(&factory);
    let office = registry.office().clone().asking(ProviderFactories::default().with(Arc::clone(&factory) as _));
    let now = SystemClock::default().now();
    let add = async |key: &str| {
        let credentials = parts(key, &[]);
        let new = NewProviderAccount { provider: ProviderKind::Stripe, name: "Main".to_owned(), enabled: true, credentials };
        office.add(&site.scope, new, &site.entropy, now).await.unwrap()
    };
    let set = async |id: &ProviderAccountId, key: &str| {
        let edit = AccountEdit { credentials: Some(parts(key, &[])), ..AccountEdit::default() };
        office.change(&site.scope, id, edit).await.map(|account| account.hints.account)
    };
    let ours = add(OURS).await;
    assert_eq!(ours.hints.account.as_deref(), Some("acct_1"));
    let other = AccountError::OtherAccount { known: "acct_1".to_owned(), new: "acct_2".to_owned() };
    assert_eq!(set(&ours.id, "sk_test_two_of_acct_2").await, Err(other.clone()));
    assert!(matches!(set(&ours.id, "sk_test_revoked_0001").await, Err(AccountError::NotIdentified(_))));
    factory.fails.store(true, Ordering::Relaxed);
    assert!(matches!(set(&ours.id, "sk_test_new_of_acct_1").await, Err(AccountError::NotIdentified(_))));
    // What is not about the key asks nobody.
    let part = CredentialParts { webhook_secrets: parts(OURS, &["whsec_0123456789"]).webhook_secrets, ..CredentialParts::default() };
    let edit = AccountEdit { credentials: Some(part), ..AccountEdit::default() };
    assert_eq!(office.change(&site.scope, &ours.id, edit).await.unwrap().hints.account.as_deref(), Some("acct_1"));
    let unknown = add(OURS).await;
    assert_eq!(unknown.hints.account, None, "the provider could not be asked");
    factory.fails.store(false, Ordering::Relaxed);
    assert_eq!(set(&ours.id, "sk_test_new_of_acct_1").await.unwrap().as_deref(), Some("acct_1"));
    assert_eq!(charged_with(&registry, &ours.id, &site.scope).await.as_deref(), Some("sk_test_new_of_acct_1"));
    assert_eq!(set(&unknown.id, "sk_test_two_of_acct_2").await, Err(other), "its keys before tell whose it is");
    whose_it_is_is_learnt_where_nobody_could_tell(&site, &office, &factory, add(OURS).await).await;
    // Keys that never worked have nothing open anywhere.
    let mistyped = add("sk_test_revoked_0002").await;
    assert_eq!(set(&mistyped.id, "sk_test_two_of_acct_2").await.unwrap().as_deref(), Some("acct_2"));
    // Whoever has lost the sealing key cannot come with another account's either.
    let sealer = Sealer::parse(&Sealer::generate_key().unwrap()).unwrap();
    let lost = AccountOffice::new(site.store.clone(), Some(Arc::new(sealer))).asking(ProviderFactories::default().with(factory as _));
    let edit = AccountEdit { credentials: Some(parts("sk_test_two_of_acct_2", &["whsec_0123456789"])), ..AccountEdit::default() };
    assert!(matches!(lost.change(&site.scope, &ours.id, edit).await, Err(AccountError::OtherAccount { .. })));
}
