//! What is decided about refunds afterwards: an operator's word, a provider that takes its own word back, places that were kept at first.

use super::{
    fixture::{Shop, approved, declined},
    memberships::{ada, given, sold_partly_for_credits},
    refunds::{asked, code, open, part, refund, sold, work},
};
use boxoffice_common::{
    domain::{
        attempt::Outcome,
        ends::Verdict,
        error::Code,
        id::{CatalogueId, CheckoutId, RefundId},
        leg::Leg,
        money::Amount,
        refund::{RefundAsk, RefundStatus},
        state::Status,
    },
    ports::store::*,
};
use futures::future::join_all;

async fn resolve(shop: &Shop, id: &RefundId, verdict: Verdict, note: &str) -> ResolveResult {
    shop.store.resolve_refund(&shop.scope, id, None, verdict, note).await.unwrap()
}

async fn is_sold(shop: &Shop, session: &CatalogueId) -> u32 {
    shop.store.availability(&shop.scope, session).await.unwrap().unwrap().sold
}

async fn revenue(shop: &Shop) -> i64 {
    let balances = shop.store.ledger_balances(&shop.scope, BalancesOf::Everybody).await.unwrap();
    balances.iter().find(|balance| balance.account == "revenue").map_or(0, |balance| balance.amount.minor())
}

async fn told(shop: &Shop, result: ResolveResult) -> String {
    let ResolveResult::Resolved(moved) = result else { panic!("{result:?}") };
    shop.store.delivery(&shop.scope, &moved.deliveries[0]).await.unwrap().unwrap().event_type
}

/// A sale of one place by card, with a callback, of which a refund came to `minor` at the provider.
async fn refunded(shop: &Shop, session: &CatalogueId, minor: i64) -> (CheckoutId, RefundId) {
    let mut new = shop.buy(session, 1);
    new.order.callback_url = Some("https://shop.example/own".to_owned());
    let (id, _) = sold(shop, new).await;
    let back = open(shop, &id, "k", RefundAsk::default()).await;
    work(shop, &id, approved(minor)).await;
    (id, back)
}

/// A sale of 1500 over two cards, 1000 and 500, of which all was asked back; the providers say so of the parts, as they stand in the refund.
async fn refunded_to_two_cards(shop: &Shop, say: impl Fn(i64) -> Outcome) -> (CheckoutId, RefundId) {
    let mut new = shop.buy(&shop.session("yoga", 5).await, 1);
    let card = new.order.legs.remove(0);
    new.order.legs = [1000, 500].map(|minor| Leg { amount: Amount::from_minor(minor), ..card.clone() }).into();
    let id = shop.accept(new).await;
    while shop.checkout(&id).await.status != Status::Succeeded {
        let (n, token) = shop.begin_charge(&id).await;
        let request = shop.checkout(&id).await.attempts.into_iter().find(|attempt| attempt.n == n).unwrap().request;
        let taken = approved(request.amount.minor());
        let promised = |taken| if let Outcome::Approved(receipt) = taken { Outcome::Authorized(receipt) } else { taken };
        shop.settle(&id, n, &token, if request.capture_later { promised(taken) } else { taken }).await;
    }
    let back = open(shop, &id, "k", RefundAsk::default()).await;
    for _ in 0..2 {
        let (n, token) = shop.begin_charge(&id).await;
        let amount = shop.checkout(&id).await.attempts.into_iter().find(|attempt| attempt.n == n).unwrap().request.amount;
        shop.settle(&id, n, &token, say(amount.minor())).await;
    }
    (id, back)
}

