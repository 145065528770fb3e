//! An account that a tenant has with a payment provider, in one mode, and what it takes to act in its name.
//!
//! An account is never deleted: attempts name it for ever. It is disabled, and then takes no new charges; its keys can be replaced.

use super::{
    error::{Code, CodedError},
    id::ProviderAccountId,
    routing::Method,
    scope::{Mode, Scope},
    secret::Secret,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// The most accounts of one tenant in one mode.
pub const MAX_ACCOUNTS: u32 = 20;
/// The longest name of one, characters.
pub const MAX_ACCOUNT_NAME: usize = 100;
/// The most secrets with which one account's events are verified: an old and a new one, and some to spare.
pub const MAX_WEBHOOK_SECRETS: usize = 5;
/// Shorter or longer than this is no key of a provider's, bytes.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 16..=255;
/// How much of a key is shown, to tell keys apart.
const SHOWN: usize = 4;

/// The providers with which a tenant can have an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Stripe.
    Stripe,
    /// Mollie.
    Mollie,
}

impl ProviderKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Stripe, Self::Mollie];

    /// As it stands in attempts, addresses and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Mollie => "mollie",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// How long the provider remembers an idempotency key, from when we have recorded the attempt: Stripe for a day, Mollie for an hour, of which
    /// some is left for clocks that differ.
    pub const fn key_window(self) -> Duration {
        match self {
            Self::Stripe => Duration::from_secs(24 * 3600),
            Self::Mollie => Duration::from_secs(55 * 60),
        }
    }

    /// What can be paid with there.
    pub const fn methods(self) -> &'static [Method] {
        match self {
            Self::Stripe => &[Method::Card, Method::SavedMethod, Method::ProviderPage, Method::EmbeddedPage],
            Self::Mollie => &[Method::Card, Method::SavedMethod, Method::ProviderPage],
        }
    }
}

/// An account. It holds no secret: those are sealed, and kept beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAccount {
    /// Ours, and what stands in the address to which the provider tells its events.
    pub id: ProviderAccountId,
    /// Whose, and whose money.
    pub scope: Scope,
    /// With whom.
    pub provider: ProviderKind,
    /// What the tenant calls it, 1 to 100 characters.
    pub name: String,
    /// Whether new charges go there. What is open there is brought to its end either way.
    pub enabled: bool,
    /// What may be shown of its credentials.
    pub hints: Hints,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Grows with every change.
    pub version: i64,
}

impl ProviderAccount {
    /// What can be paid with there: within a shop's page only where browsers have a key for it.
    pub fn takes(&self) -> Vec<Method> {
        let can = |method: &Method| *method != Method::EmbeddedPage || self.hints.publishable_key.is_some();
        self.provider.methods().iter().copied().filter(can).collect()
    }
}

/// What may be shown of credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ProviderAccountHints)]
pub struct Hints {
    /// What the key begins and ends with: `sk_test_…4242`.
    pub key: String,
    /// Stripe's key for browsers, which is no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishable_key: Option<String>,
    /// The provider's own id of the account, `acct_…` or `pfl_…`, as far as it was told. Keys of another one are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// With how many secrets events are verified. With none, no event of Stripe's is taken.
    pub webhook_secrets: usize,
}

/// What it takes to act in an account's name. Only the store, sealed, and the provider itself are shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "snake_case")]
pub enum Credentials {
    /// Stripe's.
    Stripe(StripeCredentials),
    /// Mollie's.
    Mollie(MollieCredentials),
}

/// Stripe's: <https://docs.stripe.com/keys>.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripeCredentials {
    /// `sk_…`, or `rk_…` with leave to write payment intents, refunds, customers and checkout sessions.
    pub secret_key: Secret<String>,
    /// `pk_…`, for browsers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishable_key: Option<String>,
    /// `whsec_…`, of the endpoint that Stripe tells its events to. Several during a rotation; any of them is good.
    #[serde(default)]
    pub webhook_secrets: Vec<Secret<String>>,
}

