//! The payment providers that this process can use, by name.

use crate::ports::provider::PaymentProvider;
use std::{collections::BTreeMap, sync::Arc};

/// Two providers under one name: attempts could not tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are two payment providers named {0}")]
pub struct SameName(pub &'static str);

/// The registry. An attempt names its provider for ever, so a provider must stay here as long as its attempts are open.
#[derive(Clone, Default)]
pub struct Providers(BTreeMap<&'static str, Arc<dyn PaymentProvider>>);

impl Providers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more.
    pub fn with(mut self, provider: Arc<dyn PaymentProvider>) -> Result<Self, SameName> {
        let name = provider.name();
        match self.0.insert(name, provider) {
            None => Ok(self),
            Some(_) => Err(SameName(name)),
        }
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn PaymentProvider>> {
        self.0.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
