//! Events: what clients are told, with the object as it was at that version.

use super::{monime, state::Status};
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
    /// A bank took money back, and looks into it.
    #[serde(rename = "dispute.opened")]
    DisputeOpened,
    /// A bank gave that back.
    #[serde(rename = "dispute.won")]
    DisputeWon,
    /// A bank keeps that.
    #[serde(rename = "dispute.lost")]
    DisputeLost,
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
    pub const ALL: [Self; 20] = [
        Self::CheckoutAwaitingPayment,
        Self::CheckoutSucceeded,
        Self::CheckoutFailed,
        Self::CheckoutCanceled,
        Self::CheckoutExpired,
        Self::CheckoutNeedsReview,
        Self::RefundSucceeded,
        Self::RefundFailed,
        Self::DisputeOpened,
        Self::DisputeWon,
        Self::DisputeLost,
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
            Self::DisputeOpened => "dispute.opened",
            Self::DisputeWon => "dispute.won",
            Self::DisputeLost => "dispute.lost",
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

/// How events are written and signed for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventFormat {
    /// Ours, signed as Standard Webhooks has it.
    #[default]
    Standard,
    /// Of checkouts on our page only, in the words of Monime's API.
    Monime,
}

impl EventFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Monime];

    /// As it stands in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Monime => "monime",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// What an event is called in it; `None`: it is not told in it.
    pub const fn name_of(self, event: EventType) -> Option<&'static str> {
        match self {
            Self::Standard => Some(event.as_str()),
            Self::Monime => monime::event_name(event),
        }
    }

    /// The format in which an event is called so. *Because* what was written in one stays in it, whatever its endpoint is put to since.
    pub fn of_name(name: &str) -> Self {
        let has = |format: &Self| EventType::ALL.into_iter().any(|event| format.name_of(event) == Some(name));
        Self::ALL.into_iter().find(has).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_one_format_alone() {
        for format in EventFormat::ALL {
            for name in EventType::ALL.into_iter().filter_map(|event| format.name_of(event)) {
                assert_eq!(EventFormat::of_name(name), format, "{name}");
            }
            assert_eq!(EventFormat::parse(format.as_str()), Some(format));
        }
    }
}
