//! What Monime's clients are told.

use crate::problem::Problem;
use boxoffice_common::domain::monime::Session;
use http::StatusCode;
use serde::Serialize;

/// What was asked for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MonimeSessionAnswer)]
pub(super) struct SessionAnswer<'a> {
    success: bool,
    /// Nothing more to say.
    messages: [String; 0],
    result: Session<'a>,
}

impl<'a> SessionAnswer<'a> {
    pub(super) fn of(result: Session<'a>) -> Self {
        Self { success: true, messages: [], result }
    }
}

/// A page of sessions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MonimeSessionList)]
pub(super) struct SessionList<'a> {
    success: bool,
    /// Nothing more to say.
    messages: [String; 0],
    result: Vec<Session<'a>>,
    pagination: Pagination,
}

/// Where in a list a page stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MonimePagination)]
struct Pagination {
    /// How many are on this page.
    count: usize,
    /// The `after` of the next one; nothing on the last.
    next: Option<String>,
}

impl<'a> SessionList<'a> {
    pub(super) fn of(result: Vec<Session<'a>>, next: Option<String>) -> Self {
        Self { success: true, messages: [], pagination: Pagination { count: result.len(), next }, result }
    }
}

/// What is wrong.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MonimeError)]
pub(super) struct Fault<'a> {
    success: bool,
    /// For people: the same as in `error`.
    messages: [String; 1],
    error: FaultDetail<'a>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MonimeErrorDetail)]
struct FaultDetail<'a> {
    /// The HTTP status.
    code: u16,
    /// Stable: what programs act on.
    reason: &'a str,
    /// For people.
    message: String,
    /// Where, if that is known.
    details: Vec<Place>,
}

/// What of the request it is about.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MonimeErrorPlace)]
struct Place {
    field: String,
    message: String,
}

/// A problem in Monime's words.
pub(super) fn fault(problem: &Problem) -> (StatusCode, String) {
    // Of a key that was used for something else their clients hear as of a conflict.
    let (status, reason) = match problem {
        Problem::IdempotencyKeyReused => (StatusCode::CONFLICT, "idempotency_key_in_use"),
        other => (other.status(), other.code()),
    };
    let message = problem.detail();
    let details: Vec<Place> = problem.param().map(|param| Place { field: theirs(param), message: message.clone() }).into_iter().collect();
    let message = details.first().map_or_else(|| message.clone(), |place| format!("{}: {message}", place.field));
    let error = FaultDetail { code: status.as_u16(), reason, message: message.clone(), details };
    (status, serde_json::to_string(&Fault { success: false, messages: [message], error }).unwrap_or_default())
}

/// Where a fault is, in the words of the request.
fn theirs(param: &str) -> String {
    match param {
        "payment.hosted" | "payment.hosted.options" => "paymentOptions".to_owned(),
        _ => param.replace("lines", "lineItems").replace("].unit_amount", "].price.value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_problem_says_its_status_its_reason_and_where_it_is() {
        let told = |problem: Problem| {
            let (status, text) = fault(&problem);
            (status.as_u16(), serde_json::from_str::<Value>(&text).unwrap())
        };
        let (status, body) = told(Problem::invalid("lines[1].unit_amount", "is not negative"));
        let message = "lineItems[1].price.value: is not negative";
        let details = json!([{"field": "lineItems[1].price.value", "message": "is not negative"}]);
        let error = json!({"code": 400, "reason": "parameter_invalid", "message": message, "details": details});
        assert_eq!((status, body), (400, json!({"success": false, "messages": [message], "error": error})));
        let (status, body) = told(Problem::NotFound);
        assert_eq!((status, &body["error"]["code"], &body["error"]["details"]), (404, &json!(404), &json!([])));
    }
}
