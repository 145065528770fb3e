use super::*;
use crate::domain::{
    attempt::{Advice, Fee, MoneyRequest, ProviderPage, Visit},
    id::{AttemptId, Entropy, ProviderAccountId},
    order::{Order, Totals},
    provider_event::{ToldMoney, Verdict, Word, judge},
    scope::{Mode, Scope},
    state::Status,
};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;
const NOW: Timestamp = Timestamp::from_millis(100 * HOUR);
const AT: Moment = Moment { now: NOW, grace: Duration::from_secs(300) };

fn account() -> EventAccount {
    EventAccount { provider: "stripe", account: "pac_1".to_owned(), mode: Mode::Test, tenant: Some("studio".to_owned()) }
}

fn usd(minor: i64) -> Sum {
    (Amount::from_minor(minor), Currency::USD)
}

fn fee(minor: i64) -> Fee {
    Fee { amount: Amount::from_minor(minor), currency: Currency::USD }
}

fn attempt(n: u32, kind: AttemptKind, status: AttemptStatus) -> Attempt {
    let reference = CheckoutId::parse("chk_1").unwrap();
    let (amount, account) = (Amount::from_minor(1500), Some(ProviderAccountId::parse("pac_1").unwrap()));
    let request = MoneyRequest { account, ..MoneyRequest::new(kind, reference, n, amount, Currency::USD) };
    let is_fee = (kind, status) == (AttemptKind::Charge, AttemptStatus::Approved);
    let attempt_id = AttemptId::generate(&Entropy::from_seed(1), NOW);
    Attempt {
        status,
        provider_reference: (status != AttemptStatus::Started && status != AttemptStatus::NotSent).then(|| id(n)),
        fee: is_fee.then(|| fee(74)),
        ..Attempt::recorded(attempt_id, n, "stripe".to_owned(), request, Timestamp::from_millis(HOUR))
    }
}

fn id(n: u32) -> String {
    format!("pi_{n}")
}

fn checkout(attempts: Vec<Attempt>) -> Checkout {
    let (now, id) = (Timestamp::from_millis(HOUR), CheckoutId::parse("chk_1").unwrap());
    let order = Order::of(Currency::USD, Vec::new(), Totals::default(), Vec::new());
    let mut checkout = Checkout::queued(id, Scope::new("studio", Mode::Test).unwrap(), order, now, now);
    checkout.status = Status::Failed;
    checkout.attempts = attempts;
    checkout
}

/// As the provider has it when both agree.
fn row(attempt: &Attempt) -> Option<BookRow> {
    use AttemptStatus::*;
    let status = match (attempt.request.kind, attempt.status) {
        (_, NotSent) => return None,
        (_, Approved) => BookStatus::Moved,
        (AttemptKind::Charge, Authorized) => BookStatus::Promised,
        (_, Declined) => BookStatus::Failed,
        (_, Started | RequiresAction | Pending | Unknown | NeedsReview | Authorized) => BookStatus::Open,
    };
    Some(BookRow {
        id: id(attempt.n),
        reference: Some("chk_1".to_owned()),
        key: Some(attempt.request.key.clone()),
        account: Some("pac_1".to_owned()),
        payment: (attempt.request.kind == AttemptKind::Refund).then(|| id(1)),
        money: Some(usd(attempt.request.amount.minor())),
        status,
        created_at: attempt.created_at,
        fee: attempt.fee,
    })
}

const fn about(attempt: &Attempt) -> About {
    if matches!(attempt.request.kind, AttemptKind::Refund) { About::Refund } else { About::Charge }
}

fn found(row: &BookRow, attempt: &Attempt) -> Option<Finding> {
    let checkout = checkout(vec![attempt.clone()]);
    let compared = compare(row, about(attempt), &account(), Some(&checkout), AT);
    assert!(compared.is_ours);
    compared.finding
}

/// What differs when the provider has an attempt of ours in this status.
fn differs(kind: AttemptKind, ours: AttemptStatus, theirs: BookStatus) -> Option<(Difference, bool)> {
    let attempt = attempt(1, kind, ours);
    let id = attempt.provider_reference.clone().unwrap_or_else(|| id(1));
    let row = BookRow { status: theirs, id, ..row(&self::attempt(1, kind, AttemptStatus::Approved)).unwrap() };
    let finding = found(&row, &attempt)?;
    assert!(!finding.is_under_way, "{finding:?}");
    Some((finding.difference, finding.can_be_mended))
}

