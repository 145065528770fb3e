//! What comes behind a charge: its fee and its request, disputes, and the account that it went to.

use super::fixture::Shop;
use boxoffice_common::{
    domain::{
        attempt::{Advice, Decline, Fee, Outcome, Receipt},
        begin::Begin,
        dispute::{DisputeStatus, ToldDispute},
        id::{CheckoutId, ProviderAccountId},
        money::{Amount, Currency},
        routing::{Candidate, Method, Route, Routing, RoutingRules},
        settle::Settlement,
        state::Status,
    },
    ports::store::*,
};
use std::{sync::Arc, time::Duration};

const WINDOW: Duration = Duration::from_secs(3600);

fn usd() -> Currency {
    Currency::parse("usd").unwrap()
}

fn routing() -> Arc<Routing> {
    let candidate = |name: &str| Candidate {
        route: Route { provider: "stripe".to_owned(), account: ProviderAccountId::parse(name).ok() },
        takes: vec![Method::Card],
        is_failing: false,
        is_named_only: false,
    };
    Arc::new(Routing { candidates: vec![candidate("pac_1"), candidate("pac_2")], rules: RoutingRules::default(), key_windows: Vec::new() })
}

/// A worker takes it in hand and is told this.
async fn answered(shop: &Shop, id: &CheckoutId, outcome: Outcome) {
    let token = format!("{:016x}", shop.entropy.next_u64());
    let (checkout, lease_token, lease_for) = (id.clone(), token.clone(), Duration::from_secs(30));
    let begun = shop.store.begin(Begin { checkout, lease_token, lease_for, routing: routing(), key_window: WINDOW }).await.unwrap();
    let Next::Act { n, .. } = begun.next else { panic!("{begun:?}") };
    let (checkout, retry_in) = (id.clone(), Duration::from_millis(1));
    let settlement =
        Settlement { checkout, n, lease_token: token, outcome, retry_in, routing: routing(), is_last_look: false, known: None };
    assert!(matches!(shop.store.settle(settlement).await.unwrap(), Settled::Moved(_)));
}

fn paid() -> Outcome {
    let fee = Some(Fee { amount: Amount::from_minor(41), currency: Currency::parse("eur").unwrap() });
    let receipt = Receipt::of("pi_1".to_owned(), Amount::from_minor(1500), usd());
    Outcome::Approved(Receipt { fee, request_id: Some("req_9".to_owned()), ..receipt })
}

fn told(status: DisputeStatus) -> ToldDispute {
    ToldDispute {
        charge: "pi_1".to_owned(),
        provider_reference: "dp_1".to_owned(),
        amount: Amount::from_minor(1500),
        currency: usd(),
        reason: "fraudulent".to_owned(),
        status,
    }
}

async fn balance(shop: &Shop, account: &str, currency: &str) -> i64 {
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(e.amount), 0) AS TEXT) FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id \
         WHERE e.account = '{account}' AND t.currency = '{currency}'"
    );
    shop.texts(&sql).await[0].parse().unwrap()
}

over_both! {
    async fn a_charge_that_one_account_refuses_for_itself_is_made_at_the_next_and_its_fee_is_booked_once(shop) {
        let session = shop.session("yoga", 5).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let no = Decline::new("account_invalid".to_owned(), "not here".to_owned(), Some("pi_0".to_owned()));
        answered(&shop, &id, Outcome::Declined(Decline { advice: Advice::NextProvider, request_id: Some("req_8".to_owned()), ..no })).await;
        assert_eq!(shop.checkout(&id).await.status, Status::Processing);
        answered(&shop, &id, paid()).await;
        let sold = shop.checkout(&id).await;
        let went: Vec<(&str, Option<&str>)> = sold
            .attempts
            .iter()
            .map(|attempt| (attempt.request.account.as_ref().unwrap().as_str(), attempt.request_id.as_deref()))
            .collect();
        assert_eq!((sold.status, went), (Status::Succeeded, vec![("pac_1", Some("req_8")), ("pac_2", Some("req_9"))]));
        assert_eq!(sold.attempts[1].fee.map(|fee| fee.amount.minor()), Some(41));
        assert_eq!((balance(&shop, "fees", "eur").await, balance(&shop, "provider:stripe", "usd").await), (41, 1500));
        shop.assert_clean().await;
    }

    async fn a_dispute_is_found_by_the_providers_name_of_the_charge_and_booked_once(shop) {
        let session = shop.session("yoga", 5).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        answered(&shop, &id, paid()).await;
        let found: Vec<CheckoutId> = shop.store.charged_as("stripe", "pi_1").await.unwrap().into_iter().map(|checkout| checkout.id).collect();
        assert_eq!(found, std::slice::from_ref(&id));
        assert!(shop.store.charged_as("mollie", "pi_1").await.unwrap().is_empty());
        assert!(shop.store.charged_as("stripe", "pi_2").await.unwrap().is_empty());
        let opened = shop.store.dispute_told(&id, 1, &told(DisputeStatus::Open)).await.unwrap();
        assert!(opened.is_some());
        assert!(shop.store.dispute_told(&id, 1, &told(DisputeStatus::Open)).await.unwrap().is_none(), "known");
        assert_eq!(balance(&shop, "disputes", "usd").await, 1500);
        shop.store.dispute_told(&id, 1, &told(DisputeStatus::Lost)).await.unwrap().unwrap();
        let lost = shop.checkout(&id).await;
        assert_eq!((lost.status, lost.disputes[0].status, lost.disputes.len()), (Status::Succeeded, DisputeStatus::Lost, 1));
        assert_eq!((balance(&shop, "disputes", "usd").await, balance(&shop, "chargebacks", "usd").await), (0, 1500));
        assert_eq!(lost.amount_refunded, Amount::ZERO);
        shop.assert_clean().await;
    }
}
