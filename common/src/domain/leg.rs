//! A leg of a payment: one way to pay, and what of the total it pays.

use super::{
    hosted::Hosted,
    id::{BoughtMembershipId, CustomerId, LineId, PaymentMethodId},
    ledger,
    money::Amount,
    payment_intent::IntentUse,
    push::PushMethod,
    secret::Secret,
};
use serde::{Deserialize, Serialize};

/// One part of a payment: a method, and what of the total it pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Minor units, not negative.
    pub amount: Amount,
    /// The method.
    #[serde(flatten)]
    pub tender: Tender,
}

impl Leg {
    /// Whether somebody outside is asked for the money.
    pub fn is_outside(&self) -> bool {
        match self.tender {
            Tender::Card { .. }
            | Tender::ProviderPage { .. }
            | Tender::SavedMethod { .. }
            | Tender::PaymentIntent(_)
            | Tender::Push(_)
            | Tender::Hosted(_) => !self.amount.is_zero(),
            Tender::Membership { .. } | Tender::Balance {} | Tender::Custom { .. } | Tender::Free {} => false,
        }
    }

    /// The account that its money comes into, `provider` being who took it.
    pub fn account(&self, provider: &str) -> String {
        match self.tender {
            Tender::Card { .. }
            | Tender::ProviderPage { .. }
            | Tender::SavedMethod { .. }
            | Tender::PaymentIntent(_)
            | Tender::Push(_)
            | Tender::Hosted(_) => ledger::provider_account(provider),
            Tender::Membership { .. } | Tender::Balance {} | Tender::Custom { .. } | Tender::Free {} => {
                format!("tender:{}", self.tender.type_name())
            }
        }
    }
}

/// Places of a line that a membership pays for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// Which line.
    pub line: LineId,
    /// How many of its places, at least one.
    pub places: u32,
}

/// A way to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tender {
    /// A card, by the provider's token.
    Card {
        /// The token. Never a card number.
        token: Secret<String>,
        /// Whose token it is; good anywhere when nobody is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
        /// The same card's tokens at other providers, for when this one says no for itself.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        elsewhere: Vec<TokenAt>,
    },
    /// Whatever the customer chooses on the provider's own page.
    ProviderPage {
        /// Whether it is shown within the tenant's page.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_embedded: bool,
    },
    /// A card that the customer has saved, or somebody of the family who shares it.
    SavedMethod {
        /// Which of his, or of the owner's.
        id: PaymentMethodId,
        /// Its token, as it was when the checkout was accepted. Never shown.
        token: Option<Secret<String>>,
        /// Whose it is, where it is not the customer's own but shared with his family.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<CustomerId>,
    },
    /// What the customer has authorised at the provider before.
    PaymentIntent(IntentUse),
    /// Mobile money, a bank, a wallet: the customer is asked by a provider.
    Push(PushMethod),
    /// Whatever the customer chooses on our page.
    Hosted(Box<Hosted>),
    /// Credits of a membership of the customer's.
    Membership {
        /// Which.
        bought_membership: BoughtMembershipId,
        /// Which places it pays for: one credit for each.
        covers: Vec<Cover>,
    },
    /// What the customer's balance has.
    Balance {},
    /// Cash, an invoice: paid outside, recorded here.
    Custom {
        /// What kind.
        name: String,
        /// For people.
        #[serde(default)]
        note: Option<String>,
    },
    /// Nothing is due.
    Free {},
}

/// A card's token at one of several providers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAt {
    /// The provider, as it stands in attempts.
    pub provider: String,
    /// Its token. Never a card number.
    pub token: Secret<String>,
}

impl Tender {
    /// A card by a token that is good wherever it is sent.
    pub const fn card(token: Secret<String>) -> Self {
        Self::Card { token, provider: None, elsewhere: Vec::new() }
    }

    /// What `provider` is given to charge.
    pub fn token_at(&self, provider: &str) -> Option<&Secret<String>> {
        match self {
            Self::Card { elsewhere, .. } => elsewhere.iter().find(|at| at.provider == provider).map(|at| &at.token).or(self.token()),
            _ => self.token(),
        }
    }

    /// The only providers that it can be paid at; empty: any.
    pub fn providers(&self) -> Vec<&str> {
        match self {
            Self::Card { provider: Some(provider), elsewhere, .. } => {
                std::iter::once(provider.as_str()).chain(elsewhere.iter().map(|at| at.provider.as_str())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// As it stands in JSON.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Card { .. } => "card",
            Self::ProviderPage { .. } => "provider_page",
            Self::SavedMethod { .. } => "saved_method",
            Self::PaymentIntent(_) => "payment_intent",
            Self::Push(push) => push.method.as_str(),
            Self::Hosted(_) => "hosted",
            Self::Membership { .. } => "membership",
            Self::Balance {} => "balance",
            Self::Custom { .. } => "custom",
            Self::Free {} => "free",
        }
    }

    /// What a provider is given to charge; on our page the customer is yet to say.
    pub fn token(&self) -> Option<&Secret<String>> {
        match self {
            Self::Card { token, .. } => Some(token),
            Self::SavedMethod { token, .. } => token.as_ref(),
            Self::ProviderPage { .. }
            | Self::PaymentIntent(_)
            | Self::Push(_)
            | Self::Hosted(_)
            | Self::Membership { .. }
            | Self::Balance {}
            | Self::Custom { .. }
            | Self::Free {} => None,
        }
    }

    /// The intent that a provider is given to take.
    pub fn intent(&self) -> Option<&IntentUse> {
        if let Self::PaymentIntent(intent) = self { Some(intent) } else { None }
    }

    /// Who asks the customer, where a provider does.
    pub fn push(&self) -> Option<&PushMethod> {
        if let Self::Push(push) = self { Some(push) } else { None }
    }

    /// Whether its money is taken at the customer's word, and cannot be promised first.
    pub const fn is_push(&self) -> bool {
        matches!(self, Self::Push(_) | Self::ProviderPage { .. })
    }
}
