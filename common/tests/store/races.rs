//! The same thing written by many at once: each is answered, and nobody's turn is an error.

use super::fixture::{self, Shop};
use boxoffice_common::{
    domain::{
        catalogue::Kind,
        id::{CatalogueId, CustomerId, EndpointId},
        secret::Secret,
    },
    ports::store::*,
};
use futures::future::join_all;

const MANY: usize = 24;

fn cus(n: usize) -> CustomerId {
    CustomerId::parse(format!("cus_{n}")).unwrap()
}

async fn put(shop: &Shop, n: usize, external: &str) -> Result<(), CustomerId> {
    shop.store.put_customer(&shop.scope, &cus(n), &fixture::customer(external)).await.unwrap().map(drop)
}

/// Who has an `external_id` in the end, by the customers themselves.
async fn owners(shop: &Shop, external: &str) -> Vec<CustomerId> {
    let all = shop.store.customers(&shop.scope, None, &fixture::page(100)).await.unwrap().data;
    all.into_iter().filter(|customer| customer.external_id.as_deref() == Some(external)).filter_map(|customer| customer.id).collect()
}

over_both! {
    async fn one_of_many_new_customers_gets_the_external_id_and_the_others_are_told_who(shop) {
        for round in 0..5 {
            let external = format!("crm-{round}");
            let puts = (0..MANY).map(|n| put(&shop, round * MANY + n, &external));
            let answers = join_all(puts).await;
            let owner = owners(&shop, &external).await;
            assert_eq!((answers.iter().filter(|answer| answer.is_ok()).count(), owner.len()), (1, 1), "{answers:?}");
            assert!(answers.iter().flat_map(|answer| answer.as_ref().err()).all(|told| *told == owner[0]), "{answers:?}");
        }
    }

    async fn one_of_many_old_customers_gets_the_external_id_and_all_keep_the_rest(shop) {
        for n in 0..MANY {
            put(&shop, n, &format!("own-{n}")).await.unwrap();
        }
        let page = fixture::page(100);
        let before: Vec<_> = shop.store.customers(&shop.scope, None, &page).await.unwrap().data.into_iter().map(|customer| customer.id).collect();
        for round in 0..5 {
            let external = format!("crm-{round}");
            let answers = join_all((0..MANY).map(|n| put(&shop, n, &external))).await;
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
            assert_eq!(owners(&shop, &external).await.len(), 1);
        }
        let after: Vec<_> = shop.store.customers(&shop.scope, None, &page).await.unwrap().data.into_iter().map(|customer| customer.id).collect();
        assert_eq!(after, before, "nobody was lost on the way");
    }

    async fn one_customer_written_by_many_has_what_one_of_them_said(shop) {
        let names: Vec<String> = (0..MANY).map(|n| format!("crm-{n}")).collect();
        let answers = join_all(names.iter().map(|name| put(&shop, 1, name))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(shop.store.customers(&shop.scope, None, &fixture::page(100)).await.unwrap().data.len(), 1);
    }

    async fn two_customers_that_swap_their_external_ids_are_both_answered(shop) {
        put(&shop, 1, "a").await.unwrap();
        put(&shop, 2, "b").await.unwrap();
        for _ in 0..20 {
            // Neither can have what the other has, whoever comes first.
            let (one, two) = tokio::join!(put(&shop, 1, "b"), put(&shop, 2, "a"));
            assert!(one == Err(cus(2)) && two == Err(cus(1)), "{one:?} {two:?}");
        }
    }

    async fn a_customer_made_by_checkouts_and_by_puts_at_once_is_one(shop) {
        let session = shop.session("yoga", 1_000).await;
        for round in 0..5 {
            let external = format!("crm-{round}");
            let buys = (0..MANY).map(|_| {
                let mut new = shop.buy(&session, 1);
                new.customer = Some(fixture::customer(&external));
                shop.accept(new)
            });
            let puts = (0..MANY).map(|n| put(&shop, round * MANY + n, &external));
            let (_, answers) = tokio::join!(join_all(buys), join_all(puts));
            assert!(answers.iter().filter(|answer| answer.is_ok()).count() <= 1, "{answers:?}");
            assert_eq!(owners(&shop, &external).await.len(), 1);
        }
    }

    async fn what_many_put_under_one_id_is_there_once(shop) {
        let key = fixture::api_key(&shop.scope);
        for round in 0..5 {
            let id = |kind: &str| CatalogueId::parse(format!("{kind}_{round}")).unwrap();
            let (session, product, promo) = (id("ses"), id("prd"), id("PROMO"));
            let many = |kind, id, capacity: fn(usize) -> Option<u32>| {
                let (shop, id): (&Shop, &CatalogueId) = (&shop, id);
                join_all((0..MANY).map(move |n| shop.store.put(&shop.scope, kind, id, "{}", capacity(n), None)))
            };
            let sessions = many(Kind::Session, &session, |_| Some(5));
            // Counted and not counted in turn.
            let products = many(Kind::Product, &product, |n| Some(5).filter(|_| n % 2 == 0));
            let promos = many(Kind::PromoCode, &promo, |_| Some(5));
            let endpoint = EndpointId::parse(format!("we_{round}")).unwrap();
            let endpoints = (0..MANY).map(|n| {
                let (shop, endpoint) = (&shop, &endpoint);
                async move {
                    let secret = Secret::new(format!("whsec_{n}"));
                    shop.store.put_endpoint(&shop.scope, &PutEndpoint::standard(endpoint, "https://shop.example/", &["*"]), &secret).await.unwrap()
                }
            });
            let keys = (0..MANY).map(|_| shop.store.add_key(&key, "hash"));
            let (sessions, products, promos, _, keys) = tokio::join!(sessions, products, promos, join_all(endpoints), join_all(keys));
            assert!(keys.iter().all(Result::is_ok), "{keys:?}");
            for puts in [sessions, products, promos] {
                let created = puts.iter().filter(|put| matches!(put, Ok(Put::Created(_)))).count();
                assert!(created == 1 && puts.iter().all(|put| matches!(put, Ok(Put::Created(_) | Put::Replaced(_)))), "{puts:?}");
            }
            assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().capacity, 5);
        }
        for kind in [Kind::Session, Kind::Product, Kind::PromoCode] {
            assert_eq!(shop.store.list(&shop.scope, kind, &fixture::page(100)).await.unwrap().data.len(), 5, "{kind:?}");
        }
        assert_eq!(shop.store.endpoints(&shop.scope, &fixture::page(100)).await.unwrap().data.len(), 5);
        assert_eq!(shop.store.keys(None).await.unwrap().len(), 1);
        shop.assert_clean().await;
    }
}
