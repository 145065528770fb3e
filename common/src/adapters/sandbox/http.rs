//! The provider on the wire: JSON over HTTP/1.1.

use super::{
    actions::actions_router,
    behaviour::Behaviour,
    book::{BookError, Totals},
    operation::{ChargeRow, Operation, OperationId, OperationRequest, OperationStatus},
    rules::decline_message,
    service::{Reply, SandboxService},
};
use crate::domain::{
    attempt::AttemptKind,
    id::PaymentIntentId,
    money::{Amount, Currency},
    payment_intent::{IntentUse, MAX_OWNER, NewIntent},
    push::{Phone, PushKind, PushMethod},
    secret::Secret,
    time::Timestamp,
};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use std::{io, sync::Arc};

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// The header that carries a caller's key.
pub(super) const KEY_HEADER: &str = "idempotency-key";
/// What a refusal says when nothing was executed, for certain. A 503 without it may come from anything in between.
pub(super) const NOT_EXECUTED: &str = "not_executed";

type Sandbox = State<Arc<SandboxService>>;

/// The whole provider, as `boxoffice sandbox` serves it: money, book and pages.
pub fn router(service: Arc<SandboxService>) -> Router {
    money_router(Arc::clone(&service)).merge(book_router(Arc::clone(&service))).merge(actions_router(service))
}

/// What the engine calls: `POST /sandbox/{charges,captures,voids,refunds}`, `GET /sandbox/operations`.
pub fn money_router(service: Arc<SandboxService>) -> Router {
    Router::new()
        .route("/sandbox/charges", post(charge))
        .route("/sandbox/captures", post(|service, headers, body| change(AttemptKind::Capture, service, headers, body)))
        .route("/sandbox/voids", post(|service, headers, body| change(AttemptKind::Void, service, headers, body)))
        .route("/sandbox/refunds", post(|service, headers, body| change(AttemptKind::Refund, service, headers, body)))
        .route("/sandbox/operations", get(look_up))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(service)
}

/// What people and tests look at: `GET /sandbox/charges`, `GET /sandbox/totals`, `GET` and `POST /sandbox/behaviour`; and what clients
/// authorise before they have anything to pay for: `/sandbox/payment-intents`.
/// It has no authorization of its own.
pub fn book_router(service: Arc<SandboxService>) -> Router {
    Router::new()
        .route("/sandbox/charges", get(charges))
        .route("/sandbox/payment-intents", post(authorize_intent))
        .route("/sandbox/payment-intents/{id}", get(intent))
        .route("/sandbox/totals", get(totals))
        .route("/sandbox/behaviour", get(behaviour).post(set_behaviour))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(service)
}

/// A refusal: a code for programs, words for people.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(serde_json::json!({"code": self.code, "message": self.message}))).into_response()
    }
}

impl From<BookError> for Problem {
    fn from(error: BookError) -> Self {
        tracing::error!(%error, "the sandbox could not use its book");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the book gave no answer")
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid(rejection.body_text())
    }
}

/// `POST /sandbox/charges`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargeBody {
    reference: String,
    amount: Amount,
    currency: Currency,
    /// The card.
    #[serde(default)]
    token: Option<Secret<String>>,
    /// Or whom the customer is asked by.
    #[serde(default)]
    method: Option<MethodBody>,
    /// Or what was authorised before.
    #[serde(default)]
    intent: Option<IntentUse>,
    #[serde(default = "at_once")]
    capture: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MethodBody {
    #[serde(rename = "type")]
    kind: PushKind,
    provider: String,
    #[serde(default)]
    phone: Option<Phone>,
}

impl From<MethodBody> for PushMethod {
    fn from(body: MethodBody) -> Self {
        Self { method: body.kind, provider: body.provider, phone: body.phone }
    }
}

const fn at_once() -> bool {
    true
}

/// `POST /sandbox/{captures,voids,refunds}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    reference: String,
    amount: Amount,
    currency: Currency,
    /// The charge that it is about; without one there is nothing to find.
    #[serde(default)]
    charge: Option<String>,
}

async fn charge(State(service): Sandbox, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let idempotency_key = key(&headers)?;
    let body: ChargeBody = read(&body)?;
    if [body.token.is_some(), body.method.is_some(), body.intent.is_some()].iter().filter(|given| **given).count() != 1 {
        return Err(Problem::invalid("a charge has either a token, a method, or an intent"));
    }
    let request = OperationRequest {
        kind: AttemptKind::Charge,
        idempotency_key,
        reference: body.reference,
        amount: body.amount,
        currency: body.currency,
        token: body.token,
        push: body.method.map(PushMethod::from),
        intent: body.intent,
        target: None,
        capture: body.capture,
    };
    Ok(respond(&service, service.execute(request).await))
}

