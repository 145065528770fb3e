//! The promises of the port, one function each.

use super::fixture::*;
use boxoffice_common::{
    domain::{catalogue::Kind, claim::Want},
    ports::queue::{DeadLetterOffice, Head, Lane, Queue, QueueError},
};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

pub async fn work_comes_out_as_it_went_in_and_is_gone_after_its_ack(queue: Arc<impl Queue>) {
    let mut sent = work(Lane::Checkouts, 1);
    sent.trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let id = serde_json::from_value(serde_json::json!("ses_hamlet")).unwrap();
    sent.wants = vec![Want { kind: Kind::Session, id, quantity: 2, seats: vec!["A1".to_owned(), "Ä 2".to_owned()], line: Some(0) }];
    publish(&*queue, vec![sent.clone()]).await;
    let mut consumer = queue.consume(Lane::Checkouts, 10).await.unwrap();
    let taken = take(&mut consumer).await;
    assert_eq!(taken.work, sent);
    assert!(taken.receipt.ack().await);
    drop(consumer);
    let mut consumer = queue.consume(Lane::Checkouts, 10).await.unwrap();
    assert_quiet(&mut consumer).await;
    queue.ping().await.unwrap();
}

pub async fn every_message_of_a_batch_is_answered(queue: Arc<impl Queue>) {
    publish(&*queue, works(Lane::Checkouts, 0..700)).await;
    let mut consumer = queue.consume(Lane::Checkouts, 50).await.unwrap();
    take_all(&mut consumer, ids(0..700)).await;
    assert_quiet(&mut consumer).await;
}

pub async fn an_empty_batch_is_answered_with_nothing(queue: Arc<impl Queue>) {
    assert_eq!(queue.publish(Vec::new()).await, []);
}

pub async fn unacknowledged_work_comes_again_when_its_consumer_is_dropped(queue: Arc<impl Queue>) {
    publish(&*queue, works(Lane::Checkouts, 0..5)).await;
    let mut first = queue.consume(Lane::Checkouts, 10).await.unwrap();
    let mut in_hand = Vec::new();
    for _ in 0..4 {
        in_hand.push(take(&mut first).await);
    }
    let done = in_hand.pop().unwrap();
    assert!(done.receipt.ack().await);
    drop(first);
    let mut second = queue.consume(Lane::Checkouts, 10).await.unwrap();
    let mut left = ids(0..5);
    left.remove(&done.work.id);
    let mut came = BTreeSet::new();
    for _ in 0..4 {
        let taken = take(&mut second).await;
        came.insert(taken.work.id.clone());
        assert!(taken.receipt.ack().await);
    }
    assert_eq!(came, left);
    assert_quiet(&mut second).await;
}

pub async fn work_whose_receipt_is_dropped_comes_again(queue: Arc<impl Queue>) {
    publish(&*queue, works(Lane::Money, 7..8)).await;
    let mut consumer = queue.consume(Lane::Money, 1).await.unwrap();
    drop(take(&mut consumer).await);
    let again = take(&mut consumer).await;
    assert_eq!(again.work.id, "co_7");
    assert!(again.receipt.ack().await);
    assert_quiet(&mut consumer).await;
}

pub async fn an_ack_after_the_consumer_is_gone_is_false(queue: Arc<impl Queue>) {
    publish(&*queue, works(Lane::Checkouts, 0..2)).await;
    let mut consumer = queue.consume(Lane::Checkouts, 2).await.unwrap();
    let (first, second) = (take(&mut consumer).await, take(&mut consumer).await);
    drop(consumer);
    assert!(!first.receipt.ack().await);
    assert!(!second.receipt.dead_letter().await);
    let mut consumer = queue.consume(Lane::Checkouts, 2).await.unwrap();
    take_all(&mut consumer, ids(0..2)).await;
}

