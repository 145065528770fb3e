//! A session that is called off once more when its job has ended: the later job follows what is decided, and asks anew for what was refused.

use super::{
    fixture::{Shop, approved, declined},
    jobs::{call_off, give_back, give_back_again, refund, save, standing, take, undo, undo_again},
};
use boxoffice_common::{
    domain::{
        attempt::{Decline, Outcome},
        ends::Verdict,
        id::{CatalogueId, CheckoutId},
        job::{ItemState, Job, JobStatus, Undo},
        refund::{RefundAsk, RefundStatus},
        state::Status,
    },
    ports::store::*,
};
use std::time::Duration;

/// The provider took another amount than it was asked for: nobody knows.
async fn sold_in_doubt(shop: &Shop, session: &CatalogueId) -> CheckoutId {
    let id = shop.accept(shop.buy(session, 1)).await;
    let (n, token) = shop.begin_charge(&id).await;
    shop.settle(&id, n, &token, approved(999)).await;
    assert_eq!(shop.checkout(&id).await.status, Status::NeedsReview);
    id
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

over_both! {
    async fn of_two_jobs_about_a_session_the_later_one_follows_what_is_decided(shop) {
        let session = shop.session("yoga", 5).await;
        let (unclear, gone) = (shop.sold(shop.buy(&session, 1)).await, shop.sold(shop.buy(&session, 1)).await);
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
            save(&shop, token, &batch, ItemState::Failed).await;
            assert!(matches!(shop.store.retry_job(&shop.scope, &second).await.unwrap(), JobChange::Changed(_)));
            let batch = take(&shop, token).await.unwrap();
            assert_eq!((&batch.checkouts, batch.retries.get(sale)), (&vec![sale.clone()], Some(&1)));
            give_back_again(&shop, &batch.job, sale, 1).await;
            save(&shop, token, &batch, ItemState::Done).await;
        };
        tried_anew("u", &unclear).await;
        assert_eq!(both().await, (left, (JobStatus::Succeeded, 1, 1, 0)));
        // Both have ended, and what the first one gave back comes back: whoever is on the first one's list alone joins the other's.
        let n = shop.checkout(&gone).await.attempts.last().unwrap().n;
        let closed = Decline::new("account_closed".to_owned(), "it came back".to_owned(), None);
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
            (shop.sold(shop.buy(&session, 1)).await, shop.sold(shop.buy(&session, 1)).await, shop.sold(shop.buy(&session, 1)).await);
        call_off(&shop, &session).await;
        let batch = take(&shop, "a").await.unwrap();
        let doubtful = batch.job.refund_of(&in_doubt, 0).unwrap();
        ask_for_it(&shop, &batch.job, &refused, declined()).await;
        ask_for_it(&shop, &batch.job, &pending, Outcome::Unknown("silence".to_owned())).await;
        ask_for_it(&shop, &batch.job, &in_doubt, approved(999)).await;
        // Whatever a job says of itself: what became of the refunds is what counts.
        save(&shop, "a", &batch, ItemState::Failed).await;
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
        save(&shop, "c", &batch, ItemState::Done).await;
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
        save(&shop, "t", &batch, ItemState::Failed).await;
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
        save(&shop, "v", &batch, ItemState::Done).await;
        assert_eq!(standing(&shop, &second).await, (JobStatus::Succeeded, 1, 1, 0));
        shop.assert_clean().await;
    }
}
