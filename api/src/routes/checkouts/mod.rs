//! Checkouts: a file for each thing that is done with them.

mod act;
mod create;
mod events;
mod get;
mod list;
mod request;

use crate::context::ApiContext;
use axum::{Router, routing};

pub use get::read;

/// `/v1/checkouts…`
pub fn router() -> Router<ApiContext> {
    Router::new()
        .route("/v1/checkouts", routing::post(create::create).get(list::list))
        .route("/v1/checkouts/{id}", routing::get(get::get))
        .route("/v1/checkouts/{id}/events", routing::get(events::events))
        .route("/v1/checkouts/{id}/timeline", routing::get(act::timeline))
        .route("/v1/checkouts/{id}/cancel", routing::post(act::cancel))
        .route("/v1/checkouts/{id}/resolve", routing::post(act::resolve))
}