pub async fn no_more_than_the_prefetch_is_in_hand(queue: Arc<impl Queue>) {
    publish(&*queue, works(Lane::Checkouts, 0..10)).await;
    let mut consumer = queue.consume(Lane::Checkouts, 3).await.unwrap();
    let mut in_hand = Vec::new();
    for _ in 0..3 {
        in_hand.push(take(&mut consumer).await);
    }
    assert_quiet(&mut consumer).await;
    assert!(in_hand.pop().unwrap().receipt.ack().await);
    in_hand.push(take(&mut consumer).await);
    assert_quiet(&mut consumer).await;
}

pub async fn a_slow_piece_of_work_does_not_keep_others_from_coming(queue: Arc<impl Queue>) {
    publish(&*queue, works(Lane::Checkouts, 0..200)).await;
    let mut consumer = queue.consume(Lane::Checkouts, 40).await.unwrap();
    let slow = take(&mut consumer).await;
    let mut rest = ids(0..200);
    rest.remove(&slow.work.id);
    take_all(&mut consumer, rest).await;
    assert!(slow.receipt.ack().await);
    drop(consumer);
    let mut consumer = queue.consume(Lane::Checkouts, 40).await.unwrap();
    assert_quiet(&mut consumer).await;
}

pub async fn two_consumers_share_a_lane_and_nothing_comes_twice(queue: Arc<impl Queue>) {
    let mut one = queue.consume(Lane::Checkouts, 5).await.unwrap();
    let mut two = queue.consume(Lane::Checkouts, 5).await.unwrap();
    publish(&*queue, works(Lane::Checkouts, 0..100)).await;
    let mut came = Vec::new();
    let mut by_two = 0;
    while came.len() < 100 {
        let taken = within("work", async {
            tokio::select! {
                taken = one.next() => taken,
                taken = two.next() => { by_two += 1; taken }
            }
        })
        .await
        .unwrap();
        came.push(taken.work.id);
        assert!(taken.receipt.ack().await);
    }
    assert_eq!(came.into_iter().collect::<BTreeSet<_>>(), ids(0..100));
    assert!((1..100).contains(&by_two), "one of the two had nothing to do: {by_two}");
}

pub async fn delayed_work_is_not_early_and_comes_within_its_rung(queue: Arc<impl Queue>) {
    let mut consumer = queue.consume(Lane::Deliveries, 10).await.unwrap();
    let begun = Instant::now();
    queue.publish_after(work(Lane::Deliveries, 1), Duration::from_millis(800)).await.unwrap();
    let taken = take(&mut consumer).await;
    let waited = begun.elapsed();
    assert_eq!(taken.work, work(Lane::Deliveries, 1));
    assert!(waited >= Duration::from_millis(800), "early: {waited:?}");
    assert!(waited < Duration::from_millis(3_000), "late: {waited:?}");
    assert!(taken.receipt.ack().await);
    queue.publish_after(work(Lane::Deliveries, 2), Duration::ZERO).await.unwrap();
    take_all(&mut consumer, ids(2..3)).await;
}

pub async fn delayed_work_overtakes_later_delayed_work(queue: Arc<impl Queue>) {
    let mut consumer = queue.consume(Lane::Checkouts, 10).await.unwrap();
    // Somebody waits already when the delays are set, so the wait itself must become shorter.
    let first = tokio::spawn(async move { take(&mut consumer).await.work.id });
    queue.publish_after(work(Lane::Checkouts, 2), Duration::from_secs(5)).await.unwrap();
    queue.publish_after(work(Lane::Checkouts, 1), Duration::from_millis(200)).await.unwrap();
    assert_eq!(within("the sooner", first).await.unwrap(), "co_1");
}

