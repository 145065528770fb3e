//! ClassManager's basket checkout: `/v1/basket/{familyId}/quote` and `…/checkout`, `/v1/balances`, `/v1/transactions/`.
//!
//! | file | owns |
//! |---|---|
//! | `request` | what its clients ask for |
//! | `basket` | whose it is, what it names, and where a problem stands in it |
//! | `books` | our ledger as debits and credits of families |
//! | `view` | the shapes of what they are told |
//!
//! A basket is paid by a payment intent: what the family has authorised at the provider before.

mod basket;
mod books;
mod request;
mod view;

use basket::{Basket, Family, family, resolve};
use books::{Books, balances, kind_of};
use request::{CheckoutRequest, Items, Kind, Place};
use view::{BalanceView, Fault, Quote, QuotedItem, Statement, Stats};

use super::{
    keyed::Keyed,
    sale::{EXPIRES_IN, PATIENCE, Sold, again, sell},
    told::{Dialect, is_under},
};
use crate::{
    auth::{Caller, CheckoutsRead, CheckoutsWrite},
    bounds,
    context::ApiContext,
    idempotency::IdempotencyKey,
    intake::{Buyer, Submission},
    problem::Problem,
    respond::json,
    routes::{paging::page, paths::Known},
    strict::{Limit, Query, Strict},
    trace::TraceParent,
};
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        checkout::Checkout,
        error::{Code, CodedError},
        id::{CheckoutId, CustomerId, PaymentIntentId},
        ledger::LedgerKind,
        ledger_view::LedgerRecord,
        leg::Tender,
        payment_intent::IntentUse,
        pricing::Priced,
        scope::Scope,
        state::Status,
        tender::Asked,
    },
    ports::store::{BalancesOf, IdempotencyRow, LedgerFilter, PageRequest},
};
use futures::future::try_join_all;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::Map;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// As the edge knows it.
pub(super) static DIALECT: Dialect = Dialect {
    prefix: "/classmanager",
    is_at_root: |path| ["/v1/basket", "/v1/balances", "/v1/transactions"].into_iter().any(|folder| is_under(path, folder)),
    schema_of_faults: || Fault::name(),
    fault: view::fault,
    heads: None,
};

/// All of it; the native API has none of these routes.
pub(super) fn whole() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new()
        .routes(routes!(classmanager_quote))
        .routes(routes!(classmanager_checkout))
        .routes(routes!(classmanager_balances))
        .routes(routes!(classmanager_transactions))
        .route("/v1/transactions", axum::routing::get(classmanager_transactions))
        .route("/v1/balances/", axum::routing::get(classmanager_balances))
}

/// What a basket comes to. Makes nothing, and says nothing of what is left.
#[utoipa::path(
    get,
    path = "/v1/basket/{familyId}/quote",
    tag = "classmanager",
    params(
        ("familyId" = String, Path, description = "The family"),
        ("items" = Option<String>, Query, description = "The basket, as `items` of a checkout: JSON, `{\"enrolments\": […], \"trials\": […]}`; left out, it is empty"),
    ),
    responses(
        (status = 200, description = "What it comes to", body = Quote),
        (status = 403, description = "A student of another family", body = Fault),
        (status = 404, description = "No such family, student, class, occurrence or pricing plan", body = Fault),
        (status = 422, description = "The basket cannot be read, or cannot be sold", body = Fault),
    ),
)]
async fn classmanager_quote(
    caller: Caller<CheckoutsRead>,
    Known(id): Known<String>,
    RawQuery(query): RawQuery,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let scope = caller.shared_scope();
    let family = family(&ctx, &scope, id).await?;
    // Longer than other parameters may be.
    let pairs = url::form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes());
    let items = pairs.into_iter().find(|(name, _)| name == "items").map(|(_, text)| Items::parse(&text)).transpose()?.unwrap_or_default();
    let company = scope.tenant().to_owned();
    let found = resolve(&ctx, &scope, &family, items.places()?).await?;
    let Family { id: family_id, name: family_name } = family;
    let Some(basket) = found else {
        let (items, stats) = (Vec::new(), Stats::default());
        return Ok(json(StatusCode::OK, &Quote { company_id: company, family_id, family_name, currency: None, items, stats }));
    };
    let buyer = Buyer::Known(basket.payer.clone());
    let priced = ctx.intake().quote(&scope, &basket.cart, Some(&buyer)).await.map_err(|problem| basket.in_their_words(problem))?;
    let currency = Some(basket.cart.currency.as_str().to_owned());
    let (items, stats) = (quoted(&basket, &priced), stats(&priced));
    Ok(json(StatusCode::OK, &Quote { company_id: company, family_id, family_name, currency, items, stats }))
}

