//! Payment methods that customers have saved: a provider's token, and what customers know it by.

use super::{
    catalogue_check::ensure,
    error::CodedError,
    id::{CustomerId, PaymentMethodId, ProviderAccountId},
    secret::Secret,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// The most methods that one customer may have saved.
pub const MAX_METHODS: u32 = 50;
/// The years in which a card may expire.
const YEARS: std::ops::RangeInclusive<u32> = 2000..=2100;
/// The longest name of a brand, characters.
const MAX_BRAND: usize = 32;

/// What kind of method. One today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SavedType {
    /// A card.
    Card,
}

/// What a customer knows a card by. Never its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CardFace {
    /// Such as `visa`.
    pub brand: String,
    /// The last four digits of its number.
    pub last4: String,
    /// The month in which it expires, 1 to 12.
    pub exp_month: u32,
    /// The year in which it expires.
    pub exp_year: u32,
}

impl CardFace {
    /// Whether it can be kept; `parameter_invalid` with the field in `param` when not.
    pub fn check(&self) -> Result<(), CodedError> {
        let brand = (1..=MAX_BRAND).contains(&self.brand.chars().count()) && !self.brand.chars().any(char::is_control);
        ensure(brand, "brand", || format!("has 1 to {MAX_BRAND} characters"))?;
        let last4 = self.last4.len() == 4 && self.last4.bytes().all(|byte| byte.is_ascii_digit());
        ensure(last4, "last4", || "is exactly four digits".to_owned())?;
        ensure((1..=12).contains(&self.exp_month), "exp_month", || "is 1 to 12".to_owned())?;
        ensure(YEARS.contains(&self.exp_year), "exp_year", || format!("is {} to {}", YEARS.start(), YEARS.end()))
    }
}

/// A saved method. Its token goes to the provider, and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentMethod {
    /// Unique among its customer's.
    pub id: PaymentMethodId,
    /// Whose.
    pub customer: CustomerId,
    /// The provider's token.
    pub token: Secret<String>,
    /// What the customer knows it by; nothing of a card that a sale has left, of which only the token is known.
    pub card: Option<CardFace>,
    /// Whether the customer pays with it unless he says otherwise. One at the most.
    pub is_default: bool,
    /// Whether customers of the same family may pay with it, too.
    pub is_shared: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The object `payment_method` of the API: without its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = PaymentMethod)]
pub struct PaymentMethodView<'a> {
    id: &'a PaymentMethodId,
    object: &'static str,
    customer: &'a CustomerId,
    #[serde(rename = "type")]
    kind: SavedType,
    #[serde(flatten)]
    card: Option<&'a CardFace>,
    default: bool,
    /// Whether customers of the same family may pay with it, too.
    shared_with_family: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> From<&'a PaymentMethod> for PaymentMethodView<'a> {
    fn from(method: &'a PaymentMethod) -> Self {
        Self {
            id: &method.id,
            object: "payment_method",
            customer: &method.customer,
            kind: SavedType::Card,
            card: method.card.as_ref(),
            default: method.is_default,
            shared_with_family: method.is_shared,
            created_at: method.created_at,
            updated_at: method.updated_at,
        }
    }
}

/// A saved method's token, and the account that it is good at. In the store it is one text: `pac_…/` before the provider's own token, where
/// it is good at one account only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundToken {
    /// The only account that it is good at; good anywhere when none.
    pub account: Option<ProviderAccountId>,
    /// The provider's own.
    pub token: Secret<String>,
}

impl BoundToken {
    /// Reads what is stored.
    pub fn read(stored: &Secret<String>) -> Self {
        let split = stored.reveal().split_once('/');
        let bound = split.filter(|(account, _)| account.strip_prefix(ProviderAccountId::PREFIX).is_some_and(|rest| rest.starts_with('_')));
        match bound.and_then(|(account, token)| Some((ProviderAccountId::parse(account).ok()?, token))) {
            Some((account, token)) => Self { account: Some(account), token: Secret::new(token.to_owned()) },
            None => Self { account: None, token: stored.clone() },
        }
    }

    /// What is stored.
    pub fn stored(&self) -> Secret<String> {
        match &self.account {
            Some(account) => Secret::new(format!("{account}/{}", self.token.reveal())),
            None => self.token.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> CardFace {
        CardFace { brand: "visa".to_owned(), last4: "4242".to_owned(), exp_month: 12, exp_year: 2030 }
    }

    #[test]
    fn a_card_is_known_by_four_digits_and_no_more() {
        assert_eq!(card().check(), Ok(()));
        for (wrong, field) in [
            (CardFace { brand: String::new(), ..card() }, "brand"),
            (CardFace { brand: "a\nb".to_owned(), ..card() }, "brand"),
            (CardFace { last4: "424".to_owned(), ..card() }, "last4"),
            (CardFace { last4: "42424".to_owned(), ..card() }, "last4"),
            (CardFace { last4: "42a2".to_owned(), ..card() }, "last4"),
            (CardFace { exp_month: 13, ..card() }, "exp_month"),
            (CardFace { exp_month: 0, ..card() }, "exp_month"),
            (CardFace { exp_year: 30, ..card() }, "exp_year"),
        ] {
            assert_eq!(wrong.check().unwrap_err().param.as_deref(), Some(field), "{wrong:?}");
        }
    }

    #[test]
    fn a_saved_method_shows_its_token_nowhere() {
        let (customer, at) = (CustomerId::parse("cus_1").unwrap(), Timestamp::default());
        let id = PaymentMethodId::parse("pm_1").unwrap();
        let token = Secret::new("tok_visa".to_owned());
        let method =
            PaymentMethod { id, customer, token, card: Some(card()), is_default: true, is_shared: false, created_at: at, updated_at: at };
        let shown = serde_json::to_string(&PaymentMethodView::from(&method)).unwrap();
        assert!(!shown.contains("tok_visa") && !format!("{method:?}").contains("tok_visa"), "{shown}");
        assert!(shown.contains(r#""last4":"4242""#) && shown.contains(r#""default":true"#), "{shown}");
    }
}
