//! PaymentIntents: states, cards, errors.

use super::client::{Shop, sale};
use serde_json::json;

#[tokio::test]
async fn a_card_pays_and_the_payment_and_its_charge_look_as_documented() {
    let shop = Shop::open().await;
    let paid = shop
        .post(
            "payment_intents",
            &[&sale("pm_card_visa")[..], &[("capture_method", "automatic"), ("expand[]", "latest_charge.balance_transaction")]].concat(),
        )
        .await;
    assert_eq!((paid.status, paid.str("/status"), paid.str("/object")), (200, "succeeded", "payment_intent"), "{}", paid.text);
    assert!(paid.id().starts_with("pi_") && paid.str("/client_secret").starts_with(&format!("{}_secret_", paid.id())));
    assert_eq!((paid.at("/amount"), paid.at("/amount_received"), paid.str("/currency")), (&json!(1000), &json!(1000), "usd"));
    assert_eq!(paid.str("/metadata/reference"), "sale-1");
    let charge = paid.at("/latest_charge");
    assert_eq!(
        (&charge["object"], &charge["paid"], &charge["captured"], &charge["status"]),
        (&json!("charge"), &json!(true), &json!(true), &json!("succeeded"))
    );
    assert_eq!(charge["payment_method_details"]["card"]["last4"], "4242");
    assert_eq!(charge["outcome"]["type"], "authorized");
    let transaction = &charge["balance_transaction"];
    assert_eq!((&transaction["amount"], &transaction["fee"], &transaction["net"]), (&json!(1000), &json!(59), &json!(941)));
    assert!(paid.header("request-id").unwrap().starts_with("req_"));
    assert_eq!(shop.kinds(), ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]);
    let captures = shop.stripe.book().captures_with("reference", "sale-1");
    assert_eq!(captures.len(), 1);
    assert_eq!((captures[0].amount, captures[0].intent.as_str()), (1000, paid.id()));
}

#[tokio::test]
async fn the_fee_of_an_asynchronous_capture_comes_later_and_is_told() {
    let shop = Shop::open().await;
    let paid = shop.pay("pm_card_visa").await;
    assert_eq!(paid.str("/capture_method"), "automatic_async");
    let told = shop.stripe.book().events_of("charge.succeeded")[0].json();
    assert!(told["data"]["object"]["balance_transaction"].is_null());
    let charge = shop.get(&format!("charges/{}", paid.str("/latest_charge")), &[]).await;
    assert!(charge.str("/balance_transaction").starts_with("txn_"));
    assert_eq!(shop.kinds().last().map(String::as_str), Some("charge.updated"));
}

#[tokio::test]
async fn every_declining_card_says_why_and_leaves_no_money() {
    let shop = Shop::open().await;
    for (card, code, decline) in [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", ""),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", ""),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", ""),
        ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "card_declined", "card_velocity_exceeded"),
        ("pm_card_chargeDeclinedFraudulent", "card_declined", "fraudulent"),
        ("pm_card_radarBlock", "card_declined", "fraudulent"),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
    ] {
        let declined = shop.pay(card).await;
        assert_eq!(declined.error(), (402, "card_error", code, decline), "{card}: {}", declined.text);
        assert_eq!(declined.str("/error/payment_intent/status"), "requires_payment_method", "{card}");
        assert_eq!(declined.str("/error/payment_intent/last_payment_error/code"), code, "{card}");
        assert!(declined.str("/error/charge").starts_with("ch_") && declined.str("/error/doc_url").contains("error-codes"), "{card}");
        let charge = shop.get(&format!("charges/{}", declined.str("/error/charge")), &[]).await;
        assert_eq!((charge.str("/status"), charge.at("/paid")), ("failed", &json!(false)), "{card}");
        let blocked = matches!(card, "pm_card_radarBlock" | "pm_card_chargeDeclinedFraudulent");
        assert_eq!(charge.str("/outcome/type"), if blocked { "blocked" } else { "issuer_declined" }, "{card}");
    }
    assert!(shop.stripe.book().captures().is_empty());
    assert_eq!(shop.stripe.book().events_of("payment_intent.payment_failed").len(), 12);
}

