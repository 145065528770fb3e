//! The ledger as ClassManager's clients read it: each of our transactions is a debit, what is owed, and a credit, what was paid.

use super::{
    basket::surname,
    view::{BalanceView, DetailView, DetailWithEntities, EntityView, Side, Statement, Stats, TransactionView},
};
use boxoffice_common::domain::{
    checkout::Checkout,
    customer::Customer,
    id::{CheckoutId, CustomerId, LedgerId},
    ledger::{LedgerKind, REVENUE, UNAPPLIED},
    ledger_view::{Balance, LedgerLine, LedgerRecord},
    leg::{Leg, Tender},
    line::{Item, Line},
    money::{Amount, MoneyError},
    time_zone::TimeZone,
};
use std::collections::{BTreeMap, HashMap};

/// The longest description of a transaction, characters.
const MAX_DESCRIPTION: usize = 255;

/// What has to be known to tell of a page of records.
pub(super) struct Books<'a> {
    /// The tenant.
    pub(super) company: &'a str,
    pub(super) time_zone: TimeZone,
    pub(super) checkouts: HashMap<CheckoutId, Checkout>,
    pub(super) people: HashMap<CustomerId, Customer>,
}

/// A detail before it has its ids.
struct Detail {
    kind: &'static str,
    amount: Amount,
    description: String,
    entities: Vec<String>,
}

/// One side of a record.
struct Draft {
    side: Side,
    description: String,
    details: Vec<Detail>,
    stats: Stats,
}

impl Draft {
    /// A side of one amount.
    fn plain(side: Side, kind: &'static str, amount: Amount, description: &str, entities: Vec<String>) -> Self {
        let description = description.to_owned();
        let details = vec![Detail { kind, amount, description: description.clone(), entities }];
        Self { side, description, details, stats: Stats { total: amount, subtotal: amount, ..Stats::default() } }
    }
}

impl Books<'_> {
    /// What a record is to a family: what it owes for it, then what it has paid; either may be missing.
    pub(super) fn statements(&self, record: &LedgerRecord) -> Result<Vec<Statement>, MoneyError> {
        let checkout = record.checkout.as_ref().and_then(|id| self.checkouts.get(id));
        let (owed, money) = match (record.kind, checkout) {
            (LedgerKind::Sale, Some(checkout)) => (Some(self.sold(checkout)), paid(checkout)),
            _ => (owed(record)?, money(record)?),
        };
        let ids = (owed.is_some().then(|| id_of(&record.id, "trn")), money.is_some().then(|| id_of(&record.id, "trn_p")));
        let sides = [(owed, ids.clone()), (money, (ids.1, ids.0))];
        let told = sides.into_iter().filter_map(|(draft, (own, other))| Some(self.statement(record, draft?, own?, other)));
        Ok(told.collect())
    }

    fn statement(&self, record: &LedgerRecord, draft: Draft, id: String, related: Option<String>) -> Statement {
        let customer = record.customer.as_ref().and_then(|id| self.people.get(id));
        let family = customer.and_then(|customer| customer.family.clone());
        let details = draft.details.into_iter().zip(1..).map(|(detail, n)| self.detail(detail, &id, n)).collect();
        let transaction = TransactionView {
            company_id: self.company.to_owned(),
            // Who belongs to no family is one of his own.
            family_id: family.or_else(|| record.customer.as_ref().map(CustomerId::to_string)).unwrap_or_default(),
            family_name: customer.map(surname).unwrap_or_default(),
            related_transaction_id: related,
            kind: draft.side,
            date: self.time_zone.date_of(record.created_at).to_string(),
            description: draft.description.chars().take(MAX_DESCRIPTION).collect(),
            order_id: record.checkout.as_ref().map(CheckoutId::to_string),
            deleted_at: None,
            id: id.clone(),
        };
        Statement { aggregate_id: id, transaction, details, stats: draft.stats }
    }

    fn detail(&self, detail: Detail, transaction: &str, n: usize) -> DetailWithEntities {
        let (head, own) = transaction.rsplit_once('_').unwrap_or(("", transaction));
        let side = head.strip_prefix("trn").unwrap_or(head);
        let id = format!("trnd{side}_{n}_{own}");
        let entity = |(entity_id, m): (String, usize)| EntityView {
            id: format!("trne{side}_{n}_{m}_{own}"),
            company_id: self.company.to_owned(),
            transaction_detail_id: id.clone(),
            entity_id,
        };
        let related_entities = detail.entities.into_iter().zip(1..).map(entity).collect();
        let details = DetailView {
            id: id.clone(),
            company_id: self.company.to_owned(),
            transaction_id: transaction.to_owned(),
            kind: detail.kind,
            amount: detail.amount,
            description: detail.description,
            deleted_at: None,
        };
        DetailWithEntities { details, related_entities }
    }

    /// What a sale was of.
    fn sold(&self, checkout: &Checkout) -> Draft {
        let (order, totals) = (&checkout.order, checkout.order.totals);
        let mut details: Vec<Detail> = order.lines.iter().map(|line| self.line(line)).collect();
        if !totals.discount.is_zero() {
            let code: Vec<String> = order.promo_code.iter().map(ToString::to_string).collect();
            details.push(Detail { kind: "discount", amount: totals.discount, description: "Discount".to_owned(), entities: code });
        }
        if !totals.tax.is_zero() {
            details.push(Detail { kind: "tax", amount: totals.tax, description: "Tax".to_owned(), entities: Vec::new() });
        }
        let names: Vec<&str> = order.lines.iter().map(|line| line.name.as_str()).collect();
        let stats = Stats { total: totals.total, subtotal: totals.subtotal, discount_total: totals.discount, tax_total: totals.tax };
        Draft { side: Side::Debit, description: names.join(", "), details, stats }
    }

    fn line(&self, line: &Line) -> Detail {
        let mut entities: Vec<String> = Vec::new();
        if let Item::Session { class: Some(class), .. } = &line.item {
            entities.push(class.to_string());
        }
        entities.extend(line.item.entity().map(ToString::to_string));
        let students = line.item.participants().iter().filter_map(|participant| participant.customer.as_ref());
        entities.extend(students.map(|id| self.name_of(id)));
        if let Item::Session { pricing_plan: Some(plan), .. } = &line.item {
            entities.push(plan.to_string());
        }
        Detail { kind: kind_of(&line.item), amount: line.amount, description: line.name.clone(), entities }
    }

    /// What the client calls a customer.
    fn name_of(&self, id: &CustomerId) -> String {
        self.people.get(id).and_then(|customer| customer.external_id.clone()).unwrap_or_else(|| id.to_string())
    }
}

