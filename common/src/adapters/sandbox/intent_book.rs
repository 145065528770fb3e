//! The book of payment intents: written one by one, and taken by one charge.

use super::{
    book::{Book, BookError, OperationRow, select_operations},
    book_write::{NewOperation, Written},
    intents::{self, Intent, Place},
    operation::{Operation, OperationId, OperationStatus},
    rules::Verdict,
};
use crate::domain::{
    attempt::AttemptKind,
    id::PaymentIntentId,
    money::{Amount, Currency},
    payment_intent::{IntentUse, NewIntent},
    secret::Secret,
    time::Timestamp,
};
use sqlx::SqliteConnection;

#[derive(sqlx::FromRow)]
struct IntentRow {
    seq: i64,
    nonce: i64,
    account: String,
    owner: String,
    amount: i64,
    currency: String,
    token: String,
    created_at: i64,
    charge: Option<i64>,
    charge_nonce: Option<i64>,
}

impl TryFrom<IntentRow> for Intent {
    type Error = BookError;

    fn try_from(row: IntentRow) -> Result<Self, BookError> {
        let currency = Currency::parse(&row.currency).map_err(|_| BookError::Corrupt("an intent's currency"))?;
        let id = |(seq, nonce)| OperationId { kind: AttemptKind::Charge, seq, nonce }.to_string();
        Ok(Self {
            place: Place { seq: row.seq, nonce: row.nonce },
            new: NewIntent {
                account: row.account,
                owner: row.owner,
                amount: Amount::from_minor(row.amount),
                currency,
                token: Secret::new(row.token),
            },
            created_at: Timestamp::from_millis(row.created_at),
            charge: row.charge.zip(row.charge_nonce).map(id),
        })
    }
}

async fn read(connection: &mut SqliteConnection, id: &PaymentIntentId) -> Result<Option<Intent>, BookError> {
    let Some(place) = Place::of(id) else { return Ok(None) };
    let sql = "SELECT i.seq, i.nonce, i.account, i.owner, i.amount, i.currency, i.token, i.created_at, i.charge, o.nonce AS charge_nonce \
               FROM intents i LEFT JOIN operations o ON o.seq = i.charge WHERE i.seq = $1 AND i.nonce = $2";
    let row: Option<IntentRow> = sqlx::query_as(sql).bind(place.seq).bind(place.nonce).fetch_optional(connection).await?;
    row.map(Intent::try_from).transpose()
}

impl Book {
    /// Keeps an authorisation.
    pub(super) async fn keep_intent(&self, new: NewIntent, nonce: i64, created_at: Timestamp) -> Result<Intent, BookError> {
        let sql = "INSERT INTO intents (nonce, account, owner, amount, currency, token, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                   RETURNING seq";
        let insert = sqlx::query_scalar(sql).bind(nonce).bind(&new.account).bind(&new.owner).bind(new.amount.minor());
        let insert = insert.bind(new.currency.as_str()).bind(new.token.reveal()).bind(created_at.millis());
        let seq: i64 = insert.fetch_one(self.writer()).await?;
        Ok(Intent { place: Place { seq, nonce }, new, created_at, charge: None })
    }

    /// One.
    pub(super) async fn intent(&self, id: &PaymentIntentId) -> Result<Option<Intent>, BookError> {
        read(&mut *self.readers().acquire().await?, id).await
    }

    /// Charges what was authorised, durably, once per key, and an intent once: of two who come for it at the same time, one gets it.
    pub(super) async fn take_intent(&self, new: &NewOperation, wanted: &IntentUse) -> Result<Written, BookError> {
        let mut transaction = self.writer().begin_with("BEGIN IMMEDIATE").await?;
        let request = &new.request;
        let by_key = select_operations!("operations o WHERE o.idempotency_key = $1");
        let before: Option<OperationRow> = sqlx::query_as(by_key).bind(&request.idempotency_key).fetch_optional(&mut *transaction).await?;
        if let Some(row) = before {
            let is_same = row.request_hash == new.hash;
            return Ok(if is_same { Written::Replayed(Operation::try_from(row)?) } else { Written::KeyReused });
        }
        let intent = read(&mut transaction, &wanted.id).await?;
        let verdict = match (intents::mismatch(intent.as_ref(), wanted, request), &intent) {
            (None, Some(intent)) => intent.charge(request).1,
            (refusal, _) => Verdict { status: OperationStatus::Declined, decline_code: refusal.or(Some("payment_intent_not_found")) },
        };
        let sql = "INSERT INTO operations (nonce, idempotency_key, request_hash, kind, reference, amount, currency, status, decline_code, \
                   created_at) VALUES ($1, $2, $3, 'charge', $4, $5, $6, $7, $8, $9) RETURNING seq";
        let insert = sqlx::query_scalar(sql).bind(new.nonce).bind(&request.idempotency_key).bind(&new.hash).bind(&request.reference);
        let insert = insert.bind(request.amount.minor()).bind(request.currency.as_str()).bind(verdict.status.as_str());
        let seq: i64 = insert.bind(verdict.decline_code).bind(new.created_at.millis()).fetch_one(&mut *transaction).await?;
        if let Some(intent) = intent.filter(|_| verdict.status != OperationStatus::Declined) {
            let sql = "UPDATE intents SET charge = $2 WHERE seq = $1 AND charge IS NULL";
            let taken = sqlx::query(sql).bind(intent.place.seq).bind(seq).execute(&mut *transaction).await?;
            if taken.rows_affected() != 1 {
                return Err(BookError::Corrupt("an intent was taken twice"));
            }
        }
        transaction.commit().await?;
        Ok(Written::Fresh(new.executed(seq, verdict)))
    }
}
