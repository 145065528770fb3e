//! Tickets: rows for those of which something has become, and the keys that sign them.

use super::{
    SqlStore,
    apply::apply,
    bulk::{Rows, Type::Int, Type::Text},
    db::{Db, Tx, transact},
    load,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        catalogue::{Kind, Session},
        checkout::Checkout,
        effects::Effects,
        eligibility,
        id::{CheckoutId, CustomerId, TicketId},
        scope::Scope,
        secret::Secret,
        settings::Settings,
        ticket::{Holder, Place, Ticket, TicketAct, TicketRefusal, place_of, places},
        time::Timestamp,
    },
    failpoint,
    ports::store::{StoreError, TicketAnswer, TicketChange},
};
use std::collections::{HashMap, HashSet};

/// What became of a ticket, in the order that `read` reads it.
const CHANGED: &str = "t.id, t.serial, t.customer, t.name, t.email, t.admitted_at, t.changes, t.last_change";
/// The lines of a checkout of which the places are still sold.
const SOLD: &str =
    "SELECT DISTINCT k.line FROM claims k WHERE k.checkout = {1} AND k.kind = 'session' AND k.state = 'sold' AND k.line IS NOT NULL";
const KEYS: &str = "SELECT seed FROM ticket_keys WHERE scope = {1} ORDER BY n DESC";

/// Tells a ticket as it was sold what became of it.
fn changed(ticket: &mut Ticket, row: &Row) -> Result<(), StoreError> {
    ticket.serial = row.count(1)?;
    let customer = row.maybe_text(2)?.map(CustomerId::parse).transpose().map_err(corrupt)?;
    ticket.holder = Holder { customer, name: row.maybe_text(3)?, email: row.maybe_text(4)? };
    ticket.admitted_at = row.maybe_time(5)?;
    ticket.changes = row.count(6)?;
    ticket.last_change = Some(row.text(7)?);
    Ok(())
}

/// What is to be known of a checkout's tickets beside the checkout.
struct Known {
    sold: HashSet<String>,
    rows: HashMap<String, Row>,
}

impl Known {
    fn new(sold: &[Row], rows: Vec<Row>) -> Result<Self, StoreError> {
        let sold = sold.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
        let rows = rows.into_iter().map(|row| Ok((row.text(0)?, row))).collect::<Result<_, StoreError>>()?;
        Ok(Self { sold, rows })
    }

    async fn read(db: &Db, checkout: &CheckoutId, ids: &Rows) -> Result<Self, StoreError> {
        let sold = db.read(SOLD, None, &[checkout.as_str().into()]).await?;
        let sql = format!("SELECT {CHANGED} FROM tickets t WHERE t.id IN (SELECT id FROM {{rows}})");
        Self::new(&sold, db.read(&sql, Some(ids), &[]).await?)
    }

    fn complete(&self, mut ticket: Ticket) -> Result<Ticket, StoreError> {
        ticket.is_sold = self.sold.contains(ticket.line.as_str());
        if let Some(row) = self.rows.get(ticket.id.as_str()) {
            changed(&mut ticket, row)?;
        }
        Ok(ticket)
    }
}

