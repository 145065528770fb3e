//! A client that is written for BokaMera's Stripe checkout changes its base URL and its key.

use super::hosted::Browser;
use crate::support::{
    catalogue::{put, session, with},
    client::{Client, Reply, fresh_key},
    system::System,
};
use boxoffice_testkit::snapshot::steady;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Where it is mounted: as published, and whole.
const MOUNTS: [&str; 2] = ["", "/bokamera"];
const PATH: &str = "/payment/stripe/v1/checkout";
const COMPANY: &str = "6f9619ff-8b86-d011-b42d-00c04fc964ff";

pub async fn story(system: &System) {
    let shop = system.shop();
    let published: Value = serde_json::from_str(include_str!("../fixtures/bokamera_checkout.json")).unwrap();
    put(&shop, "sessions", "41", session(50)).await;
    put(&shop, "memberships", "42", json!({"name": "Ten", "unit_amount": 9000, "currency": "usd", "type": "pack", "credits": 10})).await;
    put(&shop, "products", "43", json!({"name": "Mat", "unit_amount": 2500, "currency": "usd"})).await;
    put(&shop, "products", "44", json!({"name": "Matta", "unit_amount": 25000, "currency": "sek"})).await;
    put(&shop, "sessions", "45", session(1)).await;
    for mount in MOUNTS {
        what_is_published_is_answered_as_published(&shop, mount, &published).await;
        what_cannot_be_done_is_said_in_their_words(system, &shop, mount, &published["requests"]["hosted"]).await;
    }
    a_company_of_another_name_is_refused(&shop).await;
    a_newer_one_takes_the_place_of_an_open_one(&shop).await;
    names_come_in_any_case_and_endings_change_nothing(&shop).await;
    an_answer_can_be_a_call_of_a_function(&shop).await;
    a_key_comes_in_either_header(&shop).await;
    a_key_and_no_key(&shop).await;
    many_at_once_leave_one_open(&shop).await;
}

async fn create(shop: &Client, mount: &str, body: &Value) -> Reply {
    shop.post(&format!("{mount}{PATH}"), body).await
}

async fn status(shop: &Client, mount: &str, session: &Value) -> Value {
    shop.post(&format!("{mount}{PATH}/status"), &json!({"CompanyId": COMPANY, "SessionId": session})).await.expect(200)
}

fn order(article: i64, kind: i64, reference: &str) -> Value {
    let articles = json!([{"ArticleId": article, "ArticleTypeId": kind, "Quantity": 1}]);
    json!({"CompanyId": COMPANY, "CountryCode": "SE", "Articles": articles, "InternalReferenceId": reference})
}

/// Every documented field is there, of the documented type, and nothing else.
fn has_the_shape(answer: &Value, schema: &Value) {
    let fields = schema.as_object().unwrap();
    assert!(fields.keys().all(|field| answer[field].is_string()), "{answer}");
    assert_eq!(answer.as_object().unwrap().len(), fields.len(), "{answer}");
}

