//! What Momence's clients ask for: the shape of it, checked before anything is looked up.

use super::{
    fault::Error,
    ids::{Id, meant},
};
use crate::{bounds, context::ApiContext, problem::Problem};
use boxoffice_common::{
    domain::{
        catalogue::Kind,
        error::CodedError,
        id::{BoughtMembershipId, CatalogueId, PaymentMethodId},
        leg::Tender,
        money::Currency,
        pricing::{Cart, CartItem, CartLine, MAX_LINES, Shelf},
        scope::Scope,
        tender::{Asked, MAX_METHODS},
    },
    ports::store::Numbered,
};
use serde::Deserialize;
use std::collections::HashSet;

/// The longest name that a client gives an item or a payment method.
const MAX_NAME: usize = 64;
/// The longest note, characters.
const MAX_NOTE: usize = 1_000;

/// A cart, and how it is paid.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomenceCheckoutRequest)]
pub(super) struct CheckoutRequest {
    /// Whose cart: a customer's `external_id`, or our id.
    #[schema(required = true)]
    member_id: Option<Id>,
    #[schema(required = true)]
    items: Option<Vec<ItemRequest>>,
    #[schema(required = true)]
    payment_methods: Option<Vec<MethodRequest>>,
}

/// A cart.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomenceCartRequest)]
pub(super) struct CartRequest {
    /// Whose cart: a customer's `external_id`, or our id.
    #[schema(required = true)]
    member_id: Option<Id>,
    #[schema(required = true)]
    items: Option<Vec<ItemRequest>>,
}

/// One shape for all items: which field belongs to which type is checked behind it, so that a mistake has its own error.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomenceItem)]
struct ItemRequest {
    /// The client's own name for it; its place in the list when left out.
    id: Option<String>,
    /// `session` or `subscription`.
    #[serde(rename = "type")]
    #[schema(required = true)]
    kind: Option<String>,
    /// Of a `session`.
    session_id: Option<Id>,
    /// Of a `subscription`.
    membership_id: Option<Id>,
    /// What `…/prices` told as `priceInCurrencyWithTax`; of a checkout.
    #[schema(examples("12.50"))]
    attempted_price_in_currency: Option<String>,
}

/// One shape for all payment methods, for the same reason.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomencePaymentMethod)]
struct MethodRequest {
    /// The client's own name for it.
    id: Option<String>,
    /// `membership`, `saved_payment_method`, `custom` or `free`.
    #[serde(rename = "type")]
    #[schema(required = true)]
    kind: Option<String>,
    /// Of a `membership`.
    bought_membership_id: Option<Id>,
    /// Of a `saved_payment_method`.
    saved_payment_method_id: Option<Id>,
    /// Of a `custom`: one of the tenant's settings.
    custom_payment_method_id: Option<Id>,
    /// Of a `custom`.
    note: Option<String>,
}

/// What is in a cart.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The client's own name for it.
    pub(super) id: String,
    thing: Thing,
    attempted: Option<String>,
}

#[derive(Debug, Clone)]
enum Thing {
    Session(CatalogueId),
    Membership(CatalogueId),
}

/// How it is paid.
#[derive(Debug)]
enum Payment {
    Memberships(Vec<Id>),
    Saved(PaymentMethodId),
    Custom { id: Id, note: Option<String> },
    Free,
}

/// A cart whose shape is all right.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) member: Id,
    pub(super) items: Vec<Item>,
}

/// The same with a payment.
#[derive(Debug)]
pub(super) struct Ordered {
    pub(super) wanted: Wanted,
    payment: Payment,
}

impl CartRequest {
    pub(super) fn read(self) -> Result<Wanted, Problem> {
        let items = items(self.items.unwrap_or_default())?;
        Ok(Wanted { member: self.member_id.ok_or_else(|| Problem::missing("memberId"))?, items })
    }
}

impl CheckoutRequest {
    pub(super) fn read(self) -> Result<Ordered, Problem> {
        let items = items(self.items.unwrap_or_default())?;
        let payment = payment(self.payment_methods.unwrap_or_default())?;
        if let Some(at) = items.iter().position(|item| item.attempted.is_none()) {
            return Err(Problem::missing(format!("items[{at}].attemptedPriceInCurrency")));
        }
        let is_membership = |item: &Item| matches!(item.thing, Thing::Membership(_));
        if matches!(payment, Payment::Memberships(_)) && items.iter().any(is_membership) {
            let words = "a membership pays for sessions, and not for a membership";
            return Err(Error::CannotPayForMembershipWithMembership.at("paymentMethods", words));
        }
        let member = self.member_id.ok_or_else(|| Problem::missing("memberId"))?;
        Ok(Ordered { wanted: Wanted { member, items }, payment })
    }
}

