//! Times and declines as people read them.

use boxoffice_common::domain::{
    error::{Code, CodedError},
    hosted::TAKEN_BACK,
    line::{Item, Line},
    money::Currency,
    time::Timestamp,
    time_zone::TimeZone,
};

/// Seats, or how many at which price; nothing for one of a thing.
pub(super) fn detail(currency: Currency, line: &Line) -> Option<String> {
    let each = currency.told(line.unit_amount);
    match &line.item {
        Item::Session { seats, .. } if !seats.is_empty() => {
            let word = if seats.len() == 1 { "Seat" } else { "Seats" };
            Some(format!("{word} {} · {each} each", seats.join(", ")))
        }
        _ if line.quantity > 1 => Some(format!("{} × {each}", line.quantity)),
        _ => None,
    }
}

/// A deadline: by the clock where the shop is, for a machine, and how far off it is.
pub(super) struct Deadline {
    pub(super) machine: String,
    pub(super) clock: String,
    pub(super) words: String,
    pub(super) seconds: u64,
}

impl Deadline {
    pub(super) fn new(at: Timestamp, now: Timestamp, zone: &TimeZone) -> Self {
        let (local, today) = (zone.local(at), zone.local(now));
        let time = format!("{:02}:{:02}", local.hour(), local.minute());
        let time = match zone.name() {
            "UTC" => format!("{time} UTC"),
            // `Europe/Berlin` is Berlin to those who live there.
            name => format!("{time}, {} time", name.rsplit('/').next().unwrap_or(name).replace('_', " ")),
        };
        let clock = if local.date() == today.date() { time } else { format!("{} {}, {time}", local.day(), local.month()) };
        let seconds = at.since(now).as_secs();
        let plural = |count: u64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
        let words = match (seconds / 3600, seconds / 60) {
            (_, 0) => "in less than a minute".to_owned(),
            (0, minutes) => format!("in {}", plural(minutes, "minute")),
            (hours, minutes) => format!("in {} {}", plural(hours, "hour"), plural(minutes % 60, "minute")),
        };
        Self { machine: at.to_rfc3339(), clock, words, seconds }
    }
}

/// What came of it when the customer was asked on the phone, or on the page of a bank or a wallet.
fn no_of_push(decline_code: Option<&str>) -> &'static str {
    match decline_code {
        Some(TAKEN_BACK) => "The question was taken back, and nothing was charged. Choose another way to pay.",
        Some("customer_refused") => "The payment was refused on the phone. Nothing was charged. Try again, or pay in another way.",
        Some("insufficient_funds") => "There is not enough money in this account. Nothing was charged. Pay in another way.",
        Some("authentication_failed") => "The payment was not confirmed. Nothing was charged. Try again, or pay in another way.",
        Some("timed_out") => {
            "Nobody answered on the phone in time. Nothing was charged. Check the number and try again, or pay in another way."
        }
        _ => "The payment was refused. Nothing was charged. Try again, or pay in another way.",
    }
}

/// What is above that.
pub(super) fn heading_of_no(error: &CodedError) -> &'static str {
    match error.decline_code.as_deref() {
        Some(TAKEN_BACK) => "You are no longer asked",
        _ => "The payment did not go through",
    }
}

/// Why the last try did not pay, and what to do.
pub(super) fn no(error: &CodedError) -> &'static str {
    match (error.code, error.decline_code.as_deref()) {
        (Code::ProviderUnavailable, _) => "The payment service could not be reached, and nothing was charged. Try again.",
        (Code::PaymentFailed, code) => no_of_push(code),
        (_, Some("insufficient_funds")) => "There is not enough money on this card. Nothing was charged. Try another card.",
        (_, Some("expired_card")) => "This card has expired. Nothing was charged. Try another card.",
        (_, Some("authentication_failed")) => {
            "The payment was not confirmed at the bank. Nothing was charged. Try again, or with another card."
        }
        (_, Some("invalid_token")) => "This is not a card that the payment service knows. Nothing was charged. Try another card.",
        _ => "The card was declined. Nothing was charged. Try another card.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_told_where_the_shop_is() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let told = |by, now, zone: &str| {
            let deadline = Deadline::new(at(by), at(now), &TimeZone::parse(zone).unwrap());
            format!("{} {}", deadline.clock, deadline.words)
        };
        assert_eq!(told("2030-01-01T14:32:00Z", "2030-01-01T14:19:30Z", "UTC"), "14:32 UTC in 12 minutes");
        assert_eq!(told("2030-01-01T14:32:00Z", "2030-01-01T14:31:30Z", "UTC"), "14:32 UTC in less than a minute");
        assert_eq!(
            told("2030-01-01T23:10:00Z", "2030-01-01T22:09:00Z", "Europe/Berlin"),
            "2 January, 00:10, Berlin time in 1 hour 1 minute"
        );
        assert_eq!(
            told("2030-01-02T14:32:00Z", "2030-01-01T15:32:00Z", "America/New_York"),
            "2 January, 09:32, New York time in 23 hours 0 minutes"
        );
    }
}
