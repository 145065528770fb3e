//! The promises over Mollie's adapter and the stand-in: what follows on a charge, what Mollie tells, and its book.

use super::{
    mollie::{Rig, look_up, receipt, refused},
    rig::*,
};
use boxoffice_common::{
    adapters::{
        mollie::MollieEvents,
        provider_events::{AskError, EventSource},
    },
    domain::{
        attempt::{AttemptKind, MoneyRequest, Outcome},
        dispute::DisputeStatus,
        provider_book::BookStatus,
        provider_event::{About, EventAccount, Told, ToldMoney, Word},
        scope::Mode,
        secret::Secret,
        time::Timestamp,
    },
    ports::{provider::PaymentProvider, provider_book::ProviderBook},
};
use boxoffice_testkit::{
    mollie::{Executed, Fault, PaymentStatus, Which},
    receiver::Receiver,
};
use futures::future::join_all;
use http::HeaderMap;
use std::{collections::BTreeSet, time::Duration};

#[tokio::test]
async fn a_payment_that_was_called_off_can_never_be_made() {
    let rig = Rig::start().await;
    let (provider, request) = (rig.provider(LONG), rig.on_the_page());
    let (_, id) = requires_action(provider.send(&request).await);
    let void = about(&request, 2, AttemptKind::Void, 1500, &id);
    for _ in 0..2 {
        assert_eq!(approved(provider.send(&void).await, &void), id);
    }
    assert_eq!(approved(look_up(&provider, &void, None).await, &void), id);
    assert!(!rig.mollie.moves(&id, PaymentStatus::Paid));
    assert_eq!(refused(look_up(&provider, &request, Some(&id)).await).decline_code, "canceled");
    let refund = about(&request, 3, AttemptKind::Refund, 1500, &id);
    assert_eq!(refused(provider.send(&refund).await).decline_code, "not_captured");
}

#[tokio::test]
async fn a_void_that_mollie_does_not_do_is_unknown_until_the_payment_has_ended() {
    let rig = Rig::start().await;
    let provider = rig.provider(LONG);
    for (end, is_void) in [(Some(PaymentStatus::Paid), false), (Some(PaymentStatus::Failed), true), (None, true)] {
        let request = rig.charge("tkn_3ds");
        let (_, id) = requires_action(provider.send(&request).await);
        let void = about(&request, 2, AttemptKind::Void, 1500, &id);
        // An open card payment is not cancelable: the customer may be at the issuer's page.
        assert_unknown(&provider.send(&void).await);
        assert_unknown(&look_up(&provider, &void, None).await);
        match end {
            Some(status) => assert!(rig.mollie.moves(&id, status)),
            None => rig.mollie.pass(Duration::from_secs(1801)),
        }
        for outcome in [provider.send(&void).await, look_up(&provider, &void, None).await] {
            match is_void {
                true => assert_eq!(receipt(outcome).provider_reference, id),
                false => assert_eq!(refused(outcome).decline_code, "already_captured"),
            }
        }
    }
    // Never sent, lost, not understood.
    let request = rig.on_the_page();
    let (_, id) = requires_action(provider.send(&request).await);
    let void = about(&request, 2, AttemptKind::Void, 1500, &id);
    rig.mollie.faults(Which::GiveUp, [Fault::CutBefore, Fault::Html(Executed::No), Fault::CutAfter(0)]);
    for _ in 0..3 {
        assert_unknown(&provider.send(&void).await);
    }
    assert_eq!(approved(provider.send(&void).await, &void), id);
    // What is another's is left alone.
    let (other, mine) = (rig.on_the_page(), rig.charge("tkn_paid"));
    let (_, theirs) = requires_action(provider.send(&other).await);
    rig.mollie.moves(&theirs, PaymentStatus::Paid);
    assert_unknown(&provider.send(&about(&mine, 2, AttemptKind::Void, 1500, &theirs)).await);
    assert_unknown(&provider.send(&about(&mine, 2, AttemptKind::Void, 1500, "tr_never")).await);
}

