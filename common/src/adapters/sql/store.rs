//! The ports' methods, each handed to the file that owns its subject.

use super::{SqlStore, deliveries::Take, provider_event_batches::EndOfEvent};
use crate::{
    domain::{
        attempt::Decline,
        balance::{Adjustment, CustomerBalance},
        begin::Begin,
        bought_membership::{Credited, Spendable},
        catalogue::Kind,
        checkout::Checkout,
        claim::StockKey,
        customer::Customer,
        delivery::{DeliveryRecord, DeliveryResult, DeliveryStatus, DeliveryTaken},
        dispute::ToldDispute,
        ends::Verdict,
        hosted::Pay,
        id::{
            BoughtMembershipId, CatalogueId, CheckoutId, CustomerId, DeliveryId, EndpointId, JobId, KeyId, PaymentMethodId,
            ProviderAccountId, ProviderEventId, RefundId, SubscriptionId, TicketId, WaitingId,
        },
        job::{ItemState, Job},
        ledger_view::{Balance, LedgerRecord},
        payment_method::PaymentMethod,
        provider_account::{ProviderAccount, ProviderKind},
        provider_event::{EventStatus, ProviderEvent},
        refund::Refund,
        routing::RoutingRules,
        scope::{Mode, Scope},
        secret::Secret,
        settings::Settings,
        settle::Settlement,
        state::Status,
        subscription::Subscription,
        subscription_change::Change,
        ticket::{Place, Ticket},
        time::Timestamp,
        timeline::TimelineEntry,
        waiting::{WaitingEntry, WaitingStatus},
    },
    ports::{queue::Lane, seats::Told, store::*},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

#[async_trait]
impl CheckoutStore for SqlStore {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.db.now().await
    }

    async fn accept(&self, new: NewCheckout) -> Result<Accepted, StoreError> {
        self.accepts.call(Arc::new(new)).await
    }

    async fn accept_and_replace(&self, new: NewCheckout) -> Result<Replacing, StoreError> {
        SqlStore::accept_and_replace(self, new).await
    }

    async fn answered(&self, scope: &Scope, row: &IdempotencyRow) -> Result<Option<Accepted>, StoreError> {
        self.answer_for(scope, row).await
    }

    async fn begin(&self, begin: Begin) -> Result<BeginAnswer, StoreError> {
        self.begins.call(Arc::new(begin)).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        self.settles.call(Arc::new(settlement)).await
    }

    async fn pay(&self, pay: Pay) -> Result<Paid, StoreError> {
        self.pays.call(Arc::new(pay)).await
    }

    async fn look_now(&self, id: &CheckoutId) -> Result<Option<Moved>, StoreError> {
        self.look_now_at(id).await
    }

    async fn take_back(&self, id: &CheckoutId, n: u32) -> Result<Option<Moved>, StoreError> {
        self.take_back_now(id, n).await
    }

    async fn cancel(&self, scope: &Scope, id: &CheckoutId) -> Result<CancelResult, StoreError> {
        self.cancel_one(scope, id).await
    }

    async fn resolve(&self, scope: &Scope, id: &CheckoutId, verdict: Verdict, note: &str) -> Result<ResolveResult, StoreError> {
        self.resolve_one(scope, id, verdict, note).await
    }

    async fn refund(&self, new: &NewRefund) -> Result<RefundResult, StoreError> {
        self.refunds.call(Arc::new(new.clone())).await
    }

    async fn resolve_refund(
        &self,
        scope: &Scope,
        id: &RefundId,
        part: Option<usize>,
        verdict: Verdict,
        note: &str,
    ) -> Result<ResolveResult, StoreError> {
        self.resolve_one_refund(scope, id, part, verdict, note).await
    }

    async fn refund_by_id(&self, scope: &Scope, id: &RefundId) -> Result<Option<Refund>, StoreError> {
        self.read_refund(scope, id).await
    }

    async fn refunds(&self, scope: &Scope, id: &CheckoutId) -> Result<Vec<Refund>, StoreError> {
        self.list_refunds(scope, id).await
    }

    async fn expire(&self, limit: u32) -> Result<Vec<Moved>, StoreError> {
        self.expire_some(limit).await
    }

    async fn rescue(&self, lane: Lane, grace: Duration, head: Option<Timestamp>, limit: u32) -> Result<Vec<Overdue>, StoreError> {
        self.take_overdue(lane, grace, head, limit).await
    }

    async fn checkout(&self, id: &CheckoutId) -> Result<Option<Checkout>, StoreError> {
        self.loads.call(id.clone()).await
    }

    async fn checkouts(&self, scope: &Scope, filter: &CheckoutFilter, page: &PageRequest) -> Result<Page<Checkout>, StoreError> {
        self.list_checkouts(scope, filter, page).await
    }

    async fn timeline_page(&self, id: &CheckoutId, after: Option<i64>) -> Result<Page<TimelineEntry>, StoreError> {
        self.read_timeline(id, after).await
    }

    async fn stock(&self, keys: &[StockKey]) -> Result<Vec<Told>, StoreError> {
        self.told(keys).await
    }
}