async fn change(kind: AttemptKind, State(service): Sandbox, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let idempotency_key = key(&headers)?;
    let body: ChangeBody = read(&body)?;
    let request = OperationRequest {
        kind,
        idempotency_key,
        reference: body.reference,
        amount: body.amount,
        currency: body.currency,
        token: None,
        push: None,
        intent: None,
        target: body.charge,
        capture: true,
    };
    Ok(respond(&service, service.execute(request).await))
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let value = headers.get(KEY_HEADER).and_then(|value| value.to_str().ok());
    value.map(str::to_owned).ok_or_else(|| Problem::invalid("an Idempotency-Key header is required"))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::invalid(error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LookUpQuery {
    reference: String,
    idempotency_key: String,
}

async fn look_up(State(service): Sandbox, query: Result<Query<LookUpQuery>, QueryRejection>) -> Result<Response, Problem> {
    let Query(query) = query?;
    Ok(respond(&service, service.look_up(&query.reference, &query.idempotency_key).await))
}

/// An operation on the wire.
#[derive(Serialize)]
struct OperationBody<'a> {
    id: String,
    kind: AttemptKind,
    reference: &'a str,
    idempotency_key: &'a str,
    amount: Amount,
    currency: Currency,
    status: OperationStatus,
    amount_refunded: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_url: Option<String>,
    created_at: Timestamp,
}

fn operation(service: &SandboxService, operation: &Operation) -> Response {
    let declined = operation.status == OperationStatus::Declined;
    let body = OperationBody {
        id: operation.id.to_string(),
        kind: operation.id.kind,
        reference: &operation.reference,
        idempotency_key: &operation.idempotency_key,
        amount: operation.amount,
        currency: operation.currency,
        status: operation.status,
        amount_refunded: operation.amount_refunded,
        charge: operation.target.as_deref(),
        decline_code: operation.decline_code.as_deref(),
        message: operation.decline_code.as_deref().map(decline_message),
        action_url: service.action_url(operation),
        created_at: operation.created_at,
    };
    (if declined { StatusCode::PAYMENT_REQUIRED } else { StatusCode::OK }, Json(body)).into_response()
}

fn respond(service: &SandboxService, reply: Reply) -> Response {
    match reply {
        Reply::Done(done) => operation(service, &done),
        Reply::NotFound => Problem::new(StatusCode::NOT_FOUND, "not_found", "nothing under this reference and key").into_response(),
        Reply::Refused(wait) => {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, NOT_EXECUTED, "refused before anything was done; come again");
            let mut response = problem.into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
            response
        }
        Reply::KeyReused => {
            let message = "this Idempotency-Key was used for another request";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", message).into_response()
        }
        Reply::Invalid(part) => Problem::invalid(format!("{part} is missing, too long, or not visible ASCII")).into_response(),
        Reply::Failed => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something broke").into_response(),
        Reply::Cut => {
            // A body that fails breaks the connection off: the caller gets no whole answer.
            let broken = futures::stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionAborted)) });
            Body::from_stream(broken).into_response()
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargesQuery {
    reference: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct ChargesBody {
    data: Vec<ChargeRow>,
    next_cursor: Option<String>,
}

async fn charges(State(service): Sandbox, query: Result<Query<ChargesQuery>, QueryRejection>) -> Result<Json<ChargesBody>, Problem> {
    let Query(query) = query?;
    if let Some(reference) = query.reference {
        let data = service.charges_by_reference(&reference).await?;
        return Ok(Json(ChargesBody { data, next_cursor: None }));
    }
    let limit = query.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(Problem::invalid("limit must be from 1 to 100"));
    }
    let after = match query.cursor.as_deref() {
        None => None,
        Some(cursor) => Some(OperationId::parse(cursor).ok_or_else(|| Problem::invalid("cursor is not one that a page gave"))?),
    };
    let page = service.charges(limit, after).await?;
    Ok(Json(ChargesBody { data: page.data.into_iter().map(ChargeRow::from).collect(), next_cursor: page.next_cursor }))
}

async fn authorize_intent(State(service): Sandbox, body: Bytes) -> Result<Response, Problem> {
    let new: NewIntent = read(&body)?;
    if new.owner.len() > MAX_OWNER * 4 || new.account.len() > MAX_OWNER {
        return Err(Problem::invalid("the owner, or the account, is too long"));
    }
    Ok(match service.authorize_intent(new).await? {
        Ok(intent) => (StatusCode::CREATED, Json(intent)).into_response(),
        Err(code) => Problem::new(StatusCode::PAYMENT_REQUIRED, code, decline_message(code)).into_response(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountQuery {
    account: String,
}

async fn intent(
    State(service): Sandbox,
    Path(id): Path<String>,
    query: Result<Query<AccountQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let found = match PaymentIntentId::parse(id) {
        Ok(id) => service.intent(&query.account, &id).await?,
        Err(_) => None,
    };
    let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", "no such payment intent");
    found.map(|intent| Json(intent).into_response()).ok_or_else(missing)
}

async fn totals(State(service): Sandbox) -> Result<Json<Totals>, Problem> {
    Ok(Json(service.totals().await?))
}

async fn behaviour(State(service): Sandbox) -> Json<Behaviour> {
    Json(service.behaviour())
}

async fn set_behaviour(State(service): Sandbox, body: Bytes) -> Result<Json<Behaviour>, Problem> {
    let behaviour: Behaviour = read(&body)?;
    service.set_behaviour(behaviour).map_err(|error| Problem::invalid(error.to_string()))?;
    Ok(Json(behaviour))
}
