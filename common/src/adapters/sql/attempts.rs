//! Attempts by time, whichever checkouts they are of.

use super::{
    SqlStore,
    load::{self, ATTEMPT},
    read::page,
    value::{Value, corrupt},
};
use crate::{
    domain::id::CheckoutId,
    ports::store::{DoneAt, DoneAttempt, Page, PageRequest, StoreError},
};

impl SqlStore {
    pub(super) async fn list_done(&self, of: &DoneAt, request: &PageRequest) -> Result<Page<DoneAttempt>, StoreError> {
        // The account is asked of the request's JSON: ids need no escaping there, and of a provider a tenant has few accounts.
        let sql = format!(
            "SELECT {ATTEMPT} FROM attempts a JOIN checkouts c ON c.id = a.checkout \
             WHERE a.status = 'approved' AND a.provider <> 'sandbox' AND a.provider = {{1}} AND a.created_at >= {{2}} AND a.created_at < {{3}} \
             AND (a.created_at, a.checkout, a.n) > ({{4}}, {{5}}, {{6}}) AND a.kind IN ('charge', 'refund') AND c.scope = {{7}} \
             AND replace(a.request, {{8}}, '') <> a.request ORDER BY a.created_at, a.checkout, a.n LIMIT {{9}}"
        );
        let (at, checkout, n) = request.after.as_deref().and_then(cursor).unwrap_or((i64::MIN, "", 0));
        let args: [Value; 9] = [
            of.provider.as_str().into(),
            of.since.into(),
            of.until.into(),
            at.into(),
            checkout.into(),
            n.into(),
            of.scope.as_str().into(),
            format!("\"account\":\"{}\"", of.account).into(),
            (request.limit + 1).into(),
        ];
        let rows = self.db.read(&sql, None, &args).await?;
        let read = rows.iter().map(|row| {
            let checkout = CheckoutId::parse(row.text(15)?).map_err(corrupt)?;
            Ok(DoneAttempt { checkout, attempt: load::attempt(row, 0)? })
        });
        let found = read.collect::<Result<Vec<_>, StoreError>>()?;
        Ok(page(found, request.limit, |done| format!("{}/{}/{}", done.attempt.created_at.millis(), done.checkout, done.attempt.n)))
    }
}

fn cursor(text: &str) -> Option<(i64, &str, i64)> {
    let (at, rest) = text.split_once('/')?;
    let (checkout, n) = rest.split_once('/')?;
    Some((at.parse().ok()?, checkout, n.parse().ok()?))
}
