//! Accounts with payment providers: a tenant's and mode's own, changed by one at a time, never more than so many; and how they do.

use super::fixture::Shop;
use boxoffice_common::{
    domain::{
        id::ProviderAccountId,
        provider_account::{CircuitState, Hints, MAX_ACCOUNTS, ProviderKind},
        routing::{Method, RoutingRule, RoutingRules, Target},
        scope::{Mode, Scope},
        secret::Secret,
        time::Timestamp,
    },
    ports::store::*,
};
use futures::future::join_all;
use std::time::Duration;

fn hints(end: &str) -> Hints {
    Hints { key: format!("sk_test_…{end}"), publishable_key: None, account: None, webhook_secrets: 1 }
}

fn new(shop: &Shop, scope: &Scope, n: i64) -> NewAccount {
    NewAccount {
        id: ProviderAccountId::generate(&shop.entropy, Timestamp::from_millis(1_800_000_000_000 + n)),
        scope: scope.clone(),
        provider: if n % 2 == 0 { ProviderKind::Stripe } else { ProviderKind::Mollie },
        name: format!("account {n}"),
        enabled: true,
        hints: hints("4242"),
        sealed: Secret::new(format!("v1.00000000.sealed{n}")),
    }
}

fn told(account: &str, circuit: CircuitState, error: Option<(&str, u64)>) -> ToldHealth {
    let last_error = error.map(|(words, ago)| (words.to_owned(), Duration::from_secs(ago)));
    ToldHealth { account: account.to_owned(), circuit, last_error }
}

