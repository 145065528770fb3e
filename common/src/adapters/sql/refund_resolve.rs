//! An operator's word about a refund, under its checkout's lock.

use super::{
    SqlStore,
    apply::apply,
    db::{Tx, transact},
    jobs_again, load,
    value::corrupt,
};
use crate::{
    domain::{
        ends::Verdict,
        id::{CheckoutId, RefundId},
        refund_resolve::{self, RESOLVED, Resolution},
        scope::Scope,
        timeline::TimelineEntry,
    },
    ports::store::{ResolveResult, StoreError},
};

/// What operators have decided about a checkout's refunds, oldest first.
async fn resolutions(tx: &mut Tx<'_>, id: &CheckoutId) -> Result<Vec<TimelineEntry>, StoreError> {
    let sql = "SELECT entries FROM timeline WHERE checkout = {1} AND entries LIKE {2} ORDER BY version";
    let rows = tx.fetch(sql, None, &[id.as_str().into(), format!("%\"{RESOLVED}\"%").into()]).await?;
    let entries = rows.iter().map(|row| serde_json::from_str::<Vec<TimelineEntry>>(&row.text(0)?).map_err(corrupt));
    Ok(entries.collect::<Result<Vec<_>, _>>()?.concat())
}

impl SqlStore {
    pub(super) async fn resolve_one_refund(
        &self,
        scope: &Scope,
        id: &RefundId,
        part: Option<usize>,
        verdict: Verdict,
        note: &str,
    ) -> Result<ResolveResult, StoreError> {
        transact!(self.db, tx => {
            // Whose it is never changes; the rest is read behind the lock.
            let sql = "SELECT checkout FROM refunds WHERE id = {1} AND scope = {2}";
            let rows = tx.fetch(sql, None, &[id.as_str().into(), scope.as_str().into()]).await?;
            let Some(row) = rows.first() else { return Ok(ResolveResult::Missing) };
            let owner = CheckoutId::parse(row.text(0)?).map_err(corrupt)?;
            let found = load::lock(tx, [&owner]).await?.remove(&owner);
            let Some(checkout) = found else { return Ok(ResolveResult::Missing) };
            let Some(refund) = checkout.refunds.iter().find(|refund| refund.id == *id).cloned() else {
                return Ok(ResolveResult::Missing);
            };
            let now = tx.now().await?;
            let decided = refund_resolve::resolve(checkout, id, part, verdict, note, now, &self.entropy);
            match decided.map_err(|error| StoreError::Inconsistent(error.to_string()))? {
                Resolution::Decided(effects) => {
                    let moved = apply(tx, &[*effects], now, &self.entropy).await?.pop();
                    jobs_again::look_again(tx, [&owner], now).await?;
                    moved.map(ResolveResult::Resolved).ok_or_else(|| StoreError::Inconsistent("a decision without an answer".to_owned()))
                }
                Resolution::WhichPart => Ok(ResolveResult::WhichPart),
                Resolution::Nothing => {
                    let was_resolved = refund_resolve::was_resolved(&refund, &resolutions(tx, &owner).await?, part, verdict, note);
                    Ok(if was_resolved { ResolveResult::Already } else { ResolveResult::NotInReview })
                }
            }
        })
    }
}
