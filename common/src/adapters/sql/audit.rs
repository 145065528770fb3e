//! Recomputes every invariant from the rows. What can be mended from them is `repair`'s.

use super::{SqlStore, value::Value};
use crate::ports::store::{Breach, StoreError};
use std::time::Duration;

/// The most breaches of one rule that are told.
const MOST: u32 = 100;

/// A rule: a query whose rows (subject, finding) are breaches of it. `{1}` is the time before which a row is stuck.
struct Rule {
    name: &'static str,
    sql: &'static str,
}

/// That no refund has freed what checkout `c` had claimed. One that failed has only if it had succeeded first, and then came back.
macro_rules! nothing_was_freed {
    () => {
        "NOT EXISTS (SELECT 1 FROM refunds r WHERE r.checkout = c.id AND r.release_seats = 1 AND (r.status = 'succeeded' OR (r.status = 'failed' \
         AND EXISTS (SELECT 1 FROM timeline t WHERE t.checkout = c.id AND t.entries LIKE '%\"refund.succeeded\",\"detail\":\"' || r.id || '\"%'))))"
    };
}

const RULES: &[Rule] = &[
    Rule {
        name: "oversold",
        sql: "SELECT i.scope || '/' || i.id, i.taken || ' taken of ' || i.capacity FROM inventory i WHERE i.taken > i.capacity OR i.taken < 0",
    },
    Rule {
        name: "stock_drift",
        sql: "SELECT i.scope || '/' || i.id, i.taken || ' counted, ' || CAST(COALESCE(SUM(c.quantity), 0) AS BIGINT) || ' claimed' FROM inventory i \
              LEFT JOIN claims c ON c.scope = i.scope AND c.kind = i.kind AND c.resource = i.id AND c.state <> 'released' \
              GROUP BY i.scope, i.kind, i.id, i.taken HAVING i.taken <> COALESCE(SUM(c.quantity), 0)",
    },
    Rule {
        name: "seat_twice",
        sql: "SELECT c.scope || '/' || c.resource || '/' || c.seat, COUNT(*) || ' live claims' FROM claims c \
              WHERE c.seat IS NOT NULL AND c.state <> 'released' GROUP BY c.scope, c.kind, c.resource, c.seat HAVING COUNT(*) > 1",
    },
    Rule {
        name: "ledger_unbalanced",
        sql: "SELECT e.transaction_id, 'sums to ' || CAST(SUM(e.amount) AS BIGINT) FROM ledger_entries e GROUP BY e.transaction_id HAVING SUM(e.amount) <> 0",
    },
    Rule {
        name: "ledger_differs",
        sql: "SELECT c.id, 'paid ' || c.amount_paid || ', refunded ' || c.amount_refunded || ', ledger ' || CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) \
              FROM checkouts c LEFT JOIN ledger_transactions t ON t.checkout = c.id \
              AND t.kind NOT IN ('fee', 'dispute', 'dispute_won', 'dispute_lost') \
              LEFT JOIN ledger_entries e ON e.transaction_id = t.id AND (e.account LIKE 'provider:%' OR e.account LIKE 'tender:%') \
              GROUP BY c.id, c.amount_paid, c.amount_refunded HAVING c.amount_paid - c.amount_refunded <> COALESCE(SUM(e.amount), 0)",
    },
    Rule {
        name: "unapplied_overdrawn",
        sql: "SELECT t.checkout, CAST(SUM(e.amount) AS BIGINT) || ' went out of unapplied that never came there' FROM ledger_entries e \
              JOIN ledger_transactions t ON t.id = e.transaction_id WHERE e.account = 'unapplied' AND t.checkout IS NOT NULL \
              GROUP BY t.checkout HAVING SUM(e.amount) > 0",
    },
    Rule {
        name: "late_money_left",
        // What is on its way back out of it: refunds that nobody has asked for; behind a sale those that were opened since.
        sql: "SELECT c.id, CAST(-SUM(e.amount) AS BIGINT) || ' came too late, and ' || CASE WHEN EXISTS (SELECT 1 FROM attempts r WHERE r.checkout = c.id \
              AND r.kind = 'refund' AND r.status = 'needs_review') THEN 'nobody knows whether it went back' ELSE 'the provider did not give it back, or it came back' END \
              || ': ask for it with a refund of late_payment' \
              FROM checkouts c JOIN ledger_transactions t ON t.checkout = c.id JOIN ledger_entries e ON e.transaction_id = t.id AND e.account = 'unapplied' \
              WHERE c.completed_at IS NOT NULL GROUP BY c.id, c.status, c.completed_at \
              HAVING -SUM(e.amount) > (SELECT COALESCE(SUM(a.amount), 0) FROM attempts a WHERE a.checkout = c.id AND a.kind = 'refund' \
              AND a.status IN ('started', 'unknown') AND (c.status <> 'succeeded' OR a.created_at >= c.completed_at) \
              AND NOT EXISTS (SELECT 1 FROM refund_parts p WHERE p.checkout = a.checkout AND p.attempt = a.n))",
    },
    Rule {
        name: "approved_without_sale",
        sql: "SELECT a.checkout, 'charge ' || a.n || ' was approved, the checkout is ' || c.status FROM attempts a JOIN checkouts c ON c.id = a.checkout \
              WHERE a.kind = 'charge' AND a.status = 'approved' AND c.status NOT IN ('succeeded', 'needs_review') \
              AND (c.completed_at IS NOT NULL OR NOT EXISTS (SELECT 1 FROM attempts s WHERE s.checkout = c.id AND s.leg > 0)) \
              AND NOT EXISTS (SELECT 1 FROM attempts r WHERE r.checkout = a.checkout AND r.kind = 'refund' AND r.status <> 'not_sent')",
    },
    Rule {
        name: "sale_without_payment",
        sql: "SELECT c.id, 'sold for ' || c.amount_paid || ' by card and no charge was approved' FROM checkouts c \
              WHERE c.status = 'succeeded' AND EXISTS (SELECT 1 FROM attempts a WHERE a.checkout = c.id AND a.kind = 'charge') \
              AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.checkout = c.id AND a.kind = 'charge' AND a.status = 'approved') \
              AND NOT EXISTS (SELECT 1 FROM timeline t WHERE t.checkout = c.id AND t.entries LIKE '%\"what\":\"resolved\"%')",
    },
    Rule {
        name: "sale_without_claims",
        sql: concat!(
            "SELECT c.id, 'sold places, and has none' FROM checkouts c WHERE c.status = 'succeeded' \
              AND c.doc LIKE '%\"type\":\"session\",\"session\":\"%' AND c.doc NOT LIKE '%\"metadata\":{%\"type\":\"session\"%' \
              AND NOT EXISTS (SELECT 1 FROM claims k WHERE k.checkout = c.id AND k.kind = 'session' AND k.state = 'sold') \
              AND ",
            nothing_was_freed!()
        ),
    },
    Rule {
        name: "space_differs",
        sql: "SELECT c.id, 'stands in a space that does not list it' FROM checkouts c WHERE c.doc LIKE '%\"space\":\"%' \
              AND c.doc NOT LIKE '%\"metadata\":{%\"space\":\"%' AND NOT EXISTS (SELECT 1 FROM checkout_spaces s WHERE s.checkout = c.id AND s.scope = c.scope \
              AND REPLACE(c.doc, '\"space\":\"' || s.space || '\"', '') <> c.doc) \
              UNION ALL SELECT s.checkout, 'is listed in a space that it does not stand in' FROM checkout_spaces s LEFT JOIN checkouts c ON c.id = s.checkout \
              WHERE c.id IS NULL OR REPLACE(c.doc, '\"space\":\"' || s.space || '\"', '') = c.doc",
    },
    Rule {
        name: "membership_not_given",
        // A line that sells one says so in these words; what clients write stands in quotes that are escaped, or in the metadata.
        sql: "SELECT c.id, 'sold memberships, and the customer has ' || CAST((SELECT COUNT(*) FROM bought_memberships b WHERE b.checkout = c.id) AS BIGINT) \
              FROM checkouts c WHERE c.status = 'succeeded' AND c.doc LIKE '%\"type\":\"membership\",\"membership\":\"%' \
              AND c.doc NOT LIKE '%\"metadata\":{%\"type\":\"membership\"%' \
              AND (LENGTH(c.doc) - LENGTH(REPLACE(c.doc, '\"type\":\"membership\",\"membership\":\"', ''))) / LENGTH('\"type\":\"membership\",\"membership\":\"') \
              <> (SELECT COUNT(*) FROM bought_memberships b WHERE b.checkout = c.id)",
    },
    Rule {
        name: "membership_not_sold",
        sql: "SELECT b.id, 'is said to be sold by ' || b.checkout || ', which is ' || COALESCE(c.status, 'not there') FROM bought_memberships b \
              LEFT JOIN checkouts c ON c.id = b.checkout WHERE b.checkout IS NOT NULL AND COALESCE(c.status, '') <> 'succeeded'",
    },
    Rule {
        name: "credits_not_taken",
        sql: concat!(
            "SELECT c.id, 'was paid with a membership, and took none of its credits' FROM checkouts c WHERE c.status = 'succeeded' \
              AND c.doc LIKE '%\"type\":\"membership\",\"bought_membership\":\"%' AND c.doc NOT LIKE '%\"metadata\":{%\"type\":\"membership\"%' \
              AND NOT EXISTS (SELECT 1 FROM claims k WHERE k.checkout = c.id AND k.kind = 'bought_membership' AND k.state = 'sold') \
              AND ",
            nothing_was_freed!()
        ),
    },
    Rule {
        name: "credits_differ",
        sql: "SELECT b.scope || '/' || b.id, COALESCE(CAST(b.credits AS TEXT), 'any number of') || ' credits, ' || COALESCE(CAST(i.capacity AS TEXT), 'none') || ' in stock' \
              FROM bought_memberships b LEFT JOIN inventory i ON i.scope = b.scope AND i.kind = 'bought_membership' AND i.id = b.id \
              WHERE i.capacity IS NULL OR i.capacity <> COALESCE(b.credits, 4294967295)",
    },
    Rule {
        name: "balance_below_zero",
        sql: "SELECT m.scope || '/' || m.customer || '/' || m.currency, 'comes to ' || CAST(SUM(m.amount) AS BIGINT) || ' less what is held' \
              FROM balance_moves m WHERE m.state <> 'released' GROUP BY m.scope, m.customer, m.currency HAVING SUM(m.amount) < 0",
    },
    Rule {
        name: "balance_differs",
        // What customers are owed by the ledger is what their moves come to.
        sql: "SELECT x.scope || '/' || COALESCE(x.customer, 'nobody') || '/' || x.currency, \
              'comes to ' || CAST(SUM(x.moved) AS BIGINT) || ', and to ' || CAST(SUM(x.owed) AS BIGINT) || ' in the ledger' FROM \
              (SELECT m.scope, m.customer, m.currency, m.amount AS moved, 0 AS owed FROM balance_moves m WHERE m.state = 'booked' \
              UNION ALL SELECT e.scope, COALESCE(t.customer, c.customer), e.currency, 0, -e.amount FROM ledger_entries e \
              JOIN ledger_transactions t ON t.scope = e.scope AND t.id = e.transaction_id LEFT JOIN checkouts c ON c.id = t.checkout \
              WHERE e.account = 'tender:balance') x GROUP BY x.scope, x.customer, x.currency HAVING SUM(x.moved) <> SUM(x.owed)",
    },
    Rule {
        name: "balance_of_ended_checkout",
        // What a refund or an adjustment moved is booked at once, and never for a checkout.
        sql: "SELECT m.source, 'has ' || m.state || ' of a balance, and is ' || COALESCE(c.status, 'not there') FROM balance_moves m \
              LEFT JOIN checkouts c ON c.id = m.source WHERE (m.state = 'held' AND COALESCE(c.status, '') NOT IN \
              ('processing', 'awaiting_payment', 'reconciling', 'needs_review')) OR (m.state = 'booked' AND m.amount < 0 \
              AND COALESCE(c.status, '') <> 'succeeded' AND NOT EXISTS (SELECT 1 FROM balance_adjustments b WHERE b.scope = m.scope \
              AND b.customer = m.customer AND b.id = m.source AND b.amount = m.amount))",
    },
    Rule {
        name: "subscription_not_started",
        sql: "SELECT c.id, 'sold plans, and started ' || CAST((SELECT COUNT(*) FROM subscriptions s WHERE s.checkout = c.id) AS BIGINT) \
              FROM checkouts c WHERE c.status = 'succeeded' AND c.doc LIKE '%\"type\":\"plan\",\"plan\":\"%' \
              AND c.doc NOT LIKE '%\"metadata\":{%\"type\":\"plan\"%' \
              AND (LENGTH(c.doc) - LENGTH(REPLACE(c.doc, '\"type\":\"plan\",\"plan\":\"', ''))) / LENGTH('\"type\":\"plan\",\"plan\":\"') \
              <> (SELECT COUNT(*) FROM subscriptions s WHERE s.checkout = c.id)",
    },
    Rule {
        name: "subscription_not_sold",
        sql: "SELECT s.id, 'is said to be sold by ' || s.checkout || ', which is ' || COALESCE(c.status, 'not there') FROM subscriptions s \
              LEFT JOIN checkouts c ON c.id = s.checkout WHERE COALESCE(c.status, '') <> 'succeeded'",
    },
    Rule {
        name: "period_paid_twice",
        sql: "SELECT r.subscription, 'period ' || r.period || ' was paid by ' || COUNT(*) || ' renewals' FROM subscription_renewals r \
              JOIN checkouts c ON c.id = r.checkout WHERE c.status = 'succeeded' GROUP BY r.subscription, r.period HAVING COUNT(*) > 1",
    },
    Rule {
        name: "renewal_not_followed",
        sql: "SELECT s.id, 'is in period ' || s.period || ', and ' || r.checkout || ' has paid period ' || r.period FROM subscription_renewals r \
              JOIN checkouts c ON c.id = r.checkout AND c.status = 'succeeded' JOIN subscriptions s ON s.id = r.subscription WHERE r.period > s.period",
    },
    Rule {
        name: "renewal_of_ended_checkout",
        sql: "SELECT s.id, 'waits for ' || s.renewal || ', which is ' || COALESCE(c.status, 'not there') FROM subscriptions s \
              LEFT JOIN checkouts c ON c.id = s.renewal LEFT JOIN subscription_renewals r ON r.subscription = s.id AND r.checkout = s.renewal \
              WHERE s.renewal IS NOT NULL AND (c.completed_at IS NOT NULL OR c.id IS NULL OR r.checkout IS NULL)",
    },
    Rule {
        name: "stuck_subscription",
        sql: "SELECT s.id, 'is ' || s.status || ' and nobody came when it was due' FROM subscriptions s \
              WHERE s.status IN ('trialing', 'active', 'past_due') AND s.renewal IS NULL AND (s.due_at IS NULL OR s.due_at < {1})",
    },
    Rule {
        name: "refunded_too_much",
        sql: "SELECT c.id, 'paid ' || c.amount_paid || ', refunded ' || c.amount_refunded FROM checkouts c WHERE c.amount_refunded > c.amount_paid",
    },
    Rule {
        name: "refunds_above_paid",
        sql: "SELECT c.id, 'paid ' || c.amount_paid || ', refunds of ' || CAST(SUM(p.amount) AS BIGINT) FROM checkouts c JOIN refund_parts p ON p.checkout = c.id \
              WHERE p.status <> 'failed' GROUP BY c.id, c.amount_paid HAVING SUM(p.amount) > c.amount_paid",
    },
    Rule {
        name: "refunds_differ",
        // What went back unasked, of money that came too late, has an attempt and no refund; a void that undid a charge has no amount of its own.
        sql: "SELECT c.id, 'refunded ' || c.amount_refunded || ', and its refunds say otherwise' FROM checkouts c \
              WHERE c.status = 'succeeded' AND (c.amount_refunded <> 0 OR EXISTS (SELECT 1 FROM refunds r WHERE r.checkout = c.id)) \
              AND NOT EXISTS (SELECT 1 FROM attempts v JOIN attempts p ON p.checkout = v.checkout AND p.leg = v.leg AND p.n < v.n \
              AND p.kind = 'charge' AND p.status = 'approved' WHERE v.checkout = c.id AND v.kind = 'void' AND v.status = 'approved') \
              AND c.amount_refunded <> (SELECT COALESCE(SUM(p.amount), 0) FROM refund_parts p WHERE p.checkout = c.id AND p.status = 'succeeded') \
              + (SELECT COALESCE(SUM(a.amount), 0) FROM attempts a WHERE a.checkout = c.id AND a.kind = 'refund' AND a.status = 'approved' \
              AND NOT EXISTS (SELECT 1 FROM refund_parts p WHERE p.checkout = a.checkout AND p.attempt = a.n))",
    },
    Rule {
        name: "refund_differs_from_attempt",
        sql: "SELECT p.refund, 'a part of it is ' || p.status || ', its attempt ' || COALESCE(a.status, 'is not there') FROM refund_parts p \
              LEFT JOIN attempts a ON a.checkout = p.checkout AND a.n = p.attempt WHERE p.attempt IS NOT NULL \
              AND p.status <> CASE a.status WHEN 'approved' THEN 'succeeded' WHEN 'declined' THEN 'failed' WHEN 'needs_review' THEN 'needs_review' \
              WHEN 'started' THEN 'pending' WHEN 'unknown' THEN 'pending' WHEN 'requires_action' THEN 'pending' WHEN 'pending' THEN 'pending' ELSE '' END",
    },
    Rule {
        name: "refund_differs_from_parts",
        sql: "SELECT r.id, 'is ' || r.status || ' over ' || r.amount || ', its parts come to ' || CAST(COALESCE(SUM(p.amount), 0) AS BIGINT) FROM refunds r \
              LEFT JOIN refund_parts p ON p.refund = r.id GROUP BY r.id, r.status, r.amount HAVING r.amount <> COALESCE(SUM(p.amount), 0) \
              OR (r.status = 'succeeded' AND SUM(CASE WHEN p.status <> 'succeeded' THEN 1 ELSE 0 END) > 0)",
    },
    Rule {
        name: "refunded_seat_live",
        sql: "SELECT r.id, 'gave places back, and ' || k.resource || ' is still ' || k.state || ' for ' || r.checkout FROM refunds r \
              JOIN claims k ON k.checkout = r.checkout AND k.kind = 'session' AND k.state <> 'released' \
              WHERE r.status = 'succeeded' AND r.release_seats = 1 AND (r.lines = '[]' OR r.lines LIKE '%\"' || k.line || '\"%')",
    },
    Rule {
        name: "ticket_admitted_void",
        // A refund ends once, and touches nothing of itself after that.
        sql: "SELECT t.id, 'was admitted after refund ' || r.id || ' had freed its place' FROM tickets t JOIN refunds r ON r.checkout = t.checkout \
              WHERE r.status = 'succeeded' AND r.release_seats = 1 AND (r.lines = '[]' OR r.lines LIKE '%\"' || t.line || '\"%') \
              AND t.admitted_at > r.updated_at",
    },
    Rule {
        name: "ticket_twice",
        // Two rows for one seat of which both checkouts have it, or more of a line than it has places.
        sql: "SELECT t.scope || '/' || t.session || '/' || t.seat, COUNT(*) || ' live tickets' FROM tickets t WHERE t.seat IS NOT NULL \
              AND EXISTS (SELECT 1 FROM claims k WHERE k.checkout = t.checkout AND k.line = t.line AND k.seat = t.seat AND k.state = 'sold') \
              GROUP BY t.scope, t.session, t.seat HAVING COUNT(*) > 1 \
              UNION ALL SELECT t.checkout || '/' || t.line, COUNT(*) || ' tickets, ' || k.places || ' places' FROM tickets t \
              JOIN (SELECT checkout, line, CAST(SUM(quantity) AS BIGINT) AS places FROM claims WHERE kind = 'session' GROUP BY checkout, line) k \
              ON k.checkout = t.checkout AND k.line = t.line GROUP BY t.checkout, t.line, k.places HAVING COUNT(*) > k.places",
    },
    Rule {
        name: "ticket_unsold",
        sql: "SELECT t.id, 'is of a checkout that is ' || COALESCE(c.status, 'not there') || ', or has no place in it' FROM tickets t \
              LEFT JOIN checkouts c ON c.id = t.checkout WHERE COALESCE(c.status, '') <> 'succeeded' OR c.scope <> t.scope \
              OR NOT EXISTS (SELECT 1 FROM claims k WHERE k.checkout = t.checkout AND k.line = t.line AND k.kind = 'session' AND k.state IN ('sold', 'released'))",
    },
    Rule {
        name: "charged_twice",
        // What came after all, when another try had paid already or the sale was off, goes back by a refund of its own.
        sql: "SELECT a.checkout, COUNT(*) || ' approved charges of one leg' FROM attempts a WHERE a.kind = 'charge' AND a.status = 'approved' \
              GROUP BY a.checkout, a.leg HAVING COUNT(*) > 1 + (SELECT COUNT(*) FROM attempts r \
              WHERE r.checkout = a.checkout AND r.leg = a.leg AND r.kind = 'refund' \
              AND NOT EXISTS (SELECT 1 FROM refund_parts p WHERE p.checkout = r.checkout AND p.attempt = r.n))",
    },
    Rule {
        name: "promise_left",
        sql: "SELECT a.checkout, 'charge ' || a.n || ' is promised, the checkout is ' || c.status FROM attempts a JOIN checkouts c ON c.id = a.checkout \
              WHERE a.kind = 'charge' AND a.status = 'authorized' AND c.completed_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attempts u \
              WHERE u.checkout = a.checkout AND u.leg = a.leg AND u.kind IN ('capture', 'void') AND u.status <> 'not_sent')",
    },
    Rule {
        name: "begun_too_early",
        sql: "SELECT b.checkout, 'is ' || c.status || ', and ' || e.id || ', whose place it took, is ' || e.status FROM behind b \
              JOIN checkouts c ON c.id = b.checkout JOIN checkouts e ON e.id = b.earlier \
              WHERE c.status IN ('processing', 'awaiting_payment', 'reconciling', 'needs_review', 'succeeded') \
              AND (e.completed_at IS NULL OR e.status = 'succeeded')",
    },
    Rule {
        name: "replaced_and_open",
        // Of those that took a place under one reference: they come one after the other.
        sql: "SELECT c.id, 'is ' || c.status || ', and ' || r.checkout || ' has taken its place' FROM replacements r \
              JOIN checkouts c ON c.scope = r.scope AND c.reference = r.reference AND c.id <> r.checkout \
              LEFT JOIN checkout_spaces s ON s.checkout = c.id WHERE COALESCE(s.space, '') = r.space AND c.status IN ('queued', 'processing', 'awaiting_payment') AND c.doc LIKE '%\"replaces_open\":true%' \
              AND c.doc NOT LIKE '%\"metadata\":{%\"replaces_open\":true%'",
    },
    Rule {
        name: "payment_link",
        sql: "SELECT c.id, 'is ' || c.status || CASE WHEN c.payment_url IS NULL THEN ' without a link to pay' ELSE ' with a link to pay' END FROM checkouts c \
              WHERE (c.status = 'awaiting_payment' AND c.payment_url IS NULL \
              AND NOT EXISTS (SELECT 1 FROM attempts p WHERE p.checkout = c.id AND p.kind = 'charge' \
              AND (p.status = 'pending' OR (p.status = 'requires_action' AND p.action_url LIKE '{%')))) OR (c.status <> 'awaiting_payment' AND c.payment_url IS NOT NULL)",
    },
    Rule {
        name: "hold_without_checkout",
        sql: "SELECT k.checkout, k.state || ' claims of a checkout that is ' || COALESCE(c.status, 'not there') FROM claims k LEFT JOIN checkouts c ON c.id = k.checkout \
              LEFT JOIN waiting_list w ON w.id = k.checkout AND w.status = 'offered' AND w.checkout IS NULL \
              WHERE (k.state = 'held' AND w.id IS NULL AND (c.status IS NULL OR c.status IN ('queued', 'succeeded', 'failed', 'canceled', 'expired'))) \
              OR (k.state = 'sold' AND COALESCE(c.status, '') <> 'succeeded')",
    },
    Rule {
        name: "offer_without_claims",
        // What an offer holds belongs to the entry, or to the checkout that takes it.
        sql: "SELECT w.id, 'offers ' || w.quantity || ' and holds ' || CAST(COALESCE(SUM(k.quantity), 0) AS BIGINT) FROM waiting_list w \
              LEFT JOIN claims k ON k.checkout = w.id AND k.kind = 'session' AND k.resource = w.session AND k.state = 'held' \
              WHERE w.status = 'offered' AND w.checkout IS NULL GROUP BY w.id, w.quantity HAVING w.quantity <> COALESCE(SUM(k.quantity), 0)",
    },
    Rule {
        name: "offer_of_ended_checkout",
        sql: "SELECT w.id, 'is with ' || w.checkout || ', which is ' || COALESCE(c.status, 'not there') FROM waiting_list w \
              LEFT JOIN checkouts c ON c.id = w.checkout WHERE (w.status = 'offered' AND w.checkout IS NOT NULL \
              AND (c.status IS NULL OR c.status IN ('queued', 'succeeded', 'failed', 'canceled', 'expired'))) \
              OR (w.status = 'taken' AND COALESCE(c.status, '') <> 'succeeded')",
    },
    Rule {
        name: "waiting_drift",
        sql: "SELECT i.scope || '/' || i.id, i.waiting || ' counted, ' || COUNT(w.id) || ' waiting' FROM inventory i \
              LEFT JOIN waiting_list w ON w.scope = i.scope AND w.session = i.id AND w.status = 'waiting' \
              WHERE i.kind = 'session' GROUP BY i.scope, i.kind, i.id, i.waiting HAVING i.waiting <> COUNT(w.id)",
    },
    Rule {
        name: "stuck_waiting",
        sql: "SELECT w.id, 'is ' || w.status || ' and nobody came when its time was over' FROM waiting_list w \
              WHERE (w.status = 'waiting' OR (w.status = 'offered' AND w.checkout IS NULL)) AND (w.due_at IS NULL OR w.due_at < {1})",
    },
    Rule {
        name: "job_without_end",
        // What was given back by name while its places were kept stays kept.
        sql: "SELECT j.id, 'has succeeded, and ' || i.checkout || ' still has places of ' || j.session FROM jobs j \
              JOIN job_items i ON i.job = j.id JOIN claims k ON k.checkout = i.checkout AND k.scope = j.scope AND k.kind = 'session' \
              AND k.resource = j.session AND k.state <> 'released' WHERE j.status = 'succeeded' \
              AND NOT EXISTS (SELECT 1 FROM refunds r WHERE r.checkout = i.checkout AND r.status = 'succeeded' AND r.lines LIKE '%\"' || k.line || '\"%')",
    },
    Rule {
        name: "stuck_job",
        sql: "SELECT j.id, 'has done ' || (j.done + j.failed) || ' of ' || j.total || ' and nobody came to go on' FROM jobs j \
              WHERE j.status = 'running' AND j.lease_until < {1}",
    },
    Rule {
        name: "end_without_event",
        sql: "SELECT c.id, 'is ' || c.status || ' and no event says so' FROM checkouts c WHERE c.completed_at IS NOT NULL \
              AND NOT EXISTS (SELECT 1 FROM events e WHERE e.checkout = c.id AND e.kind = 'checkout.' || c.status)",
    },
    Rule {
        name: "event_without_delivery",
        sql: "SELECT e.id, e.kind || ' of ' || e.checkout || ' has no delivery' FROM events e JOIN checkouts c ON c.id = e.checkout \
              WHERE c.doc LIKE '%\"callback_url\":\"%' AND c.doc NOT LIKE '%\"metadata\":{%\"callback_url\":\"%' AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event = e.id)",
    },
    Rule {
        name: "stuck",
        sql: "SELECT c.id, 'is ' || c.status || ' and nobody came when it was due' FROM checkouts c \
              WHERE c.completed_at IS NULL AND c.status <> 'needs_review' AND (c.due_at IS NULL OR c.due_at < {1})",
    },
    Rule {
        name: "stuck_money",
        sql: "SELECT a.checkout, a.kind || ' ' || a.n || ' is ' || a.status || ' and nobody came when it was due' FROM attempts a JOIN checkouts c ON c.id = a.checkout \
              WHERE c.completed_at IS NOT NULL AND a.status IN ('started', 'unknown', 'requires_action', 'pending') AND (c.due_at IS NULL OR c.due_at < {1})",
    },
    Rule {
        name: "stuck_event",
        sql: "SELECT e.id, 'came from ' || e.provider || ' and nobody came when it was due' FROM provider_events e WHERE e.status = 'pending' \
              AND (e.due_at IS NULL OR e.due_at < {1})",
    },
    Rule {
        name: "event_needs_review",
        sql: "SELECT e.id, 'came from ' || e.provider || '/' || e.account || ' and changed nothing: ' || COALESCE(e.note, '') FROM provider_events e \
              WHERE e.status = 'needs_review'",
    },
    Rule {
        name: "stuck_delivery",
        sql: "SELECT d.id, 'was due and nobody came' FROM deliveries d WHERE d.status = 'pending' AND (d.due_at IS NULL OR d.due_at < {1})",
    },
];

impl SqlStore {
    pub(super) async fn check_invariants(&self, stuck_after: Duration) -> Result<Vec<Breach>, StoreError> {
        let stuck_before: Value = self.db.now().await?.before(stuck_after).into();
        let mut breaches = Vec::new();
        for rule in RULES {
            let args = if rule.sql.contains("{1}") { std::slice::from_ref(&stuck_before) } else { &[] };
            for row in self.db.read(&format!("{} LIMIT {MOST}", rule.sql), None, args).await? {
                breaches.push(Breach { rule: rule.name.to_owned(), subject: row.text(0)?, finding: row.text(1)? });
            }
        }
        Ok(breaches)
    }
}
