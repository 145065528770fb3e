//! Free loopback ports that stay ours: a server that is killed must find its port again.
//!
//! Ports come from below the kernel's ephemeral range, so that no outgoing connection takes one while its server is down, and each is
//! locked by a file, so that test processes running side by side never choose the same.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// First port of our range.
const FIRST: u16 = 15_000;
/// How many ports the range has; it ends below 32,768, where Linux begins to hand out ports for outgoing connections.
const COUNT: u16 = 17_000;
/// How many ports are tried before giving up.
const TRIES: u32 = 500;

/// A loopback port, ours until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a port on which nothing listens. Errors: the lock folder cannot be written, or no port of the range is free.
    pub fn reserve() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("boxoffice-ports-{}", rustix::process::getuid().as_raw()));
        fs::create_dir_all(&folder)?;
        for attempt in 0..TRIES {
            let number = candidate(attempt);
            let lock = File::create(folder.join(number.to_string()))?;
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, format!("no free loopback port in {TRIES} tries from {FIRST}")))
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// Spreads processes and calls over the range, so that the first try is nearly always free.
fn candidate(attempt: u32) -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let mixed = nanos ^ process::id().wrapping_mul(0x9E37_79B1) ^ call.wrapping_mul(0x85EB_CA6B) ^ attempt.wrapping_mul(0xC2B2_AE35);
    FIRST + u16::try_from(mixed % u32::from(COUNT)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_port_is_handed_out_twice_while_it_is_held() {
        let held: Vec<Port> = (0..200).map(|_| Port::reserve().unwrap()).collect();
        let numbers: HashSet<u16> = held.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), held.len());
        assert!(numbers.iter().all(|number| (FIRST..FIRST + COUNT).contains(number)));
    }
}
