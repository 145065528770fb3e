//! A client of Monime's checkout sessions.

use super::hosted::Browser;
use crate::support::client::{Client, Reply, fresh_key};
use reqwest::Method;
use serde_json::{Value, json};

/// Where it is mounted: as published, and whole.
pub const MOUNTS: [&str; 2] = ["", "/monime"];
pub const SPACE: &str = "spc-north";

/// A client of theirs.
#[derive(Clone, Copy)]
pub struct Monime<'s> {
    pub shop: &'s Client,
    pub mount: &'static str,
    pub space: &'static str,
}

impl Monime<'_> {
    pub fn request(&self, method: Method, rest: &str) -> reqwest::RequestBuilder {
        self.shop.request(method, &format!("{}/v1/checkout-sessions{rest}", self.mount)).header("Monime-Space-Id", self.space)
    }

    pub async fn ask(&self, method: Method, rest: &str) -> Reply {
        self.shop.send(self.request(method, rest)).await
    }

    pub async fn submit(&self, key: &str, body: &Value) -> Reply {
        self.shop.send(self.request(Method::POST, "").header("Idempotency-Key", key).json(body)).await
    }

    pub async fn make(&self, body: &Value) -> Value {
        let made = self.submit(&fresh_key(), body).await.expect(200);
        assert_eq!((&made["success"], &made["messages"]), (&json!(true), &json!([])), "{made}");
        made["result"].clone()
    }

    pub async fn session(&self, id: &Value) -> Value {
        self.ask(Method::GET, &format!("/{}", id.as_str().unwrap())).await.expect(200)["result"].clone()
    }

    pub fn browser(&self, session: &Value) -> Browser {
        let text = |field: &str| session[field].as_str().unwrap().to_owned();
        Browser { http: self.shop.with_key(None), url: text("redirectUrl"), id: text("id"), from: None }
    }
}

#[track_caller]
pub fn refused(reply: &Reply, status: u16, reason: &str, field: Option<&str>) {
    let body = reply.json();
    let error = &body["error"];
    let told = (reply.status, &body["success"], &error["code"], error["reason"].as_str(), error["details"][0]["field"].as_str());
    assert_eq!(told, (status, &json!(false), &json!(status), Some(reason), field), "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(body["messages"], json!([error["message"]]));
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()) && error["details"].is_array(), "{body}");
    assert_eq!((body.as_object().unwrap().len(), error.as_object().unwrap().len()), (3, 4), "{body}");
    assert_eq!(reply.header("monime-request-id"), reply.header("request-id"));
    assert_eq!(reply.header("monime-request-checksum").map(str::len), Some(64));
}
