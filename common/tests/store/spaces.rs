//! Checkouts that stand apart, who hears of them, and in whose words.

use super::{
    fixture::{self, Shop},
    hosted,
};
use boxoffice_common::{
    domain::{
        delivery::DeliveryTaken,
        event::EventFormat,
        id::{CheckoutId, EndpointId, SpaceId},
        secret::Secret,
        state::Status,
    },
    ports::store::*,
};
use futures::future::join_all;
use std::time::Duration;

fn space(name: &str) -> SpaceId {
    SpaceId::parse(name).unwrap()
}

fn of(name: &str) -> CheckoutFilter {
    CheckoutFilter { space: Some(space(name)), ..CheckoutFilter::default() }
}

async fn listed(shop: &Shop, filter: &CheckoutFilter) -> Vec<CheckoutId> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = shop.store.checkouts(&shop.scope, filter, &PageRequest { limit: 2, after }).await.unwrap();
        ids.extend(page.data.into_iter().map(|checkout| checkout.id));
        after = page.next_cursor;
        if after.is_none() {
            return ids;
        }
    }
}

async fn canceled(shop: &Shop, id: &CheckoutId) -> Moved {
    match shop.store.cancel(&shop.scope, id).await.unwrap() {
        CancelResult::Canceled(_, Some(moved)) => moved,
        other => panic!("{other:?}"),
    }
}

over_both! {
    async fn a_space_lists_its_own_and_twins_leave_no_trace(shop) {
        let session = shop.session("yoga", 100).await;
        let new = |name: Option<&str>| {
            let mut new = shop.buy(&session, 1);
            new.order.space = name.map(space);
            new
        };
        let mut north = Vec::new();
        for name in [Some("north"), None, Some("south"), Some("north"), Some("north")] {
            let id = shop.accept(new(name)).await;
            if name == Some("north") {
                north.insert(0, id);
            }
        }
        assert_eq!(listed(&shop, &of("north")).await, north);
        assert_eq!((listed(&shop, &of("south")).await.len(), listed(&shop, &of("east")).await.len()), (1, 0));
        assert_eq!(listed(&shop, &CheckoutFilter::default()).await.len(), 5);
        assert!(shop.store.checkouts(&shop.other_scope(), &of("north"), &fixture::page(10)).await.unwrap().data.is_empty());
        canceled(&shop, &north[1]).await;
        let queued = CheckoutFilter { statuses: vec![Status::Queued, Status::Processing], ..of("north") };
        assert_eq!(listed(&shop, &queued).await, [north[0].clone(), north[2].clone()]);
        // Of a key only the first is there.
        let key = new(None).idempotency;
        let twins = (0..6).map(|_| shop.store.accept(NewCheckout { idempotency: key.clone(), ..new(Some("twins")) }));
        assert!(join_all(twins).await.into_iter().all(|answer| matches!(answer, Ok(Accepted::Created { .. } | Accepted::Replayed(_)))));
        assert_eq!(listed(&shop, &of("twins")).await.len(), 1);
        shop.assert_clean().await;
        // And the audit sees what is missing, and what is too much.
        shop.sql("DELETE FROM checkout_spaces WHERE space = 'south'").await;
        shop.sql("UPDATE checkout_spaces SET space = 'north' WHERE space = 'twins'").await;
        let broken = shop.store.audit(Duration::from_secs(3_600)).await.unwrap();
        assert!(broken.iter().all(|breach| breach.rule == "space_differs"), "{broken:?}");
        for words in ["does not list it", "does not stand in"] {
            assert!(broken.iter().any(|breach| breach.finding.contains(words)), "{words}: {broken:?}");
        }
        shop.sql("DELETE FROM checkout_spaces WHERE space = 'north'").await;
    }

    async fn who_hears_of_a_space_hears_of_nothing_else_and_in_the_words_of_his_choice(shop) {
        let session = shop.session("yoga", 100).await;
        let secret = Secret::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned());
        for (name, of, format) in [
            ("all", None, EventFormat::Standard),
            ("north", Some("north"), EventFormat::Standard),
            ("theirs", None, EventFormat::Monime),
            ("theirs_north", Some("north"), EventFormat::Monime),
        ] {
            let id = EndpointId::parse(name).unwrap();
            let put = PutEndpoint { format, space: of.map(space), ..PutEndpoint::standard(&id, "https://shop.example/hooks", &["checkout.canceled"]) };
            let (endpoint, is_new) = shop.store.put_endpoint(&shop.scope, &put, &secret).await.unwrap();
            assert_eq!((is_new, endpoint.format, endpoint.space), (true, format, of.map(space)));
        }
        let heard = async |name: Option<&str>, on_page: bool| {
            let mut new = shop.buy(&session, 1);
            new.order.space = name.map(space);
            new.order.callback_url = Some("https://shop.example/own".to_owned());
            let id = if on_page { hosted::waiting(&shop, new).await } else { shop.accept(new).await };
            let mut heard = Vec::new();
            for delivery in canceled(&shop, &id).await.deliveries {
                let DeliveryTaken::Send(job) = shop.store.take_delivery(&delivery, "worker", Duration::from_secs(30)).await.unwrap() else { panic!() };
                let body: serde_json::Value = serde_json::from_str(&job.body).unwrap();
                let told = match EventFormat::of_name(&job.record.event_type) {
                    EventFormat::Standard => (body["type"].clone(), body["id"].clone(), body["data"]["id"].clone()),
                    EventFormat::Monime => (body["event"]["name"].clone(), body["event"]["id"].clone(), body["object"]["id"].clone()),
                };
                assert_eq!(told, (job.record.event_type.into(), job.record.event.as_str().into(), id.as_str().into()), "{body}");
                heard.push(job.record.endpoint.map_or_else(|| "own".to_owned(), |endpoint| endpoint.to_string()));
            }
            heard.sort();
            heard
        };
        assert_eq!(heard(Some("north"), true).await, ["all", "north", "own", "theirs", "theirs_north"]);
        assert_eq!(heard(Some("south"), true).await, ["all", "own", "theirs"]);
        assert_eq!(heard(None, true).await, ["all", "own", "theirs"]);
        assert_eq!(heard(Some("north"), false).await, ["all", "north", "own"], "only of what is paid on our page");
        assert_eq!(shop.texts("SELECT kind FROM events WHERE kind LIKE 'checkout_session%'").await, vec!["checkout_session.cancelled"; 3]);
        shop.assert_clean().await;
    }
}
