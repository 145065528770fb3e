//! Who comes: one pays, each place is its participant's, from what may be bought to the door; and what that means for a waiting list.

use crate::support::{
    catalogue::{order, put, session, with},
    client::{Client, fresh_key},
    system::System,
};
use reqwest::Method;
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let shop = system.shop();
    for (id, more) in [
        ("ada", json!({"tags": ["member"], "date_of_birth": "1990-01-01"})),
        ("bo", json!({"tags": ["member"], "date_of_birth": "2022-06-01"})),
        ("cy", json!({"date_of_birth": "2024-01-01"})),
        ("eve", json!({"family": null, "tags": ["member"]})),
    ] {
        let customer = json!({"name": format!("{id} Lovelace"), "external_id": format!("crm-{id}"), "family": "lovelace"});
        put(&shop, "customers", &format!("cus_{id}"), with(&customer, more)).await;
    }
    tags_and_ages_are_those_of_who_comes(&shop).await;
    each_has_a_limit_and_strangers_have_one_within_a_checkout(&shop).await;
    tickets_are_theirs(&shop).await;
    an_offer_is_taken_for_others(&shop).await;
    a_child_waits_and_a_parent_pays(&shop).await;
    a_plan_is_paid_with_ones_own(&shop).await;
}

/// Ada's checkout of a place for each participant.
fn brings(session: &str, participants: Value) -> Value {
    let line = json!({"type": "session", "session": session, "participants": participants});
    with(&order(json!([line]), "tok_visa"), json!({"customer": "cus_ada"}))
}

/// The code and the param of what was refused by the worker, with nothing charged and nothing claimed.
async fn barred(shop: &Client, body: &Value) -> (String, String) {
    let failed = shop.buy(body).await;
    assert_eq!((&failed["status"], &failed["payment_attempts"]), (&json!("failed"), &json!([])), "{failed}");
    let text = |field: &str| failed["error"][field].as_str().unwrap_or_default().to_owned();
    (text("code"), text("param"))
}

fn second(code: &str) -> (String, String) {
    (code.to_owned(), "lines[0].participants[1]".to_owned())
}

async fn tags_and_ages_are_those_of_who_comes(shop: &Client) {
    put(shop, "sessions", "ses_members", with(&session(20), json!({"required_tag": "member"}))).await;
    let (bo, cy, di) = (json!({"customer": "cus_bo"}), json!({"customer": "cus_cy"}), json!({"name": "Di", "date_of_birth": "2023-01-01"}));
    for other in [&cy, &di] {
        assert_eq!(barred(shop, &brings("ses_members", json!([bo, other]))).await, second("access_restricted"), "{other}");
    }
    // The mother is too old herself, and does not come.
    put(shop, "sessions", "ses_kids", with(&session(20), json!({"starts_at": "2035-06-01T08:00:00Z", "max_age": 12}))).await;
    assert_eq!(barred(shop, &brings("ses_kids", json!([cy, {"customer": "cus_ada"}]))).await, second("age_restricted"));
    assert_eq!(barred(shop, &brings("ses_kids", json!([cy, {"name": "Di"}]))).await, second("date_of_birth_required"));
    let sale = shop.buy(&brings("ses_kids", json!([cy, di]))).await;
    assert_eq!(
        (&sale["status"], &sale["amount_total"], &sale["customer"]),
        (&json!("succeeded"), &json!(3000), &json!("cus_ada")),
        "{sale}"
    );
    // On 1 June 2035 Bo is 13. When it starts it is that day in UTC, and not yet in Honolulu.
    let teens = with(&session(20), json!({"starts_at": "2035-06-01T08:00:00Z", "min_age": 13}));
    put(shop, "sessions", "ses_teens", teens).await;
    let both = brings("ses_teens", json!([{"customer": "cus_ada"}, bo]));
    assert_eq!(shop.buy(&both).await["status"], "succeeded");
    shop.put("/v1/settings", &json!({"time_zone": "Pacific/Honolulu"})).await.expect(200);
    assert_eq!(barred(shop, &both).await, second("age_restricted"));
    assert_eq!(
        (shop.left("ses_members").await, shop.left("ses_kids").await, shop.left("ses_teens").await),
        ((0, 0, 20), (2, 0, 18), (2, 0, 18))
    );
}

