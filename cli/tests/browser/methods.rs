//! Mobile money, banks, wallets and saved cards on the page: with and without scripts, by the keyboard, on a phone, and how it all looks.

use crate::{
    PAY, Scene,
    driver::{Browser, ENTER, TAB},
    findings,
};
use serde_json::json;
use std::{fs, path::Path};

const MONEY: &str = "details:has(#phone)";
const BANK: &str = "details:has(#bank-1)";
const WALLET: &str = "details:has(#wallet-1)";
const APPROVES: &str = "+232 76 000 001";
const REFUSES: &str = "+23270000002";
const NEVER_LOOKS: &str = "+23270000003";
/// What a no looks like, and not a mistake in the form. Whoever is slow does not see the page before it, on which the phone is waited for.
const REFUSED: &str = "body:not(:has(.error)) #problem";

async fn opens(browser: &Browser, part: &str) {
    browser.click(&format!("{part}:not([open]) summary")).await;
    browser.sees(&format!("{part}[open]")).await;
}

async fn submits(browser: &Browser, part: &str) {
    browser.click(&format!("{part} button")).await;
}

/// With the form for mobile money open.
async fn is_asked_on(browser: &Browser, phone: &str) {
    browser.click("label[for=mobile_money-1]").await;
    browser.type_into("#phone", phone).await;
    submits(browser, MONEY).await;
}

/// Is asked on the phone to pay a new order, and does not look at it. Which order.
async fn is_asked_and_never_looks(scene: &Scene, browser: &Browser) -> String {
    let id = scene.open(browser).await;
    opens(browser, MONEY).await;
    is_asked_on(browser, NEVER_LOOKS).await;
    browser.sees(".phone").await;
    id
}

