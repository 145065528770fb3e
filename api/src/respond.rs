//! The few shapes of answers.

use crate::{idempotency::REPLAYED, problem::Problem};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use boxoffice_common::ports::store::{Page, StoredAnswer};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// A JSON answer whose text is there already.
pub fn json_text(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A JSON answer.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => json_text(status, text),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            Problem::Internal.into_response()
        }
    }
}

/// The answer that a key is bound to. `folder` is where what was made can be looked up, if anywhere.
pub fn first_answer(answer: StoredAnswer, folder: Option<&str>) -> Response {
    let response = json_text(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::ACCEPTED), answer.body);
    match folder {
        Some(folder) => located(response, folder, &answer.object),
        None => response,
    }
}

/// The same to whoever comes again with the key.
pub fn first_answer_again(answer: StoredAnswer, folder: Option<&str>) -> Response {
    let mut response = first_answer(answer, folder);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// An answer with the place of what it is about: `Location: {folder}/{id}`.
pub fn located(mut response: Response, folder: &str, id: &str) -> Response {
    if let Ok(location) = HeaderValue::try_from(format!("{folder}/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A page of a list: `{"data": […], "next_cursor": null | "…"}`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct List<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> List<T> {
    /// All there is.
    pub fn whole(data: Vec<T>) -> Self {
        Self { data, next_cursor: None }
    }

    /// A page, made already.
    pub fn with_cursor(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { data, next_cursor }
    }

    /// A page, each object as `show` makes it.
    pub fn of<U>(page: Page<U>, show: impl FnMut(U) -> T) -> Self {
        Self::with_cursor(page.data.into_iter().map(show).collect(), page.next_cursor)
    }
}

impl<T: Serialize> IntoResponse for List<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self)
    }
}

/// An `ETag` from a version.
pub fn etag(version: i64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether `If-None-Match` names this version: a list, weak or strong, or `*` (RFC 9110, 13.1.2: the comparison is weak).
pub fn is_known(headers: &http::HeaderMap, version: i64) -> bool {
    let ours = format!("\"{version}\"");
    let texts = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == ours)
}

/// What there is, with the `ETag` of its version; 304 and nothing else where `If-None-Match` names that.
pub fn unless_known(headers: &http::HeaderMap, version: i64, show: impl FnOnce() -> Response) -> Response {
    with_etag(version, if is_known(headers, version) { StatusCode::NOT_MODIFIED.into_response() } else { show() })
}

/// The answer with the `ETag` of a version.
pub fn with_etag(version: i64, mut response: Response) -> Response {
    response.headers_mut().insert(header::ETAG, etag(version));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_in_a_list_weak_or_by_a_star() {
        let known = |text: &str| {
            let mut headers = http::HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, text.parse().unwrap());
            is_known(&headers, 3)
        };
        assert!(known("\"3\"") && known("W/\"3\"") && known("\"1\", W/\"3\"") && known("*"));
        assert!(!known("\"2\"") && !known("3") && !known("\"33\""));
    }
}
