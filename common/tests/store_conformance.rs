//! The conformance suite of the store: every promise over PostgreSQL and SQLite alike.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

/// One test for each store: the body gets a fresh one.
macro_rules! over_both {
    ($($(#[$doc:meta])* async fn $name:ident($shop:ident) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            async fn body($shop: Shop) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                body(Shop::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                body(Shop::postgres().await).await;
            }
        }
    )*};
}

#[path = "store/after_the_charge.rs"]
mod after_the_charge;
#[path = "store/answers.rs"]
mod answers;
#[path = "store/attacks.rs"]
mod attacks;
#[path = "store/attempts.rs"]
mod attempts;
#[path = "store/balance.rs"]
mod balance;
#[path = "store/balance_random.rs"]
mod balance_random;
#[path = "store/carts.rs"]
mod carts;
#[path = "store/classes.rs"]
mod classes;
#[path = "store/connections.rs"]
mod connections;
#[path = "store/credits.rs"]
mod credits;
#[path = "store/credits_random.rs"]
mod credits_random;
#[path = "store/deliveries.rs"]
mod deliveries;
#[path = "store/doubt.rs"]
mod doubt;
#[path = "store/ends.rs"]
mod ends;
#[path = "store/fixture.rs"]
mod fixture;
#[path = "store/hosted.rs"]
mod hosted;
#[path = "store/jobs.rs"]
mod jobs;
#[path = "store/jobs_later.rs"]
mod jobs_later;
#[path = "store/jobs_refunds.rs"]
mod jobs_refunds;
#[path = "store/ledger.rs"]
mod ledger;
#[path = "store/memberships.rs"]
mod memberships;
#[path = "store/numbers.rs"]
mod numbers;
#[path = "store/outages.rs"]
mod outages;
#[path = "store/participants.rs"]
mod participants;
#[path = "store/payment_methods.rs"]
mod payment_methods;
#[path = "store/provider_accounts.rs"]
mod provider_accounts;
#[path = "store/provider_events.rs"]
mod provider_events;
#[path = "store/push.rs"]
mod push;
#[path = "store/races.rs"]
mod races;
#[path = "store/refund_resolve.rs"]
mod refund_resolve;
#[path = "store/refunds.rs"]
mod refunds;
#[path = "store/replace.rs"]
mod replace;
#[path = "store/sale.rs"]
mod sale;
#[path = "store/settings.rs"]
mod settings;
#[path = "store/spaces.rs"]
mod spaces;
#[path = "store/storm.rs"]
mod storm;
#[path = "store/subscription_ends.rs"]
mod subscription_ends;
#[path = "store/subscriptions.rs"]
mod subscriptions;
#[path = "store/take_back.rs"]
mod take_back;
#[path = "store/tickets.rs"]
mod tickets;
#[path = "store/unanswered.rs"]
mod unanswered;
#[path = "store/upkeep.rs"]
mod upkeep;
#[path = "store/waiting.rs"]
mod waiting;
#[path = "store/waiting_entries.rs"]
mod waiting_entries;
