//! What a person sees while the book is read: a bar on a terminal, a line now and then elsewhere. Always on standard error.

use boxoffice_common::domain::time::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far back the walk has come; it goes from the newest row to the oldest.
#[derive(Debug)]
pub(super) struct Progress {
    name: String,
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Progress {
    /// Of the account of that name.
    pub(super) fn new(name: String) -> Self {
        let style = "{prefix} {elapsed_precise} [{bar:40}] {percent:>3} %  {msg}";
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(0).with_style(style).with_prefix(name.clone()));
        Self { name, bar, told: Instant::now() }
    }

    /// Something else is read now: so much time of it, milliseconds.
    pub(super) fn begin(&mut self, what: &str, length: Duration) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(millis(length));
                bar.set_position(0);
                bar.set_message(what.to_owned());
            }
            None => eprintln!("{}: {what}", self.name),
        }
        self.told = Instant::now();
    }

    /// Come as far as `at`, with so many rows.
    pub(super) fn at(&mut self, what: &str, done: Duration, at: Timestamp, rows: usize) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(millis(done));
                bar.set_message(format!("{what}, {rows} rows"));
            }
            None if self.told.elapsed() >= LINE_EVERY => {
                self.told = Instant::now();
                eprintln!("{}: {what}, {rows} rows, at {at}", self.name);
            }
            None => {}
        }
    }

    /// Says something that is worth a line of its own.
    pub(super) fn says(&self, words: &str) {
        let words = format!("{}: {words}", self.name);
        match &self.bar {
            Some(bar) => bar.println(words),
            None => eprintln!("{words}"),
        }
    }

    /// Takes the display away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
