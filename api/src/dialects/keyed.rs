//! The key of a request of another API. Where the client names none, the same request is one with an earlier one whose answer has not gone
//! out: a client that heard nothing asks again, and is not charged again.

use super::sale::Sold;
use crate::{context::ApiContext, idempotency::IdempotencyKey, problem::Problem};
use axum::{
    body::{Body, to_bytes},
    response::Response,
};
use boxoffice_common::{
    domain::scope::Scope,
    ports::store::{IdempotencyRow, Unkeyed},
};
use futures::{StreamExt, stream};
use http::{HeaderValue, header};
use std::{convert::Infallible, time::Duration};

/// For so long the same request is one with an earlier one that was not answered. Somebody may want the same again tomorrow.
const JOINED_FOR: Duration = Duration::from_secs(12 * 3600);
/// No answer of ours is longer, bytes.
const MAX_ANSWER: usize = 1024 * 1024;
/// How long the end of an answer waits until it is noted that it goes out.
const NOTE: Duration = Duration::from_secs(2);

/// A request's key, as long as its answer has not gone out.
pub(super) struct Keyed {
    /// What the checkout is made under.
    pub(super) row: IdempotencyRow,
    /// Where the client named no key.
    unkeyed: Option<Unkeyed>,
}

impl Keyed {
    /// Of a request to `route` with this body. A route is named by its API, method and path, wherever it is mounted.
    pub(super) async fn of(
        ctx: &ApiContext,
        scope: &Scope,
        route: &str,
        key: Option<IdempotencyKey>,
        body_hash: String,
    ) -> Result<Self, Problem> {
        let route = route.to_owned();
        if let Some(key) = key {
            return Ok(Self { row: IdempotencyRow { route, ..key.with_body(body_hash) }, unkeyed: None });
        }
        let unkeyed = Unkeyed { scope: scope.clone(), route: route.clone(), body_hash: body_hash.clone() };
        let key = ctx.store().join_unanswered(&unkeyed, &fresh(ctx), JOINED_FOR).await?;
        Ok(Self { row: IdempotencyRow { route, key, body_hash }, unkeyed: Some(unkeyed) })
    }

    /// The same request once more, for one that was joined to what is over and was never paid: a page that has ended, say. Nothing where the
    /// client named the key, which means the same sale for ever.
    pub(super) async fn anew(&self, ctx: &ApiContext, sold: &Sold) -> Result<Option<Self>, Problem> {
        let Some(unkeyed) = self.unkeyed.as_ref().filter(|_| sold.is_over_unheard()) else { return Ok(None) };
        ctx.store().was_answered(unkeyed, &self.row.key).await?;
        let key = ctx.store().join_unanswered(unkeyed, &fresh(ctx), JOINED_FOR).await?;
        Ok(Some(Self { row: IdempotencyRow { key, ..self.row.clone() }, unkeyed: Some(unkeyed.clone()) }))
    }

    /// Sends this answer, and notes that the connection has it. One that says nothing for certain, `is_final` or by its status, leaves the
    /// request open: it is asked again, and finds what became of it.
    pub(super) async fn answer(self, ctx: &ApiContext, is_final: bool, response: Response) -> Result<Response, Problem> {
        let Some(unkeyed) = self.unkeyed.filter(|_| is_final && !response.status().is_server_error()) else { return Ok(response) };
        let (mut parts, body) = response.into_parts();
        let mut most = to_bytes(body, MAX_ANSWER).await.map_err(|_| Problem::Internal)?;
        if most.is_empty() {
            // Nobody asks for the bytes of an empty body: its head is all there is of it.
            note(ctx, &unkeyed, &self.row.key).await;
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(most.len()));
        // Behind the last byte the client may want the same once more: by then it is noted.
        let last = most.split_off(most.len() - 1);
        let (ctx, key) = (ctx.clone(), self.row.key);
        let end = stream::once(async move {
            note(&ctx, &unkeyed, &key).await;
            Ok::<_, Infallible>(last)
        });
        Ok(Response::from_parts(parts, Body::from_stream(stream::once(std::future::ready(Ok(most))).chain(end))))
    }
}

/// A key that nobody else has.
fn fresh(ctx: &ApiContext) -> String {
    format!("unkeyed-{}", ctx.entropy().ulid(ctx.clock().now()))
}

/// Notes that an answer goes out. Where that fails, the same request will get the same answer once more.
async fn note(ctx: &ApiContext, unkeyed: &Unkeyed, key: &str) {
    match tokio::time::timeout(NOTE, ctx.store().was_answered(unkeyed, key)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "an answer that goes out is not noted"),
        Err(_) => tracing::warn!("an answer that goes out is not noted in time"),
    }
}
