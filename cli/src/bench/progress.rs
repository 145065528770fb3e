//! What a person sees while the load runs: a bar on a terminal, a line now and then elsewhere. Always on standard error.

use super::load::{Live, Plan};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};

const BAR_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A running display; call [`end`](Self::end) when the load has ended.
#[derive(Debug)]
pub(super) struct Progress {
    task: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows `live` until told to end. `what` names the phase.
    pub(super) fn show(what: &str, plan: &Plan, live: &Arc<Live>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(what, plan));
        let task = tokio::spawn(run(what.to_owned(), plan.clone(), Arc::clone(live), bar.clone()));
        Self { task, bar }
    }

    /// Takes the display away.
    pub(super) fn end(self) {
        self.task.abort();
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &str, plan: &Plan) -> ProgressBar {
    let style = "{prefix:>9} {elapsed_precise} [{bar:40}] {percent:>3} %  {msg}";
    let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    ProgressBar::new(length(plan)).with_style(style).with_prefix(what.to_owned())
}

/// Checkouts where their number is the end, else milliseconds.
fn length(plan: &Plan) -> u64 {
    plan.count.unwrap_or_else(|| plan.duration.map_or(0, |duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
}

async fn run(what: String, plan: Plan, live: Arc<Live>, bar: Option<ProgressBar>) {
    let started = Instant::now();
    let mut ticks = tokio::time::interval(if bar.is_some() { BAR_EVERY } else { LINE_EVERY });
    // The first tick comes at once and has nothing to tell.
    ticks.tick().await;
    let (mut last, mut last_at) = (0, started);
    loop {
        let now = ticks.tick().await;
        let (ended, errors) = (live.ended.load(Ordering::Relaxed), live.errors.load(Ordering::Relaxed));
        let rate = (ended - last) as f64 / (now - last_at).as_secs_f64().max(0.001);
        (last, last_at) = (ended, now);
        let text = format!("{ended} ended, {rate:.0}/s, {errors} errors");
        let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &bar {
            Some(bar) => {
                bar.set_position(if plan.count.is_some() { ended + errors } else { elapsed }.min(length(&plan)));
                bar.set_message(text);
            }
            None => eprintln!("{what}: {:.0} s, {text}", started.elapsed().as_secs_f64()),
        }
    }
}