async fn each_has_a_limit_and_strangers_have_one_within_a_checkout(shop: &Client) {
    put(shop, "sessions", "ses_one", with(&session(20), json!({"purchase_limit": 1}))).await;
    let (bo, cy, di) =
        (json!({"customer": "cus_bo"}), json!({"customer": "cus_cy"}), json!({"name": "Di Marsh", "date_of_birth": "2017-03-09"}));
    assert_eq!(shop.buy(&brings("ses_one", json!([bo, di]))).await["status"], "succeeded");
    // Bo has his, whoever pays; by his external id he is still Bo.
    assert_eq!(barred(shop, &brings("ses_one", json!([cy, bo]))).await, second("purchase_limit_reached"));
    assert_eq!(
        barred(shop, &brings("ses_one", json!([cy, {"name": "B.", "external_id": "crm-bo"}]))).await,
        second("purchase_limit_reached")
    );
    assert_eq!(
        barred(shop, &brings("ses_one", json!([di, {"name": "di marsh", "date_of_birth": "2017-03-09"}]))).await,
        second("purchase_limit_reached")
    );
    // A name is not a person: there are two Di Marsh, born on one day or not.
    assert_eq!(shop.buy(&brings("ses_one", json!([di, {"name": "Di Marsh", "date_of_birth": "2016-01-01"}]))).await["status"], "succeeded");
    let refused = shop.refused(&brings("ses_one", json!([di, {"customer": "cus_eve"}]))).await;
    assert_eq!(refused.expect_problem(422, "participant_not_in_family")["param"], "lines[0].participants[1]");
    assert_eq!(shop.left("ses_one").await, (4, 0, 16));
}

