//! Charges, captures and voids.

use crate::{
    rig::{Rig, about, approved, declined, provider, unknown},
    server::KEY,
    without::LEFT_OUT,
};
use boxoffice_common::{
    domain::attempt::{Advice, AttemptKind, MoneyRequest, Outcome},
    ports::{provider::PaymentProvider, provider_book::ProviderBook},
};
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn what_it_does_not_know_is_a_definite_no_that_leaves_nothing_behind() {
    let rig = Rig::start().await;
    let direct = provider(&format!("{}/", rig.stripe.url()), KEY);
    for request in [rig.charge("pm_card_visa"), rig.visit("pm_card_visa")] {
        assert_eq!(declined(direct.send(&request).await).decline_code, "invalid_request_error");
    }
    assert!(rig.stripe.all("payment_intents").await.is_empty(), "a 400 has executed nothing");
    // The way leaves out what is needed, and no more.
    let charge = "amount=1500&currency=usd&payment_method=pm_card_visa&confirm=true";
    for (name, more) in [
        (LEFT_OUT[0], "automatic_payment_methods[enabled]=true"),
        (LEFT_OUT[1], "error_on_requires_action=true"),
        (LEFT_OUT[2], "return_url=https://box.example/back"),
    ] {
        let (status, body) = rig.stripe.api.post("/v1/payment_intents", &format!("{charge}&{more}")).await;
        assert_eq!((status, &body["error"]["message"]), (400, &json!(format!("Unexpected {name}"))));
    }
    assert_eq!(rig.stripe.api.get("/v1/payment_intents?created[gte]=1").await.0, 400);
    assert_eq!(rig.stripe.api.get("/v1/refunds?created[gte]=1").await.0, 500);
    // Nobody is let in with a restricted key, and that says nothing about the charge.
    let restricted = provider(rig.way.url(), "rk_test_localstripe");
    assert!(matches!(restricted.send(&rig.charge("pm_card_visa")).await, Outcome::NotSent { .. }));
    assert!(restricted.check().await.is_err() && rig.provider.check().await.is_ok());
}

#[tokio::test]
async fn a_card_pays_once_asked_and_what_we_wrote_into_the_payment_stands_there() {
    let rig = Rig::start().await;
    let (request, id) = rig.sold("pm_card_visa").await;
    let intent = rig.stripe.api.object(&format!("/v1/payment_intents/{id}")).await;
    assert_eq!((&intent["amount"], &intent["currency"], &intent["capture_method"]), (&json!(1500), &json!("usd"), &json!("automatic")));
    let written = json!({"reference": request.reference.as_str(), "key": request.key, "account": "pac_1", "via": "token"});
    assert_eq!(intent["metadata"], written, "the form arrives as it was meant");
    // By its id, and by what is written there: its search finds nothing, and its list all.
    for known in [Some(id.as_str()), None] {
        let receipt = approved(rig.look_up(&request, known).await, &request);
        assert_eq!(receipt.provider_reference, id);
        assert_eq!(receipt.fee.map(|fee| (fee.amount.minor(), fee.currency.to_string())), Some((0, "usd".to_owned())));
    }
    unknown(rig.look_up(&rig.charge("pm_card_visa"), None).await);
    unknown(rig.look_up(&request, Some("pi_nobody")).await);
    let page = rig.provider.payments(boxoffice_common::domain::time::Timestamp::from_millis(0), None).await.unwrap();
    assert_eq!(
        page.rows.iter().map(|row| (row.id.as_str(), row.key.as_deref())).collect::<Vec<_>>(),
        [(id.as_str(), Some(request.key.as_str()))]
    );
    // What our own stand-in refuses and localstripe does not look at.
    for seen in rig.way.seen() {
        assert!(seen.headers.contains_key("stripe-version") && seen.headers.contains_key("authorization"), "{seen:?}");
        assert_eq!(seen.headers.contains_key("idempotency-key"), seen.method == "POST", "{} {}", seen.method, seen.path);
    }
    let again = approved(rig.provider.send(&request).await, &request).provider_reference;
    assert_ne!(again, id, "it keeps no idempotency keys: a retry charges twice there");
}

