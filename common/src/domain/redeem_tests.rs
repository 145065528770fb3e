use super::*;
use crate::domain::{
    id::{CheckoutId, LineId},
    secret::Secret,
    tender::legs,
};
use proptest::prelude::*;
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);

fn id(text: &str) -> CatalogueId {
    CatalogueId::parse(text).unwrap()
}

fn ada() -> CustomerId {
    CustomerId::parse("cus_ada").unwrap()
}

/// `yoga` and `spin` take packs, `talk` takes none.
fn sessions() -> HashMap<CatalogueId, Session> {
    let session = |memberships: &[&str]| {
        let doc = json!({"name": "Class", "starts_at": "2060-01-01T10:00:00Z", "capacity": 100, "unit_amount": 1, "currency": "usd",
            "compatible_memberships": memberships});
        serde_json::from_value::<Session>(doc).unwrap()
    };
    HashMap::from([(id("yoga"), session(&["mem_pack", "mem_gold"])), (id("spin"), session(&["mem_pack"])), (id("talk"), session(&[]))])
}

fn line(session: &str, quantity: u32, amount: i64, discount: i64, tax: i64) -> Line {
    Line {
        id: LineId::parse(format!("li_{session}")).unwrap(),
        item: Item::Session {
            session: id(session),
            seats: Vec::new(),
            offer: None,
            participants: Vec::new(),
            pricing_plan: None,
            class: None,
        },
        name: "Class".to_owned(),
        quantity,
        unit_amount: Amount::from_minor(amount / i64::from(quantity)),
        amount: Amount::from_minor(amount),
        discount_amount: Amount::from_minor(discount),
        tax_amount: Amount::from_minor(tax),
    }
}

fn bought(id: &str, membership: &str, credits: Option<u32>, used: u32) -> Spendable {
    let kind = if membership == "mem_gold" { MembershipType::Subscription } else { MembershipType::Pack };
    let bought = BoughtMembership {
        id: BoughtMembershipId::parse(id).unwrap(),
        customer: ada(),
        membership: CatalogueId::parse(membership).unwrap(),
        kind,
        credits,
        valid_from: Timestamp::from_millis(0),
        valid_until: None,
        period: 1,
        period_from: Timestamp::from_millis(0),
        frozen: None,
        ended_at: None,
        sold_by: None::<(CheckoutId, LineId)>,
        metadata: serde_json::Map::new(),
        created_at: NOW,
        updated_at: NOW,
    };
    Spendable { bought, left: credits.map(|credits| credits - used) }
}

fn with(ids: &[&str]) -> Vec<Asked> {
    let tender = |id: &str| match id {
        "card" => Tender::card(Secret::new("tok_visa".to_owned())),
        id => Tender::Membership { bought_membership: BoughtMembershipId::parse(id).unwrap(), covers: Vec::new() },
    };
    ids.iter().enumerate().map(|(at, id)| Asked { tender: tender(id), amount: None, param: format!("payment.methods[{at}]") }).collect()
}

/// What each method pays: its amount, and the places by line.
type Paid = Vec<(Option<i64>, Vec<(String, u32)>)>;

fn run(mut asked: Vec<Asked>, lines: &[Line], bought: &[Spendable]) -> Result<Paid, (Code, String)> {
    let (sessions, ada) = (sessions(), ada());
    let on = Redeeming { lines, sessions: &sessions, bought, buyer: Whose::Known(&ada), now: NOW };
    cover(&mut asked, &on).map_err(|error| (error.code, error.param.unwrap_or_default()))?;
    let places = |tender: &Tender| match tender {
        Tender::Membership { covers, .. } => covers.iter().map(|cover| (cover.line.to_string(), cover.places)).collect(),
        _ => Vec::new(),
    };
    Ok(asked.iter().map(|method| (method.amount.map(Amount::minor), places(&method.tender))).collect())
}

fn incompatible(at: usize) -> Result<Paid, (Code, String)> {
    Err((Code::MembershipIncompatible, format!("payment.methods[{at}].bought_membership")))
}