/// What a line is to ClassManager. A place in an occurrence of a class without a pricing plan is a trial of it.
pub(super) fn kind_of(item: &Item) -> &'static str {
    match item {
        Item::Session { pricing_plan: None, class: Some(_), .. } => "trial",
        Item::Session { .. } | Item::Plan { .. } | Item::Subscription { .. } => "tuition",
        Item::Product { .. } => "product",
        Item::Membership { .. } => "registration-fee",
        Item::Custom(_) => "additional-fee",
    }
}

/// How a sale was paid; nothing where nothing was due.
fn paid(checkout: &Checkout) -> Option<Draft> {
    let legs = checkout.order.legs.iter().enumerate().filter(|(_, leg)| !leg.amount.is_zero());
    let details: Vec<Detail> = legs.map(|(at, leg)| payment(checkout, at, leg)).collect();
    let total = checkout.order.totals.total;
    let stats = Stats { total, subtotal: total, ..Stats::default() };
    (!details.is_empty()).then(|| Draft { side: Side::Credit, description: "Payment".to_owned(), details, stats })
}

fn payment(checkout: &Checkout, at: usize, leg: &Leg) -> Detail {
    let kind = match leg.tender {
        Tender::Card { .. }
        | Tender::ProviderPage { .. }
        | Tender::SavedMethod { .. }
        | Tender::PaymentIntent(_)
        | Tender::Push(_)
        | Tender::Hosted(_) => "payment-auto",
        Tender::Balance {} => "payment-auto-account-balance",
        Tender::Membership { .. } | Tender::Custom { .. } | Tender::Free {} => "payment-manual",
    };
    let mut entities: Vec<String> = Vec::new();
    match &leg.tender {
        Tender::PaymentIntent(intent) => entities.push(intent.id.to_string()),
        Tender::SavedMethod { id, .. } => entities.push(id.to_string()),
        Tender::Membership { bought_membership, .. } => entities.push(bought_membership.to_string()),
        Tender::Card { .. }
        | Tender::ProviderPage { .. }
        | Tender::Push(_)
        | Tender::Hosted(_)
        | Tender::Balance {}
        | Tender::Custom { .. }
        | Tender::Free {} => {}
    }
    entities.extend(checkout.charge_of(at).and_then(|charge| charge.provider_reference.clone()));
    let description = format!("Paid by {}", leg.tender.type_name().replace('_', " "));
    Detail { kind, amount: leg.amount, description, entities }
}