#[async_trait]
impl CatalogueStore for SqlStore {
    async fn put(
        &self,
        scope: &Scope,
        kind: Kind,
        id: &CatalogueId,
        doc: &str,
        capacity: Option<u32>,
        seats: Option<&[String]>,
    ) -> Result<Put, StoreError> {
        let key = StockKey { scope: scope.clone(), kind, id: id.clone() };
        self.put_document(&key, doc, capacity, seats).await
    }

    async fn get(&self, scope: &Scope, kind: Kind, id: &CatalogueId) -> Result<Option<CatalogueRow>, StoreError> {
        self.read_document(scope, kind, id).await
    }

    async fn get_many(&self, scope: &Scope, ids: &[(Kind, CatalogueId)]) -> Result<Vec<CatalogueRow>, StoreError> {
        self.read_documents(scope, ids).await
    }

    async fn list(&self, scope: &Scope, kind: Kind, page: &PageRequest) -> Result<Page<CatalogueRow>, StoreError> {
        self.list_documents(scope, kind, page).await
    }

    async fn occurrences(&self, scope: &Scope, of: &Occurrences, page: &PageRequest) -> Result<Page<CatalogueRow>, StoreError> {
        self.list_occurrences(scope, of, page).await
    }

    async fn availability(&self, scope: &Scope, id: &CatalogueId) -> Result<Option<Availability>, StoreError> {
        self.read_availability(scope, id).await
    }

    async fn put_customer(&self, scope: &Scope, id: &CustomerId, customer: &Customer) -> Result<Result<Customer, CustomerId>, StoreError> {
        self.write_customer(scope, id, customer).await
    }

    async fn customer(&self, scope: &Scope, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
        self.read_customer(scope, id).await
    }

    async fn customers_by_name(&self, scope: &Scope, ids: &[CustomerId], external_ids: &[String]) -> Result<Vec<Customer>, StoreError> {
        self.find_customers(scope, ids, external_ids).await
    }

    async fn customers(&self, scope: &Scope, family: Option<&str>, page: &PageRequest) -> Result<Page<Customer>, StoreError> {
        self.list_customers(scope, family, page).await
    }
}

#[async_trait]
impl KeyStore for SqlStore {
    async fn add_key(&self, key: &ApiKey, hash: &str) -> Result<(), StoreError> {
        self.write_key(key, hash).await
    }

    async fn key_by_hash(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        self.read_key(hash).await
    }

    async fn keys(&self, tenant: Option<&str>) -> Result<Vec<ApiKey>, StoreError> {
        self.list_keys(tenant).await
    }

    async fn revoke_key(&self, id: &KeyId) -> Result<bool, StoreError> {
        self.drop_key(id).await
    }
}

