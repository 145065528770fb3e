//! What every queue promises, over every adapter; and what RabbitMQ promises beyond that when its broker fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "queue/broker.rs"]
mod broker;
#[path = "queue/failures.rs"]
mod failures;
#[path = "queue/fixture.rs"]
mod fixture;
#[path = "queue/promises.rs"]
mod promises;

use boxoffice_common::adapters::queue::MemoryQueue;
use std::sync::Arc;

macro_rules! every_queue {
    ($($promise:ident),* $(,)?) => {
        mod memory {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                promises::$promise(Arc::new(MemoryQueue::new())).await;
            })*
        }

        mod rabbit {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                promises::$promise(fixture::rabbit().await).await;
            })*
        }
    };
}

every_queue! {
    work_comes_out_as_it_went_in_and_is_gone_after_its_ack,
    every_message_of_a_batch_is_answered,
    an_empty_batch_is_answered_with_nothing,
    unacknowledged_work_comes_again_when_its_consumer_is_dropped,
    work_whose_receipt_is_dropped_comes_again,
    an_ack_after_the_consumer_is_gone_is_false,
    no_more_than_the_prefetch_is_in_hand,
    a_slow_piece_of_work_does_not_keep_others_from_coming,
    two_consumers_share_a_lane_and_nothing_comes_twice,
    delayed_work_is_not_early_and_comes_within_its_rung,
    delayed_work_overtakes_later_delayed_work,
    lanes_do_not_hold_each_other_up,
    depth_and_head_follow_the_lane,
    dead_letters_are_not_tried_again_until_they_are_redriven,
    work_that_is_always_given_back_ends_among_the_dead_letters,
    five_thousand_messages_from_sixty_four_tasks_all_arrive,
    a_stopped_consumer_can_still_acknowledge_and_leaves_the_rest_to_others,
    an_impatient_caller_of_next_loses_nothing,
}

#[tokio::test]
async fn what_comes_above_the_bound_is_refused_in_its_place() {
    promises::what_comes_above_the_bound_is_refused(&MemoryQueue::with_bound(3)).await;
}
