//! A client that is written for ClassManager's basket checkout changes its base URL and its key.

use crate::support::{
    catalogue::{put, with},
    client::{Client, Reply, fresh_key},
    system::System,
};
use boxoffice_testkit::snapshot::steady;
use futures::future::join_all;
use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// A provider is waited for longer than an answer waits.
pub const SLOW: &[(&str, &str)] = &[("BOXOFFICE_PROVIDER_TIMEOUT_MS", "12000"), ("BOXOFFICE_LEASE_MS", "20000")];
/// Where it is mounted: as published, and whole.
const MOUNTS: [&str; 2] = ["", "/classmanager"];

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

/// A school in Berlin with a class, its occurrences, and two families.
async fn school(shop: &Client) {
    assert_eq!(shop.put("/v1/settings", &json!({"time_zone": "Europe/Berlin"})).await.status, 200);
    let plans =
        json!([{"id": "pp_term", "name": "Whole term", "unit_amount": 12_000}, {"id": "pp_free", "name": "Scholarship", "unit_amount": 0}]);
    let class = json!({"name": "Ballet", "starts_at": "2060-08-16T07:00:00Z", "capacity": 90, "unit_amount": 1500, "currency": "usd", "pricing_plans": plans});
    put(shop, "sessions", "cls_ballet", with(&class, json!({"tax_rate_bp": 1000}))).await;
    put(shop, "sessions", "cls_full", with(&class, json!({"capacity": 0}))).await;
    put(shop, "sessions", "cls_yen", with(&class, json!({"currency": "jpy"}))).await;
    put(shop, "sessions", "cls_infants", with(&class, json!({"max_age": 5}))).await;
    let trial = json!({"name": "Ballet, a morning", "class": "cls_ballet", "starts_at": "2060-08-20T07:00:00Z", "capacity": 50, "unit_amount": 500, "currency": "usd"});
    put(shop, "sessions", "ses_paid", trial.clone()).await;
    // Called off, and first by its id.
    put(shop, "sessions", "ses_off", with(&trial, json!({"status": "canceled"}))).await;
    put(shop, "sessions", "ses_free", with(&trial, json!({"starts_at": "2060-08-27T07:00:00Z", "unit_amount": 0, "capacity": 9}))).await;
    put(shop, "sessions", "ses_passed", with(&trial, json!({"starts_at": "2020-08-20T07:00:00Z"}))).await;
    for (id, external, family, name) in [
        ("cus_lily", "mum", "fml_potter", "Lily Potter"),
        ("cus_harry", "stu_harry", "fml_potter", "Harry Potter"),
        ("cus_ginny", "stu_ginny", "fml_weasley", "Ginny Weasley"),
    ] {
        let person = json!({"external_id": external, "family": family, "name": name, "date_of_birth": "2014-01-01"});
        put(shop, "customers", id, person).await;
    }
}

async fn authorized(shop: &Client, token: &str, amount: i64) -> Value {
    authorized_by(shop, token, amount, "family:fml_potter").await
}

async fn authorized_by(shop: &Client, token: &str, amount: i64, owner: &str) -> Value {
    let intent = json!({"token": token, "amount": amount, "currency": "usd", "owner": owner});
    shop.post("/sandbox/payment-intents", &intent).await.expect(201)["id"].clone()
}

fn enrolment(class: &str, student: &str, plan: &str) -> Value {
    json!({"classId": class, "studentId": student, "pricingPlanId": plan})
}

fn trial(date: &str, time: &str) -> Value {
    json!({"classId": "cls_ballet", "studentId": "stu_harry", "trialAt": date, "time": time})
}

fn basket(enrolments: &[Value], trials: &[Value], intent: Value) -> Value {
    json!({"items": {"enrolments": enrolments, "trials": trials}, "paymentIntentId": intent})
}

/// A trial that costs 500.
fn morning(intent: Value) -> Value {
    basket(&[], &[trial("2060-08-20", "09:00")], intent)
}

async fn check_out(shop: &Client, mount: &str, body: &Value) -> Reply {
    shop.post(&format!("{mount}/v1/basket/fml_potter/checkout"), body).await
}