#[test]
fn every_pair_of_standings_of_a_payment_agrees_or_is_told_apart() {
    use AttemptStatus::*;
    let open = [Started, RequiresAction, Pending, Unknown, NeedsReview];
    let of = |ours, theirs| differs(AttemptKind::Charge, ours, theirs);
    for ours in open {
        assert_eq!(of(ours, BookStatus::Moved), Some((Difference::MissedPayment, true)), "{ours:?}");
        assert_eq!(of(ours, BookStatus::Failed), Some((Difference::MissedRefusal, true)), "{ours:?}");
        assert_eq!(of(ours, BookStatus::Promised), Some((Difference::UnknownPromise, false)), "{ours:?}");
        assert_eq!(of(ours, BookStatus::Open), None, "{ours:?}");
    }
    assert_eq!(of(Declined, BookStatus::Moved), Some((Difference::MoneyBehindNo, true)));
    assert_eq!(of(NotSent, BookStatus::Moved), Some((Difference::MoneyBehindNo, false)));
    assert_eq!(of(Authorized, BookStatus::Moved), Some((Difference::UnknownCapture, false)));
    for theirs in [BookStatus::Promised, BookStatus::Open, BookStatus::Failed] {
        assert_eq!(of(Approved, theirs), Some((Difference::NotTaken, false)), "{theirs:?}");
    }
    assert_eq!(of(Authorized, BookStatus::Failed), Some((Difference::NotTaken, false)));
    for ours in [Declined, NotSent] {
        assert_eq!(of(ours, BookStatus::Promised), Some((Difference::UnknownPromise, false)), "{ours:?}");
        assert_eq!((of(ours, BookStatus::Failed), of(ours, BookStatus::Open)), (None, None));
    }
    assert_eq!((of(Approved, BookStatus::Moved), of(Authorized, BookStatus::Promised)), (None, None));
}

#[test]
fn every_pair_of_standings_of_a_refund_agrees_or_is_told_apart() {
    use AttemptStatus::*;
    let of = |ours, theirs| differs(AttemptKind::Refund, ours, theirs);
    for ours in [Started, Pending, Unknown, NeedsReview] {
        assert_eq!(of(ours, BookStatus::Moved), Some((Difference::MissedRefund, true)), "{ours:?}");
        assert_eq!(of(ours, BookStatus::Failed), Some((Difference::MissedRefusal, true)), "{ours:?}");
        assert_eq!(of(ours, BookStatus::Open), None, "{ours:?}");
    }
    assert_eq!(of(Approved, BookStatus::Failed), Some((Difference::RefundFailed, true)));
    assert_eq!(of(Declined, BookStatus::Moved), Some((Difference::RefundBehindNo, false)));
    assert_eq!((of(Approved, BookStatus::Moved), of(Approved, BookStatus::Open), of(Declined, BookStatus::Failed)), (None, None, None));
}

#[test]
fn what_is_somebody_elses_is_no_difference() {
    let ours = attempt(1, AttemptKind::Charge, AttemptStatus::Declined);
    let row = BookRow { status: BookStatus::Moved, ..row(&ours).unwrap() };
    let checkout = checkout(vec![ours.clone()]);
    let of = |row: &BookRow, account: &EventAccount| compare(row, About::Charge, account, Some(&checkout), AT).is_ours;
    assert!(of(&row, &account()));
    assert!(!of(&BookRow { account: Some("pac_2".to_owned()), ..row.clone() }, &account()), "our other account's");
    assert!(!of(&BookRow { reference: Some("order-17".to_owned()), ..row.clone() }, &account()), "no reference of ours");
    assert!(!of(&BookRow { key: None, ..row.clone() }, &account()));
    let unmarked = BookRow { account: None, ..row };
    assert!(of(&unmarked, &account()), "providers without a place for it");
    for other in [
        EventAccount { account: "pac_2".to_owned(), ..account() },
        EventAccount { tenant: Some("other".to_owned()), ..account() },
        EventAccount { mode: Mode::Live, ..account() },
        EventAccount { provider: "mollie", ..account() },
    ] {
        assert!(!of(&unmarked, &other), "{other:?}");
    }
}