/// Mollie's: <https://docs.mollie.com/reference/authentication>. Its events carry nothing but an id and are looked up, so there is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MollieCredentials {
    /// `test_…` or `live_…`.
    pub api_key: Secret<String>,
}

/// Credentials as somebody gives them, all or a part: what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialParts {
    /// Stripe's.
    #[serde(default)]
    pub secret_key: Option<Secret<String>>,
    /// Stripe's.
    #[serde(default)]
    pub publishable_key: Option<String>,
    /// Stripe's. Replaces all of them.
    #[serde(default)]
    pub webhook_secrets: Option<Vec<Secret<String>>>,
    /// Mollie's.
    #[serde(default)]
    pub api_key: Option<Secret<String>>,
}

/// Errors never quote what was given: somebody may have mistaken one field for another.
fn wrong(field: &str, words: impl Into<String>) -> CodedError {
    CodedError::new(Code::ParameterInvalid, words).at(format!("credentials.{field}"))
}

impl CredentialParts {
    /// The credentials of a new account.
    ///
    /// Errors: `parameter_invalid`, with the place in `param`.
    pub fn build(self, provider: ProviderKind, mode: Mode) -> Result<Credentials, CodedError> {
        let Self { secret_key, publishable_key, webhook_secrets, api_key } = self;
        let built = match provider {
            ProviderKind::Stripe => {
                refuse("api_key", api_key.is_some(), provider)?;
                Credentials::Stripe(StripeCredentials {
                    secret_key: secret_key.ok_or_else(|| wrong("secret_key", "is required for stripe"))?,
                    publishable_key,
                    webhook_secrets: webhook_secrets.unwrap_or_default(),
                })
            }
            ProviderKind::Mollie => {
                refuse("secret_key", secret_key.is_some(), provider)?;
                refuse("publishable_key", publishable_key.is_some(), provider)?;
                refuse("webhook_secrets", webhook_secrets.is_some(), provider)?;
                let api_key = api_key.ok_or_else(|| wrong("api_key", "is required for mollie"))?;
                Credentials::Mollie(MollieCredentials { api_key })
            }
        };
        built.check(mode)?;
        Ok(built)
    }

    /// These credentials with what is given in their place.
    ///
    /// Errors: `parameter_invalid`, with the place in `param`.
    pub fn change(self, before: Credentials, mode: Mode) -> Result<Credentials, CodedError> {
        let provider = before.provider();
        let whole = match before {
            Credentials::Stripe(before) => Self {
                secret_key: self.secret_key.or(Some(before.secret_key)),
                publishable_key: self.publishable_key.or(before.publishable_key),
                webhook_secrets: self.webhook_secrets.or(Some(before.webhook_secrets)),
                api_key: self.api_key,
            },
            Credentials::Mollie(before) => Self { api_key: self.api_key.or(Some(before.api_key)), ..self },
        };
        whole.build(provider, mode)
    }

    /// Whether nothing is given at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn refuse(field: &str, is_given: bool, provider: ProviderKind) -> Result<(), CodedError> {
    if is_given { Err(wrong(field, format!("is nothing that {} has", provider.as_str()))) } else { Ok(()) }
}

impl Credentials {
    /// Whose.
    pub const fn provider(&self) -> ProviderKind {
        match self {
            Self::Stripe(_) => ProviderKind::Stripe,
            Self::Mollie(_) => ProviderKind::Mollie,
        }
    }

    /// The key that requests are sent with.
    pub const fn key(&self) -> &Secret<String> {
        match self {
            Self::Stripe(stripe) => &stripe.secret_key,
            Self::Mollie(mollie) => &mollie.api_key,
        }
    }

