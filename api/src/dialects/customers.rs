//! Customers by the names that the clients of other APIs have for them.

use crate::{context::ApiContext, problem::Problem};
use boxoffice_common::domain::{customer::Customer, id::CustomerId, scope::Scope};
use std::collections::HashMap;

/// How our own ids of customers begin.
const OURS: &str = "cus_";

/// Who is called so: by the client's own name (`external_id`), or else by an id of ours.
pub(super) async fn find(ctx: &ApiContext, scope: &Scope, name: &str) -> Result<Option<Customer>, Problem> {
    Ok(find_all(ctx, scope, &[name.to_owned()]).await?.remove(name))
}

/// The same of many names at once: those who are there.
pub(super) async fn find_all(ctx: &ApiContext, scope: &Scope, names: &[String]) -> Result<HashMap<String, Customer>, Problem> {
    // Only what looks like an id of ours: a new customer of theirs must not be taken for an old one of somebody's.
    let ours = names.iter().filter(|name| name.starts_with(OURS)).filter_map(|name| CustomerId::parse(name.as_str()).ok());
    let known = ctx.store().customers_by_name(scope, &ours.collect::<Vec<_>>(), names).await?;
    let called = |name: &String| {
        // The client's own name goes before one of ours that happens to be the same.
        let named = known.iter().find(|customer| customer.external_id.as_ref() == Some(name));
        let is_ours = |customer: &&Customer| customer.id.as_ref().is_some_and(|id| id.as_str() == name && name.starts_with(OURS));
        Some((name.clone(), named.or_else(|| known.iter().find(is_ours))?.clone()))
    };
    Ok(names.iter().filter_map(called).collect())
}

/// What the client calls a customer: by the name that it gave him itself, if it did.
pub(super) async fn name_of(ctx: &ApiContext, scope: &Scope, id: &CustomerId) -> Result<String, Problem> {
    let customer = ctx.store().customer(scope, id).await?;
    Ok(customer.and_then(|customer| customer.external_id).unwrap_or_else(|| id.to_string()))
}
