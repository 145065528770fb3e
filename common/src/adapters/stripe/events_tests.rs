use super::super::{
    canned::{intent, refund, session, with},
    signature::sign,
};
use super::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn events() -> StripeEvents {
    let secrets = vec![Secret::new("whsec_1".to_owned())];
    StripeEvents::new("pac_1".to_owned(), "studio".to_owned(), Mode::Test, secrets)
}

fn event(kind: &str, object: Value) -> Value {
    json!({ "id": "evt_1", "object": "event", "type": kind, "livemode": false, "created": 1_800_000_000, "data": { "object": object } })
}

fn read(kind: &str, object: Value) -> Told {
    events().read(&event(kind, object).to_string()).unwrap()
}

fn told(kind: &str, object: Value) -> ToldMoney {
    match read(kind, object) {
        Told::Money(told) => told,
        other => panic!("{kind} tells of no money: {other:?}"),
    }
}

fn code(word: &Word) -> &str {
    match word {
        Word::Refused { code, message, .. } if !message.is_empty() => code,
        _ => panic!("no refusal: {word:?}"),
    }
}

#[test]
fn a_signed_event_is_known_by_its_id_and_any_other_is_not_taken() {
    let body = event("payment_intent.succeeded", intent("succeeded", "token")).to_string();
    let verify = |header: Option<String>, body: &str| {
        let headers: HeaderMap = header.into_iter().map(|value| (http::HeaderName::from_static(HEADER), value.parse().unwrap())).collect();
        events().verify(&headers, body.as_bytes(), NOW)
    };
    assert_eq!(verify(Some(sign("whsec_1", NOW, &body)), &body), Ok("evt_1".to_owned()));
    assert_eq!(verify(None, &body), Err(NotGenuine::Header(HEADER)));
    assert!(matches!(verify(Some(sign("whsec_2", NOW, &body)), &body), Err(NotGenuine::Forged(_))));
    for nameless in ["{}", "not json", r#"{"id":"a b"}"#] {
        assert!(matches!(verify(Some(sign("whsec_1", NOW, nameless)), nameless), Err(NotGenuine::Forged(_))), "{nameless}");
    }
}

#[test]
fn a_payment_tells_what_became_of_it() {
    let paid = told("payment_intent.succeeded", intent("succeeded", "visit"));
    assert_eq!((paid.about, paid.reference.as_str(), paid.key.as_str()), (About::Charge, "chk_1", "chk_1_1"));
    assert_eq!((paid.provider_reference.as_str(), paid.amount.minor(), paid.currency.as_str()), ("pi_1", 1500, "usd"));
    assert_eq!((paid.word, paid.reusable, paid.pending_as), (Word::Moved, None, None));
    let kept = json!({ "reference": "chk_1", "key": "chk_1_1", "keep": "1" });
    let kept = told("payment_intent.succeeded", with(intent("succeeded", "token"), "metadata", kept));
    assert_eq!(kept.reusable, Some(Secret::new("cus_1:pm_1".to_owned())));
    let error = json!({ "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds" });
    let failed = |via| with(intent("requires_payment_method", via), "last_payment_error", error.clone());
    assert_eq!(code(&told("payment_intent.payment_failed", failed("token")).word), "insufficient_funds");
    // Behind a visit its customer could confirm it once more: a look-up sees to that.
    assert_eq!(told("payment_intent.payment_failed", failed("visit")).word, Word::Asked);
    assert_eq!(code(&told("payment_intent.canceled", intent("canceled", "visit")).word), "voided");
    for waits in ["payment_intent.requires_action", "payment_intent.amount_capturable_updated", "payment_intent.processing"] {
        assert_eq!(told(waits, intent("requires_action", "visit")).word, Word::Asked, "{waits}");
    }
}

#[test]
fn of_a_page_only_its_session_tells() {
    for kind in ["payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled"] {
        assert_eq!(read(kind, intent("succeeded", "page")), Told::Other, "{kind}");
    }
    let paid = || with(session("complete", json!("pi_1")), "payment_status", json!("paid"));
    let completed = told("checkout.session.completed", paid());
    assert_eq!((completed.word, completed.provider_reference.as_str()), (Word::Moved, "pi_1"));
    assert_eq!(completed.pending_as.as_deref(), Some("cs_test_1"));
    let later = told("checkout.session.completed", session("complete", json!("pi_1")));
    assert_eq!((later.word, later.provider_reference.as_str()), (Word::Asked, "cs_test_1"));
    assert_eq!(told("checkout.session.async_payment_succeeded", paid()).word, Word::Moved);
    assert_eq!(told("checkout.session.async_payment_failed", session("complete", json!("pi_1"))).word, Word::Asked);
    let expired = told("checkout.session.expired", session("expired", Value::Null));
    assert_eq!((code(&expired.word), expired.provider_reference.as_str()), ("session_expired", "cs_test_1"));
    // Which card is kept is not told here: a look brings it.
    let metadata = json!({ "reference": "chk_1", "key": "chk_1_1", "keep": "1" });
    assert_eq!(told("checkout.session.completed", with(paid(), "metadata", metadata)).word, Word::Asked);
}