#[async_trait]
impl DeliveryStore for SqlStore {
    async fn put_endpoint(&self, scope: &Scope, endpoint: &PutEndpoint, secret: &Secret<String>) -> Result<(Endpoint, bool), StoreError> {
        self.write_endpoint(scope, endpoint, secret).await
    }

    async fn endpoint(&self, scope: &Scope, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        self.read_endpoint(scope, id).await
    }

    async fn endpoints(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Endpoint>, StoreError> {
        self.list_endpoints(scope, page).await
    }

    async fn delete_endpoint(&self, scope: &Scope, id: &EndpointId) -> Result<bool, StoreError> {
        self.drop_endpoint(scope, id).await
    }

    async fn rotate_secret(
        &self,
        scope: &Scope,
        id: Option<&EndpointId>,
        new: &Secret<String>,
        overlap: Duration,
    ) -> Result<bool, StoreError> {
        self.rotate(scope, id, new, overlap).await
    }

    async fn default_secret(&self, scope: &Scope, candidate: &Secret<String>) -> Result<Secret<String>, StoreError> {
        self.default_secret_or(scope, candidate).await
    }

    async fn take_delivery(&self, id: &DeliveryId, lease_token: &str, lease_for: Duration) -> Result<DeliveryTaken, StoreError> {
        self.takes.call(Take { id: id.clone(), lease_token: lease_token.to_owned(), lease_for }).await
    }

    async fn record_delivery(&self, result: DeliveryResult) -> Result<bool, StoreError> {
        self.records.call(result).await
    }

    async fn delivery(&self, scope: &Scope, id: &DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        self.read_delivery(scope, id).await
    }

    async fn deliveries(
        &self,
        scope: &Scope,
        checkout: Option<&CheckoutId>,
        status: Option<DeliveryStatus>,
        page: &PageRequest,
    ) -> Result<Page<DeliveryRecord>, StoreError> {
        self.list_deliveries(scope, checkout, status, page).await
    }

    async fn replay_delivery(&self, scope: &Scope, id: &DeliveryId) -> Result<bool, StoreError> {
        self.replay(scope, id).await
    }
}

#[async_trait]
impl LedgerStore for SqlStore {
    async fn ledger_transactions(
        &self,
        scope: &Scope,
        filter: &LedgerFilter,
        page: &PageRequest,
    ) -> Result<Page<LedgerRecord>, StoreError> {
        self.list_ledger(scope, filter, page).await
    }

    async fn ledger_balances(&self, scope: &Scope, of: BalancesOf<'_>) -> Result<Vec<Balance>, StoreError> {
        self.sum_ledger(scope, of).await
    }
}

#[async_trait]
impl JobStore for SqlStore {
    async fn cancel_session(&self, new: &NewCancellation) -> Result<CancelSession, StoreError> {
        self.call_off(new).await
    }

    async fn job(&self, scope: &Scope, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.read_job(scope, id).await
    }

    async fn jobs(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Job>, StoreError> {
        self.list_jobs(scope, page).await
    }

    async fn pause_job(&self, scope: &Scope, id: &JobId, paused: bool) -> Result<JobChange, StoreError> {
        self.pause(scope, id, paused).await
    }

    async fn retry_job(&self, scope: &Scope, id: &JobId) -> Result<JobChange, StoreError> {
        self.retry_failed(scope, id).await
    }

    async fn take_job(&self, lease_token: &str, lease_for: Duration) -> Result<Option<JobBatch>, StoreError> {
        self.take_running(lease_token, lease_for).await
    }

    async fn save_job(
        &self,
        id: &JobId,
        lease_token: &str,
        items: &[(CheckoutId, ItemState)],
        pause: Duration,
    ) -> Result<Option<Job>, StoreError> {
        self.save_batch(id, lease_token, items, pause).await
    }
}

#[async_trait]
impl SubscriptionStore for SqlStore {
    async fn renew(&self, limit: u32) -> Result<Renewed, StoreError> {
        self.renew_some(limit).await
    }