    /// What may be shown. Which account it is only the provider knows.
    pub fn hints(&self) -> Hints {
        let key = self.key().reveal();
        let begins = PREFIXES.into_iter().find(|prefix| key.starts_with(prefix)).unwrap_or_default();
        let end = key.len().checked_sub(SHOWN).and_then(|at| key.get(at..)).unwrap_or_default();
        let key = format!("{begins}…{end}");
        match self {
            Self::Stripe(stripe) => {
                Hints { key, publishable_key: stripe.publishable_key.clone(), account: None, webhook_secrets: stripe.webhook_secrets.len() }
            }
            Self::Mollie(_) => Hints { key, publishable_key: None, account: None, webhook_secrets: 0 },
        }
    }

    /// Checks the form, and that a key is of the mode: a live key among test objects would move money that nobody expects to move.
    fn check(&self, mode: Mode) -> Result<(), CodedError> {
        let live = mode == Mode::Live;
        match self {
            Self::Stripe(stripe) => {
                let begins: [&str; 2] = if live { ["sk_live_", "rk_live_"] } else { ["sk_test_", "rk_test_"] };
                check_key(stripe.secret_key.reveal(), &begins, "secret_key", mode)?;
                if let Some(key) = &stripe.publishable_key {
                    check_key(key, &[if live { "pk_live_" } else { "pk_test_" }], "publishable_key", mode)?;
                }
                if stripe.webhook_secrets.len() > MAX_WEBHOOK_SECRETS {
                    return Err(wrong("webhook_secrets", format!("has at most {MAX_WEBHOOK_SECRETS} secrets")));
                }
                for (at, secret) in stripe.webhook_secrets.iter().enumerate() {
                    check_form(secret.reveal(), &["whsec_"], is_base64)
                        .map_err(|()| wrong(&format!("webhook_secrets[{at}]"), "is whsec_… of the endpoint at Stripe"))?;
                }
                let distinct: BTreeSet<&str> = stripe.webhook_secrets.iter().map(|secret| secret.reveal().as_str()).collect();
                if distinct.len() < stripe.webhook_secrets.len() {
                    return Err(wrong("webhook_secrets", "has each secret once"));
                }
                Ok(())
            }
            Self::Mollie(mollie) => check_key(mollie.api_key.reveal(), &[if live { "live_" } else { "test_" }], "api_key", mode),
        }
    }
}

/// What keys begin with, the longest of those that fit first.
const PREFIXES: [&str; 6] = ["sk_test_", "sk_live_", "rk_test_", "rk_live_", "test_", "live_"];

fn check_key(key: &str, begins: &[&str], field: &str, mode: Mode) -> Result<(), CodedError> {
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    check_form(key, begins, is_key).map_err(|()| {
        let forms: Vec<String> = begins.iter().map(|begin| format!("{begin}…")).collect();
        wrong(field, format!("is {} in {} mode", forms.join(" or "), mode.as_str()))
    })
}

fn check_form(text: &str, begins: &[&str], is_right: impl Fn(u8) -> bool) -> Result<(), ()> {
    let rest = begins.iter().find_map(|begin| text.strip_prefix(begin)).ok_or(())?;
    if KEY_LENGTH.contains(&text.len()) && !rest.is_empty() && rest.bytes().all(is_right) { Ok(()) } else { Err(()) }
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-')
}

/// Checks what a tenant calls an account.
///
/// Errors: `parameter_invalid` at `name`.
pub fn check_name(name: &str) -> Result<(), CodedError> {
    let fits = (1..=MAX_ACCOUNT_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    let words = || format!("is 1 to {MAX_ACCOUNT_NAME} characters, none of them for control");
    if fits { Ok(()) } else { Err(CodedError::new(Code::ParameterInvalid, words()).at("name")) }
}

/// How a provider does, as the circuit before it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CircuitState {
    /// It answers.
    Closed,
    /// It failed, and is tried again by a few calls.
    HalfOpen,
    /// It fails: nothing is sent there for a while.
    Open,
}

impl CircuitState {
    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Closed, Self::HalfOpen, Self::Open].into_iter().find(|state| state.as_str() == text)
    }
}

#[cfg(test)]
#[path = "provider_account_tests.rs"]
mod tests;