#[test]
fn packs_pay_for_places_in_the_order_of_the_lines_until_their_credits_are_used_up_and_money_pays_the_rest() {
    let lines = [line("talk", 1, 900, 0, 0), line("yoga", 2, 3000, 0, 225), line("spin", 2, 2000, 0, 0)];
    let packs = [bought("bmb_1", "mem_pack", Some(5), 4), bought("bmb_2", "mem_pack", Some(10), 8)];
    let paid = run(with(&["bmb_1", "bmb_2", "card"]), &lines, &packs).unwrap();
    let places = |line: &str, places| (line.to_owned(), places);
    assert_eq!(
        paid,
        [(Some(1612), vec![places("li_yoga", 1)]), (Some(2613), vec![places("li_yoga", 1), places("li_spin", 1)]), (None, vec![]),]
    );
}

#[test]
fn the_places_of_a_line_come_to_what_the_line_does_whoever_pays_for_them() {
    let odd = line("yoga", 3, 1000, 0, 0);
    let parts: Vec<i64> = (0..3).map(|n| price(&odd, n, 1).unwrap().minor()).collect();
    assert_eq!((parts.iter().sum::<i64>(), price(&odd, 0, 3).unwrap().minor(), price(&odd, 1, 9).unwrap().minor()), (1000, 1000, 667));
}

#[test]
fn a_subscription_pays_alone_among_memberships_and_without_end_when_it_has_no_limit() {
    let lines = [line("yoga", 50, 75_000, 0, 0)];
    let gold = bought("bmb_gold", "mem_gold", None, 900);
    assert_eq!(run(with(&["bmb_gold"]), &lines, std::slice::from_ref(&gold)).unwrap()[0].0, Some(75_000));
    let both = [gold, bought("bmb_1", "mem_pack", Some(5), 0)];
    assert_eq!(run(with(&["bmb_gold", "bmb_1"]), &lines, &both), incompatible(0));
    assert_eq!(run(with(&["bmb_1", "bmb_gold"]), &lines, &both), incompatible(1));
}

#[test]
fn what_does_not_fit_is_refused_at_its_method() {
    let (yoga, talk) = ([line("yoga", 1, 1500, 0, 0)], [line("talk", 1, 1500, 0, 0)]);
    let pack = || bought("bmb_1", "mem_pack", Some(5), 0);
    let changed = |change: fn(&mut BoughtMembership)| {
        let mut spendable = pack();
        change(&mut spendable.bought);
        [spendable]
    };
    assert_eq!(run(with(&["bmb_1"]), &talk, &[pack()]), incompatible(0), "for other sessions");
    assert_eq!(run(with(&["bmb_none"]), &yoga, &[pack()]), incompatible(0), "not there");
    assert_eq!(run(with(&["bmb_1"]), &yoga, &changed(|b| b.customer = CustomerId::parse("cus_bob").unwrap())), incompatible(0));
    assert_eq!(run(with(&["bmb_1"]), &yoga, &changed(|b| b.valid_until = Some(NOW))), incompatible(0), "expired");
    assert_eq!(run(with(&["bmb_1"]), &yoga, &changed(|b| b.valid_until = Timestamp::parse("2059-01-01T00:00:00Z"))), incompatible(0));
    assert_eq!(run(with(&["bmb_1"]), &yoga, &changed(|b| b.ended_at = Some(NOW))), incompatible(0), "given back");
    let frozen = changed(|b| b.frozen = Some(crate::domain::bought_membership::Frozen { from: NOW, until: None }));
    assert_eq!(run(with(&["bmb_1"]), &yoga, &frozen), incompatible(0));
    let twice = run(with(&["bmb_1", "bmb_1"]), &yoga, &[pack()]);
    assert_eq!(twice, Err((Code::ParameterInvalid, "payment.methods[1].bought_membership".to_owned())));
    let needless = run(with(&["bmb_1", "bmb_2"]), &yoga, &[pack(), bought("bmb_2", "mem_pack", Some(5), 0)]);
    assert_eq!(needless, incompatible(1));
}

