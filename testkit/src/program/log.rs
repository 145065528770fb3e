//! What a process says.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many log lines are kept; older ones are dropped.
const LOG_LINES: usize = 20_000;

/// The lines of both outputs, read by a thread each so that the program never waits for us.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    open: usize,
}

impl Log {
    pub(super) fn read_from(&self, pipe: impl Read + Send + 'static) -> io::Result<()> {
        self.lock().open += 1;
        let log = self.clone();
        let reader = std::thread::Builder::new().name("program-log".to_owned());
        reader.spawn(move || log.read(BufReader::new(pipe))).map(drop)
    }

    fn read(&self, mut pipe: impl BufRead) {
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            let mut lines = self.lock();
            if lines.kept.len() >= LOG_LINES {
                lines.kept.pop_front();
            }
            lines.kept.push_back(text);
        }
        self.lock().open -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lines(&self) -> VecDeque<String> {
        self.lock().kept.clone()
    }

    pub(super) fn find(&self, text: &str) -> Option<String> {
        self.lock().kept.iter().find(|line| line.contains(text)).cloned()
    }

    pub(super) fn closed(&self) -> bool {
        self.lock().open == 0
    }

    pub(super) fn tail(&self) -> String {
        let lines = self.lines();
        lines.iter().skip(lines.len().saturating_sub(30)).cloned().collect::<Vec<_>>().join("\n")
    }
}
