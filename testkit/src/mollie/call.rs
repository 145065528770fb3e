//! A request to the stand-in, its answer, and the error object of a refusal (docs.mollie.com/reference/handling-errors).

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header},
};
use serde_json::{Value, json};

/// A request.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    /// The query, decoded.
    query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
}

impl Call {
    pub(super) fn new(method: Method, uri: &Uri, headers: HeaderMap, bytes: Bytes) -> Self {
        let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        Self { method, path: uri.path().to_owned(), query, headers, bytes }
    }

    /// The parts of the path behind the first slash.
    pub(super) fn parts(&self) -> Vec<&str> {
        self.path.trim_start_matches('/').split('/').collect()
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as an object; none is an empty one.
    pub(super) fn body(&self) -> Result<Value, Refusal> {
        if self.bytes.is_empty() {
            return Ok(json!({}));
        }
        if self.header("content-type").is_none_or(|kind| !kind.starts_with("application/json")) {
            return Err(Refusal::new(415, "Unsupported Media Type", "This stand-in reads JSON only"));
        }
        let parsed = serde_json::from_slice::<Value>(&self.bytes).ok().filter(Value::is_object);
        parsed.ok_or_else(|| Refusal::new(400, "Bad Request", "The body is not a JSON object"))
    }

    /// The fields of a form.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.bytes).into_owned().collect()
    }
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    /// Told from the store of keys.
    pub(super) is_replay: bool,
    /// Seconds.
    pub(super) retry_after: Option<u32>,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: 200, body: Some(body), is_replay: false, retry_after: None }
    }

    pub(super) fn created(body: Value) -> Self {
        Self { status: 201, ..Self::ok(body) }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, body: None, is_replay: false, retry_after: None }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let bytes = self.body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let mut response = respond(self.status, "application/hal+json", bytes);
        if self.is_replay {
            response.headers_mut().insert("Idempotent-Replayed", HeaderValue::from_static("true"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A response by hand.
pub(super) fn respond(status: u16, kind: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Why a request was not executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    title: &'static str,
    detail: String,
    field: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: u16, title: &'static str, detail: &str) -> Self {
        Self { status, title, detail: detail.to_owned(), field: None }
    }

    /// 422 about one field.
    pub(super) fn field(field: &str, detail: &str) -> Self {
        Self { field: Some(field.to_owned()), ..Self::unprocessable(detail) }
    }

    pub(super) fn unprocessable(detail: &str) -> Self {
        Self::new(422, "Unprocessable Entity", detail)
    }

    pub(super) fn not_found(what: &str, id: &str) -> Self {
        Self::new(404, "Not Found", &format!("No {what} exists with token {id}."))
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, title, detail, field } = refusal;
        let mut body = json!({
            "status": status,
            "title": title,
            "detail": detail,
            "_links": {"documentation": {"href": "https://docs.mollie.com/errors", "type": "text/html"}},
        });
        if let (Some(field), Some(object)) = (field, body.as_object_mut()) {
            object.insert("field".to_owned(), Value::String(field));
        }
        Self { status, ..Self::ok(body) }
    }
}