#[tokio::test]
async fn approval_and_void_race_and_one_wins() {
    let rig = Rig::start().await;
    let provider = rig.provider(LONG);
    join_all((0..20).map(|_| async {
        let request = rig.on_the_page();
        let (_, id) = requires_action(provider.send(&request).await);
        let void = about(&request, 2, AttemptKind::Void, 1500, &id);
        let pay = async {
            tokio::task::yield_now().await;
            rig.mollie.moves(&id, PaymentStatus::Paid)
        };
        let (outcome, paid) = tokio::join!(provider.send(&void), pay);
        match outcome {
            Outcome::Approved(_) => assert!(!paid && rig.only(&request).status == PaymentStatus::Canceled),
            other => {
                assert_eq!(refused(other).decline_code, "already_captured");
                assert!(paid && rig.only(&request).status == PaymentStatus::Paid);
            }
        }
    }))
    .await;
}

#[tokio::test]
async fn what_is_authorized_is_captured_or_voided_once() {
    let rig = Rig::start().await;
    let provider = rig.provider(LONG);
    for (first, second, left) in
        [(AttemptKind::Capture, AttemptKind::Void, PaymentStatus::Paid), (AttemptKind::Void, AttemptKind::Capture, PaymentStatus::Canceled)]
    {
        let request = MoneyRequest { capture_later: true, ..rig.charge("tkn_paid") };
        let Outcome::Authorized(held) = provider.send(&request).await else { panic!("not authorized") };
        assert_eq!((held.amount, held.currency), (request.amount, request.currency));
        assert!(matches!(look_up(&provider, &request, None).await, Outcome::Authorized(_)));
        let done = about(&request, 2, first, 1500, &held.provider_reference);
        let id = approved(provider.send(&done).await, &done);
        assert_eq!(approved(provider.send(&done).await, &done), id, "once");
        assert_eq!(approved(look_up(&provider, &done, None).await, &done), id);
        refused(provider.send(&about(&request, 3, second, 1500, &held.provider_reference)).await);
        assert_eq!(rig.only(&request).status, left);
    }
    assert_eq!(rig.mollie.captures().len(), 1);
}

#[tokio::test]
async fn a_capture_or_a_release_that_takes_its_time_is_not_done_before() {
    let rig = Rig::start().await;
    let provider = rig.provider(LONG);
    rig.mollie.captures_wait(true);
    rig.mollie.releases_wait(true);
    for succeeds in [true, false] {
        let request = MoneyRequest { capture_later: true, ..rig.charge("tkn_paid") };
        let Outcome::Authorized(held) = provider.send(&request).await else { panic!("not authorized") };
        let capture = about(&request, 2, AttemptKind::Capture, 1500, &held.provider_reference);
        for outcome in [provider.send(&capture).await, look_up(&provider, &capture, None).await] {
            let Outcome::Pending { provider_reference } = outcome else { panic!("{outcome:?}") };
            assert!(provider_reference.starts_with("cpt_"));
        }
        let id = rig.mollie.captures().pop().unwrap().id;
        assert!(rig.mollie.end_capture(&id, succeeds));
        for outcome in [provider.send(&capture).await, look_up(&provider, &capture, None).await] {
            match succeeds {
                true => assert_eq!(approved(outcome, &capture), id),
                false => assert_eq!(refused(outcome).decline_code, "capture_failed"),
            }
        }
    }
    let request = MoneyRequest { capture_later: true, ..rig.charge("tkn_paid") };
    let Outcome::Authorized(held) = provider.send(&request).await else { panic!("not authorized") };
    let void = about(&request, 2, AttemptKind::Void, 1500, &held.provider_reference);
    assert_unknown(&provider.send(&void).await);
    assert!(rig.mollie.moves(&held.provider_reference, PaymentStatus::Canceled));
    approved(provider.send(&void).await, &void);
}