async fn what_is_published_is_answered_as_published(shop: &Client, mount: &str, published: &Value) {
    for name in ["hosted", "embedded"] {
        let reply = create(shop, mount, &published["requests"][name]).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{}", reply.text);
        let opened = reply.json();
        has_the_shape(&opened, &published["checkout"]);
        if mount.is_empty() {
            // Each deployment has a tenant of its own.
            let told = with(&opened, json!({"StripeAccount": "tenant"}));
            insta::assert_json_snapshot!(format!("bokamera_{name}"), steady(&told));
        }
        let id = opened["SessionId"].as_str().unwrap();
        let url = opened["Url"].as_str().unwrap();
        let link = url.rsplit_once("/pay/").unwrap().1;
        assert!(link.starts_with(id) && opened["Status"] == "open", "{opened}");
        assert_eq!(opened["ClientSecret"], if name == "embedded" { link } else { "" }, "{opened}");
        let ours = shop.checkout(id).await;
        let told = ["status", "reference", "currency", "success_url", "customer"].map(|field| ours[field].clone());
        let customer = if name == "embedded" { opened["CustomerId"].clone() } else { Value::Null };
        let expected = [
            json!("awaiting_payment"),
            published["requests"][name]["InternalReferenceId"].clone(),
            json!("usd"),
            json!("https://shop.example/confirmed"),
            customer,
        ];
        assert_eq!((told, &ours["metadata"]), (expected, &json!({"CountryCode": "SE"})), "{ours}");
        assert_eq!(ours["amount_total"], if name == "embedded" { 9000 } else { 2 * 1500 + 2500 }, "{ours}");
        let now = status(shop, mount, &opened["SessionId"]).await;
        has_the_shape(&now, &published["status"]);
        assert_eq!(now, json!({"CustomerEmail": "", "Status": "open"}));
        let browser = Browser { http: shop.with_key(None), url: url.to_owned(), id: id.to_owned(), from: None };
        browser.pay("tok_visa").await;
        shop.until(id, "succeeded").await;
        assert_eq!(status(shop, mount, &opened["SessionId"]).await["Status"], "complete");
        assert_eq!(shop.charged(id).await, ["captured"]);
    }
}

#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str, field: Option<&str>) {
    let body = reply.json();
    let said = &body["ResponseStatus"];
    assert_eq!(
        (reply.status, &said["ErrorCode"], reply.header("content-type")),
        (status, &json!(code), Some("application/json")),
        "{}",
        reply.text
    );
    assert!(said["Message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    let errors = match field {
        Some(field) => json!([{"ErrorCode": code, "FieldName": field, "Message": said["Message"], "Meta": {}}]),
        None => json!([]),
    };
    assert_eq!(body, json!({"ResponseStatus": {"ErrorCode": code, "Message": said["Message"], "Errors": errors, "Meta": {}}}));
}

