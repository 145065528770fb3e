//! What ClassManager's clients are told: shapes alone.

use crate::problem::Problem;
use boxoffice_common::domain::{error::Code, money::Amount};
use http::StatusCode;
use serde::Serialize;

/// One transaction with its details, and what it comes to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerTransactionAggregate)]
pub(super) struct Statement {
    /// The transaction's id.
    pub(super) aggregate_id: String,
    pub(super) transaction: TransactionView,
    pub(super) details: Vec<DetailWithEntities>,
    pub(super) stats: Stats,
}

/// Whether a family owes it, or has paid it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ClassManagerTransactionType)]
pub(super) enum Side {
    /// It owes it, or it went back to it.
    Debit,
    /// It has paid it, or need not pay it any more.
    Credit,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerTransaction)]
pub(super) struct TransactionView {
    pub(super) id: String,
    /// The tenant.
    pub(super) company_id: String,
    pub(super) family_id: String,
    pub(super) family_name: String,
    /// The other side of the same: what paid a debit, what a credit paid.
    pub(super) related_transaction_id: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Side,
    /// Where the tenant is.
    #[schema(format = Date)]
    pub(super) date: String,
    pub(super) description: String,
    /// The checkout.
    pub(super) order_id: Option<String>,
    /// Nothing is ever deleted.
    pub(super) deleted_at: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerTransactionDetailWithEntities)]
pub(super) struct DetailWithEntities {
    pub(super) details: DetailView,
    pub(super) related_entities: Vec<EntityView>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerTransactionDetail)]
pub(super) struct DetailView {
    pub(super) id: String,
    pub(super) company_id: String,
    pub(super) transaction_id: String,
    /// `tuition`, `trial`, `discount`, `tax`, `payment-auto`, …
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    /// Minor units, not negative: the type says which way.
    pub(super) amount: Amount,
    pub(super) description: String,
    /// Nothing is ever deleted.
    pub(super) deleted_at: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerTransactionDetailEntity)]
pub(super) struct EntityView {
    pub(super) id: String,
    pub(super) company_id: String,
    pub(super) transaction_detail_id: String,
    pub(super) entity_id: String,
}

/// `total = subtotal - discountTotal + taxTotal`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerTransactionStats)]
pub(super) struct Stats {
    pub(super) total: Amount,
    pub(super) subtotal: Amount,
    pub(super) discount_total: Amount,
    pub(super) tax_total: Amount,
}

/// What a basket would come to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerQuote)]
pub(super) struct Quote {
    pub(super) company_id: String,
    pub(super) family_id: String,
    pub(super) family_name: String,
    /// Of every amount; `null` of an empty basket.
    pub(super) currency: Option<String>,
    /// Enrolments first, then trials.
    pub(super) items: Vec<QuotedItem>,
    pub(super) stats: Stats,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerQuotedItem)]
pub(super) struct QuotedItem {
    /// `tuition` or `trial`.
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) class_id: String,
    pub(super) student_id: String,
    pub(super) pricing_plan_id: Option<String>,
    /// The session that the place is in: the class itself, or its occurrence.
    pub(super) session_id: String,
    pub(super) description: String,
    /// Minor units, before discount and tax.
    pub(super) amount: Amount,
    pub(super) discount_amount: Amount,
    pub(super) tax_amount: Amount,
}

/// What a family, or everybody together, was charged and has paid, in one currency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerBalance)]
pub(super) struct BalanceView {
    pub(super) company_id: String,
    /// `null` of all together.
    pub(super) family_id: Option<String>,
    pub(super) family_name: Option<String>,
    pub(super) currency: String,
    /// Minor units: what was sold, less what of it was given back.
    pub(super) charged: Amount,
    /// Minor units: what came in, less what went back.
    pub(super) paid: Amount,
    /// `charged - paid`: below zero the family has something left, above it owes something.
    pub(super) balance: Amount,
}

/// What is wrong.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerError)]
pub(super) struct Fault {
    /// The HTTP status.
    status_code: u16,
    /// For people.
    messages: Vec<String>,
    /// Stable: what programs act on.
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<String>,
}

impl Fault {
    pub(super) fn new(status: StatusCode, message: String, exception: Option<&str>) -> Self {
        Self { status_code: status.as_u16(), messages: vec![message], exception: exception.map(str::to_owned) }
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A problem in ClassManager's words: what cannot be read and what cannot be done are 422, what is not there 404, and another family's 403.
pub(super) fn fault(problem: &Problem) -> (StatusCode, String) {
    let status = match problem {
        Problem::Refused(error) if error.code == Code::ResourceMissing => StatusCode::NOT_FOUND,
        Problem::Refused(error) if error.code == Code::ParticipantNotInFamily => StatusCode::FORBIDDEN,
        other => match other.status() {
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT => StatusCode::UNPROCESSABLE_ENTITY,
            status => status,
        },
    };
    let message = match problem.param() {
        Some(param) => format!("{param}: {}", problem.detail()),
        None => problem.detail(),
    };
    let declined = if let Problem::Refused(error) = problem { error.decline_code.as_deref() } else { None };
    (status, Fault::new(status, message, Some(declined.unwrap_or(problem.code()))).text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_common::domain::error::CodedError;

    #[test]
    fn a_problem_is_403_404_or_422_with_a_message_and_its_code() {
        let told = |problem: Problem| {
            let (status, text) = fault(&problem);
            let body: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(body["statusCode"], status.as_u16());
            assert_eq!(body["messages"].as_array().unwrap().len(), 1);
            (status.as_u16(), body["exception"].as_str().unwrap().to_owned())
        };
        let refused = |code| Problem::from(CodedError::new(code, "x"));
        assert_eq!(told(Problem::invalid("items", "x")), (422, "parameter_invalid".to_owned()));
        assert_eq!(told(Problem::NotFound), (404, "not_found".to_owned()));
        assert_eq!(told(Problem::Forbidden("admin")), (403, "scope_missing".to_owned()));
        assert_eq!(told(refused(Code::ParticipantNotInFamily)), (403, "participant_not_in_family".to_owned()));
        assert_eq!(told(refused(Code::ResourceMissing)), (404, "resource_missing".to_owned()));
        assert_eq!(told(refused(Code::SessionFull)), (422, "session_full".to_owned()));
        assert_eq!(told(Problem::TimedOut), (504, "timed_out".to_owned()));
        let declined = CodedError::new(Code::PaymentFailed, "x").declined("payment_intent_used");
        assert_eq!(told(declined.into()), (422, "payment_intent_used".to_owned()));
    }
}
