//! Customers by the names that the clients of other APIs have for them.

use crate::{context::ApiContext, problem::Problem};
use boxoffice_common::domain::{customer::Customer, id::CustomerId, scope::Scope};

/// How our own ids of customers begin.
const OURS: &str = "cus_";

/// Who is called so: by the client's own name (`external_id`), or else by an id of ours.
pub(super) async fn find(ctx: &ApiContext, scope: &Scope, name: &str) -> Result<Option<Customer>, Problem> {
    // Only what looks like an id of ours: a new customer of theirs must not be taken for an old one of somebody's.
    let ours: Vec<CustomerId> = CustomerId::parse(name).into_iter().filter(|id| id.as_str().starts_with(OURS)).collect();
    let mut known = ctx.store().customers_by_name(scope, &ours, &[name.to_owned()]).await?;
    // The client's own name goes before one of ours that happens to be the same.
    let named = known.iter().position(|customer| customer.external_id.as_deref() == Some(name)).unwrap_or(0);
    Ok(if named < known.len() { Some(known.swap_remove(named)) } else { None })
}

/// What the client calls a customer: by the name that it gave him itself, if it did.
pub(super) async fn name_of(ctx: &ApiContext, scope: &Scope, id: &CustomerId) -> Result<String, Problem> {
    let customer = ctx.store().customer(scope, id).await?;
    Ok(customer.and_then(|customer| customer.external_id).unwrap_or_else(|| id.to_string()))
}
