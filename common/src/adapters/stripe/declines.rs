//! What makes sense behind each of Stripe's refusals, and what the customer reads: one table, for decline codes and for error codes.
//!
//! Sources: <https://docs.stripe.com/declines/codes>, <https://docs.stripe.com/error-codes>. Where they ask not to tell the customer why, the
//! words are those of a card that was declined for no known reason.

use crate::domain::attempt::Advice;

const DECLINED: &str = "The card was declined. Use another one, or ask its issuer.";
const FUNDS: &str = "The card has not enough money on it. Use another one.";
const EXPIRED: &str = "The card has expired. Use another one.";
const TYPED: &str = "A part of the card's details is wrong. Check them and try again.";
const ADDRESS: &str = "The address or postal code is not the card's. Check it and try again.";
const KIND: &str = "The card cannot be used for this payment. Use another one.";
const PIN: &str = "The card asks for its PIN, which cannot be given here. Use another one.";
const CONFIRM: &str = "The card's issuer wants the payment to be confirmed by its owner.";
const NOT_CONFIRMED: &str = "The payment was not confirmed with the card's issuer. Try again, or use another card.";
const ONCE_MORE: &str = "The card's issuer could not be reached. Try again, or use another card.";
const TWICE: &str = "The same payment was made a moment ago. Look whether it went through before you pay again.";
const WALLET: &str = "The payment was refused by the service that was to make it. Pay in another way.";
const DETAILS: &str = "What the payment was to be made with is not valid any more. Enter it again, or pay in another way.";
const NOT_HERE: &str = "This cannot be paid in this way. Pay in another way.";
const NO_CARD: &str = "The card's token is not valid. Enter the card again.";
const ENDED: &str = "The payment was called off before it was made.";
const ON_ITS_WAY: &str = "The payment is on its way, and cannot be called back any more.";
const GIVEN_BACK: &str = "The payment has been given back already.";
const DISPUTED: &str = "The payment is disputed with the card's issuer.";
const NO_REFUND: &str = "The payment provider could not give the money back.";

use Advice::{AskCustomer as Ask, NextProvider as Next, Retry, Stop};

