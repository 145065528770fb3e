//! One checkout: POST it, then wait for its end.

use super::{
    client::{Answer, Connection, Question},
    page,
    scenario::{Order, Scenario, Turn},
    tally::Ending,
};
use http::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use std::time::{Duration, Instant};

/// A checkout that has not ended after this is counted as an error.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks when the server does not hold its answer.
const BREATH: Duration = Duration::from_millis(5);

#[derive(Deserialize)]
struct Checkout {
    id: String,
    status: String,
    error: Option<Coded>,
    payment_url: Option<String>,
}

#[derive(Deserialize)]
struct Coded {
    code: String,
}

/// Does what is to be done, and stays until it has ended. A sale is remembered in `scenario`.
pub(super) async fn take(connection: &mut Connection, scenario: &Scenario, turn: &Turn) -> Ending {
    match turn {
        Turn::Buy(order) => buy(connection, scenario, order).await,
        Turn::GiveBack { checkout, key } => match give_back(connection, checkout, key).await {
            Ok(Refund { status, .. }) => Ending::Reached { status, code: None, replayed: false },
            Err(error) => Ending::Error(error),
        },
    }
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    status: String,
}

/// Has a sale given back whole, and waits until it is.
async fn give_back(connection: &mut Connection, checkout: &str, key: &str) -> Result<Refund, String> {
    let path = format!("/v1/checkouts/{checkout}/refunds");
    let question = Question { header: Some(("idempotency-key", key)), ..Question::new(Method::POST, &path, "{}") };
    let answer = connection.ask(question).await.map_err(|fault| fault.label().to_owned())?;
    let mut refund: Refund = read(&answer, StatusCode::ACCEPTED)?;
    let (path, started) = (format!("/v1/refunds/{}", refund.id), Instant::now());
    while refund.status == "pending" {
        if started.elapsed() > PATIENCE {
            return Err(format!("still pending after {} s", PATIENCE.as_secs()));
        }
        let asked = Instant::now();
        let question = Question { header: Some(("prefer", "wait=60")), ..Question::get(&path) };
        let answer = connection.ask(question).await.map_err(|fault| fault.label().to_owned())?;
        refund = read(&answer, StatusCode::OK)?;
        if refund.status == "pending" && asked.elapsed() < BREATH {
            tokio::time::sleep(BREATH).await;
        }
    }
    Ok(refund)
}

/// Submits `order` and stays until it is terminal.
async fn buy(connection: &mut Connection, scenario: &Scenario, order: &Order) -> Ending {
    if order.is_synchronous {
        return match buy_at_once(connection, order).await {
            Ok(()) => Ending::Reached { status: "succeeded".to_owned(), code: None, replayed: false },
            Err(error) => Ending::Error(error),
        };
    }
    let posted = match post(connection, order).await {
        Ok(checkout) => checkout,
        Err(error) => return Ending::Error(error),
    };
    if order.sent_twice {
        match post(connection, order).await {
            Ok(again) if again.id == posted.id => {}
            Ok(_) => return Ending::Error("a repeated key made a second checkout".to_owned()),
            // The first answer may still be on its way to the store's other side; the promise is that there is one checkout.
            Err(error) if error.ends_with("idempotency_key_in_flight") => {}
            Err(error) => return Ending::Error(error),
        }
    }
    match until_paid(connection, posted, scenario.is_hosted()).await {
        Ok(Checkout { id, status, error, .. }) => {
            if scenario.is_remembered() && status == "succeeded" {
                scenario.remember(id);
            }
            Ending::Reached { status, code: error.map(|error| error.code), replayed: order.sent_twice }
        }
        Err(error) => Ending::Error(error),
    }
}

async fn post(connection: &mut Connection, order: &Order) -> Result<Checkout, String> {
    let question =
        Question { header: Some(("idempotency-key", &order.key)), ..Question::new(Method::POST, "/v1/checkouts", order.body.clone()) };
    let answer = connection.ask(question).await.map_err(|fault| fault.label().to_owned())?;
    read(&answer, StatusCode::ACCEPTED)
}

/// The answer is the end: what was bought.
async fn buy_at_once(connection: &mut Connection, order: &Order) -> Result<(), String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Bought {
        purchased_items: Vec<serde::de::IgnoredAny>,
    }
    let question = Question::new(Method::POST, "/api/v2/host/checkout", order.body.clone());
    let answer = connection.ask(question).await.map_err(|fault| fault.label().to_owned())?;
    match read::<Bought>(&answer, StatusCode::OK)?.purchased_items.len() {
        1 => Ok(()),
        other => Err(format!("{other} items bought")),
    }
}

/// Until it is terminal; a customer who has to pay on a page does so.
async fn until_paid(connection: &mut Connection, posted: Checkout, on_a_page: bool) -> Result<Checkout, String> {
    let mut checkout = until_ended(connection, posted).await?;
    if on_a_page && checkout.status == "awaiting_payment" {
        let end = page::pay(connection, checkout.payment_url.as_deref().unwrap_or_default()).await?;
        checkout.status = end.unwrap_or_else(|| "processing".to_owned());
        checkout = until_ended(connection, checkout).await?;
    }
    Ok(checkout)
}

async fn until_ended(connection: &mut Connection, posted: Checkout) -> Result<Checkout, String> {
    let path = format!("/v1/checkouts/{}", posted.id);
    let started = Instant::now();
    let mut checkout = posted;
    while !ended(&checkout.status) {
        if started.elapsed() > PATIENCE {
            return Err(format!("still {} after {} s", checkout.status, PATIENCE.as_secs()));
        }
        let asked = Instant::now();
        let question = Question { header: Some(("prefer", "wait=60")), ..Question::get(&path) };
        let answer = connection.ask(question).await.map_err(|fault| fault.label().to_owned())?;
        checkout = read(&answer, StatusCode::OK)?;
        if !ended(&checkout.status) && asked.elapsed() < BREATH {
            tokio::time::sleep(BREATH).await;
        }
    }
    Ok(checkout)
}

/// Whether a buyer has nothing left to wait for. Nobody decides a review here.
fn ended(status: &str) -> bool {
    !matches!(status, "queued" | "processing" | "reconciling")
}

fn read<T: DeserializeOwned>(answer: &Answer, wanted: StatusCode) -> Result<T, String> {
    if answer.status == wanted {
        return serde_json::from_slice(&answer.body).map_err(|_| "an answer of another kind".to_owned());
    }
    let code = serde_json::from_slice::<Coded>(&answer.body).map(|problem| problem.code);
    Err(format!("{} {}", answer.status.as_u16(), code.as_deref().unwrap_or("without a code")))
}