    async fn change_subscription(&self, scope: &Scope, id: &SubscriptionId, change: &Change) -> Result<SubscriptionChanged, StoreError> {
        self.change_one(scope, id, change).await
    }

    async fn subscription(&self, scope: &Scope, id: &SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        self.read_subscription(scope, id).await
    }

    async fn subscriptions(
        &self,
        scope: &Scope,
        filter: &SubscriptionFilter,
        page: &PageRequest,
    ) -> Result<Page<Subscription>, StoreError> {
        self.list_subscriptions(scope, filter, page).await
    }
}

#[async_trait]
impl SettingsStore for SqlStore {
    async fn settings(&self, scope: &Scope) -> Result<StoredSettings, StoreError> {
        self.settings_looks.call(scope.clone()).await
    }

    async fn put_settings(&self, scope: &Scope, settings: &Settings) -> Result<StoredSettings, StoreError> {
        self.write_settings(scope, settings).await
    }
}

#[async_trait]
impl TicketStore for SqlStore {
    async fn tickets(
        &self,
        scope: &Scope,
        checkout: &CheckoutId,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Option<Vec<Ticket>>, StoreError> {
        self.list_tickets(scope, checkout, after, limit).await
    }

    async fn ticket(&self, scope: &Scope, id: &TicketId) -> Result<Option<Ticket>, StoreError> {
        self.read_ticket(scope, id).await
    }

    async fn change_ticket(&self, change: &TicketChange) -> Result<TicketAnswer, StoreError> {
        self.change_one_ticket(change).await
    }

    async fn ticket_keys(&self, scope: &Scope, candidate: &Secret<String>) -> Result<Vec<Secret<String>>, StoreError> {
        self.ticket_keys_or(scope, candidate).await
    }
}

#[async_trait]
impl PaymentMethodStore for SqlStore {
    async fn put_method(&self, put: &PutMethod) -> Result<MethodPut, StoreError> {
        self.write_method(put).await
    }

    async fn method(&self, scope: &Scope, customer: &CustomerId, id: &PaymentMethodId) -> Result<Option<PaymentMethod>, StoreError> {
        self.read_method(scope, customer, id).await
    }

    async fn method_shared_with(
        &self,
        scope: &Scope,
        customer: &CustomerId,
        owner: &CustomerId,
        id: &PaymentMethodId,
    ) -> Result<Option<PaymentMethod>, StoreError> {
        self.read_shared_method(scope, customer, owner, id).await
    }

    async fn methods_of(&self, scope: &Scope, customer: &CustomerId, page: &PageRequest) -> Result<Page<PaymentMethod>, StoreError> {
        self.list_methods(scope, customer, page).await
    }

    async fn delete_method(&self, scope: &Scope, customer: &CustomerId, id: &PaymentMethodId) -> Result<bool, StoreError> {
        self.drop_method(scope, customer, id).await
    }
}

#[async_trait]
impl BalanceStore for SqlStore {
    async fn adjust_balance(&self, new: &NewAdjustment) -> Result<AdjustResult, StoreError> {
        self.adjust_one_balance(new).await
    }

    async fn balance_adjustments(&self, scope: &Scope, customer: &CustomerId, page: &PageRequest) -> Result<Page<Adjustment>, StoreError> {
        self.list_adjustments(scope, customer, page).await
    }

    async fn balances_of(&self, scope: &Scope, customer: &CustomerId) -> Result<Option<Vec<CustomerBalance>>, StoreError> {
        self.sum_balances(scope, customer).await
    }
}

#[async_trait]
impl MembershipStore for SqlStore {
    async fn put_bought(&self, put: &PutBought) -> Result<BoughtPut, StoreError> {
        self.write_bought(put).await
    }

