//! What the API answers when it does not do what was asked: <https://docs.stripe.com/api/errors>.

use serde_json::{Map, Value, json};

/// `error.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    InvalidRequest,
    Card,
    Idempotency,
    Api,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Card => "card_error",
            Self::Idempotency => "idempotency_error",
            Self::Api => "api_error",
        }
    }
}

/// An answer that is an error object.
#[derive(Debug, Clone)]
pub(super) struct Refusal(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: u16,
    kind: Kind,
    code: Option<String>,
    message: String,
    param: Option<String>,
    more: Map<String, Value>,
    executed: bool,
    headers: Vec<(&'static str, String)>,
}

impl Refusal {
    fn new(status: u16, kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Parts { status, kind, code: None, message, param: None, more: Map::new(), executed: false, headers: Vec::new() }))
    }

    /// 400 before anything was looked at: never kept under an idempotency key.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, Kind::InvalidRequest, message)
    }

    /// 400 about one parameter.
    pub(super) fn parameter(name: &str, code: &str, message: impl Into<String>) -> Self {
        Self::invalid(message).code(code).param(name)
    }

    pub(super) fn missing_parameter(name: &str) -> Self {
        Self::parameter(name, "parameter_missing", format!("Missing required param: {name}."))
    }

    /// 404: there is no such object; in a parameter's value it is 400.
    pub(super) fn no_such(what: &str, id: &str, param: &str) -> Self {
        let status = if param == "id" || param == "intent" { 404 } else { 400 };
        Self::new(status, Kind::InvalidRequest, format!("No such {what}: '{id}'")).code("resource_missing").param(param).executed()
    }

    /// 404: there is no such route.
    pub(super) fn no_route(method: &str, path: &str) -> Self {
        Self::new(404, Kind::InvalidRequest, format!("Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs."))
    }

    /// 400: the object's state forbids it. Kept under the key.
    pub(super) fn state(code: &str, message: impl Into<String>) -> Self {
        Self::invalid(message).code(code).executed()
    }

    /// 402: the card, or its bank, says no. Kept under the key.
    pub(super) fn card(code: &str, message: impl Into<String>) -> Self {
        Self::new(402, Kind::Card, message).code(code).executed()
    }

    /// 401.
    pub(super) fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(401, Kind::InvalidRequest, message)
    }

    /// 400: the key was used for something else.
    pub(super) fn key_reused(message: String) -> Self {
        Self::new(400, Kind::Idempotency, message)
    }

    /// 409: the key's first request has not ended.
    pub(super) fn key_in_use(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the \
             other request is still going through): {key}. Please try again later."
        );
        Self::new(409, Kind::InvalidRequest, message).code("idempotency_key_in_use")
    }

    /// 429 `rate_limit` or `lock_timeout`.
    pub(super) fn too_many(code: &str, message: &str) -> Self {
        Self::new(429, Kind::InvalidRequest, message).code(code)
    }

    /// 5xx.
    pub(super) fn server(status: u16) -> Self {
        Self::new(status, Kind::Api, "An unexpected error occurred. If the problem persists, please contact support.").executed()
    }

    pub(super) fn code(mut self, code: &str) -> Self {
        self.0.code = Some(code.to_owned());
        self
    }

    pub(super) fn param(mut self, param: &str) -> Self {
        self.0.param = Some(param.to_owned());
        self
    }

    /// A further member of the error object, such as `decline_code` or `payment_intent`.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    pub(super) fn executed(mut self) -> Self {
        self.0.executed = true;
        self
    }

    /// Whether the answer is kept under an idempotency key: execution had begun.
    pub(super) fn was_executed(&self) -> bool {
        self.0.executed
    }

    pub(super) fn status(&self) -> u16 {
        self.0.status
    }

    pub(super) fn headers(&self) -> &[(&'static str, String)] {
        &self.0.headers
    }

    /// The error object's members as `last_payment_error` shows them.
    pub(super) fn members(&self) -> Map<String, Value> {
        let mut error = self.0.more.clone();
        error.insert("message".to_owned(), json!(self.0.message));
        error.insert("type".to_owned(), json!(self.0.kind.as_str()));
        if let Some(code) = &self.0.code {
            error.insert("code".to_owned(), json!(code));
            error.insert("doc_url".to_owned(), json!(format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"))));
        }
        if let Some(param) = &self.0.param {
            error.insert("param".to_owned(), json!(param));
        }
        error
    }

    /// The answer's body.
    pub(super) fn body(&self, request: &str) -> Value {
        let mut error = self.members();
        error.insert("request_log_url".to_owned(), json!(format!("https://dashboard.stripe.com/test/logs/{request}")));
        json!({ "error": error })
    }
}
