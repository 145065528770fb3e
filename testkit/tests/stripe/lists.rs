//! Lists, search, expansion, and how much of the stand-in's past is kept.

use super::client::{Shop, sale};
use boxoffice_testkit::{StripeStandIn, stripe::Settings};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_list_is_walked_page_by_page_newest_first() {
    let shop = Shop::open().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(shop.pay("pm_card_visa").await.id().to_owned());
    }
    made.reverse();
    let (mut walked, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut query = vec![("limit", "3")];
        if let Some(after) = &after {
            query.push(("starting_after", after.as_str()));
        }
        let page = shop.get("payment_intents", &query).await;
        assert_eq!((page.str("/object"), page.str("/url")), ("list", "/v1/payment_intents"));
        walked.extend(page.at("/data").as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        after = walked.last().cloned();
        if page.at("/has_more") == &json!(false) {
            break;
        }
    }
    assert_eq!(walked, made);
    let before = shop.get("payment_intents", &[("limit", "2"), ("ending_before", &made[3])]).await;
    assert_eq!(
        (before.str("/data/0/id"), before.str("/data/1/id"), before.at("/has_more")),
        (made[1].as_str(), made[2].as_str(), &json!(true))
    );
    assert_eq!(shop.get("payment_intents", &[("starting_after", "pi_nobody")]).await.error().2, "resource_missing");
    assert_eq!(shop.get("payment_intents", &[("limit", "101")]).await.status, 400);
    assert_eq!(shop.get("charges", &[("payment_intent", &made[0])]).await.at("/data").as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_list_is_filtered_by_time() {
    let shop = Shop::open().await;
    let old = shop.pay("pm_card_visa").await;
    shop.stripe.advance(Duration::from_secs(100));
    let new = shop.pay("pm_card_visa").await;
    let moment = new.at("/created").as_i64().unwrap();
    let ids = async |query: &[(&str, &str)]| {
        let list = shop.get("payment_intents", query).await;
        list.at("/data").as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[("created[gte]", &moment.to_string())]).await, [new.id()]);
    assert_eq!(ids(&[("created[lt]", &moment.to_string())]).await, [old.id()]);
    assert_eq!(ids(&[("created[gt]", &moment.to_string())]).await, Vec::<String>::new());
    assert_eq!(ids(&[("created[gte]", &(moment - 200).to_string()), ("created[lte]", &moment.to_string())]).await.len(), 2);
}

#[tokio::test]
async fn the_search_finds_by_metadata_and_is_behind() {
    let shop = Shop::open().await;
    shop.stripe.set_search_lag(Duration::from_secs(60));
    let paid = shop.pay("pm_card_visa").await;
    let query = [("query", "metadata['reference']:'sale-1'")];
    let early = shop.get("payment_intents/search", &query).await;
    assert_eq!((early.str("/object"), early.at("/data")), ("search_result", &json!([])), "not found is no proof");
    shop.stripe.advance(Duration::from_secs(61));
    let found = shop.get("payment_intents/search", &query).await;
    assert_eq!((found.str("/data/0/id"), found.at("/has_more")), (paid.id(), &json!(false)));
    for (query, count) in [
        ("metadata['reference']:'sale-1' AND status:'succeeded'", 1),
        ("metadata['reference']:'sale-2'", 0),
        ("metadata[\"reference\"]:\"sale-1\" AND amount>1000", 0),
        ("-status:'succeeded'", 0),
    ] {
        let found = shop.get("payment_intents/search", &[("query", query)]).await;
        assert_eq!(found.at("/data").as_array().map(Vec::len), Some(count), "{query}");
    }
    assert_eq!(shop.get("payment_intents/search", &[("query", "colour:'red'")]).await.status, 400);
}

#[tokio::test]
async fn ids_are_expanded_where_that_is_asked_for() {
    let shop = Shop::open().await;
    let customer = shop.post("customers", &[("email", "a@example.com")]).await;
    let form = [
        &sale("pm_card_visa")[..],
        &[("customer", customer.id()), ("capture_method", "automatic"), ("expand[]", "customer"), ("expand[]", "latest_charge")],
    ]
    .concat();
    let paid = shop.post("payment_intents", &form).await;
    assert_eq!((paid.str("/customer/email"), paid.str("/latest_charge/object")), ("a@example.com", "charge"), "{}", paid.text);
    let listed = shop.get("payment_intents", &[("expand[]", "data.latest_charge.balance_transaction")]).await;
    assert_eq!(listed.str("/data/0/latest_charge/balance_transaction/type"), "charge");
    let source = listed.str("/data/0/latest_charge/balance_transaction/id");
    let transaction = shop.get(&format!("balance_transactions/{source}"), &[("expand[]", "source.payment_intent")]).await;
    assert_eq!(transaction.str("/source/payment_intent/id"), paid.id());
    assert_eq!(shop.get(&format!("payment_intents/{}", paid.id()), &[("expand[]", "nothing")]).await.status, 400);
    let captures = shop.stripe.book().captures().len();
    let nowhere = [&sale("pm_card_visa")[..], &[("expand[]", "colour")]].concat();
    assert_eq!(shop.post("payment_intents", &nowhere).await.error().2, "property_not_expandable");
    assert_eq!(shop.stripe.book().captures().len(), captures, "refused before anything was done");
}

#[tokio::test]
async fn events_are_listed_and_retrieved() {
    let shop = Shop::open().await;
    let form = sale("pm_card_visa");
    let paid = shop.post_with("key-1", "payment_intents", &form).await;
    let list = shop.get("events", &[("type", "payment_intent.succeeded")]).await;
    assert_eq!((list.str("/data/0/data/object/id"), list.str("/data/0/request/idempotency_key")), (paid.id(), "key-1"));
    assert_eq!(list.str("/data/0/request/id"), paid.header("request-id").unwrap());
    let one = shop.get(&format!("events/{}", list.str("/data/0/id")), &[]).await;
    assert_eq!((one.str("/object"), one.str("/api_version"), one.str("/type")), ("event", "2026-09-30.endive", "payment_intent.succeeded"));
    let types = shop.get("events", &[("types[]", "charge.succeeded"), ("types[]", "charge.updated")]).await;
    assert_eq!(types.at("/data").as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn only_so_much_is_kept_as_was_agreed() {
    let settings = Settings { kept: 5, ..Settings::default() };
    let shop = Shop { stripe: StripeStandIn::start_with(settings).await.unwrap(), http: reqwest::Client::new() };
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(shop.post_with(&format!("key-{n}"), "payment_intents", &sale("pm_card_visa")).await.id().to_owned());
    }
    let book = shop.stripe.book();
    assert_eq!(book.intents().iter().map(|intent| intent.id.clone()).collect::<Vec<_>>(), ids[3..]);
    assert_eq!((book.requests().len(), book.request_count(), book.events().len()), (5, 8, 5));
}
