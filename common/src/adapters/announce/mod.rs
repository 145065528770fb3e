//! Announcements: in this process ([`MemoryAnnouncer`]), or through Redis pub/sub ([`RedisAnnouncer`]).

mod memory;
mod redis;

pub use memory::MemoryAnnouncer;
pub use redis::RedisAnnouncer;

/// How many announcements a listener may lie behind before it misses some.
const LISTENER_BUFFER: usize = 16_384;
