//! Sessions that are called off: nobody slips through, and whoever works on the job, and dies, does nothing twice.

use super::fixture::{self, Shop, approved, page};
use boxoffice_common::{
    domain::{
        id::{CatalogueId, CheckoutId, CustomerId, JobId, RefundId, WaitingId},
        job::{self, ItemState, Job, JobStatus, Undo},
        refund::RefundAsk,
        state::Status,
        waiting::WaitingStatus,
    },
    ports::{
        clock::{Clock, SystemClock},
        store::*,
    },
};
use boxoffice_testkit::proxy::{Cut, CuttingProxy};
use futures::future::join_all;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(60);

fn cancellation(shop: &Shop, session: &CatalogueId) -> NewCancellation {
    NewCancellation {
        id: JobId::generate(&shop.entropy, SystemClock::default().now()),
        scope: shop.scope.clone(),
        session: session.clone(),
        reason: Some("rain".to_owned()),
        idempotency: None,
    }
}

/// Calls the session off for the first time.
pub async fn call_off(shop: &Shop, session: &CatalogueId) -> JobId {
    let new = cancellation(shop, session);
    let result = shop.store.cancel_session(&new).await.unwrap();
    assert!(matches!(result, CancelSession::Created(_)), "{result:?}");
    new.id
}

pub async fn job(shop: &Shop, id: &JobId) -> Job {
    shop.store.job(&shop.scope, id).await.unwrap().unwrap()
}

/// Status, total, done, failed.
pub async fn standing(shop: &Shop, id: &JobId) -> (JobStatus, u32, u32, u32) {
    let job = job(shop, id).await;
    (job.status, job.total, job.done, job.failed)
}

pub async fn take(shop: &Shop, token: &str) -> Option<JobBatch> {
    shop.store.take_job(token, LEASE).await.unwrap()
}

pub async fn undo(shop: &Shop, job: &Job, id: &CheckoutId) -> Undo {
    undo_again(shop, job, id, 0).await
}

/// After so many retries.
pub async fn undo_again(shop: &Shop, job: &Job, id: &CheckoutId, retries: u32) -> Undo {
    let refunds = shop.store.refunds(&shop.scope, id).await.unwrap();
    job::undo(shop.checkout(id).await, refunds, &job.refund_of(id, retries).unwrap(), job).unwrap()
}

pub async fn refund(shop: &Shop, id: RefundId, checkout: &CheckoutId, ask: RefundAsk) {
    let idempotency = IdempotencyRow { route: "refund".to_owned(), key: id.to_string(), body_hash: String::new() };
    let new = NewRefund { id, scope: shop.scope.clone(), checkout: checkout.clone(), ask, idempotency };
    let result = shop.store.refund(&new).await.unwrap();
    assert!(matches!(result, RefundResult::Created { .. }), "{result:?}");
}

/// The job's own refund, which the provider grants.
pub async fn give_back(shop: &Shop, job: &Job, id: &CheckoutId) {
    give_back_again(shop, job, id, 0).await;
}

pub async fn give_back_again(shop: &Shop, job: &Job, id: &CheckoutId, retries: u32) {
    let Undo::Refund(ask) = undo_again(shop, job, id, retries).await else { panic!("nothing to give back") };
    refund(shop, job.refund_of(id, retries).unwrap(), id, ask).await;
    let amount = shop.checkout(id).await.attempts.last().unwrap().request.amount.minor();
    let (n, token) = shop.begin_charge(id).await;
    shop.settle(id, n, &token, approved(amount)).await;
}

/// All of the batch stand so now.
pub async fn save(shop: &Shop, token: &str, batch: &JobBatch, state: ItemState) -> Job {
    shop.store.save_job(&batch.job.id, token, &all(batch, state), Duration::ZERO).await.unwrap().unwrap()
}

pub fn all(batch: &JobBatch, state: ItemState) -> Vec<(CheckoutId, ItemState)> {
    batch.checkouts.iter().map(|id| (id.clone(), state)).collect()
}

