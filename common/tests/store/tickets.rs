//! Tickets: one for each place that was sold, let in once whoever races, void when the place is given back.

use super::{
    fixture::{Shop, approved, declined},
    refunds,
};
use boxoffice_common::{
    domain::{
        error::Code,
        id::{CheckoutId, CustomerId, Entropy, LineId, RefundId, TicketId},
        money::Amount,
        refund::RefundAsk,
        state::Status,
        ticket::{Holder, Ticket, TicketAct, TicketRefusal, TicketStatus, id_of, place_of},
        ticket_code::TicketKey,
        time::Timestamp,
    },
    ports::{clock::Clock, clock::SystemClock, store::*},
};
use boxoffice_testkit::proxy::{Cut, CuttingProxy};
use futures::future::join_all;

async fn sold(shop: &Shop, new: NewCheckout) -> CheckoutId {
    let id = shop.accept(new).await;
    shop.begin(&id).await;
    assert_eq!(shop.checkout(&id).await.status, Status::Succeeded);
    id
}

/// One order of both.
fn both(mut new: NewCheckout, more: NewCheckout) -> NewCheckout {
    new.order.lines.extend(more.order.lines);
    let total = Amount::from_minor(new.order.lines.iter().map(|line| line.amount.minor()).sum());
    (new.order.totals.subtotal, new.order.totals.total, new.order.legs[0].amount) = (total, total, total);
    new
}

async fn tickets(shop: &Shop, checkout: &CheckoutId) -> Vec<Ticket> {
    shop.store.tickets(&shop.scope, checkout, None, 100).await.unwrap().unwrap()
}

fn admit() -> TicketAct {
    TicketAct::Admit { serial: None, session: None }
}

fn to(customer: &str) -> TicketAct {
    TicketAct::Transfer(Holder { customer: CustomerId::parse(customer).ok(), ..Holder::default() })
}

fn named(name: &str) -> TicketAct {
    TicketAct::Transfer(Holder { name: Some(name.to_owned()), email: Some("eve@example.com".to_owned()), ..Holder::default() })
}

async fn try_change(store: &impl TicketStore, shop: &Shop, ticket: &TicketId, act: TicketAct) -> Result<TicketAnswer, StoreError> {
    let token = format!("{:016x}", shop.entropy.next_u64());
    store.change_ticket(&TicketChange { scope: shop.scope.clone(), ticket: ticket.clone(), act, token }).await
}

async fn change(shop: &Shop, ticket: &Ticket, act: TicketAct) -> TicketAnswer {
    try_change(&*shop.store, shop, &ticket.id, act).await.unwrap()
}

async fn changed(shop: &Shop, ticket: &Ticket, act: TicketAct) -> Ticket {
    match change(shop, ticket, act).await {
        TicketAnswer::Changed(ticket) => *ticket,
        other => panic!("{other:?}"),
    }
}