#[test]
fn a_reference_of_ours_that_does_not_exist_is_a_difference_where_money_moved() {
    let row = row(&attempt(1, AttemptKind::Charge, AttemptStatus::Approved)).unwrap();
    let of = |row: &BookRow, checkout: Option<&Checkout>| compare(row, About::Charge, &account(), checkout, AT).finding;
    let finding = of(&row, None).unwrap();
    assert_eq!((finding.difference, finding.can_be_mended, finding.theirs), (Difference::UnknownReference, false, Some(usd(1500))));
    let other_key = checkout(vec![attempt(2, AttemptKind::Charge, AttemptStatus::Approved)]);
    assert_eq!(of(&row, Some(&other_key)).unwrap().difference, Difference::UnknownReference);
    let other_kind = checkout(vec![attempt(1, AttemptKind::Refund, AttemptStatus::Approved)]);
    assert_eq!(of(&row, Some(&other_kind)).unwrap().difference, Difference::UnknownReference);
    assert_eq!(of(&BookRow { status: BookStatus::Failed, ..row }, None), None);
}

#[test]
fn on_a_providers_page_a_payment_goes_by_another_name_until_it_is_decided() {
    let page = ProviderPage { is_embedded: false, title: "Yoga".to_owned(), expires_at: NOW };
    let visit = Some(Visit { return_url: "https://shop.example".to_owned(), page: Some(page) });
    let on_the_page = |status, known: &str| {
        let mut attempt = attempt(1, AttemptKind::Charge, status);
        attempt.request.visit = visit.clone();
        Attempt { provider_reference: Some(known.to_owned()), ..attempt }
    };
    let paid = row(&attempt(1, AttemptKind::Charge, AttemptStatus::Approved)).unwrap();
    let told = |status, known| found(&paid, &on_the_page(status, known)).map(|finding| finding.difference);
    assert_eq!(told(AttemptStatus::RequiresAction, "cs_1"), Some(Difference::MissedPayment));
    assert_eq!(told(AttemptStatus::Approved, "cs_1"), None, "an operator's word");
    assert_eq!(told(AttemptStatus::Approved, "pi_9"), Some(Difference::Twice));
    let other = Attempt { provider_reference: Some("pi_9".to_owned()), ..attempt(1, AttemptKind::Charge, AttemptStatus::Unknown) };
    assert_eq!(found(&paid, &other).unwrap().difference, Difference::Twice);
    assert_eq!(found(&BookRow { status: BookStatus::Failed, ..paid }, &other), None);
}

#[test]
fn what_is_held_or_young_is_under_way() {
    let missed = attempt(1, AttemptKind::Charge, AttemptStatus::Unknown);
    let row = BookRow { status: BookStatus::Moved, ..row(&missed).unwrap() };
    assert!(!found(&row, &missed).unwrap().is_under_way);
    let held = Attempt { lease_until: Some(NOW.after(Duration::from_secs(1))), ..missed.clone() };
    assert!(found(&row, &held).unwrap().is_under_way);
    let was_held = Attempt { lease_until: Some(NOW), ..missed.clone() };
    assert!(!found(&row, &was_held).unwrap().is_under_way);
    let young = BookRow { created_at: NOW.before(Duration::from_secs(299)), ..row.clone() };
    assert!(found(&young, &missed).unwrap().is_under_way);
    // Money behind a no waits for whatever else is under way.
    let refused = attempt(1, AttemptKind::Charge, AttemptStatus::Declined);
    let mut both = checkout(vec![refused, attempt(2, AttemptKind::Charge, AttemptStatus::Unknown)]);
    both.status = Status::Reconciling;
    let finding = compare(&row, About::Charge, &account(), Some(&both), AT).finding.unwrap();
    assert_eq!((finding.difference, finding.is_under_way), (Difference::MoneyBehindNo, true));
}

