//! What Monime's clients ask for, as a checkout of ours on our page.

use crate::{
    bounds,
    intake::{Page, Submission},
    problem::Problem,
    trace::TraceParent,
};
use axum::extract::FromRequestParts;
use boxoffice_common::{
    domain::{
        card_number::holds_card_number,
        error::{Code, CodedError},
        hosted::{Looks, PaymentOption, PaymentOptions, ProviderOption, UiMode},
        id::SpaceId,
        line::About,
        money::{Amount, Currency},
        monime::{FINANCIAL_ACCOUNT, RESERVED, SessionStatus},
        pricing::{Cart, CartItem, CartLine, MAX_LINES, MAX_QUANTITY},
        scope::Scope,
        settings::Color,
        state::Status,
    },
    ports::store::{IdempotencyRow, PageRequest},
};
use http::request::Parts;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};

/// How long a session waits for its customer: its link may be sent to him.
const EXPIRES_IN: Duration = Duration::from_secs(24 * 3600);
/// The header.
const SPACE: &str = "Monime-Space-Id";
/// The longest name that a page shows, characters.
const MAX_NAME: usize = 200;
/// The most sessions on a page.
const MOST: u32 = 50;

/// The space that a request is about.
pub(super) struct Space(pub(super) SpaceId);

impl<S: Sync> FromRequestParts<S> for Space {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(SPACE).iter();
        let Some(value) = values.next() else { return Err(Problem::missing(SPACE)) };
        let bad = || Problem::invalid(SPACE, "is one value of 1 to 64 of A-Z a-z 0-9 _ -");
        let text = value.to_str().map_err(|_| bad())?.trim();
        if holds_card_number(text) {
            return Err(CodedError::new(Code::CardNumberRefused, "this looks like a card number").at(SPACE).into());
        }
        if values.next().is_some() {
            return Err(bad());
        }
        SpaceId::parse(text).map(Self).map_err(|_| bad())
    }
}

impl utoipa::IntoParams for Space {
    fn into_params(_: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>) -> Vec<utoipa::openapi::path::Parameter> {
        use utoipa::openapi::{Ref, Required, path::ParameterBuilder, path::ParameterIn};
        let space = ParameterBuilder::new().name(SPACE).parameter_in(ParameterIn::Header).required(Required::True);
        vec![space.description(Some("The space inside the tenant")).schema(Some(Ref::from_schema_name("SpaceId"))).build()]
    }
}

/// Which sessions are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// 1 to 50; 10 when left out.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 50)]
    limit: Limit,
    /// `pagination.next` of the page before.
    after: Option<String>,
    /// Only in this state.
    #[param(value_type = Option<SessionStatus>)]
    status: Option<String>,
}

#[derive(Debug)]
struct Limit(u32);

impl Default for Limit {
    fn default() -> Self {
        Self(10)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = String::deserialize(deserializer)?.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        number.map(Self).ok_or_else(|| D::Error::custom(format!("must be a whole number from 1 to {MOST}")))
    }
}

impl Listing {
    /// The states that are asked for, all when it is none, and the page.
    pub(super) fn read(self) -> Result<(Vec<Status>, PageRequest), Problem> {
        let known = || SessionStatus::ALL.map(SessionStatus::as_str).join(", ");
        let status = self.status.filter(|status| !status.is_empty());
        let status =
            status.map(|status| SessionStatus::parse(&status).ok_or_else(|| Problem::invalid("status", format!("is one of {}", known()))));
        let statuses = status.transpose()?.map(SessionStatus::statuses).unwrap_or_default();
        let after = self.after.filter(|after| !after.is_empty());
        if let Some(after) = &after {
            bounds::token(after, 256, "after")?;
        }
        Ok((statuses, PageRequest { limit: self.limit.0, after }))
    }
}

