//! Mollie's own book, page by page from the newest on: what `reconcile` holds against our attempts.
//!
//! Mollie's lists know no time: a page ends the walk when it reaches what is older. What Mollie keeps for itself stands in its settlements,
//! which an API key may not read: a row has no fee.

use super::{
    answer::{Metadata, Money, Payment, Refund},
    provider::MollieProvider,
    verdict::Said,
};
use crate::domain::{
    attempt::Fee,
    money::{Amount, Currency},
    time::Timestamp,
};
use std::time::Duration;

/// How many rows a page has at the most.
pub const PAGE: usize = 250;

/// Where money stands in Mollie's book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookStatus {
    /// It moved.
    Moved,
    /// It is promised, and neither taken nor given up.
    Promised,
    /// Under way, or waiting for somebody.
    Open,
    /// It did not move, or came back.
    Failed,
}

/// A payment or a refund as it stands in Mollie's book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookRow {
    /// Mollie's id.
    pub id: String,
    /// Our reference, when it was made by us.
    pub reference: Option<String>,
    /// Our key, when it was made by us.
    pub key: Option<String>,
    /// Of a refund: the payment.
    pub payment: Option<String>,
    /// Minor units, and the currency; `None` when we cannot count it.
    pub money: Option<(Amount, Currency)>,
    /// Where it stands.
    pub status: BookStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// What Mollie keeps of it: never known here.
    pub fee: Option<Fee>,
}

/// A page of the book, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookPage {
    /// At most [`PAGE`], none older than asked for.
    pub rows: Vec<BookRow>,
    /// What to ask for the next page with; `None` on the last one.
    pub next: Option<String>,
}

/// Why a page could not be read. Reading changes nothing: it may be asked for again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Mollie's book could not be read: {cause}")]
pub struct BookError {
    /// For people.
    pub cause: String,
    /// How long Mollie asks us to wait.
    pub retry_after: Option<Duration>,
}

impl MollieProvider {
    /// Payments that were made at `since` or later; `after` is what the page before told.
    pub async fn list_payments(&self, since: Timestamp, after: Option<&str>) -> Result<BookPage, BookError> {
        let page = read(self.calls().payments(after).await)?;
        let next = page.next();
        page_since(page.into_items().into_iter().map(payment).collect(), next, since)
    }

    /// Refunds that were made at `since` or later; `after` is what the page before told.
    pub async fn list_refunds(&self, since: Timestamp, after: Option<&str>) -> Result<BookPage, BookError> {
        let page = read(self.calls().all_refunds(after).await)?;
        let next = page.next();
        page_since(page.into_items().into_iter().map(refund).collect(), next, since)
    }
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
    let rows: Option<Vec<BookRow>> = rows.into_iter().collect();
    let mut rows = rows.ok_or_else(|| BookError { cause: "a row has no time".to_owned(), retry_after: None })?;
    let is_last = rows.last().is_some_and(|row| row.created_at < since);
    rows.retain(|row| row.created_at >= since);
    Ok(BookPage { rows, next: next.filter(|_| !is_last) })
}

fn row(id: String, ours: Option<Metadata>, money: &Money, status: BookStatus, created_at: &str) -> Option<BookRow> {
    let (reference, key) = ours.map(|ours| (ours.reference, ours.key)).unzip();
    let created_at = Timestamp::parse(created_at)?;
    Some(BookRow { id, reference, key, payment: None, money: money.read().ok(), status, created_at, fee: None })
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
        "pending" | "processing" | "refunded" => BookStatus::Moved,
        "failed" | "canceled" => BookStatus::Failed,
        // `queued`: it waits for a balance.
        _ => BookStatus::Open,
    };
    let found = row(refund.id, refund.metadata, &refund.amount, status, &refund.created_at)?;
    Some(BookRow { payment: Some(refund.payment_id), ..found })
}
