//! A client that is written for ClassManager's basket checkout changes its base URL and its key.

use super::{
    classmanager_school::{MOUNTS, authorized, authorized_by, basket, check_out, enrolment, morning, quote, refused, school, trial},
    dialect_classmanager_intents::{a_client_that_heard_nothing_is_not_charged_again, a_key_and_no_key, an_intent_pays_one_basket_once},
};
use crate::support::{
    catalogue::{put, with},
    client::{Client, Reply, fresh_key},
    system::System,
};
use boxoffice_testkit::snapshot::steady;
use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let shop = system.shop();
    school(&shop).await;
    let published: Value = serde_json::from_str(include_str!("../fixtures/classmanager_checkout.json")).unwrap();
    for mount in MOUNTS {
        what_is_published_is_answered_as_published(&shop, mount, &published).await;
        what_cannot_be_done_is_said_in_their_words(system, &shop, mount).await;
        what_a_basket_comes_to_is_told_before(&shop, mount).await;
    }
    where_nothing_is_due_nothing_is_said(&shop).await;
    a_trial_is_at_the_time_of_day_where_the_school_is(&shop).await;
    an_intent_pays_one_basket_once(system, &shop).await;
    a_key_and_no_key(&shop).await;
    a_client_that_heard_nothing_is_not_charged_again(&shop).await;
    the_books_are_read_by_family(system, &shop).await;
    the_books_are_the_same_as_of_a_sale_of_ours(&shop).await;
}

/// Every documented field is there, of a documented type.
fn fits(value: &Value, schema: &Value, at: &str) {
    match schema {
        Value::Object(fields) => {
            for (field, schema) in fields {
                let value = value.get(field).unwrap_or_else(|| panic!("{at}.{field} is missing"));
                fits(value, schema, &format!("{at}.{field}"));
            }
            assert_eq!(value.as_object().unwrap().len(), fields.len(), "{at}");
        }
        Value::Array(kinds) if kinds[0].is_object() => {
            value.as_array().unwrap().iter().for_each(|item| fits(item, &kinds[0], &format!("{at}[]")));
        }
        Value::Array(kinds) => {
            let kind = match value {
                Value::String(_) => "string",
                Value::Null => "null",
                Value::Number(number) if number.is_i64() => "integer",
                other => panic!("{at} is {other}"),
            };
            assert!(kinds.contains(&json!(kind)), "{at} is {value}");
        }
        _ => panic!("{schema}"),
    }
}

fn keeps_its_identity(stats: &Value) {
    let number = |field: &str| stats[field].as_i64().unwrap();
    assert_eq!(number("total"), number("subtotal") - number("discountTotal") + number("taxTotal"), "{stats}");
}

async fn what_is_published_is_answered_as_published(shop: &Client, mount: &str, published: &Value) {
    // 12,000 for the term and its tax, 500 for the trial.
    let intent = authorized(shop, "tok_visa", 13_700).await;
    let request = with(&published["request"], json!({"paymentIntentId": intent}));
    let told = check_out(shop, mount, &request).await.expect(200);
    let statements = told.as_array().unwrap();
    assert_eq!(statements.len(), 2);
    for statement in statements {
        fits(statement, &published["schema"], "");
        keeps_its_identity(&statement["stats"]);
        assert_eq!(statement["transaction"]["companyId"], if shop.key() == "bo_test_demo" { "demo" } else { "shop" });
        assert_eq!(statement["aggregateId"], statement["transaction"]["id"]);
        for detail in statement["details"].as_array().unwrap() {
            assert_eq!(detail["details"]["transactionId"], statement["aggregateId"]);
            for entity in detail["relatedEntities"].as_array().unwrap() {
                assert_eq!(entity["transactionDetailId"], detail["details"]["id"]);
            }
        }
    }
    let (debit, credit) = (&statements[0], &statements[1]);
    assert_eq!(debit["transaction"]["relatedTransactionId"], credit["aggregateId"]);
    assert_eq!(credit["transaction"]["relatedTransactionId"], debit["aggregateId"]);
    let mut shown = told.clone();
    for statement in shown.as_array_mut().unwrap() {
        statement["transaction"]["companyId"] = json!("<tenant>");
        for detail in statement["details"].as_array_mut().unwrap() {
            detail["details"]["companyId"] = json!("<tenant>");
            for entity in detail["relatedEntities"].as_array_mut().unwrap() {
                entity["companyId"] = json!("<tenant>");
            }
        }
    }
    assert_json_snapshot!("classmanager_checkout", steady(&shown));
    let order = debit["transaction"]["orderId"].as_str().unwrap();
    assert_eq!(shop.charged(order).await, ["captured"]);
    assert_eq!(shop.get(&format!("/sandbox/payment-intents/{}", intent.as_str().unwrap())).await.expect(200)["status"], "used");
    let checkout = shop.checkout(order).await;
    let lines = checkout["lines"].as_array().unwrap();
    let comes: Vec<_> =
        lines.iter().map(|line| (line["session"].as_str().unwrap(), line["participants"][0]["customer"].as_str().unwrap())).collect();
    assert_eq!((comes, &checkout["customer"]), (vec![("cls_ballet", "cus_harry"), ("ses_paid", "cus_harry")], &json!("cus_harry")));
}

