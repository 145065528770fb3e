//! A shop on a fresh store, with the few moves that the tests make of.

use boxoffice_common::{
    adapters::sql::SqlStore,
    domain::{
        attempt::{Decline, Outcome, Receipt},
        begin::Begin,
        catalogue::{Kind, PromoCode, Session},
        checkout::Checkout,
        customer::Customer,
        ends::Verdict,
        id::{BoughtMembershipId, CatalogueId, CheckoutId, CustomerId, Entropy, KeyId, LineId},
        membership::{MembershipType, Terms},
        money::{Amount, Currency},
        order::{Cover, Item, Leg, Line, Order, Tender, Totals},
        plan::Plan,
        plan_sale,
        pricing::Shelf,
        redeem,
        scope::{Mode, Scope},
        secret::Secret,
        settle::Settlement,
        span::{Span, Unit},
        time::Timestamp,
        view::{CheckoutView, QueueEstimate},
    },
    ports::{
        clock::{Clock, SystemClock},
        store::*,
    },
};
use std::{sync::Arc, time::Duration};

/// How long the tests' leases and key windows are; those that must end are ended by hand.
const LEASE: Duration = Duration::from_secs(30);
const WINDOW: Duration = Duration::from_secs(3600);

pub struct Shop {
    pub store: Arc<SqlStore>,
    pub scope: Scope,
    pub entropy: Arc<Entropy>,
    url: String,
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

    pub async fn customer(&self, id: &CustomerId) {
        self.store.put_customer(&self.scope, id, &customer("crm-1")).await.unwrap().unwrap();
    }

    // ---- checkouts

    fn new_checkout(&self, lines: Vec<Line>, tender: Tender) -> NewCheckout {
        let now = SystemClock::default().now();
        let total = lines.iter().fold(Amount::ZERO, |sum, line| sum.plus(line.amount).unwrap());
        let id = CheckoutId::generate(&self.entropy, now);
        NewCheckout {
            scope: self.scope.clone(),
            order: Order {
                customer: None,
                currency: Currency::parse("usd").unwrap(),
                lines,
                totals: Totals { subtotal: total, total, ..Totals::default() },
                promo_code: None,
                promo_uses_counted: false,
                legs: vec![Leg { amount: total, tender }],
                success_url: None,
                cancel_url: None,
                callback_url: None,
                callback_state: None,
                reference: None,
                metadata: serde_json::Map::new(),
            },
            customer: None,
            expires_in: Duration::from_secs(1800),
            idempotency: IdempotencyRow { route: "POST /v1/checkouts".to_owned(), key: id.to_string(), body_hash: "hash".to_owned() },
            queue: QueueEstimate { position: 0, estimated_wait_ms: 0 },
            id,
        }
    }

    fn line(&self, session: &CatalogueId, quantity: u32, seats: &[&str]) -> Line {
        let unit_amount = Amount::from_minor(1500);
        Line {
            id: LineId::generate(&self.entropy, SystemClock::default().now()),
            item: Item::Session {
                session: session.clone(),
                seats: seats.iter().map(|seat| (*seat).to_owned()).collect(),
                offer: None,
                participants: Vec::new(),
            },
            name: "Yoga".to_owned(),
            quantity,
            unit_amount,
            amount: unit_amount.times(quantity).unwrap(),
            discount_amount: Amount::ZERO,
            tax_amount: Amount::ZERO,
        }
    }

    pub fn buy(&self, session: &CatalogueId, quantity: u32) -> NewCheckout {
        self.new_checkout(vec![self.line(session, quantity, &[])], Tender::Card { token: Secret::new("tok_visa".to_owned()) })
    }

    pub fn buy_seats(&self, session: &CatalogueId, seats: &[&str]) -> NewCheckout {
        let line = self.line(session, u32::try_from(seats.len()).unwrap(), seats);
        self.new_checkout(vec![line], Tender::Card { token: Secret::new("tok_visa".to_owned()) })
    }

    pub fn buy_product(&self, product: &CatalogueId, quantity: u32) -> NewCheckout {
        let line = Line { item: Item::Product { product: product.clone(), variant: None }, ..self.line(product, quantity, &[]) };
        self.new_checkout(vec![line], Tender::Card { token: Secret::new("tok_visa".to_owned()) })
    }

    /// A pack of so many credits for the customer, by card.
    pub fn buy_pack(&self, customer: &CustomerId, credits: u32) -> NewCheckout {
        let pack = CatalogueId::parse("mem_pack").unwrap();
        let line = self.line(&pack, 1, &[]);
        let terms = Terms { kind: MembershipType::Pack, credits: Some(credits), valid_for: Some(Span { count: 1, unit: Unit::Month }) };
        let item = Item::Membership { membership: pack, bought_membership: BoughtMembershipId::sold_by(&line.id), terms, time_zone: None };
        let mut new = self.new_checkout(vec![Line { item, ..line }], Tender::Card { token: Secret::new("tok_visa".to_owned()) });
        new.order.customer = Some(customer.clone());
        new
    }

