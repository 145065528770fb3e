//! How a client says that it pays: methods, or our page.

use super::request::refuse_others;
use crate::{bounds, intake::Page, problem::Problem};
use boxoffice_common::domain::{
    hosted::{Looks, PaymentOptions, UiMode},
    id::{BoughtMembershipId, CustomerId, PaymentIntentId, PaymentMethodId},
    leg::{Tender, TokenAt},
    money::Amount,
    payment_intent::IntentUse,
    payment_method::BoundToken,
    push::{PushKind, PushMethod},
    secret::Secret,
    settings::Color,
    tender::{Asked, MAX_METHODS},
};
use serde::Deserialize;

/// How it is paid.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentRequest {
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
    /// Above the lines, at most 200 characters.
    title: Option<String>,
    /// Under the title, at most 1,000 characters.
    description: Option<String>,
    /// Instead of the tenant's.
    color: Option<Color>,
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
    /// For `saved_method`: which of the customer's; for `payment_intent`: which.
    id: Option<PaymentMethodId>,
    /// For `saved_method`: whose, where it is not the checkout's customer's but shared with the family.
    customer: Option<CustomerId>,
    /// For `membership`.
    bought_membership: Option<BoughtMembershipId>,
    /// For `mobile_money`, `bank` and `wallet`: who asks the customer. For `card`: whose token it is, where the tenant has several providers.
    provider: Option<String>,
    /// For `card`: the same card's tokens at other providers, at most 5, for when the first one says no for itself.
    #[serde(default)]
    #[schema(max_items = 5)]
    elsewhere: Vec<TokenRequest>,
    /// For `provider_page`: a page of its own, at `payment_url`, or, as `embedded`, within yours.
    ui_mode: Option<UiMode>,
    /// For `mobile_money`: whose phone, E.164.
    #[schema(value_type = Option<String>)]
    phone: Option<Secret<String>>,
}

/// A card's token at one provider.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    /// Which.
    #[schema(min_length = 1, max_length = 64)]
    provider: String,
    /// Its token, never a card number.
    #[schema(value_type = String)]
    token: Secret<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum MethodType {
    Card,
    ProviderPage,
    Custom,
    Free,
    SavedMethod,
    PaymentIntent,
    Membership,
    Balance,
    MobileMoney,
    Bank,
    Wallet,
}

impl PaymentRequest {
    /// The methods, or what the page offers.
    pub fn into_parts(self) -> Result<(Option<Vec<Asked>>, Option<Page>), Problem> {
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
        let Self { options, ui_mode, title, description, color } = self;
        bounds::optional(title.as_ref(), 200, "payment.hosted.title")?;
        bounds::optional(description.as_ref(), 1_000, "payment.hosted.description")?;
        let kinds = [("mobile_money", &options.mobile_money), ("bank", &options.bank), ("wallet", &options.wallet)];
        for (kind, option) in kinds {
            for (list, providers) in [("enabled_providers", &option.enabled_providers), ("disabled_providers", &option.disabled_providers)]
            {
                bounds::providers(providers, &format!("payment.hosted.options.{kind}.{list}"))?;
            }
        }
        Ok(Page { options, ui_mode, looks: Looks { title, description, color } })
    }
}

/// The most other tokens of one card.
const MAX_ELSEWHERE: usize = 5;

/// A token as a client gives it: what we bind to an account ourselves is nobody else's to say.
fn check_token(token: &Secret<String>, at: &str) -> Result<(), Problem> {
    bounds::token(token.reveal(), 255, at)?;
    if BoundToken::read(token).account.is_some() {
        return Err(Problem::invalid(at, "is a provider's token; a saved card is paid with as saved_method"));
    }
    Ok(())
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
            ("elsewhere", !self.elsewhere.is_empty()),
            ("ui_mode", self.ui_mode.is_some()),
        ];
        let amount = self.amount;
        let tender = match self.kind {
            MethodType::Card => {
                refuse_others(&given, &["token", "provider", "elsewhere"], &at)?;
                self.into_card(&at)?
            }
            MethodType::ProviderPage => {
                refuse_others(&given, &["ui_mode"], &at)?;
                Tender::ProviderPage { is_embedded: self.ui_mode == Some(UiMode::Embedded) }
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
            MethodType::PaymentIntent => {
                refuse_others(&given, &["id"], &at)?;
                let id = self.id.ok_or_else(|| Problem::missing(format!("{at}.id")))?;
                let id = PaymentIntentId::parse(id).map_err(|_| Problem::invalid(format!("{at}.id"), "is the id of a payment intent"))?;
                // Who may pay with it is looked up with the prices.
                Tender::PaymentIntent(IntentUse::of(id))
            }
            MethodType::MobileMoney => self.into_push(PushKind::MobileMoney, &given, &at)?,
            MethodType::Bank => self.into_push(PushKind::Bank, &given, &at)?,
            MethodType::Wallet => self.into_push(PushKind::Wallet, &given, &at)?,
        };
        Ok(Asked { tender, amount, param: at })
    }

    fn into_card(self, at: &str) -> Result<Tender, Problem> {
        let token = self.token.ok_or_else(|| Problem::missing(format!("{at}.token")))?;
        check_token(&token, &format!("{at}.token"))?;
        if let Some(provider) = &self.provider {
            bounds::token(provider, 64, &format!("{at}.provider"))?;
        }
        if self.elsewhere.len() > MAX_ELSEWHERE {
            return Err(Problem::invalid(format!("{at}.elsewhere"), format!("has at most {MAX_ELSEWHERE} tokens")));
        }
        if self.provider.is_none() && !self.elsewhere.is_empty() {
            return Err(Problem::missing(format!("{at}.provider")));
        }
        let mut elsewhere: Vec<TokenAt> = Vec::with_capacity(self.elsewhere.len());
        for (place, TokenRequest { provider, token }) in self.elsewhere.into_iter().enumerate() {
            let here = format!("{at}.elsewhere[{place}]");
            bounds::token(&provider, 64, &format!("{here}.provider"))?;
            check_token(&token, &format!("{here}.token"))?;
            if self.provider.as_ref() == Some(&provider) || elsewhere.iter().any(|other| other.provider == provider) {
                return Err(Problem::invalid(format!("{here}.provider"), "stands there twice"));
            }
            elsewhere.push(TokenAt { provider, token });
        }
        Ok(Tender::Card { token, provider: self.provider, elsewhere })
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
