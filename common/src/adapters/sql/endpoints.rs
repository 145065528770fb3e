//! Webhook endpoints and signing secrets.

use super::{
    SqlStore,
    db::{Tx, transact},
    read::page,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        event::EventFormat,
        id::{EndpointId, SpaceId},
        scope::Scope,
        secret::Secret,
    },
    ports::store::{Endpoint, Page, PageRequest, PutEndpoint, StoreError},
};
use std::time::Duration;

const COLUMNS: &str = "id, url, events, enabled, created_at, updated_at, format, space";
const LASTING_SECRET: &str =
    "SELECT secret FROM webhook_secrets WHERE scope = {1} AND endpoint = {2} AND expires_at IS NULL ORDER BY created_at, secret LIMIT 1";
const INSERT_SECRET: &str =
    "INSERT INTO webhook_secrets (scope, endpoint, secret, created_at) VALUES ({1}, {2}, {3}, {4}) ON CONFLICT DO NOTHING";

fn read(row: &Row) -> Result<Endpoint, StoreError> {
    Ok(Endpoint {
        id: EndpointId::parse(row.text(0)?).map_err(corrupt)?,
        url: row.text(1)?,
        events: serde_json::from_str(&row.text(2)?).map_err(corrupt)?,
        enabled: row.int(3)? != 0,
        created_at: row.time(4)?,
        updated_at: row.time(5)?,
        format: format(&row.text(6)?)?,
        space: row.maybe_text(7)?.map(SpaceId::parse).transpose().map_err(corrupt)?,
    })
}

/// Reads a format.
pub(super) fn format(text: &str) -> Result<EventFormat, StoreError> {
    EventFormat::parse(text).ok_or_else(|| corrupt(format!("event format {text:?}")))
}

/// How the default secret stands in the column `endpoint`.
fn owner(id: Option<&EndpointId>) -> &str {
    id.map_or("", EndpointId::as_str)
}

impl SqlStore {
    pub(super) async fn write_endpoint(
        &self,
        scope: &Scope,
        endpoint: &PutEndpoint,
        secret: &Secret<String>,
    ) -> Result<(Endpoint, bool), StoreError> {
        let events = serde_json::to_string(&endpoint.events).map_err(corrupt)?;
        transact!(self.db, tx => {
            guard(tx, scope, endpoint.id.as_str()).await?;
            let now = tx.now().await?;
            let sql = format!(
                "INSERT INTO webhook_endpoints (scope, id, url, events, enabled, created_at, updated_at, format, space) \
                 VALUES ({{1}}, {{2}}, {{3}}, {{4}}, {{5}}, {{6}}, {{6}}, {{7}}, {{8}}) \
                 ON CONFLICT (scope, id) DO UPDATE SET url = excluded.url, events = excluded.events, enabled = excluded.enabled, \
                 format = excluded.format, space = excluded.space, updated_at = excluded.updated_at \
                 RETURNING {COLUMNS}"
            );
            let args: [Value; 8] = [
                scope.as_str().into(),
                endpoint.id.as_str().into(),
                endpoint.url.as_str().into(),
                events.as_str().into(),
                i64::from(endpoint.enabled).into(),
                now.into(),
                endpoint.format.as_str().into(),
                endpoint.space.as_ref().map(SpaceId::as_str).into(),
            ];
            let existed = "SELECT 1 FROM webhook_endpoints WHERE scope = {1} AND id = {2}";
            let existed = !tx.fetch(existed, None, &[scope.as_str().into(), endpoint.id.as_str().into()]).await?.is_empty();
            // With this very secret it is our own earlier run that made it.
            let is_new = !existed || has_secret(tx, scope, Some(&endpoint.id), secret).await?;
            let rows = tx.fetch(&sql, None, &args).await?;
            if is_new {
                let args: [Value; 4] = [scope.as_str().into(), endpoint.id.as_str().into(), secret.reveal().as_str().into(), now.into()];
                tx.execute(INSERT_SECRET, None, &args).await?;
            }
            let row = rows.first().map(read).transpose()?.ok_or_else(|| StoreError::Inconsistent("a put without a row".to_owned()))?;
            Ok((row, is_new))
        })
    }

    pub(super) async fn read_endpoint(&self, scope: &Scope, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM webhook_endpoints WHERE scope = {{1}} AND id = {{2}}");
        self.db.read(&sql, None, &[scope.as_str().into(), id.as_str().into()]).await?.first().map(read).transpose()
    }