async fn what_cannot_be_done_is_said_in_their_words(system: &System, shop: &Client, mount: &str) {
    let term = |student: &str| enrolment("cls_ballet", student, "pp_term");
    let one = |enrolment: Value| basket(&[enrolment], &[], json!(null));
    let none = || json!(null);
    let morning_at = |date: &str, time: &str| basket(&[], &[trial(date, time)], json!(null));
    for (body, status, exception, at) in [
        (json!({}), 422, "parameter_missing", "items"),
        (json!({"items": {"trials": []}}), 422, "parameter_missing", "items.enrolments"),
        (json!({"items": {"trials": {}, "enrolments": []}}), 422, "parameter_invalid", "items.trials"),
        (json!({"items": {"trials": [], "enrolments": []}, "paymentIntentId": 7}), 422, "parameter_invalid", "paymentIntentId"),
        (basket(&vec![term("stu_harry"); 51], &[], none()), 422, "parameter_invalid", "items"),
        (one(json!({"classId": "cls_ballet", "studentId": "stu_harry"})), 422, "parameter_missing", "items.enrolments[0].pricingPlanId"),
        (one(term("")), 422, "parameter_invalid", "items.enrolments[0].studentId"),
        (one(term("stu_nobody")), 404, "resource_missing", "items.enrolments[0].studentId"),
        (one(term("stu_ginny")), 403, "participant_not_in_family", "items.enrolments[0].studentId"),
        (one(term("4242424242424242")), 422, "card_number_refused", "items.enrolments[0].studentId"),
        (one(enrolment("cls_none", "stu_harry", "pp_term")), 404, "resource_missing", "items.enrolments[0].classId"),
        (one(enrolment("c/s", "stu_harry", "pp_term")), 404, "resource_missing", "items.enrolments[0].classId"),
        (one(enrolment("cls_ballet", "stu_harry", "pp_none")), 404, "resource_missing", "items.enrolments[0].pricingPlanId"),
        (
            basket(&[term("stu_harry"), enrolment("cls_yen", "stu_harry", "pp_term")], &[], none()),
            422,
            "currency_mismatch",
            "items.enrolments[1]",
        ),
        (one(enrolment("cls_full", "stu_harry", "pp_free")), 422, "session_full", "items.enrolments[0]"),
        (one(enrolment("cls_infants", "stu_harry", "pp_free")), 422, "age_restricted", "items.enrolments[0].studentId"),
        (morning_at("2060-08-20", "9 o'clock"), 422, "parameter_invalid", "items.trials[0].time"),
        (morning_at("2060-08-32", "09:00"), 422, "parameter_invalid", "items.trials[0].trialAt"),
        (morning_at("2060-08-20", "10:00"), 404, "resource_missing", "items.trials[0].trialAt"),
        (morning_at("2060-08-20", "07:00"), 404, "resource_missing", "items.trials[0].trialAt"),
        (
            basket(&[], &[with(&trial("2060-08-20", "09:00"), json!({"classId": "cls_none"}))], none()),
            404,
            "resource_missing",
            "items.trials[0].trialAt",
        ),
        (one(term("stu_harry")), 422, "parameter_invalid", "paymentIntentId"),
        (morning(json!("p i")), 404, "resource_missing", "paymentIntentId"),
        (morning(json!("pi_none")), 422, "payment_intent_not_found", "paymentIntentId"),
    ] {
        let message = refused(&check_out(shop, mount, &body).await, status, exception);
        assert!(message.starts_with(&format!("{at}: ")), "{message}: {body}");
    }
    let passed = basket(&[], &[trial("2020-08-20", "09:00")], authorized(shop, "tok_visa", 500).await);
    refused(&check_out(shop, mount, &passed).await, 422, "session_passed");
    // What they do not document is no reason to refuse.
    let later = with(&morning(authorized(shop, "tok_visa", 500).await), json!({"a_new_field": [1]}));
    check_out(shop, mount, &later).await.expect(200);
    let path = format!("{mount}/v1/basket/fml_none/checkout");
    refused(&shop.post(&path, &morning(none())).await, 404, "not_found");
    refused(&check_out(&shop.with_key(None), mount, &morning(none())).await, 401, "unauthenticated");
    let path = format!("{mount}/v1/basket/fml_potter/checkout");
    refused(&shop.send(shop.request(Method::POST, &path).body("{")).await, 415, "unsupported_media_type");
    let broken = shop.request(Method::POST, &path).header("content-type", "application/json").body("{");
    refused(&shop.send(broken).await, 422, "json_malformed");
    refused(&shop.get(&path).await, 405, "method_not_allowed");
    refused(&shop.get("/classmanager/v1/nothing").await, 404, "not_found");
    let stranger = system.newcomer(&format!("strangers{}", mount.len()), &["--scopes", "checkouts:read"]).await;
    refused(&check_out(&stranger, mount, &morning(none())).await, 403, "scope_missing");
    refused(&quote(&stranger, mount, "fml_potter", &morning(none())["items"]).await, 404, "not_found");
    refused(&stranger.get(&format!("{mount}/v1/balances?familyId=fml_potter")).await, 404, "not_found");
    assert_eq!(stranger.get(&format!("{mount}/v1/transactions/")).await.expect(200), json!([]));
}

