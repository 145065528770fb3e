//! Paying on our page, as a browser without a script does it: reads the page, sends its form, and goes where it is sent.

use crate::support::{
    catalogue::{put, session},
    client::{Client, PATIENCE, callback},
    system::System,
};
use boxoffice_testkit::Receiver;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub async fn story(system: &System) {
    let (shop, receiver) = (system.shop(), Receiver::start().await.unwrap());
    put(&shop, "sessions", "ses_page", session(50)).await;
    assert_eq!(shop.put("/v1/settings", &json!({"name": "Studio", "color": "#7a1f5c"})).await.status, 200);
    tokio::join!(
        a_customer_pays_and_comes_back_to_the_shop(&shop, &receiver),
        a_customer_whose_card_is_declined_takes_another_one(&shop),
        a_customer_confirms_at_the_bank(&shop),
        a_customer_refuses_at_the_bank_and_pays_otherwise(&shop),
        a_customer_calls_it_off(&shop, &receiver),
        a_customer_who_stays_away_is_told_that_it_is_over(&shop, &receiver),
        clicks_by_the_dozen_are_one_payment(&shop),
        a_lost_answer_is_waited_for_on_the_page(&shop),
        a_lost_no_is_found_out_and_another_card_pays(&shop),
    );
    // Seven are paid, two came to nothing.
    assert_eq!(shop.left("ses_page").await, (7, 0, 43));
}

/// A browser on one checkout's page. It has no key.
pub(crate) struct Browser {
    pub(crate) http: Client,
    pub(crate) url: String,
    pub(crate) id: String,
    /// What a proxy says that it speaks for.
    pub(crate) from: Option<String>,
}

/// A page, or where it sends the browser.
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) html: String,
    location: Option<String>,
    pub(crate) retry_after: Option<String>,
}

impl Browser {
    /// Opens the link of a new checkout.
    async fn open(shop: &Client, receiver: Option<&Receiver>, expires_in: u32) -> Self {
        let mut body = json!({
            "currency": "usd", "lines": [{"type": "session", "session": "ses_page", "quantity": 1}],
            "payment": {"hosted": {"ui_mode": "hosted"}}, "callback_state": "cart 7", "expires_in": expires_in,
            "success_url": "https://shop.example/thanks?c={CHECKOUT_ID}", "cancel_url": "https://shop.example/cart",
        });
        if let Some(receiver) = receiver {
            body["callback_url"] = json!(receiver.url());
        }
        Self::open_order(shop, &body).await
    }

    /// The same of an order of one's own.
    pub(crate) async fn open_order(shop: &Client, body: &Value) -> Self {
        let waiting = shop.buy(body).await;
        assert_eq!((&waiting["status"], &waiting["payment_attempts"]), (&json!("awaiting_payment"), &json!([])), "{waiting}");
        let url = waiting["payment_url"].as_str().unwrap().to_owned();
        Self { http: shop.with_key(None), url, id: waiting["id"].as_str().unwrap().to_owned(), from: None }
    }

    pub(crate) async fn load(&self, query: &str) -> Seen {
        self.seen(self.http.request(Method::GET, &format!("{}{query}", self.url))).await
    }

    pub(crate) async fn seen(&self, request: reqwest::RequestBuilder) -> Seen {
        let request = self.from.iter().fold(request, |request, from| request.header("x-forwarded-for", from));
        let response = request.send().await.unwrap();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (location, retry_after) = (header("location"), header("retry-after"));
        Seen { status: response.status().as_u16(), location, retry_after, html: response.text().await.unwrap() }
    }

    /// Sends the form with this intent as it stands on the page, with a card.
    pub(crate) async fn send(&self, html: &str, intent: &str, card: &str) -> Seen {
        let forms = html.split("<form").skip(1).map(|form| form.split("</form>").next().unwrap());
        let form = forms.clone().find(|form| form.contains(&format!("name=\"intent\" value=\"{intent}\"")));
        let form = form.unwrap_or_else(|| panic!("no form to {intent} in {html}"));
        let hidden = form.split("<input type=\"hidden\" name=\"").skip(1).map(|field| field.split('"').collect::<Vec<_>>());
        let mut fields: Vec<String> = hidden.map(|parts| format!("{}={}", parts[0], parts[2])).collect();
        match card {
            "" => {}
            // Another way to pay, with its fields.
            more if more.starts_with("method=") => {
                fields.retain(|field| !field.starts_with("method="));
                fields.push(more.to_owned());
            }
            listed if html.contains(&format!("value=\"{listed}\"")) => fields.push(format!("card={listed}")),
            other => fields.extend(["card=other".to_owned(), format!("token={other}")]),
        }
        let request = self.http.request(Method::POST, &self.url).header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("sec-fetch-site", "same-origin").header("origin", "null");
        self.seen(request.body(fields.join("&"))).await
    }

