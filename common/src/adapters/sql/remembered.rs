//! Checkouts as this process has committed them, so that its next step with one need not read and parse all of it once more.
//!
//! Always: what is taken from here is compared with the version that the locked row tells ([`super::load::lock_known`]), and read anew when
//! that is another one. Never remembered before its COMMIT is answered: the same version might come to say something else.

use crate::{
    domain::{checkout::Checkout, id::CheckoutId},
    newest::Newest,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// How many are remembered.
const MOST: usize = 1_024;

/// What is remembered. Where many processes take turns with a checkout nothing is: the next step is mostly another's, and what is
/// out of date costs a statement.
pub(super) struct Remembered(Option<Mutex<Newest<CheckoutId, Arc<Checkout>, MOST>>>);

impl Remembered {
    /// Remembers something only when this process is `alone` with its store.
    pub(super) fn new(alone: bool) -> Self {
        Self(alone.then(Mutex::default))
    }

    /// For as long as there is room. Called behind the COMMIT.
    pub(super) fn keep(&self, committed: impl IntoIterator<Item = Checkout>) {
        let Some(newest) = &self.0 else { return };
        let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
        committed.into_iter().for_each(|checkout| newest.insert(checkout.id.clone(), Arc::new(checkout)));
    }

    /// What is remembered of these. They stay: who was first to ask may not be who goes on.
    pub(super) fn of<'i>(&self, ids: impl Iterator<Item = &'i CheckoutId>) -> HashMap<CheckoutId, Arc<Checkout>> {
        let Some(newest) = &self.0 else { return HashMap::new() };
        let newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
        ids.filter_map(|id| Some((id.clone(), Arc::clone(newest.get(id)?)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{order::Order, scope::Scope, time::Timestamp};

    fn order() -> Order {
        serde_json::from_str(
            r#"{"currency": "usd", "lines": [], "totals": {"subtotal": 0, "discount": 0, "tax": 0, "total": 0}, "legs": []}"#,
        )
        .unwrap()
    }

    fn checkout(n: usize, version: i64) -> Checkout {
        let scope = Scope::parse("demo/test").unwrap();
        let id = CheckoutId::parse(format!("chk_{n}")).unwrap();
        let (now, later) = (Timestamp::from_millis(1), Timestamp::from_millis(9));
        Checkout { version, ..Checkout::queued(id, scope, order(), now, later) }
    }

    fn version(remembered: &Remembered, n: usize) -> Option<i64> {
        let id = checkout(n, 1).id;
        remembered.of([&id].into_iter()).into_values().next().map(|checkout| checkout.version)
    }

    #[test]
    fn the_newest_is_remembered_and_only_so_many() {
        let remembered = Remembered::new(true);
        remembered.keep([checkout(0, 1), checkout(1, 1), checkout(0, 2)]);
        assert_eq!((version(&remembered, 0), version(&remembered, 1), version(&remembered, 2)), (Some(2), Some(1), None));
        remembered.keep((2..MOST + 1).map(|n| checkout(n, 1)));
        assert_eq!((version(&remembered, 0), version(&remembered, 1), version(&remembered, MOST)), (None, Some(1), Some(1)));
    }

    #[test]
    fn who_is_not_alone_remembers_nothing() {
        let remembered = Remembered::new(false);
        remembered.keep([checkout(0, 1)]);
        assert_eq!(version(&remembered, 0), None);
    }
}