async fn what_a_basket_comes_to_is_told_before(shop: &Client, mount: &str) {
    let items = basket(&[enrolment("cls_ballet", "stu_harry", "pp_term")], &[trial("2060-08-20", "09:00:00")], json!(null));
    let before = shop.left("cls_ballet").await;
    let mut told = quote(shop, mount, "fml_potter", &items["items"]).await.expect(200);
    keeps_its_identity(&told["stats"]);
    assert_eq!(shop.left("cls_ballet").await, before, "a quote takes nothing");
    told["companyId"] = json!("<tenant>");
    assert_json_snapshot!("classmanager_quote", steady(&told));
    let empty = shop.get(&format!("{mount}/v1/basket/fml_potter/quote")).await.expect(200);
    assert_eq!((&empty["currency"], &empty["items"], &empty["stats"]["total"]), (&json!(null), &json!([]), &json!(0)));
    refused(&shop.get(&format!("{mount}/v1/basket/fml_none/quote")).await, 404, "not_found");
    refused(&quote(shop, mount, "fml_potter", &json!([])).await, 422, "parameter_invalid");
    refused(
        &quote(shop, mount, "fml_potter", &json!({"trials": [], "enrolments": [enrolment("cls_none", "stu_harry", "pp")]})).await,
        404,
        "resource_missing",
    );
    refused(
        &quote(shop, mount, "fml_potter", &json!({"trials": [], "enrolments": [enrolment("cls_ballet", "stu_ginny", "pp_term")]})).await,
        403,
        "participant_not_in_family",
    );
    refused(&shop.get(&format!("{mount}/v1/basket/fml_potter/quote?items={{")).await, 422, "json_malformed");
}

async fn where_nothing_is_due_nothing_is_said(shop: &Client) {
    let is_empty = |reply: Reply| assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    is_empty(check_out(shop, "", &basket(&[], &[], json!(null))).await);
    refused(&shop.post("/v1/basket/fml_none/checkout", &basket(&[], &[], json!(null))).await, 404, "not_found");
    // A free trial, and a scholarship: their places are taken.
    let (trials, places) = (shop.left("ses_free").await.0, shop.left("cls_ballet").await.0);
    is_empty(check_out(shop, "", &basket(&[], &[trial("2060-08-27", "09:00")], json!(null))).await);
    let intent = authorized(shop, "tok_visa", 100).await;
    is_empty(check_out(shop, "", &basket(&[enrolment("cls_ballet", "stu_harry", "pp_free")], &[], intent.clone())).await);
    assert_eq!((shop.left("ses_free").await.0, shop.left("cls_ballet").await.0), (trials + 1, places + 1));
    let kept = shop.get(&format!("/sandbox/payment-intents/{}", intent.as_str().unwrap())).await.expect(200);
    assert_eq!(kept["status"], "authorized", "what is not due is not taken");
}

async fn a_trial_is_at_the_time_of_day_where_the_school_is(shop: &Client) {
    let night = json!({"name": "Night", "class": "cls_night", "starts_at": "2060-10-31T00:30:00Z", "capacity": 9, "unit_amount": 0, "currency": "usd"});
    // That night there are two of 02:30 in Berlin; the first counts.
    put(shop, "sessions", "ses_first", night.clone()).await;
    put(shop, "sessions", "ses_again", with(&night, json!({"starts_at": "2060-10-31T01:30:00Z"}))).await;
    let at = |time: &str| basket(&[], &[with(&trial("2060-10-31", time), json!({"classId": "cls_night"}))], json!(null));
    assert_eq!(check_out(shop, "", &at("02:30")).await.status, 204);
    assert_eq!(check_out(shop, "", &at("02:30:00")).await.status, 204);
    assert_eq!(check_out(shop, "", &at("02:30:00")).await.status, 204, "asked again behind an answer it is one more");
    refused(&check_out(shop, "", &at("02:30:01")).await, 404, "resource_missing");
    assert_eq!((shop.left("ses_first").await.0, shop.left("ses_again").await.0), (3, 0));
}

