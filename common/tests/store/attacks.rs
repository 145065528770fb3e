//! Suspicions about the store, one promise each, over PostgreSQL and SQLite alike.

use super::fixture::{self, Shop, approved, declined};
use boxoffice_common::{
    domain::{
        attempt::{AttemptKind, Decline, Outcome},
        begin::Action,
        catalogue::Kind,
        delivery::{DeliveryResult, DeliveryTaken, DeliveryVerdict},
        ends::Verdict,
        id::{CatalogueId, CustomerId, EndpointId},
        secret::Secret,
        state::Status,
    },
    ports::store::*,
};
use boxoffice_testkit::proxy::{Cut, CuttingProxy};
use futures::future::join_all;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn secret(text: &str) -> Secret<String> {
    Secret::new(format!("whsec_{text}"))
}

async fn with_callback(shop: &Shop, session: &CatalogueId) -> NewCheckout {
    let mut new = shop.buy_cash(session, 1);
    new.order.callback_url = Some("https://shop.example/own".to_owned());
    new
}

over_both! {
    async fn a_rotation_repeated_after_a_lost_commit_keeps_both_secrets_alive(shop) {
        let session = shop.session("yoga", 5).await;
        let first = shop.store.default_secret(&shop.scope, &secret("first")).await.unwrap();
        for _ in 0..2 {
            assert!(shop.store.rotate_secret(&shop.scope, None, &secret("new"), HOUR).await.unwrap());
        }
        let id = shop.accept(with_callback(&shop, &session).await).await;
        let Next::Moved(moved) = shop.begin(&id).await.0.next else { panic!() };
        let DeliveryTaken::Send(job) = shop.store.take_delivery(&moved.deliveries[0], "worker", HOUR).await.unwrap() else { panic!() };
        assert_eq!(job.secrets, [secret("new"), first]);
        let lasting = shop.store.default_secret(&shop.scope, &secret("other")).await.unwrap();
        assert_eq!(lasting, secret("new"), "the new one does not end with the old one");
    }

    async fn an_endpoint_put_again_after_a_lost_commit_still_shows_its_secret(shop) {
        let id = EndpointId::parse("whe_1").unwrap();
        let put = |secret: Secret<String>| {
            let (shop, id) = (&shop, &id);
            async move { shop.store.put_endpoint(&shop.scope, &PutEndpoint::standard(id, "https://shop.example", &["*"]), &secret).await.unwrap().1 }
        };
        assert!(put(secret("one")).await);
        assert!(put(secret("one")).await, "the same secret: its own work, of which the answer was lost");
        assert!(!put(secret("two")).await);
    }

    async fn of_many_first_puts_of_an_endpoint_one_shows_a_secret_and_it_is_the_one_that_signs(shop) {
        let session = shop.session("yoga", 100).await;
        for round in 0..5 {
            let id = EndpointId::parse(format!("whe_{round}")).unwrap();
            let puts = join_all((0..8).map(|n| {
                let (shop, id, secret) = (&shop, &id, secret(&format!("{round}_{n}")));
                async move {
                    let put = PutEndpoint::standard(id, "https://shop.example", &["*"]);
                    let (_, is_new) = shop.store.put_endpoint(&shop.scope, &put, &secret).await.unwrap();
                    is_new.then_some(secret)
                }
            }));
            let shown: Vec<Secret<String>> = puts.await.into_iter().flatten().collect();
            assert_eq!(shown.len(), 1, "each of these clients believes in its own");
            let sold = shop.accept(shop.buy_cash(&session, 1)).await;
            let Next::Moved(moved) = shop.begin(&sold).await.0.next else { panic!() };
            let DeliveryTaken::Send(job) = shop.store.take_delivery(&moved.deliveries[0], "worker", HOUR).await.unwrap() else { panic!() };
            assert_eq!(job.secrets, shown);
            assert!(shop.store.delete_endpoint(&shop.scope, &id).await.unwrap());
        }
    }

    async fn of_many_rotations_at_once_one_secret_lasts(shop) {
        let session = shop.session("yoga", 100).await;
        for round in 0..5 {
            let rotations = join_all((0..8).map(|n| {
                let (shop, new) = (&shop, secret(&format!("{round}_{n}")));
                async move { shop.store.rotate_secret(&shop.scope, None, &new, Duration::ZERO).await }
            }));
            assert!(rotations.await.into_iter().all(|rotated| rotated.unwrap()));
            let id = shop.accept(with_callback(&shop, &session).await).await;
            let Next::Moved(moved) = shop.begin(&id).await.0.next else { panic!() };
            let DeliveryTaken::Send(job) = shop.store.take_delivery(&moved.deliveries[0], "worker", HOUR).await.unwrap() else { panic!() };
            assert_eq!(job.secrets.len(), 1, "those before have ended");
            assert_eq!(job.secrets, [shop.store.default_secret(&shop.scope, &secret("other")).await.unwrap()]);
        }
    }

    async fn first_callbacks_that_go_out_at_once_are_all_signed_with_the_secret_that_clients_are_shown(shop) {
        let session = shop.session("yoga", 100).await;
        let others = [shop.another_store().await, shop.another_store().await, shop.another_store().await];
        let ids = join_all((0..12).map(|_| async { shop.accept(with_callback(&shop, &session).await).await })).await;
        let moved = join_all(ids.iter().map(|id| shop.begin(id))).await;
        let deliveries = moved.into_iter().map(|(answer, _)| if let Next::Moved(moved) = answer.next { moved.deliveries[0].clone() } else { panic!() });
        let taken = join_all(deliveries.enumerate().map(|(n, id)| {
            let store = &others[n % others.len()];
            async move { store.take_delivery(&id, "worker", HOUR).await.unwrap() }
        })).await;
        let shown = shop.store.default_secret(&shop.scope, &secret("too late")).await.unwrap();
        for taken in taken {
            let DeliveryTaken::Send(job) = taken else { panic!("{taken:?}") };
            assert!(job.secrets.contains(&shown), "signed with what no client will ever know");
        }
    }

    async fn lists_tell_upper_case_from_lower_case_and_a_session_from_what_looks_like_one(shop) {
        let (lower, upper) = (shop.session("yoga", 5).await, shop.session("YOGA", 5).await);
        let mut pretends = shop.buy(&upper, 1);
        pretends.order.metadata = serde_json::json!({"session": "yoga"}).as_object().unwrap().clone();
        shop.accept(pretends).await;
        let id = shop.accept(shop.buy(&lower, 1)).await;
        let filter = CheckoutFilter { session: Some(lower), ..CheckoutFilter::default() };
        let found = shop.store.checkouts(&shop.scope, &filter, &fixture::page(10)).await.unwrap().data;
        assert_eq!(found.into_iter().map(|checkout| checkout.id).collect::<Vec<_>>(), [id]);
    }

    async fn an_outcome_is_recorded_whatever_the_provider_writes_into_it(shop) {
        let session = shop.session("yoga", 5).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&id).await;
        let words = "a\0b \u{1} \u{7f} \" \\ ' é \u{1f3ab} \u{2028}";
        let decline = Decline::new(words.to_owned(), words.to_owned(), Some(words.to_owned()));
        assert!(matches!(shop.settle(&id, n, &token, Outcome::Declined(decline)).await, Settled::Moved(_)));
        let checkout = shop.checkout(&id).await;
        assert_eq!(checkout.status, Status::Failed);
        assert_eq!(checkout.attempts[0].decline_code.as_deref().map(|code| code.replace('\u{fffd}', "\0")).as_deref(), Some(words));
        shop.assert_clean().await;
    }

    async fn texts_that_look_like_something_else_stay_texts(shop) {
        for odd in ["123", "1e5", "true", "null", "-0", "0x10", "007", "NaN"] {
            let session = shop.seated(odd, &["1", "01", "1e5", "1E5", "true", "null", "1.0", "é", "a\"b", "'", "\\", "%", "a\u{301}"]).await;
            let customer = CustomerId::parse(odd).unwrap();
            shop.store.put_customer(&shop.scope, &customer, &fixture::customer(odd)).await.unwrap().unwrap();
            for seat in ["1", "01", "1e5", "1E5", "true", "null", "1.0", "é", "a\"b", "'", "\\", "%", "a\u{301}"] {
                let mut new = shop.buy_seats(&session, &[seat]);
                new.order.customer = Some(customer.clone());
                new.order.reference = Some(odd.to_owned());
                let id = shop.accept(new).await;
                let (n, token) = shop.begin_charge(&id).await;
                shop.settle(&id, n, &token, approved(1500)).await;
                let found = CheckoutFilter { reference: Some(odd.to_owned()), customer: Some(customer.clone()), ..CheckoutFilter::default() };
                assert_eq!(shop.store.checkouts(&shop.scope, &found, &fixture::page(1)).await.unwrap().data[0].id, id);
            }
            let left = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
            assert_eq!((left.sold, left.available), (13, 0));
            let again = shop.accept(shop.buy_seats(&session, &["1e5"])).await;
            assert!(matches!(shop.begin(&again).await.0.next, Next::Moved(moved) if moved.status == Status::Failed));
        }
        shop.assert_clean().await;
    }

    async fn goods_are_sold_as_long_as_there_are_any(shop) {
        let mat = shop.product("mat", Some(3)).await;
        let ids = join_all((0..10).map(|_| shop.accept(shop.buy_product(&mat, 1)))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin(id))).await;
        assert_eq!(begun.iter().filter(|(answer, _)| matches!(answer.next, Next::Act { .. })).count(), 3);
        for (id, (answer, token)) in ids.iter().zip(begun) {
            if let Next::Act { n, .. } = answer.next {
                shop.settle(id, n, &token, declined()).await;
            }
        }
        let id = shop.accept(shop.buy_product(&mat, 3)).await;
        shop.begin_charge(&id).await;
        let row = shop.store.get(&shop.scope, Kind::Product, &mat).await.unwrap().unwrap();
        assert!(matches!(shop.store.put(&shop.scope, Kind::Product, &mat, &row.doc, None, None).await.unwrap(), Put::Replaced(_)));
        let id = shop.accept(shop.buy_product(&mat, 10)).await;
        shop.begin_charge(&id).await;
        let endless = shop.product("water", None).await;
        let id = shop.accept(shop.buy_product(&endless, 1_000)).await;
        shop.begin_charge(&id).await;
        shop.assert_clean().await;
    }

    async fn an_audit_is_not_misled_by_what_clients_write(shop) {
        let session = shop.session("yoga", 5).await;
        let mut new = shop.buy_cash(&session, 1);
        new.order.metadata = serde_json::json!({"callback_url": "https://shop.example", "type": "session"}).as_object().unwrap().clone();
        let id = shop.accept(new).await;
        assert!(matches!(shop.begin(&id).await.0.next, Next::Moved(moved) if moved.status == Status::Succeeded));
        shop.assert_clean().await;
    }

    async fn an_audit_sees_a_sale_without_its_money_and_without_its_seats(shop) {
        let session = shop.session("yoga", 5).await;
        for breakage in ["UPDATE attempts SET status = 'declined'", "UPDATE claims SET state = 'released'", "UPDATE checkouts SET amount_refunded = amount_paid + 1"] {
            let id = shop.accept(shop.buy(&session, 1)).await;
            let (n, token) = shop.begin_charge(&id).await;
            shop.settle(&id, n, &token, approved(1500)).await;
            let column = if breakage.contains("checkouts") { "id" } else { "checkout" };
            shop.sql(&format!("{breakage} WHERE {column} = '{id}'")).await;
        }
        let breaches = shop.store.audit(HOUR).await.unwrap();
        for rule in ["sale_without_payment", "sale_without_claims", "refunded_too_much"] {
            assert!(breaches.iter().any(|breach| breach.rule == rule), "{rule}: {breaches:?}");
        }
    }

    async fn what_an_operator_sold_is_no_breach(shop) {
        let session = shop.session("yoga", 5).await;
        for late in [None, Some(approved(1500))] {
            let id = shop.accept(shop.buy(&session, 1)).await;
            let (n, token) = shop.begin_charge(&id).await;
            shop.settle(&id, n, &token, Outcome::Unknown("timeout".to_owned())).await;
            shop.exhaust_window(&id).await;
            shop.resolve(&id, Verdict::Succeeded, "seen in the bank").await;
            if let Some(late) = late {
                shop.settle(&id, n, "late", late).await;
            }
            let sold = shop.checkout(&id).await;
            assert_eq!((sold.status, sold.amount_paid.minor(), sold.attempts.len()), (Status::Succeeded, 1500, 1));
        }
        shop.assert_clean().await;
    }

    async fn an_operators_decision_may_be_repeated_and_not_changed(shop) {
        let session = shop.session("yoga", 5).await;
        for (verdict, other) in [(Verdict::Succeeded, Verdict::Failed), (Verdict::Failed, Verdict::Succeeded)] {
            let id = shop.accept(shop.buy(&session, 1)).await;
            let again = async |verdict, note| shop.store.resolve(&shop.scope, &id, verdict, note).await.unwrap();
            assert!(matches!(again(verdict, "seen").await, ResolveResult::NotInReview));
            let (n, token) = shop.begin_charge(&id).await;
            shop.settle(&id, n, &token, Outcome::Unknown("timeout".to_owned())).await;
            shop.exhaust_window(&id).await;
            shop.resolve(&id, verdict, "seen").await;
            let version = shop.checkout(&id).await.version;
            assert!(matches!(again(verdict, "seen").await, ResolveResult::Already));
            assert!(matches!(again(verdict, "seen by another").await, ResolveResult::NotInReview));
            assert!(matches!(again(other, "seen").await, ResolveResult::NotInReview));
            assert_eq!(shop.checkout(&id).await.version, version);
        }
        // Sold without an operator: nobody has said so.
        let id = shop.accept(shop.buy_cash(&session, 1)).await;
        shop.begin(&id).await;
        assert!(matches!(shop.store.resolve(&shop.scope, &id, Verdict::Succeeded, "").await.unwrap(), ResolveResult::NotInReview));
        shop.assert_clean().await;
    }

    async fn money_that_the_provider_has_after_an_operators_no_is_looked_for_and_goes_back(shop) {
        let session = shop.session("yoga", 1).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, Outcome::Unknown("timeout".to_owned())).await;
        shop.exhaust_window(&id).await;
        assert_eq!(shop.resolve(&id, Verdict::Failed, "not found").await.due_in, Some(Duration::ZERO));
        let (answer, token) = shop.begin(&id).await;
        let Next::Act { n: looked_up, action, .. } = answer.next else { panic!("{answer:?}") };
        assert_eq!((looked_up, action), (n, Action::LookUp), "no charge is sent behind the end");
        shop.settle(&id, n, &token, approved(1500)).await;
        let (answer, token) = shop.begin(&id).await;
        let Next::Act { n: refund, checkout, action } = answer.next else { panic!("{answer:?}") };
        assert_eq!((checkout.attempts[1].request.kind, action), (AttemptKind::Refund, Action::Send));
        shop.settle(&id, refund, &token, approved(1500)).await;
        let after = shop.checkout(&id).await;
        assert_eq!((after.status, after.amount_paid.minor(), after.amount_refunded.minor(), after.due_at), (Status::Failed, 1500, 1500, None));
        shop.assert_clean().await;
    }

    async fn one_row_that_cannot_be_read_does_not_keep_the_others_from_ending(shop) {
        let session = shop.session("yoga", 5).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            let mut new = shop.buy(&session, 1);
            new.expires_in = Duration::from_millis(1);
            ids.push(shop.accept(new).await);
        }
        shop.wait_until_past(shop.checkout(&ids[2]).await.expires_at).await;
        shop.sql(&format!("UPDATE checkouts SET doc = 'damaged' WHERE id = '{}'", ids[0])).await;
        let ended = shop.store.expire(10).await.unwrap();
        assert_eq!(ended.iter().filter(|moved| moved.status == Status::Expired).count(), 2);
    }

    async fn two_who_settle_one_charge_in_one_batch_are_each_answered(shop) {
        let session = shop.session("yoga", 50).await;
        let ids = join_all((0..10).map(|_| shop.accept(shop.buy(&session, 1)))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin_charge(id))).await;
        let twice = ids.iter().zip(&begun).chain(ids.iter().zip(&begun));
        let settled = join_all(twice.map(|(id, (n, token))| shop.settle(id, *n, token, approved(1500)))).await;
        let moved = settled.iter().filter(|settled| matches!(settled, Settled::Moved(_))).count();
        let known = settled.iter().filter(|settled| matches!(settled, Settled::Already(Status::Succeeded))).count();
        assert_eq!((moved, known), (10, 10));
        shop.assert_clean().await;
    }
}

