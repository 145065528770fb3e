//! What BokaMera's clients are told.

use crate::{problem::Problem, respond::json_text};
use axum::response::Response;
use boxoffice_common::domain::{
    checkout::Checkout,
    hosted::UiMode,
    id::{CheckoutId, CustomerId},
    state::Status,
};
use http::StatusCode;
use serde::Serialize;

/// A checkout as they know it. It holds what pays, and is printed nowhere.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = BokameraCheckout)]
pub(super) struct Session<'a> {
    session_id: &'a CheckoutId,
    /// The page that it is paid on.
    url: String,
    /// `open`, `complete` or `expired`.
    status: &'static str,
    /// Of an embedded one: what opens its page, `{Url}` behind `/pay/`. Empty otherwise.
    client_secret: String,
    /// Empty where nobody is known.
    customer_id: &'a str,
    /// Always empty: nothing is paid past the page.
    payment_intent_client_secret: &'static str,
    /// The provider's own name for the newest charge; empty until there is one.
    payment_intent_id: &'a str,
    /// The tenant.
    stripe_account: &'a str,
}

/// How one stands.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = BokameraStatus)]
pub(super) struct SessionStatus {
    /// Empty where nobody is known.
    pub(super) customer_email: String,
    /// `open`, `complete` or `expired`.
    pub(super) status: &'static str,
}

/// What is wrong.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = BokameraError)]
pub(super) struct Fault {
    response_status: ResponseStatus,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = BokameraResponseStatus)]
struct ResponseStatus {
    /// Stable: what programs act on.
    error_code: &'static str,
    /// For people.
    message: String,
    /// Of what is wrong with a field.
    errors: Vec<FieldError>,
    meta: Meta,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = BokameraFieldError)]
struct FieldError {
    error_code: &'static str,
    /// As it is called in the request, such as `Articles[0].Quantity`.
    field_name: String,
    message: String,
    meta: Meta,
}

/// Nothing more is said.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BokameraMeta)]
struct Meta {}

impl<'a> Session<'a> {
    /// `None` of what is not paid on a page.
    pub(super) fn of(checkout: &'a Checkout) -> Option<Self> {
        let (_, hosted) = checkout.order.hosted()?;
        let secret = || format!("{}.{}", checkout.id, hosted.token.reveal());
        let charge = checkout.charges().last().and_then(|charge| charge.provider_reference.as_deref());
        Some(Self {
            session_id: &checkout.id,
            url: hosted.url(&checkout.id),
            status: status(checkout.status),
            client_secret: if hosted.ui_mode == UiMode::Embedded { secret() } else { String::new() },
            customer_id: checkout.order.customer.as_ref().map(CustomerId::as_str).unwrap_or_default(),
            payment_intent_client_secret: "",
            payment_intent_id: charge.unwrap_or_default(),
            stripe_account: checkout.scope.tenant(),
        })
    }
}

/// As a session of Stripe's stands.
pub(super) const fn status(status: Status) -> &'static str {
    match status {
        Status::Queued | Status::Processing | Status::AwaitingPayment | Status::Reconciling | Status::NeedsReview => "open",
        Status::Succeeded => "complete",
        Status::Failed | Status::Canceled | Status::Expired => "expired",
    }
}

/// A JSON answer that may stand in a script: of what JSON allows in a string, old scripts do not take two characters.
pub(super) fn answer(value: &impl Serialize) -> Response {
    json_text(StatusCode::OK, text(value))
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default().replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// A problem in their words. What was understood and cannot be done is 400 here, too.
pub(super) fn fault(problem: &Problem) -> (StatusCode, String) {
    let status = match problem.status() {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    let (error_code, message) = (problem.code(), problem.detail());
    let of_field = |param: &str| FieldError { error_code, field_name: theirs(param), message: message.clone(), meta: Meta {} };
    let errors = problem.param().map(of_field).into_iter().collect();
    (status, text(&Fault { response_status: ResponseStatus { error_code, message, errors, meta: Meta {} } }))
}

/// Where a fault is, in the words of the request.
fn theirs(param: &str) -> String {
    match param {
        "reference" => "InternalReferenceId".to_owned(),
        "payment" | "payment.methods" | "payment.hosted" | "payment.hosted.options" => "UiMode".to_owned(),
        _ => ["session", "product", "membership", "plan"]
            .into_iter()
            .fold(param.replace("lines[", "Articles["), |param, ours| param.replace(&format!("].{ours}"), "].ArticleId"))
            .replace("].quantity", "].Quantity"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_common::domain::error::{Code, CodedError};

    #[test]
    fn a_fault_has_their_shape_and_names_the_field_as_the_request_does() {
        let problem = Problem::from(CodedError::new(Code::ResourceMissing, "no such\u{2028}session").at("lines[1].session"));
        let (status, text) = fault(&problem);
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(
            text,
            r#"{"ResponseStatus":{"ErrorCode":"resource_missing","Message":"no such\u2028session","Errors":[{"ErrorCode":"resource_missing","FieldName":"Articles[1].ArticleId","Message":"no such\u2028session","Meta":{}}],"Meta":{}}}"#
        );
        let (status, text) = fault(&Problem::Unauthenticated);
        assert!(status == StatusCode::UNAUTHORIZED && text.contains(r#""Errors":[],"Meta":{}"#), "{text}");
    }

    #[test]
    fn a_session_is_open_until_it_has_ended_and_complete_when_it_is_paid() {
        let of = |wanted: &str| Status::ALL.into_iter().filter(|one| status(*one) == wanted).collect::<Vec<_>>();
        assert_eq!(of("complete"), [Status::Succeeded]);
        assert_eq!(of("expired"), [Status::Failed, Status::Canceled, Status::Expired]);
        assert_eq!(of("open").len(), Status::ALL.len() - 4);
    }
}
