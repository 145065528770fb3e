//! Tickets over HTTP: listed, verified without us, checked in once, passed on, and nobody else's.

use crate::server::{Server, request};
use axum::body::Body;
use boxoffice_common::domain::{scope::Mode, state::Status};
use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

/// A sale of three places and two seats that cost nothing; its id.
async fn sale(server: &Server) -> String {
    let free = |more: Value| {
        let mut session = json!({"name": "Evening", "starts_at": "2099-01-01T10:00:00Z", "unit_amount": 0, "currency": "usd"});
        session.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        session
    };
    server.put("/v1/sessions/ses_yoga", &free(json!({"capacity": 20}))).await;
    server.put("/v1/sessions/ses_gala", &free(json!({"seats": ["A1", "Rang-2\u{2019}\u{e4}", "A3"]}))).await;
    let lines = json!([
        {"type": "session", "session": "ses_yoga", "quantity": 3},
        {"type": "session", "session": "ses_gala", "seats": ["Rang-2\u{2019}\u{e4}", "A1"]},
    ]);
    let accepted = server.checkout("sale", &json!({"currency": "usd", "lines": lines})).await;
    assert_eq!(accepted.code(), 202, "{:?}", accepted.body);
    let id = accepted.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/v1/checkouts/{id}/tickets")).await.json()["data"], json!([]), "nothing is sold yet");
    assert_eq!(server.work(&id).await, Status::Succeeded);
    id
}

async fn tickets(server: &Server, sale: &str) -> Vec<Value> {
    server.get(&format!("/v1/checkouts/{sale}/tickets")).await.json()["data"].as_array().unwrap().clone()
}

async fn check_in(server: &Server, body: Value) -> crate::server::Reply {
    server.post_json("/v1/check-ins", &[], &body.to_string()).await
}

async fn transfer(server: &Server, ticket: &Value, body: Value) -> crate::server::Reply {
    let path = format!("/v1/tickets/{}/transfer", ticket["id"].as_str().unwrap());
    server.post_json(&path, &[], &body.to_string()).await
}

