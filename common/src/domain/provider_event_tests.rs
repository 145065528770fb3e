use super::*;
use crate::domain::{
    attempt::{Advice, Attempt, MoneyRequest},
    id::{AttemptId, Entropy, ProviderAccountId},
    order::{Order, Totals},
    scope::Scope,
    state::Status,
};
use proptest::prelude::*;

fn usd() -> Currency {
    Currency::parse("usd").unwrap()
}

fn checkout(status: Status, attempt: AttemptStatus) -> Checkout {
    let (now, id) = (Timestamp::from_millis(1), CheckoutId::parse("chk_1").unwrap());
    let request = MoneyRequest::new(AttemptKind::Charge, id.clone(), 1, Amount::from_minor(1500), usd());
    let recorded = Attempt::recorded(AttemptId::generate(&Entropy::from_seed(1), now), 1, "sandbox".to_owned(), request, now);
    let attempt = Attempt { status: attempt, provider_reference: Some("ch_1".to_owned()), ..recorded };
    let order = Order::of(usd(), Vec::new(), Totals::default(), Vec::new());
    let queued = Checkout::queued(id, Scope::new("studio", Mode::Test).unwrap(), order, now, now);
    Checkout { status, due_at: None, attempts: vec![attempt], ..queued }
}

fn account() -> EventAccount {
    EventAccount { provider: "sandbox", account: "test".to_owned(), mode: Mode::Test, tenant: None }
}

fn told(word: Word) -> ToldMoney {
    ToldMoney {
        about: About::Charge,
        reference: CheckoutId::parse("chk_1").unwrap(),
        key: "chk_1_1".to_owned(),
        provider_reference: "ch_1".to_owned(),
        pending_as: None,
        reusable: None,
        amount: Amount::from_minor(1500),
        currency: usd(),
        word,
    }
}

fn refused() -> Word {
    Word::Refused { code: "customer_refused".to_owned(), message: "no".to_owned(), advice: Advice::AskCustomer }
}

#[test]
fn a_word_that_fits_in_every_part_settles_the_attempt() {
    let waiting = checkout(Status::AwaitingPayment, AttemptStatus::Pending);
    assert!(matches!(judge(&waiting, &account(), &told(Word::Moved)), Verdict::Settle { n: 1, outcome: Outcome::Approved(_) }));
    assert!(matches!(judge(&waiting, &account(), &told(refused())), Verdict::Settle { n: 1, outcome: Outcome::Declined(_) }));
    assert_eq!(judge(&waiting, &account(), &told(Word::Asked)), Verdict::Known);
    // Before our own request was answered.
    let mut early = checkout(Status::Processing, AttemptStatus::Started);
    early.attempts[0].provider_reference = None;
    assert!(matches!(judge(&early, &account(), &told(Word::Moved)), Verdict::Settle { .. }));
}

#[test]
fn whoever_asks_just_now_is_about_to_know_as_much_and_whoever_asked_before_is_not() {
    let (before, now) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
    let mut asked = checkout(Status::Processing, AttemptStatus::Started);
    let verdict = judge(&asked, &account(), &told(Word::Moved));
    assert!(!is_being_answered(&asked, &verdict, before), "nobody holds it");
    asked.attempts[0].lease_until = Some(now);
    assert!(is_being_answered(&asked, &verdict, before));
    assert!(!is_being_answered(&asked, &verdict, now), "his lease is over");
    assert!(!is_being_answered(&asked, &Verdict::Known, before));
    for status in [AttemptStatus::Pending, AttemptStatus::RequiresAction, AttemptStatus::Unknown] {
        let mut waiting = checkout(Status::AwaitingPayment, status);
        waiting.attempts[0].lease_until = Some(now);
        assert!(!is_being_answered(&waiting, &verdict, before), "it is not his answer that settles it: {status:?}");
    }
}

