//! Checkouts that take the place of what is open under their reference: exactly one stays open, and of all of them one is paid at the most.

use super::{
    fixture::{Shop, approved, declined},
    hosted::{end, hosted, pay, submit},
};
use boxoffice_common::{
    domain::{
        attempt::{AttemptKind, Outcome},
        checkout::Closing,
        ends::Verdict,
        error::Code,
        id::{CatalogueId, CheckoutId, SpaceId},
        replace::MAX_REPLACED,
        state::Status,
    },
    ports::store::*,
};
use futures::future::join_all;
use std::time::Duration;

const BOOKING: &str = "booking-7";

/// One for our page, under the booking.
fn page(shop: &Shop, session: &CatalogueId) -> NewCheckout {
    let mut new = hosted(shop, shop.buy(session, 1));
    new.order.reference = Some(BOOKING.to_owned());
    new
}

/// The same that takes the place of what is open.
fn instead(shop: &Shop, session: &CatalogueId) -> NewCheckout {
    let mut new = page(shop, session);
    new.order.replaces_open = true;
    new
}

async fn replace(shop: &Shop, new: NewCheckout) -> (CheckoutId, Vec<Moved>) {
    let id = new.id.clone();
    let Replacing { accepted, moved } = shop.store.accept_and_replace(new).await.unwrap();
    assert!(matches!(accepted, Accepted::Created { .. }), "{accepted:?}");
    (id, moved)
}

async fn held(shop: &Shop, session: &CatalogueId) -> u32 {
    shop.store.availability(&shop.scope, session).await.unwrap().unwrap().held
}

/// One whose customer has submitted a card, of which nobody knows what became.
async fn in_doubt(shop: &Shop, session: &CatalogueId) -> CheckoutId {
    let (id, _) = replace(shop, instead(shop, session)).await;
    shop.begin(&id).await;
    submit(shop, &id, 1).await;
    let (n, token) = shop.begin_charge(&id).await;
    shop.settle(&id, n, &token, Outcome::Unknown("no answer".to_owned())).await;
    assert_eq!(end(shop, &id).await, (Status::Reconciling, None));
    id
}

/// A worker comes by: whether it was put off.
async fn is_put_off(shop: &Shop, id: &CheckoutId) -> bool {
    shop.make_due(id).await;
    match shop.begin(id).await.0.next {
        Next::Moved(moved) if moved.status == Status::Queued => {
            assert!(moved.due_in.is_some_and(|due_in| !due_in.is_zero() && due_in <= Duration::from_secs(60)), "{moved:?}");
            let next = shop.begin(id).await.0.next;
            assert!(matches!(next, Next::Busy(_)), "and is not looked at before: {next:?}");
            true
        }
        Next::Moved(_) => false,
        other => panic!("{other:?}"),
    }
}

