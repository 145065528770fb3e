//! The waiting list of a session: whose turn it is when places come free, and what becomes of an offer.
//!
//! Always: the transaction that gives places back gives them to who waits for them, so that nobody else ever sees them free.

use super::{
    catalogue::Session,
    event::EventType,
    id::{CatalogueId, CheckoutId, CustomerId, EventId, WaitingId},
    scope::Scope,
    time::Timestamp,
};
use serde::Serialize;
use std::time::Duration;

/// The most entries of a session that wait at a time. So few that one transaction can look at all of them.
pub const MAX_WAITING: u32 = 5_000;
/// How far beyond the first who can be served the list is looked through for somebody whom less will do. With a bound, because each
/// place that comes free costs the look.
pub const LOOK_AHEAD: u32 = 100;

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WaitingStatus)]
pub enum WaitingStatus {
    /// For its turn.
    Waiting,
    /// Places are held for it until `expires_at`, or longer where a checkout has them.
    Offered,
    /// Bought.
    Taken,
    /// The offer ran out, or sales ended first.
    Expired,
    /// The customer left the list.
    Left,
}

impl WaitingStatus {
    /// Every status, for documentation and tests.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Offered, Self::Taken, Self::Expired, Self::Left];

    /// As it stands in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Offered => "offered",
            Self::Taken => "taken",
            Self::Expired => "expired",
            Self::Left => "left",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// One customer's place on the waiting list of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingEntry {
    /// Public id; also what owns the claims of an open offer.
    pub id: WaitingId,
    /// Whose.
    pub scope: Scope,
    /// For which session.
    pub session: CatalogueId,
    /// Its turn, counted within the session.
    pub place: i64,
    /// Who waits.
    pub customer: CustomerId,
    /// For how many places; an offer is for all of them.
    pub quantity: u32,
    /// Where its callbacks go.
    pub callback_url: Option<String>,
    /// How long an offer lasts.
    pub offer_for: Duration,
    /// Where it stands.
    pub status: WaitingStatus,
    /// Grows by one with every change.
    pub version: i64,
    /// The named seats that are or were offered.
    pub seats: Vec<String>,
    /// When the offer runs out.
    pub expires_at: Option<Timestamp>,
    /// The checkout that has what was offered, or bought it.
    pub checkout: Option<CheckoutId>,
    /// When the clock ends it.
    pub due_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl WaitingEntry {
    /// Whether its places are held for it, and no checkout has them yet.
    pub fn is_open(&self) -> bool {
        self.status == WaitingStatus::Offered && self.checkout.is_none()
    }

    /// Whether it can still come to something.
    pub fn is_live(&self) -> bool {
        matches!(self.status, WaitingStatus::Waiting | WaitingStatus::Offered)
    }

    /// Whether an order's line asks for just what is offered.
    pub fn is_for(&self, session: &CatalogueId, quantity: u32, seats: &[String]) -> bool {
        let same_seats = self.seats.len() == seats.len() && seats.iter().all(|seat| self.seats.contains(seat));
        self.session == *session && self.quantity == quantity && same_seats
    }

    /// Holds places for it from now on.
    pub fn offer(self, seats: Vec<String>, now: Timestamp) -> Self {
        let expires_at = Some(now.after(self.offer_for));
        Self { status: WaitingStatus::Offered, seats, expires_at, due_at: expires_at, ..self.changed(now) }
    }

    /// A checkout has what was offered. No clock ends it now but the checkout's own.
    pub fn take(self, checkout: CheckoutId, now: Timestamp) -> Self {
        Self { checkout: Some(checkout), due_at: None, ..self.changed(now) }
    }

    /// Bought.
    pub fn sold(self, now: Timestamp) -> Self {
        Self { status: WaitingStatus::Taken, due_at: None, ..self.changed(now) }
    }

    /// The checkout came to nothing: the offer is open again, for as long as it was made for.
    pub fn reopen(self, now: Timestamp) -> Self {
        Self { checkout: None, due_at: self.expires_at, ..self.changed(now) }
    }

    /// Too late.
    pub fn expire(self, now: Timestamp) -> Self {
        Self { status: WaitingStatus::Expired, checkout: None, due_at: None, ..self.changed(now) }
    }

    /// The customer wants it no more.
    pub fn leave(self, now: Timestamp) -> Self {
        Self { status: WaitingStatus::Left, due_at: None, ..self.changed(now) }
    }

    /// It waits until then, not until when it was said before. Nothing that anybody sees.
    pub fn wait_until(self, until: Timestamp) -> Self {
        Self { due_at: Some(until), version: self.version + 1, ..self }
    }

    fn changed(self, now: Timestamp) -> Self {
        Self { version: self.version + 1, updated_at: now, ..self }
    }
}

/// Until when anybody can be offered a place.
pub fn waits_until(session: &Session) -> Timestamp {
    session.sales_end_at.map_or(session.starts_at, |end| end.min(session.starts_at))
}

/// What nobody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Free {
    /// How many places.
    pub places: u32,
    /// Which ones, where they have names: at least as many.
    pub seats: Option<Vec<String>>,
}

/// Gives what is free to who waits, in their order: each gets all that he waits for, or nothing. Who needs more than is left is passed
/// over, and keeps his turn: a place that would not do for him is of use to the next. Answers which of `waiting` get something, and
/// which seats.
pub fn share_out(waiting: &[WaitingEntry], mut free: Free) -> Vec<(usize, Vec<String>)> {
    let mut offers = Vec::new();
    for (at, entry) in waiting.iter().enumerate() {
        if free.places == 0 {
            break;
        }
        let seats = match &mut free.seats {
            _ if entry.quantity > free.places => continue,
            None => Vec::new(),
            Some(seats) => match usize::try_from(entry.quantity) {
                Ok(quantity) if quantity <= seats.len() => seats.drain(..quantity).collect(),
                _ => continue,
            },
        };
        free.places -= entry.quantity;
        offers.push((at, seats));
    }
    offers
}

/// The object `waiting_list_entry` of the API.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = WaitingListEntry)]
pub struct WaitingEntryView<'a> {
    id: &'a WaitingId,
    object: &'static str,
    session: &'a CatalogueId,
    customer: &'a CustomerId,
    /// An offer is for all of them.
    quantity: u32,
    status: WaitingStatus,
    /// The named seats that are or were offered.
    seats: &'a [String],
    /// How long an offer lasts, seconds.
    offer_for: u64,
    /// When the offer runs out.
    expires_at: Option<Timestamp>,
    /// The checkout that has what was offered, or bought it.
    checkout: Option<&'a CheckoutId>,
    callback_url: Option<&'a str>,
    /// Grows with every change.
    version: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> From<&'a WaitingEntry> for WaitingEntryView<'a> {
    fn from(entry: &'a WaitingEntry) -> Self {
        Self {
            id: &entry.id,
            object: "waiting_list_entry",
            session: &entry.session,
            customer: &entry.customer,
            quantity: entry.quantity,
            status: entry.status,
            seats: &entry.seats,
            offer_for: entry.offer_for.as_secs(),
            expires_at: entry.expires_at,
            checkout: entry.checkout.as_ref(),
            callback_url: entry.callback_url.as_deref(),
            version: entry.version,
            created_at: entry.created_at,
            updated_at: entry.updated_at,
        }
    }
}

/// An event about an entry as it is sent.
#[derive(Debug, Serialize)]
pub struct WaitingEventView<'a> {
    /// `evt_…`, also the `webhook-id`.
    pub id: &'a EventId,
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it happened.
    pub created_at: Timestamp,
    /// The entry at that version.
    pub data: WaitingEntryView<'a>,
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
