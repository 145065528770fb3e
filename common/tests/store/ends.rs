//! Cancel, expiry, and money that comes after the end.

use super::fixture::{Shop, approved, declined};
use boxoffice_common::{
    domain::{
        attempt::{EmbeddedForm, Outcome},
        ends::Verdict,
        money::Amount,
        secret::Secret,
        state::Status,
        view::CheckoutView,
    },
    ports::store::*,
};
use futures::future::join_all;
use std::time::Duration;

over_both! {
    async fn a_cancel_and_a_begin_race_and_one_wins(shop) {
        let session = shop.session("yoga", 100).await;
        let ids = join_all((0..60).map(|_| shop.accept(shop.buy(&session, 1)))).await;
        let outcomes = join_all(ids.iter().map(|id| async {
            let (cancel, (begun, token)) = tokio::join!(shop.store.cancel(&shop.scope, id), shop.begin(id));
            (cancel.unwrap(), begun.next, token)
        })).await;
        for (id, (cancel, begun, token)) in ids.iter().zip(outcomes) {
            match (cancel, begun) {
                (CancelResult::Canceled(..), Next::Done) => assert_eq!(shop.checkout(id).await.status, Status::Canceled),
                (CancelResult::Closing(..), Next::Act { n, .. }) => {
                    // Behind a charge that may be on its way: if it turns out paid, it is sold.
                    shop.settle(id, n, &token, approved(1500)).await;
                    assert_eq!(shop.checkout(id).await.status, Status::Succeeded);
                }
                other => panic!("{other:?}"),
            }
        }
        shop.assert_clean().await;
    }

    async fn a_cancel_behind_a_charge_that_is_declined_ends_canceled(shop) {
        let session = shop.session("yoga", 1).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&id).await;
        assert!(matches!(shop.store.cancel(&shop.scope, &id).await.unwrap(), CancelResult::Closing(..)));
        shop.settle(&id, n, &token, declined()).await;
        assert_eq!(shop.checkout(&id).await.status, Status::Canceled);
        shop.assert_clean().await;
    }

    async fn what_a_form_is_shown_with_is_kept_while_it_may_be_filled_in_and_no_longer(shop) {
        let session = shop.session("yoga", 3).await;
        let form = EmbeddedForm { client_secret: Secret::new("cs_1_secret_planted".to_owned()), publishable_key: "pk_test_1".to_owned() };
        for paid in [true, false] {
            let id = shop.accept(shop.buy(&session, 1)).await;
            let (n, token) = shop.begin_charge(&id).await;
            shop.settle(&id, n, &token, Outcome::RequiresForm { form: form.clone(), provider_reference: "cs_1".to_owned() }).await;
            let waiting = shop.checkout(&id).await;
            assert_eq!((waiting.status, waiting.payment_url.as_deref()), (Status::AwaitingPayment, None));
            assert_eq!(waiting.attempts[0].open_form(), Some(&form));
            let shown = serde_json::to_string(&CheckoutView::new(&waiting, None)).unwrap();
            assert!(!shown.contains("planted"), "{shown}");
            let shown = serde_json::to_value(CheckoutView::new(&waiting, None).with_forms(&waiting)).unwrap();
            let action = serde_json::json!({"type": "embedded_page", "client_secret": "cs_1_secret_planted", "publishable_key": "pk_test_1"});
            assert_eq!(shown["payment_attempts"][0]["action"], action);
            shop.assert_clean().await;
            shop.settle(&id, n, &token, if paid { approved(1500) } else { declined() }).await;
            let over = shop.checkout(&id).await;
            assert_eq!((over.status.is_terminal(), &over.attempts[0].action), (true, &None), "{over:?}");
        }
        shop.assert_clean().await;
    }

    async fn a_pending_payment_that_expires_is_voided_before_the_seat_is_free(shop) {
        let session = shop.session("yoga", 1).await;
        let mut new = shop.buy(&session, 1);
        new.expires_in = Duration::from_millis(300);
        let id = shop.accept(new).await;
        let (n, token) = shop.begin_charge(&id).await;
        let pending = Outcome::RequiresAction { url: "https://bank.example/3ds".to_owned(), provider_reference: "ch_1".to_owned() };
        shop.settle(&id, n, &token, pending).await;
        let waiting = shop.checkout(&id).await;
        assert_eq!((waiting.status, waiting.payment_url.as_deref()), (Status::AwaitingPayment, Some("https://bank.example/3ds")));
        shop.wait_until_past(waiting.expires_at).await;
        shop.make_due(&id).await;
        let (answer, token) = shop.begin(&id).await;
        let Next::Act { checkout, n, .. } = answer.next else { panic!("{answer:?}") };
        assert_eq!((checkout.status, n, checkout.attempts[1].request.target.as_deref()), (Status::Reconciling, 2, Some("ch_1")));
        assert_eq!(checkout.payment_url, None, "nobody is sent to pay for what is being closed");
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().held, 1);
        shop.settle(&id, n, &token, approved(1500)).await;
        assert_eq!(shop.checkout(&id).await.status, Status::Expired);
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().available, 1);
        shop.assert_clean().await;
    }

    async fn money_that_comes_after_the_end_goes_back_once(shop) {
        let session = shop.session("yoga", 1).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, Outcome::Unknown("timeout".to_owned())).await;
        shop.exhaust_window(&id).await;
        assert_eq!(shop.checkout(&id).await.status, Status::NeedsReview);
        shop.resolve(&id, Verdict::Failed, "not found at the provider").await;
        let late = shop.settle(&id, n, "a webhook", approved(1500)).await;
        assert!(matches!(late, Settled::Moved(ref moved) if moved.due_in == Some(Duration::ZERO)), "{late:?}");
        let (answer, token) = shop.begin(&id).await;
        let Next::Act { n: refund, checkout, .. } = answer.next else { panic!("{answer:?}") };
        assert_eq!(checkout.attempts[1].request.kind.as_str(), "refund");
        shop.settle(&id, refund, &token, approved(1500)).await;
        let end = shop.checkout(&id).await;
        assert_eq!((end.status, end.amount_paid, end.amount_refunded), (Status::Failed, Amount::from_minor(1500), Amount::from_minor(1500)));
        shop.assert_clean().await;
    }

    async fn queued_checkouts_expire_and_hold_nothing(shop) {
        let session = shop.session("yoga", 2).await;
        let mut new = shop.buy(&session, 2);
        new.expires_in = Duration::from_millis(1);
        let id = shop.accept(new).await;
        let late = shop.checkout(&id).await;
        shop.wait_until_past(late.expires_at).await;
        let ended = shop.store.expire(10).await.unwrap();
        assert_eq!(ended.iter().map(|moved| moved.status).collect::<Vec<_>>(), [Status::Expired]);
        assert!(matches!(shop.begin(&id).await.0.next, Next::Done));
        shop.assert_clean().await;
    }
}
