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
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions},
    types::FieldTable,
};
use std::time::Duration;
use tokio::time::Instant;

/// The most that are looked at or put back in one go.
const MAX_LETTERS: usize = 1_000;
/// How long to wait until letters that were looked at are back.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// Looks at up to `limit` and gives them back. (The broker puts them behind those that were given back before.)
pub(super) async fn look(live: &Live, topology: &Topology, limit: usize) -> Result<DeadLetters, QueueError> {
    let channel = live.channel().await?;
    let total = count(&channel, topology).await?;
    let letters = get(&channel, topology, limit).await?;
    give_back(&channel, topology, total).await?;
    let letters = letters.iter().filter_map(|letter| read(letter).map(|(_, work)| work)).collect();
    Ok(DeadLetters { total: u64::from(total), letters })
}

/// Puts up to `limit` back into their lanes. A letter leaves only after its lane has confirmed it.
pub(super) async fn redrive(live: &Live, topology: &Topology, publisher: &Publisher, limit: usize) -> Result<usize, QueueError> {
    let channel = live.channel().await?;
    let total = count(&channel, topology).await?;
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
    give_back(&channel, topology, total.saturating_sub(u32::try_from(gone).unwrap_or(u32::MAX))).await?;
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

async fn count(channel: &Channel, topology: &Topology) -> Result<u32, QueueError> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = within(channel.queue_declare(topology.dead(), passive, FieldTable::default())).await?;
    Ok(queue.message_count())
}

/// Gives back what the channel still holds and waits until it is there again, so that the next look finds it.
async fn give_back(channel: &Channel, topology: &Topology, total: u32) -> Result<(), QueueError> {
    // Tag 0 with `multiple`: everything that is not acknowledged.
    within(channel.basic_nack(0, BasicNackOptions { multiple: true, requeue: true })).await?;
    let deadline = Instant::now() + BACK_WITHIN;
    while count(channel, topology).await? < total && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