#[tokio::test]
async fn every_paying_card_has_its_brand() {
    let shop = Shop::open().await;
    for (card, brand, last4) in [
        ("pm_card_visa", "visa", "4242"),
        ("pm_card_mastercard", "mastercard", "4444"),
        ("pm_card_amex", "amex", "8431"),
        ("pm_card_discover", "discover", "9424"),
        ("pm_card_jcb", "jcb", "0505"),
        ("pm_card_createDispute", "visa", "0259"),
        ("pm_card_refundFail", "visa", "5126"),
    ] {
        let paid = shop.post("payment_intents", &[&sale(card)[..], &[("expand[]", "payment_method")]].concat()).await;
        assert_eq!(
            (paid.str("/status"), paid.str("/payment_method/card/brand"), paid.str("/payment_method/card/last4")),
            ("succeeded", brand, last4)
        );
        assert!(paid.str("/payment_method/id").starts_with("pm_3"), "the test card has become a method of its own");
    }
}

#[tokio::test]
async fn a_token_pays_through_payment_method_data() {
    let shop = Shop::open().await;
    let form = [
        ("amount", "500"),
        ("currency", "eur"),
        ("confirm", "true"),
        ("payment_method_types[]", "card"),
        ("payment_method_data[type]", "card"),
        ("payment_method_data[card][token]", "tok_mastercard"),
    ];
    let paid = shop.post("payment_intents", &form).await;
    assert_eq!((paid.status, paid.str("/status")), (200, "succeeded"), "{}", paid.text);
    let form = [&form[..5], &[("payment_method_data[card][number]", "not-a-number")]].concat();
    assert_eq!(shop.post("payment_intents", &form).await.status, 402, "card data is refused");
    let form = [&form[..5], &[("payment_method_data[card][token]", "tok_nobody")]].concat();
    assert_eq!(shop.post("payment_intents", &form).await.error(), (400, "invalid_request_error", "resource_missing", ""));
}

#[tokio::test]
async fn a_payment_is_authorised_and_captured_in_part() {
    let shop = Shop::open().await;
    let held = shop.post("payment_intents", &[&sale("pm_card_visa")[..], &[("capture_method", "manual")]].concat()).await;
    assert_eq!(
        (held.str("/status"), held.at("/amount_capturable"), held.at("/amount_received")),
        ("requires_capture", &json!(1000), &json!(0))
    );
    assert!(shop.stripe.book().captures().is_empty(), "held is not taken");
    let path = format!("payment_intents/{}/capture", held.id());
    let too_much = shop.post(&path, &[("amount_to_capture", "1001")]).await;
    assert_eq!(too_much.error(), (400, "invalid_request_error", "amount_too_large", ""));
    let taken = shop.post(&path, &[("amount_to_capture", "700")]).await;
    assert_eq!((taken.str("/status"), taken.at("/amount_received"), taken.at("/amount_capturable")), ("succeeded", &json!(700), &json!(0)));
    assert_eq!(shop.post(&path, &[]).await.error().2, "payment_intent_unexpected_state");
    let capture = &shop.stripe.book().captures()[0];
    assert_eq!((capture.amount, capture.refunded), (700, 0));
    assert!(shop.kinds().contains(&"payment_intent.amount_capturable_updated".to_owned()));
    let rest = shop.post("refunds", &[("payment_intent", held.id()), ("amount", "701")]).await;
    assert_eq!(rest.status, 400, "no more can go back than was taken");
}

#[tokio::test]
async fn a_canceled_authorisation_is_given_back_and_can_do_nothing_more() {
    let shop = Shop::open().await;
    let held = shop.post("payment_intents", &[&sale("pm_card_visa")[..], &[("capture_method", "manual")]].concat()).await;
    let path = format!("payment_intents/{}", held.id());
    let canceled = shop.post(&format!("{path}/cancel"), &[("cancellation_reason", "abandoned")]).await;
    assert_eq!((canceled.str("/status"), canceled.str("/cancellation_reason")), ("canceled", "abandoned"));
    assert!(canceled.at("/canceled_at").is_i64());
    for verb in ["cancel", "capture", "confirm"] {
        let refused = shop.post(&format!("{path}/{verb}"), &[]).await;
        assert_eq!(refused.error(), (400, "invalid_request_error", "payment_intent_unexpected_state", ""), "{verb}");
        assert_eq!(refused.str("/error/payment_intent/id"), held.id());
    }
    let charge = shop.get(&format!("charges/{}", held.str("/latest_charge")), &[]).await;
    assert_eq!((charge.at("/captured"), charge.at("/refunded")), (&json!(false), &json!(true)));
    assert_eq!(shop.post("refunds", &[("payment_intent", held.id())]).await.status, 400);
}