over_both! {
    async fn an_account_is_kept_as_it_was_given_and_is_its_scopes_alone(shop) {
        let live = Scope::new("studio", Mode::Live).unwrap();
        let (first, second, other) = (new(&shop, &shop.scope, 0), new(&shop, &shop.scope, 1), new(&shop, &live, 2));
        for account in [&second, &first, &other] {
            let kept = shop.store.add_account(account).await.unwrap().unwrap();
            assert_eq!((&kept.id, &kept.scope, kept.enabled, kept.version), (&account.id, &account.scope, true, 1));
        }
        let twin = shop.store.add_account(&first).await.unwrap().unwrap();
        assert_eq!(twin.version, 1, "the same once more is the same");
        let listed = shop.store.accounts(&shop.scope).await.unwrap();
        assert_eq!(listed.iter().map(|stored| &stored.account.id).collect::<Vec<_>>(), [&first.id, &second.id]);
        let stored = shop.store.account(&first.id).await.unwrap().unwrap();
        assert_eq!((&stored, &stored.sealed, &stored.account.name), (&listed[0], &first.sealed, &first.name));
        assert_eq!((&stored.account.hints, stored.account.provider), (&first.hints, ProviderKind::Stripe));
        assert!(!format!("{stored:?}").contains("sealed0"), "not even sealed it shows itself");
        assert_eq!(shop.store.accounts(&shop.other_scope()).await.unwrap().len(), 1);
        let nobody = ProviderAccountId::parse("pac_nobody").unwrap();
        assert_eq!(shop.store.account(&nobody).await.unwrap(), None);
        let all = shop.store.all_accounts(None, 2).await.unwrap();
        let rest = shop.store.all_accounts(Some(&all[1].account.id), 2).await.unwrap();
        assert_eq!([all, rest].concat().into_iter().map(|stored| stored.account.id).collect::<Vec<_>>(), [first.id, second.id, other.id]);
    }

    async fn a_change_touches_what_it_names_and_is_made_from_what_was_read(shop) {
        let account = new(&shop, &shop.scope, 0);
        shop.store.add_account(&account).await.unwrap().unwrap();
        let change = async |version, change: &AccountChange| shop.store.change_account(&shop.scope, &account.id, version, change).await.unwrap();
        let disabled = AccountChange { enabled: Some(false), ..AccountChange::default() };
        let AccountChanged::Done(after) = change(1, &disabled).await else { panic!("it was at version 1") };
        assert_eq!((after.account.enabled, after.account.version, &after.sealed, &after.account.name), (false, 2, &account.sealed, &account.name));
        assert_eq!(change(1, &disabled).await, AccountChanged::Done(after), "an earlier run's answer may have been lost");
        let keys = AccountChange { credentials: Some((Secret::new("v1.0.new".to_owned()), hints("9999"))), ..AccountChange::default() };
        assert_eq!(change(1, &keys).await, AccountChanged::Moved);
        let AccountChanged::Done(after) = change(2, &keys).await else { panic!("it was at version 2") };
        assert_eq!((after.account.hints.key.as_str(), after.account.enabled, after.sealed.reveal().as_str()), ("sk_test_…9999", false, "v1.0.new"));
        let named = AccountChange { name: Some("Zürich".to_owned()), enabled: Some(true), ..AccountChange::default() };
        let AccountChanged::Done(after) = change(3, &named).await else { panic!("it was at version 3") };
        assert_eq!((after.account.name.as_str(), after.account.enabled, after.account.version), ("Zürich", true, 4));
        let stolen = shop.store.change_account(&shop.other_scope(), &account.id, 4, &disabled).await.unwrap();
        assert_eq!(stolen, AccountChanged::Missing);
        assert_eq!(shop.store.account(&account.id).await.unwrap().unwrap(), *after);
    }

    async fn of_those_who_change_an_account_at_once_one_wins(shop) {
        let account = new(&shop, &shop.scope, 0);
        shop.store.add_account(&account).await.unwrap().unwrap();
        let change = |n: u32| AccountChange { name: Some(format!("name {n}")), ..AccountChange::default() };
        let changes: Vec<AccountChange> = (0..8).map(change).collect();
        let answers = join_all(changes.iter().map(|change| shop.store.change_account(&shop.scope, &account.id, 1, change))).await;
        let won = answers.into_iter().filter(|answer| matches!(answer, Ok(AccountChanged::Done(_)))).count();
        assert_eq!((won, shop.store.account(&account.id).await.unwrap().unwrap().account.version), (1, 2));
    }

    async fn a_tenant_has_no_more_accounts_than_one_may_whoever_races(shop) {
        let accounts: Vec<NewAccount> = (0..i64::from(MAX_ACCOUNTS) + 5).map(|n| new(&shop, &shop.scope, n)).collect();
        let kept = join_all(accounts.iter().map(|account| shop.store.add_account(account))).await;
        assert_eq!(kept.into_iter().filter(|kept| kept.as_ref().unwrap().is_some()).count(), MAX_ACCOUNTS as usize);
        assert_eq!(shop.store.accounts(&shop.scope).await.unwrap().len(), MAX_ACCOUNTS as usize);
        assert!(shop.store.add_account(&new(&shop, &shop.other_scope(), 100)).await.unwrap().is_some(), "others have their own");
        assert_eq!(shop.store.routing_rules(&shop.scope).await.unwrap(), StoredRules::default(), "nobody has put any rules");
    }

    async fn everybodys_accounts_with_a_provider_are_found_the_enabled_first(shop) {
        let (mut one, two, three) = (new(&shop, &shop.scope, 0), new(&shop, &shop.other_scope(), 2), new(&shop, &shop.scope, 4));
        one.enabled = false;
        for account in [&one, &two, &three, &new(&shop, &shop.scope, 1)] {
            shop.store.add_account(account).await.unwrap().unwrap();
        }
        let found = async |limit| {
            let stored = shop.store.accounts_with(ProviderKind::Stripe, limit).await.unwrap();
            stored.into_iter().map(|stored| stored.account.id).collect::<Vec<_>>()
        };
        assert_eq!((found(10).await, found(1).await), (vec![two.id.clone(), three.id, one.id], vec![two.id]));
    }

    async fn rules_are_replaced_whole_and_belong_to_one_tenant_and_mode(shop) {
        let target = Target { account: "sandbox".to_owned(), weight: 7 };
        let rule = RoutingRule { currencies: Vec::new(), methods: vec![Method::Card], min_amount: None, max_amount: None, to: vec![target] };
        let rules = RoutingRules { rules: vec![rule] };
        assert_eq!(shop.store.put_routing_rules(&shop.scope, &rules).await.unwrap(), StoredRules { rules: rules.clone(), version: 1 });
        assert_eq!(shop.store.routing_rules(&shop.scope).await.unwrap(), StoredRules { rules, version: 1 });
        let none = RoutingRules::default();
        assert_eq!(shop.store.put_routing_rules(&shop.scope, &none).await.unwrap().version, 2);
        assert_eq!(shop.store.routing_rules(&shop.scope).await.unwrap(), StoredRules { rules: none, version: 2 });
        assert_eq!(shop.store.routing_rules(&shop.other_scope()).await.unwrap(), StoredRules::default());
    }

    async fn the_worst_that_somebody_has_told_lately_counts_and_the_newest_error(shop) {
        let (minute, ids) = (Duration::from_secs(60), ["pac_1", "sandbox", "pac_2"]);
        let health = async || shop.store.health(&ids, minute).await.unwrap();
        assert!(health().await.iter().all(|health| *health == Health::default()));
        let tell = async |process: &str, told: &[ToldHealth]| shop.store.tell_health(process, told).await.unwrap();
        tell("one", &[told("pac_1", CircuitState::Open, Some(("reset", 30))), told("pac_2", CircuitState::HalfOpen, None)]).await;
        tell("two", &[told("pac_1", CircuitState::Closed, Some(("timed out", 10)))]).await;
        let now = health().await;
        assert_eq!(now.iter().map(|health| health.circuit).collect::<Vec<_>>(), [CircuitState::Open, CircuitState::Closed, CircuitState::HalfOpen]);
        let (words, at) = now[0].last_error.clone().unwrap();
        let ago = shop.store.now().await.unwrap().since(at);
        assert!(words == "timed out" && (10..30).contains(&ago.as_secs()), "{words} {ago:?}");
        // The same process in the place of what it has told before.
        tell("one", &[told("pac_1", CircuitState::Closed, None)]).await;
        assert_eq!(health().await[0].circuit, CircuitState::Closed);
        // Who told it may have died since: its circuit does not count for ever, and what went wrong is still known.
        let late = shop.store.health(&["pac_2", "pac_1"], Duration::ZERO).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let later = shop.store.health(&["pac_2", "pac_1"], Duration::ZERO).await.unwrap();
        assert_eq!((later[0].circuit, later[1].last_error.is_some(), late.len()), (CircuitState::Closed, true, 2));
        assert_eq!(shop.store.forget_health(minute, 10).await.unwrap(), 0);
        assert_eq!((shop.store.forget_health(Duration::ZERO, 2).await.unwrap(), shop.store.forget_health(Duration::ZERO, 10).await.unwrap()), (2, 1));
        assert_eq!(health().await[0], Health::default());
    }
}
