//! Tries to pay by card on our page, counted by tenant and by where they come from, so that trying cards out is noticed. Nothing here is the truth:
//! it may forget everything, and whoever tries cards out begins anew.

use crate::domain::{
    card_testing::{End, Facts},
    scope::Scope,
};
use async_trait::async_trait;
use std::time::Duration;

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CardTry {
    /// Whose page.
    pub scope: Scope,
    /// Where it comes from, by a name that tells no address.
    pub network: String,
    /// Its own name: the same one twice is one try.
    pub id: String,
}

/// The counts. No method fails: where those that are shared cannot be had, this process goes on with what it has seen by itself.
#[async_trait]
pub trait CardTries: Send + Sync {
    /// Notes that a try is under way, and tells what is known beside it. Whoever does not let it go on ends it with [`End::Neither`].
    async fn begin(&self, card_try: &CardTry) -> Facts;

    /// Notes what came of it. A refusal counts once, and so does a sale, however often it is told, and whether or not the try is still under
    /// way: a customer who was asked elsewhere pays, too. What is paid gives the oldest refusal of its network back: where many customers
    /// share an address, some mistype.
    async fn end(&self, card_try: &CardTry, end: End);

    /// Takes a turn among all tries of a tenant, one in every `gap`. `Some`: it is not its turn; how long until then.
    async fn turn(&self, scope: &Scope, gap: Duration) -> Option<Duration>;
}
