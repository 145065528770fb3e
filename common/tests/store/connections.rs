//! Connections: whoever uses the store all the time keeps one to himself, and nobody else has to wait for it.

use super::{
    fixture::{self, Shop, approved},
    refunds::{open, part, refund, sold, work},
};
use boxoffice_common::{
    domain::{
        hosted::{PaidWith, Pay},
        id::{BoughtMembershipId, DeliveryId},
        secret::Secret,
    },
    ports::{clock::Clock, clock::SystemClock, store::*},
};
use futures::future::try_join_all;
use std::time::Duration;
use tokio::time::timeout;

/// Far more than any of it takes, and far less than whoever waits for a connection has patience.
const SOON: Duration = Duration::from_secs(3);

over_both! {
    async fn what_stays_with_some_is_not_missed_by_others(shop) {
        // Everything that is done in batches is done once, so that whoever keeps a connection has it.
        let session = shop.session("yoga", 5).await;
        let (id, _) = sold(&shop, shop.buy(&session, 1)).await;
        let back = open(&shop, &id, "k", part(100)).await;
        work(&shop, &id, approved(100)).await;
        let now = SystemClock::default().now();
        let bought = BoughtMembershipId::generate(&shop.entropy, now);
        let pay = Pay { checkout: id.clone(), n: 9, with: PaidWith::Card(Secret::new("tok_visa".to_owned())), routing: boxoffice_common::domain::routing::to_the_sandbox(), known: None };
        shop.store.pay(pay).await.unwrap();
        for _ in 0..2 {
            refund(&shop, &back).await;
            shop.checkout(&id).await;
            shop.store.settings(&shop.scope).await.unwrap();
            shop.store.spendable(&shop.scope, &bought).await.unwrap();
            shop.store.take_delivery(&DeliveryId::generate(&shop.entropy, now), "worker", SOON).await.unwrap();
        }
        let settings = shop.store.settings(&shop.scope).await.unwrap().settings;
        let filter = CheckoutFilter::default();
        for _ in 0..20 {
            let page = fixture::page(5);
            let lists = try_join_all((0..4).map(|_| shop.store.checkouts(&shop.scope, &filter, &page)));
            let writes = try_join_all((0..4).map(|_| shop.store.put_settings(&shop.scope, &settings)));
            let (lists, writes) = timeout(SOON, async { tokio::join!(lists, writes) }).await.expect("a connection for everybody");
            assert!(lists.unwrap().iter().all(|page| page.data.len() == 1) && writes.is_ok());
        }
    }
}
