//! A place is given back, offered to who waits, and bought, and a pack is sold, spent and given back, while the server dies at each of the
//! points that these cross: every place has one owner, every credit is spent once, and every charge is there once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod chaos;
mod support;

use chaos::{PATIENCE, POLL, process::Process, site::Site};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{
    catalogue::{order, places, put, session, with},
    client::{Client, fresh_key},
};

/// What a refund by card and a sale by card cross, from the POST to the end.
const BY_CARD: [&str; 8] = [
    "accept.before_commit",
    "accept.after_commit",
    "begin.before_commit",
    "begin.after_commit",
    "charge.before_send",
    "charge.after_send",
    "settle.before_commit",
    "settle.after_commit",
];
/// What a sale crosses of which nobody outside is asked.
const WITHOUT_A_CARD: [&str; 4] = ["accept.before_commit", "accept.after_commit", "begin.before_commit", "begin.after_commit"];
/// What a refund crosses that is done in the books at once.
const AT_ONCE: [&str; 2] = ["accept.before_commit", "accept.after_commit"];

/// A server that dies, and a client that asks again under the same key until it is answered.
struct Mortal {
    server: Process,
    shop: Client,
}

impl Mortal {
    /// Sends this while the server is to die at `point`, and once more behind its death. Answers what it came to in the end.
    async fn post(&mut self, point: &str, path: &str, body: &Value) -> Value {
        self.server.again_with_failpoints(&format!("{point}=kill")).await;
        let key = fresh_key();
        // An answer may or may not come: a client knows nothing then.
        let _ = self.request(path, &key, body).await;
        assert!(self.server.killed_itself(PATIENCE).await, "{point} was not crossed by {path}");
        self.server.again_with_failpoints("").await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = self.request(path, &key, body).await {
                return answer;
            }
            assert!(Instant::now() < deadline, "no answer to {path} behind {point}");
            tokio::time::sleep(POLL).await;
        }
    }

    async fn request(&self, path: &str, key: &str, body: &Value) -> Option<Value> {
        let request = self.shop.request(Method::POST, path).header("idempotency-key", key).timeout(Duration::from_secs(10)).json(body);
        let answer = request.send().await.ok()?;
        let (status, text) = (answer.status().as_u16(), answer.text().await.ok()?);
        match status {
            202 => Some(serde_json::from_str(&text).unwrap()),
            409 | 500.. => None,
            _ => panic!("{path}: {status} {text}"),
        }
    }

    async fn refund(&mut self, point: &str, sale: &Value) {
        let sale = sale["id"].as_str().unwrap();
        let refund = self.post(point, &format!("/v1/checkouts/{sale}/refunds"), &json!({})).await;
        let path = format!("/v1/refunds/{}", refund["id"].as_str().unwrap());
        self.shop.eventually(&path, |refund| refund["status"] == "succeeded").await;
        let all = self.shop.get(&format!("/v1/checkouts/{sale}/refunds")).await.expect(200);
        assert_eq!(all["data"].as_array().unwrap().len(), 1, "{point}: {all}");
    }

    async fn buy(&mut self, point: &str, body: &Value) -> Value {
        let accepted = self.post(point, "/v1/checkouts", body).await;
        let sale = self.shop.settled(accepted["id"].as_str().unwrap()).await;
        assert_eq!(sale["status"], "succeeded", "{point}: {sale}");
        sale
    }

    async fn charged(&self, sale: &Value) -> Vec<String> {
        self.shop.charged(sale["id"].as_str().unwrap()).await
    }
}

