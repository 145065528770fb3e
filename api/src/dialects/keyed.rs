//! The key of a request of another API. Where the client names none, the same request is one with an earlier one whose answer has not gone
//! out: a client that heard nothing asks again, and is not charged again.

use crate::{context::ApiContext, idempotency::IdempotencyKey, problem::Problem};
use axum::{
    body::{Body, Bytes},
    response::Response,
};
use boxoffice_common::{
    domain::scope::Scope,
    ports::store::{IdempotencyRow, Unkeyed},
};
use futures::stream;
use http::{HeaderValue, header};
use std::convert::Infallible;

/// A request's key, as long as its answer has not gone out.
pub(super) struct Keyed {
    /// What the checkout is made under.
    pub(super) row: IdempotencyRow,
    /// Where the client named no key.
    unkeyed: Option<Unkeyed>,
}

impl Keyed {
    /// Of a request to `route` (method and path) with this body.
    pub(super) async fn of(
        ctx: &ApiContext,
        scope: &Scope,
        route: &str,
        key: Option<IdempotencyKey>,
        body_hash: String,
    ) -> Result<Self, Problem> {
        if let Some(key) = key {
            return Ok(Self { row: key.with_body(body_hash), unkeyed: None });
        }
        let unkeyed = Unkeyed { scope: scope.clone(), route: route.to_owned(), body_hash: body_hash.clone() };
        let fresh = format!("unkeyed-{}", ctx.entropy().ulid(ctx.clock().now()));
        let key = ctx.store().join_unanswered(&unkeyed, &fresh).await?;
        Ok(Self { row: IdempotencyRow { route: route.to_owned(), key, body_hash }, unkeyed: Some(unkeyed) })
    }

    /// Sends this answer, and notes when the connection has it. One that says nothing for certain leaves the request open: it is asked
    /// again, and finds what became of it.
    pub(super) fn answer(self, ctx: &ApiContext, response: Response, text: String) -> Response {
        let Some(unkeyed) = self.unkeyed.filter(|_| !response.status().is_server_error()) else {
            return response.map(|_| Body::from(text));
        };
        let (mut parts, _) = response.into_parts();
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        let (ctx, key) = (ctx.clone(), self.row.key);
        let sent = stream::once(async move {
            ctx.was_answered(unkeyed, key);
            Ok::<_, Infallible>(Bytes::from(text))
        });
        Response::from_parts(parts, Body::from_stream(sent))
    }
}
