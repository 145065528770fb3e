//! An installation of which one process dies at a named point, and a client that asks again until it is answered.

use crate::{
    chaos::{PATIENCE, POLL, process::Process, site::Site},
    support::client::{Client, fresh_key},
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Whoever does not answer in this time is dead.
const ANSWER: Duration = Duration::from_secs(10);
/// Where a request is worked on behind its answer.
const PIPELINE: [&str; 3] = ["begin.", "charge.", "settle."];

/// An installation of which one process dies.
pub struct Mortal {
    site: Site,
    intake: Process,
    /// Where the work is not done by the process that takes it in.
    pipeline: Option<Process>,
    sandbox: Option<Process>,
    /// A client of the demo's tenant.
    pub shop: Client,
}

impl Mortal {
    /// Everything in one process.
    pub async fn embedded(name: &str, settings: &[(&str, &str)]) -> Self {
        let site = with(Site::embedded(), settings);
        let intake = Process::start(format!("serve-{name}"), site.serve()).await;
        let shop = Client::new(intake.base_url(), Some(site.key()));
        Self { site, intake, pipeline: None, sandbox: None, shop }
    }

    /// One API, one worker and a sandbox.
    pub async fn distributed(name: &str, settings: &[(&str, &str)]) -> Self {
        let mut site = with(Site::on_shared_servers(name).await, settings);
        let sandbox = site.sandbox().await;
        let intake = Process::start(format!("api-{name}"), site.api()).await;
        let pipeline = Process::start(format!("worker-{name}"), site.worker()).await;
        let shop = Client::new(intake.base_url(), Some(site.key()));
        Self { site, intake, pipeline: Some(pipeline), sandbox: Some(sandbox), shop }
    }

    /// Sends this while whoever crosses `point` is to die there, and brings that process back. An answer may or may not have come: a
    /// client knows nothing then.
    pub async fn dies_at(&mut self, point: &str, request: RequestBuilder) {
        let behind = PIPELINE.iter().any(|part| point.starts_with(part));
        let doomed = self.pipeline.as_mut().filter(|_| behind).unwrap_or(&mut self.intake);
        doomed.again_with_failpoints(&format!("{point}=kill")).await;
        let _ = request.timeout(ANSWER).send().await;
        assert!(doomed.killed_itself(PATIENCE).await, "{point} was not crossed by {}", doomed.name());
        doomed.again_with_failpoints("").await;
    }

    /// Has this taken in under a key while somebody dies at `point`, and asks once more behind the death. What it came to in the end.
    pub async fn post(&mut self, point: &str, path: &str, body: &Value) -> Value {
        let key = fresh_key();
        let shop = self.shop.clone();
        let request = || shop.request(Method::POST, path).header("idempotency-key", &key).json(body);
        self.dies_at(point, request()).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = taken_in(path, request()).await {
                return answer;
            }
            assert!(Instant::now() < deadline, "no answer to {path} behind {point}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Gives a sale back whole: there is one refund.
    pub async fn refund(&mut self, point: &str, sale: &Value) {
        let sale = sale["id"].as_str().unwrap();
        let refund = self.post(point, &format!("/v1/checkouts/{sale}/refunds"), &json!({})).await;
        let path = format!("/v1/refunds/{}", refund["id"].as_str().unwrap());
        self.shop.eventually(&path, |refund| refund["status"] == "succeeded").await;
        let all = self.shop.get(&format!("/v1/checkouts/{sale}/refunds")).await.expect(200);
        assert_eq!(all["data"].as_array().unwrap().len(), 1, "{point}: {all}");
    }

    /// A sale that succeeds.
    pub async fn buy(&mut self, point: &str, body: &Value) -> Value {
        let accepted = self.post(point, "/v1/checkouts", body).await;
        let sale = self.shop.settled(accepted["id"].as_str().unwrap()).await;
        assert_eq!(sale["status"], "succeeded", "{point}: {sale}");
        sale
    }

    /// The states of a checkout's charges in the provider's own book.
    pub async fn charged(&self, sale: &Value) -> Vec<String> {
        self.shop.charged(sale["id"].as_str().unwrap()).await
    }

    /// Stops everything, and holds the books against each other.
    pub async fn finish(mut self) {
        for process in [Some(&mut self.intake), self.pipeline.as_mut(), self.sandbox.as_mut()].into_iter().flatten() {
            process.program().terminate(PATIENCE).await.unwrap();
        }
        self.site.audit(Duration::from_secs(60)).await;
    }
}

fn with(site: Site, settings: &[(&str, &str)]) -> Site {
    settings.iter().fold(site, |site, (name, value)| site.with(name, value))
}

/// The answer of whoever took it in; nothing where nobody knows yet.
async fn taken_in(path: &str, request: RequestBuilder) -> Option<Value> {
    let answer = request.timeout(ANSWER).send().await.ok()?;
    let (status, text) = (answer.status().as_u16(), answer.text().await.ok()?);
    match status {
        200 | 202 => Some(serde_json::from_str(&text).unwrap()),
        409 | 500.. => None,
        _ => panic!("{path}: {status} {text}"),
    }
}
