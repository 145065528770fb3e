use super::*;
use crate::domain::{
    refund::{RefundAsk, tests::Sale},
    scope::Mode,
};
use DisputeStatus::{Closed, Inquiry, Lost, Open, Won};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn word(status: DisputeStatus, minor: i64) -> ToldDispute {
    ToldDispute {
        charge: "ch_1".to_owned(),
        provider_reference: "dp_1".to_owned(),
        amount: Amount::from_minor(minor),
        currency: Currency::parse("usd").unwrap(),
        reason: "fraudulent".to_owned(),
        status,
    }
}

fn tell(sale: &mut Sale, status: DisputeStatus) -> bool {
    let effects = told(sale.checkout.clone(), 1, &word(status, 1500), sale.now, &sale.entropy).unwrap();
    effects.map(|effects| sale.apply(effects)).is_some()
}

fn balances(sale: &Sale) -> BTreeMap<String, i64> {
    sale.books
        .iter()
        .filter(|(account, sum)| matches!(account.as_str(), "disputes" | "chargebacks") && **sum != 0)
        .map(|(a, s)| (a.clone(), *s))
        .collect()
}

fn book(entries: &[(&str, i64)]) -> BTreeMap<String, i64> {
    entries.iter().map(|(account, sum)| ((*account).to_owned(), *sum)).collect()
}

#[test]
fn what_a_bank_takes_back_is_in_disputes_until_it_is_known_whose_it_is() {
    let mut sale = Sale::by_card();
    assert!(tell(&mut sale, Inquiry));
    assert_eq!(balances(&sale), book(&[]), "no money has moved");
    assert!(tell(&mut sale, Open));
    assert_eq!(balances(&sale), book(&[("disputes", 1500)]));
    assert!(!tell(&mut sale, Inquiry) && !tell(&mut sale, Open), "known");
    assert!(tell(&mut sale, Lost));
    assert_eq!(balances(&sale), book(&[("chargebacks", 1500)]));
    assert!(tell(&mut sale, Won), "a bank may think better of it");
    assert_eq!(balances(&sale), book(&[]));
}

#[test]
fn an_inquiry_that_comes_to_nothing_moves_nothing() {
    let mut sale = Sale::by_card();
    assert!(tell(&mut sale, Inquiry) && tell(&mut sale, Closed));
    assert!(!tell(&mut sale, Inquiry));
    assert_eq!((balances(&sale), sale.checkout.disputes[0].status), (book(&[]), Closed));
}

#[test]
fn one_dispute_more_than_are_kept_is_for_a_person_and_not_known_already() {
    let mut sale = Sale::by_card();
    let named = |n: usize| ToldDispute { provider_reference: format!("dp_{n}"), ..word(Inquiry, 1500) };
    let account = EventAccount { provider: "sandbox", account: "test".to_owned(), mode: Mode::Test, tenant: None };
    for n in 0..MAX_DISPUTES {
        assert!(charge_of(&sale.checkout, &account, &named(n)).is_ok());
        let effects = told(sale.checkout.clone(), 1, &named(n), sale.now, &sale.entropy).unwrap().unwrap();
        sale.apply(effects);
    }
    assert!(charge_of(&sale.checkout, &account, &named(MAX_DISPUTES)).is_err());
    assert!(charge_of(&sale.checkout, &account, &named(0)).is_ok(), "what is told of a known one counts");
}

#[test]
fn what_a_bank_has_cannot_be_given_back_by_us() {
    let mut sale = Sale::by_card();
    let paid = sale.checkout.amount_paid.minor();
    assert!(tell(&mut sale, Open));
    let ask = |minor: i64| RefundAsk { amount: Some(Amount::from_minor(minor)), ..RefundAsk::default() };
    assert!(sale.ask(&ask(paid - 1500 + 1)).is_err());
    assert!(tell(&mut sale, Won));
    assert!(sale.ask(&ask(paid)).is_ok());
}

#[test]
fn a_dispute_is_of_a_charge_of_the_account_that_tells_of_it() {
    let sale = Sale::by_card();
    let account = EventAccount { provider: "sandbox", account: "test".to_owned(), mode: Mode::Test, tenant: None };
    let why = |account: &EventAccount, told: &ToldDispute| charge_of(&sale.checkout, account, told).map(|charge| charge.n);
    assert_eq!(why(&account, &word(Open, 1500)), Ok(1));
    let other_mode = EventAccount { mode: Mode::Live, ..account.clone() };
    let other_tenant = EventAccount { tenant: Some("other".to_owned()), ..account.clone() };
    assert!(why(&other_mode, &word(Open, 1500)).is_err() && why(&other_tenant, &word(Open, 1500)).is_err());
    let elsewhere = EventAccount { tenant: Some("demo".to_owned()), ..account.clone() };
    assert!(why(&elsewhere, &word(Open, 1500)).is_err(), "it went to no account of the tenant's");
    assert!(why(&account, &ToldDispute { charge: "ch_2".to_owned(), ..word(Open, 1500) }).is_err());
    assert!(why(&account, &ToldDispute { currency: Currency::parse("eur").unwrap(), ..word(Open, 1500) }).is_err());
    let mut open = Sale::by_card();
    assert!(tell(&mut open, Open));
    assert!(charge_of(&open.checkout, &account, &word(Won, 1500)).is_ok());
    assert!(charge_of(&open.checkout, &account, &word(Won, 900)).is_err(), "a person has to look at what is left");
    assert!(why(&account, &word(Open, 0)).is_err() && why(&account, &word(Open, 1_000_000)).is_err());
}

proptest! {
    #[test]
    fn told_in_any_order_and_as_often_as_it_likes_a_provider_is_booked_once(words in prop::collection::vec(prop::sample::select(vec![Inquiry, Open, Won, Lost, Closed]), 1..12)) {
        let mut sale = Sale::by_card();
        for word in words {
            tell(&mut sale, word);
        }
        let expected = match sale.checkout.disputes[0].status {
            Inquiry | Closed | Won => book(&[]),
            Open => book(&[("disputes", 1500)]),
            Lost => book(&[("chargebacks", 1500)]),
        };
        prop_assert_eq!(balances(&sale), expected);
        prop_assert_eq!(sale.checkout.disputes.len(), 1);
    }
}
