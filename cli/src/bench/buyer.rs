//! One checkout: POST it, then wait for its end.

use super::{
    client::{Answer, Connection, Question},
    scenario::Order,
    tally::Ending,
};
use http::{Method, StatusCode};
use serde::Deserialize;
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
}

#[derive(Deserialize)]
struct Coded {
    code: String,
}

/// Submits `order` and stays until it is terminal.
pub(super) async fn buy(connection: &mut Connection, order: &Order) -> Ending {
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
    match until_ended(connection, posted).await {
        Ok(Checkout { status, error, .. }) => Ending::Reached { status, code: error.map(|error| error.code), replayed: order.sent_twice },
        Err(error) => Ending::Error(error),
    }
}

async fn post(connection: &mut Connection, order: &Order) -> Result<Checkout, String> {
    let question =
        Question { method: Method::POST, path: "/v1/checkouts", header: Some(("idempotency-key", &order.key)), body: order.body.clone() };
    let answer = connection.ask(question).await.map_err(|fault| fault.label().to_owned())?;
    read(&answer, StatusCode::ACCEPTED)
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

/// Whether a buyer has nothing left to wait for. Nobody pays on a page here, and nobody decides a review.
fn ended(status: &str) -> bool {
    !matches!(status, "queued" | "processing" | "reconciling")
}

fn read(answer: &Answer, wanted: StatusCode) -> Result<Checkout, String> {
    if answer.status == wanted {
        return serde_json::from_slice(&answer.body).map_err(|_| "an answer that is not a checkout".to_owned());
    }
    let code = serde_json::from_slice::<Coded>(&answer.body).map(|problem| problem.code);
    Err(format!("{} {}", answer.status.as_u16(), code.as_deref().unwrap_or("without a code")))
}
