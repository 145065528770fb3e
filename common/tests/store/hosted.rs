//! Payments on our page: the customer's turn, the races for its row, and an end that nobody has to be asked about.

use super::fixture::{Shop, approved, declined};
use boxoffice_common::{
    domain::{
        attempt::{AttemptKind, Outcome},
        error::Code,
        hosted::{Hosted, MAX_TRIES, PaidWith, Pay, PaymentOptions, ProviderOption},
        id::CheckoutId,
        leg::Tender,
        money::Amount,
        push::{Phone, PushKind, PushMethod},
        secret::Secret,
        state::Status,
    },
    ports::{queue::Lane, store::*},
};
use futures::future::join_all;
use std::time::Duration;

pub fn hosted(shop: &Shop, mut new: NewCheckout) -> NewCheckout {
    let page = Hosted::new(Default::default(), Default::default(), "https://pay.example", &shop.entropy);
    new.order.legs[0].tender = Tender::Hosted(Box::new(page));
    new
}

/// A checkout that waits for its customer.
pub async fn waiting(shop: &Shop, new: NewCheckout) -> CheckoutId {
    let id = shop.accept(hosted(shop, new)).await;
    match shop.begin(&id).await.0.next {
        Next::Moved(moved) => assert_eq!(moved.status, Status::AwaitingPayment),
        other => panic!("{other:?}"),
    }
    id
}

pub async fn pay(shop: &Shop, id: &CheckoutId, n: u32) -> Paid {
    let token = Secret::new("tok_visa".to_owned());
    let with = PaidWith::Card(token);
    shop.store
        .pay(Pay { checkout: id.clone(), n, with, routing: boxoffice_common::domain::routing::to_the_sandbox(), known: None })
        .await
        .unwrap()
}

pub async fn submit(shop: &Shop, id: &CheckoutId, n: u32) {
    match pay(shop, id, n).await {
        Paid::Submitted(moved) => assert_eq!((moved.status, moved.due_in), (Status::Processing, Some(Duration::ZERO))),
        Paid::Unchanged => panic!("it is the customer's turn"),
    }
}

/// As if the customer had taken all the time there is.
async fn let_time_run_out(shop: &Shop, id: &CheckoutId) {
    shop.sql(&format!("UPDATE checkouts SET expires_at = 1, due_at = 1 WHERE id = '{id}'")).await;
}

pub async fn end(shop: &Shop, id: &CheckoutId) -> (Status, Option<Code>) {
    let checkout = shop.checkout(id).await;
    (checkout.status, checkout.error.map(|error| error.code))
}