async fn what_cannot_be_done_is_said_in_their_words(system: &System, shop: &Client, mount: &str, good: &Value) {
    let but = |more: Value| with(good, more);
    let article = |more: Value| with(good, json!({"Articles": [with(&json!({"ArticleId": 41, "ArticleTypeId": 1, "Quantity": 1}), more)]}));
    let without = |field: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        body
    };
    for (body, code, field) in [
        (without("CompanyId"), "parameter_missing", "CompanyId"),
        (without("CountryCode"), "parameter_missing", "CountryCode"),
        (without("Articles"), "parameter_missing", "Articles"),
        (without("InternalReferenceId"), "parameter_missing", "InternalReferenceId"),
        (but(json!({"CompanyId": "String"})), "parameter_invalid", "CompanyId"),
        (but(json!({"CompanyId": null})), "parameter_invalid", "CompanyId"),
        (but(json!({"CountryCode": "String"})), "parameter_invalid", "CountryCode"),
        (but(json!({"CountryCode": "XX"})), "parameter_invalid", "CountryCode"),
        (but(json!({"Articles": []})), "parameter_invalid", "Articles"),
        (but(json!({"Articles": vec![json!({"ArticleId": 41}); 51]})), "parameter_invalid", "Articles"),
        (but(json!({"InternalReferenceId": ""})), "parameter_invalid", "InternalReferenceId"),
        (but(json!({"InternalReferenceId": "x".repeat(256)})), "parameter_invalid", "InternalReferenceId"),
        (but(json!({"InternalReferenceId": "4242424242424242"})), "card_number_refused", "InternalReferenceId"),
        (but(json!({"ConfirmationUrl": "javascript:alert(1)"})), "parameter_invalid", "ConfirmationUrl"),
        (but(json!({"CancelUrl": "shop"})), "parameter_invalid", "CancelUrl"),
        (but(json!({"UiMode": "String"})), "parameter_invalid", "UiMode"),
        (but(json!({"UiMode": "embedded"})), "parameter_invalid", "CancelUrl"),
        (but(json!({"companyid": COMPANY})), "duplicate_key", "CompanyId"),
        (article(json!({"ArticleId": null})), "parameter_missing", "Articles[0].ArticleId"),
        (article(json!({"ArticleId": "41"})), "parameter_invalid", "Articles[0].ArticleId"),
        (article(json!({"ArticleId": 4711})), "resource_missing", "Articles[0].ArticleId"),
        (article(json!({"ArticleTypeId": 3})), "resource_missing", "Articles[0].ArticleId"),
        (article(json!({"ArticleTypeId": 0})), "resource_missing", "Articles[0].ArticleTypeId"),
        (article(json!({"Quantity": 0})), "parameter_invalid", "Articles[0].Quantity"),
        (article(json!({"Quantity": 1001})), "parameter_invalid", "Articles[0].Quantity"),
        (article(json!({"quantity": 2})), "duplicate_key", "Quantity"),
    ] {
        refused(&create(shop, mount, &body).await, 400, code, Some(field));
    }
    let mixed = but(json!({"Articles": [{"ArticleId": 43, "ArticleTypeId": 3}, {"ArticleId": 44, "ArticleTypeId": 3}]}));
    refused(&create(shop, mount, &mixed).await, 400, "currency_mismatch", Some("Articles[1]"));
    // What can be told only behind the answer of others is told here, too.
    let full = with(&order(45, 1, "full"), json!({"Articles": [{"ArticleId": 45, "Quantity": 2}]}));
    refused(&create(shop, mount, &full).await, 400, "session_full", Some("Articles[0]"));
    assert_eq!(create(shop, mount, &but(json!({"ANewField": [1], "CancelUrl": "", "ConfirmationUrl": null}))).await.status, 200);

    let path = format!("{mount}{PATH}");
    refused(&create(&shop.with_key(None), mount, good).await, 401, "unauthenticated", None);
    refused(&shop.send(shop.request(Method::POST, &path).body("{")).await, 415, "unsupported_media_type", None);
    let send =
        async |body: String| shop.send(shop.request(Method::POST, &path).header("content-type", "application/json").body(body)).await;
    refused(&send("{".to_owned()).await, 400, "json_malformed", None);
    refused(&send("[]".to_owned()).await, 400, "parameter_invalid", None);
    refused(&send(format!("{{\"x\":\"{}\"}}", "x".repeat(300 * 1024))).await, 413, "body_too_large", None);
    refused(&shop.get(&path).await, 405, "method_not_allowed", None);
    refused(&shop.get(&format!("{path}/nothing")).await, 404, "not_found", None);
    let ask = async |client: &Client, body: Value| client.post(&format!("{path}/status"), &body).await;
    refused(&ask(shop, json!({"CompanyId": COMPANY, "SessionId": "chk_none"})).await, 404, "not_found", None);
    refused(&ask(shop, json!({"CompanyId": COMPANY, "SessionId": "cs test"})).await, 404, "not_found", None);
    refused(&ask(shop, json!({"CompanyId": COMPANY})).await, 400, "parameter_missing", Some("SessionId"));
    let opened = create(shop, mount, good).await.expect(200);
    let stranger = system.newcomer(&format!("bokas{}", mount.len()), &["--scopes", "checkouts:read"]).await;
    refused(&ask(&stranger, json!({"CompanyId": COMPANY, "SessionId": opened["SessionId"]})).await, 404, "not_found", None);
    refused(&create(&stranger, mount, good).await, 403, "scope_missing", None);
    // Too many to be called off at once.
    let reference = format!("many{}", mount.len());
    let native =
        json!({"currency": "usd", "lines": [{"type": "product", "product": "43"}], "payment": {"hosted": {}}, "reference": reference});
    join_all((0..=100).map(|_| async { shop.order(&native).await })).await;
    refused(&create(shop, mount, &order(41, 1, &reference)).await, 409, "too_many_open", Some("InternalReferenceId"));
    for checkout in of_reference(shop, &reference).await {
        shop.post(&format!("/v1/checkouts/{}/cancel", checkout["id"].as_str().unwrap()), &json!({})).await.expect(200);
    }
}

