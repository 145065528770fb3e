//! What the examples for Momence's clients in docs/dialects.md name: all of it by numbers.

use crate::{
    demo::{invalid, put, put_session},
    exit::Failure,
    wire::Engine,
};
use boxoffice_common::{
    domain::{
        catalogue::Kind,
        id::{BoughtMembershipId, CatalogueId, CustomerId, PaymentMethodId},
        membership::MembershipType,
        payment_method::CardFace,
        scope::Scope,
        secret::Secret,
    },
    ports::{
        clock::Clock,
        store::{BoughtPut, CatalogueStore, MembershipStore, MethodPut, PaymentMethodStore, PutBought, PutMethod},
    },
};
use serde_json::json;
use std::time::Duration;

/// The pack that pays for the session.
const PACK: &str = "7";
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// A session, a pack, and a member who has one and a card.
pub async fn fill(engine: &Engine, scope: &Scope) -> Result<(), Failure> {
    let next_week = engine.clock.now().after(WEEK);
    let pilates = json!({"name": "Lunchtime pilates", "capacity": 30, "unit_amount": 1050, "currency": "usd", "starts_at": next_week, "compatible_memberships": [PACK]});
    put_session(engine, scope, "101", &serde_json::from_value(pilates).map_err(invalid)?).await?;
    let pack = json!({"name": "Five classes", "unit_amount": 4500, "currency": "usd", "type": "pack", "credits": 5});
    put(engine, scope, Kind::Membership, PACK, &pack.to_string(), None, None).await?;
    let member = json!({"external_id": "1001", "name": "Mary Somerville", "email": "mary@example.com"});
    let customer = CustomerId::parse("cus_demo_mary").map_err(invalid)?;
    if let Err(other) = engine.store.put_customer(scope, &customer, &serde_json::from_value(member).map_err(invalid)?).await? {
        // Of an older demo, say: everything else is there.
        tracing::warn!(%other, "another customer is called 1001; the examples for Momence's clients do not run");
        return Ok(());
    }
    let card = PutMethod {
        scope: scope.clone(),
        customer: customer.clone(),
        id: PaymentMethodId::parse("601").map_err(invalid)?,
        token: Secret::new("tok_visa".to_owned()),
        card: CardFace { brand: "visa".to_owned(), last4: "4242".to_owned(), exp_month: 12, exp_year: 2060 },
        is_default: true,
        is_shared: false,
    };
    match engine.store.put_method(&card).await? {
        MethodPut::Created(_) | MethodPut::Replaced(_) => give(engine, scope, customer).await,
        other => Err(invalid(format!("Mary's card: {other:?}"))),
    }
}

/// Mary's pack, unless she has it from before.
async fn give(engine: &Engine, scope: &Scope, customer: CustomerId) -> Result<(), Failure> {
    let id = BoughtMembershipId::parse("501").map_err(invalid)?;
    if engine.store.bought(scope, &customer, &id).await?.is_some() {
        return Ok(());
    }
    let given = PutBought {
        scope: scope.clone(),
        id,
        customer,
        membership: CatalogueId::parse(PACK).map_err(invalid)?,
        kind: MembershipType::Pack,
        credits: Some(5),
        valid_from: None,
        valid_until: None,
        metadata: serde_json::Map::new(),
    };
    match engine.store.put_bought(&given).await? {
        BoughtPut::Created(_) | BoughtPut::Replaced(_) => Ok(()),
        other => Err(invalid(format!("Mary's pack: {other:?}"))),
    }
}
