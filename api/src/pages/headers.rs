//! What a browser may do with a page: nothing but show it and send its own form, and keep none of it.

use boxoffice_common::domain::{hosted::UiMode, order::Order, settings::Settings};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::time::Duration;
use url::Url;

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
const REFRESH: HeaderName = HeaderName::from_static("refresh");

/// What the headers depend on.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// Who may show the page in a frame; nobody when empty.
    ancestors: Vec<String>,
    /// Where an answer to the form may send the browser on to. Chrome counts that as part of sending the form.
    destinations: Vec<String>,
}

impl Frame {
    pub(super) fn of(order: &Order, settings: &Settings) -> Self {
        let embedded = order.hosted().is_some_and(|(_, hosted)| hosted.ui_mode == UiMode::Embedded);
        let origins = settings.embed_origins.iter().map(|origin| origin.as_str().to_owned());
        let mut destinations: Vec<String> =
            [&order.success_url, &order.cancel_url].into_iter().flatten().filter_map(|url| origin(url)).collect();
        destinations.dedup();
        Self { ancestors: if embedded { origins.collect() } else { Vec::new() }, destinations }
    }

    /// The headers; `again` makes the browser load the page again after so long, without a script.
    pub(super) fn headers(&self, again: Option<(Duration, String)>) -> HeaderMap {
        let ancestors = if self.ancestors.is_empty() { "'none'".to_owned() } else { self.ancestors.join(" ") };
        let destinations = self.destinations.iter().fold(String::new(), |list, origin| format!("{list} {origin}"));
        let policy = format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'{destinations}; base-uri 'none'; \
             frame-ancestors {ancestors}"
        );
        let mut headers: HeaderMap = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
            (ROBOTS, "noindex, nofollow"),
        ]
        .into_iter()
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect();
        // Without a policy the page is not shown at all, rather than without its guard.
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
        );
        if self.ancestors.is_empty() {
            headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        }
        if let Some((wait, url)) = again
            && let Ok(refresh) = HeaderValue::try_from(format!("{}; url={url}", wait.as_secs()))
        {
            headers.insert(REFRESH, refresh);
        }
        headers
    }
}

/// The origin of an address, if it can stand in a policy as it is: a host may hold what separates the words of one.
fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let plain = url.host_str()?.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte));
    plain.then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_origin_gets_into_the_policy() {
        assert_eq!(origin("https://shop.example:8443/thanks?c={CHECKOUT_ID}").as_deref(), Some("https://shop.example:8443"));
        assert_eq!(origin("http://[::1]:3000/x").as_deref(), Some("http://[::1]:3000"));
        for bad in ["https://a;script-src.example/", "https://a,b.example/", "https://a'b.example/", "javascript:alert(1)", "/x"] {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }
}
