//! `kill -9` at every class of byte boundary of the exchange with Stripe: its book has one capture for each sale, whoever died.

use crate::{
    studio::{Studio, by_card},
    support::system::{Deployment, System},
};
use boxoffice_testkit::stripe::{Boundary, Effect, Fault};
use std::time::Duration;

const INTENTS: &str = "/v1/payment_intents";

pub async fn story(studio: &mut Studio) {
    // The process that charges dies while the answer is on its way: what it had read of it is lost with it.
    let classes = Boundary::CLASSES.map(Effect::CutAnswer);
    let effects = classes.into_iter().chain([
        Effect::CutBefore,
        Effect::CutAfter,
        Effect::SilenceAfter,
        Effect::ExecuteThenWait(Duration::from_secs(3)),
    ]);
    let mut sales = Vec::new();
    for effect in effects {
        studio.stripe.faults().order(Fault::new(effect).on("POST", INTENTS));
        let before = studio.stripe.faults().happened().len();
        sales.push((effect, studio.shop.order(&by_card("pm_card_visa")).await));
        let happened = || (studio.stripe.faults().happened().len() > before).then_some(());
        let patience = crate::support::client::PATIENCE;
        studio.stripe.book().wait_for(patience, |_| happened()).await.unwrap_or_else(|| panic!("{effect:?} did not happen"));
        let System { deployment, server, workers, .. } = &mut studio.system;
        let charging = if *deployment == Deployment::Embedded { std::slice::from_mut(server) } else { workers.as_mut_slice() };
        for program in charging {
            program.kill9();
            program.restart().await.unwrap();
        }
    }
    for (effect, id) in sales {
        let sold = studio.shop.settled(&id).await;
        assert_eq!(sold["status"], "succeeded", "{effect:?}: {sold}");
        let captures = studio.captures(&id);
        assert_eq!((captures.len(), captures[0].amount), (1, 1500), "{effect:?}");
    }
}
