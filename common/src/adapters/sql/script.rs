//! Several writes as one statement: one round trip, whatever is to be written.
//!
//! On PostgreSQL they become one `WITH a AS (…), b AS (…) SELECT …`, whose parts all see the same snapshot: no write of a script may
//! depend on what another one of it has written. On SQLite they are statements one after the other.

use super::{
    bulk::{Rows, Type},
    db::{Tx, bind, failed, render},
    value::{Row, Value},
};
use crate::ports::store::StoreError;
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Either, Executor, Postgres, Row as _, Sqlite};

/// One write: a template as in `db`, without a `RETURNING` of its own.
pub(super) struct Write {
    sql: String,
    rows: Rows,
    args: Vec<Value>,
    /// What it is, for whoever reads that it went wrong, and how many rows it has to change.
    must: Option<(&'static str, u64)>,
    /// Columns to be returned of what it changed.
    returning: Option<&'static str>,
}

impl Write {
    /// Any number of rows may change.
    pub(super) fn new(sql: impl Into<String>, rows: Rows) -> Self {
        Self { sql: sql.into(), rows, args: Vec::new(), must: None, returning: None }
    }

    /// `INSERT INTO {table} (…) SELECT … FROM {rows}`; every row must go in.
    pub(super) fn insert(table: &'static str, rows: Rows) -> Self {
        let count = rows.data.len() as u64;
        Self::new(format!("INSERT INTO {table} ({{names}}) SELECT {{names}} FROM {{rows}}"), rows).must_change(table, count)
    }

    /// With further arguments `{1}`, `{2}`, ….
    pub(super) fn with(mut self, args: impl Into<Vec<Value>>) -> Self {
        self.args = args.into();
        self
    }

    /// Anything but `count` changed rows is our own bug.
    pub(super) fn must_change(mut self, what: &'static str, count: u64) -> Self {
        self.must = Some((what, count));
        self
    }

    /// Returns these columns of what it changed. One write of a script at the most.
    pub(super) fn returning(mut self, columns: &'static str) -> Self {
        self.returning = Some(columns);
        self
    }
}

/// What a script did.
pub(super) struct Written {
    /// How many rows each write changed.
    pub(super) counts: Vec<u64>,
    rows: Vec<Row>,
    /// Where the returned columns begin.
    from: usize,
}

impl Written {
    /// The rows of the write that returns some, and the column at which they begin.
    pub(super) fn returned(&self) -> impl Iterator<Item = (&Row, usize)> {
        self.rows.iter().map(|row| (row, self.from))
    }
}

impl Tx<'_> {
    /// Runs those that have rows, all at once.
    pub(super) async fn run(&mut self, writes: Vec<Write>) -> Result<Written, StoreError> {
        let writes: Vec<Write> = writes.into_iter().filter(|write| !write.rows.is_empty()).collect();
        if writes.is_empty() {
            return Ok(Written { counts: Vec::new(), rows: Vec::new(), from: 0 });
        }
        let written = match self {
            Self::Postgres(tx) => {
                let mut query = sqlx::query::<Postgres>(AssertSqlSafe(postgres(&writes)));
                for write in &writes {
                    query = bind!(@args bind!(@rows Postgres, query, write.rows), &write.args);
                }
                postgres_written(&writes, query.fetch_all(&mut **tx).await.map_err(failed)?)?
            }
            Self::Sqlite(tx, _) => {
                let mut query = sqlx::query::<Sqlite>(AssertSqlSafe(sqlite(&writes)));
                for write in &writes {
                    query = bind!(@args bind!(@rows Sqlite, query, write.rows), &write.args);
                }
                let (mut counts, mut rows) = (Vec::with_capacity(writes.len()), Vec::new());
                let mut steps = (&mut **tx).fetch_many(query);
                while let Some(step) = steps.try_next().await.map_err(failed)? {
                    match step {
                        Either::Left(done) => counts.push(done.rows_affected()),
                        Either::Right(row) => rows.push(Row::Sqlite(row)),
                    }
                }
                Written { counts, rows, from: 0 }
            }
        };
        for (write, count) in writes.iter().zip(&written.counts) {
            if let Some((what, must)) = write.must.filter(|(_, must)| must != count) {
                return Err(StoreError::Inconsistent(format!("{what}: {count} rows changed instead of {must}")));
            }
        }
        Ok(written)
    }
}

