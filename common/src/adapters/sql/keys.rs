//! API keys: kept by their hash.

use super::{
    SqlStore,
    db::transact,
    load,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::id::KeyId,
    ports::store::{ApiKey, StoreError},
};

const COLUMNS: &str = "id, scope, scopes, hint, created_at, revoked_at";

fn read(row: &Row) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: KeyId::parse(row.text(0)?).map_err(corrupt)?,
        scope: load::scope(&row.text(1)?)?,
        scopes: serde_json::from_str(&row.text(2)?).map_err(corrupt)?,
        hint: row.text(3)?,
        created_at: row.time(4)?,
        revoked_at: row.maybe_time(5)?,
    })
}

impl SqlStore {
    pub(super) async fn write_key(&self, key: &ApiKey, hash: &str) -> Result<(), StoreError> {
        let scopes = serde_json::to_string(&key.scopes).map_err(corrupt)?;
        transact!(self.db, tx => {
            let sql = "INSERT INTO api_keys (id, scope, hash, scopes, hint, created_at) VALUES ({1}, {2}, {3}, {4}, {5}, {6}) ON CONFLICT DO NOTHING";
            let args: [Value; 6] = [
                key.id.as_str().into(),
                key.scope.as_str().into(),
                hash.into(),
                scopes.as_str().into(),
                key.hint.as_str().into(),
                key.created_at.into(),
            ];
            tx.execute(sql, None, &args).await.map(|_| ())
        })
    }

    pub(super) async fn read_key(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE hash = {{1}} AND revoked_at IS NULL");
        self.db.read(&sql, None, &[hash.into()]).await?.first().map(read).transpose()
    }

    pub(super) async fn list_keys(&self, tenant: Option<&str>) -> Result<Vec<ApiKey>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE {{1}} = '' OR scope IN ({{2}}, {{3}}) ORDER BY id LIMIT 1000");
        let tenant = tenant.unwrap_or_default();
        let args: [Value; 3] = [tenant.into(), format!("{tenant}/test").into(), format!("{tenant}/live").into()];
        self.db.read(&sql, None, &args).await?.iter().map(read).collect()
    }

    pub(super) async fn drop_key(&self, id: &KeyId) -> Result<bool, StoreError> {
        transact!(self.db, tx => {
            let now = tx.now().await?;
            let sql = "UPDATE api_keys SET revoked_at = {2} WHERE id = {1} AND revoked_at IS NULL";
            Ok(tx.execute(sql, None, &[id.as_str().into(), now.into()]).await? > 0)
        })
    }
}
