//! The book of payments for which the customer is asked: written one by one, and moved on when a customer's time has come.

use super::{
    book::{Book, BookError, OperationRow, select_operations},
    book_write::{NewOperation, Written},
    operation::{Operation, OperationId, OperationStatus},
    push::{self, Script},
};
use crate::domain::{attempt::AttemptKind, push::PushMethod, time::Timestamp};
use sqlx::SqliteConnection;

/// The most customers who answer in one transaction.
const MOST: i64 = 200;

impl Book {
    /// Asks the customer, durably, once per key.
    pub(super) async fn push(&self, new: &NewOperation, how: &PushMethod) -> Result<Written, BookError> {
        let script = Script::of(how);
        let mut transaction = self.writer().begin_with("BEGIN IMMEDIATE").await?;
        let (request, acts_at) = (&new.request, script.acts_after().map(|wait| new.created_at.after(wait).millis()));
        let sql = "INSERT INTO operations (nonce, idempotency_key, request_hash, kind, reference, amount, currency, status, created_at, \
                   method, script, acts_at) VALUES ($1, $2, $3, 'charge', $4, $5, $6, 'pending', $7, $8, $9, $10) \
                   ON CONFLICT (idempotency_key) DO NOTHING";
        let insert = sqlx::query(sql).bind(new.nonce).bind(&request.idempotency_key).bind(&new.hash).bind(&request.reference);
        let insert = insert.bind(request.amount.minor()).bind(request.currency.as_str()).bind(new.created_at.millis());
        let insert = insert.bind(push::label(how)).bind(script.as_str()).bind(acts_at);
        let is_fresh = insert.execute(&mut *transaction).await?.rows_affected() == 1;
        let sql = select_operations!("operations o WHERE o.idempotency_key = $1");
        let row: OperationRow = sqlx::query_as(sql).bind(&request.idempotency_key).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        let is_same = row.request_hash == new.hash;
        let operation = Operation::try_from(row)?;
        Ok(match (is_fresh, is_same) {
            (true, _) => Written::Fresh(operation),
            (false, true) => Written::Replayed(operation),
            (false, false) => Written::KeyReused,
        })
    }

    /// Lets customers answer whose time has come; says how many were looked at.
    pub(super) async fn answer_due(&self, now: Timestamp) -> Result<usize, BookError> {
        let due = "SELECT EXISTS (SELECT 1 FROM operations WHERE acts_at <= $1)";
        if !sqlx::query_scalar::<_, bool>(due).bind(now.millis()).fetch_one(self.readers()).await? {
            return Ok(0);
        }
        let mut transaction = self.writer().begin_with("BEGIN IMMEDIATE").await?;
        let sql = select_operations!("operations o WHERE o.acts_at <= $1 ORDER BY o.acts_at LIMIT $2");
        let rows: Vec<OperationRow> = sqlx::query_as(sql).bind(now.millis()).bind(MOST).fetch_all(&mut *transaction).await?;
        let looked_at = rows.len();
        for row in rows {
            answer(&mut transaction, &Operation::try_from(row)?).await?;
        }
        transaction.commit().await?;
        Ok(looked_at)
    }
}

async fn answer(connection: &mut SqliteConnection, charge: &Operation) -> Result<(), BookError> {
    if charge.id.kind == AttemptKind::Refund {
        return come_back(connection, charge).await;
    }
    let script = charge.script.as_deref().and_then(Script::parse);
    let (status, decline_code) =
        script.and_then(|script| script.act(charge.status)).map_or((charge.status, charge.decline_code.as_deref()), |(status, code)| {
            debug_assert!(status != OperationStatus::Pending);
            (status, code)
        });
    let sql = "UPDATE operations SET status = $2, decline_code = $3, acts_at = NULL, untold = 1 WHERE seq = $1";
    sqlx::query(sql).bind(charge.id.seq).bind(status.as_str()).bind(decline_code).execute(connection).await?;
    Ok(())
}

/// Lets these refunds come back after a moment.
pub(super) async fn let_come_back(connection: &mut SqliteConnection, places: &[i64]) -> Result<(), BookError> {
    for place in places {
        let sql = "UPDATE operations SET script = $2, acts_at = created_at + $3 WHERE seq = $1 AND kind = 'refund'";
        let wait = i64::try_from(push::A_MOMENT.as_millis()).unwrap_or(i64::MAX);
        sqlx::query(sql).bind(place).bind(Script::Bounce.as_str()).bind(wait).execute(&mut *connection).await?;
    }
    Ok(())
}

/// A refund comes back: its customer's account is closed. The charge has its money again, and the next refund of it stays.
async fn come_back(connection: &mut SqliteConnection, refund: &Operation) -> Result<(), BookError> {
    let charge = refund.target.as_deref().and_then(OperationId::parse).ok_or(BookError::Corrupt("a refund of nothing"))?;
    let sql = "UPDATE operations SET status = 'declined', decline_code = 'account_closed', acts_at = NULL, untold = 1 WHERE seq = $1";
    sqlx::query(sql).bind(refund.id.seq).execute(&mut *connection).await?;
    let sql = "UPDATE operations SET status = 'captured', amount_refunded = amount_refunded - $2, script = $3 WHERE seq = $1";
    let back = sqlx::query(sql).bind(charge.seq).bind(refund.amount.minor()).bind(Script::Approve.as_str());
    back.execute(&mut *connection).await?;
    Ok(())
}
