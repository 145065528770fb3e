//! The engine's side: the payment port over one account with Stripe.

use super::{
    calls::Calls,
    charge, intents, look_up, refund,
    transport::{StripeConnection, StripeTransport},
    verdict::Said,
    wire::BadKey,
};
use crate::{
    adapters::provider_registry::NotIdentified,
    domain::{
        attempt::{Attempt, AttemptKind, MoneyRequest, Outcome},
        provider_account::ProviderKind,
        scope::Mode,
        secret::Secret,
    },
    ports::provider::{Capabilities, PaymentProvider},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_core::payment_intent::ListPaymentIntent;

/// The provider, as it stands in attempts.
pub const STRIPE: &str = "stripe";

/// Stripe forgets a key after a day at the earliest.
const KEY_WINDOW: Duration = ProviderKind::Stripe.key_window();

/// One account with Stripe, in one mode.
#[derive(Debug, Clone)]
pub struct StripeProvider {
    pub(super) connection: StripeConnection,
    /// By our own id: it stands in the metadata of all that is made there.
    pub(super) account: String,
    /// The account's key for browsers: without it no page of Stripe's is shown within another.
    publishable_key: Option<String>,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// None of Stripe's.
    #[error(transparent)]
    Bad(#[from] BadKey),
    /// Of the other mode: it would move real money in a test, or none in a sale.
    #[error("the key is of the other mode: with test keys it has _test_ in it, with live keys _live_")]
    OtherMode,
}

impl StripeProvider {
    /// The account that we call `account`, with its key. `timeout` bounds all calls that one request takes.
    pub fn new(
        account: &str,
        mode: Mode,
        key: &Secret<String>,
        transport: &Arc<StripeTransport>,
        timeout: Duration,
    ) -> Result<Self, KeyError> {
        let connection = transport.connection(key, timeout)?;
        let marker = match mode {
            Mode::Test => "k_test_",
            Mode::Live => "k_live_",
        };
        if !key.reveal().get(1..).is_some_and(|rest| rest.starts_with(marker)) {
            return Err(KeyError::OtherMode);
        }
        Ok(Self { connection, account: account.to_owned(), publishable_key: None })
    }

    /// The same, with the account's key for browsers.
    pub fn with_publishable_key(self, publishable_key: Option<String>) -> Self {
        Self { publishable_key, ..self }
    }

    /// Whether Stripe takes the key, and lets it read payments. `Err` says what to look at.
    pub async fn check(&self) -> Result<(), String> {
        match self.calls().get::<serde_json::Value>(ListPaymentIntent::new().limit(1).build()).await {
            Said::Done(_) => Ok(()),
            Said::Refused(refused) => Err(format!("Stripe refused to list payments: {}", refused.problem.reason())),
            Said::NotSent { cause, .. } => Err(cause),
            Said::Unknown(unknown) => Err(unknown.cause),
        }
    }

    /// The account that the key is of: `acct_…`.
    pub async fn own_id(&self) -> Result<Option<String>, NotIdentified> {
        #[derive(serde::Deserialize)]
        struct Own {
            id: String,
        }
        match self.calls().get::<Own>(RequestBuilder::new(StripeMethod::Get, "/account")).await {
            Said::Done(own) => Ok(Some(own.object.id)),
            Said::Refused(refused) => Err(NotIdentified(format!("Stripe refused: {}", refused.problem.reason()))),
            Said::NotSent { cause, .. } => Err(NotIdentified(cause)),
            Said::Unknown(unknown) => Err(NotIdentified(unknown.cause)),
        }
    }

    pub(super) fn calls(&self) -> Calls<'_> {
        Calls::new(&self.connection, &self.account, self.publishable_key.as_deref())
    }
}

#[async_trait]
impl PaymentProvider for StripeProvider {
    fn name(&self) -> &'static str {
        STRIPE
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { capture_later: true, void: true, refund: true, look_up: true, key_window: KEY_WINDOW }
    }

    async fn send(&self, request: &MoneyRequest) -> Outcome {
        let calls = self.calls();
        match request.kind {
            AttemptKind::Charge => charge::charge(&calls, request).await,
            AttemptKind::Capture => intents::capture(&calls, request).await,
            AttemptKind::Void => intents::void(&calls, request).await,
            AttemptKind::Refund => refund::refund(&calls, request).await,
        }
    }

    async fn look_up(&self, attempt: &Attempt) -> Outcome {
        look_up::look_up(&self.calls(), attempt).await.of_a_question()
    }
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
