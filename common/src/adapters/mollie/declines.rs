//! What makes sense behind each of Mollie's refusals, and what the customer reads.
//!
//! Sources: the schema `payment-details-failure-reason` of Mollie's OpenAPI document for payments that failed; the fields of its requests for
//! what was refused before. Where a fraud is suspected, the words are those of a card that was declined for no known reason.

use crate::domain::attempt::{
    Advice::{self, AskCustomer as Ask, NextProvider as Next, Retry, Stop},
    Decline,
};

const DECLINED: &str = "The card was declined. Use another one, or ask its issuer.";
const FUNDS: &str = "The card has not enough money on it. Use another one.";
const EXPIRED: &str = "The card has expired. Use another one.";
const TYPED: &str = "A part of the card's details is wrong. Check them and try again.";
const KIND: &str = "The card cannot be used for this payment. Use another one.";
const NOT_CONFIRMED: &str = "The payment was not confirmed with the card's issuer. Try again, or use another card.";
const ONCE_MORE: &str = "The card's issuer could not be reached. Try again, or use another card.";
const NOT_HERE: &str = "This cannot be paid in this way. Pay in another way.";
const NO_CARD: &str = "The card's token is not valid. Enter the card again.";
const CANCELED: &str = "The payment was canceled before it was made.";
const ABANDONED: &str = "The payment was not made in time.";
const ON_ITS_WAY: &str = "The payment has been made, and cannot be called off any more.";
const NO_REFUND: &str = "The payment provider could not give the money back.";
const NOT_KEPT: &str = "The money that was promised could not be taken.";

/// By code, in order.
#[rustfmt::skip]
const TABLE: &[(&str, Advice, &str)] = &[
    ("already_captured", Stop, ON_ITS_WAY),
    ("amount_not_accepted", Next, NOT_HERE),
    ("authentication_abandoned", Ask, NOT_CONFIRMED),
    ("authentication_failed", Ask, NOT_CONFIRMED),
    ("authentication_required", Ask, NOT_CONFIRMED),
    ("authentication_unavailable_acs", Retry, ONCE_MORE),
    ("canceled", Ask, CANCELED),
    ("capture_failed", Stop, NOT_KEPT),
    ("card_declined", Ask, DECLINED),
    ("card_expired", Ask, EXPIRED),
    ("currency_not_accepted", Next, NOT_HERE),
    ("embedded_page_not_supported", Next, NOT_HERE),
    ("exceeds_captured", Stop, NO_REFUND),
    ("expired", Ask, ABANDONED),
    ("failed", Ask, DECLINED),
    ("inactive_card", Ask, KIND),
    ("insufficient_funds", Ask, FUNDS),
    ("invalid_card_holder_name", Ask, TYPED),
    ("invalid_card_number", Ask, TYPED),
    ("invalid_card_type", Next, KIND),
    ("invalid_cvv", Ask, TYPED),
    ("invalid_token", Ask, NO_CARD),
    ("method_not_accepted", Next, NOT_HERE),
    ("no_return_url", Next, NOT_HERE),
    ("not_captured", Stop, NO_REFUND),
    ("possible_fraud", Stop, DECLINED),
    ("refund_canceled", Stop, NO_REFUND),
    ("refund_failed", Stop, NO_REFUND),
    ("refused_by_issuer", Ask, DECLINED),
    ("request_refused", Next, NOT_HERE),
    ("saved_card_gone", Ask, NO_CARD),
    ("unknown_reason", Ask, DECLINED),
];

fn look(code: &str) -> Option<(&'static str, Advice, &'static str)> {
    TABLE.binary_search_by_key(&code, |(known, ..)| known).ok().and_then(|at| TABLE.get(at)).copied()
}

/// The refusal with this code. One that the table does not have is a card that was declined.
pub(super) fn decline(code: &str, provider_reference: Option<String>) -> Decline {
    let (code, advice, message) = look(code).unwrap_or(("unknown_reason", Ask, DECLINED));
    Decline { advice, ..Decline::new(code.to_owned(), message.to_owned(), provider_reference) }
}

/// A charge that was refused because of a field of its request.
pub(super) fn of_field(field: Option<&str>) -> Decline {
    let code = match field {
        Some("cardToken") => "invalid_token",
        Some("customerId" | "mandateId") => "saved_card_gone",
        Some("amount.currency") => "currency_not_accepted",
        Some("amount" | "amount.value") => "amount_not_accepted",
        Some("method" | "sequenceType" | "captureMode") => "method_not_accepted",
        _ => "request_refused",
    };
    decline(code, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_has_every_documented_reason() {
        assert!(TABLE.is_sorted_by_key(|(code, ..)| *code));
        let documented = [
            "authentication_abandoned",
            "authentication_failed",
            "authentication_required",
            "authentication_unavailable_acs",
            "card_declined",
            "card_expired",
            "inactive_card",
            "insufficient_funds",
            "invalid_cvv",
            "invalid_card_holder_name",
            "invalid_card_number",
            "invalid_card_type",
            "possible_fraud",
            "refused_by_issuer",
            "unknown_reason",
        ];
        for reason in documented {
            assert!(look(reason).is_some(), "{reason}");
        }
        assert_eq!(decline("a reason of tomorrow", None).decline_code, "unknown_reason");
        let fraud = decline("possible_fraud", None);
        assert_eq!((fraud.advice, fraud.message.as_str()), (Stop, DECLINED), "nobody is told");
    }

    #[test]
    fn what_this_account_cannot_do_is_asked_of_the_next_and_what_the_customer_can_mend_of_the_customer() {
        for (field, code, advice) in [
            (Some("cardToken"), "invalid_token", Ask),
            (Some("mandateId"), "saved_card_gone", Ask),
            (Some("amount.currency"), "currency_not_accepted", Next),
            (Some("webhookUrl"), "request_refused", Next),
            (None, "request_refused", Next),
        ] {
            let decline = of_field(field);
            assert_eq!((decline.decline_code.as_str(), decline.advice), (code, advice), "{field:?}");
        }
    }
}
