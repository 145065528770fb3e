//! BokaMera's Stripe checkout: `POST /payment/stripe/v1/checkout` and `…/checkout/status`.
//!
//! | file | owns |
//! |---|---|
//! | `request` | what its clients ask for, as a cart of ours |
//! | `folded` | field names in any case |
//! | `countries` | which countries there are |
//! | `jsonp` | answers as calls of a function |
//! | `view` | what they are told |
//!
//! Whatever is open under the same reference is called off: that is the engine's (`replaces_open`).

mod countries;
mod folded;
mod jsonp;
mod request;
mod view;

pub(crate) use jsonp::Callback;

use folded::Folded;
use jsonp::Shape;
use request::{CheckoutRequest, StatusRequest};
use view::{Fault, Session, SessionStatus};

use super::{
    keyed::Keyed,
    sale::{EXPIRES_IN, PATIENCE, Sold, again, sell},
    told::{Dialect, is_under},
};
use crate::{
    auth::{Caller, CheckoutsRead, CheckoutsWrite},
    context::ApiContext,
    idempotency::IdempotencyKey,
    intake::{Buyer, Page, Submission},
    problem::Problem,
    routes::checkouts::read,
    trace::TraceParent,
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        checkout::Checkout,
        hosted::{Looks, PaymentOptions, UiMode},
        id::CheckoutId,
        money::Currency,
        pricing::{Cart, CartLine},
        scope::Scope,
        settings::CompanyId,
        state::Status,
    },
    ports::store::IdempotencyRow,
};
use serde_json::{Map, Value};
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

const PREFIX: &str = "/bokamera";
const FOLDER: &str = "/payment/stripe";

/// As the edge knows it.
pub(super) static DIALECT: Dialect = Dialect {
    prefix: PREFIX,
    is_at_root: |path| is_under(path, FOLDER),
    schema_of_faults: || Fault::name(),
    fault: view::fault,
    heads: None,
};

/// What a key is bound to, wherever the route is mounted, and whatever its ending.
const ROUTE: &str = "bokamera POST /payment/stripe/v1/checkout";

/// Whether a path is one of theirs.
pub(crate) fn is_theirs(path: &str) -> bool {
    is_under(path, PREFIX) || is_under(path, FOLDER)
}

/// Everything: the native API has none of it.
pub(super) fn whole() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new()
        .routes(routes!(bokamera_checkout))
        .routes(routes!(bokamera_checkout_json))
        .routes(routes!(bokamera_status))
        .routes(routes!(bokamera_status_json))
}

/// Makes a checkout whose articles are paid for on a page, and calls off what is open under the same reference.
#[utoipa::path(
    post,
    path = "/payment/stripe/v1/checkout",
    tag = "bokamera",
    params(
        ("format" = Option<String>, Query, description = "`json`"),
        ("callback" = Option<String>, Query, description = "The function that the answer is handed to, as a script"),
        ("Idempotency-Key" = Option<String>, Header, description = "Left out, the same request is one with an earlier one that was not answered"),
    ),
    request_body = CheckoutRequest,
    responses(
        (status = 200, description = "The page is there", body = Session),
        (status = 400, description = "It cannot be read, or cannot be done", body = Fault),
        (status = 409, description = "`too_many_open`", body = Fault),
    ),
)]
async fn bokamera_checkout(
    caller: Caller<CheckoutsWrite>,
    _: Shape,
    key: Option<IdempotencyKey>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    body: Folded<CheckoutRequest>,
) -> Result<Response, Problem> {
    let Folded { value: mut request, hash } = body;
    // What can never be done leaves nothing behind.
    request.check()?;
    let (lines, country, ui_mode) = (request.lines()?, request.country()?, request.ui_mode()?);
    let wanted = Wanted { request, lines, country, ui_mode };
    let mut keyed = Keyed::of(&ctx, caller.scope(), ROUTE, key, hash).await?;
    let mut sold = offer(&ctx, &caller, &wanted, &keyed.row, &trace).await;
    if let Ok(over) = &sold
        && let Some(anew) = keyed.anew(&ctx, over).await?
    {
        keyed = anew;
        sold = offer(&ctx, &caller, &wanted, &keyed.row, &trace).await;
    }
    match sold.and_then(opened) {
        Ok(sold) => {
            let session = Session::of(&sold.checkout).ok_or(Problem::Internal)?;
            keyed.answer(&ctx, sold.is_settled(), sold.marked(view::answer(&session))).await
        }
        // In their words already here: what the edge would say again is noted as gone out.
        Err(problem) => keyed.answer(&ctx, true, DIALECT.retold(problem.into_response())).await,
    }
}

/// What is asked for, as far as it can be read without a look at the store.
struct Wanted {
    request: CheckoutRequest,
    lines: Vec<CartLine>,
    country: String,
    ui_mode: UiMode,
}

/// Makes the page, or finds the one that was made before: whatever has changed since, the same key has the same one.
async fn offer(
    ctx: &ApiContext,
    caller: &Caller<CheckoutsWrite>,
    wanted: &Wanted,
    row: &IdempotencyRow,
    trace: &TraceParent,
) -> Result<Sold, Problem> {
    match submission(ctx, caller, wanted, row, trace).await {
        Ok(submission) => sell(ctx, submission, PATIENCE).await,
        Err(refused) => again(ctx, caller.scope(), row, PATIENCE).await?.ok_or(refused),
    }
}