fn quoted(basket: &Basket, priced: &Priced) -> Vec<QuotedItem> {
    let item = |(place, line): (&request::Place, &boxoffice_common::domain::line::Line)| QuotedItem {
        kind: kind_of(&line.item),
        class_id: place.class.to_string(),
        student_id: place.student.clone(),
        pricing_plan_id: if let Kind::Enrolment(plan) = &place.kind { Some(plan.to_string()) } else { None },
        session_id: line.item.entity().map(ToString::to_string).unwrap_or_default(),
        description: line.name.clone(),
        amount: line.amount,
        discount_amount: line.discount_amount,
        tax_amount: line.tax_amount,
    };
    basket.places.iter().zip(&priced.lines).map(item).collect()
}

fn stats(priced: &Priced) -> Stats {
    let totals = priced.totals;
    Stats { total: totals.total, subtotal: totals.subtotal, discount_total: totals.discount, tax_total: totals.tax }
}

/// Takes the places of a basket, and captures what was authorised for it.
#[utoipa::path(
    post,
    path = "/v1/basket/{familyId}/checkout",
    tag = "classmanager",
    params(
        ("familyId" = String, Path, description = "The family"),
        ("Idempotency-Key" = Option<String>, Header, description = "Left out, the same request is one with an earlier one that was not answered"),
    ),
    request_body = CheckoutRequest,
    responses(
        (status = 200, description = "Sold: the debit, and the credit that paid it", body = Vec<Statement>),
        (status = 204, description = "Nothing was due: the places are taken, if there were any, and nothing is in the books"),
        (status = 403, description = "A student of another family", body = Fault),
        (status = 404, description = "No such family, student, class, occurrence or pricing plan", body = Fault),
        (status = 422, description = "The basket cannot be read, cannot be sold, or was not paid", body = Fault),
    ),
)]
async fn classmanager_checkout(
    caller: Caller<CheckoutsWrite>,
    Known(id): Known<String>,
    key: Option<IdempotencyKey>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    body: Strict<CheckoutRequest>,
) -> Result<Response, Problem> {
    // What can never be done leaves nothing behind.
    let (intent, places) = (body.value.intent()?, body.value.items.places()?);
    let scope = caller.shared_scope();
    if places.is_empty() {
        family(&ctx, &scope, id).await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    bounds::text(&id, 64, "familyId").map_err(|_| Problem::NotFound)?;
    let keyed = Keyed::of(&ctx, &scope, &format!("classmanager POST /v1/basket/{id}/checkout"), key, body.hash).await?;
    let sale = async {
        let (basket, sold) = match resolved(&ctx, &scope, id, places).await {
            Ok(basket) => {
                let sold = pay(&ctx, Arc::clone(&scope), &basket, intent, keyed.row.clone(), trace).await;
                (Some(basket), sold)
            }
            // Whatever has changed since, what was sold then is told.
            Err(refused) => (None, again(&ctx, &scope, &keyed.row, PATIENCE).await?.ok_or(refused)),
        };
        let in_their_words = |problem: Problem| match &basket {
            Some(basket) => basket.in_their_words(problem),
            None => problem,
        };
        let sold = sold.map_err(in_their_words)?;
        let response = answer(&ctx, &scope, &sold).await.map_err(in_their_words)?;
        Ok::<_, Problem>((is_final(&sold), sold.marked(response)))
    };
    match sale.await {
        Ok((is_final, response)) => keyed.answer(&ctx, is_final, response).await,
        // In their words already here: what the edge would say again is noted as gone out.
        Err(problem) => keyed.answer(&ctx, true, DIALECT.retold(problem.into_response())).await,
    }
}

/// A family's basket, which is not empty.
async fn resolved(ctx: &ApiContext, scope: &Scope, family_id: String, places: Vec<Place>) -> Result<Basket, Problem> {
    let family = family(ctx, scope, family_id).await?;
    resolve(ctx, scope, &family, places).await?.ok_or(Problem::Internal)
}

/// Whether the same request may be a purchase of its own behind this answer. What was paid with an intent is sold once: there is no other
/// sale that the same request could mean.
fn is_final(sold: &Sold) -> bool {
    let order = &sold.checkout.order;
    let by_intent = order.legs.iter().any(|leg| matches!(leg.tender, Tender::PaymentIntent(_)));
    sold.is_settled() && !(sold.checkout.status == Status::Succeeded && by_intent && !order.totals.total.is_zero())
}

async fn pay(
    ctx: &ApiContext,
    scope: Arc<Scope>,
    basket: &Basket,
    intent: Option<PaymentIntentId>,
    idempotency: IdempotencyRow,
    trace: TraceParent,
) -> Result<Sold, Problem> {
    let method = |id| Asked { tender: Tender::PaymentIntent(IntentUse::of(id)), amount: None, param: "payment.methods[0]".to_owned() };
    let submission = Submission {
        scope,
        idempotency,
        cart: basket.cart.clone(),
        buyer: Some(Buyer::Known(basket.payer.clone())),
        payment: intent.map(|id| vec![method(id)]),
        page: None,
        success_url: None,
        cancel_url: None,
        callback_url: None,
        callback_state: None,
        reference: None,
        metadata: Map::new(),
        expires_in: EXPIRES_IN,
        replaces_open: false,
        space: None,
        trace,
    };
    sell(ctx, submission, PATIENCE).await
}

/// What became of it.
async fn answer(ctx: &ApiContext, scope: &Scope, sold: &Sold) -> Result<Response, Problem> {
    let checkout = &sold.checkout;
    match checkout.status {
        Status::Succeeded if checkout.order.totals.total.is_zero() => Ok(StatusCode::NO_CONTENT.into_response()),
        Status::Succeeded => {
            let filter = LedgerFilter { checkout: Some(checkout.id.clone()), kind: Some(LedgerKind::Sale), ..LedgerFilter::default() };
            let records = ctx.store().ledger_transactions(scope, &filter, &PageRequest { limit: 1, after: None }).await?.data;
            Ok(json(StatusCode::OK, &statements(ctx, scope, &records, vec![checkout.clone()]).await?))
        }
        Status::Failed | Status::Canceled | Status::Expired => {
            let error = checkout.error.clone().unwrap_or_else(|| CodedError::new(Code::Canceled, "it was called off"));
            Err(error.into())
        }
        Status::Queued | Status::Processing | Status::AwaitingPayment | Status::Reconciling | Status::NeedsReview => {
            let message = format!("{} is still under way: the same request again tells what becomes of it", checkout.id);
            let fault = Fault::new(StatusCode::SERVICE_UNAVAILABLE, message, Some("processing"));
            let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &fault);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            Ok(response)
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct Whose {
    /// Only of this family.
    family_id: Option<String>,
}

/// What a family was charged and has paid; without one, everybody.
#[utoipa::path(
    get,
    path = "/v1/balances",
    tag = "classmanager",
    params(Whose),
    responses(
        (status = 200, description = "One for each currency", body = Vec<BalanceView>),
        (status = 404, description = "No such family", body = Fault),
        (status = 422, description = "A parameter is out of its bounds", body = Fault),
    ),
)]
async fn classmanager_balances(
    caller: Caller<CheckoutsRead>,
    Query(Whose { family_id }): Query<Whose>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let scope = caller.scope();
    let family = named(&ctx, scope, family_id).await?;
    let of = family.as_ref().map_or(BalancesOf::Everybody, |family| BalancesOf::Family(&family.id));
    let sums = ctx.store().ledger_balances(scope, of).await?;
    let whose = family.as_ref().map(|family| (family.id.as_str(), family.name.as_str()));
    Ok(json(StatusCode::OK, &balances(&sums, scope.tenant(), whose).map_err(|_| Problem::Internal)?))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct Filter {
    /// Only of this family.
    family_id: Option<String>,
    /// 1 to 100 transactions of the ledger, each of which is a debit, a credit, or both; 20 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<Limit>,
    /// From the `Link` of the page before.
    cursor: Option<String>,
}

/// The ledger, newest first, as debits and credits. `Link` leads to the next page.
#[utoipa::path(
    get,
    path = "/v1/transactions/",
    tag = "classmanager",
    params(Filter),
    responses(
        (status = 200, description = "A page", body = Vec<Statement>),
        (status = 404, description = "No such family", body = Fault),
        (status = 422, description = "A parameter is out of its bounds", body = Fault),
    ),
)]
async fn classmanager_transactions(
    caller: Caller<CheckoutsRead>,
    Query(Filter { family_id, limit, cursor }): Query<Filter>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let scope = caller.scope();
    let limit = limit.unwrap_or_default();
    let page = page(limit, cursor)?;
    let family = named(&ctx, scope, family_id).await?.map(|family| family.id);
    let found = ctx.store().ledger_transactions(scope, &LedgerFilter { family: family.clone(), ..LedgerFilter::default() }, &page).await?;
    let sold: BTreeSet<&CheckoutId> =
        found.data.iter().filter(|record| record.kind == LedgerKind::Sale).filter_map(|record| record.checkout.as_ref()).collect();
    // Those that are looked for at the same time share one look.
    let checkouts = try_join_all(sold.into_iter().map(|id| ctx.store().checkout(id))).await?.into_iter().flatten().collect();
    let mut response = json(StatusCode::OK, &statements(&ctx, scope, &found.data, checkouts).await?);
    if let Some(cursor) = found.next_cursor {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &limit.0.to_string()).append_pair("cursor", &cursor);
        if let Some(family) = &family {
            query.append_pair("familyId", family);
        }
        if let Ok(link) = HeaderValue::try_from(format!("<?{}>; rel=\"next\"", query.finish())) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}

