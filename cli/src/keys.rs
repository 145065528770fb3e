//! `boxoffice keys …`.

use crate::{command::Keys, exit::Failure, log, wire};
use boxoffice_common::{
    domain::{
        id::KeyId,
        scope::{Mode, Scope},
    },
    ports::store::{ApiKey, CheckoutStore, KeyStore, UpkeepStore},
};

/// What a key may be allowed to do.
const SCOPES: [&str; 4] = ["checkouts:write", "checkouts:read", "catalog:write", "admin"];

/// Makes, lists or revokes keys.
pub async fn run(command: Keys) -> Result<(), Failure> {
    log::start("warn");
    match command {
        Keys::Create { tenant, live, scopes, data } => {
            if let Some(unknown) = scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
                return Err(Failure::Setup(format!("no scope {unknown:?}; there are {}", SCOPES.join(", "))));
            }
            let mode = if live { Mode::Live } else { Mode::Test };
            let scope = Scope::new(&tenant, mode).map_err(|error| Failure::Setup(format!("--tenant: {error}")))?;
            let (_, entropy, store) = wire::open_store(data.data_dir).await?;
            store.migrate().await?;
            let now = store.now().await?;
            let key = boxoffice_api::key::generate(mode, &entropy);
            let id = KeyId::generate(&entropy, now);
            let row = ApiKey { id: id.clone(), scope, scopes, hint: key.hint, created_at: now, revoked_at: None };
            store.add_key(&row, &key.hash).await?;
            println!("{}", key.secret.reveal());
            eprintln!("key {id} of tenant {tenant}, {} mode. It is shown this once.", mode.as_str());
        }
        Keys::List { tenant, data } => {
            let (_, _, store) = wire::open_store(data.data_dir).await?;
            for key in store.keys(tenant.as_deref()).await? {
                let state = key.revoked_at.map_or_else(|| "live".to_owned(), |at| format!("revoked {at}"));
                println!("{}  {}  {}…  {}  {}  {state}", key.id, key.scope, key.hint, key.scopes.join(","), key.created_at);
            }
        }
        Keys::Revoke { id, data } => {
            let id = KeyId::parse(id).map_err(|error| Failure::Setup(error.to_string()))?;
            let (_, _, store) = wire::open_store(data.data_dir).await?;
            if !store.revoke_key(&id).await? {
                return Err(Failure::Setup(format!("there is no live key {id}")));
            }
            println!("{id} is revoked; it stops working within five seconds");
        }
    }
    Ok(())
}
