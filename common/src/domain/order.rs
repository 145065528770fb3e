//! What a checkout buys and how it is paid: priced and frozen when it is accepted, never changed after.

use super::{
    catalogue::Kind,
    claim::Want,
    id::{CatalogueId, CustomerId, SpaceId, WaitingId},
    leg::{Leg, Tender},
    line::{Item, Line},
    money::{Amount, Currency},
    participant::Participant,
};
use serde::{Deserialize, Serialize};

/// The frozen part of a checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who buys; nobody we know for a guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// The currency of every amount in it.
    pub currency: Currency,
    /// What is bought.
    pub lines: Vec<Line>,
    /// What it comes to.
    pub totals: Totals,
    /// The discount's code, as the catalogue knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promo_code: Option<CatalogueId>,
    /// Whether uses of that code are counted: then one use is claimed with the seats.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub promo_uses_counted: bool,
    /// How it is paid: one leg for each method, at least one. Their amounts come to the total.
    pub legs: Vec<Leg>,
    /// Where the browser goes after a payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_url: Option<String>,
    /// Where the browser goes after a cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_url: Option<String>,
    /// How browsers reach us, without a slash at the end, where a provider's page may have to send the customer back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Where this checkout's callbacks go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_state: Option<String>,
    /// The client's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Whether it took the place of what was open under its reference.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces_open: bool,
    /// The part of the tenant that it stands in, apart from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceId>,
    /// The client's own.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl Order {
    /// What is bought, for how much, and how it is paid; and of all else that an order may have, nothing.
    pub fn of(currency: Currency, lines: Vec<Line>, totals: Totals, legs: Vec<Leg>) -> Self {
        Self {
            customer: None,
            currency,
            lines,
            totals,
            promo_code: None,
            promo_uses_counted: false,
            legs,
            success_url: None,
            cancel_url: None,
            origin: None,
            callback_url: None,
            callback_state: None,
            reference: None,
            replaces_open: false,
            space: None,
            metadata: serde_json::Map::new(),
        }
    }

    /// What was paid outside: its name, the note for people, and minor units.
    pub fn custom_payments(&self) -> impl Iterator<Item = (&str, Option<&str>, Amount)> {
        self.legs.iter().filter_map(|leg| match &leg.tender {
            Tender::Custom { name, note } => Some((name.as_str(), note.as_deref(), leg.amount)),
            Tender::Card { .. }
            | Tender::ProviderPage { .. }
            | Tender::SavedMethod { .. }
            | Tender::PaymentIntent(_)
            | Tender::Push(_)
            | Tender::Hosted(_)
            | Tender::Membership { .. }
            | Tender::Balance {}
            | Tender::Free {} => None,
        })
    }

    /// Everything scarce that has to be claimed before money is asked, in the order of the lines.
    pub fn wants(&self) -> Vec<Want> {
        let mut wants: Vec<Want> = self
            .lines
            .iter()
            .enumerate()
            .filter_map(|(index, line)| match &line.item {
                Item::Session { session, seats, .. } => Some(Want {
                    kind: Kind::Session,
                    id: session.clone(),
                    quantity: line.quantity,
                    seats: seats.clone(),
                    line: Some(index),
                }),
                // Which goods are counted is the store's to know: those without stock run out of nothing.
                Item::Product { product, .. } => {
                    Some(Want { kind: Kind::Product, id: product.clone(), quantity: line.quantity, seats: Vec::new(), line: Some(index) })
                }
                // A membership or a subscription comes into being with its sale: there are as many as are wanted.
                Item::Membership { .. } | Item::Plan { .. } | Item::Subscription { .. } | Item::Custom(_) => None,
            })
            .collect();
        if let (Some(code), true) = (&self.promo_code, self.promo_uses_counted) {
            wants.push(Want { kind: Kind::PromoCode, id: code.clone(), quantity: 1, seats: Vec::new(), line: None });
        }
        wants.extend(self.credits());
        wants
    }

    /// The entries of waiting lists whose offers it takes.
    pub fn offers(&self) -> impl Iterator<Item = &WaitingId> {
        self.lines.iter().filter_map(|line| line.item.offer())
    }

    /// Everybody who is named as a participant.
    pub fn participants(&self) -> impl Iterator<Item = &Participant> {
        self.lines.iter().flat_map(|line| line.item.participants())
    }

    /// Tells participants who were described as the buyer is that they are him: he was found, or made, under this name.
    pub fn recognize_buyer(&mut self, external_id: &str) {
        let Some(buyer) = &self.customer else { return };
        for line in &mut self.lines {
            let Item::Session { participants, .. } = &mut line.item else { continue };
            for participant in participants.iter_mut().filter(|participant| participant.external_id.as_deref() == Some(external_id)) {
                participant.external_id = None;
                participant.customer = Some(buyer.clone());
            }
        }
    }

    /// The credits that memberships pay with.
    fn credits<'o>(&'o self) -> impl Iterator<Item = Want> + 'o {
        let membership = |leg: &'o Leg| match leg {
            Leg { tender: Tender::Membership { bought_membership, covers }, .. } => Some((bought_membership, covers)),
            _ => None,
        };
        self.legs.iter().filter_map(membership).flat_map(|(bought, covers)| {
            covers.iter().map(|cover| Want {
                kind: Kind::BoughtMembership,
                id: bought.in_stock(),
                quantity: cover.places,
                seats: Vec::new(),
                line: self.lines.iter().position(|line| line.id == cover.line),
            })
        })
    }

    /// The legs for which somebody outside is asked, and their places in the order: as they are asked. One that takes the money at the
    /// customer's word comes last, when all others are promised.
    pub fn outside_legs(&self) -> impl Iterator<Item = (usize, &Leg)> {
        let outside = || self.legs.iter().enumerate().filter(|(_, leg)| leg.is_outside());
        outside().filter(|(_, leg)| !leg.tender.is_push()).chain(outside().filter(|(_, leg)| leg.tender.is_push()))
    }

    /// What people rush for, and the seat table therefore knows of.
    pub fn contested(&self) -> Vec<Want> {
        self.wants().into_iter().filter(|want| want.kind.is_contested()).collect()
    }
}

/// What an order comes to. `total = subtotal - discount + tax`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Totals {
    /// The sum of the lines.
    pub subtotal: Amount,
    /// What the promo code takes off.
    pub discount: Amount,
    /// Tax on the rest.
    pub tax: Amount,
    /// What is due.
    pub total: Amount,
}
