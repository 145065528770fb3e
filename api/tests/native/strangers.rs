//! Another tenant, the other mode, no key, and a key without a scope, at every route of the description. The list is read from
//! `/openapi.json`, so that no route is forgotten: a new one fails here until [`BODIES`] and the shop below know what to send it.

use crate::server::{Reply, Server, WithProviders, request};
use axum::body::Body;
use boxoffice_common::{
    adapters::sealing::Sealer,
    domain::{scope::Mode, state::Status},
};
use serde_json::{Value, json};
use std::collections::HashMap;

const OTHER: (&str, &str) = ("authorization", "Bearer bo_test_other");
const LIVE: (&str, &str) = ("authorization", "Bearer bo_live_demo");
const NOTHING: (&str, &str) = ("authorization", "Bearer bo_test_nothing");
/// Stands in every name that the shop keeps.
const MARK: &str = "MARK-of-demo";

/// For clients of Loop's API.
const LOOP: &str = r#"{"customer_id": "crm_mark", "subscription_plan_id": "pln_mark"}"#;
/// For clients of Momence's.
const MOMENCE: &str = r#"{"memberId": "crm_mark", "items": [{"id": "1", "type": "session", "sessionId": "ses_mark", "attemptedPriceInCurrency": "0"}],
    "paymentMethods": [{"id": "1", "type": "membership", "boughtMembershipId": "bmb_mark"}]}"#;
/// For clients of Monime's API: understood, and refused at once, because two currencies are no cart.
const MONIME: &str = r#"{"name": "x", "lineItems": [{"name": "a", "price": {"currency": "SLE", "value": 1}}, {"name": "b", "price": {"currency": "USD", "value": 1}}]}"#;
/// The space of what they find.
const SPACE: (&str, &str) = ("monime-space-id", "spc_mark");
/// For clients of ClassManager's API.
const BASKET: &str = r#"{"items": {"enrolments": [], "trials": []}, "paymentIntentId": null}"#;
/// For clients of BokaMera's.
const BOKAMERA: &str = r#"{"CompanyId": "6f9619ff-8b86-d011-b42d-00c04fc964ff", "CountryCode": "SE", "InternalReferenceId": "MARK-of-demo",
    "Articles": [{"ArticleId": 41, "ArticleTypeId": 3, "Quantity": 1}]}"#;
