use super::*;
use crate::fields::typed;
use boxoffice_common::domain::{id::Entropy, money::Amount, scope::Mode};
use serde_json::json;

fn submit(body: Value) -> Result<Submission, Problem> {
    let scope = Arc::new(Scope::new("demo", Mode::Test).unwrap());
    let row = IdempotencyRow { route: "POST /v1/checkouts".to_owned(), key: "k".to_owned(), body_hash: String::new() };
    let trace = TraceParent::of(&http::HeaderMap::new(), &Entropy::from_seed(1));
    typed::<CreateCheckout>(body)?.into_submission(scope, row, trace, true)
}

/// A body with `value` at the top-level key.
fn with(key: &str, value: Value) -> Value {
    let mut body = json!({
        "currency": "usd",
        "lines": [{"type": "session", "session": "ses_1", "quantity": 2}],
        "payment": {"methods": [{"type": "card", "token": "tok_visa"}]},
    });
    body[key] = value;
    body
}

fn refusal(key: &str, value: Value) -> (u16, &'static str, String) {
    let problem = submit(with(key, value)).unwrap_err();
    let param = match &problem {
        Problem::Parameter { param, .. } => param.clone(),
        Problem::Refused(error) => error.param.clone(),
        other => panic!("{other:?}"),
    };
    (problem.status().as_u16(), problem.code(), param.unwrap_or_default())
}

#[test]
fn a_whole_request_becomes_a_submission() {
    let submission = submit(json!({
        "customer": {"external_id": "u1", "email": "ada@example.com", "name": "Ada", "date_of_birth": "1990-12-10"},
        "currency": "usd",
        "lines": [
            {"type": "session", "session": "ses_demo_gala", "seats": ["A1", "A2"]},
            {"type": "product", "product": "prd_demo_mat", "variant": "blue", "quantity": 3, "unit_amount": 2500},
            {"type": "custom", "name": "Shoe hire", "unit_amount": 500},
        ],
        "promo_code": "DEMO10",
        "payment": {"methods": [{"type": "custom", "name": "cash", "note": "till 3", "amount": 100}]},
        "success_url": "https://shop.example/thanks?c={CHECKOUT_ID}", "cancel_url": "https://shop.example/cart",
        "callback_url": "https://shop.example/hooks", "callback_state": "opaque", "reference": "order-77",
        "expires_in": 60, "metadata": {"any": ["json"]},
    }))
    .unwrap();
    let quantities: Vec<_> = submission.cart.lines.iter().map(|line| line.quantity).collect();
    assert_eq!(quantities, [2, 3, 1]);
    assert!(matches!(&submission.buyer, Some(Buyer::Described(customer)) if customer.external_id.as_deref() == Some("u1")));
    assert_eq!(submission.expires_in, Duration::from_secs(60));
    assert_eq!(
        submission.payment.unwrap().iter().map(|method| (method.tender.type_name(), method.amount)).collect::<Vec<_>>(),
        [("custom", Some(Amount::from_minor(100)))]
    );
    assert_eq!(Value::Object(submission.metadata), json!({"any": ["json"]}));
}

#[test]
fn what_is_left_out_has_its_default() {
    let submission = submit(with("customer", json!("cus_1"))).unwrap();
    assert!(matches!(&submission.buyer, Some(Buyer::Known(id)) if id.as_str() == "cus_1"));
    assert_eq!((submission.expires_in, submission.callback_url, submission.metadata.len()), (Duration::from_secs(1_800), None, 0));
}

