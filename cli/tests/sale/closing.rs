//! Calling a checkout off, in every state that it can be in.

use crate::support::{
    catalogue::{places, put, session, with},
    client::{Client, Reply, callback},
    system::{Deployment, System},
};
use boxoffice_testkit::Receiver;
use serde_json::json;

/// Workers take one checkout at a time: a card whose answer is lost keeps all others queued for eight seconds.
pub const SETTINGS: &[(&str, &str)] =
    &[("BOXOFFICE_PROVIDER_TIMEOUT_MS", "8000"), ("BOXOFFICE_LEASE_MS", "12000"), ("BOXOFFICE_PREFETCH", "1")];

pub async fn story(system: &System) {
    let (shop, receiver) = (system.shop(), Receiver::start().await.unwrap());
    put(&shop, "sessions", "ses_off", session(20)).await;
    let (sold, failed) = (shop.buy(&places("ses_off", 1, "tok_visa")).await, shop.buy(&places("ses_off", 1, "tok_declined")).await);
    for ended in [&sold, &failed] {
        let id = ended["id"].as_str().unwrap();
        cancel(&shop, id).await.expect_problem(409, "not_cancelable");
        assert_eq!(&shop.checkout(id).await, ended);
    }
    before_it_is_begun_nothing_is_sent(system, &shop, &receiver).await;
    while_the_customer_is_away_the_provider_gives_up_the_charge(&shop, &receiver).await;
    cancel(&shop, "chk_nothing").await.expect_problem(404, "not_found");
    assert_eq!(shop.left("ses_off").await.1, 0);
}

async fn cancel(shop: &Client, id: &str) -> Reply {
    shop.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await
}

async fn before_it_is_begun_nothing_is_sent(system: &System, shop: &Client, receiver: &Receiver) {
    let workers = if system.deployment == Deployment::Embedded { 1 } else { 2 };
    let body = with(&places("ses_off", 1, "tok_timeout_charged"), json!({"callback_url": receiver.url()}));
    let busy = futures::future::join_all((0..workers).map(|_| shop.order(&body))).await;
    futures::future::join_all(busy.iter().map(|id| shop.until(id, "processing"))).await;
    let waiting = shop.order(&with(&places("ses_off", 1, "tok_visa"), json!({"callback_url": receiver.url()}))).await;
    let queued = shop.checkout(&waiting).await;
    assert_eq!(queued["status"], "queued", "{queued}");
    assert!(queued["queue"]["position"].is_u64(), "{queued}");
    // A charge is on its way: it is not canceled behind its back, but asked about.
    let closing = cancel(shop, &busy[0]).await.expect(202);
    assert_eq!((&closing["status"], &closing["payment_url"]), (&json!("reconciling"), &json!(null)), "{closing}");
    assert_eq!(cancel(shop, &busy[0]).await.expect(202)["status"], "reconciling");

    let reply = cancel(shop, &waiting).await;
    let canceled = reply.clone().expect(200);
    assert_eq!((&canceled["status"], &canceled["error"]["code"]), (&json!("canceled"), &json!("canceled")), "{canceled}");
    assert_eq!(reply.header("etag"), Some(format!("\"{}\"", canceled["version"]).as_str()));
    assert_eq!(cancel(shop, &waiting).await.expect(200), canceled);
    assert_eq!(callback(receiver, "checkout.canceled", &waiting).await.json()["data"], canceled);

    // The charge was made after all: the customer has paid, so it is sold. Money is never kept for nothing.
    let end = shop.settled(&busy[0]).await;
    assert_eq!((&end["status"], &end["amount_paid"]), (&json!("succeeded"), &json!(1500)), "{end}");
    assert_eq!(callback(receiver, "checkout.succeeded", &busy[0]).await.json()["data"], end);
    assert_eq!(shop.charged(&busy[0]).await, ["captured"]);
    futures::future::join_all(busy.iter().map(|id| shop.settled(id))).await;
    // The worker had the message of the canceled one, too, and left it alone.
    assert_eq!(shop.buy(&places("ses_off", 1, "tok_visa")).await["status"], "succeeded");
    assert_eq!(shop.checkout(&waiting).await, canceled);
    assert!(shop.charges(&waiting).await.is_empty());
}

async fn while_the_customer_is_away_the_provider_gives_up_the_charge(shop: &Client, receiver: &Receiver) {
    let waiting = shop.buy(&with(&places("ses_off", 1, "tok_3ds"), json!({"callback_url": receiver.url()}))).await;
    let id = waiting["id"].as_str().unwrap();
    let closing = cancel(shop, id).await.expect(202);
    assert_eq!((&closing["status"], &closing["payment_url"]), (&json!("reconciling"), &json!(null)), "{closing}");
    let canceled = shop.until(id, "canceled").await;
    assert_eq!(shop.charged(id).await, ["voided"]);
    assert_eq!(callback(receiver, "checkout.canceled", id).await.json()["data"], canceled);
    let kinds: Vec<_> = canceled["payment_attempts"].as_array().unwrap().iter().map(|one| json!([one["kind"], one["status"]])).collect();
    assert_eq!(json!(kinds), json!([["charge", "declined"], ["void", "approved"]]));
}