/// The last place is given back, offered to who waits, and taken; strangers get nothing in between.
async fn offers(mortal: &mut Mortal) {
    put(&mortal.shop, "customers", "cus_waits", json!({})).await;
    for (n, point) in BY_CARD.into_iter().enumerate() {
        let name = format!("ses_{n}");
        put(&mortal.shop, "sessions", &name, session(1)).await;
        let sale = mortal.shop.buy(&places(&name, 1, "tok_visa")).await;
        let list = format!("/v1/sessions/{name}/waiting-list");
        let entry = mortal.shop.post(&list, &json!({"customer": "cus_waits"})).await.expect(201);
        mortal.refund(point, &sale).await;
        assert_eq!(mortal.charged(&sale).await, ["refunded"], "{point}");
        let path = format!("/v1/waiting-list/{}", entry["id"].as_str().unwrap());
        let offered = mortal.shop.get(&path).await.expect(200);
        assert_eq!(
            (&offered["status"], &offered["version"], mortal.shop.left(&name).await),
            (&json!("offered"), &json!(2), (0, 1, 0)),
            "{point}"
        );
        assert_eq!(mortal.shop.buy(&places(&name, 1, "tok_visa")).await["error"]["code"], "session_full");
        let line = json!({"type": "session", "session": name, "offer": entry["id"]});
        let taken = mortal.buy(point, &with(&order(json!([line]), "tok_visa"), json!({"customer": "cus_waits"}))).await;
        let entry = mortal.shop.get(&path).await.expect(200);
        assert_eq!((&entry["status"], &entry["checkout"]), (&json!("taken"), &taken["id"]), "{point}");
        assert_eq!((mortal.shop.left(&name).await, mortal.charged(&taken).await), ((1, 0, 0), vec!["captured".to_owned()]), "{point}");
    }
}

/// Packs are sold by card, spent for a place each, and get their credit back.
async fn packs(mortal: &mut Mortal) {
    let pack = json!({"name": "Two", "unit_amount": 4000, "currency": "usd", "type": "pack", "credits": 2});
    put(&mortal.shop, "memberships", "mem_two", pack).await;
    put(&mortal.shop, "customers", "cus_member", json!({})).await;
    put(&mortal.shop, "sessions", "ses_members", with(&session(50), json!({"compatible_memberships": ["mem_two"]}))).await;
    let paid = |lines: Value, method: Value| json!({"customer": "cus_member", "currency": "usd", "lines": lines, "payment": {"methods": [method]}});
    let bought_memberships = "/v1/customers/cus_member/bought-memberships";
    let mut pack = String::new();
    for (n, point) in BY_CARD.into_iter().skip(3).enumerate() {
        let line = json!([{"type": "membership", "membership": "mem_two"}]);
        let sale = mortal.buy(point, &paid(line, json!({"type": "card", "token": "tok_visa"}))).await;
        assert_eq!(mortal.charged(&sale).await, ["captured"], "{point}");
        let all = mortal.shop.get(bought_memberships).await.expect(200);
        assert_eq!(all["data"].as_array().unwrap().len(), n + 1, "one for each sale: {point}");
        pack = sale["lines"][0]["bought_membership"].as_str().unwrap().to_owned();
    }
    let path = format!("{bought_memberships}/{pack}");
    let credits = async |shop: &Client| {
        let pack = shop.get(&path).await.expect(200);
        ["credits_used", "credits_held", "credits_left"].map(|field| pack[field].as_u64().unwrap())
    };
    for (n, point) in WITHOUT_A_CARD.into_iter().enumerate() {
        let line = json!([{"type": "session", "session": "ses_members", "quantity": 1}]);
        let sale = mortal.buy(point, &paid(line, json!({"type": "membership", "bought_membership": pack}))).await;
        assert_eq!((credits(&mortal.shop).await, mortal.shop.left("ses_members").await), ([1, 0, 1], (1, 0, 49)), "{point}");
        let point = AT_ONCE[n % AT_ONCE.len()];
        mortal.refund(point, &sale).await;
        assert_eq!((credits(&mortal.shop).await, mortal.shop.left("ses_members").await), ([0, 0, 2], (0, 0, 50)), "{point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_embedded_offers_and_credits_have_one_owner_wherever_the_server_dies() {
    let site = Site::embedded();
    let server = Process::start("serve-offers", site.serve()).await;
    let shop = Client::new(server.base_url(), Some(site.key()));
    let mut mortal = Mortal { server, shop };
    offers(&mut mortal).await;
    packs(&mut mortal).await;
    mortal.server.program().terminate(PATIENCE).await.unwrap();
    site.audit(Duration::from_secs(60)).await;
}