#[test]
fn a_mistake_is_refused_with_its_field() {
    let long = |length: usize| json!("x".repeat(length));
    for (key, value, param) in [
        ("customer", json!(5), "customer"),
        ("customer", json!("not an id"), "customer"),
        ("customer", json!({"email": "nobody"}), "customer.email"),
        ("customer", json!({"date_of_birth": "1.1.2000"}), "customer.date_of_birth"),
        ("currency", json!("zzz"), "currency"),
        ("currency", json!(null), "currency"),
        ("lines", json!([{"type": "session", "session": "ses_1", "quantity": -1}]), "lines[0].quantity"),
        ("lines", json!([{"type": "session", "session": "ses_1", "quantity": 1.5}]), "lines[0].quantity"),
        ("lines", json!([{"type": "session", "session": "ses_1", "quantity": 99999999999u64}]), "lines[0].quantity"),
        ("lines", json!([{"type": "session", "session": "ses_1", "seats": "A1"}]), "lines[0].seats"),
        ("lines", json!([{"type": "ticket"}]), "lines[0].type"),
        ("payment", json!({"methods": []}), "payment.methods"),
        ("payment", json!({"methods": vec![json!({"type": "card", "token": "tok_visa"}); 6]}), "payment.methods"),
        ("payment", json!({"methods": [{"type": "card", "token": "a b"}]}), "payment.methods[0].token"),
        ("payment", json!({"methods": [{"type": "card", "token": 5}]}), "payment.methods[0].token"),
        ("payment", json!({"methods": [{"type": "custom", "name": ""}]}), "payment.methods[0].name"),
        ("success_url", json!("javascript:alert(1)"), "success_url"),
        ("callback_url", json!("ftp://x/"), "callback_url"),
        ("callback_state", long(1_025), "callback_state"),
        ("reference", long(256), "reference"),
        ("reference", json!(""), "reference"),
        ("expires_in", json!(9), "expires_in"),
        ("expires_in", json!(86_401), "expires_in"),
        ("metadata", json!("x"), "metadata"),
    ] {
        assert_eq!(refusal(key, value.clone()), (400, "parameter_invalid", param.to_owned()), "{key}: {value}");
    }
}

#[test]
fn fields_that_are_missing_or_do_not_belong_are_named() {
    for (key, value, code, param) in [
        ("lines", json!([{"type": "session"}]), "parameter_missing", "lines[0].session"),
        ("lines", json!([{"session": "ses_1"}]), "parameter_missing", "lines[0].type"),
        ("lines", json!([{"type": "membership"}]), "parameter_missing", "lines[0].membership"),
        ("lines", json!([{"type": "membership", "membership": "mem_1", "session": "ses_1"}]), "parameter_unknown", "lines[0].session"),
        ("lines", json!([{"type": "custom", "unit_amount": 1}]), "parameter_missing", "lines[0].name"),
        ("lines", json!([{"type": "custom", "name": "x", "session": "ses_1"}]), "parameter_unknown", "lines[0].session"),
        ("lines", json!([{"type": "session", "session": "ses_1", "qty": 1}]), "parameter_unknown", "lines[0].qty"),
        ("payment", json!({}), "parameter_missing", "payment.methods"),
        ("payment", json!({"methods": [{"type": "card"}]}), "parameter_missing", "payment.methods[0].token"),
        ("payment", json!({"methods": [{"type": "saved_method"}]}), "parameter_missing", "payment.methods[0].id"),
        ("payment", json!({"methods": [{"type": "membership"}]}), "parameter_missing", "payment.methods[0].bought_membership"),
        ("payment", json!({"methods": [{"type": "free", "token": "x"}]}), "parameter_unknown", "payment.methods[0].token"),
        ("customer", json!({"phone": "1"}), "parameter_unknown", "customer.phone"),
        ("promo", json!("X"), "parameter_unknown", "promo"),
    ] {
        assert_eq!(refusal(key, value.clone()), (400, code, param.to_owned()), "{key}: {value}");
    }
}

#[test]
fn who_asks_the_customer_is_known_and_asks_a_phone_that_can_be_one() {
    let (provider, phone) = ("payment.methods[0].provider", "payment.methods[0].phone");
    for (method, status, code, param) in [
        (json!({"type": "wallet"}), 400, "parameter_missing", provider),
        (json!({"type": "bank", "provider": "m17"}), 422, "payment_method_invalid", provider),
        (json!({"type": "mobile_money", "provider": "m99", "phone": "+23276000001"}), 422, "payment_method_invalid", provider),
        (json!({"type": "mobile_money", "provider": "m17"}), 400, "parameter_missing", phone),
        (json!({"type": "mobile_money", "provider": "m17", "phone": "076000001"}), 400, "parameter_invalid", phone),
        (json!({"type": "bank", "provider": "slb001", "phone": "+23276000001"}), 400, "parameter_unknown", phone),
        (json!({"type": "card", "token": "tok_visa", "phone": "+23276000001"}), 400, "parameter_unknown", phone),
    ] {
        assert_eq!(refusal("payment", json!({"methods": [method.clone()]})), (status, code, param.to_owned()), "{method}");
    }
}

#[test]
fn a_code_that_cannot_be_one_is_an_unknown_code() {
    assert_eq!(refusal("promo_code", json!("10 % off!")), (422, "promo_code_invalid", "promo_code".to_owned()));
}
