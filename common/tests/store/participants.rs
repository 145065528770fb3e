//! Named participants: claims say whose a place is, so that limits hold for each, whoever pays and whoever races.

use super::fixture::Shop;
use boxoffice_common::{
    domain::{
        customer::Customer,
        error::Code,
        id::{CatalogueId, CustomerId},
        line::Item,
        participant::Participant,
        state::Status,
    },
    ports::store::*,
};
use futures::future::join_all;
use serde_json::{Value, json};

fn id(text: &str) -> CustomerId {
    CustomerId::parse(text).unwrap()
}

async fn person(shop: &Shop, name: &str, more: Value) {
    let mut body = json!({"name": name, "external_id": format!("crm-{name}"), "family": "lovelace"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let customer: Customer = serde_json::from_value(body).unwrap();
    shop.store.put_customer(&shop.scope, &id(name), &customer).await.unwrap().unwrap();
}

fn named(name: &str) -> Participant {
    Participant { customer: Some(id(name)), name: Some(name.to_owned()), ..Participant::default() }
}

fn stranger(name: &str) -> Participant {
    Participant { name: Some(name.to_owned()), ..Participant::default() }
}

fn bought_by(mut new: NewCheckout, buyer: &str, people: &[Participant]) -> NewCheckout {
    new.order.customer = Some(id(buyer));
    let Item::Session { participants, .. } = &mut new.order.lines[0].item else { panic!("places") };
    *participants = people.to_vec();
    new
}

fn cash(shop: &Shop, session: &CatalogueId, buyer: &str, people: &[Participant]) -> NewCheckout {
    bought_by(shop.buy_cash(session, u32::try_from(people.len()).unwrap()), buyer, people)
}

async fn ends(shop: &Shop, new: NewCheckout) -> Result<(), (Code, String)> {
    let id = shop.accept(new).await;
    shop.begin(&id).await;
    let checkout = shop.checkout(&id).await;
    match checkout.error {
        None => {
            assert_eq!(checkout.status, Status::Succeeded);
            Ok(())
        }
        Some(error) => Err((error.code, error.param.unwrap())),
    }
}

over_both! {
    async fn each_participant_has_claims_of_his_own_and_his_own_limit(shop) {
        for name in ["ada", "bo", "cy"] {
            person(&shop, name, json!({})).await;
        }
        let session = shop.session_with("ses_1", 10, |session| session.purchase_limit = Some(1)).await;
        assert_eq!(ends(&shop, cash(&shop, &session, "ada", &[named("bo"), stranger("Di"), named("cy")])).await, Ok(()));
        let claims = shop.texts("SELECT COALESCE(customer, 'nobody') || ' ' || quantity FROM claims ORDER BY n").await;
        assert_eq!(claims, ["bo 1", "nobody 1", "cy 1"]);
        // The mother may come herself; her children may not come twice, whoever of the family pays.
        let again = || cash(&shop, &session, "ada", &[named("ada"), named("cy")]);
        assert_eq!(ends(&shop, again()).await, Err((Code::PurchaseLimitReached, "lines[0].participants[1]".to_owned())));
        assert_eq!(ends(&shop, cash(&shop, &session, "bo", &[named("bo")])).await.unwrap_err().0, Code::PurchaseLimitReached);
        let mut himself = shop.buy_cash(&session, 1);
        himself.order.customer = Some(id("bo"));
        assert_eq!(ends(&shop, himself).await, Err((Code::PurchaseLimitReached, "lines[0]".to_owned())));
        assert_eq!(ends(&shop, cash(&shop, &session, "cy", &[named("ada")])).await, Ok(()));
        shop.assert_clean().await;
    }

    async fn of_twenty_who_bring_the_same_child_one_does(shop) {
        for name in ["ada", "bo", "cy"] {
            person(&shop, name, json!({})).await;
        }
        let session = shop.session_with("ses_1", 50, |session| session.purchase_limit = Some(1)).await;
        let parents = ["ada", "bo"];
        let tries = (0..20).map(|n| ends(&shop, cash(&shop, &session, parents[n % 2], &[named("cy")])));
        let sold = join_all(tries).await.iter().filter(|end| end.is_ok()).count();
        assert_eq!(sold, 1);
        shop.assert_clean().await;
    }

    async fn tags_ages_and_families_are_those_of_the_moment_of_the_sale(shop) {
        person(&shop, "ada", json!({"date_of_birth": "1990-01-01"})).await;
        person(&shop, "bo", json!({"date_of_birth": "2020-01-01"})).await;
        let session = shop.session_with("ses_1", 10, |session| session.max_age = Some(120)).await;
        let new = cash(&shop, &session, "ada", &[named("ada"), named("bo")]);
        let accepted = shop.accept(new).await;
        // Bo leaves the family before a worker comes to it.
        person(&shop, "bo", json!({"family": "byron"})).await;
        shop.begin(&accepted).await;
        let error = shop.checkout(&accepted).await.error.unwrap();
        assert_eq!((error.code, error.param.as_deref()), (Code::ParticipantNotInFamily, Some("lines[0].participants[1]")));
        let aged = Participant { date_of_birth: boxoffice_common::domain::customer::BirthDate::parse("1850-01-01"), ..stranger("Old") };
        assert_eq!(ends(&shop, cash(&shop, &session, "ada", &[aged])).await.unwrap_err().0, Code::AgeRestricted);
        assert_eq!(ends(&shop, cash(&shop, &session, "ada", &[stranger("Di")])).await.unwrap_err().0, Code::DateOfBirthRequired);
    }

    async fn the_buyer_who_is_found_by_his_external_id_is_himself_among_the_participants(shop) {
        person(&shop, "ada", json!({})).await;
        let session = shop.session_with("ses_1", 10, |session| session.purchase_limit = Some(1)).await;
        let described = |external: &str| {
            let mut new = cash(&shop, &session, "ada", &[Participant { external_id: Some(external.to_owned()), ..stranger("Me") }]);
            new.order.customer = None;
            new.customer = Some(serde_json::from_value(json!({"external_id": external, "name": "Me"})).unwrap());
            new
        };
        for external in ["crm-ada", "crm-new"] {
            assert_eq!(ends(&shop, described(external)).await, Ok(()));
            assert_eq!(ends(&shop, described(external)).await.unwrap_err().0, Code::PurchaseLimitReached, "{external}");
        }
        shop.assert_clean().await;
    }

    async fn customers_are_found_by_id_and_external_id_each_once_and_nobody_elses(shop) {
        for name in ["ada", "bo"] {
            person(&shop, name, json!({})).await;
        }
        let ids = [id("ada"), id("nobody")];
        let externals = ["crm-ada".to_owned(), "crm-bo".to_owned(), "ada".to_owned()];
        let found = shop.store.customers_by_name(&shop.scope, &ids, &externals).await.unwrap();
        let mut found: Vec<_> = found.into_iter().filter_map(|customer| customer.id).collect();
        found.sort();
        assert_eq!(found, [id("ada"), id("bo")]);
        assert!(shop.store.customers_by_name(&shop.other_scope(), &ids, &externals).await.unwrap().is_empty());
    }

    async fn named_seats_are_the_participants_in_turn(shop) {
        for name in ["ada", "bo"] {
            person(&shop, name, json!({})).await;
        }
        let gala = shop.seated("ses_gala", &["A1", "A2", "A3"]).await;
        let new = bought_by(shop.buy_seats(&gala, &["A3", "A1"]), "ada", &[named("bo"), stranger("Di")]);
        let accepted = shop.accept(new).await;
        shop.begin(&accepted).await;
        let claims = shop.texts("SELECT seat || ' ' || COALESCE(customer, 'nobody') FROM claims ORDER BY n").await;
        assert_eq!(claims, ["A3 bo", "A1 nobody"]);
    }
}