    /// A plan for the customer, by card: of 30 days, so that time can be moved by whole periods. What it gives are packs of eight credits.
    pub fn buy_plan(&self, customer: &CustomerId, changes: &serde_json::Value) -> NewCheckout {
        let mut plan =
            serde_json::json!({"name": "Monthly", "unit_amount": 4900, "currency": "usd", "interval": "day", "interval_count": 30});
        plan.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let plan: Plan = serde_json::from_value(plan).unwrap();
        let pack = serde_json::json!({"name": "Eight", "unit_amount": 0, "currency": "usd", "type": "pack", "credits": 8});
        let pack = (CatalogueId::parse("mem_pack").unwrap(), serde_json::from_value(pack).unwrap());
        let shelf = Shelf { memberships: [pack].into(), ..Shelf::default() };
        let id = CatalogueId::parse("pln_1").unwrap();
        let line = self.line(&id, 1, &[]);
        let sold = plan_sale::sell(&plan, &id, &line.id, &shelf, SystemClock::default().now()).unwrap();
        let line = Line { item: sold.item, name: plan.name, unit_amount: sold.due, amount: sold.due, ..line };
        let mut new = self.new_checkout(vec![line], Tender::Card { token: Secret::new("tok_visa".to_owned()) });
        new.order.customer = Some(customer.clone());
        new
    }

    /// A session that the pack pays for.
    pub async fn members_session(&self, id: &str, capacity: u32) -> CatalogueId {
        self.session_with(id, capacity, |session| session.compatible_memberships = vec![CatalogueId::parse("mem_pack").unwrap()]).await
    }

    /// So many places for the customer, of which credits pay for `places`, and cash for the rest.
    pub fn buy_with_credits(&self, session: &CatalogueId, quantity: u32, customer: &CustomerId, bought: &str, places: u32) -> NewCheckout {
        self.with_credits(self.buy_cash(session, quantity), customer, bought, places)
    }

    /// The same checkout, of which credits pay for `places`.
    pub fn with_credits(&self, mut new: NewCheckout, customer: &CustomerId, bought: &str, places: u32) -> NewCheckout {
        let line = &new.order.lines[0];
        let paid = redeem::price(line, 0, places).unwrap();
        let bought_membership = BoughtMembershipId::parse(bought).unwrap();
        let tender = Tender::Membership { bought_membership, covers: vec![Cover { line: line.id.clone(), places }] };
        let rest = new.order.totals.total.minus(paid).unwrap();
        let mut legs = vec![Leg { amount: paid, tender }];
        if let (false, Some(money)) = (rest.is_zero(), new.order.legs.pop()) {
            legs.push(Leg { amount: rest, ..money });
        }
        (new.order.legs, new.order.customer) = (legs, Some(customer.clone()));
        new
    }

    /// The same checkout for the customer, whose balance pays `minor` of it.
    pub fn with_balance(&self, mut new: NewCheckout, customer: &CustomerId, minor: i64) -> NewCheckout {
        let paid = Amount::from_minor(minor);
        let rest = new.order.totals.total.minus(paid).unwrap();
        let mut legs = vec![Leg { amount: paid, tender: Tender::Balance {} }];
        if let (false, Some(money)) = (rest.is_zero(), new.order.legs.pop()) {
            legs.push(Leg { amount: rest, ..money });
        }
        (new.order.legs, new.order.customer) = (legs, Some(customer.clone()));
        new
    }

    pub fn buy_cash(&self, session: &CatalogueId, quantity: u32) -> NewCheckout {
        self.new_checkout(vec![self.line(session, quantity, &[])], Tender::Custom { name: "cash".to_owned(), note: None })
    }

    pub fn buy_with_promo(&self, session: &CatalogueId, code: &CatalogueId) -> NewCheckout {
        let mut new = self.buy(session, 1);
        new.order.promo_code = Some(code.clone());
        new.order.promo_uses_counted = true;
        new
    }

    pub fn with_new_id(&self, new: &NewCheckout) -> NewCheckout {
        NewCheckout { id: CheckoutId::generate(&self.entropy, SystemClock::default().now()), ..new.clone() }
    }

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
        let begin =
            Begin { checkout: id.clone(), lease_token: token.to_owned(), lease_for: LEASE, provider: "sandbox".to_owned(), key_window };
        self.store.begin(begin).await
    }

    pub async fn begin_charge(&self, id: &CheckoutId) -> (u32, String) {
        match self.begin(id).await {
            (BeginAnswer { next: Next::Act { n, .. }, .. }, token) => (n, token),
            (other, _) => panic!("{other:?}"),
        }
    }

    pub async fn settle(&self, id: &CheckoutId, n: u32, token: &str, outcome: Outcome) -> Settled {
        self.try_settle(id, n, token, outcome).await.unwrap()
    }

    pub async fn try_settle(&self, id: &CheckoutId, n: u32, token: &str, outcome: Outcome) -> Result<Settled, StoreError> {
        let retry_in = Duration::from_secs(60);
        self.store.settle(Settlement { checkout: id.clone(), n, lease_token: token.to_owned(), outcome, retry_in, known: None }).await
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

    /// As if the provider's key window had passed without an answer.
    pub async fn exhaust_window(&self, id: &CheckoutId) {
        self.make_due(id).await;
        self.sql(&format!("UPDATE attempts SET created_at = 1 WHERE checkout = '{id}'")).await;
        self.try_begin(id, "last", Duration::from_secs(1)).await.unwrap();
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

    pub async fn assert_clean(&self) {
        assert_eq!(self.store.audit(Duration::from_secs(3600)).await.unwrap(), []);
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
    Outcome::Approved(Receipt { provider_reference: "ch_1".to_owned(), amount: Amount::from_minor(minor), currency })
}

pub fn declined() -> Outcome {
    Outcome::Declined(Decline { decline_code: "generic_decline".to_owned(), message: "declined".to_owned(), provider_reference: None })
}
