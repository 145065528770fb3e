//! Giving money back.

use crate::rig::{Rig, about, approved, declined, unknown};
use boxoffice_common::{
    domain::{attempt::AttemptKind, provider_book::BookStatus, time::Timestamp},
    ports::{provider::PaymentProvider, provider_book::ProviderBook},
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_part_and_the_rest_go_back_and_are_found_again() {
    let rig = Rig::start().await;
    let (charge, id) = rig.sold("pm_card_visa").await;
    for (n, amount) in [(2, 500), (3, 1000)] {
        let refund = about(&charge, n, AttemptKind::Refund, amount, &id);
        let receipt = approved(rig.provider.send(&refund).await, &refund);
        for known in [Some(receipt.provider_reference.as_str()), None] {
            assert_eq!(approved(rig.look_up(&refund, known).await, &refund).provider_reference, receipt.provider_reference);
        }
        let there = rig.stripe.api.object(&format!("/v1/refunds/{}", receipt.provider_reference)).await;
        assert_eq!((&there["amount"], &there["payment_intent"]), (&json!(amount), &json!(id)));
        assert_eq!(there["metadata"], json!({"reference": charge.reference.as_str(), "key": refund.key, "account": "pac_1"}));
    }
    let intent = rig.stripe.api.object(&format!("/v1/payment_intents/{id}")).await;
    assert_eq!((&intent["latest_charge"]["amount_refunded"], &intent["latest_charge"]["refunded"]), (&json!(1500), &json!(true)));
    let book = rig.provider.refunds(Timestamp::from_millis(0), None).await.unwrap();
    assert!(book.rows.iter().all(|row| row.status == BookStatus::Moved && row.payment.as_deref() == Some(id.as_str())));
    assert_eq!(book.rows.len(), 2);
}

#[tokio::test]
async fn what_was_not_paid_does_not_go_back() {
    let rig = Rig::start().await;
    let charge = rig.charge("pm_card_chargeCustomerFail");
    declined(rig.provider.send(&charge).await);
    let id = rig.stripe.all("payment_intents").await[0]["id"].as_str().unwrap().to_owned();
    let refund = about(&charge, 2, AttemptKind::Refund, 500, &id);
    assert_eq!(declined(rig.provider.send(&refund).await).decline_code, "invalid_request_error");
    // That a payment is not found is no proof that it is not there.
    let nobody = about(&charge, 3, AttemptKind::Refund, 500, "pi_nobody");
    unknown(rig.provider.send(&nobody).await);
    unknown(rig.look_up(&nobody, None).await);
    assert!(rig.stripe.all("refunds").await.is_empty());
}

#[tokio::test]
async fn it_gives_back_more_than_was_paid_and_tells_of_no_refund_which_stripe_does() {
    let rig = Rig::start().await;
    let (charge, id) = rig.sold("pm_card_visa").await;
    let refund = about(&charge, 2, AttemptKind::Refund, 1501, &id);
    approved(rig.provider.send(&refund).await, &refund);
    let kinds: Vec<Value> = rig.stripe.all("events").await.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["payment_intent.succeeded"]);
}
