//! Stripe's objects as far as we use them. Whatever else stands in an answer may be missing, new or of another type: an answer about money
//! must not become unknown because of a field that nobody reads.
//!
//! Source: <https://docs.stripe.com/api>.

use super::{units, wire::is_plain_id};
use crate::domain::{
    attempt::Fee,
    money::{Amount, Currency},
    secret::Secret,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use std::collections::BTreeMap;

/// The keys of what we write into an object's metadata.
pub(super) mod key {
    /// The checkout.
    pub(in super::super) const REFERENCE: &str = "reference";
    /// The attempt's key.
    pub(in super::super) const KEY: &str = "key";
    /// Our account with Stripe, by our own id.
    pub(in super::super) const ACCOUNT: &str = "account";
    /// How the customer pays: see [`super::Via`].
    pub(in super::super) const VIA: &str = "via";
    /// Set where the card is kept.
    pub(in super::super) const KEEP: &str = "keep";
}

/// How a customer pays. It says who else can confirm the payment once more, and so when a refusal is an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// By a token, in our own request: nobody else has the payment's client secret.
    Token,
    /// By a token, and perhaps with a visit to the issuer's page. On the way back Stripe puts the client secret into the address.
    Visit,
    /// On Stripe's page, where the customer may try again until its session ends.
    Page,
}

impl Via {
    const ALL: [Self; 3] = [Self::Token, Self::Visit, Self::Page];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Visit => "visit",
            Self::Page => "page",
        }
    }
}

/// Reads what it can, and takes anything else for nothing.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// Reads a code, and takes anything else for none: it goes into the store, into callbacks and into the log as it is.
fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(lenient::<D, String>(deserializer)?.filter(|code| is_plain_id(code)))
}

/// An object that may stand there whole, or by its id.
#[derive(Debug, Clone)]
pub(super) enum Expandable<T> {
    Id(String),
    Whole(Box<T>),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Expandable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let read = if raw.starts_with('"') { serde_json::from_str(raw).map(Self::Id) } else { serde_json::from_str(raw).map(Self::Whole) };
        read.map_err(serde::de::Error::custom)
    }
}

impl<T> Expandable<T> {
    pub(super) fn whole(&self) -> Option<&T> {
        match self {
            Self::Id(_) => None,
            Self::Whole(object) => Some(object),
        }
    }
}

impl Expandable<IdOnly> {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Whole(object) => &object.id,
        }
    }
}

/// An object of which only the id matters.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct IdOnly {
    pub(super) id: String,
}

/// What we wrote into an object, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Metadata(BTreeMap<String, String>);

impl Metadata {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether it is of this checkout and key.
    pub(super) fn is_of(&self, reference: &str, key: &str) -> bool {
        self.get(key::REFERENCE) == Some(reference) && self.get(key::KEY) == Some(key)
    }

    /// Whether the card was to be kept.
    pub(super) fn keeps_card(&self) -> bool {
        self.get(key::KEEP).is_some()
    }

    pub(super) fn via(&self) -> Option<Via> {
        let text = self.get(key::VIA)?;
        Via::ALL.into_iter().find(|via| via.as_str() == text)
    }
}

/// A PaymentIntent.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) amount_received: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) amount_capturable: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) created: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) metadata: Option<Metadata>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) latest_charge: Option<Expandable<Charge>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) next_action: Option<Value>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) last_payment_error: Option<Problem>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) customer: Option<Expandable<IdOnly>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) payment_method: Option<Expandable<IdOnly>>,
}

/// The parts of a `next_action` that are an address to go to, the best first.
const ADDRESSES: [&str; 4] = ["url", "hosted_voucher_url", "hosted_instructions_url", "hosted_verification_url"];

impl Intent {
    pub(super) fn metadata(&self) -> &Metadata {
        static NONE: Metadata = Metadata(BTreeMap::new());
        self.metadata.as_ref().unwrap_or(&NONE)
    }

