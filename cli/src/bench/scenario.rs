//! What is bought, and what must be true when everybody has gone home.

use super::{
    client::{Answer, Connection, Origin, Question},
    error::BenchError,
    tally::Tally,
};
use clap::ValueEnum;
use futures::{StreamExt, TryStreamExt, stream};
use http::{Method, StatusCode};
use hyper::body::Bytes;
use rand::{Rng, rngs::SmallRng};
use serde::Deserialize;
use serde_json::json;
use std::sync::{Mutex, PoisonError};

/// Seats a named session has, rows A to Y of 40.
const NAMED_SEATS: u32 = 1_000;
const SEATS_A_ROW: u32 = 40;
const HOT_SEATS: u32 = 5_000;
const HOT_BUYERS: u64 = 50_000;
const REFUNDS: u64 = 10_000;
/// The most that a pack may have.
const CREDITS: u32 = 100_000;
/// The most that a balance may have, in cents.
const GIFT: i64 = 1_000_000_000_000;
/// The most that a session may have: with 100 of them, nothing but `hot` and `seats` sells out before ten million sales.
const PLENTY: u32 = 100_000;
/// Where the payment page sends its customers on to; nobody goes there.
const SHOP: &str = "https://shop.example";
/// Sessions prepared or checked at once.
const AT_ONCE: usize = 16;

/// The loads that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// One seat by card, in one of 100 sessions.
    Card,
    /// One seat by card, in one of 10,000 sessions.
    Spread,
    /// 50,000 buyers for the 5,000 seats of one session.
    Hot,
    /// Two named seats, picked at random in one of 100 sessions of 1,000.
    Seats,
    /// As card, and one in ten is sent twice with its key.
    Replay,
    /// As card, with a card that is declined.
    Declined,
    /// A session that costs nothing.
    Free,
    /// Paid at the counter.
    Custom,
    /// As card, and a third of it is paid at the counter.
    Split,
    /// As card, with two cards: both are authorised before either is captured.
    TwoCards,
    /// One seat for a credit of a pack, one pack a session.
    Credits,
    /// One seat out of a balance, one customer a session.
    Balance,
    /// One seat by the saved card of a customer, one customer a session.
    Saved,
    /// The same through Momence's API, whose one answer is the end of it; without a key, so that each call is one with a lost one before.
    Momence,
    /// The customer opens the payment page and sends its form.
    Hosted,
    /// Sales by card that were made before (10,000 unless --count says) are given back whole.
    Refund,
    /// New sales by card at --rate, while a session that sold 10,000 (unless --count says) is called off and paid back.
    Drain,
    /// 80 % card, 10 % declined, 5 % free, 5 % at the counter.
    Mix,
}

impl Kind {
    /// How many checkouts belong to the scenario by its nature.
    pub(super) fn default_count(self) -> Option<u64> {
        match self {
            Self::Hot => Some(HOT_BUYERS),
            Self::Refund | Self::Drain => Some(REFUNDS),
            _ => None,
        }
    }

    fn sessions(self) -> u32 {
        match self {
            Self::Hot => 1,
            Self::Spread => 10_000,
            _ => 100,
        }
    }

    /// Whether each of its sessions has a customer, who pays.
    fn has_members(self) -> bool {
        matches!(self, Self::Credits | Self::Balance | Self::Saved | Self::Momence)
    }

    fn seats_an_order(self) -> u64 {
        if self == Self::Seats { 2 } else { 1 }
    }
}

/// How one order is paid.
#[derive(Debug, Clone, Copy)]
enum Tender {
    Card,
    Declined,
    Free,
    Custom,
    CardAndCustom,
    TwoCards,
    Credits,
    Balance,
    Saved,
}

impl Tender {
    /// Its methods; a pack is named by its session.
    fn json(self) -> &'static str {
        match self {
            Self::Card => r#"{"type":"card","token":"tok_visa"}"#,
            Self::Declined => r#"{"type":"card","token":"tok_declined"}"#,
            Self::Free => r#"{"type":"free"}"#,
            Self::Custom => r#"{"type":"custom","name":"Cash"}"#,
            Self::CardAndCustom => r#"{"type":"custom","name":"Cash","amount":500},{"type":"card","token":"tok_visa"}"#,
            Self::TwoCards => r#"{"type":"card","token":"tok_visa","amount":500},{"type":"card","token":"tok_visa"}"#,
            Self::Credits => r#"{"type":"membership","bought_membership":"{session}-pack"}"#,
            Self::Balance => r#"{"type":"balance"}"#,
            Self::Saved => r#"{"type":"saved_method","id":"{session}"}"#,
        }
    }
}

