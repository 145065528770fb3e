//! Cards at Stripe: what pays, what is declined, and what goes wrong on the way.

use crate::studio::{Studio, by_card};
use boxoffice_testkit::stripe::{Boundary, Effect, Fault};
use serde_json::json;
use std::time::Duration;

const INTENTS: &str = "/v1/payment_intents";

pub async fn story(studio: &Studio) {
    a_card_pays_and_its_fee_is_in_the_books(studio).await;
    declines_are_told_by_their_codes(studio).await;
    trouble_on_the_way_ends_in_one_capture(studio).await;
    a_card_is_kept_and_charged_again_without_its_customer(studio).await;
    no_secret_is_in_a_log(studio).await;
}

async fn a_card_pays_and_its_fee_is_in_the_books(studio: &Studio) {
    let sold = studio.shop.buy(&by_card("pm_card_visa")).await;
    assert_eq!((&sold["status"], &sold["amount_paid"]), (&json!("succeeded"), &json!(1500)), "{sold}");
    let attempt = &sold["payment_attempts"][0];
    assert_eq!((&attempt["provider"], &attempt["status"]), (&json!("stripe"), &json!("approved")));
    assert!(attempt["provider_reference"].as_str().is_some_and(|id| id.starts_with("pi_")), "{attempt}");
    let id = sold["id"].as_str().unwrap();
    let captures = studio.captures(id);
    assert_eq!((captures.len(), captures[0].amount, captures[0].currency.as_str()), (1, 1500, "usd"));
    // 2.9 % and 30 cents, as the stand-in has it.
    assert_eq!(attempt["fee"], json!({"amount": 74, "currency": "usd"}), "{attempt}");
    let ledger = studio.shop.get(&format!("/v1/ledger/transactions?checkout={id}")).await.expect(200).to_string();
    assert!(ledger.contains("\"fees\"") && ledger.contains("provider:stripe"), "{ledger}");
    let requests = studio.stripe.book().requests_to("POST", INTENTS);
    assert!(requests.iter().all(|request| request.key.as_ref().is_some_and(|key| key.len() <= 36)), "every try has our key");
}

async fn declines_are_told_by_their_codes(studio: &Studio) {
    for (token, code) in [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_chargeDeclined", "generic_decline"),
    ] {
        let failed = studio.shop.buy(&by_card(token)).await;
        let error = &failed["error"];
        assert_eq!((&error["code"], &error["decline_code"]), (&json!("card_declined"), &json!(code)), "{failed}");
        assert!(studio.captures(failed["id"].as_str().unwrap()).is_empty());
    }
}

async fn trouble_on_the_way_ends_in_one_capture(studio: &Studio) {
    let effects = [
        Effect::CutBefore,
        Effect::CutAfter,
        Effect::CutAnswer(Boundary::Headers),
        Effect::CutAnswer(Boundary::BeforeLastByte),
        Effect::ServerErrorAfter,
        Effect::ServerErrorBefore,
        Effect::HtmlAfter(502),
        Effect::Garbage,
        Effect::RateLimit(1),
        Effect::LockTimeout,
        Effect::KeyInUse,
        Effect::ExecuteThenWait(Duration::from_secs(5)),
    ];
    let buys = effects.into_iter().map(|effect| async move {
        let order = by_card("pm_card_visa");
        studio.stripe.faults().order(Fault::new(effect).on("POST", INTENTS));
        (effect, studio.shop.buy(&order).await)
    });
    // A fault befalls whichever request comes first: together they befall all.
    for (effect, sold) in futures::future::join_all(buys).await {
        assert_eq!(sold["status"], "succeeded", "{effect:?}: {sold}");
        assert_eq!(studio.captures(sold["id"].as_str().unwrap()).len(), 1, "{effect:?}");
    }
    assert_eq!(studio.stripe.faults().pending(), 0);
}

async fn a_card_is_kept_and_charged_again_without_its_customer(studio: &Studio) {
    let shop = &studio.shop;
    shop.put("/v1/customers/cus_stripe", &json!({"email": "ada@example.com", "name": "Ada"})).await;
    let path = "/v1/customers/cus_stripe/payment-methods/pm_ada";
    let card =
        json!({"type": "card", "token": "pm_card_mastercard", "brand": "unknown", "last4": "0000", "exp_month": 1, "exp_year": 2030});
    let kept = shop.put(path, &card).await.expect(201);
    // What the provider knows of the card, and not what somebody said.
    assert_eq!((&kept["brand"], &kept["last4"]), (&json!("mastercard"), &json!("4444")), "{kept}");
    assert!(!kept.to_string().contains("cus_") || !kept.to_string().contains(":pm_"), "{kept}");
    for _ in 0..2 {
        let mut order = by_card("pm_card_visa");
        order["customer"] = json!("cus_stripe");
        order["payment"] = json!({"methods": [{"type": "saved_method", "id": "pm_ada"}]});
        let sold = shop.buy(&order).await;
        assert_eq!(sold["status"], "succeeded", "{sold}");
        assert_eq!(studio.captures(sold["id"].as_str().unwrap()).len(), 1);
    }
    let bad = json!({
        "type": "card", "token": "pm_card_chargeDeclined", "brand": "visa", "last4": "0002", "exp_month": 1, "exp_year": 2030,
    });
    let refused = shop.put("/v1/customers/cus_stripe/payment-methods/pm_bad", &bad).await;
    refused.expect_problem(422, "card_declined");
}

async fn no_secret_is_in_a_log(studio: &Studio) {
    let programs = std::iter::once(&studio.system.server).chain(&studio.system.workers);
    for line in programs.flat_map(|program| program.log()) {
        assert!(!line.contains(studio.stripe.secret_key()) && !line.contains(crate::studio::SECRET), "{line}");
    }
}
