//! What a page can take of a checkout now: what its tenant's accounts take, and the page was not told to leave out.

use crate::context::ApiContext;
use boxoffice_common::{
    domain::{
        checkout::Checkout,
        routing::{Ask, Method, Route, Routing},
    },
    ports::store::StoreError,
};
use std::sync::Arc;

/// How a card is paid with here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CardWay {
    /// By one of the sandbox's tokens.
    Test,
    /// On the page of this provider: a card's number is entered there, and never here.
    ThereAt(&'static str),
    /// Nobody takes one, or only by a token that a page of the tenant's own gets.
    None,
}

/// What the page can take.
#[derive(Debug, Clone)]
pub(super) struct Offers {
    /// Where charges go.
    pub(super) routing: Arc<Routing>,
    /// How a card is paid with.
    pub(super) card: CardWay,
    /// Whether somebody asks by mobile money, a bank or a wallet.
    pub(super) push: bool,
}

impl Offers {
    pub(super) async fn of(ctx: &ApiContext, checkout: &Checkout) -> Result<Self, StoreError> {
        let routing = ctx.routes().routing(&checkout.scope).await?;
        let first = |method| routing.first(&ask(checkout, method)).cloned();
        let card = match (first(Method::ProviderPage), first(Method::Card)) {
            (Some(route), _) => CardWay::ThereAt(known_as(&route)),
            (None, Some(route)) if route == Route::sandbox() => CardWay::Test,
            (None, _) => CardWay::None,
        };
        let push = first(Method::Push).is_some();
        Ok(Self { routing, card, push })
    }
}

/// That of a charge of what the page is for.
pub(super) fn ask(checkout: &Checkout, method: Method) -> Ask<'_> {
    let amount = checkout.order.hosted().map_or(checkout.order.totals.total, |(leg, _)| leg.amount);
    Ask { checkout: &checkout.id, method, amount, currency: checkout.order.currency, bound_to: None, providers: &[] }
}

/// As customers know a provider.
pub(super) fn known_as(route: &Route) -> &'static str {
    match route.provider.as_str() {
        "stripe" => "Stripe",
        "mollie" => "Mollie",
        _ => "our payment service",
    }
}
