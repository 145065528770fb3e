//! A lean HTTP/1.1 client: one kept-alive connection a buyer, opened again when it breaks. Plain HTTP only: the bench is for servers nearby.

use boxoffice_common::domain::secret::Secret;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// Longer than the 60 s for which a server may hold an answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(90);
/// An availability of a large session is the longest answer we ask for.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No connection.
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    /// The connection broke.
    #[error("connection broken: {0}")]
    Broken(String),
    /// No answer in time.
    #[error("no answer in time")]
    Late,
    /// An answer that is not what the API promises.
    #[error("answered {status}: {body}")]
    Unexpected {
        /// Its status.
        status: StatusCode,
        /// The start of its body.
        body: String,
    },
}

impl Fault {
    /// A short name to count it under.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Connect(_) => "no connection",
            Self::Broken(_) => "connection broken",
            Self::Late => "no answer in time",
            Self::Unexpected { .. } => "unexpected answer",
        }
    }
}

/// Whom to ask, and as whom.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// `host:port`.
    authority: Arc<str>,
    host: HeaderValue,
    bearer: HeaderValue,
}

impl Origin {
    /// `url` without a path; `None` if it is not plain HTTP or the key cannot stand in a header.
    pub(super) fn new(url: &str, key: &Secret<String>) -> Option<Self> {
        let url = url::Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
        let authority = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.reveal())).ok()?;
        bearer.set_sensitive(true);
        Some(Self { host: HeaderValue::from_str(&authority).ok()?, authority: authority.into(), bearer })
    }
}

#[cfg(test)]
impl Origin {
    /// Its address again.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.authority)
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Where it leads on to.
    pub(super) location: Option<String>,
    pub(super) body: Bytes,
}

impl Answer {
    /// The fault that this answer is.
    pub(super) fn unexpected(&self) -> Fault {
        let start: String = String::from_utf8_lossy(&self.body).chars().take(300).collect();
        Fault::Unexpected { status: self.status, body: start }
    }
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) header: Option<(&'static str, &'a str)>,
    pub(super) body: Bytes,
    /// What the body is, if there is one.
    pub(super) kind: &'static str,
}

impl<'a> Question<'a> {
    /// A GET.
    pub(super) fn get(path: &'a str) -> Self {
        Self::new(Method::GET, path, Bytes::new())
    }

    /// A question with a JSON body.
    pub(super) fn new(method: Method, path: &'a str, body: impl Into<Bytes>) -> Self {
        Self { method, path, header: None, body: body.into(), kind: "application/json" }
    }

    /// A form as a page sends it.
    pub(super) fn form(path: &'a str, body: impl Into<Bytes>) -> Self {
        Self { kind: "application/x-www-form-urlencoded", ..Self::new(Method::POST, path, body) }
    }
}

/// One connection, opened when first needed.
#[derive(Debug)]
pub(super) struct Connection {
    origin: Origin,
    sender: Option<http1::SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Not yet connected.
    pub(super) fn new(origin: Origin) -> Self {
        Self { origin, sender: None }
    }

    /// Asks, and asks once more on a new connection if a kept one broke: everything that we ask is idempotent.
    pub(super) async fn ask(&mut self, question: Question<'_>) -> Result<Answer, Fault> {
        let fresh = self.sender.is_none();
        match self.ask_once(&question).await {
            Err(Fault::Broken(_)) if !fresh => self.ask_once(&question).await,
            answer => answer,
        }
    }

    async fn ask_once(&mut self, question: &Question<'_>) -> Result<Answer, Fault> {
        let request = self.request(question)?;
        let answer = timeout(ANSWER_PATIENCE, self.exchange(request)).await.unwrap_or(Err(Fault::Late));
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    fn request(&self, question: &Question<'_>) -> Result<Request<Full<Bytes>>, Fault> {
        let mut request = Request::builder()
            .method(question.method.clone())
            .uri(question.path)
            .header(header::HOST, self.origin.host.clone())
            .header(header::AUTHORIZATION, self.origin.bearer.clone());
        if !question.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, HeaderValue::from_static(question.kind));
        }
        if let Some((name, value)) = question.header {
            request = request.header(name, value);
        }
        request.body(Full::new(question.body.clone())).map_err(|error| Fault::Broken(error.to_string()))
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Fault> {
        let broken = |error: hyper::Error| Fault::Broken(error.to_string());
        let sender = match &mut self.sender {
            Some(sender) => sender,
            None => self.sender.insert(connect(&self.origin).await?),
        };
        sender.ready().await.map_err(broken)?;
        let (parts, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| Fault::Broken(error.to_string()))?;
        let location = parts.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answer { status: parts.status, location, body: body.to_bytes() })
    }
}

async fn connect(origin: &Origin) -> Result<http1::SendRequest<Full<Bytes>>, Fault> {
    let opening = TcpStream::connect(&*origin.authority);
    let stream = timeout(CONNECT_PATIENCE, opening).await.map_err(|_| Fault::Late)?.map_err(Fault::Connect)?;
    stream.set_nodelay(true).map_err(Fault::Connect)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| Fault::Broken(error.to_string()))?;
    // Ends by itself when the sender is dropped or the server closes.
    tokio::spawn(connection);
    Ok(sender)
}