impl SqlStore {
    pub(super) async fn list_tickets(
        &self,
        scope: &Scope,
        id: &CheckoutId,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Option<Vec<Ticket>>, StoreError> {
        let Some(checkout) = self.loads.call(id.clone()).await?.filter(|checkout| checkout.scope == *scope) else { return Ok(None) };
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let tickets: Vec<Ticket> = places(&checkout, after).map_while(|place| Ticket::of(&checkout, place)).take(wanted).collect();
        let known = Known::read(&self.db, id, &Rows::ids(tickets.iter().map(|ticket| ticket.id.as_str()))).await?;
        tickets.into_iter().map(|ticket| known.complete(ticket)).collect::<Result<_, _>>().map(Some)
    }

    pub(super) async fn read_ticket(&self, scope: &Scope, id: &TicketId) -> Result<Option<Ticket>, StoreError> {
        let Some((checkout, place)) = place_of(id) else { return Ok(None) };
        let found = self.loads.call(checkout.clone()).await?.filter(|checkout| checkout.scope == *scope);
        let Some(ticket) = found.and_then(|checkout| Ticket::of(&checkout, place)) else { return Ok(None) };
        Known::read(&self.db, &checkout, &Rows::ids([id.as_str()])).await?.complete(ticket).map(Some)
    }

    pub(super) async fn change_one_ticket(&self, change: &TicketChange) -> Result<TicketAnswer, StoreError> {
        let Some((id, place)) = place_of(&change.ticket) else { return Ok(TicketAnswer::Missing) };
        let changed = transact!(self.db, tx => {
            // Whoever frees the place, admits with it or passes it on waits for the same lock.
            let found = load::lock(tx, [&id]).await?.remove(&id).filter(|checkout| checkout.scope == change.scope);
            let Some(checkout) = found else { return Ok(TicketAnswer::Missing) };
            let Some(ticket) = locked_ticket(tx, &checkout, place).await? else { return Ok(TicketAnswer::Missing) };
            if ticket.last_change.as_ref() == Some(&change.token) {
                return Ok(TicketAnswer::Changed(Box::new(ticket)));
            }
            let now = tx.now().await?;
            let ticket = match ticket.after(&change.act, &change.token, now) {
                Ok(ticket) => ticket,
                Err(refusal) => return Ok(TicketAnswer::Refused(refusal)),
            };
            if let (TicketAct::Transfer(_), Some(refusal)) = (&change.act, refusal_of_holder(tx, &ticket).await?) {
                return Ok(TicketAnswer::Refused(refusal));
            }
            write(tx, &ticket, now).await?;
            let mut effects = Effects::start(checkout, now);
            effects.note(change.act.as_str(), ticket.id.as_str());
            apply(tx, &[effects], now, &self.entropy).await?;
            failpoint::cross("change.before_commit").await?;
            Ok(TicketAnswer::Changed(Box::new(ticket)))
        });
        let _ = failpoint::cross("change.after_commit").await;
        changed
    }

    pub(super) async fn ticket_keys_or(&self, scope: &Scope, candidate: &Secret<String>) -> Result<Vec<Secret<String>>, StoreError> {
        let seeds = |rows: Vec<Row>| rows.iter().map(|row| row.text(0).map(Secret::new)).collect::<Result<Vec<_>, _>>();
        let found = seeds(self.db.read(KEYS, None, &[scope.as_str().into()]).await?)?;
        if !found.is_empty() {
            return Ok(found);
        }
        transact!(self.db, tx => {
            let now = tx.now().await?;
            let sql = "INSERT INTO ticket_keys (scope, n, seed, created_at) VALUES ({1}, 1, {2}, {3}) ON CONFLICT DO NOTHING";
            tx.execute(sql, None, &[scope.as_str().into(), candidate.reveal().as_str().into(), now.into()]).await?;
            seeds(tx.fetch(KEYS, None, &[scope.as_str().into()]).await?)
        })
    }
}

/// The ticket as it is, under its checkout's lock.
async fn locked_ticket(tx: &mut Tx<'_>, checkout: &Checkout, place: Place) -> Result<Option<Ticket>, StoreError> {
    let Some(ticket) = Ticket::of(checkout, place) else { return Ok(None) };
    let sold = tx.fetch(SOLD, None, &[checkout.id.as_str().into()]).await?;
    let sql = format!("SELECT {CHANGED} FROM tickets t WHERE t.id = {{1}}");
    let rows = tx.fetch(&sql, None, &[ticket.id.as_str().into()]).await?;
    Known::new(&sold, rows)?.complete(ticket).map(Some)
}

/// What keeps the one whom a ticket is passed on to from its session: its tag, its ages.
async fn refusal_of_holder(tx: &mut Tx<'_>, ticket: &Ticket) -> Result<Option<TicketRefusal>, StoreError> {
    let scope = || Value::from(ticket.scope.as_str());
    let mut known = None;
    if let Some(customer) = &ticket.holder.customer {
        let sql = "SELECT id, doc FROM customers WHERE scope = {1} AND id = {2}";
        let rows = tx.fetch(sql, None, &[scope(), customer.as_str().into()]).await?;
        let Some(row) = rows.first() else { return Ok(Some(TicketRefusal::UnknownCustomer)) };
        known = Some(super::customers::read(row, 0)?);
    }
    let sql = "SELECT c.doc, s.doc FROM catalogue c LEFT JOIN settings s ON s.scope = c.scope WHERE c.scope = {1} AND c.kind = {2} AND c.id = {3}";
    let rows = tx.fetch(sql, None, &[scope(), Kind::Session.as_str().into(), ticket.session.as_str().into()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let session: Session = serde_json::from_str(&row.text(0)?).map_err(corrupt)?;
    let settings: Option<Settings> = row.maybe_text(1)?.map(|doc| serde_json::from_str(&doc)).transpose().map_err(corrupt)?;
    let allowed = eligibility::check_person(&session, known.as_ref(), settings.as_ref().map(|settings| &settings.time_zone));
    Ok(allowed.err().map(TicketRefusal::Refused))
}

async fn write(tx: &mut Tx<'_>, ticket: &Ticket, now: Timestamp) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[
        ("id", Text),
        ("scope", Text),
        ("checkout", Text),
        ("line", Text),
        ("session", Text),
        ("seat", Text),
        ("serial", Int),
        ("customer", Text),
        ("name", Text),
        ("email", Text),
        ("admitted_at", Int),
        ("changes", Int),
        ("last_change", Text),
        ("updated_at", Int),
    ]);
    rows.push([
        ticket.id.as_str().into(),
        ticket.scope.as_str().into(),
        ticket.checkout.as_str().into(),
        ticket.line.as_str().into(),
        ticket.session.as_str().into(),
        ticket.seat.clone().into(),
        ticket.serial.into(),
        ticket.holder.customer.as_ref().map(CustomerId::as_str).into(),
        ticket.holder.name.clone().into(),
        ticket.holder.email.clone().into(),
        ticket.admitted_at.into(),
        ticket.changes.into(),
        ticket.last_change.clone().into(),
        now.into(),
    ]);
    let sql = "INSERT INTO tickets ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT (id) DO UPDATE SET serial = excluded.serial, \
               customer = excluded.customer, name = excluded.name, email = excluded.email, admitted_at = excluded.admitted_at, \
               changes = excluded.changes, last_change = excluded.last_change, updated_at = excluded.updated_at \
               WHERE tickets.changes = excluded.changes - 1";
    // The checkout is locked: another number of changes is our own bug.
    match tx.execute(sql, Some(&rows), &[]).await? {
        1 => Ok(()),
        _ => Err(StoreError::Inconsistent(format!("ticket {} was changed beside its lock", ticket.id))),
    }
}
