//! What stands in the headers of every answer to Monime's clients.

use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};

/// The request's id, as in `Request-Id`.
const REQUEST_ID: HeaderName = HeaderName::from_static("monime-request-id");
/// What was asked, summed up: lower-case hexadecimal digits of a SHA-256.
const CHECKSUM: HeaderName = HeaderName::from_static("monime-request-checksum");
/// Of an answer that was given before.
const CACHE: HeaderName = HeaderName::from_static("monime-cache");
/// Of one that comes too often: how many are left, and when there are more, as `RateLimit` has it.
const RATE_LIMIT: HeaderName = HeaderName::from_static("monime-rate-limit");
const OURS: HeaderName = HeaderName::from_static("ratelimit");

/// Writes those that are in every answer.
pub(super) fn write(response: &mut Response, id: &str, checksum: &str) {
    for (name, value) in [(REQUEST_ID, id), (CHECKSUM, checksum)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    if response.status() == StatusCode::TOO_MANY_REQUESTS
        && let Some(state) = response.headers().get(OURS).cloned()
    {
        response.headers_mut().insert(RATE_LIMIT, state);
    }
}

/// An answer out of what was remembered of the key (`irc`: the cache of idempotent requests).
pub(super) fn cached(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE, HeaderValue::from_static("irc"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn only_who_comes_too_often_is_told_how_often_he_may() {
        let written = |status| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status;
            response.headers_mut().insert(OURS, HeaderValue::from_static("\"default\";r=0;t=1"));
            write(&mut response, "req_1", "abc");
            let header = |name| response.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
            [header(REQUEST_ID), header(CHECKSUM), header(RATE_LIMIT), header(CACHE)]
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(written(StatusCode::OK), [some("req_1"), some("abc"), None, None]);
        assert_eq!(written(StatusCode::TOO_MANY_REQUESTS), [some("req_1"), some("abc"), some("\"default\";r=0;t=1"), None]);
    }
}
