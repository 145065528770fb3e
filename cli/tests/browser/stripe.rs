//! Money through Stripe's pages in a real browser: our page leads there, Stripe's leads back, and its book says what was captured.

#[path = "../stripe/studio.rs"]
#[allow(dead_code, reason = "the part of whoever pays by a card's token")]
mod studio;

use crate::{
    PAY,
    driver::Browser,
    site,
    support::{catalogue::with, system::Deployment},
};
use serde_json::{Value, json};
use studio::Studio;

/// On our page: the way to the provider's.
const ON: &str = "a.button";
/// On our page: what a no looks like.
const REFUSED: &str = "body:not(:has(.error)) #problem";
/// On Stripe's page: the way back without paying.
const BACK: &str = "#cancel";
/// On Stripe's page: why a card was not taken.
const NO: &str = "#error";

struct Scene {
    studio: Studio,
    site: String,
}

impl Scene {
    async fn set() -> Self {
        Self { studio: Studio::open(Deployment::Embedded).await, site: site().await }
    }

    /// A checkout that waits for its customer: its id, and where the customer is sent.
    async fn order(&self, more: Value) -> (String, String) {
        let order = json!({
            "currency": "usd", "lines": [{"type": "session", "session": "ses_stripe", "quantity": 1}], "payment": {"hosted": {}},
            "success_url": format!("{}/thanks", self.site), "cancel_url": format!("{}/cart", self.site),
        });
        let waiting = self.studio.shop.buy(&with(&order, more)).await;
        assert_eq!(waiting["status"], "awaiting_payment", "{waiting}");
        (waiting["id"].as_str().unwrap().to_owned(), waiting["payment_url"].as_str().unwrap().to_owned())
    }

    async fn open(&self, browser: &Browser, more: Value) -> String {
        let (id, page) = self.order(more).await;
        browser.go(&page).await;
        id
    }

    /// Goes from our page to Stripe's, where the card is entered.
    async fn goes_to_stripe(&self, browser: &Browser) {
        browser.click(ON).await;
        self.is_at_stripe(browser).await;
    }

    async fn is_at_stripe(&self, browser: &Browser) {
        browser.comes_to(&format!("{}c/pay/", self.studio.stripe.url())).await;
        browser.sees("#pay").await;
    }

    /// Back at the shop, paid, and captured once.
    async fn has_paid(&self, browser: &Browser, id: &str) {
        let url = browser.comes_to(&format!("{}/thanks?", self.site)).await;
        assert!(url.contains(&format!("checkout_id={id}&status=succeeded&")), "{url}");
        assert_eq!(self.studio.shop.checkout(id).await["status"], "succeeded");
        let captures = self.studio.captures(id);
        assert_eq!((captures.len(), captures[0].amount, captures[0].refunded), (1, 1500, 0), "{captures:?}");
    }

    async fn end(self) {
        self.studio.close().await;
    }
}

/// On Stripe's page.
async fn pays_with(browser: &Browser, card: &str) {
    browser.click(&format!("option[value={card}]")).await;
    browser.click("#pay").await;
}

/// One chooses Stripe on our page, pays there, and is back at the shop. Our page, opened once more, says so.
async fn pays_on_stripes_page(scene: &Scene, browser: &Browser) {
    let (id, page) = scene.order(json!({})).await;
    browser.go(&page).await;
    browser.click(PAY).await;
    scene.goes_to_stripe(browser).await;
    pays_with(browser, "pm_card_visa").await;
    scene.has_paid(browser, &id).await;
    browser.go(&page).await;
    browser.sees(".paid").await;
    assert_eq!(scene.studio.captures(&id).len(), 1);
}

/// One's card is declined there, another one's bank is not satisfied, and a third one pays: all on Stripe's page, as one attempt of ours.
async fn tries_other_cards_on_stripes_page(scene: &Scene, browser: &Browser) {
    let id = scene.open(browser, json!({})).await;
    browser.click(PAY).await;
    scene.goes_to_stripe(browser).await;
    pays_with(browser, "pm_card_visa_chargeDeclinedInsufficientFunds").await;
    browser.sees(NO).await;
    assert!(browser.source().await.contains("insufficient funds"));
    pays_with(browser, "pm_card_authenticationRequired").await;
    browser.click("#fail").await;
    browser.sees(NO).await;
    assert_eq!(scene.studio.shop.checkout(&id).await["status"], "awaiting_payment", "it is still the customer's turn");
    pays_with(browser, "pm_card_authenticationRequired").await;
    browser.click("#complete").await;
    scene.has_paid(browser, &id).await;
    assert_eq!(scene.studio.shop.checkout(&id).await["payment_attempts"].as_array().map(Vec::len), Some(1));
}

