use super::super::canned::{self, Asked, about, attempt, charge, error, intent, provider, refund, session, visit, with};
use super::*;
use crate::domain::attempt::{Advice, Decline, Receipt};
use crate::ports::vault::{CardVault, VaultError};
use serde_json::{Value, json};

fn asked(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().clone()
}

fn approved(outcome: Outcome) -> Receipt {
    let Outcome::Approved(receipt) = outcome else { panic!("not approved: {outcome:?}") };
    receipt
}

fn declined(outcome: Outcome) -> Decline {
    let Outcome::Declined(decline) = outcome else { panic!("not declined: {outcome:?}") };
    decline
}

fn unknown(outcome: Outcome) -> String {
    let Outcome::Unknown(cause) = outcome else { panic!("known: {outcome:?}") };
    cause
}

fn card_error(decline_code: &str, status: &str) -> Value {
    json!({ "error": { "type": "card_error", "code": "card_declined", "decline_code": decline_code, "message": "Your card was declined.",
        "payment_intent": intent(status, "token") } })
}

#[tokio::test]
async fn a_charge_is_approved_with_its_fee_in_one_call() {
    let (provider, calls) = provider([(200, false, intent("succeeded", "token"))]).await;
    let receipt = approved(provider.send(&charge("pm_card_visa")).await);
    assert_eq!((receipt.provider_reference.as_str(), receipt.amount.minor(), receipt.currency.as_str()), ("pi_1", 1500, "usd"));
    assert_eq!(receipt.fee.map(|fee| (fee.amount.minor(), fee.currency.to_string())), Some((74, "usd".to_owned())));
    assert_eq!((receipt.reusable, receipt.request_id.as_deref()), (None, Some("req_1")));
    assert_eq!(asked(&calls), ["POST /v1/payment_intents under chk_1_1"]);
}

