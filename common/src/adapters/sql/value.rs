//! Values and rows in the few shapes that both databases share: text, 64-bit integers, and nothing.

use crate::ports::store::StoreError;
use serde::{Serialize, Serializer};
use sqlx::{Row as _, ValueRef as _, postgres::PgRow, sqlite::SqliteRow};

/// A value to be bound.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Text(String),
    Int(i64),
    Null,
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Int(int) => serializer.serialize_i64(*int),
            Self::Null => serializer.serialize_unit(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Value {
    /// PostgreSQL takes no NUL in a text, and a provider's answer has to be recorded whatever stands in it.
    fn from(text: String) -> Self {
        Self::Text(if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text })
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<u32> for Value {
    fn from(int: u32) -> Self {
        Self::Int(i64::from(int))
    }
}

impl From<usize> for Value {
    fn from(int: usize) -> Self {
        Self::Int(i64::try_from(int).unwrap_or(i64::MAX))
    }
}

impl From<crate::domain::time::Timestamp> for Value {
    fn from(at: crate::domain::time::Timestamp) -> Self {
        Self::Int(at.millis())
    }
}

impl From<crate::domain::money::Amount> for Value {
    fn from(amount: crate::domain::money::Amount) -> Self {
        Self::Int(amount.minor())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(maybe: Option<T>) -> Self {
        maybe.map_or(Self::Null, Into::into)
    }
}

/// A row of an answer, read by position.
pub(super) enum Row {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

impl Row {
    pub(super) fn maybe_text(&self, at: usize) -> Result<Option<String>, StoreError> {
        match self {
            Self::Postgres(row) => row.try_get(at),
            Self::Sqlite(row) => row.try_get(at),
        }
        .map_err(corrupt)
    }

    pub(super) fn maybe_int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Postgres(row) => row.try_get(at),
            Self::Sqlite(row) => row.try_get(at),
        }
        .map_err(corrupt)
    }

    pub(super) fn is_null(&self, at: usize) -> Result<bool, StoreError> {
        match self {
            Self::Postgres(row) => row.try_get_raw(at).map(|value| value.is_null()),
            Self::Sqlite(row) => row.try_get_raw(at).map(|value| value.is_null()),
        }
        .map_err(corrupt)
    }

    pub(super) fn text(&self, at: usize) -> Result<String, StoreError> {
        self.maybe_text(at)?.ok_or_else(|| corrupt(format!("column {at} is null")))
    }

    pub(super) fn int(&self, at: usize) -> Result<i64, StoreError> {
        self.maybe_int(at)?.ok_or_else(|| corrupt(format!("column {at} is null")))
    }

    /// A count or another number that fits 32 bits.
    pub(super) fn count(&self, at: usize) -> Result<u32, StoreError> {
        u32::try_from(self.int(at)?).map_err(corrupt)
    }

    pub(super) fn time(&self, at: usize) -> Result<crate::domain::time::Timestamp, StoreError> {
        self.int(at).map(crate::domain::time::Timestamp::from_millis)
    }

    pub(super) fn maybe_time(&self, at: usize) -> Result<Option<crate::domain::time::Timestamp>, StoreError> {
        Ok(self.maybe_int(at)?.map(crate::domain::time::Timestamp::from_millis))
    }
}

/// A stored value that cannot be read.
pub(super) fn corrupt(why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(why.to_string())
}
