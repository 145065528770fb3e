//! A customer who is asked on the phone or by a bank, and pays in another way: the question is taken back first, and what he had said by then counts.

use super::{
    fixture::{Shop, approved, declined},
    hosted::{end, pay, submit, waiting},
};
use boxoffice_common::{
    domain::{
        attempt::{AttemptKind, AttemptStatus, Outcome},
        error::Code,
        hosted::{PaidWith, Pay, TAKEN_BACK},
        id::{CatalogueId, CheckoutId, RefundId},
        leg::Tender,
        push::{Phone, PushKind, PushMethod},
        refund::RefundAsk,
        state::Status,
    },
    ports::{
        clock::{Clock, SystemClock},
        store::*,
    },
};
use futures::future::join_all;
use std::time::Duration;

/// The form that the question is taken back with: made for the attempt behind the first one.
const FORM: u32 = 2;

fn way(method: PushKind) -> PushMethod {
    match method {
        PushKind::MobileMoney => PushMethod { method, provider: "m17".to_owned(), phone: Some(Phone::parse("+23276000001").unwrap()) },
        PushKind::Bank => PushMethod { method, provider: "slb001".to_owned(), phone: None },
        PushKind::Wallet => PushMethod { method, provider: "dw001".to_owned(), phone: None },
    }
}

fn question(method: PushKind) -> Outcome {
    let provider_reference = "ch_1".to_owned();
    match method {
        PushKind::MobileMoney => Outcome::Pending { provider_reference },
        PushKind::Bank | PushKind::Wallet => Outcome::RequiresAction { url: "https://bank.example".to_owned(), provider_reference },
    }
}

/// What a customer submitted on our page, and what it is sent with. He has not been asked yet.
async fn submitted(shop: &Shop, session: &CatalogueId, method: PushKind) -> (CheckoutId, String) {
    let id = waiting(shop, shop.buy(session, 1)).await;
    let with = PaidWith::Push(way(method));
    let paid = shop
        .store
        .pay(Pay { checkout: id.clone(), n: 1, with, routing: boxoffice_common::domain::routing::to_the_sandbox(), known: None })
        .await
        .unwrap();
    assert!(matches!(paid, Paid::Submitted(_)), "{paid:?}");
    let (n, token) = shop.begin_charge(&id).await;
    assert_eq!(n, 1);
    (id, token)
}

/// A customer of our page, who is asked.
async fn asked(shop: &Shop, session: &CatalogueId, method: PushKind) -> CheckoutId {
    let (id, token) = submitted(shop, session, method).await;
    shop.settle(&id, 1, &token, question(method)).await;
    assert_eq!(end(shop, &id).await, (Status::AwaitingPayment, None));
    id
}

/// He wants to pay in another way.
async fn take_back(shop: &Shop, id: &CheckoutId) {
    let moved = shop.store.take_back(id, FORM).await.unwrap().unwrap();
    assert_eq!((moved.status, moved.due_in), (Status::Reconciling, Some(Duration::ZERO)));
    shop.assert_clean().await;
}

/// The void goes out.
async fn send_void(shop: &Shop, id: &CheckoutId) -> (u32, String) {
    let (n, token) = shop.begin_charge(id).await;
    assert_eq!(shop.checkout(id).await.attempts.last().map(|sent| (sent.n, sent.request.kind)), Some((n, AttemptKind::Void)));
    (n, token)
}

/// Pays with a card on the form that is open now.
async fn pays_otherwise(shop: &Shop, id: &CheckoutId) {
    submit(shop, id, shop.checkout(id).await.next_n()).await;
    let (n, token) = shop.begin_charge(id).await;
    shop.settle(id, n, &token, approved(1500)).await;
    assert_sold(shop, id).await;
}

/// The sale is given back whole.
async fn goes_back(shop: &Shop, id: &CheckoutId) {
    let idempotency = IdempotencyRow { route: "refund".to_owned(), key: id.to_string(), body_hash: String::new() };
    let refund = RefundId::generate(&shop.entropy, SystemClock::default().now());
    let new = NewRefund { id: refund, scope: shop.scope.clone(), checkout: id.clone(), ask: RefundAsk::default(), idempotency };
    let result = shop.store.refund(&new).await.unwrap();
    assert!(matches!(result, RefundResult::Created { .. }), "{result:?}");
    let (n, token) = shop.begin_charge(id).await;
    shop.settle(id, n, &token, approved(1500)).await;
    assert_eq!(shop.checkout(id).await.amount_refunded.minor(), 1500);
    shop.assert_clean().await;
}

