//! What every provider promises the engine, over each of them.
//!
//! Where they differ it is said in the promise: a provider may ask who sends beside somebody else under the same key to come again, which is
//! unknown; and the codes of a no are its own.

use super::{rig::*, world::*};
use boxoffice_common::{
    domain::{
        attempt::{Attempt, AttemptKind, AttemptStatus, MoneyRequest, Outcome},
        money::Amount,
    },
    ports::provider::PaymentProvider,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Runs each promise over every provider, and every way to it.
macro_rules! over_all {
    ($($promise:ident)*) => {
        mod sandbox_in_process {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&$crate::rig::Rig::start($crate::rig::Over::Process).await).await;
            })*
        }
        mod sandbox_over_http {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&$crate::rig::Rig::start($crate::rig::Over::Http).await).await;
            })*
        }
        mod stripe {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&$crate::world::Stripe::start().await).await;
            })*
        }
    };
}

over_all! {
    it_can_do_all_that_the_engine_asks_for
    a_good_card_is_charged_once_under_its_key
    a_bad_card_is_declined_and_stays_declined
    what_cannot_be_charged_is_a_definite_no
    the_same_key_for_another_request_is_unknown_and_charges_nothing
    fifty_at_once_with_the_same_key_make_one_charge
    an_answer_lost_after_the_charge_is_found_by_looking_up_and_by_sending_again
    a_request_lost_before_the_charge_is_not_found_and_charges_when_sent_again
    a_slow_answer_is_unknown_to_the_impatient_and_the_charge_is_there
    refusals_and_errors_are_told_apart_and_execute_nothing
    a_customer_who_confirms_has_paid
    a_customer_who_refuses_has_not_paid
    a_pending_charge_that_was_voided_can_never_be_paid
    what_is_authorized_is_captured_or_voided_once
    a_captured_charge_cannot_be_voided
    refunds_whole_and_in_parts_never_exceed_the_charge
    fifty_racing_refunds_give_back_no_more_than_was_taken
    a_refund_without_its_charge_gives_nothing_back
    without_an_outcome_the_future_may_be_dropped_and_sent_again
}

async fn look(provider: &Arc<dyn PaymentProvider>, request: &MoneyRequest) -> Outcome {
    provider.look_up(&attempt(request, AttemptStatus::Unknown)).await
}

/// Sends until the provider is not busy with the same key any more.
async fn send_until_known(provider: &Arc<dyn PaymentProvider>, request: &MoneyRequest) -> Outcome {
    let tries = async {
        loop {
            match provider.send(request).await {
                Outcome::Unknown(_) | Outcome::NotSent { .. } => tokio::time::sleep(Duration::from_millis(5)).await,
                known => return known,
            }
        }
    };
    tokio::time::timeout(LONG, tries).await.unwrap()
}

async fn it_can_do_all_that_the_engine_asks_for(world: &dyn World) {
    let can = world.provider(LONG).capabilities();
    assert!(can.capture_later && can.void && can.refund && can.look_up);
    assert!(can.key_window >= Duration::from_secs(24 * 3600), "{can:?}");
}

async fn a_good_card_is_charged_once_under_its_key(world: &dyn World) {
    let (provider, request) = (world.provider(LONG), world.charge(Card::Good));
    assert_unknown(&look(&provider, &request).await);
    let first = approved(provider.send(&request).await, &request);
    assert_eq!(approved(provider.send(&request).await, &request), first);
    assert_eq!(approved(look(&provider, &request).await, &request), first);
    assert_eq!(world.only(&request).await, Booked { id: first, amount: 1500, refunded: 0, standing: Standing::Taken });
}

async fn a_bad_card_is_declined_and_stays_declined(world: &dyn World) {
    let provider = world.provider(LONG);
    for (card, code) in [(Card::Declined, "generic_decline"), (Card::NoFunds, "insufficient_funds"), (Card::Expired, "expired_card")] {
        let request = world.charge(card);
        for _ in 0..2 {
            assert_eq!(declined(provider.send(&request).await), code);
        }
        assert_eq!(declined(look(&provider, &request).await), code);
        assert!(matches!(world.only(&request).await.standing, Standing::Refused | Standing::CalledOff));
    }
}

