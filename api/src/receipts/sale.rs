//! What stands on a receipt and on a ticket, ready to be written on a page or on paper.

use super::{
    links::Keys,
    words::{date, moment},
};
use crate::{context::ApiContext, problem::Problem};
use boxoffice_common::domain::{
    catalogue::{Kind, Session},
    checkout::Checkout,
    customer::Customer,
    id::{CatalogueId, CustomerId},
    line::Item,
    money::Amount,
    scope::Scope,
    settings::{Color, Settings},
    ticket::{FIRST_SERIAL, Ticket, TicketStatus},
    time_zone::TimeZone,
};
use std::collections::HashMap;

/// The most tickets that a receipt links to.
const MAX_TICKETS: u32 = 100;
/// Of a tenant that has not chosen one.
const PLAIN: [u8; 3] = [0x33, 0x33, 0x33];

/// Who sold it.
pub(super) struct Shop {
    pub(super) name: String,
    /// Red, green, blue; black or white text on it.
    pub(super) color: [u8; 3],
    pub(super) dark_text: bool,
    pub(super) support_email: Option<String>,
    pub(super) is_test: bool,
}

impl Shop {
    fn of(scope: &Scope, settings: &Settings) -> Self {
        Self {
            name: settings.name.clone().unwrap_or_else(|| scope.tenant().to_owned()),
            color: settings.color.map_or(PLAIN, Color::rgb),
            dark_text: settings.color.is_some_and(Color::wants_dark_text),
            support_email: settings.support_email.clone(),
            is_test: !scope.is_live(),
        }
    }
}

/// One line of a receipt.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) details: Vec<String>,
    pub(super) amount: String,
}

/// A ticket that the buyer still has.
pub(super) struct TicketLink {
    pub(super) words: String,
    pub(super) url: String,
}

