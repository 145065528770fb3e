//! What RabbitMQ's adapter does when the broker dies or stands still. Each test has a broker of its own.

use super::fixture::*;
use boxoffice_common::ports::queue::{Head, Lane, Queue, QueueError, Work};
use boxoffice_testkit::RabbitMq;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeSet,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Publishes one after the other until told to stop, and says which were confirmed.
async fn publish_until(queue: Arc<dyn Queue>, enough: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut confirmed = BTreeSet::new();
    for number in 0.. {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        let work: Vec<Work> = works(Lane::Checkouts, number * 10..number * 10 + 10);
        let ids: Vec<_> = work.iter().map(|work| work.id.clone()).collect();
        let begun = Instant::now();
        let answers = queue.publish(work).await;
        assert!(begun.elapsed() < Duration::from_secs(8), "publishing hung for {:?}", begun.elapsed());
        let failed = answers.iter().any(Result::is_err);
        confirmed.extend(ids.into_iter().zip(answers).filter(|(_, answer)| answer.is_ok()).map(|(id, _)| id));
        tokio::time::sleep(Duration::from_millis(if failed { 50 } else { 2 })).await;
    }
    confirmed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_consumer_goes_on_after_kill_9_and_nothing_confirmed_is_lost() {
    let mut broker = RabbitMq::start().await.unwrap();
    let queue: Arc<dyn Queue> = Arc::new(connect(&broker.url(), &prefix()).await.unwrap());
    let mut consumer = queue.consume(Lane::Checkouts, 32).await.unwrap();
    let stale = {
        publish(&*queue, works(Lane::Checkouts, 1_000_000..1_000_001)).await;
        take(&mut consumer).await
    };
    let enough = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn(publish_until(Arc::clone(&queue), Arc::clone(&enough)));
    let came = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&came);
    let consuming = tokio::spawn(async move {
        while let Some(taken) = consumer.next().await {
            seen.lock().unwrap().insert(taken.work.id.clone());
            taken.receipt.ack().await;
        }
    });
    let came_so_far = || came.lock().unwrap().len();
    for round in 0..2 {
        let before = came_so_far();
        eventually(true, async || came_so_far() > before + 200).await;
        broker.kill9();
        eventually(true, || async { matches!(queue.ping().await, Err(QueueError::Unavailable(_))) }).await;
        let begun = Instant::now();
        let down = queue.publish(works(Lane::Money, 0..3)).await;
        assert!(down.iter().all(|answer| matches!(answer, Err(QueueError::Unavailable(_)))), "{round}: {down:?}");
        assert!(queue.publish_after(work(Lane::Money, 0), Duration::from_secs(1)).await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(1), "failing took {:?}", begun.elapsed());
        assert_eq!(queue.head(Lane::Checkouts).await, Head::Unknown);
        broker.restart().await.unwrap();
    }
    assert!(!stale.receipt.ack().await, "it came on a connection that is gone");
    let before = came_so_far();
    eventually(true, async || came_so_far() > before + 200).await;
    enough.store(true, Ordering::Relaxed);
    let mut expected = within("the publisher", publishing).await.unwrap();
    expected.insert(stale.work.id);
    eventually(0, async || expected.difference(&came.lock().unwrap()).count()).await;
    consuming.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stands_still_holds_nobody_for_ever() {
    let broker = RabbitMq::start().await.unwrap();
    let queue = connect(&broker.url(), &prefix()).await.unwrap();
    let mut consumer = queue.consume(Lane::Checkouts, 32).await.unwrap();
    publish(&queue, works(Lane::Checkouts, 0..1)).await;
    take_all(&mut consumer, ids(0..1)).await;
    let pid = Pid::from_raw(i32::try_from(broker.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let begun = Instant::now();
    let (answers, depth) = tokio::join!(queue.publish(works(Lane::Checkouts, 1..300)), queue.depth(Lane::Checkouts));
    let waited = begun.elapsed();
    kill_process(pid, Signal::CONT).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Err(QueueError::Unavailable(_)))));
    assert!(depth.is_err());
    assert!(waited < Duration::from_secs(7), "{waited:?}");
    eventually(true, || async { queue.publish(works(Lane::Checkouts, 300..301)).await.iter().all(Result::is_ok) }).await;
    take_all(&mut consumer, ids(300..301)).await;
}

/// Runs the broker's own command line tool in the broker's own environment.
fn control(broker: &RabbitMq, arguments: &[&str]) {
    let environment = std::fs::read(format!("/proc/{}/environ", broker.pid())).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    let variables = environment.split('\0').filter_map(|variable| variable.split_once('='));
    let out = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl").env_clear().envs(variables).args(arguments).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_out_of_memory_publishing_fails_fast_and_consuming_goes_on() {
    let broker = RabbitMq::start().await.unwrap();
    let queue = connect(&broker.url(), &prefix()).await.unwrap();
    publish(&queue, works(Lane::Checkouts, 0..50)).await;
    let mut consumer = queue.consume(Lane::Checkouts, 5).await.unwrap();
    let first = take(&mut consumer).await;
    control(&broker, &["set_vm_memory_high_watermark", "0.00001"]);
    // The broker tells only a connection that publishes.
    let refused = || async { matches!(queue.publish(works(Lane::Money, 0..1)).await[..], [Err(QueueError::Unavailable(_))]) };
    eventually(true, refused).await;
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(refused().await && queue.ping().await.is_err());
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(first.receipt.ack().await);
    take_all(&mut consumer, ids(1..50)).await;
    control(&broker, &["set_vm_memory_high_watermark", "0.8"]);
    eventually(true, || async { queue.publish(works(Lane::Checkouts, 50..51)).await.iter().all(Result::is_ok) }).await;
    take_all(&mut consumer, ids(50..51)).await;
}