    pub(crate) async fn pay(&self, card: &str) -> Seen {
        let page = self.load("").await;
        let sent = self.send(&page.html, "pay", card).await;
        assert_eq!(sent.status, 303, "{}", sent.html);
        self.follow("?after=submit").await
    }

    /// Loads the page as its `Refresh` says until it says something that lasts.
    pub(crate) async fn follow(&self, query: &str) -> Seen {
        let deadline = Instant::now() + PATIENCE;
        let mut query = query.to_owned();
        loop {
            let seen = self.load(&query).await;
            if seen.status == 303 || !seen.html.contains("This page goes on by itself") {
                return seen;
            }
            assert!(Instant::now() < deadline, "no end to {}", seen.html);
            if !query.contains("wait=1") {
                query.push_str("&wait=1");
            }
        }
    }
}

impl Seen {
    /// It sends the browser to the shop, signed with the tenant's secret, saying this.
    pub(crate) async fn leads_to_the_shop(&self, shop: &Client, browser: &Browser, address: &str, status: &str) {
        let location = self.location.as_deref().unwrap_or_else(|| panic!("{}", self.html));
        // In a space the state is there by its other name, too.
        let (at, query) = location
            .replacen("&callbackState=cart+7&", "&", 1)
            .split_once(&format!("checkout_id={}&status={status}&callback_state=cart+7&signature=", browser.id))
            .map(|(at, query)| (at.to_owned(), query.to_owned()))
            .unwrap_or_else(|| panic!("{location}"));
        assert!(at.starts_with(address), "{location}");
        let secret = shop.get("/v1/webhook-secret").await.expect(200)["secret"].as_str().unwrap().to_owned();
        let secret = boxoffice_common::domain::secret::Secret::new(secret);
        let text = format!("v1\n{}\n{status}\ncart 7", browser.id);
        assert_eq!(query, boxoffice_common::adapters::callback::signature::sign_text(&secret, &text).unwrap());
    }
}

async fn a_customer_pays_and_comes_back_to_the_shop(shop: &Client, receiver: &Receiver) {
    let browser = Browser::open(shop, Some(receiver), 900).await;
    let told = callback(receiver, "checkout.awaiting_payment", &browser.id).await.json();
    assert_eq!(told["data"]["payment_url"], browser.url);
    let paid = browser.pay("tok_visa").await;
    paid.leads_to_the_shop(shop, &browser, &format!("https://shop.example/thanks?c={}&", browser.id), "succeeded").await;
    let sold = shop.checkout(&browser.id).await;
    assert_eq!((&sold["status"], &sold["amount_paid"], &sold["payment_url"]), (&json!("succeeded"), &json!(1500), &Value::Null));
    assert_eq!(shop.charged(&browser.id).await, ["captured"]);
    callback(receiver, "checkout.succeeded", &browser.id).await;
    assert!(browser.load("").await.html.contains("You have paid"));
}

async fn a_customer_whose_card_is_declined_takes_another_one(shop: &Client) {
    let browser = Browser::open(shop, None, 900).await;
    let declined = browser.pay("tok_insufficient_funds").await;
    assert!(declined.html.contains("not enough money on this card"), "{}", declined.html);
    let waiting = shop.checkout(&browser.id).await;
    assert_eq!((&waiting["status"], &waiting["error"]["decline_code"]), (&json!("awaiting_payment"), &json!("insufficient_funds")));
    let paid = browser.send(&declined.html, "pay", "tok_visa").await;
    assert_eq!(paid.status, 303);
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, "https://shop.example/thanks", "succeeded").await;
    assert_eq!(shop.charged(&browser.id).await, ["declined", "captured"]);
}

