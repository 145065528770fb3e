//! A client that is written for Monime's checkout sessions changes its base URL and its key.

use super::{
    dialect_monime_ends::{a_session_is_called_off, a_space_is_told_of_the_end_signed_their_way, what_ends_natively_ends_in_their_words},
    hosted::at_the_bank,
    monime_client::{MOUNTS, Monime, SPACE, refused},
};
use crate::support::{catalogue::with, client::fresh_key, system::System};
use boxoffice_testkit::snapshot::steady;
use data_encoding::HEXLOWER;
use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Two requests of a key a second.
pub const BUSY: &[(&str, &str)] = &[("BOXOFFICE_RATE_LIMIT", "1")];
pub async fn story(system: &System) {
    let shop = system.shop();
    let published: Value = serde_json::from_str(include_str!("../fixtures/monime_session.json")).unwrap();
    for mount in MOUNTS {
        let client = Monime { shop: &shop, mount, space: SPACE };
        what_is_published_is_answered_as_published(&client, &published).await;
        what_cannot_be_done_is_said_in_their_words(system, &client, &published["request"]).await;
        every_answer_has_their_headers(&client).await;
    }
    let client = Monime { shop: &shop, mount: "", space: SPACE };
    a_space_sees_its_own(&client, &published["request"]).await;
    a_list_is_paged_and_narrowed(&client, &published["request"]).await;
    the_page_offers_what_was_asked_for_and_leads_back(&client, &published["request"]).await;
    a_session_is_called_off(&client, &published["request"]).await;
    the_first_answer_is_given_again(&client, &published["request"]).await;
    a_space_is_told_of_the_end_signed_their_way(&client, &published["request"]).await;
    what_ends_natively_ends_in_their_words(&client, &published["request"]).await;
    the_books_are_the_same_as_of_a_sale_of_ours(&client, &published["request"]).await;
}

