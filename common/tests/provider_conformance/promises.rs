//! The promises, over every way to the provider.

use super::rig::*;
use axum::http::StatusCode;
use boxoffice_common::{
    adapters::sandbox::{Behaviour, OperationId, OperationStatus, SandboxProvider},
    domain::{
        attempt::{Attempt, AttemptKind, MoneyRequest, Outcome},
        money::Amount,
    },
    ports::provider::PaymentProvider,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Runs each promise over every way to the provider.
macro_rules! over_both {
    ($($promise:ident)*) => {
        mod in_process {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise($crate::rig::Rig::start($crate::rig::Over::Process).await).await;
            })*
        }
        mod over_http {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise($crate::rig::Rig::start($crate::rig::Over::Http).await).await;
            })*
        }
    };
}
pub(crate) use over_both;

over_both! {
    a_good_card_is_charged_once_under_its_key
    a_bad_card_is_declined_and_stays_declined
    the_same_key_for_another_request_is_unknown_and_charges_nothing
    fifty_at_once_with_the_same_key_make_one_charge
    a_flaky_card_is_refused_twice_before_it_is_sent
    an_answer_lost_after_the_charge_is_found_by_looking_up_and_by_sending_again
    a_request_lost_before_the_charge_is_not_found_and_charges_when_sent_again
    an_outage_is_unknown_and_executes_nothing
    a_slow_answer_is_unknown_to_the_impatient_and_the_charge_is_there
    a_slow_card_takes_three_seconds
    a_customer_who_approves_has_paid
    a_customer_who_refuses_has_not_paid
    a_pending_charge_that_was_voided_can_never_be_approved
    approval_and_void_race_and_one_wins
    what_is_authorized_is_captured_or_voided_once
    a_captured_charge_cannot_be_voided
    refunds_whole_and_in_parts_never_exceed_the_charge
    fifty_racing_refunds_give_back_no_more_than_was_taken
    a_refund_without_its_charge_is_declined
    the_book_survives_a_process_that_never_closed_it
    refusals_errors_and_lost_answers_are_told_apart
    a_key_is_at_most_thirty_six_characters
    without_an_outcome_the_future_may_be_dropped_and_sent_again
}

async fn a_good_card_is_charged_once_under_its_key(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_visa"));
    assert_unknown(&look_up(&provider, &request).await);
    let first = approved(provider.send(&request).await, &request);
    assert_eq!(approved(provider.send(&request).await, &request), first);
    assert_eq!(approved(look_up(&provider, &request).await, &request), first);
    let charge = rig.only_charge(&request).await;
    assert_eq!((charge.id, charge.idempotency_key, charge.amount), (first, request.key.clone(), request.amount));
    assert_eq!((charge.status, charge.amount_refunded), (OperationStatus::Captured, Amount::ZERO));
}

async fn a_bad_card_is_declined_and_stays_declined(rig: Rig) {
    let provider = rig.provider(LONG);
    let cards = [
        ("tok_declined", "generic_decline"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_expired_card", "expired_card"),
        ("tok_never_heard_of", "invalid_token"),
    ];
    for (token, code) in cards {
        let request = rig.charge(token);
        for _ in 0..2 {
            assert_eq!(declined(provider.send(&request).await), code);
        }
        assert_eq!(declined(look_up(&provider, &request).await), code);
        assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Declined);
    }
    let nothing = MoneyRequest { amount: Amount::ZERO, ..rig.charge("tok_visa") };
    assert_eq!(declined(provider.send(&nothing).await), "invalid_amount");
    let no_card = MoneyRequest { token: None, ..rig.charge("tok_visa") };
    assert_eq!(declined(provider.send(&no_card).await), "invalid_token");
}

