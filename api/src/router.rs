//! All routes and the few layers around them.

use crate::{auth::authenticate, context::ApiContext, edge::edge, problem::Problem, routes};
use axum::{Router, middleware::from_fn_with_state};

/// The whole API, ready to be served.
pub fn router(ctx: ApiContext) -> Router {
    let keyed = Router::new()
        .merge(routes::checkouts::router())
        .merge(routes::sessions::router())
        .merge(routes::products::router())
        .merge(routes::promo_codes::router())
        .merge(routes::customers::router())
        .merge(routes::webhook_endpoints::router())
        .merge(routes::deliveries::router())
        .merge(routes::sandbox::router())
        .route_layer(from_fn_with_state(ctx.clone(), authenticate));
    Router::new()
        .merge(keyed)
        .merge(routes::health::router())
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(from_fn_with_state(ctx.clone(), edge))
        .with_state(ctx)
}
