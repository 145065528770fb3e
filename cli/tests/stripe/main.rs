//! Sales through Stripe, of which a stand-in plays the part: its own book says what was captured and what went back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod accounts;
mod after;
mod embedded_pages;
mod killed;
mod lost_pages;
mod pages;
mod reconcile;
mod routes;
mod sales;
mod studio;
#[path = "../support/mod.rs"]
mod support;
mod trials;

use studio::Studio;
use support::system::Deployment;

/// Tells each story over both deployments, each with a system and a stand-in of its own, and audits and stops it afterwards.
macro_rules! stories {
    ($($story:path as $name:ident;)*) => {
        mod embedded {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let studio = Studio::open(Deployment::Embedded).await;
                $story(&studio).await;
                studio.close().await;
            })*
        }

        mod distributed {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let studio = Studio::open(Deployment::Distributed).await;
                $story(&studio).await;
                studio.close().await;
            })*
        }
    };
}

stories! {
    sales::story as every_way_a_card_ends_at_stripe_is_told_and_captured_once_at_most;
    pages::story as customers_confirm_and_pay_on_stripes_pages_and_come_back;
    embedded_pages::story as customers_pay_on_stripes_page_within_the_shops_own;
    lost_pages::story as customers_are_sent_to_a_page_whose_address_was_lost_on_the_way;
    after::story as what_comes_after_the_charge_is_in_the_books_and_told;
    reconcile::story as two_books_are_held_against_each_other_and_what_differs_is_told_or_mended;
    accounts::story as keys_of_the_same_account_take_the_place_of_its_own_and_no_others;
    routes::story as a_charge_goes_where_the_rules_send_it_and_elsewhere_behind_a_definite_no;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_at_whichever_byte_a_sale_is_captured_once() {
    for deployment in [Deployment::Embedded, Deployment::Distributed] {
        let mut studio = Studio::open(deployment).await;
        killed::story(&mut studio).await;
        embedded_pages::killed(&mut studio).await;
        studio.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_is_begun_with_a_card_that_is_kept_and_what_follows_is_charged_to_it() {
    for deployment in [Deployment::Embedded, Deployment::Distributed] {
        let mut studio = Studio::open(deployment).await;
        trials::story(&mut studio).await;
        studio.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_paid_while_nobody_listened_is_found_and_mended() {
    for deployment in [Deployment::Embedded, Deployment::Distributed] {
        let mut studio = Studio::open(deployment).await;
        reconcile::missed(&mut studio).await;
        studio.close().await;
    }
}
