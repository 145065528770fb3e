//! Prices: what the lines of a checkout come to. Always from our catalogue; a client may only echo them.

use super::{
    catalogue::{Kind, Product, PromoCode, Session},
    catalogue_check::check_name,
    error::{Code, CodedError},
    id::{BoughtMembershipId, CatalogueId, Entropy, LineId, WaitingId},
    line::{About, Item, Line},
    membership::Membership,
    money::{Amount, Currency, MoneyError},
    order::Totals,
    participant::Participant,
    plan::{Plan, PlanStatus},
    plan_sale::{self, Sold},
    promo::{apply_promo, find_promo},
    time::Timestamp,
    time_zone::TimeZone,
};
use std::collections::{HashMap, HashSet};

/// The most lines that a checkout may have.
pub const MAX_LINES: usize = 50;
/// The most of one thing that a line may ask for.
pub const MAX_QUANTITY: u32 = 1_000;

/// What a client wants to buy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    /// The currency that everything in it must have.
    pub currency: Currency,
    /// 1 to [`MAX_LINES`] of them.
    pub lines: Vec<CartLine>,
    /// The code that the customer typed.
    pub promo_code: Option<CatalogueId>,
}

/// One line of a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartLine {
    /// What.
    pub item: CartItem,
    /// How many, 1 to [`MAX_QUANTITY`]; [`CartItem::default_quantity`] when the client did not say.
    pub quantity: u32,
    /// The client's echo of the price of one, minor units; for a custom line, the price itself.
    pub unit_amount: Option<Amount>,
    /// The client's echo of what the line comes to, less discount and with tax, minor units.
    pub total_amount: Option<Amount>,
}

/// What a line of a cart asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CartItem {
    /// Places in a session.
    Session {
        /// Which.
        session: CatalogueId,
        /// By name; empty when places have none.
        seats: Vec<String>,
        /// The entry of the waiting list whose offer it takes.
        offer: Option<WaitingId>,
        /// Who comes, one for each place; empty where the buyer does.
        participants: Vec<Participant>,
        /// Which of the session's pricing plans; its own price when left out.
        pricing_plan: Option<CatalogueId>,
    },
    /// Goods.
    Product {
        /// Which.
        product: CatalogueId,
        /// Which kind of it; required when there are kinds.
        variant: Option<CatalogueId>,
    },
    /// A membership for the customer.
    Membership {
        /// Which.
        membership: CatalogueId,
    },
    /// A plan for the customer.
    Plan {
        /// Which.
        plan: CatalogueId,
    },
    /// Anything else, priced by the client.
    Custom {
        /// Shown to customers.
        name: String,
        /// What else is said of it.
        about: About,
    },
}

impl CartItem {
    /// What of the catalogue it names.
    pub fn wanted(&self) -> Option<(Kind, &CatalogueId)> {
        match self {
            Self::Session { session, .. } => Some((Kind::Session, session)),
            Self::Product { product, .. } => Some((Kind::Product, product)),
            Self::Membership { membership } => Some((Kind::Membership, membership)),
            Self::Plan { plan } => Some((Kind::Plan, plan)),
            Self::Custom { .. } => None,
        }
    }

    /// The quantity of a line that does not say: its named seats, else its participants, else one.
    pub fn default_quantity(&self) -> u32 {
        match self {
            Self::Session { seats, .. } if !seats.is_empty() => u32::try_from(seats.len()).unwrap_or(u32::MAX),
            Self::Session { participants, .. } => u32::try_from(participants.len()).unwrap_or(u32::MAX).max(1),
            Self::Product { .. } | Self::Membership { .. } | Self::Plan { .. } | Self::Custom { .. } => 1,
        }
    }
}

/// What was found of the things that a cart names.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// Sessions by id.
    pub sessions: HashMap<CatalogueId, Session>,
    /// Products by id.
    pub products: HashMap<CatalogueId, Product>,
    /// Memberships by id.
    pub memberships: HashMap<CatalogueId, Membership>,
    /// Plans by id. What they give is among the memberships.
    pub plans: HashMap<CatalogueId, Plan>,
    /// Where the periods of plans and of memberships are counted.
    pub time_zone: TimeZone,
    /// Promo codes by the code itself.
    pub promo_codes: HashMap<CatalogueId, PromoCode>,
}

impl Shelf {
    /// What a thing is sold in; nothing where it is not on the shelf.
    pub fn currency_of(&self, item: &CartItem) -> Option<Currency> {
        match item {
            CartItem::Session { session, .. } => self.sessions.get(session).map(|session| session.currency),
            CartItem::Product { product, .. } => self.products.get(product).map(|product| product.currency),
            CartItem::Membership { membership } => self.memberships.get(membership).map(|membership| membership.currency),
            CartItem::Plan { plan } => self.plans.get(plan).map(|plan| plan.currency),
            CartItem::Custom { .. } => None,
        }
    }
}

