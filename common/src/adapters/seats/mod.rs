//! The seat table: in this process, or Redis.
