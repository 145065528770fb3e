//! The commands: what they refuse and why, what they print, and how processes end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "commands/providers.rs"]
mod providers;
mod support;

use boxoffice_common::{
    adapters::queue::{RabbitOptions, RabbitQueue},
    domain::{secret::Secret, time::Timestamp},
    ports::queue::{Lane, Queue, Work},
};
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};
use std::{
    collections::BTreeMap,
    process::Output,
    time::{Duration, Instant},
};
use support::{
    catalogue::{places, put, seated, seats, session},
    client::PATIENCE,
    system::{ALL_SCOPES, System, boxoffice, run, said, shared_servers},
};

/// What a command that failed had to say.
#[track_caller]
fn complained(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn api_and_worker_refuse_to_start_on_embedded_parts_and_say_which() {
    let (postgres, amqp, redis) =
        (("DATABASE_URL", "postgres://x@127.0.0.1:1/x"), ("AMQP_URL", "amqp://127.0.0.1:1"), ("REDIS_URL", "redis://127.0.0.1:1"));
    for (command, set, missing) in [
        ("api", vec![], "DATABASE_URL, AMQP_URL, REDIS_URL"),
        ("api", vec![postgres, amqp], "set REDIS_URL"),
        ("api", vec![("DATABASE_URL", "sqlite:///tmp/x.db"), amqp, redis], "set DATABASE_URL to postgres:"),
        ("worker", vec![], "DATABASE_URL, AMQP_URL, REDIS_URL, SANDBOX_PROVIDER_URL"),
        ("worker", vec![postgres, redis], "AMQP_URL, SANDBOX_PROVIDER_URL"),
        ("worker", vec![postgres, amqp, redis], "set SANDBOX_PROVIDER_URL"),
    ] {
        let words = complained(&run(&[command], &env(&set)).await);
        assert!(words.contains(missing) && words.contains("boxoffice serve"), "{command} {set:?}: {words}");
    }
    for (variable, value, word) in [
        ("DATABASE_URL", "mysql://x", "postgres: or sqlite:"),
        ("BOXOFFICE_LEASE_MS", "soon", "whole number"),
        ("BOXOFFICE_PROVIDER_TIMEOUT_MS", "60000", "shorter than BOXOFFICE_LEASE_MS"),
        ("BOXOFFICE_CALLBACK_SCHEDULE_MS", "now", "list of whole numbers"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", home.path().to_str().unwrap()];
        let words = complained(&run(&args, &env(&[(variable, value)])).await);
        assert!(words.contains(variable) && words.contains(word), "{words}");
    }
    let open = complained(&run(&["serve", "--demo", "--listen", "0.0.0.0:0"], &env(&[])).await);
    assert!(open.contains("loopback"), "{open}");
}

#[tokio::test]
async fn a_data_directory_serves_one_process_at_a_time() {
    let system = System::embedded(&[]).await;
    let again = ["serve", "--listen", "127.0.0.1:0", "--data-dir", system.data_dir().to_str().unwrap()];
    let words = complained(&run(&again, &env(&[])).await);
    assert!(words.contains("in use") && words.contains("--data-dir"), "{words}");
    assert_eq!(system.shop().buy(&places("ses_demo_yoga", 1, "tok_visa")).await["status"], "succeeded");
    system.finish().await;
}

#[tokio::test]
async fn migrate_can_be_repeated_and_nothing_starts_on_an_old_schema() {
    let home = tempfile::tempdir().unwrap();
    let args = ["migrate", "--data-dir", home.path().to_str().unwrap()];
    for _ in 0..2 {
        assert!(said(&run(&args, &env(&[])).await).contains("up to date"));
    }
    let mut servers = shared_servers().await;
    let words = complained(&run(&["api", "--listen", "127.0.0.1:0"], &servers).await);
    assert!(words.contains("migrate"), "{words}");
    servers.insert("SANDBOX_PROVIDER_URL".to_owned(), "http://127.0.0.1:1".to_owned());
    assert!(complained(&run(&["worker"], &servers).await).contains("migrate"));
    assert!(complained(&run(&["doctor"], &servers).await).contains("boxoffice migrate"));
    let (one, two) = tokio::join!(run(&["migrate"], &servers), run(&["migrate"], &servers));
    assert!(said(&one).contains("up to date") && said(&two).contains("up to date"));
    assert!(said(&run(&["migrate"], &servers).await).contains("up to date"));
    // One in the middle is as good as all of them.
    let store = sqlx::PgPool::connect(&servers["DATABASE_URL"]).await.unwrap();
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 11").execute(&store).await.unwrap();
    let words = complained(&run(&["worker"], &servers).await);
    assert!(words.contains("0011") && words.contains("boxoffice migrate"), "{words}");
}

#[tokio::test]
async fn the_doctor_says_what_is_wrong_and_how_to_mend_it() {
    let home = tempfile::tempdir().unwrap();
    let args = ["doctor", "--data-dir", home.path().to_str().unwrap()];
    let well = said(&run(&args, &env(&[])).await);
    assert_eq!((well.matches('✓').count(), well.matches('✗').count()), (5, 0), "{well}");
    let dead = [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none?sslmode=disable"),
        ("AMQP_URL", "amqp://guest:hush-hush@127.0.0.1:1/"),
        ("REDIS_URL", "redis://:hush-hush@127.0.0.1:1/"),
        ("SANDBOX_PROVIDER_URL", "http://127.0.0.1:1"),
    ];
    let ill = complained(&run(&args, &env(&dead)).await);
    for (part, variable) in
        [("store", "DATABASE_URL"), ("queue", "AMQP_URL"), ("seat table", "REDIS_URL"), ("sandbox", "SANDBOX_PROVIDER_URL")]
    {
        assert!(ill.lines().any(|line| line.starts_with('✗') && line.contains(part)), "{part}: {ill}");
        assert!(ill.lines().any(|line| line.contains('→') && line.contains(variable)), "{variable}: {ill}");
    }
    assert!(!ill.contains("hush-hush"), "{ill}");
    let wrong = complained(&run(&args, &env(&[("BOXOFFICE_PREFETCH", "many")])).await);
    assert!(wrong.contains("✗ configuration") && wrong.contains("BOXOFFICE_PREFETCH"), "{wrong}");
}

#[tokio::test]
async fn keys_are_shown_once_listed_without_their_secrets_and_stop_soon_after_they_are_revoked() {
    let system = System::embedded_bare(&[]).await;
    let (shop, live) = (system.shop(), system.newcomer("shop", &["--live", "--scopes", "checkouts:read"]).await);
    assert!(shop.key().starts_with("bo_test_") && live.key().starts_with("bo_live_"));
    shop.get("/v1/checkouts").await.expect(200);
    live.get("/v1/checkouts").await.expect(200);
    let list = said(&system.command(&["keys", "list"]).await);
    assert!(list.contains("shop/test") && list.contains("shop/live") && list.contains(ALL_SCOPES), "{list}");
    assert!(!list.contains(shop.key()) && !list.contains(live.key()), "{list}");
    assert_eq!(said(&system.command(&["keys", "list", "--tenant", "nobody"]).await), "");
    let id = list.lines().find(|line| line.contains("shop/live")).unwrap().split_whitespace().next().unwrap().to_owned();
    said(&system.command(&["keys", "revoke", &id]).await);
    let revoked = Instant::now();
    while live.get("/v1/checkouts").await.status == 200 {
        assert!(revoked.elapsed() < Duration::from_millis(5_500), "it still works");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    live.get("/v1/checkouts").await.expect_problem(401, "unauthenticated");
    shop.get("/v1/checkouts").await.expect(200);
    assert!(said(&system.command(&["keys", "list"]).await).contains("revoked"));
    for (args, word) in [
        (["keys", "revoke", &id].as_slice(), "no live key"),
        (&["keys", "revoke", "nonsense!"], "id"),
        (&["keys", "create", "--tenant", "a b"], "--tenant"),
        (&["keys", "create", "--tenant", "shop", "--scopes", "everything"], "no scope"),
    ] {
        let words = complained(&system.command(args).await);
        assert!(words.contains(word), "{args:?}: {words}");
    }
    system.finish().await;
}

#[tokio::test]
async fn the_audit_tells_each_breach_and_mends_what_it_can() {
    let system = System::embedded(&[]).await;
    system.shop().buy(&places("ses_demo_yoga", 2, "tok_visa")).await;
    let clean = said(&system.command(&["audit"]).await);
    assert!(clean.contains("1 succeeded") && clean.contains("every invariant holds"), "{clean}");
    let book = format!("sqlite://{}", system.data_dir().join("boxoffice.db").display());
    let mut sql = SqliteConnection::connect(&book).await.unwrap();
    sql.execute("UPDATE inventory SET taken = taken + 1 WHERE id = 'ses_demo_yoga'").await.unwrap();
    let breach = complained(&system.command(&["audit"]).await);
    assert!(breach.contains("stock_drift") && breach.contains("ses_demo_yoga") && breach.contains("1 breaches"), "{breach}");
    assert!(said(&system.command(&["audit", "--repair"]).await).contains("mended"));
    system.audited().await;
    sql.execute("UPDATE ledger_entries SET amount = amount + 1").await.unwrap();
    // Nobody but a person can say which figure is right.
    assert!(complained(&system.command(&["audit", "--repair"]).await).contains("ledger"));
}

async fn in_redis(system: &System, words: &[&str]) {
    let client = redis::Client::open(system.env()["REDIS_URL"].as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let (name, args) = words.split_first().unwrap();
    let changed: redis::Value = redis::cmd(name).arg(args).query_async(&mut connection).await.unwrap();
    assert_ne!(changed, redis::Value::Nil, "{words:?}");
}

#[tokio::test]
async fn the_audit_holds_the_seat_table_against_the_store_and_drops_what_contradicts_it() {
    let system = System::distributed(&[], 1).await;
    let shop = system.shop();
    put(&shop, "sessions", "ses_gala", seated(&["A1", "A2"])).await;
    let seat = |name: &str| seats("ses_gala", &[name], "tok_visa");
    let (table, taken) = ("bo:{shop/test}:s:ses_gala", "bo:{shop/test}:s:ses_gala:n");
    assert_eq!(shop.buy(&seat("A1")).await["status"], "succeeded");
    // The level was told and the seats were not, which is lag and no contradiction.
    system.audited().await;
    for (spoil, rule) in [
        (["HSET", table, "f", "2"].as_slice(), "seats_level: shop/test/ses_gala: 2 free at version 2, the store says 1"),
        (&["SREM", taken, "A1"], "seats_named: shop/test/ses_gala: at version 2: A1 free in the table and taken in the store"),
        (&["SADD", taken, "A2"], "seats_named: shop/test/ses_gala: at version 2: A2 taken in the table and free in the store"),
        (&["HSET", table, "v", "9"], "seats_ahead: shop/test/ses_gala: is at version 9, the store at 2"),
        (&["SET", table, "nonsense"], "seats_unreadable: shop/test/ses_gala:"),
    ] {
        // Loaded anew, for somebody who wants the seat that is gone.
        in_redis(&system, &["DEL", table, taken]).await;
        assert_eq!(shop.buy(&seat("A1")).await["error"]["code"], "seat_taken");
        system.audited().await;
        in_redis(&system, spoil).await;
        let breach = complained(&system.command(&["audit"]).await);
        assert!(breach.contains(rule) && breach.contains("1 breaches"), "{spoil:?}: {breach}");
        let mended = said(&system.command(&["audit", "--repair"]).await);
        assert!(mended.contains("mended: 1 things dropped from the seat table") && mended.contains("every invariant holds"), "{mended}");
    }
    assert_eq!(shop.buy(&seat("A2")).await["status"], "succeeded");
    // What was not looked at does not hold.
    let dead = env(&[("REDIS_URL", "redis://127.0.0.1:1/"), ("DATABASE_URL", &system.env()["DATABASE_URL"])]);
    let words = complained(&run(&["audit"], &dead).await);
    assert!(words.contains("the seat table was not looked at") && !words.contains("every invariant holds"), "{words}");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_shown_and_put_back_to_work() {
    let none = said(&run(&["dead-letters"], &env(&[])).await);
    assert!(none.contains("there are none") && none.contains("AMQP_URL"), "{none}");
    let servers = shared_servers().await;
    let options = RabbitOptions { prefix: servers["BOXOFFICE_QUEUE_PREFIX"].clone(), ..RabbitOptions::default() };
    let queue = RabbitQueue::connect(&Secret::new(servers["AMQP_URL"].clone()), options).await.unwrap();
    assert_eq!(said(&run(&["dead-letters"], &servers).await).trim(), "0 dead letters");
    let work = |n: i64| Work {
        lane: Lane::Money,
        id: format!("chk_{n}"),
        scope: "shop/test".to_owned(),
        enqueued_at: Timestamp::from_millis(n),
        wants: Vec::new(),
        trace: None,
    };
    assert!(queue.publish((0..3).map(work).collect()).await.iter().all(Result::is_ok));
    let mut consumer = queue.consume(Lane::Money, 10).await.unwrap();
    for _ in 0..3 {
        assert!(consumer.next().await.unwrap().receipt.dead_letter().await);
    }
    // Looking leaves them where they are.
    for _ in 0..2 {
        let listed = said(&run(&["dead-letters", "--limit", "2"], &servers).await);
        assert!(listed.contains("3 dead letters") && listed.lines().count() == 3, "{listed}");
        assert!(listed.lines().take(2).all(|line| line.starts_with("money  chk_") && line.contains("shop/test")), "{listed}");
    }
    let redriven = said(&run(&["dead-letters", "--redrive", "--limit", "2"], &servers).await);
    assert!(redriven.contains("2 of 3 dead letters put back"), "{redriven}");
    assert!(said(&run(&["dead-letters", "--redrive"], &servers).await).contains("1 of 1 dead letters put back"));
    assert_eq!(said(&run(&["dead-letters"], &servers).await).trim(), "0 dead letters");
    let mut back = Vec::new();
    for _ in 0..3 {
        let taken = consumer.next().await.unwrap();
        back.push(taken.work.id);
        assert!(taken.receipt.ack().await);
    }
    back.sort();
    assert_eq!(back, ["chk_0", "chk_1", "chk_2"]);
    let dead = env(&[("AMQP_URL", "amqp://guest:hush-hush@127.0.0.1:1/")]);
    let words = complained(&run(&["dead-letters"], &dead).await);
    assert!(words.contains("AMQP_URL") && !words.contains("hush-hush"), "{words}");
    assert_eq!(run(&["dead-letters", "--limit", "0"], &servers).await.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_lets_work_in_hand_finish_and_keeps_the_rest() {
    let mut system = System::embedded(&[("BOXOFFICE_PREFETCH", "1")]).await;
    let shop = system.shop();
    let slow = shop.order(&places("ses_demo_yoga", 1, "tok_slow")).await;
    shop.until(&slow, "processing").await;
    let rest = futures::future::join_all((0..3).map(|_| async { shop.order(&places("ses_demo_yoga", 1, "tok_visa")).await })).await;
    let (waiting, shop_too) = (format!("/v1/checkouts/{slow}"), shop.clone());
    let client = tokio::spawn(async move { shop_too.get_with(&waiting, "prefer", "wait=60").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let asked = Instant::now();
    assert!(system.server.terminate(PATIENCE).await.unwrap().success());
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    // A client that was waiting got an answer, not a broken connection.
    assert_eq!(client.await.unwrap().status, 200);
    system.server.restart().await.unwrap();
    // What was in hand was finished by the process that had it; what was queued is found again.
    let sold = shop.checkout(&slow).await;
    assert_eq!((&sold["status"], &sold["payment_attempts"].as_array().unwrap().len()), (&json!("succeeded"), &1), "{sold}");
    let timeline = shop.get(&format!("/v1/checkouts/{slow}/timeline")).await;
    assert!(!timeline.text.contains("lease.taken_over"), "{}", timeline.text);
    for id in &rest {
        assert_eq!(shop.settled(id).await["status"], "succeeded");
        assert_eq!(shop.charged(id).await, ["captured"]);
    }
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_told_to_stop_hands_nothing_over_half_done() {
    let mut system = System::distributed(&[], 1).await;
    let shop = system.shop();
    put(&shop, "sessions", "ses_stop", session(10)).await;
    let slow = shop.order(&places("ses_stop", 1, "tok_slow")).await;
    shop.until(&slow, "processing").await;
    let mut worker = system.workers.pop().unwrap();
    assert!(worker.terminate(PATIENCE).await.unwrap().success());
    assert_eq!(shop.checkout(&slow).await["status"], "succeeded");
    // Without a worker a sale waits; with the next it goes on.
    let later = shop.order(&places("ses_stop", 1, "tok_visa")).await;
    assert_eq!(shop.get_with(&format!("/v1/checkouts/{later}"), "prefer", "wait=1").await.json()["status"], "queued");
    system.workers.push(system.worker().start().await.unwrap());
    assert_eq!(shop.settled(&later).await["status"], "succeeded");
    system.finish().await;
}

#[tokio::test]
async fn what_is_typed_wrong_is_told_and_help_helps() {
    let help = said(&boxoffice().arg("--help").run().await.unwrap());
    for command in ["serve", "api", "worker", "sandbox", "migrate", "doctor", "keys", "audit", "dead-letters", "provider-events", "bench"] {
        assert!(help.contains(command), "{command}: {help}");
    }
    assert_eq!(boxoffice().arg("sell").run().await.unwrap().status.code(), Some(2));
    assert!(said(&boxoffice().arg("--version").run().await.unwrap()).starts_with("boxoffice "));
    // A port that is taken is told with its address.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = tempfile::tempdir().unwrap();
    let words = complained(&run(&["serve", "--listen", &address, "--data-dir", home.path().to_str().unwrap()], &env(&[])).await);
    assert!(words.contains(&address), "{words}");
    // The sandbox keeps its book to itself, too.
    let sandbox = boxoffice().args(["sandbox", "--data-dir"]).arg(home.path()).listen().unwrap().start().await.unwrap();
    let second = run(&["sandbox", "--listen", "127.0.0.1:0", "--data-dir", home.path().to_str().unwrap()], &env(&[])).await;
    assert!(complained(&second).contains("in use"));
    let anyone = support::client::Client::new(sandbox.base_url(), None);
    assert_eq!(anyone.send(anyone.request(Method::GET, "/healthz")).await.status, 200);
}
