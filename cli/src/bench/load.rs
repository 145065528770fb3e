//! The load itself: many buyers, one schedule.

use super::{
    buyer,
    client::{Connection, Origin},
    error::BenchError,
    scenario::Scenario,
    tally::Tally,
};
use rand::{SeedableRng, rngs::SmallRng};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// When checkouts start.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// The next one when the last one has ended.
    Closed,
    /// This many a second, on a fixed schedule.
    Open(u32),
}

/// A load to run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) pace: Pace,
    /// Buyers, each with a connection of its own.
    pub(super) connections: usize,
    pub(super) count: Option<u64>,
    pub(super) duration: Option<Duration>,
    /// Seeds the buyers' choices, so that a run can be repeated.
    pub(super) seed: u64,
    /// Ends the load before its time.
    pub(super) stop: CancellationToken,
}

/// What a running load shows to a progress bar.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Checkouts that ended.
    pub(super) ended: AtomicU64,
    /// Checkouts that went wrong.
    pub(super) errors: AtomicU64,
}

/// What a load did.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// From the start to the last end.
    pub(super) took: Duration,
}

struct Run {
    plan: Plan,
    scenario: Arc<Scenario>,
    started: Instant,
    next: AtomicU64,
    tally: Mutex<Tally>,
    live: Arc<Live>,
}

/// Which checkout is next, and since when it has been due.
struct Turn {
    number: u64,
    due: Instant,
}

/// Runs `plan` to its end; what was started is always finished.
pub(super) async fn drive(origin: &Origin, scenario: &Arc<Scenario>, plan: Plan, live: &Arc<Live>) -> Result<Outcome, BenchError> {
    let tally = Tally::new().ok_or_else(|| BenchError::Usage("the histogram's bounds make no sense".to_owned()))?;
    let run = Arc::new(Run {
        scenario: Arc::clone(scenario),
        started: Instant::now(),
        next: AtomicU64::new(0),
        tally: Mutex::new(tally),
        live: Arc::clone(live),
        plan,
    });
    let mut buyers = JoinSet::new();
    for number in 0..run.plan.connections as u64 {
        let rng = SmallRng::seed_from_u64(run.plan.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        buyers.spawn(Arc::clone(&run).buy(Connection::new(origin.clone()), rng));
    }
    while buyers.join_next().await.is_some() {}
    let took = run.started.elapsed();
    let tally = run.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Outcome { tally, took })
}

impl Run {
    async fn buy(self: Arc<Self>, mut connection: Connection, mut rng: SmallRng) {
        while let Some(turn) = self.turn().await {
            let Some(next) = self.scenario.turn(turn.number, &mut rng) else { return };
            let ending = buyer::take(&mut connection, &self.scenario, &next).await;
            let latency = turn.due.elapsed();
            let wrong = matches!(ending, super::tally::Ending::Error(_));
            self.tally.lock().unwrap_or_else(PoisonError::into_inner).add(latency, ending);
            if wrong {
                self.live.errors.fetch_add(1, Ordering::Relaxed);
                // A server that refuses at once must not be asked in a hot loop.
                tokio::time::sleep(Duration::from_millis(10)).await;
            } else {
                self.live.ended.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes the next turn. In an open loop every turn has its time on the schedule, and a buyer who comes late has been late since then:
    /// so a stalled server is charged for all who would have come, not only for those whom it kept (coordinated omission).
    async fn turn(&self) -> Option<Turn> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if self.plan.count.is_some_and(|count| number >= count) {
            return None;
        }
        let due = match self.plan.pace {
            Pace::Closed => Instant::now(),
            Pace::Open(rate) => self.started + Duration::from_secs_f64(number as f64 / f64::from(rate.max(1))),
        };
        if self.plan.duration.is_some_and(|duration| due >= self.started + duration) {
            return None;
        }
        self.plan.stop.run_until_cancelled(tokio::time::sleep_until(due)).await?;
        Some(Turn { number, due })
    }
}