async fn of_reference(shop: &Client, reference: &str) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().map_or_else(String::new, |last| format!("&cursor={}", last["id"].as_str().unwrap()));
        let page = shop.get(&format!("/v1/checkouts?limit=100&reference={reference}{after}")).await.expect(200);
        all.extend(page["data"].as_array().unwrap().clone());
        if page["next_cursor"].is_null() {
            return all;
        }
    }
}

async fn a_company_of_another_name_is_refused(shop: &Client) {
    let other = with(&order(41, 1, "company"), json!({"CompanyId": "00000000-0000-0000-0000-000000000001"}));
    assert_eq!(create(shop, "", &other).await.status, 200, "nobody has said what it is called");
    assert_eq!(shop.put("/v1/settings", &json!({"company_id": COMPANY.to_uppercase()})).await.expect(200)["company_id"], COMPANY);
    // Another process may believe the old settings for a moment.
    let other = with(&other, json!({"InternalReferenceId": "company-2"}));
    shop.eventually("/v1/settings", |settings| settings["company_id"] == COMPANY).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    refused(&create(shop, "", &other).await, 400, "parameter_invalid", Some("CompanyId"));
    let ask = json!({"CompanyId": other["CompanyId"], "SessionId": "chk_1"});
    refused(&shop.post(&format!("{PATH}/status"), &ask).await, 400, "parameter_invalid", Some("CompanyId"));
    let braced = with(&order(41, 1, "company-3"), json!({"CompanyId": format!("{{{}}}", COMPANY.to_uppercase())}));
    assert_eq!(create(shop, "", &braced).await.status, 200);
}

async fn a_newer_one_takes_the_place_of_an_open_one(shop: &Client) {
    let body = with(&order(45, 1, "booking-9"), json!({"CancelUrl": "https://shop.example/back"}));
    let older = create(shop, "", &body).await.expect(200);
    let newer = create(shop, "/bokamera", &with(&body, json!({"CountryCode": "no"}))).await.expect(200);
    assert_ne!(older["SessionId"], newer["SessionId"]);
    let now = async |one: &Value| status(shop, "", &one["SessionId"]).await["Status"].clone();
    assert_eq!((now(&older).await, now(&newer).await), (json!("expired"), json!("open")));
    assert_eq!(shop.left("45").await, (0, 1, 0), "the only place went from the one to the other");
    let page = shop.with_key(None).get(older["Url"].as_str().unwrap()).await;
    assert!(page.status == 200 && page.text.contains("A newer order took the place of this one") && !page.text.contains("shop.example"));
    let browser = Browser {
        http: shop.with_key(None),
        url: newer["Url"].as_str().unwrap().to_owned(),
        id: newer["SessionId"].as_str().unwrap().to_owned(),
        from: None,
    };
    browser.pay("tok_visa").await;
    let id = newer["SessionId"].as_str().unwrap();
    assert_eq!(shop.until(id, "succeeded").await["metadata"]["CountryCode"], "NO");
    // What is paid is left alone.
    let more = create(shop, "", &order(41, 1, "booking-9")).await.expect(200);
    assert_eq!((now(&newer).await, now(&more).await), (json!("complete"), json!("open")));
}

async fn names_come_in_any_case_and_endings_change_nothing(shop: &Client) {
    let body = json!({
        "companyId": COMPANY, "countrycode": "se", "ARTICLES": [{"articleId": 41, "ARTICLETYPEID": 1, "quantity": 1}],
        "internalReferenceID": "any-case", "uimode": "Hosted",
    });
    for (at, path) in [PATH.to_owned(), format!("{PATH}.json"), format!("{PATH}?format=json"), format!("/bokamera{PATH}.json?Format=JSON")]
        .into_iter()
        .enumerate()
    {
        let body = with(&body, json!({"internalReferenceID": format!("any-case-{at}")}));
        let accept = shop.request(Method::POST, &path).header("accept", "application/xml").json(&body);
        let reply = shop.send(accept).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{path}: {}", reply.text);
        let ask = json!({"COMPANYID": COMPANY, "sessionid": reply.json()["SessionId"]});
        let ending = if path.contains(".json") { ".json" } else { "" };
        let now = shop.post(&format!("{PATH}/status{ending}?format=json"), &ask).await.expect(200);
        assert_eq!(now["Status"], "open");
    }
    refused(&shop.post(&format!("{PATH}?format=xml"), &body).await, 400, "parameter_invalid", Some("format"));
}