    async fn bought(&self, scope: &Scope, customer: &CustomerId, id: &BoughtMembershipId) -> Result<Option<Credited>, StoreError> {
        self.read_bought(scope, customer, id).await
    }

    async fn spendable(&self, scope: &Scope, id: &BoughtMembershipId) -> Result<Option<Spendable>, StoreError> {
        self.spendables.call((scope.clone(), id.clone())).await
    }

    async fn bought_of(&self, scope: &Scope, customer: &CustomerId, page: &PageRequest) -> Result<Page<Credited>, StoreError> {
        self.list_bought(scope, customer, page).await
    }

    async fn freeze(&self, scope: &Scope, customer: &CustomerId, id: &BoughtMembershipId, freezing: Freezing) -> Result<Froze, StoreError> {
        self.freeze_one(scope, customer, id, freezing).await
    }
}

#[async_trait]
impl WaitingStore for SqlStore {
    async fn join(&self, new: &NewWaiting) -> Result<JoinResult, StoreError> {
        self.join_list(new).await
    }

    async fn leave(&self, scope: &Scope, id: &WaitingId) -> Result<LeaveResult, StoreError> {
        self.leave_list(scope, id).await
    }

    async fn waiting_entry(&self, scope: &Scope, id: &WaitingId) -> Result<Option<WaitingEntry>, StoreError> {
        self.read_waiting(scope, id).await
    }

    async fn open_offers(&self, scope: &Scope, customer: &CustomerId, sessions: &[CatalogueId]) -> Result<Vec<WaitingEntry>, StoreError> {
        self.read_open_offers(scope, customer, sessions).await
    }

    async fn waiting_list(
        &self,
        scope: &Scope,
        session: &CatalogueId,
        status: Option<WaitingStatus>,
        page: &PageRequest,
    ) -> Result<Page<WaitingEntry>, StoreError> {
        self.list_waiting(scope, session, status, page).await
    }

    async fn lapse(&self, limit: u32) -> Result<(u32, ListMoved), StoreError> {
        self.lapse_some(limit).await
    }
}

#[async_trait]
impl ProviderAccountStore for SqlStore {
    async fn add_account(&self, new: &NewAccount) -> Result<Option<ProviderAccount>, StoreError> {
        self.insert_account(new).await
    }

    async fn change_account(
        &self,
        scope: &Scope,
        id: &ProviderAccountId,
        version: i64,
        change: &AccountChange,
    ) -> Result<AccountChanged, StoreError> {
        self.update_account(scope, id, version, change).await
    }

    async fn accounts(&self, scope: &Scope) -> Result<Vec<StoredAccount>, StoreError> {
        self.list_accounts(scope).await
    }

    async fn account(&self, id: &ProviderAccountId) -> Result<Option<StoredAccount>, StoreError> {
        self.read_account(id).await
    }

    async fn accounts_with(&self, provider: ProviderKind, limit: u32) -> Result<Vec<StoredAccount>, StoreError> {
        self.list_accounts_with(provider, limit).await
    }

    async fn all_accounts(&self, after: Option<&ProviderAccountId>, limit: u32) -> Result<Vec<StoredAccount>, StoreError> {
        self.list_all_accounts(after, limit).await
    }

    async fn routing_rules(&self, scope: &Scope) -> Result<StoredRules, StoreError> {
        self.read_routing_rules(scope).await
    }

    async fn put_routing_rules(&self, scope: &Scope, rules: &RoutingRules) -> Result<StoredRules, StoreError> {
        self.write_routing_rules(scope, rules).await
    }

    async fn tell_health(&self, process: &str, told: &[ToldHealth]) -> Result<(), StoreError> {
        self.write_health(process, told).await
    }

    async fn health(&self, accounts: &[&str], fresh: Duration) -> Result<Vec<Health>, StoreError> {
        self.read_health(accounts, fresh).await
    }

