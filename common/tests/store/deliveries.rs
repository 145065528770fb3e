//! Events, and who is told of them until he has them.

use super::fixture::{self, Shop, approved};
use boxoffice_common::{
    domain::{
        delivery::{DeliveryResult, DeliveryTaken, DeliveryVerdict},
        id::EndpointId,
        secret::Secret,
    },
    ports::store::*,
};
use futures::future::join_all;
use std::time::Duration;

over_both! {
    async fn events_are_frozen_and_delivered_until_the_receiver_has_them(shop) {
        let session = shop.session("yoga", 5).await;
        let endpoint = EndpointId::parse("whe_all").unwrap();
        let secret = Secret::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned());
        shop.store.put_endpoint(&shop.scope, &PutEndpoint::standard(&endpoint, "https://shop.example/all", &["*"]), &secret).await.unwrap();
        let mut new = shop.buy(&session, 1);
        new.order.callback_url = Some("https://shop.example/own".to_owned());
        let id = shop.accept(new).await;
        let (n, token) = shop.begin_charge(&id).await;
        let Settled::Moved(moved) = shop.settle(&id, n, &token, approved(1500)).await else { panic!() };
        assert_eq!(moved.deliveries.len(), 2);
        for delivery in &moved.deliveries {
            let taken = shop.store.take_delivery(delivery, "worker-1", Duration::from_secs(30)).await.unwrap();
            let DeliveryTaken::Send(job) = taken else { panic!("{taken:?}") };
            let body: serde_json::Value = serde_json::from_str(&job.body).unwrap();
            assert_eq!((body["type"].as_str(), body["data"]["version"].as_i64()), (Some("checkout.succeeded"), Some(3)));
            assert_eq!(body["data"], shop.view(&id).await, "the body is what polling answers at that version");
            assert_eq!(job.secrets.len(), 1);
            assert!(matches!(shop.store.take_delivery(delivery, "worker-2", Duration::from_secs(30)).await.unwrap(), DeliveryTaken::Busy(_)));
            let result = |verdict| DeliveryResult { id: delivery.clone(), lease_token: "worker-1".to_owned(), verdict, status_code: Some(500), error: None };
            assert!(shop.store.record_delivery(result(DeliveryVerdict::RetryIn(Duration::ZERO))).await.unwrap());
            assert!(!shop.store.record_delivery(result(DeliveryVerdict::Delivered)).await.unwrap(), "the lease was given back");
            let again = shop.store.take_delivery(delivery, "worker-1", Duration::from_secs(30)).await.unwrap();
            assert!(matches!(again, DeliveryTaken::Send(_)));
            assert!(shop.store.record_delivery(result(DeliveryVerdict::Delivered)).await.unwrap());
            assert!(matches!(shop.store.take_delivery(delivery, "worker-3", Duration::from_secs(30)).await.unwrap(), DeliveryTaken::Done));
            assert!(shop.store.replay_delivery(&shop.scope, delivery).await.unwrap());
            assert!(matches!(shop.store.take_delivery(delivery, "worker-4", Duration::from_secs(30)).await.unwrap(), DeliveryTaken::Send(_)));
        }
        let listed = shop.store.deliveries(&shop.scope, Some(&id), None, &fixture::page(10)).await.unwrap();
        assert_eq!(listed.data.len(), 2);
    }

    async fn a_receiver_that_is_gone_disables_its_endpoint(shop) {
        let session = shop.session("yoga", 5).await;
        let endpoint = EndpointId::parse("whe_gone").unwrap();
        let secret = Secret::new("whsec_AAAA".to_owned());
        shop.store.put_endpoint(&shop.scope, &PutEndpoint::standard(&endpoint, "https://gone.example", &["checkout.succeeded"]), &secret).await.unwrap();
        let id = shop.accept(shop.buy_cash(&session, 1)).await;
        let Next::Moved(moved) = shop.begin(&id).await.0.next else { panic!() };
        let taken = shop.store.take_delivery(&moved.deliveries[0], "worker", Duration::from_secs(30)).await.unwrap();
        assert!(matches!(taken, DeliveryTaken::Send(_)));
        let gone = DeliveryResult { id: moved.deliveries[0].clone(), lease_token: "worker".to_owned(), verdict: DeliveryVerdict::Disable, status_code: Some(410), error: None };
        assert!(shop.store.record_delivery(gone).await.unwrap());
        assert!(!shop.store.endpoint(&shop.scope, &endpoint).await.unwrap().unwrap().enabled);
    }

    async fn secrets_rotate_with_two_alive_and_the_default_one_is_made_once(shop) {
        let candidates: Vec<Secret<String>> = (0..8).map(|n| Secret::new(format!("whsec_{n}"))).collect();
        let made = join_all(candidates.iter().map(|candidate| shop.store.default_secret(&shop.scope, candidate))).await;
        let first = made[0].clone().unwrap();
        assert!(made.iter().all(|secret| secret.as_ref().unwrap() == &first));
        assert!(shop.store.rotate_secret(&shop.scope, None, &Secret::new("whsec_new".to_owned()), Duration::from_secs(3600)).await.unwrap());
        let session = shop.session("yoga", 5).await;
        let mut new = shop.buy_cash(&session, 1);
        new.order.callback_url = Some("https://shop.example/own".to_owned());
        let id = shop.accept(new).await;
        let Next::Moved(moved) = shop.begin(&id).await.0.next else { panic!() };
        let DeliveryTaken::Send(job) = shop.store.take_delivery(&moved.deliveries[0], "worker", Duration::from_secs(30)).await.unwrap() else { panic!() };
        let secrets: Vec<&str> = job.secrets.iter().map(|secret| secret.reveal().as_str()).collect();
        assert_eq!(secrets, ["whsec_new", first.reveal().as_str()]);
        let missing = EndpointId::parse("whe_none").unwrap();
        assert!(!shop.store.rotate_secret(&shop.scope, Some(&missing), &first, Duration::ZERO).await.unwrap());
    }
}
