//! What the sandbox's customers do who are asked on their phones, or on the pages of banks and wallets. Pure.
//!
//! On a page a person answers. A phone answers by itself, as its number says: docs/push-payments.md lists the numbers.

use super::operation::{Operation, OperationStatus};
use crate::domain::push::{PushKind, PushMethod};
use std::time::Duration;

/// How long a customer looks at the phone, and how long money is gone before it comes back.
pub(super) const A_MOMENT: Duration = Duration::from_secs(1);
/// When one answers who takes his time, or whose cancel is confirmed and forgotten.
const LATE: Duration = Duration::from_secs(15);
const AFTER_THE_CANCEL: Duration = Duration::from_secs(4);
/// When the money comes that is kept: late enough to have been paid for in another way by then.
const AFTER_ANOTHER_WAY: Duration = Duration::from_secs(10);

/// What a customer who is asked does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// Answers on a page.
    Page,
    /// Approves after a moment.
    Approve,
    /// Refuses after a moment.
    Refuse,
    /// Has too little money.
    Poor,
    /// Does not look, and the provider gives up soon.
    TimesOut,
    /// Never looks.
    Never,
    /// Approves late, and the provider cannot take its question back.
    Late,
    /// The provider confirms a cancel, and takes the money all the same.
    Liar,
    /// The same, later; and the first refund of it is refused.
    Keeper,
    /// Approves; told twice.
    Twice,
    /// Approves; that it was asked is told after that.
    OutOfOrder,
    /// Approves; told with another amount.
    OtherAmount,
    /// Approves; what is given back comes back, once.
    Bounce,
}

impl Script {
    const ALL: [Self; 13] = [
        Self::Page,
        Self::Approve,
        Self::Refuse,
        Self::Poor,
        Self::TimesOut,
        Self::Never,
        Self::Late,
        Self::Liar,
        Self::Keeper,
        Self::Twice,
        Self::OutOfOrder,
        Self::OtherAmount,
        Self::Bounce,
    ];

    /// As it stands in the book.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Approve => "approve",
            Self::Refuse => "refuse",
            Self::Poor => "poor",
            Self::TimesOut => "times_out",
            Self::Never => "never",
            Self::Late => "late",
            Self::Liar => "liar",
            Self::Keeper => "keeper",
            Self::Twice => "twice",
            Self::OutOfOrder => "out_of_order",
            Self::OtherAmount => "other_amount",
            Self::Bounce => "bounce",
        }
    }

    /// Reads it back.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|script| script.as_str() == text)
    }

    /// What whoever is asked in this way does.
    pub(super) fn of(push: &PushMethod) -> Self {
        let Some(phone) = push.phone.as_ref().filter(|_| push.method == PushKind::MobileMoney) else { return Self::Page };
        match phone.reveal() {
            "+23270000002" => Self::Refuse,
            "+23270000003" => Self::Never,
            "+23270000004" => Self::Late,
            "+23270000005" => Self::Twice,
            "+23270000006" => Self::OutOfOrder,
            "+23270000007" => Self::OtherAmount,
            "+23270000008" => Self::Poor,
            "+23270000009" => Self::Liar,
            "+23270000010" => Self::Bounce,
            "+23270000011" => Self::TimesOut,
            "+23270000012" => Self::Keeper,
            _ => Self::Approve,
        }
    }

    /// How long after the question the answer comes, if it comes by itself.
    pub(super) const fn acts_after(self) -> Option<Duration> {
        match self {
            Self::Page | Self::Never => None,
            Self::Late => Some(LATE),
            Self::Liar => Some(AFTER_THE_CANCEL),
            Self::Keeper => Some(AFTER_ANOTHER_WAY),
            Self::Approve
            | Self::Refuse
            | Self::Poor
            | Self::TimesOut
            | Self::Twice
            | Self::OutOfOrder
            | Self::OtherAmount
            | Self::Bounce => Some(A_MOMENT),
        }
    }

    /// The answer, when its time has come: what becomes of the charge, and why. `None`: it is not waited for any more.
    pub(super) const fn act(self, status: OperationStatus) -> Option<(OperationStatus, Option<&'static str>)> {
        match (self, status) {
            (Self::Page | Self::Never, _) => None,
            (Self::Liar | Self::Keeper, OperationStatus::Pending | OperationStatus::Voided) => Some((OperationStatus::Captured, None)),
            (Self::Refuse, OperationStatus::Pending) => Some((OperationStatus::Declined, Some("customer_refused"))),
            (Self::Poor, OperationStatus::Pending) => Some((OperationStatus::Declined, Some("insufficient_funds"))),
            (Self::TimesOut, OperationStatus::Pending) => Some((OperationStatus::Declined, Some("timed_out"))),
            (_, OperationStatus::Pending) => Some((OperationStatus::Captured, None)),
            (_, _) => None,
        }
    }
}

/// `mobile_money/m17`, as the book shows it. The phone is nobody's business there.
pub(super) fn label(push: &PushMethod) -> String {
    format!("{}/{}", push.method.as_str(), push.provider)
}

/// Whether the provider can take its question back.
pub(super) fn can_be_taken_back(charge: &Operation) -> bool {
    charge.script.as_deref() != Some(Script::Late.as_str())
}

/// Whether what is given back of it comes back.
pub(super) fn comes_back(charge: &Operation) -> bool {
    charge.script.as_deref() == Some(Script::Bounce.as_str())
}

/// Whether a refund of it is refused. It was, from now on: the next one goes.
pub(super) fn refuses_refund(charge: &mut Operation) -> bool {
    let refuses = charge.script.as_deref() == Some(Script::Keeper.as_str());
    if refuses {
        charge.script = Some(Script::Approve.as_str().to_owned());
    }
    refuses
}

/// Whether there is a page for a person to answer on. A card's charge that is pending has one, too.
pub(super) fn has_page(charge: &Operation) -> bool {
    charge.script.as_deref().is_none_or(|script| script == Script::Page.as_str())
}