#[tokio::test]
async fn refunds_whole_and_in_parts_never_exceed_the_charge() {
    let rig = Rig::start().await;
    let (provider, request) = (rig.provider(LONG), rig.charge("tkn_paid"));
    let id = approved(provider.send(&request).await, &request);
    let refund = |n, amount| about(&request, n, AttemptKind::Refund, amount, &id);
    let part = refund(2, 600);
    let first = approved(provider.send(&part).await, &part);
    assert_eq!(approved(provider.send(&part).await, &part), first);
    assert_eq!(approved(look_up(&provider, &part, None).await, &part), first);
    // The same amount once more is another refund, and no mistake.
    approved(provider.send(&refund(3, 600)).await, &refund(3, 600));
    assert_eq!(refused(provider.send(&refund(4, 301)).await).decline_code, "exceeds_captured");
    approved(provider.send(&refund(5, 300)).await, &refund(5, 300));
    assert_eq!(refused(provider.send(&refund(6, 1)).await).decline_code, "exceeds_captured");
    assert_eq!(rig.only(&request).refunded, 1500);
    // It was taken, and that stays the answer to the charge's own key.
    assert_eq!(approved(provider.send(&request).await, &request), id);
    assert_eq!(approved(look_up(&provider, &request, Some(&id)).await, &request), id);
    assert_unknown(&provider.send(&about(&request, 7, AttemptKind::Refund, 1, "tr_never")).await);
}

#[tokio::test]
async fn fifty_racing_refunds_give_back_no_more_than_was_taken() {
    let rig = Rig::start().await;
    let (provider, request) = (rig.provider(LONG), rig.charge("tkn_paid"));
    let id = approved(provider.send(&request).await, &request);
    let outcomes = join_all((0..50).map(|n| {
        // Half of them twice under one key.
        let refund = about(&request, 2 + n / 2, AttemptKind::Refund, 100, &id);
        let provider = provider.clone();
        async move { provider.send(&refund).await }
    }));
    let mut given_back = BTreeSet::new();
    for outcome in outcomes.await {
        match outcome {
            Outcome::Approved(receipt) => {
                given_back.insert(receipt.provider_reference);
            }
            // Its twin has the key.
            Outcome::Unknown(_) => {}
            other => assert_eq!(refused(other).decline_code, "exceeds_captured"),
        }
    }
    assert_eq!((given_back.len(), rig.only(&request).refunded, rig.mollie.refunds().len()), (15, 1500, 15));
}

#[tokio::test]
async fn a_refund_that_was_lost_is_found_and_one_that_fails_later_is_told() {
    let rig = Rig::start().await;
    let (provider, request) = (rig.provider(LONG), rig.charge("tkn_paid"));
    let id = approved(provider.send(&request).await, &request);
    let refund = about(&request, 2, AttemptKind::Refund, 1500, &id);
    rig.mollie.faults(Which::CreateRefund, [Fault::CutBefore, Fault::CutAfter(30)]);
    assert_unknown(&provider.send(&refund).await);
    assert_eq!(look_up(&provider, &refund, None).await, Outcome::Unknown("not found".to_owned()));
    assert_unknown(&provider.send(&refund).await);
    let given = approved(look_up(&provider, &refund, None).await, &refund);
    assert_eq!(approved(provider.send(&refund).await, &refund), given);
    for status in ["processing", "refunded"] {
        assert!(rig.mollie.move_refund(&given, status));
        assert_eq!(approved(look_up(&provider, &refund, Some(&given)).await, &refund), given);
    }
    assert!(rig.mollie.move_refund(&given, "failed"));
    assert_eq!(refused(look_up(&provider, &refund, Some(&given)).await).decline_code, "refund_failed");
    assert_eq!(refused(provider.send(&refund).await).decline_code, "refund_failed", "replayed as pending, and failed since");
}

fn events(rig: &Rig, secrets: &[&str]) -> MollieEvents {
    let account = EventAccount { provider: "mollie", account: "pra_1".to_owned(), mode: Mode::Test, tenant: Some("acme".to_owned()) };
    MollieEvents::new(account, rig.provider(LONG), secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect())
}

/// What is said of money.
async fn asked(events: &MollieEvents, id: &str) -> Vec<ToldMoney> {
    let told = events.ask(id).await.unwrap().into_iter();
    told.map(|told| if let Told::Money(told) = told { told } else { panic!("{told:?}") }).collect()
}

