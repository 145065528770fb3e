//! Which provider, and which of the tenant's accounts there, a charge goes to; and where next, behind a definite no.
//!
//! The first rule that fits says which accounts come into question, and by weight in which order. One that takes no such payment is left
//! out, one whose circuit is open comes last. Nothing here is random: the checkout's id decides, so that whoever asks again is told the same.

use super::{
    attempt::SANDBOX,
    error::{Code, CodedError},
    id::{CheckoutId, ProviderAccountId},
    leg::Tender,
    money::{Amount, Currency},
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

/// The most rules that a tenant has.
pub const MAX_RULES: usize = 50;
/// The most accounts that one rule names.
pub const MAX_TARGETS: usize = 10;
/// The heaviest weight.
pub const MAX_WEIGHT: u32 = 1_000;
/// How often one part of a payment is charged by itself, before its customer is told of the no.
pub const MAX_CHARGES: usize = 4;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Route {
    /// The provider, as it stands in attempts.
    pub provider: String,
    /// The tenant's account there; none at the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<ProviderAccountId>,
}

impl Route {
    /// The sandbox, which has one account for everybody.
    pub fn sandbox() -> Self {
        Self { provider: SANDBOX.to_owned(), account: None }
    }

    /// As rules and reports name it: the account's id, or the provider that needs none.
    pub fn name(&self) -> &str {
        self.account.as_ref().map_or(self.provider.as_str(), ProviderAccountId::as_str)
    }
}

/// A way to pay, as far as routing tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A card, by its token.
    Card,
    /// A card that was saved.
    SavedMethod,
    /// What was authorised before.
    PaymentIntent,
    /// The provider's own page.
    ProviderPage,
    /// The provider's own page within the shop's.
    EmbeddedPage,
    /// Mobile money, a bank, a wallet.
    Push,
}

impl Method {
    /// That of a part of a payment; none where no provider is asked. What is paid on our page is known only when the customer has chosen.
    pub const fn of(tender: &Tender) -> Option<Self> {
        match tender {
            Tender::Card { .. } => Some(Self::Card),
            Tender::SavedMethod { .. } => Some(Self::SavedMethod),
            Tender::PaymentIntent(_) => Some(Self::PaymentIntent),
            Tender::ProviderPage { is_embedded: false } => Some(Self::ProviderPage),
            Tender::ProviderPage { is_embedded: true } => Some(Self::EmbeddedPage),
            Tender::Push(_) => Some(Self::Push),
            Tender::Hosted(_) | Tender::Membership { .. } | Tender::Balance {} | Tender::Custom { .. } | Tender::Free {} => None,
        }
    }
}

/// A tenant's rules in one mode, the first that fits is the one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoutingRules {
    /// At most 50. Where none fits, all accounts that are enabled come into question, the oldest first.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub rules: Vec<RoutingRule>,
}

/// One rule. What is left out fits everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoutingRule {
    /// These currencies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub currencies: Vec<Currency>,
    /// These ways to pay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
    /// From this amount on, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_amount: Option<Amount>,
    /// Up to this amount, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_amount: Option<Amount>,
    /// Where it goes, 1 to 10: the first by weight, the others when that says no for itself, or its circuit is open.
    #[schema(min_items = 1, max_items = 10)]
    pub to: Vec<Target>,
}

/// An account that a rule names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The account's id, or `sandbox` with test keys.
    #[schema(min_length = 1, max_length = 64)]
    pub account: String,
    /// How much of the traffic begins there, beside the weights of the others, 0 to 1,000. With 0 it is only for when the others fail.
    #[serde(default = "one")]
    #[schema(minimum = 0, maximum = 1000)]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

