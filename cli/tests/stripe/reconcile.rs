//! Stripe's book held against ours: what differs is found, and mended by Stripe's own word where it can be.

use crate::{
    studio::{Studio, by_card},
    support::{
        catalogue::with,
        client::{PATIENCE, callback, fresh_key},
        system::{Deployment, System},
    },
};
use boxoffice_testkit::{
    Receiver,
    stripe::{Effect, Fault},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// The members of a difference.
const DIFFERENCE: [&str; 14] = [
    "object",
    "difference",
    "state",
    "account",
    "tenant",
    "mode",
    "kind",
    "provider_reference",
    "checkout",
    "attempt",
    "theirs",
    "ours",
    "reason",
    "advice",
];
/// The members of the summary.
const SUMMARY: [&str; 10] = ["object", "provider", "since", "until", "agrees", "complete", "differ", "mended", "under_way", "accounts"];
/// The members of an account in it.
const ACCOUNT: [&str; 12] =
    ["account", "tenant", "mode", "name", "payments", "refunds", "others", "differ", "mended", "under_way", "error", "totals"];
const INTENTS: &str = "/v1/payment_intents";
/// How long a test looks again at what a worker has in hand.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

pub async fn story(studio: &Studio) {
    let receiver = Receiver::start().await.unwrap();
    misuse_is_told_from_a_difference(studio).await;
    books_that_agree_are_read_to_their_end(studio).await;
    a_refund_that_failed_unheard_is_mended_and_told(studio, &receiver).await;
    a_fee_that_was_missed_is_booked_once(studio).await;
    what_no_word_of_stripes_can_mend_is_reported(studio).await;
    programs_are_told_the_same_in_lines_of_json(studio).await;
}

/// Runs it over the last hour, with no grace: its exit code, and what it said.
async fn reconciled(studio: &Studio, more: &[&str]) -> (i32, String) {
    let args = [&["reconcile", "--provider", "stripe", "--since", "1h", "--grace", "0s"], more].concat();
    let output = studio.system.command(&args).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = output.status.code().unwrap();
    assert!(code < 2, "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains(studio.stripe.secret_key()));
    (code, said)
}

/// The line about a checkout, once no worker has it in hand any more.
async fn line(studio: &Studio, more: &[&str], id: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, said) = reconciled(studio, more).await;
        let line = said.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("nothing about {id}: {said}")).trim().to_owned();
        if !line.contains("under way") && !line.contains("in hand") {
            return line;
        }
        assert!(Instant::now() < deadline, "{said}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Nothing differs, and nothing had to be mended.
async fn agrees(studio: &Studio) -> String {
    let (code, said) = reconciled(studio, &["--repair"]).await;
    assert!(code == 0 && said.contains("the books agree") && said.contains("0 differ, 0 mended, 0 under way"), "{said}");
    said
}

async fn misuse_is_told_from_a_difference(studio: &Studio) {
    for args in [
        ["--provider", "paypal", "--since", "1h"],
        ["--provider", "stripe", "--since", "yesterday"],
        ["--provider", "stripe", "--since", "2060-01-01"],
        ["--provider", "mollie", "--since", "1h"],
    ] {
        let output = studio.system.command(&[&["reconcile"], args.as_slice()].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
    let of_nobody = ["reconcile", "--provider", "stripe", "--since", "1h", "--account", "pac_nobody"];
    assert_eq!(studio.system.command(&of_nobody).await.status.code(), Some(2));
}

/// A request of somebody who shares the account, or is no better than he should be.
async fn at_stripe(studio: &Studio, path: &str, form: &[(&str, &str)]) -> Value {
    let url = format!("{}{path}", studio.stripe.url());
    // Nothing in it has to be escaped.
    let form: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = reqwest::Client::new().post(url).bearer_auth(studio.stripe.secret_key());
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.join("&"));
    let answer = request.send().await.unwrap().error_for_status().unwrap();
    answer.json().await.unwrap()
}

async fn books_that_agree_are_read_to_their_end(studio: &Studio) {
    for token in ["pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined"] {
        studio.shop.buy(&by_card(token)).await;
    }
    // More than one page of payments that are none of ours.
    let others = (0..60).map(|_| at_stripe(studio, "v1/payment_intents", &[("amount", "700"), ("currency", "usd")]));
    futures::future::join_all(others).await;
    // The second page is asked for too soon.
    studio.stripe.faults().order(Fault::new(Effect::RateLimit(1)).on("GET", INTENTS));
    let said = agrees(studio).await;
    assert_eq!(studio.stripe.faults().pending(), 0, "nobody asked for the list");
    assert!(said.contains("63 payments and 0 refunds, 60 of somebody else"), "{said}");
    assert!(said.contains("usd: captured theirs 30.00 ours 30.00 difference 0.00"), "{said}");
    assert!(said.contains("fees theirs 1.48 ours 1.48 difference 0.00"), "{said}");
    let (code, said) = reconciled(studio, &["--account", &studio.account, "--until", "30m"]).await;
    assert!(code == 0 && said.contains("0 payments and 0 refunds, 0 of somebody else"), "{said}");
}

async fn sell(studio: &Studio, receiver: &Receiver, token: &str) -> Value {
    studio.shop.buy(&with(&by_card(token), json!({"callback_url": format!("{}/hooks", receiver.url())}))).await
}

async fn a_refund_that_failed_unheard_is_mended_and_told(studio: &Studio, receiver: &Receiver) {
    let sold = sell(studio, receiver, "pm_card_visa").await;
    let id = sold["id"].as_str().unwrap();
    let asked = studio.shop.request(reqwest::Method::POST, &format!("/v1/checkouts/{id}/refunds")).header("idempotency-key", fresh_key());
    let refund = studio.shop.send(asked.json(&json!({"amount": 500}))).await;
    assert!(refund.status < 300, "{}", refund.text);
    callback(receiver, "refund.succeeded", id).await;
    assert!(agrees(studio).await.contains("refunded theirs 5.00 ours 5.00 difference 0.00"));
    studio.stripe.webhooks().hold();
    let intent = studio.captures(id).remove(0).intent;
    let booked = studio.stripe.book().refunds().into_iter().find(|refund| refund.intent == intent).unwrap();
    studio.stripe.fail_refund(&booked.id, "expired_or_canceled_card");
    let (code, said) = reconciled(studio, &[]).await;
    assert_eq!(code, 1, "{said}");
    let found = line(studio, &[], id).await;
    assert!(found.starts_with("refund_failed") && found.contains(&booked.id) && found.ends_with("differs"), "{found}");
    assert_eq!(studio.shop.checkout(id).await["amount_refunded"], 500, "without --repair nothing is changed");
    let (code, said) = reconciled(studio, &["--repair"]).await;
    assert!(code == 0 && said.contains("0 differ, 1 mended"), "{said}");
    callback(receiver, "refund.failed", id).await;
    let mended = studio.shop.checkout(id).await;
    assert_eq!(mended["amount_refunded"], 0);
    agrees(studio).await;
    // Its event comes at last, and says nothing new.
    studio.stripe.webhooks().release();
    let path = format!("/v1/checkouts/{id}");
    assert_eq!(studio.shop.get(&path).await.expect(200)["version"], mended["version"]);
}

async fn a_fee_that_was_missed_is_booked_once(studio: &Studio) {
    // The answer, which tells the fee, never comes; the event, which does not, does; and when Stripe is asked for the fee behind it, it fails.
    let faults = studio.stripe.faults();
    faults.order(Fault::new(Effect::SilenceAfter).on("POST", INTENTS));
    faults.order(Fault::new(Effect::ServerErrorBefore).on("GET", INTENTS));
    let sold = studio.shop.buy(&by_card("pm_card_visa")).await;
    let id = sold["id"].as_str().unwrap();
    studio.stripe.book().wait_for(PATIENCE, |_| (faults.pending() == 0).then_some(())).await.unwrap();
    let sold = studio.shop.checkout(id).await;
    assert_eq!((&sold["status"], &sold["payment_attempts"][0]["fee"]), (&json!("succeeded"), &Value::Null), "{sold}");
    let found = line(studio, &[], id).await;
    assert!(found.starts_with("fee_missing") && found.contains("theirs 0.74 usd  ours -"), "{found}");
    let mended = line(studio, &["--repair"], id).await;
    assert!(mended.ends_with("mended"), "{mended}");
    let attempt = &studio.shop.checkout(id).await["payment_attempts"][0];
    assert_eq!(attempt["fee"], json!({"amount": 74, "currency": "usd"}), "{attempt}");
    agrees(studio).await;
}

async fn what_no_word_of_stripes_can_mend_is_reported(studio: &Studio) {
    let sold = studio.shop.buy(&by_card("pm_card_visa")).await;
    let id = sold["id"].as_str().unwrap();
    let capture = studio.captures(id).remove(0);
    let by_hand = at_stripe(studio, "v1/refunds", &[("payment_intent", &capture.intent), ("amount", "300")]).await;
    let ours = [
        ("amount", "900"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("payment_method_types[]", "card"),
        ("metadata[reference]", "chk_never"),
        ("metadata[key]", "chk_never_1"),
        ("metadata[account]", &studio.account),
    ];
    let unknown = at_stripe(studio, "v1/payment_intents", &ours).await;
    let lost = studio.shop.buy(&by_card("pm_card_visa")).await;
    let (lost_id, lost_intent) = (lost["id"].as_str().unwrap(), lost["payment_attempts"][0]["provider_reference"].as_str().unwrap());
    assert!(studio.stripe.forget(lost_intent));
    for more in [["--account", studio.account.as_str()].as_slice(), &["--repair"]] {
        let found = line(studio, more, by_hand["id"].as_str().unwrap()).await;
        assert!(found.starts_with("unasked_refund") && found.contains(id) && found.contains("theirs 3.00 usd"), "{found}");
        let found = line(studio, more, unknown["id"].as_str().unwrap()).await;
        assert!(found.starts_with("unknown_reference") && found.contains("chk_never") && found.contains("theirs 9.00 usd"), "{found}");
        let found = line(studio, more, lost_id).await;
        assert!(found.starts_with("not_in_book") && found.contains(lost_intent) && found.contains("theirs -  ours 15.00 usd"), "{found}");
        let (code, said) = reconciled(studio, more).await;
        assert!(code == 1 && said.contains("3 differ, 0 mended") && said.contains("the books differ"), "{said}");
        assert!(said.contains("→ unasked_refund: ") && said.contains("→ not_in_book: "), "{said}");
        assert!(said.contains("difference -6.00; refunded theirs 3.00 ours 0.00 difference 3.00"), "{said}");
    }
    assert_eq!(studio.shop.checkout(lost_id).await["status"], "succeeded");
}

/// The three differences that are left by now.
async fn programs_are_told_the_same_in_lines_of_json(studio: &Studio) {
    let args = ["reconcile", "--provider", "stripe", "--since", "1h", "--grace", "0s", "--json"];
    let output = studio.system.command(&args).await;
    assert_eq!(output.status.code(), Some(1), "as without it");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.ends_with('\n') && !said.contains(studio.stripe.secret_key()), "{said}");
    let mut lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let summary = lines.pop().unwrap();
    let kinds: BTreeSet<&str> = lines.iter().map(|line| line["difference"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["not_in_book", "unasked_refund", "unknown_reference"]), "{said}");
    for line in &lines {
        assert_eq!(names(line), DIFFERENCE.map(str::to_owned).into(), "{line}");
        assert_eq!((&line["object"], &line["state"], &line["account"]), (&json!("difference"), &json!("differs"), &json!(studio.account)));
        assert!(line["advice"].is_string() && line["reason"].is_null() && line["mode"] == "test", "{line}");
    }
    let of = |difference: &str| lines.iter().find(|line| line["difference"] == difference).unwrap();
    let unasked = of("unasked_refund");
    assert_eq!((&unasked["kind"], &unasked["theirs"]), (&json!("refund"), &json!({"amount": 300, "currency": "usd"})), "{unasked}");
    let lost = of("not_in_book");
    assert_eq!((&lost["kind"], &lost["theirs"], &lost["ours"]["amount"]), (&json!("payment"), &Value::Null, &json!(1500)), "{lost}");
    assert!(lost["checkout"].as_str().unwrap().starts_with("chk_") && lost["attempt"] == 1, "{lost}");
    assert_eq!(names(&summary), SUMMARY.map(str::to_owned).into(), "{summary}");
    let counts = |part: &Value| ["differ", "mended", "under_way"].map(|name| part[name].as_u64().unwrap());
    assert_eq!(
        (&summary["object"], &summary["agrees"], &summary["complete"]),
        (&json!("summary"), &json!(false), &json!(true)),
        "{summary}"
    );
    let [account] = summary["accounts"].as_array().unwrap().as_slice() else { panic!("{summary}") };
    assert_eq!((names(account), counts(account), counts(&summary)), (ACCOUNT.map(str::to_owned).into(), [3, 0, 0], [3, 0, 0]), "{summary}");
    let refunded = &account["totals"][0]["refunded"];
    assert_eq!(refunded, &json!({"theirs": 300, "ours": 0, "difference": 300}), "{summary}");
    // How it goes stands on standard error; so does what went wrong, and the exit code is that of any run.
    let progress = String::from_utf8(output.stderr).unwrap();
    assert!(progress.contains("payments") && progress.contains("our own attempts"), "{progress}");
    // To be waited for longer than anybody waits.
    studio.stripe.faults().order(Fault::new(Effect::RateLimit(300)).on("GET", INTENTS));
    let failed = studio.system.command(&args).await;
    assert_eq!(failed.status.code(), Some(2), "as without it");
    let summary: Value = serde_json::from_str(String::from_utf8(failed.stdout).unwrap().lines().last().unwrap()).unwrap();
    assert_eq!((&summary["agrees"], &summary["complete"]), (&json!(false), &json!(false)), "{summary}");
    assert!(summary["accounts"][0]["error"].is_string(), "{summary}");
    let misused = studio.system.command(&["reconcile", "--provider", "stripe", "--since", "yesterday", "--json"]).await;
    assert!(misused.status.code() == Some(2) && misused.stdout.is_empty(), "what was not begun has no summary");
}

/// The members of an object.
fn names(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

/// What was paid while nobody listened is found, and sold by `--repair`, once.
pub async fn missed(studio: &mut Studio) {
    let receiver = Receiver::start().await.unwrap();
    studio.stripe.webhooks().hold();
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let sold = sell(studio, &receiver, "pm_card_authenticationRequired").await;
        assert_eq!(sold["status"], "awaiting_payment", "{sold}");
        waiting.push((
            sold["id"].as_str().unwrap().to_owned(),
            sold["payment_attempts"][0]["provider_reference"].as_str().unwrap().to_owned(),
        ));
    }
    let System { deployment, server, workers, .. } = &mut studio.system;
    let charging = if *deployment == Deployment::Embedded { std::slice::from_mut(server) } else { workers.as_mut_slice() };
    for program in charging {
        program.kill9();
    }
    let ((paid, intent), (refused, no)) = (waiting.remove(0), waiting.remove(0));
    assert!(studio.stripe.authenticate(&intent, true));
    studio.stripe.authenticate(&no, false);
    studio.stripe.webhooks().lose_held();
    let found = line(studio, &[], &paid).await;
    assert!(found.starts_with("missed_payment") && found.contains(&intent) && found.contains("theirs 15.00 usd  ours -"), "{found}");
    let found = line(studio, &[], &refused).await;
    assert!(found.starts_with("missed_refusal") && found.contains(&no), "{found}");
    // Whatever a worker that died had in hand is waited for.
    for id in [&paid, &refused] {
        let (_, said) = reconciled(studio, &["--repair"]).await;
        let is_left = said.lines().any(|line| line.contains(id.as_str()) && !line.ends_with("mended"));
        assert!(!is_left, "{said}");
    }
    agrees(studio).await;
    let System { deployment, server, workers, .. } = &mut studio.system;
    let charging = if *deployment == Deployment::Embedded { std::slice::from_mut(server) } else { workers.as_mut_slice() };
    for program in charging {
        program.restart().await.unwrap();
    }
    callback(&receiver, "checkout.succeeded", &paid).await;
    callback(&receiver, "checkout.failed", &refused).await;
    let sold = studio.shop.checkout(&paid).await;
    assert_eq!((&sold["status"], &sold["amount_paid"]), (&json!("succeeded"), &json!(1500)), "{sold}");
    assert_eq!(sold["payment_attempts"][0]["fee"], json!({"amount": 74, "currency": "usd"}), "{sold}");
    assert_eq!((studio.captures(&paid).len(), studio.captures(&refused).len()), (1, 0));
    let said = agrees(studio).await;
    assert!(said.contains("captured theirs 15.00 ours 15.00"), "{said}");
    studio.stripe.webhooks().release();
}