/// Where an account's amounts stand in what a family owes and has paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// What was sold, and what was taken off or put on.
    Sold,
    /// What came in, and went back.
    Money,
    /// What stands between the two: what is left of a balance, and what is owed back.
    Held,
}

fn part_of(account: &str) -> Part {
    match account {
        REVENUE | "memberships" | "discounts" | "tax" => Part::Sold,
        UNAPPLIED | "tender:balance" | "refunds_pending" => Part::Held,
        _ => Part::Money,
    }
}

fn sum(lines: &[LedgerLine], part: Part) -> Result<Amount, MoneyError> {
    let of_part = lines.iter().filter(|line| part_of(&line.account) == part);
    of_part.map(|line| line.amount).try_fold(Amount::ZERO, Amount::plus)
}

fn entities(lines: &[LedgerLine], part: Part) -> Vec<String> {
    let of_part = lines.iter().filter(|line| part_of(&line.account) == part);
    of_part.filter_map(|line| line.entity.as_ref().map(|entity| entity.id.clone())).collect()
}

/// What of a sale need not be paid any more, or has to be after all.
fn owed(record: &LedgerRecord) -> Result<Option<Draft>, MoneyError> {
    let amount = sum(&record.entries, Part::Sold)?;
    let about = entities(&record.entries, Part::Sold);
    Ok(if amount.is_zero() {
        None
    } else if amount > Amount::ZERO {
        Some(Draft::plain(Side::Credit, "credit-note", amount, "Given back", about))
    } else {
        Some(Draft::plain(Side::Debit, "manual-debit", amount.negated(), "Not given back after all", about))
    })
}

/// Money that came in, or went back.
fn money(record: &LedgerRecord) -> Result<Option<Draft>, MoneyError> {
    let amount = sum(&record.entries, Part::Money)?;
    let about = entities(&record.entries, Part::Money);
    Ok(if amount.is_zero() {
        None
    } else if amount > Amount::ZERO {
        let kind = if record.kind == LedgerKind::Adjustment { "payment-manual" } else { "payment-auto" };
        Some(Draft::plain(Side::Credit, kind, amount, "Payment", about))
    } else {
        let (kind, words) = match record.kind {
            LedgerKind::Adjustment => ("manual-debit", "Refund"),
            // Nothing goes out: it stands with the sale from now on.
            LedgerKind::LatePayment => ("manual-debit", "Became part of a sale"),
            LedgerKind::Sale | LedgerKind::Refund | LedgerKind::RefundReversal => ("refund", "Refund"),
            LedgerKind::Fee => ("manual-debit", "Fee of the payment provider"),
            LedgerKind::Dispute | LedgerKind::DisputeWon | LedgerKind::DisputeLost => ("manual-debit", "Disputed payment"),
        };
        Some(Draft::plain(Side::Debit, kind, amount.negated(), words, about))
    })
}

/// `trn_…` or `trn_p_…` of our own id, which says when it was and lasts.
fn id_of(id: &LedgerId, prefix: &str) -> String {
    let own = id.as_str().strip_prefix(LedgerId::PREFIX).and_then(|rest| rest.strip_prefix('_')).unwrap_or(id.as_str());
    format!("{prefix}_{own}")
}

