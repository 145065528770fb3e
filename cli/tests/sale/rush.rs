//! Many at once: the same request fifty times, and twenty buyers for three seats. And what an idempotency key promises.

use crate::support::{
    catalogue::{places, put, session, with},
    client::{Client, fresh_key},
    system::System,
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

pub async fn story(system: &System) {
    let shop = system.shop();
    let rival = system.newcomer("rival", &[]).await;
    put(&shop, "sessions", "ses_twins", session(100)).await;
    put(&rival, "sessions", "ses_twins", session(100)).await;
    the_first_answer_is_given_again_whatever_has_changed(&shop, &rival).await;
    tokio::join!(fifty_twins_make_one_checkout(&shop), three_seats_are_sold_three_times(&shop), one_person_stays_one(&shop));
}

async fn one_person_stays_one(shop: &Client) {
    let body = with(&places("ses_twins", 1, "tok_visa"), json!({"customer": {"external_id": "everywhere-at-once", "name": "Ada"}}));
    let bought = join_all((0..20).map(|_| shop.buy(&body))).await;
    assert!(
        bought.iter().all(|one| one["status"] == "succeeded" && one["customer"].is_string() && one["customer"] == bought[0]["customer"])
    );
}

async fn the_first_answer_is_given_again_whatever_has_changed(shop: &Client, rival: &Client) {
    let key = fresh_key();
    let body = places("ses_twins", 2, "tok_visa");
    let first = shop.submit(&key, &body).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (202, None), "{}", first.text);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(shop.settled(&id).await["status"], "succeeded");
    let replayed = |reply: &crate::support::client::Reply| {
        assert_eq!((reply.status, reply.text.as_str()), (202, first.text.as_str()));
        assert_eq!((reply.header("idempotent-replayed"), reply.header("location")), (Some("true"), first.header("location")));
    };
    replayed(&shop.submit(&key, &body).await);
    replayed(&shop.submit(&format!("\"{key}\""), &body).await);
    // The same JSON, written by somebody else.
    let respelled = r#" {"payment":{"methods":[{"token":"tok_visa","type":"card"}]}, "lines":[{"quantity":2,"session":"ses_twins","type":"session"}],"currency":"us\u0064"}"#;
    let request = shop.request(Method::POST, "/v1/checkouts").header("idempotency-key", &key).header("content-type", "application/json");
    replayed(&shop.send(request.body(respelled)).await);
    shop.submit(&key, &places("ses_twins", 3, "tok_visa")).await.expect_problem(422, "idempotency_key_reused");
    // A new price, a full house, a session that is gone: the key still finds its checkout, and a new one does not.
    let echo = with(&body, json!({"lines": [{"type": "session", "session": "ses_twins", "unit_amount": 1500}]}));
    let echo_key = fresh_key();
    let echoed = shop.submit(&echo_key, &echo).await;
    assert_eq!(shop.settled(echoed.json()["id"].as_str().unwrap()).await["status"], "succeeded");
    put(shop, "sessions", "ses_twins", with(&session(3), json!({"unit_amount": 9900, "status": "canceled"}))).await;
    replayed(&shop.submit(&key, &body).await);
    let again = shop.submit(&echo_key, &echo).await;
    assert_eq!((again.status, &again.text, again.header("idempotent-replayed")), (202, &echoed.text, Some("true")));
    shop.refused(&echo).await.expect_problem(422, "price_mismatch");
    shop.submit(&echo_key, &with(&echo, json!({"currency": "eur"}))).await.expect_problem(422, "idempotency_key_reused");
    put(shop, "sessions", "ses_twins", session(100)).await;
    // A key belongs to its tenant, and to nobody else.
    let theirs = rival.submit(&key, &body).await;
    assert_eq!((theirs.status, theirs.header("idempotent-replayed")), (202, None));
    assert_ne!(theirs.json()["id"], first.json()["id"]);
    rival.settled(theirs.json()["id"].as_str().unwrap()).await;
    // A refusal is not kept: mended, the same key may be used.
    let key = fresh_key();
    shop.submit(&key, &places("ses_nowhere", 1, "tok_visa")).await.expect_problem(422, "resource_missing");
    assert_eq!(shop.submit(&key, &places("ses_twins", 1, "tok_visa")).await.status, 202);
}

async fn fifty_twins_make_one_checkout(shop: &Client) {
    let key = fresh_key();
    let body = with(&places("ses_twins", 1, "tok_visa"), json!({"reference": "twins", "customer": {"external_id": "twin"}}));
    let replies = join_all((0..50).map(|_| shop.submit(&key, &body))).await;
    for reply in &replies {
        assert!(reply.status == 202 || (reply.status == 409 && reply.header("retry-after").is_some()), "{} {}", reply.status, reply.text);
    }
    let made: Vec<_> = replies.iter().filter(|reply| reply.status == 202).collect();
    assert!(made.iter().all(|reply| reply.text == made[0].text));
    assert_eq!(made.iter().filter(|reply| reply.header("idempotent-replayed").is_none()).count(), 1);
    let id = made[0].json()["id"].as_str().unwrap().to_owned();
    assert_eq!(shop.settled(&id).await["status"], "succeeded");
    assert_eq!(shop.charged(&id).await, ["captured"]);
    let listed = shop.get("/v1/checkouts?reference=twins").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
}

async fn three_seats_are_sold_three_times(shop: &Client) {
    put(shop, "sessions", "ses_rush", session(3)).await;
    let body = places("ses_rush", 1, "tok_visa");
    let ends = join_all((0..20).map(|_| shop.buy(&body))).await;
    let (sold, lost): (Vec<_>, Vec<_>) = ends.iter().partition(|end| end["status"] == "succeeded");
    assert_eq!(sold.len(), 3);
    for end in &lost {
        assert_eq!(
            (&end["status"], &end["error"]["code"], &end["amount_paid"]),
            (&json!("failed"), &json!("session_full"), &json!(0)),
            "{end}"
        );
    }
    let charges = join_all(ends.iter().map(|end| shop.charged(end["id"].as_str().unwrap()))).await;
    assert_eq!(charges.concat(), ["captured", "captured", "captured"]);
    assert_eq!(shop.left("ses_rush").await, (3, 0, 0));
}