#[tokio::test]
async fn a_payment_is_created_updated_confirmed_and_then_over() {
    let shop = Shop::open().await;
    let created = shop.post("payment_intents", &[("amount", "1000"), ("currency", "USD"), ("description", "seat")]).await;
    assert_eq!((created.str("/status"), created.str("/currency")), ("requires_payment_method", "usd"));
    let path = format!("payment_intents/{}", created.id());
    let confirm = format!("{path}/confirm");
    let back = ("return_url", "https://shop.example/back");
    assert_eq!(shop.post(&confirm, &[back]).await.error().2, "payment_intent_unexpected_state", "no method");
    assert_eq!(shop.post(&confirm, &[("payment_method", "pm_card_visa")]).await.status, 400, "no return_url");
    let updated = shop.post(&path, &[("amount", "1200"), ("metadata[a]", "1"), ("payment_method", "pm_card_visa")]).await;
    assert_eq!((updated.str("/status"), updated.at("/amount")), ("requires_confirmation", &json!(1200)));
    let paid = shop.post(&confirm, &[back]).await;
    assert_eq!((paid.str("/status"), paid.at("/amount_received")), ("succeeded", &json!(1200)));
    assert_eq!(shop.get(&path, &[]).await.json["latest_charge"], paid.json["latest_charge"]);
    for (verb, form) in [("confirm", &[back][..]), ("cancel", &[]), ("capture", &[])] {
        assert_eq!(shop.post(&format!("{path}/{verb}"), form).await.error().2, "payment_intent_unexpected_state", "{verb}");
    }
    assert_eq!(shop.post(&path, &[("amount", "5")]).await.error().2, "payment_intent_unexpected_state");
    assert_eq!(shop.post(&path, &[("metadata[b]", "2")]).await.str("/metadata/b"), "2");
}

#[tokio::test]
async fn after_a_decline_another_card_pays_the_same_payment() {
    let shop = Shop::open().await;
    let declined = shop.pay("pm_card_chargeDeclined").await;
    let id = declined.str("/error/payment_intent/id");
    let paid = shop.post(&format!("payment_intents/{id}/confirm"), &[("payment_method", "pm_card_visa")]).await;
    assert_eq!((paid.str("/status"), paid.at("/last_payment_error").is_null()), ("succeeded", true));
    assert_eq!(shop.stripe.book().captures_with("reference", "sale-1").len(), 1);
}

#[tokio::test]
async fn what_cannot_be_charged_is_refused() {
    let shop = Shop::open().await;
    for (form, code, param) in [
        (&[("currency", "usd")][..], "parameter_missing", "amount"),
        (&[("amount", "1000")], "parameter_missing", "currency"),
        (&[("amount", "49"), ("currency", "usd")], "amount_too_small", "amount"),
        (&[("amount", "100000000"), ("currency", "usd")], "amount_too_large", "amount"),
        (&[("amount", "10.5"), ("currency", "usd")], "parameter_invalid_integer", "amount"),
        (&[("amount", "1234"), ("currency", "kwd")], "parameter_invalid_integer", "amount"),
        (&[("amount", "1000"), ("currency", "zzz")], "", "currency"),
        (&[("amount", "1000"), ("currency", "usd"), ("colour", "red")], "parameter_unknown", "colour"),
        (&[("amount", "1000"), ("currency", "usd"), ("customer", "cus_x")], "resource_missing", "customer"),
        (&[("amount", "1000"), ("currency", "usd"), ("payment_method", "pm_x")], "resource_missing", "payment_method"),
    ] {
        let refused = shop.post("payment_intents", form).await;
        assert_eq!(refused.error(), (400, "invalid_request_error", code, ""), "{form:?}: {}", refused.text);
        assert_eq!(refused.str("/error/param"), param, "{form:?}");
    }
    assert_eq!(shop.post("payment_intents", &[("amount", "50"), ("currency", "jpy")]).await.status, 200);
    assert_eq!(shop.post("payment_intents", &[("amount", "1230"), ("currency", "kwd")]).await.status, 200);
    assert_eq!(shop.get("payment_intents/pi_nobody", &[]).await.error(), (404, "invalid_request_error", "resource_missing", ""));
    assert_eq!(shop.get("nothing", &[]).await.status, 404);
}

#[tokio::test]
async fn only_the_secret_key_opens_and_both_ways_of_sending_it_work() {
    let shop = Shop::open().await;
    let url = format!("{}v1/account", shop.stripe.url());
    assert_eq!(shop.http.get(&url).basic_auth(shop.stripe.secret_key(), None::<&str>).send().await.unwrap().status(), 200);
    assert_eq!(shop.get("account", &[]).await.str("/object"), "account");
    assert_eq!(shop.get("balance", &[]).await.str("/object"), "balance");
    for request in [shop.http.get(&url), shop.http.get(&url).bearer_auth("sk_test_wrong1234")] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers().contains_key("request-id"));
        let body = response.text().await.unwrap();
        assert!(!body.contains("sk_test_wrong"), "{body}");
    }
}