/// What the sums of the accounts come to, one for each currency.
pub(super) fn balances(sums: &[Balance], company: &str, family: Option<(&str, &str)>) -> Result<Vec<BalanceView>, MoneyError> {
    let mut by_currency: BTreeMap<&str, (Amount, Amount)> = BTreeMap::new();
    for Balance { account, currency, amount } in sums {
        let (charged, paid) = by_currency.entry(currency.as_str()).or_default();
        match part_of(account) {
            Part::Sold => *charged = charged.minus(*amount)?,
            Part::Money => *paid = paid.plus(*amount)?,
            Part::Held => {}
        }
    }
    let view = |(currency, (charged, paid)): (&str, (Amount, Amount))| {
        Ok(BalanceView {
            company_id: company.to_owned(),
            family_id: family.map(|(id, _)| id.to_owned()),
            family_name: family.map(|(_, name)| name.to_owned()),
            currency: currency.to_owned(),
            charged,
            paid,
            balance: charged.minus(paid)?,
        })
    };
    by_currency.into_iter().map(view).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_common::domain::{ledger::Entry, money::Currency, time::Timestamp};

    fn record(kind: LedgerKind, entries: &[(&str, i64)]) -> LedgerRecord {
        let line = |(account, amount): &(&str, i64)| {
            let entry =
                Entry { account: (*account).to_owned(), amount: Amount::from_minor(*amount), detail: "refund".to_owned(), entity: None };
            LedgerLine::new(entry, kind)
        };
        LedgerRecord {
            id: LedgerId::parse("ltx_1").unwrap(),
            object: "ledger_transaction",
            kind,
            checkout: None,
            customer: CustomerId::parse("cus_1").ok(),
            reference: None,
            currency: Currency::parse("usd").unwrap(),
            created_at: Timestamp::parse("2030-01-01T23:30:00Z").unwrap(),
            entries: entries.iter().map(line).collect(),
        }
    }

    fn told(kind: LedgerKind, entries: &[(&str, i64)]) -> Vec<(Side, &'static str, i64)> {
        let books = Books {
            company: "demo",
            time_zone: TimeZone::parse("Europe/Berlin").unwrap(),
            checkouts: HashMap::new(),
            people: HashMap::new(),
        };
        let statements = books.statements(&record(kind, entries)).unwrap();
        for statement in &statements {
            assert_eq!(statement.transaction.date, "2030-01-02");
            assert_eq!(statement.transaction.related_transaction_id.is_some(), statements.len() == 2);
            assert_eq!(statement.stats.total, statement.details[0].details.amount);
        }
        statements.iter().map(|told| (told.transaction.kind, told.details[0].details.kind, told.stats.total.minor())).collect()
    }

    #[test]
    fn every_kind_of_record_is_what_it_is_to_a_family() {
        use LedgerKind::*;
        use Side::*;
        let refund = [("provider:sandbox", -500), ("revenue", 500)];
        assert_eq!(told(Refund, &refund), [(Credit, "credit-note", 500), (Debit, "refund", 500)]);
        assert_eq!(told(Refund, &[("tender:balance", -500), ("revenue", 500)]), [(Credit, "credit-note", 500)]);
        assert_eq!(
            told(RefundReversal, &[("provider:sandbox", 500), ("revenue", -500)]),
            [(Debit, "manual-debit", 500), (Credit, "payment-auto", 500)]
        );
        assert_eq!(told(LatePayment, &[("provider:sandbox", 700), ("unapplied", -700)]), [(Credit, "payment-auto", 700)]);
        assert_eq!(told(LatePayment, &[("provider:sandbox", -700), ("unapplied", 700)]), [(Debit, "manual-debit", 700)]);
        assert_eq!(told(Adjustment, &[("gifts", 300), ("tender:balance", -300)]), [(Credit, "payment-manual", 300)]);
        assert_eq!(told(Adjustment, &[("payouts", -300), ("tender:balance", 300)]), [(Debit, "manual-debit", 300)]);
    }

    #[test]
    fn a_balance_is_what_was_charged_less_what_was_paid() {
        let sums: Vec<Balance> = [
            ("deposits", "usd", 500),
            ("tender:balance", "usd", -200),
            ("revenue", "usd", -1300),
            ("discounts", "usd", 100),
            ("tax", "usd", -100),
            ("provider:sandbox", "usd", 1000),
            ("provider:sandbox", "eur", 700),
            ("unapplied", "eur", -700),
        ]
        .iter()
        .map(|(account, currency, amount)| Balance {
            account: (*account).to_owned(),
            currency: Currency::parse(currency).unwrap(),
            amount: Amount::from_minor(*amount),
        })
        .collect();
        let told = balances(&sums, "demo", Some(("fml_1", "Potter"))).unwrap();
        let told: Vec<_> =
            told.iter().map(|view| (view.currency.as_str(), view.charged.minor(), view.paid.minor(), view.balance.minor())).collect();
        assert_eq!(told, [("eur", 0, 700, -700), ("usd", 1300, 1500, -200)]);
        assert!(balances(&[], "demo", None).unwrap().is_empty());
    }
}
