//! `/v1/sessions/{id}/waiting-list`, `/v1/waiting-list/{id}`: waiting for places of a session that is full.

use crate::{
    auth::{Caller, CheckoutsRead, CheckoutsWrite},
    callback_address,
    context::ApiContext,
    idempotency::IdempotencyKey,
    problem::Problem,
    respond::{List, first_answer, first_answer_again, json},
    routes::{paging::page, paths::Known},
    strict::{Limit, Query, Strict},
    trace::TraceParent,
};
use axum::{Extension, extract::State, response::Response};
use boxoffice_common::{
    domain::{
        catalogue::Kind,
        error::{Code, CodedError},
        id::{CatalogueId, CustomerId, WaitingId},
        pricing::MAX_QUANTITY,
        scope::Scope,
        waiting::{WaitingEntryView, WaitingStatus},
    },
    ports::store::{IdempotencyRow, JoinResult, LeaveResult, NewWaiting},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{ops::RangeInclusive, time::Duration};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Where entries are looked up.
const FOLDER: &str = "/v1/waiting-list";
/// How long an offer may last, seconds.
const OFFER_FOR: RangeInclusive<u32> = 60..=86_400;
const DEFAULT_OFFER_FOR: u32 = 900;

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(join, waiting_list)).routes(routes!(get, leave))
}

/// Who waits, and for what.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct JoinWaitingList {
    /// A customer's id.
    customer: CustomerId,
    /// 1 to 1,000; 1 when left out. An offer is for all of them.
    quantity: Option<u32>,
    /// Where this entry's callbacks go.
    callback_url: Option<String>,
    /// How long an offer lasts, seconds: 60 to 86,400; 900 when left out.
    offer_for: Option<u32>,
}

impl JoinWaitingList {
    fn into_new(
        self,
        scope: Scope,
        session: CatalogueId,
        idempotency: Option<IdempotencyRow>,
        ctx: &ApiContext,
    ) -> Result<NewWaiting, Problem> {
        let quantity = self.quantity.unwrap_or(1);
        if !(1..=MAX_QUANTITY).contains(&quantity) {
            return Err(Problem::invalid("quantity", format!("is 1 to {MAX_QUANTITY}")));
        }
        let offer_for = self.offer_for.unwrap_or(DEFAULT_OFFER_FOR);
        if !OFFER_FOR.contains(&offer_for) {
            return Err(Problem::invalid("offer_for", "is 60 to 86400 seconds"));
        }
        if let Some(url) = &self.callback_url {
            callback_address::check(url, ctx.config().allow_private_callbacks, "callback_url")?;
        }
        Ok(NewWaiting {
            id: WaitingId::generate(ctx.entropy(), ctx.clock().now()),
            scope,
            session,
            idempotency,
            quantity,
            customer: self.customer,
            callback_url: self.callback_url,
            offer_for: Duration::from_secs(u64::from(offer_for)),
        })
    }
}