async fn refusal(shop: &Shop, ticket: &Ticket, act: TicketAct) -> TicketRefusal {
    match change(shop, ticket, act).await {
        TicketAnswer::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Gives lines back over the counter, with their places; everything when none is named.
async fn give_back(shop: &Shop, checkout: &CheckoutId, lines: Vec<LineId>) {
    let id = RefundId::generate(&shop.entropy, SystemClock::default().now());
    let idempotency = IdempotencyRow { route: format!("refund {checkout}"), key: id.to_string(), body_hash: String::new() };
    let ask = RefundAsk { lines, ..RefundAsk::default() };
    let refund = NewRefund { id, scope: shop.scope.clone(), checkout: checkout.clone(), ask, idempotency };
    assert!(matches!(shop.store.refund(&refund).await.unwrap(), RefundResult::Created { .. }));
}

async fn put_customer(shop: &Shop, id: &str, customer: serde_json::Value) {
    let customer = serde_json::from_value(customer).unwrap();
    shop.store.put_customer(&shop.scope, &CustomerId::parse(id).unwrap(), &customer).await.unwrap().unwrap();
}

async fn found(shop: &Shop, rule: &str) -> bool {
    shop.broken().await.iter().any(|broken| broken == rule)
}

over_both! {
    async fn a_sale_has_a_ticket_for_each_place_and_its_sale_wrote_none(shop) {
        let yoga = shop.session("yoga", 10).await;
        let gala = shop.seated("gala", &["A1", "A2", "A3"]).await;
        let queued = shop.accept(both(shop.buy_cash(&yoga, 3), shop.buy_seats(&gala, &["A3", "A1"]))).await;
        assert_eq!(tickets(&shop, &queued).await, [], "nothing is sold yet");
        shop.begin(&queued).await;
        let found = tickets(&shop, &queued).await;
        let seats: Vec<_> = found.iter().map(|ticket| (ticket.session.as_str(), ticket.seat.as_deref(), ticket.status())).collect();
        let valid = TicketStatus::Valid;
        assert_eq!(seats, [("yoga", None, valid), ("yoga", None, valid), ("yoga", None, valid), ("gala", Some("A3"), valid), ("gala", Some("A1"), valid)]);
        assert!(found.iter().all(|ticket| ticket.changes == 0 && ticket.last_change.is_none()), "there is no row for any");
        // A page goes on where the one before ended.
        let after = place_of(&found[1].id).map(|(_, place)| place);
        assert_eq!(shop.store.tickets(&shop.scope, &queued, after, 2).await.unwrap().unwrap(), found[2..4]);
        for ticket in &found {
            assert_eq!(shop.store.ticket(&shop.scope, &ticket.id).await.unwrap().as_ref(), Some(ticket));
        }
        shop.assert_clean().await;
    }

    async fn fifty_at_the_door_with_one_ticket_and_one_gets_in(shop) {
        let yoga = shop.session("yoga", 10).await;
        let id = sold(&shop, shop.buy_cash(&yoga, 2)).await;
        let all = tickets(&shop, &id).await;
        let other = shop.another_store().await;
        let answers = join_all((0..50).map(|n| {
            let (shop, other, ticket) = (&shop, &other, &all[0]);
            async move {
                if n % 2 == 0 { change(shop, ticket, admit()).await } else { try_change(other, shop, &ticket.id, admit()).await.unwrap() }
            }
        })).await;
        let admitted: Vec<Timestamp> = answers.iter().filter_map(|answer| if let TicketAnswer::Changed(ticket) = answer { ticket.admitted_at } else { None }).collect();
        let [at] = admitted[..] else { panic!("{admitted:?}") };
        let refused = answers.iter().filter(|answer| **answer == TicketAnswer::Refused(TicketRefusal::AlreadyAdmitted(at))).count();
        assert_eq!(refused, 49);
        let statuses: Vec<_> = tickets(&shop, &id).await.iter().map(Ticket::status).collect();
        assert_eq!(statuses, [TicketStatus::Admitted, TicketStatus::Valid], "the other place is nobody's yet");
        let said = shop.store.timeline(&id).await.unwrap();
        assert_eq!(said.iter().filter(|entry| entry.what == "ticket.admitted" && entry.detail.as_deref() == Some(all[0].id.as_str())).count(), 1);
        shop.assert_clean().await;
    }

    async fn a_call_that_is_run_again_finds_what_it_did(shop) {
        let yoga = shop.session("yoga", 10).await;
        let id = sold(&shop, shop.buy_cash(&yoga, 1)).await;
        let ticket = tickets(&shop, &id).await.remove(0);
        let call = |act: TicketAct, token: &str| TicketChange { scope: shop.scope.clone(), ticket: ticket.id.clone(), act, token: token.to_owned() };
        let transfer = call(named("Eve"), "one");
        let first = shop.store.change_ticket(&transfer).await.unwrap();
        assert_eq!(shop.store.change_ticket(&transfer).await.unwrap(), first);
        let admit = call(admit(), "two");
        let first = shop.store.change_ticket(&admit).await.unwrap();
        assert!(matches!(&first, TicketAnswer::Changed(ticket) if ticket.serial == 2 && ticket.admitted_at.is_some()));
        assert_eq!(shop.store.change_ticket(&admit).await.unwrap(), first);
        assert_eq!(shop.store.timeline(&id).await.unwrap().iter().filter(|entry| entry.what.starts_with("ticket.")).count(), 2);
    }

    async fn a_mistake_at_the_door_is_undone_and_the_ticket_lets_in_again(shop) {
        let yoga = shop.session("yoga", 10).await;
        let id = sold(&shop, shop.buy_cash(&yoga, 1)).await;
        let ticket = tickets(&shop, &id).await.remove(0);
        assert_eq!(refusal(&shop, &ticket, TicketAct::UndoAdmission).await, TicketRefusal::NotAdmitted);
        changed(&shop, &ticket, admit()).await;
        assert_eq!(changed(&shop, &ticket, TicketAct::UndoAdmission).await.status(), TicketStatus::Valid);
        assert_eq!(changed(&shop, &ticket, admit()).await.status(), TicketStatus::Admitted);
        shop.assert_clean().await;
    }

    async fn a_refund_that_frees_places_makes_their_tickets_void(shop) {
        let yoga = shop.session("yoga", 10).await;
        let gala = shop.seated("gala", &["A1", "A2"]).await;
        let id = sold(&shop, both(shop.buy_cash(&yoga, 2), shop.buy_seats(&gala, &["A1"]))).await;
        let all = tickets(&shop, &id).await;
        give_back(&shop, &id, vec![all[0].line.clone()]).await;
        let statuses: Vec<_> = tickets(&shop, &id).await.iter().map(Ticket::status).collect();
        assert_eq!(statuses, [TicketStatus::Void, TicketStatus::Void, TicketStatus::Valid]);
        for act in [admit(), named("Eve"), TicketAct::UndoAdmission] {
            assert_eq!(refusal(&shop, &all[0], act).await, TicketRefusal::Void);
        }
        changed(&shop, &all[2], admit()).await;
        give_back(&shop, &id, Vec::new()).await;
        let void = shop.store.ticket(&shop.scope, &all[2].id).await.unwrap().unwrap();
        assert!(void.status() == TicketStatus::Void && void.admitted_at.is_some(), "who was in was in");
        shop.assert_clean().await;
    }

    async fn a_ticket_lets_in_until_its_money_is_back_and_a_refund_that_fails_takes_nothing_away(shop) {
        let yoga = shop.session("yoga", 10).await;
        for (outcome, then) in [(declined(), TicketStatus::Admitted), (approved(3000), TicketStatus::Void)] {
            let id = shop.accept(shop.buy(&yoga, 2)).await;
            let (n, token) = shop.begin_charge(&id).await;
            shop.settle(&id, n, &token, approved(3000)).await;
            refunds::open(&shop, &id, "k", RefundAsk::default()).await;
            let all = tickets(&shop, &id).await;
            assert!(all.iter().all(|ticket| ticket.status() == TicketStatus::Valid), "the money is not back yet");
            assert_eq!(changed(&shop, &all[0], admit()).await.status(), TicketStatus::Admitted);
            refunds::work(&shop, &id, outcome).await;
            assert_eq!(tickets(&shop, &id).await[0].status(), then);
            let late = change(&shop, &all[1], admit()).await;
            assert_eq!(matches!(late, TicketAnswer::Changed(_)), then == TicketStatus::Admitted, "{late:?}");
            shop.assert_clean().await;
        }
    }

    async fn at_the_door_and_at_the_counter_at_once_whoever_comes_first_decides(shop) {
        let yoga = shop.session("yoga", 100).await;
        for _ in 0..10 {
            let id = sold(&shop, shop.buy_cash(&yoga, 1)).await;
            let ticket = tickets(&shop, &id).await.remove(0);
            let (answer, ()) = tokio::join!(change(&shop, &ticket, admit()), give_back(&shop, &id, Vec::new()));
            assert!(matches!(answer, TicketAnswer::Changed(_) | TicketAnswer::Refused(TicketRefusal::Void)), "{answer:?}");
            assert_eq!(tickets(&shop, &id).await[0].status(), TicketStatus::Void);
        }
        shop.assert_clean().await;
    }

    async fn a_ticket_is_passed_on_with_a_new_serial_to_somebody_whom_the_session_takes(shop) {
        let club = shop.session_with("club", 10, |session| {
            session.required_tag = Some("member".to_owned());
            session.min_age = Some(18);
        }).await;
        put_customer(&shop, "ada", serde_json::json!({"tags": ["member"], "date_of_birth": "1990-01-01"})).await;
        put_customer(&shop, "bob", serde_json::json!({"tags": ["member"], "date_of_birth": "1991-01-01"})).await;
        put_customer(&shop, "kid", serde_json::json!({"tags": ["member"], "date_of_birth": "2090-01-01"})).await;
        put_customer(&shop, "out", serde_json::json!({"date_of_birth": "1990-01-01"})).await;
        let mut new = shop.buy_cash(&club, 1);
        new.order.customer = CustomerId::parse("ada").ok();
        let id = sold(&shop, new).await;
        let ticket = tickets(&shop, &id).await.remove(0);
        assert_eq!(ticket.holder.customer.as_ref().map(CustomerId::as_str), Some("ada"));
        let code = async |act: TicketAct| match refusal(&shop, &ticket, act).await { TicketRefusal::Refused(error) => error.code, other => panic!("{other:?}") };
        assert_eq!(code(to("kid")).await, Code::AgeRestricted);
        assert_eq!(code(to("out")).await, Code::AccessRestricted);
        assert_eq!(code(named("Eve")).await, Code::AccessRestricted, "whom nobody knows has no tag");
        assert_eq!(refusal(&shop, &ticket, to("nobody")).await, TicketRefusal::UnknownCustomer);
        let bobs = changed(&shop, &ticket, to("bob")).await;
        assert_eq!((bobs.serial, bobs.holder.customer.as_ref().map(CustomerId::as_str)), (2, Some("bob")));
        assert_eq!(shop.store.ticket(&shop.scope, &ticket.id).await.unwrap(), Some(bobs));
        let old = TicketAct::Admit { serial: Some(1), session: None };
        assert_eq!(refusal(&shop, &ticket, old).await, TicketRefusal::Replaced);
        changed(&shop, &ticket, TicketAct::Admit { serial: Some(2), session: Some(club) }).await;
        assert!(matches!(refusal(&shop, &ticket, to("ada")).await, TicketRefusal::AlreadyAdmitted(_)));
        let said: Vec<String> = shop.store.timeline(&id).await.unwrap().into_iter().map(|entry| entry.what).collect();
        assert!(said.ends_with(&["ticket.transferred".to_owned(), "ticket.admitted".to_owned()]), "{said:?}");
        shop.assert_clean().await;
    }

    async fn somebody_whom_nobody_knows_may_come_where_everybody_may(shop) {
        let yoga = shop.session("yoga", 10).await;
        let id = sold(&shop, shop.buy_cash(&yoga, 1)).await;
        let ticket = tickets(&shop, &id).await.remove(0);
        let eves = changed(&shop, &ticket, named("Eve \u{1f3ad} <b>")).await;
        assert_eq!((eves.holder.name.as_deref(), eves.holder.email.as_deref()), (Some("Eve \u{1f3ad} <b>"), Some("eve@example.com")));
        assert_eq!(tickets(&shop, &id).await, [eves]);
        let timeline = format!("{:?}", shop.store.timeline(&id).await.unwrap());
        assert!(!timeline.contains("Eve") && !timeline.contains("eve@"), "the timeline holds nothing personal");
    }

    async fn tickets_of_another_tenant_or_mode_are_not_there(shop) {
        let yoga = shop.session("yoga", 10).await;
        let id = sold(&shop, shop.buy_cash(&yoga, 1)).await;
        let ticket = tickets(&shop, &id).await.remove(0);
        let stranger = shop.other_scope();
        assert_eq!(shop.store.tickets(&stranger, &id, None, 10).await.unwrap(), None);
        assert_eq!(shop.store.ticket(&stranger, &ticket.id).await.unwrap(), None);
        let theirs = TicketChange { scope: stranger, ticket: ticket.id.clone(), act: admit(), token: "x".to_owned() };
        assert_eq!(shop.store.change_ticket(&theirs).await.unwrap(), TicketAnswer::Missing);
        for missing in ["tkt_x_0_0", "tkt", "yoga", &format!("{}0", ticket.id)] {
            let missing = TicketId::parse(missing).unwrap();
            assert_eq!(shop.store.ticket(&shop.scope, &missing).await.unwrap(), None);
            assert_eq!(try_change(&*shop.store, &shop, &missing, admit()).await.unwrap(), TicketAnswer::Missing);
        }
        let failed = shop.accept(shop.buy(&yoga, 100)).await;
        shop.begin(&failed).await;
        assert_eq!(shop.store.tickets(&shop.scope, &failed, None, 10).await.unwrap(), Some(Vec::new()));
        let place = place_of(&ticket.id).unwrap().1;
        assert_eq!(try_change(&*shop.store, &shop, &id_of(&failed, place).unwrap(), admit()).await.unwrap(), TicketAnswer::Missing);
    }

    async fn a_scopes_key_is_made_once_whoever_comes_first(shop) {
        let other = shop.another_store().await;
        let seeds: Vec<_> = (0..8).map(|n| TicketKey::new_seed(&Entropy::from_seed(n))).collect();
        let made = join_all(seeds.iter().enumerate().map(|(n, seed)| {
            let store = if n % 2 == 0 { &*shop.store } else { &other };
            store.ticket_keys(&shop.scope, seed)
        })).await;
        let first = made[0].clone().unwrap();
        assert!(first.len() == 1 && seeds.contains(&first[0]));
        assert!(made.iter().all(|keys| keys.as_ref().unwrap() == &first));
        assert_ne!(shop.store.ticket_keys(&shop.other_scope(), &seeds[7]).await.unwrap(), first);
    }

    async fn the_audit_finds_tickets_that_should_not_be(shop) {
        let gala = shop.seated("gala", &["A1", "A2"]).await;
        let yoga = shop.session("yoga", 10).await;
        let id = sold(&shop, both(shop.buy_cash(&yoga, 1), shop.buy_seats(&gala, &["A1"]))).await;
        let ticket = tickets(&shop, &id).await.remove(1);
        changed(&shop, &ticket, admit()).await;
        shop.assert_clean().await;
        let copy = |id: &str| format!(
            "INSERT INTO tickets SELECT '{id}', scope, checkout, line, session, seat, serial, customer, name, email, admitted_at, changes, last_change, updated_at \
             FROM tickets WHERE id = '{}'", ticket.id
        );
        shop.sql(&copy("tkt_copy")).await;
        assert!(found(&shop, "ticket_twice").await);
        shop.sql("UPDATE tickets SET checkout = 'chk_nothing' WHERE id = 'tkt_copy'").await;
        assert!(found(&shop, "ticket_unsold").await);
        shop.sql("DELETE FROM tickets WHERE id = 'tkt_copy'").await;
        give_back(&shop, &id, Vec::new()).await;
        shop.assert_clean().await;
        shop.sql(&format!("UPDATE tickets SET admitted_at = admitted_at + 1000000000 WHERE id = '{}'", ticket.id)).await;
        assert!(found(&shop, "ticket_admitted_void").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_at_the_door_is_let_in_wherever_the_connection_is_cut() {
    let url = boxoffice_testkit::servers::shared::postgres_url().await.unwrap();
    let proxy = CuttingProxy::start(&url).await.unwrap();
    let shop = Shop::open(proxy.url(), &url, None).await;
    let yoga = shop.session("yoga", 1_000).await;
    for cut in [Cut::BeforeRequest, Cut::BeforeAnswer] {
        let mut reached_the_end = false;
        for step in 0..100 {
            let id = sold(&shop, shop.buy_cash(&yoga, 1)).await;
            let ticket = tickets(&shop, &id).await.remove(0);
            proxy.cut_at(step, cut);
            let admitted = changed(&shop, &ticket, admit()).await;
            let was_cut = proxy.was_cut();
            assert_eq!(admitted.changes, 1, "{cut:?} at {step}");
            assert_eq!(tickets(&shop, &id).await, [admitted], "{cut:?} at {step}");
            if !was_cut {
                reached_the_end = true;
                break;
            }
        }
        assert!(reached_the_end, "{cut:?}: more than 100 steps");
    }
    shop.assert_clean().await;
}
