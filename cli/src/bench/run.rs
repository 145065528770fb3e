//! The story of a run: servers, sessions, a full store, a warm-up, the load, the checks, the report.

use super::{
    args::{BenchArgs, Mode},
    drain,
    error::{BenchError, local},
    floor,
    load::{self, Live, Outcome, Pace, Plan},
    machine::Machine,
    meter,
    progress::Progress,
    provider,
    report::{self, Measured, Report},
    scenario::{Kind, Scenario},
    target::Target,
};
use boxoffice_testkit::stripe::StripeStandIn;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Work that was put off until after the answer still belongs to it: the meters are read this long after the last checkout.
const AFTERMATH: Duration = Duration::from_secs(1);

/// Runs the bench and prints its report. An error also when the run ended but something that must hold does not.
pub async fn run(args: BenchArgs) -> Result<(), BenchError> {
    args.check()?;
    let target = Target::start(&args).await?;
    // Random, so that runs against one server never meet in a session or a key.
    let seed: u64 = rand::random();
    let bench = Bench { args: &args, target: &target, seed, name: format!("bench-{:010}", seed & 0xFFFF_FFFF) };
    bench.fill().await?;
    let measured = bench.measure().await?;
    let report = Report::new(&args, target.kind, Machine::here(target.data_dir.as_deref()), measured);
    print!("{}", report.text());
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&report).map_err(std::io::Error::other).map_err(local("making JSON"))?;
        std::fs::write(path, json).map_err(local("writing the JSON report"))?;
    }
    match report.broken() {
        0 => Ok(()),
        broken => Err(BenchError::Broken(broken)),
    }
}

/// A run under way.
pub(super) struct Bench<'a> {
    args: &'a BenchArgs,
    pub(super) target: &'a Target,
    pub(super) seed: u64,
    name: String,
}

impl Bench<'_> {
    /// Sells what `--preload` asks for, then warms up; both in sessions of their own.
    async fn fill(&self) -> Result<(), BenchError> {
        let phases = [
            ("preload", Some(self.args.preload).filter(|count| *count > 0), None),
            ("warm-up", None, Some(self.args.warmup).filter(|duration| !duration.is_zero())),
        ];
        for (phase, count, duration) in phases {
            if count.is_none() && duration.is_none() {
                continue;
            }
            let scenario = Arc::new(Scenario::new(Kind::Card, format!("{}-{phase}", self.name)));
            scenario.prepare(&self.target.origin).await?;
            let plan = Plan { pace: Pace::Closed, connections: 64, count, duration, seed: self.seed, stop: CancellationToken::new() };
            let outcome = self.drive(phase, &scenario, plan).await?;
            if outcome.tally.in_status("succeeded") == 0 {
                let errors = format!("{:?} {:?}", outcome.tally.statuses, outcome.tally.errors);
                return Err(BenchError::Usage(format!("nothing could be sold in the {phase}: {errors}")));
            }
        }
        Ok(())
    }

    async fn measure(&self) -> Result<Measured, BenchError> {
        let scenario = Arc::new(Scenario::new(self.args.scenario, self.name.clone()));
        scenario.prepare(&self.target.origin).await?;
        if self.args.scenario == Kind::Drain {
            return drain::measure(self, self.args, &scenario).await;
        }
        let (count, duration) = self.args.end();
        if scenario.gives_back() {
            let sales = Arc::new(scenario.sales());
            let plan = Plan { pace: Pace::Closed, connections: 64, count, duration: None, seed: self.seed, stop: CancellationToken::new() };
            self.drive("sales", &sales, plan).await?;
            sales.hand_over(&scenario);
        }
        let pace = match self.args.mode() {
            Mode::Closed => Pace::Closed,
            Mode::Open => Pace::Open(self.args.rate),
        };
        let plan = Plan { pace, connections: self.args.connections(), count, duration, seed: self.seed, stop: CancellationToken::new() };
        let before = meter::read(&self.target.parts);
        let outcome = self.drive("load", &scenario, plan).await?;
        tokio::time::sleep(AFTERMATH).await;
        let (spent, generator) = meter::since(&self.target.parts, &before);
        let asked = outcome.tally.ended() + outcome.tally.failed_to_end();
        let mut checks = scenario.check(&self.target.origin, &outcome.tally, asked).await?;
        checks.extend(self.target.stripe.as_ref().map(provider::check));
        let floor = match self.args.floor {
            true => {
                let checkout_ms = report::milliseconds_each(spent.iter().map(|part| part.cpu).sum(), outcome.tally.ended());
                Some(floor::measure(self.target.servers.as_ref(), self.target.data_dir.as_deref(), checkout_ms).await?)
            }
            false => None,
        };
        let most_at_once = self.target.stripe.as_ref().map(StripeStandIn::most_at_once);
        Ok(Measured { outcome, spent, generator, checks, floor, drained: None, most_at_once })
    }

    /// Runs a load under a display.
    pub(super) async fn drive(&self, phase: &str, scenario: &Arc<Scenario>, plan: Plan) -> Result<Outcome, BenchError> {
        let live = Arc::new(Live::default());
        let progress = Progress::show(phase, &plan, &live);
        let outcome = load::drive(&self.target.origin, scenario, plan, &live).await;
        progress.end();
        outcome
    }
}