async fn tickets_are_theirs(shop: &Client) {
    put(shop, "sessions", "ses_camp", session(20)).await;
    let people = json!([{"customer": "cus_bo"}, {"name": "Di Marsh", "email": "di@example.com"}, {"customer": "cus_cy"}]);
    let sale = shop.buy(&brings("ses_camp", people)).await;
    let names: Vec<_> = sale["lines"][0]["participants"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bo Lovelace", "Di Marsh", "cy Lovelace"]);
    let id = sale["id"].as_str().unwrap();
    let tickets = shop.get(&format!("/v1/checkouts/{id}/tickets")).await.expect(200)["data"].clone();
    let receipt = page(shop, &shop.get(&format!("/v1/checkouts/{id}/receipt")).await.expect(200)["url"]).await;
    for (at, name) in names.into_iter().enumerate() {
        let ticket = &tickets[at];
        assert_eq!(ticket["holder"]["name"], name);
        assert!(receipt.contains(name) && page(shop, &ticket["url"]).await.contains(name), "{name}");
    }
    let door = shop.post("/v1/check-ins", &json!({"code": tickets[1]["code"], "session": "ses_camp"})).await.expect(200);
    assert_eq!((&door["holder"]["name"], &door["holder"]["customer"]), (&json!("Di Marsh"), &json!(null)));
    // Cy falls ill, and somebody else comes.
    let path = format!("/v1/tickets/{}/transfer", tickets[2]["id"].as_str().unwrap());
    let passed = shop.post(&path, &json!({"holder": {"name": "Fay"}})).await.expect(200);
    shop.post("/v1/check-ins", &json!({"code": tickets[2]["code"]})).await.expect_problem(409, "ticket_replaced");
    let door = shop.post("/v1/check-ins", &json!({"code": passed["code"]})).await.expect(200);
    assert_eq!((&door["holder"]["name"], &door["holder"]["customer"]), (&json!("Fay"), &json!(null)));
}

/// A page as whoever has its link sees it. Links begin with the public address, which may be another's than this server's.
async fn page(shop: &Client, url: &Value) -> String {
    let url = url.as_str().unwrap();
    let path = url.splitn(4, '/').nth(3).unwrap();
    let page = shop.with_key(None).get(&format!("/{path}")).await;
    assert_eq!(page.status, 200, "{url}");
    page.text
}

/// The entry once places are held for it.
async fn offered(shop: &Client, entry: &Value) -> Value {
    shop.eventually(&format!("/v1/waiting-list/{}", entry["id"].as_str().unwrap()), |entry| entry["status"] == "offered").await
}

async fn give_back(shop: &Client, sale: &Value) {
    let path = format!("/v1/checkouts/{}/refunds", sale["id"].as_str().unwrap());
    let asked = shop.send(shop.request(Method::POST, &path).header("idempotency-key", fresh_key()).json(&json!({}))).await.expect(202);
    shop.eventually(&format!("/v1/refunds/{}", asked["id"].as_str().unwrap()), |refund| refund["status"] == "succeeded").await;
}

/// Ada waits for two places and buys them for two others: they have them then, and their limits count them, not hers.
async fn an_offer_is_taken_for_others(shop: &Client) {
    put(shop, "sessions", "ses_wait", with(&session(3), json!({"purchase_limit": 2}))).await;
    let full = shop.buy(&brings("ses_wait", json!([{"name": "X"}, {"name": "Y"}, {"name": "Z"}]))).await;
    let wish = |customer: &str| json!({"customer": customer, "quantity": 2});
    let ada = shop.post("/v1/sessions/ses_wait/waiting-list", &wish("cus_ada")).await.expect(201);
    give_back(shop, &full).await;
    offered(shop, &ada).await;
    let take = |people: Value| {
        let mut body = brings("ses_wait", people);
        body["lines"][0]["offer"] = ada["id"].clone();
        body
    };
    let (bo, cy, di) = (json!({"customer": "cus_bo"}), json!({"customer": "cus_cy"}), json!({"name": "Di"}));
    // Taken whole, and by who waited, whoever comes.
    for bad in [take(json!([bo])), take(json!([bo, cy, di]))] {
        assert_eq!(shop.refused(&bad).await.expect_problem(422, "offer_unavailable")["param"], "lines[0].offer", "{bad}");
    }
    let cys = with(&take(json!([bo, cy])), json!({"customer": "cus_cy"}));
    assert_eq!(barred(shop, &cys).await, ("offer_unavailable".to_owned(), "lines[0].offer".to_owned()));
    let taken = shop.buy(&take(json!([bo, di]))).await;
    assert_eq!(taken["status"], "succeeded", "{taken}");
    let entry = shop.get(&format!("/v1/waiting-list/{}", ada["id"].as_str().unwrap())).await.expect(200);
    assert_eq!((&entry["status"], &entry["checkout"]), (&json!("taken"), &taken["id"]));
    // Bo has one and may have two; Ada has none, and may wait for two again.
    assert_eq!(
        barred(shop, &brings("ses_wait", json!([cy, bo, bo]))).await,
        ("purchase_limit_reached".to_owned(), "lines[0].participants[2]".to_owned())
    );
    let last = shop.buy(&brings("ses_wait", json!([cy]))).await;
    shop.post("/v1/sessions/ses_wait/waiting-list", &wish("cus_bo")).await.expect_problem(422, "purchase_limit_reached");
    let again = shop.post("/v1/sessions/ses_wait/waiting-list", &wish("cus_ada")).await.expect(201);
    give_back(shop, &last).await;
    give_back(shop, &taken).await;
    offered(shop, &again).await;
    assert_eq!(shop.left("ses_wait").await, (0, 2, 1));
}

/// The list asks its questions of who waits. So a child waits, and the offer is bought in the child's name with the parent's method.
async fn a_child_waits_and_a_parent_pays(shop: &Client) {
    put(shop, "sessions", "ses_small", with(&session(1), json!({"starts_at": "2035-06-01T08:00:00Z", "max_age": 12}))).await;
    let card = json!({"type": "card", "token": "tok_visa", "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030});
    for (id, is_shared) in [("pm_shared", true), ("pm_own", false)] {
        let reply =
            shop.put(&format!("/v1/customers/cus_ada/payment-methods/{id}"), &with(&card, json!({"shared_with_family": is_shared}))).await;
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
    }
    let full = shop.buy(&brings("ses_small", json!([{"name": "X", "date_of_birth": "2024-05-05"}]))).await;
    let list = "/v1/sessions/ses_small/waiting-list";
    shop.post(list, &json!({"customer": "cus_ada"})).await.expect_problem(422, "age_restricted");
    let cy = shop.post(list, &json!({"customer": "cus_cy"})).await.expect(201);
    give_back(shop, &full).await;
    offered(shop, &cy).await;
    let line = json!({"type": "session", "session": "ses_small", "offer": cy["id"]});
    let by = |id: &str| {
        let method = json!({"type": "saved_method", "id": id, "customer": "cus_ada"});
        with(&order(json!([line]), "tok_visa"), json!({"customer": "cus_cy", "payment": {"methods": [method]}}))
    };
    shop.refused(&by("pm_own")).await.expect_problem(422, "payment_method_invalid");
    let taken = shop.buy(&by("pm_shared")).await;
    assert_eq!((&taken["status"], &taken["amount_paid"]), (&json!("succeeded"), &json!(1500)), "{taken}");
}

/// What is charged again and again is its customer's own: who shares a method has said yes to sales, and to no renewals.
async fn a_plan_is_paid_with_ones_own(shop: &Client) {
    put(shop, "plans", "pln_club", json!({"name": "Club", "unit_amount": 900, "currency": "usd", "interval": "month"})).await;
    let sale = |method: Value| {
        let plan = order(json!([{"type": "plan", "plan": "pln_club"}]), "tok_visa");
        with(&plan, json!({"customer": "cus_bo", "payment": {"methods": [method]}}))
    };
    for (id, owner) in [("pm_own", None), ("pm_own", Some("cus_ada")), ("pm_shared", None), ("pm_shared", Some("cus_ada"))] {
        let mut method = json!({"type": "saved_method", "id": id});
        if let Some(owner) = owner {
            method["customer"] = json!(owner);
        }
        shop.refused(&sale(method)).await.expect_problem(422, "payment_method_invalid");
    }
    let sold = shop.buy(&sale(json!({"type": "card", "token": "tok_visa"}))).await;
    let change = format!("/v1/subscriptions/{}/payment-method", sold["lines"][0]["subscription"].as_str().unwrap());
    for id in ["pm_own", "pm_shared"] {
        shop.post(&change, &json!({"id": id})).await.expect_problem(422, "payment_method_invalid");
    }
    shop.post(&change, &json!({"id": "pm_own", "customer": "cus_ada"})).await.expect_problem(400, "parameter_unknown");
}
