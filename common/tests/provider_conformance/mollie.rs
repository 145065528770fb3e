//! The promises over Mollie's adapter and the stand-in: charges.

use super::rig::*;
use boxoffice_common::{
    adapters::mollie::{KeyError, MollieProvider, MollieSetup, MollieTransport},
    domain::{
        attempt::{Advice, Attempt, AttemptKind, AttemptStatus, Decline, MoneyRequest, Outcome, ProviderPage, Receipt, Visit},
        id::Entropy,
        money::{Amount, Currency},
        scope::Mode,
        secret::Secret,
        time::Timestamp,
    },
    ports::provider::PaymentProvider,
};
use boxoffice_testkit::mollie::{Executed, Fault, Mollie, Payment, PaymentStatus, Which};
use futures::future::join_all;
use std::{sync::Arc, time::Duration};

/// The stand-in and the way to it.
pub struct Rig {
    pub mollie: Mollie,
    pub transport: Arc<MollieTransport>,
    entropy: Entropy,
}

impl Rig {
    pub async fn start() -> Self {
        let mollie = Mollie::start().await.unwrap();
        let transport = MollieTransport::new(&format!("{}/", mollie.url())).unwrap();
        Self { mollie, transport, entropy: Entropy::from_os() }
    }

    pub fn provider(&self, timeout: Duration) -> MollieProvider {
        let key = Secret::new(self.mollie.api_key().to_owned());
        MollieProvider::new(Mode::Test, &key, &self.transport, MollieSetup { timeout, webhook_url: None }).unwrap()
    }

    /// A charge of 15.00 euros with this card token, of a customer who is there.
    pub fn charge(&self, token: &str) -> MoneyRequest {
        let visit = Visit { return_url: "https://shop.example/back".to_owned(), page: None };
        MoneyRequest { visit: Some(visit), ..charge(&self.entropy, "eur", token) }
    }

    /// The same, on Mollie's own page.
    pub fn on_the_page(&self) -> MoneyRequest {
        let page = ProviderPage { is_embedded: false, title: "Two seats".to_owned(), expires_at: Timestamp::from_millis(0) };
        let visit = Visit { return_url: "https://shop.example/back".to_owned(), page: Some(page) };
        MoneyRequest { token: None, visit: Some(visit), ..self.charge("") }
    }

    /// The payments of a request, by what we wrote beside them.
    pub fn book(&self, request: &MoneyRequest) -> Vec<Payment> {
        let all = self.mollie.payments().into_iter();
        all.filter(|payment| payment.metadata["reference"] == request.reference.as_str()).collect()
    }

    pub fn only(&self, request: &MoneyRequest) -> Payment {
        let mut payments = self.book(request);
        assert_eq!(payments.len(), 1, "{payments:?}");
        payments.remove(0)
    }
}

pub async fn look_up(provider: &MollieProvider, request: &MoneyRequest, known: Option<&str>) -> Outcome {
    let found = Attempt { provider_reference: known.map(str::to_owned), ..attempt(request, AttemptStatus::Unknown) };
    provider.look_up(&found).await
}

pub fn refused(outcome: Outcome) -> Decline {
    let Outcome::Declined(decline) = outcome else { panic!("not declined: {outcome:?}") };
    assert!(!decline.message.is_empty());
    decline
}

pub fn receipt(outcome: Outcome) -> Receipt {
    let Outcome::Approved(receipt) = outcome else { panic!("not approved: {outcome:?}") };
    receipt
}

#[tokio::test]
async fn a_good_card_is_charged_once_under_its_key() {
    let rig = Rig::start().await;
    let (provider, request) = (rig.provider(LONG), rig.charge("tkn_paid"));
    assert_unknown(&look_up(&provider, &request, None).await);
    let first = approved(provider.send(&request).await, &request);
    assert_eq!(approved(provider.send(&request).await, &request), first);
    for known in [None, Some(first.as_str())] {
        assert_eq!(approved(look_up(&provider, &request, known).await, &request), first);
    }
    let payment = rig.only(&request);
    assert_eq!((payment.id, payment.status, payment.key.as_deref()), (first, PaymentStatus::Paid, Some(request.key.as_str())));
    assert_eq!((payment.amount.minor, payment.amount.currency), (1500, "EUR"));
}

