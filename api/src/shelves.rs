//! Reads what carts name from the catalogue. Checkouts that come at the same time share one query and one reading of each
//! document: on a rush for one session that is most of the work. Nothing is kept: every price is the store's of now.

use async_trait::async_trait;
use boxoffice_common::{
    batch::{BatchLimits, BatchRun, Batcher},
    domain::{
        catalogue::{Kind, Product, PromoCode, Session},
        id::CatalogueId,
        membership::Membership,
        plan::Plan,
        pricing::Shelf,
        scope::Scope,
    },
    ports::store::{CatalogueRow, Store, StoreError},
};
use serde::de::DeserializeOwned;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// How many carts share a query.
const MAX_SHARED: usize = 128;
/// How many queries are under way at once.
const MAX_RUNNING: usize = 2;
/// How long a cart waits for its shelf.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one cart names.
#[derive(Clone)]
struct Wanted {
    scope: Arc<Scope>,
    things: Vec<(Kind, CatalogueId)>,
}

struct Load(Arc<dyn Store>);

#[async_trait]
impl BatchRun for Load {
    type Item = Wanted;
    type Answer = Arc<Shelf>;
    type Error = StoreError;

    async fn run(&self, items: &[Wanted]) -> Result<Vec<Arc<Shelf>>, StoreError> {
        let mut by_scope: HashMap<&Scope, HashSet<&(Kind, CatalogueId)>> = HashMap::new();
        for item in items {
            by_scope.entry(&item.scope).or_default().extend(&item.things);
        }
        let mut shelves: HashMap<&Scope, Arc<Shelf>> = HashMap::with_capacity(by_scope.len());
        for (scope, things) in by_scope {
            let things: Vec<_> = things.into_iter().cloned().collect();
            shelves.insert(scope, Arc::new(shelve(self.0.get_many(scope, &things).await?)?));
        }
        Ok(items.iter().map(|item| shelves.get(&*item.scope).cloned().unwrap_or_default()).collect())
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        // A document that cannot be read fails those who want it, and nobody else.
        matches!(error, StoreError::Corrupt(_))
    }
}

/// Where carts get their shelves.
pub struct Shelves(Batcher<Load>);

impl Shelves {
    /// Reads from `store`. Needs a tokio runtime.
    pub fn start(store: Arc<dyn Store>) -> Self {
        let limits = BatchLimits { max_items: MAX_SHARED, max_running: MAX_RUNNING, patience: PATIENCE, ..BatchLimits::default() };
        Self(Batcher::start(Load(store), limits))
    }

    /// What is there of `things`, now. There may be more on the shelf: what others named.
    pub async fn load(&self, scope: &Arc<Scope>, things: Vec<(Kind, CatalogueId)>) -> Result<Arc<Shelf>, StoreError> {
        if things.is_empty() {
            return Ok(Arc::default());
        }
        self.0.call(Wanted { scope: Arc::clone(scope), things }).await
    }
}

fn shelve(rows: Vec<CatalogueRow>) -> Result<Shelf, StoreError> {
    let mut shelf = Shelf::default();
    for row in rows {
        match row.kind {
            Kind::Session => {
                shelf.sessions.insert(row.id.clone(), read::<Session>(&row)?);
            }
            Kind::Product => {
                shelf.products.insert(row.id.clone(), read::<Product>(&row)?);
            }
            Kind::Membership => {
                shelf.memberships.insert(row.id.clone(), read::<Membership>(&row)?);
            }
            Kind::Plan => {
                shelf.plans.insert(row.id.clone(), read::<Plan>(&row)?);
            }
            // No document of the catalogue.
            Kind::BoughtMembership => {}
            Kind::PromoCode => {
                shelf.promo_codes.insert(row.id.clone(), read::<PromoCode>(&row)?);
            }
        }
    }
    Ok(shelf)
}

fn read<T: DeserializeOwned>(row: &CatalogueRow) -> Result<T, StoreError> {
    serde_json::from_str(&row.doc).map_err(|error| StoreError::Corrupt(format!("{} {}: {error}", row.kind.as_str(), row.id)))
}
