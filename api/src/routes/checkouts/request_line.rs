//! A line as a client asks for it.

use super::{
    participants::{self, ParticipantRequest},
    request::refuse_others,
};
use crate::{bounds, problem::Problem};
use boxoffice_common::domain::{
    id::{CatalogueId, WaitingId},
    line::About,
    money::Amount,
    pricing::{CartItem, CartLine},
};
use serde::Deserialize;

/// One shape for all kinds of lines, so that a mistake is named with its whole path; which field belongs to which type is
/// checked in [`LineRequest::into_cart`].
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineRequest {
    #[serde(rename = "type")]
    kind: LineType,
    /// For `session`.
    session: Option<CatalogueId>,
    /// For `session` with named seats.
    seats: Option<Vec<String>>,
    /// For `session`: the entry of its waiting list whose offer this line takes, whole.
    offer: Option<WaitingId>,
    /// For `session`: who comes, one for each place; left out, the buyer does.
    pub(super) participants: Option<Vec<ParticipantRequest>>,
    /// For `session`: which of its pricing plans; its own price when left out.
    pricing_plan: Option<CatalogueId>,
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
    /// For `custom`: shown under the name, at most 1,000 characters.
    description: Option<String>,
    /// For `custom`: your own, at most 255 characters.
    reference: Option<String>,
    /// For `custom`: at most 10 https addresses.
    images: Option<Vec<String>>,
    /// 1 to 1,000; the number of seats, or 1, when left out.
    quantity: Option<u32>,
    /// An echo of our price, which must be right; for `custom`, the price.
    unit_amount: Option<Amount>,
    /// An echo of what the line comes to, less discount and with tax, which must be right.
    total_amount: Option<Amount>,
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

impl LineRequest {
    /// Checks what needs no look at the catalogue. `index` is its place among the lines.
    pub fn into_cart(self, index: usize) -> Result<CartLine, Problem> {
        let at = || format!("lines[{index}]");
        let given = [
            ("session", self.session.is_some()),
            ("seats", self.seats.is_some()),
            ("offer", self.offer.is_some()),
            ("participants", self.participants.is_some()),
            ("pricing_plan", self.pricing_plan.is_some()),
            ("product", self.product.is_some()),
            ("variant", self.variant.is_some()),
            ("plan", self.plan.is_some()),
            ("membership", self.membership.is_some()),
            ("name", self.name.is_some()),
            ("description", self.description.is_some()),
            ("reference", self.reference.is_some()),
            ("images", self.images.is_some()),
        ];
        let missing = |field: &str| Problem::missing(format!("{}.{field}", at()));
        let item = match self.kind {
            LineType::Session => {
                refuse_others(&given, &["session", "seats", "offer", "participants", "pricing_plan"], &at())?;
                CartItem::Session {
                    session: self.session.ok_or_else(|| missing("session"))?,
                    seats: self.seats.unwrap_or_default(),
                    offer: self.offer,
                    participants: participants::read(self.participants, &format!("{}.participants", at()))?,
                    pricing_plan: self.pricing_plan,
                }
            }
            LineType::Product => {
                refuse_others(&given, &["product", "variant"], &at())?;
                CartItem::Product { product: self.product.ok_or_else(|| missing("product"))?, variant: self.variant }
            }
            LineType::Custom => {
                refuse_others(&given, &["name", "description", "reference", "images"], &at())?;
                let about = About { description: self.description, reference: self.reference, images: self.images.unwrap_or_default() };
                bounds::about(&about, &at())?;
                CartItem::Custom { name: self.name.ok_or_else(|| missing("name"))?, about }
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
        Ok(CartLine { quantity, item, unit_amount: self.unit_amount, total_amount: self.total_amount })
    }
}
