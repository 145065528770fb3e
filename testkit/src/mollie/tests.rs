use super::*;
use crate::receiver::{Answer, Receiver};
use http::Method;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(10);

struct Client {
    mollie: Mollie,
    http: reqwest::Client,
}

/// Status, whether it was replayed, and the body.
type Told = (u16, bool, Value);

impl Client {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { mollie: Mollie::start().await.unwrap(), http }
    }

    async fn ask(&self, method: Method, path: &str, key: Option<&str>, body: Value) -> reqwest::Result<Told> {
        let mut request = self.http.request(method, format!("{}{path}", self.mollie.url())).bearer_auth(self.mollie.api_key());
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if !body.is_null() {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let replayed = answer.headers().get("Idempotent-Replayed").is_some_and(|value| value == "true");
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await?;
        Ok((status, replayed, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    async fn post(&self, path: &str, key: &str, body: Value) -> Told {
        self.ask(Method::POST, path, Some(key), body).await.unwrap()
    }

    async fn get(&self, path: &str) -> Told {
        self.ask(Method::GET, path, None, Value::Null).await.unwrap()
    }

    async fn pay(&self, key: &str, value: &str, token: Option<&str>) -> Value {
        let mut body = payment(value);
        if let Some(token) = token {
            body["cardToken"] = json!(token);
            body["method"] = json!("creditcard");
        }
        let (status, _, made) = self.post("/v2/payments", key, body).await;
        assert_eq!(status, 201, "{made}");
        made
    }
}

fn payment(value: &str) -> Value {
    json!({
        "amount": {"currency": "EUR", "value": value},
        "description": "Two seats",
        "redirectUrl": "https://shop.example/back",
        "metadata": {"reference": "chk_1"},
    })
}

fn text<'v>(value: &'v Value, at: &str) -> &'v str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test]
async fn a_key_is_answered_once_and_remembered_for_an_hour() {
    let client = Client::start().await;
    let first = client.pay("k1", "15.00", Some("tkn_paid")).await;
    assert_eq!((text(&first, "/status"), text(&first, "/metadata/reference")), ("paid", "chk_1"));
    let mut body = payment("15.00");
    (body["cardToken"], body["method"]) = (json!("tkn_paid"), json!("creditcard"));
    let (status, replayed, again) = client.post("/v2/payments", "k1", body.clone()).await;
    assert_eq!((status, replayed, &again), (201, true, &first));
    let (status, _, refused) = client.post("/v2/payments", "k1", payment("16.00")).await;
    assert_eq!((status, text(&refused, "/title")), (400, "Bad Request"));
    let (status, _, _) = client.post("/v2/customers", "k1", json!({})).await;
    assert_eq!(status, 400, "another endpoint");
    assert_eq!(client.mollie.payments().len(), 1);
    client.mollie.pass(Duration::from_secs(3600));
    let (status, replayed, later) = client.post("/v2/payments", "k1", body).await;
    assert_eq!((status, replayed), (201, false));
    assert_ne!(later["id"], first["id"], "a key is forgotten, and the request is a new one");
}

#[tokio::test]
async fn a_key_is_in_use_until_it_is_answered() {
    let client = Client::start().await;
    client.mollie.faults(Which::CreatePayment, [Fault::Late(Duration::from_secs(2))]);
    let second = async {
        while client.mollie.payments().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (status, _, told) = client.post("/v2/payments", "k1", payment("15.00")).await;
        assert_eq!((status, text(&told, "/title")), (409, "Conflict"));
    };
    let (first, ()) = tokio::join!(client.pay("k1", "15.00", None), second);
    assert_eq!(text(&first, "/status"), "open");
    assert_eq!(client.mollie.payments().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_field() {
    let client = Client::start().await;
    let with = |name: &str, value: Value| {
        let mut body = payment("15.00");
        body[name] = value;
        body
    };
    let cases = [
        (with("amount", json!({"currency": "KWD", "value": "1.000"})), "amount.currency"),
        (with("amount", json!({"currency": "EUR", "value": "15"})), "amount.value"),
        (with("amount", json!({"currency": "EUR", "value": "0.00"})), "amount"),
        (with("amount", json!({"currency": "EUR", "value": "50000.01"})), "amount"),
        (with("description", json!("")), "description"),
        (with("redirectUrl", json!("ftp://x")), "redirectUrl"),
        (with("webhookUrl", json!("nowhere")), "webhookUrl"),
        (with("method", json!(["ideal", "barter"])), "method"),
        (with("cardToken", json!("tkn_paid")), "cardToken"),
        (with("sequenceType", json!("first")), "customerId"),
        (with("captureMode", json!("later")), "captureMode"),
        (with("metadata", json!("x".repeat(1_200))), "metadata"),
    ];
    for (body, field) in cases {
        let (status, _, told) = client.ask(Method::POST, "/v2/payments", None, body).await.unwrap();
        assert_eq!((status, text(&told, "/field")), (422, field), "{told}");
    }
    assert!(client.mollie.payments().is_empty());
    let (status, _, told) = client.get("/v2/payments/tr_never").await;
    assert_eq!((status, told["status"].as_u64()), (404, Some(404)));
    let wrong = client.http.get(format!("{}/v2/payments", client.mollie.url())).bearer_auth("test_wrong").send().await.unwrap();
    assert_eq!(wrong.status(), 401);
}

#[tokio::test]
async fn a_customer_pays_fails_or_cancels_on_the_page() {
    let client = Client::start().await;
    for (answer, value, status, reason) in
        [("paid", "15.00", "paid", ""), ("failed", "1007.00", "failed", "insufficient_funds"), ("canceled", "15.00", "canceled", "")]
    {
        let made = client.pay(&format!("key {answer}"), value, None).await;
        assert_eq!((text(&made, "/status"), &made["isCancelable"]), ("open", &json!(true)));
        let page = text(&made, "/_links/checkout/href").to_owned();
        let shown = client.http.get(&page).send().await.unwrap().text().await.unwrap();
        assert!(shown.contains("EUR ") && shown.contains("value=\"paid\""), "{shown}");
        let form = client.http.post(&page).header("Content-Type", "application/x-www-form-urlencoded");
        let left = form.body(format!("status={answer}")).send().await.unwrap();
        assert_eq!((left.status().as_u16(), left.headers()["location"].to_str().unwrap()), (303, "https://shop.example/back"));
        let (_, _, now) = client.get(&format!("/v2/payments/{}", text(&made, "/id"))).await;
        assert_eq!((text(&now, "/status"), text(&now, "/details/failureReason")), (status, reason));
        assert!(now.pointer("/_links/checkout").is_none());
    }
}

#[tokio::test]
async fn an_open_card_payment_is_not_cancelable_and_expires() {
    let client = Client::start().await;
    let made = client.pay("k1", "15.00", Some("tkn_3ds")).await;
    let path = format!("/v2/payments/{}", text(&made, "/id"));
    assert_eq!(client.ask(Method::DELETE, &path, None, Value::Null).await.unwrap().0, 422);
    client.mollie.pass(Duration::from_secs(30 * 60));
    assert_eq!(text(&client.get(&path).await.2, "/status"), "expired");
    let open = client.pay("k2", "15.00", None).await;
    let path = format!("/v2/payments/{}", text(&open, "/id"));
    let (status, _, gone) = client.ask(Method::DELETE, &path, None, Value::Null).await.unwrap();
    assert_eq!((status, text(&gone, "/status")), (200, "canceled"));
    assert!(!client.mollie.moves(text(&open, "/id"), PaymentStatus::Paid), "an end is an end");
}

#[tokio::test]
async fn what_is_held_is_captured_within_its_amount_or_released() {
    let client = Client::start().await;
    let held = async |key: &str| {
        let mut body = payment("15.00");
        (body["cardToken"], body["method"], body["captureMode"]) = (json!("tkn_paid"), json!("creditcard"), json!("manual"));
        let (_, _, made) = client.post("/v2/payments", key, body).await;
        assert_eq!(text(&made, "/status"), "authorized");
        text(&made, "/id").to_owned()
    };
    let id = held("k1").await;
    let captures = format!("/v2/payments/{id}/captures");
    let amount = |value: &str| json!({"amount": {"currency": "EUR", "value": value}});
    assert_eq!(client.post(&captures, "k2", amount("15.01")).await.0, 422);
    client.mollie.captures_wait(true);
    let (status, _, capture) = client.post(&captures, "k3", amount("15.00")).await;
    assert_eq!((status, text(&capture, "/status")), (201, "pending"));
    assert_eq!(client.post(&captures, "k4", amount("0.01")).await.0, 422, "all of it is asked for");
    assert!(client.mollie.end_capture(text(&capture, "/id"), true));
    assert_eq!(client.mollie.payment(&id).unwrap().status, PaymentStatus::Paid);
    assert_eq!(client.post(&format!("/v2/payments/{id}/release-authorization"), "k5", json!({})).await.0, 422);
    let id = held("k6").await;
    assert_eq!(client.post(&format!("/v2/payments/{id}/release-authorization"), "k7", json!({})).await.0, 202);
    assert_eq!(client.mollie.payment(&id).unwrap().status, PaymentStatus::Canceled);
}

#[tokio::test]
async fn refunds_stay_within_what_was_paid_and_may_fail_later() {
    let client = Client::start().await;
    let made = client.pay("k1", "15.00", Some("tkn_paid")).await;
    let refunds = format!("/v2/payments/{}/refunds", text(&made, "/id"));
    let body = |value: &str, words: &str| json!({"amount": {"currency": "EUR", "value": value}, "description": words});
    let (status, _, first) = client.post(&refunds, "r1", body("10.00", "one")).await;
    assert_eq!((status, text(&first, "/status")), (201, "pending"));
    assert_eq!(client.post(&refunds, "r2", body("5.01", "two")).await.0, 422);
    assert_eq!(client.post(&refunds, "r3", body("10.00", "one")).await.0, 422);
    assert_eq!(client.post(&refunds, "r4", body("2.00", "part")).await.0, 201);
    let (status, _, told) = client.post(&refunds, "r5", body("2.00", "part")).await;
    assert_eq!((status, text(&told, "/detail")), (409, "A duplicate refund has been detected"));
    assert!(client.mollie.move_refund(text(&first, "/id"), "failed"));
    assert_eq!(client.post(&refunds, "r6", body("13.00", "rest")).await.0, 201, "what failed may be asked for again");
    let (_, _, whole) = client.get(&format!("/v2/payments/{}?embed=refunds", text(&made, "/id"))).await;
    assert_eq!((text(&whole, "/amountRemaining/value"), whole["_embedded"]["refunds"].as_array().unwrap().len()), ("0.00", 3));
    assert_eq!(client.get("/v2/refunds?limit=2").await.2["count"], 2);
}

#[tokio::test]
async fn a_first_payment_allows_later_ones() {
    let client = Client::start().await;
    for (token, status) in [("tkn_paid", "paid"), ("tkn_saved_fail_card_expired", "failed")] {
        let (_, _, customer) = client.post("/v2/customers", &format!("c {token}"), json!({})).await;
        let mut body = payment("15.00");
        (body["cardToken"], body["method"]) = (json!(token), json!("creditcard"));
        (body["sequenceType"], body["customerId"]) = (json!("first"), customer["id"].clone());
        let (_, _, first) = client.post("/v2/payments", &format!("f {token}"), body).await;
        assert_eq!(text(&first, "/status"), "paid");
        let mandate = text(&first, "/mandateId").to_owned();
        assert!(mandate.starts_with("mdt_"), "{first}");
        let mut again = payment("5.00");
        again.as_object_mut().unwrap().remove("redirectUrl");
        (again["sequenceType"], again["customerId"], again["mandateId"]) = (json!("recurring"), customer["id"].clone(), json!(mandate));
        let (code, _, later) = client.post("/v2/payments", &format!("l {token}"), again.clone()).await;
        assert_eq!((code, text(&later, "/status")), (201, status));
        let path = format!("/v2/customers/{}/mandates", text(&customer, "/id"));
        assert_eq!(text(&client.get(&path).await.2, "/_embedded/mandates/0/id"), mandate);
        client.ask(Method::DELETE, &format!("{path}/{mandate}"), None, Value::Null).await.unwrap();
        assert_eq!(client.post("/v2/payments", &format!("x {token}"), again).await.0, 422, "revoked");
    }
}

#[tokio::test]
async fn lists_go_from_the_newest_to_the_oldest() {
    let client = Client::start().await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(text(&client.pay(&format!("k{n}"), "15.00", None).await, "/id").to_owned());
    }
    let (mut seen, mut path) = (Vec::new(), "/v2/payments?limit=2".to_owned());
    loop {
        let (_, _, page) = client.get(&path).await;
        seen.extend(page["_embedded"]["payments"].as_array().unwrap().iter().map(|one| text(one, "/id").to_owned()));
        let Some(next) = page.pointer("/_links/next/href").and_then(Value::as_str) else { break };
        path = next.strip_prefix(client.mollie.url()).unwrap().to_owned();
    }
    made.reverse();
    assert_eq!(seen, made);
    for bad in ["limit=0", "limit=251", "limit=x", "from=tr_never", "sort=up"] {
        assert_eq!(client.get(&format!("/v2/payments?{bad}")).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn faults_come_in_their_order_and_each_once() {
    let client = Client::start().await;
    client.mollie.faults(
        Which::CreatePayment,
        [
            Fault::CutBefore,
            Fault::CutAfter(20),
            Fault::Status(500, Executed::No),
            Fault::Html(Executed::Yes),
            Fault::RateLimited(Some(7)),
            Fault::Garbage,
        ],
    );
    let send = async |key: &'static str| client.ask(Method::POST, "/v2/payments", Some(key), payment("15.00")).await;
    let count = || client.mollie.payments().len();
    assert!(send("a").await.is_err() && count() == 0);
    assert!(send("b").await.is_err() && count() == 1);
    assert_eq!((send("c").await.unwrap().0, count()), (500, 1));
    assert_eq!((send("d").await.unwrap(), count()), ((502, false, Value::Null), 2));
    assert_eq!((send("e").await.unwrap().0, count()), (429, 2));
    assert_eq!((send("f").await.unwrap(), count()), ((200, false, Value::Null), 3));
    assert!(send("b").await.unwrap().1 && send("d").await.unwrap().1, "what was executed is told again");
    client.mollie.faults(Which::CreatePayment, [Fault::Status(500, Executed::Yes)]);
    assert_eq!(send("g").await.unwrap().0, 500);
    assert_eq!((send("g").await.unwrap(), count()).0.0, 500, "and so is an error");
    assert_eq!(count(), 4);
}

#[tokio::test]
async fn webhooks_name_the_payment_and_come_again_until_they_are_taken() {
    let client = Client::start().await;
    let receiver = Receiver::start().await.unwrap();
    receiver.then([Answer::Status(500), Answer::Status(503)]);
    let mut body = payment("15.00");
    body["webhookUrl"] = json!(format!("{}/hook", receiver.url()));
    let (_, _, made) = client.post("/v2/payments", "k1", body).await;
    let id = text(&made, "/id").to_owned();
    assert_eq!(receiver.count(), 0, "nothing is told of an open payment");
    assert!(client.mollie.moves(&id, PaymentStatus::Paid));
    let third = receiver.nth(3, PATIENCE).await.unwrap();
    assert_eq!(
        (third.body.as_ref(), third.header("content-type").unwrap()),
        (format!("id={id}").as_bytes(), "application/x-www-form-urlencoded")
    );
    assert_eq!(client.mollie.told(3, PATIENCE).await.unwrap(), [(id.clone(), false), (id.clone(), false), (id.clone(), true)]);
    client.mollie.hold_webhooks(true);
    client.mollie.tell_again(&id);
    client.mollie.tell_again(&id);
    assert!(receiver.nth(4, Duration::from_millis(300)).await.is_none(), "held back");
    client.mollie.hold_webhooks(false);
    assert!(receiver.nth(5, PATIENCE).await.is_some());
}

#[tokio::test]
async fn a_signed_event_carries_the_hmac_of_its_body() {
    let client = Client::start().await;
    let receiver = Receiver::start().await.unwrap();
    client.mollie.subscribe(receiver.url(), "sekret");
    let made = client.pay("k1", "15.00", Some("tkn_paid")).await;
    let told = receiver.nth(1, PATIENCE).await.unwrap();
    let json = told.json();
    assert_eq!((text(&json, "/type"), &json["entityId"]), ("payment.paid", &made["id"]));
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"sekret").unwrap();
    mac.update(&told.body);
    let expected = format!("sha256={}", data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()));
    assert_eq!(told.header("x-mollie-signature").unwrap(), expected);
}
