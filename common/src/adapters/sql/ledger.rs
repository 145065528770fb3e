//! The ledger as people read it.
//!
//! Ids are made of the time of their transaction, so a span of time is a range of the primary key `(scope, id)`, and neither the order
//! nor the times need an index of their own.

use super::{
    SqlStore,
    bulk::Rows,
    read::page,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        id::{CheckoutId, CustomerId, LedgerId, lowest},
        ledger::{Entry, LedgerKind},
        ledger_view::{Balance, LEDGER_TRANSACTION, LedgerLine, LedgerRecord},
        money::{Amount, Currency},
        order::Order,
        scope::Scope,
    },
    ports::store::{BalancesOf, LedgerFilter, Page, PageRequest, StoreError},
};
use std::collections::HashMap;

/// What is about the checkouts of a customer, or about the customer alone.
const OF_CUSTOMER: &str = "t.id IN (SELECT x.id FROM checkouts k JOIN ledger_transactions x ON x.checkout = k.id \
     WHERE k.scope = {1} AND k.customer = {} UNION ALL SELECT x.id FROM ledger_transactions x WHERE x.scope = {1} AND x.customer = {})";

/// The same of a family's customers.
const OF_FAMILY: &str = "t.id IN (SELECT x.id FROM customers u JOIN checkouts k ON k.scope = u.scope AND k.customer = u.id \
     JOIN ledger_transactions x ON x.checkout = k.id WHERE u.scope = {1} AND u.family = {} UNION ALL SELECT x.id FROM customers u \
     JOIN ledger_transactions x ON x.scope = u.scope AND x.customer = u.id WHERE u.scope = {1} AND u.family = {})";

/// The conditions of a list, and what is bound to them.
fn conditions(scope: &Scope, filter: &LedgerFilter, after: Option<&str>) -> (String, Vec<Value>) {
    let mut args: Vec<Value> = vec![scope.as_str().into()];
    let mut conditions = String::from("t.scope = {1}");
    let mut narrow = |condition: &str, value: Value| {
        args.push(value);
        conditions.push_str(" AND ");
        conditions.push_str(&condition.replace("{}", &format!("{{{}}}", args.len())));
    };
    // The page before and the end of the span are both upper bounds.
    let end = filter.to.map(|to| lowest(LedgerId::PREFIX, to));
    if let Some(upper) = after.into_iter().chain(end.as_deref()).min() {
        narrow("t.id < {}", upper.into());
    }
    if let Some(from) = filter.from {
        narrow("t.id >= {}", lowest(LedgerId::PREFIX, from).into());
    }
    if let Some(checkout) = &filter.checkout {
        narrow("t.checkout = {}", checkout.as_str().into());
    }
    if let Some(customer) = &filter.customer {
        narrow(OF_CUSTOMER, customer.as_str().into());
    }
    if let Some(family) = &filter.family {
        narrow(OF_FAMILY, family.as_str().into());
    }
    if let Some(account) = &filter.account {
        narrow("EXISTS (SELECT 1 FROM ledger_entries e WHERE e.transaction_id = t.id AND e.account = {})", account.as_str().into());
    }
    if let Some(kind) = filter.kind {
        narrow("t.kind = {}", kind.as_str().into());
    }
    (conditions, args)
}

fn record(row: &Row) -> Result<LedgerRecord, StoreError> {
    let kind = row.text(1)?;
    Ok(LedgerRecord {
        id: LedgerId::parse(row.text(0)?).map_err(corrupt)?,
        object: LEDGER_TRANSACTION,
        kind: LedgerKind::parse(&kind).ok_or_else(|| corrupt(format!("ledger kind {kind:?}")))?,
        checkout: row.maybe_text(2)?.map(CheckoutId::parse).transpose().map_err(corrupt)?,
        currency: Currency::parse(&row.text(3)?).map_err(corrupt)?,
        created_at: row.time(4)?,
        customer: row.maybe_text(5)?.map(CustomerId::parse).transpose().map_err(corrupt)?,
        reference: row.maybe_text(6)?,
        entries: Vec::new(),
    })
}

