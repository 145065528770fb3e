//! What only Stripe does: saved cards, its own page, answers that are replayed or cut, events, its book.

use super::{
    rig::*,
    world::{ACCOUNT, Stripe, World},
};
use boxoffice_common::{
    adapters::{
        provider_events::EventSource,
        stripe::{PAGE, StripeEvents},
    },
    domain::{
        attempt::{Advice, Attempt, AttemptKind, AttemptStatus, MoneyRequest, Outcome, ProviderPage, Visit},
        dispute::DisputeStatus,
        provider_book::BookStatus,
        provider_event::{About, Told, ToldMoney, Word},
        scope::Mode,
        secret::Secret,
        time::Timestamp,
    },
    ports::{
        provider::PaymentProvider,
        provider_book::ProviderBook,
        vault::{CardVault, VaultError},
    },
};
use boxoffice_testkit::stripe::{Boundary, Effect, Fault, signature_header};
use std::time::Duration;

/// In half an hour and a bit, as Stripe has it.
fn in_an_hour(stripe: &Stripe) -> Timestamp {
    Timestamp::from_millis((stripe.stand_in.clock().now() + 3600) * 1000)
}

fn page(stripe: &Stripe, expires_at: Timestamp) -> MoneyRequest {
    let page = ProviderPage { is_embedded: false, title: "Yoga".to_owned(), expires_at };
    let visit = Visit { return_url: "http://127.0.0.1:9/back".to_owned(), page: Some(page) };
    MoneyRequest { visit: Some(visit), token: None, ..stripe.of("") }
}

fn known(request: &MoneyRequest, reference: &str) -> Attempt {
    Attempt { provider_reference: Some(reference.to_owned()), ..attempt(request, AttemptStatus::RequiresAction) }
}

#[tokio::test]
async fn the_fee_is_told_with_the_approval_and_later_it_is_in_the_book() {
    let stripe = Stripe::start().await;
    let (provider, request) = (stripe.stripe(LONG), stripe.of("tok_visa"));
    let Outcome::Approved(receipt) = provider.send(&request).await else { panic!("not approved") };
    let fee = receipt.fee.unwrap();
    assert!(fee.amount.minor() > 0 && fee.currency == request.currency, "{fee:?}");
    let page = provider.payments(Timestamp::from_millis(0), None).await.unwrap();
    let row = page.rows.iter().find(|row| row.id == receipt.provider_reference).unwrap();
    assert_eq!((row.reference.as_deref(), row.key.as_deref()), (Some(request.reference.as_str()), Some(request.key.as_str())));
    assert_eq!((row.account.as_deref(), row.status, row.fee), (Some(ACCOUNT), BookStatus::Moved, Some(fee)));
}

