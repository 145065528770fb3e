//! Sends one delivery once, and says what follows from the answer. Nothing here is kept: the store records the verdict.

use super::{
    address_filter::{AddressFilter, Forbidden},
    public_url::{BadUrl, PublicUrl},
    resolver::{FilteringResolver, LOOKUP_TIMEOUT, Lookup, ResolveError, SystemLookup},
    retry_after::retry_after,
    schedule::Schedule,
    signature::{self, BadSecret},
};
use crate::{
    config::Config,
    domain::{
        delivery::{DeliveryJob, DeliveryResult, DeliveryVerdict},
        event::EventFormat,
        id::Entropy,
        time::Timestamp,
    },
};
use http::{HeaderMap, StatusCode, header};
use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// How long a try may take, from the name's look-up to the answer.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
/// No more of an answer's body is read than this, and none of it is kept.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How long the body is waited for: it only matters for using the connection again.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_IDLE_PER_HOST: usize = 4;
/// The most that is kept of what went wrong, in characters.
const MAX_ERROR_CHARS: usize = 200;
const USER_AGENT: &str = concat!("boxoffice/", env!("CARGO_PKG_VERSION"));

/// How callbacks are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackSettings {
    /// The operator lets callbacks stay in their own network: `http`, any port, any address.
    pub allow_private: bool,
    /// How long a try may take. Must be shorter than a delivery's lease.
    pub timeout: Duration,
    /// When to try again.
    pub schedule: Schedule,
    /// Certificates (PEM) that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for CallbackSettings {
    fn default() -> Self {
        Self { allow_private: false, timeout: DEFAULT_TIMEOUT, schedule: Schedule::default(), ca_file: None }
    }
}

impl From<&Config> for CallbackSettings {
    fn from(config: &Config) -> Self {
        let schedule = config.callback_schedule.clone().map_or_else(Schedule::default, Schedule::new);
        Self {
            allow_private: config.allow_private_callbacks,
            timeout: config.callback_timeout,
            schedule,
            ca_file: config.callback_ca_file.clone(),
        }
    }
}

