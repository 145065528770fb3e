//! CPU time and memory of the processes that take part.

use boxoffice_testkit::usage;
use std::time::Duration;

/// How a part's processes are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// One process.
    Process,
    /// A process and its children, dead ones included: PostgreSQL's backends, RabbitMQ's helpers.
    Tree,
}

/// A part of the system whose cost counts.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) pid: u32,
    pub(super) extent: Extent,
}

impl Part {
    /// One process.
    pub(super) fn process(name: impl Into<String>, pid: u32) -> Self {
        Self { name: name.into(), pid, extent: Extent::Process }
    }

    /// A process and its children.
    pub(super) fn tree(name: impl Into<String>, pid: u32) -> Self {
        Self { name: name.into(), pid, extent: Extent::Tree }
    }

    fn cpu(&self) -> Duration {
        match self.extent {
            Extent::Process => usage::of(self.pid).map_or(Duration::ZERO, |usage| usage.cpu),
            Extent::Tree => usage::of_tree(self.pid).cpu,
        }
    }

    /// The peak of one process; for a tree what it uses now, since peaks of processes that share pages cannot be added.
    fn memory_bytes(&self) -> u64 {
        match self.extent {
            Extent::Process => usage::of(self.pid).map_or(0, |usage| usage.peak_bytes),
            Extent::Tree => usage::proportional_bytes_of_tree(self.pid),
        }
    }
}

/// CPU time of everybody at one moment.
#[derive(Debug)]
pub(super) struct Reading {
    parts: Vec<Duration>,
    generator: Duration,
}

/// What one part spent between two readings.
#[derive(Debug, Clone)]
pub(super) struct Spent {
    pub(super) name: String,
    pub(super) cpu: Duration,
    pub(super) memory_bytes: u64,
}

/// Reads the meters.
pub(super) fn read(parts: &[Part]) -> Reading {
    let generator = usage::of(std::process::id()).map_or(Duration::ZERO, |usage| usage.cpu);
    Reading { parts: parts.iter().map(Part::cpu).collect(), generator }
}

/// What each part spent since `before`, and what we ourselves did.
pub(super) fn since(parts: &[Part], before: &Reading) -> (Vec<Spent>, Duration) {
    let now = read(parts);
    let cpu = now.parts.iter().zip(&before.parts).map(|(now, before)| now.saturating_sub(*before));
    let spent = parts.iter().zip(cpu).map(|(part, cpu)| Spent { name: part.name.clone(), cpu, memory_bytes: part.memory_bytes() });
    (spent.collect(), now.generator.saturating_sub(before.generator))
}