over_both! {
    async fn whoever_gets_a_place_while_the_session_is_called_off_is_on_the_list(shop) {
        let session = shop.session("yoga", 100).await;
        let ids = join_all((0..40).map(|_| shop.accept(shop.buy(&session, 1)))).await;
        let new = cancellation(&shop, &session);
        let (begun, canceled) = tokio::join!(join_all(ids.iter().map(|id| shop.begin(id))), shop.store.cancel_session(&new));
        assert!(matches!(canceled.unwrap(), CancelSession::Created(_)));
        let held: Vec<CheckoutId> = ids.iter().zip(&begun).filter(|(_, (answer, _))| matches!(answer.next, Next::Act { .. })).map(|(id, _)| id.clone()).collect();
        let mut listed = take(&shop, "t").await.unwrap().checkouts;
        listed.sort();
        let mut expected = held.clone();
        expected.sort();
        assert_eq!(listed, expected);
        for (id, _) in ids.iter().zip(&begun).filter(|(id, _)| !held.contains(id)) {
            assert_eq!(shop.checkout(id).await.status, Status::Failed, "called off before it was begun");
        }
        let late = shop.accept(shop.buy(&session, 1)).await;
        assert!(matches!(shop.begin(&late).await.0.next, Next::Moved(moved) if moved.status == Status::Failed));
        shop.assert_clean().await;
    }

    async fn called_off_again_it_is_the_same_job_and_who_bought_in_between_joins_its_list(shop) {
        let session = shop.session("yoga", 5).await;
        let first = shop.sold(shop.buy(&session, 1)).await;
        let id = call_off(&shop, &session).await;
        let again = shop.store.cancel_session(&cancellation(&shop, &session)).await.unwrap();
        assert!(matches!(again, CancelSession::Existing(ref job) if job.id == id), "{again:?}");
        let twins = join_all((0..10).map(async |_| shop.store.cancel_session(&cancellation(&shop, &session)).await)).await;
        assert!(twins.iter().all(|twin| matches!(twin, Ok(CancelSession::Existing(job)) if job.id == id)));
        // It is put on sale again, sold, and called off while the job still runs.
        shop.put_capacity(&session, 5).await;
        let second = shop.sold(shop.buy(&session, 1)).await;
        let again = shop.store.cancel_session(&cancellation(&shop, &session)).await.unwrap();
        assert!(matches!(again, CancelSession::Existing(ref job) if job.id == id && job.total == 2), "{again:?}");
        let batch = take(&shop, "t").await.unwrap();
        assert_eq!(batch.checkouts, [first, second]);
        for checkout in &batch.checkouts {
            give_back(&shop, &batch.job, checkout).await;
        }
        save(&shop, "t", &batch, ItemState::Done).await;
        assert_eq!(standing(&shop, &id).await, (JobStatus::Succeeded, 2, 2, 0));
        let after = shop.store.cancel_session(&cancellation(&shop, &session)).await.unwrap();
        assert!(matches!(after, CancelSession::Existing(ref job) if job.id == id), "{after:?}");
        // On sale again after its end, it is another story.
        shop.put_capacity(&session, 5).await;
        let other = call_off(&shop, &session).await;
        let jobs = shop.store.jobs(&shop.scope, &page(10)).await.unwrap();
        assert_eq!(jobs.data.into_iter().map(|job| job.id).collect::<Vec<_>>(), [other, id]);
        shop.assert_clean().await;
    }

    async fn two_workers_at_once_never_have_the_same_batch_and_a_dead_ones_is_taken_over(shop) {
        let session = shop.session("yoga", 200).await;
        for _ in 0..60 {
            let id = shop.accept(shop.buy_cash(&session, 1)).await;
            shop.begin(&id).await;
        }
        let id = call_off(&shop, &session).await;
        let tokens: Vec<String> = (0..8).map(|n| format!("t{n}")).collect();
        let takes = join_all(tokens.iter().map(|token| take(&shop, token))).await;
        assert_eq!(takes.iter().flatten().count(), 1, "one has it");
        let (first, token) = takes.into_iter().zip(&tokens).find_map(|(batch, token)| Some((batch?, token))).unwrap();
        assert_eq!(first.checkouts.len(), job::MAX_UNDER_WAY);
        // Half of it is saved as under way, then the worker of the next batch dies.
        let saved: Vec<_> = first.checkouts.iter().take(20).map(|id| (id.clone(), ItemState::Done)).chain(first.checkouts.iter().skip(20).take(10).map(|id| (id.clone(), ItemState::UnderWay))).collect();
        let job = shop.store.save_job(&id, token, &saved, Duration::ZERO).await.unwrap().unwrap();
        assert_eq!((job.status, job.done, job.total), (JobStatus::Running, 20, 60));
        let dead = take(&shop, "dead").await.unwrap();
        assert!(take(&shop, "other").await.is_none(), "it is leased");
        shop.sql("UPDATE jobs SET lease_until = 1").await;
        let second = take(&shop, "other").await.unwrap();
        assert_eq!(second.checkouts, dead.checkouts, "nothing is skipped");
        assert!(second.checkouts.iter().all(|id| !saved.contains(&(id.clone(), ItemState::Done))), "and nothing that is done comes again");
        assert_eq!(second.checkouts.len(), 40);
        assert!(shop.store.save_job(&id, "dead", &all(&dead, ItemState::Failed), Duration::ZERO).await.unwrap().is_none(), "too late");
        assert_eq!(standing(&shop, &id).await, (JobStatus::Running, 60, 20, 0));
        let failed = second.checkouts[0].clone();
        let end: Vec<_> = second.checkouts.iter().map(|id| (id.clone(), if *id == failed { ItemState::Failed } else { ItemState::Done })).collect();
        shop.store.save_job(&id, "other", &end, Duration::ZERO).await.unwrap().unwrap();
        let ended = self::job(&shop, &id).await;
        assert_eq!((ended.status, ended.done, ended.failed), (JobStatus::Failed, 59, 1));
        assert!(ended.completed_at.is_some() && take(&shop, "x").await.is_none());
    }

    async fn a_paused_job_is_nobodys_until_it_is_resumed_and_what_was_in_hand_is_kept(shop) {
        let session = shop.session("yoga", 5).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
        let id = call_off(&shop, &session).await;
        let pause = async |paused| shop.store.pause_job(&shop.scope, &id, paused).await.unwrap();
        let batch = take(&shop, "t").await.unwrap();
        for _ in 0..2 {
            assert!(matches!(pause(true).await, JobChange::Changed(job) if job.status == JobStatus::Paused));
        }
        shop.store.save_job(&id, "t", &[(sale.clone(), ItemState::UnderWay)], Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(standing(&shop, &id).await.0, JobStatus::Paused);
        assert!(take(&shop, "u").await.is_none());
        assert_eq!(shop.broken().await, Vec::<String>::new());
        for _ in 0..2 {
            assert!(matches!(pause(false).await, JobChange::Changed(job) if job.status == JobStatus::Running));
        }
        give_back(&shop, &batch.job, &sale).await;
        assert_eq!(undo(&shop, &batch.job, &sale).await, Undo::Nothing);
        let again = take(&shop, "u").await.unwrap();
        assert_eq!(again.checkouts, [sale]);
        save(&shop, "u", &again, ItemState::Done).await;
        for paused in [true, false] {
            assert!(matches!(pause(paused).await, JobChange::Ended(job) if job.status == JobStatus::Succeeded));
        }
        shop.assert_clean().await;
    }

    async fn refunds_that_nobody_answers_hold_up_nobody_else(shop) {
        let session = shop.session("yoga", 300).await;
        for _ in 0..130 {
            let id = shop.accept(shop.buy_cash(&session, 1)).await;
            shop.begin(&id).await;
        }
        call_off(&shop, &session).await;
        let round = async |token: &str| {
            let batch = take(&shop, token).await.unwrap();
            save(&shop, token, &batch, ItemState::UnderWay).await;
            batch.checkouts
        };
        let first = round("a").await;
        assert_eq!((first.len(), round("b").await), (job::MAX_UNDER_WAY, first.clone()), "fifty at once");
        shop.sql("UPDATE job_items SET since = 1 WHERE state = 'under_way'").await;
        let next = round("c").await;
        assert_eq!(next.len(), 2 * job::MAX_UNDER_WAY);
        assert!(next[..50].iter().all(|checkout| !first.contains(checkout)) && next[50..].iter().all(|checkout| first.contains(checkout)));
        // Of those that are slow, as many are looked at as one round takes: each in its turn.
        shop.sql("UPDATE job_items SET since = 1 WHERE state = 'under_way'").await;
        shop.sql("UPDATE job_items SET looked_at = 2 WHERE looked_at > 1").await;
        let (turn, other) = (round("d").await, round("e").await);
        assert_eq!((turn.len(), other.len()), (80, 80));
        assert!(turn[30..].iter().all(|checkout| !other[30..].contains(checkout)), "the other half");
    }

    async fn nothing_that_comes_free_of_a_session_that_is_called_off_is_offered(shop) {
        let session = shop.session("yoga", 1).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
        let customer = CustomerId::parse("cus_1").unwrap();
        shop.store.put_customer(&shop.scope, &customer, &fixture::customer("crm-1")).await.unwrap().unwrap();
        let entry = NewWaiting {
            id: WaitingId::generate(&shop.entropy, SystemClock::default().now()),
            scope: shop.scope.clone(),
            session: session.clone(),
            customer,
            quantity: 1,
            callback_url: None,
            offer_for: Duration::from_secs(900),
            idempotency: None,
        };
        assert!(matches!(shop.store.join(&entry).await.unwrap(), JoinResult::Created(_)));
        call_off(&shop, &session).await;
        let batch = take(&shop, "t").await.unwrap();
        give_back(&shop, &batch.job, &sale).await;
        let status = async || shop.store.waiting_entry(&shop.scope, &entry.id).await.unwrap().unwrap().status;
        assert_eq!(status().await, WaitingStatus::Waiting, "a place is free, and is not offered");
        shop.store.lapse(10).await.unwrap();
        assert_eq!(status().await, WaitingStatus::Expired);
        let left = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
        assert_eq!((left.sold, left.held, left.available), (0, 0, 1));
    }

    async fn a_key_that_found_the_session_called_off_never_calls_it_off_again(shop) {
        let session = shop.session("yoga", 5).await;
        let first = call_off(&shop, &session).await;
        let key = IdempotencyRow { route: "POST /v1/sessions/yoga/cancel".to_owned(), key: "k".to_owned(), body_hash: "h".to_owned() };
        let keyed = || NewCancellation { idempotency: Some(key.clone()), ..cancellation(&shop, &session) };
        let found = shop.store.cancel_session(&keyed()).await.unwrap();
        assert!(matches!(found, CancelSession::Existing(ref job) if job.id == first), "{found:?}");
        // Its job comes to its end, and the session is put on sale again.
        take(&shop, "t").await.unwrap();
        shop.store.save_job(&first, "t", &[], Duration::ZERO).await.unwrap().unwrap();
        shop.put_capacity(&session, 5).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
        // A client that never saw the answer sends the same request once more.
        let again = shop.store.cancel_session(&keyed()).await.unwrap();
        assert!(matches!(again, CancelSession::Replayed(ref answer) if answer.object == first.as_str() && answer.status == 200), "{again:?}");
        assert_eq!(shop.store.jobs(&shop.scope, &page(10)).await.unwrap().data.len(), 1);
        let other = IdempotencyRow { body_hash: "other".to_owned(), ..key.clone() };
        let other = NewCancellation { idempotency: Some(other), ..cancellation(&shop, &session) };
        assert!(matches!(shop.store.cancel_session(&other).await.unwrap(), CancelSession::KeyReused));
        let next = shop.accept(shop.buy(&session, 1)).await;
        assert!(matches!(shop.begin(&next).await.0.next, Next::Act { .. }), "still on sale");
        assert_eq!(shop.checkout(&sale).await.status, Status::Succeeded);
    }

    async fn nobody_calls_off_or_sees_what_is_anothers(shop) {
        let session = shop.session("yoga", 5).await;
        let theirs = shop.other_scope();
        let new = NewCancellation { scope: theirs.clone(), ..cancellation(&shop, &session) };
        assert!(matches!(shop.store.cancel_session(&new).await.unwrap(), CancelSession::Missing));
        let id = call_off(&shop, &session).await;
        assert_eq!(shop.store.job(&theirs, &id).await.unwrap(), None);
        assert_eq!(shop.store.jobs(&theirs, &page(10)).await.unwrap().data, []);
        assert_eq!(shop.store.pause_job(&theirs, &id, true).await.unwrap(), JobChange::Missing);
    }

    async fn the_audit_finds_a_job_that_nobody_works_on_and_one_that_ended_too_early(shop) {
        let session = shop.session("yoga", 5).await;
        shop.sold(shop.buy(&session, 1)).await;
        call_off(&shop, &session).await;
        shop.assert_clean().await;
        shop.sql("UPDATE jobs SET lease_until = 1").await;
        assert_eq!(shop.broken().await, ["stuck_job"]);
        let batch = take(&shop, "t").await.unwrap();
        shop.assert_clean().await;
        save(&shop, "t", &batch, ItemState::Done).await;
        assert_eq!(shop.broken().await, ["job_without_end"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_called_off_once_wherever_the_connection_is_cut() {
    let url = boxoffice_testkit::servers::shared::postgres_url().await.unwrap();
    let proxy = CuttingProxy::start(&url).await.unwrap();
    let shop = Shop::open(proxy.url(), &url, None).await;
    for cut in [Cut::BeforeRequest, Cut::BeforeAnswer] {
        let mut reached_the_end = false;
        for step in 0..100 {
            let session = shop.session(&format!("{cut:?}_{step}"), 5).await;
            shop.sold(shop.buy(&session, 1)).await;
            proxy.cut_at(step, cut);
            let id = call_off(&shop, &session).await;
            let was_cut = proxy.was_cut();
            assert_eq!(standing(&shop, &id).await, (JobStatus::Running, 1, 0, 0), "{cut:?} at {step}");
            if !was_cut {
                reached_the_end = true;
                break;
            }
        }
        assert!(reached_the_end, "{cut:?}: more than 100 steps");
    }
    shop.assert_clean().await;
}
