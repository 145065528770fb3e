//! Logs: events with fields, to standard error.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging. `RUST_LOG` decides what is shown, `BOXOFFICE_LOG_FORMAT=json` how.
pub fn start(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let json = std::env::var("BOXOFFICE_LOG_FORMAT").is_ok_and(|format| format == "json");
    // A second start (in tests) keeps the first.
    let _ = if json { builder.json().try_init() } else { builder.compact().try_init() };
}
