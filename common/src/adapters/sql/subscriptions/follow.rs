//! What the end of a checkout does to subscriptions, in the same transaction: a sale starts them, a renewal's end moves them on.

use super::{
    super::{
        bulk::{Rows, Type::Int, Type::Text},
        db::Tx,
    },
    rows,
    turn::Turn,
};
use crate::{
    domain::{
        checkout::Checkout,
        effects::Effects,
        id::{DeliveryId, Entropy, SubscriptionId},
        line::Item,
        state::Status,
        subscription,
        time::Timestamp,
    },
    ports::store::StoreError,
};

/// Follows a batch of transitions that are written already. Answers the deliveries that it opens, each with the place of its transition
/// in the batch. A batch without an end of this kind costs a look at its lines.
pub(in super::super) async fn follow(
    tx: &mut Tx<'_>,
    batch: &[Effects],
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Vec<(usize, DeliveryId)>, StoreError> {
    let is_concerned = |effects: &Effects| effects.ends() && subscription::concerns(&effects.checkout);
    let ended: Vec<(usize, &Checkout)> =
        batch.iter().enumerate().filter(|(_, effects)| is_concerned(effects)).map(|(at, effects)| (at, &effects.checkout)).collect();
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    let mut turn = Turn::default();
    let sales: Vec<(usize, &Checkout)> = ended.iter().copied().filter(|(_, checkout)| checkout.status == Status::Succeeded).collect();
    for (at, checkout) in &sales {
        subscription::sold(checkout).into_iter().for_each(|subscription| turn.start(*at, subscription));
    }
    leave_methods(tx, sales.iter().map(|(_, checkout)| *checkout), now).await?;
    let renewals: Vec<(&SubscriptionId, usize, &Checkout)> =
        ended.iter().filter_map(|(at, checkout)| renewed(checkout).map(|id| (id, *at, *checkout))).collect();
    for subscription in rows::lock(tx, renewals.iter().map(|(id, ..)| *id)).await? {
        // Of several ends one at the most is that of its renewal.
        let ends = renewals.iter().filter(|(id, ..)| **id == subscription.id);
        let mut changes = ends.filter_map(|(_, at, checkout)| subscription.clone().follow(checkout, now).map(|changed| (*at, changed)));
        if let Some((at, (changed, event))) = changes.next() {
            turn.change(at, changed, Some(event));
        }
    }
    turn.write(tx, now, entropy).await
}

/// The subscription that a checkout renews.
fn renewed(checkout: &Checkout) -> Option<&SubscriptionId> {
    checkout.order.lines.iter().find_map(|line| match &line.item {
        Item::Subscription { subscription, .. } => Some(subscription),
        _ => None,
    })
}

/// Cards that paid for plans are saved with their customers. Nobody knows more of them than their tokens.
async fn leave_methods(tx: &mut Tx<'_>, sales: impl Iterator<Item = &Checkout>, now: Timestamp) -> Result<(), StoreError> {
    let mut methods = Rows::new(&[
        ("scope", Text),
        ("customer", Text),
        ("id", Text),
        ("token", Text),
        ("card", Text),
        ("is_default", Int),
        ("created_at", Int),
        ("updated_at", Int),
    ]);
    for checkout in sales {
        let Some(customer) = &checkout.order.customer else { continue };
        let Some((id, token)) = subscription::left_method(checkout) else { continue };
        methods.push([
            checkout.scope.as_str().into(),
            customer.as_str().into(),
            id.as_str().into(),
            token.reveal().as_str().into(),
            "null".into(),
            0i64.into(),
            now.into(),
            now.into(),
        ]);
    }
    if methods.is_empty() {
        return Ok(());
    }
    // A customer's own method under this very id stays as it is.
    let sql = "INSERT INTO payment_methods ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT (scope, customer, id) DO NOTHING";
    tx.execute(sql, Some(&methods), &[]).await.map(drop)
}