#[tokio::test]
async fn the_book_is_walked_page_by_page_and_no_row_is_missed() {
    let stripe = Stripe::start().await;
    let provider = stripe.stripe(LONG);
    let mut made = std::collections::BTreeSet::new();
    for _ in 0..PAGE + 1 {
        let request = stripe.of("pm_card_visa");
        made.insert(approved(provider.send(&request).await, &request));
    }
    let (first, last) = (made.first().unwrap().clone(), stripe.of("pm_card_visa"));
    let refund = about(&last, 2, AttemptKind::Refund, 100, &first);
    let refunded = approved(provider.send(&refund).await, &refund);
    let (mut seen, mut after, mut pages) = (std::collections::BTreeSet::new(), None::<String>, 0);
    loop {
        let page = provider.payments(Timestamp::from_millis(0), after.as_deref()).await.unwrap();
        seen.extend(page.rows.into_iter().map(|row| row.id));
        pages += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!((pages, seen), (2, made));
    let refunds = provider.refunds(Timestamp::from_millis(0), None).await.unwrap();
    assert_eq!(refunds.rows.len(), 1);
    let row = &refunds.rows[0];
    assert_eq!(
        (row.id.as_str(), row.payment.as_deref(), row.key.as_deref()),
        (refunded.as_str(), Some(first.as_str()), Some(refund.key.as_str()))
    );
    assert_eq!(provider.refund(&first, &refunded).await.unwrap().as_ref(), Some(row));
    assert_eq!(provider.payment(&first).await.unwrap().map(|row| row.id), Some(first.clone()));
    assert_eq!(provider.payment("pi_never").await.unwrap(), None);
    assert_eq!(provider.refund(&first, "re_never").await.unwrap(), None);
}

#[tokio::test]
async fn a_card_is_kept_with_a_sale_and_charged_again_without_its_customer() {
    let stripe = Stripe::start().await;
    let provider = stripe.stripe(LONG);
    let request = MoneyRequest { keep_card: true, ..stripe.visit("pm_card_visa") };
    for _ in 0..2 {
        let Outcome::Approved(receipt) = provider.send(&request).await else { panic!("not approved") };
        let token = receipt.reusable.unwrap();
        assert!(token.reveal().starts_with("cus_") && token.reveal().contains(":pm_"));
        let again = MoneyRequest { off_session: true, token: Some(token), ..stripe.of("") };
        approved(provider.send(&again).await, &again);
    }
    assert_eq!(stripe.stand_in.book().requests_to("POST", "/v1/customers").len(), 2, "asked twice under one key");
    let kept = provider.keep("pmk_1", "cus_ours", &Secret::new("pm_card_mastercard".to_owned())).await.unwrap();
    assert_eq!(kept.face.unwrap().last4, "4444");
    let later = MoneyRequest { off_session: true, token: Some(kept.token), ..stripe.of("") };
    approved(provider.send(&later).await, &later);
    let refused = provider.keep("pmk_2", "cus_ours", &Secret::new("pm_card_chargeDeclined".to_owned())).await;
    assert!(matches!(refused, Err(VaultError::Declined(_))), "{refused:?}");
}

#[tokio::test]
async fn who_is_absent_or_cannot_be_sent_anywhere_is_declined_and_has_to_be_asked() {
    let stripe = Stripe::start().await;
    let provider = stripe.stripe(LONG);
    let kept = provider.keep("pmk_1", "cus_ours", &Secret::new("pm_card_authenticationRequired".to_owned())).await.unwrap();
    let absent = MoneyRequest { off_session: true, token: Some(kept.token), ..stripe.of("") };
    for request in [absent, stripe.of("pm_card_authenticationRequired")] {
        let Outcome::Declined(decline) = provider.send(&request).await else { panic!("not declined") };
        assert_eq!((decline.decline_code.as_str(), decline.advice), ("authentication_required", Advice::AskCustomer));
    }
    assert_eq!(stripe.stand_in.book().captures(), []);
}

#[tokio::test]
async fn a_page_is_paid_on_and_the_sale_goes_by_the_payment_from_then_on() {
    let stripe = Stripe::start().await;
    let (provider, request) = (stripe.stripe(LONG), page(&stripe, in_an_hour(&stripe)));
    let (url, session) = requires_action(provider.send(&request).await);
    assert!(session.starts_with("cs_") && url.starts_with("http"), "{session} {url}");
    assert_eq!(requires_action(provider.send(&request).await), (url.clone(), session.clone()));
    assert_eq!(requires_action(provider.look_up(&attempt(&request, AttemptStatus::Unknown)).await), (url, session.clone()));
    assert_eq!(requires_action(provider.look_up(&known(&request, &session)).await).1, session);
    stripe.pay(&session, "pm_card_visa").await;
    let payment = approved(provider.look_up(&known(&request, &session)).await, &request);
    assert!(payment.starts_with("pi_"), "{payment}");
    assert_eq!(approved(provider.send(&request).await, &request), payment);
    let late = about(&request, 2, AttemptKind::Void, 1500, &session);
    assert_eq!(declined(provider.send(&late).await), "charge_already_captured");
    for (n, target) in [(3, &payment), (4, &session)] {
        let refund = about(&request, n, AttemptKind::Refund, 700, target);
        approved(provider.send(&refund).await, &refund);
    }
    assert_eq!(stripe.only(&request).await.refunded, 1400);
}

#[tokio::test]
async fn a_page_within_the_shops_own_is_paid_on_and_taken_back_like_any_other() {
    let stripe = Stripe::start().await;
    let provider = stripe.stripe(LONG).with_publishable_key(Some("pk_test_standin".to_owned()));
    let embedded = || {
        let mut request = page(&stripe, in_an_hour(&stripe));
        request.visit.as_mut().unwrap().page.as_mut().unwrap().is_embedded = true;
        request
    };
    let request = embedded();
    let opened = provider.send(&request).await;
    let Outcome::RequiresForm { form, provider_reference: session } = opened.clone() else { panic!("no form: {opened:?}") };
    assert!(form.client_secret.reveal().starts_with(&format!("{session}_secret_")) && form.publishable_key == "pk_test_standin");
    assert_eq!(provider.send(&request).await, opened, "the same key opens the same page");
    assert_eq!(provider.look_up(&attempt(&request, AttemptStatus::Unknown)).await, opened);
    stripe.pay(&session, "pm_card_visa").await;
    let payment = approved(provider.look_up(&known(&request, &session)).await, &request);
    assert_eq!(approved(provider.send(&request).await, &request), payment);
    let request = embedded();
    let Outcome::RequiresForm { provider_reference: session, .. } = provider.send(&request).await else { panic!("no form") };
    let void = about(&request, 2, AttemptKind::Void, 1500, &session);
    approved(provider.send(&void).await, &void);
    assert_eq!(declined(provider.look_up(&known(&request, &session)).await), "session_expired");
}

#[tokio::test]
async fn a_page_that_was_taken_back_can_not_be_paid_on() {
    let stripe = Stripe::start().await;
    let (provider, request) = (stripe.stripe(LONG), page(&stripe, in_an_hour(&stripe)));
    let (_, session) = requires_action(provider.send(&request).await);
    let void = about(&request, 2, AttemptKind::Void, 1500, &session);
    for _ in 0..2 {
        approved(provider.send(&void).await, &void);
    }
    approved(provider.look_up(&attempt(&void, AttemptStatus::Unknown)).await, &void);
    assert_eq!(declined(provider.look_up(&known(&request, &session)).await), "session_expired");
    assert_eq!(stripe.book(&request).await, []);
}

#[tokio::test]
async fn an_end_outside_of_what_stripe_takes_opens_the_page_all_the_same_and_once() {
    let stripe = Stripe::start().await;
    let provider = stripe.stripe(LONG);
    for seconds in [60, 3 * 24 * 3600] {
        let end = Timestamp::from_millis((stripe.stand_in.clock().now() + seconds) * 1000);
        let request = page(&stripe, end);
        let (_, session) = requires_action(provider.send(&request).await);
        assert_eq!(requires_action(provider.send(&request).await).1, session, "{seconds}");
    }
}

#[tokio::test]
async fn cut_anywhere_it_is_unknown_and_there_is_one_charge() {
    let stripe = Stripe::start().await;
    let provider = stripe.stripe(LONG);
    let mut effects = vec![Effect::CutBefore, Effect::CutAfter, Effect::Garbage, Effect::HtmlAfter(502), Effect::Html(503)];
    effects.extend([Effect::KeyInUse, Effect::ServerErrorBefore]);
    effects.extend(Boundary::CLASSES.map(Effect::CutAnswer));
    for effect in effects {
        let request = stripe.visit("pm_card_visa");
        stripe.stand_in.faults().order(Fault::new(effect).on("POST", "/v1/payment_intents"));
        assert_unknown(&provider.send(&request).await);
        let reference = approved(provider.send(&request).await, &request);
        assert_eq!(stripe.only(&request).await.id, reference, "{effect:?}");
    }
}

#[tokio::test]
async fn a_failure_that_is_kept_under_the_key_is_looked_behind() {
    let stripe = Stripe::start().await;
    let (provider, request) = (stripe.stripe(LONG), stripe.visit("pm_card_visa"));
    stripe.stand_in.faults().order(Fault::new(Effect::ServerErrorAfter).on("POST", "/v1/payment_intents"));
    assert_unknown(&provider.send(&request).await);
    // The search does not know it yet; the list does.
    stripe.stand_in.set_search_lag(Duration::from_secs(3600));
    let reference = approved(provider.send(&request).await, &request);
    assert_eq!(stripe.only(&request).await.id, reference);
}

#[tokio::test]
async fn stripes_word_on_trying_again_makes_nothing_definite_that_is_not() {
    let stripe = Stripe::start().await;
    let provider = stripe.stripe(LONG);
    let send = async |effect, token| {
        stripe.stand_in.faults().order(Fault::new(effect).on("POST", "/v1/payment_intents"));
        provider.send(&stripe.of(token)).await
    };
    assert_not_sent(&send(Effect::LockTimeout, "pm_card_visa").await);
    assert_unknown(&send(Effect::ServerErrorShouldRetry(false), "pm_card_visa").await);
    assert_unknown(&send(Effect::ServerErrorShouldRetry(true), "pm_card_visa").await);
    assert_unknown(&send(Effect::ShouldRetry(true), "pm_card_chargeDeclined").await);
    assert_eq!(declined(send(Effect::ShouldRetry(false), "pm_card_chargeDeclined").await), "generic_decline");
}

#[tokio::test]
async fn a_key_of_another_account_is_not_sent_and_what_is_not_stripes_is_a_no() {
    let stripe = Stripe::start().await;
    let key = Secret::new("sk_test_nobodys".to_owned());
    let other = boxoffice_common::adapters::stripe::StripeProvider::new(ACCOUNT, Mode::Test, &key, &stripe.transport, LONG).unwrap();
    assert_not_sent(&other.send(&stripe.of("pm_card_visa")).await);
    assert!(other.check().await.is_err());
    assert_eq!(stripe.stripe(LONG).check().await, Ok(()));
    assert!(other.own_id().await.is_err());
    assert_eq!(stripe.stripe(LONG).own_id().await, Ok(Some(stripe.stand_in.account_id())));
}

/// All events so far, signed as the stand-in signs them and read as the engine reads them.
fn heard(stripe: &Stripe) -> Vec<Told> {
    let secrets = vec![Secret::new("whsec_old".to_owned()), Secret::new("whsec_new".to_owned())];
    let events = StripeEvents::new(ACCOUNT.to_owned(), "studio".to_owned(), Mode::Test, secrets);
    let now = stripe.stand_in.clock().now();
    let mut told = Vec::new();
    for event in stripe.stand_in.book().events() {
        let body = event.json().to_string();
        let header = signature_header(body.as_bytes(), now, ["whsec_new"]);
        let headers = [(axum::http::HeaderName::from_static("stripe-signature"), header.parse().unwrap())].into_iter().collect();
        let id = events.verify(&headers, body.as_bytes(), Timestamp::from_millis(now * 1000)).unwrap();
        assert!(id.starts_with("evt_"), "{id}");
        told.push(events.read(&body).unwrap());
    }
    told
}

/// What was told of money.
fn heard_of_money(stripe: &Stripe) -> Vec<ToldMoney> {
    heard(stripe).into_iter().filter_map(|told| if let Told::Money(told) = told { Some(told) } else { None }).collect()
}

#[tokio::test]
async fn events_tell_what_the_answers_told_under_the_same_ids() {
    let stripe = Stripe::start().await;
    let provider = stripe.stripe(LONG);
    let paid = stripe.visit("pm_card_visa");
    let payment = approved(provider.send(&paid).await, &paid);
    let refund = about(&paid, 2, AttemptKind::Refund, 500, &payment);
    let refunded = approved(provider.send(&refund).await, &refund);
    let refused = stripe.of("pm_card_visa_chargeDeclinedInsufficientFunds");
    declined(provider.send(&refused).await);
    let shown = page(&stripe, in_an_hour(&stripe));
    let (_, session) = requires_action(provider.send(&shown).await);
    stripe.pay(&session, "pm_card_visa").await;
    let told = heard_of_money(&stripe);
    let of = |request: &MoneyRequest| {
        told.iter().filter(|told| told.key == request.key && told.reference == request.reference).collect::<Vec<_>>()
    };
    let moved = of(&paid);
    assert!(
        moved.iter().any(|told| told.word == Word::Moved && told.provider_reference == payment && told.amount == paid.amount),
        "{moved:?}"
    );
    let back = of(&refund);
    let is_back = |told: &&&ToldMoney| told.about == About::Refund && told.provider_reference == refunded && told.amount == refund.amount;
    assert!(!back.is_empty() && back.iter().filter(is_back).count() == back.len(), "{back:?}");
    assert!(of(&refused).iter().any(|told| matches!(&told.word, Word::Refused { code, .. } if code == "insufficient_funds")));
    let on_page = of(&shown);
    let is_paid = |told: &&ToldMoney| told.word == Word::Moved && told.pending_as.as_deref() == Some(&session);
    assert_eq!(on_page.iter().filter(|told| is_paid(told)).count(), on_page.len(), "{on_page:?}");
    assert_eq!(on_page.len(), 1);
}

#[tokio::test]
async fn a_refund_that_was_accepted_and_fails_later_is_told() {
    let stripe = Stripe::start().await;
    stripe.stand_in.set_refund_delay(Duration::from_secs(60));
    let (provider, request) = (stripe.stripe(LONG), stripe.of("pm_card_refundFail"));
    let payment = approved(provider.send(&request).await, &request);
    let refund = about(&request, 2, AttemptKind::Refund, 1500, &payment);
    let refunded = approved(provider.send(&refund).await, &refund);
    stripe.stand_in.advance(Duration::from_secs(61));
    let failed = async {
        while !stripe.stand_in.book().refunds().iter().any(|refund| refund.status == "failed" && refund.id == refunded) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, failed).await.unwrap();
    let told = heard_of_money(&stripe);
    let no = told.iter().find(|told| told.about == About::Refund && matches!(told.word, Word::Refused { .. })).unwrap();
    assert_eq!((no.key.as_str(), no.provider_reference.as_str()), (refund.key.as_str(), refunded.as_str()));
    // Asked again under the same key it is told as it is now, and not as it was.
    declined(provider.send(&refund).await);
}

#[tokio::test]
async fn a_dispute_names_the_payment_as_the_approval_did() {
    let stripe = Stripe::start().await;
    let (provider, request) = (stripe.stripe(LONG), stripe.of("pm_card_visa"));
    let payment = approved(provider.send(&request).await, &request);
    let charge = stripe.stand_in.book().captures()[0].charge.clone();
    let dispute = stripe.stand_in.open_dispute(&charge, "product_not_received").unwrap();
    assert!(stripe.stand_in.close_dispute(&dispute, true));
    let told: Vec<_> =
        heard(&stripe).into_iter().filter_map(|told| if let Told::Dispute(told) = told { Some(told) } else { None }).collect();
    assert!(told.iter().all(|told| told.charge == payment && told.provider_reference == dispute && told.amount == request.amount));
    let stood: Vec<_> = told.iter().map(|told| told.status).collect();
    assert_eq!((stood.first(), stood.last()), (Some(&DisputeStatus::Open), Some(&DisputeStatus::Won)), "{stood:?}");
}
