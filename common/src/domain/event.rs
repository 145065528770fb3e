//! Events: what clients are told, with the object as it was at that version.

use super::state::Status;
use serde::{Deserialize, Serialize};

/// The types of events, as in API.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub enum EventType {
    /// The customer has to act.
    #[serde(rename = "checkout.awaiting_payment")]
    CheckoutAwaitingPayment,
    /// Sold.
    #[serde(rename = "checkout.succeeded")]
    CheckoutSucceeded,
    /// Not sold.
    #[serde(rename = "checkout.failed")]
    CheckoutFailed,
    /// Called off.
    #[serde(rename = "checkout.canceled")]
    CheckoutCanceled,
    /// Too late.
    #[serde(rename = "checkout.expired")]
    CheckoutExpired,
    /// An operator has to decide.
    #[serde(rename = "checkout.needs_review")]
    CheckoutNeedsReview,
    /// Money went back.
    #[serde(rename = "refund.succeeded")]
    RefundSucceeded,
    /// Money did not go back.
    #[serde(rename = "refund.failed")]
    RefundFailed,
    /// Places are held for who waited for them.
    #[serde(rename = "waiting_list.offered")]
    WaitingListOffered,
    /// Who waited, or was offered places, gets none.
    #[serde(rename = "waiting_list.expired")]
    WaitingListExpired,
    /// What was offered was bought.
    #[serde(rename = "waiting_list.taken")]
    WaitingListTaken,
    /// A plan was sold.
    #[serde(rename = "subscription.created")]
    SubscriptionCreated,
    /// A period was paid.
    #[serde(rename = "subscription.renewed")]
    SubscriptionRenewed,
    /// A renewal was not paid; it is tried again.
    #[serde(rename = "subscription.past_due")]
    SubscriptionPastDue,
    /// The last try was not paid.
    #[serde(rename = "subscription.unpaid")]
    SubscriptionUnpaid,
    /// Something about it was changed.
    #[serde(rename = "subscription.updated")]
    SubscriptionUpdated,
    /// It has ended.
    #[serde(rename = "subscription.canceled")]
    SubscriptionCanceled,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 17] = [
        Self::CheckoutAwaitingPayment,
        Self::CheckoutSucceeded,
        Self::CheckoutFailed,
        Self::CheckoutCanceled,
        Self::CheckoutExpired,
        Self::CheckoutNeedsReview,
        Self::RefundSucceeded,
        Self::RefundFailed,
        Self::WaitingListOffered,
        Self::WaitingListExpired,
        Self::WaitingListTaken,
        Self::SubscriptionCreated,
        Self::SubscriptionRenewed,
        Self::SubscriptionPastDue,
        Self::SubscriptionUnpaid,
        Self::SubscriptionUpdated,
        Self::SubscriptionCanceled,
    ];

    /// As it stands in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CheckoutAwaitingPayment => "checkout.awaiting_payment",
            Self::CheckoutSucceeded => "checkout.succeeded",
            Self::CheckoutFailed => "checkout.failed",
            Self::CheckoutCanceled => "checkout.canceled",
            Self::CheckoutExpired => "checkout.expired",
            Self::CheckoutNeedsReview => "checkout.needs_review",
            Self::RefundSucceeded => "refund.succeeded",
            Self::RefundFailed => "refund.failed",
            Self::WaitingListOffered => "waiting_list.offered",
            Self::WaitingListExpired => "waiting_list.expired",
            Self::WaitingListTaken => "waiting_list.taken",
            Self::SubscriptionCreated => "subscription.created",
            Self::SubscriptionRenewed => "subscription.renewed",
            Self::SubscriptionPastDue => "subscription.past_due",
            Self::SubscriptionUnpaid => "subscription.unpaid",
            Self::SubscriptionUpdated => "subscription.updated",
            Self::SubscriptionCanceled => "subscription.canceled",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What is told when a checkout comes to `status`; states in between are not told.
    pub const fn of(status: Status) -> Option<Self> {
        match status {
            Status::Queued | Status::Processing | Status::Reconciling => None,
            Status::AwaitingPayment => Some(Self::CheckoutAwaitingPayment),
            Status::NeedsReview => Some(Self::CheckoutNeedsReview),
            Status::Succeeded => Some(Self::CheckoutSucceeded),
            Status::Failed => Some(Self::CheckoutFailed),
            Status::Canceled => Some(Self::CheckoutCanceled),
            Status::Expired => Some(Self::CheckoutExpired),
        }
    }
}
