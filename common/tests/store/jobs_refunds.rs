//! What becomes of a job's refunds: refused, in doubt, decided on, tried again, and come back.

use super::{
    fixture::{Shop, approved, declined},
    jobs::{all, call_off, give_back, job, refund, save, standing, take, undo},
};
use boxoffice_common::{
    domain::{
        attempt::Decline,
        ends::Verdict,
        id::{CheckoutId, RefundId},
        job::{self, ItemState, JobStatus, Undo},
        money::Amount,
        refund::RefundAsk,
    },
    ports::{
        clock::{Clock, SystemClock},
        store::*,
    },
};
use futures::future::join_all;
use std::time::Duration;

over_both! {
    async fn what_went_back_before_is_taken_into_account_and_other_lines_are_left_alone(shop) {
        let (session, other) = (shop.session("yoga", 10).await, shop.session("dance", 10).await);
        let mut both = shop.buy(&session, 1);
        both.order.lines.extend(shop.buy(&other, 1).order.lines);
        (both.order.totals.total, both.order.legs[0].amount) = (Amount::from_minor(3000), Amount::from_minor(3000));
        let both = shop.sold(both).await;
        let parts = shop.sold(shop.buy(&session, 1)).await;
        let (kept, named) = (shop.sold(shop.buy(&session, 1)).await, shop.sold(shop.buy(&session, 1)).await);
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
        call_off(&shop, &session).await;
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
        save(&shop, "t", &batch, ItemState::Done).await;
        let sold = async |session| shop.store.availability(&shop.scope, session).await.unwrap().unwrap().sold;
        assert_eq!((sold(&session).await, sold(&other).await), (1, 1));
        shop.assert_clean().await;
    }

    async fn a_refund_that_the_provider_refuses_leaves_it_to_a_person(shop) {
        let session = shop.session("yoga", 5).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
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
        let sale = shop.sold(shop.buy(&session, 1)).await;
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
            save(&shop, "t", &batch, state).await;
            let retry = async |scope| shop.store.retry_job(scope, &id).await.unwrap();
            let theirs = shop.other_scope();
            assert_eq!(retry(&theirs).await, JobChange::Missing);
            let changed = join_all((0..5).map(|_| retry(&shop.scope))).await;
            let status = if retries == 0 { JobStatus::Running } else { JobStatus::Succeeded };
            assert!(changed.iter().all(|change| matches!(change, JobChange::Changed(job) if job.status == status && job.failed == 0)), "{changed:?}");
            assert_eq!(job(&shop, &id).await.completed_at.is_some(), retries == 1);
        }
        assert_eq!(shop.checkout(&sale).await.amount_refunded.minor(), 1500);
        shop.assert_clean().await;
    }

    async fn a_refund_of_somebody_elses_is_waited_for_and_what_it_leaves_is_given_back(shop) {
        let session = shop.session("yoga", 5).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
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
        let (went, stayed) = (shop.sold(shop.buy(&session, 1)).await, shop.sold(shop.buy(&session, 1)).await);
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
        save(&shop, "t", &batch, ItemState::Failed).await;
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
        let (went, stayed, elsewhere) = (shop.sold(shop.buy(&session, 1)).await, shop.sold(shop.buy(&session, 1)).await, shop.sold(shop.buy(&other, 1)).await);
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
        let sale = shop.sold(shop.buy(&session, 1)).await;
        let id = call_off(&shop, &session).await;
        let batch = take(&shop, "t").await.unwrap();
        give_back(&shop, &batch.job, &sale).await;
        save(&shop, "t", &batch, ItemState::Done).await;
        assert_eq!(standing(&shop, &id).await, (JobStatus::Succeeded, 1, 1, 0));
        let n = shop.checkout(&sale).await.attempts.last().unwrap().n;
        let closed = Decline::new("account_closed".to_owned(), "it came back".to_owned(), None);
        assert!(shop.store.refund_came_back(&sale, n, &closed).await.unwrap().is_some());
        let again = take(&shop, "u").await.unwrap();
        assert_eq!((again.checkouts.as_slice(), undo(&shop, &again.job, &sale).await), (std::slice::from_ref(&sale), Undo::Stuck));
        save(&shop, "u", &again, ItemState::Failed).await;
        assert_eq!(standing(&shop, &id).await, (JobStatus::Failed, 1, 0, 1));
        shop.assert_clean().await;
    }
}
