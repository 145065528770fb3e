//! `GET /v1/checkouts/{id}/receipt`: where a customer finds what to keep.

use crate::{
    auth::{Caller, CheckoutsRead},
    context::ApiContext,
    problem::Problem,
    receipts::links::Keys,
    respond::json,
    routes::{checkouts::read, paths::Known},
};
use axum::{extract::State, response::Response};
use boxoffice_common::domain::{id::CheckoutId, state::Status};
use http::StatusCode;
use serde::Serialize;

/// Links for whoever has them.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptLinks {
    /// A page in the tenant's name and colour.
    url: String,
    /// The same for paper.
    pdf_url: String,
}

/// The links to a receipt and its PDF. Whoever has them sees it; nobody can guess them.
#[utoipa::path(
    get,
    path = "/v1/checkouts/{id}/receipt",
    tag = "checkouts",
    params(("id" = CheckoutId, Path, description = "The id")),
    responses(
        (status = 200, description = "The links, the same at every call", body = ReceiptLinks),
        (status = 404, description = "No such checkout"),
        (status = 409, description = "`receipt_unavailable`: only a checkout that has succeeded has a receipt"),
    ),
)]
pub async fn receipt(
    caller: Caller<CheckoutsRead>,
    Known(id): Known<CheckoutId>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let checkout = read(&ctx, caller.scope(), &id).await?;
    if checkout.status != Status::Succeeded {
        let detail = format!("only a checkout that has succeeded has a receipt; this one is {}", checkout.status);
        return Err(Problem::Conflict { code: "receipt_unavailable", detail, param: None });
    }
    let (url, pdf_url) = Keys::of(&ctx, caller.scope()).await?.receipt(&ctx, caller.scope(), &id);
    Ok(json(StatusCode::OK, &ReceiptLinks { url, pdf_url }))
}