/// A cart with its prices, ready to be frozen in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// In the order of the cart.
    pub lines: Vec<Line>,
    /// `total = subtotal - discount + tax`; nothing in it is negative.
    pub totals: Totals,
    /// The code that was applied.
    pub promo_code: Option<CatalogueId>,
    /// Whether a use of that code has to be claimed with the seats.
    pub promo_uses_counted: bool,
}

impl Cart {
    /// What has to be on the [`Shelf`] to price it: each thing once, in the order of the lines.
    pub fn wanted(&self) -> Vec<(Kind, CatalogueId)> {
        let lines = self.lines.iter().filter_map(|line| line.item.wanted());
        let mut seen = HashSet::new();
        lines
            .chain(self.promo_code.iter().map(|code| (Kind::PromoCode, code)))
            .filter(|wanted| seen.insert(*wanted))
            .map(|(kind, id)| (kind, id.clone()))
            .collect()
    }
}

/// Prices a cart. Refuses what can be known at once: unknown ids, a wrong echo, another currency, a bad promo code, sums
/// beyond [`Amount::MAX`]. The error's `param` names the field. Whether seats are left is the store's to say, later.
pub fn price(cart: &Cart, shelf: &Shelf, now: Timestamp, entropy: &Entropy) -> Result<Priced, CodedError> {
    if !(1..=MAX_LINES).contains(&cart.lines.len()) {
        return Err(invalid("lines", format!("a checkout has 1 to {MAX_LINES} lines")));
    }
    let mut asked_seats = HashSet::new();
    let mut lines = Vec::with_capacity(cart.lines.len());
    let mut tax_rates = Vec::with_capacity(cart.lines.len());
    let mut subtotal = Amount::ZERO;
    for (index, line) in cart.lines.iter().enumerate() {
        let id = LineId::generate(entropy, now);
        let found = find(cart.currency, line, &id, &At { shelf, now }, &format!("lines[{index}]"))?;
        check_line(line, shelf, &mut asked_seats, &format!("lines[{index}]"))?;
        let amount = found.unit_amount.times(line.quantity).map_err(|error| out_of_range(error, &format!("lines[{index}]")))?;
        subtotal = subtotal.plus(amount).map_err(|error| out_of_range(error, "lines"))?;
        tax_rates.push(found.tax_rate_bp);
        lines.push(Line {
            id,
            item: found.item,
            name: found.name,
            quantity: line.quantity,
            unit_amount: found.unit_amount,
            amount,
            discount_amount: Amount::ZERO,
            tax_amount: Amount::ZERO,
        });
    }
    let promo = cart.promo_code.as_ref().map(|code| find_promo(code, cart.currency, shelf, now)).transpose()?;
    let discount = promo.map_or(Ok(Amount::ZERO), |promo| apply_promo(promo, &mut lines))?;
    let tax = add_taxes(&mut lines, &tax_rates)?;
    check_totals(cart, &lines)?;
    let total = subtotal.minus(discount).and_then(|rest| rest.plus(tax)).map_err(|error| out_of_range(error, "lines"))?;
    Ok(Priced {
        lines,
        totals: Totals { subtotal, discount, tax, total },
        promo_code: cart.promo_code.clone(),
        promo_uses_counted: promo.is_some_and(|promo| promo.max_uses.is_some()),
    })
}

/// A cart line as the catalogue knows it.
struct Found {
    item: Item,
    name: String,
    unit_amount: Amount,
    tax_rate_bp: u32,
}

/// What there is, and when that is asked.
struct At<'s> {
    shelf: &'s Shelf,
    now: Timestamp,
}