#[test]
fn too_few_credits_are_told_unless_money_pays_the_rest() {
    let lines = [line("yoga", 2, 3000, 0, 0)];
    let insufficient = || Err((Code::MembershipInsufficient, "payment.methods[0].bought_membership".to_owned()));
    let (one, none) = ([bought("bmb_1", "mem_pack", Some(5), 4)], [bought("bmb_1", "mem_pack", Some(5), 5)]);
    assert_eq!(run(with(&["bmb_1"]), &lines, &one), insufficient());
    assert_eq!(run(with(&["bmb_1", "card"]), &lines, &none), insufficient());
    assert_eq!(run(with(&["bmb_1", "card"]), &lines, &one).unwrap()[0].0, Some(1500));
    let mut echoed = with(&["bmb_1", "card"]);
    echoed[0].amount = Some(Amount::from_minor(1400));
    assert_eq!(run(echoed, &lines, &one), Err((Code::PaymentAmountMismatch, "payment.methods[0].amount".to_owned())));
}

#[test]
fn guests_have_no_memberships_and_others_are_asked_when_the_checkout_is_begun() {
    let (sessions, lines, pack) = (sessions(), [line("yoga", 1, 1500, 0, 0)], [bought("bmb_1", "mem_pack", Some(5), 0)]);
    let on = |buyer| cover(&mut with(&["bmb_1"]), &Redeeming { lines: &lines, sessions: &sessions, bought: &pack, buyer, now: NOW });
    assert_eq!(on(Whose::Nobody).unwrap_err().code, Code::MembershipIncompatible);
    assert_eq!(on(Whose::ToBeFound), Ok(()));
}

#[test]
fn each_reason_is_told_and_one_alone_is_asked_about_by_the_same_rule() {
    let (yoga, talk) = ([line("yoga", 1, 1500, 0, 0)], [line("talk", 1, 1500, 0, 0)]);
    let (sessions, ada) = (sessions(), ada());
    let pack = || bought("bmb_1", "mem_pack", Some(5), 0);
    let changed = |change: fn(&mut BoughtMembership)| {
        let mut spendable = pack();
        change(&mut spendable.bought);
        spendable
    };
    let gold = bought("bmb_gold", "mem_gold", None, 0);
    for (why, lines, named, bought) in [
        (Incompatibility::NotThere, &yoga[..], &["bmb_none"][..], vec![pack()]),
        (Incompatibility::NoPlaces, &[], &["bmb_1"], vec![pack()]),
        (Incompatibility::OtherSessions, &talk, &["bmb_1"], vec![pack()]),
        (Incompatibility::Upcoming, &yoga, &["bmb_1"], vec![changed(|b| b.valid_from = NOW.after(std::time::Duration::from_secs(1)))]),
        (Incompatibility::Expired, &yoga, &["bmb_1"], vec![changed(|b| b.valid_until = Some(NOW))]),
        (Incompatibility::EndsBefore, &yoga, &["bmb_1"], vec![changed(|b| b.valid_until = Timestamp::parse("2059-01-01T00:00:00Z"))]),
        (Incompatibility::Ended, &yoga, &["bmb_1"], vec![changed(|b| b.ended_at = Some(NOW))]),
        (Incompatibility::NoCreditsLeft, &yoga, &["bmb_1"], vec![bought("bmb_1", "mem_pack", Some(5), 5)]),
        (Incompatibility::NamedTwice, &yoga, &["bmb_1", "bmb_1"], vec![pack()]),
        (Incompatibility::SubscriptionAndPack, &yoga, &["bmb_gold", "bmb_1"], vec![gold.clone(), pack()]),
        (Incompatibility::SeveralSubscriptions, &yoga, &["bmb_gold", "bmb_2"], vec![gold.clone(), bought("bmb_2", "mem_gold", None, 0)]),
    ] {
        let on = Redeeming { lines, sessions: &sessions, bought: &bought, buyer: Whose::Known(&ada), now: NOW };
        let error = cover(&mut with(named), &on).unwrap_err();
        assert_eq!((error.reason, error.code), (Some(why), why.code()), "{}", error.message);
        if let ([alone], [id]) = (bought.as_slice(), named)
            && *id == alone.bought.id.as_str()
        {
            assert_eq!(incompatibility(&alone.bought, alone.left, &on), Some(why));
        }
    }
    let on = Redeeming { lines: &yoga, sessions: &sessions, bought: &[], buyer: Whose::Known(&ada), now: NOW };
    assert_eq!(incompatibility(&pack().bought, Some(1), &on), None);
    assert_eq!(incompatibility(&gold.bought, None, &on), None);
}