async fn quote(shop: &Client, mount: &str, family: &str, items: &Value) -> Reply {
    let items: String = items.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    shop.get(&format!("{mount}/v1/basket/{family}/quote?items={items}")).await
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

#[track_caller]
fn refused(reply: &Reply, status: u16, exception: &str) -> String {
    let body = reply.json();
    assert_eq!((reply.status, body["exception"].as_str()), (status, Some(exception)), "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!((&body["statusCode"], body.as_object().unwrap().len()), (&json!(status), 3), "{body}");
    body["messages"][0].as_str().unwrap().to_owned()
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

async fn an_intent_pays_one_basket_once(system: &System, shop: &Client) {
    let not_with = async |intent: Value, exception: &str| {
        refused(&check_out(shop, "", &morning(intent)).await, 422, exception);
    };
    not_with(authorized(shop, "tok_visa", 499).await, "payment_intent_amount_mismatch").await;
    not_with(authorized_by(shop, "tok_visa", 500, "family:fml_weasley").await, "payment_intent_owner_mismatch").await;
    let euros = json!({"token": "tok_visa", "amount": 500, "currency": "eur", "owner": "family:fml_potter"});
    not_with(shop.post("/sandbox/payment-intents", &euros).await.expect(201)["id"].clone(), "payment_intent_currency_mismatch").await;
    let stranger = system.newcomer("other-school", &[]).await;
    not_with(authorized(&stranger, "tok_visa", 500).await, "payment_intent_not_found").await;
    not_with(authorized(shop, "tok_timeout_declined", 500).await, "generic_decline").await;
    let card = shop.post("/sandbox/payment-intents", &with(&euros, json!({"token": "tok_declined"}))).await;
    assert_eq!(card.expect_problem(422, "card_declined")["param"], "token");
    let intent = authorized(shop, "tok_visa", 500).await;
    check_out(shop, "", &morning(intent.clone())).await.expect(200);
    let another = basket(&[], &[trial("2060-08-20", "09:00:00")], intent);
    refused(&check_out(shop, "", &another).await, 422, "payment_intent_used");
    // By any name of who pays, too.
    for owner in ["external_id:stu_harry", "customer:cus_harry"] {
        check_out(shop, "", &morning(authorized_by(shop, "tok_visa", 500, owner).await)).await.expect(200);
    }
    // Of eight who come with one at the same time one pays, and the places of the others are free again.
    let (intent, before) = (authorized(shop, "tok_visa", 500).await, shop.left("ses_paid").await);
    let keyed = || {
        let request = shop.request(Method::POST, "/v1/basket/fml_potter/checkout");
        shop.send(request.header("idempotency-key", fresh_key()).json(&morning(intent.clone())))
    };
    let replies = join_all((0..8).map(|_| keyed())).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1, "{replies:?}");
    replies.iter().filter(|reply| reply.status != 200).for_each(|reply| drop(refused(reply, 422, "payment_intent_used")));
    assert_eq!(shop.left("ses_paid").await.0, before.0 + 1);
    a_native_checkout_pays_with_one(shop).await;
}

async fn a_native_checkout_pays_with_one(shop: &Client) {
    let methods = |intent: &Value, rest: &[Value]| {
        let mut methods = vec![json!({"type": "payment_intent", "id": intent})];
        methods.extend(rest.iter().cloned());
        json!({"currency": "usd", "customer": "cus_harry", "lines": [{"type": "custom", "name": "Shoes", "unit_amount": 800}], "payment": {"methods": methods}})
    };
    let sale = shop.buy(&methods(&authorized(shop, "tok_visa", 800).await, &[])).await;
    assert_eq!((&sale["status"], &sale["amount_paid"]), (&json!("succeeded"), &json!(800)), "{sale}");
    let id = sale["id"].as_str().unwrap();
    let refund = shop
        .request(Method::POST, &format!("/v1/checkouts/{id}/refunds"))
        .header("idempotency-key", fresh_key())
        .json(&json!({"amount": 300}));
    let refund = shop.send(refund).await.expect(202);
    shop.eventually(&format!("/v1/refunds/{}", refund["id"].as_str().unwrap()), |refund| refund["status"] == "succeeded").await;
    assert_eq!(shop.charges(id).await[0]["amount_refunded"], 300);
    let lost = shop.buy(&methods(&authorized(shop, "tok_timeout_not_charged", 800).await, &[])).await;
    assert_eq!((&lost["status"], shop.charged(lost["id"].as_str().unwrap()).await), (&json!("succeeded"), vec!["captured".to_owned()]));
    // Beside a card that is refused it is given up, and beside one that is not both are taken.
    let split = |token: &str| json!({"type": "card", "token": token, "amount": 300});
    let both = shop.buy(&methods(&authorized(shop, "tok_visa", 500).await, &[split("tok_visa")])).await;
    assert_eq!((&both["status"], shop.charged(both["id"].as_str().unwrap()).await.len()), (&json!("succeeded"), 2), "{both}");
    let undone = shop.buy(&methods(&authorized(shop, "tok_visa", 500).await, &[split("tok_declined")])).await;
    assert_eq!(undone["status"], "failed", "{undone}");
    let charged = shop.charged(undone["id"].as_str().unwrap()).await;
    assert!(charged.iter().any(|status| status == "voided") && !charged.iter().any(|status| status == "captured"), "{charged:?}");
    let used = shop.buy(&methods(&json!("pi_1_0000000000000000"), &[])).await;
    assert_eq!((&used["error"]["code"], &used["error"]["decline_code"]), (&json!("payment_failed"), &json!("payment_intent_not_found")));
    let guest = json!({"currency": "usd", "lines": [{"type": "custom", "name": "Shoes", "unit_amount": 800}], "payment": {"methods": [{"type": "payment_intent", "id": "pi_1"}]}});
    shop.refused(&guest).await.expect_problem(400, "parameter_missing");
}

async fn a_key_and_no_key(shop: &Client) {
    let body = morning(authorized(shop, "tok_visa", 500).await);
    let key = fresh_key();
    let keyed = async |mount: &str, body: &Value| {
        let request = shop.request(Method::POST, &format!("{mount}/v1/basket/fml_potter/checkout"));
        shop.send(request.header("idempotency-key", &key).json(body)).await
    };
    let first = keyed("", &body).await.expect(200);
    let again = keyed("/classmanager", &body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(200), first, "wherever it is mounted");
    let other = morning(authorized(shop, "tok_visa", 500).await);
    refused(&keyed("", &other).await, 422, "idempotency_key_reused");
    // What was sold is told, whatever has become of the family since.
    let harry = |family: &str| json!({"external_id": "stu_harry", "family": family, "name": "Harry Potter", "date_of_birth": "2014-01-01"});
    put(shop, "customers", "cus_harry", harry("fml_dursley")).await;
    assert_eq!(keyed("", &body).await.expect(200)[0]["transaction"]["orderId"], first[0]["transaction"]["orderId"]);
    refused(&check_out(shop, "", &other).await, 403, "participant_not_in_family");
    put(shop, "customers", "cus_harry", harry("fml_potter")).await;
    // An intent pays once: the same request without a key can mean nothing but that sale.
    let sold = check_out(shop, "", &other).await.expect(200);
    assert_eq!(check_out(shop, "", &other).await.expect(200), sold);
}

/// The provider takes its time, and the client's patience ends first, twice.
async fn a_client_that_heard_nothing_is_not_charged_again(shop: &Client) {
    let (intent, before) = (authorized(shop, "tok_timeout_charged", 500).await, shop.left("ses_paid").await.0);
    let body = morning(intent);
    for _ in 0..2 {
        let request = shop.request(Method::POST, "/v1/basket/fml_potter/checkout").timeout(Duration::from_millis(700)).json(&body);
        assert!(request.send().await.is_err(), "the provider is slower than this");
    }
    let (told, twin) = tokio::join!(check_out(shop, "", &body), check_out(shop, "/classmanager", &body));
    let (told, twin) = (told.expect(200), twin.expect(200));
    assert_eq!(told, twin);
    assert_eq!(shop.left("ses_paid").await.0, before + 1);
    assert_eq!(shop.charged(told[0]["transaction"]["orderId"].as_str().unwrap()).await, ["captured"]);
}

/// A provider that takes longer than an answer waits: the answer leaves the request open, and the same one finds the same sale.
pub async fn slow(system: &System) {
    let shop = system.shop();
    school(&shop).await;
    let body = morning(authorized(&shop, "tok_timeout_charged", 500).await);
    let first = check_out(&shop, "", &body).await;
    refused(&first, 503, "processing");
    assert!(first.header("retry-after").is_some());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let told = loop {
        let reply = check_out(&shop, "/classmanager", &body).await;
        assert!(matches!(reply.status, 200 | 503) && tokio::time::Instant::now() < deadline, "{}", reply.text);
        if reply.status == 200 {
            break reply.json();
        }
    };
    assert_eq!(shop.charged(told[0]["transaction"]["orderId"].as_str().unwrap()).await, ["captured"]);
    assert_eq!(shop.left("ses_paid").await.0, 1);
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
    let theirs = told[0]["transaction"]["orderId"].as_str().unwrap().to_owned();
    let line = json!({"type": "session", "session": "ses_paid", "participants": [{"customer": "cus_harry"}]});
    let methods = json!({"methods": [{"type": "payment_intent", "id": authorized(shop, "tok_visa", 500).await}]});
    let ours = shop.buy(&json!({"currency": "usd", "customer": "cus_harry", "lines": [line], "payment": methods})).await;
    let mut books = Vec::new();
    for id in [theirs.as_str(), ours["id"].as_str().unwrap()] {
        let found = shop.get(&format!("/v1/ledger/transactions?checkout={id}")).await.expect(200);
        let data = found["data"].as_array().unwrap().clone();
        let entries = data.iter().flat_map(|transaction| transaction["entries"].as_array().unwrap().clone());
        books.push(entries.map(|entry| (entry["type"].clone(), entry["account"].clone(), entry["amount"].clone())).collect::<Vec<_>>());
    }
    assert!(!books[0].is_empty());
    assert_eq!(books[0], books[1]);
}