#[test]
fn a_fee_is_asked_for_once_of_a_charge_that_an_event_has_settled() {
    let theirs = EventAccount { provider: "stripe", account: "pac_1".to_owned(), mode: Mode::Test, tenant: Some("studio".to_owned()) };
    let told = ToldFee { reference: CheckoutId::parse("chk_1").unwrap(), key: "chk_1_1".to_owned(), provider_reference: "ch_1".to_owned() };
    let with = |status| {
        let mut checkout = checkout(Status::Succeeded, status);
        checkout.attempts[0].provider = "stripe".to_owned();
        checkout.attempts[0].request.account = Some(ProviderAccountId::parse("pac_1").unwrap());
        checkout
    };
    let mut sold = with(AttemptStatus::Approved);
    assert_eq!(judge_fee(&sold, &theirs, &told), FeeVerdict::Ask(1));
    for status in [AttemptStatus::Started, AttemptStatus::Unknown, AttemptStatus::Authorized, AttemptStatus::RequiresAction] {
        assert_eq!(judge_fee(&with(status), &theirs, &told), FeeVerdict::Later, "{status:?}");
    }
    for status in [AttemptStatus::Declined, AttemptStatus::NotSent, AttemptStatus::NeedsReview] {
        assert_eq!(judge_fee(&with(status), &theirs, &told), FeeVerdict::Known, "{status:?}");
    }
    let other = EventAccount { account: "pac_2".to_owned(), ..theirs.clone() };
    let otherwise = ToldFee { provider_reference: "ch_2".to_owned(), ..told.clone() };
    assert_eq!((judge_fee(&sold, &other, &told), judge_fee(&sold, &theirs, &otherwise)), (FeeVerdict::NotOurs, FeeVerdict::NotOurs));
    // A capture brings it with its own answer.
    let mut capture = sold.attempts[0].clone();
    (capture.n, capture.request.kind, capture.request.key, capture.status) =
        (2, AttemptKind::Capture, "chk_1_2".to_owned(), AttemptStatus::Started);
    sold.attempts.push(capture);
    assert_eq!(judge_fee(&sold, &theirs, &told), FeeVerdict::Later);
    sold.attempts[1].status = AttemptStatus::Approved;
    assert_eq!(judge_fee(&sold, &theirs, &told), FeeVerdict::Ask(1));
    sold.attempts[1].fee = Some(crate::domain::attempt::Fee { amount: Amount::from_minor(74), currency: usd() });
    assert_eq!(judge_fee(&sold, &theirs, &told), FeeVerdict::Known);
}

#[test]
fn what_does_not_fit_in_every_part_changes_nothing_until_somebody_has_looked() {
    let waiting = checkout(Status::AwaitingPayment, AttemptStatus::Pending);
    let reviewed = |account: &EventAccount, told: &ToldMoney| matches!(judge(&waiting, account, told), Verdict::Review(_));
    for account in [
        EventAccount { mode: Mode::Live, ..account() },
        EventAccount { tenant: Some("another".to_owned()), ..account() },
        EventAccount { provider: "stripe", ..account() },
    ] {
        assert!(reviewed(&account, &told(Word::Moved)), "{account:?}");
    }
    // An account of the tenant's own tells of what was sent there, and of nothing else.
    let theirs = EventAccount { account: "pac_1".to_owned(), tenant: Some("studio".to_owned()), ..account() };
    assert!(reviewed(&theirs, &told(Word::Moved)));
    let mut sent_there = waiting.clone();
    sent_there.attempts[0].request.account = ProviderAccountId::parse("pac_1").ok();
    let verdict = |account: &EventAccount| judge(&sent_there, account, &told(Word::Moved));
    assert!(matches!(verdict(&theirs), Verdict::Settle { .. }));
    assert!(matches!(verdict(&account()), Verdict::Review(_)));
    assert!(matches!(verdict(&EventAccount { account: "pac_2".to_owned(), ..theirs }), Verdict::Review(_)));
    for wrong in [
        ToldMoney { reference: CheckoutId::parse("chk_2").unwrap(), ..told(Word::Moved) },
        ToldMoney { key: "chk_1_2".to_owned(), ..told(Word::Moved) },
        ToldMoney { provider_reference: "ch_2".to_owned(), ..told(Word::Moved) },
        ToldMoney { amount: Amount::from_minor(1501), ..told(Word::Moved) },
        ToldMoney { about: About::Refund, ..told(Word::Moved) },
        ToldMoney { currency: Currency::parse("eur").unwrap(), ..told(Word::Moved) },
    ] {
        assert!(reviewed(&account(), &wrong), "{wrong:?}");
    }
}

#[test]
fn a_yes_behind_a_no_waits_until_nothing_else_is_under_way() {
    let ended = checkout(Status::Canceled, AttemptStatus::Declined);
    assert!(matches!(judge(&ended, &account(), &told(Word::Moved)), Verdict::Settle { .. }));
    let mut trying = checkout(Status::Processing, AttemptStatus::Declined);
    trying.attempts.push(Attempt { n: 2, status: AttemptStatus::Started, ..trying.attempts[0].clone() });
    trying.attempts[1].request.key = "chk_1_2".to_owned();
    assert_eq!(judge(&trying, &account(), &told(Word::Moved)), Verdict::Later);
    let sold = checkout(Status::Succeeded, AttemptStatus::Approved);
    for word in [Word::Moved, Word::Asked, refused()] {
        assert_eq!(judge(&sold, &account(), &told(word)), Verdict::Known);
    }
}

/// A sale whose refund, attempt 2, stands as told.
fn refunded(status: AttemptStatus) -> Checkout {
    let mut sold = checkout(Status::Succeeded, AttemptStatus::Approved);
    let mut refund = Attempt { n: 2, status, provider_reference: Some("re_1".to_owned()), ..sold.attempts[0].clone() };
    (refund.request.kind, refund.request.key, refund.request.amount) = (AttemptKind::Refund, "chk_1_2".to_owned(), Amount::from_minor(500));
    sold.attempts.push(refund);
    sold
}

