//! The conformance suite of the store: every promise over PostgreSQL and SQLite alike.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

/// One test for each store: the body gets a fresh one.
macro_rules! over_both {
    ($($(#[$doc:meta])* async fn $name:ident($shop:ident) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            async fn body($shop: Shop) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                body(Shop::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                body(Shop::postgres().await).await;
            }
        }
    )*};
}

#[path = "store/attacks.rs"]
mod attacks;
#[path = "store/balance.rs"]
mod balance;
#[path = "store/balance_random.rs"]
mod balance_random;
#[path = "store/connections.rs"]
mod connections;
#[path = "store/credits.rs"]
mod credits;
#[path = "store/credits_random.rs"]
mod credits_random;
#[path = "store/fixture.rs"]
mod fixture;
#[path = "store/hosted.rs"]
mod hosted;
#[path = "store/jobs.rs"]
mod jobs;
#[path = "store/ledger.rs"]
mod ledger;
#[path = "store/memberships.rs"]
mod memberships;
#[path = "store/outages.rs"]
mod outages;
#[path = "store/participants.rs"]
mod participants;
#[path = "store/payment_methods.rs"]
mod payment_methods;
#[path = "store/provider_events.rs"]
mod provider_events;
#[path = "store/push.rs"]
mod push;
#[path = "store/races.rs"]
mod races;
#[path = "store/refund_resolve.rs"]
mod refund_resolve;
#[path = "store/refunds.rs"]
mod refunds;
#[path = "store/settings.rs"]
mod settings;
#[path = "store/storm.rs"]
mod storm;
#[path = "store/subscriptions.rs"]
mod subscriptions;
#[path = "store/tickets.rs"]
mod tickets;
#[path = "store/waiting.rs"]
mod waiting;

use boxoffice_common::{
    domain::{
        attempt::Outcome,
        catalogue::Kind,
        delivery::{DeliveryResult, DeliveryTaken, DeliveryVerdict},
        ends::Verdict,
        error::Code,
        id::{CatalogueId, CustomerId, EndpointId},
        money::Amount,
        secret::Secret,
        state::Status,
    },
    ports::{queue::Lane, store::*},
};
use fixture::{Shop, approved, declined};
use futures::future::join_all;
use std::time::Duration;

