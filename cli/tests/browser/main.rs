//! The hosted page in a real browser, against the real binary: Chromium from Debian, with and without scripts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod driver;
mod methods;
mod stripe;
#[path = "../support/mod.rs"]
mod support;

use axum::{Router, extract::Query, response::Html, routing::get};
use driver::{Browser, ENTER, TAB};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};
use support::{
    catalogue::{put, session, with},
    client::Client,
    system::System,
};

const PAY: &str = "button.primary";

/// The shop's own site: a page for every address, and one with a frame in it.
async fn site() -> String {
    let frame =
        async |Query(query): Query<BTreeMap<String, String>>| Html(format!("<iframe src=\"{}\" height=900></iframe>", query["page"]));
    let router = Router::new().route("/frame", get(frame)).fallback(async || Html("<h1>The shop</h1>"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

struct Scene {
    system: System,
    shop: Client,
    site: String,
}

impl Scene {
    async fn set() -> Self {
        let system = System::embedded(&[]).await;
        let (shop, site) = (system.shop(), site().await);
        put(&shop, "sessions", "ses_page", session(100)).await;
        Self { system, shop, site }
    }

    /// A checkout that waits for its customer: its id, and its page.
    async fn order(&self, more: Value) -> (String, String) {
        let body = json!({
            "currency": "usd", "lines": [{"type": "session", "session": "ses_page", "quantity": 1}], "payment": {"hosted": {}},
            "success_url": format!("{}/thanks", self.site), "cancel_url": format!("{}/cart", self.site), "callback_state": "s",
        });
        let waiting = self.shop.buy(&with(&body, more)).await;
        assert_eq!(waiting["status"], "awaiting_payment", "{waiting}");
        (waiting["id"].as_str().unwrap().to_owned(), waiting["payment_url"].as_str().unwrap().to_owned())
    }

    async fn open(&self, browser: &Browser) -> String {
        let (id, page) = self.order(json!({})).await;
        browser.go(&page).await;
        id
    }

    async fn is_back_with(&self, browser: &Browser, path: &str, status: &str) {
        let url = browser.comes_to(&format!("{}{path}?", self.site)).await;
        assert!(url.contains(&format!("&status={status}&callback_state=s&signature=")), "{url}");
    }

    async fn status(&self, id: &str) -> String {
        self.shop.checkout(id).await["status"].as_str().unwrap().to_owned()
    }
}

/// Everything that a customer does, to its end at the shop.
async fn customers(with_script: bool) {
    let scene = Scene::set().await;
    let browser = Browser::open(with_script).await;
    // One pays; the way back shows a page that pays nothing a second time.
    let id = scene.open(&browser).await;
    browser.click(PAY).await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    browser.back().await;
    // With a script the page is loaded anew, and says so; without one it may be the form as it was, which finds what it has done.
    if with_script {
        browser.sees(".paid").await;
    }
    browser.click(".primary").await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    assert_eq!(scene.shop.charged(&id).await, ["captured"]);
    // One's card is declined, and another one pays.
    scene.open(&browser).await;
    browser.click("label[for=card-3]").await;
    browser.click(PAY).await;
    browser.sees("#problem").await;
    browser.click("label[for=card-1]").await;
    browser.click(PAY).await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    // One is asked by the bank.
    scene.open(&browser).await;
    browser.click("label[for=card-2]").await;
    browser.click(PAY).await;
    browser.click("a.button").await;
    browser.click("button[value=approve]").await;
    browser.click("a").await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    // One has a card that takes its time, by its token.
    scene.open(&browser).await;
    browser.click("label[for=card-other]").await;
    browser.type_into("#token", "tok_slow").await;
    browser.click(PAY).await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    // One calls it off.
    scene.open(&browser).await;
    browser.click(".cancel summary").await;
    browser.click(".cancel button").await;
    scene.is_back_with(&browser, "/cart", "canceled").await;
    // One falls asleep, and the page says of itself that it is over.
    let (id, page) = scene.order(json!({"expires_in": 10})).await;
    browser.go(&page).await;
    scene.is_back_with(&browser, "/cart", "expired").await;
    assert_eq!(scene.status(&id).await, "expired");
    browser.close();
    scene.system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_customers_pay_try_again_confirm_cancel_and_fall_asleep() {
    customers(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_without_a_script_customers_can_do_all_the_same() {
    customers(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_a_keyboard_a_nervous_finger_and_a_phone_are_enough() {
    let scene = Scene::set().await;
    let browser = Browser::open(true).await;
    // The way to the button: past the skip link, the cards, the token.
    scene.open(&browser).await;
    let focused = "return document.activeElement.className || document.activeElement.id";
    let mut way = Vec::new();
    while way.last().is_none_or(|at| at != "primary") {
        browser.press(TAB).await;
        way.push(browser.run(focused).await.as_str().unwrap_or_default().to_owned());
        assert!(way.len() < 12, "the button cannot be reached: {way:?}");
    }
    assert_eq!(way[0], "skip", "{way:?}");
    browser.press(ENTER).await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    // Three clicks, the last one past the guard.
    let id = scene.open(&browser).await;
    browser.run("const form = document.querySelector('form'), button = form.querySelector('button'); button.click(); button.click(); form.submit();").await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    assert_eq!(scene.shop.charged(&id).await, ["captured"]);
    // Nothing sticks out on a phone.
    browser.is_a_phone().await;
    scene.open(&browser).await;
    browser.sees(PAY).await;
    assert_eq!(browser.run("return document.documentElement.scrollWidth").await, 375);
    browser.close();
    scene.system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_a_frame_shows_the_page_where_it_may_and_nowhere_else() {
    let scene = Scene::set().await;
    let browser = Browser::open(true).await;
    let settings = json!({"embed_origins": [scene.site]});
    assert_eq!(scene.shop.put("/v1/settings", &settings).await.status, 200);
    let (_, page) = scene.order(json!({"payment": {"hosted": {"ui_mode": "embedded"}}})).await;
    browser.go(&format!("{}/frame?page={page}", scene.site)).await;
    browser.enter_frame().await;
    browser.click(PAY).await;
    browser.click(".paid a.button").await;
    scene.is_back_with(&browser, "/thanks", "succeeded").await;
    let (id, page) = scene.order(json!({})).await;
    browser.go(&format!("{}/frame?page={page}", scene.site)).await;
    browser.enter_frame().await;
    assert!(!browser.source().await.contains("<form"), "nobody is made to click on what he does not see");
    assert_eq!(scene.status(&id).await, "awaiting_payment");
    browser.close();
    scene.system.finish().await;
}

/// What axe-core finds on the page that is open. The policy of the page lets in no script, so it is run as the developer tools do. A page that
/// goes on by itself meanwhile is looked at once more.
async fn findings(browser: &Browser, axe: &str) -> Value {
    let run = "const done = arguments[arguments.length - 1]; if (!window.axe) { done(null); return } axe.run().then(result => done(result.violations.map(found => [found.id, found.impact, found.nodes.map(node => node.html)])))";
    let mut found = Value::Null;
    for _ in 0..5 {
        browser.run(&format!("{axe}; return null")).await;
        found = browser.run_to_the_end(run).await;
        if found.is_array() {
            break;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_no_page_keeps_anybody_out() {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.scratch/browser/node_modules/axe-core/axe.min.js");
    let axe = fs::read_to_string(axe).expect("axe-core is there: scripts/browser.sh fetches it");
    let scene = Scene::set().await;
    let browser = Browser::open(true).await;
    let (_, page) = scene.order(json!({})).await;
    browser.go(&page).await;
    browser.click(".cancel summary").await;
    assert_eq!(findings(&browser, &axe).await, json!([]), "the form");
    browser.click("label[for=card-other]").await;
    browser.click(PAY).await;
    browser.sees("#token-error").await;
    assert_eq!(findings(&browser, &axe).await, json!([]), "a form with a mistake");
    browser.click("label[for=card-2]").await;
    browser.click(PAY).await;
    browser.sees("a.button").await;
    assert_eq!(findings(&browser, &axe).await, json!([]), "the way to the bank");
    browser.click(".cancel summary").await;
    browser.click(".cancel button").await;
    browser.comes_to(&scene.site).await;
    browser.go(&page).await;
    browser.sees(".mark").await;
    assert_eq!(findings(&browser, &axe).await, json!([]), "the end");
    browser.go(&format!("{page}x")).await;
    assert_eq!(findings(&browser, &axe).await, json!([]), "a wrong link");
    browser.close();
    scene.system.finish().await;
}