#[test]
fn a_charge_tells_when_its_fee_is_known_and_nothing_else() {
    let charge = |transaction: Value| {
        json!({
            "id": "ch_1", "object": "charge", "payment_intent": "pi_1", "balance_transaction": transaction,
            "metadata": { "reference": "chk_1", "key": "chk_1_1", "account": "pac_1" },
        })
    };
    let known =
        ToldFee { reference: CheckoutId::parse("chk_1").unwrap(), key: "chk_1_1".to_owned(), provider_reference: "pi_1".to_owned() };
    for transaction in [json!("txn_1"), json!({ "id": "txn_1", "fee": 74, "currency": "usd" })] {
        assert_eq!(read("charge.updated", charge(transaction)), Told::Fee(known.clone()));
    }
    assert_eq!(read("charge.updated", charge(Value::Null)), Told::Other, "it is not known yet");
    assert_eq!(read("charge.updated", with(charge(json!("txn_1")), "metadata", json!({}))), Told::Other, "a charge of somebody else's");
}

#[test]
fn a_refund_tells_when_it_fails_later() {
    for kind in ["refund.created", "refund.updated", "charge.refund.updated"] {
        let gone = told(kind, refund("succeeded"));
        assert_eq!((gone.about, gone.key.as_str(), gone.amount.minor(), gone.word), (About::Refund, "chk_1_2", 500, Word::Moved), "{kind}");
    }
    let back = told("refund.failed", with(refund("failed"), "failure_reason", json!("lost_or_stolen_card")));
    assert_eq!((code(&back.word), back.provider_reference.as_str()), ("lost_or_stolen_card", "re_1"));
    assert_eq!(code(&told("refund.updated", refund("canceled")).word), "refund_canceled");
}

fn dispute(status: &str) -> Value {
    json!({
        "id": "du_1", "object": "dispute", "amount": 1500, "currency": "usd", "charge": "ch_1", "payment_intent": "pi_1",
        "reason": "product_not_received", "status": status, "metadata": {}, "livemode": false,
    })
}

#[test]
fn a_dispute_tells_which_payment_and_where_it_stands() {
    for (kind, status, stands) in [
        ("charge.dispute.created", "warning_needs_response", DisputeStatus::Inquiry),
        ("charge.dispute.updated", "warning_under_review", DisputeStatus::Inquiry),
        ("charge.dispute.closed", "warning_closed", DisputeStatus::Closed),
        ("charge.dispute.funds_withdrawn", "needs_response", DisputeStatus::Open),
        ("charge.dispute.updated", "under_review", DisputeStatus::Open),
        ("charge.dispute.funds_reinstated", "won", DisputeStatus::Won),
        ("charge.dispute.closed", "lost", DisputeStatus::Lost),
    ] {
        let Told::Dispute(told) = read(kind, dispute(status)) else { panic!("{kind} tells of no dispute") };
        assert_eq!((told.charge.as_str(), told.provider_reference.as_str(), told.status), ("pi_1", "du_1", stands), "{status}");
        assert_eq!((told.amount.minor(), told.currency.as_str(), told.reason.as_str()), (1500, "usd", "product_not_received"));
    }
}

#[test]
fn what_is_not_ours_or_not_known_tells_nothing() {
    let succeeded = || intent("succeeded", "token");
    for (kind, object) in [
        ("charge.dispute.created", with(dispute("needs_response"), "payment_intent", Value::Null)),
        ("charge.dispute.updated", dispute("brand_new")),
        ("charge.refunded", json!({ "id": "ch_1" })),
        ("a.type.of.next.year", json!(7)),
        ("payment_intent.succeeded", with(succeeded(), "metadata", json!({}))),
        ("payment_intent.succeeded", with(succeeded(), "metadata", Value::Null)),
        ("payment_intent.succeeded", with(succeeded(), "metadata", json!({ "reference": "order 7", "key": "1" }))),
        ("payment_intent.succeeded", with(succeeded(), "metadata", json!({ "reference": "chk_1", "key": "chk_1_1", "account": "pac_2" }))),
        ("payment_intent.succeeded", with(succeeded(), "currency", json!("xyz"))),
        ("refund.updated", with(refund("succeeded"), "metadata", Value::Null)),
    ] {
        assert_eq!(read(kind, object.clone()), Told::Other, "{kind} {object}");
    }
    for (name, value) in [("livemode", json!(true)), ("account", json!("acct_connected"))] {
        let foreign = with(event("payment_intent.succeeded", succeeded()), name, value);
        assert_eq!(events().read(&foreign.to_string()).unwrap(), Told::Other, "{name}");
    }
    assert!(events().read("not json").is_err());
    assert!(events().read(&event("payment_intent.succeeded", json!({ "id": "pi_1" })).to_string()).is_err());
}
