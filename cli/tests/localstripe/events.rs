//! Its events: signed as Stripe's are, and read as Stripe's are.

use crate::{
    rig::{ACCOUNT, Rig, about, declined},
    server::LONG,
};
use boxoffice_common::{
    adapters::{provider_events::EventSource, stripe::StripeEvents},
    domain::{
        attempt::{Advice, AttemptKind, MoneyRequest},
        provider_event::{About, Told, ToldMoney, Word},
        scope::Mode,
        secret::Secret,
        time::Timestamp,
    },
    ports::{
        clock::{Clock, SystemClock},
        provider::PaymentProvider,
        vault::CardVault,
    },
};
use boxoffice_testkit::{Delivery, Receiver};
use std::{collections::BTreeSet, time::Duration};

const SECRET: &str = "whsec_localstripe0123456789";

fn source(secrets: &[&str]) -> StripeEvents {
    let secrets = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
    StripeEvents::new(ACCOUNT.to_owned(), "shop".to_owned(), Mode::Test, secrets)
}

/// The first event of this type.
async fn told(receiver: &Receiver, kind: &str) -> Delivery {
    let of_kind = |deliveries: &[Delivery]| deliveries.iter().find(|delivery| delivery.json()["type"] == kind).cloned();
    receiver.wait_for(LONG, of_kind).await.unwrap_or_else(|| panic!("no {kind}"))
}

fn money(delivery: &Delivery) -> ToldMoney {
    let body = std::str::from_utf8(&delivery.body).unwrap();
    let Told::Money(told) = source(&[SECRET]).read(body).unwrap() else { panic!("not about money: {body}") };
    told
}

fn is_about(told: &ToldMoney, request: &MoneyRequest) {
    assert_eq!((told.about, &told.reference, &told.key), (About::Charge, &request.reference, &request.key));
    assert_eq!((told.amount, told.currency), (request.amount, request.currency));
}

#[tokio::test]
async fn its_signature_is_good_and_what_was_changed_is_not() {
    let (rig, receiver) = (Rig::start().await, Receiver::start().await.unwrap());
    rig.stripe.tell(&format!("{}/hook", receiver.url()), SECRET).await;
    rig.sold("pm_card_visa").await;
    let event = told(&receiver, "payment_intent.succeeded").await;
    let now = SystemClock::default().now();
    let verify = |secrets: &[&str], body: &[u8], now: Timestamp| source(secrets).verify(&event.headers, body, now);
    let id = event.json()["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("evt_"));
    assert_eq!(verify(&[SECRET], &event.body, now), Ok(id.clone()));
    assert_eq!(verify(&["whsec_new", SECRET], &event.body, now), Ok(id), "during a rotation");
    let tampered = String::from_utf8(event.body.to_vec()).unwrap().replace("1500", "1501");
    assert_ne!(tampered.as_bytes(), &event.body[..]);
    assert!(verify(&[SECRET], tampered.as_bytes(), now).is_err());
    assert!(verify(&["whsec_other"], &event.body, now).is_err() && verify(&[], &event.body, now).is_err());
    assert!(verify(&[SECRET], &event.body, now.after(Duration::from_secs(400))).is_err(), "too late");
    let mut headers = event.headers.clone();
    headers.remove("stripe-signature");
    assert!(source(&[SECRET]).verify(&headers, &event.body, now).is_err());
}

#[tokio::test]
async fn what_it_tells_is_what_came_of_the_charge() {
    let (rig, receiver) = (Rig::start().await, Receiver::start().await.unwrap());
    rig.stripe.tell(&format!("{}/hook", receiver.url()), SECRET).await;
    let (paid, id) = rig.sold("pm_card_visa").await;
    let refused = rig.charge("pm_card_chargeCustomerFail");
    declined(rig.provider.send(&refused).await);
    rig.provider.keep("pme_1", "cus_ours", &Secret::new("pm_card_visa".to_owned())).await.unwrap();
    let yes = money(&told(&receiver, "payment_intent.succeeded").await);
    is_about(&yes, &paid);
    assert_eq!((yes.provider_reference.as_str(), &yes.word), (id.as_str(), &Word::Moved));
    let no = money(&told(&receiver, "payment_intent.payment_failed").await);
    is_about(&no, &refused);
    let Word::Refused { code, advice, .. } = &no.word else { panic!("{no:?}") };
    assert_eq!((code.as_str(), *advice), ("card_declined", Advice::AskCustomer));
    let customer = told(&receiver, "customer.created").await;
    assert_eq!(source(&[SECRET]).read(std::str::from_utf8(&customer.body).unwrap()).unwrap(), Told::Other);
    // What was authorised is told when it is taken, and not before.
    let later = MoneyRequest { capture_later: true, ..rig.charge("pm_card_visa") };
    rig.provider.send(&later).await;
    let intent = rig.stripe.all("payment_intents").await.into_iter().find(|intent| intent["status"] == "requires_capture").unwrap();
    let capture = about(&later, 2, AttemptKind::Capture, 1500, intent["id"].as_str().unwrap());
    rig.provider.send(&capture).await;
    let of_it = |delivery: &&Delivery| delivery.json()["data"]["object"]["id"] == intent["id"];
    let taken = receiver.wait_for(LONG, |deliveries| deliveries.iter().find(of_it).cloned()).await.unwrap();
    let taken = money(&taken);
    is_about(&taken, &later);
    assert_eq!(taken.word, Word::Moved);
    let kinds: BTreeSet<String> =
        receiver.deliveries().iter().map(|delivery| delivery.json()["type"].as_str().unwrap().to_owned()).collect();
    let known = ["customer.created", "payment_intent.payment_failed", "payment_intent.succeeded"].map(str::to_owned);
    assert_eq!(kinds, BTreeSet::from(known), "it tells of nothing else that we listen to");
}
