//! Checkouts as people and waiters look at them.

use super::{
    SqlStore,
    bulk::Rows,
    db::Db,
    load::{self, ATTEMPT, CHECKOUT},
    look::Look,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        checkout::Checkout,
        id::CheckoutId,
        scope::{Mode, Scope},
        state::Status,
        timeline::TimelineEntry,
    },
    ports::store::{CheckoutFilter, Page, PageRequest, StoreError},
};
use async_trait::async_trait;
use std::collections::HashMap;

/// Checkouts by id.
pub(super) struct Checkouts;

#[async_trait]
impl Look for Checkouts {
    type Item = CheckoutId;
    type Answer = Option<Checkout>;
    const NAME: &'static str = "load";

    async fn look(db: &Db, items: &[CheckoutId]) -> Result<Vec<Option<Checkout>>, StoreError> {
        // One statement, one snapshot: a checkout and its attempts are of the same version.
        let sql = format!(
            "SELECT {CHECKOUT}, {ATTEMPT} FROM checkouts c LEFT JOIN attempts a ON a.checkout = c.id \
             WHERE c.id IN (SELECT id FROM {{rows}}) ORDER BY c.id, a.n"
        );
        let rows = db.read(&sql, Some(&Rows::ids(items.iter().map(CheckoutId::as_str))), &[]).await?;
        let mut found: HashMap<CheckoutId, Checkout> =
            load::joined(&rows)?.into_iter().map(|checkout| (checkout.id.clone(), checkout)).collect();
        let last = |id: &CheckoutId, rest: &[CheckoutId]| !rest.contains(id);
        Ok(items
            .iter()
            .enumerate()
            .map(|(at, id)| if last(id, items.get(at + 1..).unwrap_or_default()) { found.remove(id) } else { found.get(id).cloned() })
            .collect())
    }
}

/// The most of a timeline that is read at once.
const MAX_TIMELINE: usize = 1_000;

/// Cuts a list of `limit + 1` rows into a page.
pub(super) fn page<T>(mut data: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Page<T> {
    let limit = limit as usize;
    let more = data.len() > limit;
    data.truncate(limit);
    Page { next_cursor: if more { data.last().map(cursor) } else { None }, data }
}

impl SqlStore {
    pub(super) async fn list_checkouts(
        &self,
        scope: &Scope,
        filter: &CheckoutFilter,
        request: &PageRequest,
    ) -> Result<Page<Checkout>, StoreError> {
        let mut args: Vec<Value> = vec![scope.as_str().into()];
        let (mut conditions, mut status) = (String::from("c.scope = {1}"), String::new());
        let mut narrow = |condition: &str, value: Value| {
            args.push(value);
            conditions.push_str(" AND ");
            conditions.push_str(&condition.replace("{}", &format!("{{{}}}", args.len())));
        };
        // Of a space, its own list is gone through, which is in the same order.
        let (from, id) = match &filter.space {
            Some(_) => ("checkout_spaces s JOIN checkouts c ON c.id = s.checkout", "s.checkout"),
            None => ("checkouts c", "c.id"),
        };
        if let Some(space) = &filter.space {
            narrow("s.scope = {1} AND s.space = {}", space.as_str().into());
        }
        if let Some(after) = &request.after {
            narrow(&format!("{id} < {{}}"), after.as_str().into());
        }
        if !filter.statuses.is_empty() {
            // Names of ours, not anybody's words.
            let names: Vec<String> = filter.statuses.iter().map(|status| format!("'{}'", status.as_str())).collect();
            status = format!(" AND c.status IN ({})", names.join(", "));
        }
        if let Some(customer) = &filter.customer {
            narrow("c.customer = {}", customer.as_str().into());
        }
        if let Some(reference) = &filter.reference {
            narrow("c.reference = {}", reference.as_str().into());
        }
        if let Some(after) = filter.created_after {
            narrow("c.created_at > {}", after.into());
        }
        if let Some(session) = &filter.session {
            // A checkout that was never begun has no claims: its lines are asked. Ids need no escaping in JSON. Not LIKE: for
            // SQLite it takes upper and lower case for the same.
            narrow("replace(c.doc, {}, '') <> c.doc", format!("\"type\":\"session\",\"session\":\"{session}\"").into());
        }
        let sql = format!("SELECT {CHECKOUT} FROM {from} WHERE {conditions}{status} ORDER BY {id} DESC LIMIT {}", request.limit + 1);
        let rows = self.db.read(&sql, None, &args).await?;
        let ids: Vec<CheckoutId> = rows.iter().map(|row| Ok(load::checkout(row)?.id)).collect::<Result<_, StoreError>>()?;
        // Read again with their attempts, in one snapshot, and put back in order.
        let full = Checkouts::look(&self.db, &ids).await?;
        Ok(page(full.into_iter().flatten().collect(), request.limit, |checkout| checkout.id.to_string()))
    }

    pub(super) async fn read_timeline(&self, id: &CheckoutId, after: Option<i64>) -> Result<Page<TimelineEntry>, StoreError> {
        let mut data = Vec::new();
        if after.is_none() {
            // That it was accepted needs no row of its own: the checkout says when.
            let sql = "SELECT created_at FROM checkouts WHERE id = {1}";
            for row in self.db.read(sql, None, &[id.as_str().into()]).await? {
                data.push(TimelineEntry::new(row.time(0)?, "accepted"));
            }
        }
        let sql = "SELECT version, entries FROM timeline WHERE checkout = {1} AND version > {2} ORDER BY version LIMIT {3}";
        let rows = self.db.read(sql, None, &[id.as_str().into(), after.unwrap_or(-1).into(), MAX_TIMELINE.into()]).await?;
        let is_cut = rows.len() == MAX_TIMELINE;
        let mut last = None;
        for row in rows {
            let more = serde_json::from_str::<Vec<TimelineEntry>>(&row.text(1)?).map_err(corrupt)?;
            // What happened in one step stays together: a page ends between two of them.
            if last.is_some() && data.len() + more.len() > MAX_TIMELINE {
                return Ok(Page { data, next_cursor: last.map(|version: i64| version.to_string()) });
            }
            data.extend(more);
            last = Some(row.int(0)?);
        }
        Ok(Page { data, next_cursor: last.filter(|_| is_cut).map(|version| version.to_string()) })
    }

    /// How many checkouts are in each status.
    pub(super) async fn count_checkouts(&self, mode: Option<Mode>) -> Result<Vec<(Status, u64)>, StoreError> {
        let whose = mode.map_or_else(|| "%".to_owned(), |mode| format!("%/{}", mode.as_str()));
        let sql = "SELECT status, COUNT(*) FROM checkouts WHERE scope LIKE {1} GROUP BY status";
        let count = |row: &Row| {
            let status = row.text(0)?;
            let status = Status::parse(&status).ok_or_else(|| corrupt(format!("status {status:?}")))?;
            Ok((status, u64::try_from(row.int(1)?).map_err(corrupt)?))
        };
        self.db.read(sql, None, &[whose.into()]).await?.iter().map(count).collect()
    }
}
