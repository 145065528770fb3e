//! `boxoffice bench`: a load, and what a person needs to believe its figures.
//!
//! [`args`] what can be asked · [`run`](fn@run) the story from start to report · [`target`] the servers, as children so that their CPU time is told
//! apart · [`scenario`] what is bought, and what must be true afterwards · [`load`] closed and open loop · [`buyer`] one checkout from submit to
//! terminal, [`page`] on the payment page · [`provider`] whom the engine charges
//! through · [`drain`] new sales beside many refunds · [`client`] HTTP · [`tally`] what happened · [`floor`] what the
//! raw operations cost · [`machine`], [`report`] what is printed.

mod args;
mod buyer;
mod client;
mod drain;
mod error;
mod floor;
mod load;
mod machine;
mod meter;
mod page;
mod progress;
mod provider;
mod report;
mod run;
mod scenario;
mod tally;
mod target;
#[cfg(test)]
mod tests;

pub use args::BenchArgs;
pub use error::BenchError;
pub use run::run;
