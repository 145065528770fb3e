//! Payments for which a provider asks the customer.

use super::fixture::{Shop, approved, declined};
use boxoffice_common::{
    domain::{
        attempt::{AttemptStatus, Outcome},
        begin::Action,
        id::CheckoutId,
        leg::Tender,
        push::{Phone, PushKind, PushMethod},
        state::Status,
    },
    ports::store::*,
};
use std::time::Duration;

const PHONE: &str = "+23276000001";

/// A checkout whose customer has been asked on the phone, and what its charge was begun with.
async fn asked(shop: &Shop, new: NewCheckout) -> (CheckoutId, u32, String) {
    let mut new = new;
    new.order.legs[0].tender =
        Tender::Push(PushMethod { method: PushKind::MobileMoney, provider: "m17".to_owned(), phone: Some(Phone::parse(PHONE).unwrap()) });
    let id = shop.accept(new).await;
    let (n, token) = shop.begin_charge(&id).await;
    shop.settle(&id, n, &token, Outcome::Pending { provider_reference: "ch_1".to_owned() }).await;
    (id, n, token)
}

over_both! {
    async fn a_customer_who_is_asked_is_waited_for_without_a_link_and_sold_to_by_the_providers_word(shop) {
        let session = shop.session("yoga", 2).await;
        let (id, n, _) = asked(&shop, shop.buy(&session, 1)).await;
        let checkout = shop.checkout(&id).await;
        assert_eq!((checkout.status, checkout.payment_url.as_deref()), (Status::AwaitingPayment, None));
        let attempt = &checkout.attempts[0];
        assert_eq!((attempt.status, attempt.request.push.as_ref().unwrap().phone.as_ref().unwrap().reveal()), (AttemptStatus::Pending, PHONE));
        assert!(!shop.view(&id).await.to_string().contains("23276"), "a phone is masked in what clients see");
        shop.assert_clean().await;
        shop.make_due(&id).await;
        let (answer, token) = shop.begin(&id).await;
        assert!(matches!(answer.next, Next::Act { action: Action::LookUp, .. }), "the provider is asked, not the customer again: {answer:?}");
        shop.settle(&id, n, "the provider", approved(1500)).await;
        let late = shop.settle(&id, n, &token, Outcome::Pending { provider_reference: "ch_1".to_owned() }).await;
        assert!(matches!(late, Settled::Already(Status::Succeeded)), "{late:?}");
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().sold, 1);
        shop.assert_clean().await;
    }

    async fn money_of_a_payment_that_was_taken_back_goes_back_once(shop) {
        let session = shop.session("yoga", 1).await;
        let (id, n, _) = asked(&shop, shop.buy(&session, 1)).await;
        assert!(matches!(shop.store.cancel(&shop.scope, &id).await.unwrap(), CancelResult::Closing(..)));
        shop.make_due(&id).await;
        let (void, token) = shop.begin_charge(&id).await;
        shop.settle(&id, void, &token, approved(1500)).await;
        assert_eq!(shop.checkout(&id).await.status, Status::Canceled);
        shop.assert_clean().await;
        let after_all = shop.settle(&id, n, "the provider", approved(1500)).await;
        assert!(matches!(after_all, Settled::Moved(ref moved) if moved.due_in == Some(Duration::ZERO)), "{after_all:?}");
        assert!(matches!(shop.settle(&id, n, "the provider", approved(1500)).await, Settled::Already(Status::Canceled)));
        let (refund, token) = shop.begin_charge(&id).await;
        shop.settle(&id, refund, &token, approved(1500)).await;
        let checkout = shop.checkout(&id).await;
        assert_eq!((checkout.status, checkout.amount_paid, checkout.amount_refunded), (Status::Canceled, checkout.amount_refunded, checkout.amount_paid));
        let told: Vec<String> = shop.store.timeline(&id).await.unwrap().into_iter().map(|entry| entry.what).collect();
        let times = |what: &str| told.iter().filter(|one| *one == what).count();
        assert_eq!((times("late_money"), times("refund.succeeded")), (1, 1), "{told:?}");
        shop.assert_clean().await;
    }

    async fn a_yes_behind_a_no_goes_back_and_frees_nothing_twice(shop) {
        let session = shop.session("yoga", 1).await;
        let (id, n, _) = asked(&shop, shop.buy(&session, 1)).await;
        shop.settle(&id, n, "the provider", declined()).await;
        assert_eq!(shop.checkout(&id).await.status, Status::Failed);
        shop.settle(&id, n, "the provider", approved(1500)).await;
        let (refund, token) = shop.begin_charge(&id).await;
        shop.settle(&id, refund, &token, approved(1500)).await;
        assert_eq!(shop.checkout(&id).await.status, Status::Failed, "an end never changes");
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().available, 1);
        shop.assert_clean().await;
    }
}
