//! The report, for people and as JSON.

use super::{args::BenchArgs, args::Mode, drain::Drained, floor::Floor, load::Outcome, machine::Machine, meter::Spent, scenario::Check};
use clap::ValueEnum;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, time::Duration};

/// Everything a reader needs to believe a run, or to repeat it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    date: String,
    command: String,
    version: &'static str,
    settings: Settings,
    machine: Machine,
    seconds: f64,
    /// Checkouts that reached their end.
    checkouts: u64,
    checkouts_per_second: f64,
    latency_ms: Latency,
    statuses: BTreeMap<String, u64>,
    /// Failed checkouts by code.
    failures: BTreeMap<String, u64>,
    /// Checkouts that were refused or did not end, by code.
    errors: BTreeMap<String, u64>,
    replays: u64,
    /// Sum over all processes but the load generator; none where no process is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_ms_per_checkout: Option<f64>,
    /// The same by process.
    cpu_ms: BTreeMap<String, f64>,
    generator_cpu_ms_per_checkout: f64,
    /// Peak of each process; for PostgreSQL and RabbitMQ what all their processes use at the end.
    memory_bytes: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    floor: Option<Floor>,
    /// Of `drain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    drained: Option<Drained>,
    /// The most calls that Stripe's stand-in was answering at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    most_at_once: Option<usize>,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Settings {
    scenario: String,
    mode: String,
    target: &'static str,
    connections: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_second: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<f64>,
    warmup_seconds: f64,
    preload: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<usize>,
    provider: String,
    provider_latency_ms: u128,
    provider_events: bool,
    env: BTreeMap<String, String>,
}

/// Submit to terminal, in milliseconds.
#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p99_9: f64,
    max: f64,
}

/// What a run yields.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) outcome: Outcome,
    pub(super) spent: Vec<Spent>,
    pub(super) generator: Duration,
    pub(super) checks: Vec<Check>,
    pub(super) floor: Option<Floor>,
    pub(super) drained: Option<Drained>,
    /// The most calls that Stripe's stand-in was answering at once.
    pub(super) most_at_once: Option<usize>,
}

impl Report {
    /// Puts everything together.
    pub(super) fn new(args: &BenchArgs, target: &'static str, machine: Machine, measured: Measured) -> Self {
        let Measured { outcome, spent, generator, checks, floor, drained, most_at_once } = measured;
        let (tally, seconds) = (outcome.tally, outcome.took.as_secs_f64());
        let ended = tally.ended();
        let each = |cpu: Duration| milliseconds_each(cpu, ended);
        let latency = |quantile| tally.latency_ms(quantile);
        Self {
            date: now(),
            command: command_line(),
            version: env!("CARGO_PKG_VERSION"),
            settings: Settings::new(args, target),
            machine,
            seconds,
            checkouts: ended,
            checkouts_per_second: ended as f64 / seconds.max(0.001),
            latency_ms: Latency {
                p50: latency(0.5),
                p90: latency(0.9),
                p99: latency(0.99),
                p99_9: latency(0.999),
                max: tally.longest_ms(),
            },
            statuses: tally.statuses,
            failures: tally.failures,
            errors: tally.errors,
            replays: tally.replays,
            cpu_ms_per_checkout: (!spent.is_empty()).then(|| spent.iter().map(|part| each(part.cpu)).sum()),
            cpu_ms: spent.iter().map(|part| (part.name.clone(), each(part.cpu))).collect(),
            generator_cpu_ms_per_checkout: each(generator),
            memory_bytes: spent.into_iter().map(|part| (part.name, part.memory_bytes)).collect(),
            floor,
            drained,
            most_at_once,
            checks,
        }
    }