over_both! {
    async fn the_last_place_goes_from_the_earlier_one_to_the_newer(shop) {
        let session = shop.session("yoga", 1).await;
        // One that was accepted in the usual way counts as well.
        let first = shop.accept(page(&shop, &session)).await;
        shop.begin(&first).await;
        assert_eq!((end(&shop, &first).await, held(&shop, &session).await), ((Status::AwaitingPayment, None), 1));
        let (second, moved) = replace(&shop, instead(&shop, &session)).await;
        assert_eq!(moved.iter().map(|moved| (&moved.checkout, moved.status, moved.ended)).collect::<Vec<_>>(), [(&first, Status::Canceled, true)]);
        assert_eq!(moved[0].stock.iter().map(|level| level.taken).collect::<Vec<_>>(), [0], "the seat table is told");
        assert_eq!((end(&shop, &first).await, held(&shop, &session).await), ((Status::Canceled, Some(Code::Replaced)), 0));
        assert_eq!(pay(&shop, &first, 1).await, Paid::Unchanged, "its form is of no more use");
        shop.begin(&second).await;
        assert_eq!((end(&shop, &second).await, held(&shop, &session).await), ((Status::AwaitingPayment, None), 1));
        submit(&shop, &second, 1).await;
        let (n, token) = shop.begin_charge(&second).await;
        shop.settle(&second, n, &token, approved(1500)).await;
        // A paid one is left alone, and another one is a purchase of its own.
        let other = shop.session("other", 1).await;
        let (third, moved) = replace(&shop, instead(&shop, &other)).await;
        shop.begin(&third).await;
        assert_eq!((moved, end(&shop, &second).await.0, end(&shop, &third).await.0), (vec![], Status::Succeeded, Status::AwaitingPayment));
        shop.assert_clean().await;
    }

    async fn what_others_have_under_the_same_reference_is_left_alone(shop) {
        let session = shop.session("yoga", 5).await;
        let mut theirs = page(&shop, &session);
        theirs.scope = shop.other_scope();
        let mut other = page(&shop, &session);
        other.order.reference = Some("booking-8".to_owned());
        let in_north = |mut new: NewCheckout| {
            new.order.space = Some(SpaceId::parse("north").unwrap());
            new
        };
        let (theirs, other) = (shop.accept(theirs).await, shop.accept(other).await);
        let (north, _) = replace(&shop, in_north(instead(&shop, &session))).await;
        let (here, moved) = replace(&shop, instead(&shop, &session)).await;
        assert_eq!((moved, end(&shop, &theirs).await.0, end(&shop, &other).await.0), (vec![], Status::Queued, Status::Queued));
        assert_eq!(end(&shop, &north).await.0, Status::Queued, "in another space");
        let (_, moved) = replace(&shop, in_north(instead(&shop, &session))).await;
        assert_eq!(moved.into_iter().map(|moved| moved.checkout).collect::<Vec<_>>(), [north]);
        assert_eq!(end(&shop, &here).await.0, Status::Queued);
        shop.assert_clean().await;
    }

    async fn of_many_at_once_exactly_one_stays_open_and_each_has_an_end(shop) {
        let session = shop.session("yoga", 1).await;
        let other = shop.another_store().await;
        for round in 0..4 {
            let news: Vec<NewCheckout> = (0..12).map(|_| instead(&shop, &session)).collect();
            let ids: Vec<CheckoutId> = news.iter().map(|new| new.id.clone()).collect();
            let replaced = join_all(news.into_iter().enumerate().map(|(n, new)| {
                let store = if n % 2 == 0 { &*shop.store } else { &other };
                store.accept_and_replace(new)
            }));
            // Workers come by meanwhile.
            let begun = join_all(ids.iter().map(|id| shop.begin(id)));
            let (replaced, _) = tokio::join!(replaced, begun);
            assert!(replaced.iter().all(|replacing| matches!(replacing.as_ref().unwrap().accepted, Accepted::Created { .. })), "{replaced:?}");
            let mut open = Vec::new();
            for id in &ids {
                let is_open = matches!(end(&shop, id).await.0, Status::Queued | Status::AwaitingPayment);
                open.extend(is_open.then_some(id));
                assert!(is_open || end(&shop, id).await == (Status::Canceled, Some(Code::Replaced)), "{:?}", end(&shop, id).await);
            }
            assert_eq!(open.len(), 1, "round {round}");
            shop.begin(open[0]).await;
            assert_eq!((end(&shop, open[0]).await, held(&shop, &session).await), ((Status::AwaitingPayment, None), 1));
            shop.assert_clean().await;
        }
    }

    async fn the_same_key_is_the_same_checkout_and_calls_nothing_off_that_came_since(shop) {
        let session = shop.session("yoga", 5).await;
        let new = instead(&shop, &session);
        let (first, _) = replace(&shop, new.clone()).await;
        let (second, _) = replace(&shop, instead(&shop, &session)).await;
        // A lost answer to the COMMIT, a twin of another process, and the key with another body.
        let again = shop.store.accept_and_replace(new.clone()).await.unwrap();
        assert!(matches!(&again, Replacing { accepted: Accepted::Created { answer, .. }, moved } if answer.object == first.as_str() && moved.is_empty()), "{again:?}");
        let twin = shop.store.accept_and_replace(shop.with_new_id(&new)).await.unwrap();
        assert!(matches!(&twin, Replacing { accepted: Accepted::Replayed(answer), moved } if answer.object == first.as_str() && moved.is_empty()), "{twin:?}");
        let mut other = shop.with_new_id(&new);
        other.idempotency.body_hash = "other".to_owned();
        assert_eq!(shop.store.accept_and_replace(other).await.unwrap().accepted, Accepted::KeyReused);
        // What is refused calls nothing off.
        let mut nobody = instead(&shop, &session);
        nobody.order.customer = Some(boxoffice_common::domain::id::CustomerId::parse("cus_nobody").unwrap());
        assert_eq!(shop.store.accept_and_replace(nobody).await.unwrap().accepted, Accepted::CustomerMissing);
        assert_eq!((end(&shop, &first).await.0, end(&shop, &second).await.0), (Status::Canceled, Status::Queued));
        shop.assert_clean().await;
    }

    async fn the_newer_one_waits_while_the_earlier_may_be_paid_and_begins_when_it_is_not(shop) {
        let session = shop.session("yoga", 1).await;
        let first = in_doubt(&shop, &session).await;
        let (second, moved) = replace(&shop, instead(&shop, &session)).await;
        assert_eq!(moved.iter().map(|moved| (&moved.checkout, moved.status, moved.ended)).collect::<Vec<_>>(), [(&first, Status::Reconciling, false)]);
        assert_eq!(shop.checkout(&first).await.closing, Some(Closing::Replace));
        assert!(is_put_off(&shop, &second).await && is_put_off(&shop, &second).await);
        // A third one waits for the first as well, and not for the second, which was never begun.
        let (third, _) = replace(&shop, instead(&shop, &session)).await;
        assert_eq!(end(&shop, &second).await, (Status::Canceled, Some(Code::Replaced)));
        assert!(is_put_off(&shop, &third).await);
        shop.assert_clean().await;
        shop.make_due(&first).await;
        let (n, token) = shop.begin_charge(&first).await;
        shop.settle(&first, n, &token, declined()).await;
        assert_eq!((end(&shop, &first).await, held(&shop, &session).await), ((Status::Canceled, Some(Code::Replaced)), 0));
        assert!(!is_put_off(&shop, &third).await);
        assert_eq!((end(&shop, &third).await, held(&shop, &session).await), ((Status::AwaitingPayment, None), 1));
        shop.assert_clean().await;
    }

    async fn an_earlier_one_that_turns_out_paid_stays_paid_and_the_newer_one_fails(shop) {
        let session = shop.session("yoga", 5).await;
        let first = in_doubt(&shop, &session).await;
        let (second, _) = replace(&shop, instead(&shop, &session)).await;
        shop.make_due(&first).await;
        let (n, token) = shop.begin_charge(&first).await;
        shop.settle(&first, n, &token, approved(1500)).await;
        assert_eq!(end(&shop, &first).await, (Status::Succeeded, None));
        assert!(!is_put_off(&shop, &second).await);
        assert_eq!(end(&shop, &second).await, (Status::Failed, Some(Code::AlreadyPaid)));
        assert_eq!(shop.checkout(&second).await.attempts.len(), 0);
        shop.assert_clean().await;
    }

    async fn a_question_at_a_provider_is_taken_back_before_the_newer_one_is_asked(shop) {
        let session = shop.session("yoga", 1).await;
        let (first, _) = replace(&shop, instead(&shop, &session)).await;
        shop.begin(&first).await;
        submit(&shop, &first, 1).await;
        let (n, token) = shop.begin_charge(&first).await;
        let url = "https://bank.example".to_owned();
        shop.settle(&first, n, &token, Outcome::RequiresAction { url, provider_reference: "ch_1".to_owned() }).await;
        let (second, moved) = replace(&shop, instead(&shop, &session)).await;
        assert_eq!((moved[0].status, moved[0].due_in), (Status::Reconciling, Some(Duration::ZERO)), "the provider is asked at once");
        assert!(is_put_off(&shop, &second).await);
        let (n, token) = shop.begin_charge(&first).await;
        assert_eq!(shop.checkout(&first).await.attempts.last().map(|sent| sent.request.kind), Some(AttemptKind::Void));
        shop.settle(&first, n, &token, approved(1500)).await;
        assert_eq!(end(&shop, &first).await, (Status::Canceled, Some(Code::Replaced)));
        assert!(!is_put_off(&shop, &second).await);
        assert_eq!(end(&shop, &second).await.0, Status::AwaitingPayment);
        shop.assert_clean().await;
    }

    async fn what_an_operator_has_to_decide_is_waited_for_and_for_no_longer_than_there_is_time(shop) {
        let session = shop.session("yoga", 5).await;
        let first = in_doubt(&shop, &session).await;
        shop.exhaust_window(&first).await;
        assert_eq!(end(&shop, &first).await.0, Status::NeedsReview);
        let (second, moved) = replace(&shop, instead(&shop, &session)).await;
        assert!(moved.is_empty() && is_put_off(&shop, &second).await);
        shop.sql(&format!("UPDATE checkouts SET expires_at = 1 WHERE id = '{second}'")).await;
        assert_eq!(shop.store.expire(10).await.unwrap().len(), 1);
        assert_eq!(end(&shop, &second).await.0, Status::Expired);
        let (third, _) = replace(&shop, instead(&shop, &session)).await;
        shop.resolve(&first, Verdict::Failed, "not there").await;
        assert!(!is_put_off(&shop, &third).await);
        assert_eq!(end(&shop, &third).await.0, Status::AwaitingPayment);
    }

    async fn only_so_many_are_called_off_at_once(shop) {
        let session = shop.session("yoga", 500).await;
        join_all((0..=MAX_REPLACED).map(|_| shop.accept(page(&shop, &session)))).await;
        let refused = instead(&shop, &session);
        let id = refused.id.clone();
        assert_eq!(shop.store.accept_and_replace(refused).await.unwrap(), Replacing { accepted: Accepted::TooManyOpen, moved: vec![] });
        assert_eq!(shop.store.checkout(&id).await.unwrap(), None);
        let one = shop.texts(&format!("SELECT id FROM checkouts WHERE reference = '{BOOKING}' LIMIT 1")).await;
        shop.store.cancel(&shop.scope, &CheckoutId::parse(one[0].as_str()).unwrap()).await.unwrap();
        let (_, moved) = replace(&shop, instead(&shop, &session)).await;
        assert_eq!(moved.len(), MAX_REPLACED);
        shop.assert_clean().await;
    }

    async fn the_audit_finds_two_that_are_open_and_one_that_was_begun_too_early(shop) {
        let session = shop.session("yoga", 5).await;
        let first = in_doubt(&shop, &session).await;
        let (second, _) = replace(&shop, instead(&shop, &session)).await;
        assert!(shop.broken().await.is_empty());
        shop.sql(&format!("DELETE FROM behind WHERE checkout = '{second}'")).await;
        shop.begin(&second).await;
        shop.sql(&format!("INSERT INTO behind (checkout, earlier) VALUES ('{second}', '{first}')")).await;
        assert_eq!(shop.broken().await, ["begun_too_early"]);
        shop.sql(&format!("UPDATE replacements SET checkout = '{first}' WHERE reference = '{BOOKING}'")).await;
        assert_eq!(shop.broken().await, ["begun_too_early", "replaced_and_open"]);
    }
}
