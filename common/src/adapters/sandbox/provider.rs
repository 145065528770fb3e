//! The engine's side: the payment port over a sandbox in this process or in another.

use super::{
    book::BookError,
    client::{Answer, BaseUrlError, Client},
    operation::{ChargeRow, Operation, OperationRequest, OperationStatus},
    rules::decline_message,
    service::{Reply, SandboxService, is_approved},
};
use crate::{
    adapters::provider_http::CallError,
    domain::{
        attempt::{Attempt, AttemptKind, Decline, MoneyRequest, Outcome, Receipt, SANDBOX},
        id::PaymentIntentId,
        money::{Amount, Currency},
        payment_intent::{NewIntent, PaymentIntent},
        secret::Secret,
    },
    ports::provider::{Capabilities, PaymentProvider},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Its book never forgets a key; a day is what it promises.
const KEY_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// The sandbox as the engine sees it.
pub struct SandboxProvider(Over);

enum Over {
    Process { service: Arc<SandboxService>, timeout: Duration },
    Wire(Box<Client>),
}

/// Why the book's charges could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ChargesError {
    /// The book in this process.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The sandbox in another process.
    #[error("the sandbox gave no answer: {0}")]
    Wire(String),
}

impl SandboxProvider {
    /// Over a sandbox in this process. `timeout` bounds a whole call.
    pub const fn in_process(service: Arc<SandboxService>, timeout: Duration) -> Self {
        Self(Over::Process { service, timeout })
    }

    /// Over HTTP, with one pool of kept-alive connections. `timeout` bounds a whole call; a connection has 2 s of it.
    pub fn http(base_url: &str, timeout: Duration) -> Result<Self, BaseUrlError> {
        Client::new(base_url, timeout).map(|client| Self(Over::Wire(Box::new(client))))
    }

    /// Authorises money before there is a checkout. `Err`: the card's no, as a decline code.
    pub async fn authorize_intent(&self, new: NewIntent) -> Result<Result<PaymentIntent, String>, ChargesError> {
        match &self.0 {
            Over::Process { service, .. } => Ok(service.authorize_intent(new).await?.map_err(str::to_owned)),
            Over::Wire(client) => client.authorize_intent(&new).await.map_err(not_told),
        }
    }

    /// An intent of an account's.
    pub async fn intent(&self, account: &str, id: &PaymentIntentId) -> Result<Option<PaymentIntent>, ChargesError> {
        match &self.0 {
            Over::Process { service, .. } => Ok(service.intent(account, id).await?),
            Over::Wire(client) => client.intent(account, id).await.map_err(not_told),
        }
    }

    /// What the sandbox's own book says of a reference, at most 100 charges.
    pub async fn charges_by_reference(&self, reference: &str) -> Result<Vec<ChargeRow>, ChargesError> {
        match &self.0 {
            Over::Process { service, .. } => Ok(service.charges_by_reference(reference).await?),
            Over::Wire(client) => client.charges(reference).await.map_err(not_told),
        }
    }
}

#[async_trait]
impl PaymentProvider for SandboxProvider {
    fn name(&self) -> &'static str {
        SANDBOX
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { capture_later: true, void: true, refund: true, look_up: true, key_window: KEY_WINDOW }
    }

    async fn send(&self, request: &MoneyRequest) -> Outcome {
        match &self.0 {
            Over::Process { service, timeout } => in_time(*timeout, service, service.execute(operation_request(request))).await,
            Over::Wire(client) => answered(client.send(request).await, request),
        }
    }

    async fn look_up(&self, attempt: &Attempt) -> Outcome {
        let request = &attempt.request;
        let outcome = match &self.0 {
            Over::Process { service, timeout } => {
                in_time(*timeout, service, service.look_up(request.reference.as_str(), &request.key)).await
            }
            Over::Wire(client) => answered(client.look_up(request.reference.as_str(), &request.key).await, request),
        };
        outcome.of_a_question()
    }
}

fn not_told(error: CallError) -> ChargesError {
    let (CallError::NotSent(cause) | CallError::Unknown(cause)) = error;
    ChargesError::Wire(cause)
}

fn operation_request(request: &MoneyRequest) -> OperationRequest {
    let is_charge = request.kind == AttemptKind::Charge;
    OperationRequest {
        kind: request.kind,
        idempotency_key: request.key.clone(),
        reference: request.reference.to_string(),
        amount: request.amount,
        currency: request.currency,
        token: (is_charge && request.push.is_none() && request.intent.is_none())
            .then(|| request.token.clone().unwrap_or_else(|| Secret::new("none".to_owned()))),
        push: request.push.clone().filter(|_| is_charge),
        intent: request.intent.clone().filter(|_| is_charge),
        target: request.target.clone().filter(|_| !is_charge),
        capture: !request.capture_later,
    }
}

