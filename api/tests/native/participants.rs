//! Participants over HTTP: shaped as they must be, known where they can be, and shown on what they get.

use crate::server::{Reply, Server, yoga};
use boxoffice_common::domain::state::Status;
use serde_json::{Value, json};

/// Ada and her son Bo, Eve who is nothing to them; a session that costs nothing.
async fn shop() -> Server {
    let server = Server::start().await;
    let mut free = yoga();
    free["unit_amount"] = json!(0);
    assert_eq!(server.put("/v1/sessions/ses_free", &free).await.code(), 201);
    for (id, family) in [("ada", Some("lovelace")), ("bo", Some("lovelace")), ("eve", None)] {
        let customer = json!({"name": format!("{id} <b>L</b>"), "external_id": format!("crm-{id}"), "family": family});
        assert_eq!(server.put(&format!("/v1/customers/cus_{id}"), &customer).await.code(), 201);
    }
    server
}

fn order(customer: Value, line: Value) -> Value {
    let mut whole = json!({"type": "session", "session": "ses_free"});
    whole.as_object_mut().unwrap().extend(line.as_object().unwrap().clone());
    json!({"customer": customer, "currency": "usd", "lines": [whole]})
}

async fn named(server: &Server, key: &str, customer: Value, participants: Value) -> Reply {
    server.checkout(key, &order(customer, json!({"participants": participants}))).await
}

#[tokio::test]
async fn what_is_no_participant_is_refused_at_once_with_its_path() {
    let server = shop().await;
    let di = json!({"name": "Di"});
    let path = |field: &str| format!("lines[0].participants{field}");
    for (participants, status, code, param) in [
        (json!([]), 400, "parameter_invalid", path("")),
        (json!([di, {}]), 400, "parameter_missing", path("[1].name")),
        (json!([di, {"customer": "cus_bo", "name": "Bo"}]), 400, "parameter_unknown", path("[1].name")),
        (json!([{"name": "Di", "age": 3}]), 400, "parameter_unknown", path("[0].age")),
        (json!([{"name": ""}]), 400, "parameter_invalid", path("[0].name")),
        (json!([{"name": "Di", "email": "nowhere"}]), 400, "parameter_invalid", path("[0].email")),
        (json!([{"name": "Di", "date_of_birth": "2999-01-01"}]), 400, "parameter_invalid", path("[0].date_of_birth")),
        (json!([{"name": "4111 1111 1111 1111"}]), 400, "card_number_refused", path("[0].name")),
        (json!([di, {"customer": "cus_nobody"}]), 422, "resource_missing", path("[1].customer")),
        (json!([di, {"customer": "cus_eve"}]), 422, "participant_not_in_family", path("[1]")),
        (json!([{"name": "Eve", "external_id": "crm-eve"}]), 422, "participant_not_in_family", path("[0]")),
    ] {
        let refused = named(&server, "k", json!("cus_ada"), participants.clone()).await;
        assert_eq!(refused.problem(), (status, code.to_owned()), "{participants}");
        assert_eq!(refused.json()["param"], param, "{participants}");
    }
    let too_few = server.checkout("k", &order(json!("cus_ada"), json!({"quantity": 2, "participants": [di]}))).await;
    assert_eq!((too_few.problem().1.as_str(), &too_few.json()["param"]), ("parameter_invalid", &json!("lines[0].participants")));
    for guest in [json!(null), json!({"name": "Ada"}), json!({"external_id": "crm-eve"})] {
        let refused = named(&server, "k", guest.clone(), json!([{"customer": "cus_bo"}])).await;
        assert_eq!(refused.problem(), (422, "participant_not_in_family".to_owned()), "{guest}");
    }
    let many: Vec<Value> = (0..501).map(|n| json!({"name": format!("N{n}")})).collect();
    assert_eq!(named(&server, "k", json!(null), json!(many)).await.problem(), (400, "parameter_invalid".to_owned()));
    let goods = json!({"currency": "usd", "lines": [{"type": "custom", "name": "X", "unit_amount": 0, "participants": [di]}]});
    assert_eq!(server.checkout("k", &goods).await.problem(), (400, "parameter_unknown".to_owned()));
}

#[tokio::test]
async fn each_place_is_its_participants_on_the_line_the_ticket_the_page_and_at_the_door() {
    let server = shop().await;
    let people = json!([{"customer": "cus_bo"}, {"name": "<script>Di</script>", "date_of_birth": "2015-02-03"}, {"name": "Me", "external_id": "crm-ada"}]);
    let accepted = named(&server, "k", json!({"external_id": "crm-ada"}), people.clone()).await;
    assert_eq!(accepted.code(), 202, "{:?}", accepted.body);
    let line = accepted.json()["lines"][0].clone();
    let expected = json!([{"customer": "cus_bo", "name": "bo <b>L</b>"}, people[1], {"customer": "cus_ada", "name": "ada <b>L</b>"}]);
    assert_eq!((&line["quantity"], &line["participants"]), (&json!(3), &expected));
    let id = accepted.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.work(&id).await, Status::Succeeded);
    assert_eq!(named(&server, "k", json!({"external_id": "crm-ada"}), people).await.header("idempotent-replayed"), "true");
    let tickets = server.get(&format!("/v1/checkouts/{id}/tickets")).await.json()["data"].clone();
    let holders: Vec<_> = (0..3).map(|at| (tickets[at]["holder"]["customer"].clone(), tickets[at]["holder"]["name"].clone())).collect();
    let holder = |customer: Value, name: &str| (customer, json!(name));
    let bo = holder(json!("cus_bo"), "bo <b>L</b>");
    assert_eq!(holders, [bo, holder(json!(null), "<script>Di</script>"), holder(json!("cus_ada"), "ada <b>L</b>")]);
    for url in [tickets[1]["url"].clone(), server.get(&format!("/v1/checkouts/{id}/receipt")).await.json()["url"].clone()] {
        let page = server.get(url.as_str().unwrap().strip_prefix("https://pay.example").unwrap()).await;
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(page.contains("Di") && !page.contains("<script") && !page.contains("<b>L"), "{page}");
    }
    let door = server.post_json("/v1/check-ins", &[], &json!({"code": tickets[1]["code"]}).to_string()).await;
    assert_eq!((door.code(), &door.json()["holder"]["name"]), (200, &json!("<script>Di</script>")));
    let path = format!("/v1/tickets/{}/transfer", tickets[0]["id"].as_str().unwrap());
    let passed = server.post_json(&path, &[], &json!({"holder": {"name": "Fay"}}).to_string()).await;
    assert_eq!((passed.code(), &passed.json()["holder"]["name"], &passed.json()["holder"]["customer"]), (200, &json!("Fay"), &json!(null)));
}
