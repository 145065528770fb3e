//! Subscriptions that are paused or come to their end, while a renewal may be under way.

use super::{
    fixture::{Shop, approved, declined},
    memberships::ada,
    subscriptions::{change, changed, charge, let_days_pass, renew, renew_one, renewing, sold, subscription},
};
use boxoffice_common::{
    domain::{
        attempt::Outcome,
        state::Status,
        subscription::SubscriptionStatus,
        subscription_change::{Change, ChangeRefusal},
    },
    ports::store::*,
};
use futures::future::join_all;
use serde_json::json;

over_both! {
    async fn an_end_takes_a_renewal_along_that_nobody_has_begun(shop) {
        let (id, checkout) = renewing(&shop).await;
        assert!(matches!(change(&shop, &id, Change::Pause(None)).await, SubscriptionChanged::Refused(ChangeRefusal::UnderWay, _)));
        let canceled = changed(&shop, &id, Change::CancelNow).await;
        assert_eq!((canceled.status, canceled.renewal, canceled.ended_at.is_some()), (SubscriptionStatus::Canceled, None, true));
        assert_eq!(shop.checkout(&checkout).await.status, Status::Canceled);
        assert!(matches!(change(&shop, &id, Change::Resume).await, SubscriptionChanged::Refused(ChangeRefusal::Ended, _)));
        assert_eq!(renew(&shop).await, []);
        shop.assert_clean().await;
    }

    async fn an_end_waits_for_a_charge_that_may_be_on_its_way_and_comes_with_it(shop) {
        let ada = ada(&shop).await;
        for (outcome, status, period) in [(approved(4900), Status::Succeeded, 2), (declined(), Status::Canceled, 1)] {
            let id = sold(&shop, &ada, json!({})).await;
            let_days_pass(&shop, &id, 32).await;
            let checkout = renew_one(&shop).await;
            let (n, token) = shop.begin_charge(&checkout).await;
            let asked = changed(&shop, &id, Change::CancelNow).await;
            assert!(asked.renewal.as_ref().is_some_and(|renewal| renewal.is_called_off) && asked.status == SubscriptionStatus::Active, "{asked:?}");
            assert_eq!(changed(&shop, &id, Change::CancelNow).await, asked, "asked again");
            shop.settle(&checkout, n, &token, outcome).await;
            assert_eq!(shop.checkout(&checkout).await.status, status);
            let ended = subscription(&shop, &id).await;
            assert_eq!((ended.status, ended.period.n, ended.due_at), (SubscriptionStatus::Canceled, period, None));
        }
        assert_eq!(renew(&shop).await, []);
        shop.assert_clean().await;
    }

    async fn an_end_takes_the_link_away_that_a_customer_was_to_confirm_a_renewal_by(shop) {
        let (id, checkout) = renewing(&shop).await;
        let pending = Outcome::RequiresAction { url: "https://bank.example".to_owned(), provider_reference: "ch_1".to_owned() };
        charge(&shop, &checkout, pending).await;
        let asked = changed(&shop, &id, Change::CancelNow).await;
        assert!(asked.renewal.is_some_and(|renewal| renewal.is_called_off));
        let closing = shop.checkout(&checkout).await;
        assert_eq!((closing.status, closing.payment_url), (Status::Reconciling, None));
        // The provider gives it up.
        shop.make_due(&checkout).await;
        charge(&shop, &checkout, approved(4900)).await;
        assert_eq!((shop.checkout(&checkout).await.status, subscription(&shop, &id).await.status), (Status::Canceled, SubscriptionStatus::Canceled));
        shop.assert_clean().await;
    }

    async fn of_an_end_and_a_renewal_at_once_one_wins_and_behind_the_end_nobody_is_charged(shop) {
        let ada = ada(&shop).await;
        let mut ids = Vec::new();
        for _ in 0..12 {
            let id = sold(&shop, &ada, json!({})).await;
            let_days_pass(&shop, &id, 40).await;
            ids.push(id);
        }
        let work = async {
            let mut begun = Vec::new();
            for _ in 0..6 {
                let renewed = shop.store.renew(2).await.unwrap().checkouts;
                begun.extend(join_all(renewed.iter().map(async |(_, checkout)| (checkout.clone(), shop.begin(checkout).await))).await);
            }
            begun
        };
        let (begun, answers) = tokio::join!(work, join_all(ids.iter().map(|id| changed(&shop, id, Change::CancelNow))));
        for (id, answer) in ids.iter().zip(answers) {
            let now = subscription(&shop, id).await;
            if answer.status == SubscriptionStatus::Canceled {
                assert_eq!(now, answer);
            } else {
                assert!(now.renewal.is_some_and(|renewal| renewal.is_called_off));
            }
        }
        for (checkout, (answer, token)) in begun {
            // Whoever was canceled before it was begun is not charged.
            match answer.next {
                Next::Act { n, .. } => drop(shop.settle(&checkout, n, &token, approved(4900)).await),
                other => assert!(matches!(other, Next::Done) && shop.checkout(&checkout).await.status == Status::Canceled, "{other:?}"),
            }
        }
        assert_eq!(renew(&shop).await, []);
        for id in &ids {
            assert_eq!(subscription(&shop, id).await.status, SubscriptionStatus::Canceled);
        }
        shop.assert_clean().await;
    }

    async fn a_paused_subscription_is_not_renewed_and_one_that_ends_with_its_period_ends_then(shop) {
        let ada = ada(&shop).await;
        let (paused, ending) = (sold(&shop, &ada, json!({})).await, sold(&shop, &ada, json!({})).await);
        assert_eq!(changed(&shop, &paused, Change::Pause(None)).await.status, SubscriptionStatus::Paused);
        assert!(changed(&shop, &ending, Change::CancelAtPeriodEnd).await.cancel_at_period_end);
        for id in [&paused, &ending] {
            let_days_pass(&shop, id, 32).await;
        }
        assert_eq!(renew(&shop).await, []);
        assert_eq!(subscription(&shop, &paused).await.status, SubscriptionStatus::Paused);
        assert_eq!(subscription(&shop, &ending).await.status, SubscriptionStatus::Canceled);
        changed(&shop, &paused, Change::Resume).await;
        let checkout = renew_one(&shop).await;
        charge(&shop, &checkout, approved(4900)).await;
        let on = subscription(&shop, &paused).await;
        assert_eq!((on.status, on.period.n, on.period.from), (SubscriptionStatus::Active, 2, on.starts_at));
        shop.assert_clean().await;
    }
}
