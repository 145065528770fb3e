//! A tenant's settings: a document each.

use super::{
    SqlStore,
    db::transact,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{scope::Scope, settings::Settings},
    ports::store::{StoreError, StoredSettings},
};

fn read(row: &Row) -> Result<StoredSettings, StoreError> {
    Ok(StoredSettings { settings: serde_json::from_str(&row.text(0)?).map_err(corrupt)?, version: row.int(1)? })
}

impl SqlStore {
    pub(super) async fn read_settings(&self, scope: &Scope) -> Result<StoredSettings, StoreError> {
        let rows = self.db.read("SELECT doc, version FROM settings WHERE scope = {1}", None, &[scope.as_str().into()]).await?;
        rows.first().map_or_else(|| Ok(StoredSettings::default()), read)
    }

    pub(super) async fn write_settings(&self, scope: &Scope, settings: &Settings) -> Result<StoredSettings, StoreError> {
        let doc = serde_json::to_string(settings).map_err(corrupt)?;
        transact!(self.db, tx => {
            let now = tx.now().await?;
            let sql = "INSERT INTO settings (scope, doc, version, updated_at) VALUES ({1}, {2}, 1, {3}) \
                       ON CONFLICT (scope) DO UPDATE SET doc = excluded.doc, version = settings.version + 1, updated_at = excluded.updated_at \
                       RETURNING doc, version";
            let args: [Value; 3] = [scope.as_str().into(), doc.as_str().into(), now.into()];
            let rows = tx.fetch(sql, None, &args).await?;
            rows.first().map(read).transpose()?.ok_or_else(|| StoreError::Inconsistent("a put without a row".to_owned()))
        })
    }
}