async fn assert_sold(shop: &Shop, id: &CheckoutId) {
    let checkout = shop.checkout(id).await;
    assert_eq!((checkout.status, checkout.error, checkout.amount_paid.minor()), (Status::Succeeded, None, 1500));
    shop.assert_clean().await;
}

/// Nothing of it changes, whoever submits which form.
async fn assert_untouched(shop: &Shop, id: &CheckoutId, forms: &[u32], why: &str) {
    let seen = async || (shop.store.checkout(id).await.unwrap(), shop.store.timeline(id).await.unwrap());
    let before = seen().await;
    for n in forms {
        assert_eq!(shop.store.take_back(id, *n).await.unwrap(), None, "{why}, {n}");
    }
    assert_eq!(seen().await, before, "{why}");
    shop.assert_clean().await;
}

over_both! {
    async fn a_question_is_taken_back_once_and_only_the_providers_word_opens_the_form_again(shop) {
        let session = shop.session("yoga", 5).await;
        for method in [PushKind::MobileMoney, PushKind::Bank, PushKind::Wallet] {
            let id = asked(&shop, &session, method).await;
            let page = shop.checkout(&id).await.payment_url;
            let clicks = join_all((0..10).map(|_| shop.store.take_back(&id, FORM))).await;
            let moved: Vec<_> = clicks.into_iter().filter_map(Result::unwrap).map(|moved| (moved.status, moved.due_in)).collect();
            assert_eq!(moved, [(Status::Reconciling, Some(Duration::ZERO))], "one of ten clicks");
            shop.assert_clean().await;
            for n in 1..=4 {
                assert_eq!(pay(&shop, &id, n).await, Paid::Unchanged, "the provider has not been asked");
            }
            let (void, token) = send_void(&shop, &id).await;
            assert_eq!(shop.checkout(&id).await.attempts.last().unwrap().request.target.as_deref(), Some("ch_1"));
            for n in 1..=4 {
                assert_eq!(pay(&shop, &id, n).await, Paid::Unchanged, "the provider has not answered");
            }
            assert_untouched(&shop, &id, &[1, FORM, 3, 4], "it is being taken back").await;
            shop.settle(&id, void, &token, Outcome::Unknown("no answer".to_owned())).await;
            assert_eq!(pay(&shop, &id, 3).await, Paid::Unchanged, "nobody knows what the provider did");
            shop.assert_clean().await;
            shop.make_due(&id).await;
            let (void, token) = send_void(&shop, &id).await;
            shop.settle(&id, void, &token, approved(1500)).await;
            let open = shop.checkout(&id).await;
            let error = open.error.unwrap();
            assert_eq!((open.status, error.code, error.decline_code.as_deref()), (Status::AwaitingPayment, Code::PaymentFailed, Some(TAKEN_BACK)));
            assert_eq!((open.payment_url, open.due_at), (page, Some(open.expires_at)));
            let left = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
            assert_eq!((left.sold, left.held), (0, 1), "its place is kept");
            assert_untouched(&shop, &id, &[1, FORM, 3], "nobody is asked any more").await;
            for old in [1, FORM] {
                assert_eq!(pay(&shop, &id, old).await, Paid::Unchanged, "an old form");
            }
            pays_otherwise(&shop, &id).await;
            goes_back(&shop, &id).await;
            shop.sql(&format!("UPDATE refund_parts SET amount = 1499 WHERE checkout = '{id}'")).await;
            assert!(shop.broken().await.contains(&"refunds_differ".to_owned()), "a void of the question is no reason to look away");
            shop.sql(&format!("UPDATE refund_parts SET amount = 1500 WHERE checkout = '{id}'")).await;
            let told: Vec<String> = shop.store.timeline(&id).await.unwrap().into_iter().map(|entry| entry.what).collect();
            assert_eq!(told.iter().filter(|what| *what == "payment.taken_back").count(), 1, "{told:?}");
        }
    }

    async fn a_yes_that_came_first_counts_whatever_becomes_of_the_void(shop) {
        let session = shop.session("yoga", 5).await;
        let yes = async |id: &CheckoutId| shop.settle(id, 1, "the provider", approved(1500)).await;
        // Told before the void is sent.
        let id = asked(&shop, &session, PushKind::MobileMoney).await;
        take_back(&shop, &id).await;
        yes(&id).await;
        assert_sold(&shop, &id).await;
        assert!(matches!(shop.begin(&id).await.0.next, Next::Done), "and nothing is voided any more");
        // Told while the void is on its way.
        let id = asked(&shop, &session, PushKind::Bank).await;
        take_back(&shop, &id).await;
        let (void, token) = send_void(&shop, &id).await;
        yes(&id).await;
        shop.settle(&id, void, &token, declined()).await;
        assert_sold(&shop, &id).await;
        // Not told: the provider refuses the void, and is asked what became of its question.
        let id = asked(&shop, &session, PushKind::Wallet).await;
        take_back(&shop, &id).await;
        let (void, token) = send_void(&shop, &id).await;
        shop.settle(&id, void, &token, declined()).await;
        assert_eq!((end(&shop, &id).await, pay(&shop, &id, 4).await), ((Status::Reconciling, None), Paid::Unchanged));
        shop.assert_clean().await;
        shop.make_due(&id).await;
        let (n, token) = shop.begin_charge(&id).await;
        assert_eq!(n, 1, "the charge is looked up");
        shop.settle(&id, n, &token, approved(1500)).await;
        assert_sold(&shop, &id).await;
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().sold, 3);
    }

    async fn a_no_that_came_first_leaves_another_way_and_one_payment(shop) {
        let session = shop.session("yoga", 5).await;
        for is_sent in [false, true] {
            let id = asked(&shop, &session, PushKind::MobileMoney).await;
            take_back(&shop, &id).await;
            let sent = if is_sent { Some(send_void(&shop, &id).await) } else { None };
            shop.settle(&id, 1, "the provider", declined()).await;
            shop.assert_clean().await;
            if let Some((void, token)) = sent {
                assert_eq!(pay(&shop, &id, 3).await, Paid::Unchanged, "one thing at a time");
                shop.settle(&id, void, &token, declined()).await;
            }
            assert_eq!(end(&shop, &id).await, (Status::AwaitingPayment, Some(Code::PaymentFailed)));
            shop.assert_clean().await;
            pays_otherwise(&shop, &id).await;
            let charges = shop.checkout(&id).await.attempts.into_iter().filter(|sent| sent.request.kind == AttemptKind::Charge);
            assert_eq!(charges.map(|charge| charge.status).collect::<Vec<_>>(), [AttemptStatus::Declined, AttemptStatus::Approved]);
        }
    }

    async fn a_yes_and_a_taking_back_at_once_are_one_sale(shop) {
        let session = shop.session("yoga", 20).await;
        for round in 0..10 {
            let id = asked(&shop, &session, PushKind::Bank).await;
            let yes = shop.settle(&id, 1, "the provider", approved(1500));
            let back = shop.store.take_back(&id, FORM);
            let back = if round % 2 == 0 { tokio::join!(yes, back).1 } else { tokio::join!(back, yes).0 };
            if let Some(moved) = back.unwrap() {
                assert_eq!(moved.status, Status::Reconciling);
            }
            assert_sold(&shop, &id).await;
            assert!(matches!(shop.begin(&id).await.0.next, Next::Done));
        }
        let left = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
        assert_eq!((left.sold, left.held), (10, 0));
    }

    async fn a_stranger_or_an_old_form_takes_nothing_back(shop) {
        let session = shop.session("yoga", 20).await;
        assert_untouched(&shop, &CheckoutId::parse("chk_of_nobody").unwrap(), &[1, FORM], "nobody's").await;
        let id = asked(&shop, &session, PushKind::MobileMoney).await;
        assert_untouched(&shop, &id, &[0, 1, 3, u32::MAX], "another form").await;
        take_back(&shop, &id).await;
        assert!(matches!(shop.store.cancel(&shop.scope, &id).await.unwrap(), CancelResult::Closing(..)));
        assert_untouched(&shop, &id, &[1, FORM, 3], "it is called off").await;
        // Not a page's.
        let mut new = shop.buy(&session, 1);
        new.order.legs[0].tender = Tender::Push(way(PushKind::Bank));
        let id = shop.accept(new).await;
        assert_untouched(&shop, &id, &[1, FORM], "not begun").await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, question(PushKind::Bank)).await;
        assert_untouched(&shop, &id, &[1, FORM], "the shop chose the way").await;
        // Of a page, and not asked.
        let id = waiting(&shop, shop.buy(&session, 1)).await;
        assert_untouched(&shop, &id, &[1, FORM], "nobody asks").await;
        let (id, token) = submitted(&shop, &session, PushKind::MobileMoney).await;
        assert_untouched(&shop, &id, &[1, FORM], "on its way to the provider").await;
        shop.settle(&id, 1, &token, approved(1500)).await;
        assert_untouched(&shop, &id, &[1, FORM], "sold").await;
        let id = asked(&shop, &session, PushKind::Wallet).await;
        shop.sql(&format!("UPDATE checkouts SET expires_at = 1 WHERE id = '{id}'")).await;
        assert_untouched(&shop, &id, &[1, FORM], "too late").await;
    }
}
