//! The store in SQL, written once for PostgreSQL and SQLite.