over_both! {
    async fn a_customer_who_pays_on_our_page_is_charged_once_and_has_the_seat(shop) {
        let session = shop.session("yoga", 5).await;
        let id = waiting(&shop, shop.buy(&session, 2)).await;
        let left = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
        assert_eq!((left.held, left.sold), (2, 0));
        let checkout = shop.checkout(&id).await;
        assert_eq!((checkout.due_at, checkout.attempts.len()), (Some(checkout.expires_at), 0));
        let url = checkout.payment_url.unwrap();
        assert!(url.starts_with(&format!("https://pay.example/pay/{id}.")), "{url}");
        submit(&shop, &id, 1).await;
        let (n, token) = shop.begin_charge(&id).await;
        let charge = shop.checkout(&id).await.attempts[0].request.clone();
        assert_eq!((charge.kind, charge.amount, charge.token), (AttemptKind::Charge, Amount::from_minor(3000), Some(Secret::new("tok_visa".to_owned()))));
        shop.settle(&id, n, &token, approved(3000)).await;
        let checkout = shop.checkout(&id).await;
        assert_eq!((checkout.status, checkout.amount_paid.minor(), checkout.payment_url), (Status::Succeeded, 3000, None));
        let what: Vec<String> = shop.store.timeline(&id).await.unwrap().into_iter().map(|entry| entry.what).collect();
        assert_eq!(what, ["accepted", "checkout.awaiting_payment", "payment.submitted", "charge.approved", "checkout.succeeded"]);
        shop.assert_clean().await;
    }

    async fn who_is_back_from_the_bank_is_looked_for_at_once_and_not_over_and_over(shop) {
        let session = shop.session("yoga", 5).await;
        let id = waiting(&shop, shop.buy(&session, 2)).await;
        assert!(shop.store.look_now(&id).await.unwrap().is_none(), "nobody was asked yet");
        submit(&shop, &id, 1).await;
        let (n, token) = shop.begin_charge(&id).await;
        let url = "https://bank.example/".to_owned();
        shop.settle(&id, n, &token, Outcome::RequiresAction { url, provider_reference: "ch_1".to_owned() }).await;
        shop.sql(&format!("UPDATE checkouts SET due_at = due_at + 60000 WHERE id = '{id}'")).await;
        assert!(shop.store.look_now(&id).await.unwrap().is_none(), "it was looked at a moment ago");
        shop.sql(&format!("UPDATE checkouts SET updated_at = updated_at - 4000 WHERE id = '{id}'")).await;
        let looks = join_all((0..10).map(|_| shop.store.look_now(&id))).await;
        let due: Vec<_> = looks.into_iter().filter_map(Result::unwrap).map(|moved| moved.due_in).collect();
        assert_eq!(due, [Some(Duration::ZERO)]);
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(3000)).await;
        assert_eq!(end(&shop, &id).await, (Status::Succeeded, None));
        assert!(shop.store.look_now(&id).await.unwrap().is_none());
        shop.assert_clean().await;
    }

    async fn a_no_that_was_lost_at_first_leaves_another_try(shop) {
        let session = shop.session("yoga", 5).await;
        let id = waiting(&shop, shop.buy(&session, 1)).await;
        submit(&shop, &id, 1).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, Outcome::Unknown("no answer".to_owned())).await;
        assert_eq!(end(&shop, &id).await, (Status::Reconciling, None));
        assert_eq!(pay(&shop, &id, 2).await, Paid::Unchanged, "nobody knows yet");
        shop.sql(&format!("UPDATE checkouts SET due_at = 1 WHERE id = '{id}'")).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, declined()).await;
        let checkout = shop.checkout(&id).await;
        assert_eq!((checkout.status, checkout.due_at), (Status::AwaitingPayment, Some(checkout.expires_at)));
        assert!(checkout.payment_url.is_some() && checkout.error.is_some());
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().held, 1, "its place is kept");
        submit(&shop, &id, 2).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(1500)).await;
        assert_eq!(end(&shop, &id).await, (Status::Succeeded, None));
        shop.assert_clean().await;
    }

    async fn a_phone_that_is_asked_can_be_asked_no_second_time_and_after_its_no_another_way_pays(shop) {
        let session = shop.session("yoga", 5).await;
        let mut new = hosted(&shop, shop.buy(&session, 1));
        let Tender::Hosted(page) = &mut new.order.legs[0].tender else { unreachable!() };
        page.options = PaymentOptions {
            mobile_money: ProviderOption { disabled_providers: vec!["m18".to_owned()], ..ProviderOption::default() },
            bank: ProviderOption { disable: true, ..ProviderOption::default() },
            ..PaymentOptions::default()
        };
        let id = shop.accept(new).await;
        shop.begin(&id).await;
        let pay_by = async |n, method, provider: &str, phone: Option<&str>| {
            let push = PushMethod { method, provider: provider.to_owned(), phone: phone.map(|phone| Phone::parse(phone).unwrap()) };
            shop.store.pay(Pay { checkout: id.clone(), n, with: PaidWith::Push(push), routing: boxoffice_common::domain::routing::to_the_sandbox(), known: None }).await.unwrap()
        };
        for (method, provider) in [(PushKind::MobileMoney, "m18"), (PushKind::Bank, "slb001"), (PushKind::Wallet, "m17")] {
            assert_eq!(pay_by(1, method, provider, None).await, Paid::Unchanged, "{provider} is not offered");
        }
        let phone = "+23276000001";
        assert!(matches!(pay_by(1, PushKind::MobileMoney, "m17", Some(phone)).await, Paid::Submitted(_)));
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, Outcome::Pending { provider_reference: "ch_1".to_owned() }).await;
        let checkout = shop.checkout(&id).await;
        assert_eq!((checkout.status, checkout.payment_url.is_some()), (Status::AwaitingPayment, true), "the page waits with the customer");
        for n in [1, 2] {
            assert_eq!(pay_by(n, PushKind::Wallet, "dw001", None).await, Paid::Unchanged, "another window");
            assert_eq!(pay(&shop, &id, n).await, Paid::Unchanged, "another window, with a card");
        }
        let timeline = format!("{:?}", shop.store.timeline(&id).await.unwrap());
        assert!(timeline.contains("mobile_money at m17") && !timeline.contains("76000001"), "{timeline}");
        shop.sql(&format!("UPDATE checkouts SET updated_at = updated_at - 4000 WHERE id = '{id}'")).await;
        assert!(shop.store.look_now(&id).await.unwrap().is_some(), "who looks at the page is looked for at once");
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, declined()).await;
        assert_eq!(end(&shop, &id).await, (Status::AwaitingPayment, Some(Code::PaymentFailed)));
        assert!(matches!(pay_by(2, PushKind::Wallet, "dw001", None).await, Paid::Submitted(_)));
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(1500)).await;
        assert_eq!(end(&shop, &id).await, (Status::Succeeded, None));
        shop.assert_clean().await;
    }

    async fn nothing_to_pay_needs_no_customer(shop) {
        let session = shop.session("yoga", 5).await;
        let mut new = hosted(&shop, shop.buy(&session, 1));
        new.order.lines[0].amount = Amount::ZERO;
        new.order.lines[0].unit_amount = Amount::ZERO;
        (new.order.totals, new.order.legs[0].amount) = (Default::default(), Amount::ZERO);
        let id = shop.accept(new).await;
        shop.begin(&id).await;
        assert_eq!(end(&shop, &id).await, (Status::Succeeded, None));
        shop.assert_clean().await;
    }

    async fn a_decline_is_tried_again_with_a_new_form_and_never_with_the_old_one(shop) {
        let session = shop.session("yoga", 1).await;
        let id = waiting(&shop, shop.buy(&session, 1)).await;
        for n in 1..=MAX_TRIES as u32 {
            assert_eq!(pay(&shop, &id, n - 1).await, Paid::Unchanged);
            submit(&shop, &id, n).await;
            let (n, token) = shop.begin_charge(&id).await;
            shop.settle(&id, n, &token, declined()).await;
            let expected = if n < MAX_TRIES as u32 { Status::AwaitingPayment } else { Status::Failed };
            assert_eq!(end(&shop, &id).await, (expected, Some(Code::CardDeclined)));
        }
        assert_eq!(pay(&shop, &id, MAX_TRIES as u32 + 1).await, Paid::Unchanged);
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().available, 1);
        shop.assert_clean().await;
    }

    async fn a_form_that_many_submit_at_once_is_one_payment(shop) {
        let session = shop.session("yoga", 20).await;
        for _ in 0..5 {
            let id = waiting(&shop, shop.buy(&session, 1)).await;
            let answers = join_all((0..20).map(|_| pay(&shop, &id, 1))).await;
            assert_eq!(answers.iter().filter(|paid| matches!(paid, Paid::Submitted(_))).count(), 1, "{answers:?}");
            assert_eq!(shop.checkout(&id).await.attempts.len(), 1);
            let (n, token) = shop.begin_charge(&id).await;
            shop.settle(&id, n, &token, approved(1500)).await;
        }
        shop.assert_clean().await;
    }

    async fn what_is_not_paid_in_time_expires_and_the_seat_comes_free(shop) {
        let session = shop.session("yoga", 1).await;
        let id = waiting(&shop, shop.buy(&session, 1)).await;
        assert!(matches!(shop.begin(&id).await.0.next, Next::Busy(_)), "not before its time");
        let_time_run_out(&shop, &id).await;
        assert_eq!(pay(&shop, &id, 1).await, Paid::Unchanged);
        let overdue = shop.store.rescue(Lane::Checkouts, Duration::from_secs(1), None, 10).await.unwrap();
        assert_eq!(overdue.into_iter().map(|row| row.id).collect::<Vec<_>>(), [id.to_string()]);
        shop.begin(&id).await;
        assert_eq!(end(&shop, &id).await, (Status::Expired, Some(Code::Expired)));
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().available, 1);
        shop.assert_clean().await;
    }

    async fn a_payment_and_an_expiry_at_once_leave_one_of_them(shop) {
        let session = shop.session("yoga", 100).await;
        let (mut paid, mut expired) = (0, 0);
        for round in 0..20 {
            let id = waiting(&shop, shop.buy(&session, 1)).await;
            // Between now and a moment from now, so that the two meet before, at and behind the deadline.
            let now = shop.store.now().await.unwrap().millis();
            shop.sql(&format!("UPDATE checkouts SET expires_at = {0}, due_at = {0} WHERE id = '{id}'", now + round % 5)).await;
            let expiring = async {
                loop {
                    match shop.begin(&id).await.0.next {
                        Next::Busy(_) => {}
                        next => return next,
                    }
                }
            };
            let (answer, next) = tokio::join!(pay(&shop, &id, 1), expiring);
            match (answer, next) {
                (Paid::Submitted(_), Next::Act { n, .. }) => {
                    paid += 1;
                    // It was sent in time: the money counts, whenever the answer comes.
                    shop.settle(&id, n, "the provider", approved(1500)).await;
                    assert_eq!(end(&shop, &id).await, (Status::Succeeded, None));
                }
                // In time for us and too late to be sent, or just too late.
                (Paid::Submitted(_) | Paid::Unchanged, Next::Moved(moved)) => {
                    expired += 1;
                    assert_eq!(moved.status, Status::Expired);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(paid + expired, 20);
        let left = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
        assert_eq!((left.sold, left.held), (paid, 0));
        shop.assert_clean().await;
    }

    async fn a_payment_and_a_cancel_at_once_leave_one_of_them(shop) {
        let session = shop.session("yoga", 100).await;
        for round in 0..10 {
            let id = waiting(&shop, shop.buy(&session, 1)).await;
            let (answer, canceled) = if round % 2 == 0 {
                tokio::join!(pay(&shop, &id, 1), shop.store.cancel(&shop.scope, &id))
            } else {
                let (canceled, answer) = tokio::join!(shop.store.cancel(&shop.scope, &id), pay(&shop, &id, 1));
                (answer, canceled)
            };
            // A payment that nobody has sent yet is called off with the checkout.
            assert!(matches!(canceled.unwrap(), CancelResult::Canceled(_, Some(_))));
            let checkout = shop.checkout(&id).await;
            assert_eq!((checkout.status, checkout.attempts.len()), (Status::Canceled, usize::from(matches!(answer, Paid::Submitted(_)))));
            assert!(matches!(shop.begin(&id).await.0.next, Next::Done));
        }
        // Behind a charge that was sent, the provider's word decides.
        let id = waiting(&shop, shop.buy(&session, 1)).await;
        submit(&shop, &id, 1).await;
        let (n, token) = shop.begin_charge(&id).await;
        assert!(matches!(shop.store.cancel(&shop.scope, &id).await.unwrap(), CancelResult::Closing(..)));
        shop.settle(&id, n, &token, approved(1500)).await;
        assert_eq!(end(&shop, &id).await, (Status::Succeeded, None));
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().sold, 1);
        shop.assert_clean().await;
    }

    async fn a_bank_that_asks_the_customer_leaves_the_link_to_our_page_and_its_no_is_a_decline(shop) {
        let session = shop.session("yoga", 5).await;
        let id = waiting(&shop, shop.buy(&session, 1)).await;
        let page = shop.checkout(&id).await.payment_url;
        submit(&shop, &id, 1).await;
        let (n, token) = shop.begin_charge(&id).await;
        let pending = Outcome::RequiresAction { url: "https://bank.example".to_owned(), provider_reference: "ch_1".to_owned() };
        shop.settle(&id, n, &token, pending).await;
        let checkout = shop.checkout(&id).await;
        assert_eq!((checkout.status, &checkout.payment_url), (Status::AwaitingPayment, &page));
        assert_eq!(pay(&shop, &id, 2).await, Paid::Unchanged, "one payment at a time");
        shop.settle(&id, n, "the provider", declined()).await;
        assert_eq!(shop.checkout(&id).await.payment_url, page);
        submit(&shop, &id, 2).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(1500)).await;
        assert_eq!(end(&shop, &id).await, (Status::Succeeded, None));
        shop.assert_clean().await;
    }

    async fn nobody_pays_on_our_page_for_what_is_paid_otherwise_or_not_begun(shop) {
        let session = shop.session("yoga", 5).await;
        let by_card = shop.accept(shop.buy(&session, 1)).await;
        assert_eq!(pay(&shop, &by_card, 1).await, Paid::Unchanged);
        let (n, token) = shop.begin_charge(&by_card).await;
        let pending = Outcome::RequiresAction { url: "https://bank.example".to_owned(), provider_reference: "ch_1".to_owned() };
        shop.settle(&by_card, n, &token, pending).await;
        assert_eq!(pay(&shop, &by_card, 2).await, Paid::Unchanged);
        let queued = shop.accept(hosted(&shop, shop.buy(&session, 1))).await;
        assert_eq!(pay(&shop, &queued, 1).await, Paid::Unchanged);
        assert_eq!(pay(&shop, &CheckoutId::parse("chk_of_nobody").unwrap(), 1).await, Paid::Unchanged);
        shop.assert_clean().await;
    }

    async fn a_link_to_pay_that_does_not_fit_the_state_is_found_by_the_audit(shop) {
        let session = shop.session("yoga", 5).await;
        let id = waiting(&shop, shop.buy(&session, 1)).await;
        shop.sql(&format!("UPDATE checkouts SET payment_url = NULL WHERE id = '{id}'")).await;
        assert_eq!(shop.broken().await, ["payment_link"]);
        let sold = shop.accept(shop.buy_cash(&session, 1)).await;
        shop.begin(&sold).await;
        shop.sql(&format!("UPDATE checkouts SET payment_url = 'https://pay.example' WHERE id = '{sold}'")).await;
        assert_eq!(shop.broken().await, ["payment_link", "payment_link"]);
    }
}
