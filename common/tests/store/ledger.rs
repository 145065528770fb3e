//! The ledger as people read it.

use super::fixture::{Shop, approved, customer, page};
use boxoffice_common::{
    domain::{
        customer::Customer,
        id::{CheckoutId, CustomerId, LedgerId},
        ledger::LedgerKind,
        ledger_view::LedgerRecord,
        money::Amount,
    },
    ports::store::*,
};

/// A sale of so many places for cash, 1500 each.
async fn sell(shop: &Shop, new: NewCheckout) -> CheckoutId {
    let id = shop.accept(new).await;
    let (answer, _) = shop.begin(&id).await;
    assert!(matches!(answer.next, Next::Moved(_)), "{answer:?}");
    id
}

async fn listed(shop: &Shop, filter: LedgerFilter) -> Vec<LedgerRecord> {
    shop.store.ledger_transactions(&shop.scope, &filter, &page(100)).await.unwrap().data
}

async fn ids(shop: &Shop, filter: LedgerFilter) -> Vec<LedgerId> {
    listed(shop, filter).await.into_iter().map(|record| record.id).collect()
}

async fn balances(shop: &Shop, customer: Option<&CustomerId>) -> Vec<(String, i64)> {
    balances_of(shop, customer.map_or(BalancesOf::Everybody, BalancesOf::Customer)).await
}

async fn balances_of(shop: &Shop, of: BalancesOf<'_>) -> Vec<(String, i64)> {
    let sums = shop.store.ledger_balances(&shop.scope, of).await.unwrap();
    assert!(sums.iter().all(|balance| balance.currency.as_str() == "usd"));
    sums.into_iter().map(|balance| (balance.account, balance.amount.minor())).collect()
}