/// What a buyer does next.
#[derive(Debug, Clone)]
pub(super) enum Turn {
    /// Buys.
    Buy(Order),
    /// Gives this sale back.
    GiveBack {
        /// The checkout.
        checkout: String,
        /// The refund's idempotency key.
        key: String,
    },
}

/// One checkout to submit.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) key: String,
    pub(super) body: Bytes,
    pub(super) sent_twice: bool,
    /// Whether the answer waits for the end.
    pub(super) is_synchronous: bool,
}

/// Something that must hold after a run.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Check {
    pub(super) what: String,
    pub(super) holds: bool,
}

/// A load with sessions of its own.
#[derive(Debug)]
pub(super) struct Scenario {
    kind: Kind,
    /// Unique to a run and its phase: begins every id and key.
    name: String,
    /// What was sold before, to be given back.
    sold: Mutex<Vec<String>>,
    remembers: bool,
    sessions: u32,
    /// Tells its keys from those of another load on the same sessions.
    round: u32,
}

#[derive(Deserialize)]
struct Availability {
    sold: u64,
    held: u64,
}

impl Scenario {
    /// `name` must be unique to this run and phase.
    pub(super) fn new(kind: Kind, name: String) -> Self {
        Self { kind, name, sold: Mutex::default(), remembers: false, sessions: kind.sessions(), round: 0 }
    }

    /// Whether it needs sales that were made before.
    pub(super) fn gives_back(&self) -> bool {
        self.kind == Kind::Refund
    }

    /// The sales that it needs: by card, in its own sessions, and remembered.
    pub(super) fn sales(&self) -> Self {
        Self { remembers: true, ..Self::new(Kind::Card, self.name.clone()) }
    }

    /// One session by card that is to be called off.
    pub(super) fn called_off(&self) -> Self {
        Self { sessions: 1, ..Self::new(Kind::Card, format!("{}-off", self.name)) }
    }

    /// The same sessions once more, under other keys.
    pub(super) fn again(&self) -> Self {
        Self { round: self.round + 1, sessions: self.sessions, ..Self::new(self.kind, self.name.clone()) }
    }

    /// Whether its customers pay on a page.
    pub(super) fn is_hosted(&self) -> bool {
        self.kind == Kind::Hosted
    }

    /// Whether its sales are to be remembered.
    pub(super) fn is_remembered(&self) -> bool {
        self.remembers
    }

    /// Remembers a sale.
    pub(super) fn remember(&self, checkout: String) {
        self.sold.lock().unwrap_or_else(PoisonError::into_inner).push(checkout);
    }

    /// Hands over what was sold.
    pub(super) fn hand_over(&self, to: &Self) {
        let mut sold = self.sold.lock().unwrap_or_else(PoisonError::into_inner);
        to.sold.lock().unwrap_or_else(PoisonError::into_inner).append(&mut sold);
    }