impl RoutingRules {
    /// Checks all that can be known without the accounts.
    ///
    /// Errors: `parameter_invalid`, with the place in `param`.
    pub fn check(&self) -> Result<(), CodedError> {
        let wrong = |param: String, words: String| Err(CodedError::new(Code::ParameterInvalid, words).at(param));
        if self.rules.len() > MAX_RULES {
            return wrong("rules".to_owned(), format!("has at most {MAX_RULES} rules"));
        }
        for (at, rule) in self.rules.iter().enumerate() {
            if rule.to.is_empty() || rule.to.len() > MAX_TARGETS {
                return wrong(format!("rules[{at}].to"), format!("has 1 to {MAX_TARGETS} accounts"));
            }
            for (place, target) in rule.to.iter().enumerate() {
                if target.weight > MAX_WEIGHT {
                    return wrong(format!("rules[{at}].to[{place}].weight"), format!("is 0 to {MAX_WEIGHT}"));
                }
                if rule.to.iter().take(place).any(|before| before.account == target.account) {
                    return wrong(format!("rules[{at}].to[{place}].account"), "stands there twice".to_owned());
                }
            }
            let is_negative = [rule.min_amount, rule.max_amount].into_iter().flatten().any(|amount| amount < Amount::ZERO);
            if is_negative || rule.min_amount.zip(rule.max_amount).is_some_and(|(least, most)| least > most) {
                return wrong(format!("rules[{at}].max_amount"), "is not below min_amount, and neither is negative".to_owned());
            }
        }
        Ok(())
    }
}

impl RoutingRule {
    fn fits(&self, ask: &Ask<'_>) -> bool {
        (self.currencies.is_empty() || self.currencies.contains(&ask.currency))
            && (self.methods.is_empty() || self.methods.contains(&ask.method))
            && self.min_amount.is_none_or(|least| ask.amount >= least)
            && self.max_amount.is_none_or(|most| ask.amount <= most)
    }
}

/// A route as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub route: Route,
    /// What it can be paid with there.
    pub takes: Vec<Method>,
    /// Whether its circuit is open: it comes last.
    pub is_failing: bool,
    /// Whether it comes into question only where a rule names it, or a token is good nowhere else: the sandbox of a tenant that has accounts of its
    /// own. *Because* where these are disabled, or do not open, play money would be taken for real, and nobody would notice.
    pub is_named_only: bool,
}

impl Candidate {
    /// Whether what is good at these providers alone is good at this one and at no other.
    fn is_alone_in(&self, providers: &[&str]) -> bool {
        providers == [self.route.provider.as_str()]
    }
}

/// All that routing goes by, for one tenant and mode, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// Where charges may go, the oldest account first.
    pub candidates: Vec<Candidate>,
    /// The tenant's rules.
    pub rules: RoutingRules,
    /// How long each provider that there is remembers an idempotency key: also those where no charge begins any more.
    pub key_windows: Vec<(String, Duration)>,
}

impl Default for Routing {
    /// Everything goes to the sandbox.
    fn default() -> Self {
        let takes = vec![Method::Card, Method::SavedMethod, Method::PaymentIntent, Method::Push];
        let sandbox = Candidate { route: Route::sandbox(), takes, is_failing: false, is_named_only: false };
        let key_windows = vec![(SANDBOX.to_owned(), Duration::from_secs(24 * 3600))];
        Self { candidates: vec![sandbox], rules: RoutingRules::default(), key_windows }
    }
}

/// Everything goes to the sandbox: one value for all.
pub fn to_the_sandbox() -> Arc<Routing> {
    static SANDBOX_ONLY: LazyLock<Arc<Routing>> = LazyLock::new(Arc::default);
    Arc::clone(&SANDBOX_ONLY)
}

/// Nobody takes any money: one value for all.
pub fn nowhere() -> Arc<Routing> {
    static NOWHERE: LazyLock<Arc<Routing>> = LazyLock::new(|| Arc::new(Routing { candidates: Vec::new(), ..Routing::default() }));
    Arc::clone(&NOWHERE)
}

/// What is to be charged.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// For which checkout: it decides between weights.
    pub checkout: &'a CheckoutId,
    /// How.
    pub method: Method,
    /// Minor units.
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
    /// The only account that it can go to, as a saved card can.
    pub bound_to: Option<&'a ProviderAccountId>,
    /// The only providers that it can go to, as a card's tokens can; empty: any.
    pub providers: &'a [&'a str],
}