async fn the_same_key_for_another_request_is_unknown_and_charges_nothing(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_visa"));
    let first = approved(provider.send(&request).await, &request);
    let dearer = MoneyRequest { amount: Amount::from_minor(1501), ..request.clone() };
    let refund = about(&request, 1, AttemptKind::Refund, 1500, &first);
    for other in [dearer, refund] {
        assert_eq!(other.key, request.key);
        assert_unknown(&provider.send(&other).await);
    }
    let charge = rig.only_charge(&request).await;
    assert_eq!((charge.amount.minor(), charge.amount_refunded.minor()), (1500, 0));
}

async fn fifty_at_once_with_the_same_key_make_one_charge(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_visa"));
    let calls = futures::future::join_all((0..50).map(|_| {
        let (provider, request) = (Arc::clone(&provider), request.clone());
        tokio::spawn(async move { provider.send(&request).await })
    }));
    let references: Vec<String> = calls.await.into_iter().map(|call| approved(call.unwrap(), &request)).collect();
    let charge = rig.only_charge(&request).await;
    assert!(references.iter().all(|reference| *reference == charge.id));
}

async fn a_flaky_card_is_refused_twice_before_it_is_sent(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_flaky"));
    for _ in 0..2 {
        assert_not_sent(&provider.send(&request).await);
        assert_eq!(rig.book(&request).await, []);
    }
    let first = approved(provider.send(&request).await, &request);
    assert_eq!(approved(provider.send(&request).await, &request), first);
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Captured);
}

async fn an_answer_lost_after_the_charge_is_found_by_looking_up_and_by_sending_again(rig: Rig) {
    let (hasty, patient) = (rig.provider(SHORT), rig.provider(LONG));
    let request = rig.charge("tok_timeout_charged");
    assert_unknown(&hasty.send(&request).await);
    let charge = rig.only_charge(&request).await;
    assert_eq!(charge.status, OperationStatus::Captured);
    assert_eq!(approved(look_up(&patient, &request).await, &request), charge.id);
    assert_eq!(approved(patient.send(&request).await, &request), charge.id);
    rig.only_charge(&request).await;
}

async fn a_request_lost_before_the_charge_is_not_found_and_charges_when_sent_again(rig: Rig) {
    let (hasty, patient) = (rig.provider(SHORT), rig.provider(LONG));
    let request = rig.charge("tok_timeout_not_charged");
    assert_unknown(&hasty.send(&request).await);
    assert_eq!(rig.book(&request).await, []);
    assert_eq!(look_up(&patient, &request).await, Outcome::Unknown("not found".to_owned()));
    approved(patient.send(&request).await, &request);
    rig.only_charge(&request).await;
}

async fn an_outage_is_unknown_and_executes_nothing(rig: Rig) {
    let (hasty, request) = (rig.provider(SHORT), rig.charge("tok_outage"));
    for _ in 0..2 {
        let started = Instant::now();
        assert_unknown(&hasty.send(&request).await);
        assert!((SHORT..LONG).contains(&started.elapsed()), "{:?}", started.elapsed());
    }
    assert_eq!(rig.book(&request).await, []);
    // The whole provider, too.
    rig.service.set_behaviour(Behaviour { outage: true, ..Behaviour::default() }).unwrap();
    let request = rig.charge("tok_visa");
    assert_unknown(&hasty.send(&request).await);
    assert_unknown(&look_up(&hasty, &request).await);
    assert_eq!(rig.book(&request).await, []);
}

async fn a_slow_answer_is_unknown_to_the_impatient_and_the_charge_is_there(rig: Rig) {
    let (hasty, request) = (rig.provider(SHORT), rig.charge("tok_visa"));
    rig.service.set_behaviour(Behaviour { latency_ms: 30_000, ..Behaviour::default() }).unwrap();
    let started = Instant::now();
    assert_unknown(&hasty.send(&request).await);
    assert!(started.elapsed() < LONG);
    rig.service.set_behaviour(Behaviour::default()).unwrap();
    assert_eq!(approved(rig.provider(LONG).send(&request).await, &request), rig.only_charge(&request).await.id);
}