#[tokio::test]
async fn a_bad_card_is_declined_and_stays_declined() {
    let rig = Rig::start().await;
    let provider = rig.provider(LONG);
    for (token, code, advice) in [
        ("tkn_fail_insufficient_funds", "insufficient_funds", Advice::AskCustomer),
        ("tkn_fail_card_expired", "card_expired", Advice::AskCustomer),
        ("tkn_fail_possible_fraud", "possible_fraud", Advice::Stop),
        ("tkn_fail_authentication_unavailable_acs", "authentication_unavailable_acs", Advice::Retry),
        ("tkn_fail_invalid_card_type", "invalid_card_type", Advice::NextProvider),
    ] {
        let request = rig.charge(token);
        for _ in 0..2 {
            let decline = refused(provider.send(&request).await);
            assert_eq!((decline.decline_code.as_str(), decline.advice), (code, advice));
        }
        assert_eq!(refused(look_up(&provider, &request, None).await).decline_code, code);
        assert_eq!(rig.only(&request).status, PaymentStatus::Failed);
    }
    // Refused before there is a payment, and never charged.
    let kwd = Currency::parse("kwd").unwrap();
    for (request, code, advice) in [
        (rig.charge("tkn_never_heard_of"), "invalid_token", Advice::AskCustomer),
        (MoneyRequest { token: None, ..rig.charge("") }, "invalid_token", Advice::AskCustomer),
        (rig.charge("cst_x:mdt_y"), "saved_card_gone", Advice::AskCustomer),
        (rig.charge("cst_x:../y"), "invalid_token", Advice::AskCustomer),
        (MoneyRequest { currency: kwd, ..rig.charge("tkn_paid") }, "currency_not_accepted", Advice::NextProvider),
        (MoneyRequest { amount: Amount::from_minor(5_000_001), ..rig.charge("tkn_paid") }, "amount_not_accepted", Advice::NextProvider),
        (MoneyRequest { amount: Amount::ZERO, ..rig.charge("tkn_paid") }, "amount_not_accepted", Advice::NextProvider),
        (MoneyRequest { visit: None, ..rig.charge("tkn_paid") }, "no_return_url", Advice::NextProvider),
    ] {
        for _ in 0..2 {
            let decline = refused(provider.send(&request).await);
            assert_eq!((decline.decline_code.as_str(), decline.advice), (code, advice));
        }
        assert!(rig.book(&request).is_empty());
    }
}

#[tokio::test]
async fn an_amount_is_asked_and_echoed_in_the_digits_of_its_currency() {
    let rig = Rig::start().await;
    let provider = rig.provider(LONG);
    for (code, minor) in [("jpy", 1500), ("isk", 1), ("usd", 7), ("eur", 4_999_999)] {
        let request =
            MoneyRequest { amount: Amount::from_minor(minor), currency: Currency::parse(code).unwrap(), ..rig.charge("tkn_paid") };
        approved(provider.send(&request).await, &request);
        assert_eq!(rig.only(&request).amount.minor, minor);
    }
}

#[tokio::test]
async fn the_same_key_for_another_request_is_unknown_and_charges_nothing() {
    let rig = Rig::start().await;
    let (provider, request) = (rig.provider(LONG), rig.charge("tkn_paid"));
    let first = approved(provider.send(&request).await, &request);
    let dearer = MoneyRequest { amount: Amount::from_minor(1501), ..request.clone() };
    let refund = about(&request, 1, AttemptKind::Refund, 1500, &first);
    for other in [dearer, refund] {
        assert_eq!(other.key, request.key);
        assert_unknown(&provider.send(&other).await);
    }
    let payment = rig.only(&request);
    assert_eq!((payment.amount.minor, payment.refunded), (1500, 0));
}

#[tokio::test]
async fn fifty_at_once_with_the_same_key_make_one_charge() {
    let rig = Rig::start().await;
    let (provider, request) = (rig.provider(LONG), rig.charge("tkn_paid"));
    let outcomes = join_all((0..50).map(|_| provider.send(&request))).await;
    let payment = rig.only(&request);
    // While one has the key the others are told that it is in use, which says nothing.
    let (done, rest): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|outcome| matches!(outcome, Outcome::Approved(_)));
    assert!(!done.is_empty());
    assert!(done.into_iter().all(|outcome| approved(outcome, &request) == payment.id));
    rest.iter().for_each(assert_unknown);
    assert_eq!(approved(provider.send(&request).await, &request), payment.id);
}

#[tokio::test]
async fn an_answer_lost_after_the_charge_is_found_by_looking_up_and_by_sending_again() {
    let rig = Rig::start().await;
    let (hasty, provider) = (rig.provider(SHORT), rig.provider(LONG));
    // Nothing of the answer, within its head, behind its head, within its body; and whole answers that say nothing.
    let cuts = [0, 1, 17, 60, 150, 260, 400, 700].map(Fault::CutAfter);
    let answers = [Fault::Html(Executed::Yes), Fault::Garbage, Fault::Late(LONG)];
    for fault in cuts.into_iter().chain(answers) {
        let request = rig.charge("tkn_paid");
        rig.mollie.faults(Which::CreatePayment, [fault]);
        assert_unknown(&if matches!(fault, Fault::Late(_)) { hasty.send(&request).await } else { provider.send(&request).await });
        let payment = rig.only(&request);
        assert_eq!(approved(look_up(&provider, &request, None).await, &request), payment.id, "{fault:?}");
        if !matches!(fault, Fault::Late(_)) {
            assert_eq!(approved(provider.send(&request).await, &request), payment.id, "{fault:?}");
        }
        rig.only(&request);
    }
    // An error behind the work stays the answer to its key: only the look-up tells.
    for status in [500, 502, 503, 504] {
        let request = rig.charge("tkn_paid");
        rig.mollie.faults(Which::CreatePayment, [Fault::Status(status, Executed::Yes)]);
        for _ in 0..2 {
            assert_unknown(&provider.send(&request).await);
        }
        assert_eq!(approved(look_up(&provider, &request, None).await, &request), rig.only(&request).id);
    }
}