#[test]
fn what_was_taken_back_by_a_void_did_not_move() {
    let charge = attempt(1, AttemptKind::Charge, AttemptStatus::Approved);
    let failed = BookRow { status: BookStatus::Failed, ..row(&charge).unwrap() };
    let mut voided = checkout(vec![charge.clone(), attempt(2, AttemptKind::Void, AttemptStatus::Approved)]);
    assert_eq!(compare(&failed, About::Charge, &account(), Some(&voided), AT).finding, None);
    assert_eq!((moved_by(&voided, &charge), moved_by(&checkout(vec![charge.clone()]), &charge)), (None, Some(usd(1500))));
    let moved = compare(&row(&charge).unwrap(), About::Charge, &account(), Some(&voided), AT).finding.unwrap();
    assert_eq!((moved.difference, moved.can_be_mended), (Difference::MoneyBehindNo, false));
    voided.attempts[1].status = AttemptStatus::Declined;
    assert_eq!(moved_by(&voided, &charge), Some(usd(1500)));
}

#[test]
fn a_fee_may_stand_with_the_capture() {
    let charge = Attempt { fee: None, ..attempt(1, AttemptKind::Charge, AttemptStatus::Approved) };
    let row = BookRow { fee: Some(fee(74)), ..row(&charge).unwrap() };
    let finding = found(&row, &charge).unwrap();
    assert_eq!((finding.difference, finding.theirs, finding.ours), (Difference::FeeMissing, Some(usd(74)), None));
    let capture = Attempt { fee: Some(fee(74)), ..attempt(2, AttemptKind::Capture, AttemptStatus::Approved) };
    let captured = checkout(vec![charge, capture]);
    assert_eq!(compare(&row, About::Charge, &account(), Some(&captured), AT).finding, None);
}

#[test]
fn a_refund_that_nobody_asked_us_for_is_found_by_its_payment() {
    let charged = [checkout(vec![attempt(1, AttemptKind::Charge, AttemptStatus::Approved)])];
    let refund = row(&attempt(2, AttemptKind::Refund, AttemptStatus::Approved)).unwrap();
    let by_hand = BookRow { reference: None, key: None, account: None, ..refund.clone() };
    let finding = unasked(&by_hand, &account(), &charged).unwrap();
    assert_eq!((finding.difference, finding.checkout), (Difference::UnaskedRefund, Some(charged[0].id.clone())));
    assert_eq!(unasked(&refund, &account(), &charged), None, "ours");
    assert_eq!(unasked(&BookRow { payment: Some("pi_9".to_owned()), ..by_hand.clone() }, &account(), &charged), None);
    assert_eq!(unasked(&BookRow { status: BookStatus::Failed, ..by_hand.clone() }, &account(), &charged), None);
    assert_eq!(unasked(&by_hand, &EventAccount { tenant: Some("other".to_owned()), ..account() }, &charged), None);
}

#[test]
fn names_are_told_apart_and_every_difference_has_its_advice() {
    let names: std::collections::BTreeSet<&str> = Difference::ALL.iter().map(|difference| difference.as_str()).collect();
    assert_eq!(names.len(), Difference::ALL.len());
    assert!(Difference::ALL.iter().all(|difference| !difference.advice().is_empty()));
}

fn statuses() -> impl Strategy<Value = AttemptStatus> {
    use AttemptStatus::*;
    prop::sample::select(vec![Started, Approved, Authorized, Declined, RequiresAction, Pending, Unknown, NotSent, NeedsReview])
}

/// A history: charges and refunds of one checkout, however they came to stand so.
fn history() -> impl Strategy<Value = Vec<Attempt>> {
    let one = (prop::sample::select(vec![AttemptKind::Charge, AttemptKind::Refund]), statuses(), 1i64..100_000);
    prop::collection::vec(one, 1..8).prop_map(|all| {
        let made =
            all.into_iter().zip(1..).filter(|((kind, status, _), _)| (*kind, *status) != (AttemptKind::Refund, AttemptStatus::Authorized));
        made.map(|((kind, status, minor), n)| {
            let mut attempt = attempt(n, kind, status);
            attempt.request.amount = Amount::from_minor(minor);
            attempt
        })
        .collect()
    })
}

/// One thing that the provider has otherwise.
#[derive(Debug, Clone, Copy)]
enum Mutation {
    Amount,
    Currency,
    Uncountable,
    Fee,
    NoFeeOfOurs,
    OtherId,
    Moved,
    Failed,
    OtherKey,
}

