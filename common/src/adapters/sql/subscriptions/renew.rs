//! What is due of subscriptions: renewals become checkouts of their own, durable with the subscription's own change.

use super::{
    super::{
        SqlStore,
        accept::checkouts,
        bulk::{Rows, Type::Int, Type::Text},
        db::{Tx, transact},
        script::Write,
        value::{Value, corrupt},
    },
    rows::{self, SUBSCRIPTION},
    turn::Turn,
};
use crate::{
    domain::{
        id::{CustomerId, Entropy, PaymentMethodId, SubscriptionId},
        scope::Scope,
        secret::Secret,
        subscription::{Due, Renewal, Subscription},
        time::Timestamp,
    },
    failpoint,
    ports::store::{Renewed, StoreError},
};
use std::collections::HashMap;

impl SqlStore {
    pub(in super::super) async fn renew_some(&self, limit: u32) -> Result<Renewed, StoreError> {
        let now = self.db.now().await?;
        let sql = "SELECT id FROM subscriptions WHERE due_at IS NOT NULL AND due_at <= {1} ORDER BY due_at LIMIT {2}";
        let due = self.db.read(sql, None, &[now.into(), limit.into()]).await?;
        let ids = due.iter().map(|row| SubscriptionId::parse(row.text(0)?).map_err(corrupt)).collect::<Result<Vec<_>, _>>()?;
        if ids.is_empty() {
            return Ok(Renewed::default());
        }
        match self.renew_these(&ids).await {
            // One bad row does not keep the others from being renewed.
            Err(StoreError::Corrupt(_) | StoreError::Inconsistent(_)) => {}
            result => return result,
        }
        let mut all = Renewed::default();
        for id in &ids {
            match self.renew_these(std::slice::from_ref(id)).await {
                Ok(Renewed { checkouts, deliveries }) => {
                    all.checkouts.extend(checkouts);
                    all.deliveries.extend(deliveries);
                }
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                Err(error) => tracing::error!(subscription = %id, %error, "this subscription cannot be renewed"),
            }
        }
        Ok(all)
    }

    async fn renew_these(&self, ids: &[SubscriptionId]) -> Result<Renewed, StoreError> {
        let renewed = transact!(self.db, tx => { renew(tx, ids, &self.entropy).await })?;
        let _ = failpoint::cross("renew.after_commit").await;
        Ok(renewed)
    }
}

/// Those of `ids` that are due and that nobody else has in hand. A second run finds nothing due any more; what the first one made is.
async fn renew(tx: &mut Tx<'_>, ids: &[SubscriptionId], entropy: &Entropy) -> Result<Renewed, StoreError> {
    let now = tx.now().await?;
    let sql = format!(
        "SELECT {SUBSCRIPTION} FROM subscriptions s WHERE s.id IN (SELECT id FROM {{rows}}) AND s.due_at <= {{1}} ORDER BY s.id {{skip_locked}}"
    );
    let wanted = Rows::ids(ids.iter().map(SubscriptionId::as_str));
    let due = tx.fetch(&sql, Some(&wanted), &[now.into()]).await?.iter().map(rows::read).collect::<Result<Vec<_>, _>>()?;
    let mut tokens = tokens(tx, &due).await?;
    let (mut turn, mut scopes, mut renewals) = (Turn::default(), Vec::new(), Vec::new());
    for (at, subscription) in due.into_iter().enumerate() {
        let token = tokens.remove(&subscription.id);
        scopes.push(subscription.scope.clone());
        match subscription.fall_due(token, now, entropy).map_err(|error| StoreError::Inconsistent(error.to_string()))? {
            Due::Nothing => {}
            Due::Changed(changed) => turn.change(at, changed.0, Some(changed.1)),
            Due::Renew(renewal) => {
                turn.change(at, renewal.subscription.clone(), None);
                renewals.push(*renewal);
            }
        }
    }
    tx.run(vec![
        checkouts(renewals.iter().map(|renewal| &renewal.checkout))?.must_change("checkouts", renewals.len() as u64),
        made(&renewals, now),
    ])
    .await?;
    let opened = turn.write(tx, now, entropy).await?;
    failpoint::cross("renew.before_commit").await?;
    Ok(Renewed {
        checkouts: renewals.into_iter().map(|Renewal { checkout, .. }| (checkout.scope, checkout.id)).collect(),
        deliveries: opened.into_iter().filter_map(|(at, delivery)| scopes.get(at).map(|scope| (scope.clone(), delivery))).collect(),
    })
}

/// One for each try of each period.
fn made(renewals: &[Renewal], now: Timestamp) -> Write {
    let mut rows = Rows::new(&[("subscription", Text), ("period", Int), ("attempt", Int), ("checkout", Text), ("created_at", Int)]);
    for Renewal { subscription, checkout, period, attempt } in renewals {
        rows.push([subscription.id.as_str().into(), period.n.into(), (*attempt).into(), checkout.id.as_str().into(), now.into()]);
    }
    Write::insert("subscription_renewals", rows)
}

/// What the provider is given to charge, of those whose customers still have the method.
async fn tokens(tx: &mut Tx<'_>, due: &[Subscription]) -> Result<HashMap<SubscriptionId, Secret<String>>, StoreError> {
    type Method = (Scope, CustomerId, PaymentMethodId);
    let mut wanted = Rows::new(&[("scope", Text), ("customer", Text), ("id", Text)]);
    for Subscription { scope, customer, method, .. } in due {
        wanted.push([scope.as_str().into(), customer.as_str().into(), method.as_str().into()]);
    }
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT m.scope, m.customer, m.id, m.token FROM payment_methods m \
               WHERE (m.scope, m.customer, m.id) IN (SELECT scope, customer, id FROM {rows})";
    let mut found: HashMap<Method, Secret<String>> = HashMap::new();
    let args: [Value; 0] = [];
    for row in tx.fetch(sql, Some(&wanted), &args).await? {
        let scope = super::super::load::scope(&row.text(0)?)?;
        let customer = CustomerId::parse(row.text(1)?).map_err(corrupt)?;
        let method = PaymentMethodId::parse(row.text(2)?).map_err(corrupt)?;
        found.insert((scope, customer, method), Secret::new(row.text(3)?));
    }
    let token = |subscription: &Subscription| {
        let Subscription { scope, customer, method, .. } = subscription;
        let token = found.get(&(scope.clone(), customer.clone(), method.clone()))?;
        Some((subscription.id.clone(), token.clone()))
    };
    Ok(due.iter().filter_map(token).collect())
}
