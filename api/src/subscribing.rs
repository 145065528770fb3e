//! What the intake does for plans and memberships beyond prices: the calendar is the tenant's, and what a plan gives has to be there.

use crate::{intake::Intake, problem::Problem};
use boxoffice_common::domain::{catalogue::Kind, pricing::Shelf, scope::Scope};
use std::sync::Arc;

impl Intake {
    /// The shelf with what its plans and memberships need. Whoever buys neither waits for nothing.
    pub(crate) async fn with_plans(&self, scope: &Arc<Scope>, shelf: Arc<Shelf>, sells_time: bool) -> Result<Arc<Shelf>, Problem> {
        if !sells_time {
            return Ok(shelf);
        }
        let given = shelf.plans.values().filter_map(|plan| plan.membership.clone()).map(|membership| (Kind::Membership, membership));
        let given = self.shelves.load(scope, given.collect()).await?;
        let settings = self.store.settings(scope).await?.settings;
        let mut all = Shelf::clone(&shelf);
        all.memberships.extend(given.memberships.iter().map(|(id, membership)| (id.clone(), membership.clone())));
        all.time_zone = settings.time_zone;
        Ok(Arc::new(all))
    }
}