impl SqlStore {
    pub(super) async fn list_ledger(
        &self,
        scope: &Scope,
        filter: &LedgerFilter,
        request: &PageRequest,
    ) -> Result<Page<LedgerRecord>, StoreError> {
        let (conditions, args) = conditions(scope, filter, request.after.as_deref());
        let sql = format!(
            "SELECT t.id, t.kind, t.checkout, t.currency, t.created_at, COALESCE(t.customer, c.customer), c.reference FROM ledger_transactions t \
             LEFT JOIN checkouts c ON c.id = t.checkout WHERE {conditions} ORDER BY t.id DESC LIMIT {}",
            request.limit + 1
        );
        let found = self.db.read(&sql, None, &args).await?.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        let mut page = page(found, request.limit, |record| record.id.to_string());
        // A transaction and its entries are written together and never changed: a second look sees the same.
        let mut entries = self.entries_of(&page.data).await?;
        for record in &mut page.data {
            let lines = entries.remove(record.id.as_str()).unwrap_or_default();
            record.entries = lines.into_iter().map(|entry| LedgerLine::new(entry, record.kind)).collect();
        }
        self.give_notes(&mut page.data).await?;
        Ok(page)
    }

    /// Gives payments made outside their notes, which stand with their checkouts: the sides of a sale follow its legs.
    async fn give_notes(&self, records: &mut [LedgerRecord]) -> Result<(), StoreError> {
        let has_some = |record: &&LedgerRecord| record.kind == LedgerKind::Sale && record.entries.iter().any(LedgerLine::is_custom_payment);
        let ids = Rows::ids(records.iter().filter(has_some).filter_map(|record| record.checkout.as_ref()).map(CheckoutId::as_str));
        if ids.is_empty() {
            return Ok(());
        }
        let sql = "SELECT c.id, c.doc FROM checkouts c WHERE c.id IN (SELECT id FROM {rows}) AND c.doc LIKE '%\"note\":\"%'";
        let mut orders: HashMap<String, Order> = HashMap::new();
        for row in self.db.read(sql, Some(&ids), &[]).await? {
            orders.insert(row.text(0)?, serde_json::from_str(&row.text(1)?).map_err(corrupt)?);
        }
        for record in records.iter_mut().filter(|record| record.kind == LedgerKind::Sale) {
            let Some(order) = record.checkout.as_ref().and_then(|id| orders.get(id.as_str())) else { continue };
            let booked = order.custom_payments().filter(|(_, _, amount)| !amount.is_zero());
            for (line, (_, note, _)) in record.entries.iter_mut().filter(|line| line.is_custom_payment()).zip(booked) {
                line.note = note.map(str::to_owned);
            }
        }
        Ok(())
    }

    async fn entries_of(&self, records: &[LedgerRecord]) -> Result<HashMap<String, Vec<Entry>>, StoreError> {
        let mut found: HashMap<String, Vec<Entry>> = HashMap::new();
        if records.is_empty() {
            return Ok(found);
        }
        let sql = "SELECT e.transaction_id, e.account, e.amount, e.detail, e.entity FROM ledger_entries e \
                   WHERE e.transaction_id IN (SELECT id FROM {rows}) ORDER BY e.transaction_id, e.n";
        for row in self.db.read(sql, Some(&Rows::ids(records.iter().map(|record| record.id.as_str()))), &[]).await? {
            let (account, amount) = (row.text(1)?, Amount::from_minor(row.int(2)?));
            let entry = Entry { account, amount, detail: row.text(3)?, entity: row.maybe_text(4)? };
            found.entry(row.text(0)?).or_default().push(entry);
        }
        Ok(found)
    }

    pub(super) async fn sum_ledger(&self, scope: &Scope, of: BalancesOf<'_>) -> Result<Vec<Balance>, StoreError> {
        let mut args: Vec<Value> = vec![scope.as_str().into()];
        let mut from = String::from("ledger_entries e WHERE e.scope = {1}");
        let narrowed = match of {
            BalancesOf::Everybody => None,
            BalancesOf::Customer(customer) => Some((OF_CUSTOMER, customer.as_str())),
            BalancesOf::Family(family) => Some((OF_FAMILY, family)),
        };
        if let Some((condition, whose)) = narrowed {
            args.push(whose.into());
            from = format!(
                "ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id WHERE t.scope = {{1}} AND {}",
                condition.replace("{}", "{2}")
            );
        }
        let sql = format!(
            "SELECT e.account, e.currency, CAST(SUM(e.amount) AS BIGINT) FROM {from} GROUP BY e.account, e.currency \
             ORDER BY e.account, e.currency"
        );
        let rows = self.db.read(&sql, None, &args).await?;
        rows.iter()
            .map(|row| {
                let currency = Currency::parse(&row.text(1)?).map_err(corrupt)?;
                Ok(Balance { account: row.text(0)?, currency, amount: Amount::from_minor(row.int(2)?) })
            })
            .collect()
    }
}
