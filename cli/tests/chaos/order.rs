//! What is bought, and what may become of it.

use serde_json::{Value, json};

/// The price of everything here, in cents.
pub const PRICE: i64 = 1_500;

/// How it is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tender {
    Visa,
    Declined,
    TimeoutCharged,
    TimeoutNotCharged,
    Flaky,
    Slow,
    /// The customer has to act, and never does: the shopper calls it off.
    ThreeDs,
    /// No outside call.
    Cash,
}

impl Tender {
    /// Those that come to an end by themselves, and soon.
    pub const MIXED: [Self; 6] = [Self::Visa, Self::Declined, Self::TimeoutCharged, Self::TimeoutNotCharged, Self::Flaky, Self::Cash];

    fn method(self) -> Value {
        let token = match self {
            Self::Visa => "tok_visa",
            Self::Declined => "tok_declined",
            Self::TimeoutCharged => "tok_timeout_charged",
            Self::TimeoutNotCharged => "tok_timeout_not_charged",
            Self::Flaky => "tok_flaky",
            Self::Slow => "tok_slow",
            Self::ThreeDs => "tok_3ds",
            Self::Cash => return json!({"type": "custom", "name": "Cash"}),
        };
        json!({"type": "card", "token": token})
    }

    /// Whether money can be taken at all.
    pub const fn can_pay(self) -> bool {
        !matches!(self, Self::Declined | Self::ThreeDs)
    }
}

/// Places in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Places {
    /// So many, of a session without names.
    Some { session: &'static str, quantity: u32 },
    /// One by its name.
    Seat { session: &'static str, seat: String },
}

/// An order for some places.
#[derive(Debug, Clone)]
pub struct Order {
    pub tender: Tender,
    pub places: Places,
    /// How long it may wait to be begun, if not as long as usual, in seconds.
    pub expires_in: Option<u32>,
}

impl Order {
    /// One place of a session without names.
    pub const fn one(tender: Tender, session: &'static str) -> Self {
        Self { tender, places: Places::Some { session, quantity: 1 }, expires_in: None }
    }

    /// The session and how many of its places.
    pub fn wants(&self) -> (&'static str, u32) {
        match &self.places {
            Places::Some { session, quantity } => (session, *quantity),
            Places::Seat { session, .. } => (session, 1),
        }
    }

    /// What it costs, in cents.
    pub fn total(&self) -> i64 {
        PRICE * i64::from(self.wants().1)
    }

    /// The request's body.
    pub fn body(&self, callback_url: &str) -> Value {
        let line = match &self.places {
            Places::Some { session, quantity } => json!({"type": "session", "session": session, "quantity": quantity}),
            Places::Seat { session, seat } => json!({"type": "session", "session": session, "seats": [seat]}),
        };
        let mut body = json!({
            "currency": "usd",
            "lines": [line],
            "payment": {"methods": [self.tender.method()]},
            "callback_url": callback_url,
        });
        if let Some(seconds) = self.expires_in {
            body["expires_in"] = json!(seconds);
        }
        body
    }
}
