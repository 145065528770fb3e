//! What the sandbox promises beside that, over both ways to it: its own cards, its page, its book.

use super::rig::*;
use axum::http::StatusCode;
use boxoffice_common::{
    adapters::sandbox::{Behaviour, OperationId, OperationStatus, SandboxProvider},
    domain::attempt::{Attempt, AttemptKind, MoneyRequest, Outcome},
    ports::provider::PaymentProvider,
};
use std::time::{Duration, Instant};

/// Runs each promise over both ways to the sandbox.
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
    a_flaky_card_is_refused_twice_before_it_is_sent
    an_outage_is_unknown_and_executes_nothing
    a_slow_card_takes_three_seconds
    approval_and_void_race_and_one_wins
    the_book_survives_a_process_that_never_closed_it
    a_key_is_at_most_thirty_six_characters
    cards_that_are_slow_to_tell_charge_or_do_not
    the_page_shows_what_is_paid_and_leads_back
    what_it_refuses_has_its_own_codes
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

async fn a_slow_card_takes_three_seconds(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_slow"));
    let started = Instant::now();
    approved(provider.send(&request).await, &request);
    assert!(started.elapsed() >= Duration::from_secs(3), "{:?}", started.elapsed());
    rig.only_charge(&request).await;
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

async fn a_key_is_at_most_thirty_six_characters(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_visa"));
    assert!(Attempt::key(&request.reference, 99_999).len() <= 36);
    let longest = MoneyRequest { key: "k".repeat(36), ..request.clone() };
    approved(provider.send(&longest).await, &longest);
    let too_long = MoneyRequest { key: "k".repeat(37), ..request.clone() };
    assert_unknown(&provider.send(&too_long).await);
    rig.only_charge(&request).await;
}

async fn cards_that_are_slow_to_tell_charge_or_do_not(rig: Rig) {
    let (hasty, patient) = (rig.provider(SHORT), rig.provider(LONG));
    for (token, is_charged) in [("tok_timeout_charged", true), ("tok_timeout_not_charged", false)] {
        let request = rig.charge(token);
        assert_unknown(&hasty.send(&request).await);
        assert_eq!(rig.book(&request).await.len(), usize::from(is_charged), "{token}");
        approved(patient.send(&request).await, &request);
        rig.only_charge(&request).await;
    }
}

async fn the_page_shows_what_is_paid_and_leads_back(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_3ds"));
    let (url, reference) = requires_action(provider.send(&request).await);
    assert_eq!(url, format!("{}/sandbox/actions/{reference}", rig.base_url));
    let (status, page) = rig.act(&url, "approve").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(page.contains("USD\u{a0}15.00") && page.contains("<form method=\"post\">") && !page.contains("<script"), "{page}");
    let (_, _, page) = http(&rig.base_url, "GET", &format!("{}?return_to=https://shop.example/", path_of(&url)), "", "").await;
    assert!(page.contains("Payment approved") && page.contains("href=\"https://shop.example/\"") && !page.contains("<form"), "{page}");
}

async fn what_it_refuses_has_its_own_codes(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), rig.charge("tok_visa"));
    assert_eq!(declined(provider.send(&rig.charge("tok_never_heard_of")).await), "invalid_token");
    let reference = approved(provider.send(&request).await, &request);
    let code = async |n, kind, amount| declined(provider.send(&about(&request, n, kind, amount, &reference)).await);
    assert_eq!(code(2, AttemptKind::Void, 1500).await, "already_captured");
    assert_eq!(code(3, AttemptKind::Capture, 1500).await, "already_captured");
    assert_eq!(code(4, AttemptKind::Refund, 1501).await, "exceeds_captured");
    let whole = about(&request, 5, AttemptKind::Refund, 1500, &reference);
    approved(provider.send(&whole).await, &whole);
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Refunded);
    assert_eq!(code(6, AttemptKind::Refund, 1).await, "already_refunded");
    let other = rig.charge("tok_visa");
    assert_eq!(declined(provider.send(&about(&other, 7, AttemptKind::Refund, 100, &reference)).await), "charge_not_found");
    let asked = rig.charge("tok_3ds");
    let (url, _) = requires_action(provider.send(&asked).await);
    rig.act(&url, "refuse").await;
    assert_eq!(declined(provider.send(&asked).await), "authentication_failed");
    let called_off = rig.charge("tok_3ds");
    let (_, pending) = requires_action(provider.send(&called_off).await);
    let void = about(&called_off, 2, AttemptKind::Void, 1500, &pending);
    approved(provider.send(&void).await, &void);
    assert_eq!(declined(provider.send(&about(&called_off, 3, AttemptKind::Refund, 1, &pending)).await), "not_captured");
}
