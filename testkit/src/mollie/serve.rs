//! From a request to its answer: faults, authentication, keys, and the endpoint.

use super::{
    Shared,
    book::{Book, Known},
    call::{Call, Refusal, Reply, respond},
    customers,
    faults::{Executed, Fault},
    lock, page, payments, refunds,
};
use crate::cut::Scissors;
use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    http::{HeaderMap, Method, Response, Uri},
};
use std::sync::Arc;

const HTML: &[u8] = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";

pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let call = Call::new(method, &uri, headers, body);
    if let ["checkout", id] = call.parts().as_slice() {
        return page::answer(&shared, &call, id);
    }
    shared.asked.send_modify(|asked| *asked += 1);
    let fault = shared.fault_for(&call);
    if let Some(Fault::Slow(time)) = fault {
        tokio::time::sleep(time).await;
    }
    match fault {
        Some(Fault::CutBefore) => {
            scissors.cut_after(0);
            return Response::new(Body::empty());
        }
        Some(Fault::RateLimited(retry_after)) => {
            let detail = "You have exceeded the rate limit. Please slow down your requests.";
            return Reply { retry_after, ..Reply::from(Refusal::new(429, "Too Many Requests", detail)) }.into_response();
        }
        Some(Fault::Html(Executed::No)) => return respond(502, "text/html", HTML.to_vec()),
        Some(Fault::Status(status, Executed::No)) => return Reply::from(fault_of(status)).into_response(),
        _ => {}
    }
    let instead = match fault {
        Some(Fault::Status(status, Executed::Yes)) => Some(Reply::from(fault_of(status))),
        _ => None,
    };
    let reply = {
        let _in_use = InUse::new(&shared, &call);
        let reply = shared.execute(&call, instead);
        if let Some(Fault::Late(time)) = fault {
            tokio::time::sleep(time).await;
        }
        reply
    };
    match fault {
        Some(Fault::CutAfter(bytes)) => scissors.cut_after(bytes),
        Some(Fault::Html(_)) => return respond(502, "text/html", HTML.to_vec()),
        Some(Fault::Garbage) => return respond(200, "application/hal+json", b"{\"resource\":".to_vec()),
        _ => {}
    }
    reply.into_response()
}

fn fault_of(status: u16) -> Refusal {
    Refusal::new(status, "Error", "An error that was asked for")
}

/// A key is in use until its request is answered, or its client has gone away.
struct InUse<'a> {
    shared: &'a Shared,
    key: Option<String>,
}

impl<'a> InUse<'a> {
    fn new(shared: &'a Shared, call: &Call) -> Self {
        // Only who has the key gives it back.
        let key = call.header("idempotency-key").filter(|_| call.method == Method::POST).map(str::to_owned);
        let is_free = key.as_ref().is_some_and(|key| matches!(lock(&shared.book).known(key, call), Known::Not));
        Self { shared, key: key.filter(|_| is_free) }
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            lock(&self.shared.book).answered(key);
        }
    }
}

impl Shared {
    fn execute(&self, call: &Call, instead: Option<Reply>) -> Reply {
        let allowed = call.header("authorization") == Some(format!("Bearer {}", self.settings.api_key).as_str());
        if !allowed {
            return Refusal::new(401, "Unauthorized Request", "Missing authentication, or failed to authenticate").into();
        }
        let reply = {
            let mut book = lock(&self.book);
            match call.header("idempotency-key").filter(|_| call.method == Method::POST) {
                None => {
                    let done = route(&mut book, call, &self.url);
                    instead.unwrap_or(done)
                }
                Some(key) => match book.known(key, call) {
                    Known::Replay(reply) => reply,
                    Known::Refused(refusal) => refusal.into(),
                    Known::Not => {
                        let done = route(&mut book, call, &self.url);
                        let reply = instead.unwrap_or(done);
                        book.remember(key, call, reply.clone());
                        reply
                    }
                },
            }
        };
        self.wake();
        reply
    }
}

/// The endpoint.
fn route(book: &mut Book, call: &Call, base: &str) -> Reply {
    let parts = call.parts();
    let done = match (call.method.as_str(), parts.as_slice()) {
        ("POST", ["v2", "payments"]) => payments::create(book, call, base),
        ("GET", ["v2", "payments"]) => payments::list(book, call, base),
        ("GET", ["v2", "payments", id]) => payments::get(book, call, id, base),
        ("DELETE", ["v2", "payments", id]) => payments::cancel(book, id, base),
        ("POST", ["v2", "payments", id, "release-authorization"]) => payments::release(book, id),
        ("POST", ["v2", "payments", id, "captures"]) => refunds::capture(book, call, id, base),
        ("GET", ["v2", "payments", id, "captures"]) => refunds::list_captures(book, call, id, base),
        ("POST", ["v2", "payments", id, "refunds"]) => refunds::create(book, call, id, base),
        ("GET", ["v2", "payments", id, "refunds"]) => refunds::list(book, call, Some(id), base),
        ("GET", ["v2", "payments", id, "refunds", refund]) => refunds::get(book, id, refund, base),
        ("DELETE", ["v2", "payments", id, "refunds", refund]) => refunds::cancel(book, id, refund),
        ("GET", ["v2", "refunds"]) => refunds::list(book, call, None, base),
        ("POST", ["v2", "customers"]) => customers::create(book, call),
        ("GET", ["v2", "customers", id]) => customers::get(book, id),
        ("GET", ["v2", "customers", id, "mandates"]) => customers::mandates(book, call, id, base),
        ("DELETE", ["v2", "customers", id, "mandates", mandate]) => customers::revoke(book, id, mandate),
        ("GET", ["v2", "profiles", "me"]) => {
            Ok(Reply::ok(serde_json::json!({"resource": "profile", "id": super::PROFILE, "mode": "test"})))
        }
        _ => Err(Refusal::new(404, "Not Found", "No such endpoint.")),
    };
    done.unwrap_or_else(Reply::from)
}