/// A repair counts again while others sell: what they claim meanwhile must not be forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_in_the_middle_of_a_sale_forgets_no_claim() {
    let shop = Shop::postgres().await;
    let session = shop.session("yoga", 20).await;
    shop.break_counter(&session).await;
    let sale = "BEGIN; UPDATE inventory SET taken = taken + 1, version = version + 1 WHERE id = 'yoga'; \
        INSERT INTO claims (checkout, n, scope, kind, resource, quantity, state) VALUES ('chk_x', 0, 'studio/test', 'session', 'yoga', 1, 'held')";
    shop.script(sale).await;
    let repairing = tokio::spawn({
        let store = shop.store.clone();
        async move { store.repair().await }
    });
    shop.wait_until_somebody_waits_for_a_lock().await;
    shop.script("COMMIT").await;
    repairing.await.unwrap().unwrap();
    let breaches = shop.store.audit(HOUR).await.unwrap();
    assert!(breaches.iter().all(|breach| breach.rule != "stock_drift"), "{breaches:?}");
}

/// The steps of a sale are cut in `outages`; these are the other transitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_and_a_callback_happen_once_wherever_the_connection_is_cut() {
    let url = boxoffice_testkit::servers::shared::postgres_url().await.unwrap();
    let proxy = CuttingProxy::start(&url).await.unwrap();
    let shop = Shop::open(proxy.url(), &url, None).await;
    let session = shop.session("yoga", 1_000_000).await;
    for cut in [Cut::BeforeRequest, Cut::BeforeAnswer] {
        for step in 0..400 {
            let charged = shop.accept(shop.buy(&session, 1)).await;
            let (n, token) = shop.begin_charge(&charged).await;
            let queued = shop.accept(with_callback(&shop, &session).await).await;
            proxy.cut_at(step, cut);
            let refused = Outcome::NotSent { cause: "refused".to_owned(), retry_after: None };
            shop.settle(&charged, n, &token, refused).await;
            let canceled = shop.store.cancel(&shop.scope, &queued).await.unwrap();
            assert!(matches!(canceled, CancelResult::Canceled(..)), "{canceled:?}");
            let delivery = shop.store.deliveries(&shop.scope, Some(&queued), None, &fixture::page(10)).await.unwrap().data.remove(0);
            let taken = shop.store.take_delivery(&delivery.id, "worker", HOUR).await.unwrap();
            assert!(matches!(taken, DeliveryTaken::Send(_)), "{cut:?} at {step}: {taken:?}");
            let (lease_token, verdict) = ("worker".to_owned(), DeliveryVerdict::RetryIn(HOUR));
            shop.store
                .record_delivery(DeliveryResult { id: delivery.id.clone(), lease_token, verdict, status_code: None, error: None })
                .await
                .unwrap();
            let was_cut = proxy.was_cut();
            let tried = shop.store.delivery(&shop.scope, &delivery.id).await.unwrap().unwrap().tries;
            assert_eq!((tried, shop.checkout(&charged).await.attempts[0].tries), (1, 1), "{cut:?} at {step}");
            if !was_cut {
                break;
            }
        }
    }
    assert_eq!(shop.store.get(&shop.scope, Kind::Session, &session).await.unwrap().map(|row| row.version), Some(1));
    shop.assert_clean().await;
}

