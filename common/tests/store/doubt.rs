//! Charges whose answer is late, lost or wrong: who may try again, and who decides.

use super::fixture::{Shop, approved};
use boxoffice_common::{
    domain::{attempt::Outcome, ends::Verdict, error::Code, state::Status},
    ports::{queue::Lane, store::*},
};
use std::time::Duration;

over_both! {
    async fn a_lease_keeps_others_out_until_it_ends_and_take_overs_are_counted(shop) {
        let session = shop.session("yoga", 5).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, stale) = shop.begin_charge(&id).await;
        assert!(matches!(shop.begin(&id).await.0.next, Next::Busy(_)));
        shop.let_lease_end(&id).await;
        let (answer, token) = shop.begin(&id).await;
        let Next::Act { checkout, .. } = answer.next else { panic!("{answer:?}") };
        assert_eq!(checkout.attempts[0].takeovers, 1);
        // The stale worker's doubt is not heard, the new holder's word is.
        let doubt = Outcome::Unknown("too late".to_owned());
        assert!(matches!(shop.settle(&id, n, &stale, doubt).await, Settled::Already(_)));
        shop.settle(&id, n, &token, approved(1500)).await;
        assert!(matches!(shop.settle(&id, n, &stale, approved(1500)).await, Settled::Already(Status::Succeeded)));
        shop.assert_clean().await;
    }

    async fn a_poisoned_checkout_ends_with_an_operator(shop) {
        let session = shop.session("yoga", 5).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        shop.begin_charge(&id).await;
        for _ in 0..5 {
            shop.let_lease_end(&id).await;
            assert!(matches!(shop.begin(&id).await.0.next, Next::Act { .. }));
        }
        shop.let_lease_end(&id).await;
        assert!(matches!(shop.begin(&id).await.0.next, Next::Moved(moved) if moved.status == Status::NeedsReview));
        // The seat stays held until somebody decides.
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().held, 1);
        let moved = shop.resolve(&id, Verdict::Failed, "the provider has no such charge").await;
        assert_eq!(moved.status, Status::Failed);
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().available, 5);
        shop.assert_clean().await;
    }

    async fn an_unknown_outcome_keeps_its_claims_and_is_resolved_by_the_same_key(shop) {
        let session = shop.session("yoga", 1).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, Outcome::Unknown("timeout".to_owned())).await;
        let checkout = shop.checkout(&id).await;
        assert_eq!(checkout.status, Status::Reconciling);
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().held, 1);
        shop.make_due(&id).await;
        let (answer, token) = shop.begin(&id).await;
        let Next::Act { checkout: resumed, n: again, .. } = answer.next else { panic!("{answer:?}") };
        assert_eq!((again, &resumed.attempts[0].request), (n, &checkout.attempts[0].request));
        shop.settle(&id, n, &token, approved(1500)).await;
        assert_eq!(shop.checkout(&id).await.status, Status::Succeeded);
        shop.assert_clean().await;
    }

    async fn a_refusal_before_execution_is_tried_again_and_then_fails(shop) {
        let session = shop.session("yoga", 1).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, mut token) = shop.begin_charge(&id).await;
        let refused = || Outcome::NotSent { cause: "connection refused".to_owned(), retry_after: None };
        for _ in 0..5 {
            shop.settle(&id, n, &token, refused()).await;
            assert_eq!(shop.checkout(&id).await.status, Status::Processing);
            shop.make_due(&id).await;
            token = shop.begin(&id).await.1;
        }
        shop.settle(&id, n, &token, refused()).await;
        let failed = shop.checkout(&id).await;
        assert_eq!((failed.status, failed.error.map(|error| error.code)), (Status::Failed, Some(Code::ProviderUnavailable)));
        shop.assert_clean().await;
    }

    async fn overdue_work_is_rescued_at_doubling_intervals_and_never_ahead_of_the_queue(shop) {
        let session = shop.session("yoga", 5).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let created = shop.checkout(&id).await.created_at;
        shop.wait_until_past(created.after(Duration::from_millis(5))).await;
        let grace = Duration::from_millis(1);
        assert!(shop.store.rescue(Lane::Checkouts, grace, Some(created), 10).await.unwrap().is_empty(), "it only waits its turn");
        let first = shop.store.rescue(Lane::Checkouts, grace, None, 10).await.unwrap();
        assert_eq!(first.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
        assert!(shop.store.rescue(Lane::Checkouts, Duration::from_secs(60), None, 10).await.unwrap().is_empty());
        assert!(shop.store.rescue(Lane::Money, grace, None, 10).await.unwrap().is_empty());
        assert!(shop.store.rescue(Lane::Deliveries, grace, None, 10).await.unwrap().is_empty());
        // A rescue does not keep a worker from beginning.
        assert!(matches!(shop.begin(&id).await.0.next, Next::Act { .. }));
    }

    async fn an_approval_of_another_amount_needs_a_person(shop) {
        let session = shop.session("yoga", 1).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(1)).await;
        assert_eq!(shop.checkout(&id).await.status, Status::NeedsReview);
    }
}
