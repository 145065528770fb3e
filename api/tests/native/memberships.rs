//! Memberships over the API: sold, brought in, frozen, given back, and whose they are.

use crate::server::Server;
use boxoffice_common::domain::{
    scope::Mode,
    span::{Span, Unit},
    time::Timestamp,
    time_zone::TimeZone,
};
use serde_json::{Value, json};

pub fn pack() -> Value {
    json!({"name": "Ten classes", "unit_amount": 12000, "currency": "usd", "type": "pack", "credits": 10, "valid_for": {"count": 6, "unit": "month"}})
}

/// A pack on sale, and two customers.
pub async fn shop() -> Server {
    let server = Server::start().await;
    server.yoga().await;
    for (path, body) in [("memberships/mem_pack", pack()), ("customers/cus_ada", json!({"name": "Ada"})), ("customers/cus_bob", json!({}))]
    {
        let reply = server.put(&format!("/v1/{path}"), &body).await;
        assert_eq!(reply.code(), 201, "{:?}", reply.body);
    }
    server
}

/// Buys these lines for cash, for Ada.
pub async fn buy(server: &Server, key: &str, lines: Value) -> Value {
    let body =
        json!({"customer": "cus_ada", "currency": "usd", "lines": lines, "payment": {"methods": [{"type": "custom", "name": "cash"}]}});
    let reply = server.checkout(key, &body).await;
    assert_eq!(reply.code(), 202, "{:?}", reply.body);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    server.work(&id).await;
    server.get(&format!("/v1/checkouts/{id}")).await.json()
}

pub const ADAS: &str = "/v1/customers/cus_ada/bought-memberships";

async fn refund(server: &Server, sale: &Value, key: &str, body: Value) -> crate::server::Reply {
    let path = format!("/v1/checkouts/{}/refunds", sale["id"].as_str().unwrap());
    server.post_json(&path, &[("idempotency-key", key)], &body.to_string()).await
}

