//! The sandbox provider's own book, as far as the API shows it. The process that wires the API knows where the book is.

use async_trait::async_trait;
use boxoffice_common::domain::{
    id::PaymentIntentId,
    payment_intent::{NewIntent, PaymentIntent},
};
use serde_json::Value;

/// The book cannot be read now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox provider does not answer: {0}")]
pub struct BookUnavailable(pub String);

/// The book: in this process, or behind HTTP. Ends within its own timeout.
#[async_trait]
pub trait SandboxBook: Send + Sync {
    /// The charges with this reference: `{"data": […]}` as in API.md.
    async fn charges(&self, reference: &str) -> Result<Value, BookUnavailable>;

    /// Authorises money before there is a checkout. `Err`: the card's no, as a decline code.
    async fn authorize_intent(&self, new: NewIntent) -> Result<Result<PaymentIntent, String>, BookUnavailable>;

    /// An intent of an account's.
    async fn intent(&self, account: &str, id: &PaymentIntentId) -> Result<Option<PaymentIntent>, BookUnavailable>;
}
