//! What a customer keeps of a sale: its receipt and its tickets, as pages without any script, and as PDF.
//!
//! | file | owns |
//! |---|---|
//! | `handlers` | `GET /r/{token}` and `GET /t/{token}` |
//! | `links` | making such a token, and telling whether one is genuine |
//! | `sale` | what stands on a receipt and on a ticket |
//! | `words` | amounts and dates as people read them |
//! | `html` | the pages, their style, and what a browser may do with them |
//! | `pdf` | the same on paper |
//! | `qr` | the code as a square of modules |

mod handlers;
mod html;
pub(crate) mod links;
mod pdf;
mod qr;
mod sale;
mod words;

use crate::context::ApiContext;
use axum::{Router, routing::get};

/// The pages. Whoever has the link sees them: no key is asked for.
pub(crate) fn router() -> Router<ApiContext> {
    Router::new().route("/r/{token}", get(handlers::receipt)).route("/t/{token}", get(handlers::ticket))
}