/// Looks the line's thing up, and holds its currency and the client's echo against it.
fn find(currency: Currency, line: &CartLine, id: &LineId, at: &At<'_>, param: &str) -> Result<Found, CodedError> {
    let shelf = at.shelf;
    let mut whole = None;
    let (found, own_currency) = match &line.item {
        CartItem::Session { session: id, seats, offer, participants, pricing_plan } => {
            let session = shelf.sessions.get(id).ok_or_else(|| missing("session", format!("{param}.session")))?;
            let (name, unit_amount) = place_in(session, pricing_plan.as_ref(), param)?;
            let item = Item::Session {
                session: id.clone(),
                seats: seats.clone(),
                offer: offer.clone(),
                participants: participants.clone(),
                pricing_plan: pricing_plan.clone(),
                class: session.class.clone(),
            };
            (Found { item, name, unit_amount, tax_rate_bp: session.tax_rate_bp }, session.currency)
        }
        CartItem::Product { product: id, variant } => {
            let product = shelf.products.get(id).filter(|product| product.active);
            let product = product.ok_or_else(|| missing("product on sale", format!("{param}.product")))?;
            let (name, unit_amount) = variant_of(product, variant.as_ref(), param)?;
            let item = Item::Product { product: id.clone(), variant: variant.clone() };
            (Found { item, name, unit_amount, tax_rate_bp: product.tax_rate_bp }, product.currency)
        }
        CartItem::Membership { membership } => find_membership(membership, id, shelf, param)?,
        CartItem::Plan { plan } => {
            let (found, plan) = find_plan(plan, id, at, param)?;
            // What is due now may be less. A client knows the price of a period.
            whole = Some(plan.unit_amount);
            (found, plan.currency)
        }
        CartItem::Custom { name, about } => return find_custom(name, about, line.unit_amount, param),
    };
    if own_currency != currency {
        let message = format!("this is sold in {own_currency}, and the checkout is in {currency}");
        return Err(CodedError::new(Code::CurrencyMismatch, message).at(param));
    }
    // Prices are checked when they enter the catalogue; a negative one must not become money all the same.
    if found.unit_amount < Amount::ZERO {
        return Err(out_of_range(MoneyError::OutOfRange, param));
    }
    let price = whole.unwrap_or(found.unit_amount);
    match line.unit_amount {
        Some(echo) if echo != price => {
            let right = currency.decimal(price);
            let message = format!("the price of one is {price} minor units ({right} {currency})");
            Err(CodedError::new(Code::PriceMismatch, message).at(format!("{param}.unit_amount")))
        }
        Some(_) | None => Ok(found),
    }
}

fn find_membership(membership: &CatalogueId, line: &LineId, shelf: &Shelf, param: &str) -> Result<(Found, Currency), CodedError> {
    let found = shelf.memberships.get(membership).filter(|membership| membership.active);
    let found = found.ok_or_else(|| missing("membership on sale", format!("{param}.membership")))?;
    let bought_membership = BoughtMembershipId::sold_by(line);
    let time_zone = found.valid_for.map(|_| shelf.time_zone.clone());
    let item = Item::Membership { membership: membership.clone(), bought_membership, terms: found.terms(), time_zone };
    let (name, unit_amount, tax_rate_bp) = (found.name.clone(), found.unit_amount, found.tax_rate_bp);
    Ok((Found { item, name, unit_amount, tax_rate_bp }, found.currency))
}

fn find_plan<'s>(id: &CatalogueId, line: &LineId, at: &At<'s>, param: &str) -> Result<(Found, &'s Plan), CodedError> {
    let plan = at.shelf.plans.get(id).filter(|plan| plan.status == PlanStatus::Active);
    let plan = plan.ok_or_else(|| missing("plan on sale", format!("{param}.plan")))?;
    let Sold { item, due } = plan_sale::sell(plan, id, line, at.shelf, at.now).map_err(|error| error.at(format!("{param}.plan")))?;
    Ok((Found { item, name: plan.name.clone(), unit_amount: due, tax_rate_bp: plan.tax_rate_bp }, plan))
}

fn find_custom(name: &str, about: &About, unit_amount: Option<Amount>, param: &str) -> Result<Found, CodedError> {
    check_name(name, &format!("{param}.name"))?;
    let at = format!("{param}.unit_amount");
    let unit_amount = unit_amount.ok_or_else(|| invalid(&at, "a custom line needs its price"))?;
    if unit_amount < Amount::ZERO {
        return Err(invalid(&at, "a price is not negative"));
    }
    Ok(Found { item: Item::Custom(about.clone()), name: name.to_owned(), unit_amount, tax_rate_bp: 0 })
}

/// The name and the price of a place, under the plan that was asked for.
fn place_in(session: &Session, plan: Option<&CatalogueId>, param: &str) -> Result<(String, Amount), CodedError> {
    let Some(id) = plan else { return Ok((session.name.clone(), session.unit_amount)) };
    let plan = session.pricing_plans.iter().find(|plan| &plan.id == id);
    let plan = plan.ok_or_else(|| missing("pricing plan", format!("{param}.pricing_plan")))?;
    Ok((format!("{}, {}", session.name, plan.name), plan.unit_amount))
}

/// The name and the price of the kind that was asked for.
fn variant_of(product: &Product, variant: Option<&CatalogueId>, param: &str) -> Result<(String, Amount), CodedError> {
    let at = format!("{param}.variant");
    match variant {
        None if product.variants.is_empty() => Ok((product.name.clone(), product.unit_amount)),
        None => Err(invalid(&at, "this product has variants: say which")),
        Some(id) => {
            let variant = product.variants.iter().find(|variant| &variant.id == id).ok_or_else(|| missing("variant", at))?;
            Ok((format!("{}, {}", product.name, variant.name), variant.unit_amount.unwrap_or(product.unit_amount)))
        }
    }
}