fn items(asked: Vec<ItemRequest>) -> Result<Vec<Item>, Problem> {
    if asked.is_empty() {
        return Err(Error::NoItems.at("items", "there is nothing in the cart"));
    }
    if asked.len() > MAX_LINES {
        return Err(Error::TooManyItems.at("items", format!("a cart has at most {MAX_LINES} items")));
    }
    let mut seen = HashSet::new();
    let mut items = Vec::with_capacity(asked.len());
    for (at, item) in asked.into_iter().enumerate() {
        let item = item.read(at)?;
        if !seen.insert(item.id.clone()) {
            return Err(Error::DuplicateItemIds.at(format!("items[{at}].id"), "another item has this id"));
        }
        items.push(item);
    }
    Ok(items)
}

impl ItemRequest {
    fn read(self, at: usize) -> Result<Item, Problem> {
        bounds::optional(self.id.as_ref(), MAX_NAME, &format!("items[{at}].id"))?;
        bounds::optional(self.attempted_price_in_currency.as_ref(), MAX_NAME, &format!("items[{at}].attemptedPriceInCurrency"))?;
        let id = |id: Option<Id>, field: &str| {
            let id = id.ok_or_else(|| Problem::missing(format!("items[{at}].{field}")))?;
            CatalogueId::parse(id.as_str()).map_err(|_| Problem::invalid(format!("items[{at}].{field}"), "is no id"))
        };
        let thing = match self.kind.as_deref() {
            Some("session") => Thing::Session(id(self.session_id, "sessionId")?),
            Some("subscription") => Thing::Membership(id(self.membership_id, "membershipId")?),
            Some(_) | None => {
                return Err(Error::UnsupportedItemType.at(format!("items[{at}].type"), "is session or subscription"));
            }
        };
        Ok(Item { id: self.id.unwrap_or_else(|| (at + 1).to_string()), thing, attempted: self.attempted_price_in_currency })
    }
}

/// How it is paid; one of several things that are wrong is told, always the same one.
fn payment(methods: Vec<MethodRequest>) -> Result<Payment, Problem> {
    let at = |index: usize, field: &str| format!("paymentMethods[{index}].{field}");
    let Some(first) = methods.first() else {
        return Err(Error::NoPaymentMethods.at("paymentMethods", "say how it is paid"));
    };
    let mut seen = HashSet::new();
    for (index, method) in methods.iter().enumerate() {
        bounds::optional(method.id.as_ref(), MAX_NAME, &at(index, "id"))?;
        bounds::optional(method.note.as_ref().filter(|note| !note.is_empty()), MAX_NOTE, &at(index, "note"))?;
        if method.id.as_ref().is_some_and(|id| !seen.insert(id)) {
            return Err(Error::DuplicatePaymentMethodIds.at(at(index, "id"), "another payment method has this id"));
        }
        if !matches!(method.kind.as_deref(), Some("membership" | "saved_payment_method" | "custom" | "free")) {
            let words = "is membership, saved_payment_method, custom or free";
            return Err(Error::UnsupportedPaymentMethods.at(at(index, "type"), words));
        }
    }
    if let Some(index) = methods.iter().position(|method| method.kind != first.kind) {
        return Err(Error::CombinedPaymentMethods.at(at(index, "type"), "payment methods of one type only pay together"));
    }
    let alone = methods.len() == 1;
    match first.kind.as_deref() {
        Some("membership") => memberships(methods).map(Payment::Memberships),
        Some("saved_payment_method") => {
            let missing = || Error::SavedCardNotFound.at(at(0, "savedPaymentMethodId"), "the member has no such payment method");
            let ids: Vec<&Id> = methods.iter().filter_map(|method| method.saved_payment_method_id.as_ref()).collect();
            let first = ids.first().and_then(|id| PaymentMethodId::parse(id.as_str()).ok()).ok_or_else(missing)?;
            only(alone, ids.get(1).is_some_and(|second| second.as_str() == first.as_str()))?;
            Ok(Payment::Saved(first))
        }
        Some("custom") => {
            let ids: Vec<Id> = methods.iter().filter_map(|method| method.custom_payment_method_id.clone()).collect();
            only(alone, ids.len() > 1 && ids.first() == ids.get(1))?;
            let missing = || Error::InvalidCustomPaymentMethod.at(at(0, "customPaymentMethodId"), "there is no such custom payment method");
            let note = methods.into_iter().next().and_then(|method| method.note).filter(|note| !note.is_empty());
            Ok(Payment::Custom { id: ids.into_iter().next().ok_or_else(missing)?, note })
        }
        Some(_) | None => only(alone, false).map(|()| Payment::Free),
    }
}

