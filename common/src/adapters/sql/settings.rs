//! A tenant's settings: a document each.

use super::{
    SqlStore,
    bulk::{Rows, Type::Text},
    db::{Db, transact},
    look::Look,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{scope::Scope, settings::Settings},
    ports::store::{StoreError, StoredSettings},
};
use async_trait::async_trait;
use std::collections::{BTreeSet, HashMap};

fn read(row: &Row) -> Result<StoredSettings, StoreError> {
    Ok(StoredSettings { settings: serde_json::from_str(&row.text(0)?).map_err(corrupt)?, version: row.int(1)? })
}

/// Tenants' settings, one look for each page that a customer sees.
pub(super) struct SettingsOf;

#[async_trait]
impl Look for SettingsOf {
    type Item = Scope;
    type Answer = StoredSettings;
    const NAME: &'static str = "settings";

    async fn look(db: &Db, items: &[Scope]) -> Result<Vec<StoredSettings>, StoreError> {
        let scopes: BTreeSet<&str> = items.iter().map(Scope::as_str).collect();
        let mut keys = Rows::new(&[("scope", Text)]);
        scopes.into_iter().for_each(|scope| keys.push([scope.into()]));
        let sql = "SELECT s.doc, s.version, s.scope FROM settings s WHERE s.scope IN (SELECT scope FROM {rows})";
        let rows = db.read(sql, Some(&keys), &[]).await?;
        let found = rows.iter().map(|row| Ok((row.text(2)?, read(row)?))).collect::<Result<HashMap<_, _>, StoreError>>()?;
        Ok(items.iter().map(|scope| found.get(scope.as_str()).cloned().unwrap_or_default()).collect())
    }
}

impl SqlStore {
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
