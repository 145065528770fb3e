//! A checkout that takes the place of what is open under its reference: it is made durable and they are called off in one transaction.
//!
//! The row of its reference is locked before everything else, and by nobody else: of two that come at once the second finds the first.

use super::{
    SqlStore, accept,
    answers::{self, Bound},
    apply::apply,
    bulk::{Rows, Type::Text},
    db::{Tx, transact},
    load,
    script::Write,
    value::corrupt,
};
use crate::{
    domain::{
        checkout::Checkout,
        id::{CheckoutId, Entropy, SpaceId},
        replace::{self, MAX_REPLACED},
        state::Status,
    },
    failpoint,
    ports::store::{Accepted, NewCheckout, Replacing, StoreError},
};
use std::{collections::HashMap, sync::Arc};

impl SqlStore {
    pub(super) async fn accept_and_replace(&self, new: NewCheckout) -> Result<Replacing, StoreError> {
        let new = Arc::new(new);
        let replacing = transact!(self.db, tx => { run(tx, &new, &self.entropy).await });
        let _ = failpoint::cross("accept.after_commit").await;
        replacing
    }
}

async fn run(tx: &mut Tx<'_>, new: &Arc<NewCheckout>, entropy: &Entropy) -> Result<Replacing, StoreError> {
    let missing = || StoreError::Inconsistent(format!("{} takes the place of others, and has no reference", new.id));
    let reference = new.order.reference.as_deref().ok_or_else(missing)?;
    let space = new.order.space.as_ref().map_or("", SpaceId::as_str);
    let place = [new.scope.as_str().into(), space.into(), reference.into()];
    // The lock is what it is for.
    let sql = "INSERT INTO replacements (scope, space, reference) VALUES ({1}, {2}, {3}) \
               ON CONFLICT (scope, space, reference) DO UPDATE SET scope = excluded.scope";
    tx.execute(sql, None, &place).await?;
    if let Some(bound) = answers::bound(tx, &new.scope, &new.idempotency, new.id.as_str()).await? {
        let accepted = match bound {
            // An earlier run of our own: what it called off is due, and what came since has its own reasons.
            Bound::Ours(answer) => Accepted::Created { answer, at: tx.now().await? },
            Bound::Same(answer) => Accepted::Replayed(answer),
            Bound::Other => Accepted::KeyReused,
        };
        return Ok(Replacing { accepted, moved: Vec::new() });
    }
    let sql = "SELECT c.id FROM checkouts c LEFT JOIN checkout_spaces s ON s.checkout = c.id WHERE c.scope = {1} AND c.reference = {3} \
               AND c.completed_at IS NULL AND COALESCE(s.space, '') = {2} ORDER BY c.id LIMIT {4}";
    let [scope, space, reference] = place.clone();
    let open = tx.fetch(sql, None, &[scope, space, reference, (MAX_REPLACED + 1).into()]).await?;
    if open.len() > MAX_REPLACED {
        return Ok(Replacing { accepted: Accepted::TooManyOpen, moved: Vec::new() });
    }
    let ids = open.iter().map(|row| CheckoutId::parse(row.text(0)?).map_err(corrupt)).collect::<Result<Vec<_>, _>>()?;
    let mut earlier: Vec<Checkout> = load::lock(tx, &ids).await?.into_values().collect();
    earlier.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let now = tx.now().await?;
    let replaced = replace::replace(earlier, now, entropy).map_err(|error| StoreError::Inconsistent(error.to_string()))?;
    let (mut accepted, _) = accept::accept(tx, std::slice::from_ref(new), entropy).await?;
    let accepted = accepted.pop().ok_or_else(|| StoreError::Inconsistent("an accept without an answer".to_owned()))?;
    if !matches!(accepted, Accepted::Created { .. }) {
        return Ok(Replacing { accepted, moved: Vec::new() });
    }
    let mut behind = Rows::new(&[("checkout", Text), ("earlier", Text)]);
    replaced.behind.iter().for_each(|earlier| behind.push([new.id.as_str().into(), earlier.as_str().into()]));
    tx.run(vec![Write::insert("behind", behind)]).await?;
    let sql = "UPDATE replacements SET checkout = {4} WHERE scope = {1} AND space = {2} AND reference = {3}";
    let [scope, space, reference] = place;
    tx.execute(sql, None, &[scope, space, reference, new.id.as_str().into()]).await?;
    let moved = apply(tx, &replaced.effects, now, entropy).await?;
    Ok(Replacing { accepted, moved })
}

/// How those stand that queued checkouts of a batch wait for. Nobody is asked who took nobody's place.
pub(super) async fn earlier<'c>(
    tx: &mut Tx<'_>,
    queued: impl Iterator<Item = &'c Checkout>,
) -> Result<HashMap<CheckoutId, Vec<Status>>, StoreError> {
    let waiting = Rows::ids(queued.filter(|checkout| checkout.order.replaces_open).map(|checkout| checkout.id.as_str()));
    let mut earlier: HashMap<CheckoutId, Vec<Status>> = HashMap::new();
    if waiting.is_empty() {
        return Ok(earlier);
    }
    let sql = "SELECT b.checkout, c.status FROM behind b JOIN checkouts c ON c.id = b.earlier WHERE b.checkout IN (SELECT id FROM {rows})";
    for row in tx.fetch(sql, Some(&waiting), &[]).await? {
        let status = row.text(1)?;
        let status = Status::parse(&status).ok_or_else(|| corrupt(format!("status {status:?}")))?;
        earlier.entry(CheckoutId::parse(row.text(0)?).map_err(corrupt)?).or_default().push(status);
    }
    Ok(earlier)
}