const BOKAMERA_STATUS: &str = r#"{"CompanyId": "6f9619ff-8b86-d011-b42d-00c04fc964ff", "SessionId": "CHECKOUT"}"#;
/// What a route needs to get as far as the look-up; `{}` for the others. Written with the shop's own ids.
const BODIES: &[(&str, &str, &str)] = &[
    ("post", "/v1/basket/{familyId}/checkout", BASKET),
    ("post", "/classmanager/v1/basket/{familyId}/checkout", BASKET),
    ("post", "/sandbox/payment-intents", r#"{"token": "tok_visa", "amount": 1, "currency": "usd", "owner": "customer:cus_mark"}"#),
    ("post", "/v1/checkouts", r#"{"customer": "cus_mark", "currency": "usd", "lines": [{"type": "session", "session": "ses_mark"}]}"#),
    ("post", "/v1/checkout", LOOP),
    ("post", "/loop/v1/checkout", LOOP),
    ("post", "/api/v2/host/checkout", MOMENCE),
    ("post", "/api/v2/host/checkout/prices", MOMENCE),
    ("post", "/api/v2/host/checkout/compatible-memberships", MOMENCE),
    ("post", "/api/v2/member/checkout", MOMENCE),
    ("post", "/api/v2/member/checkout/prices", MOMENCE),
    ("post", "/api/v2/member/checkout/compatible-memberships", MOMENCE),
    ("post", "/api/v2/host/sessions/{id}/waitlist/bookings", MOMENCE),
    ("post", "/momence/api/v2/host/checkout", MOMENCE),
    ("post", "/momence/api/v2/host/checkout/prices", MOMENCE),
    ("post", "/momence/api/v2/host/checkout/compatible-memberships", MOMENCE),
    ("post", "/momence/api/v2/member/checkout", MOMENCE),
    ("post", "/momence/api/v2/member/checkout/prices", MOMENCE),
    ("post", "/momence/api/v2/member/checkout/compatible-memberships", MOMENCE),
    ("post", "/momence/api/v2/host/sessions/{id}/waitlist/bookings", MOMENCE),
    ("post", "/v1/checkout-sessions", MONIME),
    ("post", "/monime/v1/checkout-sessions", MONIME),
    ("post", "/payment/stripe/v1/checkout", BOKAMERA),
    ("post", "/payment/stripe/v1/checkout.json", BOKAMERA),
    ("post", "/payment/stripe/v1/checkout/status", BOKAMERA_STATUS),
    ("post", "/payment/stripe/v1/checkout/status.json", BOKAMERA_STATUS),
    ("post", "/bokamera/payment/stripe/v1/checkout", BOKAMERA),
    ("post", "/bokamera/payment/stripe/v1/checkout.json", BOKAMERA),
    ("post", "/bokamera/payment/stripe/v1/checkout/status", BOKAMERA_STATUS),
    ("post", "/bokamera/payment/stripe/v1/checkout/status.json", BOKAMERA_STATUS),
    ("post", "/v1/checkouts/{id}/resolve", r#"{"outcome": "failed"}"#),
    ("post", "/v1/refunds/{id}/resolve", r#"{"outcome": "failed"}"#),
    ("post", "/v1/sessions/{id}/waiting-list", r#"{"customer": "cus_mark"}"#),
    ("post", "/v1/tickets/{id}/transfer", r#"{"holder": {"name": "Eve"}}"#),
    ("post", "/v1/check-ins", r#"{"ticket": "TICKET"}"#),
    ("post", "/v1/customers/{customer}/balance-adjustments", r#"{"amount": 1, "currency": "usd", "reason": "gift"}"#),
    ("post", "/v1/customers/{customer}/bought-memberships/{id}/freeze", r#"{}"#),
    (
        "put",
        "/v1/sessions/{id}",
        r#"{"name": "Theirs", "starts_at": "2098-01-01T10:00:00Z", "capacity": 1, "unit_amount": 1, "currency": "usd"}"#,
    ),
    ("put", "/v1/products/{id}", r#"{"name": "Theirs", "unit_amount": 1, "currency": "usd"}"#),
    ("put", "/v1/promo-codes/{id}", r#"{"percent_off_bp": 10000}"#),
    ("put", "/v1/memberships/{id}", r#"{"name": "Theirs", "unit_amount": 1, "currency": "usd", "type": "pack", "credits": 1}"#),
    ("put", "/v1/plans/{id}", r#"{"name": "Theirs", "unit_amount": 1, "currency": "usd", "interval": "month"}"#),
    ("post", "/v1/subscriptions/{id}/payment-method", r#"{"id": "pm_mark"}"#),
    ("put", "/v1/customers/{id}", r#"{"name": "Theirs"}"#),
    (
        "put",
        "/v1/customers/{customer}/payment-methods/{id}",
        r#"{"type": "card", "token": "tok_x", "brand": "visa", "last4": "0000", "exp_month": 1, "exp_year": 2030}"#,
    ),
    ("put", "/v1/customers/{customer}/bought-memberships/{id}", r#"{"membership": "mem_mark"}"#),
    ("put", "/v1/webhook-endpoints/{id}", r#"{"url": "https://theirs.example/", "events": ["*"]}"#),
    ("put", "/v1/settings", r#"{"name": "Theirs"}"#),
    ("patch", "/v1/providers/{id}", r#"{"name": "Theirs"}"#),
    ("put", "/v1/routing", r#"{"rules": []}"#),
    ("post", "/v1/providers", r#"{"provider": "mollie", "name": "Theirs", "credentials": {"api_key": "test_0123456789abcdef"}}"#),
];

/// A shop in which there is one of everything, and what each is called, by the segment of a path that stands before it.
struct Shop {
    server: Server,
    ids: HashMap<&'static str, String>,
}

impl Shop {
    async fn open() -> Self {
        let key = Some(Sealer::generate_key().unwrap());
        let server = Server::start_with_providers(WithProviders { key, ..WithProviders::default() }).await;
        let all = ["checkouts:write", "checkouts:read", "catalog:write", "admin"];
        server.add_key("bo_test_other", "other", Mode::Test, &all).await;
        server.add_key("bo_live_demo", "demo", Mode::Live, &all).await;
        server.add_key("bo_test_nothing", "demo", Mode::Test, &[]).await;
        let session = |capacity: u32| json!({"name": MARK, "starts_at": "2099-01-01T10:00:00Z", "capacity": capacity, "unit_amount": 0, "currency": "usd"});
        let membership = json!({"name": MARK, "unit_amount": 100, "currency": "usd", "type": "pack", "credits": 10});
        let card = json!({"type": "card", "token": "tok_mark", "brand": MARK, "last4": "4242", "exp_month": 1, "exp_year": 2030});
        for (path, body) in [
            ("sessions/ses_mark", session(2)),
            ("sessions/ses_full", session(1)),
            ("products/prd_mark", json!({"name": MARK, "unit_amount": 5, "currency": "usd"})),
            ("promo-codes/MARKED", json!({"percent_off_bp": 100})),
            ("memberships/mem_mark", membership),
            ("plans/pln_mark", json!({"name": MARK, "unit_amount": 5, "currency": "usd", "interval": "month", "trial_days": 7})),
            ("customers/cus_mark", json!({"name": MARK, "family": "family_mark", "external_id": "crm_mark"})),
            ("customers/cus_mark/payment-methods/pm_mark", card),
            ("customers/cus_mark/bought-memberships/bmb_mark", json!({"membership": "mem_mark"})),
            ("webhook-endpoints/we_mark", json!({"url": "https://mark.example/", "events": ["*"]})),
            ("products/41", json!({"name": MARK, "unit_amount": 100, "currency": "usd"})),
            ("settings", json!({"name": MARK})),
        ] {
            let reply = server.put(&format!("/v1/{path}"), &body).await;
            assert!([200, 201].contains(&reply.code()), "{path}: {:?}", reply.body);
        }
        let post = async |path: &str, body: Value| {
            let reply = server.post_json(path, &[("idempotency-key", path)], &body.to_string()).await;
            assert!([200, 201, 202].contains(&reply.code()), "{path}: {:?}", reply.body);
            reply.json()
        };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let last = json!({"currency": "usd", "lines": [{"type": "session", "session": "ses_full"}]});
        let last = server.checkout("last", &last).await.json();
        assert_eq!(server.work(last["id"].as_str().unwrap()).await, Status::Succeeded);
        let lines = json!([{"type": "session", "session": "ses_mark"}, {"type": "custom", "name": MARK, "unit_amount": 500}]);
        let payment = json!({"methods": [{"type": "custom", "name": "cash"}]});
        let order = json!({"customer": "cus_mark", "currency": "usd", "lines": lines, "payment": payment, "reference": MARK});
        let sale = text(&post("/v1/checkouts", order).await["id"]);
        assert_eq!(server.work(&sale).await, Status::Succeeded);
        post("/v1/customers/cus_mark/balance-adjustments", json!({"amount": 7, "currency": "usd", "reason": "gift", "note": MARK})).await;
        let plan = json!({"customer": "cus_mark", "currency": "usd", "lines": [{"type": "plan", "plan": "pln_mark"}],
            "payment": {"methods": [{"type": "card", "token": "tok_mark"}]}});
        let plan = server.checkout("plan", &plan).await.json();
        assert_eq!(server.work(plan["id"].as_str().unwrap_or_else(|| panic!("{plan}"))).await, Status::Succeeded);
        let subscription = server.get("/v1/subscriptions?customer=cus_mark").await.json()["data"][0]["id"].clone();
        let refund = post(&format!("/v1/checkouts/{sale}/refunds"), json!({"amount": 1, "reason": MARK})).await;
        let waiting = post("/v1/sessions/ses_full/waiting-list", json!({"customer": "cus_mark"})).await;
        let job = post("/v1/sessions/ses_full/cancel", json!({})).await;
        let delivery = server.get(&format!("/v1/deliveries?checkout={sale}")).await.json()["data"][0]["id"].clone();
        let ticket = server.get(&format!("/v1/checkouts/{sale}/tickets")).await.json()["data"][0]["id"].clone();
        let lines = json!([{"type": "custom", "name": MARK, "unit_amount": 500}]);
        let page = json!({"space": SPACE.1, "currency": "usd", "lines": lines, "payment": {"hosted": {}}});
        let page = text(&server.checkout("page", &page).await.json()["id"]);
        assert_eq!(server.work(&page).await, Status::AwaitingPayment);
        let credentials = json!({"secret_key": "sk_test_0123456789abcdef"});
        let account = json!({"provider": "stripe", "name": MARK, "credentials": credentials});
        let account = server.post_json("/v1/providers", &[], &account.to_string()).await.json();
        let ids = HashMap::from([
            ("checkout-sessions", page),
            ("payments", sale.clone()),
            ("basket", "family_mark".to_owned()),
            ("payment-intents", "pi_mark".to_owned()),
            ("checkouts", sale),
            ("refunds", text(&refund["id"])),
            ("sessions", "ses_mark".to_owned()),
            ("waiting-list", text(&waiting["id"])),
            ("jobs", text(&job["id"])),
            ("products", "prd_mark".to_owned()),
            ("promo-codes", "MARKED".to_owned()),
            ("memberships", "mem_mark".to_owned()),
            ("plans", "pln_mark".to_owned()),
            ("subscriptions", text(&subscription)),
            ("customers", "cus_mark".to_owned()),
            ("payment-methods", "pm_mark".to_owned()),
            ("bought-memberships", "bmb_mark".to_owned()),
            ("webhook-endpoints", "we_mark".to_owned()),
            ("deliveries", text(&delivery)),
            ("session-bookings", text(&ticket)),
            ("tickets", text(&ticket)),
            ("providers", text(&account["id"])),
        ]);
        Self { server, ids }
    }

    /// Every operation of the description that asks for a key: method, template, path with the shop's ids, and its query's parameters.
    async fn operations(&self) -> Vec<(String, String, String, Vec<String>)> {
        let api = self.server.get("/openapi.json").await.json();
        let mut operations = Vec::new();
        for (template, methods) in api["paths"].as_object().unwrap() {
            // What asks for no key has nobody's ids in its path.
            if !methods.as_object().unwrap().values().any(|operation| operation["security"].is_array()) {
                continue;
            }
            let mut path = Vec::new();
            let mut before = "";
            for segment in template.split('/') {
                let id = || self.ids.get(before).unwrap_or_else(|| panic!("{template}: the shop has none of the {before}"));
                path.push(if segment.starts_with('{') { id().clone() } else { segment.to_owned() });
                before = segment;
            }
            for (method, operation) in methods.as_object().unwrap() {
                if operation["security"].is_array() {
                    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                    let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
                    let mut path = path.join("/");
                    if query.clone().any(|parameter| parameter["name"] == "reference" && parameter["required"] == true) {
                        path = format!("{path}?reference={}", self.ids["checkouts"]);
                    }
                    let query = query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
                    operations.push((method.clone(), template.clone(), path, query));
                }
            }
        }
        // What one puts oneself is found afterwards.
        operations.sort_by_key(|(method, ..)| method == "put");
        operations
    }

    async fn ask(&self, method: &str, template: &str, path: &str, key: &[(&str, &str)]) -> Reply {
        let body = BODIES.iter().find(|(with, to, _)| (*with, *to) == (method, template)).map_or("{}", |(.., body)| body);
        let body = body.replace("TICKET", &self.ids["tickets"]).replace("CHECKOUT", &self.ids["checkouts"]);
        let request = request(&method.to_uppercase(), path, key).header("idempotency-key", "stranger").header(SPACE.0, SPACE.1);
        let request = if method == "get" || method == "delete" {
            request.body(Body::empty())
        } else {
            request.header("content-type", "application/json").body(Body::from(body))
        };
        self.server.send(request.unwrap()).await
    }

    /// What its owner sees of all there is: each of its objects, and each list.
    async fn all_there_is(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for (method, template, path, _) in self.operations().await {
            // A stream says the same as the object, for as long as it lasts.
            if method == "get" && !template.ends_with("/events") {
                let reply = self.server.get_with(&path, &[SPACE]).await;
                assert_eq!(reply.code(), 200, "{path}: {:?}", reply.body);
                seen.push(format!("{path} {}", String::from_utf8_lossy(&reply.body)));
            }
        }
        seen
    }

    fn assert_tells_nothing(&self, what: &str, reply: &Reply) {
        let text = String::from_utf8_lossy(&reply.body);
        assert!(!text.contains(MARK) && !text.contains("tok_mark"), "{what}: {text}");
        // A problem may repeat the path's own id, and nothing beyond it.
        for id in self.ids.values().filter(|_| reply.code() == 200) {
            assert!(!text.contains(&format!("\"{id}\"")), "{what}: {text}");
        }
    }
}

/// The status and the code of a refusal, in our words or in those of another API.
fn refusal(reply: &Reply) -> (u16, String) {
    let body = reply.json();
    let theirs = [&body["exception"], &body["error"], &body["error"]["reason"], &body["ResponseStatus"]["ErrorCode"]];
    match (theirs.into_iter().find_map(Value::as_str), body["type"].as_str().and_then(|kind| kind.strip_prefix("err-"))) {
        (Some(theirs), _) => (reply.code(), theirs.to_owned()),
        // Momence's says what is not there.
        (None, Some("session-not-found")) => (reply.code(), "not_found".to_owned()),
        (None, Some(theirs)) => (reply.code(), theirs.replace('-', "_")),
        (None, None) => reply.problem(),
    }
}

#[tokio::test]
async fn another_tenant_and_the_other_mode_find_nothing_and_change_nothing_at_any_route() {
    let shop = Shop::open().await;
    let before = shop.all_there_is().await;
    assert!(before.iter().filter(|seen| seen.contains(MARK)).count() > 10, "the owner sees what is marked");
    let operations = shop.operations().await;
    assert!(operations.len() > 60, "{}", operations.len());
    for (name, key) in [("other", OTHER), ("live", LIVE)] {
        for (method, template, path, _) in &operations {
            let what = format!("{name}: {method} {path}");
            let reply = shop.ask(method, template, path, &[key]).await;
            // Loop's and BokaMera's say so of what is understood and not there.
            let says_so_too = template.ends_with("/v1/checkout") || template.ends_with("/v1/checkout.json");
            let is_momences = template.contains("/api/v2/") && refusal(&reply).1 == "cart_validation_failed";
            // A key of a provider's is of one mode, and refused in the other.
            let is_of_the_other_mode = name == "live" && template == "/v1/providers";
            let is_understood =
                reply.code() != 400 || is_momences || is_of_the_other_mode || (says_so_too && refusal(&reply).1 == "resource_missing");
            assert!(is_understood, "{what} is not understood: give it a body in BODIES: {:?}", reply.body);
            assert!(reply.code() < 500, "{what}: {:?}", reply.body);
            // One may put what one likes under the same name, as one's own.
            let is_own = method == "put" && [200, 201].contains(&reply.code());
            if template.contains('{') && !is_own {
                // What a body names is looked for first here.
                let in_the_body = method == "put" && template.ends_with("/bought-memberships/{id}");
                let missing = if in_the_body { (422, "resource_missing") } else { (404, "not_found") };
                assert_eq!(refusal(&reply), (missing.0, missing.1.to_owned()), "{what}");
            }
            if !is_own {
                shop.assert_tells_nothing(&what, &reply);
            }
        }
    }
    assert_eq!(shop.all_there_is().await, before, "what is another's is as it was");
}

#[tokio::test]
async fn no_filter_of_a_list_finds_what_is_anothers() {
    let shop = Shop::open().await;
    let own = |name: &str| match name {
        "customer" => Some(shop.ids["customers"].clone()),
        "checkout" => Some(shop.ids["checkouts"].clone()),
        "session" => Some(shop.ids["sessions"].clone()),
        "job" => Some(shop.ids["jobs"].clone()),
        "reference" => Some(MARK.to_owned()),
        "family" | "familyId" => Some("family_mark".to_owned()),
        "cursor" => Some(shop.ids["checkouts"].clone()),
        _ => None,
    };
    let mut asked = 0;
    let lists = shop.operations().await.into_iter().filter(|(method, _, path, _)| method == "get" && !path.contains('?'));
    for (_, template, path, query) in lists {
        for (name, value) in query.iter().filter_map(|name| Some((name, own(name)?))) {
            for key in [OTHER, LIVE] {
                let path = format!("{path}?{name}={value}");
                let reply = shop.server.get_with(&path, &[key, SPACE]).await;
                assert!([200, 400, 404].contains(&reply.code()), "{path}: {:?}", reply.body);
                assert!(reply.code() != 200 || !template.contains('{'), "{path}: {:?}", reply.body);
                shop.assert_tells_nothing(&path, &reply);
                asked += 1;
            }
        }
    }
    assert!(asked > 10, "{asked}");
}

#[tokio::test]
async fn without_a_key_or_without_a_scope_no_route_does_anything() {
    let shop = Shop::open().await;
    let before = shop.all_there_is().await;
    for (method, template, path, _) in shop.operations().await {
        let reply = shop.ask(&method, &template, &path, &[("authorization", "")]).await;
        assert_eq!(refusal(&reply), (401, "unauthenticated".to_owned()), "{method} {path}");
        let reply = shop.ask(&method, &template, &path, &[NOTHING]).await;
        // What is on sale, how the shop looks, and the keys that verify tickets are no secret to whoever has any key.
        let open = ["sessions", "products", "promo-codes", "memberships", "plans", "settings", "ticket-keys"];
        let is_open =
            method == "get" && open.contains(&template.split('/').nth(2).unwrap_or_default()) && !template.ends_with("/waiting-list");
        let expected = if is_open { 200 } else { 403 };
        assert_eq!(reply.code(), expected, "{method} {path}: {:?}", reply.body);
    }
    assert_eq!(shop.all_there_is().await, before);
}
