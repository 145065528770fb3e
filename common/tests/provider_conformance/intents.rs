//! Payment intents: authorised before, taken once, and from then on a charge like any other.

use super::{rig::*, sandbox::over_both};
use boxoffice_common::{
    adapters::sandbox::OperationStatus,
    domain::{
        attempt::{AttemptKind, MoneyRequest, Outcome},
        id::PaymentIntentId,
        money::{Amount, Currency},
        payment_intent::{IntentStatus, IntentUse, NewIntent},
        secret::Secret,
    },
    ports::provider::PaymentProvider,
};
use futures::future::join_all;

over_both! {
    an_intent_is_taken_once_and_is_a_charge_from_then_on
    of_ten_who_come_for_one_intent_one_gets_it
    an_intent_that_does_not_fit_is_a_definite_no_and_stays_good
    a_lost_answer_is_unknown_and_found_again
    an_intent_can_be_promised_first_and_given_up
    a_card_that_says_no_authorises_nothing
}

const ACCOUNT: &str = "demo/test";

fn new(token: &str) -> NewIntent {
    NewIntent {
        account: ACCOUNT.to_owned(),
        owner: "fml_1 é".to_owned(),
        amount: Amount::from_minor(1500),
        currency: Currency::parse("usd").unwrap(),
        token: Secret::new(token.to_owned()),
    }
}

async fn authorized(rig: &Rig, token: &str) -> PaymentIntentId {
    let intent = rig.provider(LONG).authorize_intent(new(token)).await.unwrap().unwrap();
    assert_eq!((intent.status, intent.amount.minor(), intent.owner.as_str()), (IntentStatus::Authorized, 1500, "fml_1 é"));
    intent.id
}

fn taking(rig: &Rig, id: &PaymentIntentId) -> MoneyRequest {
    let owners = vec!["cus_1".to_owned(), "fml_1 é".to_owned()];
    MoneyRequest { token: None, intent: Some(IntentUse { id: id.clone(), account: ACCOUNT.to_owned(), owners }), ..rig.charge("") }
}

fn with_intent(request: &MoneyRequest, change: impl FnOnce(&mut IntentUse)) -> MoneyRequest {
    let mut intent = request.intent.clone().unwrap();
    change(&mut intent);
    MoneyRequest { intent: Some(intent), ..request.clone() }
}

async fn status(rig: &Rig, id: &PaymentIntentId) -> IntentStatus {
    rig.provider(LONG).intent(ACCOUNT, id).await.unwrap().unwrap().status
}

async fn an_intent_is_taken_once_and_is_a_charge_from_then_on(rig: Rig) {
    let (provider, id) = (rig.provider(LONG), authorized(&rig, "tok_visa").await);
    assert_eq!(provider.intent("other/test", &id).await.unwrap(), None);
    let request = taking(&rig, &id);
    let reference = approved(provider.send(&request).await, &request);
    assert_eq!(approved(provider.send(&request).await, &request), reference);
    assert_eq!(approved(look_up(&provider, &request).await, &request), reference);
    let shown = provider.intent(ACCOUNT, &id).await.unwrap().unwrap();
    assert_eq!((shown.status, shown.charge.as_deref()), (IntentStatus::Used, Some(reference.as_str())));
    assert_unknown(&provider.send(&with_intent(&request, |intent| intent.owners.clear())).await);
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Captured);
    let refund = about(&request, 2, AttemptKind::Refund, 1500, &reference);
    approved(provider.send(&refund).await, &refund);
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Refunded);
    // What went back can not be taken again.
    assert_eq!(declined(provider.send(&taking(&rig, &id)).await), "payment_intent_used");
}

async fn of_ten_who_come_for_one_intent_one_gets_it(rig: Rig) {
    let (provider, id) = (rig.provider(LONG), authorized(&rig, "tok_visa").await);
    let requests: Vec<_> = (0..10).map(|_| taking(&rig, &id)).collect();
    let outcomes = join_all(requests.iter().map(|request| provider.send(request))).await;
    let taken = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Approved(_))).count();
    assert_eq!(taken, 1, "{outcomes:?}");
    for (request, outcome) in requests.iter().zip(outcomes) {
        if !matches!(outcome, Outcome::Approved(_)) {
            assert_eq!(declined(outcome), "payment_intent_used");
            assert_eq!(declined(look_up(&provider, request).await), "payment_intent_used");
        }
    }
}

async fn an_intent_that_does_not_fit_is_a_definite_no_and_stays_good(rig: Rig) {
    let (provider, id) = (rig.provider(LONG), authorized(&rig, "tok_visa").await);
    let fits = || taking(&rig, &id);
    let unknown = PaymentIntentId::parse("pi_1_0000000000000000").unwrap();
    for (request, code) in [
        (MoneyRequest { amount: Amount::from_minor(1499), ..fits() }, "payment_intent_amount_mismatch"),
        (MoneyRequest { currency: Currency::parse("eur").unwrap(), ..fits() }, "payment_intent_currency_mismatch"),
        (with_intent(&fits(), |intent| intent.owners = vec!["fml_2".to_owned()]), "payment_intent_owner_mismatch"),
        (with_intent(&fits(), |intent| intent.account = "other/test".to_owned()), "payment_intent_not_found"),
        (with_intent(&fits(), |intent| intent.id = unknown), "payment_intent_not_found"),
    ] {
        assert_eq!(declined(provider.send(&request).await), code);
        assert_eq!(declined(provider.send(&request).await), code, "a no is repeated for its key");
    }
    assert_eq!(status(&rig, &id).await, IntentStatus::Authorized);
    let request = fits();
    approved(provider.send(&request).await, &request);
}

async fn a_lost_answer_is_unknown_and_found_again(rig: Rig) {
    let id = authorized(&rig, "tok_timeout_charged").await;
    let request = taking(&rig, &id);
    assert_unknown(&rig.provider(SHORT).send(&request).await);
    let provider = rig.provider(LONG);
    assert_eq!(status(&rig, &id).await, IntentStatus::Used);
    let reference = approved(look_up(&provider, &request).await, &request);
    assert_eq!(approved(provider.send(&request).await, &request), reference);
    rig.only_charge(&request).await;
    let lost = taking(&rig, &authorized(&rig, "tok_timeout_not_charged").await);
    assert_unknown(&rig.provider(SHORT).send(&lost).await);
    approved(provider.send(&lost).await, &lost);
    let refused = taking(&rig, &authorized(&rig, "tok_flaky").await);
    assert_not_sent(&provider.send(&refused).await);
}

async fn an_intent_can_be_promised_first_and_given_up(rig: Rig) {
    let (provider, id) = (rig.provider(LONG), authorized(&rig, "tok_visa").await);
    let request = MoneyRequest { capture_later: true, ..taking(&rig, &id) };
    let Outcome::Authorized(receipt) = provider.send(&request).await else { panic!("promised") };
    let void = about(&request, 2, AttemptKind::Void, 1500, &receipt.provider_reference);
    approved(provider.send(&void).await, &void);
    assert_eq!(rig.only_charge(&request).await.status, OperationStatus::Voided);
    assert_eq!(declined(provider.send(&taking(&rig, &id)).await), "payment_intent_used");
}

async fn a_card_that_says_no_authorises_nothing(rig: Rig) {
    let refusal = async |token: &str| rig.provider(LONG).authorize_intent(new(token)).await.unwrap().unwrap_err();
    assert_eq!(refusal("tok_insufficient_funds").await, "insufficient_funds");
    assert_eq!(refusal("tok_3ds").await, "authentication_failed");
}
