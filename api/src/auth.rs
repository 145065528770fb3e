//! Who is calling, and what it may do. What a handler needs is its argument's type: `Caller<CheckoutsWrite>`.

use crate::{context::ApiContext, dialects::takes_key_header, key, problem::Problem};
use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{id::KeyId, scope::Scope},
    ports::store::{ApiKey, Store},
};
use http::{HeaderMap, header, request::Parts};
use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// Where other people's clients have their key.
pub(crate) const KEY_HEADER: &str = "x-api-key";
/// A revoked key, or a changed one, is noticed after this long at the latest.
const TRUST: Duration = Duration::from_secs(5);
/// From this age on, one caller looks the key up again while the others still trust it.
const REFRESH: Duration = Duration::from_secs(3);
/// How many keys, known and unknown ones, are remembered.
const MAX_REMEMBERED: usize = 10_000;
/// How many keys are looked up at once, so that a flood of bad keys cannot take the store's connections.
const MAX_LOOKUPS: usize = 16;

/// What a key may do. `admin` may do everything; who may write checkouts may read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    checkouts_write: bool,
    checkouts_read: bool,
    catalog_write: bool,
    admin: bool,
}

impl Permissions {
    fn of(scopes: &[String]) -> Self {
        let has = |name: &str| scopes.iter().any(|scope| scope == name);
        let admin = has(Admin::NAME);
        let checkouts_write = admin || has(CheckoutsWrite::NAME);
        Self {
            checkouts_write,
            checkouts_read: checkouts_write || has(CheckoutsRead::NAME),
            catalog_write: admin || has(CatalogWrite::NAME),
            admin,
        }
    }
}

/// A scope that a handler asks for.
pub trait Permission: Send + Sync {
    /// As it stands in a key's scopes.
    const NAME: &'static str;
    /// Whether a key with these permissions has it.
    fn granted(permissions: Permissions) -> bool;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $field:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Permission for $name {
            const NAME: &'static str = $text;

            fn granted(permissions: Permissions) -> bool {
                permissions.$field
            }
        }
    )*};
}

permissions! {
    /// Makes, cancels and replays.
    CheckoutsWrite = "checkouts:write", checkouts_write;
    /// Reads checkouts, customers, deliveries and the ledger.
    CheckoutsRead = "checkouts:read", checkouts_read;
    /// Changes the catalogue and customers.
    CatalogWrite = "catalog:write", catalog_write;
    /// Resolves, and handles endpoints and secrets.
    Admin = "admin", admin;
}

/// Any live key: for what every client of a tenant may see, such as its catalogue.
#[derive(Debug, Clone, Copy)]
pub struct AnyKey;

impl Permission for AnyKey {
    const NAME: &'static str = "any";

    fn granted(_: Permissions) -> bool {
        true
    }
}

/// A live key's owner.
#[derive(Debug)]
pub struct Identity {
    /// The key's public id.
    pub key: KeyId,
    /// Tenant and mode.
    pub scope: Arc<Scope>,
    permissions: Permissions,
}

impl From<ApiKey> for Identity {
    fn from(key: ApiKey) -> Self {
        Self { permissions: Permissions::of(&key.scopes), key: key.id, scope: Arc::new(key.scope) }
    }
}

/// A caller with the permission `P`. 401 without a live key, 403 without the permission.
#[derive(Debug, Clone)]
pub struct Caller<P> {
    identity: Arc<Identity>,
    permission: PhantomData<P>,
}

impl<P> Caller<P> {
    /// The tenant and mode: every read and write is made in it.
    pub fn scope(&self) -> &Scope {
        &self.identity.scope
    }

    /// The key's public id: who it was.
    pub fn key(&self) -> &KeyId {
        &self.identity.key
    }

    /// The same, to be kept.
    pub fn shared_scope(&self) -> Arc<Scope> {
        Arc::clone(&self.identity.scope)
    }
}

impl<P: Permission, S: Sync> FromRequestParts<S> for Caller<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let identity = parts.extensions.get::<Arc<Identity>>().ok_or(Problem::Unauthenticated)?;
        if !P::granted(identity.permissions) {
            return Err(Problem::Forbidden(P::NAME));
        }
        Ok(Self { identity: Arc::clone(identity), permission: PhantomData })
    }
}

