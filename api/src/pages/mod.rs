//! The pages that customers see, rendered here and complete without a script.
//!
//! | file | owns |
//! |---|---|
//! | `handlers` | `GET` and `POST /pay/{link}` |
//! | `drawing` | how a checkout's page is drawn, by how it stands |
//! | `standing` | what a checkout's page is about now |
//! | `form` | who may send the form, and what it says |
//! | `templates` | what is filled into the templates in `api/templates/pay` |
//! | `methods` | the ways to pay as the form offers them |
//! | `offers` | what the page can take, by its tenant's accounts |
//! | `came_back` | `GET /return/{link}`, where a provider sends a customer back to |
//! | `trouble` | what keeps a page from being shown as asked |
//! | `saved` | cards that the customer has saved |
//! | `words` | amounts, times and declines as people read them |
//! | `redirect` | the way back to the shop, signed |
//! | `memory` | what was shown a moment ago and need not be asked for again |
//! | `headers` | what a browser may do with a page |
//! | `assets` | the stylesheet, the script, a tenant's colour |

mod assets;
mod came_back;
mod drawing;
mod form;
mod handlers;
mod headers;
mod memory;
mod methods;
mod offers;
mod redirect;
mod saved;
mod standing;
mod templates;
mod trouble;
mod words;

pub(crate) use memory::PageMemory;

use crate::context::ApiContext;
use axum::{Router, extract::DefaultBodyLimit, routing::get};

/// The longest form, bytes.
const MAX_FORM: usize = 4 * 1024;

/// `/pay/…` and `/return/…`
pub fn router() -> Router<ApiContext> {
    Router::new()
        .route("/pay/{link}", get(handlers::show).post(handlers::submit))
        .route("/pay/assets/{file}", get(assets::file))
        .route("/return/{link}", get(came_back::show))
        .layer(DefaultBodyLimit::max(MAX_FORM))
}