/// By code, in order.
#[rustfmt::skip]
const TABLE: &[(&str, Advice, &str)] = &[
    ("account_invalid", Next, NOT_HERE),
    ("amount_not_countable", Next, NOT_HERE),
    ("amount_too_large", Next, NOT_HERE),
    ("amount_too_small", Next, NOT_HERE),
    ("approve_with_id", Retry, ONCE_MORE),
    ("authentication_not_handled", Ask, CONFIRM),
    ("authentication_required", Ask, CONFIRM),
    ("balance_insufficient", Stop, NO_REFUND),
    ("call_issuer", Ask, DECLINED),
    ("cannot_be_canceled", Stop, ON_ITS_WAY),
    ("capture_charge_authorization_expired", Stop, ENDED),
    ("card_already_activated", Ask, DECLINED),
    ("card_decline_rate_limit_exceeded", Stop, DECLINED),
    ("card_declined", Ask, DECLINED),
    ("card_not_supported", Ask, KIND),
    ("card_velocity_exceeded", Ask, FUNDS),
    ("charge_already_captured", Stop, ENDED),
    ("charge_already_refunded", Stop, GIVEN_BACK),
    ("charge_disputed", Stop, DISPUTED),
    ("charge_exceeds_source_limit", Next, NOT_HERE),
    ("charge_exceeds_transaction_limit", Next, NOT_HERE),
    ("charge_expired_for_capture", Stop, ENDED),
    ("charge_for_pending_refund_disputed", Stop, DISPUTED),
    ("charge_not_found", Stop, NO_REFUND),
    ("charge_not_refundable", Stop, NO_REFUND),
    ("compliance_violation", Stop, DECLINED),
    ("country_code_invalid", Next, NOT_HERE),
    ("country_unsupported", Next, NOT_HERE),
    ("currency_not_supported", Ask, KIND),
    ("declined", Stop, NO_REFUND),
    ("do_not_honor", Ask, DECLINED),
    ("do_not_try_again", Stop, DECLINED),
    ("duplicate_transaction", Ask, TWICE),
    ("elevated_risk_level", Stop, DECLINED),
    ("expired_card", Ask, EXPIRED),
    ("expired_or_canceled_card", Stop, NO_REFUND),
    ("expired_payment_information", Ask, DETAILS),
    ("fraudulent", Stop, DECLINED),
    ("generic_decline", Ask, DECLINED),
    ("highest_risk_level", Stop, DECLINED),
    ("incorrect_address", Ask, ADDRESS),
    ("incorrect_cvc", Ask, TYPED),
    ("incorrect_number", Ask, TYPED),
    ("incorrect_pin", Ask, PIN),
    ("incorrect_zip", Ask, ADDRESS),
    ("insufficient_funds", Ask, FUNDS),
    ("invalid_account", Ask, DECLINED),
    ("invalid_amount", Ask, KIND),
    ("invalid_authorization", Ask, DETAILS),
    ("invalid_billing_agreement", Ask, DETAILS),
    ("invalid_business_account", Next, NOT_HERE),
    ("invalid_customer_account", Ask, WALLET),
    ("invalid_cvc", Ask, TYPED),
    ("invalid_expiry_month", Ask, TYPED),
    ("invalid_expiry_year", Ask, TYPED),
    ("invalid_number", Ask, TYPED),
    ("invalid_payment_information", Ask, DETAILS),
    ("invalid_pin", Ask, PIN),
    ("invalid_token", Ask, NO_CARD),
    ("invalid_track_data", Ask, TYPED),
    ("issuer_not_available", Retry, ONCE_MORE),
    ("livemode_mismatch", Next, NOT_HERE),
    ("lost_card", Stop, DECLINED),
    ("lost_or_stolen_card", Stop, DECLINED),
    ("merchant_blacklist", Stop, DECLINED),
    ("merchant_request", Stop, NO_REFUND),
    ("method_not_supported", Next, NOT_HERE),
    ("mobile_device_authentication_required", Ask, CONFIRM),
    ("new_account_information_available", Ask, DECLINED),
    ("no_account", Ask, DECLINED),
    ("no_action_taken", Ask, DECLINED),
    ("not_permitted", Ask, DECLINED),
    ("offline_pin_required", Ask, PIN),
    ("online_or_offline_pin_required", Ask, PIN),
    ("partner_action_not_supported", Ask, WALLET),
    ("partner_duplicate_transaction", Ask, TWICE),
    ("partner_expired_card", Ask, EXPIRED),
    ("partner_generic_decline", Ask, WALLET),
    ("partner_high_risk_customer", Stop, WALLET),
    ("partner_insufficient_funds", Ask, FUNDS),
    ("partner_invalid_amount", Ask, KIND),
    ("partner_invalid_currency", Ask, KIND),
    ("partner_payment_not_found", Ask, WALLET),
    ("partner_processing_error", Retry, ONCE_MORE),
    ("payment_disputed", Stop, DISPUTED),
    ("payment_intent_authentication_failure", Ask, NOT_CONFIRMED),
    ("payment_intent_incompatible_payment_method", Ask, KIND),
    ("payment_intent_payment_attempt_expired", Ask, NOT_CONFIRMED),
    ("payment_intent_payment_attempt_failed", Ask, DECLINED),
    ("payment_limit_exceeded", Ask, FUNDS),
    ("payment_method_bank_account_blocked", Ask, WALLET),
    ("payment_method_currency_mismatch", Next, NOT_HERE),
    ("payment_method_customer_decline", Ask, WALLET),
    ("payment_method_invalid_parameter", Ask, DETAILS),
    ("payment_method_not_available", Retry, ONCE_MORE),
    ("payment_method_provider_decline", Ask, WALLET),
    ("payment_method_provider_timeout", Retry, ONCE_MORE),
    ("payment_method_unactivated", Next, NOT_HERE),
    ("payment_method_unexpected_state", Ask, DETAILS),
    ("payment_method_unsupported_type", Next, NOT_HERE),
    ("pickup_card", Stop, DECLINED),
    ("pin_blocked", Ask, PIN),
    ("pin_try_exceeded", Ask, PIN),
    ("processing_error", Retry, ONCE_MORE),
    ("publishable_key_missing", Next, NOT_HERE),
    ("recurring_not_supported_by_bank", Ask, KIND),
    ("reenter_transaction", Retry, ONCE_MORE),
    ("refund_canceled", Stop, NO_REFUND),
    ("refund_disputed_payment", Stop, DISPUTED),
    ("refund_failed", Stop, NO_REFUND),
    ("resource_missing", Ask, NO_CARD),
    ("restricted_card", Stop, DECLINED),
    ("revocation_of_all_authorizations", Stop, DECLINED),
    ("revocation_of_authorization", Stop, DECLINED),
    ("revoked_card", Stop, DECLINED),
    ("security_violation", Stop, DECLINED),
    ("service_not_allowed", Ask, DECLINED),
    ("session_expired", Ask, ENDED),
    ("stolen_card", Stop, DECLINED),
    ("stop_payment_order", Stop, DECLINED),
    ("testmode_charges_only", Next, NOT_HERE),
    ("testmode_decline", Ask, KIND),
    ("token_already_used", Ask, NO_CARD),
    ("token_in_use", Ask, NO_CARD),
    ("transaction_not_allowed", Ask, DECLINED),
    ("try_again_later", Retry, ONCE_MORE),
    ("unknown", Stop, NO_REFUND),
    ("voided", Ask, ENDED),
    ("withdrawal_count_limit_exceeded", Ask, FUNDS),
];

