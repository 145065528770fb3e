//! Attempts by time: what an account has done, whichever checkouts it is of.

use super::fixture::{Shop, page};
use boxoffice_common::{
    domain::{
        attempt::{AttemptStatus, Outcome, Receipt},
        begin::Begin,
        id::{CatalogueId, CheckoutId, ProviderAccountId},
        money::{Amount, Currency},
        routing::{Candidate, Method, Route, Routing, RoutingRules},
        settle::Settlement,
        time::Timestamp,
    },
    ports::store::*,
};
use std::{sync::Arc, time::Duration};

fn routing(account: &str) -> Arc<Routing> {
    let route = Route { provider: "stripe".to_owned(), account: ProviderAccountId::parse(account).ok() };
    let candidate = Candidate { route, takes: vec![Method::Card], is_failing: false, is_named_only: false };
    Arc::new(Routing { candidates: vec![candidate], rules: RoutingRules::default(), key_windows: Vec::new() })
}

/// A checkout that was charged there.
async fn charged(shop: &Shop, session: &CatalogueId, account: &str, outcome: Outcome) -> CheckoutId {
    let id = shop.accept(shop.buy(session, 1)).await;
    let token = format!("{:016x}", shop.entropy.next_u64());
    let (lease_for, key_window) = (Duration::from_secs(30), Duration::from_secs(3600));
    let begin = Begin { checkout: id.clone(), lease_token: token.clone(), lease_for, routing: routing(account), key_window };
    let Next::Act { n, .. } = shop.store.begin(begin).await.unwrap().next else { panic!("nothing to do") };
    let (checkout, retry_in) = (id.clone(), Duration::from_secs(60));
    let settlement =
        Settlement { checkout, n, lease_token: token, outcome, retry_in, routing: routing(account), is_last_look: false, known: None };
    assert!(matches!(shop.store.settle(settlement).await.unwrap(), Settled::Moved(_)));
    id
}

fn paid(reference: &str) -> Outcome {
    Outcome::Approved(Receipt::of(reference.to_owned(), Amount::from_minor(1500), Currency::USD))
}

fn done(shop: &Shop, since: i64, until: i64) -> DoneAt {
    let account = ProviderAccountId::parse("pac_1").unwrap();
    let (since, until) = (Timestamp::from_millis(since), Timestamp::from_millis(until));
    DoneAt { provider: "stripe".to_owned(), account, scope: shop.scope.clone(), since, until }
}

/// All pages of it, in pages of two.
async fn all(shop: &Shop, of: &DoneAt) -> Vec<CheckoutId> {
    let (mut found, mut request) = (Vec::new(), page(2));
    loop {
        let page = shop.store.done_at(of, &request).await.unwrap();
        assert!(page.data.len() <= 2);
        assert!(page.data.iter().all(|done| done.attempt.status == AttemptStatus::Approved));
        found.extend(page.data.into_iter().map(|done| done.checkout));
        match page.next_cursor {
            Some(next) => request.after = Some(next),
            None => return found,
        }
    }
}

over_both! {
    async fn what_an_account_has_done_is_gone_through_by_time_page_by_page(shop) {
        let session = shop.session("yoga", 50).await;
        let mut expected = Vec::new();
        for n in 0..5 {
            expected.push(charged(&shop, &session, "pac_1", paid(&format!("pi_{n}"))).await);
        }
        charged(&shop, &session, "pac_12", paid("pi_other")).await;
        charged(&shop, &session, "pac_1", Outcome::Unknown("cut".to_owned())).await;
        let mut sorted = Vec::new();
        for id in &expected {
            sorted.push((shop.checkout(id).await.attempts[0].created_at, id.clone()));
        }
        sorted.sort();
        let expected: Vec<CheckoutId> = sorted.iter().map(|(_, id)| id.clone()).collect();
        assert_eq!(all(&shop, &done(&shop, 0, i64::MAX)).await, expected);
        // The first millisecond is in, the last one is not.
        let (first, last) = (sorted[0].0.millis(), sorted[4].0.millis());
        assert_eq!(all(&shop, &done(&shop, first, last + 1)).await, expected);
        let before_last: Vec<CheckoutId> = sorted.iter().filter(|(at, _)| at.millis() < last).map(|(_, id)| id.clone()).collect();
        assert_eq!(all(&shop, &done(&shop, first, last)).await, before_last);
        assert!(all(&shop, &done(&shop, last + 1, i64::MAX)).await.is_empty());
        let other = DoneAt { scope: shop.other_scope(), ..done(&shop, 0, i64::MAX) };
        assert!(all(&shop, &other).await.is_empty());
        let mollie = DoneAt { provider: "mollie".to_owned(), ..done(&shop, 0, i64::MAX) };
        assert!(all(&shop, &mollie).await.is_empty());
    }
}
