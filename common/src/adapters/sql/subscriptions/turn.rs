//! What one transaction changes of subscriptions, and who is told.

use super::{
    super::{
        db::Tx,
        events::{self, Frozen, Outgoing},
        value::corrupt,
    },
    rows,
};
use crate::{
    domain::{
        event::{EventFormat, EventType},
        id::{DeliveryId, Entropy, EventId},
        subscription::Subscription,
        subscription_view::{SubscriptionEventView, SubscriptionView},
        time::Timestamp,
    },
    ports::store::StoreError,
};

/// A subscription as it is from now on.
struct Move {
    subscription: Subscription,
    event: Option<EventType>,
    is_new: bool,
    /// The caller's own number for it.
    tag: usize,
}

/// Changes are gathered here and written at once. The caller holds the locks.
#[derive(Default)]
pub(super) struct Turn(Vec<Move>);

impl Turn {
    /// A plan was sold.
    pub(super) fn start(&mut self, tag: usize, subscription: Subscription) {
        self.0.push(Move { subscription, event: Some(EventType::SubscriptionCreated), is_new: true, tag });
    }

    /// One that is there has changed, and clients are told of it, or not.
    pub(super) fn change(&mut self, tag: usize, subscription: Subscription, event: Option<EventType>) {
        self.0.push(Move { subscription, event, is_new: false, tag });
    }

    /// Writes all of it. Answers the deliveries that it opens, with the caller's numbers.
    pub(super) async fn write(self, tx: &mut Tx<'_>, now: Timestamp, entropy: &Entropy) -> Result<Vec<(usize, DeliveryId)>, StoreError> {
        let (new, old): (Vec<&Move>, Vec<&Move>) = self.0.iter().partition(|moved| moved.is_new);
        let mut writes =
            vec![rows::insert(new.iter().map(|moved| &moved.subscription))?, rows::update(old.iter().map(|moved| &moved.subscription))?];
        let told = || self.0.iter().filter_map(|moved| moved.event.map(|event| (moved, event)));
        let listeners = events::listeners(tx, told().map(|(moved, _)| &moved.subscription.scope)).await?;
        let (mut out, mut deliveries) = (Outgoing::default(), Vec::new());
        for (Move { subscription, tag, .. }, kind) in told() {
            let id = EventId::generate(entropy, now);
            let view = SubscriptionEventView { id: &id, kind, created_at: now, data: SubscriptionView::from(subscription) };
            let event = Frozen {
                id: &id,
                scope: &subscription.scope,
                subject: subscription.id.as_str(),
                space: None,
                kind,
                format: EventFormat::Standard,
                version: subscription.version,
                body: serde_json::to_string(&view).map_err(corrupt)?,
            };
            let opened = out.tell(event, subscription.agreement.callback_url.as_deref(), &listeners, now, entropy);
            deliveries.extend(opened.into_iter().map(|delivery| (*tag, delivery)));
        }
        writes.extend(out.into_writes());
        tx.run(writes).await?;
        Ok(deliveries)
    }
}