over_both! {
    async fn a_familys_ledger_is_that_of_its_customers_as_it_is_now(shop) {
        let session = shop.session("yoga", 50).await;
        let member = |id: &str, family: Option<&str>| {
            let described = Customer { family: family.map(str::to_owned), external_id: None, ..customer(id) };
            let (id, store, scope) = (CustomerId::parse(id).unwrap(), std::sync::Arc::clone(&shop.store), shop.scope.clone());
            async move { store.put_customer(&scope, &id, &described).await.unwrap().unwrap(); id }
        };
        let (ada, ben, eve) = (member("cus_ada", Some("byron")).await, member("cus_ben", Some("byron")).await, member("cus_eve", Some("other")).await);
        for (customer, places) in [(&ada, 1), (&ben, 2), (&eve, 4)] {
            let mut new = shop.buy_cash(&session, places);
            new.order.customer = Some(customer.clone());
            sell(&shop, new).await;
        }
        sell(&shop, shop.buy_cash(&session, 8)).await;
        let sum = |places: i64| vec![("revenue".to_owned(), places * -1500), ("tender:custom".to_owned(), places * 1500)];
        assert_eq!(balances_of(&shop, BalancesOf::Family("byron")).await, sum(3));
        assert_eq!(ids(&shop, LedgerFilter { family: Some("byron".to_owned()), ..LedgerFilter::default() }).await.len(), 2);
        member("cus_ben", None).await;
        assert_eq!(balances_of(&shop, BalancesOf::Family("byron")).await, sum(1));
        assert_eq!(balances_of(&shop, BalancesOf::Family("nobody")).await, []);
    }

    async fn the_ledger_is_paged_newest_first_and_nothing_twice(shop) {
        let session = shop.session("yoga", 50).await;
        let mut sold = Vec::new();
        for _ in 0..7 {
            sold.push(sell(&shop, shop.buy_cash(&session, 1)).await);
        }
        sold.reverse();
        for limit in [1, 3, 7] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let request = PageRequest { limit, after };
                let page = shop.store.ledger_transactions(&shop.scope, &LedgerFilter::default(), &request).await.unwrap();
                assert!(page.data.len() <= limit as usize && page.data.iter().all(|record| record.entries.len() == 2));
                seen.extend(page.data.into_iter().filter_map(|record| record.checkout));
                after = page.next_cursor;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, sold, "{limit} at a time");
        }
    }

    async fn a_sale_is_told_with_its_lines_and_what_they_are_about(shop) {
        let session = shop.session("yoga", 50).await;
        let mut new = shop.buy(&session, 2);
        new.order.reference = Some("order-7".to_owned());
        let id = shop.accept(new).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(3000)).await;
        let found = listed(&shop, LedgerFilter::default()).await;
        let [sale] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((sale.kind, sale.checkout.as_ref(), sale.reference.as_deref(), &sale.customer), (LedgerKind::Sale, Some(&id), Some("order-7"), &None));
        assert_eq!(sale.created_at, shop.checkout(&id).await.updated_at);
        let lines: Vec<_> = sale
            .entries
            .iter()
            .map(|line| (line.kind.as_str(), line.account.as_str(), line.amount.minor(), line.entity.as_ref().map(|e| (e.kind.as_str(), e.id.as_str()))))
            .collect();
        assert_eq!(lines, [("payment", "provider:sandbox", 3000, None), ("session", "revenue", -3000, Some(("session", "yoga")))]);
    }

    async fn the_ledger_is_narrowed_by_each_filter_and_by_all_together(shop) {
        let session = shop.session("yoga", 50).await;
        let ada = CustomerId::parse("cus_ada").unwrap();
        shop.customer(&ada).await;
        let mut hers = shop.buy_cash(&session, 1);
        hers.order.customer = Some(ada.clone());
        let first = sell(&shop, shop.buy_cash(&session, 1)).await;
        let hers = sell(&shop, hers).await;
        let card = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&card).await;
        shop.settle(&card, n, &token, approved(1500)).await;
        let all = listed(&shop, LedgerFilter::default()).await;
        let of = |checkout: &CheckoutId| all.iter().find(|record| record.checkout.as_ref() == Some(checkout)).unwrap().clone();
        let only = |record: &LedgerRecord| vec![record.id.clone()];
        let none = Vec::<LedgerId>::new();
        assert_eq!(all.len(), 3);
        let filter = LedgerFilter::default;
        assert_eq!(ids(&shop, LedgerFilter { checkout: Some(first.clone()), ..filter() }).await, only(&of(&first)));
        assert_eq!(ids(&shop, LedgerFilter { customer: Some(ada.clone()), ..filter() }).await, only(&of(&hers)));
        assert_eq!(of(&hers).customer, Some(ada.clone()));
        assert_eq!(ids(&shop, LedgerFilter { account: Some("provider:sandbox".to_owned()), ..filter() }).await, only(&of(&card)));
        assert_eq!(ids(&shop, LedgerFilter { kind: Some(LedgerKind::Refund), ..filter() }).await, none);
        assert_eq!(ids(&shop, LedgerFilter { kind: Some(LedgerKind::Sale), ..filter() }).await.len(), 3);
        // From a time on, and before one: the span has its beginning, and not its end.
        for record in &all {
            let at = record.created_at;
            let since = ids(&shop, LedgerFilter { from: Some(at), ..filter() }).await;
            let before = ids(&shop, LedgerFilter { to: Some(at), ..filter() }).await;
            assert!(since.contains(&record.id) && !before.contains(&record.id));
            assert_eq!(since.len() + before.len(), 3);
        }
        let at = of(&hers).created_at;
        let next = boxoffice_common::domain::time::Timestamp::from_millis(at.millis() + 1);
        let everything = LedgerFilter {
            checkout: Some(hers.clone()),
            family: None,
            customer: Some(ada),
            account: Some("tender:custom".to_owned()),
            kind: Some(LedgerKind::Sale),
            from: Some(at),
            to: Some(next),
        };
        assert_eq!(ids(&shop, everything.clone()).await, only(&of(&hers)));
        let after = PageRequest { limit: 10, after: Some(of(&hers).id.to_string()) };
        assert_eq!(shop.store.ledger_transactions(&shop.scope, &everything, &after).await.unwrap().data, []);
    }

    async fn balances_are_sums_per_account_and_of_one_customer(shop) {
        let session = shop.session("yoga", 50).await;
        let ada = CustomerId::parse("cus_ada").unwrap();
        shop.customer(&ada).await;
        assert_eq!(balances(&shop, None).await, []);
        let mut hers = shop.buy_cash(&session, 2);
        hers.order.customer = Some(ada.clone());
        sell(&shop, hers).await;
        sell(&shop, shop.buy_cash(&session, 1)).await;
        let named = |revenue: i64| vec![("revenue".to_owned(), -revenue), ("tender:custom".to_owned(), revenue)];
        assert_eq!(balances(&shop, None).await, named(4500));
        assert_eq!(balances(&shop, Some(&ada)).await, named(3000));
        assert_eq!(balances(&shop, Some(&CustomerId::parse("cus_nobody").unwrap())).await, []);
        assert_eq!(Amount::from_minor(balances(&shop, None).await.iter().map(|(_, sum)| sum).sum()), Amount::ZERO);
    }

    async fn the_ledger_of_another_scope_is_not_there(shop) {
        let session = shop.session("yoga", 50).await;
        let ada = CustomerId::parse("cus_ada").unwrap();
        shop.customer(&ada).await;
        let mut new = shop.buy_cash(&session, 1);
        new.order.customer = Some(ada.clone());
        let id = sell(&shop, new).await;
        let other = shop.other_scope();
        for filter in [
            LedgerFilter::default(),
            LedgerFilter { checkout: Some(id), ..LedgerFilter::default() },
            LedgerFilter { customer: Some(ada.clone()), ..LedgerFilter::default() },
        ] {
            assert_eq!(shop.store.ledger_transactions(&other, &filter, &page(10)).await.unwrap().data, [], "{filter:?}");
            assert_eq!(listed(&shop, filter).await.len(), 1);
        }
        assert_eq!(shop.store.ledger_balances(&other, BalancesOf::Everybody).await.unwrap(), []);
        assert_eq!(shop.store.ledger_balances(&other, BalancesOf::Customer(&ada)).await.unwrap(), []);
    }
}
