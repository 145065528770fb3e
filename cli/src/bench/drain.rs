//! Whether giving many sales back holds up new ones: the same new sales first alone, then while a session is called off.

use super::{
    args::BenchArgs,
    client::{Connection, Origin, Question},
    error::BenchError,
    load::{Pace, Plan},
    meter,
    report::Measured,
    run::Bench,
    scenario::{Check, Scenario},
};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long new sales are measured alone, unless `--duration` says.
const ALONE: Duration = Duration::from_secs(10);
/// Between two looks at the job.
const LOOK: Duration = Duration::from_millis(100);
/// A job that has not ended after this never will.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// What giving back did to new sales.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Drained {
    /// Sales that were given back.
    pub(super) refunds: u64,
    /// From calling the session off until the last one had its money.
    pub(super) seconds: f64,
    /// The new sales' p99 without, in milliseconds.
    pub(super) alone_p99_ms: f64,
    /// The same beside the refunds.
    pub(super) beside_p99_ms: f64,
}

#[derive(Deserialize)]
struct Job {
    id: String,
    total: u64,
    done: u64,
    failed: u64,
    completed_at: Option<String>,
}

/// Sells out one session's worth, measures new sales in others alone, calls the one off, and measures new sales until it is paid back.
pub(super) async fn measure(bench: &Bench<'_>, args: &BenchArgs, scenario: &Arc<Scenario>) -> Result<Measured, BenchError> {
    let off = Arc::new(scenario.called_off());
    off.prepare(&bench.target.origin).await?;
    let (count, _) = args.end();
    let sell = Plan { pace: Pace::Closed, connections: 64, count, duration: None, seed: bench.seed, stop: CancellationToken::new() };
    let sold = bench.drive("sales", &off, sell).await?.tally.in_status("succeeded");
    let plan = |duration, seed| Plan {
        pace: Pace::Open(args.rate),
        connections: args.connections(),
        count: None,
        duration,
        seed,
        stop: CancellationToken::new(),
    };
    let alone = bench.drive("alone", scenario, plan(Some(args.duration.unwrap_or(ALONE)), bench.seed)).await?;
    // Numbers begin anew with each load: without a name of its own the second would repeat the first one's keys.
    let beside = Arc::new(scenario.again());
    let load = plan(None, !bench.seed);
    let before = meter::read(&bench.target.parts);
    let stop = load.stop.clone();
    let drain = async {
        let drained = drain(&bench.target.origin, &off.session(0)).await;
        stop.cancel();
        drained
    };
    let (outcome, drained) = tokio::join!(bench.drive("load", &beside, load), drain);
    let (outcome, (job, seconds)) = (outcome?, drained?);
    // What giving back cost is in it, and counted to the new sales.
    let (spent, generator) = meter::since(&bench.target.parts, &before);
    let (alone_p99_ms, beside_p99_ms) = (alone.tally.latency_ms(0.99), outcome.tally.latency_ms(0.99));
    let (left, _) = off.sold_and_held(&bench.target.origin).await?;
    let (new, held) = scenario.sold_and_held(&bench.target.origin).await?;
    let told = alone.tally.in_status("succeeded") + outcome.tally.in_status("succeeded");
    let checks = vec![
        Check {
            what: format!("{} of {sold} sales given back, {} failed, {left} still sold", job.done, job.failed),
            holds: (job.done, job.total, job.failed, left) == (sold, sold, 0, 0),
        },
        Check { what: format!("{new} new seats sold and {held} held, {told} promised to buyers"), holds: (new, held) == (told, 0) },
    ];
    let drained = Drained { refunds: job.done, seconds, alone_p99_ms, beside_p99_ms };
    Ok(Measured { outcome, spent, generator, checks, floor: None, drained: Some(drained), most_at_once: None })
}

/// Calls the session off and stays until everybody has the money back. How long that took, in seconds.
async fn drain(origin: &Origin, session: &str) -> Result<(Job, f64), BenchError> {
    let (mut connection, started) = (Connection::new(origin.clone()), Instant::now());
    let path = format!("/v1/sessions/{session}/cancel");
    let mut job = ask(&mut connection, Question::new(Method::POST, &path, "{}")).await?;
    let path = format!("/v1/jobs/{}", job.id);
    while job.completed_at.is_none() {
        if started.elapsed() > PATIENCE {
            return Err(BenchError::Usage(format!("{path} has no end after {} s", PATIENCE.as_secs())));
        }
        tokio::time::sleep(LOOK).await;
        job = ask(&mut connection, Question::get(&path)).await?;
    }
    Ok((job, started.elapsed().as_secs_f64()))
}

async fn ask(connection: &mut Connection, question: Question<'_>) -> Result<Job, BenchError> {
    let wrong = |path: &str, fault| BenchError::Api { what: path.to_owned(), fault };
    let path = question.path.to_owned();
    let answer = connection.ask(question).await.map_err(|fault| wrong(&path, fault))?;
    if !matches!(answer.status, StatusCode::OK | StatusCode::ACCEPTED) {
        return Err(wrong(&path, answer.unexpected()));
    }
    serde_json::from_slice(&answer.body).map_err(|_| wrong(&path, answer.unexpected()))
}