/// One turns back on Stripe's page, and goes there again; another one takes the browser's own way back; a third one has the question taken
/// back, and chooses anew. None of them has to wait for anything.
async fn turns_back_and_pays(scene: &Scene, browser: &Browser) {
    let id = scene.open(browser, json!({})).await;
    browser.click(PAY).await;
    scene.goes_to_stripe(browser).await;
    browser.click(BACK).await;
    scene.goes_to_stripe(browser).await;
    browser.back().await;
    scene.goes_to_stripe(browser).await;
    browser.click(BACK).await;
    browser.click(".another button").await;
    browser.sees(REFUSED).await;
    browser.click(PAY).await;
    scene.goes_to_stripe(browser).await;
    pays_with(browser, "pm_card_visa").await;
    scene.has_paid(browser, &id).await;
}

/// One turns back, and wants nothing any more.
async fn turns_back_and_calls_it_off(scene: &Scene, browser: &Browser) {
    let id = scene.open(browser, json!({})).await;
    browser.click(PAY).await;
    scene.goes_to_stripe(browser).await;
    browser.click(BACK).await;
    browser.click(".cancel summary").await;
    browser.click(".cancel button").await;
    let url = browser.comes_to(&format!("{}/cart?", scene.site)).await;
    assert!(url.contains("status=canceled"), "{url}");
    assert!(scene.studio.captures(&id).is_empty());
}

/// One is sent to Stripe's page by the shop, without a page of ours, and turns back once.
async fn is_sent_to_stripe_by_the_shop(scene: &Scene, browser: &Browser) {
    let id = scene.open(browser, json!({"payment": {"methods": [{"type": "provider_page"}]}})).await;
    scene.is_at_stripe(browser).await;
    browser.click(BACK).await;
    scene.goes_to_stripe(browser).await;
    pays_with(browser, "pm_card_mastercard").await;
    scene.has_paid(browser, &id).await;
}

/// One has saved a card whose bank asks each time.
async fn confirms_a_saved_card_at_the_bank(scene: &Scene, browser: &Browser) {
    let shop = &scene.studio.shop;
    shop.put("/v1/customers/ada", &json!({"name": "Ada"})).await.expect(201);
    let card = json!({
        "type": "card", "token": "pm_card_authenticationRequired", "brand": "visa", "last4": "3184", "exp_month": 12, "exp_year": 2034,
        "default": true,
    });
    shop.put("/v1/customers/ada/payment-methods/pm_ada", &card).await.expect(201);
    let ada = json!({"customer": "ada"});
    let bank = format!("{}authenticate/", scene.studio.stripe.url());
    // She confirms it, and is back at the shop.
    let id = scene.open(browser, ada.clone()).await;
    browser.click(PAY).await;
    browser.click(ON).await;
    browser.comes_to(&bank).await;
    browser.click("#complete").await;
    scene.has_paid(browser, &id).await;
    // The bank says no; our page says so, and another card pays.
    let id = scene.open(browser, ada).await;
    browser.click(PAY).await;
    browser.click(ON).await;
    browser.comes_to(&bank).await;
    browser.click("#fail").await;
    browser.sees(REFUSED).await;
    assert!(scene.studio.captures(&id).is_empty());
    browser.click("label[for=card-2]").await;
    browser.click(PAY).await;
    scene.goes_to_stripe(browser).await;
    pays_with(browser, "pm_card_visa").await;
    scene.has_paid(browser, &id).await;
}

/// One's card is a token of the shop's own page, without a page of ours: its bank leads to `/return/…`, and that to the shop.
async fn confirms_a_token_at_the_bank(scene: &Scene, browser: &Browser) {
    let token = json!({"methods": [{"type": "card", "token": "pm_card_threeDSecure2Required"}]});
    let id = scene.open(browser, json!({"payment": token.clone()})).await;
    browser.click("#complete").await;
    scene.has_paid(browser, &id).await;
    let id = scene.open(browser, json!({"payment": token})).await;
    browser.click("#fail").await;
    let url = browser.comes_to(&format!("{}/cart?", scene.site)).await;
    assert!(url.contains("status=failed"), "{url}");
    assert!(scene.studio.captures(&id).is_empty());
}

async fn customers(with_script: bool) {
    let scene = Scene::set().await;
    let browser = Browser::open(with_script).await;
    pays_on_stripes_page(&scene, &browser).await;
    tries_other_cards_on_stripes_page(&scene, &browser).await;
    turns_back_and_pays(&scene, &browser).await;
    turns_back_and_calls_it_off(&scene, &browser).await;
    is_sent_to_stripe_by_the_shop(&scene, &browser).await;
    confirms_a_saved_card_at_the_bank(&scene, &browser).await;
    confirms_a_token_at_the_bank(&scene, &browser).await;
    browser.close();
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_customers_pay_on_stripes_page_turn_back_confirm_at_the_bank_and_come_back_to_the_shop() {
    customers(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_without_a_script_customers_pay_on_stripes_page_and_come_back_all_the_same() {
    customers(false).await;
}
