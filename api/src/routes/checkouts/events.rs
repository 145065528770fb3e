//! `GET /v1/checkouts/{id}/events`: a checkout's changes as Server-Sent Events.

use super::get::read;
use crate::{
    auth::{Caller, CheckoutsRead},
    context::ApiContext,
    problem::Problem,
    routes::paths::Known,
    waiting::{Interest, Ticket},
};
use axum::{
    extract::State,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use boxoffice_common::domain::{checkout::Checkout, id::CheckoutId, view::CheckoutView};
use futures::Stream;
use http::{HeaderMap, StatusCode};
use std::{convert::Infallible, time::Duration};
use tokio::time::Instant;

/// So often something is sent, so that nobody in between takes the stream for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after this long; the client comes back with its `Last-Event-ID`.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Streams `checkout.<status>` events: the current state, and every later one that tells something new, until the checkout has ended.
#[utoipa::path(
    get,
    path = "/v1/checkouts/{id}/events",
    tag = "checkouts",
    params(
        ("id" = CheckoutId, Path, description = "The id"),
        ("Last-Event-ID" = Option<i64>, Header, description = "The version that the client has"),
    ),
    responses(
        (status = 200, description = "Server-Sent Events; the id of an event is the version, its data the checkout", content_type = "text/event-stream", body = String),
        (status = 204, description = "It has ended, and the client has seen that"),
        (status = 404, description = "Not there"),
    ),
)]
pub async fn events(
    caller: Caller<CheckoutsRead>,
    Known(id): Known<CheckoutId>,
    headers: HeaderMap,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let too_many = Problem::Overloaded { retry_after: Duration::from_secs(5) };
    let ticket = ctx.waiters().register(&id, Interest::Any).ok_or(too_many)?;
    let checkout = read(&ctx, caller.scope(), &id).await?;
    let seen = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
    if checkout.status.is_terminal() && checkout.version <= seen {
        // Tells an EventSource that it need not come back.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let follow = Follow { ctx, ticket, seen, next: Some(checkout), shown: None, until: Instant::now() + LONGEST };
    let stream = Sse::new(follow.stream()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([("cache-control", "no-store"), ("x-accel-buffering", "no")], stream).into_response())
}

struct Follow {
    ctx: ApiContext,
    ticket: Ticket,
    /// The version up to which the client knows everything.
    seen: i64,
    /// The state to look at first; `None` once the end was sent.
    next: Option<Checkout>,
    /// What this stream sent last.
    shown: Option<Checkout>,
    until: Instant,
}

impl Follow {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures::stream::unfold(self, |mut follow| async move {
            let event = follow.advance().await?;
            Some((Ok(event), follow))
        })
    }

    /// The next event; `None` at the end of the stream.
    async fn advance(&mut self) -> Option<Event> {
        let mut checkout = self.next.take()?;
        while !self.is_news(&checkout) {
            let woken = self.ctx.shutdown().run_until_cancelled(self.ticket.woken());
            tokio::time::timeout_at(self.until, woken).await.ok()??;
            // A store that does not answer now is asked again at the next beat.
            if let Ok(Some(newer)) = self.ctx.store().checkout(&checkout.id).await {
                checkout = newer;
            }
        }
        self.seen = checkout.version;
        let event = event(&checkout, &self.ctx);
        if !checkout.status.is_terminal() {
            self.shown = Some(checkout.clone());
            self.next = Some(checkout);
        }
        event
    }

    /// Whether the client would see something that it has not seen.
    fn is_news(&self, checkout: &Checkout) -> bool {
        let same = |shown: &Checkout| CheckoutView::new(shown, None).tells_as_much_as(&CheckoutView::new(checkout, None));
        checkout.version > self.seen && !self.shown.as_ref().is_some_and(same)
    }
}

fn event(checkout: &Checkout, ctx: &ApiContext) -> Option<Event> {
    let data = serde_json::to_string(&CheckoutView::new(checkout, ctx.estimate_for(checkout))).ok()?;
    Some(Event::default().event(format!("checkout.{}", checkout.status)).id(checkout.version.to_string()).data(data))
}