async fn in_time(timeout: Duration, service: &SandboxService, call: impl Future<Output = Reply> + Send) -> Outcome {
    match tokio::time::timeout(timeout, call).await {
        Ok(reply) => replied(reply, service),
        Err(_) => Outcome::Unknown(format!("no answer within {} ms", timeout.as_millis())),
    }
}

fn replied(reply: Reply, service: &SandboxService) -> Outcome {
    match reply {
        Reply::Done(operation) => Told::of(*operation, service).into(),
        Reply::NotFound => Outcome::Unknown("not found".to_owned()),
        Reply::Refused(wait) => Outcome::NotSent { cause: "refused before execution".to_owned(), retry_after: Some(wait) },
        Reply::KeyReused => Outcome::Unknown("the key was used for another request".to_owned()),
        Reply::Invalid(part) => Outcome::Unknown(format!("the provider does not take this {part}")),
        Reply::Failed => Outcome::Unknown("the provider failed".to_owned()),
        Reply::Cut => Outcome::Unknown("the answer was lost".to_owned()),
    }
}

fn answered(answer: Result<Answer, CallError>, request: &MoneyRequest) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(CallError::NotSent(cause)) => return Outcome::NotSent { cause, retry_after: None },
        Err(CallError::Unknown(cause)) => return Outcome::Unknown(cause),
    };
    if answer.is_refusal() {
        // A refusal without a time of its own: at once, as far as the provider is concerned.
        let retry_after = Some(answer.retry_after.unwrap_or(Duration::ZERO));
        return Outcome::NotSent { cause: format!("refused with {}", answer.status), retry_after };
    }
    let Some(told) = answer.operation() else {
        let code = answer.code().unwrap_or_default();
        return Outcome::Unknown(if code == "not_found" { "not found".to_owned() } else { format!("answered {} {code}", answer.status) });
    };
    if told.idempotency_key != request.key || told.reference != request.reference.as_str() || told.kind != request.kind {
        return Outcome::Unknown("the answer is about another request".to_owned());
    }
    Told {
        kind: told.kind,
        status: told.status,
        id: told.id.into_owned(),
        amount: told.amount,
        currency: told.currency,
        decline_code: told.decline_code.map(std::borrow::Cow::into_owned),
        action_url: told.action_url.map(std::borrow::Cow::into_owned),
    }
    .into()
}

/// An operation as the provider told it, whichever way it came.
struct Told {
    kind: AttemptKind,
    status: OperationStatus,
    id: String,
    amount: Amount,
    currency: Currency,
    decline_code: Option<String>,
    action_url: Option<String>,
}

impl Told {
    fn of(operation: Operation, service: &SandboxService) -> Self {
        let action_url = service.action_url(&operation);
        Self {
            kind: operation.id.kind,
            status: operation.status,
            id: operation.id.to_string(),
            amount: operation.amount,
            currency: operation.currency,
            decline_code: operation.decline_code,
            action_url,
        }
    }
}

impl From<Told> for Outcome {
    fn from(told: Told) -> Self {
        let receipt = |told: Told| Receipt::of(told.id, told.amount, told.currency);
        if told.status == OperationStatus::Authorized {
            return Self::Authorized(receipt(told));
        }
        if is_approved(told.kind, told.status) {
            return Self::Approved(receipt(told));
        }
        match (told.status, told.action_url) {
            (OperationStatus::Pending, Some(url)) => Self::RequiresAction { url, provider_reference: told.id },
            (OperationStatus::Pending, None) if told.kind == AttemptKind::Charge => Self::Pending { provider_reference: told.id },
            (OperationStatus::Declined, _) => decline(told.decline_code.unwrap_or_else(|| "generic_decline".to_owned()), told.id),
            (OperationStatus::Voided, _) => decline("voided".to_owned(), told.id),
            (status, _) => Self::Unknown(format!("a {} that is {}", told.kind.as_str(), status.as_str())),
        }
    }
}

fn decline(decline_code: String, id: String) -> Outcome {
    let message = decline_message(&decline_code).to_owned();
    Outcome::Declined(Decline::new(decline_code, message, Some(id)))
}