over_both! {
    async fn a_card_sale_is_accepted_begun_and_settled(shop) {
        let session = shop.session("yoga", 20).await;
        let id = shop.accept(shop.buy(&session, 2)).await;
        let (n, token) = shop.begin_charge(&id).await;
        let held = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
        assert_eq!((held.held, held.sold, held.available), (2, 0, 18));
        let moved = shop.settle(&id, n, &token, approved(3000)).await;
        assert!(matches!(moved, Settled::Moved(ref moved) if moved.status == Status::Succeeded), "{moved:?}");
        let checkout = shop.checkout(&id).await;
        assert_eq!((checkout.status, checkout.version, checkout.amount_paid), (Status::Succeeded, 3, Amount::from_minor(3000)));
        let sold = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
        assert_eq!((sold.held, sold.sold, sold.available), (0, 2, 18));
        let what: Vec<String> = shop.store.timeline(&id).await.unwrap().into_iter().map(|entry| entry.what).collect();
        assert_eq!(what, ["accepted", "begun", "charge.approved", "checkout.succeeded"]);
        shop.assert_clean().await;
    }

    async fn a_timeline_of_any_length_is_read_to_its_end_page_by_page(shop) {
        let session = shop.session("yoga", 20).await;
        let id = shop.accept(shop.buy(&session, 2)).await;
        let two = r#"[{"at":"2027-01-01T00:00:00Z","what":"one"},{"at":"2027-01-01T00:00:00Z","what":"two"}]"#;
        let many = format!(
            "INSERT INTO timeline (checkout, version, entries) WITH RECURSIVE n(v) AS (SELECT 2 UNION ALL SELECT v + 1 FROM n WHERE v < 1301) SELECT '{id}', v, '{two}' FROM n"
        );
        shop.sql(&many).await;
        let (mut after, mut pages, mut all) = (None, 0, Vec::new());
        loop {
            let page = shop.store.timeline_page(&id, after).await.unwrap();
            assert!(page.data.len() <= 1_000);
            pages += 1;
            all.extend(page.data.into_iter().map(|entry| entry.what));
            let Some(cursor) = page.next_cursor else { break };
            after = Some(cursor.parse().unwrap());
        }
        assert_eq!((pages, all.len(), all[0].as_str()), (3, 2_601, "accepted"));
        assert!(all[1..].chunks(2).all(|pair| pair == ["one", "two"]), "nothing twice, nothing missing");
    }

    async fn a_declined_card_gives_the_seats_back(shop) {
        let session = shop.session("yoga", 1).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, declined()).await;
        let checkout = shop.checkout(&id).await;
        assert_eq!(checkout.error.map(|error| (error.code, error.decline_code)), Some((Code::CardDeclined, Some("generic_decline".to_owned()))));
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().available, 1);
        shop.assert_clean().await;
    }

    async fn three_seats_left_two_hundred_buyers_at_once_sell_exactly_three(shop) {
        let session = shop.session("gala", 3).await;
        let ids = join_all((0..200).map(|_| shop.accept(shop.buy(&session, 1)))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin(id))).await;
        let mut winners = 0;
        for (id, (answer, token)) in ids.iter().zip(begun) {
            match answer.next {
                Next::Act { n, .. } => {
                    winners += 1;
                    shop.settle(id, n, &token, approved(1500)).await;
                }
                Next::Moved(moved) => assert_eq!(moved.status, Status::Failed),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(winners, 3);
        let left = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
        assert_eq!((left.sold, left.held, left.available), (3, 0, 0));
        let failed = shop.store.checkouts(&shop.scope, &CheckoutFilter { status: Some(Status::Failed), ..CheckoutFilter::default() }, &fixture::page(100)).await.unwrap();
        assert!(failed.data.iter().all(|checkout| checkout.error.as_ref().map(|error| error.code) == Some(Code::SessionFull)));
        shop.assert_clean().await;
    }

    async fn a_named_seat_is_sold_once_whoever_races_for_it(shop) {
        let session = shop.seated("opera", &["A1", "A2", "A3"]).await;
        let ids = join_all((0..40).map(|n| shop.accept(shop.buy_seats(&session, if n % 2 == 0 { &["A1", "A2"] } else { &["A2", "A3"] })))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin(id))).await;
        let winners: Vec<_> = ids.iter().zip(begun).filter_map(|(id, (answer, token))| match answer.next {
            Next::Act { n, .. } => Some((id, n, token)),
            _ => None,
        }).collect();
        assert_eq!(winners.len(), 1, "both wants contain A2");
        for (id, n, token) in winners {
            shop.settle(id, n, &token, approved(3000)).await;
        }
        shop.assert_clean().await;
    }

    async fn the_same_key_makes_one_checkout_also_for_twins_at_once(shop) {
        let session = shop.session("yoga", 50).await;
        let mut new = shop.buy(&session, 1);
        new.idempotency.key = "same".to_owned();
        let answers = join_all((0..50).map(|_| {
            let twin = shop.with_new_id(&new);
            shop.store.accept(twin)
        })).await;
        let mut bodies: Vec<String> = Vec::new();
        let mut created = 0;
        for answer in answers {
            match answer.unwrap() {
                Accepted::Created { answer, .. } => { created += 1; bodies.push(answer.body); }
                Accepted::Replayed(answer) => bodies.push(answer.body),
                other => panic!("{other:?}"),
            }
        }
        bodies.dedup();
        assert_eq!((created, bodies.len()), (1, 1));
        let mut other = shop.with_new_id(&new);
        other.idempotency.body_hash = "other".to_owned();
        assert_eq!(shop.store.accept(other.clone()).await.unwrap(), Accepted::KeyReused);
        assert_eq!(shop.store.answered(&shop.scope, &other.idempotency).await.unwrap(), Some(Accepted::KeyReused));
        assert!(matches!(shop.store.answered(&shop.scope, &new.idempotency).await.unwrap(), Some(Accepted::Replayed(_))));
    }

    async fn an_accept_repeated_after_a_lost_answer_is_still_ours(shop) {
        let session = shop.session("yoga", 5).await;
        let new = shop.buy(&session, 1);
        let first = shop.store.accept(new.clone()).await.unwrap();
        let again = shop.store.accept(new).await.unwrap();
        let (Accepted::Created { answer: first, .. }, Accepted::Created { answer: again, .. }) = (first, again) else { panic!() };
        assert_eq!(first, again);
    }

    async fn one_bad_item_does_not_fail_its_batch(shop) {
        let session = shop.session("yoga", 50).await;
        let ids = join_all((0..20).map(|_| shop.accept(shop.buy(&session, 1)))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin_charge(id))).await;
        let good = ids.iter().zip(&begun).map(|(id, (n, token))| shop.try_settle(id, *n, token, approved(1500)));
        let bad = (0..3).map(|_| shop.try_settle(&ids[0], 9, "nobody", approved(1)));
        let results = join_all(good.map(futures::future::Either::Left).chain(bad.map(futures::future::Either::Right))).await;
        assert!(results[..20].iter().all(|result| matches!(result, Ok(Settled::Moved(_)))), "{results:?}");
        assert!(results[20..].iter().all(|result| matches!(result, Err(StoreError::Inconsistent(_)))), "{results:?}");
        shop.assert_clean().await;
    }

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

    async fn purchase_limits_count_what_a_customer_has(shop) {
        let session = shop.session_with("workshop", 100, |session| session.purchase_limit = Some(2)).await;
        let customer = CustomerId::parse("cus_ann").unwrap();
        shop.customer(&customer).await;
        let buy = |quantity| { let mut new = shop.buy(&session, quantity); new.order.customer = Some(customer.clone()); new };
        let ids = join_all((0..5).map(|_| shop.accept(buy(1)))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin(id))).await;
        assert_eq!(begun.iter().filter(|(answer, _)| matches!(answer.next, Next::Act { .. })).count(), 2);
        let mut unknown = shop.buy(&session, 1);
        unknown.order.customer = Some(CustomerId::parse("cus_nobody").unwrap());
        assert_eq!(shop.store.accept(unknown).await.unwrap(), Accepted::CustomerMissing);
    }

    async fn a_customer_is_found_by_its_external_id_or_made_once(shop) {
        let session = shop.session("yoga", 100).await;
        let ids = join_all((0..20).map(|_| {
            let mut new = shop.buy(&session, 1);
            new.customer = Some(fixture::customer("crm-7"));
            shop.accept(new)
        })).await;
        let mut customers = Vec::new();
        for id in &ids {
            customers.push(shop.checkout(id).await.order.customer.unwrap());
        }
        customers.dedup();
        assert_eq!(customers.len(), 1);
        let kept = shop.store.customer(&shop.scope, &customers[0]).await.unwrap().unwrap();
        assert_eq!(kept.email.as_deref(), Some("crm-7@shop.example"));
    }

    async fn a_free_or_custom_order_is_sold_without_an_outside_call(shop) {
        let session = shop.session("yoga", 2).await;
        let id = shop.accept(shop.buy_cash(&session, 2)).await;
        let (answer, _) = shop.begin(&id).await;
        assert!(matches!(answer.next, Next::Moved(moved) if moved.status == Status::Succeeded));
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().sold, 2);
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

    async fn events_are_frozen_and_delivered_until_the_receiver_has_them(shop) {
        let session = shop.session("yoga", 5).await;
        let endpoint = EndpointId::parse("whe_all").unwrap();
        let secret = Secret::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned());
        shop.store.put_endpoint(&shop.scope, &endpoint, "https://shop.example/all", &["*".to_owned()], true, &secret).await.unwrap();
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
        shop.store.put_endpoint(&shop.scope, &endpoint, "https://gone.example", &["checkout.succeeded".to_owned()], true, &secret).await.unwrap();
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

    async fn capacity_never_goes_below_what_is_claimed(shop) {
        let session = shop.session("yoga", 5).await;
        let id = shop.accept(shop.buy(&session, 3)).await;
        shop.begin_charge(&id).await;
        let put = |capacity| { let session = session.clone(); let shop = &shop; async move { shop.put_capacity(&session, capacity).await } };
        assert_eq!(put(2).await, Put::CapacityTooSmall { taken: 3 });
        assert!(matches!(put(3).await, Put::Replaced(_)));
        assert!(matches!(put(10).await, Put::Replaced(_)));
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().available, 7);
        let opera = shop.seated("opera", &["A1", "A2"]).await;
        let id = shop.accept(shop.buy_seats(&opera, &["A1"])).await;
        shop.begin_charge(&id).await;
        let without: Vec<String> = vec!["A2".to_owned(), "A3".to_owned()];
        let row = shop.store.get(&shop.scope, Kind::Session, &opera).await.unwrap().unwrap();
        let refused = shop.store.put(&shop.scope, Kind::Session, &opera, &row.doc, Some(2), Some(&without)).await.unwrap();
        assert_eq!(refused, Put::CapacityTooSmall { taken: 1 });
    }

    async fn lists_page_through_everything_once(shop) {
        let session = shop.session("yoga", 500).await;
        let mut ids = Vec::new();
        for _ in 0..25 {
            ids.push(shop.accept(shop.buy(&session, 1)).await);
        }
        ids.sort_by(|a, b| b.cmp(a));
        let filter = CheckoutFilter { session: Some(session.clone()), ..CheckoutFilter::default() };
        let (mut seen, mut page) = (Vec::new(), fixture::page(10));
        loop {
            let answer = shop.store.checkouts(&shop.scope, &filter, &page).await.unwrap();
            seen.extend(answer.data.into_iter().map(|checkout| checkout.id));
            match answer.next_cursor { Some(cursor) => page.after = Some(cursor), None => break }
        }
        assert_eq!(seen, ids);
        let other = CheckoutFilter { session: Some(CatalogueId::parse("yog_").unwrap()), ..CheckoutFilter::default() };
        assert!(shop.store.checkouts(&shop.scope, &other, &fixture::page(10)).await.unwrap().data.is_empty(), "an underscore is no wildcard");
    }

    async fn scopes_never_see_each_other(shop) {
        let session = shop.session("yoga", 5).await;
        let stranger = shop.other_scope();
        let id = shop.accept(shop.buy(&session, 1)).await;
        assert!(shop.store.get(&stranger, Kind::Session, &session).await.unwrap().is_none());
        assert!(shop.store.checkouts(&stranger, &CheckoutFilter::default(), &fixture::page(10)).await.unwrap().data.is_empty());
        assert!(matches!(shop.store.cancel(&stranger, &id).await.unwrap(), CancelResult::Missing));
        assert!(matches!(shop.store.resolve(&stranger, &id, Verdict::Failed, "").await.unwrap(), ResolveResult::Missing));
        let mut theirs = shop.buy(&session, 1);
        theirs.scope = stranger;
        let theirs = shop.accept(theirs).await;
        let Next::Moved(moved) = shop.begin(&theirs).await.0.next else { panic!() };
        assert_eq!(moved.status, Status::Failed, "their session has the same id and does not exist");
    }

    async fn an_audit_finds_what_was_broken_and_a_repair_mends_the_counters(shop) {
        let session = shop.session("yoga", 5).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        shop.begin_charge(&id).await;
        shop.break_counter(&session).await;
        let breaches = shop.store.audit(Duration::from_secs(3600)).await.unwrap();
        assert_eq!(breaches.iter().map(|breach| breach.rule.as_str()).collect::<Vec<_>>(), ["stock_drift"]);
        assert_eq!(shop.store.repair().await.unwrap(), ["1 counters set to their claims"]);
        shop.assert_clean().await;
    }

    async fn a_promo_code_is_used_as_often_as_it_may(shop) {
        let session = shop.session("yoga", 100).await;
        let code = shop.promo("TWICE", 2).await;
        let ids = join_all((0..10).map(|_| shop.accept(shop.buy_with_promo(&session, &code)))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin(id))).await;
        assert_eq!(begun.iter().filter(|(answer, _)| matches!(answer.next, Next::Act { .. })).count(), 2);
        let refused = begun.into_iter().find_map(|(answer, _)| if let Next::Moved(moved) = answer.next { Some(moved) } else { None }).unwrap();
        assert_eq!(shop.checkout(&refused.checkout).await.error.unwrap().code, Code::PromoCodeInvalid);
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().held, 2, "all that a checkout wants, or nothing");
        shop.assert_clean().await;
    }

    async fn keys_are_found_by_hash_until_they_are_revoked(shop) {
        let key = fixture::api_key(&shop.scope);
        shop.store.add_key(&key, "hash-1").await.unwrap();
        assert_eq!(shop.store.key_by_hash("hash-1").await.unwrap(), Some(key.clone()));
        assert_eq!(shop.store.keys(Some("nobody")).await.unwrap(), []);
        assert_eq!(shop.store.keys(None).await.unwrap(), std::slice::from_ref(&key));
        assert!(shop.store.revoke_key(&key.id).await.unwrap());
        assert!(!shop.store.revoke_key(&key.id).await.unwrap());
        assert_eq!(shop.store.key_by_hash("hash-1").await.unwrap(), None);
    }

    async fn old_answers_are_forgotten_and_young_ones_kept(shop) {
        let session = shop.session("yoga", 100).await;
        let new = shop.buy(&session, 1);
        let row = new.idempotency.clone();
        let id = shop.accept(new).await;
        assert_eq!(shop.store.forget_answers(Duration::from_secs(3600), 10).await.unwrap(), 0);
        shop.wait_until_past(shop.checkout(&id).await.created_at).await;
        assert_eq!(shop.store.forget_answers(Duration::ZERO, 10).await.unwrap(), 1);
        assert_eq!(shop.store.answered(&shop.scope, &row).await.unwrap(), None);
    }

    async fn migrating_twice_changes_nothing(shop) {
        shop.store.migrate().await.unwrap();
        shop.store.ping().await.unwrap();
        assert_eq!(shop.store.counts(None).await.unwrap(), []);
    }

    async fn an_approval_of_another_amount_needs_a_person(shop) {
        let session = shop.session("yoga", 1).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(1)).await;
        assert_eq!(shop.checkout(&id).await.status, Status::NeedsReview);
    }
}