async fn what_cannot_be_charged_is_a_definite_no(world: &dyn World) {
    let provider = world.provider(LONG);
    let nothing = MoneyRequest { amount: Amount::ZERO, ..world.charge(Card::Good) };
    assert_eq!(declined(provider.send(&nothing).await), "invalid_amount");
    let no_card = MoneyRequest { token: None, ..world.charge(Card::Good) };
    assert_eq!(declined(provider.send(&no_card).await), "invalid_token");
}

async fn the_same_key_for_another_request_is_unknown_and_charges_nothing(world: &dyn World) {
    let (provider, request) = (world.provider(LONG), world.charge(Card::Good));
    let first = approved(provider.send(&request).await, &request);
    let dearer = MoneyRequest { amount: Amount::from_minor(1501), ..request.clone() };
    let refund = about(&request, 1, AttemptKind::Refund, 1500, &first);
    for other in [dearer, refund] {
        assert_eq!(other.key, request.key);
        assert_unknown(&provider.send(&other).await);
    }
    let charge = world.only(&request).await;
    assert_eq!((charge.amount, charge.refunded), (1500, 0));
}

async fn fifty_at_once_with_the_same_key_make_one_charge(world: &dyn World) {
    let (provider, request) = (world.provider(LONG), world.charge(Card::Good));
    let calls = futures::future::join_all((0..50).map(|_| {
        let (provider, request) = (Arc::clone(&provider), request.clone());
        tokio::spawn(async move { provider.send(&request).await })
    }));
    let mut references = Vec::new();
    for call in calls.await {
        match call.unwrap() {
            // Its key was in use just then.
            Outcome::Unknown(_) => {}
            known => references.push(approved(known, &request)),
        }
    }
    let charge = world.only(&request).await;
    assert!(!references.is_empty() && references.iter().all(|reference| *reference == charge.id));
    assert_eq!(approved(send_until_known(&provider, &request).await, &request), charge.id);
}

async fn an_answer_lost_after_the_charge_is_found_by_looking_up_and_by_sending_again(world: &dyn World) {
    let (provider, request) = (world.provider(LONG), world.charge(Card::Good));
    world.trouble(Trouble::AnswerLost);
    assert_unknown(&provider.send(&request).await);
    world.calm();
    let charge = world.only(&request).await;
    assert_eq!(charge.standing, Standing::Taken);
    assert_eq!(approved(look(&provider, &request).await, &request), charge.id);
    assert_eq!(approved(provider.send(&request).await, &request), charge.id);
    world.only(&request).await;
}

async fn a_request_lost_before_the_charge_is_not_found_and_charges_when_sent_again(world: &dyn World) {
    let (hasty, patient, request) = (world.provider(SHORT), world.provider(LONG), world.charge(Card::Good));
    world.trouble(Trouble::RequestLost);
    for _ in 0..2 {
        let started = Instant::now();
        assert_unknown(&hasty.send(&request).await);
        assert!((SHORT..LONG).contains(&started.elapsed()), "{:?}", started.elapsed());
    }
    assert_unknown(&look(&hasty, &request).await);
    world.calm();
    assert_eq!(world.book(&request).await, []);
    assert_eq!(look(&patient, &request).await, Outcome::Unknown("not found".to_owned()));
    approved(patient.send(&request).await, &request);
    world.only(&request).await;
}

async fn a_slow_answer_is_unknown_to_the_impatient_and_the_charge_is_there(world: &dyn World) {
    let (hasty, request) = (world.provider(SHORT), world.charge(Card::Good));
    world.trouble(Trouble::Slow);
    let started = Instant::now();
    assert_unknown(&hasty.send(&request).await);
    assert!(started.elapsed() < LONG);
    world.calm();
    let patient = world.provider(LONG);
    let reference = match look(&patient, &request).await {
        Outcome::Unknown(_) => approved(send_until_known(&patient, &request).await, &request),
        found => approved(found, &request),
    };
    assert_eq!(reference, world.only(&request).await.id);
}

