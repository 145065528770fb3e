//! CPU time and memory of processes, read from `/proc`.

use std::{fs, time::Duration};

/// Linux reports process times in hundredths of a second to user space, whatever its own tick is (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// What a process has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// User and system time of the process itself, in steps of 10 ms.
    pub cpu: Duration,
    /// The same for its children that have ended and were waited for.
    pub dead_children_cpu: Duration,
    /// Memory in use now, in bytes.
    pub resident_bytes: u64,
    /// The most it ever used, in bytes.
    pub peak_bytes: u64,
}

/// What process `pid` has used; `None` when it is gone.
pub fn of(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = fields(&stat)?;
    let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    Some(Usage {
        cpu: TICK * (ticks(UTIME) + ticks(UTIME + 1)),
        dead_children_cpu: TICK * (ticks(UTIME + 2) + ticks(UTIME + 3)),
        resident_bytes: kibibytes(&status, "VmRSS:"),
        peak_bytes: kibibytes(&status, "VmHWM:"),
    })
}

/// Whether `pid` still runs. A dead process that its parent has not waited for is not alive.
pub fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    fields(&stat).and_then(|fields| fields.first().copied()).is_some_and(|state| state != "Z" && state != "X")
}

/// What a process and all its living descendants have used together, with the children that already ended.
/// Memory pages that they share are counted once for each.
pub fn of_tree(pid: u32) -> Usage {
    let mut total = Usage::default();
    for usage in tree(pid).into_iter().filter_map(of) {
        total.cpu += usage.cpu + usage.dead_children_cpu;
        total.resident_bytes += usage.resident_bytes;
        total.peak_bytes += usage.peak_bytes;
    }
    total
}

/// A process and all its living descendants.
fn tree(pid: u32) -> Vec<u32> {
    let table = parents();
    let mut found = vec![pid];
    let mut looked_at = 0;
    while let Some(parent) = found.get(looked_at).copied() {
        found.extend(table.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        looked_at += 1;
    }
    found
}

/// Memory of a process and all its living descendants, in bytes, with pages that several share split between them. Zero where the kernel
/// does not say.
pub fn proportional_bytes_of_tree(pid: u32) -> u64 {
    let own = |pid: &u32| kibibytes(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default(), "Pss:");
    tree(pid).iter().map(own).sum()
}

/// The living children of `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    parents().into_iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| child).collect()
}

/// Where the fields after the command's name begin to matter: parent, and user time.
const PARENT: usize = 1;
const UTIME: usize = 11;

/// The fields behind the command's name, which is in parentheses and may hold anything.
fn fields(stat: &str) -> Option<Vec<&str>> {
    stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect())
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    let parent = |pid: u32| fields(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?.get(PARENT)?.parse().ok();
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

fn kibibytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn time_that_we_burn_is_seen() {
        let before = of(std::process::id()).unwrap();
        let start = Instant::now();
        while of(std::process::id()).unwrap().cpu < before.cpu + Duration::from_millis(100) {
            assert!(start.elapsed() < Duration::from_secs(60), "a busy loop did not show up as CPU time");
        }
        let after = of(std::process::id()).unwrap();
        assert!(after.cpu - before.cpu <= start.elapsed() * 64, "more CPU time than any machine has");
        assert!(after.peak_bytes >= after.resident_bytes && after.resident_bytes > 0);
    }

    #[test]
    fn a_name_full_of_parentheses_does_not_shift_the_fields() {
        let stat = "12 (a) b (c)) S 7 12 12 0 -1 4194560 1 2 3 4 150 50 30 20 20 0";
        let fields = fields(stat).unwrap();
        assert_eq!((fields[PARENT], fields[UTIME], fields[UTIME + 1]), ("7", "150", "50"));
    }

    #[test]
    fn a_child_belongs_to_the_tree() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(children(std::process::id()).contains(&child.id()));
        assert!(proportional_bytes_of_tree(std::process::id()) > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(of(child.id()), None);
    }
}