    /// The `number`-th turn. `None`: nothing is left to be given back.
    pub(super) fn turn(&self, number: u64, rng: &mut SmallRng) -> Option<Turn> {
        if !self.gives_back() {
            return Some(Turn::Buy(self.order(number, rng)));
        }
        let checkout = self.sold.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Turn::GiveBack { key: format!("{checkout}-back"), checkout })
    }

    /// Creates its sessions.
    pub(super) async fn prepare(&self, origin: &Origin) -> Result<(), BenchError> {
        if self.kind == Kind::Credits {
            self.create_membership(origin).await?;
        }
        let per_connection = self.sessions.div_ceil(AT_ONCE as u32).max(1);
        let ranges = (0..self.sessions).step_by(per_connection as usize);
        let ranges = ranges.map(|first| first..(first + per_connection).min(self.sessions));
        let each = |range: std::ops::Range<u32>| async move {
            let mut connection = Connection::new(origin.clone());
            for number in range {
                self.create_session(&mut connection, number).await?;
            }
            Ok::<(), BenchError>(())
        };
        stream::iter(ranges.map(each)).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
    }

    async fn create_session(&self, connection: &mut Connection, number: u32) -> Result<(), BenchError> {
        let id = self.session(number);
        let path = format!("/v1/sessions/{id}");
        put(connection, Question::new(Method::PUT, &path, self.session_body(number))).await?;
        if !self.kind.has_members() {
            return Ok(());
        }
        let member = format!("/v1/customers/{id}-member");
        put(connection, Question::new(Method::PUT, &member, json!({"external_id": id}).to_string())).await?;
        if matches!(self.kind, Kind::Saved | Kind::Momence) {
            let card = json!({"type": "card", "token": "tok_visa", "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2060});
            let path = format!("{member}/payment-methods/{id}");
            return put(connection, Question::new(Method::PUT, &path, card.to_string())).await.map(drop);
        }
        if self.kind == Kind::Balance {
            let gift = json!({"amount": GIFT, "currency": "usd", "reason": "gift"}).to_string();
            let path = format!("{member}/balance-adjustments");
            return put(connection, Question { header: Some(("idempotency-key", &id)), ..Question::new(Method::POST, &path, gift) })
                .await
                .map(drop);
        }
        let pack = json!({"membership": self.membership(), "credits": CREDITS}).to_string();
        put(connection, Question::new(Method::PUT, &format!("{member}/bought-memberships/{id}-pack"), pack)).await.map(drop)
    }

    /// The packs that pay here.
    fn membership(&self) -> String {
        format!("{}-packs", self.name)
    }

    async fn create_membership(&self, origin: &Origin) -> Result<(), BenchError> {
        let (path, body) = (
            format!("/v1/memberships/{}", self.membership()),
            json!({"name": "Bench pack", "unit_amount": 1500, "currency": "usd", "type": "pack", "credits": CREDITS}).to_string(),
        );
        put(&mut Connection::new(origin.clone()), Question::new(Method::PUT, &path, body)).await.map(drop)
    }

    fn session_body(&self, number: u32) -> String {
        let mut session = json!({
            "name": format!("Bench {number}"), "starts_at": "2099-01-01T20:00:00Z", "unit_amount": 1500, "currency": "usd",
        });
        if let Some(fields) = session.as_object_mut() {
            match self.kind {
                Kind::Seats => fields.insert("seats".to_owned(), (0..NAMED_SEATS).map(seat).collect()),
                Kind::Hot => fields.insert("capacity".to_owned(), HOT_SEATS.into()),
                _ => fields.insert("capacity".to_owned(), PLENTY.into()),
            };
            if self.kind == Kind::Credits {
                fields.insert("compatible_memberships".to_owned(), json!([self.membership()]));
            }
            if self.is_free(number) {
                fields.insert("unit_amount".to_owned(), 0.into());
            }
        }
        session.to_string()
    }

    /// In a mix, one session in twenty costs nothing.
    fn is_free(&self, number: u32) -> bool {
        self.kind == Kind::Free || self.kind == Kind::Mix && number.is_multiple_of(20)
    }

    /// The id of its `number`-th session: of digits alone where clients know only numbers.
    pub(super) fn session(&self, number: u32) -> String {
        match self.kind {
            // No number begins with a zero, and none of theirs is longer than 15 digits.
            Kind::Momence => format!("1{}{number:04}", self.name.trim_start_matches(|letter: char| !letter.is_ascii_digit())),
            _ => format!("{}-{number}", self.name),
        }
    }

    /// The `number`-th checkout.
    pub(super) fn order(&self, number: u64, rng: &mut SmallRng) -> Order {
        let session = rng.random_range(0..self.sessions);
        let tender = self.tender(session, rng);
        let what = match self.kind {
            Kind::Seats => {
                let first = rng.random_range(0..NAMED_SEATS);
                let second = (first + rng.random_range(1..NAMED_SEATS)) % NAMED_SEATS;
                format!(r#""seats":["{}","{}"]"#, seat(first), seat(second))
            }
            _ => r#""quantity":1"#.to_owned(),
        };
        let id = self.session(session);
        let customer = if self.kind.has_members() { format!(r#""customer":"{id}-member","#) } else { String::new() };
        let payment = match self.kind {
            Kind::Hosted => format!(r#"{{"hosted":{{}}}},"success_url":"{SHOP}/thanks","cancel_url":"{SHOP}/cart""#),
            _ => format!(r#"{{"methods":[{}]}}"#, tender.json().replace("{session}", &id)),
        };
        let body = format!(r#"{{{customer}"currency":"usd","lines":[{{"type":"session","session":"{id}",{what}}}],"payment":{payment}}}"#);
        let sent_twice = self.kind == Kind::Replay && rng.random_ratio(1, 10);
        let key = format!("{}-{}-{number}", self.name, self.round);
        let is_synchronous = self.kind == Kind::Momence;
        let body = if is_synchronous { at_momence(&id, &key) } else { body };
        Order { key, body: body.into(), sent_twice, is_synchronous }
    }

    fn tender(&self, session: u32, rng: &mut SmallRng) -> Tender {
        match self.kind {
            Kind::Declined => Tender::Declined,
            Kind::Custom => Tender::Custom,
            Kind::Split => Tender::CardAndCustom,
            Kind::TwoCards => Tender::TwoCards,
            Kind::Credits => Tender::Credits,
            Kind::Balance => Tender::Balance,
            Kind::Saved => Tender::Saved,
            _ if self.is_free(session) => Tender::Free,
            Kind::Mix => match rng.random_range(0..95) {
                0..80 => Tender::Card,
                80..90 => Tender::Declined,
                _ => Tender::Custom,
            },
            _ => Tender::Card,
        }
    }

    /// Compares what buyers were told with what the store says.
    pub(super) async fn check(&self, origin: &Origin, tally: &Tally, asked: u64) -> Result<Vec<Check>, BenchError> {
        let succeeded = tally.in_status("succeeded");
        let (sold, held) = self.sold_and_held(origin).await?;
        // What was given back is sold no more.
        let told = if self.gives_back() { 0 } else { succeeded * self.kind.seats_an_order() };
        // A buyer who lost sight of a checkout does not know whether it was sold.
        let unknown = tally.failed_to_end() * self.kind.seats_an_order();
        let mut checks = vec![
            Check { what: format!("{sold} seats sold, {told} promised to buyers"), holds: (told..=told + unknown).contains(&sold) },
            Check { what: format!("{held} seats still held"), holds: held == 0 },
        ];
        if self.kind == Kind::Hot {
            let wanted = asked.min(u64::from(HOT_SEATS));
            checks.push(Check { what: format!("exactly {wanted} of {HOT_SEATS} seats sold to {asked} buyers"), holds: sold == wanted });
        }
        Ok(checks)
    }

    /// Of all its sessions together.
    pub(super) async fn sold_and_held(&self, origin: &Origin) -> Result<(u64, u64), BenchError> {
        let each = |number: u32| async move {
            let path = format!("/v1/sessions/{}/availability", self.session(number));
            let asked = |fault| BenchError::Api { what: path.clone(), fault };
            let answer = Connection::new(origin.clone()).ask(Question::get(&path)).await.map_err(asked)?;
            serde_json::from_slice::<Availability>(&answer.body).map_err(|_| asked(answer.unexpected()))
        };
        let all: Vec<Availability> = stream::iter((0..self.sessions).map(each)).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(all.iter().fold((0, 0), |(sold, held), one| (sold + one.sold, held + one.held)))
    }
}

/// Creates or sets something, and says what was answered.
pub(super) async fn put(connection: &mut Connection, question: Question<'_>) -> Result<Answer, BenchError> {
    let what = format!("creating {}", question.path);
    match connection.ask(question).await {
        Ok(answer) if matches!(answer.status, StatusCode::OK | StatusCode::CREATED) => Ok(answer),
        Ok(answer) => Err(BenchError::Api { what, fault: answer.unexpected() }),
        Err(fault) => Err(BenchError::Api { what, fault }),
    }
}

/// A checkout of one place as Momence's clients send it. `note` tells it from all others, so that none is one with another.
fn at_momence(id: &str, note: &str) -> String {
    format!(
        r#"{{"memberId":{id},"items":[{{"id":"{note}","type":"session","sessionId":{id},"attemptedPriceInCurrency":"15.00"}}],"paymentMethods":[{{"id":"1","type":"saved_payment_method","savedPaymentMethodId":{id}}}]}}"#
    )
}

/// The name of a seat: A1 … Y40.
fn seat(number: u32) -> String {
    let row = char::from_u32(u32::from('A') + number / SEATS_A_ROW).unwrap_or('Z');
    format!("{row}{}", number % SEATS_A_ROW + 1)
}