/// Joins the waiting list of a session that has no place for this customer: 201 once it is durable.
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/waiting-list",
    tag = "waiting list",
    params(
        ("id" = CatalogueId, Path, description = "The session's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, quoted or not"),
    ),
    request_body = JoinWaitingList,
    responses(
        (status = 201, description = "On the list. The same key and body again get this answer again, with `Idempotent-Replayed: true`", body = WaitingEntryView, headers(("Location" = String), ("Idempotent-Replayed" = bool))),
        (status = 404, description = "No such session"),
        (status = 409, description = "`session_not_full`: buy instead; `already_waiting`; `waiting_list_full`"),
        (status = 422, description = "No such customer, one who may not buy it, or a key that was used with another body"),
    ),
)]
async fn join(
    caller: Caller<CheckoutsWrite>,
    Known(session): Known<CatalogueId>,
    key: Option<IdempotencyKey>,
    State(ctx): State<ApiContext>,
    body: Strict<JoinWaitingList>,
) -> Result<Response, Problem> {
    let idempotency = key.map(|key| key.with_body(body.hash));
    let new = body.value.into_new(caller.scope().clone(), session, idempotency, &ctx)?;
    match ctx.store().join(&new).await? {
        JoinResult::Created(answer) => Ok(first_answer(answer, Some(FOLDER))),
        JoinResult::Replayed(answer) => Ok(first_answer_again(answer, Some(FOLDER))),
        JoinResult::KeyReused => Err(Problem::IdempotencyKeyReused),
        JoinResult::Missing => Err(Problem::NotFound),
        JoinResult::CustomerMissing => Err(CodedError::new(Code::ResourceMissing, "no such customer").at("customer").into()),
        JoinResult::Refused(error) => Err(error.into()),
        JoinResult::NotFull => {
            Err(Problem::Conflict { code: "session_not_full", detail: "there is place: buy it".to_owned(), param: None })
        }
        JoinResult::AlreadyThere(id) => {
            let detail = format!("this customer is on the list already: {id}");
            Err(Problem::Conflict { code: "already_waiting", detail, param: Some("customer") })
        }
        JoinResult::ListFull => Err(Problem::Conflict { code: "waiting_list_full", detail: "as many wait as may".to_owned(), param: None }),
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only in this state.
    status: Option<WaitingStatus>,
    /// 1 to 100; 20 when left out.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The entries of a session, in the order in which they joined; those that have ended, too, unless `status` narrows it.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/waiting-list",
    tag = "waiting list",
    params(("id" = CatalogueId, Path, description = "The session's id"), Filter),
    responses(
        (status = 200, description = "A page", body = List<WaitingEntryView>),
        (status = 404, description = "No such session"),
    ),
)]
async fn waiting_list(
    caller: Caller<CheckoutsRead>,
    Known(session): Known<CatalogueId>,
    Query(filter): Query<Filter>,
    State(ctx): State<ApiContext>,
) -> Result<List<Box<RawValue>>, Problem> {
    ctx.store().get(caller.scope(), Kind::Session, &session).await?.ok_or(Problem::NotFound)?;
    let page = page(filter.limit, filter.cursor)?;
    let found = ctx.store().waiting_list(caller.scope(), &session, filter.status, &page).await?;
    let shown = found.data.iter().map(|entry| serde_json::value::to_raw_value(&WaitingEntryView::from(entry)));
    let data = shown.collect::<Result<_, _>>().map_err(|_| Problem::Internal)?;
    Ok(List::with_cursor(data, found.next_cursor))
}

/// One entry.
#[utoipa::path(
    get,
    path = "/v1/waiting-list/{id}",
    tag = "waiting list",
    params(("id" = WaitingId, Path, description = "The id")),
    responses(
        (status = 200, description = "The entry", body = WaitingEntryView),
        (status = 404, description = "Not there"),
    ),
)]
async fn get(caller: Caller<CheckoutsRead>, Known(id): Known<WaitingId>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let entry = ctx.store().waiting_entry(caller.scope(), &id).await?.ok_or(Problem::NotFound)?;
    Ok(json(StatusCode::OK, &WaitingEntryView::from(&entry)))
}

/// Leaves the list. An offer that is open goes to the next at once. May be repeated.
#[utoipa::path(
    delete,
    path = "/v1/waiting-list/{id}",
    tag = "waiting list",
    params(("id" = WaitingId, Path, description = "The id")),
    responses(
        (status = 200, description = "Off the list, now or before", body = WaitingEntryView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`offer_in_use`: a checkout has what was offered, cancel that; `not_waiting`: it was bought, or is over"),
    ),
)]
async fn leave(
    caller: Caller<CheckoutsWrite>,
    Known(id): Known<WaitingId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
) -> Result<Response, Problem> {
    match ctx.store().leave(caller.scope(), &id).await? {
        LeaveResult::Left { entry, moved } => {
            if let Some(moved) = moved {
                ctx.aftermath().after_list(moved, trace.as_str()).await;
            }
            Ok(json(StatusCode::OK, &WaitingEntryView::from(&*entry)))
        }
        LeaveResult::InUse => {
            let detail = "a checkout has what was offered: cancel it, then leave".to_owned();
            Err(Problem::Conflict { code: "offer_in_use", detail, param: None })
        }
        LeaveResult::Ended(status) => {
            let detail = format!("it is {} already", status.as_str());
            Err(Problem::Conflict { code: "not_waiting", detail, param: None })
        }
        LeaveResult::Missing => Err(Problem::NotFound),
    }
}
