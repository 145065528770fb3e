//! A plain client of the API, as any shop would write one.

use boxoffice_testkit::StripeStandIn;
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;
use std::time::Duration;

/// Long enough for anything that happens at all.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub json: Value,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn at(&self, pointer: &str) -> &Value {
        self.json.pointer(pointer).unwrap_or(&Value::Null)
    }

    pub fn str(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    pub fn id(&self) -> &str {
        self.str("/id")
    }

    /// `status` of the answer, and type, code and decline code of its error.
    pub fn error(&self) -> (u16, &str, &str, &str) {
        (self.status, self.str("/error/type"), self.str("/error/code"), self.str("/error/decline_code"))
    }
}

/// A stand-in and somebody who calls it.
pub struct Shop {
    pub stripe: StripeStandIn,
    pub http: reqwest::Client,
}

impl Shop {
    pub async fn open() -> Self {
        let stripe = StripeStandIn::start().await.unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).build().unwrap();
        Self { stripe, http }
    }

    /// A call with form parameters; what went wrong on the wire is an error.
    pub async fn call(&self, method: Method, path: &str, form: &[(&str, &str)], key: Option<&str>) -> reqwest::Result<Answer> {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut url = format!("{}v1/{path}", self.stripe.url());
        if method != Method::POST && !text.is_empty() {
            url = format!("{url}?{text}");
        }
        let mut request = self.http.request(method.clone(), url).bearer_auth(self.stripe.secret_key());
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if method == Method::POST {
            request = request.header("Content-Type", "application/x-www-form-urlencoded").body(text);
        }
        answer(request.send().await?).await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.call(Method::POST, path, form, None).await.unwrap()
    }

    pub async fn post_with(&self, key: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        self.call(Method::POST, path, form, Some(key)).await.unwrap()
    }

    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Answer {
        self.call(Method::GET, path, query, None).await.unwrap()
    }

    /// Creates and confirms 10.00 USD with a card, never leaving the shop.
    pub async fn pay(&self, card: &str) -> Answer {
        self.post("payment_intents", &sale(card)).await
    }

    /// A page as a browser gets it.
    pub async fn browse(&self, url: &str) -> Answer {
        answer(self.http.get(url).send().await.unwrap()).await.unwrap()
    }

    /// A form of a page as a browser sends it.
    pub async fn submit(&self, url: &str, form: &[(&str, &str)]) -> Answer {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(url).header("Content-Type", "application/x-www-form-urlencoded").body(text);
        answer(request.send().await.unwrap()).await.unwrap()
    }

    /// The kinds of all events, oldest first.
    pub fn kinds(&self) -> Vec<String> {
        self.stripe.book().events().iter().map(|event| event.kind.clone()).collect()
    }
}

/// Parameters of a payment of 10.00 USD, created and confirmed.
pub fn sale(card: &str) -> [(&'static str, &str); 7] {
    [
        ("amount", "1000"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method", card),
        ("automatic_payment_methods[enabled]", "true"),
        ("automatic_payment_methods[allow_redirects]", "never"),
        ("metadata[reference]", "sale-1"),
    ]
}

async fn answer(response: reqwest::Response) -> reqwest::Result<Answer> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    Ok(Answer { status, headers, json: serde_json::from_str(&text).unwrap_or_default(), text })
}