#[tokio::test]
async fn a_sale_has_a_ticket_for_each_place_page_by_page() {
    let server = Server::start().await;
    let sale = sale(&server).await;
    let all = tickets(&server, &sale).await;
    let seats: Vec<_> = all.iter().map(|ticket| (ticket["session"].clone(), ticket["seat"].clone(), ticket["status"].clone())).collect();
    let place = |session: &str, seat: Value| (json!(session), seat, json!("valid"));
    let yoga = || place("ses_yoga", Value::Null);
    assert_eq!(seats, [yoga(), yoga(), yoga(), place("ses_gala", json!("Rang-2\u{2019}\u{e4}")), place("ses_gala", json!("A1"))]);
    assert!(all.iter().all(|ticket| ticket["object"] == "ticket" && ticket["checkout"] == sale.as_str() && ticket["serial"] == 1));
    let mut seen = Vec::new();
    let mut path = format!("/v1/checkouts/{sale}/tickets?limit=2");
    loop {
        let page = server.get(&path).await.json();
        seen.extend(page["data"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/checkouts/{sale}/tickets?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
    assert_eq!(server.get(&format!("/v1/tickets/{}", all[4]["id"].as_str().unwrap())).await.json(), all[4]);
    let bad = server.get(&format!("/v1/checkouts/{sale}/tickets?cursor=tkt_x")).await;
    assert_eq!((bad.problem(), bad.json()["param"].clone()), ((400, "parameter_invalid".to_owned()), json!("cursor")));
    assert_eq!(server.get("/v1/checkouts/chk_nothing/tickets").await.code(), 404);
}

/// As docs/tickets.md tells it, with nothing of ours: a door that has the keys and no network.
#[tokio::test]
async fn a_door_verifies_a_code_by_the_published_key_alone() {
    let server = Server::start().await;
    let sale = sale(&server).await;
    let ticket = tickets(&server, &sale).await.remove(3);
    let keys = server.get("/v1/ticket-keys").await.json();
    let code = ticket["code"].as_str().unwrap();
    let parts: Vec<&str> = code.split('.').collect();
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
    let header: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
    assert_eq!(header["alg"], "EdDSA");
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    assert_eq!((&key["kty"], &key["crv"], &key["use"], &key["alg"]), (&json!("OKP"), &json!("Ed25519"), &json!("sig"), &json!("EdDSA")));
    let public = UnparsedPublicKey::new(&ED25519, decode(key["x"].as_str().unwrap()));
    public.verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &decode(parts[2])).unwrap();
    let said: Value = serde_json::from_slice(&decode(parts[1])).unwrap();
    assert_eq!(said, json!({"t": ticket["id"], "s": "ses_gala", "p": "Rang-2\u{2019}\u{e4}", "n": 1}));
    let other = tickets(&server, &sale).await[4]["code"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    assert!(public.verify(format!("{}.{other}", parts[0]).as_bytes(), &decode(parts[2])).is_err(), "another ticket's claims");
    assert_eq!(server.get("/v1/ticket-keys").await.json(), keys, "the key stays");
    assert!(!keys.to_string().contains("\"d\""), "and its private half with us");
}

#[tokio::test]
async fn a_ticket_lets_in_once_and_a_mistake_is_undone() {
    let server = Server::start().await;
    let sale = sale(&server).await;
    let ticket = tickets(&server, &sale).await.remove(0);
    let code = json!({"code": ticket["code"]});
    let elsewhere = check_in(&server, json!({"code": ticket["code"], "session": "ses_gala"})).await;
    assert_eq!((elsewhere.problem(), elsewhere.json()["param"].clone()), ((409, "ticket_other_session".to_owned()), json!("session")));
    let first = check_in(&server, json!({"code": ticket["code"], "session": "ses_yoga"})).await;
    assert_eq!((first.code(), first.json()["status"].clone()), (200, json!("admitted")));
    let second = check_in(&server, code.clone()).await;
    assert_eq!(second.problem(), (409, "already_admitted".to_owned()));
    assert_eq!(second.json()["admitted_at"], first.json()["admitted_at"]);
    let by_hand = check_in(&server, json!({"ticket": ticket["id"]})).await;
    assert_eq!(by_hand.problem(), (409, "already_admitted".to_owned()));
    let undo = format!("/v1/tickets/{}/undo-check-in", ticket["id"].as_str().unwrap());
    let undone = server.post(&undo).await;
    assert_eq!((undone.code(), undone.json()), (200, ticket.clone()));
    assert_eq!(server.post(&undo).await.problem(), (409, "ticket_not_admitted".to_owned()));
    assert_eq!(check_in(&server, json!({"ticket": ticket["id"]})).await.json()["status"], "admitted");
    let timeline = server.get(&format!("/v1/checkouts/{sale}/timeline")).await.json();
    let said: Vec<_> = timeline["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["detail"] == ticket["id"])
        .map(|entry| entry["what"].clone())
        .collect();
    assert_eq!(said, ["ticket.admitted", "ticket.admission_undone", "ticket.admitted"]);
}

#[tokio::test]
async fn what_is_no_ticket_of_ours_opens_no_door() {
    let server = Server::start().await;
    let sale = sale(&server).await;
    let ticket = tickets(&server, &sale).await.remove(0);
    let code = ticket["code"].as_str().unwrap();
    let mut tampered = code.to_owned();
    tampered.replace_range(60..61, if &code[60..61] == "A" { "B" } else { "A" });
    for bad in [tampered.as_str(), "", "x", &code[..code.len() - 1], &"x".repeat(5_000)] {
        let reply = check_in(&server, json!({"code": bad})).await;
        assert_eq!((reply.problem(), reply.json()["param"].clone()), ((422, "ticket_code_invalid".to_owned()), json!("code")));
    }
    let missing = check_in(&server, json!({"ticket": "tkt_nothing_0_0"})).await;
    assert_eq!(missing.problem(), (404, "not_found".to_owned()));
    for (body, code, param) in [
        (json!({}), "parameter_missing", "code"),
        (json!({"code": code, "ticket": ticket["id"]}), "parameter_invalid", "ticket"),
        (json!({"code": code, "door": 3}), "parameter_unknown", "door"),
    ] {
        let reply = check_in(&server, body).await;
        assert_eq!((reply.problem(), reply.json()["param"].clone()), ((400, code.to_owned()), json!(param)));
    }
    assert_eq!(tickets(&server, &sale).await[0]["status"], "valid");
}

#[tokio::test]
async fn a_ticket_is_passed_on_and_its_old_code_is_dead() {
    let server = Server::start().await;
    let sale = sale(&server).await;
    let ticket = tickets(&server, &sale).await.remove(0);
    for (body, status, code, param) in [
        (json!({}), 400, "parameter_missing", "customer"),
        (json!({"customer": "cus_eve", "holder": {"name": "Eve"}}), 400, "parameter_invalid", "holder"),
        (json!({"holder": {"name": ""}}), 400, "parameter_invalid", "holder.name"),
        (json!({"holder": {"email": "eve@example.com"}}), 400, "parameter_missing", "holder.name"),
        (json!({"holder": {"name": "Eve", "email": "eve"}}), 400, "parameter_invalid", "holder.email"),
        (json!({"holder": {"name": "Eve", "phone": "1"}}), 400, "parameter_unknown", "holder.phone"),
        (json!({"customer": "cus_nobody"}), 422, "resource_missing", "customer"),
    ] {
        let reply = transfer(&server, &ticket, body.clone()).await;
        assert_eq!((reply.problem(), reply.json()["param"].clone()), ((status, code.to_owned()), json!(param)), "{body}");
    }
    let eves = transfer(&server, &ticket, json!({"holder": {"name": "Eve", "email": "eve@example.com"}})).await.json();
    assert_eq!((&eves["serial"], &eves["holder"]), (&json!(2), &json!({"customer": null, "name": "Eve", "email": "eve@example.com"})));
    assert_eq!(check_in(&server, json!({"code": ticket["code"]})).await.problem(), (409, "ticket_replaced".to_owned()));
    server.put("/v1/customers/cus_bob", &json!({"name": "Bob"})).await;
    let bobs = transfer(&server, &eves, json!({"customer": "cus_bob"})).await.json();
    assert_eq!((&bobs["serial"], &bobs["holder"]), (&json!(3), &json!({"customer": "cus_bob", "name": null, "email": null})));
    assert_eq!(check_in(&server, json!({"code": eves["code"]})).await.problem(), (409, "ticket_replaced".to_owned()));
    assert_eq!(check_in(&server, json!({"code": bobs["code"]})).await.code(), 200);
    assert_eq!(transfer(&server, &bobs, json!({"holder": {"name": "Eve"}})).await.problem(), (409, "already_admitted".to_owned()));
}

#[tokio::test]
async fn the_place_that_was_given_back_has_a_void_ticket() {
    let server = Server::start().await;
    let sale = sale(&server).await;
    let before = tickets(&server, &sale).await;
    let refund = json!({"lines": [before[0]["line"]]}).to_string();
    let path = format!("/v1/checkouts/{sale}/refunds");
    assert_eq!(server.post_json(&path, &[("idempotency-key", "r")], &refund).await.code(), 202);
    let after = tickets(&server, &sale).await;
    let statuses: Vec<_> = after.iter().map(|ticket| (ticket["status"].clone(), ticket["code"].is_null())).collect();
    let (void, valid) = ((json!("void"), true), (json!("valid"), false));
    assert_eq!(statuses, [void.clone(), void.clone(), void, valid.clone(), valid]);
    assert_eq!(check_in(&server, json!({"code": before[0]["code"]})).await.problem(), (409, "ticket_void".to_owned()));
    assert_eq!(transfer(&server, &before[0], json!({"holder": {"name": "Eve"}})).await.problem(), (409, "ticket_void".to_owned()));
}

#[tokio::test]
async fn another_tenants_or_modes_tickets_are_not_there_and_scopes_are_asked_for() {
    let server = Server::start().await;
    let sale = sale(&server).await;
    let ticket = tickets(&server, &sale).await.remove(0);
    let all = ["checkouts:write", "checkouts:read", "catalog:write", "admin"];
    server.add_key("bo_test_other", "other", Mode::Test, &all).await;
    server.add_key("bo_live_demo", "demo", Mode::Live, &all).await;
    server.add_key("bo_test_reader", "demo", Mode::Test, &["checkouts:read"]).await;
    let send = async |key: &str, method: &str, path: &str, body: Value| {
        let headers = [("authorization", &*format!("Bearer {key}")), ("content-type", "application/json")];
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        server.send(request(method, path, &headers).body(body).unwrap()).await
    };
    let one = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    for stranger in ["bo_test_other", "bo_live_demo"] {
        for (method, path, body) in [
            ("GET", format!("/v1/checkouts/{sale}/tickets"), Value::Null),
            ("GET", one.clone(), Value::Null),
            ("POST", "/v1/check-ins".to_owned(), json!({"ticket": ticket["id"]})),
            ("POST", format!("{one}/undo-check-in"), Value::Null),
            ("POST", format!("{one}/transfer"), json!({"holder": {"name": "Eve"}})),
        ] {
            assert_eq!(send(stranger, method, &path, body).await.problem(), (404, "not_found".to_owned()), "{stranger} {path}");
        }
        let theirs = send(stranger, "POST", "/v1/check-ins", json!({"code": ticket["code"]})).await;
        assert_eq!(theirs.problem(), (422, "ticket_code_invalid".to_owned()));
    }
    for (path, body) in
        [("/v1/check-ins".to_owned(), json!({"ticket": ticket["id"]})), (format!("{one}/transfer"), json!({"customer": "x"}))]
    {
        assert_eq!(send("bo_test_reader", "POST", &path, body).await.problem(), (403, "scope_missing".to_owned()));
    }
    assert_eq!(tickets(&server, &sale).await[0], ticket);
}
