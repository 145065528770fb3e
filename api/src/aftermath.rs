//! What follows a transition that the API itself made: those who wait are woken, work is handed on, the seat table is told.

use crate::{context::ApiContext, publisher::Publisher};
use boxoffice_common::{
    domain::{catalogue::Kind, claim::StockKey, id::CatalogueId, scope::Scope},
    ports::{
        announcer::{Announcement, Announcer},
        clock::Clock,
        queue::{Lane, Work},
        seats::Seats,
        store::{ListMoved, Moved, Store},
    },
};
use std::sync::Arc;

/// Whom it concerns.
pub struct Aftermath {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) seats: Arc<dyn Seats>,
    pub(crate) announcer: Arc<dyn Announcer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) publisher: Publisher,
}

impl Aftermath {
    /// After a cancel, a resolve or a refund.
    pub async fn after(&self, moved: Moved, trace: &str) {
        if moved.ended {
            metrics::counter!("boxoffice_checkouts_total", "status" => moved.status.as_str()).increment(1);
        }
        self.announcer.announce(Announcement { checkout: moved.checkout.clone(), version: moved.version, status: moved.status });
        if moved.due_in.is_some_and(|due_in| due_in.is_zero()) {
            let lane = if moved.status.is_terminal() { Lane::Money } else { Lane::Checkouts };
            self.hand_on(lane, moved.checkout.as_str(), &moved.scope, trace);
        }
        for delivery in &moved.deliveries {
            self.hand_on(Lane::Deliveries, delivery.as_str(), &moved.scope, trace);
        }
        self.tell_seats(moved.stock.into_iter().map(|level| level.key).collect()).await;
    }

    /// After a change of a waiting list.
    pub async fn after_list(&self, moved: ListMoved, trace: &str) {
        for (scope, delivery) in &moved.deliveries {
            self.hand_on(Lane::Deliveries, delivery.as_str(), scope, trace);
        }
        self.tell_seats(moved.stock.into_iter().map(|level| level.key).collect()).await;
    }

    /// Publishes work of which the row is due already.
    pub fn hand_on(&self, lane: Lane, id: &str, scope: &Scope, trace: &str) {
        self.publisher.send(Work {
            lane,
            id: id.to_owned(),
            scope: scope.as_str().to_owned(),
            enqueued_at: self.clock.now(),
            wants: Vec::new(),
            trace: Some(trace.to_owned()),
        });
    }

    /// After a change of the catalogue.
    pub async fn restocked(&self, scope: &Scope, kind: Kind, id: &CatalogueId) {
        self.tell_seats(vec![StockKey { scope: scope.clone(), kind, id: id.clone() }]).await;
    }

    /// What cannot be told now is loaded by the seat table when it is asked for.
    async fn tell_seats(&self, keys: Vec<StockKey>) {
        if keys.is_empty() {
            return;
        }
        match self.store.stock(&keys).await {
            Ok(told) => self.seats.tell(told).await,
            Err(error) => tracing::warn!(%error, "the seat table was not told of a change"),
        }
    }
}

impl ApiContext {
    /// After a cancel, a resolve or a refund.
    pub async fn after(&self, moved: Moved, trace: &str) {
        self.aftermath().after(moved, trace).await;
    }

    /// Publishes work of which the row is due already.
    pub fn hand_on(&self, lane: Lane, id: &str, scope: &Scope, trace: &str) {
        self.aftermath().hand_on(lane, id, scope, trace);
    }
}
