//! What memberships can still pay, for those who are about to pay with them: many at once, one query. Their credits are read as the one
//! counter that a claim moves; which of them are used, and which are held, is for whoever looks at a membership.

use super::{
    bulk::{Rows, Type::Text},
    db::Db,
    load,
    look::Look,
    memberships::{BOUGHT, BOUGHT_WIDTH, read},
};
use crate::{
    domain::{bought_membership::Spendable, id::BoughtMembershipId, scope::Scope},
    ports::store::StoreError,
};
use async_trait::async_trait;
use std::collections::HashMap;

/// Memberships by id.
pub(super) struct Spendables;

#[async_trait]
impl Look for Spendables {
    type Item = (Scope, BoughtMembershipId);
    type Answer = Option<Spendable>;
    const NAME: &'static str = "spendable";

    async fn look(db: &Db, items: &[Self::Item]) -> Result<Vec<Option<Spendable>>, StoreError> {
        let mut keys = Rows::new(&[("scope", Text), ("id", Text)]);
        let mut asked: Vec<&Self::Item> = items.iter().collect();
        asked.sort_unstable();
        asked.dedup();
        for (scope, id) in asked {
            keys.push([scope.as_str().into(), id.as_str().into()]);
        }
        let sql = format!(
            "SELECT {BOUGHT}, i.taken FROM bought_memberships b JOIN inventory i ON i.scope = b.scope AND i.kind = 'bought_membership' \
             AND i.id = b.id WHERE (b.scope, b.id) IN (SELECT scope, id FROM {{rows}})"
        );
        let mut found = HashMap::new();
        for row in db.read(&sql, Some(&keys), &[]).await? {
            let (bought, taken) = (read(&row)?, row.count(BOUGHT_WIDTH)?);
            let left = bought.credits.map(|credits| credits.saturating_sub(taken));
            found.insert((load::scope(&row.text(BOUGHT_WIDTH - 1)?)?, bought.id.clone()), Spendable { bought, left });
        }
        Ok(items.iter().map(|item| found.get(item).cloned()).collect())
    }
}