over_both! {
    async fn of_two_cards_an_operator_names_the_one_that_did_not_get_its_money_and_the_other_gets_no_more(shop) {
        let (id, back) = refunded_to_two_cards(&shop, approved).await;
        let parts = refund(&shop, &back).await.parts;
        assert_eq!(parts.iter().map(|part| (part.amount.minor(), part.status)).collect::<Vec<_>>(), [(500, RefundStatus::Succeeded), (1000, RefundStatus::Succeeded)]);
        let say = async |part, verdict, note| shop.store.resolve_refund(&shop.scope, &back, part, verdict, note).await.unwrap();
        let which = say(None, Verdict::Failed, "closed").await;
        assert!(matches!(which, ResolveResult::WhichPart), "{which:?}");
        assert_eq!(shop.checkout(&id).await.amount_refunded.minor(), 1500, "nothing has changed");
        for (part, verdict) in [(Some(2), Verdict::Failed), (Some(1), Verdict::Succeeded)] {
            let other = say(part, verdict, "closed").await;
            assert!(matches!(other, ResolveResult::NotInReview), "{part:?}: {other:?}");
        }
        let ResolveResult::Resolved(_) = say(Some(1), Verdict::Failed, "closed").await else { panic!("it is decided") };
        let found = refund(&shop, &back).await;
        assert_eq!((found.status, found.parts[0].status, found.parts[1].status), (RefundStatus::Failed, RefundStatus::Succeeded, RefundStatus::Failed));
        assert_eq!((shop.checkout(&id).await.amount_refunded.minor(), revenue(&shop).await), (500, -1000));
        shop.assert_clean().await;
        // What is asked for again is what that card paid.
        let again = open(&shop, &id, "again", RefundAsk::default()).await;
        assert_eq!(refund(&shop, &again).await.parts.iter().map(|part| (part.leg, part.amount.minor())).collect::<Vec<_>>(), [(0, 1000)]);
        work(&shop, &id, approved(1000)).await;
        // The other one's account was closed, too; the words about the first still stand.
        let ResolveResult::Resolved(_) = say(Some(0), Verdict::Failed, "closed as well").await else { panic!("it is decided") };
        for (part, note) in [(Some(1), "closed"), (Some(0), "closed as well")] {
            assert!(matches!(say(part, Verdict::Failed, note).await, ResolveResult::Already), "{note}");
        }
        assert!(matches!(say(Some(0), Verdict::Failed, "closed").await, ResolveResult::NotInReview));
        assert_eq!((shop.checkout(&id).await.amount_refunded.minor(), revenue(&shop).await), (1000, -500));
        shop.assert_clean().await;
    }

    async fn of_two_parts_in_doubt_each_has_its_own_verdict(shop) {
        let (id, back) = refunded_to_two_cards(&shop, |minor| approved(minor - 1)).await;
        let say = async |part, verdict| shop.store.resolve_refund(&shop.scope, &back, part, verdict, "seen").await.unwrap();
        assert!(matches!(say(None, Verdict::Succeeded).await, ResolveResult::WhichPart));
        let ResolveResult::Resolved(moved) = say(Some(0), Verdict::Succeeded).await else { panic!("it is decided") };
        assert_eq!((refund(&shop, &back).await.status, moved.deliveries.len()), (RefundStatus::NeedsReview, 0), "the other one is in doubt");
        // Only one is left that could be meant.
        assert!(matches!(say(None, Verdict::Failed).await, ResolveResult::Resolved(_)));
        let found = refund(&shop, &back).await;
        assert_eq!((found.status, found.parts[0].status, found.parts[1].status), (RefundStatus::Failed, RefundStatus::Succeeded, RefundStatus::Failed));
        assert_eq!((shop.checkout(&id).await.amount_refunded.minor(), revenue(&shop).await), (500, -1000));
        shop.assert_clean().await;
    }

    async fn an_operator_says_that_a_refund_in_doubt_went_and_one_of_ten_words_counts(shop) {
        let session = shop.session("yoga", 5).await;
        // The provider gave another amount than was asked.
        let (id, back) = refunded(&shop, &session, 999).await;
        assert_eq!((refund(&shop, &back).await.status, is_sold(&shop, &session).await), (RefundStatus::NeedsReview, 1));
        let other = shop.store.resolve_refund(&shop.other_scope(), &back, None, Verdict::Failed, "").await.unwrap();
        assert!(matches!(other, ResolveResult::Missing), "{other:?}");
        let words = join_all((0..10).map(|_| resolve(&shop, &back, Verdict::Succeeded, "seen at the bank"))).await;
        let (done, again): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| matches!(word, ResolveResult::Resolved(_)));
        assert_eq!(done.len(), 1);
        assert!(again.iter().all(|word| matches!(word, ResolveResult::Already)), "{again:?}");
        for (verdict, note) in [(Verdict::Succeeded, "another note")] {
            let other = resolve(&shop, &back, verdict, note).await;
            assert!(matches!(other, ResolveResult::NotInReview), "{other:?}");
        }
        assert_eq!(told(&shop, done.into_iter().next().unwrap()).await, "refund.succeeded");
        let after = shop.checkout(&id).await;
        assert_eq!((after.amount_refunded.minor(), after.status, after.due_at), (1500, Status::Succeeded, None));
        assert_eq!((refund(&shop, &back).await.status, is_sold(&shop, &session).await, revenue(&shop).await), (RefundStatus::Succeeded, 0, 0));
        assert_eq!(code(shop.store.refund(&asked(&shop, &id, "more", part(1))).await.unwrap()), Code::RefundExceedsPaid);
        shop.assert_clean().await;
    }

    async fn an_operator_says_that_a_refund_in_doubt_did_not_go_and_it_is_asked_for_again(shop) {
        let session = shop.session("yoga", 5).await;
        let (id, back) = refunded(&shop, &session, 999).await;
        assert_eq!(told(&shop, resolve(&shop, &back, Verdict::Failed, "no").await).await, "refund.failed");
        let failed = refund(&shop, &back).await;
        assert_eq!((failed.status, failed.error.unwrap().code), (RefundStatus::Failed, Code::RefundRefused));
        assert_eq!((is_sold(&shop, &session).await, revenue(&shop).await), (1, -1500));
        shop.assert_clean().await;
        open(&shop, &id, "again", RefundAsk::default()).await;
        work(&shop, &id, approved(1500)).await;
        assert_eq!((shop.checkout(&id).await.amount_refunded.minor(), is_sold(&shop, &session).await), (1500, 0));
        shop.assert_clean().await;
    }

    async fn a_word_about_a_refund_is_remembered_beside_one_about_a_retry_of_it(shop) {
        let session = shop.session("yoga", 5).await;
        let (id, _) = sold(&shop, shop.buy(&session, 1)).await;
        let first = asked(&shop, &id, "k", RefundAsk::default());
        let retry = NewRefund { id: RefundId::parse(format!("{}_1", first.id)).unwrap(), ..asked(&shop, &id, "l", RefundAsk::default()) };
        for new in [&first, &retry] {
            assert!(matches!(shop.store.refund(new).await.unwrap(), RefundResult::Created { .. }));
            work(&shop, &id, approved(999)).await;
            let note = format!("about {}", new.id);
            let result = resolve(&shop, &new.id, Verdict::Failed, &note).await;
            assert!(matches!(result, ResolveResult::Resolved(_)), "{result:?}");
        }
        for new in [&first, &retry] {
            let again = resolve(&shop, &new.id, Verdict::Failed, &format!("about {}", new.id)).await;
            assert!(matches!(again, ResolveResult::Already), "{again:?}");
        }
        shop.assert_clean().await;
    }

    async fn what_a_provider_gave_back_and_then_did_not_is_owed_again(shop) {
        let session = shop.session("yoga", 5).await;
        let (id, back) = refunded(&shop, &session, 1500).await;
        assert_eq!((refund(&shop, &back).await.status, is_sold(&shop, &session).await), (RefundStatus::Succeeded, 0));
        let other = resolve(&shop, &back, Verdict::Succeeded, "").await;
        assert!(matches!(other, ResolveResult::NotInReview), "{other:?}");
        assert_eq!(told(&shop, resolve(&shop, &back, Verdict::Failed, "the account was closed").await).await, "refund.failed");
        let again = resolve(&shop, &back, Verdict::Failed, "the account was closed").await;
        assert!(matches!(again, ResolveResult::Already), "{again:?}");
        assert_eq!((refund(&shop, &back).await.status, shop.checkout(&id).await.amount_refunded), (RefundStatus::Failed, Amount::ZERO));
        assert_eq!((is_sold(&shop, &session).await, revenue(&shop).await), (0, -1500), "its place may be somebody else's by now");
        shop.assert_clean().await;
        // To another account, once.
        open(&shop, &id, "again", RefundAsk::default()).await;
        work(&shop, &id, approved(1500)).await;
        assert_eq!((shop.checkout(&id).await.amount_refunded.minor(), revenue(&shop).await), (1500, 0));
        assert_eq!(code(shop.store.refund(&asked(&shop, &id, "more", part(1))).await.unwrap()), Code::RefundExceedsPaid);
        shop.assert_clean().await;
    }

    async fn what_is_under_way_or_cash_is_not_resolved(shop) {
        let session = shop.session("yoga", 5).await;
        let (id, _) = sold(&shop, shop.buy(&session, 1)).await;
        let pending = open(&shop, &id, "k", RefundAsk::default()).await;
        let cash = shop.accept(shop.buy_cash(&session, 1)).await;
        shop.begin(&cash).await;
        let done = open(&shop, &cash, "k", RefundAsk::default()).await;
        for id in [&pending, &done] {
            for verdict in [Verdict::Failed, Verdict::Succeeded] {
                let result = resolve(&shop, id, verdict, "").await;
                assert!(matches!(result, ResolveResult::NotInReview), "{result:?}");
            }
        }
        shop.assert_clean().await;
    }

    async fn a_refund_that_was_refused_does_not_hide_from_the_audit_that_places_and_credits_are_lost(shop) {
        let id = sold_partly_for_credits(&shop).await;
        let back = open(&shop, &id, "k", RefundAsk::default()).await;
        work(&shop, &id, declined()).await;
        let found = refund(&shop, &back).await;
        assert_eq!((found.status, found.release_seats), (RefundStatus::Failed, true));
        shop.assert_clean().await;
        shop.sql(&format!("UPDATE claims SET state = 'released' WHERE checkout = '{id}'")).await;
        let breaches = shop.store.audit(std::time::Duration::from_secs(60)).await.unwrap();
        for rule in ["sale_without_claims", "credits_not_taken"] {
            assert!(breaches.iter().any(|breach| breach.rule == rule), "{rule}: {breaches:?}");
        }
    }

    async fn places_that_a_refund_has_kept_are_freed_later_for_nothing(shop) {
        let session = shop.session("yoga", 9).await;
        let kept = |lines| RefundAsk { release_seats: Some(false), lines, ..RefundAsk::default() };
        let whole = shop.accept(shop.buy_cash(&session, 2)).await;
        shop.begin(&whole).await;
        open(&shop, &whole, "money", kept(Vec::new())).await;
        assert_eq!((shop.checkout(&whole).await.amount_refunded.minor(), is_sold(&shop, &session).await), (3000, 2));
        open(&shop, &whole, "places", RefundAsk::default()).await;
        assert_eq!((shop.checkout(&whole).await.amount_refunded.minor(), is_sold(&shop, &session).await), (3000, 0));
        assert_eq!(code(shop.store.refund(&asked(&shop, &whole, "more", RefundAsk::default())).await.unwrap()), Code::RefundExceedsPaid);
        let new = shop.buy_cash(&session, 2);
        let lines = vec![new.order.lines[0].id.clone()];
        let by_line = shop.accept(new).await;
        shop.begin(&by_line).await;
        open(&shop, &by_line, "money", kept(lines.clone())).await;
        let free = RefundAsk { lines: lines.clone(), amount: Some(Amount::ZERO), release_seats: Some(true), ..RefundAsk::default() };
        open(&shop, &by_line, "places", free.clone()).await;
        assert_eq!((shop.checkout(&by_line).await.amount_refunded.minor(), is_sold(&shop, &session).await), (3000, 0));
        for (key, ask) in [("a", free), ("b", RefundAsk { lines, ..RefundAsk::default() })] {
            assert_eq!(code(shop.store.refund(&asked(&shop, &by_line, key, ask)).await.unwrap()), Code::RefundExceedsPaid);
        }
        shop.assert_clean().await;
    }

    async fn where_places_are_kept_the_money_goes_back_and_the_credits_stay(shop) {
        let ada = ada(&shop).await;
        shop.store.put_bought(&given(&shop, &ada, "bmb_1", Some(3))).await.unwrap();
        let session = shop.members_session("ses_1", 5).await;
        let id = shop.accept(shop.buy_with_credits(&session, 3, &ada, "bmb_1", 2)).await;
        shop.begin(&id).await;
        assert_eq!(shop.checkout(&id).await.status, Status::Succeeded);
        let kept = RefundAsk { release_seats: Some(false), ..RefundAsk::default() };
        open(&shop, &id, "money", kept.clone()).await;
        assert_eq!((shop.checkout(&id).await.amount_refunded.minor(), is_sold(&shop, &session).await), (1500, 3));
        assert_eq!(code(shop.store.refund(&asked(&shop, &id, "again", kept)).await.unwrap()), Code::RefundExceedsPaid);
        shop.assert_clean().await;
        // The places later, and with them the credits.
        open(&shop, &id, "places", RefundAsk::default()).await;
        assert_eq!((shop.checkout(&id).await.amount_refunded.minor(), is_sold(&shop, &session).await), (4500, 0));
        shop.assert_clean().await;
    }
}
