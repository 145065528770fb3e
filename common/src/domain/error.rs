//! Coded errors: what a client can act on. The codes are API, and never change their meaning.

use super::incompatibility::Incompatibility;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A stable code, as in API.md. New ones may come; old ones keep their meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $text)] $name,)* }

        impl Code {
            /// Every code, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it stands in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// No seat left.
    SessionFull = "session_full";
    /// Not so many of the product are left.
    ProductSoldOut = "product_sold_out";
    /// A named seat is held or sold.
    SeatTaken = "seat_taken";
    /// What was offered is not this customer's, or not any more, or the line asks for something else.
    OfferUnavailable = "offer_unavailable";
    /// The session began already.
    SessionPassed = "session_passed";
    /// The sales window has closed.
    SalesEnded = "sales_ended";
    /// The sales window has not opened.
    SalesNotStarted = "sales_not_started";
    /// Canceled or draft.
    SessionUnavailable = "session_unavailable";
    /// Only memberships get in.
    DropinsNotAllowed = "dropins_not_allowed";
    /// The customer has as many seats as one may have.
    PurchaseLimitReached = "purchase_limit_reached";
    /// The customer lacks the tag that the session asks for.
    AccessRestricted = "access_restricted";
    /// A participant is a customer, and neither the buyer nor of the buyer's family.
    ParticipantNotInFamily = "participant_not_in_family";
    /// Too young or too old.
    AgeRestricted = "age_restricted";
    /// The session has an age limit and the customer no date of birth.
    DateOfBirthRequired = "date_of_birth_required";
    /// The echoed price is not ours.
    PriceMismatch = "price_mismatch";
    /// A line's currency is not the checkout's.
    CurrencyMismatch = "currency_mismatch";
    /// Unknown, outside its window, or used up.
    PromoCodeInvalid = "promo_code_invalid";
    /// The membership does not pay for this.
    MembershipIncompatible = "membership_incompatible";
    /// Not enough credits.
    MembershipInsufficient = "membership_insufficient";
    /// Not so much is left of the customer's balance.
    BalanceInsufficient = "balance_insufficient";
    /// Credits of a membership that would be given back are used.
    MembershipUsed = "membership_used";
    /// The issuer said no; see `decline_code`.
    CardDeclined = "card_declined";
    /// The payment did not happen, for certain.
    PaymentFailed = "payment_failed";
    /// The method cannot be used.
    PaymentMethodInvalid = "payment_method_invalid";
    /// The provider could not be reached, and nothing was sent.
    ProviderUnavailable = "provider_unavailable";
    /// Nobody is set up who could take this payment in this mode.
    ProviderNotConfigured = "provider_not_configured";
    /// The deadline passed first.
    Expired = "expired";
    /// Canceled by the client.
    Canceled = "canceled";
    /// A newer checkout of the same reference took its place.
    Replaced = "replaced";
    /// The checkout whose place it was to take was paid after all.
    AlreadyPaid = "already_paid";
    /// A worker could not finish it, over and over; nothing was sent.
    ProcessingFailed = "processing_failed";
    /// An operator decided.
    ResolvedByOperator = "resolved_by_operator";
    /// More than what was paid, or than what is left of it, would go back.
    RefundExceedsPaid = "refund_exceeds_paid";
    /// The provider will not give the money back; see `decline_code`.
    RefundRefused = "refund_refused";
    /// An id in the request is not known.
    ResourceMissing = "resource_missing";
    /// A field has a wrong value.
    ParameterInvalid = "parameter_invalid";
    /// Amounts add up to more than we handle.
    AmountOutOfRange = "amount_out_of_range";
    /// The parts of a split payment do not add up to the total.
    PaymentAmountMismatch = "payment_amount_mismatch";
    /// This engine does not sell or charge that.
    Unsupported = "unsupported";
    /// The code is not one of this tenant's tickets, or was tampered with.
    TicketCodeInvalid = "ticket_code_invalid";
    /// A card number stands in the request. We never want to see one.
    CardNumberRefused = "card_number_refused";
}

/// What is wrong, where, in words for people. `message` never quotes secrets or personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, utoipa::ToSchema)]
#[error("{}: {message}", code.as_str())]
pub struct CodedError {
    /// The stable code.
    pub code: Code,
    /// For people.
    pub message: String,
    /// The field that it is about, such as `lines[0].unit_amount`.
    pub param: Option<String>,
    /// The issuer's reason, with `card_declined`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
    /// Why, where a membership does not pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Incompatibility>,
}

impl CodedError {
    /// An error about no field in particular.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, decline_code: None, reason: None }
    }

    /// The same, about `param`.
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same, with the issuer's reason.
    pub fn declined(mut self, decline_code: impl Into<String>) -> Self {
        self.decline_code = Some(decline_code.into());
        self
    }
}
