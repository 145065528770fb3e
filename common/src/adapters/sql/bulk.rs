//! Many rows in one statement, written once for both databases.
//!
//! A statement says `… FROM {rows}` and names the columns; PostgreSQL gets one array a column (`UNNEST`), SQLite one JSON
//! text (`jsonb_each`: its inner values need no second parse). Either way the statement's text is the same for any number of rows, so that it is prepared once.

use super::value::Value;

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Int,
}

/// A column: its name in the statement, and its type.
pub(super) type Column = (&'static str, Type);

/// Rows to be bound as `{rows}`.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) columns: &'static [Column],
    pub(super) data: Vec<Vec<Value>>,
}

impl Rows {
    pub(super) fn new(columns: &'static [Column]) -> Self {
        Self { columns, data: Vec::new() }
    }

    /// Rows of one text column.
    pub(super) fn ids<I: IntoIterator>(ids: I) -> Self
    where
        I::Item: Into<String>,
    {
        let data = ids.into_iter().map(|id| vec![Value::Text(id.into())]).collect();
        Self { columns: &[("id", Type::Text)], data }
    }

    /// Adds a row, in the order of the columns.
    pub(super) fn push<const N: usize>(&mut self, row: [Value; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.data.push(row.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// `UNNEST($1::text[], $2::bigint[]) AS r(id, n)`, where `taken` arguments come before.
    pub(super) fn postgres_source(&self, taken: usize) -> String {
        let arrays: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, (_, kind))| format!("${}::{}[]", taken + at + 1, if *kind == Type::Text { "text" } else { "bigint" }))
            .collect();
        format!("UNNEST({}) AS r({})", arrays.join(", "), self.names())
    }

    /// `(SELECT value->>0 AS id, … FROM jsonb_each($1)) AS r`, where `taken` arguments come before.
    pub(super) fn sqlite_source(&self, taken: usize) -> String {
        let columns: Vec<String> = self.columns.iter().enumerate().map(|(at, (name, _))| format!("value->>{at} AS {name}")).collect();
        format!("(SELECT {} FROM jsonb_each(${})) AS r", columns.join(", "), taken + 1)
    }

    /// How many arguments the rows are bound as.
    pub(super) fn width(&self, postgres: bool) -> usize {
        if postgres { self.columns.len() } else { 1 }
    }

    /// The column names, for `INSERT INTO t ({names}) SELECT {names} FROM {rows}`.
    pub(super) fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// The texts of a column.
    pub(super) fn texts(&self, at: usize) -> Vec<Option<&str>> {
        self.data.iter().map(|row| if let Some(Value::Text(text)) = row.get(at) { Some(text.as_str()) } else { None }).collect()
    }

    /// The integers of a column.
    pub(super) fn ints(&self, at: usize) -> Vec<Option<i64>> {
        self.data.iter().map(|row| if let Some(Value::Int(int)) = row.get(at) { Some(*int) } else { None }).collect()
    }
}
