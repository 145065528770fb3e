//! Other people's checkout APIs over the one engine. Each file translates one of them, and holds no rules of its own. See docs/dialects.md.
//!
//! | file | owns |
//! |---|---|
//! | `momence` | Momence's host checkout |
//! | `classmanager` | ClassManager's basket checkout |
//! | `loop_payments` | Loop's payments |
//! | `monime` | Monime's checkout sessions |
//! | `bokamera` | BokaMera's Stripe checkout |
//! | `checksum` | what was asked, summed up |
//! | `customers` | customers by the names that clients have for them |
//! | `keyed` | how a request gets a key, whether it names one or not |
//! | `sale` | a sale, handed to the intake and waited for |
//! | `told` | whose words a path is answered in, and how each says an error |

mod bokamera;
mod checksum;
mod classmanager;
mod customers;
mod keyed;
mod loop_payments;
mod momence;
mod monime;
mod sale;
mod told;

pub(crate) use bokamera::{Callback, is_theirs as takes_key_header};
pub(crate) use told::{Dialect, Heard};

use crate::context::ApiContext;
use utoipa_axum::router::OpenApiRouter;

/// What is signed by whoever sends it, and has no API key.
pub(crate) fn signed_router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().merge(loop_payments::signed()).nest("/loop", loop_payments::signed())
}

/// Whether a path is of [`signed_router`].
pub(crate) fn is_signed(path: &str) -> bool {
    path.strip_prefix("/loop").unwrap_or(path) == loop_payments::SIGNED_PATH
}

/// All of them: whole under their own prefixes, and where the native API has no such route at the root, as they are published.
pub(crate) fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new()
        .merge(momence::router())
        .nest("/momence", momence::router())
        .merge(classmanager::whole())
        .nest("/classmanager", classmanager::whole())
        .merge(loop_payments::at_root())
        .nest("/loop", loop_payments::whole())
        .merge(monime::at_root())
        .nest("/monime", monime::at_root())
        .merge(bokamera::whole())
        .nest("/bokamera", bokamera::whole())
}
