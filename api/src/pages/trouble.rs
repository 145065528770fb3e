//! What keeps a page from being shown as asked, and the page that says so.

use super::{
    drawing::page_of,
    form::Refused,
    headers::Frame,
    templates::{ProblemPage, Shop},
};
use crate::problem::retry_seconds;
use axum::response::{IntoResponse, Response};
use boxoffice_common::ports::store::StoreError;
use http::{HeaderValue, StatusCode, header};
use std::time::Duration;

/// When the store does not answer.
pub(super) const LATER: Duration = Duration::from_secs(2);

/// A page that cannot be shown as asked.
pub(super) enum Trouble {
    /// No such link.
    Missing,
    /// The form cannot be taken; the link may be tried again.
    Form(Refused, String),
    /// The store.
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, heading, words, again) = match self {
            Self::Missing => (
                StatusCode::NOT_FOUND,
                "This link leads nowhere",
                "It is incomplete, or was mistyped. Go back to where you found it, and open it once more.",
                None,
            ),
            Self::Form(Refused::FromElsewhere, link) => {
                (StatusCode::FORBIDDEN, "This form came from another site", "Nothing was paid. Open the payment yourself.", Some(link))
            }
            Self::Form(Refused::NotOurs, link) => {
                (StatusCode::BAD_REQUEST, "This form is no longer good", "Nothing was paid. Open the payment once more.", Some(link))
            }
            Self::Form(Refused::Unreadable, link) => {
                (StatusCode::BAD_REQUEST, "This form cannot be read", "Nothing was paid. Open the payment once more.", Some(link))
            }
            Self::Store(error) => {
                let is_down = matches!(error, StoreError::Unavailable(_));
                if is_down {
                    tracing::warn!(%error, "the store is unavailable");
                } else {
                    tracing::error!(%error, "the store refused or cannot read a row");
                }
                let status = if is_down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
                (status, "Something is wrong on our side", "Load the page again in a moment: it says how your payment stands.", None)
            }
        };
        let page = ProblemPage { shop: Shop::nobody(), heading, words, again };
        let mut response = page_of(status, &Frame::default(), &page, None);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_seconds(LATER)));
        }
        response
    }
}
