//! Checkouts: a file for each thing that is done with them.

mod act;
mod create;
mod events;
mod get;
mod list;
mod participants;
mod receipt;
mod request;
mod request_line;
mod request_payment;

use crate::context::ApiContext;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use act::call_off;
pub use get::read;
pub(crate) use get::settled;

/// `/v1/checkouts…`
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new()
        .routes(routes!(create::create, list::list))
        .routes(routes!(get::get))
        .routes(routes!(events::events))
        .routes(routes!(receipt::receipt))
        .routes(routes!(act::timeline))
        .routes(routes!(act::cancel))
        .routes(routes!(act::resolve))
}
