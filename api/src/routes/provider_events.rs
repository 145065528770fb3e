//! `POST /webhooks/{provider}/{account}`: what payment providers tell us of their own accord.

use crate::{context::ApiContext, problem::Problem, respond::json, trace::TraceParent};
use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};
use boxoffice_common::{
    adapters::provider_events::{EventSource, note_end, of_no_use},
    domain::{
        id::ProviderEventId,
        provider_event::{EventAccount, EventStatus},
        scope::Scope,
        time::Timestamp,
    },
    ports::{
        queue::Lane,
        store::{HintKept, NewProviderEvent},
    },
};
use http::{HeaderMap, StatusCode};
use std::time::Duration;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The longest event, bytes: of a dispute with all its evidence, with much to spare.
pub(crate) const MAX_BODY: usize = 512 * 1024;
/// The longest notice that anybody may have sent, bytes: it is kept unproved.
const MAX_HINT: usize = 4 * 1024;
/// The longest id that a provider gives an event, bytes.
const MAX_ID: usize = 255;
/// When whoever has sent too many unsigned notices may come again.
const LOOKED_INTO_AFTER: Duration = Duration::from_secs(60);

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(take))
}

/// Keeps an event, once, and answers as soon as it is durable; what it says is worked on behind the answer. Only what the provider has signed
/// just now is kept.
#[utoipa::path(
    post,
    path = "/webhooks/{provider}/{account}",
    tag = "provider events",
    params(
        ("provider" = String, Path, description = "Who tells it: `stripe`, `mollie`, `sandbox`"),
        ("account" = String, Path, description = "Which account there: its id, as in the `webhook_url` of `GET /v1/providers`; `test` at the sandbox"),
    ),
    request_body(content = String, description = "As the provider writes it, at most 512 KiB", content_type = "application/json"),
    responses(
        (status = 200, description = "`{received: true}`: it is kept, now or from an earlier time"),
        (status = 400, description = "`event_not_genuine`: not signed by this provider for this account, or not just now; what of it is not said"),
        (status = 503, description = "`overloaded`: a provider whose notices are not signed has sent more than can be looked into; it sends them again"),
    ),
)]
async fn take(
    State(ctx): State<ApiContext>,
    path: Result<Path<(String, String)>, PathRejection>,
    Extension(trace): Extension<TraceParent>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let found = match path {
        Ok(Path((provider, account))) => ctx.registry().source(&provider, &account).await?,
        Err(_) => None,
    };
    let Some(source) = found else { return Err(refused(&ctx, "unknown", "no such account")) };
    // Read only for an account that there is, in memory that all requests share.
    let (body, _memory) = match ctx.bodies().read_within(MAX_BODY, &headers, body).await {
        Ok(read) => read,
        Err(problem @ Problem::Overloaded { .. }) => return Err(problem),
        Err(problem) => return Err(refused(&ctx, source.account().provider, &problem.to_string())),
    };
    if let Some(about) = source.hint(&headers, &body) {
        return take_hint(&ctx, &*source, &about, &body, &trace).await;
    }
    match keep(&ctx, &*source, &headers, body, &trace).await? {
        Ok(_) => Ok(json(StatusCode::OK, &serde_json::json!({"received": true}))),
        Err(why) => Err(refused(&ctx, source.account().provider, &why)),
    }
}

/// An event that is kept.
pub(crate) struct Kept {
    /// Ours; of no use where it was kept before.
    pub(crate) id: ProviderEventId,
    /// The provider's own.
    pub(crate) event: String,
    /// As it came.
    pub(crate) body: String,
    /// Whether it was not kept before.
    pub(crate) is_new: bool,
}