fn told_of_refund(word: Word) -> ToldMoney {
    ToldMoney {
        about: About::Refund,
        key: "chk_1_2".to_owned(),
        provider_reference: "re_1".to_owned(),
        amount: Amount::from_minor(500),
        ..told(word)
    }
}

#[test]
fn a_refund_that_came_back_is_taken_back_and_one_under_way_is_settled() {
    let judged = |status, word| judge(&refunded(status), &account(), &told_of_refund(word));
    assert!(matches!(judged(AttemptStatus::Approved, refused()), Verdict::CameBack { n: 2, .. }));
    for open in [AttemptStatus::Started, AttemptStatus::Unknown, AttemptStatus::NeedsReview] {
        assert!(matches!(judged(open, refused()), Verdict::Settle { n: 2, outcome: Outcome::Declined(_) }));
        assert!(matches!(judged(open, Word::Moved), Verdict::Settle { n: 2, outcome: Outcome::Approved(_) }));
    }
    assert_eq!(judged(AttemptStatus::Declined, refused()), Verdict::Known);
    assert_eq!(judged(AttemptStatus::Approved, Word::Moved), Verdict::Known);
    assert_eq!(judged(AttemptStatus::Declined, Word::Moved), Verdict::Known, "an older word, that comes behind the newer one");
    let mut never_made = refunded(AttemptStatus::Declined);
    never_made.attempts[1].provider_reference = None;
    let judged_behind_a_no = judge(&never_made, &account(), &told_of_refund(Word::Moved));
    assert!(matches!(judged_behind_a_no, Verdict::Review(_)), "that would be gone behind a no");
    // The charge's amount, or its key, is not the refund's.
    for wrong in [
        ToldMoney { amount: Amount::from_minor(1500), ..told_of_refund(refused()) },
        ToldMoney { key: "chk_1_1".to_owned(), ..told_of_refund(refused()) },
        ToldMoney { provider_reference: "re_2".to_owned(), ..told_of_refund(refused()) },
    ] {
        assert!(matches!(judge(&refunded(AttemptStatus::Approved), &account(), &wrong), Verdict::Review(_)), "{wrong:?}");
    }
}

#[test]
fn money_for_what_was_never_sent_is_for_a_person() {
    let unsent = checkout(Status::Failed, AttemptStatus::NotSent);
    assert!(matches!(judge(&unsent, &account(), &told(Word::Moved)), Verdict::Review(_)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is told of whatever amount: only the amount that was asked for is ever settled.
    #[test]
    fn no_other_amount_is_ever_settled(amount in any::<i64>(), taken in any::<bool>()) {
        let waiting = checkout(Status::AwaitingPayment, AttemptStatus::Pending);
        let word = if taken { Word::Moved } else { refused() };
        let verdict = judge(&waiting, &account(), &ToldMoney { amount: Amount::from_minor(amount), ..told(word) });
        prop_assert_eq!(matches!(verdict, Verdict::Settle { .. }), amount == 1500);
    }
}

#[test]
fn a_payment_that_was_made_on_a_page_goes_by_both_ids_and_no_third() {
    let waiting = checkout(Status::AwaitingPayment, AttemptStatus::RequiresAction);
    let paid = |page: &str| ToldMoney { provider_reference: "pi_1".to_owned(), pending_as: Some(page.to_owned()), ..told(Word::Moved) };
    let Verdict::Settle { n: 1, outcome: Outcome::Approved(receipt) } = judge(&waiting, &account(), &paid("ch_1")) else {
        panic!("not settled")
    };
    assert_eq!(receipt.provider_reference, "pi_1", "from here on it goes by the payment's");
    assert!(matches!(judge(&waiting, &account(), &paid("ch_2")), Verdict::Review(_)));
    let mut settled = checkout(Status::Succeeded, AttemptStatus::Approved);
    settled.attempts[0].provider_reference = Some("pi_1".to_owned());
    assert_eq!(judge(&settled, &account(), &paid("ch_1")), Verdict::Known);
}

#[test]
fn what_a_kept_card_is_charged_again_with_comes_only_where_it_was_asked_for() {
    let token = Some(Secret::new("cus_1:pm_1".to_owned()));
    let told = ToldMoney { reusable: token.clone(), ..told(Word::Moved) };
    for (keep_card, reusable) in [(true, token), (false, None)] {
        let mut waiting = checkout(Status::AwaitingPayment, AttemptStatus::Pending);
        waiting.attempts[0].request.keep_card = keep_card;
        let Verdict::Settle { outcome: Outcome::Approved(receipt), .. } = judge(&waiting, &account(), &told) else { panic!("not settled") };
        assert_eq!(receipt.reusable, reusable);
    }
}
