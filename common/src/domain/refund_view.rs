//! The refund as clients see it: one shape for answers and callbacks.

use super::{
    error::CodedError,
    id::{CheckoutId, LineId, RefundId},
    money::{Amount, Currency},
    refund::{Refund, RefundStatus},
    time::Timestamp,
};
use serde::Serialize;

/// The object `refund` of the API.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Refund)]
pub struct RefundView<'a> {
    id: &'a RefundId,
    object: &'static str,
    checkout: &'a CheckoutId,
    status: RefundStatus,
    amount: Amount,
    currency: Currency,
    lines: &'a [LineId],
    /// Whether it is about money that came too late, and not about what was sold.
    late_payment: bool,
    parts: Vec<RefundPartView<'a>>,
    reason: Option<&'a str>,
    release_seats: bool,
    /// Whether the credits that paid for those places stay used.
    keep_credits: bool,
    error: Option<&'a CodedError>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What one leg gives back.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = RefundPart)]
pub struct RefundPartView<'a> {
    /// How it was paid: `card`, `custom`, ….
    method: &'a str,
    amount: Amount,
    status: RefundStatus,
}

impl<'a> From<&'a Refund> for RefundView<'a> {
    fn from(refund: &'a Refund) -> Self {
        Self {
            id: &refund.id,
            object: "refund",
            checkout: &refund.checkout,
            status: refund.status,
            amount: refund.amount,
            currency: refund.currency,
            lines: &refund.lines,
            late_payment: refund.late_payment,
            parts: refund
                .parts
                .iter()
                .map(|part| RefundPartView { method: &part.method, amount: part.amount, status: part.status })
                .collect(),
            reason: refund.reason.as_deref(),
            release_seats: refund.release_seats,
            keep_credits: refund.keep_credits,
            error: refund.error.as_ref(),
            created_at: refund.created_at,
            updated_at: refund.updated_at,
        }
    }
}
