//! Accounts with payment providers, and which of them a charge goes to.

use super::{
    SqlStore,
    db::{Tx, transact},
    load,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        id::ProviderAccountId,
        provider_account::{MAX_ACCOUNTS, ProviderAccount, ProviderKind},
        routing::RoutingRules,
        scope::Scope,
        secret::Secret,
    },
    ports::store::{AccountChange, AccountChanged, NewAccount, StoreError, StoredAccount, StoredRules},
};

const COLUMNS: &str =
    "p.id, p.scope, p.provider, p.name, p.enabled, p.hints, p.sealed, p.version, p.created_at, p.updated_at FROM provider_accounts p";

fn read(row: &Row) -> Result<StoredAccount, StoreError> {
    let provider = row.text(2)?;
    let account = ProviderAccount {
        id: ProviderAccountId::parse(row.text(0)?).map_err(corrupt)?,
        scope: load::scope(&row.text(1)?)?,
        provider: ProviderKind::parse(&provider).ok_or_else(|| corrupt(format!("provider {provider:?}")))?,
        name: row.text(3)?,
        enabled: row.int(4)? != 0,
        hints: serde_json::from_str(&row.text(5)?).map_err(corrupt)?,
        version: row.int(7)?,
        created_at: row.time(8)?,
        updated_at: row.time(9)?,
    };
    Ok(StoredAccount { account, sealed: Secret::new(row.text(6)?) })
}

fn read_rules(row: &Row) -> Result<StoredRules, StoreError> {
    Ok(StoredRules { rules: serde_json::from_str(&row.text(0)?).map_err(corrupt)?, version: row.int(1)? })
}

async fn one(tx: &mut Tx<'_>, id: &ProviderAccountId, lock: &str) -> Result<Option<StoredAccount>, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE p.id = {{1}} {lock}");
    tx.fetch(&sql, None, &[id.as_str().into()]).await?.first().map(read).transpose()
}

/// Whether this is what the change leaves behind, and it was made from `version`: by an earlier run, whose answer was lost.
fn is_done(stored: &StoredAccount, version: i64, change: &AccountChange) -> bool {
    let StoredAccount { account, sealed } = stored;
    account.version == version + 1
        && change.name.as_ref().is_none_or(|name| *name == account.name)
        && change.enabled.is_none_or(|enabled| enabled == account.enabled)
        && change.credentials.as_ref().is_none_or(|(new, _)| new == sealed)
}

impl SqlStore {
    pub(super) async fn insert_account(&self, new: &NewAccount) -> Result<Option<ProviderAccount>, StoreError> {
        let hints = serde_json::to_string(&new.hints).map_err(corrupt)?;
        let no_rules = serde_json::to_string(&RoutingRules::default()).map_err(corrupt)?;
        transact!(self.db, tx => {
            if let Some(own) = one(tx, &new.id, "").await? {
                return Ok(Some(own.account));
            }
            let now = tx.now().await?;
            let sql = "INSERT INTO routing_rules (scope, doc, version, updated_at) VALUES ({1}, {2}, 0, {3}) ON CONFLICT DO NOTHING";
            tx.execute(sql, None, &[new.scope.as_str().into(), no_rules.as_str().into(), now.into()]).await?;
            tx.fetch("SELECT 1 FROM routing_rules WHERE scope = {1} {lock}", None, &[new.scope.as_str().into()]).await?;
            let sql = "SELECT COUNT(*) FROM provider_accounts WHERE scope = {1}";
            let there = tx.fetch(sql, None, &[new.scope.as_str().into()]).await?.first().map(|row| row.count(0)).transpose()?;
            if there.unwrap_or(0) >= MAX_ACCOUNTS {
                return Ok(None);
            }
            let sql = "INSERT INTO provider_accounts (id, scope, provider, name, enabled, hints, sealed, version, created_at, updated_at) \
                       VALUES ({1}, {2}, {3}, {4}, {5}, {6}, {7}, 1, {8}, {8})";
            let args: [Value; 8] = [
                new.id.as_str().into(),
                new.scope.as_str().into(),
                new.provider.as_str().into(),
                new.name.as_str().into(),
                i64::from(new.enabled).into(),
                hints.as_str().into(),
                new.sealed.reveal().as_str().into(),
                now.into(),
            ];
            tx.execute(sql, None, &args).await?;
            Ok(one(tx, &new.id, "").await?.map(|stored| stored.account))
        })
    }