/// Checks the quantity and, where places have names, the seats.
fn check_line<'a>(
    line: &'a CartLine,
    shelf: &Shelf,
    asked_seats: &mut HashSet<(&'a CatalogueId, &'a str)>,
    param: &str,
) -> Result<(), CodedError> {
    if !(1..=MAX_QUANTITY).contains(&line.quantity) {
        return Err(invalid(&format!("{param}.quantity"), format!("a quantity is 1 to {MAX_QUANTITY}")));
    }
    if matches!(line.item, CartItem::Membership { .. } | CartItem::Plan { .. }) && line.quantity != 1 {
        return Err(invalid(&format!("{param}.quantity"), "a line sells one membership, or one subscription: use a line for each"));
    }
    let CartItem::Session { session: id, seats, participants, .. } = &line.item else { return Ok(()) };
    if !participants.is_empty() && u32::try_from(participants.len()) != Ok(line.quantity) {
        let message = format!("{} participants are named for {} places", participants.len(), line.quantity);
        return Err(invalid(&format!("{param}.participants"), message));
    }
    let at = format!("{param}.seats");
    let named = shelf.sessions.get(id).and_then(|session| session.seats.as_deref());
    match named {
        None if seats.is_empty() => return Ok(()),
        None => return Err(invalid(&at, "the places of this session have no names: give a quantity")),
        Some(_) if seats.is_empty() => return Err(invalid(&at, "the seats of this session have names: say which")),
        Some(named) => check_seats_exist(seats, named, &at)?,
    }
    for (index, seat) in seats.iter().enumerate() {
        if !asked_seats.insert((id, seat)) {
            return Err(invalid(&format!("{at}[{index}]"), "this seat is asked for twice"));
        }
    }
    if u32::try_from(seats.len()) != Ok(line.quantity) {
        return Err(invalid(&format!("{param}.quantity"), format!("{} seats are named", seats.len())));
    }
    Ok(())
}

/// One walk over the session's seats, however many were asked for.
fn check_seats_exist(asked: &[String], named: &[String], at: &str) -> Result<(), CodedError> {
    let mut unknown: HashMap<&str, usize> = asked.iter().enumerate().rev().map(|(index, seat)| (seat.as_str(), index)).collect();
    for seat in named {
        unknown.remove(seat.as_str());
        if unknown.is_empty() {
            return Ok(());
        }
    }
    let first = unknown.values().min().copied().unwrap_or(0);
    Err(missing("seat", format!("{at}[{first}]")))
}

/// Tax on each line's amount less its discount; says the sum.
fn add_taxes(lines: &mut [Line], rates_bp: &[u32]) -> Result<Amount, CodedError> {
    let mut sum = Amount::ZERO;
    for (index, (line, &rate_bp)) in lines.iter_mut().zip(rates_bp).enumerate() {
        let tax = line.amount.minus(line.discount_amount).and_then(|rest| rest.basis_points(rate_bp));
        line.tax_amount = tax.map_err(|error| out_of_range(error, &format!("lines[{index}]")))?;
        sum = sum.plus(line.tax_amount).map_err(|error| out_of_range(error, "lines"))?;
    }
    Ok(sum)
}

/// Holds what the client believes that each line comes to against what it does.
fn check_totals(cart: &Cart, lines: &[Line]) -> Result<(), CodedError> {
    for (index, (asked, line)) in cart.lines.iter().zip(lines).enumerate() {
        let Some(echo) = asked.total_amount else { continue };
        let total = line.total().map_err(|error| out_of_range(error, &format!("lines[{index}]")))?;
        if echo != total {
            let right = cart.currency.decimal(total);
            let message = format!("with discount and tax this comes to {total} minor units ({right} {})", cart.currency);
            return Err(CodedError::new(Code::PriceMismatch, message).at(format!("lines[{index}].total_amount")));
        }
    }
    Ok(())
}

fn invalid(param: &str, message: impl Into<String>) -> CodedError {
    CodedError::new(Code::ParameterInvalid, message).at(param)
}

fn missing(what: &str, param: String) -> CodedError {
    CodedError::new(Code::ResourceMissing, format!("no such {what}")).at(param)
}

pub(super) fn out_of_range(error: MoneyError, param: &str) -> CodedError {
    CodedError::new(Code::AmountOutOfRange, error.to_string()).at(param)
}

#[cfg(test)]
#[path = "pricing_tests.rs"]
mod tests;