#[tokio::test]
async fn what_a_bank_takes_back_is_a_dispute_until_it_is_reversed() {
    let rig = Rig::start().await;
    let (provider, events, request) = (rig.provider(LONG), events(&rig, &[]), rig.charge("tkn_paid"));
    let id = approved(provider.send(&request).await, &request);
    let chargeback = rig.mollie.charge_back(&id).unwrap();
    for (reverse, status) in [(false, DisputeStatus::Open), (true, DisputeStatus::Won)] {
        assert!(!reverse || rig.mollie.reverse_chargeback(&chargeback));
        let told = events.ask(&id).await.unwrap();
        let [Told::Money(charge), Told::Dispute(dispute)] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(charge.word, Word::Moved, "it was paid all the same");
        assert_eq!((&dispute.charge, &dispute.provider_reference, dispute.status), (&id, &chargeback, status));
        assert_eq!((dispute.amount, dispute.currency, dispute.reason.as_str()), (request.amount, request.currency, "chargeback"));
    }
}

#[tokio::test]
async fn an_unsigned_notice_is_only_a_hint_and_mollie_is_asked_what_became_of_it() {
    let rig = Rig::start().await;
    let (provider, events, none) = (rig.provider(LONG), events(&rig, &[]), HeaderMap::new());
    let request = rig.charge("tkn_3ds");
    let (_, id) = requires_action(provider.send(&request).await);
    let form = format!("id={id}");
    assert_eq!(events.hint(&none, form.as_bytes()), Some(id.clone()));
    assert!(events.verify(&none, form.as_bytes(), Timestamp::from_millis(0)).is_err(), "it proves nothing");
    assert_eq!(events.read(&form).unwrap(), Told::Ask(id.clone()));
    for bad in ["", "id=", "id=re_1", "id=tr_a%2Frefunds", "id=tr_1&id=tr_2", "id=tr_1&x=1", "x=tr_1", "{\"id\":\"tr_1\"}"] {
        assert_eq!(events.hint(&none, bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(events.hint(&none, format!("id=tr_{}", "a".repeat(300)).as_bytes()), None);
    let [told] = asked(&events, &id).await.try_into().unwrap();
    assert_eq!((told.about, &told.key, told.word), (About::Charge, &request.key, Word::Asked));
    rig.mollie.moves(&id, PaymentStatus::Paid);
    let refund = about(&request, 2, AttemptKind::Refund, 500, &id);
    let given = approved(provider.send(&refund).await, &refund);
    rig.mollie.move_refund(&given, "failed");
    let [charge, back] = asked(&events, &id).await.try_into().unwrap();
    assert_eq!(
        (charge.about, charge.word, charge.amount, charge.provider_reference),
        (About::Charge, Word::Moved, request.amount, id.clone())
    );
    assert_eq!((back.about, &back.key, back.amount, back.provider_reference), (About::Refund, &refund.key, refund.amount, given));
    assert!(matches!(back.word, Word::Refused { code, .. } if code == "refund_failed"));
    let kept = MoneyRequest { keep_card: true, ..rig.charge("tkn_paid") };
    let receipt = receipt(provider.send(&kept).await);
    let [told] = asked(&events, &receipt.provider_reference).await.try_into().unwrap();
    assert!(told.reusable.is_some() && told.reusable == receipt.reusable, "a card is kept whichever way its payment is heard of");
    assert_eq!(events.ask("tr_made_up").await, Err(AskError::Unknown));
    assert_eq!(events.ask("tr_1/../../v2/refunds").await, Err(AskError::Unknown));
    rig.mollie.faults(Which::Reads, [Fault::Status(500, Executed::No), Fault::RateLimited(Some(3))]);
    for wait in [None, Some(Duration::from_secs(3))] {
        assert!(matches!(events.ask(&id).await, Err(AskError::Later { retry_after, .. }) if retry_after == wait));
    }
}

#[tokio::test]
async fn a_signed_event_is_taken_by_its_own_id_and_only_with_one_of_the_secrets() {
    let rig = Rig::start().await;
    let receiver = Receiver::start().await.unwrap();
    rig.mollie.subscribe(receiver.url(), "new");
    let (provider, request) = (rig.provider(LONG), rig.charge("tkn_paid"));
    let id = approved(provider.send(&request).await, &request);
    let refund = about(&request, 2, AttemptKind::Refund, 500, &id);
    let given = approved(provider.send(&refund).await, &refund);
    rig.mollie.move_refund(&given, "refunded");
    let now = Timestamp::from_millis(0);
    for n in [1, 2] {
        let told = receiver.nth(n, LONG).await.unwrap();
        let both = events(&rig, &["old", "new"]);
        let event = both.verify(&told.headers, &told.body, now).unwrap();
        assert_eq!(event, told.json()["id"].as_str().unwrap());
        assert_eq!(both.read(std::str::from_utf8(&told.body).unwrap()).unwrap(), Told::Ask(id.clone()), "of a refund, its payment");
        assert_eq!(both.hint(&told.headers, &told.body), None);
        assert!(events(&rig, &["old"]).verify(&told.headers, &told.body, now).is_err());
        assert!(events(&rig, &[]).verify(&told.headers, &told.body, now).is_err());
        let mut changed = told.body.to_vec();
        changed.push(b' ');
        assert!(both.verify(&told.headers, &changed, now).is_err());
    }
    let form = format!("id={id}");
    let mut forged = HeaderMap::new();
    forged.insert("x-mollie-signature", "sha256=00".parse().unwrap());
    assert_eq!(events(&rig, &["new"]).hint(&forged, form.as_bytes()), None, "what claims to be signed has to be");
}

#[tokio::test]
async fn the_book_goes_from_the_newest_back_to_a_time() {
    let rig = Rig::start().await;
    let provider = rig.provider(LONG);
    let old = rig.charge("tkn_paid");
    approved(provider.send(&old).await, &old);
    rig.mollie.pass(Duration::from_secs(7200));
    let since = Timestamp::parse(&Timestamp::from_millis(now_ms() + 3_600_000).to_rfc3339()).unwrap();
    let held = MoneyRequest { capture_later: true, ..rig.charge("tkn_paid") };
    let (paid, failed, open) = (rig.charge("tkn_paid"), rig.charge("tkn_fail_card_declined"), rig.on_the_page());
    let id = approved(provider.send(&paid).await, &paid);
    for request in [&failed, &open, &held] {
        provider.send(request).await;
    }
    let page = provider.payments(since, None).await.unwrap();
    let told: Vec<_> = page.rows.iter().map(|row| (row.key.as_deref().unwrap(), row.status)).collect();
    let expected = [
        (held.key.as_str(), BookStatus::Promised),
        (open.key.as_str(), BookStatus::Open),
        (failed.key.as_str(), BookStatus::Failed),
        (paid.key.as_str(), BookStatus::Moved),
    ];
    assert_eq!((told.as_slice(), page.next), (expected.as_slice(), None));
    assert!(page.rows.iter().all(|row| row.money == Some((paid.amount, paid.currency)) && row.created_at >= since));
    let refund = about(&paid, 2, AttemptKind::Refund, 500, &id);
    let given = approved(provider.send(&refund).await, &refund);
    let refunds = provider.refunds(since, None).await.unwrap().rows;
    let [row] = refunds.as_slice() else { panic!("{refunds:?}") };
    assert_eq!((&row.id, row.key.as_deref(), row.payment.as_deref()), (&given, Some(refund.key.as_str()), Some(id.as_str())));
    assert_eq!((row.status, row.money), (BookStatus::Moved, Some((refund.amount, refund.currency))));
    assert_eq!(provider.refund(&id, &given).await.unwrap().as_ref(), Some(row));
    assert_eq!(provider.refund(&id, "re_never").await.unwrap(), None);
    assert_eq!(provider.payment(&id).await.unwrap().map(|row| row.status), Some(BookStatus::Moved));
    assert_eq!(provider.payment("tr_never").await.unwrap(), None);
    rig.mollie.faults(Which::Reads, [Fault::RateLimited(Some(9)), Fault::Html(Executed::No)]);
    assert_eq!(provider.payments(since, None).await.unwrap_err().retry_after, Some(Duration::from_secs(9)));
    assert!(provider.payments(since, None).await.is_err());
    assert!(provider.payments(since, Some("tr_never")).await.is_err());
}

fn now_ms() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}
