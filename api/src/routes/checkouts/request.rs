//! The body of `POST /v1/checkouts`, and how it becomes a [`Submission`].

use super::{request_line::LineRequest, request_payment::PaymentRequest};
use crate::{
    bounds, callback_address,
    intake::{Buyer, Submission},
    problem::Problem,
    trace::TraceParent,
};
use boxoffice_common::{
    domain::{
        customer::{BirthDate, Customer},
        error::{Code, CodedError},
        id::{CatalogueId, CustomerId, SpaceId},
        money::Currency,
        participant::MAX_PARTICIPANTS,
        pricing::Cart,
        scope::Scope,
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
    /// Whether what is open under the same `reference` is called off for this one.
    #[serde(default)]
    replaces_open: bool,
    /// The part of the tenant that it stands in, apart from others.
    space: Option<SpaceId>,
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
        if self.replaces_open && self.reference.is_none() {
            return Err(Problem::missing("reference"));
        }
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
            replaces_open: self.replaces_open,
            space: self.space,
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
                    external_id: described.external_id,
                    email: described.email,
                    name: described.name,
                    date_of_birth: described.date_of_birth,
                    ..Customer::default()
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

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
