//! What the API counts. Series of requests are kept at hand: looking one up by its labels costs more than the rest of the
//! outermost layer.

use metrics::{Counter, Histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

const REQUESTS: &str = "boxoffice_http_requests_total";
const SECONDS: &str = "boxoffice_http_request_seconds";
/// Upper bounds of the histograms' buckets, seconds.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Makes this process count. Once, before the router is built.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?;
    metrics::describe_counter!(REQUESTS, "Requests by route, method and status");
    metrics::describe_histogram!(SECONDS, metrics::Unit::Seconds, "How long requests took, by route");
    metrics::describe_gauge!("boxoffice_api_queue_depth", "Checkouts that wait in the queue, as it last told");
    metrics::describe_gauge!("boxoffice_api_waiting", "Requests and streams that wait for a checkout");
    metrics::describe_counter!("boxoffice_api_shed_total", "New checkouts refused because too many waited");
    metrics::describe_counter!("boxoffice_api_rate_limited_total", "Requests refused because their key asked too often");
    metrics::describe_counter!("boxoffice_api_waits_refused_total", "Waits refused because too many waited");
    metrics::describe_counter!("boxoffice_api_publish_failed_total", "Work that the queue refused; the rescuer publishes it");
    metrics::describe_counter!("boxoffice_api_publish_left_to_rescuer_total", "Work for which there was no room before the queue");
    metrics::describe_counter!("boxoffice_api_panics_total", "Handlers that panicked");
    Ok(handle)
}

/// The series of requests. Routes, methods and statuses are ours, so there are few.
#[derive(Default)]
pub struct RequestSeries(RwLock<HashMap<String, RouteSeries>>);

struct RouteSeries {
    seconds: Histogram,
    requests: Vec<(&'static str, u16, Counter)>,
}

impl RequestSeries {
    /// Counts one request.
    pub fn count(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        let known = |series: &RouteSeries| {
            let found = series.requests.iter().find(|(its_method, its_status, _)| *its_method == method && *its_status == status);
            found.map(|(_, _, requests)| {
                requests.increment(1);
                series.seconds.record(took.as_secs_f64());
            })
        };
        if self.0.read().unwrap_or_else(PoisonError::into_inner).get(route).and_then(known).is_some() {
            return;
        }
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let series = routes
            .entry(route.to_owned())
            .or_insert_with(|| RouteSeries { seconds: metrics::histogram!(SECONDS, "route" => route.to_owned()), requests: Vec::new() });
        if known(series).is_none() {
            let labels = [("route", route.to_owned()), ("method", method.to_owned()), ("status", status.to_string())];
            series.requests.push((method, status, metrics::counter!(REQUESTS, &labels)));
            known(series);
        }
    }
}
