//! localstripe as a process of its own on the loopback, and requests to it by hand.

use boxoffice_testkit::Program;
use serde_json::Value;
use std::{path::Path, time::Duration};

/// Enough for an answer on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);
/// Any key that begins so is good there, and every one of them is of the same account.
pub const KEY: &str = "sk_test_localstripe";

/// Requests by hand: what our adapter never sends, and what it should have brought about.
pub struct Api {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Api {
    /// `base` without a slash at its end.
    pub fn new(base: &str, key: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap();
        Self { http, base: base.to_owned(), key: key.to_owned() }
    }

    /// A status, and the body; null when it is no JSON.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    /// The same with a form, as `a=1&b[c]=2`.
    pub async fn post(&self, path: &str, form: &str) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.base)).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(form.to_owned())).await
    }

    /// The body of a request that went well.
    pub async fn made(&self, path: &str, form: &str) -> Value {
        let (status, body) = self.post(path, form).await;
        assert_eq!(status, 200, "{path} {form}: {body}");
        body
    }

    /// An object that is there.
    pub async fn object(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.bearer_auth(&self.key).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }
}

/// A running localstripe with empty books; ended when dropped.
pub struct LocalStripe {
    pub api: Api,
    pub program: Program,
}

impl LocalStripe {
    pub async fn start() -> Self {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.scratch/localstripe/bin/python");
        assert!(python.exists(), "scripts/localstripe.sh fetches it");
        let program = Program::at(python).args(["-c", include_str!("serve.py")]).start().await.unwrap();
        Self { api: Api::new(program.base_url(), KEY), program }
    }

    /// Without a slash at its end.
    pub fn url(&self) -> &str {
        self.program.base_url()
    }

    /// Has it send every event to `url`, signed with `secret`.
    pub async fn tell(&self, url: &str, secret: &str) {
        let (status, _) = self.api.post("/_config/webhooks/ours", &format!("url={url}&secret={secret}")).await;
        assert_eq!(status, 200);
    }

    /// A card of its own by a test number, for what it has no name for: its `pm_…`.
    pub async fn card(&self, number: &str) -> String {
        let form = format!("type=card&card[number]={number}&card[exp_month]=12&card[exp_year]=2034&card[cvc]=123");
        self.api.made("/v1/payment_methods", &form).await["id"].as_str().unwrap().to_owned()
    }

    /// Everything of a kind, such as `payment_intents`: there are few in a test.
    pub async fn all(&self, kind: &str) -> Vec<Value> {
        let list = self.api.object(&format!("/v1/{kind}?limit=100")).await;
        assert_eq!(list["has_more"], false, "{list}");
        list["data"].as_array().unwrap().clone()
    }
}
