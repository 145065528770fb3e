//! What the example of ClassManager's API in docs/dialects.md names: a family, a class, and a morning of it.

use crate::{
    demo::{invalid, put},
    exit::Failure,
    wire::Engine,
};
use boxoffice_common::{
    domain::{catalogue::Kind, id::CustomerId, scope::Scope},
    ports::store::CatalogueStore,
};
use serde_json::json;

/// Places in the class, and in its morning.
const PLACES: u32 = 1_000;

/// A student, a class with a price for the term, and an occurrence to try it.
pub async fn fill(engine: &Engine, scope: &Scope) -> Result<(), Failure> {
    let term = json!([{"id": "pp_demo_term", "name": "Whole term", "unit_amount": 12_000}]);
    let class = json!({
        "name": "Ballet", "starts_at": "2060-08-16T09:00:00Z", "capacity": PLACES, "unit_amount": 1_500, "currency": "usd", "pricing_plans": term
    });
    put(engine, scope, Kind::Session, "cls_demo_ballet", &class.to_string(), Some(PLACES), None).await?;
    let morning = json!({
        "name": "Ballet, a morning to try it", "class": "cls_demo_ballet", "starts_at": "2060-08-20T09:00:00Z", "capacity": PLACES,
        "unit_amount": 500, "currency": "usd"
    });
    put(engine, scope, Kind::Session, "ses_demo_ballet_trial", &morning.to_string(), Some(PLACES), None).await?;
    let student = json!({"external_id": "stu_demo", "name": "Harry Potter", "family": "fml_demo"});
    let student = serde_json::from_value(student).map_err(invalid)?;
    let customer = CustomerId::parse("cus_demo_harry").map_err(invalid)?;
    if let Err(other) = engine.store.put_customer(scope, &customer, &student).await? {
        // Of an older demo, say.
        tracing::warn!(%other, "another customer is called stu_demo; the example of ClassManager's API is refused");
    }
    Ok(())
}