/// Everything that customers without a card do, to its end at the shop.
async fn customers(with_script: bool) {
    let scene = Scene::set().await;
    let browser = Browser::open(with_script).await;
    // One says yes on the phone, and the page goes on by itself.
    let id = scene.open(&browser).await;
    opens(&browser, MONEY).await;
    is_asked_on(&browser, APPROVES).await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    assert_eq!(scene.shop.charged(&id).await, ["captured"]);
    // One forgets to say who, mistypes the number, says no, and pays at the bank.
    scene.open(&browser).await;
    opens(&browser, MONEY).await;
    submits(&browser, MONEY).await;
    browser.sees("#mobile_money-error").await;
    is_asked_on(&browser, "076 000 001").await;
    browser.sees("#phone-error").await;
    is_asked_on(&browser, REFUSES).await;
    browser.sees(REFUSED).await;
    opens(&browser, BANK).await;
    browser.click("label[for=bank-2]").await;
    submits(&browser, BANK).await;
    browser.click("a.button").await;
    browser.click("button[value=approve]").await;
    browser.click("a").await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    // One refuses in the wallet, and takes a card.
    scene.open(&browser).await;
    opens(&browser, WALLET).await;
    submits(&browser, WALLET).await;
    browser.click("a.button").await;
    browser.click("button[value=refuse]").await;
    browser.click("a").await;
    browser.sees("#problem").await;
    opens(&browser, "details:has(#card-1)").await;
    browser.click(PAY).await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    // One never looks at the phone, and takes a card instead.
    let id = is_asked_and_never_looks(&scene, &browser).await;
    browser.click(".another button").await;
    browser.sees("#problem").await;
    opens(&browser, "details:has(#card-1)").await;
    browser.click(PAY).await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    assert_eq!(scene.shop.charged(&id).await, ["voided", "captured"]);
    // One never looks at the phone, and calls it off on the page.
    let id = is_asked_and_never_looks(&scene, &browser).await;
    browser.click(".cancel summary").await;
    browser.click(".cancel button").await;
    scene.is_back_with(&browser, "/cart", "canceled").await;
    assert_eq!(scene.shop.charged(&id).await, ["voided"]);
    browser.close();
    scene.system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_customers_without_a_card_pay_refuse_try_otherwise_and_call_it_off() {
    customers(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_without_a_script_customers_without_a_card_can_do_all_the_same() {
    customers(false).await;
}

/// Ada, who has saved a card; the sandbox knows its token.
async fn ada(scene: &Scene) {
    let card =
        json!({"type": "card", "token": "tok_visa", "brand": "visa", "last4": "4242", "exp_month": 3, "exp_year": 2099, "default": true});
    for (path, body) in [("ada", json!({"name": "Ada"})), ("ada/payment-methods/pm_ada", card)] {
        let put = scene.shop.put(&format!("/v1/customers/{path}"), &body).await;
        assert_eq!(put.status, 201, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_a_saved_card_pays_with_one_click() {
    let scene = Scene::set().await;
    ada(&scene).await;
    let browser = Browser::open(false).await;
    let (id, page) = scene.order(json!({"customer": "ada"})).await;
    browser.go(&page).await;
    assert!(browser.source().await.contains("Visa ending in 4242"));
    browser.click(PAY).await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    assert_eq!(scene.shop.charged(&id).await, ["captured"]);
    browser.close();
    scene.system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_a_keyboard_is_enough_for_mobile_money() {
    let scene = Scene::set().await;
    let browser = Browser::open(true).await;
    browser.is_a_phone().await;
    let id = scene.open(&browser).await;
    let at = async || {
        let at = "const at = document.activeElement; return at.id || at.textContent.trim().slice(0, 20)";
        browser.run(at).await.as_str().unwrap_or_default().to_owned()
    };
    let reaches = async |wanted: &str| {
        let mut way = Vec::new();
        while way.last().is_none_or(|last| last != wanted) {
            browser.press(TAB).await;
            way.push(at().await);
            assert!(way.len() < 12, "{wanted} cannot be reached: {way:?}");
        }
    };
    reaches("Mobile money").await;
    browser.press(ENTER).await;
    reaches("mobile_money-1").await;
    browser.press(" ").await;
    reaches("phone").await;
    for key in APPROVES.chars() {
        browser.press(&key.to_string()).await;
    }
    browser.press(ENTER).await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    assert_eq!(scene.shop.charges(&id).await[0]["method"], "mobile_money/m17");
    browser.close();
    scene.system.finish().await;
}

/// Looks at the page as it is: nothing sticks out, axe-core finds nothing. With `PICTURES=<folder>` a picture is kept there.
async fn look(browser: &Browser, axe: &str, width: u32, state: &str) {
    assert_eq!(findings(browser, axe).await, json!([]), "{state}");
    // A bar to scroll with takes a little of a wide screen.
    assert!(
        browser.run("return document.documentElement.scrollWidth").await.as_u64().is_some_and(|wide| wide <= u64::from(width)),
        "{state}"
    );
    if let Some(folder) = std::env::var_os("PICTURES") {
        fs::write(Path::new(&folder).join(format!("{width}-{state}.png")), browser.picture().await).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_every_state_of_every_way_to_pay_fits_its_screen_and_keeps_nobody_out() {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.scratch/browser/node_modules/axe-core/axe.min.js");
    let axe = fs::read_to_string(axe).expect("axe-core is there: scripts/browser.sh fetches it");
    let scene = Scene::set().await;
    ada(&scene).await;
    for width in [390, 1280] {
        let browser = Browser::open(true).await;
        browser.is_as_wide_as(width).await;
        let look = async |state: &str| look(&browser, &axe, width, state).await;
        scene.open(&browser).await;
        look("form").await;
        for (part, state) in [(BANK, "form-bank"), (WALLET, "form-wallet"), (MONEY, "form-money")] {
            opens(&browser, part).await;
            look(state).await;
        }
        submits(&browser, MONEY).await;
        browser.sees("#mobile_money-error").await;
        look("mistake-provider").await;
        is_asked_on(&browser, "076 000 001").await;
        browser.sees("#phone-error").await;
        look("mistake-phone").await;
        is_asked_on(&browser, REFUSES).await;
        browser.sees(REFUSED).await;
        look("refused").await;
        is_asked_on(&browser, NEVER_LOOKS).await;
        browser.sees(".phone").await;
        look("phone").await;
        browser.sees(".cancel:not([open])").await;
        browser.click(".cancel summary").await;
        look("phone-cancel").await;
        browser.click(".another button").await;
        browser.sees("#problem").await;
        look("phone-taken-back").await;
        scene.open(&browser).await;
        opens(&browser, BANK).await;
        browser.click("label[for=bank-1]").await;
        submits(&browser, BANK).await;
        browser.sees("a.button").await;
        look("bank").await;
        browser.click("p:not(:has(.button)) > a[href*=after]").await;
        browser.sees(".spinner").await;
        look("bank-checking").await;
        let (_, page) = scene.order(json!({"customer": "ada"})).await;
        browser.go(&page).await;
        look("saved").await;
        let options = json!({"card": {"disable": true}, "bank": {"disable": true}, "wallet": {"disable": true}});
        let (_, page) = scene.order(json!({"payment": {"hosted": {"options": options}}})).await;
        browser.go(&page).await;
        look("only-money").await;
        browser.close();
    }
    scene.system.finish().await;
}
