//! Customers and saved methods.

use super::client::{Shop, sale};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_customer_is_created_changed_found_and_deleted() {
    let shop = Shop::open().await;
    let form = [("email", "a@example.com"), ("name", "A"), ("metadata[ref]", "7"), ("address[country]", "DE")];
    let made = shop.post("customers", &form).await;
    assert!(made.status == 200 && made.id().starts_with("cus_"), "{}", made.text);
    assert_eq!((made.str("/email"), made.str("/metadata/ref"), made.str("/address/country")), ("a@example.com", "7", "DE"));
    let path = format!("customers/{}", made.id());
    let changed = shop.post(&path, &[("name", "B"), ("metadata[ref]", "")]).await;
    assert_eq!((changed.str("/name"), changed.at("/metadata"), changed.str("/email")), ("B", &json!({}), "a@example.com"));
    shop.post("customers", &[("email", "b@example.com")]).await;
    let found = shop.get("customers", &[("email", "a@example.com")]).await;
    assert_eq!((found.at("/data").as_array().map(Vec::len), found.str("/data/0/id")), (Some(1), made.id()));
    let gone = shop.call(Method::DELETE, &path, &[], None).await.unwrap();
    assert_eq!(gone.at("/deleted"), &json!(true));
    assert_eq!(shop.get(&path, &[]).await.at("/deleted"), &json!(true));
    assert_eq!(shop.post(&path, &[("name", "C")]).await.error().2, "resource_missing");
    assert_eq!(shop.post("customers", &[("email", "nobody")]).await.error().2, "email_invalid");
    assert_eq!(shop.kinds(), ["customer.created", "customer.updated", "customer.created", "customer.deleted"]);
}

#[tokio::test]
async fn a_method_is_made_from_a_token_attached_listed_and_detached() {
    let shop = Shop::open().await;
    let customer = shop.post("customers", &[]).await;
    let other = shop.post("customers", &[]).await;
    let made = shop.post("payment_methods", &[("type", "card"), ("card[token]", "tok_visa"), ("billing_details[name]", "A")]).await;
    assert_eq!(
        (made.str("/card/brand"), made.str("/billing_details/name"), made.at("/customer").is_null()),
        ("visa", "A", true),
        "{}",
        made.text
    );
    let path = format!("payment_methods/{}", made.id());
    let attached = shop.post(&format!("{path}/attach"), &[("customer", customer.id())]).await;
    assert_eq!(attached.str("/customer"), customer.id());
    assert_eq!(shop.post(&format!("{path}/attach"), &[("customer", other.id())]).await.status, 400, "it is somebody's");
    for (url, query) in [
        ("payment_methods", vec![("customer", customer.id()), ("type", "card")]),
        (&*format!("customers/{}/payment_methods", customer.id()), vec![]),
    ] {
        let list = shop.get(url, &query).await;
        assert_eq!(list.str("/data/0/id"), made.id(), "{}", list.text);
    }
    assert_eq!(shop.get("payment_methods", &[("customer", other.id())]).await.at("/data"), &json!([]));
    let detached = shop.post(&format!("{path}/detach"), &[]).await;
    assert!(detached.at("/customer").is_null());
    assert_eq!(shop.post(&format!("{path}/detach"), &[]).await.status, 400);
    assert_eq!(shop.pay(made.id()).await.status, 400, "what was detached pays no more");
}

#[tokio::test]
async fn a_test_method_becomes_the_customers_own_when_it_is_attached() {
    let shop = Shop::open().await;
    let customer = shop.post("customers", &[]).await;
    let attached = shop.post("payment_methods/pm_card_mastercard/attach", &[("customer", customer.id())]).await;
    assert!(attached.id().starts_with("pm_3") && attached.str("/customer") == customer.id(), "{}", attached.text);
    let paid =
        shop.post("payment_intents", &[&sale(attached.id())[..], &[("customer", customer.id()), ("off_session", "true")]].concat()).await;
    assert_eq!(paid.str("/status"), "succeeded", "{}", paid.text);
    assert_eq!(shop.post("payment_methods/pm_card_chargeDeclined/attach", &[("customer", customer.id())]).await.error().2, "card_declined");
    let fails = shop.post("payment_methods/pm_card_chargeCustomerFail/attach", &[("customer", customer.id())]).await;
    assert_eq!(fails.status, 200, "that one can be saved, and cannot be charged");
}

#[tokio::test]
async fn a_saved_method_pays_for_its_customer_only() {
    let shop = Shop::open().await;
    let (customer, other) = (shop.post("customers", &[]).await, shop.post("customers", &[]).await);
    let saved = shop.post("payment_methods/pm_card_visa/attach", &[("customer", customer.id())]).await;
    assert_eq!(shop.pay(saved.id()).await.status, 400, "without its customer");
    let stolen = [&sale(saved.id())[..], &[("customer", other.id())]].concat();
    assert_eq!(shop.post("payment_intents", &stolen).await.status, 400, "with another");
    assert!(shop.stripe.book().captures().is_empty());
    for _ in 0..2 {
        let own = [&sale(saved.id())[..], &[("customer", customer.id())]].concat();
        assert_eq!(shop.post("payment_intents", &own).await.str("/status"), "succeeded");
    }
}

#[tokio::test]
async fn a_method_without_a_customer_pays_once() {
    let shop = Shop::open().await;
    let made = shop.post("payment_methods", &[("type", "card"), ("card[token]", "tok_visa")]).await;
    assert_eq!(shop.pay(made.id()).await.str("/status"), "succeeded");
    assert_eq!(shop.pay(made.id()).await.status, 400);
    assert_eq!(shop.stripe.book().captures().len(), 1);
}

#[tokio::test]
async fn a_card_saved_with_authentication_pays_later_without_the_customer() {
    let shop = Shop::open().await;
    let customer = shop.post("customers", &[]).await;
    let card = "pm_card_authenticationRequiredOnSetup";
    let form = [&sale(card)[..], &[("customer", customer.id()), ("setup_future_usage", "off_session")]].concat();
    let waiting = shop.post("payment_intents", &form).await;
    assert_eq!(waiting.str("/status"), "requires_action");
    assert!(shop.stripe.authenticate(waiting.id(), true));
    let methods = shop.get("payment_methods", &[("customer", customer.id())]).await;
    let saved = methods.str("/data/0/id");
    assert!(saved.starts_with("pm_"), "the payment saved its method: {}", methods.text);
    let later = [&sale(saved)[..], &[("customer", customer.id()), ("off_session", "true")]].concat();
    assert_eq!(shop.post("payment_intents", &later).await.str("/status"), "succeeded");
}
