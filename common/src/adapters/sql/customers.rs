//! Customers.

use super::{
    SqlStore,
    db::transact,
    read::page,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{customer::Customer, id::CustomerId, scope::Scope},
    ports::store::{Page, PageRequest, StoreError},
};

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

impl SqlStore {
    /// Creates or replaces; the other's id when the `external_id` is taken.
    pub(super) async fn write_customer(
        &self,
        scope: &Scope,
        id: &CustomerId,
        customer: &Customer,
    ) -> Result<Result<Customer, CustomerId>, StoreError> {
        let doc = document(customer)?;
        transact!(self.db, tx => {
            let now = tx.now().await?;
            if let Some(external) = &customer.external_id {
                let sql = "SELECT id FROM customers WHERE scope = {1} AND external_id = {2} AND id <> {3}";
                let taken = tx.fetch(sql, None, &[scope.as_str().into(), external.as_str().into(), id.as_str().into()]).await?;
                if let Some(row) = taken.first() {
                    return Ok(Err(CustomerId::parse(row.text(0)?).map_err(corrupt)?));
                }
            }
            let sql = "INSERT INTO customers (scope, id, external_id, doc, created_at, updated_at) VALUES ({1}, {2}, {3}, {4}, {5}, {5}) \
                       ON CONFLICT (scope, id) DO UPDATE SET external_id = excluded.external_id, doc = excluded.doc, updated_at = excluded.updated_at";
            let args: [Value; 5] = [scope.as_str().into(), id.as_str().into(), customer.external_id.clone().into(), doc.as_str().into(), now.into()];
            tx.execute(sql, None, &args).await?;
            Ok(Ok(Customer { id: Some(id.clone()), ..customer.clone() }))
        })
    }

    pub(super) async fn read_customer(&self, scope: &Scope, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
        let sql = "SELECT id, doc FROM customers WHERE scope = {1} AND id = {2}";
        let rows = self.db.read(sql, None, &[scope.as_str().into(), id.as_str().into()]).await?;
        rows.first().map(|row| read(row, 0)).transpose()
    }

    pub(super) async fn list_customers(&self, scope: &Scope, request: &PageRequest) -> Result<Page<Customer>, StoreError> {
        let sql = "SELECT id, doc FROM customers WHERE scope = {1} AND id > {2} ORDER BY id LIMIT {3}";
        let after = request.after.clone().unwrap_or_default();
        let rows = self.db.read(sql, None, &[scope.as_str().into(), after.into(), (request.limit + 1).into()]).await?;
        let customers = rows.iter().map(|row| read(row, 0)).collect::<Result<_, _>>()?;
        Ok(page(customers, request.limit, |customer: &Customer| customer.id.as_ref().map(CustomerId::to_string).unwrap_or_default()))
    }
}