async fn a_slow_card_takes_three_seconds(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_slow"));
    let started = Instant::now();
    approved(provider.send(&request).await, &request);
    assert!(started.elapsed() >= Duration::from_secs(3), "{:?}", started.elapsed());
    rig.only_charge(&request).await;
}

async fn a_customer_who_approves_has_paid(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_3ds"));
    let (url, reference) = requires_action(provider.send(&request).await);
    assert_eq!(url, format!("{}/sandbox/actions/{reference}", rig.base_url));
    assert_eq!(requires_action(look_up(&provider, &request).await), (url.clone(), reference.clone()));
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Pending);
    let (status, page) = rig.act(&url, "approve").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(page.contains("USD\u{a0}15.00") && page.contains("<form method=\"post\">") && !page.contains("<script"), "{page}");
    assert_eq!(approved(look_up(&provider, &request).await, &request), reference);
    assert_eq!(approved(provider.send(&request).await, &request), reference);
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Captured);
    // Too late to refuse.
    rig.act(&url, "refuse").await;
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Captured);
    let (_, _, page) = http(&rig.base_url, "GET", &format!("{}?return_to=https://shop.example/", path_of(&url)), "", "").await;
    assert!(page.contains("Payment approved") && page.contains("href=\"https://shop.example/\"") && !page.contains("<form"), "{page}");
}

async fn a_customer_who_refuses_has_not_paid(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_3ds"));
    let (url, _) = requires_action(provider.send(&request).await);
    rig.act(&url, "refuse").await;
    assert_eq!(declined(look_up(&provider, &request).await), "authentication_failed");
    assert_eq!(declined(provider.send(&request).await), "authentication_failed");
    rig.act(&url, "approve").await;
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Declined);
}

async fn a_pending_charge_that_was_voided_can_never_be_approved(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_3ds"));
    let (url, reference) = requires_action(provider.send(&request).await);
    let void = about(&request, 2, AttemptKind::Void, 1500, &reference);
    let receipt = approved(provider.send(&void).await, &void);
    assert_eq!(approved(provider.send(&void).await, &void), receipt);
    assert_eq!(approved(look_up(&provider, &void).await, &void), receipt);
    rig.act(&url, "approve").await;
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Voided);
    assert_eq!(declined(look_up(&provider, &request).await), "voided");
    let refund = about(&request, 3, AttemptKind::Refund, 1500, &reference);
    assert_eq!(declined(provider.send(&refund).await), "not_captured");
}

async fn approval_and_void_race_and_one_wins(rig: Rig) {
    let provider = rig.provider(LONG);
    let races = (0..20).map(|_| async {
        let request = rig.charge("tok_3ds");
        let (url, reference) = requires_action(provider.send(&request).await);
        let void = about(&request, 2, AttemptKind::Void, 1500, &reference);
        let id = OperationId::parse(url.rsplit('/').next().unwrap()).unwrap();
        let (outcome, acted) = tokio::join!(provider.send(&void), rig.service.act(id, true));
        let charge = rig.only_charge(&request).await;
        assert_eq!(acted.unwrap().unwrap().status, charge.status);
        match outcome {
            Outcome::Approved(_) => assert_eq!(charge.status, OperationStatus::Voided),
            other => {
                assert_eq!(declined(other), "already_captured");
                assert_eq!(charge.status, OperationStatus::Captured);
            }
        }
    });
    futures::future::join_all(races).await;
}

async fn what_is_authorized_is_captured_or_voided_once(rig: Rig) {
    let provider = rig.provider(LONG);
    let promise = |token: &str| MoneyRequest { capture_later: true, ..rig.charge(token) };
    for (first, second, left) in [
        (AttemptKind::Capture, AttemptKind::Void, OperationStatus::Captured),
        (AttemptKind::Void, AttemptKind::Capture, OperationStatus::Voided),
    ] {
        let request = promise("tok_visa");
        let Outcome::Authorized(receipt) = provider.send(&request).await else { panic!("not authorized") };
        assert_eq!((receipt.amount, receipt.currency), (request.amount, request.currency));
        assert!(matches!(look_up(&provider, &request).await, Outcome::Authorized(_)));
        let done = about(&request, 2, first, 1500, &receipt.provider_reference);
        let id = approved(provider.send(&done).await, &done);
        assert_eq!(approved(provider.send(&done).await, &done), id, "once");
        declined(provider.send(&about(&request, 3, second, 1500, &receipt.provider_reference)).await);
        assert_eq!(rig.only_charge(&request).await.status, left);
    }
    assert_eq!(declined(provider.send(&promise("tok_declined")).await), "generic_decline");
}

