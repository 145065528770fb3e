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
    ports::store::{CatalogueStore, MethodPut, PaymentMethodStore, PutMethod},
};
use serde_json::json;

/// A customer with a card, and a product that there is in kinds.
pub async fn fill(engine: &Engine, scope: &Scope) -> Result<(), Failure> {
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
