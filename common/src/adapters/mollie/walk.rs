//! Mollie's own book, page by page from the newest on.
//!
//! Mollie's lists know no time: a page ends the walk when it reaches what is older. What Mollie keeps for itself stands in its settlements,
//! which an API key may not read: a row has no fee.

use super::{
    answer::{Metadata, Money, Payment, Refund},
    base::is_id,
    provider::MollieProvider,
    verdict::Said,
};
use crate::{
    domain::{
        provider_book::{BookRow, BookStatus},
        time::Timestamp,
    },
    ports::provider_book::{BookError, BookPage, ProviderBook},
};
use async_trait::async_trait;

/// How many rows a page has at the most.
pub const PAGE: usize = 250;

#[async_trait]
impl ProviderBook for MollieProvider {
    async fn payments(&self, since: Timestamp, after: Option<&str>) -> Result<BookPage, BookError> {
        let page = read(self.calls().payments(after).await)?;
        let next = page.next();
        page_since(page.into_items().into_iter().map(payment).collect(), next, since)
    }

    async fn refunds(&self, since: Timestamp, after: Option<&str>) -> Result<BookPage, BookError> {
        let page = read(self.calls().all_refunds(after).await)?;
        let next = page.next();
        page_since(page.into_items().into_iter().map(refund).collect(), next, since)
    }

    async fn payment(&self, id: &str) -> Result<Option<BookRow>, BookError> {
        if !is_id(id, "tr_") {
            return Ok(None);
        }
        match self.calls().payment(id).await {
            Said::NotFound => Ok(None),
            said => with_time(payment(read(said)?)).map(Some),
        }
    }

    async fn refund(&self, of: &str, id: &str) -> Result<Option<BookRow>, BookError> {
        if !is_id(of, "tr_") {
            return Ok(None);
        }
        match self.calls().refund(of, id).await {
            Said::NotFound => Ok(None),
            said => with_time(refund(read(said)?)).map(Some),
        }
    }
}

fn with_time(row: Option<BookRow>) -> Result<BookRow, BookError> {
    row.ok_or_else(|| BookError { cause: "a row has no time".to_owned(), retry_after: None })
}

fn read<T>(said: Said<T>) -> Result<T, BookError> {
    let (cause, retry_after) = match said {
        Said::Done(done) => return Ok(done.object),
        Said::NotSent { cause, retry_after } => (cause, retry_after),
        Said::Unknown(cause) => (cause, None),
        Said::NotFound => ("not found".to_owned(), None),
        Said::Refused { field } => (super::verdict::refused(field.as_deref()), None),
    };
    Err(BookError { cause, retry_after })
}

/// A row without a time that we can read is an error: nobody could say where the walk is to end.
fn page_since(rows: Vec<Option<BookRow>>, next: Option<String>, since: Timestamp) -> Result<BookPage, BookError> {
    let mut rows = rows.into_iter().map(with_time).collect::<Result<Vec<BookRow>, _>>()?;
    let is_last = rows.last().is_some_and(|row| row.created_at < since);
    rows.retain(|row| row.created_at >= since);
    Ok(BookPage { rows, next: next.filter(|_| !is_last) })
}

fn row(id: String, ours: Option<Metadata>, money: &Money, status: BookStatus, created_at: &str) -> Option<BookRow> {
    let (reference, key) = ours.map(|ours| (ours.reference, ours.key)).unzip();
    let created_at = Timestamp::parse(created_at)?;
    Some(BookRow { id, reference, key, account: None, payment: None, money: money.read().ok(), status, created_at, fee: None })
}

fn payment(payment: Payment) -> Option<BookRow> {
    let status = match payment.status.as_str() {
        "paid" => BookStatus::Moved,
        "authorized" => BookStatus::Promised,
        "canceled" | "expired" | "failed" => BookStatus::Failed,
        _ => BookStatus::Open,
    };
    row(payment.id, payment.metadata, &payment.amount, status, &payment.created_at)
}

fn refund(refund: Refund) -> Option<BookRow> {
    let status = match refund.status.as_str() {
        // As its events and look-ups say: a queued one waits for a balance, and fails later, or goes.
        "queued" | "pending" | "processing" | "refunded" => BookStatus::Moved,
        "failed" | "canceled" => BookStatus::Failed,
        _ => BookStatus::Open,
    };
    let found = row(refund.id, refund.metadata, &refund.amount, status, &refund.created_at)?;
    Some(BookRow { payment: Some(refund.payment_id), ..found })
}