#[tokio::test]
async fn three_d_secure_sends_the_customer_away_and_back() {
    let shop = Shop::open().await;
    for card in ["pm_card_authenticationRequired", "pm_card_threeDSecure2Required", "pm_card_authenticationRequiredOnSetup"] {
        let form = [
            ("amount", "1000"),
            ("currency", "usd"),
            ("confirm", "true"),
            ("payment_method", card),
            ("return_url", "https://shop.example/back?sale=7"),
        ];
        let waiting = shop.post("payment_intents", &form).await;
        assert_eq!((waiting.str("/status"), waiting.str("/next_action/type")), ("requires_action", "redirect_to_url"), "{}", waiting.text);
        assert_eq!(waiting.str("/next_action/redirect_to_url/return_url"), "https://shop.example/back?sale=7");
        let url = waiting.str("/next_action/redirect_to_url/url");
        let page = shop.browse(url).await;
        assert!(page.status == 200 && page.text.contains("id=\"complete\"") && page.text.contains("id=\"fail\""), "{}", page.text);
        assert!(!page.text.contains("<script"));
        let secret = ("client_secret", waiting.str("/client_secret"));
        assert_eq!(shop.submit(url, &[("client_secret", "wrong"), ("outcome", "complete")]).await.status, 404);
        let back = shop.submit(url, &[secret, ("outcome", "complete")]).await;
        let expected = format!(
            "https://shop.example/back?sale=7&payment_intent={}&payment_intent_client_secret={}&redirect_status=succeeded",
            waiting.id(),
            secret.1
        );
        assert_eq!((back.status, back.header("location")), (303, Some(expected.as_str())));
        assert_eq!(shop.get(&format!("payment_intents/{}", waiting.id()), &[]).await.str("/status"), "succeeded");
        let again = shop.submit(url, &[secret, ("outcome", "fail")]).await;
        assert!(again.header("location").unwrap().ends_with("failed"));
        assert_eq!(
            shop.get(&format!("payment_intents/{}", waiting.id()), &[]).await.str("/status"),
            "succeeded",
            "what is paid stays paid"
        );
    }
    assert_eq!(shop.stripe.book().captures().len(), 3);
}

#[tokio::test]
async fn a_failed_authentication_takes_no_money() {
    let shop = Shop::open().await;
    let form = [
        ("amount", "1000"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method", "pm_card_authenticationRequired"),
        ("return_url", "https://shop.example/"),
    ];
    let waiting = shop.post("payment_intents", &form).await;
    let url = waiting.str("/next_action/redirect_to_url/url");
    let back = shop.submit(url, &[("client_secret", waiting.str("/client_secret")), ("outcome", "fail")]).await;
    assert!(back.header("location").unwrap().ends_with("redirect_status=failed"));
    let failed = shop.get(&format!("payment_intents/{}", waiting.id()), &[]).await;
    assert_eq!(
        (failed.str("/status"), failed.str("/last_payment_error/code")),
        ("requires_payment_method", "payment_intent_authentication_failure")
    );
    assert!(shop.stripe.book().captures().is_empty());
    assert_eq!(shop.kinds(), ["payment_intent.created", "payment_intent.requires_action", "payment_intent.payment_failed"]);
}

#[tokio::test]
async fn a_bank_that_wants_the_customer_declines_without_one() {
    let shop = Shop::open().await;
    for extra in [("off_session", "true"), ("error_on_requires_action", "true")] {
        let form = [&sale("pm_card_authenticationRequired")[..], &[extra]].concat();
        let declined = shop.post("payment_intents", &form).await;
        assert_eq!(declined.error(), (402, "card_error", "authentication_required", "authentication_required"), "{extra:?}");
        assert_eq!(declined.str("/error/payment_intent/status"), "requires_payment_method");
    }
    let scripted = shop.pay("pm_card_authenticationRequired").await;
    assert_eq!((scripted.str("/status"), scripted.str("/next_action/type")), ("requires_action", "use_stripe_sdk"), "without a way back");
    assert!(shop.stripe.authenticate(scripted.id(), true));
    assert_eq!(shop.stripe.book().captures().len(), 1);
}
