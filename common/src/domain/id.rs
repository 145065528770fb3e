//! Ids: how they look, and the one source that makes them.

use super::time::Timestamp;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The one source of randomness: ids, lease tokens, jitter. Seeded, so that a run can be repeated.
#[derive(Debug)]
pub struct Entropy(Mutex<Source>);

#[derive(Debug)]
struct Source {
    rng: StdRng,
    /// The millisecond of the newest id, and its place within it.
    newest: (u64, u16),
}

impl Source {
    /// The 12 bits behind the time: they count within a millisecond, from a random number in the lower half.
    fn place_in(&mut self, ms: u64) -> u16 {
        let (newest, place) = self.newest;
        let place = if ms == newest { (place + 1) & 0xfff } else { (self.rng.next_u32() & 0x7ff) as u16 };
        self.newest = (ms, place);
        place
    }
}

impl Entropy {
    /// Seeded by the operating system.
    pub fn from_os() -> Self {
        Self::from_rng(StdRng::from_os_rng())
    }

    /// The same numbers in the same order for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        Self::from_rng(StdRng::seed_from_u64(seed))
    }

    fn from_rng(rng: StdRng) -> Self {
        Self(Mutex::new(Source { rng, newest: (0, 0) }))
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next 64 random bits.
    pub fn next_u64(&self) -> u64 {
        self.source().rng.next_u64()
    }

    /// Fills `bytes` at random.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.source().rng.fill_bytes(bytes);
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A UUIDv7 (RFC 9562) of `now`, as 26 characters of lower-case Crockford base 32: ids sort by when they were made, and those
    /// of one millisecond (2,048 of them at the least) in the order in which they were made here. A list that is sorted by id
    /// then shows what a client did one after the other in that order.
    pub fn ulid(&self, now: Timestamp) -> String {
        let ms = u64::try_from(now.millis()).unwrap_or(0);
        let mut random = [0u8; 10];
        let mut source = self.source();
        source.rng.fill_bytes(&mut random);
        let [high, low] = source.place_in(ms).to_be_bytes();
        drop(source);
        let [first, second, ..] = &mut random;
        (*first, *second) = (high, low);
        crockford(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid().as_u128())
    }
}

/// What the ids of `prefix` that were made at `at` or later are not below, and earlier ones are.
pub fn lowest(prefix: &str, at: Timestamp) -> String {
    let ms = u64::try_from(at.millis()).unwrap_or(0);
    format!("{prefix}_{}", crockford(u128::from(ms) << 80))
}

fn crockford(mut value: u128) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut text = [b'0'; 26];
    for slot in text.iter_mut().rev() {
        *slot = DIGITS.get((value & 31) as usize).copied().unwrap_or(b'0');
        value >>= 5;
    }
    text.iter().map(|&byte| char::from(byte)).collect()
}

/// Why a text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 1 to 64 of A-Z a-z 0-9 _ -")]
pub struct BadId;

fn check(text: &str) -> Result<(), BadId> {
    let fits = (1..=64).contains(&text.len());
    if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') { Ok(()) } else { Err(BadId) }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
        pub struct $name(String);

        impl $name {
            /// What ids of this kind begin with when we make them.
            pub const PREFIX: &'static str = $prefix;

            /// A new one, sorted by `now`.
            pub fn generate(entropy: &Entropy, now: Timestamp) -> Self {
                Self(format!(concat!($prefix, "_{}"), entropy.ulid(now)))
            }

            /// Checks the characters and the length: `[A-Za-z0-9_-]{1,64}`.
            pub fn parse(text: impl Into<String>) -> Result<Self, BadId> {
                let text = text.into();
                check(&text).map(|()| Self(text))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    )*};
}

ids! {
    /// A checkout.
    CheckoutId "chk";
    /// An account that a tenant has with a payment provider.
    ProviderAccountId "pac";
    /// A dispute of a charge.
    DisputeId "dsp";
    /// A payment attempt: a request that moves money.
    AttemptId "pat";
    /// A line of a checkout.
    LineId "li";
    /// A customer; ours when made by us, else the client's own.
    CustomerId "cus";
    /// Anything in the catalogue: a session, a product, a plan, a membership, a promo code. The client's own.
    CatalogueId "cat";
    /// An event.
    EventId "evt";
    /// A delivery of an event to one address.
    DeliveryId "dlv";
    /// A ledger transaction.
    LedgerId "ltx";
    /// A webhook endpoint; the client's own.
    EndpointId "whe";
    /// An API key's public id.
    KeyId "key";
    /// A refund.
    RefundId "ref";
    /// A ticket: made of its checkout's id, its line and its place, see `ticket::id_of`.
    TicketId "tkt";
    /// A membership that a customer has; ours when it was bought here, else the client's own.
    BoughtMembershipId "bmb";
    /// A payment method that a customer has saved; the client's own.
    PaymentMethodId "pm";
    /// Money that a customer has authorised at a provider; the provider's own.
    PaymentIntentId "pi";
    /// An entry of a waiting list.
    WaitingId "wle";
    /// What a provider told us.
    ProviderEventId "pev";
    /// A job.
    JobId "job";
    /// A change of a customer's balance by hand.
    AdjustmentId "adj";
    /// A subscription: made of the line that sold it.
    SubscriptionId "sub";
    /// A space: a part of a tenant whose checkouts stand apart. The client's own.
    SpaceId "spc";
}