/// Of all but memberships one pays.
fn only(alone: bool, is_same: bool) -> Result<(), Problem> {
    match (alone, is_same) {
        (true, _) => Ok(()),
        (false, true) => Err(Error::DuplicatePaymentMethodIds.at("paymentMethods[1]", "this payment method is named twice")),
        (false, false) => Err(Error::UnsupportedPaymentMethods.at("paymentMethods[1]", "only memberships pay together")),
    }
}

fn memberships(methods: Vec<MethodRequest>) -> Result<Vec<Id>, Problem> {
    let mut ids: Vec<Id> = Vec::with_capacity(methods.len());
    let mut seen = HashSet::new();
    for (index, method) in methods.into_iter().enumerate() {
        let at = format!("paymentMethods[{index}].boughtMembershipId");
        let Some(id) = method.bought_membership_id else {
            return Err(Error::InvalidMembershipPaymentMethod.at(at, "say which membership pays"));
        };
        if !seen.insert(id.clone()) {
            return Err(Error::DuplicateMembershipPaymentMethods.at(at, "this membership is named twice"));
        }
        ids.push(id);
    }
    if ids.len() > MAX_METHODS {
        return Err(Error::UnsupportedPaymentMethods.at("paymentMethods", format!("at most {MAX_METHODS} pay together")));
    }
    Ok(ids)
}

impl Wanted {
    /// The same with the memberships that its numbers stand for.
    pub(super) async fn meant(mut self, ctx: &ApiContext, scope: &Scope) -> Result<Self, Problem> {
        for (at, item) in self.items.iter_mut().enumerate() {
            let Thing::Membership(id) = &mut item.thing else { continue };
            let found = meant(ctx, scope, Numbered::Membership, id.as_str()).await?;
            *id = CatalogueId::parse(found).map_err(|_| Problem::invalid(format!("items[{at}].membershipId"), "is no id"))?;
        }
        Ok(self)
    }

    /// What has to be looked up to know what it is, and in which currency.
    pub(super) fn things(&self) -> Vec<(Kind, CatalogueId)> {
        let things = self.items.iter().flat_map(|item| match &item.thing {
            Thing::Session(id) => vec![(Kind::Session, id.clone())],
            Thing::Membership(id) => vec![(Kind::Membership, id.clone()), (Kind::Plan, id.clone())],
        });
        let mut seen = HashSet::new();
        things.filter(|thing| seen.insert(thing.clone())).collect()
    }

    /// The cart, in the currency of its first item.
    pub(super) fn cart(&self, shelf: &Shelf) -> Result<Cart, Problem> {
        let found = self.items.iter().enumerate().map(|(at, item)| item.find(at, shelf)).collect::<Result<Vec<_>, _>>()?;
        let currency = found.first().map(|(_, currency)| *currency).ok_or(Problem::Internal)?;
        let mut lines = Vec::with_capacity(found.len());
        for (at, ((item, _), asked)) in found.into_iter().zip(&self.items).enumerate() {
            let attempted = asked.attempted.as_deref().map(|price| currency.amount(price)).transpose();
            let total_amount =
                attempted.map_err(|error| Problem::invalid(format!("items[{at}].attemptedPriceInCurrency"), error.to_string()))?;
            lines.push(CartLine { item, quantity: 1, unit_amount: None, total_amount });
        }
        Ok(Cart { currency, lines, promo_code: None })
    }
}

