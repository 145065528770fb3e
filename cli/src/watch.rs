//! What a worker can be asked: whether it is up, whether its dependencies answer, and its metrics.

use crate::wire::Engine;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use boxoffice_common::{
    adapters::sql::SqlStore,
    ports::{queue::Queue, seats::Seats, store::UpkeepStore},
};
use metrics_exporter_prometheus::PrometheusHandle;
use std::{sync::Arc, time::Duration};

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

type Watched = (Arc<SqlStore>, Arc<dyn Queue>, Arc<dyn Seats>);

/// `/healthz`, `/readyz`, `/metrics`.
pub fn router(engine: &Engine, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .with_state((engine.store.clone(), Arc::clone(&engine.queue), Arc::clone(&engine.seats)))
        .route(
            "/metrics",
            get(move || async move {
                metrics.run_upkeep();
                metrics.render()
            }),
        )
}

/// The seat table may be down: tries go to the store then.
async fn ready(State((store, queue, seats)): State<Watched>) -> (StatusCode, String) {
    let answers = tokio::join!(
        tokio::time::timeout(PATIENCE, store.ping()),
        tokio::time::timeout(PATIENCE, queue.ping()),
        tokio::time::timeout(PATIENCE, seats.ping()),
    );
    let word = |answers: bool| if answers { "ok" } else { "unavailable" };
    let (store, queue, seats) = (matches!(answers.0, Ok(Ok(()))), matches!(answers.1, Ok(Ok(()))), matches!(answers.2, Ok(Ok(()))));
    let status = if store && queue { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("store {}, queue {}, seats {}\n", word(store), word(queue), word(seats)))
}