async fn a_captured_charge_cannot_be_voided(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_visa"));
    let reference = approved(provider.send(&request).await, &request);
    let void = about(&request, 2, AttemptKind::Void, 1500, &reference);
    for _ in 0..2 {
        assert_eq!(declined(provider.send(&void).await), "already_captured");
    }
    assert_eq!(declined(look_up(&provider, &void).await), "already_captured");
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Captured);
    let capture = about(&request, 3, AttemptKind::Capture, 1500, &reference);
    assert_eq!(declined(provider.send(&capture).await), "already_captured");
}

async fn refunds_whole_and_in_parts_never_exceed_the_charge(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_visa"));
    let reference = approved(provider.send(&request).await, &request);
    let refund = |n, amount| about(&request, n, AttemptKind::Refund, amount, &reference);
    let part = refund(2, 600);
    let receipt = approved(provider.send(&part).await, &part);
    assert_eq!(approved(provider.send(&part).await, &part), receipt);
    assert_eq!(approved(look_up(&provider, &part).await, &part), receipt);
    let charge = rig.only_charge(&request).await;
    assert_eq!((charge.status, charge.amount_refunded.minor()), (OperationStatus::Captured, 600));
    assert_eq!(declined(provider.send(&refund(3, 901)).await), "exceeds_captured");
    approved(provider.send(&refund(4, 900)).await, &refund(4, 900));
    let charge = rig.only_charge(&request).await;
    assert_eq!((charge.status, charge.amount_refunded.minor()), (OperationStatus::Refunded, 1500));
    assert_eq!(declined(provider.send(&refund(5, 1)).await), "already_refunded");
    // It was taken, and that stays the answer to the charge's own key.
    assert_eq!(approved(provider.send(&request).await, &request), reference);
    assert_eq!(approved(look_up(&provider, &request).await, &request), reference);
}

async fn fifty_racing_refunds_give_back_no_more_than_was_taken(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_visa"));
    let reference = approved(provider.send(&request).await, &request);
    let refunds = futures::future::join_all((0..50).map(|n| {
        // Half of them twice under one key.
        let refund = about(&request, 2 + n / 2, AttemptKind::Refund, 100, &reference);
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { (refund.key.clone(), provider.send(&refund).await) })
    }));
    let mut given_back = std::collections::BTreeSet::new();
    for refund in refunds.await {
        match refund.unwrap() {
            (_, Outcome::Approved(receipt)) => {
                given_back.insert(receipt.provider_reference);
            }
            (key, other) => {
                let code = declined(other);
                assert!(["exceeds_captured", "already_refunded"].contains(&code.as_str()), "{key}: {code}");
            }
        }
    }
    assert_eq!(given_back.len(), 15);
    let charge = rig.only_charge(&request).await;
    assert_eq!((charge.status, charge.amount_refunded.minor()), (OperationStatus::Refunded, 1500));
}

async fn a_refund_without_its_charge_is_declined(rig: Rig) {
    let provider = rig.provider(LONG);
    let (mine, other) = (rig.charge("tok_visa"), rig.charge("tok_visa"));
    let reference = approved(provider.send(&other).await, &other);
    for (n, target) in [(2, reference.as_str()), (3, "ch_99999_0000000000000001"), (4, "nonsense")] {
        let refund = about(&mine, n, AttemptKind::Refund, 100, target);
        assert_eq!(declined(provider.send(&refund).await), "charge_not_found", "{target}");
    }
    let nothing = MoneyRequest { target: None, ..about(&mine, 5, AttemptKind::Refund, 100, "") };
    assert_eq!(declined(provider.send(&nothing).await), "charge_not_found");
    assert_eq!(rig.only_charge(&other).await.amount_refunded, Amount::ZERO);
}

