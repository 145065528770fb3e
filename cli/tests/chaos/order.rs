//! What is bought, and what may become of it.

use serde_json::{Value, json};

/// The price of everything here, in cents.
pub const PRICE: i64 = 1_500;
/// What the first of two methods pays, in cents.
const FIRST_PART: i64 = 600;

/// The customer who has a pack and a balance, and the pack.
pub const MEMBER: &str = "cus_chaos";
pub const PACK: &str = "bmb_chaos";

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
    /// Two cards, each authorised before either is captured.
    TwoCards,
    /// The second card is declined: the first is undone.
    SecondDeclined,
    /// The answer about the second card is lost.
    SecondLost,
    /// A card, and the rest over the counter.
    CardAndCash,
    /// With credits: no outside call.
    Credits,
    /// Out of a balance: no outside call.
    Balance,
    /// A card, and the rest out of a balance.
    CardAndBalance,
    /// A balance, and a card that is declined: what was held comes back.
    BalanceAndDeclined,
    /// Asked on the phone: yes, told twice.
    Push,
    /// Asked on the phone: no.
    PushRefused,
    /// A card, and the rest on the phone.
    CardAndPush,
    /// On the payment page.
    Hosted,
    /// On the payment page, with a second card when the first was declined.
    HostedTwice,
    /// On the payment page: a phone that says no, then one that says yes.
    HostedByPhone,
}

impl Tender {
    /// Those that come to an end by themselves, and soon.
    pub const MIXED: [Self; 20] = [
        Self::Visa,
        Self::Declined,
        Self::TimeoutCharged,
        Self::TimeoutNotCharged,
        Self::Flaky,
        Self::Cash,
        Self::TwoCards,
        Self::SecondDeclined,
        Self::SecondLost,
        Self::CardAndCash,
        Self::Credits,
        Self::Balance,
        Self::CardAndBalance,
        Self::BalanceAndDeclined,
        Self::Push,
        Self::PushRefused,
        Self::CardAndPush,
        Self::Hosted,
        Self::HostedTwice,
        Self::HostedByPhone,
    ];

    fn methods(self) -> Value {
        let card = |token: &str| json!({"type": "card", "token": token});
        let first = json!({"type": "card", "token": "tok_visa", "amount": FIRST_PART});
        let phone = |number: &str| json!({"type": "mobile_money", "provider": "m17", "phone": number});
        let cash = || json!({"type": "custom", "name": "Cash"});
        let token = match self {
            Self::Visa => "tok_visa",
            Self::Declined => "tok_declined",
            Self::TimeoutCharged => "tok_timeout_charged",
            Self::TimeoutNotCharged => "tok_timeout_not_charged",
            Self::Flaky => "tok_flaky",
            Self::Slow => "tok_slow",
            Self::ThreeDs => "tok_3ds",
            Self::Cash => return json!([cash()]),
            Self::TwoCards => return json!([first, card("tok_visa")]),
            Self::SecondDeclined => return json!([first, card("tok_declined")]),
            Self::SecondLost => return json!([first, card("tok_timeout_charged")]),
            Self::CardAndCash => return json!([first, cash()]),
            Self::Credits => return json!([{"type": "membership", "bought_membership": PACK}]),
            Self::Balance => return json!([{"type": "balance"}]),
            Self::CardAndBalance => return json!([first, {"type": "balance"}]),
            Self::BalanceAndDeclined => return json!([{"type": "balance", "amount": FIRST_PART}, card("tok_declined")]),
            Self::Push => return json!([phone("+23270000005")]),
            Self::PushRefused => return json!([phone("+23270000002")]),
            Self::CardAndPush => return json!([first, phone("+23270000005")]),
            Self::Hosted | Self::HostedTwice | Self::HostedByPhone => return json!(null),
        };
        json!([card(token)])
    }

    /// How many cards are charged at the most.
    pub const fn cards(self) -> usize {
        match self {
            Self::Cash | Self::Credits | Self::Balance => 0,
            Self::TwoCards | Self::SecondDeclined | Self::SecondLost | Self::CardAndPush => 2,
            _ => 1,
        }
    }

    /// The cards, or the phones, that the customer tries on the page.
    pub const fn on_the_page(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Hosted => Some(&["tok_visa"]),
            Self::HostedTwice => Some(&["tok_declined", "tok_visa"]),
            Self::HostedByPhone => Some(&["+23270000002", "+23270000005"]),
            _ => None,
        }
    }

    /// Whether a card of it is declined, and nothing else is tried.
    pub const fn is_declined(self) -> bool {
        matches!(self, Self::Declined | Self::SecondDeclined | Self::BalanceAndDeclined | Self::PushRefused)
    }

    /// The code with which a checkout ends that was declined.
    pub const fn no(self) -> &'static str {
        if matches!(self, Self::PushRefused) { "payment_failed" } else { "card_declined" }
    }

    /// Whether money can be taken at all.
    pub const fn can_pay(self) -> bool {
        !(self.is_declined() || matches!(self, Self::ThreeDs))
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

    /// What of the total, and of what went back of it, is the cards'. The last method gives back first.
    pub fn by_card(&self, total: i64, refunded: i64) -> i64 {
        match self.tender {
            Tender::Cash | Tender::Credits | Tender::Balance => 0,
            Tender::CardAndCash | Tender::CardAndBalance => FIRST_PART - (refunded - (total - FIRST_PART)).max(0),
            _ => total - refunded,
        }
    }

    /// The same of the balance.
    pub fn by_balance(&self, total: i64, refunded: i64) -> i64 {
        match self.tender {
            Tender::Balance | Tender::CardAndBalance => total - refunded - self.by_card(total, refunded),
            _ => 0,
        }
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
            "payment": match self.tender.on_the_page() {
                Some(_) => json!({"hosted": {}}),
                None => json!({"methods": self.tender.methods()}),
            },
            "callback_url": callback_url,
        });
        if matches!(self.tender, Tender::Credits | Tender::Balance | Tender::CardAndBalance | Tender::BalanceAndDeclined) {
            body["customer"] = json!(MEMBER);
        }
        if let Some(seconds) = self.expires_in {
            body["expires_in"] = json!(seconds);
        }
        body
    }
}
