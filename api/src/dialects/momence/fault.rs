//! What Momence's clients are told when something is wrong: one table.

use crate::problem::Problem;
use boxoffice_common::domain::{
    error::{Code, CodedError},
    incompatibility::Incompatibility,
};
use http::StatusCode;
use serde::Serialize;

macro_rules! errors {
    ($($name:ident = $text:literal;)*) => {
        /// What the page of the checkout lists.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::dialects) enum Error { $($name,)* }

        impl Error {
            /// Every one.
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it stands in JSON.
            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

errors! {
    NoPaymentMethods = "err-no-payment-methods";
    NoItems = "err-no-items";
    TooManyItems = "err-too-many-items";
    CombinedPaymentMethods = "err-combined-payment-methods";
    CannotPayForMembershipWithMembership = "err-cannot-pay-for-membership-with-membership";
    MultipleMembershipTypes = "err-multiple-membership-types";
    MultipleSubscriptions = "err-multiple-subscriptions";
    SavedCardNotFound = "err-saved-card-not-found";
    CartValidationFailed = "err-cart-validation-failed";
    PaymentFailed = "err-payment-failed";
    DuplicateMembershipPaymentMethods = "err-duplicate-membership-payment-methods";
    InvalidMembershipPaymentMethod = "err-invalid-membership-payment-method";
    IncompatibleMembership = "err-incompatible-membership";
    UnsupportedPaymentMethods = "err-unsupported-payment-methods";
    SessionHasInvalidState = "err-session-has-invalid-state";
    SessionHasPassed = "err-session-has-passed";
    SessionSalesEnded = "err-session-sales-ended";
    SessionDropinsNotAllowed = "err-session-dropins-not-allowed";
    SessionIsFull = "err-session-is-full";
    SessionPurchaseLimitReached = "err-session-purchase-limit-reached";
    SessionAccessRestricted = "err-session-access-restricted";
    DuplicateItemIds = "err-duplicate-item-ids";
    DuplicatePaymentMethodIds = "err-duplicate-payment-method-ids";
    UnsupportedItemType = "err-unsupported-item-type";
    MissingCustomerDateOfBirth = "err-missing-customer-date-of-birth";
    CustomerAgePreventsFromAction = "err-customer-age-prevents-from-action";
    InvalidCustomPaymentMethod = "err-invalid-custom-payment-method";
}

impl Error {
    /// The same, at a field of the request.
    pub(super) fn at(self, param: impl Into<String>, detail: impl Into<String>) -> Problem {
        named(self.as_str(), param, detail)
    }

    fn of(error: &CodedError) -> Self {
        match error.code {
            Code::SessionFull | Code::SeatTaken | Code::OfferUnavailable => Self::SessionIsFull,
            Code::SessionPassed => Self::SessionHasPassed,
            Code::SalesEnded => Self::SessionSalesEnded,
            Code::SessionUnavailable | Code::SalesNotStarted => Self::SessionHasInvalidState,
            Code::DropinsNotAllowed => Self::SessionDropinsNotAllowed,
            Code::PurchaseLimitReached => Self::SessionPurchaseLimitReached,
            Code::AccessRestricted => Self::SessionAccessRestricted,
            Code::AgeRestricted => Self::CustomerAgePreventsFromAction,
            Code::DateOfBirthRequired => Self::MissingCustomerDateOfBirth,
            Code::MembershipIncompatible | Code::MembershipInsufficient => {
                error.reason.map_or(Self::IncompatibleMembership, Self::of_reason)
            }
            // Memberships do not pay for all that is in the cart.
            Code::PaymentAmountMismatch => Self::IncompatibleMembership,
            Code::PaymentMethodInvalid if error.param.as_deref().is_some_and(|param| param.ends_with("].id")) => Self::SavedCardNotFound,
            Code::PaymentMethodInvalid | Code::Unsupported => Self::UnsupportedPaymentMethods,
            Code::CardDeclined
            | Code::PaymentFailed
            | Code::ProviderUnavailable
            | Code::ProviderNotConfigured
            | Code::BalanceInsufficient
            | Code::Expired
            | Code::Canceled
            | Code::Replaced
            | Code::AlreadyPaid
            | Code::ProcessingFailed
            | Code::ResolvedByOperator
            | Code::RefundRefused => Self::PaymentFailed,
            Code::ParameterInvalid => error.reason.map_or(Self::CartValidationFailed, Self::of_reason),
            Code::ProductSoldOut
            | Code::ParticipantNotInFamily
            | Code::PriceMismatch
            | Code::CurrencyMismatch
            | Code::PromoCodeInvalid
            | Code::MembershipUsed
            | Code::RefundExceedsPaid
            | Code::ResourceMissing
            | Code::AmountOutOfRange
            | Code::TicketCodeInvalid
            | Code::CardNumberRefused => Self::CartValidationFailed,
        }
    }

    const fn of_reason(reason: Incompatibility) -> Self {
        match reason {
            Incompatibility::NotThere => Self::InvalidMembershipPaymentMethod,
            Incompatibility::SubscriptionAndPack => Self::MultipleMembershipTypes,
            Incompatibility::SeveralSubscriptions => Self::MultipleSubscriptions,
            Incompatibility::NamedTwice => Self::DuplicateMembershipPaymentMethods,
            Incompatibility::NoPlaces
            | Incompatibility::OtherSessions
            | Incompatibility::Upcoming
            | Incompatibility::Frozen
            | Incompatibility::Expired
            | Incompatibility::Ended
            | Incompatibility::EndsBefore
            | Incompatibility::NotNeeded
            | Incompatibility::NoCreditsLeft
            | Incompatibility::TooFewCreditsLeft => Self::IncompatibleMembership,
        }
    }
}

/// A problem that has its own name in this API.
pub(super) fn named(name: &'static str, param: impl Into<String>, detail: impl Into<String>) -> Problem {
    Problem::Parameter { code: name, detail: detail.into(), param: Some(param.into()) }
}

/// What is wrong.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MomenceError)]
pub(in crate::dialects) struct Fault<'a> {
    /// Stable: what programs act on. `err-…`: one of the page, or, with another status than 400, ours.
    #[serde(rename = "type")]
    #[schema(pattern = "^err-[a-z-]+$")]
    pub(super) kind: &'a str,
    /// For people.
    pub(super) message: String,
}

/// A problem in Momence's words.
pub(in crate::dialects) fn fault(problem: &Problem) -> (StatusCode, String) {
    let (status, kind) = match problem {
        Problem::Refused(error) => (StatusCode::BAD_REQUEST, Error::of(error).as_str().to_owned()),
        Problem::Parameter { code, .. } if code.starts_with("err-") => (StatusCode::BAD_REQUEST, (*code).to_owned()),
        Problem::Parameter { .. } | Problem::Malformed(_) => (StatusCode::BAD_REQUEST, Error::CartValidationFailed.as_str().to_owned()),
        Problem::IdempotencyKeyReused => (StatusCode::BAD_REQUEST, of_ours(problem)),
        other => (other.status(), of_ours(other)),
    };
    let message = match problem.param() {
        Some(param) => format!("{}: {}", theirs(param), problem.detail()),
        None => problem.detail(),
    };
    (status, serde_json::to_string(&Fault { kind: &kind, message }).unwrap_or_default())
}

fn of_ours(problem: &Problem) -> String {
    format!("err-{}", problem.code().replace('_', "-"))
}

/// Where a fault is, in the words of the request.
fn theirs(param: &str) -> String {
    if param == "customer" {
        return "memberId".to_owned();
    }
    let param = param.replace("lines[", "items[").replace("payment.methods", "paymentMethods");
    let names = [
        ("].session", "].sessionId"),
        ("].membership", "].membershipId"),
        ("].plan", "].membershipId"),
        ("].total_amount", "].attemptedPriceInCurrency"),
        ("].bought_membership", "].boughtMembershipId"),
    ];
    let named = names.iter().find_map(|(ours, theirs)| param.strip_suffix(ours).map(|rest| format!("{rest}{theirs}")));
    named.unwrap_or(param)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_the_page_is_there_once() {
        let page = include_str!("../../../../cli/tests/fixtures/momence_checkout.json");
        let page: serde_json::Value = serde_json::from_str(page).unwrap();
        let listed: Vec<&str> = page["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect();
        assert_eq!(listed, Error::ALL.iter().map(|error| error.as_str()).collect::<Vec<_>>());
        assert_eq!(listed.len(), 27);
    }

    #[test]
    fn a_problem_is_told_with_their_type_and_at_their_field() {
        let told = |problem: Problem| {
            let (status, text) = fault(&problem);
            let body: serde_json::Value = serde_json::from_str(&text).unwrap();
            (status.as_u16(), body["type"].as_str().unwrap().to_owned(), body["message"].as_str().unwrap().to_owned())
        };
        let wrong = CodedError::new(Code::PriceMismatch, "no").at("lines[1].total_amount");
        assert_eq!(told(wrong.into()), (400, "err-cart-validation-failed".to_owned(), "items[1].attemptedPriceInCurrency: no".to_owned()));
        assert!(told(Problem::invalid("items[0].sessionId", "no")).2.starts_with("items[0].sessionId: "));
        assert_eq!(told(Problem::Unauthenticated).1, "err-unauthenticated");
        assert_eq!(told(Problem::IdempotencyKeyReused).0, 400);
        assert_eq!(told(Error::NoItems.at("items", "none")), (400, "err-no-items".to_owned(), "items: none".to_owned()));
    }
}
