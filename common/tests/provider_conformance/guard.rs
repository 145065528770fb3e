//! What stands before a provider, and the registry.

use super::rig::*;
use boxoffice_common::{
    adapters::{
        provider_guard::{CircuitPolicy, GuardLimits, Guarded},
        providers::Providers,
        sandbox::Behaviour,
    },
    domain::attempt::{AttemptStatus, Outcome},
    ports::provider::PaymentProvider,
    retry::Policy,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

fn limits(concurrency: usize, patience: Duration) -> GuardLimits {
    let pause = Policy { base: Duration::from_millis(200), cap: Duration::from_secs(1), jitter: 0.0 };
    GuardLimits { concurrency, patience, circuit: CircuitPolicy { min_samples: 6, min_failing: 5, pause, ..CircuitPolicy::default() } }
}

#[tokio::test]
async fn a_provider_that_fails_is_left_alone_and_tried_again() {
    let rig = Rig::start(Over::Http).await;
    let guarded = Guarded::new(rig.provider(LONG), limits(8, LONG));
    rig.service.set_behaviour(Behaviour { error_rate: 1.0, ..Behaviour::default() }).unwrap();
    for _ in 0..6 {
        assert_unknown(&guarded.send(&rig.charge("tok_visa")).await);
    }
    let request = rig.charge("tok_visa");
    let Outcome::NotSent { retry_after: Some(wait), .. } = guarded.send(&request).await else { panic!("the circuit is closed") };
    assert!(wait <= Duration::from_millis(200), "{wait:?}");
    assert_unknown(&guarded.look_up(&attempt(&request, AttemptStatus::Unknown)).await);
    rig.service.set_behaviour(Behaviour::default()).unwrap();
    let deadline = Instant::now() + LONG;
    loop {
        match guarded.send(&request).await {
            Outcome::NotSent { retry_after: Some(wait), .. } if Instant::now() < deadline => tokio::time::sleep(wait).await,
            outcome => {
                approved(outcome, &request);
                break;
            }
        }
    }
    rig.only_charge(&request).await;
}

#[tokio::test]
async fn cards_that_are_refused_take_no_provider_down() {
    let rig = Rig::start(Over::Process).await;
    let guarded = Guarded::new(rig.provider(LONG), limits(8, LONG));
    for _ in 0..40 {
        assert_not_sent(&guarded.send(&rig.charge("tok_flaky")).await);
    }
    let request = rig.charge("tok_visa");
    approved(guarded.send(&request).await, &request);
}

#[tokio::test]
async fn calls_beyond_the_limit_wait_and_were_not_sent_when_that_is_in_vain() {
    let rig = Rig::start(Over::Process).await;
    let guarded = Arc::new(Guarded::new(rig.provider(Duration::from_secs(2)), limits(1, SHORT)));
    let (stuck, request) = (rig.charge("tok_outage"), rig.charge("tok_visa"));
    let holder = tokio::spawn({
        let guarded = Arc::clone(&guarded);
        async move { guarded.send(&stuck).await }
    });
    let refused = async {
        loop {
            // Until the holder has the place, ours goes through.
            if let outcome @ Outcome::NotSent { .. } = guarded.send(&request).await {
                break outcome;
            }
        }
    };
    assert_not_sent(&tokio::time::timeout(LONG, refused).await.unwrap());
    assert_unknown(&holder.await.unwrap());
    approved(guarded.send(&request).await, &request);
}

#[tokio::test]
async fn providers_are_found_by_name_and_a_name_is_taken_once() {
    let rig = Rig::start(Over::Process).await;
    let providers = Providers::new().with(rig.provider(LONG)).unwrap();
    assert_eq!(providers.names().collect::<Vec<_>>(), ["sandbox"]);
    assert_eq!(providers.get("sandbox").map(|provider| provider.name()), Some("sandbox"));
    assert!(providers.get("stripe").is_none());
    assert!(providers.with(rig.provider(LONG)).is_err());
}

#[test]
fn waiting_and_calling_fit_into_the_lease() {
    for (lease, timeout) in [(30_000, 10_000), (1_000, 900), (11_000, 10_000)] {
        let (lease, timeout) = (Duration::from_millis(lease), Duration::from_millis(timeout));
        assert!(GuardLimits::within(lease, timeout, 256).patience + timeout < lease);
    }
}
