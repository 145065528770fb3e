//! `Prefer: wait=N` (RFC 7240): an answer that waits for what the client wants to know.

use axum::{extract::FromRequestParts, response::Response};
use http::{HeaderName, HeaderValue, request::Parts};
use std::time::Duration;

/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(60);
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// In whole seconds, 60 at most. What cannot be read is not preferred: preferences never fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreferredWait(pub Option<Duration>);

impl<S: Sync> FromRequestParts<S> for PreferredWait {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let texts = parts.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let mut waits = texts.flat_map(|text| text.split([',', ';'])).filter_map(|preference| {
            let (name, value) = preference.split_once('=')?;
            let seconds = value.trim().trim_matches('"').parse().ok()?;
            name.trim().eq_ignore_ascii_case("wait").then(|| Duration::from_secs(seconds).min(MAX_WAIT))
        });
        Ok(Self(waits.next()))
    }
}

impl PreferredWait {
    /// Tells the client which wait was granted.
    pub fn applied(self, mut response: Response) -> Response {
        if let Self(Some(wait)) = self
            && let Ok(applied) = HeaderValue::try_from(format!("wait={}", wait.as_secs()))
        {
            response.headers_mut().insert(PREFERENCE_APPLIED, applied);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_preferred_wait_is_read_and_bounded() {
        let read = async |prefer: &str| {
            let mut parts = http::Request::get("/").header("prefer", prefer).body(()).unwrap().into_parts().0;
            PreferredWait::from_request_parts(&mut parts, &()).await.unwrap().0.map(|wait| wait.as_secs())
        };
        assert_eq!((read("wait=10").await, read("respond-async, Wait = \"5\"").await), (Some(10), Some(5)));
        assert_eq!((read("wait=600").await, read("wait=0").await), (Some(60), Some(0)));
        assert_eq!((read("wait=soon").await, read("wait=-1").await, read("respond-async").await), (None, None, None));
    }
}
