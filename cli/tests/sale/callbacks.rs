//! Callbacks: who gets which event, how it is signed, tried again, replayed, and stopped.

use crate::support::{
    catalogue::{places, put, session, with},
    client::{Client, PATIENCE, callback},
    system::System,
};
use boxoffice_testkit::{Answer, Delivery, Receiver};
use serde_json::{Value, json};
use std::time::Duration;

pub async fn story(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_calls", session(100)).await;
    tokio::join!(
        an_endpoint_gets_what_it_asked_for_signed_with_its_own_secret(&shop),
        a_rotated_secret_signs_along_with_the_one_before(&shop),
        what_fails_is_tried_again_and_given_up_at_last(&shop),
    );
    // Alone, because any sale of the shop tells this receiver.
    a_receiver_that_is_gone_is_left_alone(&shop).await;
}

async fn sell(shop: &Client, token: &str, callback_url: Option<String>) -> String {
    let id = shop.order(&with(&places("ses_calls", 1, token), json!({"callback_url": callback_url}))).await;
    shop.settled(&id).await;
    id
}

/// The deliveries of a checkout as the API lists them.
async fn deliveries(shop: &Client, checkout: &str) -> Vec<Value> {
    let list = shop.get(&format!("/v1/deliveries?checkout={checkout}&limit=100")).await.expect(200);
    list["data"].as_array().unwrap().clone()
}

/// The delivery of a checkout to this URL, once it has that status.
async fn delivery(shop: &Client, checkout: &str, url: &str, status: &str) -> Value {
    let path = format!("/v1/deliveries?checkout={checkout}&limit=100");
    let is_it = |delivery: &&Value| delivery["url"] == url && delivery["status"] == status;
    let list = shop.eventually(&path, |list| list["data"].as_array().unwrap().iter().any(|delivery| is_it(&delivery))).await;
    list["data"].as_array().unwrap().iter().find(is_it).unwrap().clone()
}

async fn endpoint(shop: &Client, id: &str, url: &str, events: Value, enabled: bool) -> String {
    let made =
        shop.put(&format!("/v1/webhook-endpoints/{id}"), &json!({"url": url, "events": events, "enabled": enabled})).await.expect(201);
    made["secret"].as_str().unwrap().to_owned()
}

/// What arrived about a checkout.
fn about(receiver: &Receiver, checkout: &str) -> Vec<Delivery> {
    receiver.deliveries().into_iter().filter(|delivery| delivery.json()["data"]["id"] == checkout).collect()
}

async fn an_endpoint_gets_what_it_asked_for_signed_with_its_own_secret(shop: &Client) {
    let (all, failures, off) = (Receiver::start().await.unwrap(), Receiver::start().await.unwrap(), Receiver::start().await.unwrap());
    let all_secret = endpoint(shop, "all", all.url(), json!(["*"]), true).await;
    let failures_secret = endpoint(shop, "failures", failures.url(), json!(["checkout.failed", "checkout.expired"]), true).await;
    endpoint(shop, "off", off.url(), json!(["*"]), false).await;
    // The secret is shown once.
    let shown = shop.get("/v1/webhook-endpoints/all").await.expect(200);
    assert_eq!((&shown["events"], &shown["enabled"], shown.get("secret")), (&json!(["*"]), &json!(true), None));
    let again = shop.put("/v1/webhook-endpoints/all", &json!({"url": all.url(), "events": ["*"]})).await.expect(200);
    assert_eq!(again.get("secret"), None, "{again}");

    let (sold, failed) = tokio::join!(sell(shop, "tok_visa", None), sell(shop, "tok_declined", None));
    callback(&all, "checkout.succeeded", &sold).await.verify(&all_secret).unwrap();
    callback(&all, "checkout.failed", &failed).await.verify(&all_secret).unwrap();
    let failure = callback(&failures, "checkout.failed", &failed).await;
    failure.verify(&failures_secret).unwrap();
    failure.verify(&all_secret).unwrap_err();
    // The same event to two endpoints has one id.
    assert_eq!(failure.id(), about(&all, &failed)[0].id());
    assert!(about(&failures, &sold).is_empty());
    assert_eq!(off.count(), 0);
    let listed = deliveries(shop, &failed).await;
    let to = |id: &str| listed.iter().filter(|delivery| delivery["endpoint"] == id).count();
    assert_eq!((to("all"), to("failures"), to("off")), (1, 1, 0), "{listed:?}");
    // Gone from the list, gone from the fan-out.
    assert_eq!(shop.send(shop.request(reqwest::Method::DELETE, "/v1/webhook-endpoints/all")).await.status, 204);
    shop.get("/v1/webhook-endpoints/all").await.expect_problem(404, "not_found");
    let later = sell(shop, "tok_declined", None).await;
    callback(&failures, "checkout.failed", &later).await;
    assert!(about(&all, &later).is_empty());
}

