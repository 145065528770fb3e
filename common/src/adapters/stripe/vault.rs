//! Keeping a card with Stripe, so that it can be charged again: a customer of its own, and the card attached to it.

use super::{
    answer::{Card, IdOnly, Method},
    calls::Calls,
    outcome::declined,
    provider::StripeProvider,
    request::{self, Token},
    verdict::Said,
};
use crate::{
    domain::{attempt::Outcome, payment_method::CardFace, secret::Secret},
    ports::vault::{CardVault, KeptCard, VaultError},
};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use stripe_client_core::RequestBuilder;

#[async_trait]
impl CardVault for StripeProvider {
    /// A card is kept as `cus_…:pm_…`. The key is used with a letter behind it for each step.
    async fn keep(&self, key: &str, label: &str, token: &Secret<String>) -> Result<KeptCard, VaultError> {
        let calls = self.calls();
        let method = match Token::parse(token.reveal()) {
            Some(Token::Method(method)) => method.to_owned(),
            Some(Token::Card(card)) => step::<IdOnly>(&calls, request::method_of(card), &format!("{key}p")).await?.id,
            // What has its customer already is kept, and a confirmation is for one payment.
            Some(Token::Saved { .. } | Token::Confirmation(_)) | None => return Err(no_token()),
        };
        let customer = step::<IdOnly>(&calls, request::customer(label, calls.account), &format!("{key}c")).await?.id;
        let kept = step::<Method>(&calls, request::attach(&method, &customer), &format!("{key}a")).await?;
        Ok(KeptCard { token: Secret::new(format!("{customer}:{}", kept.id)), face: kept.card.map(face) })
    }
}

async fn step<T: DeserializeOwned>(calls: &Calls<'_>, built: RequestBuilder, key: &str) -> Result<T, VaultError> {
    match calls.post::<T>(built, key).await {
        Said::Done(done) => Ok(done.object),
        Said::NotSent { cause, retry_after } => Err(VaultError::TryAgain { cause, retry_after }),
        Said::Unknown(unknown) => Err(VaultError::TryAgain { cause: unknown.cause, retry_after: None }),
        Said::Refused(refused) => match declined(&refused) {
            Outcome::Declined(decline) => Err(VaultError::Declined(decline)),
            _ => Err(VaultError::TryAgain { cause: "refused".to_owned(), retry_after: None }),
        },
    }
}

fn no_token() -> VaultError {
    VaultError::Declined(super::outcome::decline("invalid_token", true, None, None))
}

fn face(card: Card) -> CardFace {
    CardFace { brand: card.brand, last4: card.last4, exp_month: card.exp_month, exp_year: card.exp_year }
}