async fn an_answer_can_be_a_call_of_a_function(shop: &Client) {
    let called = |reply: &Reply, name: &str| {
        assert_eq!(reply.header("content-type"), Some("application/javascript; charset=utf-8"), "{}", reply.text);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let json = reply.text.strip_prefix(&format!("/**/{name}(")).and_then(|rest| rest.strip_suffix(");"));
        serde_json::from_str::<Value>(json.unwrap_or_else(|| panic!("{}", reply.text))).unwrap()
    };
    let made = shop.post(&format!("{PATH}?callback=shop.answered"), &order(41, 1, "script")).await;
    assert_eq!((made.status, &called(&made, "shop.answered")["Status"]), (200, &json!("open")));
    let ask = json!({"CompanyId": COMPANY, "SessionId": called(&made, "shop.answered")["SessionId"]});
    let now = shop.post(&format!("/bokamera{PATH}/status.json?callback=$f"), &ask).await;
    assert_eq!(called(&now, "$f"), json!({"CustomerEmail": "", "Status": "open"}));
    // So is what is wrong, whoever says it.
    let missing = shop.post(&format!("{PATH}/status?callback=f"), &with(&ask, json!({"SessionId": "chk_none"}))).await;
    assert_eq!((missing.status, &called(&missing, "f")["ResponseStatus"]["ErrorCode"]), (404, &json!("not_found")));
    let nobody = shop.with_key(None).post(&format!("{PATH}?callback=f"), &order(41, 1, "script")).await;
    assert_eq!((nobody.status, &called(&nobody, "f")["ResponseStatus"]["ErrorCode"]), (401, &json!("unauthenticated")));
    // A script element sends a GET, and no key.
    let element = shop.with_key(None).get(&format!("{PATH}?callback=f")).await;
    assert_eq!((element.status, &called(&element, "f")["ResponseStatus"]["ErrorCode"]), (405, &json!("method_not_allowed")));
    for bad in ["alert(1)", "f;g", "f%3C/script%3E", "", "f&callback=g"] {
        let reply = shop.post(&format!("{PATH}?callback={bad}"), &order(41, 1, "never")).await;
        let code = if bad.contains('&') { "duplicate_key" } else { "parameter_invalid" };
        refused(&reply, 400, code, Some("callback"));
    }
    assert!(of_reference(shop, "never").await.is_empty());
    // Two characters that end a line in old scripts.
    let odd = shop
        .post(
            &format!("{PATH}?callback=f"),
            &with(&order(41, 1, "odd"), json!({"Articles": [{"ArticleId": 41, "\u{2028}": {"a": 1, "A": 2}}]})),
        )
        .await;
    assert!(odd.status == 400 && !odd.text.contains('\u{2028}'), "{}", odd.text);
}

async fn a_key_comes_in_either_header(shop: &Client) {
    let nobody = shop.with_key(None);
    let with_header = async |path: &str, key: &str| {
        nobody.send(nobody.request(Method::POST, path).header("x-api-key", key).json(&order(41, 1, &fresh_key()))).await
    };
    for mount in MOUNTS {
        assert_eq!(with_header(&format!("{mount}{PATH}"), shop.key()).await.status, 200);
        refused(&with_header(&format!("{mount}{PATH}"), "bo_test_wrong").await, 401, "unauthenticated", None);
    }
    // `Authorization` goes first, and nobody else's clients have the header.
    let both = shop.with_key(Some("bo_test_wrong"));
    let both = both.send(both.request(Method::POST, PATH).header("x-api-key", shop.key()).json(&order(41, 1, "both"))).await;
    refused(&both, 401, "unauthenticated", None);
    // What is no key of ours, a login elsewhere, hides none.
    let login = shop.with_key(Some("eyJhbGciOiJIUzI1NiJ9.e30.x"));
    let login = login.send(login.request(Method::POST, PATH).header("x-api-key", shop.key()).json(&order(41, 1, "login"))).await;
    assert_eq!(login.status, 200, "{}", login.text);
    with_header("/v1/checkouts", shop.key()).await.expect_problem(401, "unauthenticated");
    assert_eq!(with_header("/v1/checkout", shop.key()).await.status, 401);
}

