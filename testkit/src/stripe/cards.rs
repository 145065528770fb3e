//! The documented test cards and what comes of them: <https://docs.stripe.com/testing>.

/// Why a bank, or the processor, says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decline {
    pub(super) code: &'static str,
    pub(super) decline_code: &'static str,
    pub(super) message: &'static str,
    /// What the network said, where it was asked.
    pub(super) network: Option<&'static str>,
}

/// When the customer has to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Challenge {
    Never,
    /// Every payment, whatever was set up before.
    Always,
    /// Every payment until the card was saved with authentication.
    UnlessSetUp,
}

/// What happens to a payment afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    Nothing,
    /// The cardholder disputes it, for this reason.
    Dispute(&'static str),
    /// A refund succeeds and fails later.
    RefundFails,
    /// A refund is pending and succeeds later.
    RefundPending,
}

/// A test card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TestCard {
    /// The end of `pm_card_…` and `tok_…`.
    pub(super) name: &'static str,
    pub(super) brand: &'static str,
    pub(super) last4: &'static str,
    pub(super) funding: &'static str,
    pub(super) country: &'static str,
    pub(super) challenge: Challenge,
    pub(super) decline: Option<Decline>,
    /// Whether it is declined when it is saved, too.
    pub(super) declines_saving: bool,
    pub(super) afterwards: Afterwards,
    /// Not a card but a bank account: the money comes later, or it does not.
    pub(super) delayed: Option<bool>,
}

impl TestCard {
    /// `type` of its payment methods.
    pub(super) fn kind(&self) -> &'static str {
        if self.delayed.is_some() { "us_bank_account" } else { "card" }
    }

    /// The id by which a payment names it.
    pub(super) fn id(&self) -> String {
        if self.delayed.is_some() { format!("pm_{}", self.name) } else { format!("pm_card_{}", self.name) }
    }
}

const GENERIC: Decline = no("card_declined", "generic_decline", "Your card was declined.", "01");
const INSUFFICIENT: Decline = no("card_declined", "insufficient_funds", "Your card has insufficient funds.", "51");
const LOST: Decline = no("card_declined", "lost_card", "Your card was declined.", "41");
const STOLEN: Decline = no("card_declined", "stolen_card", "Your card was declined.", "43");
const EXPIRED: Decline = no("expired_card", "expired_card", "Your card has expired.", "54");
const CVC: Decline = no("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.", "N7");
const PROCESSING: Decline =
    no("processing_error", "processing_error", "An error occurred while processing your card. Try again in a little bit.", "96");
const VELOCITY: Decline = no(
    "card_declined",
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    "61",
);
/// Stopped before the network was asked.
const FRAUDULENT: Decline = Decline { network: None, ..no("card_declined", "fraudulent", "Your card was declined.", "") };
/// A payment without the customer, which the bank wants authenticated.
pub(super) const AUTHENTICATION_REQUIRED: Decline =
    no("authentication_required", "authentication_required", "Your card was declined. This transaction requires authentication.", "1A");

const fn no(code: &'static str, decline_code: &'static str, message: &'static str, network: &'static str) -> Decline {
    Decline { code, decline_code, message, network: Some(network) }
}

const fn pays(name: &'static str, brand: &'static str, last4: &'static str) -> TestCard {
    TestCard {
        name,
        brand,
        last4,
        funding: "credit",
        country: "US",
        challenge: Challenge::Never,
        decline: None,
        declines_saving: false,
        afterwards: Afterwards::Nothing,
        delayed: None,
    }
}

const fn bank(name: &'static str, last4: &'static str, arrives: bool) -> TestCard {
    TestCard { delayed: Some(arrives), ..pays(name, "us_bank_account", last4) }
}

const fn declines(name: &'static str, last4: &'static str, decline: Decline) -> TestCard {
    TestCard { decline: Some(decline), declines_saving: true, ..pays(name, "visa", last4) }
}

const fn challenged(name: &'static str, last4: &'static str, challenge: Challenge) -> TestCard {
    TestCard { challenge, ..pays(name, "visa", last4) }
}

const fn later(name: &'static str, last4: &'static str, afterwards: Afterwards) -> TestCard {
    TestCard { afterwards, ..pays(name, "visa", last4) }
}

