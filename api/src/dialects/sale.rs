//! A sale of another API: handed to the one intake, and waited for.

use crate::{
    context::ApiContext, idempotency::REPLAYED, intake::Submission, problem::Problem, routes::checkouts::settled, waiting::is_settled,
};
use axum::response::Response;
use boxoffice_common::{
    domain::{checkout::Checkout, error::Code, id::CheckoutId, scope::Scope, state::Status},
    ports::store::{Accepted, IdempotencyRow, StoredAnswer},
};
use http::HeaderValue;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long an answer waits for what comes of a sale. Whatever it is by then is told, and goes on.
/// Shorter than the patience of most clients.
pub(super) const PATIENCE: Duration = Duration::from_secs(7);
/// How long what is made here may wait for its customer, where their API has no say in it.
pub(super) const EXPIRES_IN: Duration = Duration::from_secs(1_800);

/// How far it came.
pub(super) struct Sold {
    /// As it stands.
    pub(super) checkout: Checkout,
    /// Whether it was asked for before.
    pub(super) replayed: bool,
}

impl Sold {
    /// Whether nothing comes of it any more without somebody's doing.
    pub(super) fn is_settled(&self) -> bool {
        is_settled(self.checkout.status)
    }

    /// Whether it was asked for before, on a page, and has ended there without a payment: nobody can pay it any more, and it was not paid
    /// elsewhere.
    pub(super) fn is_over_unheard(&self) -> bool {
        let Checkout { status, error, order, .. } = &self.checkout;
        let is_paid = *status == Status::Succeeded || error.as_ref().is_some_and(|error| error.code == Code::AlreadyPaid);
        self.replayed && status.is_terminal() && !is_paid && order.hosted().is_some()
    }

    /// The answer, marked when the same was asked for before.
    pub(super) fn marked(&self, mut response: Response) -> Response {
        if self.replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// Sells, and waits until it is settled or `patience` ends. Waiting costs no thread and no looks: the end wakes it, from whichever process.
pub(super) async fn sell(ctx: &ApiContext, submission: Submission, patience: Duration) -> Result<Sold, Problem> {
    let scope = Arc::clone(&submission.scope);
    let answer = ctx.intake().accept(submission).await?;
    let id = CheckoutId::parse(answer.stored.object.as_str()).map_err(|_| Problem::Internal)?;
    let checkout = settled(ctx, &scope, &id, Instant::now() + patience).await?;
    Ok(Sold { checkout, replayed: answer.replayed })
}

/// What was sold under this key before, waited for in the same way; nothing where nothing was. For whoever has to refuse now what it took then.
pub(super) async fn again(ctx: &ApiContext, scope: &Scope, row: &IdempotencyRow, patience: Duration) -> Result<Option<Sold>, Problem> {
    match ctx.store().answered(scope, row).await? {
        Some(Accepted::Replayed(StoredAnswer { object, .. }) | Accepted::Created { answer: StoredAnswer { object, .. }, .. }) => {
            let id = CheckoutId::parse(object).map_err(|_| Problem::Internal)?;
            let checkout = settled(ctx, scope, &id, Instant::now() + patience).await?;
            Ok(Some(Sold { checkout, replayed: true }))
        }
        Some(Accepted::KeyReused) => Err(Problem::IdempotencyKeyReused),
        Some(Accepted::CustomerMissing | Accepted::TooManyOpen) | None => Ok(None),
    }
}