/// A session to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MonimeCreateSession)]
pub(super) struct CreateSession {
    /// Shown on the page, at most 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Shown under the name, at most 1,000 characters.
    description: Option<String>,
    /// Where the browser goes when it comes to nothing.
    cancel_url: Option<String>,
    /// Where the browser goes when it is paid.
    success_url: Option<String>,
    /// Echoed on the way back and in events.
    callback_state: Option<String>,
    /// Their own reference.
    reference: Option<String>,
    /// Kept, and told.
    financial_account_id: Option<String>,
    /// 1 to 50, all in one currency.
    #[schema(min_items = 1, max_items = 50)]
    line_items: Vec<LineItem>,
    payment_options: Option<Options>,
    branding_options: Option<Branding>,
    /// At most 50 keys and 16 KiB; `monime` is ours.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = MonimeCreateLineItem)]
struct LineItem {
    /// `custom`, when left out too.
    #[serde(rename = "type")]
    #[allow(dead_code, reason = "read to be checked: there is only one")]
    kind: Option<LineType>,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    price: Price,
    /// 1 when left out.
    #[schema(minimum = 1, maximum = 1000)]
    quantity: Option<i64>,
    reference: Option<String>,
    description: Option<String>,
    /// At most 10 https addresses. Kept and told; the page shows none.
    images: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MonimeLineType)]
enum LineType {
    Custom,
}

/// What one costs.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = MonimeCreatePrice)]
struct Price {
    /// ISO 4217, in either case.
    #[schema(min_length = 3, max_length = 3)]
    currency: String,
    /// Minor units.
    #[schema(minimum = 1)]
    value: i64,
}

/// What the page offers; what is left out is offered.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = MonimePaymentOptions)]
struct Options {
    card: Option<CardOption>,
    bank: Option<ProvidersOption>,
    momo: Option<ProvidersOption>,
    wallet: Option<ProvidersOption>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = MonimeCardOption)]
struct CardOption {
    disable: Option<bool>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MonimeProviderOption)]
struct ProvidersOption {
    disable: Option<bool>,
    /// Only these, when any are named.
    enabled_providers: Option<Vec<String>>,
    /// All but these.
    disabled_providers: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MonimeBrandingOptions)]
struct Branding {
    /// `#rrggbb`; the tenant's when left out.
    primary_color: Option<String>,
}

/// An empty text says as much as none.
fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl CreateSession {
    pub(super) fn into_submission(
        self,
        scope: Arc<Scope>,
        space: SpaceId,
        idempotency: IdempotencyRow,
        trace: TraceParent,
    ) -> Result<Submission, Problem> {
        let (success_url, cancel_url) = (said(self.success_url), said(self.cancel_url));
        let (callback_state, reference, description) = (said(self.callback_state), said(self.reference), said(self.description));
        bounds::text(&self.name, MAX_NAME, "name")?;
        bounds::optional(description.as_ref(), 1_000, "description")?;
        bounds::browser_url(success_url.as_ref(), "successUrl")?;
        bounds::browser_url(cancel_url.as_ref(), "cancelUrl")?;
        bounds::optional(callback_state.as_ref(), 1_024, "callbackState")?;
        bounds::optional(reference.as_ref(), 255, "reference")?;
        let looks = Looks { title: Some(self.name), description, color: self.branding_options.map(Branding::color).transpose()?.flatten() };
        let options = self.payment_options.unwrap_or_default().options()?;
        let metadata = metadata(self.metadata.unwrap_or_default(), said(self.financial_account_id))?;
        Ok(Submission {
            scope,
            space: Some(space),
            idempotency,
            cart: cart(self.line_items)?,
            buyer: None,
            payment: None,
            page: Some(Page { options, ui_mode: UiMode::Hosted, looks }),
            success_url,
            cancel_url,
            callback_url: None,
            callback_state,
            reference,
            replaces_open: false,
            metadata,
            expires_in: EXPIRES_IN,
            trace,
        })
    }
}

