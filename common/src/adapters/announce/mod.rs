//! Announcements: in this process, or through Redis pub/sub.