#[test]
fn the_membership_of_another_tells_nothing_of_its_kind() {
    let yoga = [line("yoga", 1, 1500, 0, 0)];
    let mut gold = bought("bmb_gold", "mem_gold", None, 0);
    gold.bought.customer = CustomerId::parse("cus_bob").unwrap();
    let (sessions, ada, both) = (sessions(), ada(), [gold, bought("bmb_1", "mem_pack", Some(5), 0)]);
    let on = Redeeming { lines: &yoga, sessions: &sessions, bought: &both, buyer: Whose::Known(&ada), now: NOW };
    assert_eq!(cover(&mut with(&["bmb_gold", "bmb_1"]), &on).unwrap_err().reason, Some(Incompatibility::NotThere));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// In any cart with any packs: no pack pays more than it has, no place is paid for twice, and the legs come to the total.
    #[test]
    fn no_credit_pays_twice_and_the_legs_come_to_the_total(
        quantities in prop::collection::vec((0usize..3, 1u32..9, 0i64..5_000, 0i64..100, 0i64..100), 1..5),
        credits in prop::collection::vec((0u32..12, 0u32..12), 1..4),
    ) {
        let names = ["yoga", "spin", "talk"];
        let lines: Vec<Line> = quantities.iter().enumerate().map(|(at, &(name, quantity, amount, discount, tax))| {
            let priced = line(names[name], quantity, amount, discount.min(amount), tax);
            Line { id: LineId::parse(format!("li_{at}")).unwrap(), ..priced }
        }).collect();
        let total = lines.iter().try_fold(Amount::ZERO, |sum, line| sum.plus(price(line, 0, line.quantity).unwrap())).unwrap();
        let packs: Vec<Spendable> =
            credits.iter().enumerate().map(|(at, &(credits, used))| bought(&format!("bmb_{at}"), "mem_pack", Some(credits), used.min(credits))).collect();
        let ids: Vec<String> = (0..packs.len()).map(|at| format!("bmb_{at}")).collect();
        let mut asked = with(&ids.iter().map(String::as_str).chain(["card"]).collect::<Vec<_>>());
        let (sessions, ada) = (sessions(), ada());
        let on = Redeeming { lines: &lines, sessions: &sessions, bought: &packs, buyer: Whose::Known(&ada), now: NOW };
        if cover(&mut asked, &on).is_err() {
            return Ok(());
        }
        let mut paid: HashMap<String, u32> = HashMap::new();
        for (method, pack) in asked.iter().zip(&packs) {
            let Tender::Membership { covers, .. } = &method.tender else { panic!() };
            prop_assert!(covers.iter().map(|cover| cover.places).sum::<u32>() <= pack.left.unwrap());
            covers.iter().for_each(|cover| *paid.entry(cover.line.to_string()).or_default() += cover.places);
        }
        for line in &lines {
            prop_assert!(paid.get(line.id.as_str()).copied().unwrap_or(0) <= line.quantity);
        }
        if let Ok(legs) = legs(&asked, total) {
            let sum = legs.iter().map(|leg| leg.amount.minor()).sum::<i64>();
            prop_assert_eq!(sum, total.minor());
        }
    }
}
