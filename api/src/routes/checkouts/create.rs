//! `POST /v1/checkouts`.

use super::request::CreateCheckout;
use crate::{
    auth::{Caller, CheckoutsWrite},
    context::ApiContext,
    idempotency::IdempotencyKey,
    intake::Answer,
    problem::Problem,
    respond::{first_answer, first_answer_again},
    strict::Strict,
    trace::TraceParent,
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::domain::view::CheckoutView;

/// Takes a checkout in: 202 once it is durable.
#[utoipa::path(
    post,
    path = "/v1/checkouts",
    tag = "checkouts",
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters, quoted or not")),
    request_body = CreateCheckout,
    responses(
        (status = 202, description = "Durable. The same key and body again get this answer again, with `Idempotent-Replayed: true`", body = CheckoutView, headers(("Location" = String), ("Idempotent-Replayed" = bool))),
        (status = 422, description = "Unknown ids, a wrong price, a bad promo code, a feature that is not there, or a key that was used with another body"),
    ),
)]
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
        let answer = if self.replayed { first_answer_again } else { first_answer };
        answer(self.stored, Some("/v1/checkouts"))
    }
}
