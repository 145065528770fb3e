//! The sandbox's own callbacks: what became of a charge for which a customer was asked, or of a refund that came back, told to the engine's
//! intake, signed, until it is taken.

use super::{
    book::{Book, BookError, OperationRow, select_operations},
    client::{BaseUrlError, Client},
    events::{EventBody, OperationTold},
    operation::{Operation, OperationStatus},
    push::Script,
};
use crate::{
    adapters::callback::signature,
    domain::{attempt::AttemptKind, money::Amount, secret::Secret, time::Timestamp},
    retry,
};
use futures::future::join_all;
use std::time::Duration;

/// The most that is told in one round.
const MOST: i64 = 50;
/// How often telling is tried.
const MAX_TRIES: u32 = 20;
/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long behind its end the question is told of, where that is what the customer's number says.
const OUT_OF_ORDER: Duration = Duration::from_secs(1);

/// Who is told, and what it is signed with.
pub struct Notify {
    client: Client,
    secret: Secret<String>,
}

impl Notify {
    /// `url` is the intake's, such as `http://127.0.0.1:8080/webhooks/sandbox/test`; `secret` is `whsec_…`.
    pub fn new(url: &str, secret: Secret<String>) -> Result<Self, BaseUrlError> {
        Ok(Self { client: Client::new(url, TIMEOUT)?, secret })
    }

    async fn tell(&self, notice: &Notice, now: Timestamp) -> bool {
        let Ok(signed) = signature::sign(std::slice::from_ref(&self.secret), &notice.id, now, notice.body.as_bytes()) else { return false };
        self.client.tell(&notice.id, now, &signed, notice.body.clone()).await
    }
}

#[derive(sqlx::FromRow)]
struct Notice {
    id: String,
    body: String,
    times: i64,
    tries: i64,
}

/// Writes down what is to be told of charges that have moved, and tells what is due.
pub(super) async fn round(book: &Book, notify: &Notify, now: Timestamp) -> Result<(), BookError> {
    write_down(book, now).await?;
    let sql = "SELECT id, body, times, tries FROM notices WHERE due_at <= $1 ORDER BY due_at LIMIT $2";
    let due: Vec<Notice> = sqlx::query_as(sql).bind(now.millis()).bind(MOST).fetch_all(book.readers()).await?;
    let told = join_all(due.iter().map(|notice| notify.tell(notice, now))).await;
    for (notice, taken) in due.iter().zip(told) {
        let tries = u32::try_from(notice.tries).unwrap_or(MAX_TRIES).saturating_add(1);
        if (taken && notice.times <= 1) || tries >= MAX_TRIES {
            sqlx::query("DELETE FROM notices WHERE id = $1").bind(&notice.id).execute(book.writer()).await?;
            continue;
        }
        let (times, due) = if taken { (notice.times - 1, now) } else { (notice.times, now.after(retry::RECONCILE.wait(tries, None))) };
        let sql = "UPDATE notices SET times = $2, tries = $3, due_at = $4 WHERE id = $1";
        sqlx::query(sql).bind(&notice.id).bind(times).bind(i64::from(tries)).bind(due.millis()).execute(book.writer()).await?;
    }
    Ok(())
}

async fn write_down(book: &Book, now: Timestamp) -> Result<(), BookError> {
    let untold = "SELECT EXISTS (SELECT 1 FROM operations WHERE untold IS NOT NULL)";
    if !sqlx::query_scalar::<_, bool>(untold).fetch_one(book.readers()).await? {
        return Ok(());
    }
    let mut transaction = book.writer().begin_with("BEGIN IMMEDIATE").await?;
    let sql = select_operations!("operations o WHERE o.untold IS NOT NULL ORDER BY o.seq LIMIT $1");
    let rows: Vec<OperationRow> = sqlx::query_as(sql).bind(MOST).fetch_all(&mut *transaction).await?;
    for row in rows {
        let charge = Operation::try_from(row)?;
        let sql = "UPDATE operations SET untold = NULL WHERE seq = $1";
        sqlx::query(sql).bind(charge.id.seq).execute(&mut *transaction).await?;
        for (status, amount, times, due) in plan(&charge, now) {
            let id = format!("sev_{}_{:016x}_{}", charge.id.seq, charge.id.nonce, status.as_str());
            let body = serde_json::to_string(&event(&charge, &id, status, amount, now)).map_err(|_| BookError::Corrupt("no JSON"))?;
            let sql = "INSERT INTO notices (id, body, times, tries, due_at) VALUES ($1, $2, $3, 0, $4) ON CONFLICT (id) DO NOTHING";
            sqlx::query(sql).bind(&id).bind(body).bind(times).bind(due.millis()).execute(&mut *transaction).await?;
        }
    }
    Ok(transaction.commit().await?)
}

/// What is told of a charge as it stands: of which state, of what amount, how often, and when.
fn plan(charge: &Operation, now: Timestamp) -> Vec<(OperationStatus, Amount, i64, Timestamp)> {
    let (status, amount) = (charge.status, charge.amount);
    match charge.script.as_deref().and_then(Script::parse).filter(|_| status == OperationStatus::Captured) {
        Some(Script::Twice) => vec![(status, amount, 2, now)],
        Some(Script::OutOfOrder) => vec![(status, amount, 1, now), (OperationStatus::Pending, amount, 1, now.after(OUT_OF_ORDER))],
        Some(Script::OtherAmount) => vec![(status, amount.plus(Amount::from_minor(1)).unwrap_or(amount), 1, now)],
        _ => vec![(status, amount, 1, now)],
    }
}

fn event(charge: &Operation, id: &str, status: OperationStatus, amount: Amount, now: Timestamp) -> EventBody {
    let created_at = if status == charge.status { now } else { charge.created_at };
    EventBody {
        id: id.to_owned(),
        kind: kind(charge, status),
        created_at,
        data: OperationTold {
            id: charge.id.to_string(),
            kind: charge.id.kind,
            reference: charge.reference.clone(),
            idempotency_key: charge.idempotency_key.clone(),
            amount,
            currency: charge.currency,
            status,
            decline_code: charge.decline_code.clone().filter(|_| status == charge.status),
        },
    }
}

fn kind(operation: &Operation, status: OperationStatus) -> String {
    match (operation.id.kind, status) {
        (AttemptKind::Refund, OperationStatus::Declined) => "refund.failed".to_owned(),
        (kind, status) => format!("{}.{}", kind.as_str(), status.as_str()),
    }
}
