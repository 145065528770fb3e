//! `POST /webhooks/{provider}/{account}`: what payment providers tell us of their own accord.

use crate::{context::ApiContext, problem::Problem, respond::json, trace::TraceParent};
use axum::{
    Extension,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Path, State,
        rejection::{BytesRejection, PathRejection},
    },
    response::Response,
};
use boxoffice_common::{
    adapters::provider_events::EventSource,
    domain::{id::ProviderEventId, provider_event::EventAccount, scope::Scope, time::Timestamp},
    ports::{queue::Lane, store::NewProviderEvent},
};
use http::{HeaderMap, StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The longest event, bytes.
const MAX_BODY: usize = 64 * 1024;
/// The longest id that a provider gives an event, bytes.
const MAX_ID: usize = 255;

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(take)).layer(DefaultBodyLimit::max(MAX_BODY))
}

/// Keeps an event, once, and answers as soon as it is durable; what it says is worked on behind the answer. Only what the provider has signed
/// just now is kept.
#[utoipa::path(
    post,
    path = "/webhooks/{provider}/{account}",
    tag = "provider events",
    params(
        ("provider" = String, Path, description = "Who tells it: `sandbox`"),
        ("account" = String, Path, description = "Which of our accounts there: `test`"),
    ),
    request_body(content = String, description = "As the provider writes it, at most 64 KiB", content_type = "application/json"),
    responses(
        (status = 200, description = "`{received: true}`: it is kept, now or from an earlier time"),
        (status = 400, description = "`event_not_genuine`: not signed by this provider for this account, or not just now; what of it is not said"),
    ),
)]
async fn take(
    State(ctx): State<ApiContext>,
    path: Result<Path<(String, String)>, PathRejection>,
    Extension(trace): Extension<TraceParent>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let found = path.ok().and_then(|Path((provider, account))| ctx.events().get(&provider, &account));
    let Some(source) = found else { return Err(refused(&ctx, "unknown", "no such account")) };
    let Verified { event, body } =
        verify(source, &headers, body, ctx.clock().now()).map_err(|why| refused(&ctx, source.account().provider, &why))?;
    let id = ProviderEventId::generate(ctx.entropy(), ctx.clock().now());
    let EventAccount { provider, account, mode, .. } = source.account();
    let scope = Scope::new(account, *mode).map_err(|_| Problem::Internal)?;
    let new = NewProviderEvent { id: id.clone(), scope: scope.clone(), provider: (*provider).to_owned(), event, body };
    if ctx.store().keep_event(new).await? {
        ctx.hand_on(Lane::Events, id.as_str(), &scope, trace.as_str());
    }
    Ok(json(StatusCode::OK, &serde_json::json!({"received": true})))
}

struct Verified {
    /// The provider's own id.
    event: String,
    body: String,
}

/// Or why not: for our own log only.
fn verify(source: &dyn EventSource, headers: &HeaderMap, body: Result<Bytes, BytesRejection>, now: Timestamp) -> Result<Verified, String> {
    let body = body.map_err(|error| error.body_text())?;
    let event = source.verify(headers, &body, now).map_err(|error| error.to_string())?;
    if !(1..=MAX_ID).contains(&event.len()) {
        return Err("its id is empty, or too long".to_owned());
    }
    // A database keeps no NUL in a text.
    let body = std::str::from_utf8(&body).ok().filter(|body| !body.contains('\0')).ok_or("it is no text")?;
    Ok(Verified { event, body: body.to_owned() })
}

/// One and the same answer for everything: whoever tries out secrets, times and accounts learns nothing from it. Anybody can cause as many as
/// he likes: all are counted, and the log has room for others.
fn refused(ctx: &ApiContext, provider: &'static str, why: &str) -> Problem {
    match ctx.not_genuine().is_due() {
        Some(held_back) => tracing::warn!(provider, why, held_back, "an event is not genuine"),
        None => tracing::debug!(provider, why, "an event is not genuine"),
    }
    metrics::counter!("boxoffice_provider_events_refused_total", "provider" => provider).increment(1);
    let detail = "not signed by this provider for this account, or not just now".to_owned();
    Problem::Parameter { code: "event_not_genuine", detail, param: None }
}