    pub(super) async fn list_endpoints(&self, scope: &Scope, request: &PageRequest) -> Result<Page<Endpoint>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM webhook_endpoints WHERE scope = {{1}} AND id > {{2}} ORDER BY id LIMIT {{3}}");
        let after = request.after.clone().unwrap_or_default();
        let rows = self.db.read(&sql, None, &[scope.as_str().into(), after.into(), (request.limit + 1).into()]).await?;
        Ok(page(rows.iter().map(read).collect::<Result<_, _>>()?, request.limit, |endpoint: &Endpoint| endpoint.id.to_string()))
    }

    pub(super) async fn drop_endpoint(&self, scope: &Scope, id: &EndpointId) -> Result<bool, StoreError> {
        transact!(self.db, tx => {
            // Its secrets stay: deliveries under way are still signed with them.
            let sql = "DELETE FROM webhook_endpoints WHERE scope = {1} AND id = {2}";
            Ok(tx.execute(sql, None, &[scope.as_str().into(), id.as_str().into()]).await? > 0)
        })
    }

    pub(super) async fn rotate(
        &self,
        scope: &Scope,
        id: Option<&EndpointId>,
        new: &Secret<String>,
        overlap: Duration,
    ) -> Result<bool, StoreError> {
        transact!(self.db, tx => {
            guard(tx, scope, owner(id)).await?;
            // After the wait for the lock: what comes later is younger.
            let now = tx.now().await?;
            if let Some(id) = id {
                let sql = "SELECT 1 FROM webhook_endpoints WHERE scope = {1} AND id = {2}";
                if tx.fetch(sql, None, &[scope.as_str().into(), id.as_str().into()]).await?.is_empty() {
                    return Ok(false);
                }
            }
            if has_secret(tx, scope, id, new).await? {
                // Our own earlier run, of which the answer was lost. Once more would end what it has just begun.
                return Ok(true);
            }
            // Two live at the most: the one before lives on for the overlap, older ones end now.
            let newest = "SELECT secret FROM webhook_secrets WHERE scope = {1} AND endpoint = {2} AND expires_at IS NULL ORDER BY created_at DESC, secret DESC LIMIT 1";
            let before = tx.fetch(newest, None, &[scope.as_str().into(), owner(id).into()]).await?;
            let before = before.first().map(|row| row.text(0)).transpose()?.unwrap_or_default();
            let sql = "DELETE FROM webhook_secrets WHERE scope = {1} AND endpoint = {2} AND secret NOT IN ({3}, '')";
            tx.execute(sql, None, &[scope.as_str().into(), owner(id).into(), before.as_str().into()]).await?;
            let sql = "UPDATE webhook_secrets SET expires_at = {3} WHERE scope = {1} AND endpoint = {2} AND secret <> ''";
            tx.execute(sql, None, &[scope.as_str().into(), owner(id).into(), now.after(overlap).into()]).await?;
            tx.execute(INSERT_SECRET, None, &[scope.as_str().into(), owner(id).into(), new.reveal().as_str().into(), now.into()]).await?;
            Ok(true)
        })
    }

    pub(super) async fn default_secret_or(&self, scope: &Scope, candidate: &Secret<String>) -> Result<Secret<String>, StoreError> {
        let found = self.db.read(LASTING_SECRET, None, &[scope.as_str().into(), "".into()]).await?;
        if let Some(row) = found.first() {
            return row.text(0).map(Secret::new);
        }
        transact!(self.db, tx => { first_secret(tx, scope, "", candidate).await })
    }
}

async fn has_secret(tx: &mut Tx<'_>, scope: &Scope, id: Option<&EndpointId>, secret: &Secret<String>) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM webhook_secrets WHERE scope = {1} AND endpoint = {2} AND secret = {3}";
    let args: [Value; 3] = [scope.as_str().into(), owner(id).into(), secret.reveal().as_str().into()];
    Ok(!tx.fetch(sql, None, &args).await?.is_empty())
}

/// Locks an owner's secrets, whether he has any or not: a row that is no secret, and that all who write some touch first.
async fn guard(tx: &mut Tx<'_>, scope: &Scope, owner: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO webhook_secrets (scope, endpoint, secret, created_at, expires_at) VALUES ({1}, {2}, '', 0, 0) \
               ON CONFLICT (scope, endpoint, secret) DO UPDATE SET created_at = 0";
    tx.execute(sql, None, &[scope.as_str().into(), owner.into()]).await.map(drop)
}

/// The lasting secret of an owner, `candidate` when there was none. Of two that come at once the first stays.
pub(super) async fn first_secret(
    tx: &mut Tx<'_>,
    scope: &Scope,
    owner: &str,
    candidate: &Secret<String>,
) -> Result<Secret<String>, StoreError> {
    guard(tx, scope, owner).await?;
    let now = tx.now().await?;
    if let Some(row) = tx.fetch(LASTING_SECRET, None, &[scope.as_str().into(), owner.into()]).await?.first() {
        return row.text(0).map(Secret::new);
    }
    tx.execute(INSERT_SECRET, None, &[scope.as_str().into(), owner.into(), candidate.reveal().as_str().into(), now.into()]).await?;
    Ok(candidate.clone())
}