/// The family that a list is narrowed to.
async fn named(ctx: &ApiContext, scope: &Scope, id: Option<String>) -> Result<Option<Family>, Problem> {
    bounds::optional(id.as_ref(), 64, "familyId")?;
    match id {
        Some(id) => family(ctx, scope, id).await.map(Some),
        None => Ok(None),
    }
}

async fn statements(
    ctx: &ApiContext,
    scope: &Scope,
    records: &[LedgerRecord],
    checkouts: Vec<Checkout>,
) -> Result<Vec<Statement>, Problem> {
    let buyers = records.iter().filter_map(|record| record.customer.as_ref());
    let lines = checkouts.iter().flat_map(|checkout| &checkout.order.lines);
    let students = lines.flat_map(|line| line.item.participants()).filter_map(|participant| participant.customer.as_ref());
    let ids: BTreeSet<&CustomerId> = buyers.chain(students).collect();
    let ids: Vec<CustomerId> = ids.into_iter().cloned().collect();
    let people = if ids.is_empty() { Vec::new() } else { ctx.store().customers_by_name(scope, &ids, &[]).await? };
    let books = Books {
        company: scope.tenant(),
        time_zone: ctx.store().settings(scope).await?.settings.time_zone,
        people: people.into_iter().filter_map(|customer| Some((customer.id.clone()?, customer))).collect(),
        checkouts: checkouts.into_iter().map(|checkout| (checkout.id.clone(), checkout)).collect::<HashMap<_, _>>(),
    };
    let told: Result<Vec<Vec<Statement>>, _> = records.iter().map(|record| books.statements(record)).collect();
    Ok(told.map_err(|_| Problem::Internal)?.into_iter().flatten().collect())
}
