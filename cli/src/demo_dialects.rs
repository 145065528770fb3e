//! What the examples of docs/dialects.md name, so that each of them runs as it stands.

use crate::{
    demo::{invalid, put},
    exit::Failure,
    wire::Engine,
};
use boxoffice_common::{
    domain::{
        catalogue::Kind,
        id::{CustomerId, PaymentMethodId},
        payment_method::CardFace,
        scope::Scope,
        secret::Secret,
    },
    ports::{
        clock::Clock,
        store::{CatalogueStore, MethodPut, PaymentMethodStore, PutMethod},
    },
};
use serde_json::json;
use std::time::Duration;

const IN_A_MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// All that they name.
pub async fn fill(engine: &Engine, scope: &Scope) -> Result<(), Failure> {
    bokamera(engine, scope).await?;
    loop_payments(engine, scope).await
}

/// One article of each kind.
async fn bokamera(engine: &Engine, scope: &Scope) -> Result<(), Failure> {
    let starts_at = engine.clock.now().after(IN_A_MONTH);
    let haircut = json!({"name": "Haircut", "starts_at": starts_at, "capacity": 500, "unit_amount": 49500, "currency": "sek"});
    let cards = json!({"name": "Ten haircuts", "unit_amount": 395000, "currency": "sek", "type": "pack", "credits": 10});
    let shampoo = json!({"name": "Shampoo", "unit_amount": 12900, "currency": "sek"});
    put(engine, scope, Kind::Session, "41", &haircut.to_string(), Some(500), None).await?;
    put(engine, scope, Kind::Membership, "42", &cards.to_string(), None, None).await?;
    put(engine, scope, Kind::Product, "43", &shampoo.to_string(), None, None).await
}

/// A customer with a card, and a product that there is in kinds.
async fn loop_payments(engine: &Engine, scope: &Scope) -> Result<(), Failure> {
    let kinds = json!([{"id": "small", "name": "Small"}, {"id": "large", "name": "Large", "unit_amount": 2400}]);
    let shirt = json!({"name": "T-shirt", "unit_amount": 2200, "currency": "usd", "variants": kinds});
    put(engine, scope, Kind::Product, "prd_demo_shirt", &shirt.to_string(), None, None).await?;
    let grace = json!({"external_id": "member-77", "name": "Grace Hopper", "email": "grace@example.com"});
    let grace = serde_json::from_value(grace).map_err(invalid)?;
    let customer = CustomerId::parse("cus_demo_grace").map_err(invalid)?;
    if let Err(other) = engine.store.put_customer(scope, &customer, &grace).await? {
        // Of an older demo, say: everything else is there.
        tracing::warn!(%other, "another customer is called member-77; the examples of docs/dialects.md pay on the page");
        return Ok(());
    }
    let card = PutMethod {
        scope: scope.clone(),
        customer,
        id: PaymentMethodId::parse("pm_demo_grace").map_err(invalid)?,
        token: Secret::new("tok_visa".to_owned()),
        card: CardFace { brand: "visa".to_owned(), last4: "4242".to_owned(), exp_month: 12, exp_year: 2060 },
        is_default: true,
        is_shared: false,
    };
    match engine.store.put_method(&card).await? {
        MethodPut::Created(_) | MethodPut::Replaced(_) => Ok(()),
        other => Err(invalid(format!("Grace's card: {other:?}"))),
    }
}