    /// How many checks failed.
    pub(super) fn broken(&self) -> usize {
        self.checks.iter().filter(|check| !check.holds).count()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, what: String| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:>11}  {what}");
        };
        line(
            "boxoffice",
            format!("{}, {}, {} loop: {}", self.settings.scenario, self.settings.target, self.settings.mode, self.settings.line()),
        );
        line("throughput", format!("{:.0}/s ({} checkouts in {:.1} s)", self.checkouts_per_second, self.checkouts, self.seconds));
        let Latency { p50, p90, p99, p99_9, max } = self.latency_ms;
        line("latency", format!("p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  p99.9 {p99_9:.1}  max {max:.1} ms, submit to terminal"));
        line("statuses", counts(&self.statuses));
        if !self.failures.is_empty() {
            line("failures", counts(&self.failures));
        }
        line("errors", counts(&self.errors));
        if self.replays > 0 {
            line("replays", format!("{} sent twice", self.replays));
        }
        match self.cpu_ms_per_checkout {
            Some(sum) => {
                line("CPU", format!("{sum:.3} ms a checkout, plus {:.3} for this load generator", self.generator_cpu_ms_per_checkout))
            }
            None => line(
                "CPU",
                format!("{:.3} ms a checkout for this load generator; --process tells the servers'", self.generator_cpu_ms_per_checkout),
            ),
        }
        for (name, cpu) in &self.cpu_ms {
            let megabytes = self.memory_bytes.get(name).copied().unwrap_or(0) as f64 / 1e6;
            line("", format!("{name:<12} {cpu:.3} ms {megabytes:>8.0} MB"));
        }
        if let Some(floor) = &self.floor {
            for one in &floor.operations {
                line("floor", format!("{} × {:<14} {:.3} ms each, {:.0}/s", one.times, one.name, one.cpu_ms, one.per_second));
            }
            line("", format!("sum {:.3} ms; the whole checkout is {:.2} times that", floor.sum_ms, floor.ratio));
        }
        if let Some(Drained { refunds, seconds, alone_p99_ms, beside_p99_ms }) = &self.drained {
            let each = *refunds as f64 / seconds.max(0.001);
            line("given back", format!("{refunds} sales in {seconds:.1} s ({each:.0}/s)"));
            let times = beside_p99_ms / alone_p99_ms.max(0.001);
            line("", format!("p99 of new sales {alone_p99_ms:.1} ms alone, {beside_p99_ms:.1} ms beside it: {times:.2} times"));
        }
        if let Some(most) = self.most_at_once {
            line("stripe", format!("at most {most} calls at once, {} ms each", self.settings.provider_latency_ms));
        }
        line("machine", self.machine.line());
        for check in &self.checks {
            line(if check.holds { "holds" } else { "BROKEN" }, check.what.clone());
        }
        if !self.machine.release_build {
            line("beware", "a debug build: the figures say nothing about speed".to_owned());
        }
        if self.machine.file_system.as_deref() == Some("tmpfs") {
            line("beware", "the data lies in memory, where durability costs nothing: set TMPDIR to a disk".to_owned());
        }
        text
    }
}

impl Settings {
    fn new(args: &BenchArgs, target: &'static str) -> Self {
        let (count, duration) = args.end();
        Self {
            scenario: name(args.scenario),
            mode: name(args.mode()),
            target,
            connections: args.connections(),
            rate_per_second: (args.mode() == Mode::Open).then_some(args.rate),
            count,
            duration_seconds: duration.map(|duration| duration.as_secs_f64()),
            warmup_seconds: args.warmup.as_secs_f64(),
            preload: args.preload,
            workers: args.distributed.then_some(args.workers),
            provider: name(args.provider),
            provider_latency_ms: args.provider_latency.as_millis(),
            provider_events: args.provider_events,
            env: args.env.iter().cloned().collect(),
        }
    }

    fn line(&self) -> String {
        let rate = self.rate_per_second.map(|rate| format!("{rate}/s over at most ")).unwrap_or_default();
        let workers = self.workers.map(|workers| format!(", {workers} workers")).unwrap_or_default();
        let preload = if self.preload > 0 { format!(", {} sold before", self.preload) } else { String::new() };
        format!("{rate}{} connections{workers}{preload}", self.connections)
    }
}

/// CPU-milliseconds for each of `count` checkouts.
pub(super) fn milliseconds_each(cpu: Duration, count: u64) -> f64 {
    cpu.as_secs_f64() * 1_000.0 / (count.max(1) as f64)
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    match counts.is_empty() {
        true => "none".to_owned(),
        false => counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", "),
    }
}

fn now() -> String {
    time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// As it was typed, without a key.
fn command_line() -> String {
    let mut words = Vec::new();
    let mut hide = false;
    for word in std::env::args().skip(1) {
        words.push(if hide { "…".to_owned() } else { word.split_once("--key=").map_or(word.clone(), |_| "--key=…".to_owned()) });
        hide = word == "--key";
    }
    format!("boxoffice {}", words.join(" "))
}
