//! The ends that people and the clock ask for: cancel, resolve, expire.

use super::{
    SqlStore,
    apply::apply,
    db::{Tx, transact},
    jobs_again, load,
    value::corrupt,
};
use crate::{
    domain::{
        checkout::Checkout,
        effects::{DecideError, Effects},
        ends::{self, CancelAnswer, RESOLVED, Verdict},
        id::CheckoutId,
        scope::Scope,
        state::Status,
        timeline::TimelineEntry,
    },
    failpoint,
    ports::store::{CancelResult, Moved, ResolveResult, StoreError},
};

fn inconsistent(error: DecideError) -> StoreError {
    StoreError::Inconsistent(error.to_string())
}

/// The rows of the timeline in which an operator may have decided; there is one at the most that has.
async fn resolutions(tx: &mut Tx<'_>, id: &CheckoutId) -> Result<Vec<TimelineEntry>, StoreError> {
    let sql = "SELECT entries FROM timeline WHERE checkout = {1} AND entries LIKE {2}";
    let rows = tx.fetch(sql, None, &[id.as_str().into(), format!("%\"{RESOLVED}\"%").into()]).await?;
    let entries = rows.iter().map(|row| serde_json::from_str::<Vec<TimelineEntry>>(&row.text(0)?).map_err(corrupt));
    Ok(entries.collect::<Result<Vec<_>, _>>()?.concat())
}

impl SqlStore {
    pub(super) async fn cancel_one(&self, scope: &Scope, id: &CheckoutId) -> Result<CancelResult, StoreError> {
        let canceled = transact!(self.db, tx => {
            let found = load::lock(tx, [id]).await?.remove(id).filter(|checkout| checkout.scope == *scope);
            let Some(checkout) = found else { return Ok(CancelResult::Missing) };
            let now = tx.now().await?;
            let before = Box::new(checkout.clone());
            let (effects, canceled) = match ends::cancel(checkout, now, &self.entropy).map_err(inconsistent)? {
                CancelAnswer::NotCancelable => return Ok(CancelResult::NotCancelable(before)),
                CancelAnswer::Canceled(effects) => (effects, true),
                CancelAnswer::Closing(effects) => (effects, false),
            };
            let (after, moved): (Box<Checkout>, Option<Moved>) = match effects {
                None => (before, None),
                Some(effects) => {
                    let moved = apply(tx, std::slice::from_ref(&*effects), now, &self.entropy).await?.pop();
                    (Box::new(effects.checkout), moved)
                }
            };
            failpoint::cross("change.before_commit").await?;
            Ok(if canceled { CancelResult::Canceled(after, moved) } else { CancelResult::Closing(after, moved) })
        });
        let _ = failpoint::cross("change.after_commit").await;
        canceled
    }

    pub(super) async fn resolve_one(
        &self,
        scope: &Scope,
        id: &CheckoutId,
        verdict: Verdict,
        note: &str,
    ) -> Result<ResolveResult, StoreError> {
        let resolved = transact!(self.db, tx => {
            let found = load::lock(tx, [id]).await?.remove(id).filter(|checkout| checkout.scope == *scope);
            let Some(checkout) = found else { return Ok(ResolveResult::Missing) };
            let (status, now) = (checkout.status, tx.now().await?);
            if let Some(effects) = ends::resolve(checkout, verdict, note, now, &self.entropy).map_err(inconsistent)? {
                let moved = apply(tx, &[effects], now, &self.entropy).await?.pop();
                jobs_again::look_again(tx, [id], now).await?;
                failpoint::cross("change.before_commit").await?;
                return moved.map(ResolveResult::Resolved).ok_or_else(|| StoreError::Inconsistent("a decision without an answer".to_owned()));
            }
            let was_resolved = ends::was_resolved(status, &resolutions(tx, id).await?, verdict, note);
            Ok(if was_resolved { ResolveResult::Already } else { ResolveResult::NotInReview })
        });
        let _ = failpoint::cross("change.after_commit").await;
        resolved
    }

    pub(super) async fn expire_some(&self, limit: u32) -> Result<Vec<Moved>, StoreError> {
        // `due_at` first: its index holds only what is under way.
        let sql = "SELECT id FROM checkouts WHERE due_at IS NOT NULL AND status = {1} AND expires_at <= {2} ORDER BY id LIMIT {3}";
        let now = self.db.now().await?;
        let rows = self.db.read(sql, None, &[Status::Queued.as_str().into(), now.into(), limit.into()]).await?;
        let ids = rows.iter().map(|row| CheckoutId::parse(row.text(0)?).map_err(super::value::corrupt)).collect::<Result<Vec<_>, _>>()?;
        match self.expire_these(&ids).await {
            // One bad row does not keep the others from ending.
            Err(StoreError::Corrupt(_) | StoreError::Inconsistent(_)) => {}
            result => return result,
        }
        let mut moved = Vec::new();
        for id in &ids {
            match self.expire_these(std::slice::from_ref(id)).await {
                Ok(ended) => moved.extend(ended),
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                Err(error) => tracing::error!(checkout = %id, %error, "this checkout cannot be ended"),
            }
        }
        Ok(moved)
    }

    async fn expire_these(&self, ids: &[CheckoutId]) -> Result<Vec<Moved>, StoreError> {
        transact!(self.db, tx => {
            let late = load::lock(tx, ids).await?;
            let now = tx.now().await?;
            let effects: Vec<Effects> = late
                .into_values()
                .filter_map(|checkout| ends::expire(checkout, now).transpose())
                .collect::<Result<_, _>>()
                .map_err(inconsistent)?;
            apply(tx, &effects, now, &self.entropy).await
        })
    }
}
