//! The counts in this process: of so many networks and tenants, the oldest of which are forgotten first.

use crate::{
    domain::{
        card_testing::{End, Facts, MOST_KEPT, OPEN_FOR},
        scope::Scope,
    },
    newest::Newest,
    ports::card_tries::{CardTries, CardTry},
};
use async_trait::async_trait;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The most networks of which anything is known.
const MAX_NETWORKS: usize = 20_000;
/// The most tenants.
const MAX_TENANTS: usize = 5_000;
/// The most tries of one network that are under way: more than any bound.
const MAX_OPEN: usize = 2 * MOST_KEPT;

/// The counts in this process.
pub struct MemoryCardTries {
    window: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    networks: Newest<(Scope, String), Network, MAX_NETWORKS>,
    tenants: Newest<Scope, Tenant, MAX_TENANTS>,
}

/// Ids with when it was, the oldest first.
#[derive(Default)]
struct Network {
    declined: VecDeque<(String, Instant)>,
    paid: VecDeque<(String, Instant)>,
    open: VecDeque<(String, Instant)>,
}

/// What was counted in this window and the one before.
struct Tenant {
    began: Instant,
    now: Counts,
    before: Counts,
    /// When it is somebody's turn again.
    next: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    declined: u32,
    paid: u32,
}

impl Network {
    fn forget(&mut self, now: Instant, window: Duration) {
        let keep =
            |list: &mut VecDeque<(String, Instant)>, life: Duration| list.retain(|(_, at)| now.saturating_duration_since(*at) < life);
        keep(&mut self.declined, window);
        keep(&mut self.paid, window);
        keep(&mut self.open, OPEN_FOR);
    }

    fn close(&mut self, id: &str) {
        self.open.retain(|(open, _)| open != id);
    }

    /// Whether this try is not in the list yet: the same one told twice counts once.
    fn is_new_in(list: &mut VecDeque<(String, Instant)>, id: &str, now: Instant) -> bool {
        let is_new = !list.iter().any(|(known, _)| known == id);
        if is_new {
            list.push_back((id.to_owned(), now));
            list.drain(..list.len().saturating_sub(MOST_KEPT));
        }
        is_new
    }
}

impl Tenant {
    fn new(now: Instant) -> Self {
        Self { began: now, now: Counts::default(), before: Counts::default(), next: None }
    }

    /// Moves on to the window that `now` is in.
    fn roll(&mut self, now: Instant, window: Duration) {
        let age = now.saturating_duration_since(self.began);
        if age >= window.saturating_mul(2) {
            *self = Self { next: self.next, ..Self::new(now) };
        } else if age >= window {
            self.began += window;
            self.before = std::mem::take(&mut self.now);
        }
    }

    /// About how many: of the window before, as much as still counts, as if it had come evenly.
    fn about(&self, now: Instant, window: Duration, count: impl Fn(&Counts) -> u32) -> u32 {
        let age = now.saturating_duration_since(self.began).min(window);
        let (left, whole) = ((window - age).as_millis(), window.as_millis().max(1));
        let before = u128::from(count(&self.before)) * left / whole;
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(count(&self.now))
    }
}

impl State {
    fn tenant(&mut self, scope: &Scope, now: Instant, window: Duration) -> Option<&mut Tenant> {
        if self.tenants.get(scope).is_none() {
            self.tenants.insert(scope.clone(), Tenant::new(now));
        }
        let tenant = self.tenants.get_mut(scope)?;
        tenant.roll(now, window);
        Some(tenant)
    }

    fn network(&mut self, card_try: &CardTry, now: Instant, window: Duration) -> Option<&mut Network> {
        let key = (card_try.scope.clone(), card_try.network.clone());
        if self.networks.get(&key).is_none() {
            self.networks.insert(key.clone(), Network::default());
        }
        let network = self.networks.get_mut(&key)?;
        network.forget(now, window);
        Some(network)
    }
}

impl MemoryCardTries {
    /// Counts refusals of the last `window`.
    pub fn new(window: Duration) -> Self {
        Self { window, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CardTries for MemoryCardTries {
    async fn begin(&self, card_try: &CardTry) -> Facts {
        let (now, window) = (Instant::now(), self.window);
        let mut state = self.state();
        let mut facts = Facts::default();
        if let Some(network) = state.network(card_try, now, window) {
            network.close(&card_try.id);
            facts.open = u32::try_from(network.open.len()).unwrap_or(u32::MAX);
            facts.declined = network.declined.iter().rev().map(|(_, at)| now.saturating_duration_since(*at)).collect();
            if network.open.len() < MAX_OPEN {
                network.open.push_back((card_try.id.clone(), now));
            }
        }
        if let Some(tenant) = state.tenant(&card_try.scope, now, window) {
            facts.tenant_declined = tenant.about(now, window, |counts| counts.declined);
            facts.tenant_paid = tenant.about(now, window, |counts| counts.paid);
        }
        facts
    }

    async fn end(&self, card_try: &CardTry, end: End) {
        let (now, window) = (Instant::now(), self.window);
        let mut state = self.state();
        let Some(network) = state.network(card_try, now, window) else { return };
        network.close(&card_try.id);
        let counts = match end {
            End::Neither => false,
            End::Declined => Network::is_new_in(&mut network.declined, &card_try.id, now),
            End::Paid => {
                let is_new = Network::is_new_in(&mut network.paid, &card_try.id, now);
                if is_new {
                    network.declined.pop_front();
                }
                is_new
            }
        };
        if let Some(tenant) = state.tenant(&card_try.scope, now, window).filter(|_| counts) {
            let count = if end == End::Paid { &mut tenant.now.paid } else { &mut tenant.now.declined };
            *count = count.saturating_add(1);
        }
    }

    async fn turn(&self, scope: &Scope, gap: Duration) -> Option<Duration> {
        let now = Instant::now();
        let mut state = self.state();
        let tenant = state.tenant(scope, now, self.window)?;
        match tenant.next.map(|next| next.saturating_duration_since(now)).filter(|wait| !wait.is_zero()) {
            Some(wait) => Some(wait),
            None => {
                tenant.next = Some(now + gap);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scope::Mode;

    #[tokio::test(start_paused = true)]
    async fn of_any_number_of_networks_and_tries_only_so_much_is_kept() {
        let tries = MemoryCardTries::new(Duration::from_secs(60));
        let scope = Scope::new("shop", Mode::Test).unwrap();
        let card_try = |network: usize, n: usize| CardTry { scope: scope.clone(), network: network.to_string(), id: n.to_string() };
        for n in 0..10 * MOST_KEPT {
            tries.begin(&card_try(0, n)).await;
        }
        assert_eq!(tries.begin(&card_try(0, usize::MAX)).await.open, u32::try_from(MAX_OPEN).unwrap());
        for n in 0..10 * MOST_KEPT {
            tries.end(&card_try(0, n), End::Declined).await;
        }
        assert_eq!(tries.begin(&card_try(0, usize::MAX)).await.declined.len(), MOST_KEPT);
        for network in 1..MAX_NETWORKS + 10 {
            tries.end(&card_try(network, 1), End::Declined).await;
        }
        let state = tries.state();
        assert_eq!(state.networks.room_taken(), MAX_NETWORKS);
        assert!(state.networks.get(&(scope.clone(), "0".to_owned())).is_none(), "the oldest is forgotten");
    }
}