async fn refusals_and_errors_are_told_apart_and_execute_nothing(world: &dyn World) {
    let (provider, request) = (world.provider(LONG), world.charge(Card::Good));
    world.trouble(Trouble::Refused);
    let Outcome::NotSent { retry_after, .. } = provider.send(&request).await else { panic!("was sent") };
    assert_eq!(retry_after, Some(Duration::from_secs(1)));
    // A question that was refused says nothing about the charge.
    assert_unknown(&look(&provider, &request).await);
    world.calm();
    world.trouble(Trouble::Fails);
    assert_unknown(&provider.send(&request).await);
    world.calm();
    assert_eq!(world.book(&request).await, []);
    approved(provider.send(&request).await, &request);
    world.only(&request).await;
}

async fn a_customer_who_confirms_has_paid(world: &dyn World) {
    let (provider, request) = (world.provider(LONG), world.charge(Card::Confirmed));
    let (url, reference) = requires_action(provider.send(&request).await);
    assert!(url.starts_with("http"), "{url}");
    assert_eq!(requires_action(look(&provider, &request).await), (url.clone(), reference.clone()));
    assert_eq!(requires_action(provider.send(&request).await), (url.clone(), reference.clone()));
    assert_eq!(world.only(&request).await.standing, Standing::Open);
    world.answer(&url, &reference, true).await;
    assert_eq!(approved(look(&provider, &request).await, &request), reference);
    assert_eq!(approved(provider.send(&request).await, &request), reference);
    // Too late to refuse.
    world.answer(&url, &reference, false).await;
    assert_eq!(world.only(&request).await.standing, Standing::Taken);
}

async fn a_customer_who_refuses_has_not_paid(world: &dyn World) {
    let (provider, request) = (world.provider(LONG), world.charge(Card::Confirmed));
    let (url, reference) = requires_action(provider.send(&request).await);
    world.answer(&url, &reference, false).await;
    declined(look(&provider, &request).await);
    declined(provider.send(&request).await);
    world.answer(&url, &reference, true).await;
    let charge = world.only(&request).await;
    assert!(matches!(charge.standing, Standing::Refused | Standing::CalledOff), "{charge:?}");
}

async fn a_pending_charge_that_was_voided_can_never_be_paid(world: &dyn World) {
    let (provider, request) = (world.provider(LONG), world.charge(Card::Confirmed));
    let (url, reference) = requires_action(provider.send(&request).await);
    let void = about(&request, 2, AttemptKind::Void, 1500, &reference);
    let receipt = approved(provider.send(&void).await, &void);
    assert_eq!(approved(provider.send(&void).await, &void), receipt);
    assert_eq!(approved(look(&provider, &void).await, &void), receipt);
    world.answer(&url, &reference, true).await;
    assert_eq!(world.only(&request).await.standing, Standing::CalledOff);
    assert_eq!(declined(look(&provider, &request).await), "voided");
    declined(provider.send(&about(&request, 3, AttemptKind::Refund, 1500, &reference)).await);
}

async fn what_is_authorized_is_captured_or_voided_once(world: &dyn World) {
    let provider = world.provider(LONG);
    let promise = |card| MoneyRequest { capture_later: true, ..world.charge(card) };
    for (first, second, left) in
        [(AttemptKind::Capture, AttemptKind::Void, Standing::Taken), (AttemptKind::Void, AttemptKind::Capture, Standing::CalledOff)]
    {
        let request = promise(Card::Good);
        let Outcome::Authorized(receipt) = provider.send(&request).await else { panic!("not authorized") };
        assert_eq!((receipt.amount, receipt.currency), (request.amount, request.currency));
        assert!(matches!(look(&provider, &request).await, Outcome::Authorized(_)));
        assert_eq!(world.only(&request).await.standing, Standing::Promised);
        let done = about(&request, 2, first, 1500, &receipt.provider_reference);
        let id = approved(provider.send(&done).await, &done);
        assert_eq!(approved(provider.send(&done).await, &done), id, "once");
        assert_eq!(approved(look(&provider, &done).await, &done), id);
        declined(provider.send(&about(&request, 3, second, 1500, &receipt.provider_reference)).await);
        assert_eq!(world.only(&request).await.standing, left);
    }
    assert_eq!(declined(provider.send(&promise(Card::Declined)).await), "generic_decline");
}

