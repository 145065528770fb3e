//! `/v1/sessions/{id}/cancel`, `/v1/jobs…`: calling a session off, and how far that has come.

use crate::{
    auth::{Admin, Caller},
    bounds,
    context::ApiContext,
    idempotency::IdempotencyKey,
    problem::Problem,
    respond::{List, first_answer, first_answer_again, json, located},
    routes::{paging::Paging, paths::Known},
    strict::{NoFields, Query, Strict},
};
use axum::{extract::State, response::Response};
use boxoffice_common::{
    domain::{
        catalogue::Kind,
        id::{CatalogueId, JobId},
        job::Job,
        scope::Scope,
    },
    ports::store::{CancelSession, JobChange, NewCancellation},
};
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Where jobs are looked up.
const FOLDER: &str = "/v1/jobs";
/// The longest reason, characters: it becomes that of every refund.
const MAX_REASON: usize = 500;

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new()
        .routes(routes!(cancel))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(retry))
}

/// Why a session is called off.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CancelSessionBody {
    /// For people; every refund has it.
    reason: Option<String>,
}

/// Calls a session off: nothing of it is sold from now on, and a job gives everybody back what was paid for it.
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/cancel",
    tag = "jobs",
    params(
        ("id" = CatalogueId, Path, description = "The session's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, quoted or not"),
    ),
    request_body = CancelSessionBody,
    responses(
        (status = 202, description = "Called off; the job runs. The same key and body again get this answer again, with `Idempotent-Replayed: true`", body = Job, headers(("Location" = String), ("Idempotent-Replayed" = bool))),
        (status = 200, description = "It was called off before, by this job. The same key and body again get this answer again", body = Job, headers(("Location" = String), ("Idempotent-Replayed" = bool))),
        (status = 404, description = "No such session"),
        (status = 422, description = "A key that was used with another body"),
    ),
)]
async fn cancel(
    caller: Caller<Admin>,
    Known(session): Known<CatalogueId>,
    key: Option<IdempotencyKey>,
    State(ctx): State<ApiContext>,
    body: Strict<CancelSessionBody>,
) -> Result<Response, Problem> {
    let idempotency = key.map(|key| key.with_body(body.hash));
    let reason = body.value.reason;
    bounds::optional(reason.as_ref(), MAX_REASON, "reason")?;
    let id = JobId::generate(ctx.entropy(), ctx.clock().now());
    let new = NewCancellation { id, scope: caller.scope().clone(), session, reason, idempotency };
    let canceled = ctx.store().cancel_session(&new).await?;
    match canceled {
        CancelSession::Created(answer) => {
            ctx.aftermath().restocked(caller.scope(), Kind::Session, &new.session).await;
            Ok(first_answer(answer, Some(FOLDER)))
        }
        CancelSession::Replayed(answer) => Ok(first_answer_again(answer, Some(FOLDER))),
        CancelSession::Existing(job) => {
            ctx.aftermath().restocked(caller.scope(), Kind::Session, &new.session).await;
            Ok(located(json(StatusCode::OK, &*job), FOLDER, job.id.as_str()))
        }
        CancelSession::KeyReused => Err(Problem::IdempotencyKeyReused),
        CancelSession::Missing => Err(Problem::NotFound),
    }
}

/// A page of jobs, newest first.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    tag = "jobs",
    params(Paging),
    responses(
        (status = 200, description = "A page", body = List<Job>),
    ),
)]
async fn list(caller: Caller<Admin>, paging: Query<Paging>, State(ctx): State<ApiContext>) -> Result<List<Job>, Problem> {
    Ok(List::of(ctx.store().jobs(caller.scope(), &paging.page()?).await?, |job| job))
}

/// One job: how far it has come.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The id")),
    responses(
        (status = 200, description = "The job", body = Job),
        (status = 404, description = "Not there"),
    ),
)]
async fn get(caller: Caller<Admin>, Known(id): Known<JobId>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let job = ctx.store().job(caller.scope(), &id).await?.ok_or(Problem::NotFound)?;
    Ok(json(StatusCode::OK, &job))
}

/// Stops a job until it is resumed. What is under way comes to its end.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/pause",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The id")),
    responses(
        (status = 200, description = "Paused, now or before", body = Job),
        (status = 404, description = "Not there"),
        (status = 409, description = "`job_ended`"),
    ),
)]
async fn pause(caller: Caller<Admin>, Known(id): Known<JobId>, State(ctx): State<ApiContext>, _: NoFields) -> Result<Response, Problem> {
    change(&ctx, caller.scope(), &id, true).await
}

/// Lets a job go on.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/resume",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The id")),
    responses(
        (status = 200, description = "Running, now or before", body = Job),
        (status = 404, description = "Not there"),
        (status = 409, description = "`job_ended`"),
    ),
)]
async fn resume(caller: Caller<Admin>, Known(id): Known<JobId>, State(ctx): State<ApiContext>, _: NoFields) -> Result<Response, Problem> {
    change(&ctx, caller.scope(), &id, false).await
}

/// Tries anew what could not be done, each with a refund of its own. A job that has ended runs again.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/retry",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The id")),
    responses(
        (status = 200, description = "What had failed is tried anew; as it is when nothing had", body = Job),
        (status = 404, description = "Not there"),
        (status = 409, description = "`job_superseded`"),
    ),
)]
async fn retry(caller: Caller<Admin>, Known(id): Known<JobId>, State(ctx): State<ApiContext>, _: NoFields) -> Result<Response, Problem> {
    changed(ctx.store().retry_job(caller.scope(), &id).await?)
}

async fn change(ctx: &ApiContext, scope: &Scope, id: &JobId, paused: bool) -> Result<Response, Problem> {
    changed(ctx.store().pause_job(scope, id, paused).await?)
}

fn changed(change: JobChange) -> Result<Response, Problem> {
    match change {
        JobChange::Changed(job) => Ok(json(StatusCode::OK, &*job)),
        JobChange::Ended(job) => {
            let detail = format!("the job has come to its end: it has {}", job.status.as_str());
            Err(Problem::Conflict { code: "job_ended", detail, param: None })
        }
        JobChange::Superseded(other) => {
            let detail = format!("the session was called off once more: what is left to do is the job {other}'s");
            Err(Problem::Conflict { code: "job_superseded", detail, param: None })
        }
        JobChange::Missing => Err(Problem::NotFound),
    }
}
