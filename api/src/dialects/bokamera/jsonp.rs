//! `?callback=`: an answer as a call of a function, and `?format=`.
//!
//! Nothing is given away by it: no cookie says who calls, and a `script` element of another site can send neither a POST nor a key.

use super::is_theirs;
use crate::problem::Problem;
use axum::{
    body::{Body, Bytes},
    extract::FromRequestParts,
    response::Response,
};
use futures::{StreamExt, stream};
use http::{HeaderValue, Uri, header, request::Parts};
use std::future::ready;

/// The longest name of a function, bytes.
const MAX_NAME: usize = 128;
/// What stands before it, so that no program takes the first bytes of the answer for something else than a script.
const GUARD: &str = "/**/";

/// How an answer is asked for: both are checked before anything is done.
pub(super) struct Shape;

impl<S: Sync> FromRequestParts<S> for Shape {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if let Some(format) = parameter(&parts.uri, "format")?.filter(|format| !format.eq_ignore_ascii_case("json")) {
            let detail = format!("is json; {} other is there", if format.is_empty() { "none" } else { "no" });
            return Err(Problem::invalid("format", detail));
        }
        match parameter(&parts.uri, "callback")? {
            Some(name) if !is_function(&name) => {
                Err(Problem::invalid("callback", "is the name of a function, such as shop.answered, of at most 128 characters"))
            }
            _ => Ok(Self),
        }
    }
}

/// One value of the query, its name in any case.
fn parameter(uri: &Uri, name: &str) -> Result<Option<String>, Problem> {
    let mut values = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(given, _)| given.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.into_owned());
    let value = values.next();
    match values.next() {
        None => Ok(value),
        Some(_) => Err(Problem::Parameter { code: "duplicate_key", detail: "given twice".to_owned(), param: Some(name.to_owned()) }),
    }
}

/// Identifiers between dots: nothing that could be more than the name of a function.
fn is_function(name: &str) -> bool {
    let is_identifier = |part: &str| {
        let mut bytes = part.bytes();
        let letter = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$');
        bytes.next().is_some_and(letter) && bytes.all(|byte| letter(byte) || byte.is_ascii_digit())
    };
    name.len() <= MAX_NAME && name.split('.').all(is_identifier)
}

/// The function that an answer is handed to.
pub(crate) struct Callback(String);

impl Callback {
    /// As this request asks for it, if it is one of theirs and the name is good; else the answer is plain JSON.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        uri.query()?;
        parameter(uri, "callback").ok().flatten().filter(|name| is_theirs(uri.path()) && is_function(name)).map(Self)
    }

    /// The answer as a script. What is no JSON stays as it is.
    pub(crate) fn wrap(self, response: Response) -> Response {
        let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
        if !response.headers().get(header::CONTENT_TYPE).is_some_and(is_json) {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        let (before, behind) = (format!("{GUARD}{}(", self.0), ");");
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/javascript; charset=utf-8"));
        parts.headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if let Some(length) = length {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length + before.len() + behind.len()));
        }
        let piece = |text: Bytes| stream::once(ready(Ok::<_, axum::Error>(text)));
        let script = piece(Bytes::from(before)).chain(body.into_data_stream()).chain(piece(Bytes::from_static(behind.as_bytes())));
        Response::from_parts(parts, Body::from_stream(script))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::respond::json_text;
    use http::StatusCode;

    #[test]
    fn only_the_name_of_a_function_is_called() {
        let long = "x".repeat(MAX_NAME);
        for good in ["myCallback", "jQuery1_2", "$", "_", "shop.answered", "a.b.$c1", &long] {
            assert!(is_function(good), "{good}");
        }
        let longer = "x".repeat(MAX_NAME + 1);
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "1a",
            "a.1",
            "a-b",
            "a b",
            "alert(1)",
            "a;b",
            "a[0]",
            "<script>",
            "é",
            "a\u{2028}",
            "a\n",
            "a=b",
            "a/*",
            &longer,
        ] {
            assert!(!is_function(bad), "{bad}");
        }
    }

    async fn shape(query: &str) -> Result<(), (&'static str, Option<String>)> {
        let uri = format!("/bokamera/payment/stripe/v1/checkout?{query}");
        let mut parts = http::Request::post(uri).body(()).unwrap().into_parts().0;
        let shape = Shape::from_request_parts(&mut parts, &()).await;
        shape.map(drop).map_err(|problem| (problem.code(), problem.param().map(str::to_owned)))
    }

    #[tokio::test]
    async fn what_is_asked_for_is_checked_and_everything_else_ignored() {
        for good in ["", "format=json", "Format=JSON", "callback=a.b", "x=1&x=2&callback=f&format=json"] {
            assert_eq!(shape(good).await, Ok(()), "{good}");
        }
        for (bad, code, param) in [
            ("format=xml", "parameter_invalid", "format"),
            ("format=", "parameter_invalid", "format"),
            ("callback=", "parameter_invalid", "callback"),
            ("CALLBACK=a()", "parameter_invalid", "callback"),
            ("callback=a&Callback=b", "duplicate_key", "callback"),
        ] {
            assert_eq!(shape(bad).await, Err((code, Some(param.to_owned()))), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_handed_to_the_function_as_a_script_that_is_nothing_else() {
        let callback = |uri: &'static str| Callback::of(&Uri::from_static(uri));
        let wrapped = callback("/payment/stripe/v1/checkout.json?callback=a.b")
            .unwrap()
            .wrap(json_text(StatusCode::CONFLICT, "{\"x\":1}".to_owned()));
        let header = |name| wrapped.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        assert_eq!(wrapped.status(), StatusCode::CONFLICT);
        assert_eq!(header("content-type").as_deref(), Some("application/javascript; charset=utf-8"));
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
        let body = axum::body::to_bytes(wrapped.into_body(), 1024).await.unwrap();
        assert_eq!(&body[..], b"/**/a.b({\"x\":1});");
        for not in
            ["/v1/checkouts?callback=f", "/bokamera/x?callback=f()", "/bokamera/x?callback=f&callback=g", "/bokamera/x", "/bokamera/x?x=y"]
        {
            assert!(callback(not).is_none(), "{not}");
        }
        let html = Response::new(Body::from("<p>"));
        assert!(callback("/bokamera/x?callback=f").unwrap().wrap(html).headers().is_empty(), "what is no JSON stays as it is");
    }
}