/// All of them. Those with `visa_` in their name are known without it, too.
pub(super) const CARDS: &[TestCard] = &[
    pays("visa", "visa", "4242"),
    TestCard { funding: "debit", ..pays("visa_debit", "visa", "5556") },
    pays("mastercard", "mastercard", "4444"),
    TestCard { funding: "debit", ..pays("mastercard_debit", "mastercard", "8210") },
    TestCard { funding: "prepaid", ..pays("mastercard_prepaid", "mastercard", "5100") },
    pays("amex", "amex", "8431"),
    pays("discover", "discover", "9424"),
    pays("diners", "diners", "0004"),
    pays("jcb", "jcb", "0505"),
    pays("unionpay", "unionpay", "0005"),
    TestCard { country: "GB", ..pays("gb", "visa", "0000") },
    TestCard { country: "DE", ..pays("de", "visa", "0016") },
    TestCard { country: "FR", ..pays("fr", "visa", "0003") },
    TestCard { country: "JP", ..pays("jp", "visa", "0003") },
    declines("visa_chargeDeclined", "0002", GENERIC),
    declines("visa_chargeDeclinedInsufficientFunds", "9995", INSUFFICIENT),
    declines("visa_chargeDeclinedLostCard", "9987", LOST),
    declines("visa_chargeDeclinedStolenCard", "9979", STOLEN),
    declines("visa_chargeDeclinedExpiredCard", "0069", EXPIRED),
    declines("visa_chargeDeclinedIncorrectCvc", "0127", CVC),
    declines("visa_chargeDeclinedProcessingError", "0119", PROCESSING),
    declines("visa_chargeDeclinedVelocityLimitExceeded", "6975", VELOCITY),
    declines("visa_chargeDeclinedFraudulent", "0019", FRAUDULENT),
    TestCard { declines_saving: false, ..declines("radarBlock", "0019", FRAUDULENT) },
    TestCard { declines_saving: false, ..declines("riskLevelHighest", "4954", FRAUDULENT) },
    pays("riskLevelElevated", "visa", "9235"),
    pays("cvcCheckFail", "visa", "0101"),
    TestCard { declines_saving: false, ..declines("chargeCustomerFail", "0341", GENERIC) },
    challenged("authenticationRequired", "3184", Challenge::Always),
    challenged("authenticationRequiredOnSetup", "3155", Challenge::UnlessSetUp),
    challenged("authenticationRequiredSetupForOffSession", "3155", Challenge::UnlessSetUp),
    TestCard {
        decline: Some(INSUFFICIENT),
        ..challenged("authenticationRequiredChargeDeclinedInsufficientFunds", "8260", Challenge::Always)
    },
    challenged("threeDSecure2Required", "3220", Challenge::Always),
    challenged("threeDSecureRequired", "3063", Challenge::Always),
    TestCard { decline: Some(GENERIC), ..challenged("threeDSecureRequiredChargeDeclined", "3097", Challenge::Always) },
    later("createDispute", "0259", Afterwards::Dispute("fraudulent")),
    later("createDisputeProductNotReceived", "2685", Afterwards::Dispute("product_not_received")),
    later("refundFail", "5126", Afterwards::RefundFails),
    later("pendingRefund", "7726", Afterwards::RefundPending),
    pays("bypassPending", "visa", "0077"),
    bank("usBankAccount_success", "6789", true),
    bank("usBankAccount_accountClosed", "1116", false),
];

/// The card behind a name such as `pm_card_visa` or `tok_chargeDeclined`, or the account behind `pm_usBankAccount_success`.
pub(super) fn find(id: &str) -> Option<&'static TestCard> {
    let bank = || id.strip_prefix("pm_").filter(|name| name.starts_with("usBankAccount_"));
    let name = id.strip_prefix("pm_card_").or_else(|| id.strip_prefix("tok_")).or_else(bank)?;
    CARDS.iter().find(|card| card.name == name || card.name.strip_prefix("visa_chargeDeclined").is_some_and(|end| named(name, end)))
}

/// `chargeDeclined…` without its `visa_`.
fn named(name: &str, end: &str) -> bool {
    name.strip_prefix("chargeDeclined") == Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_name_finds_its_card() {
        for name in ["pm_card_visa", "tok_visa", "pm_card_mastercard", "pm_card_radarBlock", "pm_card_createDispute", "tok_pendingRefund"] {
            assert_eq!(find(name).unwrap().decline.is_some(), name == "pm_card_radarBlock", "{name}");
        }
        for end in ["", "InsufficientFunds", "LostCard", "StolenCard", "ExpiredCard", "IncorrectCvc", "ProcessingError", "Fraudulent"] {
            let (long, short) = (find(&format!("pm_card_visa_chargeDeclined{end}")), find(&format!("tok_chargeDeclined{end}")));
            assert!(long.is_some_and(|card| card.decline.is_some()) && long == short, "{end}");
        }
        assert!(find("pm_card_nobody").is_none() && find("visa").is_none() && find("pm_3x").is_none());
    }
}