/// Keeps an event of this source, if it is genuine, and has it worked on, unless its kind says that there is nothing to do. Or says why not, for
/// our own log only.
pub(crate) async fn keep(
    ctx: &ApiContext,
    source: &dyn EventSource,
    headers: &HeaderMap,
    body: Bytes,
    trace: &TraceParent,
) -> Result<Result<Kept, String>, Problem> {
    let Verified { event, body } = match verify(source, headers, body, ctx.clock().now()) {
        Ok(verified) => verified,
        Err(why) => return Ok(Err(why)),
    };
    let id = ProviderEventId::generate(ctx.entropy(), ctx.clock().now());
    let EventAccount { provider, account, mode, .. } = source.account();
    let scope = Scope::new(account, *mode).map_err(|_| Problem::Internal)?;
    let ignored = of_no_use(source, &body);
    let new = NewProviderEvent {
        id: id.clone(),
        scope: scope.clone(),
        provider: (*provider).to_owned(),
        event: event.clone(),
        body: body.clone(),
        ignored,
    };
    let is_new = ctx.store().keep_event(new).await?;
    match ignored {
        _ if !is_new => {}
        Some(note) => note_end(&id, provider, account, EventStatus::Ignored, note),
        None => ctx.hand_on(Lane::Events, id.as_str(), &scope, trace.as_str()),
    }
    Ok(Ok(Kept { id, event, body, is_new }))
}

/// Keeps a notice that anybody may have sent, as a reason to ask the provider. It is answered like any other, whether or not the provider
/// knows what it names; only whoever sends more than can be looked into is asked to come again.
async fn take_hint(
    ctx: &ApiContext,
    source: &dyn EventSource,
    about: &str,
    body: &Bytes,
    trace: &TraceParent,
) -> Result<Response, Problem> {
    let EventAccount { provider, account, mode, .. } = source.account();
    ctx.hint_rate().check(account).map_err(|retry_after| Problem::Overloaded { retry_after })?;
    let body = std::str::from_utf8(body).ok().filter(|body| body.len() <= MAX_HINT && !body.contains('\0'));
    let Some(body) = body.filter(|_| (1..=MAX_ID / 2).contains(&about.len())) else {
        return Err(refused(ctx, provider, "it is no text, or too long"));
    };
    let id = ProviderEventId::generate(ctx.entropy(), ctx.clock().now());
    let scope = Scope::new(account, *mode).map_err(|_| Problem::Internal)?;
    let new = NewProviderEvent {
        id: id.clone(),
        scope: scope.clone(),
        provider: (*provider).to_owned(),
        event: about.to_owned(),
        body: body.to_owned(),
        ignored: None,
    };
    match ctx.store().keep_hint(new, about).await? {
        HintKept::Kept => ctx.hand_on(Lane::Events, id.as_str(), &scope, trace.as_str()),
        HintKept::Waits => {}
        HintKept::TooMany => return Err(Problem::Overloaded { retry_after: LOOKED_INTO_AFTER }),
    }
    Ok(json(StatusCode::OK, &serde_json::json!({"received": true})))
}

struct Verified {
    /// The provider's own id.
    event: String,
    body: String,
}

/// Or why not: for our own log only.
fn verify(source: &dyn EventSource, headers: &HeaderMap, body: Bytes, now: Timestamp) -> Result<Verified, String> {
    let event = source.verify(headers, &body, now).map_err(|error| error.to_string())?;
    if !(1..=MAX_ID).contains(&event.len()) {
        return Err("its id is empty, or too long".to_owned());
    }
    // A database keeps no NUL in a text.
    let body = std::str::from_utf8(&body).ok().filter(|body| !body.contains('\0')).ok_or("it is no text")?;
    Ok(Verified { event, body: body.to_owned() })
}

/// One and the same answer for everything: whoever tries out secrets, times and accounts learns nothing from it.
fn refused(ctx: &ApiContext, provider: &'static str, why: &str) -> Problem {
    note_refused(ctx, provider, why);
    let detail = "not signed by this provider for this account, or not just now".to_owned();
    Problem::Parameter { code: "event_not_genuine", detail, param: None }
}

/// Anybody can cause as many as he likes: all are counted, and the log has room for others.
pub(crate) fn note_refused(ctx: &ApiContext, provider: &'static str, why: &str) {
    match ctx.not_genuine().is_due() {
        Some(held_back) => tracing::warn!(provider, why, held_back, "an event is not genuine"),
        None => tracing::debug!(provider, why, "an event is not genuine"),
    }
    metrics::counter!("boxoffice_provider_events_refused_total", "provider" => provider).increment(1);
}