/// There can be no sender.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// The HTTP client could not be made.
    #[error("the client for callbacks cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    /// The file with further certificates is of no use.
    #[error("BOXOFFICE_CALLBACK_CA_FILE: {}: {problem}", .file.display())]
    CaFile {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// Sends callbacks. One for a process; any number of sends at once.
pub struct CallbackSender {
    client: reqwest::Client,
    filter: AddressFilter,
    settings: CallbackSettings,
    entropy: Arc<Entropy>,
}

/// Why a try failed. The texts never hold the secret, the body that was sent, or the receiver's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Failure {
    #[error("the address {0}")]
    Url(#[from] BadUrl),
    #[error(transparent)]
    Address(#[from] Forbidden),
    #[error("{0}")]
    Name(ResolveError),
    #[error(transparent)]
    Secret(#[from] BadSecret),
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("the connection failed: {0}")]
    Connection(io::ErrorKind),
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("the receiver does not speak HTTP as it should")]
    Protocol,
}

/// What a receiver answered.
struct Answer {
    status: StatusCode,
    asked: Option<Duration>,
}

impl CallbackSender {
    /// A sender for this process.
    pub fn new(settings: CallbackSettings, entropy: Arc<Entropy>) -> Result<Self, SenderError> {
        let filter = if settings.allow_private { AddressFilter::anything() } else { AddressFilter::public_only() };
        Self::with(settings, entropy, filter, Arc::new(SystemLookup::default()))
    }

    /// The same with another filter and another way to resolve names.
    pub fn with(
        settings: CallbackSettings,
        entropy: Arc<Entropy>,
        filter: AddressFilter,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, SenderError> {
        let resolver = FilteringResolver::new(lookup, filter.clone(), LOOKUP_TIMEOUT);
        let roots = settings.ca_file.as_deref().map(further_roots).transpose()?.unwrap_or_default();
        Ok(Self { client: client(resolver, &roots)?, filter, settings, entropy })
    }

    /// Sends a delivery once. `now` goes into the signature: the receiver holds it against its own clock.
    pub async fn send(&self, job: &DeliveryJob, now: Timestamp) -> DeliveryResult {
        let outcome = self.post(job, now).await;
        let n = job.record.tries.saturating_add(1);
        let (verdict, error) = match &outcome {
            Ok(answer) => self.judge(answer, n),
            Err(failure) => (self.judge_failure(failure, n), Some(failure.to_string())),
        };
        DeliveryResult {
            id: job.record.id.clone(),
            lease_token: job.lease_token.clone(),
            verdict,
            status_code: outcome.ok().map(|answer| answer.status.as_u16()),
            error: error.map(|text| text.chars().take(MAX_ERROR_CHARS).collect()),
        }
    }

    async fn post(&self, job: &DeliveryJob, now: Timestamp) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.settings.timeout;
        let url = PublicUrl::parse(&job.record.url, self.settings.allow_private)?;
        // The connector resolves names only, so an address in the URL is checked here.
        if let Some(address) = url.ip() {
            self.filter.check(address)?;
        }
        let id = job.record.event.as_str();
        let body = job.body.as_bytes();
        let request = self.client.post(url.as_url().clone()).header(header::CONTENT_TYPE, "application/json");
        let request = match EventFormat::of_name(&job.record.event_type) {
            EventFormat::Standard => request
                .header(signature::ID_HEADER, id)
                .header(signature::TIMESTAMP_HEADER, now.seconds())
                .header(signature::SIGNATURE_HEADER, signature::sign(&job.secrets, id, now, body)?),
            EventFormat::Monime => request.header(signature::MONIME_HEADER, signature::sign_monime(&job.secrets, now, body)?),
        };
        let request = request.body(job.body.clone());
        let response = timeout_at(deadline, request.send()).await.map_err(|_| Failure::TimedOut(self.settings.timeout))?;
        let mut response = response.map_err(|error| cause_of(&error, self.settings.timeout))?;
        let answer = Answer { status: response.status(), asked: asked(response.status(), response.headers(), now) };
        // The status says it all; whatever becomes of the body changes nothing.
        let _ = timeout_at(deadline.min(Instant::now() + DRAIN_TIMEOUT), drain(&mut response)).await;
        Ok(answer)
    }

    fn judge(&self, answer: &Answer, n: u32) -> (DeliveryVerdict, Option<String>) {
        let status = answer.status;
        if status.is_success() {
            return (DeliveryVerdict::Delivered, None);
        }
        if status == StatusCode::GONE {
            return (DeliveryVerdict::Disable, Some("the receiver answered 410: it wants no more".to_owned()));
        }
        let redirect = if status.is_redirection() { " (redirects are not followed)" } else { "" };
        (self.retry(n, answer.asked), Some(format!("the receiver answered {}{redirect}", status.as_u16())))
    }

    fn judge_failure(&self, failure: &Failure, n: u32) -> DeliveryVerdict {
        match failure {
            // Trying again would not change the address.
            Failure::Url(_) | Failure::Address(_) => DeliveryVerdict::GiveUp,
            Failure::Name(_) | Failure::Secret(_) | Failure::TimedOut(_) | Failure::Connection(_) | Failure::Tls(_) | Failure::Protocol => {
                self.retry(n, None)
            }
        }
    }

    /// By the schedule, but not before the receiver wants it.
    fn retry(&self, n: u32, asked: Option<Duration>) -> DeliveryVerdict {
        match self.settings.schedule.wait_after(n, &self.entropy) {
            Some(wait) => DeliveryVerdict::RetryIn(wait.max(asked.unwrap_or_default())),
            None => DeliveryVerdict::GiveUp,
        }
    }
}

fn asked(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if status.is_success() { None } else { retry_after(headers, now) }
}

/// Reads at most [`MAX_ANSWER_BYTES`] and throws them away. Beyond that the connection is closed with the response.
async fn drain(response: &mut reqwest::Response) {
    let mut left = MAX_ANSWER_BYTES;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// The operator's own certificates. A file without any is a mistake that would show only when a callback fails.
fn further_roots(file: &Path) -> Result<Vec<reqwest::Certificate>, SenderError> {
    let useless = |problem: String| SenderError::CaFile { file: file.to_owned(), problem };
    let pem = std::fs::read(file).map_err(|error| useless(error.to_string()))?;
    let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| useless("is not PEM".to_owned()))?;
    if roots.is_empty() { Err(useless("holds no certificate".to_owned())) } else { Ok(roots) }
}

/// One client: no redirects, no proxies (they would connect for us, past the filter), HTTP/1.1 only.
fn client(resolver: FilteringResolver, further: &[reqwest::Certificate]) -> Result<reqwest::Client, reqwest::Error> {
    // Another part of the process may have installed it already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        reqwest::Client::builder()
            .dns_resolver(resolver.clone())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
    };
    // The system's root certificates, which an operator can extend; where there are none (a bare container), Mozilla's.
    builder().tls_certs_merge(further.to_vec()).build().or_else(|_| {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let roots = roots.map(|root| reqwest::Certificate::from_der(root)).collect::<Result<Vec<_>, _>>()?;
        builder().tls_certs_only(roots.into_iter().chain(further.to_vec())).build()
    })
}

/// What is behind the client's error. Its own text is not used: it would show the URL, which may hold tokens.
fn cause_of(error: &reqwest::Error, timeout: Duration) -> Failure {
    if error.is_timeout() {
        return Failure::TimedOut(timeout);
    }
    let mut failure = Failure::Protocol;
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        cause = error.source();
        if let Some(&resolve) = error.downcast_ref::<ResolveError>() {
            return match resolve {
                ResolveError::Forbidden(forbidden) => Failure::Address(forbidden),
                ResolveError::NotFound | ResolveError::TimedOut => Failure::Name(resolve),
            };
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Failure::Tls(tls.to_string());
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            failure = Failure::Connection(io.kind());
            // Its `source` would leave out the error that it wraps.
            cause = io.get_ref().map(|inner| inner as &(dyn Error + 'static));
        }
    }
    failure
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