    /// Where the customer has to act, when that is an address.
    pub(super) fn action_url(&self) -> Option<&str> {
        let action = self.next_action.as_ref()?;
        let details = action.get(action.get("type")?.as_str()?)?;
        ADDRESSES
            .into_iter()
            .find_map(|name| details.get(name)?.as_str())
            .filter(|url| url.starts_with("https://") || url.starts_with("http://"))
    }

    /// What Stripe keeps of it, once that is known.
    pub(super) fn fee(&self) -> Option<Fee> {
        self.latest_charge.as_ref()?.whole()?.fee()
    }

    /// What the same card is charged with again.
    pub(super) fn reusable(&self) -> Option<String> {
        let (customer, method) = (self.customer.as_ref()?.id(), self.payment_method.as_ref()?.id());
        Some(format!("{customer}:{method}"))
    }
}

/// A charge, as far as it tells the fee, and whose it is.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Charge {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) payment_intent: Option<Expandable<IdOnly>>,
    /// As the payment's was when it was charged.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) metadata: Option<Metadata>,
    #[serde(default, deserialize_with = "lenient")]
    balance_transaction: Option<Expandable<BalanceTransaction>>,
}

impl Charge {
    /// Whether it stands in the balance, and with it what Stripe keeps.
    pub(super) fn is_booked(&self) -> bool {
        self.balance_transaction.is_some()
    }

    fn fee(&self) -> Option<Fee> {
        let transaction = self.balance_transaction.as_ref()?.whole()?;
        let currency = Currency::parse(&transaction.currency).ok()?;
        Some(Fee { amount: units::from_stripe(currency, transaction.fee)?, currency })
    }
}

#[derive(Debug, Clone, Deserialize)]
struct BalanceTransaction {
    fee: i64,
    currency: String,
}

/// A Checkout Session.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) payment_status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) client_secret: Option<Secret<String>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) amount_total: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) currency: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) payment_intent: Option<Expandable<Intent>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) metadata: Option<Metadata>,
}

impl Session {
    /// The id of its payment, once there is one.
    pub(super) fn intent_id(&self) -> Option<&str> {
        match self.payment_intent.as_ref()? {
            Expandable::Id(id) => Some(id),
            Expandable::Whole(intent) => Some(&intent.id),
        }
    }
}

/// A refund.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) status: Option<String>,
    #[serde(default, deserialize_with = "code")]
    pub(super) failure_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) created: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) metadata: Option<Metadata>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) payment_intent: Option<Expandable<IdOnly>>,
}

/// A bank's dispute of a payment.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Dispute {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) status: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) payment_intent: Option<Expandable<IdOnly>>,
}

/// A saved way to pay, and what a customer knows it by.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Method {
    pub(super) id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) card: Option<Card>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Card {
    pub(super) brand: String,
    pub(super) last4: String,
    pub(super) exp_month: u32,
    pub(super) exp_year: u32,
}

/// A page of a list, or of a search.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// The body of a refusal.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ProblemBody {
    pub(super) error: Problem,
}

/// What Stripe says of a refusal. Its own words are left where they are: they may quote what was sent.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "type", default, deserialize_with = "code")]
    pub(super) kind: Option<String>,
    #[serde(default, deserialize_with = "code")]
    pub(super) code: Option<String>,
    #[serde(default, deserialize_with = "code")]
    pub(super) decline_code: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) param: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) payment_intent: Option<Box<Intent>>,
}

impl Problem {
    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// The most exact of its codes: the issuer's reason, else the error's, else its type.
    pub(super) fn reason(&self) -> &str {
        let reason = self.decline_code.as_deref().or(self.code.as_deref()).or(self.kind.as_deref());
        reason.unwrap_or("generic_decline")
    }
}

