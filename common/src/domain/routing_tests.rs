use super::*;
use crate::domain::id::Entropy;
use crate::domain::time::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn account(name: &str) -> Candidate {
    let route = match name {
        "sandbox" => Route::sandbox(),
        name => Route {
            provider: if name.ends_with('m') { "mollie" } else { "stripe" }.to_owned(),
            account: ProviderAccountId::parse(name).ok(),
        },
    };
    Candidate { route, takes: vec![Method::Card, Method::SavedMethod], is_failing: false, is_named_only: false }
}

fn to(accounts: &[(&str, u32)]) -> RoutingRule {
    let to = accounts.iter().map(|(account, weight)| Target { account: (*account).to_owned(), weight: *weight }).collect();
    RoutingRule { currencies: Vec::new(), methods: Vec::new(), min_amount: None, max_amount: None, to }
}

fn routing(names: &[&str], rules: Vec<RoutingRule>) -> Routing {
    Routing { candidates: names.iter().map(|name| account(name)).collect(), rules: RoutingRules { rules }, key_windows: Vec::new() }
}

fn id(n: u64) -> CheckoutId {
    CheckoutId::generate(&Entropy::from_seed(n), Timestamp::from_millis(1_800_000_000_000))
}

fn ask(checkout: &CheckoutId) -> Ask<'_> {
    Ask {
        checkout,
        method: Method::Card,
        amount: Amount::from_minor(1500),
        currency: Currency::parse("usd").unwrap(),
        bound_to: None,
        providers: &[],
    }
}

fn first<'r>(routing: &'r Routing, ask: &Ask<'_>) -> Option<&'r str> {
    routing.first(ask).map(Route::name)
}

#[test]
fn without_a_rule_the_oldest_account_that_takes_it_is_asked_first() {
    let checkout = id(1);
    let mut routing = routing(&["pac_a", "pac_b"], Vec::new());
    assert_eq!(first(&routing, &ask(&checkout)), Some("pac_a"));
    routing.candidates[0].takes = vec![Method::Push];
    assert_eq!(first(&routing, &ask(&checkout)), Some("pac_b"));
    assert_eq!(first(&routing, &Ask { method: Method::PaymentIntent, ..ask(&checkout) }), None);
}

#[test]
fn the_sandbox_is_asked_where_there_is_no_account_or_a_rule_or_a_token_names_it() {
    let checkout = id(1);
    let mut both = routing(&["pac_a", "sandbox"], Vec::new());
    both.candidates[1].takes.push(Method::Push);
    both.candidates[1].is_named_only = true;
    let next = both.next(&ask(&checkout), &[both.first(&ask(&checkout)).unwrap()]);
    assert_eq!((first(&both, &ask(&checkout)), next), (Some("pac_a"), None), "what an account refuses is not tried with play money");
    assert_eq!(first(&both, &Ask { method: Method::Push, ..ask(&checkout) }), None, "nor what no account takes");
    assert_eq!(first(&both, &Ask { providers: &["sandbox"], ..ask(&checkout) }), Some("sandbox"), "a token of its own");
    let mut disabled = both.clone();
    disabled.candidates.remove(0);
    assert_eq!(first(&disabled, &ask(&checkout)), None, "an account that is disabled, or does not open, is not stood in for");
    assert_eq!(first(&disabled, &Ask { providers: &["sandbox", "stripe"], ..ask(&checkout) }), None);
    assert_eq!(first(&routing(&["sandbox"], Vec::new()), &ask(&checkout)), Some("sandbox"));
    both.rules.rules.push(to(&[("sandbox", 1), ("pac_a", 0)]));
    assert_eq!(first(&both, &ask(&checkout)), Some("sandbox"));
}

#[test]
fn the_first_rule_that_fits_is_the_one() {
    let checkout = id(1);
    let eur = RoutingRule { currencies: vec![Currency::parse("eur").unwrap()], ..to(&[("pac_b", 1)]) };
    let big = RoutingRule { min_amount: Some(Amount::from_minor(1000)), max_amount: Some(Amount::from_minor(2000)), ..to(&[("pac_c", 1)]) };
    let saved = RoutingRule { methods: vec![Method::SavedMethod], ..to(&[("pac_b", 1)]) };
    let routing = routing(&["pac_a", "pac_b", "pac_c"], vec![eur, saved, big]);
    let usd = ask(&checkout);
    assert_eq!(first(&routing, &usd), Some("pac_c"));
    assert_eq!(first(&routing, &Ask { currency: Currency::parse("eur").unwrap(), ..usd }), Some("pac_b"));
    assert_eq!(first(&routing, &Ask { method: Method::SavedMethod, ..usd }), Some("pac_b"));
    for outside in [999, 2001] {
        assert_eq!(first(&routing, &Ask { amount: Amount::from_minor(outside), ..usd }), Some("pac_a"));
    }
    assert_eq!(routing.next(&usd, &[routing.first(&usd).unwrap()]), None, "a rule names all that come into question");
}

