//! Monime's checkout sessions: made, shown, listed and called off under `/v1/checkout-sessions`, and whole under `/monime`.
//!
//! | file | owns |
//! |---|---|
//! | `request` | what its clients ask for, as a checkout of ours on our page |
//! | `view` | what they are told |
//! | `heads` | what stands in the headers of every answer |
//!
//! What a session looks like stands in `common/src/domain/monime.rs`: their events tell of it, too.

mod heads;
mod request;
mod view;

use request::{CreateSession, Listing, Space};
use view::{Fault, SessionAnswer, SessionList};

use super::{
    sale::{PATIENCE, sell},
    told::{Dialect, is_under},
};
use crate::{
    auth::{Caller, CheckoutsRead, CheckoutsWrite},
    context::ApiContext,
    idempotency::IdempotencyKey,
    problem::Problem,
    respond::json,
    routes::{
        checkouts::{call_off, read},
        paths::Known,
    },
    strict::{Query, Strict},
    trace::TraceParent,
};
use axum::{Extension, extract::State, response::Response};
use boxoffice_common::{
    domain::{
        checkout::Checkout,
        id::CheckoutId,
        monime::{Session, SessionStatus},
        scope::Scope,
    },
    ports::store::{CheckoutFilter, IdempotencyRow},
};
use http::StatusCode;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How a problem is told, what is in every answer, and where.
pub(super) static DIALECT: Dialect = Dialect {
    prefix: "/monime",
    is_at_root: |path| is_under(path, "/v1/checkout-sessions"),
    schema_of_faults: || Fault::name(),
    fault: view::fault,
    heads: Some(heads::write),
};

/// The longest key, characters.
const MAX_KEY: usize = 64;

/// As published.
pub(super) fn at_root() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(monime_list, monime_create)).routes(routes!(monime_get, monime_delete))
}

/// Makes a session: our page at `redirectUrl`, for one day.
#[utoipa::path(
    post,
    path = "/v1/checkout-sessions",
    tag = "monime",
    params(
        ("Idempotency-Key" = String, Header, description = "The same key and body again get the first answer again, with `Monime-Cache: irc`", max_length = 64),
        Space,
    ),
    request_body = CreateSession,
    responses(
        (status = 200, description = "Made", body = SessionAnswer),
        (status = 409, description = "`idempotency_key_in_use`: the key was used with another body", body = Fault),
        (status = 422, description = "Nothing is left that the page could take, or two currencies", body = Fault),
    ),
)]
async fn monime_create(
    caller: Caller<CheckoutsWrite>,
    Space(space): Space,
    key: IdempotencyKey,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    body: Strict<CreateSession>,
) -> Result<Response, Problem> {
    let bound = key.with_body(body.hash);
    if bound.key.len() > MAX_KEY {
        return Err(Problem::invalid("Idempotency-Key", format!("has at most {MAX_KEY} characters")));
    }
    // Wherever it is mounted. What one space asks for is none of another's.
    let idempotency = IdempotencyRow { route: format!("monime {space} POST /v1/checkout-sessions"), ..bound };
    let submission = body.value.into_submission(caller.shared_scope(), space, idempotency, trace)?;
    let sold = sell(&ctx, submission, PATIENCE).await?;
    // Nobody but the client knows the link yet: whatever has become of it since, this is what it was told first.
    let answer = SessionAnswer::of(Session::of(&sold.checkout).as_made());
    let response = sold.marked(json(StatusCode::OK, &answer));
    Ok(if sold.replayed { heads::cached(response) } else { response })
}

/// One session of the space.
#[utoipa::path(
    get,
    path = "/v1/checkout-sessions/{id}",
    tag = "monime",
    params(("id" = CheckoutId, Path, description = "The id"), Space),
    responses(
        (status = 200, description = "The session", body = SessionAnswer),
        (status = 404, description = "Not there, or not in this space", body = Fault),
    ),
)]
async fn monime_get(
    caller: Caller<CheckoutsRead>,
    space: Space,
    Known(id): Known<CheckoutId>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    Ok(shown(StatusCode::OK, &in_space(&ctx, caller.scope(), &space, &id).await?))
}

/// The sessions of the space, newest first.
#[utoipa::path(
    get,
    path = "/v1/checkout-sessions",
    tag = "monime",
    params(Space, Listing),
    responses(
        (status = 200, description = "A page; `pagination.next` is the `after` of the next one", body = SessionList),
    ),
)]
async fn monime_list(
    caller: Caller<CheckoutsRead>,
    Space(space): Space,
    Query(listing): Query<Listing>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let (statuses, page) = listing.read()?;
    let filter = CheckoutFilter { statuses, space: Some(space), ..CheckoutFilter::default() };
    let found = ctx.store().checkouts(caller.scope(), &filter, &page).await?;
    Ok(json(StatusCode::OK, &SessionList::of(found.data.iter().map(Session::of).collect(), found.next_cursor)))
}

/// Calls a session off. One that was called off before is answered the same.
#[utoipa::path(
    delete,
    path = "/v1/checkout-sessions/{id}",
    tag = "monime",
    params(("id" = CheckoutId, Path, description = "The id"), Space),
    responses(
        (status = 200, description = "`cancelled`", body = SessionAnswer),
        (status = 202, description = "Still `pending`: whoever asks the customer for the money has to take the question back first", body = SessionAnswer),
        (status = 404, description = "Not there, or not in this space", body = Fault),
        (status = 409, description = "`not_cancelable`: it was paid, has expired, or may be paid already", body = Fault),
    ),
)]
async fn monime_delete(
    caller: Caller<CheckoutsWrite>,
    space: Space,
    Known(id): Known<CheckoutId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
) -> Result<Response, Problem> {
    let checkout = in_space(&ctx, caller.scope(), &space, &id).await?;
    if SessionStatus::of(checkout.status) == SessionStatus::Cancelled {
        return Ok(shown(StatusCode::OK, &checkout));
    }
    let (status, checkout) = call_off(&ctx, caller.scope(), &id, &trace).await?;
    Ok(shown(status, &checkout))
}

fn shown(status: StatusCode, checkout: &Checkout) -> Response {
    json(status, &SessionAnswer::of(Session::of(checkout)))
}

/// What is another space's is not there.
async fn in_space(ctx: &ApiContext, scope: &Scope, Space(space): &Space, id: &CheckoutId) -> Result<Checkout, Problem> {
    let checkout = read(ctx, scope, id).await?;
    if checkout.order.space.as_ref() == Some(space) { Ok(checkout) } else { Err(Problem::NotFound) }
}
