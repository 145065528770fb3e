//! The description of the API is kept, whatever is sent: schemathesis reads it, makes up requests, good ones and bad ones, and finds no answer
//! that is a fault of ours, or that is not described.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use boxoffice_testkit::Program;
use std::{path::Path, time::Duration};
use tokio::{process::Command, time::timeout};

/// How many requests are made up for each route, beside those at the bounds of each field, of which there are as many as there are bounds.
const EXAMPLES: &str = "10";
/// What is to be held against the description.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/// A stream that stays open, and what is no JSON.
const LEFT_OUT: &str = "/events$|^/metrics$";
const PATIENCE: Duration = Duration::from_secs(400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_no_request_that_can_be_made_up_gets_an_answer_that_is_not_described() {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.scratch/schemathesis/bin/schemathesis");
    assert!(tool.exists(), "scripts/schemathesis.sh fetches it");
    let home = tempfile::Builder::new().prefix("boxoffice-schemathesis-").tempdir().unwrap();
    let recipe = Program::at(env!("CARGO_BIN_EXE_boxoffice")).args(["serve", "--demo", "--data-dir"]).arg(home.path());
    let mut server = recipe.listen().unwrap().start().await.unwrap();
    let mut run = Command::new(tool);
    run.arg("run").arg(format!("{}/openapi.json", server.base_url())).args(["--header", "Authorization: Bearer bo_test_demo"]);
    run.args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--exclude-path-regex", LEFT_OUT]);
    run.args(["--seed", "1", "--workers", "1", "--request-timeout", "20", "--generation-database", "none", "--no-color"]);
    let output = timeout(PATIENCE, run.current_dir(home.path()).kill_on_drop(true).output()).await.expect("it comes to an end").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // A run that reaches nothing finds nothing.
    let cases = said.lines().find_map(|line| line.trim().strip_suffix(" passed")?.split(" generated").next()?.trim().parse::<u32>().ok());
    assert!(cases.is_some_and(|cases| cases > 2_000), "{said}");
    assert!(server.terminate(Duration::from_secs(40)).await.unwrap().success());
}
