//! Tickets: one for each place of a sale. They follow from the sale itself, so that selling writes none: a row is made when
//! somebody is first let in or a ticket is first passed on.

use super::{
    checkout::Checkout,
    error::CodedError,
    id::{CatalogueId, CheckoutId, CustomerId, LineId, TicketId},
    line::Item,
    participant::Participant,
    scope::Scope,
    state::Status,
    time::Timestamp,
};
use serde::Serialize;
use std::fmt;

/// The most that can happen to one ticket: far beyond what anybody needs, and an end to what is kept of it.
pub const MAX_CHANGES: u32 = 200;
/// The serial of a ticket that was never passed on.
pub const FIRST_SERIAL: u32 = 1;

/// Which place of which line of a checkout, both counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, by its position in the order.
    pub line: u32,
    /// The place within the line; of named seats the position of its name.
    pub index: u32,
}

/// Where a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TicketStatus {
    /// Lets its holder in, once.
    Valid,
    /// Its holder is in.
    Admitted,
    /// Its place was given back.
    Void,
}

impl TicketStatus {
    /// Every status, for documentation and tests.
    pub const ALL: [Self; 3] = [Self::Valid, Self::Admitted, Self::Void];

    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Admitted => "admitted",
            Self::Void => "void",
        }
    }
}

/// Who comes. Its `Debug` shows the customer's id and nothing personal.
#[derive(Clone, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
#[schema(as = TicketHolder)]
pub struct Holder {
    /// A customer that we know.
    pub customer: Option<CustomerId>,
    /// The name, of somebody whom we do not know, or of a customer who was named as a participant.
    pub name: Option<String>,
    /// The same one's address.
    pub email: Option<String>,
}

impl Holder {
    fn of(participant: &Participant) -> Self {
        let Participant { customer, name, email, .. } = participant.clone();
        Self { customer, name, email }
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holder").field("customer", &self.customer).finish_non_exhaustive()
    }
}

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Follows from checkout, line and place.
    pub id: TicketId,
    /// Whose.
    pub scope: Scope,
    /// Of which sale.
    pub checkout: CheckoutId,
    /// Of which line.
    pub line: LineId,
    /// For what.
    pub session: CatalogueId,
    /// What that was called when it was sold.
    pub name: String,
    /// The seat's name, where places have names.
    pub seat: Option<String>,
    /// Whether the place is still sold: a refund that frees places makes their tickets void.
    pub is_sold: bool,
    /// Grows when it is passed on; codes of earlier ones open no door.
    pub serial: u32,
    /// Who comes: who was named for the place, else who bought it, until it is passed on.
    pub holder: Holder,
    /// When its holder was let in.
    pub admitted_at: Option<Timestamp>,
    /// How often something happened to it: 0 for a ticket without a row.
    pub changes: u32,
    /// The token of what happened to it last.
    pub last_change: Option<String>,
}

/// What is to happen to a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TicketAct {
    /// Somebody stands at the door with it.
    Admit {
        /// The serial of the code that was shown; none when the ticket was picked by hand.
        serial: Option<u32>,
        /// The session that the door leads to, where the door says so.
        session: Option<CatalogueId>,
    },
    /// That was a mistake.
    UndoAdmission,
    /// Somebody else comes.
    Transfer(Holder),
}

impl TicketAct {
    /// As it stands on the timeline.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Admit { .. } => "ticket.admitted",
            Self::UndoAdmission => "ticket.admission_undone",
            Self::Transfer(_) => "ticket.transferred",
        }
    }
}

/// Why nothing happens to a ticket. Nothing is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TicketRefusal {
    /// It is for another session than this door's.
    OtherSession,
    /// It was passed on: this code is not its newest.
    Replaced,
    /// Its place was given back.
    Void,
    /// Its holder is in.
    AlreadyAdmitted(Timestamp),
    /// Nobody was let in with it.
    NotAdmitted,
    /// Too much has happened to it already.
    ChangedTooOften,
    /// The customer whom it is to be passed on to is not there.
    UnknownCustomer,
    /// The session is not open to the one who is to come.
    Refused(CodedError),
}