/// Submits a payment of which the bank asks the customer, and answers at the bank.
pub(crate) async fn at_the_bank(browser: &Browser, payment: &str, answer: &str) -> Seen {
    let asked = browser.pay(payment).await;
    let link = asked.html.split("href=\"").find(|part| part.contains("/sandbox/actions/")).unwrap_or_else(|| panic!("{}", asked.html));
    let link = link.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let form = browser.http.request(Method::POST, &link).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(browser.seen(form.body(format!("answer={answer}"))).await.status, 303);
    let done = browser.seen(browser.http.request(Method::GET, &link)).await;
    let back = done.html.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let query = back.strip_prefix(&browser.url).unwrap_or_else(|| panic!("{back} is not our page"));
    browser.follow(query).await
}

async fn a_customer_confirms_at_the_bank(shop: &Client) {
    let browser = Browser::open(shop, None, 900).await;
    let back = at_the_bank(&browser, "tok_3ds", "approve").await;
    back.leads_to_the_shop(shop, &browser, "https://shop.example/thanks", "succeeded").await;
}

async fn a_customer_refuses_at_the_bank_and_pays_otherwise(shop: &Client) {
    let browser = Browser::open(shop, None, 900).await;
    let back = at_the_bank(&browser, "tok_3ds", "refuse").await;
    assert!(back.html.contains("not confirmed at the bank"), "{}", back.html);
    browser.send(&back.html, "pay", "tok_visa").await;
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, "https://shop.example/thanks", "succeeded").await;
}

async fn a_customer_calls_it_off(shop: &Client, receiver: &Receiver) {
    let browser = Browser::open(shop, Some(receiver), 900).await;
    let page = browser.load("").await;
    assert_eq!(browser.send(&page.html, "cancel", "").await.status, 303);
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, "https://shop.example/cart?", "canceled").await;
    callback(receiver, "checkout.canceled", &browser.id).await;
    assert!(shop.charges(&browser.id).await.is_empty());
    // What was on the screen is of no use any more.
    assert_eq!(browser.send(&page.html, "pay", "tok_visa").await.status, 303);
    assert_eq!(shop.checkout(&browser.id).await["status"], "canceled");
    assert!(browser.load("").await.html.contains("The order was canceled"));
}

async fn a_customer_who_stays_away_is_told_that_it_is_over(shop: &Client, receiver: &Receiver) {
    let browser = Browser::open(shop, Some(receiver), 10).await;
    let page = browser.load("").await;
    callback(receiver, "checkout.expired", &browser.id).await;
    assert_eq!(browser.send(&page.html, "pay", "tok_visa").await.status, 303);
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, "https://shop.example/cart?", "expired").await;
    assert!(browser.load("").await.html.contains("The time to pay is over"));
    assert!(shop.charges(&browser.id).await.is_empty());
}

async fn clicks_by_the_dozen_are_one_payment(shop: &Client) {
    let browser = Browser::open(shop, None, 900).await;
    let page = browser.load("").await;
    let sent = futures::future::join_all((0..12).map(|_| browser.send(&page.html, "pay", "tok_visa"))).await;
    assert!(sent.iter().all(|seen| seen.status == 303));
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, "https://shop.example/thanks", "succeeded").await;
    assert_eq!(shop.charged(&browser.id).await, ["captured"]);
}

async fn a_lost_answer_is_waited_for_on_the_page(shop: &Client) {
    let browser = Browser::open(shop, None, 900).await;
    let started = Instant::now();
    let paid = browser.pay("tok_timeout_charged").await;
    paid.leads_to_the_shop(shop, &browser, "https://shop.example/thanks", "succeeded").await;
    assert!(started.elapsed() > Duration::from_secs(1), "its answer was lost");
    assert_eq!(shop.charged(&browser.id).await, ["captured"]);
}

async fn a_lost_no_is_found_out_and_another_card_pays(shop: &Client) {
    let browser = Browser::open(shop, None, 900).await;
    let declined = browser.pay("tok_timeout_declined").await;
    assert!(declined.html.contains("The card was declined. Nothing was charged."), "{}", declined.html);
    let timeline = shop.get(&format!("/v1/checkouts/{}/timeline", browser.id)).await.expect(200).to_string();
    assert!(timeline.contains("charge.unknown"), "its answer was lost: {timeline}");
    browser.send(&declined.html, "pay", "tok_visa").await;
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, "https://shop.example/thanks", "succeeded").await;
    assert_eq!(shop.charged(&browser.id).await, ["declined", "captured"]);
}