async fn a_key_and_no_key(shop: &Client) {
    let body = order(41, 1, "keyed");
    let key = fresh_key();
    let keyed =
        async |path: &str, body: &Value| shop.send(shop.request(Method::POST, path).header("idempotency-key", &key).json(body)).await;
    let first = keyed(PATH, &body).await.expect(200);
    let again = keyed(&format!("/bokamera{PATH}.json"), &body).await;
    assert_eq!((again.header("idempotent-replayed"), again.json()), (Some("true"), first.clone()), "wherever it is mounted");
    let other_case = json!({"companyid": COMPANY, "countrycode": "SE", "articles": body["Articles"], "internalreferenceid": "keyed"});
    assert_eq!(keyed(PATH, &other_case).await.expect(200), first, "it is the same request");
    refused(&keyed(PATH, &order(41, 1, "other")).await, 400, "idempotency_key_reused", None);
    // A newer one takes its place; the key still answers for the first, and says how that stands by now.
    let newer = create(shop, "", &body).await.expect(200);
    let told = keyed(PATH, &body).await.expect(200);
    assert_eq!((&told["SessionId"], &told["Status"]), (&first["SessionId"], &json!("expired")));
    assert_eq!(status(shop, "", &newer["SessionId"]).await["Status"], "open");
}

async fn many_at_once_leave_one_open(shop: &Client) {
    let bodies: Vec<Value> =
        (0..10).map(|n| with(&order(41, 1, "crowd"), json!({"ConfirmationUrl": format!("https://shop.example/{n}")}))).collect();
    let opened = join_all(bodies.iter().map(|body| async { create(shop, "", body).await.expect(200) })).await;
    let stand = join_all(opened.iter().map(|one| async { status(shop, "", &one["SessionId"]).await["Status"].clone() })).await;
    assert_eq!(stand.iter().filter(|status| **status == "open").count(), 1, "{stand:?}");
    assert_eq!(stand.iter().filter(|status| **status == "expired").count(), 9, "{stand:?}");
}

/// A provider that takes its time keeps the newer one waiting: the answer says how it stands, leaves the request open, and the same again finds the same.
pub async fn slow(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "41", session(5)).await;
    let older = create(&shop, "", &order(41, 1, "slow")).await.expect(200);
    let id = older["SessionId"].as_str().unwrap().to_owned();
    let browser = Browser { http: shop.with_key(None), url: older["Url"].as_str().unwrap().to_owned(), id: id.clone(), from: None };
    let page = browser.load("").await;
    browser.send(&page.html, "pay", "tok_timeout_charged").await;
    let body = with(&order(41, 1, "slow"), json!({"UiMode": "hosted"}));
    let newer = create(&shop, "", &body).await.expect(200);
    assert_eq!((&newer["Status"], newer["SessionId"] == older["SessionId"]), (&json!("open"), false), "{newer}");
    let twin = create(&shop, "/bokamera", &body).await;
    if twin.status == 200 {
        assert_eq!(twin.json()["SessionId"], newer["SessionId"]);
    } else {
        refused(&twin, 400, "already_paid", Some("InternalReferenceId"));
    }
    assert_eq!(shop.settled(&id).await["status"], "succeeded");
    let newer = shop.settled(newer["SessionId"].as_str().unwrap()).await;
    assert_eq!((&newer["status"], &newer["error"]["code"]), (&json!("failed"), &json!("already_paid")), "{newer}");
    assert_eq!((of_reference(&shop, "slow").await.len(), shop.charged(&id).await), (2, vec!["captured".to_owned()]));
}
