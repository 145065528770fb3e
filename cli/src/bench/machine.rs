//! The machine: a figure without it is not a figure.

use serde::Serialize;
use std::{fs, path::Path};

/// What the run was measured on.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    cpu: String,
    cores: usize,
    memory_bytes: u64,
    os: String,
    kernel: String,
    /// File system of the data folder: on one in memory, durability costs nothing and the figures are worth nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_system: Option<String>,
    /// Whether this binary was built with optimizations.
    pub(super) release_build: bool,
}

impl Machine {
    /// Looks around; what cannot be read is called unknown.
    pub(super) fn here(data_dir: Option<&Path>) -> Self {
        let unknown = || "unknown".to_owned();
        let memory = value_in("/proc/meminfo", "MemTotal", ':').and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        Self {
            cpu: value_in("/proc/cpuinfo", "model name", ':').unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: memory.unwrap_or(0) * 1024,
            os: value_in("/etc/os-release", "PRETTY_NAME", '=').unwrap_or_else(unknown),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| unknown(), |text| text.trim().to_owned()),
            file_system: data_dir.and_then(file_system),
            release_build: !cfg!(debug_assertions),
        }
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let gigabytes = self.memory_bytes as f64 / 1e9;
        let disk = self.file_system.as_ref().map(|name| format!(", data on {name}")).unwrap_or_default();
        format!("{} × {}, {gigabytes:.0} GB, {}, Linux {}{disk}", self.cores, self.cpu, self.os, self.kernel)
    }
}

fn value_in(file: &str, name: &str, separator: char) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let lines = text.lines().filter_map(|line| line.split_once(separator));
    let value = lines.into_iter().find(|(key, _)| key.trim() == name).map(|(_, value)| value)?;
    Some(value.trim().trim_matches('"').to_owned())
}

/// The type of the file system with the longest mount point above `folder`.
fn file_system(folder: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let above = fields.filter(|fields| fields.get(1).is_some_and(|point| folder.starts_with(point)));
    let longest = above.max_by_key(|fields| fields.get(1).map_or(0, |point| point.len()))?;
    longest.get(2).map(|kind| (*kind).to_owned())
}
