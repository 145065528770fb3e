//! A process dies at each of the points that a story crosses, and comes back: every place has one owner, every credit is spent once, every
//! charge is there once, and what a person changed is changed once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod changes;
#[path = "../chaos/mod.rs"]
mod chaos;
mod mortal;
mod offers;
#[path = "../support/mod.rs"]
mod support;

use mortal::Mortal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_embedded_offers_and_credits_have_one_owner_wherever_the_server_dies() {
    let mut mortal = Mortal::embedded("offers", &[]).await;
    offers::offers(&mut mortal).await;
    offers::packs(&mut mortal).await;
    mortal.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_distributed_offers_and_credits_have_one_owner_wherever_a_process_dies() {
    let mut mortal = Mortal::distributed("offers", &[]).await;
    offers::offers(&mut mortal).await;
    offers::packs(&mut mortal).await;
    mortal.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_embedded_what_a_person_changes_is_changed_once_wherever_the_server_dies() {
    let mut mortal = Mortal::embedded("changes", changes::SETTINGS).await;
    changes::changes(&mut mortal).await;
    mortal.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_distributed_what_a_person_changes_is_changed_once_wherever_a_process_dies() {
    let mut mortal = Mortal::distributed("changes", changes::SETTINGS).await;
    changes::changes(&mut mortal).await;
    mortal.finish().await;
}
