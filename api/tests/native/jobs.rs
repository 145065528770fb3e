//! Calling a session off over the API: what is answered, what is refused, and what is whose.

use crate::server::{Reply, Server};
use boxoffice_common::{
    domain::{job::ItemState, scope::Mode, state::Status},
    ports::store::JobStore,
};
use serde_json::{Value, json};
use std::time::Duration;

const CANCEL: &str = "/v1/sessions/ses_yoga/cancel";

/// A yoga session of which one place is sold for cash.
async fn sold(server: &Server) {
    server.yoga().await;
    let body = json!({
        "currency": "usd", "lines": [{"type": "session", "session": "ses_yoga", "quantity": 1}],
        "payment": {"methods": [{"type": "custom", "name": "cash"}]},
    });
    let id = server.checkout("sale", &body).await.json()["id"].as_str().unwrap().to_owned();
    server.work(&id).await;
}

async fn cancel(server: &Server, headers: &[(&str, &str)], body: &Value) -> Reply {
    server.post_json(CANCEL, headers, &body.to_string()).await
}

fn path(job: &Value) -> String {
    format!("/v1/jobs/{}", job["id"].as_str().unwrap())
}

/// Does a worker's work: everything is done at once.
async fn finish(server: &Server) {
    let batch = server.store.take_job("lease", Duration::from_secs(60)).await.unwrap().unwrap();
    let items: Vec<_> = batch.checkouts.into_iter().map(|id| (id, ItemState::Done)).collect();
    server.store.save_job(&batch.job.id, "lease", &items, Duration::ZERO).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_session_is_called_off_once_and_its_job_is_found_paused_and_resumed() {
    let server = Server::start().await;
    sold(&server).await;
    let (key, body) = ([("idempotency-key", "k")], json!({"reason": "rain"}));
    let first = cancel(&server, &key, &body).await;
    let job = first.json();
    let shown =
        ["object", "kind", "session", "status", "total", "done", "failed", "reason", "completed_at"].map(|field| job[field].clone());
    assert_eq!((first.code(), json!(shown)), (202, json!(["job", "session_cancellation", "ses_yoga", "running", 1, 0, 0, "rain", null])));
    assert_eq!((first.header("location"), first.header("idempotent-replayed")), (path(&job).as_str(), ""));
    let again = cancel(&server, &key, &body).await;
    assert_eq!((again.code(), again.header("idempotent-replayed"), &again.body), (202, "true", &first.body));
    assert_eq!(cancel(&server, &key, &json!({})).await.problem(), (422, "idempotency_key_reused".to_owned()));
    let other = cancel(&server, &[], &json!({})).await;
    assert_eq!((other.code(), other.header("location"), other.json()), (200, path(&job).as_str(), job.clone()));
    assert_eq!(server.get(&path(&job)).await.json(), job);
    assert_eq!(server.get("/v1/jobs").await.json(), json!({"data": [job], "next_cursor": null}));
    assert_eq!(server.get("/v1/sessions/ses_yoga").await.json()["status"], "canceled");
    for (change, status) in [("pause", "paused"), ("pause", "paused"), ("resume", "running"), ("resume", "running")] {
        let reply = server.post(&format!("{}/{change}", path(&job))).await;
        assert_eq!((reply.code(), &reply.json()["status"]), (200, &json!(status)));
    }
    finish(&server).await;
    let ended = server.get(&path(&job)).await.json();
    assert_eq!((&ended["status"], &ended["done"], ended["completed_at"].is_string()), (&json!("succeeded"), &json!(1), true));
    for change in ["pause", "resume"] {
        assert_eq!(server.post(&format!("{}/{change}", path(&job))).await.problem(), (409, "job_ended".to_owned()));
    }
    assert_eq!(cancel(&server, &[], &json!({})).await.json(), ended);
}

#[tokio::test]
async fn what_failed_of_a_job_is_tried_again_and_nothing_else() {
    let server = Server::start().await;
    sold(&server).await;
    let job = cancel(&server, &[], &json!({})).await.json();
    let retry = format!("{}/retry", path(&job));
    let untouched = server.post(&retry).await;
    assert_eq!((untouched.code(), untouched.json()), (200, job.clone()), "nothing has failed");
    let batch = server.store.take_job("lease", Duration::from_secs(60)).await.unwrap().unwrap();
    let failed: Vec<_> = batch.checkouts.into_iter().map(|id| (id, ItemState::Failed)).collect();
    server.store.save_job(&batch.job.id, "lease", &failed, Duration::ZERO).await.unwrap().unwrap();
    let ended = server.get(&path(&job)).await.json();
    assert_eq!((&ended["status"], &ended["failed"]), (&json!("failed"), &json!(1)));
    let again = server.post(&retry).await;
    assert_eq!((again.code(), again.json()), (200, server.get(&path(&job)).await.json()));
    assert_eq!(
        (&again.json()["status"], &again.json()["failed"], &again.json()["completed_at"]),
        (&json!("running"), &json!(0), &json!(null))
    );
    finish(&server).await;
    assert_eq!(server.get(&path(&job)).await.json()["status"], "succeeded");
    assert_eq!(server.post("/v1/jobs/job_unknown/retry").await.problem(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn nobody_buys_what_is_called_off_and_jobs_are_listed_newest_first() {
    let server = Server::start().await;
    sold(&server).await;
    server.yoga_for_anybody().await;
    let first = cancel(&server, &[], &json!({})).await.json();
    let second = server.post_json("/v1/sessions/ses_anybody/cancel", &[], "{}").await.json();
    assert_eq!(second["total"], 0);
    let late = server.checkout("late", &crate::server::two_places()).await.json();
    let late = late["id"].as_str().unwrap();
    assert_eq!(server.work(late).await, Status::Failed);
    assert_eq!(server.get(&format!("/v1/checkouts/{late}")).await.json()["error"]["code"], "session_unavailable");
    let page = server.get("/v1/jobs?limit=1").await.json();
    assert_eq!(page["data"], json!([second]));
    let rest = server.get(&format!("/v1/jobs?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!(rest, json!({"data": [first], "next_cursor": null}));
}

#[tokio::test]
async fn what_is_wrong_or_anothers_is_refused_and_leaves_the_session_on_sale() {
    let server = Server::start().await;
    sold(&server).await;
    for (body, code) in [(json!({"reason": ""}), "parameter_invalid"), (json!({"why": "rain"}), "parameter_unknown")] {
        assert_eq!(cancel(&server, &[], &body).await.problem(), (400, code.to_owned()), "{body}");
    }
    assert_eq!(server.post_json("/v1/sessions/ses_unknown/cancel", &[], "{}").await.problem(), (404, "not_found".to_owned()));
    server.add_key("bo_test_other", "other", Mode::Test, &["admin"]).await;
    server.add_key("bo_test_writer", "demo", Mode::Test, &["checkouts:write", "catalog:write"]).await;
    let (theirs, writer) = ([("authorization", "Bearer bo_test_other")], [("authorization", "Bearer bo_test_writer")]);
    assert_eq!(cancel(&server, &theirs, &json!({})).await.problem(), (404, "not_found".to_owned()));
    assert_eq!(cancel(&server, &writer, &json!({})).await.problem(), (403, "scope_missing".to_owned()));
    assert_eq!(server.get("/v1/sessions/ses_yoga").await.json()["status"], "scheduled");
    let job = cancel(&server, &[], &json!({})).await.json();
    for change in ["pause", "resume"] {
        let path = format!("{}/{change}", path(&job));
        assert_eq!(server.post_json(&path, &theirs, "").await.problem(), (404, "not_found".to_owned()));
        assert_eq!(server.post_json(&path, &writer, "").await.problem(), (403, "scope_missing".to_owned()));
        assert_eq!(server.post_json(&path, &[], r#"{"a":1}"#).await.problem(), (400, "parameter_unknown".to_owned()));
    }
    assert_eq!(server.get_with(&path(&job), &theirs).await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.get_with("/v1/jobs", &theirs).await.json()["data"], json!([]));
    assert_eq!(server.get("/v1/jobs/job_unknown").await.problem(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn of_two_jobs_about_a_session_only_the_later_one_is_tried_again() {
    let server = Server::start().await;
    sold(&server).await;
    let fail = async |job: &Value| {
        let batch = server.store.take_job("lease", Duration::from_secs(60)).await.unwrap().unwrap();
        assert_eq!(batch.job.id.as_str(), job["id"]);
        let failed: Vec<_> = batch.checkouts.into_iter().map(|id| (id, ItemState::Failed)).collect();
        server.store.save_job(&batch.job.id, "lease", &failed, Duration::ZERO).await.unwrap().unwrap();
    };
    let first = cancel(&server, &[], &json!({})).await.json();
    fail(&first).await;
    assert_eq!(server.put("/v1/sessions/ses_yoga", &crate::server::yoga()).await.json()["status"], "scheduled");
    let second = cancel(&server, &[], &json!({})).await.json();
    assert_ne!(first["id"], second["id"]);
    let refused = server.post(&format!("{}/retry", path(&first))).await;
    assert_eq!(refused.problem(), (409, "job_superseded".to_owned()));
    assert!(refused.json()["detail"].as_str().unwrap().contains(second["id"].as_str().unwrap()), "it says which one: {:?}", refused.body);
    assert_eq!(
        (&server.get(&path(&first)).await.json()["status"], &server.get(&path(&second)).await.json()["failed"]),
        (&json!("failed"), &json!(0))
    );
    fail(&second).await;
    assert_eq!(server.post(&format!("{}/retry", path(&first))).await.problem(), (409, "job_superseded".to_owned()));
    let again = server.post(&format!("{}/retry", path(&second))).await;
    assert_eq!((again.code(), &again.json()["status"]), (200, &json!("running")));
    assert_eq!(server.get(&path(&first)).await.json()["status"], "failed");
}