async fn a_rotated_secret_signs_along_with_the_one_before(shop: &Client) {
    let receiver = Receiver::start().await.unwrap();
    let url = format!("{}/hooks?a=b", receiver.url());
    let id = sell(shop, "tok_visa", Some(url.clone())).await;
    let first = callback(&receiver, "checkout.succeeded", &id).await;
    assert_eq!(first.uri.to_string(), "/hooks?a=b");
    let secret = async || shop.get("/v1/webhook-secret").await.expect(200)["secret"].as_str().unwrap().to_owned();
    let old = secret().await;
    first.verify(&old).unwrap();
    assert_eq!(first.header("webhook-signature").unwrap().split(' ').count(), 1);
    let sent = delivery(shop, &id, &url, "succeeded").await;
    assert_eq!((&sent["event"], &sent["tries"], &sent["last_status_code"]), (&json!(first.id()), &json!(1), &json!(204)));
    assert_eq!((&sent["endpoint"], &sent["event_type"], &sent["next_try_at"]), (&json!(null), &json!("checkout.succeeded"), &json!(null)));

    let new = shop.post("/v1/webhook-secret/rotate", &json!({})).await.expect(200)["secret"].as_str().unwrap().to_owned();
    assert!(new != old && secret().await == new);
    let path = format!("/v1/deliveries/{}", sent["id"].as_str().unwrap());
    assert_eq!(shop.get(&path).await.expect(200), sent);
    shop.post(&format!("{path}/replay"), &json!({})).await.expect(202);
    let second = receiver.nth(2, PATIENCE).await.unwrap();
    assert_eq!((second.id(), &second.body), (first.id(), &first.body));
    assert_eq!(second.header("webhook-signature").unwrap().split(' ').count(), 2);
    second.verify(&old).unwrap();
    second.verify(&new).unwrap();
    shop.eventually(&path, |delivery| delivery["status"] == "succeeded").await;
    // An endpoint's own secret is rotated the same way.
    let own = Receiver::start().await.unwrap();
    let before = endpoint(shop, "rotating", own.url(), json!(["checkout.succeeded"]), true).await;
    let after =
        shop.post("/v1/webhook-endpoints/rotating/rotate-secret", &json!({})).await.expect(200)["secret"].as_str().unwrap().to_owned();
    let id = sell(shop, "tok_visa", None).await;
    let sent = callback(&own, "checkout.succeeded", &id).await;
    sent.verify(&before).unwrap();
    sent.verify(&after).unwrap();
    shop.post("/v1/webhook-endpoints/nothing/rotate-secret", &json!({})).await.expect_problem(404, "not_found");
}

async fn what_fails_is_tried_again_and_given_up_at_last(shop: &Client) {
    let (moody, sour, far) = (Receiver::start().await.unwrap(), Receiver::start().await.unwrap(), Receiver::start().await.unwrap());
    moody.then([Answer::Status(500), Answer::Redirect(far.url().to_owned()), Answer::Status(404)]);
    sour.always(Answer::Status(503));
    let nobody = "http://127.0.0.1:9/hooks".to_owned();
    let (first, second, third) = tokio::join!(
        sell(shop, "tok_visa", Some(moody.url().to_owned())),
        sell(shop, "tok_visa", Some(sour.url().to_owned())),
        sell(shop, "tok_visa", Some(nobody.clone())),
    );
    let took = delivery(shop, &first, moody.url(), "succeeded").await;
    assert_eq!((&took["tries"], &took["last_status_code"], &took["last_error"]), (&json!(4), &json!(204), &json!(null)), "{took}");
    let tries = about(&moody, &first);
    assert!(tries.len() == 4 && tries.iter().all(|one| one.id() == tries[0].id() && one.body == tries[0].body));
    assert_eq!(far.count(), 0, "redirects are not followed");
    let gave_up = delivery(shop, &second, sour.url(), "failed").await;
    assert_eq!((&gave_up["tries"], &gave_up["last_status_code"]), (&json!(5), &json!(503)), "{gave_up}");
    let refused = delivery(shop, &third, &nobody, "failed").await;
    assert_eq!((&refused["tries"], &refused["last_status_code"]), (&json!(5), &json!(null)), "{refused}");
    assert!(refused["last_error"].is_string());
    let failed = shop.get("/v1/deliveries?status=failed&limit=100").await.expect(200);
    assert!(failed["data"].as_array().unwrap().iter().any(|one| one["id"] == gave_up["id"]), "{failed}");
    // What was given up can be replayed, from the beginning.
    sour.always(Answer::Status(200));
    let path = format!("/v1/deliveries/{}", gave_up["id"].as_str().unwrap());
    shop.post(&format!("{path}/replay"), &json!({})).await.expect(202);
    let took = shop.eventually(&path, |delivery| delivery["status"] == "succeeded").await;
    assert_eq!(took["tries"], 1);
    shop.post("/v1/deliveries/dlv_nothing/replay", &json!({})).await.expect_problem(404, "not_found");
}

async fn a_receiver_that_is_gone_is_left_alone(shop: &Client) {
    let gone = Receiver::start().await.unwrap();
    gone.always(Answer::Status(410));
    endpoint(shop, "gone", gone.url(), json!(["checkout.succeeded"]), true).await;
    let id = sell(shop, "tok_visa", None).await;
    let given_up = delivery(shop, &id, gone.url(), "failed").await;
    assert_eq!((&given_up["tries"], &given_up["last_status_code"]), (&json!(1), &json!(410)), "{given_up}");
    assert_eq!(shop.get("/v1/webhook-endpoints/gone").await.expect(200)["enabled"], json!(false));
    let later = sell(shop, "tok_visa", None).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(about(&gone, &later).is_empty() && deliveries(shop, &later).await.iter().all(|one| one["endpoint"] != "gone"));
    // Put again, it is on again.
    gone.always(Answer::Status(200));
    let on = shop.put("/v1/webhook-endpoints/gone", &json!({"url": gone.url(), "events": ["checkout.succeeded"], "enabled": true})).await;
    assert_eq!(on.expect(200)["enabled"], json!(true));
    let third = sell(shop, "tok_visa", None).await;
    callback(&gone, "checkout.succeeded", &third).await;
}
