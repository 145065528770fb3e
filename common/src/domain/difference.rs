//! What can differ between a provider's book and ours, and what to do about it.

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Difference {
    /// The provider has taken the money, and we do not know what came of it.
    MissedPayment,
    /// The provider has said no, and we hold it open.
    MissedRefusal,
    /// The provider has taken the money, and we hold it for refused.
    MoneyBehindNo,
    /// The money is promised at the provider, and we do not know of that, or hold it for refused.
    UnknownPromise,
    /// The provider has taken what we hold for promised only.
    UnknownCapture,
    /// We hold the money for taken, or promised, and the provider does not.
    NotTaken,
    /// It carries a reference of ours, and we have asked for no such thing.
    UnknownReference,
    /// The amount or the currency is not what we have asked for.
    AmountDiffers,
    /// The provider has it twice: this one goes by another id than the one that we know.
    Twice,
    /// The provider has kept a fee that is not in our books.
    FeeMissing,
    /// The provider has kept another fee than our books say.
    FeeDiffers,
    /// The money went back, and we do not know that.
    MissedRefund,
    /// We hold a refund for done, and it failed at the provider.
    RefundFailed,
    /// A refund went, and we hold it for refused.
    RefundBehindNo,
    /// Somebody gave back a payment of ours, and not through us.
    UnaskedRefund,
    /// We hold it for done, and the provider's book does not have it.
    NotInBook,
}

impl Difference {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::MissedPayment,
        Self::MissedRefusal,
        Self::MoneyBehindNo,
        Self::UnknownPromise,
        Self::UnknownCapture,
        Self::NotTaken,
        Self::UnknownReference,
        Self::AmountDiffers,
        Self::Twice,
        Self::FeeMissing,
        Self::FeeDiffers,
        Self::MissedRefund,
        Self::RefundFailed,
        Self::RefundBehindNo,
        Self::UnaskedRefund,
        Self::NotInBook,
    ];

    /// As it is reported.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissedPayment => "missed_payment",
            Self::MissedRefusal => "missed_refusal",
            Self::MoneyBehindNo => "money_behind_no",
            Self::UnknownPromise => "unknown_promise",
            Self::UnknownCapture => "unknown_capture",
            Self::NotTaken => "not_taken",
            Self::UnknownReference => "unknown_reference",
            Self::AmountDiffers => "amount_differs",
            Self::Twice => "twice",
            Self::FeeMissing => "fee_missing",
            Self::FeeDiffers => "fee_differs",
            Self::MissedRefund => "missed_refund",
            Self::RefundFailed => "refund_failed",
            Self::RefundBehindNo => "refund_behind_no",
            Self::UnaskedRefund => "unasked_refund",
            Self::NotInBook => "not_in_book",
        }
    }

    /// What to do about it where it is not mended, for people.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::MissedPayment | Self::MissedRefusal | Self::MissedRefund | Self::RefundFailed => {
                "run it again with --repair; if it stays, look at the checkout's timeline: one that needs review waits for an operator's word"
            }
            Self::MoneyBehindNo => "run it again with --repair: the money goes back; if it stays, give it back at the provider",
            Self::FeeMissing => "run it again with --repair: the fee is booked",
            Self::UnknownPromise => "if it stays, release it at the provider, or resolve the checkout that waits for it",
            Self::UnknownCapture => "resolve the checkout if it needs review; otherwise its capture is looked up by itself",
            Self::NotTaken => {
                "look at the payment at the provider: if it was not paid, give the sale up with a refund outside the provider"
            }
            Self::UnknownReference => {
                "look for who made it: another system with this account's key, or a store that was restored from a backup"
            }
            Self::AmountDiffers => "look at the payment at the provider, and settle what is too much or too little there",
            Self::Twice => "give one of the two back at the provider",
            Self::FeeDiffers => "correct it in your accounts: our ledger keeps what the provider said first",
            Self::RefundBehindNo => "do not give it back again: the money went; correct it in your accounts",
            Self::UnaskedRefund => "give back through us what is to be known to us; this one is to be corrected in your accounts",
            Self::NotInBook => "look whether the account's key was changed to another account's; ask the provider for the payment",
        }
    }

    /// Whether the provider's own word about it, settled like an event, can mend it.
    pub const fn may_be_mended(self) -> bool {
        match self {
            Self::MissedPayment
            | Self::MissedRefusal
            | Self::MoneyBehindNo
            | Self::FeeMissing
            | Self::MissedRefund
            | Self::RefundFailed => true,
            Self::UnknownPromise
            | Self::UnknownCapture
            | Self::NotTaken
            | Self::UnknownReference
            | Self::AmountDiffers
            | Self::Twice
            | Self::FeeDiffers
            | Self::RefundBehindNo
            | Self::UnaskedRefund
            | Self::NotInBook => false,
        }
    }
}