async fn submission(
    ctx: &ApiContext,
    caller: &Caller<CheckoutsWrite>,
    wanted: &Wanted,
    row: &IdempotencyRow,
    trace: &TraceParent,
) -> Result<Submission, Problem> {
    let Wanted { request, lines, country, ui_mode } = wanted;
    check_company(ctx, caller.scope(), &request.company_id).await?;
    Ok(Submission {
        cart: cart(ctx, caller, lines.clone()).await?,
        buyer: request.sells_memberships().then(|| Buyer::Described(Box::default())),
        payment: None,
        page: Some(Page { options: PaymentOptions::default(), ui_mode: *ui_mode, looks: Looks::default() }),
        success_url: request.confirmation_url.clone(),
        cancel_url: request.cancel_url.clone(),
        callback_url: None,
        callback_state: None,
        reference: Some(request.internal_reference_id.clone()),
        replaces_open: true,
        space: None,
        metadata: Map::from_iter([("CountryCode".to_owned(), Value::String(country.clone()))]),
        expires_in: EXPIRES_IN,
        idempotency: row.clone(),
        scope: caller.shared_scope(),
        trace: trace.clone(),
    })
}

/// The same with an ending that says what is said anyway.
#[utoipa::path(
    post,
    path = "/payment/stripe/v1/checkout.json",
    tag = "bokamera",
    params(
        ("callback" = Option<String>, Query, description = "The function that the answer is handed to, as a script"),
        ("Idempotency-Key" = Option<String>, Header, description = "Left out, the same request is one with an earlier one that was not answered"),
    ),
    request_body = CheckoutRequest,
    responses(
        (status = 200, description = "The page is there", body = Session),
        (status = 400, description = "It cannot be read, or cannot be done", body = Fault),
        (status = 409, description = "`too_many_open`", body = Fault),
    ),
)]
async fn bokamera_checkout_json(
    caller: Caller<CheckoutsWrite>,
    shape: Shape,
    key: Option<IdempotencyKey>,
    ctx: State<ApiContext>,
    trace: Extension<TraceParent>,
    body: Folded<CheckoutRequest>,
) -> Result<Response, Problem> {
    bokamera_checkout(caller, shape, key, ctx, trace, body).await
}

/// How a checkout stands.
#[utoipa::path(
    post,
    path = "/payment/stripe/v1/checkout/status",
    tag = "bokamera",
    params(
        ("format" = Option<String>, Query, description = "`json`"),
        ("callback" = Option<String>, Query, description = "The function that the answer is handed to, as a script"),
    ),
    request_body = StatusRequest,
    responses(
        (status = 200, description = "How it stands", body = SessionStatus),
        (status = 400, description = "It cannot be read, or the company is another one", body = Fault),
        (status = 404, description = "Not there", body = Fault),
    ),
)]
async fn bokamera_status(
    caller: Caller<CheckoutsRead>,
    _: Shape,
    State(ctx): State<ApiContext>,
    body: Folded<StatusRequest>,
) -> Result<Response, Problem> {
    check_company(&ctx, caller.scope(), &body.value.company_id).await?;
    let id = CheckoutId::parse(body.value.session_id).map_err(|_| Problem::NotFound)?;
    let checkout = read(&ctx, caller.scope(), &id).await?;
    let customer = match &checkout.order.customer {
        Some(customer) => ctx.store().customer(caller.scope(), customer).await?,
        None => None,
    };
    let customer_email = customer.and_then(|customer| customer.email).unwrap_or_default();
    Ok(view::answer(&SessionStatus { customer_email, status: view::status(checkout.status) }))
}

/// The same with an ending that says what is said anyway.
#[utoipa::path(
    post,
    path = "/payment/stripe/v1/checkout/status.json",
    tag = "bokamera",
    params(("callback" = Option<String>, Query, description = "The function that the answer is handed to, as a script")),
    request_body = StatusRequest,
    responses(
        (status = 200, description = "How it stands", body = SessionStatus),
        (status = 400, description = "It cannot be read, or the company is another one", body = Fault),
        (status = 404, description = "Not there", body = Fault),
    ),
)]
async fn bokamera_status_json(
    caller: Caller<CheckoutsRead>,
    shape: Shape,
    ctx: State<ApiContext>,
    body: Folded<StatusRequest>,
) -> Result<Response, Problem> {
    bokamera_status(caller, shape, ctx, body).await
}

/// The key says whose it is. Where the tenant has said what it is called there, a client that means another one is refused.
async fn check_company(ctx: &ApiContext, scope: &Scope, given: &str) -> Result<(), Problem> {
    let given = CompanyId::parse(given).ok_or_else(|| Problem::invalid("CompanyId", "is a GUID"))?;
    let settings = match ctx.pages().settings_of(scope) {
        Some(settings) => settings,
        None => {
            let asked = Instant::now();
            ctx.pages().read(scope, asked, ctx.store().settings(scope).await?.settings)
        }
    };
    match settings.company_id {
        Some(ours) if ours != given => Err(Problem::invalid("CompanyId", "is not the company of this API key")),
        _ => Ok(()),
    }
}

/// In the currency that the first article is sold in. Of what is not there the intake says so.
async fn cart(ctx: &ApiContext, caller: &Caller<CheckoutsWrite>, lines: Vec<CartLine>) -> Result<Cart, Problem> {
    let found = match lines.first() {
        Some(line) => ctx.intake().currency_of(&caller.shared_scope(), &line.item).await?,
        None => None,
    };
    Ok(Cart { currency: found.unwrap_or(Currency::USD), lines, promo_code: None })
}

/// What could not even be begun is no session, and why is told at once.
fn opened(sold: Sold) -> Result<Sold, Problem> {
    let Checkout { status, attempts, error, .. } = &sold.checkout;
    match error {
        Some(error) if *status == Status::Failed && attempts.is_empty() => Err(error.clone().into()),
        _ => Ok(sold),
    }
}