/// An amount that Stripe echoes, in our units; `None` when the currency is none of ours or the amount cannot be counted.
pub(super) fn money(currency: &str, amount: i64) -> Option<(Amount, Currency)> {
    let currency = Currency::parse(currency).ok()?;
    Some((units::from_stripe(currency, amount)?, currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_may_be_anything() {
        let strange = r#"{"id":"pi_1","status":"a_new_status","amount":1500,"currency":"usd","amount_received":"many","metadata":[],
            "latest_charge":{"id":"ch_1","balance_transaction":{"fee":"none"}},"next_action":7,"last_payment_error":null,"customer":{},
            "payment_method":null,"object":"payment_intent","brand_new":{"deep":[1,2]}}"#;
        let intent: Intent = serde_json::from_str(strange).unwrap();
        assert_eq!((intent.status.as_str(), intent.amount, intent.amount_received), ("a_new_status", 1500, None));
        assert!(intent.fee().is_none() && intent.action_url().is_none() && intent.reusable().is_none());
        assert_eq!(intent.metadata(), &Metadata::default());
        for broken in [r#"{"id":"pi_1","status":"succeeded","amount":1500}"#, r#"{"status":"succeeded","amount":1500,"currency":"usd"}"#] {
            assert!(serde_json::from_str::<Intent>(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn the_parts_that_are_used_are_found() {
        let text = r#"{"id":"pi_1","status":"requires_action","amount":1500,"currency":"usd","amount_received":0,
            "metadata":{"reference":"chk_1","key":"chk_1_1","via":"visit"},"customer":{"id":"cus_1","object":"customer"},
            "payment_method":"pm_1","next_action":{"type":"redirect_to_url","redirect_to_url":{"return_url":"https://shop.example/",
            "url":"https://hooks.stripe.com/3d_secure_2/x"}},
            "latest_charge":{"id":"ch_1","balance_transaction":{"id":"txn_1","fee":74,"currency":"eur","net":1426}}}"#;
        let intent: Intent = serde_json::from_str(text).unwrap();
        assert_eq!(intent.action_url(), Some("https://hooks.stripe.com/3d_secure_2/x"));
        assert_eq!(intent.reusable().as_deref(), Some("cus_1:pm_1"));
        let fee = intent.fee().unwrap();
        assert_eq!((fee.amount.minor(), fee.currency.as_str()), (74, "eur"));
        assert!(intent.metadata().is_of("chk_1", "chk_1_1") && !intent.metadata().is_of("chk_1", "chk_1_2"));
        assert_eq!(intent.metadata().via(), Some(Via::Visit));
    }

    #[test]
    fn a_code_that_is_none_is_not_taken_for_one() {
        let reason = |code: &str| {
            let text = format!(r#"{{"error":{{"type":"card_error","decline_code":"{code}"}}}}"#);
            serde_json::from_str::<ProblemBody>(&text).unwrap().error.reason().to_owned()
        };
        assert_eq!(reason("insufficient_funds"), "insufficient_funds");
        for strange in ["", "Your card, 4242, was declined", &"x".repeat(1_000_000)] {
            assert_eq!(reason(strange), "card_error");
        }
        let refund = r#"{"id":"re_1","amount":1,"currency":"usd","failure_reason":"<b>no</b>"}"#;
        assert_eq!(serde_json::from_str::<Refund>(refund).unwrap().failure_reason, None);
    }

    #[test]
    fn only_a_web_address_is_one_to_go_to() {
        let with = |action: Value| Intent {
            next_action: Some(action),
            ..serde_json::from_str(r#"{"id":"pi_1","status":"requires_action","amount":1,"currency":"usd"}"#).unwrap()
        };
        let voucher =
            serde_json::json!({ "type": "oxxo_display_details", "oxxo_display_details": { "hosted_voucher_url": "https://v.example" } });
        assert_eq!(with(voucher).action_url(), Some("https://v.example"));
        for none in [
            serde_json::json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } }),
            serde_json::json!({ "type": "redirect_to_url", "redirect_to_url": { "url": "javascript:alert(1)" } }),
            serde_json::json!({ "redirect_to_url": { "url": "https://x.example" } }),
        ] {
            assert_eq!(with(none.clone()).action_url(), None, "{none}");
        }
    }
}
