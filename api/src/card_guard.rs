//! Slows and stops whoever tries cards out on our page. What is slow, and what too many, is the domain's to say; this asks, and sees to it that
//! what comes of each try is counted, whether or not its customer stays to see it.

use crate::{
    context::ApiContext,
    seldom::Seldom,
    waiting::{Interest, Ticket},
};
use boxoffice_common::{
    domain::{
        card_testing::{self, End, Limits, OPEN_FOR, Verdict},
        id::CheckoutId,
        network::{Client, NetworkKey},
        scope::Scope,
        state::Status,
        ticket_code::TicketKey,
    },
    newest::Newest,
    ports::{
        card_tries::{CardTries, CardTry},
        store::StoreError,
    },
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How many tries are followed to their end at once in this process. Of what comes on top a no is not counted.
const MAX_FOLLOWED: usize = 4_096;
/// How long one is followed: a customer at a bank takes some minutes.
const FOLLOWED_FOR: Duration = Duration::from_secs(15 * 60);
/// Looked for at first after so long, if nothing is heard, and then after twice as long as before.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// The most tenants of which the key is remembered.
const MAX_KEYS: usize = 5_000;

/// A try that is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// It may be sent after so long. Whether that is because cards from its address were refused, or because many others are under way.
    Wait(Duration, Why),
    /// Too many cards from its address were refused.
    Stopped(Duration),
}

/// Why a customer waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Cards were refused that came from his address.
    Refused,
    /// Many others pay at this moment.
    Busy,
}

/// The guard.
pub(crate) struct CardGuard {
    limits: Limits,
    tries: Arc<dyn CardTries>,
    keys: Mutex<Newest<Scope, NetworkKey, MAX_KEYS>>,
    places: Arc<Semaphore>,
    attack: Seldom,
    hidden: Seldom,
}

impl CardGuard {
    pub(crate) fn new(limits: Limits, tries: Arc<dyn CardTries>) -> Self {
        Self {
            limits,
            tries,
            keys: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_FOLLOWED)),
            attack: Seldom::default(),
            hidden: Seldom::default(),
        }
    }

    /// Whether this try may be sent. `Ok(Ok(_))`: what came of it is to be told by [`Self::follow`] or [`Self::drop`].
    pub(crate) async fn admit(
        &self,
        ctx: &ApiContext,
        scope: &Scope,
        client: Client,
        checkout: &CheckoutId,
        n: u32,
    ) -> Result<Result<CardTry, Held>, StoreError> {
        // Each form that is sent is a try of its own: one that is sent again ends itself, and not the one that is under way.
        let id = format!("{checkout}.{n}.{:x}", ctx.entropy().next_u64());
        let network = match client {
            Client::At(address) => self.key(ctx, scope).await?.name(address),
            Client::Hidden => {
                if let Some(held_back) = self.hidden.is_due() {
                    tracing::warn!(
                        held_back,
                        "customers come through a proxy that BOXOFFICE_TRUSTED_PROXIES does not name: where cards are tried out from cannot be told"
                    );
                }
                // A network of its own: only its tenant's counts are the same for all.
                id.clone()
            }
        };
        let card_try = CardTry { scope: scope.clone(), network, id };
        let facts = self.tries.begin(&card_try).await;
        let held = match self.limits.judge(&facts) {
            Verdict::Free => None,
            Verdict::Slow(wait) => Some((Held::Wait(wait, Why::Refused), "slowed")),
            Verdict::Crowded(wait) => Some((Held::Wait(wait, Why::Busy), "crowded")),
            Verdict::Stop(wait) => Some((Held::Stopped(wait), "stopped")),
            Verdict::InTurn(gap) => {
                self.tries.turn(scope, gap).await.map(|wait| (Held::Wait(self.spread(ctx, wait, gap), Why::Busy), "in_turn"))
            }
        };
        let Some((held, action)) = held else { return Ok(Ok(card_try)) };
        self.tries.end(&card_try, End::Neither).await;
        metrics::counter!("boxoffice_card_testing_total", "action" => action).increment(1);
        if matches!(action, "stopped" | "in_turn")
            && let Some(held_back) = self.attack.is_due()
        {
            let (refused, paid) = (facts.tenant_declined, facts.tenant_paid);
            tracing::warn!(%scope, action, refused, paid, held_back, "cards are being tried out on the page of this tenant");
        }
        Ok(Err(held))
    }

    /// When to come again: those who wait for a turn do not all come at once.
    fn spread(&self, ctx: &ApiContext, wait: Duration, gap: Duration) -> Duration {
        let millis = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX).saturating_mul(2).max(1);
        wait.saturating_add(Duration::from_millis(ctx.entropy().next_u64() % millis))
    }

    /// The key by which a tenant's networks are named: the same in all processes, and not in Redis.
    async fn key(&self, ctx: &ApiContext, scope: &Scope) -> Result<NetworkKey, StoreError> {
        let known = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(scope).cloned();
        if let Some(key) = known {
            return Ok(key);
        }
        let fresh = TicketKey::new_seed(ctx.entropy());
        let seeds = ctx.store().ticket_keys(scope, &fresh).await?;
        // The oldest: it stays when codes are signed with a new one.
        let key = NetworkKey::from_seed(seeds.last().unwrap_or(&fresh));
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(scope.clone(), key.clone());
        Ok(key)
    }

    /// It was not sent after all.
    pub(crate) async fn drop(&self, card_try: &CardTry) {
        self.tries.end(card_try, End::Neither).await;
    }

    /// It was sent, just now: what comes of it is counted, whoever waits for it or goes away. To be called before others can learn of it.
    pub(crate) fn follow(&self, ctx: &ApiContext, checkout: CheckoutId, n: u32, card_try: CardTry) {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        let Some((place, ticket)) = place.zip(ctx.waiters().register(&checkout, Interest::Settled)) else {
            metrics::counter!("boxoffice_card_testing_total", "action" => "unfollowed").increment(1);
            return;
        };
        let followed = Followed { ctx: ctx.clone(), tries: Arc::clone(&self.tries), checkout, n, card_try, ticket, _place: place };
        ctx.beside(followed.run());
    }
}

/// A try that was sent.
struct Followed {
    ctx: ApiContext,
    tries: Arc<dyn CardTries>,
    checkout: CheckoutId,
    n: u32,
    card_try: CardTry,
    ticket: Ticket,
    _place: OwnedSemaphorePermit,
}

impl Followed {
    async fn run(self) {
        let deadline = Instant::now() + FOLLOWED_FOR;
        let mut patience = FIRST_LOOK;
        let mut is_asked = false;
        while Instant::now() < deadline {
            self.ticket.woken_within(patience).await;
            patience = patience.saturating_mul(2).min(OPEN_FOR);
            if self.ticket.heard_end() == Some(Status::Succeeded) {
                return self.tries.end(&self.card_try, End::Paid).await;
            }
            // While the store does not answer there is nothing to count either.
            let Ok(Some(checkout)) = self.ctx.store().checkout(&self.checkout).await else { continue };
            if let Some(end) = card_testing::came_of(&checkout, self.n) {
                return self.tries.end(&self.card_try, end).await;
            }
            if !is_asked && card_testing::is_asked(&checkout, self.n) {
                // A customer at a bank or on a provider's page takes his time, and keeps nobody of his network waiting.
                is_asked = true;
                self.tries.end(&self.card_try, End::Neither).await;
            }
        }
    }
}
