//! Sessions that are called off: nobody slips through, and whoever works on the job, and dies, does nothing twice.

use super::fixture::{self, Shop, approved, declined, page};
use boxoffice_common::{
    domain::{
        attempt::{Decline, Outcome},
        ends::Verdict,
        id::{CatalogueId, CheckoutId, CustomerId, JobId, RefundId, WaitingId},
        job::{self, ItemState, Job, JobStatus, Undo},
        money::Amount,
        refund::{RefundAsk, RefundStatus},
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
async fn call_off(shop: &Shop, session: &CatalogueId) -> JobId {
    let new = cancellation(shop, session);
    let result = shop.store.cancel_session(&new).await.unwrap();
    assert!(matches!(result, CancelSession::Created(_)), "{result:?}");
    new.id
}

async fn job(shop: &Shop, id: &JobId) -> Job {
    shop.store.job(&shop.scope, id).await.unwrap().unwrap()
}

/// Status, total, done, failed.
async fn standing(shop: &Shop, id: &JobId) -> (JobStatus, u32, u32, u32) {
    let job = job(shop, id).await;
    (job.status, job.total, job.done, job.failed)
}

async fn take(shop: &Shop, token: &str) -> Option<JobBatch> {
    shop.store.take_job(token, LEASE).await.unwrap()
}

async fn sold(shop: &Shop, new: NewCheckout) -> CheckoutId {
    let total = new.order.totals.total.minor();
    let id = shop.accept(new).await;
    let (n, token) = shop.begin_charge(&id).await;
    shop.settle(&id, n, &token, approved(total)).await;
    id
}

/// The provider took another amount than it was asked for: nobody knows.
async fn sold_in_doubt(shop: &Shop, session: &CatalogueId) -> CheckoutId {
    let id = shop.accept(shop.buy(session, 1)).await;
    let (n, token) = shop.begin_charge(&id).await;
    shop.settle(&id, n, &token, approved(999)).await;
    assert_eq!(shop.checkout(&id).await.status, Status::NeedsReview);
    id
}

async fn undo(shop: &Shop, job: &Job, id: &CheckoutId) -> Undo {
    undo_again(shop, job, id, 0).await
}

/// After so many retries.
async fn undo_again(shop: &Shop, job: &Job, id: &CheckoutId, retries: u32) -> Undo {
    let refunds = shop.store.refunds(&shop.scope, id).await.unwrap();
    job::undo(shop.checkout(id).await, refunds, &job.refund_of(id, retries).unwrap(), job).unwrap()
}

async fn refund(shop: &Shop, id: RefundId, checkout: &CheckoutId, ask: RefundAsk) {
    let idempotency = IdempotencyRow { route: "refund".to_owned(), key: id.to_string(), body_hash: String::new() };
    let new = NewRefund { id, scope: shop.scope.clone(), checkout: checkout.clone(), ask, idempotency };
    let result = shop.store.refund(&new).await.unwrap();
    assert!(matches!(result, RefundResult::Created { .. }), "{result:?}");
}

/// The job's own refund, which the provider grants.
async fn give_back(shop: &Shop, job: &Job, id: &CheckoutId) {
    give_back_again(shop, job, id, 0).await;
}

async fn give_back_again(shop: &Shop, job: &Job, id: &CheckoutId, retries: u32) {
    let Undo::Refund(ask) = undo_again(shop, job, id, retries).await else { panic!("nothing to give back") };
    refund(shop, job.refund_of(id, retries).unwrap(), id, ask).await;
    let amount = shop.checkout(id).await.attempts.last().unwrap().request.amount.minor();
    let (n, token) = shop.begin_charge(id).await;
    shop.settle(id, n, &token, approved(amount)).await;
}

/// The job's own refund, of which the provider says what it wants.
async fn ask_for_it(shop: &Shop, job: &Job, id: &CheckoutId, answer: Outcome) {
    let Undo::Refund(ask) = undo(shop, job, id).await else { panic!("nothing to give back") };
    refund(shop, job.refund_of(id, 0).unwrap(), id, ask).await;
    let (n, token) = shop.begin_charge(id).await;
    shop.settle(id, n, &token, answer).await;
}

/// The states of all refunds that there are, oldest first.
async fn states(shop: &Shop, id: &CheckoutId) -> Vec<RefundStatus> {
    let mut refunds = shop.store.refunds(&shop.scope, id).await.unwrap();
    refunds.sort_by_key(|refund| refund.created_at);
    refunds.into_iter().map(|refund| refund.status).collect()
}

fn all(batch: &JobBatch, state: ItemState) -> Vec<(CheckoutId, ItemState)> {
    batch.checkouts.iter().map(|id| (id.clone(), state)).collect()
}

async fn rules(shop: &Shop) -> Vec<String> {
    let breaches = shop.store.audit(Duration::from_secs(3600)).await.unwrap();
    breaches.into_iter().map(|breach| breach.rule).collect()
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
        let first = sold(&shop, shop.buy(&session, 1)).await;
        let id = call_off(&shop, &session).await;
        let again = shop.store.cancel_session(&cancellation(&shop, &session)).await.unwrap();
        assert!(matches!(again, CancelSession::Existing(ref job) if job.id == id), "{again:?}");
        let twins = join_all((0..10).map(async |_| shop.store.cancel_session(&cancellation(&shop, &session)).await)).await;
        assert!(twins.iter().all(|twin| matches!(twin, Ok(CancelSession::Existing(job)) if job.id == id)));
        // It is put on sale again, sold, and called off while the job still runs.
        shop.put_capacity(&session, 5).await;
        let second = sold(&shop, shop.buy(&session, 1)).await;
        let again = shop.store.cancel_session(&cancellation(&shop, &session)).await.unwrap();
        assert!(matches!(again, CancelSession::Existing(ref job) if job.id == id && job.total == 2), "{again:?}");
        let batch = take(&shop, "t").await.unwrap();
        assert_eq!(batch.checkouts, [first, second]);
        for checkout in &batch.checkouts {
            give_back(&shop, &batch.job, checkout).await;
        }
        shop.store.save_job(&id, "t", &all(&batch, ItemState::Done), Duration::ZERO).await.unwrap().unwrap();
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
        let sale = sold(&shop, shop.buy(&session, 1)).await;
        let id = call_off(&shop, &session).await;
        let pause = async |paused| shop.store.pause_job(&shop.scope, &id, paused).await.unwrap();
        let batch = take(&shop, "t").await.unwrap();
        for _ in 0..2 {
            assert!(matches!(pause(true).await, JobChange::Changed(job) if job.status == JobStatus::Paused));
        }
        shop.store.save_job(&id, "t", &[(sale.clone(), ItemState::UnderWay)], Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(standing(&shop, &id).await.0, JobStatus::Paused);
        assert!(take(&shop, "u").await.is_none());
        assert_eq!(rules(&shop).await, Vec::<String>::new());
        for _ in 0..2 {
            assert!(matches!(pause(false).await, JobChange::Changed(job) if job.status == JobStatus::Running));
        }
        give_back(&shop, &batch.job, &sale).await;
        assert_eq!(undo(&shop, &batch.job, &sale).await, Undo::Nothing);
        let again = take(&shop, "u").await.unwrap();
        assert_eq!(again.checkouts, [sale]);
        shop.store.save_job(&id, "u", &all(&again, ItemState::Done), Duration::ZERO).await.unwrap().unwrap();
        for paused in [true, false] {
            assert!(matches!(pause(paused).await, JobChange::Ended(job) if job.status == JobStatus::Succeeded));
        }
        shop.assert_clean().await;
    }

    async fn what_went_back_before_is_taken_into_account_and_other_lines_are_left_alone(shop) {
        let (session, other) = (shop.session("yoga", 10).await, shop.session("dance", 10).await);
        let mut both = shop.buy(&session, 1);
        both.order.lines.extend(shop.buy(&other, 1).order.lines);
        (both.order.totals.total, both.order.legs[0].amount) = (Amount::from_minor(3000), Amount::from_minor(3000));
        let both = sold(&shop, both).await;
        let parts = sold(&shop, shop.buy(&session, 1)).await;
        let (kept, named) = (sold(&shop, shop.buy(&session, 1)).await, sold(&shop, shop.buy(&session, 1)).await);
        let line = shop.checkout(&named).await.order.lines[0].id.clone();
        let before = [
            (&parts, RefundAsk { amount: Some(Amount::from_minor(600)), ..RefundAsk::default() }, 600),
            (&kept, RefundAsk { release_seats: Some(false), ..RefundAsk::default() }, 1500),
            (&named, RefundAsk { lines: vec![line], release_seats: Some(false), ..RefundAsk::default() }, 1500),
        ];
        for (checkout, ask, amount) in before {
            refund(&shop, RefundId::generate(&shop.entropy, SystemClock::default().now()), checkout, ask).await;
            let (n, token) = shop.begin_charge(checkout).await;
            shop.settle(checkout, n, &token, approved(amount)).await;
        }
        let id = call_off(&shop, &session).await;
        let batch = take(&shop, "t").await.unwrap();
        assert_eq!(batch.checkouts.len(), 4);
        let ask = async |checkout: &CheckoutId| match undo(&shop, &batch.job, checkout).await {
            Undo::Refund(ask) => (ask.amount.map(Amount::minor), ask.lines.len()),
            other => panic!("{other:?}"),
        };
        assert_eq!((ask(&both).await, ask(&parts).await, ask(&kept).await), ((None, 1), (Some(900), 1), (Some(0), 1)));
        assert_eq!(undo(&shop, &batch.job, &named).await, Undo::Nothing, "somebody wanted it so");
        give_back(&shop, &batch.job, &both).await;
        give_back(&shop, &batch.job, &parts).await;
        let Undo::Refund(free) = undo(&shop, &batch.job, &kept).await else { panic!() };
        refund(&shop, batch.job.refund_of(&kept, 0).unwrap(), &kept, free).await;
        for (checkout, refunded) in [(&both, 1500), (&parts, 1500), (&kept, 1500), (&named, 1500)] {
            assert_eq!(undo(&shop, &batch.job, checkout).await, Undo::Nothing);
            assert_eq!(shop.checkout(checkout).await.amount_refunded.minor(), refunded);
        }
        shop.store.save_job(&id, "t", &all(&batch, ItemState::Done), Duration::ZERO).await.unwrap().unwrap();
        let sold = async |session| shop.store.availability(&shop.scope, session).await.unwrap().unwrap().sold;
        assert_eq!((sold(&session).await, sold(&other).await), (1, 1));
        shop.assert_clean().await;
    }

    async fn a_refund_that_the_provider_refuses_leaves_it_to_a_person(shop) {
        let session = shop.session("yoga", 5).await;
        let sale = sold(&shop, shop.buy(&session, 1)).await;
        let open = shop.accept(shop.buy(&session, 1)).await;
        shop.begin_charge(&open).await;
        call_off(&shop, &session).await;
        let batch = take(&shop, "t").await.unwrap();
        assert_eq!(undo(&shop, &batch.job, &open).await, Undo::Cancel);
        shop.store.cancel(&shop.scope, &open).await.unwrap();
        assert_eq!(undo(&shop, &batch.job, &open).await, Undo::Wait, "the provider has to confirm");
        let Undo::Refund(ask) = undo(&shop, &batch.job, &sale).await else { panic!() };
        refund(&shop, batch.job.refund_of(&sale, 0).unwrap(), &sale, ask).await;
        assert_eq!(undo(&shop, &batch.job, &sale).await, Undo::Wait);
        let (n, token) = shop.begin_charge(&sale).await;
        shop.settle(&sale, n, &token, declined()).await;
        assert_eq!(undo(&shop, &batch.job, &sale).await, Undo::Stuck);
    }

    async fn what_failed_is_tried_again_by_a_refund_of_its_own_when_somebody_says_so(shop) {
        let session = shop.session("yoga", 5).await;
        let sale = sold(&shop, shop.buy(&session, 1)).await;
        let id = call_off(&shop, &session).await;
        for retries in 0..2 {
            let batch = take(&shop, "t").await.unwrap();
            assert_eq!((&batch.checkouts, batch.retries.get(&sale).copied().unwrap_or(0)), (&vec![sale.clone()], retries));
            let ours = batch.job.refund_of(&sale, retries).unwrap();
            let next = async || job::undo(shop.checkout(&sale).await, shop.store.refunds(&shop.scope, &sale).await.unwrap(), &ours, &batch.job).unwrap();
            let Undo::Refund(ask) = next().await else { panic!("{retries}") };
            refund(&shop, ours.clone(), &sale, ask).await;
            let (n, token) = shop.begin_charge(&sale).await;
            shop.settle(&sale, n, &token, if retries == 0 { declined() } else { approved(1500) }).await;
            let (state, end) = if retries == 0 { (ItemState::Failed, Undo::Stuck) } else { (ItemState::Done, Undo::Nothing) };
            assert_eq!(next().await, end);
            shop.store.save_job(&id, "t", &all(&batch, state), Duration::ZERO).await.unwrap().unwrap();
            let retry = async |scope| shop.store.retry_job(scope, &id).await.unwrap();
            let theirs = shop.other_scope();
            assert_eq!(retry(&theirs).await, JobChange::Missing);
            let changed = join_all((0..5).map(|_| retry(&shop.scope))).await;
            let status = if retries == 0 { JobStatus::Running } else { JobStatus::Succeeded };
            assert!(changed.iter().all(|change| matches!(change, JobChange::Changed(job) if job.status == status && job.failed == 0)), "{changed:?}");
            assert_eq!(self::job(&shop, &id).await.completed_at.is_some(), retries == 1);
        }
        assert_eq!(shop.checkout(&sale).await.amount_refunded.minor(), 1500);
        shop.assert_clean().await;
    }

    async fn a_refund_of_somebody_elses_is_waited_for_and_what_it_leaves_is_given_back(shop) {
        let session = shop.session("yoga", 5).await;
        let sale = sold(&shop, shop.buy(&session, 1)).await;
        let theirs = RefundId::generate(&shop.entropy, SystemClock::default().now());
        refund(&shop, theirs.clone(), &sale, RefundAsk { amount: Some(Amount::from_minor(600)), ..RefundAsk::default() }).await;
        call_off(&shop, &session).await;
        let batch = take(&shop, "t").await.unwrap();
        assert_eq!(undo(&shop, &batch.job, &sale).await, Undo::Wait, "600 may go or stay");
        let (n, token) = shop.begin_charge(&sale).await;
        shop.settle(&sale, n, &token, declined()).await;
        give_back(&shop, &batch.job, &sale).await;
        assert_eq!((undo(&shop, &batch.job, &sale).await, shop.checkout(&sale).await.amount_refunded.minor()), (Undo::Nothing, 1500));
        shop.assert_clean().await;
    }

    async fn what_an_operator_decides_about_a_refund_or_a_checkout_is_followed_by_its_job(shop) {
        let session = shop.session("yoga", 5).await;
        let (went, stayed) = (sold(&shop, shop.buy(&session, 1)).await, sold(&shop, shop.buy(&session, 1)).await);
        let id = call_off(&shop, &session).await;
        let batch = take(&shop, "t").await.unwrap();
        for sale in [&went, &stayed] {
            let Undo::Refund(ask) = undo(&shop, &batch.job, sale).await else { panic!() };
            refund(&shop, batch.job.refund_of(sale, 0).unwrap(), sale, ask).await;
            let (n, token) = shop.begin_charge(sale).await;
            // It gave another amount than it was asked for: nobody knows.
            shop.settle(sale, n, &token, approved(999)).await;
            assert_eq!(undo(&shop, &batch.job, sale).await, Undo::Stuck);
        }
        shop.store.save_job(&id, "t", &all(&batch, ItemState::Failed), Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(standing(&shop, &id).await, (JobStatus::Failed, 2, 0, 2));
        let resolve = async |sale, verdict| {
            let resolved = shop.store.resolve_refund(&shop.scope, &batch.job.refund_of(sale, 0).unwrap(), None, verdict, "seen").await.unwrap();
            assert!(matches!(resolved, ResolveResult::Resolved(_)), "{resolved:?}");
        };
        resolve(&went, Verdict::Succeeded).await;
        // One word after the other: whoever worked when the second one came writes nothing down of what he had read.
        let late = take(&shop, "late").await.unwrap();
        assert_eq!(late.checkouts, std::slice::from_ref(&went));
        resolve(&stayed, Verdict::Failed).await;
        assert!(shop.store.save_job(&id, "late", &all(&late, ItemState::Failed), Duration::ZERO).await.unwrap().is_none());
        let both = take(&shop, "u").await.unwrap();
        assert_eq!(both.checkouts.len(), 2);
        assert_eq!((undo(&shop, &both.job, &went).await, undo(&shop, &both.job, &stayed).await), (Undo::Nothing, Undo::Stuck));
        let end = [(went.clone(), ItemState::Done), (stayed.clone(), ItemState::Failed)];
        shop.store.save_job(&id, "u", &end, Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(standing(&shop, &id).await, (JobStatus::Failed, 2, 1, 1));
        // It had gone, it was said, and comes back from the bank: nobody has the money, and the job says so.
        resolve(&went, Verdict::Failed).await;
        assert_eq!(standing(&shop, &id).await.0, JobStatus::Running);
        assert_eq!(undo(&shop, &both.job, &went).await, Undo::Stuck);
        shop.assert_clean().await;
    }

    async fn what_a_provider_tells_of_refunds_in_doubt_is_followed_by_their_jobs_and_by_no_other(shop) {
        let (session, other) = (shop.session("yoga", 5).await, shop.session("dance", 5).await);
        let (went, stayed, elsewhere) = (sold(&shop, shop.buy(&session, 1)).await, sold(&shop, shop.buy(&session, 1)).await, sold(&shop, shop.buy(&other, 1)).await);
        let (first, second) = (call_off(&shop, &session).await, call_off(&shop, &other).await);
        let mut doubtful = Vec::new();
        for (id, token, sales) in [(&first, "a", vec![&went, &stayed]), (&second, "b", vec![&elsewhere])] {
            let batch = take(&shop, token).await.unwrap();
            assert_eq!((&batch.job.id, batch.checkouts.len()), (id, sales.len()));
            for sale in sales {
                let Undo::Refund(ask) = undo(&shop, &batch.job, sale).await else { panic!() };
                refund(&shop, batch.job.refund_of(sale, 0).unwrap(), sale, ask).await;
                let (n, lease) = shop.begin_charge(sale).await;
                shop.settle(sale, n, &lease, approved(999)).await;
                doubtful.push((sale.clone(), n));
            }
            shop.store.save_job(id, token, &all(&batch, ItemState::Failed), Duration::ZERO).await.unwrap().unwrap();
        }
        assert_eq!(standing(&shop, &first).await, (JobStatus::Failed, 2, 0, 2));
        // Both at once, so that they may be settled in one transaction.
        let words = [(&doubtful[0], approved(1500)), (&doubtful[1], declined())];
        join_all(words.map(|((sale, n), word)| shop.settle(sale, *n, "the provider", word))).await;
        assert_eq!(standing(&shop, &first).await.0, JobStatus::Running);
        let again = take(&shop, "c").await.unwrap();
        assert_eq!((&again.job.id, again.checkouts.len()), (&first, 2));
        assert_eq!((undo(&shop, &again.job, &went).await, undo(&shop, &again.job, &stayed).await), (Undo::Nothing, Undo::Stuck));
        let end = [(went.clone(), ItemState::Done), (stayed.clone(), ItemState::Failed)];
        shop.store.save_job(&first, "c", &end, Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(standing(&shop, &first).await, (JobStatus::Failed, 2, 1, 1));
        assert_eq!(standing(&shop, &second).await, (JobStatus::Failed, 1, 0, 1), "nothing was said of it");
        // The same word once more changes nothing, and wakes nobody.
        shop.settle(&doubtful[0].0, doubtful[0].1, "the provider", approved(1500)).await;
        assert!(take(&shop, "d").await.is_none());
        shop.assert_clean().await;
    }

    async fn a_job_that_was_done_knows_of_a_refund_that_came_back(shop) {
        let session = shop.session("yoga", 5).await;
        let sale = sold(&shop, shop.buy(&session, 1)).await;
        let id = call_off(&shop, &session).await;
        let batch = take(&shop, "t").await.unwrap();
        give_back(&shop, &batch.job, &sale).await;
        shop.store.save_job(&id, "t", &all(&batch, ItemState::Done), Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(standing(&shop, &id).await, (JobStatus::Succeeded, 1, 1, 0));
        let n = shop.checkout(&sale).await.attempts.last().unwrap().n;
        let closed = Decline { decline_code: "account_closed".to_owned(), message: "it came back".to_owned(), provider_reference: None };
        assert!(shop.store.refund_came_back(&sale, n, &closed).await.unwrap().is_some());
        let again = take(&shop, "u").await.unwrap();
        assert_eq!((again.checkouts.as_slice(), undo(&shop, &again.job, &sale).await), (std::slice::from_ref(&sale), Undo::Stuck));
        shop.store.save_job(&id, "u", &all(&again, ItemState::Failed), Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(standing(&shop, &id).await, (JobStatus::Failed, 1, 0, 1));
        shop.assert_clean().await;
    }

    async fn of_two_jobs_about_a_session_the_later_one_follows_what_is_decided(shop) {
        let session = shop.session("yoga", 5).await;
        let (unclear, gone) = (sold(&shop, shop.buy(&session, 1)).await, sold(&shop, shop.buy(&session, 1)).await);
        let first = call_off(&shop, &session).await;
        let batch = take(&shop, "t").await.unwrap();
        let Undo::Refund(ask) = undo(&shop, &batch.job, &unclear).await else { panic!() };
        let in_doubt = batch.job.refund_of(&unclear, 0).unwrap();
        refund(&shop, in_doubt.clone(), &unclear, ask).await;
        let (n, token) = shop.begin_charge(&unclear).await;
        shop.settle(&unclear, n, &token, approved(999)).await;
        give_back(&shop, &batch.job, &gone).await;
        let end = [(unclear.clone(), ItemState::Failed), (gone.clone(), ItemState::Done)];
        shop.store.save_job(&first, "t", &end, Duration::ZERO).await.unwrap().unwrap();
        // On sale again, and called off again: who still has a place is on both lists.
        shop.put_capacity(&session, 5).await;
        let second = call_off(&shop, &session).await;
        let retry = async || shop.store.retry_job(&shop.scope, &first).await.unwrap();
        assert_eq!(retry().await, JobChange::Superseded(second.clone()));
        shop.store.pause_job(&shop.scope, &second, true).await.unwrap();
        let resolved = shop.store.resolve_refund(&shop.scope, &in_doubt, None, Verdict::Failed, "seen").await.unwrap();
        assert!(matches!(resolved, ResolveResult::Resolved(_)), "{resolved:?}");
        let both = async || (standing(&shop, &first).await, standing(&shop, &second).await);
        let left = (JobStatus::Failed, 2, 1, 1);
        assert_eq!(both().await, (left, (JobStatus::Paused, 1, 0, 0)));
        shop.store.pause_job(&shop.scope, &second, false).await.unwrap();
        // What had not come back when the later job was made is that one's: it does not ask anew by itself, any more than the first would.
        let tried_anew = async |token: &str, sale: &CheckoutId| {
            let batch = take(&shop, token).await.unwrap();
            assert_eq!((&batch.job.id, &batch.checkouts), (&second, &vec![sale.clone()]));
            assert_eq!(undo(&shop, &batch.job, sale).await, Undo::Stuck);
            shop.store.save_job(&second, token, &all(&batch, ItemState::Failed), Duration::ZERO).await.unwrap().unwrap();
            assert!(matches!(shop.store.retry_job(&shop.scope, &second).await.unwrap(), JobChange::Changed(_)));
            let batch = take(&shop, token).await.unwrap();
            assert_eq!((&batch.checkouts, batch.retries.get(sale)), (&vec![sale.clone()], Some(&1)));
            give_back_again(&shop, &batch.job, sale, 1).await;
            shop.store.save_job(&second, token, &all(&batch, ItemState::Done), Duration::ZERO).await.unwrap().unwrap();
        };
        tried_anew("u", &unclear).await;
        assert_eq!(both().await, (left, (JobStatus::Succeeded, 1, 1, 0)));
        // Both have ended, and what the first one gave back comes back: whoever is on the first one's list alone joins the other's.
        let n = shop.checkout(&gone).await.attempts.last().unwrap().n;
        let closed = Decline { decline_code: "account_closed".to_owned(), message: "it came back".to_owned(), provider_reference: None };
        assert!(shop.store.refund_came_back(&gone, n, &closed).await.unwrap().is_some());
        assert_eq!(both().await, (left, (JobStatus::Running, 2, 1, 0)));
        assert_eq!(retry().await, JobChange::Superseded(second.clone()));
        tried_anew("v", &gone).await;
        assert_eq!(both().await, (left, (JobStatus::Succeeded, 2, 2, 0)));
        for sale in [&unclear, &gone] {
            assert_eq!((states(&shop, sale).await, shop.checkout(sale).await.amount_refunded.minor()), (vec![RefundStatus::Failed, RefundStatus::Succeeded], 1500));
        }
        shop.put_capacity(&session, 5).await;
        call_off(&shop, &session).await;
        shop.assert_clean().await;
    }

    async fn what_was_refused_is_asked_for_anew_by_a_later_job_once_and_what_is_not_known_is_not(shop) {
        let session = shop.session("yoga", 5).await;
        let (refused, pending, in_doubt) =
            (sold(&shop, shop.buy(&session, 1)).await, sold(&shop, shop.buy(&session, 1)).await, sold(&shop, shop.buy(&session, 1)).await);
        let first = call_off(&shop, &session).await;
        let batch = take(&shop, "a").await.unwrap();
        let doubtful = batch.job.refund_of(&in_doubt, 0).unwrap();
        ask_for_it(&shop, &batch.job, &refused, declined()).await;
        ask_for_it(&shop, &batch.job, &pending, Outcome::Unknown("silence".to_owned())).await;
        ask_for_it(&shop, &batch.job, &in_doubt, approved(999)).await;
        // Whatever a job says of itself: what became of the refunds is what counts.
        shop.store.save_job(&first, "a", &all(&batch, ItemState::Failed), Duration::ZERO).await.unwrap().unwrap();
        shop.put_capacity(&session, 5).await;
        let second = call_off(&shop, &session).await;
        let batch = take(&shop, "b").await.unwrap();
        assert_eq!((&batch.job.id, batch.checkouts.len()), (&second, 3));
        assert_eq!((undo(&shop, &batch.job, &pending).await, undo(&shop, &batch.job, &in_doubt).await), (Undo::Wait, Undo::Stuck));
        for sale in [&pending, &in_doubt] {
            let (id, key) = (batch.job.refund_of(sale, 0).unwrap(), "another".to_owned());
            let lines = vec![shop.checkout(sale).await.order.lines[0].id.clone()];
            let idempotency = IdempotencyRow { route: sale.to_string(), key, body_hash: String::new() };
            let ask = RefundAsk { lines, ..RefundAsk::default() };
            let new = NewRefund { id, scope: shop.scope.clone(), checkout: sale.clone(), ask, idempotency };
            let result = shop.store.refund(&new).await.unwrap();
            assert!(matches!(result, RefundResult::Refused(_)), "also if somebody asked, the store has the last word: {result:?}");
        }
        // It had been refused before the session was called off once more: that asks for it, once.
        ask_for_it(&shop, &batch.job, &refused, approved(1500)).await;
        assert_eq!(undo(&shop, &batch.job, &refused).await, Undo::Nothing);
        // A definite no comes behind the later job's first look: nobody has asked for it since.
        let n = shop.checkout(&pending).await.attempts.last().unwrap().n;
        shop.settle(&pending, n, "the provider", declined()).await;
        assert_eq!(undo(&shop, &batch.job, &pending).await, Undo::Stuck);
        let end = [(refused.clone(), ItemState::Done), (pending.clone(), ItemState::Failed), (in_doubt.clone(), ItemState::Failed)];
        shop.store.save_job(&second, "b", &end, Duration::ZERO).await.unwrap().unwrap();
        let resolved = shop.store.resolve_refund(&shop.scope, &doubtful, None, Verdict::Succeeded, "seen").await.unwrap();
        assert!(matches!(resolved, ResolveResult::Resolved(_)), "{resolved:?}");
        assert!(matches!(shop.store.retry_job(&shop.scope, &second).await.unwrap(), JobChange::Changed(_)));
        let batch = take(&shop, "c").await.unwrap();
        assert_eq!(undo_again(&shop, &batch.job, &in_doubt, batch.retries.get(&in_doubt).copied().unwrap_or(0)).await, Undo::Nothing);
        give_back_again(&shop, &batch.job, &pending, 1).await;
        shop.store.save_job(&second, "c", &all(&batch, ItemState::Done), Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(standing(&shop, &second).await, (JobStatus::Succeeded, 3, 3, 0));
        for (sale, expected) in [(&refused, vec![RefundStatus::Failed, RefundStatus::Succeeded]), (&pending, vec![RefundStatus::Failed, RefundStatus::Succeeded]), (&in_doubt, vec![RefundStatus::Succeeded])] {
            assert_eq!((states(&shop, sale).await, shop.checkout(sale).await.amount_refunded.minor()), (expected, 1500));
        }
        shop.assert_clean().await;
    }

    async fn a_job_that_has_ended_takes_no_place_away_of_a_session_that_is_on_sale_again(shop) {
        let session = shop.session("yoga", 5).await;
        let unclear = sold_in_doubt(&shop, &session).await;
        let first = call_off(&shop, &session).await;
        let batch = take(&shop, "t").await.unwrap();
        assert_eq!((batch.checkouts.as_slice(), undo(&shop, &batch.job, &unclear).await), (std::slice::from_ref(&unclear), Undo::Stuck));
        shop.store.save_job(&first, "t", &all(&batch, ItemState::Failed), Duration::ZERO).await.unwrap().unwrap();
        shop.put_capacity(&session, 5).await;
        let resolved = shop.store.resolve(&shop.scope, &unclear, Verdict::Succeeded, "seen at the bank").await.unwrap();
        assert!(matches!(resolved, ResolveResult::Resolved(_)), "{resolved:?}");
        assert_eq!(standing(&shop, &first).await, (JobStatus::Failed, 1, 0, 1));
        assert!(take(&shop, "u").await.is_none(), "the session takes place");
        // Called off once more, it is another job's.
        let second = call_off(&shop, &session).await;
        let batch = take(&shop, "v").await.unwrap();
        assert_eq!((&batch.job.id, &batch.checkouts), (&second, &vec![unclear.clone()]));
        give_back(&shop, &batch.job, &unclear).await;
        shop.store.save_job(&second, "v", &all(&batch, ItemState::Done), Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(standing(&shop, &second).await, (JobStatus::Succeeded, 1, 1, 0));
        shop.assert_clean().await;
    }

    async fn refunds_that_nobody_answers_hold_up_nobody_else(shop) {
        let session = shop.session("yoga", 300).await;
        for _ in 0..130 {
            let id = shop.accept(shop.buy_cash(&session, 1)).await;
            shop.begin(&id).await;
        }
        let id = call_off(&shop, &session).await;
        let round = async |token: &str| {
            let batch = take(&shop, token).await.unwrap();
            shop.store.save_job(&id, token, &all(&batch, ItemState::UnderWay), Duration::ZERO).await.unwrap().unwrap();
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
        let sale = sold(&shop, shop.buy(&session, 1)).await;
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
        let sale = sold(&shop, shop.buy(&session, 1)).await;
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
        sold(&shop, shop.buy(&session, 1)).await;
        let id = call_off(&shop, &session).await;
        shop.assert_clean().await;
        shop.sql("UPDATE jobs SET lease_until = 1").await;
        assert_eq!(rules(&shop).await, ["stuck_job"]);
        let batch = take(&shop, "t").await.unwrap();
        shop.assert_clean().await;
        shop.store.save_job(&id, "t", &all(&batch, ItemState::Done), Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(rules(&shop).await, ["job_without_end"]);
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
            sold(&shop, shop.buy(&session, 1)).await;
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
