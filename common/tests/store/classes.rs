//! Occurrences of a class, found by their class and their start, and customers by their family.

use super::fixture::{Shop, page};
use boxoffice_common::{
    domain::{
        catalogue::Kind,
        customer::Customer,
        id::{CatalogueId, CustomerId},
        time::Timestamp,
    },
    ports::store::*,
};
use serde_json::json;

fn id(text: &str) -> CatalogueId {
    CatalogueId::parse(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

async fn put(shop: &Shop, name: &str, class: Option<&str>, starts_at: &str) {
    let mut doc = json!({"name": "Ballet", "starts_at": starts_at, "capacity": 5, "unit_amount": 0, "currency": "usd"});
    if let Some(class) = class {
        doc["class"] = json!(class);
    }
    shop.store.put(&shop.scope, Kind::Session, &id(name), &doc.to_string(), Some(5), None).await.unwrap();
}

async fn found(shop: &Shop, of: &Occurrences, limit: u32) -> Vec<String> {
    let (mut request, mut names) = (page(limit), Vec::new());
    loop {
        let Page { data, next_cursor } = shop.store.occurrences(&shop.scope, of, &request).await.unwrap();
        assert!(data.len() <= usize::try_from(limit).unwrap());
        names.extend(data.into_iter().map(|row| row.id.to_string()));
        request.after = next_cursor;
        if request.after.is_none() {
            return names;
        }
    }
}

over_both! {
    async fn occurrences_are_found_by_class_and_start_page_by_page(shop) {
        for (name, class, starts_at) in [
            ("late", Some("ballet"), "2030-03-01T10:00:00Z"),
            ("b", Some("ballet"), "2030-02-01T10:00:00Z"),
            ("a", Some("ballet"), "2030-02-01T10:00:00Z"),
            ("first", Some("ballet"), "1960-01-01T10:00:00Z"),
            ("other", Some("tap"), "2030-02-01T10:00:00Z"),
            ("none", None, "2030-02-01T10:00:00Z"),
        ] {
            put(&shop, name, class, starts_at).await;
        }
        let ballet = Occurrences { class: id("ballet"), from: None, to: None };
        for limit in [1, 2, 100] {
            assert_eq!(found(&shop, &ballet, limit).await, ["first", "a", "b", "late"], "{limit}");
        }
        let from = Some(at("2030-02-01T10:00:00Z"));
        let just_then = Occurrences { to: Some(at("2030-02-01T10:00:00.001Z")), from, ..ballet.clone() };
        assert_eq!(found(&shop, &just_then, 1).await, ["a", "b"]);
        assert_eq!(found(&shop, &Occurrences { to: from, from: None, ..ballet.clone() }, 5).await, ["first"]);
        assert_eq!(found(&shop, &Occurrences { class: id("Ballet"), ..ballet.clone() }, 5).await, [""; 0]);
        // A put moves it, or takes it out of its class.
        put(&shop, "a", Some("tap"), "2030-02-01T10:00:00Z").await;
        put(&shop, "b", None, "2030-02-01T10:00:00Z").await;
        put(&shop, "late", Some("ballet"), "2030-01-01T10:00:00Z").await;
        assert_eq!(found(&shop, &ballet, 5).await, ["first", "late"]);
        assert_eq!(found(&shop, &Occurrences { from, ..ballet }, 5).await, [""; 0]);
        assert_eq!(found(&shop, &Occurrences { class: id("tap"), from: None, to: None }, 5).await, ["a", "other"]);
    }

    async fn customers_are_listed_by_their_family(shop) {
        for (name, family) in [("harry", Some("potter")), ("ron", Some("weasley")), ("ginny", Some("weasley")), ("dobby", None)] {
            let customer: Customer = serde_json::from_value(json!({"name": name, "family": family})).unwrap();
            shop.store.put_customer(&shop.scope, &CustomerId::parse(name).unwrap(), &customer).await.unwrap().unwrap();
        }
        let names = async |family, request: PageRequest| {
            let Page { data, next_cursor } = shop.store.customers(&shop.scope, family, &request).await.unwrap();
            (data.into_iter().filter_map(|customer| customer.name).collect::<Vec<_>>(), next_cursor)
        };
        let (first, next) = names(Some("weasley"), page(1)).await;
        assert_eq!(first, ["ginny"]);
        assert_eq!(names(Some("weasley"), PageRequest { limit: 1, after: next }).await, (vec!["ron".to_owned()], None));
        assert_eq!(names(Some("malfoy"), page(5)).await, (Vec::new(), None));
        assert_eq!(names(None, page(9)).await.0, ["dobby", "ginny", "harry", "ron"]);
    }
}