/// `WITH w0 AS (… RETURNING 1), … SELECT (SELECT COUNT(*) FROM w0), …, w1.* FROM (SELECT) one LEFT JOIN w1 ON true`.
fn postgres(writes: &[Write]) -> String {
    let (mut parts, mut counts, mut from, mut taken) = (Vec::new(), Vec::new(), String::new(), 0);
    for (n, write) in writes.iter().enumerate() {
        let sql = render(&write.sql, Some(&write.rows), true, taken);
        taken += write.rows.width(true) + write.args.len();
        parts.push(format!("w{n} AS ({sql} RETURNING {})", write.returning.unwrap_or("1")));
        counts.push(format!("(SELECT COUNT(*) FROM w{n})"));
        if write.returning.is_some() {
            from = format!(" FROM (SELECT) one LEFT JOIN w{n} ON true");
        }
    }
    let returned = writes.iter().position(|write| write.returning.is_some()).map_or(String::new(), |n| format!(", w{n}.*"));
    format!("WITH {} SELECT {}{returned}{from}", parts.join(", "), counts.join(", "))
}

fn postgres_written(writes: &[Write], rows: Vec<sqlx::postgres::PgRow>) -> Result<Written, StoreError> {
    let from = writes.len();
    let Some(first) = rows.first() else { return Err(StoreError::Corrupt("a script without an answer".to_owned())) };
    let counts = (0..from).map(|at| first.try_get::<i64, _>(at).map(i64::unsigned_abs)).collect::<Result<_, _>>().map_err(failed)?;
    let mut rows: Vec<Row> = rows.into_iter().map(Row::Postgres).collect();
    if writes.iter().all(|write| write.returning.is_none()) {
        rows.clear();
    }
    // Nothing was returned: the outer join still makes a row.
    rows.retain(|row| !matches!(row.is_null(from), Ok(true)));
    Ok(Written { counts, rows, from })
}

fn sqlite(writes: &[Write]) -> String {
    let mut taken = 0;
    let parts = writes.iter().map(|write| {
        let sql = render(&write.sql, Some(&write.rows), false, taken);
        taken += write.rows.width(false) + write.args.len();
        match write.returning {
            Some(columns) => format!("{sql} RETURNING {columns}"),
            None => sql,
        }
    });
    parts.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Vec<Write> {
        let mut numbered = Rows::new(&[("id", Type::Text), ("n", Type::Int)]);
        numbered.push(["a".into(), 1i64.into()]);
        vec![
            Write::insert("things", numbered),
            Write::new("UPDATE others SET state = {1} WHERE id IN (SELECT id FROM {rows})", Rows::ids(["a"]))
                .with([Value::Int(1)])
                .returning("id"),
        ]
    }

    #[test]
    fn on_postgresql_a_script_is_one_statement_that_counts_for_each_write() {
        assert_eq!(
            postgres(&two()),
            "WITH w0 AS (INSERT INTO things (id, n) SELECT id, n FROM UNNEST($1::text[], $2::bigint[]) AS r(id, n) RETURNING 1), \
             w1 AS (UPDATE others SET state = $4 WHERE id IN (SELECT id FROM UNNEST($3::text[]) AS r(id)) RETURNING id) \
             SELECT (SELECT COUNT(*) FROM w0), (SELECT COUNT(*) FROM w1), w1.* FROM (SELECT) one LEFT JOIN w1 ON true"
        );
    }

    #[test]
    fn on_sqlite_a_script_is_one_statement_after_the_other_with_arguments_numbered_through() {
        assert_eq!(
            sqlite(&two()),
            "INSERT INTO things (id, n) SELECT id, n FROM (SELECT value->>0 AS id, value->>1 AS n FROM jsonb_each($1)) AS r; \
             UPDATE others SET state = $3 WHERE id IN (SELECT id FROM (SELECT value->>0 AS id FROM jsonb_each($2)) AS r) RETURNING id"
        );
    }
}