impl Item {
    fn find(&self, at: usize, shelf: &Shelf) -> Result<(CartItem, Currency), Problem> {
        let missing = |field: &str, words: &str| Error::CartValidationFailed.at(format!("items[{at}].{field}"), words);
        match &self.thing {
            Thing::Session(id) => {
                let session = shelf.sessions.get(id).ok_or_else(|| missing("sessionId", "there is no such session"))?;
                let item =
                    CartItem::Session { session: id.clone(), seats: Vec::new(), offer: None, participants: Vec::new(), pricing_plan: None };
                Ok((item, session.currency))
            }
            Thing::Membership(id) => match (shelf.memberships.get(id), shelf.plans.get(id)) {
                (Some(membership), _) => Ok((CartItem::Membership { membership: id.clone() }, membership.currency)),
                (None, Some(plan)) => Ok((CartItem::Plan { plan: id.clone() }, plan.currency)),
                (None, None) => Err(missing("membershipId", "there is no such membership")),
            },
        }
    }
}

impl Ordered {
    /// The methods as the engine knows them.
    pub(super) async fn methods(&self, ctx: &ApiContext, scope: &Scope) -> Result<Vec<Asked>, Problem> {
        let asked = |index: usize, tender| Asked { tender, amount: None, param: format!("paymentMethods[{index}]") };
        match &self.payment {
            Payment::Memberships(ids) => {
                let mut methods = Vec::with_capacity(ids.len());
                for (index, id) in ids.iter().enumerate() {
                    let id = meant(ctx, scope, Numbered::BoughtMembership, id.as_str()).await?;
                    let missing = |_| Error::InvalidMembershipPaymentMethod.at(format!("paymentMethods[{index}]"), "is no membership");
                    let bought_membership = BoughtMembershipId::parse(id).map_err(missing)?;
                    methods.push(asked(index, Tender::Membership { bought_membership, covers: Vec::new() }));
                }
                Ok(methods)
            }
            Payment::Saved(id) => Ok(vec![asked(0, Tender::SavedMethod { id: id.clone(), token: None, owner: None })]),
            Payment::Custom { id, note } => {
                let settings = ctx.store().settings(scope).await?.settings;
                let found = settings.custom_payment_method(id.as_str(), note.as_deref());
                let refused =
                    |error: CodedError| Error::InvalidCustomPaymentMethod.at("paymentMethods[0].customPaymentMethodId", error.message);
                let name = found.map_err(refused)?.name.clone();
                Ok(vec![asked(0, Tender::Custom { name, note: note.clone() })])
            }
            Payment::Free => Ok(vec![asked(0, Tender::Free {})]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refused(body: Value) -> String {
        let request: CheckoutRequest = serde_json::from_value(body).unwrap();
        request.read().unwrap_err().code().to_owned()
    }

    #[test]
    fn of_several_mistakes_the_same_one_is_told() {
        let item = json!({"id": "1", "type": "session", "sessionId": 1, "attemptedPriceInCurrency": "1.00"});
        let pack = json!({"id": "1", "type": "membership", "boughtMembershipId": 1});
        let cart = |items: Value, methods: Value| json!({"memberId": 1, "items": items, "paymentMethods": methods});
        assert_eq!(refused(json!({})), "err-no-items");
        assert_eq!(refused(cart(json!([item]), json!([]))), "err-no-payment-methods");
        assert_eq!(refused(cart(json!([item, item]), json!([pack]))), "err-duplicate-item-ids");
        assert_eq!(refused(cart(json!(vec![item.clone(); 51]), json!([pack]))), "err-too-many-items");
        assert_eq!(refused(cart(json!([item]), json!([pack, pack]))), "err-duplicate-payment-method-ids");
        assert_eq!(refused(cart(json!([item]), json!([pack, {"id": "2", "type": "free"}]))), "err-combined-payment-methods");
        assert_eq!(refused(cart(json!([item]), json!([{"type": "free"}, {"type": "free"}]))), "err-unsupported-payment-methods");
        let packs = |ids: [u64; 6]| ids.map(|id| json!({"type": "membership", "boughtMembershipId": id}));
        assert_eq!(refused(cart(json!([item]), json!(packs([1, 2, 3, 4, 5, 6])))), "err-unsupported-payment-methods");
        assert_eq!(refused(cart(json!([item]), json!(packs([1, 2, 3, 4, 5, 1])))), "err-duplicate-membership-payment-methods");
        assert_eq!(refused(cart(json!([item]), json!(vec![pack.clone(); 6]))), "err-duplicate-payment-method-ids");
        let mixed: Vec<Value> = packs([1, 2, 3, 4, 5, 6]).into_iter().chain([json!({"type": "free"})]).collect();
        assert_eq!(refused(cart(json!([item]), json!(mixed))), "err-combined-payment-methods");
        assert_eq!(refused(json!({"items": [item], "paymentMethods": [pack]})), "parameter_missing");
    }
}
