//! `boxoffice providers`: accounts by hand, and that nothing secret of them ever shows itself.

use super::{complained, env, support};
use boxoffice_testkit::Program;
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};
use support::{
    client::Client,
    system::{boxoffice, run, said},
};

const STRIPE_KEY: &str = "sk_test_plantedAlpha4242";
const OTHER_KEY: &str = "sk_test_plantedBravo9999";
const WEBHOOK: &str = "whsec_plantedCharlie";
const MOLLIE_KEY: &str = "test_plantedDelta0123456789";
/// What must be nowhere.
const PLANTED: [&str; 4] = ["plantedAlpha", "plantedBravo", "plantedCharlie", "plantedDelta"];

/// Where no provider answers: nobody is asked outside this machine.
const NOWHERE: &str = "http://127.0.0.1:9/";

fn new_key_of(output: &std::process::Output) -> String {
    let key = said(output).trim().to_owned();
    assert_eq!(key.len(), 44, "32 bytes in Base64");
    key
}

async fn new_key() -> String {
    new_key_of(&run(&["providers", "new-key"], &env(&[])).await)
}

/// Everything that a command said.
fn all(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn assert_hidden(what: &str, text: &str, key: &str) {
    for secret in PLANTED.iter().chain([&key]) {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

#[tokio::test]
async fn accounts_are_added_listed_switched_and_given_other_keys_by_hand() {
    let home = tempfile::tempdir().unwrap();
    let data = ["--data-dir", home.path().to_str().unwrap()];
    let key = new_key().await;
    let with = |pairs: &[(&str, &str)]| {
        let mut all = env(pairs);
        all.insert("BOXOFFICE_SECRETS_KEY".to_owned(), key.clone());
        all.insert("BOXOFFICE_STRIPE_URL".to_owned(), NOWHERE.to_owned());
        all
    };
    let add = ["providers", "add", "--provider", "stripe", "--name", "Main", "--tenant", "shop", data[0], data[1]];
    let stripe = [("STRIPE_SECRET_KEY", STRIPE_KEY), ("STRIPE_WEBHOOK_SECRETS", WEBHOOK), ("MOLLIE_API_KEY", MOLLIE_KEY)];
    let keyless = complained(&run(&add, &env(&stripe)).await);
    assert!(keyless.contains("BOXOFFICE_SECRETS_KEY") && keyless.contains("new-key"), "{keyless}");
    let nothing = complained(&run(&add, &with(&[])).await);
    assert!(nothing.contains("credentials.secret_key"), "{nothing}");
    let mut live = add.to_vec();
    live.push("--live");
    let wrong_mode = complained(&run(&live, &with(&stripe)).await);
    assert!(wrong_mode.contains("sk_live_"), "{wrong_mode}");
    let added = run(&add, &with(&stripe)).await;
    let line = said(&added);
    let id = line.split_whitespace().next().unwrap().to_owned();
    assert!(
        id.starts_with("pac_") && line.contains("shop/test") && line.contains("sk_test_…4242") && line.contains("1 webhook secrets"),
        "{line}"
    );
    assert!(all(&added).contains(&format!("/webhooks/stripe/{id}")));
    let command = |name: &'static str| ["providers", name, id.as_str(), data[0], data[1]].map(str::to_owned);
    let go = async |args: &[String], variables: &BTreeMap<String, String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(&args, variables).await
    };
    assert!(said(&go(&command("disable"), &env(&[])).await).contains("disabled"), "that needs no key");
    assert!(said(&go(&command("enable"), &env(&[])).await).contains("enabled"));
    assert!(complained(&go(&command("set-keys"), &with(&[])).await).contains("no secret is given"));
    let changed = go(&command("set-keys"), &with(&[("STRIPE_SECRET_KEY", OTHER_KEY)])).await;
    assert!(said(&changed).contains("sk_test_…9999") && said(&changed).contains("1 webhook secrets"), "the others stay");
    let list = run(&["providers", "list", "--tenant", "shop", data[0], data[1]], &env(&[])).await;
    assert!(said(&list).contains(&id) && said(&list).lines().count() == 1);
    assert_eq!(said(&run(&["providers", "list", "--tenant", "other", data[0], data[1]], &env(&[])).await), "");
    // A new key in front; what was sealed with the old one is sealed anew.
    let new = new_key().await;
    let both = env(&[("BOXOFFICE_SECRETS_KEY", &format!("{new},{key}"))]);
    let alone = env(&[("BOXOFFICE_SECRETS_KEY", &new)]);
    assert!(complained(&run(&["providers", "reseal", data[0], data[1]], &alone).await).contains("1 do not open"));
    let resealed = run(&["providers", "reseal", data[0], data[1]], &both).await;
    assert!(said(&resealed).contains("1 sealed anew"), "{resealed:?}");
    assert!(said(&run(&["providers", "reseal", data[0], data[1]], &alone).await).contains("0 sealed anew, 1 were so before"));
    // Without the key, and with another one, the doctor says what to do.
    for (variables, words) in [(env(&[]), "no BOXOFFICE_SECRETS_KEY"), (with(&[]), "not in BOXOFFICE_SECRETS_KEY")] {
        let ill = complained(&run(&["doctor", data[0], data[1]], &variables).await);
        let told = ill.lines().any(|line| line.starts_with('✗') && line.contains(&id) && line.contains(words));
        assert!(told && ill.contains("→ set BOXOFFICE_SECRETS_KEY"), "{ill}");
    }
    for text in [keyless, nothing, wrong_mode, all(&added), all(&changed), all(&list), all(&resealed)] {
        assert_hidden("a command", &text, &key);
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

async fn exercised(client: &Client) -> Vec<String> {
    let mut answers = Vec::new();
    let mut go = async |method: Method, path: &str, body: Value| {
        let reply = client.send(client.request(method, path).json(&body)).await;
        answers.push(reply.text.clone());
        reply
    };
    let credentials = json!({"secret_key": STRIPE_KEY, "webhook_secrets": [WEBHOOK]});
    let added =
        go(Method::POST, "/v1/providers", json!({"provider": "stripe", "name": "Main", "credentials": credentials})).await.expect(201);
    let path = format!("/v1/providers/{}", added["id"].as_str().unwrap());
    let mollie = json!({"provider": "mollie", "name": "Backup", "credentials": {"api_key": MOLLIE_KEY}});
    go(Method::POST, "/v1/providers", mollie).await.expect(201);
    go(Method::PATCH, &path, json!({"credentials": {"secret_key": OTHER_KEY}})).await.expect(200);
    // What is wrong is refused without a word of it.
    for body in [
        json!({"provider": "mollie", "name": STRIPE_KEY, "credentials": {"secret_key": STRIPE_KEY}}),
        json!({"provider": STRIPE_KEY, "name": "x", "credentials": {}}),
        json!({"provider": "stripe", "name": "x", "credentials": {"secret_key": [STRIPE_KEY]}}),
        json!({"provider": "stripe", "name": "x", "credentials": MOLLIE_KEY}),
        json!({"provider": "mollie", "name": "x", "credentials": {"api_key": MOLLIE_KEY, "secret": OTHER_KEY}}),
    ] {
        let refused = go(Method::POST, "/v1/providers", body).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
    }
    let event = format!("/webhooks/stripe/{}", added["id"].as_str().unwrap());
    go(Method::POST, &event, json!({"id": "evt_1"})).await;
    go(Method::GET, "/v1/providers", Value::Null).await.expect(200);
    answers.push(client.get("/metrics").await.text);
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_secrets_are_in_no_log_answer_metric_or_file_whatever_is_logged() {
    let home = tempfile::tempdir().unwrap();
    let key = new_key().await;
    let recipe = boxoffice().args(["serve", "--demo", "--data-dir"]).arg(home.path()).listen().unwrap();
    let recipe = recipe.env("RUST_LOG", "trace").env("BOXOFFICE_SECRETS_KEY", &key);
    let recipe = recipe.env("BOXOFFICE_STRIPE_URL", NOWHERE).env("BOXOFFICE_MOLLIE_URL", NOWHERE);
    let mut server: Program = recipe.start().await.unwrap();
    let client = Client::new(server.base_url(), Some("bo_test_demo"));
    for answer in exercised(&client).await {
        assert_hidden("an answer", &answer, &key);
    }
    assert!(server.terminate(Duration::from_secs(60)).await.unwrap().success());
    let log = server.log().join("\n");
    assert!(log.contains("DEBUG") && log.contains("a payment account was added"), "it logs all that it can");
    assert_hidden("the log", &log, &key);
    let files = files(home.path());
    assert!(files.iter().any(|(_, bytes)| bytes.windows(4).any(|window| window == b"pac_")), "the accounts are in one of them");
    for (path, bytes) in files {
        for secret in PLANTED.iter().copied().chain([key.as_str()]) {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{path} has {secret}");
        }
    }
    let doctor = run(
        &["doctor", "--data-dir", home.path().to_str().unwrap()],
        &env(&[("BOXOFFICE_SECRETS_KEY", &key), ("BOXOFFICE_STRIPE_URL", NOWHERE), ("BOXOFFICE_MOLLIE_URL", NOWHERE)]),
    )
    .await;
    assert_hidden("the doctor", &all(&doctor), &key);
    let bad = format!("{key}x");
    assert_hidden("a refusal", &complained(&run(&["doctor"], &env(&[("BOXOFFICE_SECRETS_KEY", &bad)])).await), &key);
}