#[tokio::test]
async fn a_request_lost_before_the_charge_is_not_found_and_charges_when_sent_again() {
    let rig = Rig::start().await;
    let (hasty, provider) = (rig.provider(SHORT), rig.provider(LONG));
    let faults = [Fault::CutBefore, Fault::Html(Executed::No), Fault::Status(503, Executed::No), Fault::Slow(LONG)];
    for fault in faults {
        let request = rig.charge("tkn_paid");
        rig.mollie.faults(Which::CreatePayment, [fault]);
        assert_unknown(&if matches!(fault, Fault::Slow(_)) { hasty.send(&request).await } else { provider.send(&request).await });
        assert!(rig.book(&request).is_empty());
        assert_eq!(look_up(&provider, &request, None).await, Outcome::Unknown("not found".to_owned()));
        approved(provider.send(&request).await, &request);
        rig.only(&request);
    }
}

#[tokio::test]
async fn refusals_before_execution_are_told_apart_and_their_wait_is_kept() {
    let rig = Rig::start().await;
    let (provider, request) = (rig.provider(LONG), rig.charge("tkn_paid"));
    rig.mollie.faults(Which::CreatePayment, [Fault::RateLimited(Some(7)), Fault::RateLimited(None)]);
    for wait in [Some(Duration::from_secs(7)), None] {
        let Outcome::NotSent { retry_after, .. } = provider.send(&request).await else { panic!("sent") };
        assert_eq!(retry_after, wait);
    }
    let wrong = Secret::new("test_wrong".to_owned());
    let setup = || MollieSetup { timeout: LONG, webhook_url: None };
    let stranger = MollieProvider::new(Mode::Test, &wrong, &rig.transport, setup()).unwrap();
    assert_not_sent(&stranger.send(&request).await);
    assert_unknown(&look_up(&stranger, &request, None).await);
    assert!(stranger.check().await.is_err() && provider.check().await.is_ok());
    assert!(stranger.own_id().await.is_err());
    assert_eq!(provider.own_id().await.as_deref(), Ok(boxoffice_testkit::mollie::PROFILE));
    assert!(rig.book(&request).is_empty());
    for (key, mode, error) in [("live_x", Mode::Test, KeyError::OtherMode), ("sk_test_x", Mode::Test, KeyError::Bad)] {
        let key = Secret::new(key.to_owned());
        assert_eq!(MollieProvider::new(mode, &key, &rig.transport, setup()).err(), Some(error));
    }
    // Nobody listens.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = MollieTransport::new(&format!("http://{}/", gone.local_addr().unwrap())).unwrap();
    drop(gone);
    let key = Secret::new(rig.mollie.api_key().to_owned());
    let unreachable = MollieProvider::new(Mode::Test, &key, &nowhere, setup()).unwrap();
    assert_not_sent(&unreachable.send(&request).await);
    assert_unknown(&look_up(&unreachable, &request, None).await);
    assert!(!format!("{unreachable:?}").contains(rig.mollie.api_key()));
}

#[tokio::test]
async fn a_customer_who_pays_or_refuses_on_the_page_decides_and_an_old_answer_is_not_believed() {
    let rig = Rig::start().await;
    let provider = rig.provider(LONG);
    for request in [rig.charge("tkn_3ds"), rig.on_the_page()] {
        let (url, id) = requires_action(provider.send(&request).await);
        assert_eq!(url, format!("{}/checkout/{id}", rig.mollie.url()));
        assert_eq!(requires_action(look_up(&provider, &request, Some(&id)).await), (url.clone(), id.clone()));
        assert!(rig.mollie.moves(&id, PaymentStatus::Paid));
        assert_eq!(approved(look_up(&provider, &request, Some(&id)).await, &request), id);
        assert_eq!(approved(provider.send(&request).await, &request), id, "replayed as open, and paid since");
    }
    for (to, code) in [(PaymentStatus::Failed, "card_declined"), (PaymentStatus::Canceled, "canceled"), (PaymentStatus::Expired, "expired")]
    {
        let request = rig.charge("tkn_3ds");
        let (_, id) = requires_action(provider.send(&request).await);
        assert!(rig.mollie.moves(&id, to));
        assert_eq!(refused(look_up(&provider, &request, None).await).decline_code, code);
        assert_eq!(refused(provider.send(&request).await).decline_code, code);
    }
    let request = rig.charge("tkn_pending");
    let Outcome::Pending { provider_reference } = provider.send(&request).await else { panic!("not pending") };
    assert!(rig.mollie.moves(&provider_reference, PaymentStatus::Paid));
    assert_eq!(approved(look_up(&provider, &request, None).await, &request), provider_reference);
}