/// Theirs, and under a name that is ours what we have no field for.
fn metadata(mut metadata: Map<String, Value>, account: Option<String>) -> Result<Map<String, Value>, Problem> {
    if metadata.contains_key(RESERVED) {
        return Err(Problem::invalid(format!("metadata.{RESERVED}"), "this key is ours"));
    }
    bounds::metadata(&metadata)?;
    if let Some(account) = account {
        bounds::text(&account, 255, "financialAccountId")?;
        metadata.insert(RESERVED.to_owned(), json!({ FINANCIAL_ACCOUNT: account }));
    }
    Ok(metadata)
}

fn cart(items: Vec<LineItem>) -> Result<Cart, Problem> {
    if !(1..=MAX_LINES).contains(&items.len()) {
        return Err(Problem::invalid("lineItems", format!("has 1 to {MAX_LINES} items")));
    }
    let (mut currency, mut lines) = (None, Vec::with_capacity(items.len()));
    for (at, item) in items.into_iter().enumerate() {
        let param = format!("lineItems[{at}].price.currency");
        let own = Currency::parse(&item.price.currency).map_err(|error| Problem::invalid(param.as_str(), error.to_string()))?;
        if *currency.get_or_insert(own) != own {
            return Err(CodedError::new(Code::CurrencyMismatch, "all items have one currency").at(param).into());
        }
        lines.push(item.line(&format!("lineItems[{at}]"))?);
    }
    let currency = currency.ok_or(Problem::Internal)?;
    Ok(Cart { currency, lines, promo_code: None })
}

impl LineItem {
    fn line(self, at: &str) -> Result<CartLine, Problem> {
        let quantity = u32::try_from(self.quantity.unwrap_or(1)).ok().filter(|quantity| (1..=MAX_QUANTITY).contains(quantity));
        let quantity = quantity.ok_or_else(|| Problem::invalid(format!("{at}.quantity"), format!("is 1 to {MAX_QUANTITY}")))?;
        if self.price.value < 1 {
            return Err(Problem::invalid(format!("{at}.price.value"), "is at least 1, in minor units"));
        }
        let images = self.images.unwrap_or_default();
        let about = About { description: said(self.description), reference: said(self.reference), images };
        bounds::about(&about, at)?;
        bounds::text(&self.name, MAX_NAME, &format!("{at}.name"))?;
        let unit_amount = Some(Amount::from_minor(self.price.value));
        Ok(CartLine { item: CartItem::Custom { name: self.name, about }, quantity, unit_amount, total_amount: None })
    }
}

impl Options {
    fn options(self) -> Result<PaymentOptions, Problem> {
        let disable = self.card.and_then(|card| card.disable).unwrap_or_default();
        let providers = |option: Option<ProvidersOption>, name: &str| {
            option.map_or_else(|| Ok(ProviderOption::default()), |option| option.option(name))
        };
        Ok(PaymentOptions {
            card: PaymentOption { disable },
            saved_method: PaymentOption::default(),
            mobile_money: providers(self.momo, "momo")?,
            bank: providers(self.bank, "bank")?,
            wallet: providers(self.wallet, "wallet")?,
        })
    }
}

impl ProvidersOption {
    fn option(self, name: &str) -> Result<ProviderOption, Problem> {
        let enabled_providers = self.enabled_providers.unwrap_or_default();
        let disabled_providers = self.disabled_providers.unwrap_or_default();
        for (list, providers) in [("enabledProviders", &enabled_providers), ("disabledProviders", &disabled_providers)] {
            bounds::providers(providers, &format!("paymentOptions.{name}.{list}"))?;
        }
        Ok(ProviderOption { disable: self.disable.unwrap_or_default(), enabled_providers, disabled_providers })
    }
}

impl Branding {
    fn color(self) -> Result<Option<Color>, Problem> {
        let wrong = || Problem::invalid("brandingOptions.primaryColor", "is a colour, written #rrggbb");
        said(self.primary_color).map(|color| Color::parse(&color).ok_or_else(wrong)).transpose()
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
