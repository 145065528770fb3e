//! What stories of a worker begin with.

use boxoffice_common::{
    adapters::sql::SqlStore,
    domain::{
        catalogue::Kind,
        id::{CatalogueId, CheckoutId, Entropy, LineId},
        leg::{Leg, Tender},
        line::{Item, Line},
        money::{Amount, Currency},
        order::{Order, Totals},
        scope::Scope,
        secret::Secret,
        view::QueueEstimate,
    },
    ports::{
        clock::{Clock, SystemClock},
        store::{Accepted, CatalogueStore, CheckoutStore, IdempotencyRow, NewCheckout},
    },
};
use std::time::Duration;

/// What a place costs, minor units.
pub const PRICE: i64 = 1500;

/// Takes a checkout of one place in, for [`PRICE`], to be paid by card.
pub async fn accept_a_place(
    store: &SqlStore,
    entropy: &Entropy,
    scope: &Scope,
    currency: &str,
    token: &str,
    origin: Option<&str>,
) -> CheckoutId {
    let session = CatalogueId::parse("yoga").unwrap();
    let doc = format!(
        r#"{{"name": "Yoga", "starts_at": "2099-01-01T10:00:00Z", "unit_amount": {PRICE}, "currency": "{currency}", "capacity": 5}}"#
    );
    store.put(scope, Kind::Session, &session, &doc, Some(5), None).await.unwrap();
    let (now, amount) = (SystemClock::default().now(), Amount::from_minor(PRICE));
    let line = Line {
        id: LineId::generate(entropy, now),
        item: Item::Session { session, seats: Vec::new(), offer: None, participants: Vec::new(), pricing_plan: None, class: None },
        name: "Yoga".to_owned(),
        quantity: 1,
        unit_amount: amount,
        amount,
        discount_amount: Amount::ZERO,
        tax_amount: Amount::ZERO,
    };
    let totals = Totals { subtotal: amount, total: amount, ..Totals::default() };
    let legs = vec![Leg { amount, tender: Tender::card(Secret::new(token.to_owned())) }];
    let order = Order { origin: origin.map(str::to_owned), ..Order::of(Currency::parse(currency).unwrap(), vec![line], totals, legs) };
    let id = CheckoutId::generate(entropy, now);
    let new = NewCheckout {
        id: id.clone(),
        scope: scope.clone(),
        order,
        customer: None,
        expires_in: Duration::from_secs(1800),
        idempotency: IdempotencyRow { route: "POST /v1/checkouts".to_owned(), key: id.to_string(), body_hash: "hash".to_owned() },
        queue: QueueEstimate { position: 0, estimated_wait_ms: 0 },
    };
    assert!(matches!(store.accept(new).await.unwrap(), Accepted::Created { .. }));
    id
}
