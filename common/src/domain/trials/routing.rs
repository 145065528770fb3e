//! Several accounts, of which some say no for themselves: the money is taken once, wherever it is.

use super::{
    machine::{Machine, Net, TOTAL},
    property::{a_move, any_fate, make},
    provider::Fate,
};
use crate::domain::{
    attempt::{Advice, AttemptStatus},
    error::Code,
    id::ProviderAccountId,
    routing::{self, Candidate, MAX_CHARGES, Method, Route, Routing, RoutingRules},
    state::Status,
};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

const NAMES: [&str; 3] = ["pac_a", "pac_b", "pac_c"];

fn routing(failing: &[&str]) -> Arc<Routing> {
    let candidate = |name: &&str| Candidate {
        route: Route { account: ProviderAccountId::parse(*name).ok(), ..Route::sandbox() },
        takes: vec![Method::Card, Method::SavedMethod, Method::ProviderPage, Method::Push],
        is_failing: failing.contains(name),
        is_named_only: false,
    };
    Arc::new(Routing { candidates: NAMES.iter().map(candidate).collect(), rules: RoutingRules::default(), key_windows: Vec::new() })
}

fn machine(troubles: &[(&str, Advice)]) -> Machine {
    let mut machine = Machine::new(Fate::Approve);
    machine.routing = routing(&[]);
    machine.troubles = troubles.iter().map(|(name, advice)| ((*name).to_owned(), *advice)).collect();
    machine
}

fn charged_at(machine: &Machine) -> Vec<&str> {
    machine.checkout.charges().filter_map(|charge| charge.request.account.as_ref()).map(ProviderAccountId::as_str).collect()
}

#[test]
fn an_account_that_says_no_for_itself_is_followed_by_the_next() {
    let mut machine = machine(&[("pac_a", Advice::NextProvider), ("pac_b", Advice::NextProvider)]);
    machine.come_to_rest();
    assert_eq!(charged_at(&machine), NAMES);
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
    let keys: std::collections::BTreeSet<&String> = machine.checkout.charges().map(|charge| &charge.request.key).collect();
    assert_eq!(keys.len(), 3, "each under a key of its own");
    machine.check_at_rest();
}

#[test]
fn what_the_customer_has_to_mend_and_what_an_issuer_suspects_goes_nowhere_else() {
    for advice in [Advice::AskCustomer, Advice::Stop] {
        let mut machine = machine(&[("pac_a", advice)]);
        machine.come_to_rest();
        assert_eq!(charged_at(&machine), ["pac_a"], "{advice:?}");
        assert_eq!(machine.checkout.status, Status::Failed);
    }
}

#[test]
fn what_failed_on_the_way_is_tried_there_once_more_a_little_later_and_then_elsewhere() {
    let mut machine = machine(&[("pac_a", Advice::Retry)]);
    machine.work();
    assert!(machine.checkout.due_at > Some(machine.now), "not at once");
    machine.come_to_rest();
    assert_eq!(charged_at(&machine), ["pac_a", "pac_a", "pac_b"]);
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
}

#[test]
fn there_is_an_end_to_it() {
    let mut machine = machine(&NAMES.map(|name| (name, Advice::Retry)));
    machine.come_to_rest();
    assert_eq!(machine.checkout.charges().count(), MAX_CHARGES);
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Failed, 0));
}

#[test]
fn nothing_goes_elsewhere_while_nobody_knows_what_came_of_it() {
    let mut machine = machine(&[]);
    machine.work_with(Net::AnswerLost);
    for _ in 0..5 {
        machine.wait(Duration::from_secs(7200));
        machine.work_with(Net::RequestLost);
        machine.wait(Duration::from_secs(7200));
        machine.work_with(Net::Refused);
    }
    assert_eq!(charged_at(&machine), ["pac_a"]);
    machine.come_to_rest();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
}

#[test]
fn an_account_that_refuses_before_it_executes_is_passed_over_and_at_once_when_its_circuit_is_open() {
    let mut patient = machine(&[]);
    patient.work_with(Net::Refused);
    assert_eq!(charged_at(&patient), ["pac_a"], "once is no trouble");
    patient.wait(Duration::from_secs(60));
    patient.work_with(Net::Refused);
    assert_eq!(charged_at(&patient), ["pac_a", "pac_b"]);
    assert_eq!(patient.checkout.attempts[0].status, AttemptStatus::NotSent);
    patient.come_to_rest();
    assert_eq!((patient.checkout.status, patient.taken()), (Status::Succeeded, TOTAL));

    let mut failing = machine(&[]);
    failing.begin();
    failing.routing = routing(&["pac_a"]);
    failing.ask(0, Net::Refused);
    failing.settle(0, false);
    assert_eq!(charged_at(&failing), ["pac_a", "pac_b"]);

    let mut known = machine(&[]);
    known.routing = routing(&["pac_a"]);
    known.come_to_rest();
    assert_eq!(charged_at(&known), ["pac_b"], "it is not even begun there");
}

#[test]
fn without_an_account_that_takes_it_nothing_is_claimed_and_nothing_is_charged() {
    let mut machine = Machine::new(Fate::Approve);
    machine.routing = routing::nowhere();
    machine.begin();
    let error = machine.checkout.error.clone().map(|error| error.code);
    assert_eq!((machine.checkout.status, error), (Status::Failed, Some(Code::ProviderNotConfigured)));
    assert!(machine.checkout.attempts.is_empty());
}

fn trouble() -> impl Strategy<Value = Option<Advice>> {
    prop::option::of(prop::sample::select(vec![Advice::Retry, Advice::NextProvider, Advice::AskCustomer, Advice::Stop]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn money_is_taken_once_whichever_accounts_say_no_and_whoever_dies(
        troubles in [trouble(), trouble(), trouble()],
        failing in prop::collection::vec(prop::sample::select(NAMES.to_vec()), 0..3),
        is_hosted in any::<bool>(),
        legs in prop::collection::vec((1i64..900, any_fate()), 1..3),
        moves in prop::collection::vec(a_move(), 1..50),
    ) {
        let mut machine = if is_hosted { Machine::hosted(Fate::Approve) } else { Machine::split(&legs) };
        machine.routing = routing(&failing);
        machine.troubles = NAMES.iter().zip(troubles).filter_map(|(name, advice)| Some(((*name).to_owned(), advice?))).collect();
        let total: i64 = machine.checkout.order.legs.iter().map(|leg| leg.amount.minor()).sum();
        for &step in &moves {
            make(&mut machine, step);
            if is_hosted {
                machine.pay(machine.checkout.next_n());
            }
        }
        machine.wake_the_stalled();
        machine.come_to_rest();
        (1..=20).for_each(|n| machine.webhook(n));
        machine.come_to_rest();
        machine.give_back_late_money();
        machine.check_at_rest();
        if machine.checkout.status == Status::Succeeded && machine.resolved.is_none() {
            prop_assert_eq!(machine.taken(), total, "{:#?}", machine.checkout);
        }
    }
}
