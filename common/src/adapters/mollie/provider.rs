//! The engine's side: the payment port over one account with Mollie.

use super::{
    answer::{Capture, List, Payment, Refund},
    base::is_id,
    charge, follow_up, look_up,
    transport::{MollieConnection, MollieTransport},
    verdict::{Said, judge},
    void,
};
use crate::{
    adapters::{provider_http::CallError, provider_registry::NotIdentified},
    domain::{
        attempt::{Attempt, AttemptKind, MoneyRequest, Outcome},
        provider_account::ProviderKind,
        scope::Mode,
        secret::Secret,
    },
    ports::provider::{Capabilities, PaymentProvider},
};
use async_trait::async_trait;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The provider, as it stands in attempts.
pub const MOLLIE: &str = "mollie";

/// Mollie forgets a key after an hour, and takes the same request for a new one. Our hour counts from before it was sent, by another clock.
const KEY_WINDOW: Duration = ProviderKind::Mollie.key_window();

/// How an account is reached, beside its key.
#[derive(Debug, Clone)]
pub struct MollieSetup {
    /// Bounds all calls that one request takes.
    pub timeout: Duration,
    /// Where Mollie tells what became of payments. `None` where nobody outside reaches us: then they are looked up.
    pub webhook_url: Option<String>,
}

/// One account with Mollie: an API key stands for one profile, in one mode.
#[derive(Debug, Clone)]
pub struct MollieProvider {
    connection: MollieConnection,
    webhook_url: Option<String>,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// None of Mollie's.
    #[error("not an API key of Mollie's: they begin with test_ or live_")]
    Bad,
    /// Of the other mode: it would move real money in a test, or none in a sale.
    #[error("the key is of the other mode: with test keys it begins with test_, with live keys live_")]
    OtherMode,
}

impl MollieProvider {
    /// The account with this key.
    pub fn new(mode: Mode, key: &Secret<String>, transport: &Arc<MollieTransport>, setup: MollieSetup) -> Result<Self, KeyError> {
        let (ours, other) = match mode {
            Mode::Test => ("test_", "live_"),
            Mode::Live => ("live_", "test_"),
        };
        if is_id(key.reveal(), other) {
            return Err(KeyError::OtherMode);
        }
        if !is_id(key.reveal(), ours) {
            return Err(KeyError::Bad);
        }
        let connection = MollieConnection::new(transport, key, setup.timeout).ok_or(KeyError::Bad)?;
        Ok(Self { connection, webhook_url: setup.webhook_url })
    }

    /// Whether Mollie takes the key: the profile that it stands for. `Err` says what to look at.
    pub async fn check(&self) -> Result<String, String> {
        self.own_id().await.map_err(|error| error.to_string())
    }

    /// The profile that the key is of: `pfl_…`.
    pub async fn own_id(&self) -> Result<String, NotIdentified> {
        #[derive(serde::Deserialize)]
        struct Profile {
            id: String,
        }
        match self.calls().get::<Profile>("/v2/profiles/me").await {
            Said::Done(done) if is_id(&done.object.id, "pfl_") => Ok(done.object.id),
            Said::NotSent { cause, .. } | Said::Unknown(cause) => Err(NotIdentified(cause)),
            Said::Done(_) | Said::NotFound | Said::Refused { .. } => Err(NotIdentified("Mollie knows no profile for this key".to_owned())),
        }
    }

    pub(super) fn calls(&self) -> Calls<'_> {
        Calls { connection: &self.connection, webhook_url: self.webhook_url.as_deref(), deadline: self.connection.deadline() }
    }
}

#[async_trait]
impl PaymentProvider for MollieProvider {
    fn name(&self) -> &'static str {
        MOLLIE
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { capture_later: true, void: true, refund: true, look_up: true, key_window: KEY_WINDOW }
    }

    async fn send(&self, request: &MoneyRequest) -> Outcome {
        let calls = self.calls();
        match request.kind {
            AttemptKind::Charge => charge::charge(&calls, request).await,
            AttemptKind::Capture => follow_up::capture(&calls, request).await,
            AttemptKind::Void => void::void(&calls, request).await,
            AttemptKind::Refund => follow_up::refund(&calls, request).await,
        }
    }

    async fn look_up(&self, attempt: &Attempt) -> Outcome {
        look_up::look_up(&self.calls(), attempt).await.of_a_question()
    }
}

/// The calls that one request takes, which end together.
pub(super) struct Calls<'a> {
    connection: &'a MollieConnection,
    webhook_url: Option<&'a str>,
    deadline: Instant,
}

impl Calls<'_> {
    pub(super) fn webhook_url(&self) -> Option<&str> {
        self.webhook_url
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, key: &str, body: Vec<u8>) -> Said<T> {
        judge(self.connection.call(Method::POST, path, Some(key), Some(body), self.deadline).await)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Said<T> {
        judge(self.connection.call(Method::GET, path, None, None, self.deadline).await)
    }

    pub(super) async fn payment(&self, id: &str) -> Said<Payment> {
        self.get(&format!("/v2/payments/{id}")).await
    }

    /// With its refunds, and what banks took back of it.
    pub(super) async fn whole_payment(&self, id: &str) -> Said<Payment> {
        self.get(&format!("/v2/payments/{id}?embed=refunds,chargebacks")).await
    }

    pub(super) async fn cancel(&self, id: &str) -> Said<Payment> {
        judge(self.connection.call(Method::DELETE, &format!("/v2/payments/{id}"), None, None, self.deadline).await)
    }

    /// Asks for what is held to be released; there is no object in the answer.
    pub(super) async fn release(&self, id: &str, key: &str) -> Result<StatusCode, Outcome> {
        let path = format!("/v2/payments/{id}/release-authorization");
        match self.connection.call(Method::POST, &path, Some(key), Some(b"{}".to_vec()), self.deadline).await {
            Ok(answer) => Ok(answer.status),
            Err(CallError::NotSent(cause)) => Err(Outcome::NotSent { cause, retry_after: None }),
            Err(CallError::Unknown(cause)) => Err(Outcome::Unknown(cause)),
        }
    }

    pub(super) async fn payments(&self, from: Option<&str>) -> Said<List<Payment>> {
        self.get(&page_path("/v2/payments", from)).await
    }

    pub(super) async fn all_refunds(&self, from: Option<&str>) -> Said<List<Refund>> {
        self.get(&page_path("/v2/refunds", from)).await
    }

    /// The newest refunds of a payment: more than a page of them nobody makes.
    pub(super) async fn refunds(&self, payment: &str) -> Said<List<Refund>> {
        self.get(&page_path(&format!("/v2/payments/{payment}/refunds"), None)).await
    }

    pub(super) async fn refund(&self, payment: &str, id: &str) -> Said<Refund> {
        if !is_id(id, "re_") {
            return Said::NotFound;
        }
        self.get(&format!("/v2/payments/{payment}/refunds/{id}")).await
    }

    pub(super) async fn captures(&self, payment: &str) -> Said<List<Capture>> {
        self.get(&page_path(&format!("/v2/payments/{payment}/captures"), None)).await
    }
}

/// A page as long as Mollie makes them.
fn page_path(path: &str, from: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", "250");
    if let Some(from) = from {
        query.append_pair("from", from);
    }
    format!("{path}?{}", query.finish())
}
