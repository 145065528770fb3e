//! A session with 200 buyers is called off, and the server dies in the middle of it, twice: everybody gets the money back once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod chaos;
mod support;

use chaos::{PATIENCE, process::Process, site::Site};
use futures::{StreamExt, stream};
use serde_json::json;
use std::{collections::HashMap, time::Duration};
use support::{
    catalogue::{places, put, session},
    client::Client,
};

const BUYERS: usize = 200;
/// How many buy at once.
const AT_ONCE: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_embedded_a_session_is_called_off_and_everybody_refunded_once_although_the_server_dies_twice() {
    let site = Site::embedded();
    let mut server = Process::start("serve-jobs", site.serve()).await;
    let shop = Client::new(server.base_url(), Some(site.key()));
    put(&shop, "sessions", "ses_off", session(300)).await;
    let sales: Vec<String> = stream::iter(0..BUYERS)
        .map(async |_| shop.buy(&places("ses_off", 1, "tok_visa")).await)
        .buffer_unordered(AT_ONCE)
        .map(|sale| {
            assert_eq!(sale["status"], "succeeded", "{sale}");
            sale["id"].as_str().unwrap().to_owned()
        })
        .collect()
        .await;
    // The first death comes behind the second batch, and the next one behind the first batch of the next life.
    server.again_with_failpoints("job.after_batch=kill@2").await;
    let job = shop.post("/v1/sessions/ses_off/cancel", &json!({})).await.expect(202);
    assert_eq!(job["total"], BUYERS);
    assert!(server.killed_itself(PATIENCE).await, "not in the middle of the job");
    server.again_with_failpoints("job.after_batch=kill").await;
    assert!(server.killed_itself(PATIENCE).await, "nobody took the job over");
    server.again_with_failpoints("").await;
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let ended = chaos::until("the job ends", PATIENCE, async || {
        let job = shop.get(&path).await.expect(200);
        job["completed_at"].is_string().then_some(job)
    })
    .await;
    assert_eq!((&ended["status"], &ended["done"], &ended["failed"]), (&json!("succeeded"), &json!(BUYERS), &json!(0)));
    assert_eq!(shop.left("ses_off").await, (0, 0, 300));
    for sale in &sales {
        let refunds = shop.get(&format!("/v1/checkouts/{sale}/refunds")).await.expect(200);
        assert_eq!(refunds["data"].as_array().unwrap().len(), 1, "{refunds}");
    }
    server.program().terminate(PATIENCE).await.unwrap();
    let mut book: HashMap<String, Vec<i64>> = HashMap::new();
    for charge in site.charges().await {
        book.entry(charge.reference.clone()).or_default().push(charge.amount_refunded.minor());
    }
    for sale in &sales {
        assert_eq!(book[sale], [1500], "one charge, given back once");
    }
    site.audit(Duration::from_secs(60)).await;
}
