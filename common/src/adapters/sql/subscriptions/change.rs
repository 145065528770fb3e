//! What a shop changes about a subscription. An end takes the renewal that is under way along, as far as nothing of it was sent.

use super::{
    super::{
        SqlStore,
        apply::apply,
        db::{Tx, transact},
        load,
        value::{Value, corrupt},
    },
    rows,
    turn::Turn,
};
use crate::{
    domain::{
        checkout::Checkout,
        ends::{self, CancelAnswer},
        id::{CheckoutId, DeliveryId, Entropy, PaymentMethodId, SubscriptionId},
        scope::Scope,
        subscription::Subscription,
        subscription_change::Change,
        time::Timestamp,
    },
    ports::store::{Moved, StoreError, SubscriptionChanged},
};

impl SqlStore {
    pub(in super::super) async fn change_one(
        &self,
        scope: &Scope,
        id: &SubscriptionId,
        change: &Change,
    ) -> Result<SubscriptionChanged, StoreError> {
        transact!(self.db, tx => {
            // Checkouts are locked before subscriptions.
            let renewal = match change {
                Change::CancelNow | Change::CancelAtPeriodEnd => renewal_of(tx, scope, id).await?,
                Change::Pause(_) | Change::Resume | Change::PayWith(_) => None,
            };
            let checkout = match &renewal {
                Some(renewal) => load::lock(tx, [renewal]).await?.remove(renewal),
                None => None,
            };
            let found = rows::lock(tx, [id].into_iter()).await?.pop().filter(|subscription| subscription.scope == *scope);
            let Some(subscription) = found else { return Ok(SubscriptionChanged::Missing) };
            let is_canceled = matches!(change, Change::CancelNow | Change::CancelAtPeriodEnd);
            if is_canceled && subscription.renewal.as_ref().map(|under_way| &under_way.checkout) != renewal.as_ref() {
                return Err(StoreError::Unavailable("a renewal began or ended at this moment".to_owned()));
            }
            if let Change::PayWith(method) = change && !has_method(tx, &subscription, method).await? {
                return Ok(SubscriptionChanged::MethodMissing);
            }
            let now = tx.now().await?;
            decide(tx, subscription, checkout, change, now, &self.entropy).await
        })
    }
}

async fn decide(
    tx: &mut Tx<'_>,
    subscription: Subscription,
    checkout: Option<Checkout>,
    change: &Change,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<SubscriptionChanged, StoreError> {
    let (after, event) = match subscription.clone().change(change, now) {
        Err(refusal) => return Ok(SubscriptionChanged::Refused(refusal, Box::new(subscription))),
        Ok(None) => return Ok(SubscriptionChanged::Done { subscription: Box::new(subscription), moved: None, deliveries: Vec::new() }),
        Ok(Some(changed)) => changed,
    };
    let called_off = after.renewal.as_ref().is_some_and(|renewal| renewal.is_called_off);
    let canceled = match checkout.filter(|_| called_off) {
        Some(checkout) => ends::cancel(checkout, now, entropy).map_err(|error| StoreError::Inconsistent(error.to_string()))?,
        None => CancelAnswer::NotCancelable,
    };
    let (effects, ends_now) = match canceled {
        CancelAnswer::Canceled(effects) => (effects, true),
        CancelAnswer::Closing(effects) => (effects, false),
        // There is no renewal, or a person has to look at it first.
        CancelAnswer::NotCancelable => (None, false),
    };
    let mut turn = Turn::default();
    // Of an end that comes in this very transaction only that is told.
    turn.change(0, after, Some(event).filter(|_| !ends_now));
    let id = subscription.id;
    let mut deliveries: Vec<DeliveryId> = turn.write(tx, now, entropy).await?.into_iter().map(|(_, delivery)| delivery).collect();
    let moved: Option<Moved> = match effects {
        Some(effects) => apply(tx, std::slice::from_ref(&*effects), now, entropy).await?.pop(),
        None => None,
    };
    if let Some(moved) = &moved {
        deliveries.retain(|delivery| !moved.deliveries.contains(delivery));
    }
    let after = rows::lock(tx, [&id].into_iter()).await?.pop();
    let after = after.ok_or_else(|| StoreError::Inconsistent("a subscription is gone".to_owned()))?;
    Ok(SubscriptionChanged::Done { subscription: Box::new(after), moved, deliveries })
}

/// The checkout of the renewal that is under way. Without a lock: whoever goes on looks again.
async fn renewal_of(tx: &mut Tx<'_>, scope: &Scope, id: &SubscriptionId) -> Result<Option<CheckoutId>, StoreError> {
    let sql = "SELECT renewal FROM subscriptions WHERE id = {1} AND scope = {2} AND renewal IS NOT NULL";
    let args: [Value; 2] = [id.as_str().into(), scope.as_str().into()];
    tx.fetch(sql, None, &args).await?.first().map(|row| CheckoutId::parse(row.text(0)?).map_err(corrupt)).transpose()
}

async fn has_method(tx: &mut Tx<'_>, subscription: &Subscription, method: &PaymentMethodId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM payment_methods WHERE scope = {1} AND customer = {2} AND id = {3}";
    let args: [Value; 3] = [subscription.scope.as_str().into(), subscription.customer.as_str().into(), method.as_str().into()];
    Ok(!tx.fetch(sql, None, &args).await?.is_empty())
}