impl Routing {
    /// Where it goes first.
    pub fn first(&self, ask: &Ask<'_>) -> Option<&Route> {
        self.order(ask).into_iter().next().map(|candidate| &candidate.route)
    }

    /// Where it goes behind a no of all in `tried`.
    pub fn next(&self, ask: &Ask<'_>, tried: &[&Route]) -> Option<&Route> {
        self.order(ask).into_iter().map(|candidate| &candidate.route).find(|route| !tried.contains(route))
    }

    /// Whether it may come into question at all, for what is good at these providers alone (empty: anywhere): by itself, by a rule, or by its token.
    pub fn may_ask(&self, candidate: &Candidate, providers: &[&str]) -> bool {
        let mut targets = self.rules.rules.iter().flat_map(|rule| &rule.to);
        !candidate.is_named_only || candidate.is_alone_in(providers) || targets.any(|target| target.account == candidate.route.name())
    }

    /// Whether a route's circuit is open, or it is no candidate any more.
    pub fn is_failing(&self, route: &Route) -> bool {
        self.candidates.iter().find(|candidate| candidate.route == *route).is_none_or(|candidate| candidate.is_failing)
    }

    /// How long a provider remembers an idempotency key, and no longer than `at_most`.
    pub fn key_window(&self, provider: &str, at_most: Duration) -> Duration {
        let theirs = self.key_windows.iter().find(|(name, _)| name == provider).map(|(_, window)| *window);
        theirs.map_or(at_most, |window| window.min(at_most))
    }

    fn order(&self, ask: &Ask<'_>) -> Vec<&Candidate> {
        let can = |candidate: &&Candidate| {
            let is_there = ask.bound_to.is_none_or(|account| candidate.route.account.as_ref() == Some(account));
            let has_token = ask.providers.is_empty() || ask.providers.contains(&candidate.route.provider.as_str());
            candidate.takes.contains(&ask.method) && is_there && has_token
        };
        let able: Vec<&Candidate> = self.candidates.iter().filter(can).collect();
        let rule = self.rules.rules.iter().find(|rule| rule.fits(ask)).filter(|_| ask.bound_to.is_none());
        let mut ordered = match rule {
            None => unnamed(able, ask),
            Some(rule) => by_weight(rule, &able, spread(ask.checkout)),
        };
        ordered.sort_by_key(|candidate| candidate.is_failing);
        ordered
    }
}

/// Without a rule the sandbox, which moves no money, is there for a tenant that has no account of its own, and for a token of the sandbox's alone.
fn unnamed<'c>(mut able: Vec<&'c Candidate>, ask: &Ask<'_>) -> Vec<&'c Candidate> {
    able.retain(|candidate| !candidate.is_named_only || candidate.is_alone_in(ask.providers));
    able
}

/// Those that the rule names: drawn by weight, one after the other; those of no weight behind them, in the rule's order.
fn by_weight<'c>(rule: &RoutingRule, able: &[&'c Candidate], mut draw: u64) -> Vec<&'c Candidate> {
    let find =
        |target: &Target| able.iter().find(|candidate| candidate.route.name() == target.account).map(|found| (target.weight, *found));
    let mut left: Vec<(u32, &Candidate)> = rule.to.iter().filter_map(find).collect();
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let total: u64 = left.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let at = if total == 0 {
            0
        } else {
            let mut point = draw % total;
            draw = draw.rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let reaches = |(weight, _): &(u32, &Candidate)| {
                let weight = u64::from(*weight);
                let is_it = point < weight;
                point = point.saturating_sub(weight);
                is_it
            };
            left.iter().position(reaches).unwrap_or(0)
        };
        ordered.push(left.remove(at).1);
    }
    ordered
}

/// FNV-1a over the id, stirred: the same number wherever and whenever it is asked for.
fn spread(id: &CheckoutId) -> u64 {
    let hash = id.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
