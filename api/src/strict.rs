//! The one way in for bodies and queries: bounded, strict, and refused with the name of what is wrong.

use crate::{context::ApiContext, fields::typed, json, problem::Problem};
use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request},
};
use futures::StreamExt;
use http::{HeaderMap, header, request::Parts};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The longest body that is read, bytes.
pub const MAX_BODY: usize = 256 * 1024;
/// How much memory bodies may take together, KiB, however many clients send at once.
const BODY_BUDGET_KIB: usize = 128 * 1024;

/// A JSON body that was checked: nothing unknown, nothing twice, nothing too deep or too long, no card number.
pub struct Strict<T> {
    /// What was asked.
    pub value: T,
    /// SHA-256 of the body's canonical form, hex: what an idempotency key is bound to.
    pub hash: String,
}

impl<T: DeserializeOwned> FromRequest<ApiContext> for Strict<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, ctx: &ApiContext) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        let (bytes, _memory) = ctx.bodies().read(&parts.headers, body).await?;
        checked(&bytes)
    }
}

/// No body at all is none; what there is, is checked like any other.
impl<T: DeserializeOwned> OptionalFromRequest<ApiContext> for Strict<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, ctx: &ApiContext) -> Result<Option<Self>, Problem> {
        let (parts, body) = request.into_parts();
        let (bytes, _memory) = ctx.bodies().read(&parts.headers, body).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        check_type(&parts.headers)?;
        checked(&bytes).map(Some)
    }
}

fn checked<T: DeserializeOwned>(bytes: &[u8]) -> Result<Strict<T>, Problem> {
    let value = json::parse(bytes)?;
    json::refuse_card_numbers(&value)?;
    let hash = json::canonical_hash(&value);
    Ok(Strict { value: typed(value)?, hash })
}

/// For a POST that takes no fields: an empty body, or `{}`.
pub type NoFields = AnyFields<Empty>;

/// No field at all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// For a POST all of whose fields may be left out, and with them the body.
pub struct AnyFields<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<ApiContext> for AnyFields<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, ctx: &ApiContext) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let (bytes, _memory) = ctx.bodies().read(&parts.headers, body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        check_type(&parts.headers)?;
        let value = json::parse(&bytes)?;
        json::refuse_card_numbers(&value)?;
        Ok(Self(typed(value)?))
    }
}

/// Query parameters, as strict as bodies: nothing unknown, nothing twice.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut map = Map::new();
        for (key, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            if value.contains('\0') || value.len() > 1024 {
                return Err(Problem::invalid(key, "too long, or with a NUL character"));
            }
            if map.insert(key.clone().into_owned(), Value::String(value.into_owned())).is_some() {
                return Err(Problem::Parameter { code: "duplicate_key", detail: "given twice".to_owned(), param: Some(key.into_owned()) });
            }
        }
        typed(Value::Object(map)).map(Self)
    }
}

/// How many objects a page may have: `1..=100`, 20 when left out. Read from a query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub u32);

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = String::deserialize(deserializer)?.parse().ok().filter(|limit| (1..=100).contains(limit));
        number.map(Self).ok_or_else(|| serde::de::Error::custom("must be a whole number from 1 to 100"))
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let plain = |value: &str| {
        let (kind, rest) = value.split_once(';').unwrap_or((value, ""));
        let rest = rest.trim();
        kind.trim().eq_ignore_ascii_case("application/json") && (rest.is_empty() || rest.eq_ignore_ascii_case("charset=utf-8"))
    };
    let typed = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(plain);
    let coded = headers.get(header::CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if typed && !coded { Ok(()) } else { Err(Problem::UnsupportedMediaType) }
}

/// The memory that bodies take together.
#[derive(Debug)]
pub struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BODY_BUDGET_KIB)))
    }
}

impl Bodies {
    /// Reads a body. The permit stands for its memory until it is dropped. What is too long is dropped unread: the server hears its
    /// client out, while the answer is already on its way.
    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
        self.read_within(MAX_BODY, headers, body).await
    }

    /// The same of another length.
    pub(crate) async fn read_within(&self, most: usize, headers: &HeaderMap, body: Body) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let expected = declared.unwrap_or(most);
        if expected > most {
            return Err(Problem::BodyTooLarge(most));
        }
        let kib = u32::try_from(expected / 1024 + 1).unwrap_or(u32::MAX);
        let overloaded = |_| Problem::Overloaded { retry_after: Duration::from_secs(1) };
        let memory = Arc::clone(&self.0).try_acquire_many_owned(kib).map_err(overloaded)?;
        Ok((collect(most, body).await?, memory))
    }
}

async fn collect(most: usize, body: Body) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    // Most bodies come in one piece, which is then not copied.
    let Some(first) = next(&mut chunks).await? else { return Ok(Bytes::new()) };
    let mut whole = match next(&mut chunks).await? {
        None if first.len() <= most => return Ok(first),
        None => return Err(Problem::BodyTooLarge(most)),
        Some(second) => [first, second].concat(),
    };
    loop {
        if whole.len() > most {
            return Err(Problem::BodyTooLarge(most));
        }
        match next(&mut chunks).await? {
            None => return Ok(whole.into()),
            Some(chunk) => whole.extend_from_slice(&chunk),
        }
    }
}

async fn next(chunks: &mut BodyDataStream) -> Result<Option<Bytes>, Problem> {
    chunks.next().await.transpose().map_err(|_| Problem::Malformed("the body ended early".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_json_is_taken() {
        let taken = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            check_type(&headers).is_ok()
        };
        assert!(taken("application/json") && taken("Application/JSON; charset=UTF-8"));
        assert!(!taken("text/plain") && !taken("application/json; charset=latin1") && !taken("application/x-www-form-urlencoded"));
        assert!(check_type(&HeaderMap::new()).is_err());
    }

    #[tokio::test]
    async fn a_long_body_is_refused_whether_it_says_so_or_not() {
        let bodies = Bodies::default();
        let mut declared = HeaderMap::new();
        declared.insert(header::CONTENT_LENGTH, (MAX_BODY + 1).into());
        assert_eq!(bodies.read(&declared, Body::empty()).await.unwrap_err(), Problem::BodyTooLarge(MAX_BODY));
        let chunks = (0..300).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1024])));
        let endless = Body::from_stream(futures::stream::iter(chunks));
        assert_eq!(bodies.read(&HeaderMap::new(), endless).await.unwrap_err(), Problem::BodyTooLarge(MAX_BODY));
        let exact = Body::from(vec![b' '; MAX_BODY]);
        assert_eq!(bodies.read(&HeaderMap::new(), exact).await.unwrap().0.len(), MAX_BODY);
    }

    #[tokio::test]
    async fn queries_are_strict() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Page {
            #[serde(default)]
            limit: Limit,
        }
        let read = async |uri: &str| {
            let mut parts = http::Request::get(uri).body(()).unwrap().into_parts().0;
            Query::<Page>::from_request_parts(&mut parts, &()).await.map(|Query(page)| page.limit.0).map_err(|problem| problem.code())
        };
        assert_eq!((read("/x").await, read("/x?limit=7").await), (Ok(20), Ok(7)));
        assert_eq!((read("/x?limit=0").await, read("/x?limit=101").await), (Err("parameter_invalid"), Err("parameter_invalid")));
        assert_eq!((read("/x?limt=7").await, read("/x?limit=7&limit=8").await), (Err("parameter_unknown"), Err("duplicate_key")));
    }
}
