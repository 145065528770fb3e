//! `Idempotency-Key`: how it is read, and what it is bound to.

use crate::problem::Problem;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use boxoffice_common::{
    domain::{
        card_number::holds_card_number,
        error::{Code, CodedError},
    },
    ports::store::IdempotencyRow,
};
use http::{HeaderValue, request::Parts};

/// The header.
pub const HEADER: &str = "idempotency-key";
/// Says that an answer was given before.
pub const REPLAYED: &str = "idempotent-replayed";

/// A client's key with the method and path that it is used on: 1 to 255 visible ASCII characters, quoted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    route: String,
}

impl IdempotencyKey {
    /// Reads the header. The draft standard quotes the key (a structured-field string), most clients do not.
    pub fn read(parts: &Parts) -> Result<Option<Self>, Problem> {
        let mut values = parts.headers.get_all(HEADER).iter();
        // Before anything else is said about it, and in whatever shape: it is kept and searched for, like a field of the body.
        let is_card = |value: &HeaderValue| holds_card_number(String::from_utf8_lossy(value.as_bytes()).trim_matches([' ', '"']));
        if parts.headers.get_all(HEADER).iter().any(is_card) {
            let found = CodedError::new(Code::CardNumberRefused, "this looks like a card number");
            return Err(found.at("Idempotency-Key").into());
        }
        let Some(value) = values.next() else { return Ok(None) };
        let text = value.to_str().map_err(|_| bad())?.trim();
        let text = match text.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').ok_or_else(bad)?,
            None => text,
        };
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if !fits || values.next().is_some() {
            return Err(bad());
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Some(Self { key: text.to_owned(), route: format!("{} {path}", parts.method) }))
    }

    /// Bound to a body.
    pub fn with_body(self, hash: String) -> IdempotencyRow {
        IdempotencyRow { route: self.route, key: self.key, body_hash: hash }
    }
}

fn bad() -> Problem {
    let detail = "Idempotency-Key is one value of 1 to 255 visible ASCII characters".to_owned();
    Problem::Parameter { code: "idempotency_key_invalid", detail, param: Some("Idempotency-Key".to_owned()) }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(parts)?.ok_or_else(|| Problem::Parameter {
            code: "idempotency_key_missing",
            detail: "send an Idempotency-Key: a retry with the same key and body never sells twice".to_owned(),
            param: Some("Idempotency-Key".to_owned()),
        })
    }
}

/// For what may be asked for without one.
impl<S: Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::read(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, &'static str> {
        let mut request = http::Request::post("/v1/checkouts");
        for value in values {
            request = request.header(HEADER, *value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        IdempotencyKey::read(&parts).map(|key| key.map(|key| key.with_body(String::new()).key)).map_err(|problem| problem.code())
    }

    #[test]
    fn a_key_is_the_same_quoted_or_not() {
        assert_eq!(read(&["k-1"]), Ok(Some("k-1".to_owned())));
        assert_eq!(read(&["\"k-1\""]), Ok(Some("k-1".to_owned())));
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn a_bad_key_is_refused() {
        let long = "x".repeat(256);
        for bad in [&[""][..], &["a b"], &["\"open"], &["\"\""], &[long.as_str()], &["a", "b"]] {
            assert_eq!(read(bad), Err("idempotency_key_invalid"), "{bad:?}");
        }
        assert!(read(&[&"x".repeat(255)]).is_ok());
    }

    #[test]
    fn a_card_number_is_refused_as_one_however_it_is_written() {
        for card in [
            "4111111111111111",
            "\"4111111111111111\"",
            "4111-1111-1111-1111",
            "4111 1111 1111 1111",
            "order_4111111111111111",
            "\"4111111111111111",
        ] {
            assert_eq!(read(&[card]), Err("card_number_refused"), "{card}");
        }
        assert_eq!(read(&["k-1", "4111111111111111"]), Err("card_number_refused"));
        // A wrong check digit, and keys of the usual kinds.
        for key in [
            "4111111111111112",
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
            "\"41111111-1111-4111-8111-111111111111\"",
            "order-2026-11-21-000123",
        ] {
            assert!(read(&[key]).is_ok(), "{key}");
        }
    }
}
