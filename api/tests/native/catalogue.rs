//! Sessions, products, promo codes and customers.

use crate::server::{Server, two_places, yoga};
use boxoffice_common::domain::state::Status;
use serde_json::{Value, json};

#[tokio::test]
async fn a_session_is_created_replaced_read_and_listed() {
    let server = Server::start().await;
    let created = server.put("/v1/sessions/ses_yoga", &yoga()).await;
    assert_eq!((created.code(), created.json()["id"].clone(), created.json()["capacity"].clone()), (201, json!("ses_yoga"), json!(20)));
    // What was read can be put back.
    let shown = server.get("/v1/sessions/ses_yoga").await;
    let replaced = server.put("/v1/sessions/ses_yoga", &shown.json()).await;
    assert_eq!((replaced.code(), replaced.json()), (200, shown.json()));
    let known = server.get_with("/v1/sessions/ses_yoga", &[("if-none-match", replaced.header("etag"))]).await;
    assert_eq!(known.code(), 304);
    for n in 0..3 {
        server.put(&format!("/v1/sessions/s{n}"), &yoga()).await;
    }
    let page = server.get("/v1/sessions?limit=2").await.json();
    assert_eq!(page["data"].as_array().unwrap().len(), 2);
    let rest = server.get(&format!("/v1/sessions?cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!((rest["data"].as_array().unwrap().len(), rest["next_cursor"].clone()), (2, Value::Null));
}

#[tokio::test]
async fn the_occurrences_of_a_class_are_listed_by_their_start_and_a_place_has_the_price_of_its_plan() {
    let server = Server::start().await;
    let plans = json!([{"id": "pp_adult", "name": "Adult", "unit_amount": 2000}, {"id": "pp_child", "name": "Child", "unit_amount": 0}]);
    for (id, starts_at) in [("b", "2099-01-01T10:00:00Z"), ("a", "2099-01-08T10:00:00Z"), ("c", "2099-01-15T10:00:00Z")] {
        let mut session = yoga();
        (session["class"], session["starts_at"], session["pricing_plans"]) = (json!("cls"), json!(starts_at), plans.clone());
        let put = server.put(&format!("/v1/sessions/{id}"), &session).await.json();
        assert_eq!((&put["class"], &put["pricing_plans"]), (&json!("cls"), &plans));
    }
    let plain = server.put("/v1/sessions/plain", &yoga()).await.json();
    assert_eq!((plain.get("class"), plain.get("pricing_plans")), (None, None));
    let listed = async |query: &str| {
        let page = server.get(&format!("/v1/sessions?{query}")).await.json();
        let ids: Vec<String> = page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        (ids, page["next_cursor"].as_str().map(str::to_owned))
    };
    let (first, cursor) = listed("class=cls&limit=2").await;
    assert_eq!(first, ["b", "a"]);
    assert_eq!(listed(&format!("class=cls&limit=2&cursor={}", cursor.unwrap())).await, (vec!["c".to_owned()], None));
    assert_eq!(listed("class=cls&from=2099-01-08T10:00:00Z&to=2099-01-15T10:00:00Z").await.0, ["a"]);
    assert_eq!(server.get("/v1/sessions?from=2099-01-08T10:00:00Z").await.problem(), (400, "parameter_invalid".to_owned()));
    let line = |plan: &str| json!({"type": "session", "session": "a", "pricing_plan": plan});
    let body = json!({"currency": "usd", "lines": [line("pp_child")]});
    let bought = server.checkout("child", &body).await.json();
    let told = ["name", "amount", "pricing_plan", "class"].map(|field| bought["lines"][0][field].clone());
    assert_eq!(told, [json!("Yoga, Child"), json!(0), json!("pp_child"), json!("cls")], "{bought}");
    let unknown = server.checkout("senior", &json!({"currency": "usd", "lines": [line("pp_senior")]})).await;
    assert_eq!(
        (unknown.problem(), unknown.json()["param"].clone()),
        ((422, "resource_missing".to_owned()), json!("lines[0].pricing_plan"))
    );
}

#[tokio::test]
async fn a_session_that_breaks_the_rules_is_refused_with_its_field() {
    let server = Server::start().await;
    for (field, value, code, param) in [
        ("id", json!("ses_other"), "parameter_invalid", "id"),
        ("capacity", json!(-1), "parameter_invalid", "capacity"),
        ("seats", json!(["A1"]), "parameter_invalid", "seats"),
        ("unit_amount", json!(-1), "parameter_invalid", "unit_amount"),
        ("starts_at", json!("tomorrow"), "parameter_invalid", "starts_at"),
        ("status", json!("open"), "parameter_invalid", "status"),
        ("capcity", json!(1), "parameter_unknown", "capcity"),
        ("name", Value::Null, "parameter_invalid", "name"),
        ("metadata", json!({"card": "4111111111111111"}), "card_number_refused", "metadata.card"),
    ] {
        let mut session = yoga();
        session[field] = value;
        let reply = server.put("/v1/sessions/ses_yoga", &session).await;
        assert_eq!(reply.problem(), (400, code.to_owned()), "{field}");
        assert_eq!(reply.json()["param"], param);
    }
    assert_eq!(server.put("/v1/sessions/a%20b", &yoga()).await.problem(), (400, "parameter_invalid".to_owned()));
    assert_eq!(server.put("/v1/sessions/4111111111111111", &yoga()).await.problem(), (400, "card_number_refused".to_owned()));
    assert_eq!(server.get("/v1/sessions/ses_yoga").await.code(), 404);
}

#[tokio::test]
async fn availability_tells_seat_by_seat_and_capacity_never_falls_below_what_is_taken() {
    let server = Server::start().await;
    let mut gala = yoga();
    gala.as_object_mut().unwrap().remove("capacity");
    gala["seats"] = json!(["A1", "A2", "A3"]);
    gala["unit_amount"] = json!(0);
    assert_eq!(server.put("/v1/sessions/ses_gala", &gala).await.code(), 201);
    let body = json!({"currency": "usd", "lines": [{"type": "session", "session": "ses_gala", "seats": ["A2"]}]});
    let id = server.checkout("k1", &body).await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.work(&id).await, Status::Succeeded);
    let left = server.get("/v1/sessions/ses_gala/availability").await.json();
    assert_eq!(left["seats"], json!({"A1": "available", "A2": "sold", "A3": "available"}));
    assert_eq!((&left["capacity"], &left["sold"], &left["held"], &left["available"]), (&json!(3), &json!(1), &json!(0), &json!(2)));
    gala["seats"] = json!(["A1", "A3"]);
    let refused = server.put("/v1/sessions/ses_gala", &gala).await;
    assert_eq!(refused.problem(), (409, "capacity_too_small".to_owned()));
    assert_eq!(server.get("/v1/sessions/nothing/availability").await.code(), 404);
}

#[tokio::test]
async fn products_and_promo_codes_make_the_price() {
    let server = Server::start().await;
    server.yoga().await;
    let mat = json!({"name": "Mat", "unit_amount": 2500, "currency": "usd", "variants": [{"id": "blue", "name": "blue"}]});
    assert_eq!(server.put("/v1/products/prd_mat", &mat).await.code(), 201);
    assert_eq!(server.put("/v1/promo-codes/DEMO10", &json!({"percent_off_bp": 1000})).await.code(), 201);
    assert_eq!(server.put("/v1/promo-codes/BAD", &json!({"amount_off": 5})).await.json()["param"], "currency");
    let mut body = two_places();
    let mat = json!({"type": "product", "product": "prd_mat", "variant": "blue"});
    body["lines"].as_array_mut().unwrap().push(mat);
    body["promo_code"] = json!("DEMO10");
    let checkout = server.checkout("k1", &body).await.json();
    assert_eq!(
        (&checkout["amount_subtotal"], &checkout["amount_discount"], &checkout["amount_total"]),
        (&json!(5500), &json!(550), &json!(4950))
    );
    assert_eq!(server.get("/v1/products/prd_mat").await.json()["variants"][0]["id"], "blue");
    assert_eq!(server.get("/v1/promo-codes").await.json()["data"][0]["id"], "DEMO10");
}

#[tokio::test]
async fn a_customer_is_kept_and_an_external_id_has_one_owner() {
    let server = Server::start().await;
    let ada = json!({"external_id": "u1", "email": "ada@example.com", "name": "Ada", "date_of_birth": "1990-12-10", "tags": ["vip"]});
    let created = server.put("/v1/customers/cus_ada", &ada).await;
    assert_eq!((created.code(), created.json()["id"].clone()), (201, json!("cus_ada")));
    let shown = server.get("/v1/customers/cus_ada").await.json();
    assert_eq!((shown["date_of_birth"].clone(), shown["tags"].clone()), (json!("1990-12-10"), json!(["vip"])));
    assert_eq!(server.put("/v1/customers/cus_ada", &shown).await.code(), 200);
    assert_eq!(server.put("/v1/customers/cus_bob", &ada).await.problem(), (409, "external_id_taken".to_owned()));
    assert_eq!(server.get("/v1/customers/cus_bob").await.code(), 404);
    let refused = server.put("/v1/customers/cus_bob", &json!({"date_of_birth": "yesterday"})).await;
    assert_eq!(refused.json()["param"], "date_of_birth");
    assert_eq!(server.get("/v1/customers").await.json()["data"].as_array().unwrap().len(), 1);
}
