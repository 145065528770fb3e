//! What a checkout buys and how it is paid: priced and frozen when it is accepted, never changed after.

use super::{
    catalogue::Kind,
    claim::Want,
    hosted::Hosted,
    id::{BoughtMembershipId, CatalogueId, CustomerId, LineId, PaymentMethodId, SubscriptionId, WaitingId},
    ledger,
    membership::Terms,
    money::{Amount, Currency},
    participant::Participant,
    plan::{Given, PlanTerms},
    push::PushMethod,
    schedule::Period,
    secret::Secret,
    time_zone::TimeZone,
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
    /// Where this checkout's callbacks go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_state: Option<String>,
    /// The client's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The client's own.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl Order {
    /// What was paid outside: its name, the note for people, and minor units.
    pub fn custom_payments(&self) -> impl Iterator<Item = (&str, Option<&str>, Amount)> {
        self.legs.iter().filter_map(|leg| match &leg.tender {
            Tender::Custom { name, note } => Some((name.as_str(), note.as_deref(), leg.amount)),
            Tender::Card { .. }
            | Tender::SavedMethod { .. }
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
                Item::Membership { .. } | Item::Plan { .. } | Item::Subscription { .. } | Item::Custom {} => None,
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

/// One line, priced. Serializes as it stands in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Line {
    /// Unique in the checkout.
    pub id: LineId,
    /// What it is.
    #[serde(flatten)]
    pub item: Item,
    /// Shown to customers.
    pub name: String,
    /// How many; the number of seats when they have names.
    pub quantity: u32,
    /// Price of one, minor units, before discount and tax.
    pub unit_amount: Amount,
    /// `unit_amount * quantity`.
    pub amount: Amount,
    /// Its share of the discount, not negative.
    #[serde(default)]
    pub discount_amount: Amount,
    /// Tax on what is left.
    #[serde(default)]
    pub tax_amount: Amount,
}

/// What a line sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    /// Places in a session.
    Session {
        /// Which.
        session: CatalogueId,
        /// By name, or empty when places have none.
        #[serde(default)]
        seats: Vec<String>,
        /// The entry of the waiting list whose offer it takes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<WaitingId>,
        /// Who comes, one for each place; empty where the buyer does.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        participants: Vec<Participant>,
    },
    /// Goods.
    Product {
        /// Which.
        product: CatalogueId,
        /// Which kind of it.
        #[serde(default)]
        variant: Option<CatalogueId>,
    },
    /// A membership for the checkout's customer.
    Membership {
        /// Which.
        membership: CatalogueId,
        /// What the customer has when the checkout has succeeded.
        bought_membership: BoughtMembershipId,
        /// What it is good for, as it was when it was priced.
        terms: Terms,
        /// Where the days of its `valid_for` are counted; left out where it is good for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time_zone: Option<TimeZone>,
    },
    /// A plan: the checkout's customer has a subscription when it has succeeded.
    Plan {
        /// Which.
        plan: CatalogueId,
        /// The subscription that starts.
        subscription: SubscriptionId,
        /// What is paid for now, or the trial.
        period: Period,
        /// What that gives.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gives: Option<Gift>,
        /// What is agreed on for every period.
        terms: PlanTerms,
    },
    /// A period of a subscription. Renewals make such lines; nobody orders them.
    Subscription {
        /// Of which plan it is.
        plan: CatalogueId,
        /// Which.
        subscription: SubscriptionId,
        /// What is paid for.
        period: Period,
        /// What that gives.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gives: Option<Gift>,
    },
    /// Anything else, named and priced by the client.
    Custom {},
}

/// What a paid period gives to its customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Gift {
    /// A membership, good for the period.
    Membership {
        /// Which.
        membership: CatalogueId,
        /// What the customer has when the checkout has succeeded.
        bought_membership: BoughtMembershipId,
        /// What it is good for.
        terms: Terms,
    },
}

impl Gift {
    /// What a line gives.
    pub fn of(given: &Given, line: &LineId) -> Self {
        let Given { membership, terms } = given.clone();
        Self::Membership { membership, bought_membership: BoughtMembershipId::sold_by(line), terms }
    }
}

impl Item {
    /// As it stands in JSON, also the detail type in the ledger.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Session { .. } => "session",
            Self::Product { .. } => "product",
            Self::Membership { .. } => "membership",
            Self::Plan { .. } => "plan",
            Self::Subscription { .. } => "subscription",
            Self::Custom {} => "custom",
        }
    }

    /// The membership that comes into being with it.
    pub fn bought_membership(&self) -> Option<&BoughtMembershipId> {
        match self {
            Self::Membership { bought_membership, .. } => Some(bought_membership),
            Self::Plan { gives, .. } | Self::Subscription { gives, .. } => {
                gives.as_ref().map(|Gift::Membership { bought_membership, .. }| bought_membership)
            }
            Self::Session { .. } | Self::Product { .. } | Self::Custom {} => None,
        }
    }

    /// The entry of the waiting list whose offer it takes.
    pub fn offer(&self) -> Option<&WaitingId> {
        match self {
            Self::Session { offer, .. } => offer.as_ref(),
            Self::Product { .. } | Self::Membership { .. } | Self::Plan { .. } | Self::Subscription { .. } | Self::Custom {} => None,
        }
    }

    /// Who comes, where they are named.
    pub fn participants(&self) -> &[Participant] {
        match self {
            Self::Session { participants, .. } => participants,
            Self::Product { .. } | Self::Membership { .. } | Self::Plan { .. } | Self::Subscription { .. } | Self::Custom {} => &[],
        }
    }

    /// The catalogue object behind it.
    pub fn entity(&self) -> Option<&CatalogueId> {
        match self {
            Self::Session { session, .. } => Some(session),
            Self::Product { product, .. } => Some(product),
            Self::Membership { membership, .. } => Some(membership),
            Self::Plan { plan, .. } | Self::Subscription { plan, .. } => Some(plan),
            Self::Custom {} => None,
        }
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

/// One part of a payment: a method, and what of the total it pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Minor units, not negative.
    pub amount: Amount,
    /// The method.
    #[serde(flatten)]
    pub tender: Tender,
}