/// Every documented field is there, of a documented type.
fn is_a_session(session: &Value, published: &Value) {
    for (field, kinds) in published["schema"].as_object().unwrap() {
        let found = session.pointer(&format!("/{}", field.replace('.', "/"))).unwrap_or_else(|| panic!("{field} in {session}"));
        let kind = match found {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(kinds.as_array().unwrap().contains(&json!(kind)), "{field} is {found} in {session}");
    }
    for time in ["createTime", "expireTime"] {
        assert!(session[time].as_str().unwrap().ends_with('Z'), "{session}");
    }
}

async fn what_is_published_is_answered_as_published(client: &Monime<'_>, published: &Value) {
    let session = client.make(&published["request"]).await;
    is_a_session(&session, published);
    assert_json_snapshot!("monime_session", snapped(client, &session));
    for said in ["name", "description", "cancelUrl", "successUrl", "reference", "financialAccountId", "callbackState", "metadata"] {
        assert_eq!(session[said], published["request"][said], "{session}");
    }
    assert_eq!(client.session(&session["id"]).await, session);
    let ours = client.shop.checkout(session["id"].as_str().unwrap()).await;
    let told = ["amount_total", "currency", "space", "reference"].map(|field| ours[field].clone());
    assert_eq!(told, [json!(3250), json!("sle"), json!(SPACE), json!("order-1001")], "{ours}");
    assert_eq!(ours["payment_url"], session["redirectUrl"]);
    // As little as can be asked for.
    let least = json!({"name": "Least", "lineItems": [{"type": "custom", "name": "Tea", "price": {"currency": "sle", "value": 1}}]});
    let least = client.make(&least).await;
    assert_json_snapshot!("monime_least", snapped(client, &least));
}

/// The tenant is called otherwise where everything is in one process.
fn snapped(client: &Monime<'_>, session: &Value) -> Value {
    let mut session = steady(session);
    let owner = session.pointer_mut("/ownershipGraph/owner/owner/id").unwrap();
    assert!(owner == "demo" || owner == "shop", "{owner} of {}", client.mount);
    *owner = json!("<tenant>");
    session["redirectUrl"] = json!("<page>");
    session
}

async fn what_cannot_be_done_is_said_in_their_words(system: &System, client: &Monime<'_>, request: &Value) {
    let with = |more: Value| with(request, more);
    let item = |more: Value| {
        let mut item = request["lineItems"][0].clone();
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with(json!({ "lineItems": [item] }))
    };
    for (body, status, reason, field) in [
        (json!({}), 400, "parameter_missing", "name"),
        (json!({"name": "x"}), 400, "parameter_missing", "lineItems"),
        (json!({"lineItems": request["lineItems"]}), 400, "parameter_missing", "name"),
        (with(json!({"name": ""})), 400, "parameter_invalid", "name"),
        (with(json!({"lineItems": []})), 400, "parameter_invalid", "lineItems"),
        (item(json!({"type": "recurring"})), 400, "parameter_invalid", "lineItems[0].type"),
        (item(json!({"quantity": 0})), 400, "parameter_invalid", "lineItems[0].quantity"),
        (item(json!({"price": {"currency": "SLE", "value": 0}})), 400, "parameter_invalid", "lineItems[0].price.value"),
        (item(json!({"price": {"currency": "SLE", "value": 9_000_000_000_000_i64}})), 422, "amount_out_of_range", "lineItems[0]"),
        (item(json!({"price": {"currency": "XXX", "value": 1}})), 400, "parameter_invalid", "lineItems[0].price.currency"),
        (item(json!({"images": ["http://img.example/"]})), 400, "parameter_invalid", "lineItems[0].images[0]"),
        (with(json!({"successUrl": "ftp://shop.example/"})), 400, "parameter_invalid", "successUrl"),
        (with(json!({"brandingOptions": {"primaryColor": "yellow"}})), 400, "parameter_invalid", "brandingOptions.primaryColor"),
        (with(json!({"metadata": {"monime": {}}})), 400, "parameter_invalid", "metadata.monime"),
        (with(json!({"reference": "4242424242424242"})), 400, "card_number_refused", "reference"),
        (
            with(json!({"lineItems": [request["lineItems"][0], {"name": "Tea", "price": {"currency": "USD", "value": 1}}]})),
            422,
            "currency_mismatch",
            "lineItems[1].price.currency",
        ),
        (
            with(
                json!({"paymentOptions": {"card": {"disable": true}, "momo": {"disable": true}, "bank": {"disable": true}, "wallet": {"enabledProviders": ["nobody"]}}}),
            ),
            422,
            "unsupported",
            "paymentOptions",
        ),
    ] {
        let reply = client.submit(&fresh_key(), &body).await;
        let found = reply.json()["error"]["details"][0]["field"].clone();
        assert_eq!((reply.status, found), (status, json!(field)), "{body}: {}", reply.text);
        refused(&reply, status, reason, Some(field));
    }
    // What they do not document is no reason to refuse.
    assert_eq!(client.submit(&fresh_key(), &with(json!({"aLaterField": [1]}))).await.status, 200);
    what_stands_in_front_of_a_body_is_checked(client, request).await;
    let stranger = system.newcomer(&format!("strangers{}", client.mount.len()), &["--scopes", "checkouts:read"]).await;
    let id = client.make(request).await["id"].as_str().unwrap().to_owned();
    let theirs = Monime { shop: &stranger, ..*client };
    refused(&theirs.ask(Method::GET, &format!("/{id}")).await, 404, "not_found", None);
    refused(&theirs.submit("k", request).await, 403, "scope_missing", None);
    refused(&theirs.ask(Method::DELETE, &format!("/{id}")).await, 403, "scope_missing", None);
    assert_eq!(theirs.ask(Method::GET, "").await.expect(200)["result"], json!([]));
    let nobody = client.shop.with_key(None);
    refused(&Monime { shop: &nobody, ..*client }.ask(Method::GET, "").await, 401, "unauthenticated", None);
}

async fn what_stands_in_front_of_a_body_is_checked(client: &Monime<'_>, request: &Value) {
    let (shop, path) = (client.shop, format!("{}/v1/checkout-sessions", client.mount));
    let long = "x".repeat(65);
    let post = |key: Option<&str>, space: Option<&str>| {
        let mut sent = shop.request(Method::POST, &path).json(request);
        for (name, value) in [("Idempotency-Key", key), ("Monime-Space-Id", space)] {
            sent = value.into_iter().fold(sent, |sent, value| sent.header(name, value));
        }
        sent
    };
    for (key, space, reason, field) in [
        (None, Some(SPACE), "idempotency_key_missing", "Idempotency-Key"),
        (Some(long.as_str()), Some(SPACE), "parameter_invalid", "Idempotency-Key"),
        (Some("a b"), Some(SPACE), "idempotency_key_invalid", "Idempotency-Key"),
        (Some("k"), None, "parameter_missing", "Monime-Space-Id"),
        (Some("k"), Some(long.as_str()), "parameter_invalid", "Monime-Space-Id"),
        (Some("k"), Some("a b"), "parameter_invalid", "Monime-Space-Id"),
    ] {
        refused(&shop.send(post(key, space)).await, 400, reason, Some(field));
    }
    refused(&shop.get(&path).await, 400, "parameter_missing", Some("Monime-Space-Id"));
    for (query, field) in [("?limit=0", "limit"), ("?limit=51", "limit"), ("?status=paid", "status"), ("?after=a%20b", "after")] {
        refused(&client.ask(Method::GET, query).await, 400, "parameter_invalid", Some(field));
    }
    let raw = |kind: &str, body: &str| {
        client.request(Method::POST, "").header("Idempotency-Key", fresh_key()).header("content-type", kind).body(body.to_owned())
    };
    refused(&shop.send(raw("text/plain", "{}")).await, 415, "unsupported_media_type", None);
    refused(&shop.send(raw("application/json", "{")).await, 400, "json_malformed", None);
    refused(&shop.send(raw("application/json", &" ".repeat(300_000))).await, 413, "body_too_large", None);
    refused(&client.ask(Method::PATCH, "").await, 405, "method_not_allowed", None);
    refused(&client.ask(Method::GET, "/chk_none").await, 404, "not_found", None);
    refused(&client.ask(Method::DELETE, "/chk_none").await, 404, "not_found", None);
    refused(&client.ask(Method::GET, "/no/such/path").await, 404, "not_found", None);
    refused(&shop.get("/monime/v1/nothing").await, 404, "not_found", None);
}

async fn every_answer_has_their_headers(client: &Monime<'_>) {
    let sum = |text: String| HEXLOWER.encode(&Sha256::digest(text));
    let path = format!("{}/v1/checkout-sessions", client.mount);
    let body = r#"{"name": "Sum", "lineItems": [{"name": "Tea", "price": {"currency": "SLE", "value": 5}}]}"#;
    let key = fresh_key();
    let post = || {
        let request = client.request(Method::POST, "?x=1").header("Idempotency-Key", &key).header("content-type", "application/json");
        client.shop.send(request.body(body))
    };
    let (made, again) = (post().await, post().await);
    for reply in [&made, &again] {
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.header("monime-request-checksum"), Some(sum(format!("POST {path}\n{body}")).as_str()));
        assert_eq!(reply.header("monime-request-id"), reply.header("request-id"));
        assert_eq!(reply.header("monime-rate-limit"), None);
    }
    assert_eq!((made.header("monime-cache"), again.header("monime-cache")), (None, Some("irc")));
    assert_eq!(made.text, again.text);
    assert_ne!(made.header("monime-request-id"), again.header("monime-request-id"));
    for (rest, status) in [("", 200), ("/chk_none", 404)] {
        let reply = client.ask(Method::GET, rest).await;
        let expected = (status, Some(sum(format!("GET {path}{rest}\n"))));
        assert_eq!((reply.status, reply.header("monime-request-checksum").map(str::to_owned)), expected);
    }
}

