//! Sales from the POST to the signed callback: every story is told twice, with everything in one process, and with an
//! API, two workers and a sandbox on PostgreSQL, RabbitMQ and Redis. Each story has a system of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod balance;
mod callbacks;
mod card_testing;
mod cards;
mod classmanager_school;
mod closing;
mod dialect_bokamera;
mod dialect_classmanager;
mod dialect_classmanager_intents;
mod dialect_loop;
mod dialect_momence;
mod dialect_momence_bookings;
mod dialect_monime;
mod dialect_monime_ends;
mod dialects_alike;
mod hosted;
mod hosted_push;
mod jobs;
mod late_money;
mod memberships;
mod momence_shop;
mod monime_client;
mod participants;
mod prices;
mod provider_events;
mod push;
mod reading;
mod refunds;
mod replace;
mod review;
mod rules;
mod rush;
mod split;
mod subscriptions;
#[path = "../support/mod.rs"]
mod support;
mod tickets;
mod waiting_list;

/// A provider that is given up on soon, and callbacks that are tried again soon.
const QUICK: &[(&str, &str)] =
    &[("BOXOFFICE_PROVIDER_TIMEOUT_MS", "4000"), ("BOXOFFICE_LEASE_MS", "8000"), ("BOXOFFICE_CALLBACK_SCHEDULE_MS", "0,200,400,800,1600")];

/// A provider that may take its time.
const PATIENT: &[(&str, &str)] = &[];

/// Tells each story over both deployments: starts a system with the settings, and audits and stops it afterwards.
macro_rules! stories {
    ($($story:path as $name:ident with $settings:expr;)*) => {
        mod embedded {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let system = support::system::Deployment::Embedded.start($settings).await;
                $story(&system).await;
                system.finish().await;
            })*
        }

        mod distributed {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let system = support::system::Deployment::Distributed.start($settings).await;
                $story(&system).await;
                system.finish().await;
            })*
        }
    };
}

stories! {
    cards::story as every_way_to_pay_ends_as_documented_with_one_charge_at_most with QUICK;
    prices::story as prices_are_ours_and_what_cannot_be_sold_is_refused_at_once with QUICK;
    rules::story as who_may_buy_what_and_how_much_is_left with QUICK;
    reading::story as a_client_can_poll_wait_stream_list_and_read_the_timeline with PATIENT;
    callbacks::story as callbacks_are_signed_filtered_retried_and_replayed with QUICK;
    refunds::story as what_was_sold_is_given_back_once_and_its_places_are_sold_again with QUICK;
    split::story as several_methods_pay_together_or_not_at_all_and_get_back_what_was_theirs with QUICK;
    push::story as a_provider_asks_the_customer_and_the_checkout_waits_for_the_answer with QUICK;
    provider_events::story as what_a_provider_tells_counts_once_if_it_is_genuine_and_fits with provider_events::SETTINGS;
    provider_events::deaf as a_checkout_of_which_all_events_are_lost_ends_by_looking with provider_events::DEAF;
    provider_events::slow as what_is_told_before_our_own_request_is_answered_stands with provider_events::SLOW;
    hosted::story as a_customer_pays_on_our_page_or_not_and_is_sent_back_to_the_shop with QUICK;
    card_testing::story as whoever_tries_cards_out_is_slowed_then_stopped_and_customers_notice_nothing with card_testing::SETTINGS;
    card_testing::many_addresses as an_attack_from_many_addresses_is_slowed_and_keeps_nobody_out with card_testing::MANY_ADDRESSES;
    hosted_push::story as on_our_page_a_customer_is_asked_on_the_phone_at_the_bank_or_by_a_wallet_and_may_choose_again with QUICK;
    replace::story as a_newer_order_takes_the_place_of_an_older_and_one_is_paid_at_the_most with QUICK;
    memberships::story as a_pack_is_sold_pays_until_its_credits_are_used_up_and_gets_them_back with QUICK;
    balance::story as a_balance_is_spent_once_held_beside_a_card_and_gets_back_what_was_its_own with QUICK;
    subscriptions::story as a_plan_is_sold_paused_resumed_and_ended_and_cannot_be_paid_with_what_does_not_renew with QUICK;
    rush::story as twins_make_one_checkout_and_three_seats_are_sold_three_times with QUICK;
    participants::story as one_pays_and_each_place_is_its_participants_up_to_the_door with QUICK;
    tickets::story as a_ticket_lets_in_once_is_passed_on_and_void_when_given_back with QUICK;
    closing::story as a_checkout_can_be_canceled_until_money_may_have_moved with closing::SETTINGS;
    late_money::story as late_money_goes_back_when_it_is_asked_for_and_nothing_of_a_sale_with_it with QUICK;
    jobs::story as a_session_is_called_off_and_everybody_gets_the_money_back_once with QUICK;
    waiting_list::story as what_comes_back_is_offered_to_who_waits_and_to_nobody_else with QUICK;
    dialect_momence::story as a_client_of_momence_changes_its_base_url_and_its_key with QUICK;
    dialect_momence::slow as what_came_of_a_momence_checkout_is_told_when_it_is_known with dialect_momence::SLOW;
    dialect_momence_bookings::story as a_momence_booking_is_canceled_in_time_or_late_and_waited_for with QUICK;
    dialect_momence_bookings::slow as a_momence_booking_is_canceled_when_its_refund_is_known_to_be_done with dialect_momence_bookings::SLOW;
    dialect_classmanager::story as a_client_of_classmanager_changes_its_base_url_and_its_key with QUICK;
    dialect_classmanager_intents::slow as what_a_basket_could_not_wait_for_is_one_sale_however_often_it_is_asked_for with dialect_classmanager_intents::SLOW;
    dialect_loop::story as a_client_of_loop_changes_its_base_url_and_its_key with QUICK;
    dialect_loop::slow as what_an_answer_could_not_wait_for_is_one_payment_however_often_it_is_asked_for with dialect_loop::SLOW;
    dialect_monime::story as a_client_of_monime_changes_its_base_url_and_its_key with QUICK;
    dialect_monime::busy as a_client_of_monime_that_asks_too_often_is_told_so with dialect_monime::BUSY;
    dialect_bokamera::story as a_client_of_bokamera_changes_its_base_url_and_its_key with QUICK;
    dialect_bokamera::slow as a_newer_order_waits_for_an_older_one_that_a_provider_keeps_waiting with dialect_loop::SLOW;
    dialects_alike::story as the_same_purchase_through_each_api_leaves_the_same_books with QUICK;
    review::story as what_nobody_can_find_out_is_decided_by_an_operator with review::SETTINGS;
}
