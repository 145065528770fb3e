//! Named failpoints: before and after every effect on the outside, a test can kill, stop, delay or fail this process.
//!
//! `BOXOFFICE_FAILPOINTS="charge.before_send=kill@3;settle.after_commit=sleep(200)"`: an action, from its n-th crossing on
//! (`@n`, else the first). Compiled out of release builds.

use std::{collections::HashMap, sync::OnceLock, sync::atomic::AtomicU64, sync::atomic::Ordering, time::Duration};

/// Every failpoint, so that a test can cross them all.
pub const NAMES: &[&str] = &[
    "accept.before_commit",
    "accept.after_commit",
    "publish.before",
    "publish.after",
    "seats.before_try",
    "seats.after_try",
    "begin.before_commit",
    "begin.after_commit",
    "lease.before_check",
    "charge.before_send",
    "charge.after_send",
    "settle.before_commit",
    "settle.after_commit",
    "announce.before",
    "delivery.before_take",
    "delivery.before_send",
    "delivery.after_send",
    "delivery.after_record",
    "event.before_commit",
    "event.after_commit",
    "event.before_close",
    "job.after_batch",
    "change.before_commit",
    "change.after_commit",
    "renew.before_commit",
    "renew.after_commit",
    "ack.before",
    "ack.after",
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Do {
    Kill,
    Stop,
    Sleep(Duration),
    Fail,
}

#[derive(Debug)]
struct Point {
    from: u64,
    action: Do,
    crossed: AtomicU64,
}

/// The failure that a failpoint was told to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a failpoint was told to fail here")]
pub struct Told;

fn points() -> &'static HashMap<String, Point> {
    static POINTS: OnceLock<HashMap<String, Point>> = OnceLock::new();
    POINTS.get_or_init(|| std::env::var("BOXOFFICE_FAILPOINTS").map(|text| parse(&text)).unwrap_or_default())
}

fn parse(text: &str) -> HashMap<String, Point> {
    let mut points = HashMap::new();
    for rule in text.split(';').map(str::trim).filter(|rule| !rule.is_empty()) {
        let Some((name, action)) = rule.split_once('=') else { continue };
        let (action, from) = action.split_once('@').map_or((action, 1), |(action, n)| (action, n.parse().unwrap_or(1)));
        let sleep = action.strip_prefix("sleep(").and_then(|rest| rest.strip_suffix(')')).and_then(|ms| ms.parse().ok());
        let action = match (action, sleep) {
            ("kill", _) => Do::Kill,
            ("stop", _) => Do::Stop,
            ("fail", _) => Do::Fail,
            (_, Some(ms)) => Do::Sleep(Duration::from_millis(ms)),
            _ => continue,
        };
        points.insert(name.to_owned(), Point { from, action, crossed: AtomicU64::new(0) });
    }
    points
}

/// Crosses the failpoint `name`. Does nothing, and costs nothing, in release builds.
pub async fn cross(name: &'static str) -> Result<(), Told> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    debug_assert!(NAMES.contains(&name), "{name} is not in the list of failpoints");
    let Some(point) = points().get(name) else { return Ok(()) };
    let nth = point.crossed.fetch_add(1, Ordering::SeqCst) + 1;
    if nth < point.from {
        return Ok(());
    }
    match point.action {
        Do::Kill => kill(rustix::process::Signal::KILL),
        // Only once: the process is woken to go on.
        Do::Stop if nth == point.from => kill(rustix::process::Signal::STOP),
        Do::Stop => {}
        Do::Sleep(how_long) => tokio::time::sleep(how_long).await,
        Do::Fail => return Err(Told),
    }
    Ok(())
}

/// How long a stop may take to reach this thread.
const STOP_REACHES_ALL: Duration = Duration::from_millis(50);

fn kill(signal: rustix::process::Signal) {
    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    if signal == rustix::process::Signal::KILL {
        // The signal is on its way; nothing may happen after it.
        loop {
            std::thread::park();
        }
    }
    // Another thread may have taken the signal: this one must not go on before all of them stand still.
    std::thread::sleep(STOP_REACHES_ALL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_an_action_and_a_crossing() {
        let points = parse("a.b=kill@3; c=sleep(20);nonsense;d=explode");
        assert_eq!(points.get("a.b").map(|point| (point.from, point.action)), Some((3, Do::Kill)));
        assert_eq!(points.get("c").map(|point| point.action), Some(Do::Sleep(Duration::from_millis(20))));
        assert_eq!(points.len(), 2);
    }

    #[tokio::test]
    async fn nothing_happens_unless_told() {
        for name in NAMES {
            assert_eq!(cross(name).await, Ok(()));
        }
    }
}
