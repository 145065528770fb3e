//! `/v1/tickets…`, `/v1/check-ins`, `/v1/ticket-keys`: what was sold, at the door.
//!
//! | file | owns |
//! |---|---|
//! | `view` | a ticket as clients see it, and what is refused |
//! | `read` | one, those of a checkout, and the keys that verify them |
//! | `check_in` | letting somebody in, and taking that back |
//! | `transfer` | passing a ticket on |

mod check_in;
mod read;
mod transfer;
mod view;

use crate::context::ApiContext;
use utoipa_axum::router::OpenApiRouter;

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().merge(read::router()).merge(check_in::router()).merge(transfer::router())
}