/// A batch claims places of one session for who comes, and gives back those of another for who comes too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_locks_what_it_claims_and_what_it_gives_back_in_the_order_of_everybody() {
    let shop = Shop::postgres().await;
    let (first, last) = (shop.session("a_session", 5).await, shop.session("z_session", 5).await);
    let late = shop.accept(shop.buy(&first, 1)).await;
    let (n, token) = shop.begin_charge(&late).await;
    shop.settle(&late, n, &token, Outcome::NotSent { cause: "refused".to_owned(), retry_after: None }).await;
    shop.sql(&format!("UPDATE checkouts SET expires_at = 1 WHERE id = '{late}'")).await;
    shop.make_due(&late).await;
    let (door, fresh) = (shop.accept(shop.buy(&last, 1)).await, shop.accept(shop.buy(&last, 1)).await);
    let row = |id: &CatalogueId| format!("SELECT 1 FROM inventory WHERE kind = 'session' AND id = '{id}' FOR UPDATE");
    // Whoever begins first is kept waiting, so that the other two share the next batch.
    shop.script(&format!("BEGIN; {}; SAVEPOINT s; SELECT 1 FROM checkouts WHERE id = '{door}' FOR UPDATE", row(&first))).await;
    let opening = shop.begin(&door);
    let others = async {
        shop.wait_until_somebody_waits_for_a_lock().await;
        let both = async { tokio::join!(shop.begin(&fresh), shop.begin(&late)) };
        let meanwhile = async {
            tokio::task::yield_now().await;
            shop.script("ROLLBACK TO SAVEPOINT s").await;
            while shop.checkout(&door).await.status == Status::Queued {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            shop.wait_until_somebody_waits_for_a_lock().await;
            shop.script(&format!("{} NOWAIT; COMMIT", row(&last))).await;
        };
        tokio::join!(both, meanwhile)
    };
    tokio::join!(opening, others);
    assert_eq!((shop.checkout(&late).await.status, shop.checkout(&fresh).await.status), (Status::Failed, Status::Processing));
    shop.assert_clean().await;
}