#[test]
fn what_is_bound_to_an_account_or_has_no_token_elsewhere_stays_there() {
    let checkout = id(1);
    let routing = routing(&["pac_a", "pac_b", "pac_m"], vec![to(&[("pac_a", 1)])]);
    let (bound, gone) = (ProviderAccountId::parse("pac_b").unwrap(), ProviderAccountId::parse("pac_gone").unwrap());
    assert_eq!(first(&routing, &Ask { bound_to: Some(&bound), ..ask(&checkout) }), Some("pac_b"), "whatever the rules say");
    assert_eq!(first(&routing, &Ask { bound_to: Some(&gone), ..ask(&checkout) }), None);
    assert_eq!(first(&routing, &Ask { providers: &["mollie"], ..ask(&checkout) }), None, "the rule names none of that provider");
    let free = Routing { rules: RoutingRules::default(), ..routing };
    assert_eq!(first(&free, &Ask { providers: &["mollie"], ..ask(&checkout) }), Some("pac_m"));
}

#[test]
fn one_that_fails_comes_last_and_one_of_no_weight_behind_the_others() {
    let checkout = id(1);
    let mut routing = routing(&["pac_a", "pac_b", "pac_c"], vec![to(&[("pac_c", 0), ("pac_b", 0), ("pac_a", 1)])]);
    let order = |routing: &Routing| routing.order(&ask(&checkout)).into_iter().map(|c| c.route.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(order(&routing), ["pac_a", "pac_c", "pac_b"]);
    routing.candidates[0].is_failing = true;
    assert_eq!(order(&routing), ["pac_c", "pac_b", "pac_a"], "still there, when nobody else is");
}

#[test]
fn traffic_is_spread_by_weight_and_the_same_for_whoever_asks_again() {
    let routing = routing(&["pac_a", "pac_b", "sandbox"], vec![to(&[("pac_a", 70), ("pac_b", 20), ("sandbox", 10)])]);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for n in 0..10_000 {
        let checkout = id(n);
        let chosen = first(&routing, &ask(&checkout)).unwrap();
        assert_eq!(first(&routing.clone(), &ask(&checkout)), Some(chosen));
        *counts.entry(chosen).or_default() += 1;
    }
    let share = |name: &str| counts.get(name).copied().unwrap_or(0);
    assert!((6_700..7_300).contains(&share("pac_a")) && (1_800..2_200).contains(&share("pac_b")), "{counts:?}");
    assert!((850..1_150).contains(&share("sandbox")), "{counts:?}");
}

#[test]
fn rules_that_cannot_be_meant_are_refused() {
    let wrong = |rules: Vec<RoutingRule>| RoutingRules { rules }.check().unwrap_err().param.unwrap();
    assert_eq!(wrong(vec![to(&[])]), "rules[0].to");
    assert_eq!(wrong(vec![to(&[("pac_a", 1)]), to(&[("pac_a", 1), ("pac_a", 2)])]), "rules[1].to[1].account");
    assert_eq!(wrong(vec![to(&[("pac_a", 1_001)])]), "rules[0].to[0].weight");
    let amounts = |least: i64, most: i64| RoutingRule {
        min_amount: Some(Amount::from_minor(least)),
        max_amount: Some(Amount::from_minor(most)),
        ..to(&[("pac_a", 1)])
    };
    assert_eq!(wrong(vec![amounts(2, 1)]), "rules[0].max_amount");
    assert_eq!(wrong(vec![amounts(-1, 1)]), "rules[0].max_amount");
    assert_eq!(wrong(vec![to(&[("pac_a", 1)]); MAX_RULES + 1]), "rules");
    assert_eq!(RoutingRules { rules: vec![amounts(1, 1)] }.check(), Ok(()));
}

#[test]
fn a_key_is_good_no_longer_than_its_provider_remembers_it() {
    let hour = Duration::from_secs(3600);
    let routing = Routing { key_windows: vec![("mollie".to_owned(), hour)], ..Routing::default() };
    assert_eq!(routing.key_window("mollie", hour * 23), hour);
    assert_eq!(routing.key_window("mollie", hour / 2), hour / 2);
    assert_eq!(routing.key_window("stripe", hour * 23), hour * 23);
}

proptest! {
    #[test]
    fn every_account_comes_up_once_whatever_the_weights(weights in prop::collection::vec(0u32..5, 1..6), seed in any::<u64>()) {
        let names = ["pac_a", "pac_b", "pac_c", "pac_d", "pac_e"];
        let targets: Vec<(&str, u32)> = names.iter().copied().zip(weights).collect();
        let routing = routing(&names, vec![to(&targets)]);
        let checkout = id(seed);
        let mut tried: Vec<&Route> = Vec::new();
        while let Some(route) = routing.next(&ask(&checkout), &tried) {
            prop_assert!(!tried.contains(&route));
            tried.push(route);
        }
        prop_assert_eq!(tried.len(), targets.len());
    }
}