#[tokio::test]
async fn each_status_of_a_charge_has_its_outcome() {
    let elsewhere = json!({ "type": "redirect_to_url", "redirect_to_url": { "url": "https://bank.example/3ds" } });
    let cases = [
        (with(intent("requires_action", "visit"), "next_action", elsewhere), "action"),
        (intent("requires_action", "token"), "pending"),
        (intent("processing", "token"), "pending"),
        (intent("requires_capture", "token"), "authorized"),
        (intent("canceled", "token"), "declined"),
        (intent("brand_new", "token"), "unknown"),
        (with(intent("succeeded", "token"), "currency", json!("xyz")), "unknown"),
        (with(intent("succeeded", "token"), "metadata", json!({ "reference": "chk_1", "key": "chk_1_9" })), "unknown"),
        (json!({ "id": "pi_1" }), "unknown"),
    ];
    for (body, name) in cases {
        let (provider, _) = provider([(200, false, body.clone())]).await;
        let outcome = provider.send(&visit("pm_1")).await;
        let told = match &outcome {
            Outcome::RequiresAction { url, provider_reference } if url == "https://bank.example/3ds" && provider_reference == "pi_1" => {
                "action"
            }
            Outcome::Pending { .. } => "pending",
            Outcome::Authorized(receipt) if receipt.amount.minor() == 1500 => "authorized",
            Outcome::Declined(_) => "declined",
            Outcome::Unknown(_) => "unknown",
            _ => "something else",
        };
        assert_eq!(told, name, "{body}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_advice_and_in_our_words() {
    let (provider, _) = provider([
        (402, false, card_error("fraudulent", "requires_payment_method")),
        (402, false, card_error("insufficient_funds", "requires_payment_method")),
        (400, false, error("invalid_request_error", "amount_too_small")),
        (402, false, card_error("insufficient_funds", "processing")),
        (402, false, error("card_error", "expired_card")),
    ])
    .await;
    let no = async || provider.send(&charge("pm_1")).await;
    let fraud = declined(no().await);
    assert_eq!(
        (fraud.decline_code.as_str(), fraud.advice, fraud.provider_reference.as_deref()),
        ("fraudulent", Advice::Stop, Some("pi_1"))
    );
    let funds = declined(no().await);
    assert_eq!((funds.decline_code.as_str(), funds.advice), ("insufficient_funds", Advice::AskCustomer));
    assert_eq!(funds.request_id.as_deref(), Some("req_1"));
    assert!(fraud.message != funds.message && !fraud.message.contains("fraud") && !funds.message.contains("Your card"));
    assert_eq!(declined(no().await).advice, Advice::NextProvider);
    unknown(no().await);
    assert_eq!(declined(no().await).decline_code, "expired_card");
}

#[tokio::test]
async fn what_cannot_be_asked_of_stripe_is_refused_without_asking() {
    let (provider, calls) = provider([]).await;
    let no = async |request: MoneyRequest| declined(provider.send(&request).await).decline_code;
    let ariary = crate::domain::money::Currency::parse("mga").unwrap();
    let minor = crate::domain::money::Amount::from_minor;
    assert_eq!(no(charge("4242424242424242")).await, "invalid_token");
    assert_eq!(no(MoneyRequest { token: None, ..charge("") }).await, "invalid_token");
    assert_eq!(no(MoneyRequest { amount: minor(0), ..charge("pm_1") }).await, "invalid_amount");
    assert_eq!(no(MoneyRequest { amount: minor(1501), currency: ariary, ..charge("pm_1") }).await, "amount_not_countable");
    assert_eq!(no(about(AttemptKind::Refund, "ch_1/../x", 500)).await, "charge_not_found");
    assert_eq!(asked(&calls), [""; 0]);
}

#[tokio::test]
async fn what_is_replayed_is_looked_at_as_it_is_now() {
    let (provider, calls) = provider([
        (200, true, intent("requires_action", "visit")),
        (200, false, intent("succeeded", "visit")),
        (200, true, intent("requires_action", "visit")),
        (500, false, json!({})),
        (200, true, intent("succeeded", "visit")),
    ])
    .await;
    approved(provider.send(&visit("pm_1")).await);
    assert_eq!(asked(&calls), ["POST /v1/payment_intents under chk_1_1", "GET /v1/payment_intents/pi_1"]);
    unknown(provider.send(&visit("pm_1")).await);
    approved(provider.send(&visit("pm_1")).await);
    assert_eq!(asked(&calls).len(), 5, "what is over needs no second look");
}

#[tokio::test]
async fn a_failure_that_is_replayed_is_looked_behind() {
    let found = |data: Value| json!({ "object": "search_result", "data": data, "has_more": false });
    let failed = || error("api_error", "");
    let (provider, calls) = provider([
        (500, true, failed()),
        (200, false, found(json!([with(intent("succeeded", "token"), "metadata", json!({})), intent("processing", "token")]))),
        (200, false, intent("succeeded", "token")),
        (500, true, failed()),
        (200, false, found(json!([]))),
        (200, false, found(json!([]))),
        (500, false, failed()),
    ])
    .await;
    approved(provider.send(&charge("pm_1")).await);
    assert_eq!(asked(&calls), ["POST /v1/payment_intents under chk_1_1", "GET /v1/payment_intents/search", "GET /v1/payment_intents/pi_1"]);
    let cause = unknown(provider.send(&charge("pm_1")).await);
    assert!(cause.contains("500") && cause.ends_with("request req_1"), "{cause}");
    assert_eq!(asked(&calls).last().unwrap(), "GET /v1/payment_intents", "the list does not lag");
    unknown(provider.send(&charge("pm_1")).await);
    assert_eq!(asked(&calls).len(), 7, "a first failure is asked again, under the same key");
}

#[tokio::test]
async fn a_card_that_is_kept_gets_a_customer_first() {
    let keep = MoneyRequest { keep_card: true, ..visit("pm_1") };
    let customer = || json!({ "id": "cus_1", "object": "customer" });
    let (provider, calls) = provider([(200, false, customer()), (200, false, intent("succeeded", "visit")), (503, false, json!({}))]).await;
    let receipt = approved(provider.send(&keep).await);
    assert_eq!(receipt.reusable, Some(Secret::new("cus_1:pm_1".to_owned())));
    assert_eq!(asked(&calls), ["POST /v1/customers under chk_1_1c", "POST /v1/payment_intents under chk_1_1"]);
    // Nothing was asked for: whether there is a customer is no matter of money.
    assert!(matches!(provider.send(&keep).await, Outcome::NotSent { .. }));
}

#[tokio::test]
async fn a_no_behind_a_visit_counts_once_nobody_can_confirm_it_any_more() {
    let refused = |via| {
        with(intent("requires_payment_method", via), "last_payment_error", json!({ "code": "payment_intent_authentication_failure" }))
    };
    let unexpected = |status| with_intent("payment_intent_unexpected_state", intent(status, "visit"));
    let look = async |answers: Vec<(u16, bool, Value)>| {
        let (provider, calls) = provider(answers).await;
        (provider.look_up(&attempt(visit("pm_1"), Some("pi_1"))).await, asked(&calls))
    };
    let (outcome, calls) = look(vec![(200, false, refused("visit")), (200, false, intent("canceled", "visit"))]).await;
    assert_eq!(declined(outcome).decline_code, "payment_intent_authentication_failure");
    assert_eq!(calls, ["GET /v1/payment_intents/pi_1", "POST /v1/payment_intents/pi_1/cancel under chk_1_1x"]);
    let (outcome, calls) = look(vec![(200, false, refused("token"))]).await;
    assert_eq!((declined(outcome).decline_code.as_str(), calls.len()), ("payment_intent_authentication_failure", 1));
    approved(look(vec![(200, false, refused("visit")), (400, false, unexpected("succeeded"))]).await.0);
    unknown(look(vec![(200, false, refused("visit")), (400, false, unexpected("requires_payment_method"))]).await.0);
    unknown(look(vec![(200, false, refused("visit")), (500, false, json!({}))]).await.0);
}

fn with_intent(code: &str, intent: Value) -> Value {
    json!({ "error": { "type": "invalid_request_error", "code": code, "payment_intent": intent } })
}

#[tokio::test]
async fn what_is_authorised_is_taken_or_given_up() {
    let unexpected = |status| (400, false, with_intent("payment_intent_unexpected_state", intent(status, "token")));
    let (provider, calls) = provider([
        (200, false, intent("succeeded", "token")),
        unexpected("succeeded"),
        unexpected("canceled"),
        unexpected("processing"),
        (404, false, error("invalid_request_error", "resource_missing")),
        (404, false, error("invalid_request_error", "resource_missing")),
    ])
    .await;
    let capture = || provider.send(&CAPTURE);
    approved(capture().await);
    assert_eq!(asked(&calls), ["POST /v1/payment_intents/pi_1/capture under chk_1_2"]);
    approved(capture().await);
    assert_eq!(declined(capture().await).decline_code, "charge_expired_for_capture");
    unknown(capture().await);
    assert!(unknown(capture().await).starts_with("not found"), "which is no proof");
}

static CAPTURE: std::sync::LazyLock<MoneyRequest> = std::sync::LazyLock::new(|| about(AttemptKind::Capture, "pi_1", 1500));

#[tokio::test]
async fn a_void_is_a_yes_once_it_is_cancelled_and_a_no_once_it_is_paid() {
    let unexpected = |status| (400, false, with_intent("payment_intent_unexpected_state", intent(status, "token")));
    let (provider, calls) = provider([
        (200, false, intent("canceled", "token")),
        unexpected("canceled"),
        unexpected("succeeded"),
        unexpected("processing"),
        unexpected("requires_action"),
        // Without the payment in it, it is looked at.
        (400, false, error("invalid_request_error", "payment_intent_unexpected_state")),
        (200, false, intent("succeeded", "token")),
    ])
    .await;
    let request = about(AttemptKind::Void, "pi_1", 1500);
    let void = || provider.send(&request);
    approved(void().await);
    approved(void().await);
    assert_eq!(declined(void().await).decline_code, "charge_already_captured");
    assert_eq!(declined(void().await).decline_code, "cannot_be_canceled");
    unknown(void().await);
    assert_eq!(declined(void().await).decline_code, "charge_already_captured");
    assert_eq!(asked(&calls).last().unwrap(), "GET /v1/payment_intents/pi_1");
}

#[tokio::test]
async fn a_page_is_opened_and_goes_by_its_own_id_until_it_is_paid() {
    let (provider, calls) = provider([
        (200, false, session("open", Value::Null)),
        (200, false, session("complete", intent("succeeded", "page"))),
        (200, false, session("complete", intent("processing", "page"))),
        (200, false, session("expired", Value::Null)),
    ])
    .await;
    let request = canned::page(false);
    let Outcome::RequiresAction { url, provider_reference } = provider.send(&request).await else { panic!("no page") };
    assert_eq!((url.as_str(), provider_reference.as_str()), ("https://checkout.stripe.com/c/pay/cs_test_1", "cs_test_1"));
    let look = || provider.look_up(&LOOK);
    assert_eq!(approved(look().await).provider_reference, "pi_1");
    assert_eq!(look().await, Outcome::Pending { provider_reference: "cs_test_1".to_owned() });
    assert_eq!(declined(look().await).decline_code, "session_expired");
    assert_eq!(asked(&calls)[..2], ["POST /v1/checkout/sessions under chk_1_1", "GET /v1/checkout/sessions/cs_test_1"]);
}

#[tokio::test]
async fn a_page_within_the_shops_own_is_shown_with_a_secret_that_nothing_else_tells() {
    let opened = (200, false, canned::embedded_session());
    let (without, calls) = provider([]).await;
    assert_eq!(declined(without.send(&canned::page(true)).await).decline_code, "publishable_key_missing");
    assert!(asked(&calls).is_empty(), "no page is opened that no browser could show");
    let (provider, _) = provider([opened.clone(), opened]).await;
    let provider = provider.with_publishable_key(Some("pk_test_1".to_owned()));
    let sent = provider.send(&canned::page(true)).await;
    let Outcome::RequiresForm { form, provider_reference } = sent.clone() else { panic!("no form: {sent:?}") };
    assert_eq!((form.client_secret.reveal().as_str(), form.publishable_key.as_str()), ("cs_test_1_secret_planted", "pk_test_1"));
    assert_eq!(provider_reference, "cs_test_1");
    assert!(!format!("{sent:?}").contains("planted"));
    assert_eq!(provider.look_up(&attempt(canned::page(true), Some("cs_test_1"))).await, sent);
}

static LOOK: std::sync::LazyLock<Attempt> = std::sync::LazyLock::new(|| attempt(canned::page(false), Some("cs_test_1")));

#[tokio::test]
async fn an_end_that_stripe_does_not_take_is_left_out_under_a_key_of_its_own() {
    let too_soon = json!({ "error": { "type": "invalid_request_error", "code": "parameter_invalid_integer", "param": "expires_at" } });
    let (provider, calls) = provider([(400, false, too_soon), (200, false, session("open", Value::Null))]).await;
    assert!(matches!(provider.send(&canned::page(false)).await, Outcome::RequiresAction { .. }));
    assert_eq!(asked(&calls), ["POST /v1/checkout/sessions under chk_1_1", "POST /v1/checkout/sessions under chk_1_1l"]);
}

#[tokio::test]
async fn a_page_is_taken_back_with_what_was_promised_on_it() {
    let end = async |answers: Vec<(u16, bool, Value)>| {
        let (provider, calls) = provider(answers).await;
        (provider.send(&about(AttemptKind::Void, "cs_test_1", 1500)).await, asked(&calls))
    };
    let (outcome, calls) = end(vec![(200, false, session("expired", Value::Null))]).await;
    assert_eq!(approved(outcome).provider_reference, "cs_test_1");
    assert_eq!(calls, ["POST /v1/checkout/sessions/cs_test_1/expire under chk_1_2"]);
    let closed = || (400, false, error("invalid_request_error", ""));
    let (outcome, _) = end(vec![closed(), (200, false, session("complete", intent("succeeded", "page")))]).await;
    assert_eq!(declined(outcome).decline_code, "charge_already_captured");
    let promised = (200, false, session("complete", intent("requires_capture", "page")));
    let (outcome, calls) = end(vec![closed(), promised, (200, false, intent("canceled", "page"))]).await;
    approved(outcome);
    assert_eq!(calls.last().unwrap(), "POST /v1/payment_intents/pi_1/cancel under chk_1_2p");
    let begun = (200, false, session("expired", json!("pi_1")));
    let (outcome, _) = end(vec![begun, (200, false, session("expired", intent("canceled", "page")))]).await;
    approved(outcome);
    unknown(end(vec![closed(), (200, false, session("open", Value::Null))]).await.0);
    unknown(end(vec![closed(), (500, false, json!({}))]).await.0);
}

#[tokio::test]
async fn a_refund_is_accepted_refused_or_comes_back() {
    let failed = || with(refund("failed"), "failure_reason", json!("expired_or_canceled_card"));
    let (provider, calls) = provider([
        (200, false, refund("succeeded")),
        (200, false, refund("pending")),
        (200, true, refund("pending")),
        (200, false, failed()),
        (400, false, error("invalid_request_error", "charge_already_refunded")),
        (404, false, error("invalid_request_error", "resource_missing")),
        (200, false, refund("requires_action")),
        (200, false, with(refund("succeeded"), "metadata", json!({}))),
    ])
    .await;
    let request = about(AttemptKind::Refund, "pi_1", 500);
    let send = || provider.send(&request);
    assert_eq!(approved(send().await).provider_reference, "re_1");
    approved(send().await);
    assert_eq!(declined(send().await).decline_code, "expired_or_canceled_card");
    assert_eq!(asked(&calls)[2..], ["POST /v1/refunds under chk_1_2", "GET /v1/refunds/re_1"]);
    assert_eq!(declined(send().await).decline_code, "charge_already_refunded");
    unknown(send().await);
    assert!(matches!(send().await, Outcome::Pending { .. }));
    unknown(send().await);
}

#[tokio::test]
async fn a_refund_is_found_among_its_payments_refunds() {
    let list = |data: Value, has_more: bool| json!({ "object": "list", "data": data, "has_more": has_more });
    let other = || with(with(refund("succeeded"), "id", json!("re_0")), "metadata", Value::Null);
    let (provider, calls) = provider([
        (200, false, list(json!([other()]), true)),
        (200, false, list(json!([refund("succeeded")]), false)),
        (200, false, list(json!([other()]), false)),
    ])
    .await;
    let look = || provider.look_up(&REFUND);
    assert_eq!(approved(look().await).provider_reference, "re_1");
    assert_eq!(asked(&calls), ["GET /v1/refunds", "GET /v1/refunds"]);
    assert_eq!(unknown(look().await), "not found");
}

static REFUND: std::sync::LazyLock<Attempt> = std::sync::LazyLock::new(|| attempt(about(AttemptKind::Refund, "pi_1", 500), None));

#[tokio::test]
async fn a_card_is_kept_in_three_steps_and_known_by_its_face() {
    let method = json!({ "id": "pm_2", "card": { "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034, "country": "US" } });
    let (provider, calls) = provider([
        (200, false, json!({ "id": "pm_1" })),
        (200, false, json!({ "id": "cus_1" })),
        (200, false, method),
        (200, false, json!({ "id": "cus_2" })),
        (402, false, error("card_error", "card_declined")),
        (503, false, json!({})),
    ])
    .await;
    let keep = async |token: &str| provider.keep("pmk_1", "cus_abc", &Secret::new(token.to_owned())).await;
    let kept = keep("tok_visa").await.unwrap();
    assert_eq!((kept.token.reveal().as_str(), kept.face.unwrap().last4.as_str()), ("cus_1:pm_2", "4242"));
    let steps =
        ["POST /v1/payment_methods under pmk_1p", "POST /v1/customers under pmk_1c", "POST /v1/payment_methods/pm_1/attach under pmk_1a"];
    assert_eq!(asked(&calls), steps);
    assert!(matches!(keep("pm_1").await, Err(VaultError::Declined(_))));
    assert!(matches!(keep("pm_1").await, Err(VaultError::TryAgain { .. })));
    assert!(matches!(keep("cus_1:pm_1").await, Err(VaultError::Declined(_))));
}

#[tokio::test]
async fn a_key_is_of_its_mode_and_is_tried_out() {
    let (provider, calls) =
        provider([(200, false, json!({ "data": [] })), (401, false, error("invalid_request_error", "api_key_expired"))]).await;
    assert_eq!(provider.check().await, Ok(()));
    let why = provider.check().await.unwrap_err();
    assert!(why.contains("401 api_key_expired"), "{why}");
    assert_eq!(asked(&calls)[0], "GET /v1/payment_intents");
    let transport = StripeTransport::new("https://api.stripe.com/").unwrap();
    let with = |mode, key: &str| StripeProvider::new("pac_1", mode, &Secret::new(key.to_owned()), &transport, Duration::from_secs(1)).err();
    assert_eq!(with(Mode::Live, "sk_live_1"), None);
    assert_eq!(with(Mode::Live, "rk_live_1"), None);
    assert_eq!(with(Mode::Live, "sk_test_1"), Some(KeyError::OtherMode));
    assert_eq!(with(Mode::Test, "sk_live_1"), Some(KeyError::OtherMode));
    assert_eq!(with(Mode::Test, "whsec_1"), Some(KeyError::Bad(BadKey)));
}