/// Does it, where it makes a difference; what is to be found then.
fn mutated(mutation: Mutation, row: &mut BookRow, attempt: &mut Attempt) -> Option<Difference> {
    use AttemptStatus::*;
    let (charge, status) = (attempt.request.kind == AttemptKind::Charge, attempt.status);
    let is_there = matches!(row.status, BookStatus::Moved | BookStatus::Promised);
    let money = row.money?;
    match mutation {
        Mutation::Amount if is_there => row.money = Some(usd(money.0.minor() + 1)),
        Mutation::Currency if is_there => row.money = Some((money.0, Currency::parse("eur").unwrap())),
        Mutation::Uncountable if is_there => row.money = None,
        Mutation::Fee if row.fee.is_some() => {
            row.fee = Some(fee(75));
            return Some(Difference::FeeDiffers);
        }
        Mutation::NoFeeOfOurs if row.fee.is_some() => {
            attempt.fee = None;
            return Some(Difference::FeeMissing);
        }
        Mutation::OtherId if is_there => {
            row.id = "pi_other".to_owned();
            return Some(Difference::Twice);
        }
        Mutation::OtherKey if is_there => {
            row.key = Some("chk_1_99".to_owned());
            return Some(Difference::UnknownReference);
        }
        Mutation::Moved if status != Approved => {
            row.status = BookStatus::Moved;
            return Some(match (charge, status) {
                (true, Authorized) => Difference::UnknownCapture,
                (true, Declined) => Difference::MoneyBehindNo,
                (true, _) => Difference::MissedPayment,
                (false, Declined) => Difference::RefundBehindNo,
                (false, _) => Difference::MissedRefund,
            });
        }
        Mutation::Failed if status != Declined => {
            row.status = BookStatus::Failed;
            return Some(match (charge, status) {
                (true, Approved | Authorized) => Difference::NotTaken,
                (false, Approved) => Difference::RefundFailed,
                (_, _) => Difference::MissedRefusal,
            });
        }
        _ => return None,
    }
    Some(Difference::AmountDiffers)
}

/// What an event would say of a row.
fn told(row: &BookRow, about: About, attempt: &Attempt) -> ToldMoney {
    let word = match row.status {
        BookStatus::Moved => Word::Moved,
        _ => Word::Refused { code: "no".to_owned(), message: "no".to_owned(), advice: Advice::AskCustomer },
    };
    ToldMoney {
        about,
        reference: CheckoutId::parse("chk_1").unwrap(),
        key: attempt.request.key.clone(),
        provider_reference: row.id.clone(),
        pending_as: None,
        reusable: None,
        amount: attempt.request.amount,
        currency: attempt.request.currency,
        word,
    }
}

proptest! {
    #[test]
    fn a_book_agrees_with_the_history_that_it_is_of(attempts in history()) {
        let checkout = checkout(attempts);
        for attempt in &checkout.attempts {
            if let Some(row) = row(attempt) {
                let compared = compare(&row, about(attempt), &account(), Some(&checkout), AT);
                prop_assert_eq!(compared, Compared { is_ours: true, attempt: Some(attempt), finding: None });
            }
        }
    }

    #[test]
    fn whatever_one_side_has_otherwise_is_found_and_what_can_be_mended_moves_by_an_event(
        attempts in history(),
        at in any::<prop::sample::Index>(),
        mutation in prop::sample::select(vec![
            Mutation::Amount, Mutation::Currency, Mutation::Uncountable, Mutation::Fee, Mutation::NoFeeOfOurs, Mutation::OtherId,
            Mutation::Moved, Mutation::Failed, Mutation::OtherKey,
        ]),
    ) {
        prop_assume!(!attempts.is_empty());
        let mut checkout = checkout(attempts);
        let at = at.index(checkout.attempts.len());
        let Some(mut row) = row(&checkout.attempts[at]) else { return Ok(()) };
        let Some(expected) = mutated(mutation, &mut row, &mut checkout.attempts[at]) else { return Ok(()) };
        let attempt = &checkout.attempts[at];
        let finding = compare(&row, about(attempt), &account(), Some(&checkout), AT).finding;
        let finding = finding.expect("it is found");
        prop_assert_eq!(finding.difference, expected);
        if !finding.is_under_way && finding.difference != Difference::FeeMissing {
            let verdict = judge(&checkout, &account(), &told(&row, about(attempt), attempt));
            let moves = matches!(verdict, Verdict::Settle { .. } | Verdict::CameBack { .. });
            prop_assert!(!finding.can_be_mended || moves, "{:?} {:?}", finding, verdict);
        }
    }
}
