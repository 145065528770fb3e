//! Payments for which the provider asks the customer.

use super::{rig::*, sandbox::over_both};
use boxoffice_common::{
    adapters::sandbox::{OperationStatus, SandboxProvider},
    domain::{
        attempt::{AttemptKind, MoneyRequest, Outcome},
        push::{Phone, PushKind, PushMethod},
    },
    ports::provider::PaymentProvider,
};
use std::{sync::Arc, time::Duration};

over_both! {
    a_customer_who_is_asked_answers_by_himself_and_it_is_one_charge
    a_no_on_the_phone_is_a_decline
    a_question_that_was_taken_back_is_never_answered
    a_question_that_cannot_be_taken_back_is_told_so
    a_bank_has_a_page_and_nobody_answers_for_a_phone
    the_same_key_for_another_phone_asks_nobody
}

fn asking(rig: &Rig, phone: &str) -> MoneyRequest {
    let push = PushMethod { method: PushKind::MobileMoney, provider: "m17".to_owned(), phone: Some(Phone::parse(phone).unwrap()) };
    MoneyRequest { token: None, push: Some(push), ..rig.charge("") }
}

fn pending(outcome: Outcome) -> String {
    let Outcome::Pending { provider_reference } = outcome else { panic!("not pending: {outcome:?}") };
    provider_reference
}

/// Looks until the customer has answered.
async fn answer(provider: &Arc<SandboxProvider>, request: &MoneyRequest) -> Outcome {
    let looks = async {
        loop {
            match look_up(provider, request).await {
                Outcome::Pending { .. } => tokio::time::sleep(Duration::from_millis(50)).await,
                told => return told,
            }
        }
    };
    tokio::time::timeout(LONG, looks).await.unwrap()
}

async fn a_customer_who_is_asked_answers_by_himself_and_it_is_one_charge(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), asking(&rig, "+23276000001"));
    let reference = pending(provider.send(&request).await);
    assert_eq!(pending(provider.send(&request).await), reference);
    assert_eq!(approved(answer(&provider, &request).await, &request), reference);
    assert_eq!(approved(provider.send(&request).await, &request), reference);
    let charge = rig.only_charge(&request).await;
    assert_eq!((charge.status, charge.method.as_deref()), (OperationStatus::Captured, Some("mobile_money/m17")));
    let refund = about(&request, 2, AttemptKind::Refund, 1500, &reference);
    approved(provider.send(&refund).await, &refund);
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Refunded);
}

async fn a_no_on_the_phone_is_a_decline(rig: Rig) {
    let provider = rig.provider(LONG);
    for (phone, code) in [("+23270000002", "customer_refused"), ("+23270000008", "insufficient_funds")] {
        let request = asking(&rig, phone);
        pending(provider.send(&request).await);
        assert_eq!(declined(answer(&provider, &request).await), code);
    }
}

async fn a_question_that_was_taken_back_is_never_answered(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), asking(&rig, "+23276000001"));
    let reference = pending(provider.send(&request).await);
    let void = about(&request, 2, AttemptKind::Void, 1500, &reference);
    approved(provider.send(&void).await, &void);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(declined(look_up(&provider, &request).await), "voided");
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Voided);
}

async fn a_question_that_cannot_be_taken_back_is_told_so(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), asking(&rig, "+23270000004"));
    let reference = pending(provider.send(&request).await);
    let void = about(&request, 2, AttemptKind::Void, 1500, &reference);
    assert_eq!(declined(provider.send(&void).await), "cannot_be_canceled");
    assert_eq!(pending(look_up(&provider, &request).await), reference);
}

async fn a_bank_has_a_page_and_nobody_answers_for_a_phone(rig: Rig) {
    let (provider, phone) = (rig.provider(LONG), asking(&rig, "+23270000003"));
    let bank = PushMethod { method: PushKind::Bank, provider: "slb001".to_owned(), phone: None };
    let request = MoneyRequest { token: None, push: Some(bank), ..rig.charge("") };
    let (url, reference) = requires_action(provider.send(&request).await);
    rig.act(&url, "approve").await;
    assert_eq!(approved(look_up(&provider, &request).await, &request), reference);
    let asked = pending(provider.send(&phone).await);
    rig.act(&url.replace(&reference, &asked), "approve").await;
    assert_eq!(rig.only_charge(&phone).await.status, OperationStatus::Pending);
}

async fn the_same_key_for_another_phone_asks_nobody(rig: Rig) {
    let (provider, request) = (rig.provider(LONG), asking(&rig, "+23270000003"));
    pending(provider.send(&request).await);
    assert_unknown(&provider.send(&MoneyRequest { push: asking(&rig, "+23276000001").push, ..request.clone() }).await);
    rig.only_charge(&request).await;
}
