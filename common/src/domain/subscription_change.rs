//! What a shop changes about a subscription: pause, resume, another method, an end.
//!
//! Always: an end that was answered is one. A renewal that may have been sent has to come to its own end first, and whoever asked is told
//! so; one that nobody has begun is canceled in the same transaction.

use super::{
    event::EventType,
    id::PaymentMethodId,
    subscription::{Changed, Pause, Subscription, SubscriptionStatus, UnderWay},
    time::Timestamp,
};

/// What a shop wants changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// No renewals until it is resumed. Why, for people.
    Pause(Option<String>),
    /// It renews again: after a pause, after an end that was asked for and has not come, after its tries were used up.
    Resume,
    /// Another of the customer's methods is charged from now on, and at once when a period is not paid.
    PayWith(PaymentMethodId),
    /// It ends with its period; now where that is over.
    CancelAtPeriodEnd,
    /// It ends now.
    CancelNow,
}

/// Why nothing is changed: 409.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeRefusal {
    /// It has ended.
    Ended,
    /// A renewal is under way.
    UnderWay,
}

impl Subscription {
    /// Decides on a change. `None`: it is like that already. A renewal that is under way and has to end first is called off here; its
    /// checkout is the caller's to cancel.
    pub fn change(self, change: &Change, now: Timestamp) -> Result<Option<Changed>, ChangeRefusal> {
        if self.status == SubscriptionStatus::Canceled {
            let is_asked = matches!(change, Change::CancelNow | Change::CancelAtPeriodEnd);
            return if is_asked { Ok(None) } else { Err(ChangeRefusal::Ended) };
        }
        let updated = |this: Self| Some((this.changed(now), EventType::SubscriptionUpdated));
        match change {
            Change::Pause(reason) => self.pause(reason.clone(), now),
            Change::Resume => self.resume(now),
            Change::PayWith(method) => Ok(self.pay_with(method, now)),
            Change::CancelAtPeriodEnd if self.cancel_at_period_end => Ok(None),
            Change::CancelAtPeriodEnd if self.period.until > now || self.renewal.is_some() => {
                let due_at = if self.renewal.is_some() { None } else { Some(self.period.until) };
                Ok(updated(Self { cancel_at_period_end: true, due_at, ..self }))
            }
            Change::CancelAtPeriodEnd | Change::CancelNow => match self.renewal.clone() {
                None => Ok(Some(self.canceled(now))),
                Some(renewal) if renewal.is_called_off => Ok(None),
                Some(renewal) => Ok(updated(Self { renewal: Some(UnderWay { is_called_off: true, ..renewal }), ..self })),
            },
        }
    }

    fn pause(self, reason: Option<String>, now: Timestamp) -> Result<Option<Changed>, ChangeRefusal> {
        if self.status == SubscriptionStatus::Paused {
            return Ok(None);
        }
        if self.renewal.is_some() {
            return Err(ChangeRefusal::UnderWay);
        }
        // An end that was asked for comes all the same.
        let due_at = self.due_at.filter(|_| self.cancel_at_period_end);
        let paused = Self { status: SubscriptionStatus::Paused, pause: Some(Pause { since: now, reason }), due_at, ..self };
        Ok(Some((paused.changed(now), EventType::SubscriptionUpdated)))
    }

    fn resume(self, now: Timestamp) -> Result<Option<Changed>, ChangeRefusal> {
        if self.renewal.as_ref().is_some_and(|renewal| renewal.is_called_off) {
            return Err(ChangeRefusal::UnderWay);
        }
        let this = Self { cancel_at_period_end: false, ..self.clone() };
        let resumed = match self.status {
            SubscriptionStatus::Paused if self.period.until > now => {
                let status = if self.period.n == 0 { SubscriptionStatus::Trialing } else { SubscriptionStatus::Active };
                Self { status, pause: None, due_at: Some(self.period.until), ..this }
            }
            // What was paid is over: a new period begins, and with it the calendar.
            SubscriptionStatus::Paused => Self {
                status: SubscriptionStatus::PastDue,
                pause: None,
                starts_at: now,
                base: self.asked,
                tries: 0,
                due_at: Some(now),
                ..this
            },
            SubscriptionStatus::Unpaid => Self { status: SubscriptionStatus::PastDue, due_at: Some(now), ..this },
            _ if !self.cancel_at_period_end => return Ok(None),
            _ => this,
        };
        Ok(Some((resumed.changed(now), EventType::SubscriptionUpdated)))
    }

    fn pay_with(self, method: &PaymentMethodId, now: Timestamp) -> Option<Changed> {
        let is_owed = matches!(self.status, SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid) && self.renewal.is_none();
        if self.method == *method && !is_owed {
            return None;
        }
        let (status, due_at) = if is_owed { (SubscriptionStatus::PastDue, Some(now)) } else { (self.status, self.due_at) };
        let this = Self { method: method.clone(), status, due_at, ..self };
        Some((this.changed(now), EventType::SubscriptionUpdated))
    }
}

#[cfg(test)]
#[path = "subscription_change_tests.rs"]
mod tests;
