//! The HTTP side: connections, headers, keys, limits, faults. What a call means is the account's business.

use super::{
    account::{Account, Call},
    clock::StripeClock,
    events::API_VERSION,
    faults::{Boundary, Effect, Faults, Request as FaultRequest},
    form::Params,
    idempotency::{Answer, Keys, Known},
    ids::Ids,
    limits::{self, Rate},
    lock,
    log::{Log, SeenRequest},
    pages,
    refusal::Refusal,
    webhooks::Webhooks,
    wire::{CutStream, Shears},
};
use data_encoding::BASE64;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// No request of the API is longer.
const MAX_BODY: usize = 1 << 20;
/// Connections at once.
const MAX_CONNECTIONS: usize = 16_384;

/// Everything that the connections share.
#[derive(Debug)]
pub(super) struct Shared {
    /// The key that it began with.
    pub(super) secret_key: String,
    /// The keys that are good now.
    pub(super) good_keys: Mutex<Vec<String>>,
    /// Other accounts whose keys are taken at this address, too.
    pub(super) neighbours: Mutex<Vec<Arc<Self>>>,
    pub(super) account: Arc<Mutex<Account>>,
    pub(super) clock: Arc<StripeClock>,
    pub(super) keys: Mutex<Keys>,
    pub(super) log: Arc<Mutex<Log>>,
    pub(super) requests: Mutex<Ids>,
    pub(super) faults: Faults,
    pub(super) rate: Rate,
    pub(super) webhooks: Webhooks,
    /// Counts what happens, for those who wait for something.
    pub(super) changes: watch::Sender<u64>,
    pub(super) at_once: Arc<AtOnce>,
}

/// How many calls of the API are being answered.
#[derive(Debug, Default)]
pub(super) struct AtOnce {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl AtOnce {
    fn enter(self: &Arc<Self>) -> Inside {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        Inside(Arc::clone(self))
    }

    /// The most that there ever were.
    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

/// A call that is being answered; no more when it is dropped, whether it was answered or cut.
struct Inside(Arc<AtOnce>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call that arrived whole.
struct Arrived {
    method: String,
    path: String,
    headers: Arc<HeaderMap>,
    call: Call,
    /// Its number in the log.
    number: u64,
    fault: Option<Effect>,
}

/// What a connection does after a call.
enum Reaction {
    Answer(Answer),
    Cut,
    CutAt(Boundary, Answer),
    Silence,
}

/// What is known of a call before it is executed.
enum Begun {
    Answered(Answer),
    /// To be executed; its key is taken.
    Go,
}

/// Serves until it is dropped, and ends all connections with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: others will be closed.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let shears = Shears::default();
            let io = TokioIo::new(CutStream::new(stream, shears.clone()));
            let service = service_fn(move |request| answer(Arc::clone(&shared), shears.clone(), request));
            // A connection that was cut ends with an error, as ordered.
            let _ = hyper::server::conn::http1::Builder::new().header_read_timeout(None).serve_connection(io, service).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(shared: Arc<Shared>, shears: Shears, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(io::Error::other)?.to_bytes();
    let query = head.uri.query().unwrap_or_default();
    if !head.uri.path().starts_with("/v1/") {
        let answer = pages::answer(&shared, head.method.as_str(), head.uri.path(), query, &body);
        shared.wake();
        return Ok(respond(answer));
    }
    let shared = shared.whose(&head.headers);
    let _inside = shared.at_once.enter();
    let mut arrived = shared.arrive(head.method.as_str(), head.uri.path(), head.headers);
    let params = read_params(&arrived.method, query, &body, &arrived.headers);
    let reaction = match params {
        Ok(params) => {
            shared.note(&mut arrived, params);
            shared.react(arrived).await?
        }
        Err(refusal) => {
            shared.note(&mut arrived, Params::default());
            Reaction::Answer(shared.refuse(&arrived, &refusal))
        }
    };
    match reaction {
        Reaction::Answer(answer) => Ok(respond(answer)),
        Reaction::Cut => Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut as ordered")),
        Reaction::CutAt(boundary, answer) => {
            shears.cut(boundary, answer.body.len());
            Ok(respond(answer))
        }
        Reaction::Silence => std::future::pending().await,
    }
}

fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(answer.content_type));
    for (name, value) in answer.headers {
        if let Ok(value) = header::HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

fn read_params(method: &str, query: &str, body: &[u8], headers: &HeaderMap) -> Result<Params, Refusal> {
    if method != "POST" || body.is_empty() {
        return Params::parse(query.as_bytes());
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(Refusal::invalid(
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any questions, we can help at \
             https://support.stripe.com/.",
        ));
    }
    Params::parse(body)
}

/// The secret key of a request: bearer, or the user name of basic authentication.
fn secret_of(headers: &HeaderMap) -> Option<String> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| BASE64.decode(value.trim().as_bytes()).ok()).flatten()?;
    String::from_utf8(decoded).ok()?.split_once(':').map(|(user, _)| user.to_owned())
}

fn html(status: u16) -> Answer {
    let body =
        format!("<html>\r\n<head><title>{status}</title></head>\r\n<body><center><h1>{status}</h1></center><hr></body>\r\n</html>\r\n");
    Answer { status, content_type: "text/html", headers: Vec::new(), body: Bytes::from(body) }
}

impl Shared {
    fn takes(&self, secret: &String) -> bool {
        lock(&self.good_keys).contains(secret)
    }