    async fn forget_health(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        self.delete_health(keep, limit).await
    }
}

#[async_trait]
impl ProviderEventStore for SqlStore {
    async fn keep_event(&self, event: NewProviderEvent) -> Result<bool, StoreError> {
        self.keeps.call(Arc::new(event)).await
    }

    async fn keep_hint(&self, hint: NewProviderEvent, about: &str) -> Result<HintKept, StoreError> {
        self.insert_hint(hint, about).await
    }

    async fn provider_event(&self, id: &ProviderEventId) -> Result<Option<ProviderEvent>, StoreError> {
        self.event_looks.call(id.clone()).await
    }

    async fn close_event(&self, id: &ProviderEventId, status: EventStatus, note: &str) -> Result<bool, StoreError> {
        self.ends.call(EndOfEvent { id: id.clone(), status, note: note.to_owned() }).await
    }

    async fn put_event_off(&self, id: &ProviderEventId, by: Duration, note: &str) -> Result<bool, StoreError> {
        self.delay_event(id, by, note).await
    }

    async fn charged_as(&self, provider: &str, provider_reference: &str) -> Result<Vec<Checkout>, StoreError> {
        self.checkouts_charged_as(provider, provider_reference).await
    }

    async fn dispute_told(&self, checkout: &CheckoutId, n: u32, told: &ToldDispute) -> Result<Option<Moved>, StoreError> {
        self.take_dispute(checkout, n, told).await
    }

    async fn refund_came_back(&self, checkout: &CheckoutId, n: u32, decline: &Decline) -> Result<Option<Moved>, StoreError> {
        self.take_refund_back(checkout, n, decline).await
    }

    async fn events_to_review(&self, limit: u32) -> Result<Vec<ProviderEvent>, StoreError> {
        self.read_events_to_review(limit).await
    }

    async fn retry_event(&self, id: &ProviderEventId) -> Result<bool, StoreError> {
        self.reopen_event(id).await
    }

    async fn dismiss_event(&self, id: &ProviderEventId, note: &str) -> Result<bool, StoreError> {
        self.ignore_event(id, note).await
    }

    async fn forget_events(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        self.delete_events(keep, limit).await
    }
}

#[async_trait]
impl AttemptStore for SqlStore {
    async fn done_at(&self, of: &DoneAt, page: &PageRequest) -> Result<Page<DoneAttempt>, StoreError> {
        self.list_done(of, page).await
    }
}

#[async_trait]
impl UnansweredStore for SqlStore {
    async fn join_unanswered(&self, request: &Unkeyed, fresh: &str, within: Duration) -> Result<String, StoreError> {
        self.join(request, fresh, within).await
    }

    async fn was_answered(&self, request: &Unkeyed, key: &str) -> Result<(), StoreError> {
        self.end_unanswered(request, key).await
    }

    async fn forget_unanswered(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        self.delete_unanswered(keep, limit).await
    }
}

#[async_trait]
impl NumberStore for SqlStore {
    async fn numbers_of(&self, scope: &Scope, kind: Numbered, ids: &[String]) -> Result<Vec<u32>, StoreError> {
        self.number(scope, kind, ids).await
    }

    async fn numbered(&self, scope: &Scope, kind: Numbered, number: u32) -> Result<Option<String>, StoreError> {
        self.by_number(scope, kind, number).await
    }
}

#[async_trait]
impl UpkeepStore for SqlStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        self.apply_migrations().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.check_schema().await
    }

    async fn audit(&self, stuck_after: Duration) -> Result<Vec<Breach>, StoreError> {
        self.check_invariants(stuck_after).await
    }

    async fn repair(&self) -> Result<Vec<String>, StoreError> {
        self.mend().await
    }

    async fn forget_answers(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        self.delete_answers(keep, limit).await
    }

    async fn counts(&self, mode: Option<Mode>) -> Result<Vec<(Status, u64)>, StoreError> {
        self.count_checkouts(mode).await
    }
}
