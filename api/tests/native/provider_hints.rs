//! Notices of providers that sign nothing: kept as a reason to ask, within bounds, and believed in nothing.

use crate::server::Server;
use axum::body::{Body, to_bytes};
use boxoffice_common::{
    adapters::provider_events::{EventSource, NotGenuine},
    domain::{
        id::ProviderEventId,
        provider_event::{EventAccount, Told},
        scope::Mode,
        time::Timestamp,
    },
    ports::{
        queue::Lane,
        store::{MAX_PENDING_HINTS, ProviderEventStore},
    },
};
use http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

const PATH: &str = "/webhooks/hinting/pac_1";

/// A provider whose notices name an id and prove nothing.
pub struct Hinting(EventAccount);

impl Default for Hinting {
    fn default() -> Self {
        Self(EventAccount { provider: "hinting", account: "pac_1".to_owned(), mode: Mode::Test, tenant: Some("demo".to_owned()) })
    }
}

impl EventSource for Hinting {
    fn account(&self) -> &EventAccount {
        &self.0
    }

    fn verify(&self, _: &HeaderMap, _: &[u8], _: Timestamp) -> Result<String, NotGenuine> {
        Err(NotGenuine::Header("signature"))
    }

    fn hint(&self, _: &HeaderMap, body: &[u8]) -> Option<String> {
        std::str::from_utf8(body).ok()?.strip_prefix("id=").map(str::to_owned)
    }

    fn read(&self, body: &str) -> Result<Told, serde_json::Error> {
        Ok(Told::Ask(body.to_owned()))
    }
}

async fn tell(server: &Server, body: &str) -> (StatusCode, Value) {
    let request = Request::post(PATH).body(Body::from(body.to_owned())).unwrap();
    let response = server.router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_notice_without_a_signature_is_kept_as_a_hint_and_twins_are_answered_alike() {
    let server = Server::start().await;
    for _ in 0..3 {
        let (status, answer) = tell(&server, "id=tr_1").await;
        assert_eq!((status, &answer["received"]), (StatusCode::OK, &Value::Bool(true)), "{answer}");
    }
    let work = server.queued(Lane::Events, 1).await;
    let kept = server.store.provider_event(&ProviderEventId::parse(work[0].id.as_str()).unwrap()).await.unwrap().unwrap();
    assert_eq!((kept.provider.as_str(), kept.body.as_str()), ("hinting", "id=tr_1"));
    assert!(kept.event.starts_with("tr_1/"), "the next change of the same thing is another event");
    for bad in ["", "nothing", "id=\0", "id=", &format!("id={}", "x".repeat(128))] {
        let (status, problem) = tell(&server, bad).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &Value::from("event_not_genuine")), "{bad:?}");
    }
    assert_eq!(server.queued(Lane::Events, 0).await.len(), 0);
}

#[tokio::test]
async fn whoever_floods_an_account_is_asked_to_come_again() {
    let server = Server::start().await;
    let (mut kept, mut refused) = (0, 0);
    for n in 0..2 * MAX_PENDING_HINTS {
        match tell(&server, &format!("id=tr_{n}")).await {
            (StatusCode::OK, _) => kept += 1,
            (status, problem) => {
                assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &Value::from("overloaded")), "{problem}");
                refused += 1;
            }
        }
    }
    assert!(kept <= MAX_PENDING_HINTS && kept > 0 && refused >= MAX_PENDING_HINTS, "{kept} {refused}");
}
