//! Refunds, disputes and the balance.

use super::client::Shop;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn refunds_add_up_to_what_was_paid_and_no_more() {
    let shop = Shop::open().await;
    let paid = shop.pay("pm_card_visa").await;
    let refund = |amount: &'static str| vec![("payment_intent", paid.id()), ("amount", amount), ("metadata[refund]", "r1")];
    let part = shop.post("refunds", &refund("300")).await;
    assert_eq!((part.str("/status"), part.at("/amount"), part.str("/metadata/refund")), ("succeeded", &json!(300), "r1"), "{}", part.text);
    assert_eq!(part.str("/charge"), paid.str("/latest_charge"));
    let too_much = shop.post("refunds", &refund("701")).await;
    assert_eq!((too_much.status, too_much.str("/error/param")), (400, "amount"));
    assert!(too_much.str("/error/message").contains("greater than unrefunded amount"));
    assert_eq!(shop.post("refunds", &refund("0")).await.status, 400);
    let rest = shop.post("refunds", &[("charge", paid.str("/latest_charge")), ("reason", "requested_by_customer")]).await;
    assert_eq!((rest.at("/amount"), rest.str("/reason")), (&json!(700), "requested_by_customer"));
    assert_eq!(shop.post("refunds", &[("payment_intent", paid.id())]).await.error().2, "charge_already_refunded");
    let charge = shop.get(&format!("charges/{}", paid.str("/latest_charge")), &[("expand[]", "refunds")]).await;
    assert_eq!((charge.at("/refunded"), charge.at("/amount_refunded")), (&json!(true), &json!(1000)));
    assert_eq!(charge.at("/refunds/data").as_array().map(Vec::len), Some(2));
    assert_eq!(shop.stripe.book().captures()[0].refunded, 1000);
    assert_eq!(shop.kinds().iter().filter(|kind| *kind == "refund.created" || *kind == "charge.refunded").count(), 4);
    assert_eq!(shop.get(&format!("refunds/{}", part.id()), &[]).await.json["id"], part.json["id"]);
}

#[tokio::test]
async fn nothing_goes_back_of_what_was_never_paid() {
    let shop = Shop::open().await;
    let declined = shop.pay("pm_card_chargeDeclined").await;
    let refused = shop.post("refunds", &[("payment_intent", declined.str("/error/payment_intent/id"))]).await;
    assert_eq!((refused.status, refused.str("/error/type")), (400, "invalid_request_error"));
    assert_eq!(shop.post("refunds", &[("payment_intent", "pi_nobody")]).await.error().2, "resource_missing");
    assert_eq!(shop.post("refunds", &[]).await.status, 400);
}

#[tokio::test]
async fn a_refund_that_succeeded_can_fail_later() {
    let shop = Shop::open().await;
    let paid = shop.pay("pm_card_refundFail").await;
    let refund = shop.post("refunds", &[("payment_intent", paid.id())]).await;
    assert_eq!(refund.str("/status"), "succeeded");
    shop.stripe.advance(Duration::from_secs(3));
    let failed = shop.get(&format!("refunds/{}", refund.id()), &[]).await;
    assert_eq!((failed.str("/status"), failed.str("/failure_reason")), ("failed", "expired_or_canceled_card"));
    assert!(failed.str("/failure_balance_transaction").starts_with("txn_"));
    for kind in ["refund.failed", "refund.updated", "charge.refund.updated"] {
        let told = shop.stripe.book().events_of(kind);
        assert_eq!(
            (told.len(), told[0].object.as_str(), &told[0].json()["data"]["object"]["status"]),
            (1, refund.id(), &json!("failed")),
            "{kind}"
        );
    }
    let charge = shop.get(&format!("charges/{}", paid.str("/latest_charge")), &[]).await;
    assert_eq!((charge.at("/amount_refunded"), charge.at("/refunded")), (&json!(0), &json!(false)));
}

