//! What providers tell us: kept once, worked on until it is done with, forgotten by age.

use super::{
    fixture::{Shop, approved, declined},
    memberships::sold_partly_for_credits,
    refunds::{asked, code, open, part, refund, sold, work},
};
use boxoffice_common::{
    domain::{
        attempt::{Decline, Outcome},
        ends::Verdict,
        error::Code,
        id::{CheckoutId, ProviderEventId},
        provider_event::EventStatus,
        refund::{RefundAsk, RefundStatus, Refusal},
        scope::{Mode, Scope},
        state::Status,
        time::Timestamp,
    },
    ports::{queue::Lane, store::*},
};
use futures::future::join_all;
use std::time::Duration;

fn event(shop: &Shop, account: &str, id: &str) -> NewProviderEvent {
    NewProviderEvent {
        id: ProviderEventId::generate(&shop.entropy, Timestamp::from_millis(1)),
        scope: Scope::new(account, Mode::Test).unwrap(),
        provider: "sandbox".to_owned(),
        event: id.to_owned(),
        body: format!("{{\"id\": \"{id}\", \"who\": \"Zoë 🎫\"}}"),
        ignored: None,
    }
}

fn account_closed() -> Decline {
    Decline::new("account_closed".to_owned(), "it came back".to_owned(), None)
}

/// The provider tells that attempt `n` came back; what was called back.
async fn came_back(shop: &Shop, id: &CheckoutId, n: u32) -> Vec<String> {
    let moved = shop.store.refund_came_back(id, n, &account_closed()).await.unwrap().expect("it went before");
    let mut told = Vec::new();
    for delivery in moved.deliveries {
        told.push(shop.store.delivery(&shop.scope, &delivery).await.unwrap().unwrap().event_type);
    }
    told
}

fn late() -> RefundAsk {
    RefundAsk { late_payment: true, ..RefundAsk::default() }
}

/// All that the audit finds, which is late money.
async fn left_over(shop: &Shop) -> Vec<(String, String)> {
    let breaches = shop.store.audit(Duration::from_secs(60)).await.unwrap();
    let told = breaches.into_iter().map(|breach| {
        assert_eq!(breach.rule, "late_money_left", "{breach:?}");
        let what = breach.finding.strip_suffix(": ask for it with a refund of late_payment").unwrap().to_owned();
        (breach.subject, what)
    });
    told.collect()
}

async fn balance(shop: &Shop, account: &str) -> i64 {
    let balances = shop.store.ledger_balances(&shop.scope, BalancesOf::Everybody).await.unwrap();
    balances.iter().find(|balance| balance.account == account).map_or(0, |balance| balance.amount.minor())
}

fn hint(shop: &Shop, account: &str) -> NewProviderEvent {
    NewProviderEvent { provider: "mollie".to_owned(), body: "id=tr_1".to_owned(), ..event(shop, account, "") }
}

