//! `boxoffice bench` as it is typed: it starts what it measures, says what it found, and leaves nothing running.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use boxoffice_testkit::Program;
use serde_json::Value;
use std::time::Duration;

/// Runs the bench and returns its JSON report and its text.
async fn bench(args: &[&str]) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let recipe = Program::at(env!("CARGO_BIN_EXE_boxoffice")).args(["bench", "--warmup", "0s", "--json"]).arg(&json).args(args);
    let output = recipe.patience(Duration::from_secs(180)).run().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn processes(report: &Value) -> Vec<&str> {
    report["cpu_ms"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn heavy_bench_embedded_counts_every_checkout_and_its_cpu_time() {
    let (report, text) = bench(&["--embedded", "--count", "200"]).await;
    assert_eq!((&report["checkouts"], &report["statuses"]["succeeded"]), (&200.into(), &200.into()));
    assert_eq!(report["errors"], serde_json::json!({}));
    assert_eq!(processes(&report), ["server"]);
    let (sum, server) = (report["cpu_ms_per_checkout"].as_f64().unwrap(), report["cpu_ms"]["server"].as_f64().unwrap());
    assert!(sum > 0.0 && (sum - server).abs() < 1e-9);
    assert!(report["latency_ms"]["p50"].as_f64().unwrap() <= report["latency_ms"]["p99.9"].as_f64().unwrap());
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["holds"] == true));
    assert!(text.contains("p99.9") && text.contains("ms a checkout"), "{text}");
}

#[tokio::test]
async fn heavy_bench_pays_in_other_ways_and_gives_back() {
    for scenario in ["credits", "balance", "split", "two-cards", "hosted", "refund"] {
        let (report, _) = bench(&["--embedded", "--scenario", scenario, "--count", "50"]).await;
        assert_eq!((&report["statuses"]["succeeded"], &report["errors"]), (&50.into(), &serde_json::json!({})), "{scenario}");
        assert!(report["checks"].as_array().unwrap().iter().all(|check| check["holds"] == true), "{scenario}: {report}");
    }
}

#[tokio::test]
async fn heavy_bench_measures_new_sales_beside_a_session_that_is_called_off() {
    let (report, text) = bench(&["--embedded", "--scenario", "drain", "--count", "60", "--rate", "50", "--duration", "1s"]).await;
    let drained = &report["drained"];
    assert_eq!(drained["refunds"], 60, "{text}");
    assert!(["seconds", "alone_p99_ms", "beside_p99_ms"].iter().all(|what| drained[what].as_f64().unwrap() > 0.0), "{drained}");
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["holds"] == true), "{text}");
}

#[tokio::test]
async fn heavy_bench_distributed_tells_every_process_apart() {
    let (report, _) = bench(&["--distributed", "--workers", "2", "--mode", "open", "--rate", "50", "--count", "100"]).await;
    assert_eq!(report["statuses"]["succeeded"], 100);
    assert_eq!(processes(&report), ["api", "postgresql", "rabbitmq", "redis", "sandbox", "worker 1", "worker 2"]);
    assert!(report["memory_bytes"].as_object().unwrap().values().all(|bytes| bytes.as_u64().unwrap() > 1 << 20));
}

#[tokio::test]
async fn heavy_bench_through_stripe_holds_a_thousand_charges_in_flight_in_one_small_worker() {
    let settings =
        ["PREFETCH=1200", "PROVIDER_CONCURRENCY=1200", "PROVIDER_TIMEOUT_MS=20000", "LEASE_MS=40000"].map(|one| format!("BOXOFFICE_{one}"));
    let mut args = vec!["--distributed", "--workers", "1", "--provider", "stripe", "--provider-latency", "10s", "--provider-events"];
    args.extend(["--concurrency", "1100", "--count", "1100"]);
    args.extend(settings.iter().flat_map(|setting| ["--env", setting]));
    let (report, text) = bench(&args).await;
    assert_eq!((&report["statuses"]["succeeded"], &report["errors"]), (&1100.into(), &serde_json::json!({})), "{text}");
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["holds"] == true), "{text}");
    assert!(report["most_at_once"].as_u64().unwrap() >= 1_000, "{text}");
    // The goal. Without optimisation each of a thousand futures is some times as large.
    let most = if report["machine"]["release_build"] == true { 100_000_000 } else { 150_000_000 };
    assert!(report["memory_bytes"]["worker 1"].as_u64().unwrap() < most, "{text}");
}

#[tokio::test]
async fn a_load_that_cannot_sell_is_an_error() {
    let recipe =
        Program::at(env!("CARGO_BIN_EXE_boxoffice")).args(["bench", "--url", "http://127.0.0.1:1", "--key", "bo_test_x", "--count", "1"]);
    let output = recipe.run().await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no connection"));
}
