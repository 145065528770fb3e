//! All routes and the few layers around them.

use crate::{
    auth::authenticate,
    context::ApiContext,
    dialects,
    edge::edge,
    openapi::{self, Frame},
    pages,
    problem::Problem,
    receipts, routes,
};
use axum::{Router, middleware::from_fn_with_state};
use tower_http::compression::{
    CompressionLayer,
    predicate::{NotForContentType, Predicate, SizeAbove},
};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// Shorter answers are not worth compressing, bytes.
const COMPRESS_ABOVE: u64 = 1_024;

/// The whole API, ready to be served.
pub fn router(ctx: ApiContext) -> Router {
    let keyed = OpenApiRouter::new()
        .merge(routes::checkouts::router())
        .merge(routes::refunds::router())
        .merge(routes::sessions::router())
        .merge(routes::waiting_list::router())
        .merge(routes::products::router())
        .merge(routes::promo_codes::router())
        .merge(routes::memberships::router())
        .merge(routes::plans::router())
        .merge(routes::subscriptions::router())
        .merge(routes::customers::router())
        .merge(routes::balances::router())
        .merge(routes::bought_memberships::router())
        .merge(routes::payment_methods::router())
        .merge(routes::webhook_endpoints::router())
        .merge(routes::deliveries::router())
        .merge(routes::jobs::router())
        .merge(routes::ledger::router())
        .merge(routes::settings::router())
        .merge(routes::providers::router())
        .merge(routes::routing::router())
        .merge(routes::tickets::router())
        .merge(routes::sandbox::router())
        .merge(dialects::router())
        .route_layer(from_fn_with_state(ctx.clone(), authenticate));
    let all = OpenApiRouter::with_openapi(Frame::openapi())
        .merge(keyed)
        .merge(routes::health::router())
        .merge(routes::provider_events::router())
        .merge(dialects::signed_router());
    let (routes, api) = all.with_state(ctx.clone()).split_for_parts();
    let compression = CompressionLayer::new().compress_when(SizeAbove::new(COMPRESS_ABOVE).and(NotForContentType::SSE));
    routes
        .merge(openapi::router(api))
        .merge(pages::router().with_state(ctx.clone()))
        .merge(receipts::router().with_state(ctx.clone()))
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(from_fn_with_state(ctx, edge))
        .layer(compression)
}
