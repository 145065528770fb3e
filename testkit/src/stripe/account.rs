//! The account: every object, what is due later, and the events that tell of changes. One lock guards it; nothing in it waits.

use super::{
    charges::Charge,
    clock::StripeClock,
    customers::Customer,
    disputes::Dispute,
    events::{Events, Snapshot},
    form::Params,
    ids::Ids,
    intents::Intent,
    methods::Method,
    refunds::Refund,
    sessions::Session,
    table::Table,
    transactions::Transaction,
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// What a call was, as events and objects tell it.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    /// `req_…`.
    pub(super) request: String,
    /// The idempotency key.
    pub(super) key: Option<String>,
    pub(super) params: Arc<Params>,
}

/// How the account behaves where the real one has its own pace.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// How long a new payment stays out of the search, in ms.
    pub(super) search_lag_ms: u64,
    /// How long a pending refund takes, and one that will fail, in ms.
    pub(super) refund_ms: u64,
    /// How long a bank account's bank takes, in ms.
    pub(super) bank_ms: u64,
    /// How long an asynchronous capture's fee takes to be known, in ms.
    pub(super) fee_ms: u64,
}

/// Something that happens by itself.
#[derive(Debug, Clone)]
pub(super) enum Due {
    /// The charge's balance transaction becomes known.
    Fee(String),
    RefundSucceeds(String),
    RefundFails(String),
    SessionExpires(String),
    /// A bank answers about a payment: the money comes, or not.
    BankAnswers(String, bool),
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) clock: Arc<StripeClock>,
    pub(super) ids: Ids,
    pub(super) pace: Pace,
    /// Where the stand-in's own pages are, without a slash at the end.
    pub(super) pages: String,
    pub(super) intents: Table<Intent>,
    pub(super) charges: Table<Charge>,
    pub(super) refunds: Table<Refund>,
    pub(super) methods: Table<Method>,
    pub(super) customers: Table<Customer>,
    pub(super) sessions: Table<Session>,
    pub(super) disputes: Table<Dispute>,
    pub(super) transactions: Table<Transaction>,
    pub(super) events: Events,
    due: BTreeMap<(u64, u64), Due>,
    scheduled: u64,
}

impl Account {
    pub(super) fn new(clock: Arc<StripeClock>, pages: String, kept: usize) -> Self {
        let mut ids = Ids::new();
        Self {
            id: format!("acct_{}", ids.secret(16)),
            clock,
            ids,
            pace: Pace { search_lag_ms: 0, refund_ms: 2000, bank_ms: 2000, fee_ms: 0 },
            pages,
            intents: Table::new(kept),
            charges: Table::new(kept),
            refunds: Table::new(kept),
            methods: Table::new(kept),
            customers: Table::new(kept),
            sessions: Table::new(kept),
            disputes: Table::new(kept),
            transactions: Table::new(kept),
            events: Events::new(kept),
            due: BTreeMap::new(),
            scheduled: 0,
        }
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Lets `what` happen in `after_ms`.
    pub(super) fn schedule(&mut self, after_ms: u64, what: Due) {
        self.scheduled += 1;
        self.due.insert((self.clock.now_ms().saturating_add(after_ms), self.scheduled), what);
    }

    /// Does everything that is due by now.
    pub(super) fn run_due(&mut self) {
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > self.clock.now_ms() {
                return;
            }
            match entry.remove() {
                Due::Fee(charge) => self.learn_fee(&charge),
                Due::RefundSucceeds(refund) => self.refund_succeeds(&refund),
                Due::RefundFails(refund) => self.refund_fails(&refund, "expired_or_canceled_card"),
                Due::BankAnswers(intent, arrives) => self.bank_answers(&intent, arrives),
                Due::SessionExpires(session) => self.session_expires(&session),
            }
        }
    }

    /// Tells the world that an object changed.
    pub(super) fn emit(&mut self, call: &Call, kind: &str, object: &Value) {
        self.tell(call, kind, Snapshot::shown(object));
    }

    /// The same of a snapshot that is written out later.
    pub(super) fn tell(&mut self, call: &Call, kind: &str, object: Snapshot) {
        let id = self.ids.next("evt");
        let now = self.now();
        self.events.add(id, kind, object, now, call);
    }

    /// Any object by its id, as retrieving it shows it.
    pub(super) fn show(&self, id: &str) -> Option<Value> {
        match id.split_once('_')?.0 {
            "pi" => self.intents.get(id).map(Intent::show),
            "ch" => self.charges.get(id).map(Charge::show),
            "re" => self.refunds.get(id).map(Refund::show),
            "pm" => self.methods.get(id).map(Method::show),
            "cus" => self.customers.get(id).map(Customer::show),
            "cs" => self.sessions.get(id).map(Session::show),
            "dp" => self.disputes.get(id).map(|dispute| self.show_dispute(dispute)),
            "txn" => self.transactions.get(id).map(Transaction::show),
            "evt" => self.events.get(id),
            _ => None,
        }
    }
}