impl Leg {
    /// Whether somebody outside is asked for the money.
    pub fn is_outside(&self) -> bool {
        match self.tender {
            Tender::Card { .. } | Tender::SavedMethod { .. } | Tender::Push(_) | Tender::Hosted(_) => !self.amount.is_zero(),
            Tender::Membership { .. } | Tender::Balance {} | Tender::Custom { .. } | Tender::Free {} => false,
        }
    }

    /// The account that its money comes into, `provider` being who took it.
    pub fn account(&self, provider: &str) -> String {
        match self.tender {
            Tender::Card { .. } | Tender::SavedMethod { .. } | Tender::Push(_) | Tender::Hosted(_) => ledger::provider_account(provider),
            Tender::Membership { .. } | Tender::Balance {} | Tender::Custom { .. } | Tender::Free {} => {
                format!("tender:{}", self.tender.type_name())
            }
        }
    }
}

/// Places of a line that a membership pays for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// Which line.
    pub line: LineId,
    /// How many of its places, at least one.
    pub places: u32,
}

/// A way to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tender {
    /// A card, by the provider's token.
    Card {
        /// The token. Never a card number.
        token: Secret<String>,
    },
    /// A card that the customer has saved, or somebody of the family who shares it.
    SavedMethod {
        /// Which of his, or of the owner's.
        id: PaymentMethodId,
        /// Its token, as it was when the checkout was accepted. Never shown.
        token: Option<Secret<String>>,
        /// Whose it is, where it is not the customer's own but shared with his family.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<CustomerId>,
    },
    /// Mobile money, a bank, a wallet: the customer is asked by a provider.
    Push(PushMethod),
    /// Whatever the customer chooses on our page.
    Hosted(Box<Hosted>),
    /// Credits of a membership of the customer's.
    Membership {
        /// Which.
        bought_membership: BoughtMembershipId,
        /// Which places it pays for: one credit for each.
        covers: Vec<Cover>,
    },
    /// What the customer's balance has.
    Balance {},
    /// Cash, an invoice: paid outside, recorded here.
    Custom {
        /// What kind.
        name: String,
        /// For people.
        #[serde(default)]
        note: Option<String>,
    },
    /// Nothing is due.
    Free {},
}

impl Tender {
    /// As it stands in JSON.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Card { .. } => "card",
            Self::SavedMethod { .. } => "saved_method",
            Self::Push(push) => push.method.as_str(),
            Self::Hosted(_) => "hosted",
            Self::Membership { .. } => "membership",
            Self::Balance {} => "balance",
            Self::Custom { .. } => "custom",
            Self::Free {} => "free",
        }
    }

    /// What a provider is given to charge; on our page the customer is yet to say.
    pub fn token(&self) -> Option<&Secret<String>> {
        match self {
            Self::Card { token } => Some(token),
            Self::SavedMethod { token, .. } => token.as_ref(),
            Self::Push(_) | Self::Hosted(_) | Self::Membership { .. } | Self::Balance {} | Self::Custom { .. } | Self::Free {} => None,
        }
    }

    /// Who asks the customer, where a provider does.
    pub fn push(&self) -> Option<&PushMethod> {
        if let Self::Push(push) = self { Some(push) } else { None }
    }

    /// Whether its money is taken at the customer's word, and cannot be promised first.
    pub const fn is_push(&self) -> bool {
        matches!(self, Self::Push(_))
    }
}