    pub(super) async fn update_account(
        &self,
        scope: &Scope,
        id: &ProviderAccountId,
        version: i64,
        change: &AccountChange,
    ) -> Result<AccountChanged, StoreError> {
        let credentials = change.credentials.as_ref();
        let hints = credentials.map(|(_, hints)| serde_json::to_string(hints)).transpose().map_err(corrupt)?;
        transact!(self.db, tx => {
            let Some(stored) = one(tx, id, "{lock}").await?.filter(|stored| stored.account.scope == *scope) else {
                return Ok(AccountChanged::Missing);
            };
            if stored.account.version != version {
                return Ok(if is_done(&stored, version, change) { AccountChanged::Done(Box::new(stored)) } else { AccountChanged::Moved });
            }
            let now = tx.now().await?;
            let sql = "UPDATE provider_accounts SET name = COALESCE({2}, name), enabled = {3}, hints = COALESCE({4}, hints), \
                       sealed = COALESCE({5}, sealed), version = version + 1, updated_at = {6} WHERE id = {1}";
            let args: [Value; 6] = [
                id.as_str().into(),
                change.name.as_deref().into(),
                i64::from(change.enabled.unwrap_or(stored.account.enabled)).into(),
                hints.as_deref().into(),
                credentials.map(|(sealed, _)| sealed.reveal().as_str()).into(),
                now.into(),
            ];
            tx.execute(sql, None, &args).await?;
            Ok(one(tx, id, "").await?.map_or(AccountChanged::Missing, |stored| AccountChanged::Done(Box::new(stored))))
        })
    }

    pub(super) async fn list_accounts(&self, scope: &Scope) -> Result<Vec<StoredAccount>, StoreError> {
        let sql = format!("SELECT {COLUMNS} WHERE p.scope = {{1}} ORDER BY p.id LIMIT {{2}}");
        self.db.read(&sql, None, &[scope.as_str().into(), MAX_ACCOUNTS.into()]).await?.iter().map(read).collect()
    }

    pub(super) async fn read_account(&self, id: &ProviderAccountId) -> Result<Option<StoredAccount>, StoreError> {
        let sql = format!("SELECT {COLUMNS} WHERE p.id = {{1}}");
        self.db.read(&sql, None, &[id.as_str().into()]).await?.first().map(read).transpose()
    }

    pub(super) async fn list_accounts_with(&self, provider: ProviderKind, limit: u32) -> Result<Vec<StoredAccount>, StoreError> {
        let sql = format!("SELECT {COLUMNS} WHERE p.provider = {{1}} ORDER BY p.enabled DESC, p.id LIMIT {{2}}");
        self.db.read(&sql, None, &[provider.as_str().into(), limit.into()]).await?.iter().map(read).collect()
    }

    pub(super) async fn list_all_accounts(&self, after: Option<&ProviderAccountId>, limit: u32) -> Result<Vec<StoredAccount>, StoreError> {
        let sql = format!("SELECT {COLUMNS} WHERE p.id > {{1}} ORDER BY p.id LIMIT {{2}}");
        let after = after.map(ProviderAccountId::as_str).unwrap_or_default();
        self.db.read(&sql, None, &[after.into(), limit.into()]).await?.iter().map(read).collect()
    }

    pub(super) async fn read_routing_rules(&self, scope: &Scope) -> Result<StoredRules, StoreError> {
        let sql = "SELECT doc, version FROM routing_rules WHERE scope = {1}";
        let rows = self.db.read(sql, None, &[scope.as_str().into()]).await?;
        Ok(rows.first().map(read_rules).transpose()?.unwrap_or_default())
    }

    pub(super) async fn write_routing_rules(&self, scope: &Scope, rules: &RoutingRules) -> Result<StoredRules, StoreError> {
        let doc = serde_json::to_string(rules).map_err(corrupt)?;
        transact!(self.db, tx => {
            let now = tx.now().await?;
            let sql = "INSERT INTO routing_rules (scope, doc, version, updated_at) VALUES ({1}, {2}, 1, {3}) \
                       ON CONFLICT (scope) DO UPDATE SET doc = excluded.doc, version = routing_rules.version + 1, \
                       updated_at = excluded.updated_at RETURNING doc, version";
            let rows = tx.fetch(sql, None, &[scope.as_str().into(), doc.as_str().into(), now.into()]).await?;
            rows.first().map(read_rules).transpose()?.ok_or_else(|| StoreError::Inconsistent("a put without a row".to_owned()))
        })
    }
}
