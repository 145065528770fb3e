//! The README's commands, as a newcomer would type them: every ```` ```sh ```` block, in order, in one shell. A block that
//! says `sh no-test` is not run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use boxoffice_testkit::Program;
use std::{fs, path::Path, time::Duration};
use tokio::{process::Command, time::timeout};

const CARGO: &str = "cargo run --release -- ";

/// The blocks that are run.
fn blocks(readme: &str) -> Vec<String> {
    let (mut blocks, mut open) = (Vec::<String>::new(), false);
    for line in readme.lines() {
        match line.trim_end() {
            "```sh" => {
                blocks.push(String::new());
                open = true;
            }
            fence if fence.starts_with("```") => open = false,
            text if open => blocks.last_mut().unwrap().push_str(&format!("{text}\n")),
            _ => {}
        }
    }
    blocks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_sells_a_seat_and_shows_the_callback() {
    let binary = env!("CARGO_BIN_EXE_boxoffice");
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let blocks = blocks(&readme);
    let (serve, rest) = blocks.split_first().expect("the README has commands");
    assert_eq!(serve, &format!("{CARGO}serve --demo\n"), "the first command serves");
    assert!(rest.len() > 5, "{rest:?}");

    let home = tempfile::Builder::new().prefix("boxoffice-readme-").tempdir().unwrap();
    let words = serve.trim().strip_prefix(CARGO).unwrap().split_whitespace();
    let go = ["-c", "cd \"$1\" && shift && exec \"$@\"", "sh", home.path().to_str().unwrap(), binary];
    let mut server = Program::at("sh").args(go).args(words).listen().unwrap().start().await.unwrap();

    let script = rest.concat().replace("http://127.0.0.1:8080", server.base_url()).replace("cargo run --release --", binary);
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).current_dir(home.path()).kill_on_drop(true);
    let output = timeout(Duration::from_secs(120), shell.output()).await.expect("the README's commands come to an end").unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);

    // What the text around the commands says comes true.
    for promise in [
        "HTTP/1.1 202 Accepted",
        "idempotent-replayed: true",
        r#""status":"succeeded""#,
        r#""amount_paid":1500"#,
        r#""what":"charge.approved""#,
        r#""code":"card_declined""#,
        r#""decline_code":"insufficient_funds""#,
        r#""code":"price_mismatch""#,
        r#""code":"seat_taken""#,
        r#""A1":"sold""#,
        r#""status":"awaiting_payment""#,
        r#""status":"reconciling""#,
        "event: checkout.canceled",
        "HTTP/1.1 201 Created",
        r#""capacity":12"#,
    ] {
        assert!(said.contains(promise), "{promise} is missing in\n{said}\n{complained}");
    }
    let line = server.wait_for_line("callback received", Duration::from_secs(30)).await.expect("the log shows the callback");
    assert!(line.contains("checkout.succeeded") && line.contains("valid") && !line.contains("INVALID"), "{line}");
    assert!(home.path().join("data/boxoffice.db").exists());
    assert!(server.terminate(Duration::from_secs(40)).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_that_the_demo_prints_sells_a_seat() {
    let home = tempfile::Builder::new().prefix("boxoffice-readme-").tempdir().unwrap();
    let recipe = Program::at(env!("CARGO_BIN_EXE_boxoffice")).args(["serve", "--demo", "--data-dir"]).arg(home.path());
    let mut server = recipe.listen().unwrap().start().await.unwrap();
    let line = server.wait_for_line("curl -s", Duration::from_secs(10)).await.expect("it says how to sell a seat");
    assert!(server.log().iter().any(|line| line.contains("bo_test_demo")));
    // Pasted twice, it sells twice.
    for _ in 0..2 {
        let output = timeout(Duration::from_secs(60), Command::new("bash").args(["-c", line.trim()]).kill_on_drop(true).output());
        let output = output.await.expect("the line comes to an end").unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(r#""status":"succeeded""#), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    server.wait_for_line("callback received", Duration::from_secs(30)).await.expect("the log shows the callback");
}

/// The page about other people's APIs, pasted into a shell beside the demo.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_the_page_about_dialects_run_as_they_stand() {
    let home = tempfile::Builder::new().prefix("boxoffice-readme-").tempdir().unwrap();
    let recipe = Program::at(env!("CARGO_BIN_EXE_boxoffice")).args(["serve", "--demo", "--data-dir"]).arg(home.path());
    let mut server = recipe.listen().unwrap().start().await.unwrap();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dialects.md")).unwrap();
    let script = blocks(&page).concat().replace("http://127.0.0.1:8080", server.base_url());
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).kill_on_drop(true);
    let output = timeout(Duration::from_secs(60), shell.output()).await.expect("the commands come to an end").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<serde_json::Value> =
        said.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect();
    // Monime's answers stand in an envelope, and begin with it.
    let (monime, answers): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer["success"] == true);
    assert_eq!(monime.len(), 2, "{said}");
    let made = &monime[0]["result"];
    assert_eq!((&made["status"], &made["lineItems"]["data"][0]["price"]["currency"]), (&"pending".into(), &"SLE".into()), "{said}");
    assert_eq!((&monime[1]["result"][0], &monime[1]["pagination"]["count"]), (made, &1.into()), "{said}");
    let momence =
        |field: &str| answers.iter().find(|answer| !answer[field].is_null()).map(|answer| answer[field].clone()).unwrap_or_default();
    assert_eq!(momence("totalInCurrency"), "10.50", "{said}");
    assert!(momence("items")[0]["boughtMembership"]["id"] == 501 && momence("items")[0]["incompatibility"].is_null(), "{said}");
    let purchases = answers.iter().filter_map(|answer| answer["purchasedItems"][0]["type"].as_str());
    assert_eq!(purchases.collect::<Vec<_>>(), ["session", "membership"], "{said}");
    assert!(answers.contains(&serde_json::json!({})), "a booking is canceled: {said}");
    let told: Vec<[&str; 3]> = answers
        .iter()
        .filter(|answer| answer["amount_cents"].is_string())
        .map(|answer| ["status", "amount_cents", "mode"].map(|field| answer[field].as_str().unwrap_or_default()))
        .collect();
    let expected = [["succeeded", "4320", "one_shot"], ["succeeded", "4900", "subscription"], ["requires_payment", "4200", "one_shot"]];
    let basket = answers.iter().find(|answer| answer[0]["stats"].is_object()).unwrap_or_else(|| panic!("{said}"));
    assert_eq!((basket.as_array().unwrap().len(), &basket[0]["stats"]["total"]), (2, &serde_json::json!(12_500)), "{said}");
    assert_eq!(told, expected, "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let bokamera: Vec<&str> = answers.iter().filter_map(|answer| answer["Status"].as_str()).collect();
    assert_eq!((bokamera, answers.iter().filter(|answer| answer["SessionId"].is_string()).count()), (vec!["open", "open"], 1), "{said}");
    assert!(server.terminate(Duration::from_secs(40)).await.unwrap().success());
}

/// The page about payment providers, pasted into a shell beside a demo that has a key to seal with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_the_page_about_providers_run_as_they_stand() {
    let home = tempfile::Builder::new().prefix("boxoffice-readme-").tempdir().unwrap();
    let recipe = Program::at(env!("CARGO_BIN_EXE_boxoffice")).args(["serve", "--demo", "--data-dir"]).arg(home.path());
    let recipe = recipe.env("BOXOFFICE_SECRETS_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    let server = recipe.listen().unwrap().start().await.unwrap();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/providers.md")).unwrap();
    let script = blocks(&page).concat().replace("http://127.0.0.1:8080", server.base_url());
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).kill_on_drop(true);
    let output = timeout(Duration::from_secs(60), shell.output()).await.expect("the commands come to an end").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<serde_json::Value> =
        said.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let [added, changed, list, put, rules] = answers.as_slice() else { panic!("{said}") };
    assert_eq!((&added["credentials"]["webhook_secrets"], &changed["credentials"]["webhook_secrets"]), (&0.into(), &1.into()), "{said}");
    assert_eq!((&list["data"][0]["id"], &list["data"][1]["id"]), (&added["id"], &"sandbox".into()), "{said}");
    assert!(put == rules && rules["rules"][1]["to"][1]["account"] == "sandbox", "{said}");
}
