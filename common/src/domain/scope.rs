//! Whose an object is: the tenant and the mode. Nothing crosses a scope.

use super::id::BadId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Test objects never meet live ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Sandbox money.
    Test,
    /// Real money.
    Live,
}

impl Mode {
    /// As it stands in a scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }
}

/// A tenant in one mode, stored and keyed as `tenant/mode`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    text: String,
    mode: Mode,
}

impl Scope {
    /// Tenants are `[A-Za-z0-9_-]{1,64}`.
    pub fn new(tenant: &str, mode: Mode) -> Result<Self, BadId> {
        super::id::CatalogueId::parse(tenant)?;
        Ok(Self { text: format!("{tenant}/{}", mode.as_str()), mode })
    }

    /// Reads `tenant/mode` back from the store.
    pub fn parse(text: &str) -> Option<Self> {
        let (tenant, mode) = text.split_once('/')?;
        let mode = [Mode::Test, Mode::Live].into_iter().find(|known| known.as_str() == mode)?;
        Self::new(tenant, mode).ok()
    }

    /// `tenant/mode`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The tenant's name.
    pub fn tenant(&self) -> &str {
        self.text.split_once('/').map_or("", |(tenant, _)| tenant)
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether real money moves.
    pub fn is_live(&self) -> bool {
        self.mode == Mode::Live
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