#[tokio::test]
async fn a_card_that_is_kept_is_charged_again_without_its_customer() {
    let rig = Rig::start().await;
    let provider = rig.provider(LONG);
    let first = MoneyRequest { keep_card: true, ..rig.charge("tkn_paid") };
    let kept = receipt(provider.send(&first).await).reusable.unwrap();
    assert!(kept.reveal().starts_with("cst_") && kept.reveal().contains(":mdt_"));
    // The whole charge again, its customer with it.
    assert_eq!(receipt(provider.send(&first).await).reusable, Some(kept.clone()));
    assert_eq!((rig.only(&first).status, rig.mollie.customers().len()), (PaymentStatus::Paid, 1));
    let later = MoneyRequest { token: Some(kept.clone()), visit: None, off_session: true, ..rig.charge("") };
    let again = receipt(provider.send(&later).await);
    assert_eq!((again.amount, again.reusable), (later.amount, None));
    // On the page, with a card that gives out later.
    let first = MoneyRequest { keep_card: true, ..rig.charge("tkn_saved_fail_insufficient_funds") };
    let kept = receipt(provider.send(&first).await).reusable;
    let later = MoneyRequest { token: kept, visit: None, off_session: true, ..rig.charge("") };
    assert_eq!(refused(provider.send(&later).await).decline_code, "insufficient_funds");
    let page = MoneyRequest { keep_card: true, ..rig.on_the_page() };
    let (_, id) = requires_action(provider.send(&page).await);
    assert!(rig.mollie.moves(&id, PaymentStatus::Paid));
    assert!(receipt(look_up(&provider, &page, Some(&id)).await).reusable.is_some());
    // No customer, no charge.
    let lost = MoneyRequest { keep_card: true, ..rig.charge("tkn_paid") };
    rig.mollie.faults(Which::CreateCustomer, [Fault::CutAfter(0), Fault::Status(500, Executed::No)]);
    for _ in 0..2 {
        assert_not_sent(&provider.send(&lost).await);
        assert!(rig.book(&lost).is_empty());
    }
    assert!(receipt(provider.send(&lost).await).reusable.is_some());
}

#[tokio::test]
async fn a_payment_among_many_is_found_without_its_id_and_search_has_an_end() {
    let rig = Rig::start().await;
    let provider = rig.provider(LONG);
    let request = rig.charge("tkn_paid");
    rig.mollie.faults(Which::CreatePayment, [Fault::CutAfter(0)]);
    assert_unknown(&provider.send(&request).await);
    let id = rig.only(&request).id;
    for batch in 0..6 {
        join_all((0..50).map(|_| {
            let (provider, other) = (provider.clone(), rig.charge("tkn_paid"));
            async move { approved(provider.send(&other).await, &other) }
        }))
        .await;
        assert!(batch < 5 || rig.mollie.payments().len() > 250);
    }
    assert_eq!(approved(look_up(&provider, &request, None).await, &request), id, "on the second page");
    // Payments from long before the attempt are not looked through.
    let never = Attempt { created_at: Timestamp::from_millis(i64::MAX / 4), ..attempt(&rig.charge("tkn_paid"), AttemptStatus::Unknown) };
    let before = rig.mollie.requests();
    assert_eq!(provider.look_up(&never).await, Outcome::Unknown("not found".to_owned()));
    assert_eq!(rig.mollie.requests(), before + 1);
}

#[tokio::test]
async fn a_call_may_be_dropped_and_sent_again() {
    let rig = Rig::start().await;
    let (provider, request) = (rig.provider(LONG), rig.charge("tkn_paid"));
    rig.mollie.faults(Which::CreatePayment, [Fault::Late(LONG)]);
    let seen = rig.mollie.requests();
    tokio::select! {
        _ = provider.send(&request) => panic!("answered"),
        came = rig.mollie.more_requests_than(seen, LONG) => assert!(came),
    }
    let outcome = tokio::time::timeout(LONG, async {
        loop {
            // Until the stand-in notices that nobody waits any more, the key is in use.
            match provider.send(&request).await {
                Outcome::Unknown(_) => tokio::task::yield_now().await,
                other => break other,
            }
        }
    });
    approved(outcome.await.unwrap(), &request);
    rig.only(&request);
}