#[tokio::test]
async fn a_declined_card_is_a_definite_no_and_stays_one() {
    let rig = Rig::start().await;
    let request = rig.charge("pm_card_chargeCustomerFail");
    let no = declined(rig.provider.send(&request).await);
    assert_eq!((no.decline_code.as_str(), no.advice), ("card_declined", Advice::AskCustomer));
    let intents = rig.stripe.all("payment_intents").await;
    assert_eq!((intents.len(), &intents[0]["status"]), (1, &json!("requires_payment_method")));
    for known in [intents[0]["id"].as_str(), None] {
        assert_eq!(declined(rig.look_up(&request, known).await).decline_code, "card_declined");
    }
    // Of a card that is not there nothing can be taken.
    assert_eq!(declined(rig.provider.send(&rig.charge("pm_nobody")).await).decline_code, "invalid_request_error");
    // A card's own token has no place in its payments.
    assert_eq!(declined(rig.provider.send(&rig.charge("tok_visa")).await).decline_code, "invalid_request_error");
    // The card that Stripe declines for every payment, it declines to keep only.
    approved(rig.provider.send(&rig.charge("pm_card_visa_chargeDeclined")).await, &request);
}

#[tokio::test]
async fn what_was_authorised_is_taken_or_given_up_once() {
    let rig = Rig::start().await;
    let authorised = async || {
        let request = MoneyRequest { capture_later: true, ..rig.charge("pm_card_visa") };
        let Outcome::Authorized(receipt) = rig.provider.send(&request).await else { panic!("not authorised") };
        assert_eq!(receipt.amount, request.amount);
        (request, receipt.provider_reference)
    };
    let (charge, id) = authorised().await;
    let capture = about(&charge, 2, AttemptKind::Capture, 1500, &id);
    approved(rig.provider.send(&capture).await, &capture);
    approved(rig.provider.send(&capture).await, &capture);
    approved(rig.look_up(&capture, None).await, &capture);
    let late = about(&charge, 3, AttemptKind::Void, 1500, &id);
    assert_eq!(declined(rig.provider.send(&late).await).decline_code, "charge_already_captured");
    let (charge, id) = authorised().await;
    let void = about(&charge, 2, AttemptKind::Void, 1500, &id);
    approved(rig.provider.send(&void).await, &void);
    approved(rig.provider.send(&void).await, &void);
    approved(rig.look_up(&void, None).await, &void);
    let late = about(&charge, 3, AttemptKind::Capture, 1500, &id);
    assert_eq!(declined(rig.look_up(&late, None).await).decline_code, "charge_expired_for_capture");
    assert_eq!(rig.stripe.api.object(&format!("/v1/payment_intents/{id}")).await["status"], "canceled");
}

#[tokio::test]
async fn whom_the_bank_asks_is_waited_for_and_a_no_is_laid_to_rest() {
    let rig = Rig::start().await;
    let card = rig.stripe.card("4000002760003184").await;
    for (success, status) in [(true, "succeeded"), (false, "canceled")] {
        let request = rig.visit(&card);
        // It has no page to send anybody to: its own script asks the customer.
        let Outcome::Pending { provider_reference: id } = rig.provider.send(&request).await else { panic!("not pending") };
        let path = format!("/v1/payment_intents/{id}");
        let secret = rig.stripe.api.object(&path).await["client_secret"].as_str().unwrap().to_owned();
        rig.stripe.api.made(&format!("{path}/_authenticate"), &format!("client_secret={secret}&success={success}")).await;
        let outcome = rig.look_up(&request, Some(&id)).await;
        if success {
            approved(outcome, &request);
        } else {
            assert_eq!(declined(outcome).decline_code, "payment_intent_authentication_failure");
        }
        assert_eq!(rig.stripe.api.object(&path).await["status"], status, "nobody can confirm it once more");
    }
    let paths: BTreeSet<String> = rig.way.seen().into_iter().filter(|seen| seen.method == "POST").map(|seen| seen.path).collect();
    assert!(paths.iter().any(|path| path.ends_with("/cancel")), "{paths:?}");
}
