//! What was shown a moment ago, so that the form that comes back, and the next page, need not ask the store for it once more.
//!
//! Of a checkout only what is frozen is believed (whose it is, its link, what the page offers); how it stands is the store's to say, which
//! compares the version. Settings and the secret that the way back is signed with are a second old at the most, and in this process never older
//! than what was put through it.

use boxoffice_common::{
    domain::{checkout::Checkout, id::CheckoutId, scope::Scope, secret::Secret, settings::Settings},
    newest::Newest,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many open forms are remembered.
const MOST_FORMS: usize = 1_024;
/// How many tenants' settings, and how many of their secrets, are.
const MOST_TENANTS: usize = 256;
/// How long what another process has put may not be seen here.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// Something of each tenant, and when it was asked for.
struct Lately<V>(Mutex<HashMap<Scope, (Instant, Arc<V>)>>);

impl<V> Default for Lately<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V> Lately<V> {
    fn get(&self, scope: &Scope) -> Option<Arc<V>> {
        let all = locked(&self.0);
        all.get(scope).filter(|(at, _)| at.elapsed() < BELIEVED_FOR).map(|(_, value)| Arc::clone(value))
    }

    fn read(&self, scope: &Scope, at: Instant, value: V) -> Arc<V> {
        let read = Arc::new(value);
        let mut all = locked(&self.0);
        if all.len() >= MOST_TENANTS {
            all.clear();
        }
        // What was asked for before somebody put another one is older than that, whenever the answer comes.
        let slot = all.entry(scope.clone()).or_insert_with(|| (at, Arc::clone(&read)));
        if slot.0 <= at {
            *slot = (at, Arc::clone(&read));
        }
        Arc::clone(&slot.1)
    }
}

/// What is remembered.
#[derive(Default)]
pub(crate) struct PageMemory {
    forms: Mutex<Newest<CheckoutId, Arc<Checkout>, MOST_FORMS>>,
    settings: Lately<Settings>,
    secrets: Lately<Secret<String>>,
}

impl PageMemory {
    /// A form for this checkout, as it stands, was shown.
    pub(super) fn shown(&self, checkout: &Arc<Checkout>) {
        locked(&self.forms).insert(checkout.id.clone(), Arc::clone(checkout));
    }

    /// The checkout as it was when its form was shown here.
    pub(super) fn form_of(&self, checkout: &CheckoutId) -> Option<Arc<Checkout>> {
        locked(&self.forms).get(checkout).map(Arc::clone)
    }

    /// A tenant's settings, if they were read a moment ago.
    pub(crate) fn settings_of(&self, scope: &Scope) -> Option<Arc<Settings>> {
        self.settings.get(scope)
    }

    /// They were read just now: asked for at `at`.
    pub(crate) fn read(&self, scope: &Scope, at: Instant, settings: Settings) -> Arc<Settings> {
        self.settings.read(scope, at, settings)
    }

    /// What a tenant's ways back are signed with, if it was read a moment ago.
    pub(super) fn secret_of(&self, scope: &Scope) -> Option<Arc<Secret<String>>> {
        self.secrets.get(scope)
    }

    /// It was read just now: asked for at `at`.
    pub(super) fn read_secret(&self, scope: &Scope, at: Instant, secret: Secret<String>) -> Arc<Secret<String>> {
        self.secrets.read(scope, at, secret)
    }

    /// It was rotated just now.
    pub(crate) fn put_secret(&self, scope: &Scope, secret: &Secret<String>) {
        self.secrets.read(scope, Instant::now(), secret.clone());
    }

    /// They were put just now.
    pub(crate) fn put(&self, scope: &Scope, settings: &Settings) {
        self.read(scope, Instant::now(), settings.clone());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_common::domain::scope::Mode;

    fn named(name: &str) -> Settings {
        Settings { name: Some(name.to_owned()), ..Settings::default() }
    }

    fn name(memory: &PageMemory, scope: &Scope) -> Option<String> {
        memory.settings_of(scope).and_then(|settings| settings.name.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn settings_are_remembered_for_a_second_and_what_is_put_counts_at_once() {
        let (memory, scope) = (PageMemory::default(), Scope::new("demo", Mode::Test).unwrap());
        let asked = Instant::now();
        memory.read(&scope, asked, named("Old"));
        assert_eq!(name(&memory, &scope).as_deref(), Some("Old"));
        tokio::time::advance(Duration::from_millis(10)).await;
        memory.put(&scope, &named("New"));
        // An answer that was on its way meanwhile.
        assert_eq!(memory.read(&scope, asked, named("Old")).name.as_deref(), Some("New"));
        tokio::time::advance(BELIEVED_FOR).await;
        assert_eq!(name(&memory, &scope), None);
        for n in 0..MOST_TENANTS * 2 {
            memory.read(&Scope::new(&format!("tenant{n}"), Mode::Test).unwrap(), asked, named("Other"));
        }
        assert!(locked(&memory.settings.0).len() <= MOST_TENANTS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_was_rotated_signs_at_once_and_is_its_tenants_alone() {
        let (memory, scope) = (PageMemory::default(), Scope::new("demo", Mode::Test).unwrap());
        let secret = |text: &str| Secret::new(text.to_owned());
        let asked = Instant::now();
        memory.read_secret(&scope, asked, secret("old"));
        memory.put_secret(&scope, &secret("new"));
        assert_eq!(memory.secret_of(&scope).unwrap().reveal(), "new");
        tokio::time::advance(Duration::from_millis(10)).await;
        memory.put_secret(&scope, &secret("newer"));
        // An answer that was on its way meanwhile.
        assert_eq!(memory.read_secret(&scope, asked, secret("old")).reveal(), "newer");
        for other in [Scope::new("demo", Mode::Live).unwrap(), Scope::new("other", Mode::Test).unwrap()] {
            assert!(memory.secret_of(&other).is_none());
        }
        tokio::time::advance(BELIEVED_FOR).await;
        assert!(memory.secret_of(&scope).is_none());
    }
}
