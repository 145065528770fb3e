//! A shop on a fresh store, with the few moves that the tests make of.

use boxoffice_common::{
    adapters::sql::SqlStore,
    domain::{
        attempt::{Decline, Outcome, Receipt},
        begin::{Action, Begin},
        catalogue::{Kind, PromoCode, Session},
        checkout::Checkout,
        customer::Customer,
        ends::Verdict,
        id::{CatalogueId, CheckoutId, CustomerId, Entropy, KeyId},
        money::{Amount, Currency},
        scope::{Mode, Scope},
        secret::Secret,
        settle::Settlement,
        time::Timestamp,
        view::CheckoutView,
    },
    ports::{clock::SystemClock, store::*},
};
use std::{sync::Arc, time::Duration};

/// How long the tests' leases and key windows are; those that must end are ended by hand.
const LEASE: Duration = Duration::from_secs(30);
const WINDOW: Duration = Duration::from_secs(3600);
/// What the audit calls stuck.
const STUCK: Duration = Duration::from_secs(3600);

pub struct Shop {
    pub store: Arc<SqlStore>,
    pub scope: Scope,
    pub entropy: Arc<Entropy>,
    pub url: String,
    raw: sqlx::AnyPool,
    _folder: Option<tempfile::TempDir>,
}

impl Shop {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        Self::open(url.clone(), &url, Some(folder)).await
    }

    pub async fn postgres() -> Self {
        let url = boxoffice_testkit::servers::shared::postgres_url().await.unwrap();
        Self::open(url.clone(), &url, None).await
    }

    /// `raw` reaches the database itself where `url` goes through a proxy.
    pub async fn open(url: String, raw: &str, folder: Option<tempfile::TempDir>) -> Self {
        let entropy = Arc::new(Entropy::from_os());
        let store = SqlStore::open(&Secret::new(url.clone()), Arc::new(SystemClock::default()), Arc::clone(&entropy)).await.unwrap();
        store.migrate().await.unwrap();
        sqlx::any::install_default_drivers();
        let raw = sqlx::any::AnyPoolOptions::new().max_connections(1).connect(raw).await.unwrap();
        Self { store: Arc::new(store), scope: Scope::new("studio", Mode::Test).unwrap(), entropy, url, raw, _folder: folder }
    }

    pub fn other_scope(&self) -> Scope {
        Scope::new("studio", Mode::Live).unwrap()
    }

    // ---- catalogue

    pub async fn session(&self, id: &str, capacity: u32) -> CatalogueId {
        self.session_with(id, capacity, |_| {}).await
    }

    pub async fn session_with(&self, id: &str, capacity: u32, change: impl FnOnce(&mut Session)) -> CatalogueId {
        let mut session = yoga();
        session.capacity = Some(capacity);
        change(&mut session);
        self.put(id, Kind::Session, &serde_json::to_string(&session).unwrap(), Some(capacity), None).await
    }

    pub async fn seated(&self, id: &str, seats: &[&str]) -> CatalogueId {
        let seats: Vec<String> = seats.iter().map(|seat| (*seat).to_owned()).collect();
        let session = Session { seats: Some(seats.clone()), ..yoga() };
        let count = u32::try_from(seats.len()).unwrap();
        self.put(id, Kind::Session, &serde_json::to_string(&session).unwrap(), Some(count), Some(&seats)).await
    }

    pub async fn promo(&self, id: &str, uses: u32) -> CatalogueId {
        let promo: PromoCode = serde_json::from_value(serde_json::json!({"percent_off_bp": 1000, "max_uses": uses})).unwrap();
        self.put(id, Kind::PromoCode, &serde_json::to_string(&promo).unwrap(), Some(uses), None).await
    }

    pub async fn product(&self, id: &str, stock: Option<u32>) -> CatalogueId {
        let product = serde_json::json!({"name": "Mat", "unit_amount": 2500, "currency": "usd", "stock": stock});
        self.put(id, Kind::Product, &product.to_string(), stock, None).await
    }

    async fn put(&self, id: &str, kind: Kind, doc: &str, capacity: Option<u32>, seats: Option<&[String]>) -> CatalogueId {
        let id = CatalogueId::parse(id).unwrap();
        let put = self.store.put(&self.scope, kind, &id, doc, capacity, seats).await.unwrap();
        assert!(matches!(put, Put::Created(_)), "{put:?}");
        id
    }

    pub async fn put_capacity(&self, id: &CatalogueId, capacity: u32) -> Put {
        let session = Session { capacity: Some(capacity), ..yoga() };
        let doc = serde_json::to_string(&session).unwrap();
        self.store.put(&self.scope, Kind::Session, id, &doc, Some(capacity), None).await.unwrap()
    }

    /// The same for a session that the pack pays for.
    pub async fn put_members_session(&self, id: &CatalogueId, capacity: u32) -> Put {
        let compatible_memberships = vec![CatalogueId::parse("mem_pack").unwrap()];
        let session = Session { capacity: Some(capacity), compatible_memberships, ..yoga() };
        let doc = serde_json::to_string(&session).unwrap();
        self.store.put(&self.scope, Kind::Session, id, &doc, Some(capacity), None).await.unwrap()
    }

    /// A session that the pack pays for.
    pub async fn members_session(&self, id: &str, capacity: u32) -> CatalogueId {
        self.session_with(id, capacity, |session| session.compatible_memberships = vec![CatalogueId::parse("mem_pack").unwrap()]).await
    }

    pub async fn customer(&self, id: &CustomerId) {
        self.store.put_customer(&self.scope, id, &customer("crm-1")).await.unwrap().unwrap();
    }

    // ---- checkouts

    pub async fn accept(&self, new: NewCheckout) -> CheckoutId {
        let id = new.id.clone();
        let accepted = self.store.accept(new).await.unwrap();
        assert!(matches!(accepted, Accepted::Created { .. }), "{accepted:?}");
        id
    }

    pub async fn begin(&self, id: &CheckoutId) -> (BeginAnswer, String) {
        let token = format!("{:016x}", self.entropy.next_u64());
        (self.try_begin(id, &token, WINDOW).await.unwrap(), token)
    }

    pub async fn try_begin(&self, id: &CheckoutId, token: &str, key_window: Duration) -> Result<BeginAnswer, StoreError> {
        let begin = Begin {
            checkout: id.clone(),
            lease_token: token.to_owned(),
            lease_for: LEASE,
            routing: boxoffice_common::domain::routing::to_the_sandbox(),
            key_window,
        };
        self.store.begin(begin).await
    }

    pub async fn begin_charge(&self, id: &CheckoutId) -> (u32, String) {
        match self.begin(id).await {
            (BeginAnswer { next: Next::Act { n, .. }, .. }, token) => (n, token),
            (other, _) => panic!("{other:?}"),
        }
    }

    /// A sale by card that was paid.
    pub async fn sold(&self, new: NewCheckout) -> CheckoutId {
        let total = new.order.totals.total.minor();
        let id = self.accept(new).await;
        let (n, token) = self.begin_charge(&id).await;
        self.settle(&id, n, &token, approved(total)).await;
        id
    }

    pub async fn settle(&self, id: &CheckoutId, n: u32, token: &str, outcome: Outcome) -> Settled {
        self.try_settle(id, n, token, outcome).await.unwrap()
    }

    pub async fn try_settle(&self, id: &CheckoutId, n: u32, token: &str, outcome: Outcome) -> Result<Settled, StoreError> {
        self.settle_look(id, n, token, outcome, false).await
    }

    /// What came of a look, or of a send.
    async fn settle_look(&self, id: &CheckoutId, n: u32, token: &str, outcome: Outcome, is_last_look: bool) -> Result<Settled, StoreError> {
        let retry_in = Duration::from_secs(60);
        self.store
            .settle(Settlement {
                checkout: id.clone(),
                n,
                lease_token: token.to_owned(),
                outcome,
                retry_in,
                routing: boxoffice_common::domain::routing::to_the_sandbox(),
                is_last_look,
                known: None,
            })
            .await
    }

    /// An operator decides, for the first time.
    pub async fn resolve(&self, id: &CheckoutId, verdict: Verdict, note: &str) -> Moved {
        match self.store.resolve(&self.scope, id, verdict, note).await.unwrap() {
            ResolveResult::Resolved(moved) => moved,
            other => panic!("{other:?}"),
        }
    }

    pub async fn checkout(&self, id: &CheckoutId) -> Checkout {
        self.store.checkout(id).await.unwrap().unwrap()
    }

    pub async fn view(&self, id: &CheckoutId) -> serde_json::Value {
        serde_json::to_value(CheckoutView::new(&self.checkout(id).await, None)).unwrap()
    }

    // ---- time, and what only a test may do

    pub async fn wait_until_past(&self, at: Timestamp) {
        while self.store.now().await.unwrap() <= at {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// As if the worker had died long ago.
    pub async fn let_lease_end(&self, id: &CheckoutId) {
        self.sql(&format!("UPDATE attempts SET lease_until = 1 WHERE checkout = '{id}' AND lease_until IS NOT NULL")).await;
        self.make_due(id).await;
    }

    pub async fn make_due(&self, id: &CheckoutId) {
        self.sql(&format!("UPDATE checkouts SET due_at = 1 WHERE id = '{id}' AND due_at IS NOT NULL")).await;
    }

    /// As if the provider's key window had passed without an answer, and the last look had found nothing.
    pub async fn exhaust_window(&self, id: &CheckoutId) {
        self.make_due(id).await;
        self.sql(&format!("UPDATE attempts SET created_at = 1 WHERE checkout = '{id}'")).await;
        let answer = self.try_begin(id, "last", Duration::from_secs(1)).await.unwrap();
        let Next::Act { n, action: Action::LastLook, .. } = answer.next else { panic!("{answer:?}") };
        self.settle_look(id, n, "last", Outcome::Unknown("not found".to_owned()), true).await.unwrap();
    }

    pub async fn break_counter(&self, id: &CatalogueId) {
        self.sql(&format!("UPDATE inventory SET taken = taken + 1 WHERE id = '{id}'")).await;
    }

    /// Another process on the same store.
    pub async fn another_store(&self) -> SqlStore {
        SqlStore::open(&Secret::new(self.url.clone()), Arc::new(SystemClock::default()), Arc::new(Entropy::from_os())).await.unwrap()
    }

    /// Several statements on the tests' own connection; a transaction stays open until it is told otherwise.
    pub async fn script(&self, sql: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&self.raw).await.unwrap();
    }

    pub async fn wait_until_somebody_waits_for_a_lock(&self) {
        let waiting = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&self.raw).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// How many transactions of this database lost a deadlock so far.
    pub async fn deadlocks(&self) -> i64 {
        let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.raw).await.unwrap()
    }

    pub async fn sql(&self, sql: &str) {
        sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(&self.raw).await.unwrap();
    }

    /// The one text column of each row.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_all(&self.raw).await.unwrap()
    }

    /// The rules that the audit finds broken.
    pub async fn broken(&self) -> Vec<String> {
        self.store.audit(STUCK).await.unwrap().into_iter().map(|breach| breach.rule).collect()
    }

    pub async fn assert_clean(&self) {
        assert_eq!(self.store.audit(STUCK).await.unwrap(), []);
    }
}

fn yoga() -> Session {
    serde_json::from_value(serde_json::json!({
        "name": "Yoga", "starts_at": "2099-01-01T10:00:00Z", "unit_amount": 1500, "currency": "usd"
    }))
    .unwrap()
}

pub fn customer(external: &str) -> Customer {
    serde_json::from_value(serde_json::json!({"external_id": external, "email": format!("{external}@shop.example")})).unwrap()
}

pub fn api_key(scope: &Scope) -> ApiKey {
    ApiKey {
        id: KeyId::parse("key_1").unwrap(),
        scope: scope.clone(),
        scopes: vec!["admin".to_owned()],
        hint: "bo_test_ab".to_owned(),
        created_at: Timestamp::from_millis(1),
        revoked_at: None,
    }
}

pub fn page(limit: u32) -> PageRequest {
    PageRequest { limit, after: None }
}

pub fn approved(minor: i64) -> Outcome {
    let currency = Currency::parse("usd").unwrap();
    Outcome::Approved(Receipt::of("ch_1".to_owned(), Amount::from_minor(minor), currency))
}

pub fn declined() -> Outcome {
    Outcome::Declined(Decline::new("generic_decline".to_owned(), "declined".to_owned(), None))
}