    /// The account that a call is for: its key says so. What no account takes is refused by this one.
    fn whose(self: Arc<Self>, headers: &HeaderMap) -> Arc<Self> {
        let Some(secret) = secret_of(headers) else { return self };
        let neighbour = lock(&self.neighbours).iter().find(|neighbour| neighbour.takes(&secret)).cloned();
        neighbour.unwrap_or(self)
    }

    fn arrive(&self, method: &str, path: &str, headers: HeaderMap) -> Arrived {
        let request = format!("req_{}", lock(&self.requests).secret(14));
        let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
        let call = Call { request, key: key.filter(|_| method == "POST"), params: Arc::default() };
        Arrived { method: method.to_owned(), path: path.to_owned(), headers: Arc::new(headers), call, number: u64::MAX, fault: None }
    }

    /// Puts a call into the log and finds the fault that was ordered for it.
    fn note(&self, arrived: &mut Arrived, params: Params) {
        let params = Arc::new(params);
        let key = arrived.call.key.as_deref();
        arrived.fault = self.faults.take(&FaultRequest { method: &arrived.method, path: &arrived.path, key, params: &params });
        arrived.number = lock(&self.log).add(SeenRequest {
            id: arrived.call.request.clone(),
            method: arrived.method.clone(),
            path: arrived.path.clone(),
            key: arrived.call.key.clone(),
            headers: Arc::clone(&arrived.headers),
            at: Instant::now(),
            status: None,
            replayed: false,
            fault: arrived.fault,
            params: Arc::clone(&params),
        });
        arrived.call.params = params;
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    async fn react(self: Arc<Self>, arrived: Arrived) -> io::Result<Reaction> {
        if self.faults.latency().is_zero() && arrived.fault.is_none() {
            return Ok(Reaction::Answer(self.plain(&arrived)));
        }
        // A client that hangs up does not stop what it asked for: the rest is a task of its own.
        tokio::spawn(async move { self.act(arrived).await }).await.map_err(io::Error::other)
    }

    /// Nothing goes wrong.
    fn plain(&self, arrived: &Arrived) -> Answer {
        match self.begin(arrived) {
            Begun::Answered(answer) => answer,
            Begun::Go => {
                let (answer, executed) = self.execute(arrived);
                self.finish(arrived, &answer, executed);
                answer
            }
        }
    }

    async fn act(&self, arrived: Arrived) -> Reaction {
        let latency = self.faults.latency();
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let Some(effect) = arrived.fault else { return Reaction::Answer(self.plain(&arrived)) };
        if let Some(reaction) = self.instead(&arrived, effect) {
            return reaction;
        }
        let (before, after) = match effect {
            Effect::WaitThenExecute(wait) => (wait, Duration::ZERO),
            Effect::ExecuteThenWait(wait) => (Duration::ZERO, wait),
            _ => (Duration::ZERO, Duration::ZERO),
        };
        let mut answer = match self.begin(&arrived) {
            Begun::Answered(answer) => answer,
            Begun::Go => {
                tokio::time::sleep(before).await;
                let (mut answer, executed) = self.execute(&arrived);
                if effect == Effect::ServerErrorAfter {
                    answer = self.refuse(&arrived, &Refusal::server(500));
                }
                tokio::time::sleep(after).await;
                self.finish(&arrived, &answer, executed);
                answer
            }
        };
        match effect {
            Effect::CutAfter => Reaction::Cut,
            Effect::CutAnswer(boundary) => Reaction::CutAt(boundary, answer),
            Effect::SilenceAfter => Reaction::Silence,
            Effect::HtmlAfter(status) => Reaction::Answer(html(status)),
            Effect::Garbage => {
                answer.body = Bytes::from_static(b"{\"id\": \"pi_");
                Reaction::Answer(answer)
            }
            Effect::ShouldRetry(wanted) => {
                answer.headers.push(("stripe-should-retry", wanted.to_string()));
                Reaction::Answer(answer)
            }
            _ => Reaction::Answer(answer),
        }
    }

    /// What happens instead of an execution.
    fn instead(&self, arrived: &Arrived, effect: Effect) -> Option<Reaction> {
        let refusal = match effect {
            Effect::CutBefore => return Some(Reaction::Cut),
            Effect::Silence => return Some(Reaction::Silence),
            Effect::Html(status) => return Some(Reaction::Answer(html(status))),
            Effect::ServerErrorBefore => Refusal::server(500),
            Effect::ServerErrorShouldRetry(wanted) => Refusal::server(500).header("stripe-should-retry", wanted.to_string()),
            Effect::RateLimit(seconds) => limits::rate_limited().header("retry-after", seconds.to_string()),
            Effect::LockTimeout => limits::lock_timeout(),
            Effect::KeyInUse => Refusal::key_in_use(arrived.call.key.as_deref().unwrap_or_default()),
            _ => return None,
        };
        Some(Reaction::Answer(self.refuse(arrived, &refusal)))
    }

    /// Checks who asks and how often, and looks the key up.
    fn begin(&self, arrived: &Arrived) -> Begun {
        let refused = |refusal: Refusal| Begun::Answered(self.refuse(arrived, &refusal));
        match secret_of(&arrived.headers) {
            Some(secret) if self.takes(&secret) => {}
            Some(secret) => {
                let end = secret.get(secret.len().saturating_sub(4)..).unwrap_or_default();
                return refused(Refusal::unauthenticated(format!("Invalid API Key provided: ****{end}")));
            }
            None => {
                return refused(Refusal::unauthenticated(
                    "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. \
                     'Authorization: Bearer YOUR_SECRET_KEY').",
                ));
            }
        }
        if self.rate.is_over(self.clock.now_ms()) {
            return refused(limits::rate_limited().header("retry-after", "1"));
        }
        let Some(key) = &arrived.call.key else { return Begun::Go };
        match lock(&self.keys).begin(key, &arrived.path, &arrived.call.params, self.clock.now_ms()) {
            Known::New => Begun::Go,
            Known::Refused(refusal) => refused(refusal),
            Known::Before(request, mut answer) => {
                answer.headers.retain(|(name, _)| *name != "request-id");
                answer.headers.push(("request-id", arrived.call.request.clone()));
                answer.headers.push(("original-request", request));
                answer.headers.push(("idempotent-replayed", "true".to_owned()));
                lock(&self.log).change(arrived.number, |seen| (seen.status, seen.replayed) = (Some(answer.status), true));
                Begun::Answered(answer)
            }
        }
    }

    /// Executes a call; `false`: it was refused before anything was done.
    fn execute(&self, arrived: &Arrived) -> (Answer, bool) {
        let mut account = lock(&self.account);
        account.run_due();
        let result = account.execute(&arrived.method, &arrived.path, &arrived.call);
        account.run_due();
        drop(account);
        self.wake();
        match result {
            Ok(value) => (self.render(arrived, 200, &value, &[]), true),
            Err(refusal) => (self.refuse(arrived, &refusal), refusal.was_executed()),
        }
    }

    /// Keeps an answer under its key, or frees the key when nothing was executed.
    fn finish(&self, arrived: &Arrived, answer: &Answer, executed: bool) {
        if let Some(key) = &arrived.call.key {
            let mut keys = lock(&self.keys);
            if executed { keys.finish(key, &arrived.call.request, answer) } else { keys.forget(key) }
        }
    }

    fn refuse(&self, arrived: &Arrived, refusal: &Refusal) -> Answer {
        self.render(arrived, refusal.status(), &refusal.body(&arrived.call.request), refusal.headers())
    }

    fn render(&self, arrived: &Arrived, status: u16, value: &Value, extra: &[(&'static str, String)]) -> Answer {
        lock(&self.log).change(arrived.number, |seen| seen.status = Some(status));
        let version = arrived.headers.get("stripe-version").and_then(|version| version.to_str().ok()).unwrap_or(API_VERSION);
        let mut headers = vec![("request-id", arrived.call.request.clone()), ("stripe-version", version.to_owned())];
        headers.extend(arrived.call.key.iter().map(|key| ("idempotency-key", key.clone())));
        headers.extend(extra.iter().cloned());
        Answer { status, content_type: "application/json", headers, body: Bytes::from(serde_json::to_vec(value).unwrap_or_default()) }
    }

    /// Wakes those who wait for a change, and the sender of events when there are new ones.
    pub(super) fn wake(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        if lock(&self.account).events.stirred.swap(false, Ordering::Relaxed) {
            self.webhooks.stirred.notify_one();
        }
    }
}
