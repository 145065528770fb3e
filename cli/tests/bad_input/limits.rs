//! Too much: of one client, and of all of them.

use crate::support::{
    catalogue::{places, put, session, with},
    client::fresh_key,
    system::System,
};
use boxoffice_testkit::Receiver;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let system = System::embedded_bare(&[("BOXOFFICE_RATE_LIMIT", "5")]).await;
    let (shop, rival) = (system.shop(), system.newcomer("rival", &[]).await);
    let first = shop.get("/v1/checkouts").await;
    assert_eq!((first.status, first.header("ratelimit-policy")), (200, Some("\"default\";q=10;w=2")));
    assert!(first.header("ratelimit").is_some_and(|state| state.starts_with("\"default\";r=9;t=")), "{:?}", first.headers);
    let asked = futures::future::join_all((0..40).map(|_| shop.get("/v1/checkouts"))).await;
    let refused: Vec<_> = asked.iter().filter(|reply| reply.status != 200).collect();
    assert!(refused.len() >= 20, "{} were refused", refused.len());
    for reply in &refused {
        reply.expect_problem(429, "rate_limited");
        assert_eq!((reply.header("retry-after"), reply.header("ratelimit")), (Some("1"), Some("\"default\";r=0;t=1")));
    }
    // Others are not held up, and whoever waits as told gets in.
    assert_eq!(rival.get("/v1/checkouts").await.status, 200);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(shop.get("/v1/checkouts").await.status, 200);
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_the_bound_new_checkouts_are_shed_and_what_was_accepted_is_kept() {
    let mut system = System::distributed(&[("BOXOFFICE_MAX_QUEUE_DEPTH", "5")], 0).await;
    let (shop, receiver) = (system.shop(), Receiver::start().await.unwrap());
    put(&shop, "sessions", "ses_shed", session(100)).await;
    let body = with(&places("ses_shed", 1, "tok_visa"), json!({"callback_url": receiver.url()}));
    let started = Instant::now();
    let (first_key, first_body) = (fresh_key(), with(&body, json!({"reference": "first"})));
    let first = shop.submit(&first_key, &first_body).await;
    let late = shop.order(&with(&body, json!({"expires_in": 10}))).await;
    let mut accepted = vec![first.clone().expect(202)["id"].as_str().unwrap().to_owned()];
    let shed = loop {
        let key = fresh_key();
        let reply = shop.submit(&key, &body).await;
        match reply.status {
            202 => accepted.push(reply.json()["id"].as_str().unwrap().to_owned()),
            _ => break (key, reply),
        }
        assert!(accepted.len() <= 10, "nothing is shed");
    };
    let (key, reply) = shed;
    reply.expect_problem(503, "overloaded");
    assert_eq!(reply.header("retry-after"), Some("1"));
    // What was accepted is not shed when it is asked for again: a client must not believe that it was not kept.
    let replayed = shop.submit(&first_key, &first_body).await;
    assert_eq!((replayed.status, &replayed.text, replayed.header("idempotent-replayed")), (202, &first.text, Some("true")));
    shop.submit(&first_key, &body).await.expect_problem(422, "idempotency_key_reused");
    let kept = shop.get("/v1/checkouts?status=queued").await.expect(200);
    assert_eq!(kept["data"].as_array().unwrap().len(), accepted.len() + 1);
    // Everything else still works, and the queue is told as it is.
    let place = shop.checkout(&accepted[0]).await["queue"]["position"].as_u64();
    assert!(place.is_some_and(|place| place >= 5), "{place:?}");
    assert_eq!(shop.get("/readyz").await.status, 200);
    tokio::time::sleep(Duration::from_millis(10_500).saturating_sub(started.elapsed())).await;

    system.workers.push(system.worker().start().await.unwrap());
    for id in &accepted {
        assert_eq!(shop.settled(id).await["status"], "succeeded");
    }
    // Its time was over before anybody came: nobody is charged late.
    let expired = shop.settled(&late).await;
    assert_eq!((&expired["status"], &expired["error"]["code"]), (&json!("expired"), &json!("expired")), "{expired}");
    assert!(shop.charges(&late).await.is_empty());
    // What was shed left nothing behind: the same key works now.
    let deadline = Instant::now() + Duration::from_secs(20);
    let again = loop {
        let reply = shop.submit(&key, &body).await;
        if reply.status == 202 || Instant::now() > deadline {
            break reply;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(again.header("idempotent-replayed"), None);
    assert_eq!(shop.settled(again.expect(202)["id"].as_str().unwrap()).await["status"], "succeeded");
    system.finish().await;
}
