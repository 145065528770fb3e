//! Counts of tries to pay by card: in this process, or in Redis for all processes of the API.
//!
//! | file | owns |
//! |---|---|
//! | `memory` | the counts in this process, bounded |
//! | `redis` | the counts in Redis; while it does not answer, those in this process |

mod memory;
mod redis;

pub use memory::MemoryCardTries;
pub use redis::RedisCardTries;
