//! Numbers for things whose ids are none: one each, for ever, and nobody else's.

use super::fixture::Shop;
use boxoffice_common::{
    adapters::sql::SqlStore,
    domain::{id::Entropy, secret::Secret},
    ports::{clock::SystemClock, store::*},
};
use std::sync::Arc;

fn ids(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

over_both! {
    async fn what_has_a_number_keeps_it_and_is_found_by_it_in_its_scope_and_kind(shop) {
        let (store, scope, other) = (&shop.store, &shop.scope, shop.other_scope());
        let first = store.numbers_of(scope, Numbered::Booking, &ids(&["tkt_1", "tkt_2"])).await.unwrap();
        assert!(first[0] != first[1] && first.iter().all(|number| NUMBERS.contains(number)), "{first:?}");
        let more = store.numbers_of(scope, Numbered::Booking, &ids(&["tkt_2", "tkt_3", "tkt_1", "tkt_2"])).await.unwrap();
        assert_eq!((more[0], more[2], more[3]), (first[1], first[0], first[1]));
        let found = async |scope, kind, number| store.numbered(scope, kind, number).await.unwrap();
        assert_eq!(found(scope, Numbered::Booking, first[0]).await.as_deref(), Some("tkt_1"));
        assert_eq!(found(scope, Numbered::Booking, more[1]).await.as_deref(), Some("tkt_3"));
        assert_eq!(found(scope, Numbered::WaitingEntry, first[0]).await, None);
        assert_eq!(found(&other, Numbered::Booking, first[0]).await, None);
        assert_eq!(found(scope, Numbered::Booking, 7).await, None);
        assert_eq!(store.numbers_of(scope, Numbered::Booking, &[]).await.unwrap(), Vec::<u32>::new());
    }

    async fn of_fifty_who_ask_at_once_all_are_told_the_same_number(shop) {
        let asked = (0..50).map(|_| async { shop.store.numbers_of(&shop.scope, Numbered::Booking, &ids(&["tkt_1"])).await.unwrap() });
        let told = futures::future::join_all(asked).await;
        assert!(told.iter().all(|numbers| *numbers == told[0]), "{told:?}");
    }

    async fn many_at_once_are_given_theirs_in_whatever_order_they_name_them(shop) {
        let asked = (0..40).map(|n| {
            let (one, other) = (format!("tkt_{}", n % 7), format!("tkt_{}", (n * 3) % 7));
            let shop = &shop;
            async move { (shop.store.numbers_of(&shop.scope, Numbered::Booking, &[one.clone(), other.clone()]).await.unwrap(), [one, other]) }
        });
        let told = futures::future::join_all(asked).await;
        for (numbers, names) in told {
            assert_eq!(shop.store.numbers_of(&shop.scope, Numbered::Booking, &names).await.unwrap(), numbers);
        }
    }

    async fn what_was_given_to_somebody_else_is_not_given_again(shop) {
        // Two that draw the same number first.
        let twin = async || {
            let clock = Arc::new(SystemClock::default());
            SqlStore::open(&Secret::new(shop.url.clone()), clock, Arc::new(Entropy::from_seed(7))).await.unwrap()
        };
        let (one, other) = (twin().await, twin().await);
        let first = one.numbers_of(&shop.scope, Numbered::Booking, &ids(&["tkt_1"])).await.unwrap();
        let second = other.numbers_of(&shop.scope, Numbered::Booking, &ids(&["tkt_2"])).await.unwrap();
        assert_ne!(first, second);
        let elsewhere = twin().await.numbers_of(&shop.other_scope(), Numbered::Booking, &ids(&["tkt_2"])).await.unwrap();
        assert_eq!(elsewhere, first, "drawn first by all of them");
    }
}
