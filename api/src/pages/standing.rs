//! What a checkout's page is about now.

use boxoffice_common::domain::{
    attempt::{Attempt, AttemptKind, AttemptStatus},
    checkout::{Checkout, Closing},
    state::Status,
};

/// What the page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing<'c> {
    /// It is the customer's turn to choose and pay.
    Open,
    /// The bank has asked the customer for a word, at this attempt's address.
    Bank(&'c Attempt),
    /// A provider asks the customer on the phone.
    Phone(&'c Attempt),
    /// What the customer has done at a provider takes its time, such as a bank's transfer.
    Elsewhere(&'c Attempt),
    /// An earlier checkout, whose place it took, has to end first.
    Behind,
    /// Something is under way, and tells more soon.
    Working,
    /// The question that a provider asks is being taken back, for the customer to pay in another way.
    TakingBack,
    /// It is being called off, or its time is over.
    Closing(Closing),
    /// A person looks at it.
    Review,
    /// It has ended.
    Ended,
}

impl<'c> Standing<'c> {
    pub(super) fn of(checkout: &'c Checkout) -> Self {
        match checkout.status {
            Status::Queued if checkout.order.replaces_open => Self::Behind,
            Status::Queued | Status::Processing => Self::Working,
            Status::Reconciling => checkout.closing.map_or_else(|| Self::unclear(checkout), Self::Closing),
            Status::AwaitingPayment => {
                let asks = |attempt: &&Attempt| attempt.request.kind == AttemptKind::Charge && attempt.status.is_the_customers();
                match checkout.attempts.iter().find(asks) {
                    None => Self::Open,
                    Some(attempt) if attempt.status == AttemptStatus::Pending && attempt.request.push.is_some() => Self::Phone(attempt),
                    Some(attempt) if attempt.status == AttemptStatus::Pending => Self::Elsewhere(attempt),
                    Some(attempt) => Self::Bank(attempt),
                }
            }
            Status::NeedsReview => Self::Review,
            Status::Succeeded | Status::Failed | Status::Canceled | Status::Expired => Self::Ended,
        }
    }

    fn unclear(checkout: &Checkout) -> Self {
        let is_void = checkout.open_attempt().is_some_and(|attempt| attempt.request.kind == AttemptKind::Void);
        if is_void { Self::TakingBack } else { Self::Working }
    }

    /// Whether waiting a moment may show something else without anybody's doing.
    pub(super) fn moves_by_itself(&self) -> bool {
        matches!(self, Self::Working | Self::Behind | Self::TakingBack | Self::Closing(_))
    }
}
