//! `boxoffice dead-letters`: what was given up, and putting it back to work.

use crate::{command::DeadLetters, exit::Failure, log, wire};
use boxoffice_common::{
    adapters::queue::{RabbitOptions, RabbitQueue},
    config::Config,
    ports::queue::DeadLetterOffice,
};
use std::{path::PathBuf, time::Duration};

/// How long a broker that is not there is waited for: somebody is looking at the screen.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts and shows them; with `--redrive` puts them back into their lanes.
pub async fn run(args: DeadLetters) -> Result<(), Failure> {
    log::start("warn");
    // No folder is looked into.
    let config = Config::from_env(PathBuf::new())?;
    let Some(url) = &config.amqp_url else {
        println!(
            "there are none: without AMQP_URL the queue is inside `boxoffice serve`, keeps nothing, and finds given-up work again by its due time"
        );
        return Ok(());
    };
    let options = RabbitOptions { patience: PATIENCE, ..wire::rabbit_options(&config) };
    let queue = RabbitQueue::connect(url, options).await?;
    let limit = usize::from(args.limit);
    if args.redrive {
        let before = queue.dead_letters(0).await?.total;
        let gone = queue.redrive(limit).await?;
        println!("{gone} of {before} dead letters put back into their lanes");
        return Ok(());
    }
    let dead = queue.dead_letters(limit).await?;
    for letter in &dead.letters {
        println!("{}  {}  {}  {}", letter.lane.as_str(), letter.id, letter.scope, letter.enqueued_at);
    }
    println!("{} dead letters", dead.total);
    Ok(())
}
