//! The body of `POST /v1/checkouts`, and how it becomes a [`Submission`].

use super::participants::{self, ParticipantRequest};
use crate::{
    bounds, callback_address,
    intake::{Buyer, Page, Submission},
    problem::Problem,
    trace::TraceParent,
};
use boxoffice_common::{
    domain::{
        customer::{BirthDate, Customer},
        error::{Code, CodedError},
        hosted::{PaymentOptions, UiMode},
        id::{BoughtMembershipId, CatalogueId, CustomerId, PaymentMethodId, WaitingId},
        money::{Amount, Currency},
        order::Tender,
        participant::MAX_PARTICIPANTS,
        pricing::{Cart, CartItem, CartLine},
        push::{PushKind, PushMethod},
        scope::Scope,
        secret::Secret,
        tender::{Asked, MAX_METHODS},
    },
    ports::store::IdempotencyRow,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};
use std::{fmt, sync::Arc, time::Duration};

/// How long a checkout may wait, seconds.
const EXPIRES_IN: std::ops::RangeInclusive<u32> = 10..=86_400;
const DEFAULT_EXPIRES_IN: u32 = 1_800;
/// The most providers that a list of them names.
const MAX_PROVIDERS: usize = 50;

/// What a client wants to buy, and how it pays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCheckout {
    /// Who buys; left out for a guest.
    customer: Option<CustomerRef>,
    /// Of every amount in it.
    currency: Currency,
    /// 1 to 50.
    lines: Vec<LineRequest>,
    /// As the customer typed it.
    promo_code: Option<String>,
    /// May be left out when nothing is due.
    payment: Option<PaymentRequest>,
    /// Where the browser goes after a payment; `{CHECKOUT_ID}` is filled in.
    success_url: Option<String>,
    /// Where the browser goes after a cancel.
    cancel_url: Option<String>,
    /// Where this checkout's callbacks go.
    callback_url: Option<String>,
    /// Echoed.
    callback_state: Option<String>,
    /// The client's own reference.
    reference: Option<String>,
    /// Seconds, 10 to 86,400; 1,800 when left out.
    expires_in: Option<u32>,
    /// At most 50 keys and 16 KiB.
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// A customer's id, or an object that finds or makes one.
#[derive(Debug)]
enum CustomerRef {
    Id(CustomerId),
    Described(DescribedCustomer),
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct DescribedCustomer {
    external_id: Option<String>,
    email: Option<String>,
    name: Option<String>,
    date_of_birth: Option<BirthDate>,
}

impl fmt::Debug for DescribedCustomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl utoipa::PartialSchema for CustomerRef {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let id = utoipa::openapi::Ref::from_schema_name("CustomerId");
        utoipa::openapi::schema::OneOfBuilder::new().item(id).item(DescribedCustomer::schema()).into()
    }
}

impl utoipa::ToSchema for CustomerRef {}

