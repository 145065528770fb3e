//! Cards that the checkout's customer has saved, offered on the page.
//!
//! Always the customer's own, by the tenant's word in the checkout: nothing on the page says who somebody is. What is shown of a card is what
//! `GET …/payment-methods` shows; its token goes from the store to the attempt, and into no page or form.

use super::offers::{Offers, ask};
use crate::context::ApiContext;
use boxoffice_common::{
    domain::{
        checkout::Checkout,
        hosted::Hosted,
        id::{CustomerId, PaymentMethodId},
        payment_method::{BoundToken, CardFace, MAX_METHODS, PaymentMethod},
        routing::{Ask, Method},
        secret::Secret,
    },
    ports::store::{PageRequest, StoreError},
};

/// What stands before the id of a saved card in the form. No token of a card that is offered begins so.
const PREFIX: &str = "saved.";

/// A saved card as the form offers it.
pub(super) struct SavedCard {
    pub(super) value: String,
    pub(super) name: String,
    pub(super) words: String,
}

impl SavedCard {
    /// `None` for a card of which only the token is known: nobody could tell which one it is.
    fn of(method: &PaymentMethod) -> Option<Self> {
        let CardFace { brand, last4, exp_month, exp_year } = method.card.as_ref()?;
        let mut letters = brand.chars();
        let brand: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        let words = format!("Saved card, good until {exp_month:02}/{exp_year}");
        Some(Self { value: format!("{PREFIX}{}", method.id), name: format!("{brand} ending in {last4}"), words })
    }
}

/// Whose saved cards the page offers, if anybody's.
fn owner<'c>(checkout: &'c Checkout, hosted: &Hosted) -> Option<&'c CustomerId> {
    checkout.order.customer.as_ref().filter(|_| !hosted.options.saved_method.disable && !hosted.options.card.disable)
}

/// Whether somebody can charge it now: the account that it is good at may be disabled, or not open.
fn can_be_charged(checkout: &Checkout, offers: &Offers, token: &Secret<String>) -> bool {
    let account = BoundToken::read(token).account;
    let method = if account.is_some() { Method::SavedMethod } else { Method::Card };
    offers.routing.first(&Ask { bound_to: account.as_ref(), ..ask(checkout, method) }).is_some()
}

/// The customer's saved cards that can be charged, the default first.
pub(super) async fn of(ctx: &ApiContext, checkout: &Checkout, hosted: &Hosted, offers: &Offers) -> Result<Vec<SavedCard>, StoreError> {
    let Some(owner) = owner(checkout, hosted) else { return Ok(Vec::new()) };
    let all = PageRequest { limit: MAX_METHODS, after: None };
    let mut methods = ctx.store().methods_of(&checkout.scope, owner, &all).await?.data;
    methods.retain(|method| can_be_charged(checkout, offers, &method.token));
    methods.sort_by_key(|method| !method.is_default);
    Ok(methods.iter().filter_map(SavedCard::of).collect())
}

/// The token of the saved card that a form names; `Ok(None)` when it is not the customer's, not offered, not there any more, or nobody can charge it.
/// `None`: the form names none.
pub(super) async fn chosen(
    ctx: &ApiContext,
    checkout: &Checkout,
    hosted: &Hosted,
    offers: &Offers,
    value: &str,
) -> Option<Result<Option<Secret<String>>, StoreError>> {
    let id = value.strip_prefix(PREFIX)?;
    let (Some(owner), Ok(id)) = (owner(checkout, hosted), PaymentMethodId::parse(id)) else { return Some(Ok(None)) };
    let found = ctx.store().method(&checkout.scope, owner, &id).await;
    Some(found.map(|found| found.map(|method| method.token).filter(|token| can_be_charged(checkout, offers, token))))
}
