//! Payment methods that customers have saved.

use super::{
    SqlStore,
    bulk::{Rows, Type::Int, Type::Text},
    db::transact,
    read::page,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        id::{CustomerId, PaymentMethodId},
        payment_method::{MAX_METHODS, PaymentMethod},
        scope::Scope,
        secret::Secret,
    },
    ports::store::{MethodPut, Page, PageRequest, PutMethod, StoreError},
};

const COLUMNS: &str = "m.id, m.customer, m.token, m.card, m.is_default, m.created_at, m.updated_at, m.shared_with_family";

fn read(row: &Row) -> Result<PaymentMethod, StoreError> {
    Ok(PaymentMethod {
        id: PaymentMethodId::parse(row.text(0)?).map_err(corrupt)?,
        customer: CustomerId::parse(row.text(1)?).map_err(corrupt)?,
        token: Secret::new(row.text(2)?),
        card: serde_json::from_str(&row.text(3)?).map_err(corrupt)?,
        is_default: row.int(4)? != 0,
        is_shared: row.int(7)? != 0,
        created_at: row.time(5)?,
        updated_at: row.time(6)?,
    })
}

fn whose(scope: &Scope, customer: &CustomerId) -> [Value; 2] {
    [scope.as_str().into(), customer.as_str().into()]
}

impl SqlStore {
    pub(super) async fn write_method(&self, put: &PutMethod) -> Result<MethodPut, StoreError> {
        let PutMethod { scope, customer, id, .. } = put;
        transact!(self.db, tx => {
            // Whoever changes the customer's methods waits for his row: one is the default, and no more than one.
            let sql = "SELECT 1 FROM customers WHERE scope = {1} AND id = {2} {lock}";
            if tx.fetch(sql, None, &whose(scope, customer)).await?.is_empty() {
                let again = "SELECT 1 FROM customers WHERE scope = {1} AND id = {2}";
                if tx.fetch(again, None, &whose(scope, customer)).await?.is_empty() {
                    return Ok(MethodPut::CustomerMissing);
                }
                // A new `external_id` takes the row out and puts it in again: whoever waited for the old one sees none. Run again.
                return Err(StoreError::Unavailable("the customer was changed at this moment".to_owned()));
            }
            let now = tx.now().await?;
            let sql = "SELECT id, created_at FROM payment_methods WHERE scope = {1} AND customer = {2}";
            let rows = tx.fetch(sql, None, &whose(scope, customer)).await?;
            let mut before = None;
            for row in &rows {
                if row.text(0)? == id.as_str() {
                    before = Some(row.time(1)?);
                }
            }
            if before.is_none() && rows.len() >= MAX_METHODS as usize {
                return Ok(MethodPut::TooMany);
            }
            if put.is_default {
                let sql = "UPDATE payment_methods SET is_default = 0 WHERE scope = {1} AND customer = {2} AND is_default = 1";
                tx.execute(sql, None, &whose(scope, customer)).await?;
            }
            let method = PaymentMethod {
                id: id.clone(),
                customer: customer.clone(),
                token: put.token.clone(),
                card: Some(put.card.clone()),
                is_default: put.is_default,
                is_shared: put.is_shared,
                created_at: before.unwrap_or(now),
                updated_at: now,
            };
            let mut row = Rows::new(&[
                ("scope", Text), ("customer", Text), ("id", Text), ("token", Text), ("card", Text), ("is_default", Int),
                ("created_at", Int), ("updated_at", Int), ("shared_with_family", Int),
            ]);
            row.push([
                scope.as_str().into(),
                customer.as_str().into(),
                id.as_str().into(),
                method.token.reveal().as_str().into(),
                serde_json::to_string(&method.card).map_err(corrupt)?.into(),
                i64::from(method.is_default).into(),
                method.created_at.into(),
                method.updated_at.into(),
                i64::from(method.is_shared).into(),
            ]);
            let sql = "INSERT INTO payment_methods ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT (scope, customer, id) DO UPDATE SET \
                       token = excluded.token, card = excluded.card, is_default = excluded.is_default, updated_at = excluded.updated_at, \
                       shared_with_family = excluded.shared_with_family";
            tx.execute(sql, Some(&row), &[]).await?;
            Ok(if before.is_some() { MethodPut::Replaced(method) } else { MethodPut::Created(method) })
        })
    }

    pub(super) async fn read_method(
        &self,
        scope: &Scope,
        customer: &CustomerId,
        id: &PaymentMethodId,
    ) -> Result<Option<PaymentMethod>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM payment_methods m WHERE m.scope = {{1}} AND m.customer = {{2}} AND m.id = {{3}}");
        let [scope, customer] = whose(scope, customer);
        self.db.read(&sql, None, &[scope, customer, id.as_str().into()]).await?.first().map(read).transpose()
    }

    pub(super) async fn read_shared_method(
        &self,
        scope: &Scope,
        customer: &CustomerId,
        owner: &CustomerId,
        id: &PaymentMethodId,
    ) -> Result<Option<PaymentMethod>, StoreError> {
        // No family is nobody's family: null is equal to nothing.
        let sql = format!(
            "SELECT {COLUMNS} FROM payment_methods m JOIN customers o ON o.scope = m.scope AND o.id = m.customer \
             JOIN customers c ON c.scope = m.scope AND c.family = o.family \
             WHERE m.scope = {{1}} AND m.customer = {{2}} AND m.id = {{3}} AND m.shared_with_family = 1 AND c.id = {{4}}"
        );
        let [scope, owner] = whose(scope, owner);
        let args = [scope, owner, id.as_str().into(), customer.as_str().into()];
        self.db.read(&sql, None, &args).await?.first().map(read).transpose()
    }

    pub(super) async fn list_methods(
        &self,
        scope: &Scope,
        customer: &CustomerId,
        request: &PageRequest,
    ) -> Result<Page<PaymentMethod>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM payment_methods m WHERE m.scope = {{1}} AND m.customer = {{2}} AND m.id > {{3}} ORDER BY m.id LIMIT {{4}}"
        );
        let [scope, customer] = whose(scope, customer);
        let after = request.after.clone().unwrap_or_default();
        let rows = self.db.read(&sql, None, &[scope, customer, after.into(), (request.limit + 1).into()]).await?;
        let methods = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(page(methods, request.limit, |method: &PaymentMethod| method.id.to_string()))
    }

    pub(super) async fn drop_method(&self, scope: &Scope, customer: &CustomerId, id: &PaymentMethodId) -> Result<bool, StoreError> {
        transact!(self.db, tx => {
            let sql = "DELETE FROM payment_methods WHERE scope = {1} AND customer = {2} AND id = {3}";
            let [scope, customer] = whose(scope, customer);
            Ok(tx.execute(sql, None, &[scope, customer, id.as_str().into()]).await? > 0)
        })
    }
}