pub async fn lanes_do_not_hold_each_other_up(queue: Arc<impl Queue>) {
    publish(&*queue, works(Lane::Checkouts, 0..500)).await;
    let mut stuck = queue.consume(Lane::Checkouts, 1).await.unwrap();
    let _in_hand = take(&mut stuck).await;
    for lane in [Lane::Money, Lane::Deliveries] {
        publish(&*queue, works(lane, 1000..1003)).await;
        let mut consumer = queue.consume(lane, 1).await.unwrap();
        let begun = Instant::now();
        take_all(&mut consumer, ids(1000..1003)).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

pub async fn depth_and_head_follow_the_lane(queue: Arc<impl Queue>) {
    assert_eq!(queue.head(Lane::Checkouts).await, Head::Empty);
    // What was asked just before does not stand for what is there now.
    for count in 0..4 {
        assert_eq!(queue.depth(Lane::Checkouts).await, Ok(count as u64));
        publish(&*queue, works(Lane::Checkouts, count..count + 1)).await;
    }
    assert_eq!(queue.depth(Lane::Checkouts).await, Ok(4));
    assert_eq!(queue.depth(Lane::Money).await, Ok(0));
    let mut consumer = queue.consume(Lane::Checkouts, 1).await.unwrap();
    let taken = take(&mut consumer).await;
    eventually(Ok(3), || queue.depth(Lane::Checkouts)).await;
    assert_eq!(queue.head(Lane::Checkouts).await, Head::At(taken.work.enqueued_at));
    assert!(taken.receipt.ack().await);
    let second = take(&mut consumer).await;
    assert_eq!(queue.head(Lane::Checkouts).await, Head::At(second.work.enqueued_at));
    assert!(second.receipt.ack().await);
    take_all(&mut consumer, ids(2..4)).await;
    eventually(Head::Empty, || queue.head(Lane::Checkouts)).await;
}

pub async fn dead_letters_are_not_tried_again_until_they_are_redriven(queue: Arc<impl Queue + DeadLetterOffice>) {
    publish(&*queue, works(Lane::Money, 0..3)).await;
    let mut consumer = queue.consume(Lane::Money, 10).await.unwrap();
    for _ in 0..3 {
        assert!(take(&mut consumer).await.receipt.dead_letter().await);
    }
    assert_quiet(&mut consumer).await;
    let total = async || queue.dead_letters(10).await.unwrap().total;
    eventually(3, total).await;
    let shown = queue.dead_letters(2).await.unwrap();
    assert_eq!((shown.total, shown.letters.len()), (3, 2), "looking leaves them where they are");
    let mut shown = queue.dead_letters(10).await.unwrap().letters;
    shown.sort_by_key(|work| work.enqueued_at);
    assert_eq!(shown, works(Lane::Money, 0..3));
    assert_eq!(queue.redrive(2).await, Ok(2));
    let mut came = BTreeSet::new();
    for _ in 0..2 {
        let taken = take(&mut consumer).await;
        came.insert(taken.work.id);
        assert!(taken.receipt.ack().await);
    }
    eventually(1, total).await;
    assert_eq!(queue.redrive(10).await, Ok(1));
    let left = &ids(0..3) - &came;
    assert_eq!(left.len(), 1);
    take_all(&mut consumer, left).await;
    assert_eq!(queue.redrive(10).await, Ok(0));
}

pub async fn work_that_is_always_given_back_ends_among_the_dead_letters(queue: Arc<impl Queue + DeadLetterOffice>) {
    publish(&*queue, works(Lane::Checkouts, 0..1)).await;
    let mut consumer = queue.consume(Lane::Checkouts, 10).await.unwrap();
    let mut tries = 0;
    while let Ok(Some(taken)) = tokio::time::timeout(Duration::from_secs(2), consumer.next()).await {
        tries += 1;
        assert!(tries < 40, "it circles for ever");
        drop(taken);
    }
    assert!(tries >= 20, "given up after {tries} tries");
    eventually(1, async || queue.dead_letters(1).await.unwrap().total).await;
}

pub async fn five_thousand_messages_from_sixty_four_tasks_all_arrive(queue: Arc<impl Queue + 'static>) {
    let mut consumer = queue.consume(Lane::Checkouts, 256).await.unwrap();
    let senders: Vec<_> = (0..64)
        .map(|task| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                for number in (task..5_000).step_by(64) {
                    publish(&*queue, vec![work(Lane::Checkouts, number)]).await;
                }
            })
        })
        .collect();
    // Acknowledged many at a time and out of order, as workers do.
    let mut left = ids(0..5_000);
    let mut in_hand = Vec::new();
    while !left.is_empty() {
        let taken = take(&mut consumer).await;
        left.remove(&taken.work.id);
        in_hand.push(taken.receipt);
        if in_hand.len() == 200 || left.is_empty() {
            let acks = in_hand.drain(..).enumerate().map(|(n, receipt)| async move {
                if n % 3 == 0 {
                    tokio::task::yield_now().await;
                }
                receipt.ack().await
            });
            assert!(futures::future::join_all(acks).await.into_iter().all(|told| told));
        }
    }
    for sender in senders {
        sender.await.unwrap();
    }
    assert_quiet(&mut consumer).await;
    drop(consumer);
    eventually(Ok(0), || queue.depth(Lane::Checkouts)).await;
    let mut consumer = queue.consume(Lane::Checkouts, 256).await.unwrap();
    assert_quiet(&mut consumer).await;
}

