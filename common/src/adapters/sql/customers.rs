//! Customers.

use super::{
    SqlStore,
    bulk::Rows,
    db::{Tx, transact},
    read::page,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{customer::Customer, id::CustomerId, scope::Scope, time::Timestamp},
    ports::store::{Page, PageRequest, StoreError},
};
use std::collections::BTreeMap;

/// The document of a customer: without its id, which has a column.
pub(super) fn document(customer: &Customer) -> Result<String, StoreError> {
    serde_json::to_string(&Customer { id: None, ..customer.clone() }).map_err(corrupt)
}

/// Reads a customer from the columns id, doc, which begin at `from`.
pub(super) fn read(row: &Row, from: usize) -> Result<Customer, StoreError> {
    let id = CustomerId::parse(row.text(from)?).map_err(corrupt)?;
    let customer: Customer = serde_json::from_str(&row.text(from + 1)?).map_err(corrupt)?;
    Ok(Customer { id: Some(id), ..customer })
}

/// Writes a row. `false`: its id or its `external_id` was taken by somebody at this moment.
///
/// An UPDATE that meets the unique index on `external_id` is an error and ends the transaction; an INSERT that does nothing then is
/// none. So a row whose `external_id` changes is taken out and put in again.
async fn replace(tx: &mut Tx<'_>, scope: &Scope, id: &CustomerId, customer: &Customer, now: Timestamp) -> Result<bool, StoreError> {
    let (external_id, doc) = (customer.external_id.as_deref(), document(customer)?);
    let family: Value = customer.family.as_deref().into();
    let whose: [Value; 2] = [scope.as_str().into(), id.as_str().into()];
    let sql = "SELECT external_id, created_at FROM customers WHERE scope = {1} AND id = {2} {lock}";
    let before = tx.fetch(sql, None, &whose).await?;
    let [scope, id] = whose.clone();
    let created_at = match before.first() {
        None => now,
        Some(row) if row.maybe_text(0)?.as_deref() == external_id => {
            let sql = "UPDATE customers SET doc = {3}, updated_at = {4}, family = {5} WHERE scope = {1} AND id = {2}";
            return Ok(tx.execute(sql, None, &[scope, id, doc.into(), now.into(), family]).await? == 1);
        }
        Some(row) => {
            tx.execute("DELETE FROM customers WHERE scope = {1} AND id = {2}", None, &whose).await?;
            row.time(1)?
        }
    };
    let sql = "INSERT INTO customers (scope, id, external_id, doc, created_at, updated_at, family) \
               VALUES ({1}, {2}, {3}, {4}, {5}, {6}, {7}) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, None, &[scope, id, external_id.into(), doc.into(), created_at.into(), now.into(), family]).await? == 1)
}

impl SqlStore {
    /// Creates or replaces; the other's id when the `external_id` is taken.
    pub(super) async fn write_customer(
        &self,
        scope: &Scope,
        id: &CustomerId,
        customer: &Customer,
    ) -> Result<Result<Customer, CustomerId>, StoreError> {
        transact!(self.db, tx => {
            let now = tx.now().await?;
            if let Some(external) = &customer.external_id {
                let sql = "SELECT id FROM customers WHERE scope = {1} AND external_id = {2} AND id <> {3}";
                let taken = tx.fetch(sql, None, &[scope.as_str().into(), external.as_str().into(), id.as_str().into()]).await?;
                if let Some(row) = taken.first() {
                    return Ok(Err(CustomerId::parse(row.text(0)?).map_err(corrupt)?));
                }
            }
            if !replace(tx, scope, id, customer, now).await? {
                // Run again: whoever has it is found then.
                return Err(StoreError::Unavailable("the same customer was written twice at once".to_owned()));
            }
            Ok(Ok(Customer { id: Some(id.clone()), ..customer.clone() }))
        })
    }

    pub(super) async fn read_customer(&self, scope: &Scope, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
        let sql = "SELECT id, doc FROM customers WHERE scope = {1} AND id = {2}";
        let rows = self.db.read(sql, None, &[scope.as_str().into(), id.as_str().into()]).await?;
        rows.first().map(|row| read(row, 0)).transpose()
    }

    pub(super) async fn find_customers(
        &self,
        scope: &Scope,
        ids: &[CustomerId],
        externals: &[String],
    ) -> Result<Vec<Customer>, StoreError> {
        let mut found: BTreeMap<String, Customer> = BTreeMap::new();
        let by_id = Rows::ids(ids.iter().map(CustomerId::as_str));
        let by_external = Rows::ids(externals.iter().map(String::as_str));
        for (column, names) in [("id", by_id), ("external_id", by_external)] {
            if names.is_empty() {
                continue;
            }
            let sql = format!("SELECT c.id, c.doc FROM customers c WHERE c.scope = {{1}} AND c.{column} IN (SELECT id FROM {{rows}})");
            for row in self.db.read(&sql, Some(&names), &[scope.as_str().into()]).await? {
                found.insert(row.text(0)?, read(&row, 0)?);
            }
        }
        Ok(found.into_values().collect())
    }

    pub(super) async fn list_customers(
        &self,
        scope: &Scope,
        family: Option<&str>,
        request: &PageRequest,
    ) -> Result<Page<Customer>, StoreError> {
        let narrowed = if family.is_some() { "AND family = {4} " } else { "" };
        let sql = format!("SELECT id, doc FROM customers WHERE scope = {{1}} {narrowed}AND id > {{2}} ORDER BY id LIMIT {{3}}");
        let after = request.after.clone().unwrap_or_default();
        let mut args: Vec<Value> = vec![scope.as_str().into(), after.into(), (request.limit + 1).into()];
        args.extend(family.map(Value::from));
        let rows = self.db.read(&sql, None, &args).await?;
        let customers = rows.iter().map(|row| read(row, 0)).collect::<Result<_, _>>()?;
        Ok(page(customers, request.limit, |customer: &Customer| customer.id.as_ref().map(CustomerId::to_string).unwrap_or_default()))
    }
}
