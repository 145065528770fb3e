//! A customer at the payment page, who goes on until the payment has ended.

use super::{
    PATIENCE,
    shop::{Sale, Shop},
    until,
};
use reqwest::StatusCode;
use serde_json::Value;

/// Pays with these cards and phones, one after the other as they are declined. Sends a form again whenever it is not clear what became of it.
pub async fn pay(shop: &Shop, sale: &Sale, cards: &[&str]) {
    until("a payment on the page", PATIENCE, || async {
        let checkout = shop.get(&format!("/v1/checkouts/{}", sale.id)).await;
        match checkout["status"].as_str().unwrap_or_default() {
            "queued" | "processing" | "reconciling" => None,
            "awaiting_payment" => {
                submit(shop, &checkout, cards).await;
                None
            }
            _ => Some(()),
        }
    })
    .await;
}

async fn submit(shop: &Shop, checkout: &Value, cards: &[&str]) {
    let url = checkout["payment_url"].as_str().unwrap_or_else(|| panic!("no payment_url: {checkout}"));
    let path = reqwest::Url::parse(url).unwrap().path().to_owned();
    let page = shop.page(&path).await;
    // What is under way meanwhile has no form.
    let Some((_, form)) = page.split_once(r#"name="intent" value="pay""#) else { return };
    let (n, proof) = (value(form, "n"), value(form, "form"));
    let declined = checkout["payment_attempts"].as_array().unwrap().iter().filter(|attempt| attempt["status"] == "declined").count();
    let card = cards[declined.min(cards.len() - 1)];
    let mut fields = vec![("intent", "pay"), ("n", n), ("form", proof)];
    match card.starts_with('+') {
        true => fields.extend([("method", "mobile_money"), ("provider", "m17"), ("phone", card)]),
        false => fields.extend([("card", "other"), ("token", card)]),
    }
    let answer = shop.submit(&path, &fields).await;
    assert_eq!(answer, StatusCode::SEE_OTHER, "the form of {path} was not taken");
}

fn value<'a>(form: &'a str, name: &str) -> &'a str {
    let (_, rest) = form.split_once(&format!(r#"name="{name}" value=""#)).unwrap_or_else(|| panic!("no field {name}: {form}"));
    rest.split_once('"').unwrap().0
}