over_both! {
    async fn a_hint_that_nobody_has_looked_into_answers_for_its_twins_and_one_that_was_looked_into_does_not(shop) {
        let first = hint(&shop, "pac_1");
        let id = first.id.clone();
        assert_eq!(shop.store.keep_hint(first, "tr_1").await.unwrap(), HintKept::Kept);
        assert_eq!(shop.store.keep_hint(hint(&shop, "pac_1"), "tr_1").await.unwrap(), HintKept::Waits);
        // Another payment, one whose id only begins alike, and another account.
        for (account, about) in [("pac_1", "tr_2"), ("pac_1", "tr_10"), ("pac_1", "TR_1"), ("pac_2", "tr_1")] {
            assert_eq!(shop.store.keep_hint(hint(&shop, account), about).await.unwrap(), HintKept::Kept, "{account} {about}");
        }
        // Whoever works on it counts a try before the provider is asked: what comes from then on is news.
        assert!(shop.store.put_event_off(&id, Duration::from_secs(60), "the provider is asked").await.unwrap());
        assert_eq!(shop.store.keep_hint(hint(&shop, "pac_1"), "tr_1").await.unwrap(), HintKept::Kept);
        assert_eq!(shop.store.keep_hint(hint(&shop, "pac_1"), "tr_1").await.unwrap(), HintKept::Waits);
        assert!(shop.store.close_event(&id, EventStatus::Done, "it moved its checkout").await.unwrap());
        let kept = shop.store.provider_event(&id).await.unwrap().unwrap();
        assert_eq!((kept.event, kept.body.as_str(), kept.account.as_str()), (format!("tr_1/{id}"), "id=tr_1", "pac_1"));
    }

    async fn no_more_hints_of_one_account_wait_than_may(shop) {
        for n in 0..MAX_PENDING_HINTS {
            assert_eq!(shop.store.keep_hint(hint(&shop, "pac_1"), &format!("tr_{n}")).await.unwrap(), HintKept::Kept);
        }
        let more = hint(&shop, "pac_1");
        let id = more.id.clone();
        assert_eq!(shop.store.keep_hint(more, "tr_more").await.unwrap(), HintKept::TooMany);
        assert!(shop.store.provider_event(&id).await.unwrap().is_none(), "nothing of it is kept");
        assert_eq!(shop.store.keep_hint(hint(&shop, "pac_2"), "tr_more").await.unwrap(), HintKept::Kept, "others have their own room");
    }

    async fn a_refund_that_came_back_is_owed_again_once_however_many_tell_it(shop) {
        let session = shop.session("yoga", 5).await;
        let mut new = shop.buy(&session, 1);
        new.order.callback_url = Some("https://shop.example/own".to_owned());
        let (id, _) = sold(&shop, new).await;
        let back = open(&shop, &id, "k", part(500)).await;
        let n = shop.checkout(&id).await.attempts.last().unwrap().n;
        assert!(shop.store.refund_came_back(&id, n, &account_closed()).await.unwrap().is_none(), "it has not gone yet");
        work(&shop, &id, approved(500)).await;
        assert_eq!((refund(&shop, &back).await.status, balance(&shop, "provider:sandbox").await), (RefundStatus::Succeeded, 1000));
        assert_eq!(came_back(&shop, &id, n).await, ["refund.failed"]);
        let twins = join_all((0..5).map(|_| async { shop.store.refund_came_back(&id, n, &account_closed()).await.unwrap() })).await;
        assert!(twins.iter().all(Option::is_none), "{twins:?}");
        let failed = refund(&shop, &back).await;
        let error = failed.error.unwrap();
        assert_eq!((failed.status, error.code, error.decline_code.as_deref()), (RefundStatus::Failed, Code::RefundRefused, Some("account_closed")));
        let after = shop.checkout(&id).await;
        assert_eq!((after.status, after.amount_refunded.minor(), after.due_at), (Status::Succeeded, 0, None));
        assert_eq!((balance(&shop, "provider:sandbox").await, balance(&shop, "refunds_pending").await, balance(&shop, "revenue").await), (1500, 0, -1500));
        let told: Vec<String> = shop.store.timeline(&id).await.unwrap().into_iter().map(|entry| entry.what).collect();
        assert_eq!(told.iter().filter(|what| *what == "refund.came_back").count(), 1, "{told:?}");
        shop.assert_clean().await;
        // All of it can go once more, and no more than that.
        open(&shop, &id, "again", RefundAsk::default()).await;
        work(&shop, &id, approved(1500)).await;
        assert_eq!(shop.checkout(&id).await.amount_refunded.minor(), 1500);
        assert_eq!(code(shop.store.refund(&asked(&shop, &id, "more", part(1))).await.unwrap()), Code::RefundExceedsPaid);
        shop.assert_clean().await;
    }

    async fn late_money_that_went_back_and_came_again_is_told_of_and_shown(shop) {
        let session = shop.session("yoga", 1).await;
        let mut new = shop.buy(&session, 1);
        new.order.callback_url = Some("https://shop.example/own".to_owned());
        let id = shop.accept(new).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, declined()).await;
        shop.settle(&id, n, "the provider", approved(1500)).await;
        let (undo, token) = shop.begin_charge(&id).await;
        shop.settle(&id, undo, &token, approved(1500)).await;
        shop.assert_clean().await;
        assert_eq!(came_back(&shop, &id, undo).await, ["refund.failed"]);
        let after = shop.checkout(&id).await;
        assert_eq!((after.status, after.amount_refunded.minor()), (Status::Failed, 0), "an end never changes");
        assert_eq!((balance(&shop, "provider:sandbox").await, balance(&shop, "unapplied").await), (1500, -1500));
        assert_eq!(left_over(&shop).await, [(id.to_string(), "1500 came too late, and the provider did not give it back, or it came back".to_owned())]);
        // It is asked for, refused again, and asked for once more; each time its owner is told.
        for (key, outcome, unapplied) in [("a", declined(), -1500), ("b", approved(1500), 0)] {
            let of_late = open(&shop, &id, key, RefundAsk::default()).await;
            assert_eq!((balance(&shop, "unapplied").await, balance(&shop, "refunds_pending").await), (0, -1500), "it is promised back");
            shop.assert_clean().await;
            work(&shop, &id, outcome).await;
            let status = if unapplied == 0 { RefundStatus::Succeeded } else { RefundStatus::Failed };
            let told = refund(&shop, &of_late).await;
            assert_eq!((told.status, told.late_payment, told.amount.minor()), (status, true, 1500));
            assert_eq!((balance(&shop, "unapplied").await, balance(&shop, "refunds_pending").await), (unapplied, 0));
        }
        assert_eq!((balance(&shop, "provider:sandbox").await, shop.checkout(&id).await.amount_refunded.minor()), (0, 1500));
        let nothing = shop.store.refund(&asked(&shop, &id, "c", RefundAsk::default())).await.unwrap();
        assert!(matches!(nothing, RefundResult::Refused(Refusal::NotSold(Status::Failed))), "{nothing:?}");
        assert_eq!(code(shop.store.refund(&asked(&shop, &id, "d", late())).await.unwrap()), Code::RefundExceedsPaid);
        shop.assert_clean().await;
    }

    async fn two_ask_for_late_money_at_once_and_one_gets_it(shop) {
        let session = shop.session("yoga", 1).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, declined()).await;
        shop.settle(&id, n, "the provider", approved(1500)).await;
        work(&shop, &id, declined()).await;
        let keys = ["a", "b", "c", "d"];
        let asked = join_all(keys.map(|key| { let (shop, new) = (&shop, asked(&shop, &id, key, late())); async move { shop.store.refund(&new).await.unwrap() } })).await;
        let opened = asked.iter().filter(|result| matches!(result, RefundResult::Created { .. })).count();
        assert_eq!(opened, 1, "{asked:?}");
        work(&shop, &id, approved(1500)).await;
        shop.assert_clean().await;
    }

    async fn an_undo_that_nobody_knows_about_is_shown_until_an_operator_has_decided(shop) {
        let session = shop.session("yoga", 1).await;
        for verdict in [Verdict::Succeeded, Verdict::Failed] {
            let id = shop.accept(shop.buy(&session, 1)).await;
            let (n, token) = shop.begin_charge(&id).await;
            shop.settle(&id, n, &token, declined()).await;
            shop.settle(&id, n, "the provider", approved(1500)).await;
            let (refund_attempt, token) = shop.begin_charge(&id).await;
            shop.settle(&id, refund_attempt, &token, approved(900)).await;
            assert_eq!(left_over(&shop).await, [(id.to_string(), "1500 came too late, and nobody knows whether it went back".to_owned())]);
            let asked = open(&shop, &id, "a", late()).await;
            assert_eq!(refund(&shop, &asked).await.status, RefundStatus::NeedsReview, "nobody is sent a second time");
            assert_eq!(shop.checkout(&id).await.attempts.len(), 2);
            shop.assert_clean().await;
            let resolved = shop.store.resolve_refund(&shop.scope, &asked, None, verdict, "looked").await.unwrap();
            assert!(matches!(resolved, ResolveResult::Resolved(_)), "{resolved:?}");
            if verdict == Verdict::Failed {
                open(&shop, &id, "b", late()).await;
                work(&shop, &id, approved(1500)).await;
            }
            assert_eq!(balance(&shop, "unapplied").await, 0);
            shop.assert_clean().await;
        }
    }

    async fn a_refund_that_gave_credits_back_is_left_to_a_person(shop) {
        let id = sold_partly_for_credits(&shop).await;
        open(&shop, &id, "k", RefundAsk::default()).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(1500)).await;
        let before = shop.checkout(&id).await;
        assert_eq!(before.amount_refunded.minor(), 4500);
        assert!(shop.store.refund_came_back(&id, n, &account_closed()).await.unwrap().is_none());
        assert_eq!(shop.checkout(&id).await.version, before.version);
        shop.assert_clean().await;
    }

    async fn what_is_told_before_our_own_answer_is_recorded_stands_whatever_the_answer_was(shop) {
        let session = shop.session("yoga", 1).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, "the provider", approved(1500)).await;
        for ours in [Outcome::Pending { provider_reference: "ch_1".to_owned() }, Outcome::Unknown("timeout".to_owned()), approved(1500)] {
            let late = shop.settle(&id, n, &token, ours).await;
            assert!(matches!(late, Settled::Already(Status::Succeeded)), "{late:?}");
        }
        shop.assert_clean().await;
    }

    async fn what_needs_review_is_shown_until_somebody_has_it_tried_again_or_leaves_it_at_that(shop) {
        let [first, second] = ["sev_1", "sev_2"].map(|id| event(&shop, "test", id));
        for new in [&first, &second] {
            shop.store.keep_event(new.clone()).await.unwrap();
            assert!(shop.store.close_event(&new.id, EventStatus::NeedsReview, "its amount is not ours").await.unwrap());
        }
        let breaches = shop.store.audit(Duration::from_secs(60)).await.unwrap();
        let told: Vec<(&str, &str)> = breaches.iter().map(|breach| (breach.rule.as_str(), breach.subject.as_str())).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.contains(&("event_needs_review", first.id.as_str())), "{told:?}");
        assert_eq!(shop.store.forget_events(Duration::ZERO, 10).await.unwrap(), 0, "nobody has looked yet");
        let listed = shop.store.events_to_review(10).await.unwrap();
        assert_eq!((listed.len(), listed[0].note.as_deref()), (2, Some("its amount is not ours")));
        assert_eq!(shop.store.events_to_review(1).await.unwrap().len(), 1);
        assert!(shop.store.retry_event(&first.id).await.unwrap());
        assert!(!shop.store.retry_event(&first.id).await.unwrap(), "it is on its way");
        let again = shop.store.provider_event(&first.id).await.unwrap().unwrap();
        assert_eq!((again.status, again.tries), (EventStatus::Pending, 0));
        assert!(shop.store.dismiss_event(&second.id, "seen at the provider").await.unwrap());
        assert!(!shop.store.dismiss_event(&first.id, "no").await.unwrap());
        shop.assert_clean().await;
        assert_eq!(shop.store.forget_events(Duration::ZERO, 10).await.unwrap(), 1);
    }

    async fn an_event_is_kept_once_however_many_tell_it_at_once(shop) {
        let twins: Vec<_> = (0..20).map(|_| event(&shop, "test", "sev_1")).collect();
        let kept = join_all(twins.iter().map(|twin| shop.store.keep_event(twin.clone()))).await;
        let fresh: Vec<usize> = kept.iter().enumerate().filter(|(_, kept)| *kept.as_ref().unwrap()).map(|(at, _)| at).collect();
        assert_eq!(fresh.len(), 1, "{kept:?}");
        let event_of_another_account = event(&shop, "other", "sev_1");
        assert!(shop.store.keep_event(event_of_another_account).await.unwrap());
        let first = &twins[fresh[0]];
        let found = shop.store.provider_event(&first.id).await.unwrap().unwrap();
        assert_eq!((found.body, found.status, found.tries), (first.body.clone(), EventStatus::Pending, 0), "as it came");
        let other = twins.iter().find(|twin| twin.id != first.id).unwrap();
        assert_eq!(shop.store.provider_event(&other.id).await.unwrap(), None);
    }

    async fn of_many_that_are_kept_together_each_is_told_for_itself(shop) {
        let before = event(&shop, "test", "sev_before");
        assert!(shop.store.keep_event(before.clone()).await.unwrap());
        let twins: Vec<_> = (0..3).map(|_| event(&shop, "test", "sev_twin")).collect();
        // The first goes by itself, and the others share what follows. One of them was kept before, and its answer was lost.
        let mut all = vec![event(&shop, "test", "sev_first"), before, event(&shop, "test", "sev_before")];
        all.extend(twins);
        all.extend([event(&shop, "test", "sev_alone"), event(&shop, "other", "sev_twin")]);
        let kept: Vec<bool> = join_all(all.iter().map(|new| shop.store.keep_event(new.clone()))).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(kept[..3], [true, true, false]);
        assert_eq!((kept[3..6].iter().filter(|kept| **kept).count(), &kept[6..]), (1, &[true, true][..]), "{kept:?}");
        for (new, kept) in all.iter().zip(kept) {
            assert_eq!(shop.store.provider_event(&new.id).await.unwrap().is_some(), kept, "{}", new.event);
        }
    }

    async fn events_that_are_large_are_kept_together_all_the_same(shop) {
        let large = |n: usize| NewProviderEvent { body: "x".repeat(400_000 + n), ..event(&shop, "test", &format!("sev_{n}")) };
        let all: Vec<_> = (0..8).map(large).collect();
        assert!(join_all(all.iter().map(|new| shop.store.keep_event(new.clone()))).await.into_iter().all(Result::unwrap));
        let read = join_all(all.iter().map(|new| shop.store.provider_event(&new.id))).await;
        for (new, read) in all.iter().zip(read) {
            assert!(read.unwrap().unwrap().body == new.body, "as it came");
        }
    }

    async fn what_is_of_no_use_is_kept_once_and_nobody_comes_for_it(shop) {
        let new = NewProviderEvent { ignored: Some("of a kind that we do nothing about"), ..event(&shop, "test", "sev_1") };
        for _ in 0..2 {
            assert!(shop.store.keep_event(new.clone()).await.unwrap());
        }
        assert!(!shop.store.keep_event(event(&shop, "test", "sev_1")).await.unwrap());
        let kept = shop.store.provider_event(&new.id).await.unwrap().unwrap();
        assert_eq!((kept.status, kept.note.as_deref(), kept.body), (EventStatus::Ignored, new.ignored, new.body));
        shop.sql("UPDATE provider_events SET received_at = 1").await;
        assert_eq!(shop.store.rescue(Lane::Events, Duration::ZERO, None, 10).await.unwrap().len(), 0);
        assert_eq!(shop.store.repair().await.unwrap(), [""; 0]);
        shop.assert_clean().await;
        assert!(!shop.store.close_event(&new.id, EventStatus::Done, "it moved its checkout").await.unwrap(), "an end never changes");
        assert_eq!(shop.store.forget_events(Duration::ZERO, 10).await.unwrap(), 1);
    }

    async fn of_many_that_end_together_each_ends_once_and_one_that_cannot_be_read_keeps_no_other_from_being_read(shop) {
        let all: Vec<_> = (0..6).map(|n| event(&shop, "test", &format!("sev_{n}"))).collect();
        for new in &all {
            shop.store.keep_event(new.clone()).await.unwrap();
        }
        shop.sql("UPDATE provider_events SET status = 'odd' WHERE event = 'sev_5'").await;
        let read = join_all(all.iter().map(|new| shop.store.provider_event(&new.id))).await;
        let is_read: Vec<bool> = read.iter().map(Result::is_ok).collect();
        assert_eq!(is_read, [true, true, true, true, true, false], "{read:?}");
        let stranger = event(&shop, "test", "sev_stranger");
        let ends = [(&all[0], "a"), (&all[1], "b"), (&all[2], "c"), (&all[1], "d"), (&stranger, "e"), (&all[3], "f"), (&all[3], "g")];
        let ended = join_all(ends.map(|(new, note)| shop.store.close_event(&new.id, EventStatus::Done, note))).await;
        assert_eq!(ended.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [true, true, true, false, false, true, false]);
        let mut notes = Vec::new();
        for new in &all[..5] {
            notes.push(shop.store.provider_event(&new.id).await.unwrap().unwrap().note);
        }
        assert_eq!(notes.iter().map(Option::as_deref).collect::<Vec<_>>(), [Some("a"), Some("b"), Some("c"), Some("f"), None]);
    }

    async fn an_event_that_nobody_worked_on_is_found_by_the_rescuer_and_by_the_audit_until_it_is_closed(shop) {
        let new = event(&shop, "test", "sev_1");
        shop.store.keep_event(new.clone()).await.unwrap();
        shop.sql("UPDATE provider_events SET due_at = 1").await;
        let rescue = async || shop.store.rescue(Lane::Events, Duration::from_millis(1), None, 10).await.unwrap();
        assert_eq!(rescue().await.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), [new.id.as_str()]);
        let rules: Vec<String> = shop.store.audit(Duration::from_secs(60)).await.unwrap().into_iter().map(|breach| breach.rule).collect();
        assert_eq!(rules, ["stuck_event"]);
        assert!(shop.store.close_event(&new.id, EventStatus::Done, "it moved its checkout").await.unwrap());
        assert!(!shop.store.close_event(&new.id, EventStatus::Ignored, "again").await.unwrap(), "an end never changes");
        assert!(!shop.store.put_event_off(&new.id, Duration::ZERO, "later").await.unwrap());
        assert_eq!(shop.store.provider_event(&new.id).await.unwrap().unwrap().status, EventStatus::Done);
        assert_eq!((rescue().await.len(), shop.store.keep_event(event(&shop, "test", "sev_1")).await.unwrap()), (0, false));
        shop.assert_clean().await;
    }

    async fn whoever_keeps_an_event_again_because_the_answer_was_lost_is_told_that_it_is_new(shop) {
        let new = event(&shop, "test", "sev_1");
        for _ in 0..2 {
            assert!(shop.store.keep_event(new.clone()).await.unwrap());
        }
    }

    async fn an_event_that_is_put_off_is_counted_and_due_again(shop) {
        let new = event(&shop, "test", "sev_1");
        shop.store.keep_event(new.clone()).await.unwrap();
        assert!(shop.store.put_event_off(&new.id, Duration::from_secs(3600), "another try is under way").await.unwrap());
        assert_eq!(shop.store.provider_event(&new.id).await.unwrap().unwrap().tries, 1);
        assert_eq!(shop.store.rescue(Lane::Events, Duration::from_millis(1), None, 10).await.unwrap().len(), 0);
        shop.sql("UPDATE provider_events SET due_at = NULL").await;
        assert_eq!(shop.store.repair().await.unwrap(), ["1 events of providers made due"]);
        shop.assert_clean().await;
    }

    async fn what_has_ended_is_forgotten_by_age_and_what_is_pending_is_not(shop) {
        for (at, id) in ["sev_1", "sev_2", "sev_3"].into_iter().enumerate() {
            let new = event(&shop, "test", id);
            shop.store.keep_event(new.clone()).await.unwrap();
            if at > 0 {
                shop.store.close_event(&new.id, EventStatus::Ignored, "of another account").await.unwrap();
            }
        }
        assert_eq!(shop.store.forget_events(Duration::from_secs(3600), 10).await.unwrap(), 0);
        assert_eq!(shop.store.forget_events(Duration::ZERO, 1).await.unwrap(), 1);
        assert_eq!(shop.store.forget_events(Duration::ZERO, 10).await.unwrap(), 1);
        assert_eq!(shop.store.forget_events(Duration::ZERO, 10).await.unwrap(), 0);
    }
}