impl SubscriptionId {
    /// The id of what a line starts: told with the checkout, before it is there.
    pub fn sold_by(line: &LineId) -> Self {
        Self(format!("{}_{}", Self::PREFIX, line.0.strip_prefix("li_").unwrap_or(&line.0)))
    }
}

impl PaymentMethodId {
    /// The id of the method that a checkout leaves with its customer.
    pub fn left_by(checkout: &CheckoutId) -> Self {
        Self(format!("{}_{}", Self::PREFIX, checkout.0.strip_prefix("chk_").unwrap_or(&checkout.0)))
    }
}

impl BoughtMembershipId {
    /// The id of what a line sells: told with the checkout, before it is there.
    pub fn sold_by(line: &LineId) -> Self {
        Self(format!("{}_{}", Self::PREFIX, line.0.strip_prefix("li_").unwrap_or(&line.0)))
    }

    /// Whether it looks like one that we made. Nobody else may use such an id for something new: it may be promised to a checkout.
    pub fn is_ours(&self) -> bool {
        let made = self.0.strip_prefix("bmb_").filter(|made| made.len() == 26);
        made.is_some_and(|made| made.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()))
    }

    /// As the store's counters name it.
    pub fn in_stock(&self) -> CatalogueId {
        CatalogueId(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_when_they_were_made_and_leave_room_for_an_attempt_key() {
        let entropy = Entropy::from_seed(1);
        let early = CheckoutId::generate(&entropy, Timestamp::from_millis(1_000));
        let late = CheckoutId::generate(&entropy, Timestamp::from_millis(2_000));
        assert!(early < late);
        assert_eq!(early.as_str().len(), 30);
        assert!(CheckoutId::parse(early.as_str()).is_ok());
    }

    #[test]
    fn ids_of_one_millisecond_sort_in_the_order_in_which_they_were_made() {
        for seed in 0..20 {
            let entropy = Entropy::from_seed(seed);
            let now = Timestamp::from_millis(1_000);
            let made: Vec<DeliveryId> = (0..2_000).map(|_| DeliveryId::generate(&entropy, now)).collect();
            assert!(made.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}");
            // A clock that is set back makes ids of its own time.
            assert!(DeliveryId::generate(&entropy, Timestamp::from_millis(999)) < made[0]);
        }
    }

    #[test]
    fn a_time_parts_the_ids_made_before_it_from_those_made_since() {
        let entropy = Entropy::from_seed(1);
        for ms in [0, 1_000, 1_900_000_000_123, 253_402_300_799_999] {
            let at = Timestamp::from_millis(ms);
            let bound = lowest(LedgerId::PREFIX, at);
            assert!(LedgerId::generate(&entropy, at).as_str() >= bound.as_str(), "{ms}");
            assert!(ms == 0 || LedgerId::generate(&entropy, Timestamp::from_millis(ms - 1)).as_str() < bound.as_str(), "{ms}");
        }
        assert_eq!(lowest("ltx", Timestamp::from_millis(-5)), lowest("ltx", Timestamp::from_millis(0)));
    }

    #[test]
    fn the_id_of_what_a_line_sells_is_ours_and_the_clients_own_are_not() {
        let line = LineId::generate(&Entropy::from_seed(1), Timestamp::from_millis(1_000));
        let sold = BoughtMembershipId::sold_by(&line);
        assert!(sold.is_ours() && sold.as_str().starts_with("bmb_") && sold.in_stock().as_str() == sold.as_str());
        for theirs in ["bmb_demo_ada", "bmb_", "ours", "BMB_0123456789abcdefghjkmnpqrs"] {
            assert!(!BoughtMembershipId::parse(theirs).unwrap().is_ours(), "{theirs}");
        }
    }

    #[test]
    fn an_id_with_other_characters_is_refused() {
        for bad in ["", "a b", "a/b", "é", &"x".repeat(65)] {
            assert_eq!(CheckoutId::parse(bad), Err(BadId), "{bad}");
        }
    }
}