/// What makes sense behind this code, and words for the customer.
///
/// A code that is not in the table is a card's, about which the customer can do something, or one about the request or the account, which
/// is another provider's chance.
pub(super) fn explain(code: &str, is_about_card: bool) -> (Advice, &'static str) {
    let found = TABLE.binary_search_by_key(&code, |(known, _, _)| known).ok().and_then(|at| TABLE.get(at));
    match found {
        Some((_, advice, words)) => (*advice, words),
        None if is_about_card => (Ask, DECLINED),
        None => (Next, NOT_HERE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the page of decline codes lists them, cards first and local methods behind.
    const DOCUMENTED: &str = "authentication_required authentication_not_handled approve_with_id call_issuer card_not_supported \
        card_velocity_exceeded currency_not_supported do_not_honor do_not_try_again duplicate_transaction expired_card fraudulent \
        generic_decline incorrect_address incorrect_cvc incorrect_number incorrect_pin incorrect_zip insufficient_funds invalid_account \
        invalid_amount invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number invalid_pin issuer_not_available lost_card \
        merchant_blacklist new_account_information_available no_action_taken not_permitted offline_pin_required \
        online_or_offline_pin_required pickup_card pin_try_exceeded processing_error reenter_transaction restricted_card \
        revocation_of_all_authorizations revocation_of_authorization security_violation service_not_allowed stolen_card \
        stop_payment_order testmode_decline transaction_not_allowed try_again_later withdrawal_count_limit_exceeded \
        mobile_device_authentication_required \
        partner_generic_decline invalid_customer_account payment_limit_exceeded invalid_billing_agreement partner_expired_card \
        partner_processing_error partner_insufficient_funds partner_invalid_currency partner_invalid_amount invalid_business_account \
        partner_high_risk_customer compliance_violation payment_disputed invalid_authorization invalid_payment_information \
        partner_payment_not_found expired_payment_information partner_duplicate_transaction";

    #[test]
    fn every_documented_decline_code_stands_in_the_table_which_is_in_order() {
        assert!(TABLE.is_sorted_by(|(one, _, _), (next, _, _)| one < next));
        for code in DOCUMENTED.split_whitespace() {
            assert!(TABLE.iter().any(|(known, _, _)| *known == code), "{code}");
        }
    }

    #[test]
    fn what_the_issuer_wants_kept_secret_reads_like_any_decline() {
        let (_, any) = explain("generic_decline", true);
        for code in ["fraudulent", "lost_card", "stolen_card", "merchant_blacklist", "pickup_card", "restricted_card"] {
            assert_eq!(explain(code, true), (Stop, any), "{code}");
        }
    }

    #[test]
    fn each_advice_has_its_codes_and_the_unknown_has_one_too() {
        let advice = |code, is_about_card| explain(code, is_about_card).0;
        assert_eq!(advice("insufficient_funds", true), Ask);
        assert_eq!(advice("authentication_required", true), Ask);
        assert_eq!(advice("processing_error", true), Retry);
        assert_eq!(advice("amount_too_small", false), Next);
        assert_eq!(advice("a_code_of_next_year", true), Ask);
        assert_eq!(advice("parameter_unknown", false), Next);
    }
}