impl<'de> Deserialize<'de> for CustomerRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = CustomerRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a customer's id or an object")
            }

            fn visit_str<E: serde::de::Error>(self, id: &str) -> Result<CustomerRef, E> {
                CustomerId::parse(id).map(CustomerRef::Id).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CustomerRef, A::Error> {
                DescribedCustomer::deserialize(MapAccessDeserializer::new(map)).map(CustomerRef::Described)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// One shape for all kinds of lines, so that a mistake is named with its whole path; which field belongs to which type is
/// checked in [`LineRequest::into_cart`].
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct LineRequest {
    #[serde(rename = "type")]
    kind: LineType,
    /// For `session`.
    session: Option<CatalogueId>,
    /// For `session` with named seats.
    seats: Option<Vec<String>>,
    /// For `session`: the entry of its waiting list whose offer this line takes, whole.
    offer: Option<WaitingId>,
    /// For `session`: who comes, one for each place; left out, the buyer does.
    participants: Option<Vec<ParticipantRequest>>,
    /// For `product`.
    product: Option<CatalogueId>,
    /// For `product` with variants.
    variant: Option<CatalogueId>,
    /// For `plan`.
    plan: Option<CatalogueId>,
    /// For `membership`.
    membership: Option<CatalogueId>,
    /// For `custom`.
    name: Option<String>,
    /// 1 to 1,000; the number of seats, or 1, when left out.
    quantity: Option<u32>,
    /// An echo of our price, which must be right; for `custom`, the price.
    unit_amount: Option<Amount>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum LineType {
    Session,
    Product,
    Plan,
    Membership,
    Custom,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PaymentRequest {
    /// One, or up to five that pay together.
    methods: Option<Vec<MethodRequest>>,
    /// Instead of `methods`: the customer pays on our page, at `payment_url`.
    hosted: Option<HostedRequest>,
}

/// What the page offers, and how it is shown.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct HostedRequest {
    /// What is left out is offered, as far as there is somebody who takes it.
    #[serde(default)]
    options: PaymentOptions,
    #[serde(default)]
    ui_mode: UiMode,
}

/// One shape for all methods, for the same reason.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct MethodRequest {
    #[serde(rename = "type")]
    kind: MethodType,
    /// What it pays, minor units; left out, it pays the rest.
    amount: Option<Amount>,
    /// For `card`: the provider's token, never a card number.
    #[schema(value_type = Option<String>)]
    token: Option<Secret<String>>,
    /// For `custom`: what kind.
    name: Option<String>,
    /// For `custom`: for people.
    note: Option<String>,
    /// For `saved_method`: which of the customer's.
    id: Option<PaymentMethodId>,
    /// For `saved_method`: whose, where it is not the checkout's customer's but shared with the family.
    customer: Option<CustomerId>,
    /// For `membership`.
    bought_membership: Option<BoughtMembershipId>,
    /// For `mobile_money`, `bank` and `wallet`: who asks the customer.
    provider: Option<String>,
    /// For `mobile_money`: whose phone, E.164.
    #[schema(value_type = Option<String>)]
    phone: Option<Secret<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum MethodType {
    Card,
    Custom,
    Free,
    SavedMethod,
    Membership,
    Balance,
    MobileMoney,
    Bank,
    Wallet,
}

impl CreateCheckout {
    /// Checks everything that needs no look at the catalogue.
    pub fn into_submission(
        self,
        scope: Arc<Scope>,
        idempotency: IdempotencyRow,
        trace: TraceParent,
        allow_private_callbacks: bool,
    ) -> Result<Submission, Problem> {
        bounds::browser_url(self.success_url.as_ref(), "success_url")?;
        bounds::browser_url(self.cancel_url.as_ref(), "cancel_url")?;
        bounds::optional(self.callback_state.as_ref(), 1_024, "callback_state")?;
        bounds::optional(self.reference.as_ref(), 255, "reference")?;
        bounds::metadata(&self.metadata)?;
        if let Some(url) = &self.callback_url {
            callback_address::check(url, allow_private_callbacks, "callback_url")?;
        }
        let expires_in = self.expires_in.unwrap_or(DEFAULT_EXPIRES_IN);
        if !EXPIRES_IN.contains(&expires_in) {
            return Err(Problem::invalid("expires_in", format!("is {} to {} seconds", EXPIRES_IN.start(), EXPIRES_IN.end())));
        }
        let named = self.lines.iter().map(|line| line.participants.as_ref().map_or(0, Vec::len)).sum::<usize>();
        if named > MAX_PARTICIPANTS {
            return Err(Problem::invalid("lines", format!("name at most {MAX_PARTICIPANTS} participants in all")));
        }
        let (payment, page) = self.payment.map(PaymentRequest::into_parts).transpose()?.unwrap_or_default();
        let lines = self.lines.into_iter().enumerate().map(|(index, line)| line.into_cart(index)).collect::<Result<_, _>>()?;
        Ok(Submission {
            scope,
            idempotency,
            cart: Cart { currency: self.currency, lines, promo_code: self.promo_code.map(promo_code).transpose()? },
            buyer: self.customer.map(CustomerRef::into_buyer).transpose()?,
            payment,
            page,
            success_url: self.success_url,
            cancel_url: self.cancel_url,
            callback_url: self.callback_url,
            callback_state: self.callback_state,
            reference: self.reference,
            metadata: self.metadata,
            expires_in: Duration::from_secs(u64::from(expires_in)),
            trace,
        })
    }
}

/// What cannot be a code is an unknown code: customers type them.
fn promo_code(text: String) -> Result<CatalogueId, Problem> {
    CatalogueId::parse(text).map_err(|_| CodedError::new(Code::PromoCodeInvalid, "no such promo code").at("promo_code").into())
}

impl CustomerRef {
    fn into_buyer(self) -> Result<Buyer, Problem> {
        match self {
            Self::Id(id) => Ok(Buyer::Known(id)),
            Self::Described(described) => {
                let customer = Customer {
                    id: None,
                    external_id: described.external_id,
                    email: described.email,
                    name: described.name,
                    date_of_birth: described.date_of_birth,
                    tags: Vec::new(),
                    family: None,
                    metadata: Map::new(),
                };
                bounds::customer(&customer, "customer.")?;
                Ok(Buyer::Described(Box::new(customer)))
            }
        }
    }
}

/// The first field that is given and does not belong to the type.
pub(super) fn refuse_others(given: &[(&str, bool)], allowed: &[&str], at: &str) -> Result<(), Problem> {
    match given.iter().find(|(field, is_given)| *is_given && !allowed.contains(field)) {
        None => Ok(()),
        Some((field, _)) => Err(Problem::Parameter {
            code: "parameter_unknown",
            detail: "this field does not belong to this type".to_owned(),
            param: Some(format!("{at}.{field}")),
        }),
    }
}

impl LineRequest {
    fn into_cart(self, index: usize) -> Result<CartLine, Problem> {
        let at = || format!("lines[{index}]");
        let given = [
            ("session", self.session.is_some()),
            ("seats", self.seats.is_some()),
            ("offer", self.offer.is_some()),
            ("participants", self.participants.is_some()),
            ("product", self.product.is_some()),
            ("variant", self.variant.is_some()),
            ("plan", self.plan.is_some()),
            ("membership", self.membership.is_some()),
            ("name", self.name.is_some()),
        ];
        let missing = |field: &str| Problem::missing(format!("{}.{field}", at()));
        let item = match self.kind {
            LineType::Session => {
                refuse_others(&given, &["session", "seats", "offer", "participants"], &at())?;
                CartItem::Session {
                    session: self.session.ok_or_else(|| missing("session"))?,
                    seats: self.seats.unwrap_or_default(),
                    offer: self.offer,
                    participants: participants::read(self.participants, &format!("{}.participants", at()))?,
                }
            }
            LineType::Product => {
                refuse_others(&given, &["product", "variant"], &at())?;
                CartItem::Product { product: self.product.ok_or_else(|| missing("product"))?, variant: self.variant }
            }
            LineType::Custom => {
                refuse_others(&given, &["name"], &at())?;
                CartItem::Custom { name: self.name.ok_or_else(|| missing("name"))? }
            }
            LineType::Membership => {
                refuse_others(&given, &["membership"], &at())?;
                CartItem::Membership { membership: self.membership.ok_or_else(|| missing("membership"))? }
            }
            LineType::Plan => {
                refuse_others(&given, &["plan"], &at())?;
                CartItem::Plan { plan: self.plan.ok_or_else(|| missing("plan"))? }
            }
        };
        let quantity = self.quantity.unwrap_or_else(|| item.default_quantity());
        Ok(CartLine { quantity, item, unit_amount: self.unit_amount })
    }
}

impl PaymentRequest {
    /// The methods, or what the page offers.
    fn into_parts(self) -> Result<(Option<Vec<Asked>>, Option<Page>), Problem> {
        match (self.methods, self.hosted) {
            (methods, None) => Self::into_methods(methods).map(|methods| (Some(methods), None)),
            (None, Some(hosted)) => hosted.into_page().map(|page| (None, Some(page))),
            (Some(_), Some(_)) => Err(Problem::invalid("payment", "has either methods or hosted")),
        }
    }

    fn into_methods(methods: Option<Vec<MethodRequest>>) -> Result<Vec<Asked>, Problem> {
        let methods = methods.ok_or_else(|| Problem::missing("payment.methods"))?;
        if !(1..=MAX_METHODS).contains(&methods.len()) {
            return Err(Problem::invalid("payment.methods", format!("name 1 to {MAX_METHODS} methods")));
        }
        methods.into_iter().enumerate().map(|(index, method)| method.into_asked(format!("payment.methods[{index}]"))).collect()
    }
}

impl HostedRequest {
    fn into_page(self) -> Result<Page, Problem> {
        let Self { options, ui_mode } = self;
        let kinds = [("mobile_money", &options.mobile_money), ("bank", &options.bank), ("wallet", &options.wallet)];
        for (kind, option) in kinds {
            for (list, providers) in [("enabled_providers", &option.enabled_providers), ("disabled_providers", &option.disabled_providers)]
            {
                let at = format!("payment.hosted.options.{kind}.{list}");
                if providers.len() > MAX_PROVIDERS {
                    return Err(Problem::invalid(at, format!("has at most {MAX_PROVIDERS} providers")));
                }
                for (index, provider) in providers.iter().enumerate() {
                    bounds::token(provider, 64, &format!("{at}[{index}]"))?;
                }
            }
        }
        Ok(Page { options, ui_mode })
    }
}

impl MethodRequest {
    fn into_asked(self, at: String) -> Result<Asked, Problem> {
        let given = [
            ("token", self.token.is_some()),
            ("name", self.name.is_some()),
            ("note", self.note.is_some()),
            ("id", self.id.is_some()),
            ("customer", self.customer.is_some()),
            ("bought_membership", self.bought_membership.is_some()),
            ("provider", self.provider.is_some()),
            ("phone", self.phone.is_some()),
        ];
        let amount = self.amount;
        let tender = match self.kind {
            MethodType::Card => {
                refuse_others(&given, &["token"], &at)?;
                let token = self.token.ok_or_else(|| Problem::missing(format!("{at}.token")))?;
                bounds::token(token.reveal(), 255, &format!("{at}.token"))?;
                Tender::Card { token }
            }
            MethodType::Custom => {
                refuse_others(&given, &["name", "note"], &at)?;
                let name = self.name.ok_or_else(|| Problem::missing(format!("{at}.name")))?;
                bounds::text(&name, 200, &format!("{at}.name"))?;
                bounds::optional(self.note.as_ref(), 1_000, &format!("{at}.note"))?;
                Tender::Custom { name, note: self.note }
            }
            MethodType::Balance => {
                refuse_others(&given, &[], &at)?;
                // Whether it has as much is asked when the lines have their prices.
                Tender::Balance {}
            }
            MethodType::Free => {
                refuse_others(&given, &[], &at)?;
                Tender::Free {}
            }
            MethodType::Membership => {
                refuse_others(&given, &["bought_membership"], &at)?;
                let missing = || Problem::missing(format!("{at}.bought_membership"));
                // What it pays for is found out when the lines have their prices.
                Tender::Membership { bought_membership: self.bought_membership.ok_or_else(missing)?, covers: Vec::new() }
            }
            MethodType::SavedMethod => {
                refuse_others(&given, &["id", "customer"], &at)?;
                let id = self.id.ok_or_else(|| Problem::missing(format!("{at}.id")))?;
                // Whose it is, and its token, is looked up with the prices.
                Tender::SavedMethod { id, token: None, owner: self.customer }
            }
            MethodType::MobileMoney => self.into_push(PushKind::MobileMoney, &given, &at)?,
            MethodType::Bank => self.into_push(PushKind::Bank, &given, &at)?,
            MethodType::Wallet => self.into_push(PushKind::Wallet, &given, &at)?,
        };
        Ok(Asked { tender, amount, param: at })
    }

    fn into_push(self, kind: PushKind, given: &[(&str, bool)], at: &str) -> Result<Tender, Problem> {
        let allowed: &[&str] = if kind == PushKind::MobileMoney { &["provider", "phone"] } else { &["provider"] };
        refuse_others(given, allowed, at)?;
        let provider = self.provider.ok_or_else(|| Problem::missing(format!("{at}.provider")))?;
        bounds::token(&provider, 64, &format!("{at}.provider"))?;
        if kind == PushKind::MobileMoney && self.phone.is_none() {
            return Err(Problem::missing(format!("{at}.phone")));
        }
        Ok(Tender::Push(PushMethod::new(kind, provider, self.phone.as_ref(), at)?))
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
