//! `POST /v1/checkouts`.

use super::request::CreateCheckout;
use crate::{
    auth::{Caller, CheckoutsWrite},
    context::ApiContext,
    idempotency::{IdempotencyKey, REPLAYED},
    intake::Answer,
    problem::Problem,
    respond::json_text,
    strict::Strict,
    trace::TraceParent,
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

/// Takes a checkout in: 202 once it is durable.
pub async fn create(
    caller: Caller<CheckoutsWrite>,
    key: IdempotencyKey,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    body: Strict<CreateCheckout>,
) -> Result<Answer, Problem> {
    let row = key.with_body(body.hash);
    let submission = body.value.into_submission(caller.shared_scope(), row, trace, ctx.config().allow_private_callbacks)?;
    ctx.intake().accept(submission).await
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let location = format!("/v1/checkouts/{}", self.stored.object);
        let mut response = json_text(StatusCode::from_u16(self.stored.status).unwrap_or(StatusCode::ACCEPTED), self.stored.body);
        let headers = response.headers_mut();
        if let Ok(location) = HeaderValue::try_from(location) {
            headers.insert(header::LOCATION, location);
        }
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}