#[tokio::test]
async fn a_pending_refund_arrives_later() {
    let shop = Shop::open().await;
    let paid = shop.pay("pm_card_pendingRefund").await;
    let refund = shop.post("refunds", &[("payment_intent", paid.id())]).await;
    assert_eq!((refund.str("/status"), refund.str("/pending_reason")), ("pending", "processing"));
    assert_eq!(shop.post("refunds", &[("payment_intent", paid.id())]).await.error().2, "charge_already_refunded", "pending counts");
    shop.stripe.advance(Duration::from_secs(3));
    assert_eq!(shop.get(&format!("refunds/{}", refund.id()), &[]).await.str("/status"), "succeeded");
    assert_eq!(shop.stripe.book().events_of("refund.updated").len(), 1);
}

#[tokio::test]
async fn a_refund_fails_when_a_test_says_so() {
    let shop = Shop::open().await;
    let paid = shop.pay("pm_card_visa").await;
    let refund = shop.post("refunds", &[("payment_intent", paid.id()), ("amount", "400")]).await;
    shop.stripe.fail_refund(refund.id(), "lost_or_stolen_card");
    shop.stripe.fail_refund(refund.id(), "lost_or_stolen_card");
    assert_eq!(shop.stripe.book().refunds()[0].status, "failed");
    assert_eq!(shop.stripe.book().events_of("refund.failed").len(), 1, "it fails once");
    assert_eq!(shop.stripe.book().captures()[0].refunded, 0);
}

#[tokio::test]
async fn a_disputed_charge_loses_its_money_until_the_dispute_is_won() {
    let shop = Shop::open().await;
    let paid = shop.pay("pm_card_createDispute").await;
    let disputes = shop.get("disputes", &[("payment_intent", paid.id())]).await;
    let dispute = disputes.at("/data/0");
    assert_eq!(
        (&dispute["amount"], &dispute["status"], &dispute["reason"]),
        (&json!(1000), &json!("needs_response"), &json!("fraudulent"))
    );
    assert_eq!((&dispute["balance_transactions"][0]["amount"], &dispute["balance_transactions"][0]["fee"]), (&json!(-1000), &json!(1500)));
    let id = dispute["id"].as_str().unwrap();
    assert_eq!(shop.post("refunds", &[("payment_intent", paid.id())]).await.error().2, "charge_disputed");
    assert!(shop.stripe.close_dispute(id, true) && !shop.stripe.close_dispute(id, false), "it is decided once");
    assert_eq!(shop.get(&format!("disputes/{id}"), &[]).await.str("/status"), "won");
    let kinds = shop.kinds();
    for kind in ["charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed", "charge.dispute.funds_reinstated"] {
        assert_eq!(kinds.iter().filter(|made| *made == kind).count(), 1, "{kind}");
    }
    let net: i64 =
        shop.get("balance_transactions", &[]).await.at("/data").as_array().unwrap().iter().filter_map(|one| one["net"].as_i64()).sum();
    assert_eq!(net, 941, "charge, dispute and its reversal");
}

#[tokio::test]
async fn a_dispute_is_opened_on_demand_and_lost() {
    let shop = Shop::open().await;
    let paid = shop.pay("pm_card_visa").await;
    let id = shop.stripe.open_dispute(paid.str("/latest_charge"), "product_not_received").unwrap();
    assert!(shop.stripe.open_dispute(paid.str("/latest_charge"), "general").is_none(), "one at a time");
    let answered = shop.post(&format!("disputes/{id}"), &[("evidence[uncategorized_text]", "losing_evidence")]).await;
    assert_eq!(answered.str("/status"), "lost", "{}", answered.text);
    assert!(!shop.kinds().contains(&"charge.dispute.funds_reinstated".to_owned()));
    let charge = shop.get(&format!("charges/{}", paid.str("/latest_charge")), &[]).await;
    assert_eq!(charge.at("/disputed"), &json!(true));
}