async fn the_books_are_read_by_family(system: &System, shop: &Client) {
    put(shop, "customers", "cus_luna", json!({"external_id": "stu_luna", "family": "fml_lovegood", "name": "Luna Lovegood"})).await;
    let of = async |path: &str, more: &str| shop.get(&format!("{path}?familyId=fml_lovegood{more}")).await;
    assert_eq!(of("/v1/balances", "").await.expect(200), json!([]));
    let mut orders = Vec::new();
    for mount in MOUNTS {
        let intent = authorized_by(shop, "tok_visa", 500, "family:fml_lovegood").await;
        let body = basket(&[], &[with(&trial("2060-08-20", "09:00"), json!({"studentId": "stu_luna"}))], intent);
        let told = shop.post(&format!("{mount}/v1/basket/fml_lovegood/checkout"), &body).await.expect(200);
        orders.push(told);
    }
    for path in ["/v1/transactions/", "/v1/transactions", "/classmanager/v1/transactions/"] {
        let listed = of(path, "").await.expect(200);
        let expected: Vec<Value> = orders.iter().rev().flat_map(|told| told.as_array().unwrap().clone()).collect();
        assert_eq!(listed, json!(expected), "{path}");
    }
    let page = of("/classmanager/v1/transactions/", "&limit=1").await;
    let next = page.header("link").unwrap().strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
    // Beside the page itself, as addresses are read (RFC 3986, 5.2).
    assert!(next.starts_with('?'), "{next}");
    let next = format!("/classmanager/v1/transactions/{next}");
    assert_eq!((page.expect(200), shop.get(&next).await.expect(200)), (orders[1].clone(), orders[0].clone()));
    let balance = async || of("/v1/balances", "").await.expect(200)[0].clone();
    let money = |charged: i64, paid: i64| json!([charged, paid, charged - paid, "usd", "fml_lovegood", "Lovegood"]);
    let shown =
        |view: &Value| json!([view["charged"], view["paid"], view["balance"], view["currency"], view["familyId"], view["familyName"]]);
    assert_eq!(shown(&balance().await), money(1000, 1000));
    // One of them is given back.
    let order = orders[0][0]["transaction"]["orderId"].as_str().unwrap();
    let refund =
        shop.request(Method::POST, &format!("/v1/checkouts/{order}/refunds")).header("idempotency-key", fresh_key()).json(&json!({}));
    let refund = shop.send(refund).await.expect(202);
    shop.eventually(&format!("/v1/refunds/{}", refund["id"].as_str().unwrap()), |refund| refund["status"] == "succeeded").await;
    assert_eq!(shown(&balance().await), money(500, 500));
    let back = of("/v1/transactions/", "&limit=2").await.expect(200);
    let told =
        |told: &Value| [&told["transaction"]["type"], &told["details"][0]["details"]["type"], &told["stats"]["total"]].map(Clone::clone);
    let kinds: Vec<_> = back.as_array().unwrap().iter().map(told).collect();
    let promised = [json!("credit"), json!("credit-note"), json!(500)];
    assert_eq!(kinds, [[json!("debit"), json!("refund"), json!(500)], promised], "{back}");
    refused(&shop.get("/v1/balances?familyId=fml_none").await, 404, "not_found");
    refused(&shop.get("/v1/transactions/?familyId=fml_none").await, 404, "not_found");
    refused(&shop.get("/v1/transactions/?limit=0").await, 422, "parameter_invalid");
    let everybody = shop.get("/v1/balances").await.expect(200);
    assert!(everybody.as_array().unwrap().iter().any(|view| view["currency"] == "usd" && view["familyId"] == json!(null)), "{everybody}");
    let stranger = system.newcomer("elsewhere", &[]).await;
    assert_eq!(stranger.get("/v1/balances").await.expect(200), json!([]));
}

async fn the_books_are_the_same_as_of_a_sale_of_ours(shop: &Client) {
    let told = check_out(shop, "", &morning(authorized(shop, "tok_visa", 500).await)).await.expect(200);
    let line = json!({"type": "session", "session": "ses_paid", "participants": [{"customer": "cus_harry"}]});
    let methods = json!({"methods": [{"type": "payment_intent", "id": authorized(shop, "tok_visa", 500).await}]});
    let ours = shop.buy(&json!({"currency": "usd", "customer": "cus_harry", "lines": [line], "payment": methods})).await;
    shop.books_agree(&told[0]["transaction"]["orderId"], &ours["id"]).await;
}
