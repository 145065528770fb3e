//! Transactions as CSV, read and sent page by page: an export takes no more memory than a page of it.

use crate::{context::ApiContext, csv::Csv, problem::Problem};
use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{ledger_view::LedgerRecord, scope::Scope},
    ports::store::{LedgerFilter, Page, PageRequest, StoreError},
};
use futures::stream;
use http::header;
use std::{io, sync::Arc};

/// The columns, in this order. New ones are added at the end.
pub const COLUMNS: [&str; 15] = [
    "transaction",
    "created_at",
    "kind",
    "checkout",
    "customer",
    "reference",
    "currency",
    "line",
    "type",
    "account",
    "amount",
    "amount_decimal",
    "entity_type",
    "entity",
    "note",
];

/// As many transactions at a time.
const PAGE: u32 = 100;

struct Export {
    ctx: ApiContext,
    scope: Arc<Scope>,
    filter: LedgerFilter,
}

impl Export {
    async fn page(&self, after: Option<String>) -> Result<Page<LedgerRecord>, StoreError> {
        self.ctx.store().ledger_transactions(&self.scope, &self.filter, &PageRequest { limit: PAGE, after }).await
    }

    /// A later page. What goes wrong here breaks the connection off: half an export must not pass for a whole one.
    async fn later_page(&self, after: String) -> io::Result<Page<LedgerRecord>> {
        let read = self.ctx.shutdown().run_until_cancelled(self.page(Some(after))).await;
        let read = read.ok_or_else(|| io::Error::other("the server stops"))?;
        read.map_err(|error| {
            tracing::warn!(%error, "an export is broken off");
            io::Error::other("the store does not answer")
        })
    }
}

/// The answer. Its first page is read before, so that a store that does not answer is a proper problem.
pub async fn answer(ctx: ApiContext, scope: Arc<Scope>, filter: LedgerFilter) -> Result<Response, Problem> {
    let export = Export { ctx, scope, filter };
    let first = export.page(None).await?;
    let mut head = Csv::default();
    for column in COLUMNS {
        head.text(column);
    }
    head.end_row();
    let begun = (rows(head, &first.data), first.next_cursor);
    drop(first.data);
    let later = stream::try_unfold((export, begun.1), async |(export, cursor)| -> io::Result<_> {
        let Some(after) = cursor else { return Ok(None) };
        let page = export.later_page(after).await?;
        Ok(Some((rows(Csv::default(), &page.data), (export, page.next_cursor))))
    });
    let head = stream::once(std::future::ready(Ok(begun.0)));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"ledger.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(futures::StreamExt::chain(head, later))).into_response())
}

fn rows(mut csv: Csv, records: &[LedgerRecord]) -> Bytes {
    for record in records {
        for (n, line) in record.entries.iter().enumerate() {
            csv.text(record.id.as_str()).plain(record.created_at).plain(record.kind.as_str());
            csv.text(record.checkout.as_ref().map_or("", |checkout| checkout.as_str()));
            csv.text(record.customer.as_ref().map_or("", |customer| customer.as_str()));
            csv.text(record.reference.as_deref().unwrap_or_default());
            csv.plain(record.currency).plain(n + 1).text(&line.kind).text(&line.account);
            csv.plain(line.amount).plain(record.currency.decimal(line.amount));
            csv.text(line.entity.as_ref().map_or("", |entity| &entity.kind)).text(line.entity.as_ref().map_or("", |entity| &entity.id));
            csv.text(line.note.as_deref().unwrap_or_default());
            csv.end_row();
        }
    }
    Bytes::from(csv.into_text())
}