/// Middleware of all routes that need a key: finds the caller, counts the request against its rate, and says so.
pub async fn authenticate(State(ctx): State<ApiContext>, mut request: Request, next: Next) -> Response {
    let identity = match ctx.keys().identify(request.headers(), request.uri().path()).await {
        Ok(identity) => identity,
        Err(problem) => return problem.into_response(),
    };
    let verdict = ctx.rate_limits().check(&identity.key);
    let mut response = match verdict.refusal() {
        Some(problem) => problem.into_response(),
        None => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
    };
    ctx.rate_limits().describe(verdict, response.headers_mut());
    response
}

#[derive(Clone)]
struct Remembered {
    identity: Option<Arc<Identity>>,
    looked_up: Instant,
    /// Somebody is looking it up again since then.
    refreshing: Option<Instant>,
}

/// Keys looked up lately, by hash.
pub struct Keys {
    store: Arc<dyn Store>,
    remembered: RwLock<HashMap<String, Remembered>>,
    lookups: Semaphore,
}

impl Keys {
    /// Looks keys up in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, remembered: RwLock::default(), lookups: Semaphore::new(MAX_LOOKUPS) }
    }

    /// The caller behind `Authorization: Bearer …`, and behind `x-api-key` on the paths of an API that has it.
    pub async fn identify(&self, headers: &HeaderMap, path: &str) -> Result<Arc<Identity>, Problem> {
        let named = || headers.get(KEY_HEADER).filter(|_| takes_key_header(path))?.to_str().ok();
        // A bearer that is no key of ours, somebody's login say, hides no key that stands where it belongs.
        let key = bearer(headers).filter(|key| key::mode_of(key).is_some()).or_else(named).ok_or(Problem::Unauthenticated)?;
        let mode = key::mode_of(key).ok_or(Problem::Unauthenticated)?;
        let hash = key::hash(key);
        let known = match self.recall(&hash) {
            Some(known) => known,
            None => self.look_up(hash).await?,
        };
        known.filter(|identity| identity.scope.mode() == mode).ok_or(Problem::Unauthenticated)
    }

    /// `None`: it has to be looked up by this caller.
    fn recall(&self, hash: &str) -> Option<Option<Arc<Identity>>> {
        let now = Instant::now();
        let is_due = |entry: &Remembered| {
            now - entry.looked_up >= REFRESH && entry.refreshing.is_none_or(|since| now - since >= Duration::from_secs(1))
        };
        let entry = self.remembered.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()?;
        if now - entry.looked_up >= TRUST {
            return None;
        }
        if is_due(&entry) {
            let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
            let entry = remembered.get_mut(hash)?;
            if is_due(entry) {
                entry.refreshing = Some(now);
                return None;
            }
        }
        Some(entry.identity)
    }

    async fn look_up(&self, hash: String) -> Result<Option<Arc<Identity>>, Problem> {
        let _place = self.lookups.acquire().await.map_err(|_| Problem::Unavailable)?;
        let looked_up = Instant::now();
        let found = self.store.key_by_hash(&hash).await?;
        let identity = found.filter(|key| key.revoked_at.is_none()).map(|key| Arc::new(Identity::from(key)));
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, entry| looked_up - entry.looked_up < TRUST);
        }
        if remembered.len() >= MAX_REMEMBERED {
            // A flood of unknown keys: only those are forgotten.
            remembered.retain(|_, entry| entry.identity.is_some());
        }
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert(hash, Remembered { identity: identity.clone(), looked_up, refreshing: None });
        }
        Ok(identity)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_may_do_everything_and_writers_may_read() {
        let of = |scopes: &[&str]| Permissions::of(&scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>());
        let admin = of(&["admin"]);
        assert!(CheckoutsWrite::granted(admin) && CheckoutsRead::granted(admin) && CatalogWrite::granted(admin) && Admin::granted(admin));
        let writer = of(&["checkouts:write"]);
        assert!(CheckoutsRead::granted(writer) && !CatalogWrite::granted(writer) && !Admin::granted(writer));
        let reader = of(&["checkouts:read"]);
        assert!(!CheckoutsWrite::granted(reader) && AnyKey::granted(of(&[])) && !CheckoutsRead::granted(of(&["nonsense"])));
    }

    #[test]
    fn a_bearer_is_read_in_any_case_and_nothing_else_is() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(read("bearer bo_test_x"), Some("bo_test_x".to_owned()));
        assert_eq!((read("Basic abc"), read("bo_test_x")), (None, None));
    }
}