async fn a_captured_charge_cannot_be_voided(world: &dyn World) {
    let (provider, request) = (world.provider(LONG), world.charge(Card::Good));
    let reference = approved(provider.send(&request).await, &request);
    let void = about(&request, 2, AttemptKind::Void, 1500, &reference);
    let code = declined(provider.send(&void).await);
    assert_eq!(declined(provider.send(&void).await), code);
    assert_eq!(declined(look(&provider, &void).await), code);
    assert_eq!(world.only(&request).await.standing, Standing::Taken);
}

async fn refunds_whole_and_in_parts_never_exceed_the_charge(world: &dyn World) {
    let (provider, request) = (world.provider(LONG), world.charge(Card::Good));
    let reference = approved(provider.send(&request).await, &request);
    let refund = |n, amount| about(&request, n, AttemptKind::Refund, amount, &reference);
    let part = refund(2, 600);
    let receipt = approved(provider.send(&part).await, &part);
    assert_eq!(approved(provider.send(&part).await, &part), receipt);
    assert_eq!(approved(look(&provider, &part).await, &part), receipt);
    assert_eq!(world.only(&request).await.refunded, 600);
    for _ in 0..2 {
        declined(provider.send(&refund(3, 901)).await);
    }
    approved(provider.send(&refund(4, 900)).await, &refund(4, 900));
    declined(provider.send(&refund(5, 1)).await);
    let charge = world.only(&request).await;
    assert_eq!((charge.standing, charge.refunded), (Standing::Taken, 1500));
    // It was taken, and that stays the answer to the charge's own key.
    assert_eq!(approved(provider.send(&request).await, &request), reference);
    assert_eq!(approved(look(&provider, &request).await, &request), reference);
}

async fn fifty_racing_refunds_give_back_no_more_than_was_taken(world: &dyn World) {
    let (provider, request) = (world.provider(LONG), world.charge(Card::Good));
    let reference = approved(provider.send(&request).await, &request);
    let refunds = futures::future::join_all((0..50).map(|n| {
        // Half of them twice under one key.
        let refund = about(&request, 2 + n / 2, AttemptKind::Refund, 100, &reference);
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { send_until_known(&provider, &refund).await })
    }));
    let mut given_back = std::collections::BTreeSet::new();
    for refund in refunds.await {
        match refund.unwrap() {
            Outcome::Approved(receipt) => drop(given_back.insert(receipt.provider_reference)),
            other => drop(declined(other)),
        }
    }
    assert_eq!(given_back.len(), 15);
    assert_eq!(world.only(&request).await.refunded, 1500);
}

async fn a_refund_without_its_charge_gives_nothing_back(world: &dyn World) {
    let (provider, mine) = (world.provider(LONG), world.charge(Card::Good));
    for (n, target) in [(3, "ch_99999_0000000000000001"), (4, "nonsense"), (5, "pi_nobodys")] {
        let refund = about(&mine, n, AttemptKind::Refund, 100, target);
        match provider.send(&refund).await {
            Outcome::Declined(decline) => assert_eq!(decline.decline_code, "charge_not_found", "{target}"),
            // Who looks among the payments of one account, and may have been given another one's key, does not know.
            Outcome::Unknown(cause) => assert!(cause.contains("not found"), "{target}: {cause}"),
            other => panic!("{target}: {other:?}"),
        }
    }
    let nothing = MoneyRequest { target: None, ..about(&mine, 6, AttemptKind::Refund, 100, "") };
    assert_eq!(declined(provider.send(&nothing).await), "charge_not_found");
}

async fn without_an_outcome_the_future_may_be_dropped_and_sent_again(world: &dyn World) {
    let (provider, requests) = (world.provider(LONG), (0..30).map(|_| world.charge(Card::Good)).collect::<Vec<_>>());
    for (n, request) in requests.iter().enumerate() {
        let crash = Duration::from_micros(100 * n as u64);
        let _ = tokio::time::timeout(crash, provider.send(request)).await;
        approved(send_until_known(&provider, request).await, request);
        world.only(request).await;
        assert!(Attempt::key(&request.reference, 99_999).len() <= 36);
    }
}