#[tokio::test]
async fn a_membership_is_sold_shown_and_given_back() {
    let server = shop().await;
    let sale = buy(&server, "k", json!([{"type": "membership", "membership": "mem_pack", "unit_amount": 12000}])).await;
    let line = &sale["lines"][0];
    assert_eq!(
        (&sale["status"], &line["terms"]),
        (&json!("succeeded"), &json!({"type": "pack", "credits": 10, "valid_for": {"count": 6, "unit": "month"}}))
    );
    let list = server.get(ADAS).await.json();
    let bought = &list["data"][0];
    let shown = [
        "id",
        "customer",
        "membership",
        "type",
        "status",
        "credits_total",
        "credits_used",
        "credits_held",
        "credits_left",
        "period",
        "checkout",
        "line",
    ];
    let expected = json!([line["bought_membership"], "cus_ada", "mem_pack", "pack", "active", 10, 0, 0, 10, null, sale["id"], line["id"]]);
    assert_eq!(json!(shown.map(|field| bought[field].clone())), expected);
    let path = format!("{ADAS}/{}", bought["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.json(), *bought);
    let balances = server.get("/v1/ledger/balances").await.json();
    let owed = balances["data"].as_array().unwrap().iter().find(|balance| balance["account"] == "memberships").cloned();
    assert_eq!(owed.map(|owed| owed["amount"].clone()), Some(json!(-12000)), "{balances}");
    assert_eq!(refund(&server, &sale, "r", json!({"lines": [line["id"]]})).await.code(), 202);
    assert_eq!(server.get(&path).await.json()["status"], "ended");
    assert!(server.get("/v1/ledger/balances").await.json()["data"].as_array().unwrap().iter().all(|balance| balance["amount"] == 0));
}

/// What is counted is frozen with the line: a shop that moves takes nothing from anybody.
#[tokio::test]
async fn a_membership_is_good_until_a_day_where_the_shop_was_when_it_was_sold() {
    let server = shop().await;
    let zone = |name: &str| json!({"time_zone": name});
    assert_eq!(server.put("/v1/settings", &zone("America/Los_Angeles")).await.code(), 200);
    let endless = json!({"name": "Ten", "unit_amount": 1, "currency": "usd", "type": "pack", "credits": 10});
    assert_eq!(server.put("/v1/memberships/mem_ever", &endless).await.code(), 201);
    let lines = json!([{"type": "membership", "membership": "mem_pack"}, {"type": "membership", "membership": "mem_ever"}]);
    let body =
        json!({"customer": "cus_ada", "currency": "usd", "lines": lines, "payment": {"methods": [{"type": "custom", "name": "cash"}]}});
    let accepted = server.checkout("k", &body).await.json();
    assert_eq!(server.put("/v1/settings", &zone("Pacific/Auckland")).await.code(), 200);
    server.work(accepted["id"].as_str().unwrap()).await;
    assert_eq!((&accepted["lines"][0]["time_zone"], &accepted["lines"][1]["time_zone"]), (&json!("America/Los_Angeles"), &json!(null)));
    let of = async |line: usize| {
        let id = accepted["lines"][line]["bought_membership"].as_str().unwrap();
        server.get(&format!("{ADAS}/{id}")).await.json()
    };
    let bought = of(0).await;
    let from = Timestamp::parse(bought["valid_from"].as_str().unwrap()).unwrap();
    let half_a_year = Span { count: 6, unit: Unit::Month };
    let until = half_a_year.after(from, &TimeZone::parse("America/Los_Angeles").unwrap());
    assert_eq!((&bought["valid_until"], &of(1).await["valid_until"]), (&json!(until), &json!(null)));
}

#[tokio::test]
async fn a_membership_sold_beside_other_things_goes_back_by_its_own_line_or_with_all_the_rest() {
    let server = shop().await;
    let lines = json!([{"type": "membership", "membership": "mem_pack"}, {"type": "session", "session": "ses_yoga"}]);
    let sale = buy(&server, "k", lines).await;
    for (n, body) in [json!({"amount": 500}), json!({"lines": [sale["lines"][0]["id"], sale["lines"][1]["id"]], "amount": 13000})]
        .into_iter()
        .enumerate()
    {
        assert_eq!(refund(&server, &sale, &format!("r{n}"), body).await.problem(), (400, "parameter_invalid".to_owned()));
    }
    assert_eq!(refund(&server, &sale, "place", json!({"lines": [sale["lines"][1]["id"]], "amount": 1000})).await.code(), 202);
    assert_eq!(refund(&server, &sale, "pack", json!({"lines": [sale["lines"][0]["id"]], "amount": 9000})).await.code(), 202);
    let left: Vec<(Value, Value)> = server.get("/v1/ledger/balances").await.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|balance| (balance["account"].clone(), balance["amount"].clone()))
        .collect();
    assert_eq!(left, [(json!("memberships"), json!(-3000)), (json!("revenue"), json!(-500)), (json!("tender:custom"), json!(3500))]);
    assert_eq!(server.get(ADAS).await.json()["data"][0]["status"], "ended");
}

#[tokio::test]
async fn what_cannot_be_sold_is_refused() {
    let server = shop().await;
    let closed = json!({"name": "Old", "unit_amount": 1, "currency": "usd", "type": "pack", "credits": 1, "active": false});
    server.put("/v1/memberships/mem_old", &closed).await;
    let line = |more: Value| {
        let mut line = json!({"type": "membership", "membership": "mem_pack"});
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([line])
    };
    for (customer, lines, refused) in [
        (json!("cus_ada"), line(json!({"quantity": 2})), (400, "parameter_invalid")),
        (json!("cus_ada"), line(json!({"unit_amount": 1})), (422, "price_mismatch")),
        (json!("cus_ada"), line(json!({"membership": "mem_none"})), (422, "resource_missing")),
        (json!("cus_ada"), line(json!({"membership": "mem_old"})), (422, "resource_missing")),
        (json!(null), line(json!({})), (400, "parameter_missing")),
    ] {
        let body =
            json!({"customer": customer, "currency": "usd", "lines": lines, "payment": {"methods": [{"type": "custom", "name": "cash"}]}});
        assert_eq!(server.checkout("k", &body).await.problem(), (refused.0, refused.1.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn a_shop_brings_memberships_along_changes_and_freezes_them() {
    let server = shop().await;
    let path = format!("{ADAS}/bmb_old");
    let body = json!({"membership": "mem_pack", "credits": 4, "valid_from": "2020-01-01T00:00:00Z", "valid_until": "2098-01-01T00:00:00Z"});
    let put = server.put(&path, &body).await;
    assert_eq!((put.code(), &put.json()["credits_left"], &put.json()["checkout"]), (201, &json!(4), &json!(null)));
    let frozen = server.post_json(&format!("{path}/freeze"), &[], "{}").await;
    assert_eq!((frozen.code(), &frozen.json()["status"]), (200, &json!("frozen")));
    assert_eq!(server.put(&path, &body).await.json()["status"], "frozen", "it stays frozen");
    let thawed = server.post_json(&format!("{path}/unfreeze"), &[], "{}").await.json();
    assert_eq!((&thawed["status"], &thawed["frozen_from"]), (&json!("active"), &json!(null)));
    assert!(thawed["valid_until"].as_str().unwrap() > "2098-01-01T00:00:00.000Z", "{thawed}");
    for (path, body, refused) in [
        (format!("{path}/freeze"), json!({"until": "2020-01-01T00:00:00Z"}), (400, "parameter_invalid")),
        (format!("{path}/freeze"), json!({"til": 5}), (400, "parameter_unknown")),
        (format!("{ADAS}/bmb_none/freeze"), json!({}), (404, "not_found")),
    ] {
        assert_eq!(server.post_json(&path, &[], &body.to_string()).await.problem(), (refused.0, refused.1.to_owned()), "{path} {body}");
    }
    for (path, body, refused) in [
        (path.clone(), json!({"membership": "mem_none"}), (422, "resource_missing")),
        (path.clone(), json!({"membership": "mem_pack", "credits": 0}), (400, "parameter_invalid")),
        (path.clone(), json!({"membership": "mem_pack", "valid_until": "2020-01-01T00:00:00Z"}), (400, "parameter_invalid")),
        (path.clone(), json!({"membership": "mem_pack", "id": "bmb_other"}), (400, "parameter_invalid")),
        (path.replace("cus_ada", "cus_bob"), body.clone(), (409, "id_taken")),
        (path.replace("cus_ada", "cus_none"), body.clone(), (404, "not_found")),
        (format!("{ADAS}/bmb_0123456789abcdefghjkmnpqrs"), body.clone(), (409, "id_taken")),
        (format!("{ADAS}/4111111111111111"), body.clone(), (400, "card_number_refused")),
        (format!("{ADAS}/a%20b"), body, (400, "parameter_invalid")),
    ] {
        assert_eq!(server.put(&path, &body).await.problem(), (refused.0, refused.1.to_owned()), "{path} {body}");
    }
}

#[tokio::test]
async fn another_customer_and_another_tenant_see_and_change_nothing() {
    let server = shop().await;
    let path = format!("{ADAS}/bmb_adas");
    assert_eq!(server.put(&path, &json!({"membership": "mem_pack"})).await.json()["credits_total"], 10);
    let as_bob = path.replace("cus_ada", "cus_bob");
    assert_eq!(server.get(&as_bob).await.problem().0, 404);
    assert_eq!(server.post_json(&format!("{as_bob}/freeze"), &[], "{}").await.problem().0, 404);
    assert_eq!(server.get("/v1/customers/cus_bob/bought-memberships").await.json()["data"], json!([]));
    server.add_key("bo_test_other", "other", Mode::Test, &["checkouts:read", "catalog:write"]).await;
    let theirs = [("authorization", "Bearer bo_test_other")];
    for path in [path.as_str(), ADAS, "/v1/memberships/mem_pack"] {
        assert_eq!(server.get_with(path, &theirs).await.problem().0, 404);
    }
    assert_eq!(server.post_json(&format!("{path}/freeze"), &theirs, "{}").await.problem().0, 404);
    server.add_key("bo_test_reader", "demo", Mode::Test, &["checkouts:read"]).await;
    let reader = [("authorization", "Bearer bo_test_reader")];
    assert_eq!(server.post_json(&format!("{path}/freeze"), &reader, "{}").await.problem().0, 403);
    assert_eq!(server.get(&path).await.json()["status"], "active");
}

/// A checkout for the customer, of these lines, paid like this.
async fn pay(server: &Server, key: &str, customer: Value, lines: Value, methods: Value) -> crate::server::Reply {
    let body = json!({"customer": customer, "currency": "usd", "lines": lines, "payment": {"methods": methods}});
    server.checkout(key, &body).await
}

fn with_pack() -> Value {
    json!([{"type": "membership", "bought_membership": "bmb_adas"}])
}

/// The shop, with a session that Ada's pack of so many credits pays for.
async fn members_shop(credits: u32) -> Server {
    let server = shop().await;
    let mut yoga = crate::server::yoga();
    yoga["compatible_memberships"] = json!(["mem_pack"]);
    yoga["dropins_allowed"] = json!(false);
    assert_eq!(server.put("/v1/sessions/ses_members", &yoga).await.code(), 201);
    let put = server.put(&format!("{ADAS}/bmb_adas"), &json!({"membership": "mem_pack", "credits": credits})).await;
    assert_eq!(put.code(), 201, "{:?}", put.body);
    server
}

fn places(quantity: u32) -> Value {
    json!([{"type": "session", "session": "ses_members", "quantity": quantity}])
}

#[tokio::test]
async fn credits_pay_for_places_at_their_price_and_come_back_with_them() {
    let server = members_shop(3).await;
    let reply = pay(&server, "k", json!("cus_ada"), places(2), with_pack()).await;
    assert_eq!((reply.code(), &reply.json()["amount_total"]), (202, &json!(3000)), "{:?}", reply.body);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    server.work(&id).await;
    let sale = server.get(&format!("/v1/checkouts/{id}")).await.json();
    assert_eq!((&sale["status"], &sale["amount_paid"]), (&json!("succeeded"), &json!(3000)));
    let credits = async || {
        let pack = server.get(&format!("{ADAS}/bmb_adas")).await.json();
        [pack["credits_used"].clone(), pack["credits_held"].clone(), pack["credits_left"].clone()]
    };
    assert_eq!(credits().await, [json!(2), json!(0), json!(1)]);
    assert_eq!(refund(&server, &sale, "r", json!({})).await.code(), 202);
    assert_eq!(credits().await, [json!(0), json!(0), json!(3)]);
    assert_eq!(server.get("/v1/sessions/ses_members/availability").await.json()["sold"], 0);
}

#[tokio::test]
async fn a_membership_that_does_not_fit_is_refused_at_once_and_nothing_is_left_behind() {
    let server = members_shop(3).await;
    server.yoga_for_anybody().await;
    let named = |id: &str| json!([{"type": "membership", "bought_membership": id}]);
    let at = "payment.methods[0].bought_membership";
    for (customer, lines, methods, code, param) in [
        (json!("cus_bob"), places(1), with_pack(), "membership_incompatible", at),
        (json!(null), places(1), with_pack(), "membership_incompatible", at),
        (json!({"email": "ada@example.com"}), places(1), with_pack(), "membership_incompatible", at),
        (json!("cus_ada"), places(1), named("bmb_none"), "membership_incompatible", at),
        (json!("cus_ada"), json!([{"type": "session", "session": "ses_anybody"}]), with_pack(), "membership_incompatible", at),
        (json!("cus_ada"), places(4), with_pack(), "membership_insufficient", at),
        (
            json!("cus_ada"),
            json!([{"type": "session", "session": "ses_members", "unit_amount": 1}]),
            with_pack(),
            "price_mismatch",
            "lines[0].unit_amount",
        ),
        (
            json!("cus_ada"),
            places(1),
            json!([{"type": "membership", "bought_membership": "bmb_adas", "amount": 1}]),
            "payment_amount_mismatch",
            "payment.methods[0].amount",
        ),
    ] {
        let reply = pay(&server, "k", customer.clone(), lines.clone(), methods).await;
        assert_eq!(reply.problem(), (422, code.to_owned()), "{customer} {lines}");
        assert_eq!(reply.json()["param"], param, "{customer} {lines}");
    }
    let frozen = server.post_json(&format!("{ADAS}/bmb_adas/freeze"), &[], "{}").await;
    assert_eq!(frozen.code(), 200);
    let reply = pay(&server, "k", json!("cus_ada"), places(1), with_pack()).await;
    assert_eq!(reply.problem(), (422, "membership_incompatible".to_owned()));
    assert_eq!(server.get("/v1/checkouts").await.json()["data"], json!([]));
    assert_eq!(server.get(&format!("{ADAS}/bmb_adas")).await.json()["credits_left"], 3);
}