/// A receipt.
pub(super) struct Receipt {
    pub(super) shop: Shop,
    pub(super) order: String,
    pub(super) reference: Option<String>,
    pub(super) buyer: Vec<String>,
    pub(super) date: String,
    pub(super) lines: Vec<Line>,
    /// What leads from the lines to the total, and on to what was paid and given back.
    pub(super) sums: Vec<(&'static str, String)>,
    pub(super) total: String,
    pub(super) after: Vec<(&'static str, String)>,
    pub(super) tickets: Vec<TicketLink>,
    /// There are more than are shown.
    pub(super) more_tickets: bool,
    pub(super) pdf: String,
}

/// A ticket.
pub(super) struct TicketPage {
    pub(super) shop: Shop,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) starts: Option<String>,
    pub(super) seat: Option<String>,
    pub(super) holder: Option<String>,
    pub(super) standing: &'static str,
    /// What opens the door; none unless it is valid.
    pub(super) code: Option<String>,
    pub(super) pdf: String,
}

async fn settings(ctx: &ApiContext, scope: &Scope) -> Result<Settings, Problem> {
    Ok(ctx.store().settings(scope).await?.settings)
}

async fn customer(ctx: &ApiContext, scope: &Scope, id: Option<&CustomerId>) -> Result<Option<Customer>, Problem> {
    match id {
        Some(id) => Ok(ctx.store().customer(scope, id).await?),
        None => Ok(None),
    }
}

/// When sessions start, as far as they can be read.
async fn starts(ctx: &ApiContext, scope: &Scope, ids: Vec<CatalogueId>, zone: &TimeZone) -> Result<HashMap<CatalogueId, String>, Problem> {
    let ids: Vec<(Kind, CatalogueId)> = ids.into_iter().map(|id| (Kind::Session, id)).collect();
    let rows = ctx.store().get_many(scope, &ids).await?;
    let session = |doc: &str| serde_json::from_str::<Session>(doc).ok();
    Ok(rows.into_iter().filter_map(|row| Some((row.id, moment(zone, session(&row.doc)?.starts_at)))).collect())
}

impl Receipt {
    /// The receipt of a checkout that has succeeded.
    pub(super) async fn of(ctx: &ApiContext, checkout: &Checkout, keys: &Keys) -> Result<Self, Problem> {
        let (scope, order) = (&checkout.scope, &checkout.order);
        let settings = settings(ctx, scope).await?;
        let sessions = order.lines.iter().filter_map(|line| match &line.item {
            Item::Session { session, .. } => Some(session.clone()),
            _ => None,
        });
        let starts = starts(ctx, scope, sessions.collect(), &settings.time_zone).await?;
        let buyer = customer(ctx, scope, order.customer.as_ref()).await?;
        let shown = |amount: Amount| order.currency.told(amount);
        let lines = order.lines.iter().map(|line| {
            let mut details = Vec::new();
            if let Item::Session { session, seats, participants, .. } = &line.item {
                details.extend(starts.get(session).cloned());
                if !seats.is_empty() {
                    details.push(format!("Seats {}", seats.join(", ")));
                }
                let names: Vec<&str> = participants.iter().filter_map(|participant| participant.name.as_deref()).collect();
                if !names.is_empty() {
                    details.push(format!("For {}", names.join(", ")));
                }
            }
            if let Item::Custom(about) = &line.item {
                details.extend(about.description.clone());
            }
            if line.quantity != 1 {
                details.push(format!("{} × {}", line.quantity, shown(line.unit_amount)));
            }
            Line { name: line.name.clone(), details, amount: shown(line.amount) }
        });
        let totals = &order.totals;
        let unless_zero = |words, amount: Amount| (!amount.is_zero()).then(|| (words, shown(amount)));
        let mut tickets = ctx.store().tickets(scope, &checkout.id, None, MAX_TICKETS + 1).await?.unwrap_or_default();
        let more_tickets = tickets.len() > usize::try_from(MAX_TICKETS).unwrap_or(usize::MAX);
        tickets.truncate(usize::try_from(MAX_TICKETS).unwrap_or(usize::MAX));
        // Who passed a ticket on has it no more, and is not shown the new one.
        let own = tickets.iter().filter(|ticket| ticket.serial == FIRST_SERIAL && ticket.status() != TicketStatus::Void);
        let link = |ticket: &Ticket| {
            let seat = ticket.seat.as_ref().map(|seat| format!(", seat {seat}")).unwrap_or_default();
            let whose = ticket.holder.name.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
            TicketLink { words: format!("{}{seat}{whose}", ticket.name), url: keys.ticket(ctx, ticket).0 }
        };
        Ok(Self {
            shop: Shop::of(scope, &settings),
            order: checkout.id.to_string(),
            reference: order.reference.clone(),
            buyer: buyer.into_iter().flat_map(|buyer| [buyer.name, buyer.email]).flatten().collect(),
            date: date(&settings.time_zone, checkout.completed_at.unwrap_or(checkout.created_at)),
            lines: lines.collect(),
            sums: [
                Some(("Subtotal", shown(totals.subtotal))),
                unless_zero("Discount", totals.discount.negated()),
                unless_zero("Tax", totals.tax),
            ]
            .into_iter()
            .flatten()
            .collect(),
            total: shown(totals.total),
            after: [Some(("Paid", shown(checkout.amount_paid))), unless_zero("Given back", checkout.amount_refunded)]
                .into_iter()
                .flatten()
                .collect(),
            tickets: own.map(link).collect(),
            more_tickets,
            pdf: keys.receipt(ctx, scope, &checkout.id).1,
        })
    }
}

impl TicketPage {
    /// A ticket as it is now.
    pub(super) async fn of(ctx: &ApiContext, ticket: &Ticket, keys: &Keys) -> Result<Self, Problem> {
        let settings = settings(ctx, &ticket.scope).await?;
        let mut starts = starts(ctx, &ticket.scope, vec![ticket.session.clone()], &settings.time_zone).await?;
        let known = customer(ctx, &ticket.scope, ticket.holder.customer.as_ref()).await?;
        let (standing, is_valid) = match ticket.status() {
            TicketStatus::Valid => ("Valid: show this code at the door", true),
            TicketStatus::Admitted => ("Used: this ticket has let somebody in", false),
            TicketStatus::Void => ("Not valid any more: the place was given back", false),
        };
        Ok(Self {
            shop: Shop::of(&ticket.scope, &settings),
            id: ticket.id.to_string(),
            name: ticket.name.clone(),
            starts: starts.remove(&ticket.session),
            seat: ticket.seat.clone(),
            holder: ticket.holder.name.clone().or_else(|| known.and_then(|customer| customer.name)),
            standing,
            code: is_valid.then(|| keys.code.code(ticket)),
            pdf: keys.ticket(ctx, ticket).1,
        })
    }
}
