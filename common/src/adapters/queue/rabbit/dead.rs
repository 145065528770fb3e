//! Looking at dead letters and putting them back to work.

use super::{
    link::{Live, within},
    publish::{Outgoing, Publisher},
    topology::Topology,
    wire,
};
use crate::ports::queue::{DeadLetters, Lane, QueueError, Work};
use lapin::{
    Channel,
    message::BasicGetMessage,
    options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions},
    types::FieldTable,
};

/// The most that are looked at or put back in one go.
const MAX_LETTERS: usize = 1_000;

/// Looks at the oldest `limit`. They go back in their order when the channel closes.
pub(super) async fn look(live: &Live, topology: &Topology, limit: usize) -> Result<DeadLetters, QueueError> {
    let channel = live.channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = within(channel.queue_declare(topology.dead(), passive, FieldTable::default())).await?;
    let letters = get(&channel, topology, limit).await?;
    let oldest = letters.iter().filter_map(|letter| read(letter).map(|(_, work)| work)).collect();
    close(&channel).await;
    Ok(DeadLetters { total: u64::from(queue.message_count()), oldest })
}

/// Puts the oldest `limit` back into their lanes. A letter leaves only after its lane has confirmed it.
pub(super) async fn redrive(live: &Live, topology: &Topology, publisher: &Publisher, limit: usize) -> Result<usize, QueueError> {
    let channel = live.channel().await?;
    let letters = get(&channel, topology, limit).await?;
    let (letters, outgoing): (Vec<_>, Vec<_>) = letters
        .into_iter()
        .filter_map(|mut letter| {
            let (lane, _) = read(&letter)?;
            let body = std::mem::take(&mut letter.delivery.data);
            Some((letter, Outgoing { exchange: topology.work(), lane, body }))
        })
        .unzip();
    let verdicts = publisher.publish(outgoing).await;
    let mut gone = 0;
    let mut failure = None;
    for (letter, verdict) in letters.into_iter().zip(verdicts) {
        match verdict {
            // When the ack is lost, the letter is there again: twice is harmless, never is not.
            Ok(()) => gone += usize::from(within(letter.ack(BasicAckOptions::default())).await?),
            Err(error) => failure = Some(error),
        }
    }
    close(&channel).await;
    match failure {
        Some(error) if gone == 0 => Err(error),
        _ => Ok(gone),
    }
}

async fn get(channel: &Channel, topology: &Topology, limit: usize) -> Result<Vec<BasicGetMessage>, QueueError> {
    let mut letters = Vec::new();
    while letters.len() < limit.min(MAX_LETTERS) {
        match within(channel.basic_get(topology.dead(), BasicGetOptions { no_ack: false })).await? {
            Some(letter) => letters.push(letter),
            None => break,
        }
    }
    Ok(letters)
}

/// Letters keep the routing key that they had in life.
fn read(letter: &BasicGetMessage) -> Option<(Lane, Work)> {
    let lane = wire::lane(letter.delivery.routing_key.as_str())?;
    wire::decode(lane, &letter.delivery.data).ok().map(|work| (lane, work))
}

/// Waits for the close, so that the letters are back in the queue when the caller looks again.
async fn close(channel: &Channel) {
    if let Err(error) = within(channel.close(200, "done".into())).await {
        tracing::debug!(%error, "closing the dead letters' channel");
    }
}