impl Ticket {
    /// The ticket of a place as it is when it was just sold. `None` where nothing was sold, or no place.
    pub fn of(checkout: &Checkout, place: Place) -> Option<Self> {
        let line = checkout.order.lines.get(usize::try_from(place.line).ok()?)?;
        let Item::Session { session, seats, participants, .. } = &line.item else { return None };
        if checkout.status != Status::Succeeded || place.index >= line.quantity {
            return None;
        }
        let index = usize::try_from(place.index).ok()?;
        let holder = match participants.get(index) {
            Some(participant) => Holder::of(participant),
            None => Holder { customer: checkout.order.customer.clone(), ..Holder::default() },
        };
        Some(Self {
            id: id_of(&checkout.id, place)?,
            scope: checkout.scope.clone(),
            checkout: checkout.id.clone(),
            line: line.id.clone(),
            session: session.clone(),
            name: line.name.clone(),
            seat: seats.get(index).cloned(),
            is_sold: true,
            serial: FIRST_SERIAL,
            holder,
            admitted_at: None,
            changes: 0,
            last_change: None,
        })
    }

    /// Where it stands. Void wins: whoever is in, the place is somebody else's now.
    pub fn status(&self) -> TicketStatus {
        match (self.is_sold, self.admitted_at) {
            (false, _) => TicketStatus::Void,
            (true, Some(_)) => TicketStatus::Admitted,
            (true, None) => TicketStatus::Valid,
        }
    }

    /// Decides on `act`. The same token again is the same call again, whose answer was lost.
    pub fn after(self, act: &TicketAct, token: &str, now: Timestamp) -> Result<Self, TicketRefusal> {
        match act {
            TicketAct::Admit { session: Some(session), .. } if *session != self.session => return Err(TicketRefusal::OtherSession),
            TicketAct::Admit { serial: Some(serial), .. } if *serial != self.serial => return Err(TicketRefusal::Replaced),
            _ => {}
        }
        match (self.status(), act) {
            (TicketStatus::Void, _) => return Err(TicketRefusal::Void),
            (TicketStatus::Admitted, TicketAct::Admit { .. } | TicketAct::Transfer(_)) => {
                return Err(TicketRefusal::AlreadyAdmitted(self.admitted_at.unwrap_or(now)));
            }
            (TicketStatus::Valid, TicketAct::UndoAdmission) => return Err(TicketRefusal::NotAdmitted),
            (TicketStatus::Admitted, TicketAct::UndoAdmission)
            | (TicketStatus::Valid, TicketAct::Admit { .. } | TicketAct::Transfer(_)) => {}
        }
        if self.changes >= MAX_CHANGES {
            return Err(TicketRefusal::ChangedTooOften);
        }
        let changed = Self { changes: self.changes + 1, last_change: Some(token.to_owned()), ..self };
        Ok(match act {
            TicketAct::Admit { .. } => Self { admitted_at: Some(now), ..changed },
            TicketAct::UndoAdmission => Self { admitted_at: None, ..changed },
            TicketAct::Transfer(holder) => Self { serial: changed.serial + 1, holder: holder.clone(), ..changed },
        })
    }
}

/// The places of a checkout behind `after`, in order; all of them when it is `None`.
pub fn places(checkout: &Checkout, after: Option<Place>) -> impl Iterator<Item = Place> {
    let first = after.map_or(Place { line: 0, index: 0 }, |after| Place { index: after.index.saturating_add(1), ..after });
    let lines = checkout.order.lines.iter().zip(0u32..).skip(usize::try_from(first.line).unwrap_or(usize::MAX));
    lines.filter(|(line, _)| matches!(line.item, Item::Session { .. })).flat_map(move |(line, at)| {
        let from = if at == first.line { first.index } else { 0 };
        (from..line.quantity).map(move |index| Place { line: at, index })
    })
}

/// The id of a place's ticket: the checkout's own characters, the line, the place.
pub fn id_of(checkout: &CheckoutId, place: Place) -> Option<TicketId> {
    let own = checkout.as_str().strip_prefix(CheckoutId::PREFIX)?;
    TicketId::parse(format!("{}{own}_{}_{}", TicketId::PREFIX, place.line, place.index)).ok()
}

/// Reads an id back. A number that is written in another way than ours is none: a place has one ticket.
pub fn place_of(id: &TicketId) -> Option<(CheckoutId, Place)> {
    let own = id.as_str().strip_prefix(TicketId::PREFIX)?;
    let (own, index) = own.rsplit_once('_')?;
    let (own, line) = own.rsplit_once('_')?;
    let checkout = CheckoutId::parse(format!("{}{own}", CheckoutId::PREFIX)).ok()?;
    let place = Place { line: line.parse().ok()?, index: index.parse().ok()? };
    (id_of(&checkout, place)? == *id).then_some((checkout, place))
}

#[cfg(test)]
#[path = "ticket_tests.rs"]
pub(super) mod tests;
