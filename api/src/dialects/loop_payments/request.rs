//! What Loop's clients ask for, as a cart of ours.

use crate::{bounds, problem::Problem};
use boxoffice_common::domain::{
    error::{Code, CodedError},
    id::CatalogueId,
    line::About,
    money::{Amount, Currency},
    pricing::{Cart, CartItem, CartLine, MAX_QUANTITY},
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The longest name of a line, characters.
const MAX_NAME: usize = 200;
/// The most products in one request.
const MAX_ITEMS: usize = 50;
/// Where the key of a customer at Stripe is kept.
const AT_STRIPE: &str = "stripe_customer_id";

/// What is paid for: an amount, products, or a plan.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = LoopCheckoutRequest)]
pub(super) struct CheckoutRequest {
    /// Their own name for a customer, or ours.
    #[schema(min_length = 1)]
    pub(super) customer_id: String,
    /// `usd` when left out; in either case.
    #[schema(min_length = 3, max_length = 3)]
    currency: Option<String>,
    /// Kept as the checkout's `reference`.
    pub(super) order_id: Option<String>,
    /// Kept in the metadata.
    stripe_customer_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    #[schema(min_length = 1)]
    promo_code: Option<String>,
    /// Minor units.
    #[schema(exclusive_minimum = 0)]
    amount_cents: Option<i64>,
    subscription_plan_id: Option<String>,
    #[schema(min_items = 1)]
    line_items: Option<Vec<LineItem>>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = LoopLineItem)]
struct LineItem {
    #[schema(min_length = 1)]
    product_id: String,
    #[schema(min_length = 1)]
    variant_id: String,
    #[schema(exclusive_minimum = 0)]
    qty: i64,
    /// Has to be the price, minor units.
    #[schema(minimum = 0)]
    unit_amount_cents: i64,
}

impl CheckoutRequest {
    pub(super) fn cart(&self) -> Result<Cart, Problem> {
        let code = self.currency.as_deref().unwrap_or("usd").to_ascii_lowercase();
        let currency = Currency::parse(&code).map_err(|error| Problem::invalid("currency", error.to_string()))?;
        let promo_code = self.promo_code.as_deref().map(CatalogueId::parse).transpose();
        let promo_code = promo_code.map_err(|_| CodedError::new(Code::PromoCodeInvalid, "no such promo code").at("promo_code"))?;
        Ok(Cart { currency, lines: self.lines()?, promo_code })
    }

    fn lines(&self) -> Result<Vec<CartLine>, Problem> {
        let one = |item, unit_amount| vec![CartLine { item, quantity: 1, unit_amount, total_amount: None }];
        match (&self.subscription_plan_id, &self.line_items, self.amount_cents) {
            (Some(plan), None, amount) => {
                let plan = CatalogueId::parse(plan.as_str()).map_err(|_| missing("subscription_plan_id"))?;
                // What is said of the amount has to be the price of a period.
                Ok(one(CartItem::Plan { plan }, amount.map(|amount| positive(amount, "amount_cents")).transpose()?))
            }
            (None, None, Some(amount)) => {
                let amount = positive(amount, "amount_cents")?;
                let order = self.order_id.as_deref().filter(|order| !order.is_empty());
                let name = order.map_or_else(|| "Payment".to_owned(), |order| format!("Order {order}").chars().take(MAX_NAME).collect());
                Ok(one(CartItem::Custom { name, about: About::default() }, Some(amount)))
            }
            (None, Some(items), amount) => {
                if !(1..=MAX_ITEMS).contains(&items.len()) {
                    return Err(Problem::invalid("line_items", format!("name 1 to {MAX_ITEMS} products")));
                }
                let lines = items.iter().enumerate().map(|(at, item)| item.line(at)).collect::<Result<Vec<_>, _>>()?;
                if let Some(amount) = amount.map(|amount| positive(amount, "amount_cents")).transpose()?
                    && sum(&lines).is_none_or(|sum| sum != amount)
                {
                    return Err(Problem::invalid("amount_cents", "is not what line_items come to"));
                }
                Ok(lines)
            }
            (Some(_), _, _) => {
                Err(Problem::invalid("subscription_plan_id", "stands alone: neither amount_cents nor line_items go with it"))
            }
            (None, None, None) => Err(Problem::missing("amount_cents, line_items or subscription_plan_id")),
        }
    }

    pub(super) fn metadata(&self) -> Result<Map<String, Value>, Problem> {
        let mut metadata = self.metadata.clone().unwrap_or_default();
        if let Some(customer) = self.stripe_customer_id.as_ref().filter(|customer| !customer.is_empty()) {
            bounds::text(customer, 255, AT_STRIPE)?;
            metadata.entry(AT_STRIPE).or_insert_with(|| Value::String(customer.clone()));
        }
        bounds::optional(self.order_id.as_ref().filter(|order| !order.is_empty()), 255, "order_id")?;
        bounds::metadata(&metadata)?;
        Ok(metadata)
    }
}

impl LineItem {
    fn line(&self, at: usize) -> Result<CartLine, Problem> {
        let id = |text: &str, field: &str| CatalogueId::parse(text).map_err(|_| missing(&format!("line_items[{at}].{field}")));
        let quantity = u32::try_from(self.qty).ok().filter(|quantity| (1..=MAX_QUANTITY).contains(quantity));
        let quantity = quantity.ok_or_else(|| Problem::invalid(format!("line_items[{at}].qty"), "is greater than 0, and not too great"))?;
        if self.unit_amount_cents < 0 {
            return Err(Problem::invalid(format!("line_items[{at}].unit_amount_cents"), "is not negative"));
        }
        let item = CartItem::Product { product: id(&self.product_id, "product_id")?, variant: Some(id(&self.variant_id, "variant_id")?) };
        Ok(CartLine { item, quantity, unit_amount: Some(Amount::from_minor(self.unit_amount_cents)), total_amount: None })
    }
}

fn missing(param: &str) -> Problem {
    CodedError::new(Code::ResourceMissing, "there is nothing of that id").at(param).into()
}

fn positive(amount: i64, param: &str) -> Result<Amount, Problem> {
    if amount > 0 { Ok(Amount::from_minor(amount)) } else { Err(Problem::invalid(param, "is greater than 0")) }
}

fn sum(lines: &[CartLine]) -> Option<Amount> {
    let mut each = lines.iter().map(|line| line.unit_amount?.times(line.quantity).ok());
    each.try_fold(Amount::ZERO, |sum, amount| sum.plus(amount?).ok())
}
