//! A way to localstripe that leaves out of our requests what it does not know, and keeps them as they were sent.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, Uri, header},
    response::{IntoResponse, Response},
};
use std::sync::{Arc, Mutex};
use tokio::{net::TcpListener, task::JoinHandle};

/// What it answers with 400, or with 500: three parameters of a charge, and the filter of a list.
pub const LEFT_OUT: [&str; 4] = ["automatic_payment_methods", "error_on_requires_action", "return_url", "created"];

/// A request as it came from us.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
}

#[derive(Clone)]
struct Shared {
    http: reqwest::Client,
    /// Where localstripe is.
    there: String,
    more: Option<&'static str>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// Listens until it is dropped.
pub struct Without {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: JoinHandle<()>,
}

impl Without {
    /// To `there`, which has no slash at its end. `more` is left out, too.
    pub async fn start(there: &str, more: Option<&'static str>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(crate::server::LONG).build().unwrap();
        let shared = Shared { http, there: there.to_owned(), more, seen: Arc::default() };
        let seen = Arc::clone(&shared.seen);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let app = Router::new().fallback(forward).with_state(shared);
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen, server }
    }

    /// With a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What came by, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Without {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forward(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    shared.seen.lock().unwrap().push(Seen { method: method.to_string(), path: uri.path().to_owned(), headers: headers.clone() });
    let query = thinned(uri.query().unwrap_or_default(), shared.more);
    let question = if query.is_empty() { "" } else { "?" };
    let mut request = shared.http.request(method, format!("{}{}{question}{query}", shared.there, uri.path()));
    for name in [header::AUTHORIZATION, header::CONTENT_TYPE] {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let answer = request.body(thinned(std::str::from_utf8(&body).unwrap(), shared.more)).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| [(header::CONTENT_TYPE, kind.clone())]);
    (status, kind, answer.bytes().await.unwrap()).into_response()
}

/// The pairs of a form or a query whose name does not begin with one of those.
fn thinned(pairs: &str, more: Option<&str>) -> String {
    let is_known = |pair: &&str| {
        let name = pair.split(['=', '[', '%']).next().unwrap_or_default();
        !LEFT_OUT.contains(&name) && more != Some(name)
    };
    pairs.split('&').filter(is_known).collect::<Vec<_>>().join("&")
}