async fn a_space_sees_its_own(client: &Monime<'_>, request: &Value) {
    let other = Monime { space: "spc-south", ..*client };
    let session = client.make(request).await;
    let path = format!("/{}", session["id"].as_str().unwrap());
    for method in [Method::GET, Method::DELETE] {
        refused(&other.ask(method, &path).await, 404, "not_found", None);
    }
    assert_eq!(other.ask(Method::GET, "").await.expect(200)["pagination"], json!({"count": 0, "next": null}));
    assert_eq!(client.session(&session["id"]).await["status"], "pending");
    // The same key is another one there.
    let key = fresh_key();
    let (here, there) = (client.submit(&key, request).await.expect(200), other.submit(&key, request).await.expect(200));
    assert_ne!(here["result"]["id"], there["result"]["id"]);
    assert_eq!(there["result"]["ownershipGraph"]["owner"]["id"], "spc-south");
    // Natively a space is a filter.
    let listed = client.shop.get("/v1/checkouts?space=spc-south").await.expect(200);
    assert_eq!((listed["data"].as_array().unwrap().len(), &listed["data"][0]["id"]), (1, &there["result"]["id"]));
}

async fn a_list_is_paged_and_narrowed(client: &Monime<'_>, request: &Value) {
    let client = Monime { space: "spc-list", ..*client };
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(client.make(request).await["id"].clone());
    }
    made.reverse();
    client.ask(Method::DELETE, &format!("/{}", made[1].as_str().unwrap())).await.expect(200);
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = client.ask(Method::GET, &query).await.expect(200);
        let sessions = page["result"].as_array().unwrap();
        assert_eq!(page["pagination"]["count"], json!(sessions.len()));
        seen.extend(sessions.iter().map(|session| session["id"].clone()));
        match page["pagination"]["next"].as_str() {
            Some(next) => query = format!("?limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, made, "newest first");
    let of = async |status: &str| {
        client.ask(Method::GET, &format!("?status={status}&limit=50")).await.expect(200)["pagination"]["count"].clone()
    };
    assert_eq!((of("pending").await, of("cancelled").await, of("completed").await), (json!(4), json!(1), json!(0)));
}

async fn the_page_offers_what_was_asked_for_and_leads_back(client: &Monime<'_>, request: &Value) {
    let session = client.make(request).await;
    let browser = client.browser(&session);
    let page = browser.load("").await.html;
    for shown in [
        "Order 1001",
        "Two loaves and salt",
        "White, sliced",
        "brand.css?c=ffeb3b",
        "value=\"m17\"",
        "value=\"slb001\"",
        "value=\"dw001\"",
        "tok_visa",
    ] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    for hidden in ["value=\"m18\"", "value=\"slb002\"", "img.example"] {
        assert!(!page.contains(hidden), "{hidden} in {page}");
    }
    let back = at_the_bank(&browser, "method=wallet&provider=dw001", "approve").await;
    back.leads_to_the_shop(client.shop, &browser, "https://shop.example/thanks?order=1001&", "succeeded").await;
    assert_eq!(client.session(&session["id"]).await["status"], "completed");
    refused(&client.ask(Method::DELETE, &format!("/{}", browser.id)).await, 409, "not_cancelable", None);
    let no_card = with(
        request,
        json!({"paymentOptions": {"card": {"disable": true}, "momo": {"enabledProviders": ["m17"], "disabledProviders": ["m17"]}}}),
    );
    let page = client.browser(&client.make(&no_card).await).load("").await.html;
    assert!(!page.contains("tok_visa") && !page.contains("value=\"m1") && page.contains("value=\"slb002\""), "{page}");
}

async fn the_first_answer_is_given_again(client: &Monime<'_>, request: &Value) {
    let key = fresh_key();
    let first = client.submit(&key, request).await;
    let session = first.clone().expect(200)["result"].clone();
    client.browser(&session).pay("tok_visa").await;
    assert_eq!(client.session(&session["id"]).await["status"], "completed");
    for mount in MOUNTS {
        let again = Monime { mount, ..*client }.submit(&key, request).await;
        assert_eq!((again.status, &again.text, again.header("monime-cache")), (200, &first.text, Some("irc")));
    }
    refused(&client.submit(&key, &with(request, json!({"name": "Another"}))).await, 409, "idempotency_key_in_use", None);
    // A client that gave up waiting asks again, and makes nothing twice.
    let key = fresh_key();
    let twins = futures::future::join_all((0..6).map(|_| client.submit(&key, request))).await;
    let ids: std::collections::HashSet<String> = twins.into_iter().map(|twin| twin.expect(200)["result"]["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

async fn the_books_are_the_same_as_of_a_sale_of_ours(client: &Monime<'_>, request: &Value) {
    let session = client.make(request).await;
    client.browser(&session).pay("tok_visa").await;
    let line =
        |name: &str, amount: u32, quantity: u32| json!({"type": "custom", "name": name, "unit_amount": amount, "quantity": quantity});
    let payment = json!({"methods": [{"type": "card", "token": "tok_visa"}]});
    let ours = json!({"currency": "sle", "lines": [line("Bread", 1500, 2), line("Salt", 250, 1)], "payment": payment});
    let ours = client.shop.buy(&ours).await;
    client.shop.books_agree(&session["id"], &ours["id"]).await;
}

/// Who comes too often is told so in their words, and when to come back.
pub async fn busy(system: &System) {
    let shop = system.shop();
    let client = Monime { shop: &shop, mount: "/monime", space: SPACE };
    let replies = futures::future::join_all((0..30).map(|_| client.ask(Method::GET, ""))).await;
    let late = replies.iter().find(|reply| reply.status == 429).expect("thirty at once are too many");
    refused(late, 429, "rate_limited", None);
    assert_eq!(late.header("monime-rate-limit"), late.header("ratelimit"));
    assert!(late.header("monime-rate-limit").is_some_and(|state| state.contains("r=0")) && late.header("retry-after").is_some());
}
