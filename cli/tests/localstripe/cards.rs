//! Keeping cards.

use crate::rig::{Rig, approved, declined};
use boxoffice_common::{
    domain::{
        attempt::{MoneyRequest, Outcome},
        secret::Secret,
    },
    ports::{
        provider::PaymentProvider,
        vault::{CardVault, KeptCard, VaultError},
    },
};
use serde_json::{Value, json};

async fn keep(rig: &Rig, key: &str, token: &str) -> Result<KeptCard, VaultError> {
    rig.provider.keep(key, "cus_ours", &Secret::new(token.to_owned())).await
}

async fn cards_of(rig: &Rig, customer: &str) -> Vec<Value> {
    let list = rig.stripe.api.object(&format!("/v1/payment_methods?customer={customer}&type=card")).await;
    list["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_card_is_kept_with_a_customer_of_its_own_and_charged_again() {
    let rig = Rig::start().await;
    let kept = keep(&rig, "pme_1", "pm_card_visa").await.unwrap();
    let face = kept.face.clone().unwrap();
    assert_eq!((face.brand.as_str(), face.last4.as_str(), face.exp_month, face.exp_year), ("visa", "4242", 12, 2030));
    let (customer, method) = kept.token.reveal().split_once(':').unwrap();
    let there = rig.stripe.api.object(&format!("/v1/customers/{customer}")).await;
    assert_eq!(there["metadata"], json!({"reference": "cus_ours", "account": "pac_1"}));
    assert_eq!((&there["email"], &there["name"]), (&Value::Null, &Value::Null), "it learns no more of him");
    let cards = cards_of(&rig, customer).await;
    assert_eq!((cards.len(), &cards[0]["id"], &cards[0]["customer"]), (1, &json!(method), &json!(customer)));
    // With the customer there, and without.
    for off_session in [false, true] {
        let request = MoneyRequest { off_session, ..rig.charge(kept.token.reveal()) };
        let id = approved(rig.provider.send(&request).await, &request).provider_reference;
        let intent = rig.stripe.api.object(&format!("/v1/payment_intents/{id}")).await;
        assert_eq!((&intent["customer"], &intent["payment_method"]), (&json!(customer), &json!(method)));
    }
    // Let go, it is the customer's no more. Stripe would not charge it again; localstripe does.
    rig.stripe.api.made(&format!("/v1/payment_methods/{method}/detach"), "").await;
    assert!(cards_of(&rig, customer).await.is_empty());
    let request = rig.charge(method);
    approved(rig.provider.send(&request).await, &request);
}

#[tokio::test]
async fn a_card_that_cannot_be_kept_is_a_definite_no() {
    let rig = Rig::start().await;
    let refused = async |key: &str, token: &str| match keep(&rig, key, token).await {
        Err(VaultError::Declined(decline)) => decline.decline_code,
        other => panic!("{token}: {other:?}"),
    };
    assert_eq!(refused("pme_1", "pm_card_visa_chargeDeclined").await, "card_declined");
    assert_eq!(refused("pme_2", "pm_nobody").await, "invalid_request_error");
    // It makes no card of a token.
    assert_eq!(refused("pme_3", "tok_visa").await, "invalid_request_error");
    // One that is kept, and then not paid with.
    let kept = keep(&rig, "pme_4", "pm_card_chargeCustomerFail").await.unwrap();
    assert_eq!(declined(rig.provider.send(&rig.charge(kept.token.reveal())).await).decline_code, "card_declined");
    // A customer who is not there.
    let Outcome::Declined(no) = rig.provider.send(&rig.charge("cus_nobody:pm_card_visa")).await else { panic!("not declined") };
    assert_eq!(no.decline_code, "invalid_request_error");
}

/// A subscription's first payment, whose card is to be charged again.
#[tokio::test]
async fn a_card_that_is_kept_with_its_first_payment_is_asked_for_with_a_word_that_it_does_not_know() {
    let rig = Rig::start().await;
    let request = MoneyRequest { keep_card: true, ..rig.charge("pm_card_visa") };
    let no = declined(rig.provider.send(&request).await);
    assert_eq!(no.decline_code, "invalid_request_error", "{no:?}");
    assert!(rig.stripe.all("payment_intents").await.is_empty(), "a definite no leaves no payment behind");
    let customers = rig.stripe.all("customers").await;
    let customer = &customers[0];
    let label = json!({"reference": request.reference.as_str(), "account": crate::rig::ACCOUNT});
    assert_eq!((customers.len(), &customer["metadata"]), (1, &label), "the one that it was to be kept with");
    assert!(cards_of(&rig, customer["id"].as_str().unwrap()).await.is_empty());
    // Each under a key of its own.
    let keys: Vec<(String, String)> = rig
        .way
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "POST")
        .map(|seen| {
            let key = seen.headers["idempotency-key"].to_str().unwrap().to_owned();
            (seen.path, key)
        })
        .collect();
    let (customers, intents) = ("/v1/customers".to_owned(), "/v1/payment_intents".to_owned());
    assert_eq!(keys, [(customers, format!("{}c", request.key)), (intents, request.key.clone())]);
}

/// Without that word it charges, and keeps nothing: that a card is kept by being charged is Stripe's doing alone.
#[tokio::test]
async fn without_that_word_it_charges_the_card_with_its_customer_and_what_we_keep_of_it_is_charged_again() {
    let rig = Rig::start_without(Some("setup_future_usage")).await;
    let card = rig.stripe.card("4242424242424242").await;
    let request = MoneyRequest { keep_card: true, ..rig.charge(&card) };
    let receipt = approved(rig.provider.send(&request).await, &request);
    let reusable = receipt.reusable.unwrap();
    let (customer, method) = reusable.reveal().split_once(':').unwrap();
    let intent = rig.stripe.api.object(&format!("/v1/payment_intents/{}", receipt.provider_reference)).await;
    assert_eq!((&intent["customer"], &intent["payment_method"], method), (&json!(customer), &json!(card), card.as_str()));
    assert!(cards_of(&rig, customer).await.is_empty(), "it attaches nothing by itself");
    let renewal = MoneyRequest { off_session: true, ..rig.charge(reusable.reveal()) };
    let id = approved(rig.provider.send(&renewal).await, &renewal).provider_reference;
    let intent = rig.stripe.api.object(&format!("/v1/payment_intents/{id}")).await;
    assert_eq!((&intent["customer"], &intent["payment_method"]), (&json!(customer), &json!(card)));
}