pub async fn a_stopped_consumer_can_still_acknowledge_and_leaves_the_rest_to_others(queue: Arc<impl Queue>) {
    publish(&*queue, works(Lane::Checkouts, 0..20)).await;
    let mut leaving = queue.consume(Lane::Checkouts, 10).await.unwrap();
    let first = take(&mut leaving).await;
    let second = take(&mut leaving).await;
    leaving.stop().await;
    assert!(leaving.next().await.is_none());
    let mut staying = queue.consume(Lane::Checkouts, 30).await.unwrap();
    let mut rest = ids(0..20);
    rest.remove(&first.work.id);
    rest.remove(&second.work.id);
    take_all(&mut staying, rest).await;
    assert!(first.receipt.ack().await && second.receipt.ack().await);
    drop(leaving);
    assert_quiet(&mut staying).await;
}

pub async fn an_impatient_caller_of_next_loses_nothing(queue: Arc<impl Queue + 'static>) {
    let mut consumer = queue.consume(Lane::Checkouts, 4).await.unwrap();
    let sender = Arc::clone(&queue);
    let sending = tokio::spawn(async move {
        for number in 0..200 {
            publish(&*sender, vec![work(Lane::Checkouts, number)]).await;
        }
    });
    let begun = Instant::now();
    let mut left = ids(0..200);
    while !left.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{} never came", left.len());
        if let Ok(Some(taken)) = tokio::time::timeout(Duration::from_micros(300), consumer.next()).await {
            assert!(left.remove(&taken.work.id), "{} came twice", taken.work.id);
            assert!(taken.receipt.ack().await);
        }
    }
    sending.await.unwrap();
}

pub async fn what_comes_above_the_bound_is_refused(queue: &dyn Queue) {
    queue.publish_after(work(Lane::Checkouts, 0), Duration::from_secs(60)).await.unwrap();
    let answers = queue.publish(works(Lane::Checkouts, 1..5)).await;
    let refused = |answer: &Result<(), QueueError>| matches!(answer, Err(QueueError::Refused(_)));
    assert_eq!(answers.iter().map(refused).collect::<Vec<_>>(), [false, false, true, true]);
    assert!(refused(&queue.publish_after(work(Lane::Checkouts, 5), Duration::from_secs(1)).await));
    publish(queue, works(Lane::Money, 0..3)).await;
    let mut consumer = queue.consume(Lane::Checkouts, 10).await.unwrap();
    take_all(&mut consumer, ids(1..2)).await;
    publish(queue, works(Lane::Checkouts, 6..7)).await;
}
