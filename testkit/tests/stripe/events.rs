//! Events on their way to an endpoint.

use super::client::{PATIENCE, Shop};
use boxoffice_testkit::{Answer, Delivery, Receiver, stripe::signature_header};
use std::time::Duration;

const SECRET: &str = "whsec_first";

/// The parts of a `Stripe-Signature`: the time and the `v1`s.
fn parts(delivery: &Delivery) -> (i64, Vec<String>) {
    let header = delivery.header("stripe-signature").unwrap().to_owned();
    let values = |name: &str| {
        header
            .split(',')
            .filter_map(|part| part.split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
            .collect::<Vec<_>>()
    };
    (values("t")[0].parse().unwrap(), values("v1"))
}

/// Whether one of the signatures is `secret`'s.
fn signed(delivery: &Delivery, secret: &str) -> bool {
    let (at, signatures) = parts(delivery);
    let ours = signature_header(&delivery.body, at, [secret]);
    signatures.iter().any(|signature| ours.contains(&format!(",v1={signature},")))
}

fn kind(delivery: &Delivery) -> String {
    delivery.json()["type"].as_str().unwrap_or_default().to_owned()
}

async fn shop_with(receiver: &Receiver) -> Shop {
    let shop = Shop::open().await;
    shop.stripe.webhooks().add(receiver.url(), SECRET);
    shop
}

async fn arrivals(receiver: &Receiver, count: usize) -> Vec<Delivery> {
    receiver.nth(count, PATIENCE).await.unwrap();
    receiver.deliveries()
}

#[tokio::test]
async fn an_endpoint_hears_of_a_payment_signed() {
    let receiver = Receiver::start().await.unwrap();
    let shop = shop_with(&receiver).await;
    let paid = shop.pay("pm_card_visa").await;
    let told = arrivals(&receiver, 4).await;
    let mut kinds: Vec<String> = told.iter().map(kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["charge.succeeded", "charge.updated", "payment_intent.created", "payment_intent.succeeded"]);
    let succeeded = told.iter().find(|delivery| kind(delivery) == "payment_intent.succeeded").unwrap();
    assert_eq!(succeeded.json()["data"]["object"]["id"], paid.id());
    assert!(told.iter().all(|delivery| signed(delivery, SECRET) && !signed(delivery, "whsec_other")));
    let (at, _) = parts(succeeded);
    assert!((shop.stripe.clock().now() - at).abs() < 30);
}

#[tokio::test]
async fn a_rotation_signs_with_both_secrets_until_it_ends() {
    let receiver = Receiver::start().await.unwrap();
    let shop = shop_with(&receiver).await;
    shop.stripe.webhooks().rotate(receiver.url(), "whsec_second");
    shop.post("customers", &[]).await;
    let both = &arrivals(&receiver, 1).await[0];
    assert!(signed(both, SECRET) && signed(both, "whsec_second"));
    shop.stripe.webhooks().end_rotation(receiver.url());
    shop.post("customers", &[]).await;
    let one = &arrivals(&receiver, 2).await[1];
    assert!(!signed(one, SECRET) && signed(one, "whsec_second"));
}

#[tokio::test]
async fn an_event_is_sent_again_until_it_is_taken() {
    let receiver = Receiver::start().await.unwrap();
    let shop = shop_with(&receiver).await;
    shop.stripe.webhooks().set_retries([Duration::from_millis(5); 5]);
    receiver.then([Answer::Status(500), Answer::Redirect("http://127.0.0.1:1/".to_owned()), Answer::Status(200)]);
    shop.post("customers", &[]).await;
    let told = arrivals(&receiver, 3).await;
    assert!(told.iter().all(|delivery| delivery.json()["id"] == told[0].json()["id"] && delivery.body == told[0].body));
    assert!(receiver.nth(4, Duration::from_millis(60)).await.is_none(), "once it is taken, it is over");
    let statuses: Vec<_> = shop.stripe.webhooks().sent().iter().map(|sent| sent.status).collect();
    assert_eq!(statuses, [Some(500), Some(302), Some(200)]);
}

#[tokio::test]
async fn events_are_held_turned_around_doubled_and_lost() {
    let receiver = Receiver::start().await.unwrap();
    let shop = shop_with(&receiver).await;
    let webhooks = shop.stripe.webhooks();
    webhooks.hold();
    shop.pay("pm_card_visa").await;
    let held: Vec<String> = webhooks.held().iter().map(|event| event.kind.clone()).collect();
    assert_eq!(held, ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "charge.updated"]);
    assert_eq!(receiver.count(), 0);
    let early = webhooks.held()[2].id.clone();
    assert_eq!(webhooks.send(&early).await, [Some(204)], "one goes before the others");
    webhooks.release_newest_first().await;
    let kinds: Vec<String> = arrivals(&receiver, 4).await.iter().map(kind).collect();
    assert_eq!(kinds, ["payment_intent.succeeded", "charge.updated", "charge.succeeded", "payment_intent.created"]);
    assert_eq!(webhooks.send(&early).await, [Some(204)], "sent again");
    assert_eq!(arrivals(&receiver, 5).await[4].body, receiver.deliveries()[0].body);
    webhooks.set_times(2);
    webhooks.lose("customer.updated");
    let customer = shop.post("customers", &[]).await;
    shop.post(&format!("customers/{}", customer.id()), &[("name", "B")]).await;
    let twice = arrivals(&receiver, 7).await;
    assert_eq!((kind(&twice[5]), twice[5].json()["id"].clone()), ("customer.created".to_owned(), twice[6].json()["id"].clone()));
    assert!(receiver.nth(8, Duration::from_millis(60)).await.is_none(), "that kind is lost");
    webhooks.hold();
    shop.post("customers", &[]).await;
    webhooks.lose_held();
    webhooks.release();
    assert!(receiver.nth(8, Duration::from_millis(60)).await.is_none());
    assert_eq!(shop.stripe.book().events_of("customer.created").len(), 2, "it happened all the same");
}

#[tokio::test]
async fn a_forgery_can_be_made() {
    let receiver = Receiver::start().await.unwrap();
    let shop = Shop::open().await;
    let webhooks = shop.stripe.webhooks();
    assert_eq!(webhooks.forge(receiver.url(), "{\"id\":\"evt_x\"}", "whsec_guessed").await, Some(204));
    webhooks.send_raw(receiver.url(), "{}", None).await;
    webhooks.send_raw(receiver.url(), "{}", Some("t=1,v1=00")).await;
    let forged = receiver.deliveries();
    assert!(signed(&forged[0], "whsec_guessed") && !signed(&forged[0], SECRET));
    assert!(forged[1].header("stripe-signature").is_err());
    assert_eq!(forged[2].header("stripe-signature").unwrap(), "t=1,v1=00");
}
