//! Loop's `POST /v1/webhooks/stripe`: Stripe's events as Loop's installations are told them, onto the one intake of events.
//!
//! Its address names no account, so the signature says whose an event is: it is held against the secrets of all accounts with Stripe,
//! every time against all of them, at most [`MAX_TRIED`].

use super::view::Fault;
use crate::{
    context::ApiContext,
    respond::json,
    routes::provider_events::{Kept, keep, note_refused},
    trace::TraceParent,
};
use axum::{
    Extension,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    adapters::{provider_events::EventSource, provider_registry::MAX_TRIED},
    domain::{id::ProviderEventId, provider_account::ProviderKind, time::Timestamp},
};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

const _: () = assert!(MAX_TRIED == 100, "as the documentation says");

/// The longest event, bytes. It is hashed with everybody's secrets: longer ones, as of disputes with much evidence, are taken where the address names
/// the account.
const MAX_BODY: usize = 64 * 1024;

/// Where it stands, at the root and under Loop's own prefix.
pub(in crate::dialects) const PATH: &str = "/v1/webhooks/stripe";

/// The route. It has no API key: the signature is what counts.
pub(in crate::dialects) fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(loop_stripe_event)).layer(DefaultBodyLimit::max(MAX_BODY))
}

/// An event that was taken.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LoopStripeEvent)]
struct Taken<'a> {
    /// Ours.
    event_id: &'a ProviderEventId,
    /// Stripe's.
    stripe_event_id: &'a str,
    event_type: &'a str,
    /// `received`: it is worked on behind this answer.
    status: &'static str,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

/// Takes an event of Stripe's, of whichever enabled account has signed it.
#[utoipa::path(
    post,
    path = "/v1/webhooks/stripe",
    tag = "loop",
    params(("Stripe-Signature" = String, Header, description = "`t=…,v1=…`, with the secret of the endpoint at Stripe")),
    request_body(content = String, description = "As Stripe writes it, at most 64 KiB", content_type = "application/json"),
    responses(
        (status = 200, description = "It is kept, and worked on behind this answer", body = Taken),
        (status = 401, description = "Not signed by Stripe for any account, or not just now", body = Fault),
        (status = 409, description = "It was kept before", body = Fault),
        (status = 500, description = "It could not be kept: send it again", body = Fault),
    ),
)]
async fn loop_stripe_event(
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let taken = async {
        let body = body.map_err(|error| Refused::NotGenuine(error.body_text()))?;
        // Nobody has to know anything to have every secret tried.
        ctx.hint_rate().check("/v1/webhooks/stripe").map_err(|_| Refused::Again)?;
        let sources = ctx.registry().sources(ProviderKind::Stripe).await.map_err(|_| Refused::Again)?;
        let source = signer(&sources, &headers, &body, ctx.clock().now()).ok_or_else(|| Refused::NotGenuine("nobody's".to_owned()))?;
        let kept = keep(&ctx, &*source, &headers, body, &trace).await;
        kept.map_err(|_| Refused::Again)?.map_err(Refused::NotGenuine)
    };
    match taken.await {
        Ok(kept) => told(&kept),
        Err(Refused::NotGenuine(why)) => {
            note_refused(&ctx, ProviderKind::Stripe.as_str(), &why);
            fault(
                StatusCode::UNAUTHORIZED,
                "signature_invalid",
                "not signed by Stripe for an account of this installation, or not just now",
            )
        }
        Err(Refused::Again) => fault(StatusCode::INTERNAL_SERVER_ERROR, "unavailable", "it could not be kept: send it again"),
    }
}

enum Refused {
    /// For our own log only.
    NotGenuine(String),
    /// It could not be kept.
    Again,
}

/// Whose secret it is signed with. All are tried, whoever it is: how long it takes tells nothing of who has an account here.
fn signer(sources: &[Arc<dyn EventSource>], headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<Arc<dyn EventSource>> {
    let mut found = None;
    for source in sources {
        let is_its = source.verify(headers, body, now).is_ok();
        if is_its && found.is_none() {
            found = Some(Arc::clone(source));
        }
    }
    found
}

fn told(kept: &Kept) -> Response {
    if !kept.is_new {
        return fault(StatusCode::CONFLICT, "event_duplicate", "this event was kept before");
    }
    // A verified event of Stripe's has a type; what it says is nobody's business here.
    let kind: Kind = serde_json::from_str(&kept.body).unwrap_or_else(|_| Kind { kind: String::new() });
    let taken = Taken { event_id: &kept.id, stripe_event_id: &kept.event, event_type: &kind.kind, status: "received" };
    json(StatusCode::OK, &taken)
}

fn fault(status: StatusCode, error: &'static str, message: &str) -> Response {
    json(status, &Fault::new(error, message.to_owned())).into_response()
}