async fn the_book_survives_a_process_that_never_closed_it(rig: Rig) {
    let provider = rig.provider(LONG);
    let requests: Vec<MoneyRequest> = (0..40).map(|_| rig.charge("tok_visa")).collect();
    let ids = futures::future::join_all(requests.iter().map(|request| async { approved(provider.send(request).await, request) })).await;
    let flaky = rig.charge("tok_flaky");
    assert_not_sent(&provider.send(&flaky).await);
    // What a kill leaves behind is what lies in the files now: nobody has closed or checkpointed them.
    let copy = tempfile::tempdir().unwrap();
    for name in ["sandbox.db", "sandbox.db-wal"] {
        std::fs::copy(rig.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let reborn = SandboxProvider::in_process(open(&copy.path().join("sandbox.db"), "http://sandbox.example").await, LONG);
    for (request, id) in requests.iter().zip(&ids) {
        assert_eq!(approved(reborn.send(request).await, request), *id);
        assert_eq!(reborn.charges_by_reference(request.reference.as_str()).await.unwrap().len(), 1);
    }
    assert_not_sent(&reborn.send(&flaky).await);
    approved(reborn.send(&flaky).await, &flaky);
    // And once more after an orderly end.
    drop(reborn);
    let again = open(&copy.path().join("sandbox.db"), "http://sandbox.example").await;
    let totals = again.totals().await.unwrap();
    let captured = totals.data.iter().find(|total| total.kind == "charge" && total.status == "captured").unwrap();
    assert_eq!((captured.count, captured.amount, totals.references_charged_twice), (41, 41 * 1500, 0));
}

async fn refusals_errors_and_lost_answers_are_told_apart(rig: Rig) {
    let provider = rig.provider(LONG);
    let behave = |behaviour| rig.service.set_behaviour(behaviour).unwrap();
    let request = rig.charge("tok_visa");
    behave(Behaviour { refuse_rate: 1.0, ..Behaviour::default() });
    let Outcome::NotSent { retry_after, .. } = provider.send(&request).await else { panic!("was sent") };
    assert_eq!(retry_after, Some(Duration::from_secs(1)));
    // A question that was refused says nothing about the charge.
    assert_unknown(&look_up(&provider, &request).await);
    behave(Behaviour { error_rate: 1.0, ..Behaviour::default() });
    assert_unknown(&provider.send(&request).await);
    assert_eq!(rig.book(&request).await, []);
    behave(Behaviour { lose_answer_rate: 1.0, ..Behaviour::default() });
    assert_unknown(&provider.send(&request).await);
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Captured);
    behave(Behaviour::default());
    approved(provider.send(&request).await, &request);
    rig.only_charge(&request).await;
}

async fn a_key_is_at_most_thirty_six_characters(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_visa"));
    assert!(Attempt::key(&request.reference, 99_999).len() <= 36);
    let longest = MoneyRequest { key: "k".repeat(36), ..request.clone() };
    approved(provider.send(&longest).await, &longest);
    let too_long = MoneyRequest { key: "k".repeat(37), ..request.clone() };
    assert_unknown(&provider.send(&too_long).await);
    rig.only_charge(&request).await;
}

async fn without_an_outcome_the_future_may_be_dropped_and_sent_again(rig: Rig) {
    let (provider, requests) = (rig.provider(LONG), (0..30).map(|_| rig.charge("tok_visa")).collect::<Vec<_>>());
    for (n, request) in requests.iter().enumerate() {
        let crash = Duration::from_micros(100 * n as u64);
        let _ = tokio::time::timeout(crash, provider.send(request)).await;
        approved(provider.send(request).await, request);
        rig.only_charge(request).await;
    }
}
