//! Ways to pay that a provider takes straight to the customer: a question on the phone, a bank's page, a wallet's. Nobody can promise such
//! money and take it later: the customer's yes is the payment.

use super::{
    error::{Code, CodedError},
    hosted::{PaymentOptions, ProviderOption},
    secret::Secret,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Digits of a telephone number with its country, after E.164.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;
/// How many of them are shown.
const SHOWN: usize = 2;

/// What kind of provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushKind {
    /// The customer's phone asks.
    MobileMoney,
    /// The bank's page asks.
    Bank,
    /// The wallet's page asks.
    Wallet,
}

impl PushKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MobileMoney, Self::Bank, Self::Wallet];

    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MobileMoney => "mobile_money",
            Self::Bank => "bank",
            Self::Wallet => "wallet",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What a hosted page's options say of it.
    pub const fn option(self, options: &PaymentOptions) -> &ProviderOption {
        match self {
            Self::MobileMoney => &options.mobile_money,
            Self::Bank => &options.bank,
            Self::Wallet => &options.wallet,
        }
    }
}

/// Somebody who takes such payments, as the sandbox plays them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushProvider {
    /// What kind.
    pub kind: PushKind,
    /// As it stands in requests.
    pub id: &'static str,
    /// For people.
    pub name: &'static str,
}

/// Everybody whom the sandbox plays.
pub const PROVIDERS: &[PushProvider] = &[
    PushProvider { kind: PushKind::MobileMoney, id: "m17", name: "Orange test money" },
    PushProvider { kind: PushKind::MobileMoney, id: "m18", name: "Blue test money" },
    PushProvider { kind: PushKind::Bank, id: "slb001", name: "First test bank" },
    PushProvider { kind: PushKind::Bank, id: "slb002", name: "Second test bank" },
    PushProvider { kind: PushKind::Wallet, id: "dw001", name: "Test wallet" },
];

/// Whether a page with these options offers mobile money, a bank or a wallet.
pub fn offers_push(options: &PaymentOptions) -> bool {
    PushKind::ALL.into_iter().any(|kind| offered(kind, options).next().is_some())
}

/// Those of a kind that a page with these options offers.
pub fn offered(kind: PushKind, options: &PaymentOptions) -> impl Iterator<Item = &'static PushProvider> {
    let option = kind.option(options);
    PROVIDERS.iter().filter(move |provider| provider.kind == kind && option.offers(provider.id))
}

/// Not a telephone number with its country.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is a telephone number with + and its country, such as +23276000001")]
pub struct BadPhone;

/// A telephone number, E.164: personal data. Prints as `[redacted]`; serializes in full for the store and the provider alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(String);

impl Phone {
    /// Checks it. Blanks, hyphens, dots and brackets between the digits are people's and are left out.
    pub fn parse(text: &str) -> Result<Self, BadPhone> {
        let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '\u{a0}')).collect();
        let digits = plain.strip_prefix('+').ok_or(BadPhone)?;
        let fits = DIGITS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        if fits { Ok(Self(plain)) } else { Err(BadPhone) }
    }

    /// The whole number. Every call is a place to look at in a review.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// As much of it as its owner recognises: `+•••••••••01`.
    pub fn masked(&self) -> String {
        let hidden = self.0.len().saturating_sub(1 + SHOWN);
        let shown = self.0.get(1 + hidden..).unwrap_or_default();
        format!("+{}{shown}", "•".repeat(hidden))
    }
}

impl TryFrom<String> for Phone {
    type Error = BadPhone;

    fn try_from(text: String) -> Result<Self, BadPhone> {
        Self::parse(&text)
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Who is asked, and on which phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushMethod {
    /// What kind of provider.
    pub method: PushKind,
    /// Which.
    pub provider: String,
    /// Of mobile money: whose phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
}

impl PushMethod {
    /// Who is asked, for people.
    pub fn provider_name(&self) -> &str {
        let known = PROVIDERS.iter().find(|known| (known.kind, known.id) == (self.method, self.provider.as_str()));
        known.map_or(self.provider.as_str(), |known| known.name)
    }

    /// Checks who is asked, and that a phone is there where it is needed and nowhere else. `at` is where the method stands in the request.
    ///
    /// Errors: `payment_method_invalid`, `parameter_invalid`.
    pub fn new(method: PushKind, provider: String, phone: Option<&Secret<String>>, at: &str) -> Result<Self, CodedError> {
        let invalid = |field: &str, words: String| CodedError::new(Code::ParameterInvalid, words).at(format!("{at}.{field}"));
        if !PROVIDERS.iter().any(|known| (known.kind, known.id) == (method, provider.as_str())) {
            let known: Vec<&str> = PROVIDERS.iter().filter(|known| known.kind == method).map(|known| known.id).collect();
            let words = format!("nobody is known by this name for {}; known are {}", method.as_str(), known.join(", "));
            return Err(CodedError::new(Code::PaymentMethodInvalid, words).at(format!("{at}.provider")));
        }
        let phone = match (method, phone) {
            (PushKind::MobileMoney, Some(phone)) => Some(Phone::parse(phone.reveal()).map_err(|bad| invalid("phone", bad.to_string()))?),
            (PushKind::MobileMoney, None) => return Err(invalid("phone", BadPhone.to_string())),
            (PushKind::Bank | PushKind::Wallet, None) => None,
            (PushKind::Bank | PushKind::Wallet, Some(_)) => return Err(invalid("phone", "only mobile money has a phone".to_owned())),
        };
        Ok(Self { method, provider, phone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_phone_has_its_country_and_eight_to_fifteen_digits() {
        let read = |text: &str| Phone::parse(text).map(|phone| phone.reveal().to_owned());
        assert_eq!(read("+232 (76) 00-00.01"), Ok("+23276000001".to_owned()));
        for bad in ["", "+", "076000001", "23276000001", "+0327600001", "+1234567", "+1234567890123456", "+2327600000a", "++23276000001"] {
            assert_eq!(read(bad), Err(BadPhone), "{bad}");
        }
    }

    #[test]
    fn a_phone_is_shown_to_nobody_but_by_its_last_digits() {
        let phone = Phone::parse("+23276000001").unwrap();
        assert_eq!(phone.masked(), "+•••••••••01");
        assert_eq!(format!("{phone:?}"), "[redacted]");
        let method = PushMethod { method: PushKind::MobileMoney, provider: "m17".to_owned(), phone: Some(phone) };
        assert!(!format!("{method:?}").contains("2327600"));
        let stored = serde_json::to_string(&method).unwrap();
        assert_eq!(stored, r#"{"method":"mobile_money","provider":"m17","phone":"+23276000001"}"#);
        assert_eq!(serde_json::from_str::<PushMethod>(&stored).unwrap(), method);
    }

    #[test]
    fn who_is_asked_is_known_and_a_phone_belongs_to_mobile_money() {
        let phone = Secret::new("+23276000001".to_owned());
        let method = |kind, provider: &str, phone: Option<&Secret<String>>| {
            PushMethod::new(kind, provider.to_owned(), phone, "m").map(|_| ()).map_err(|error| (error.code, error.param.unwrap()))
        };
        assert_eq!(method(PushKind::MobileMoney, "m17", Some(&phone)), Ok(()));
        assert_eq!(method(PushKind::Bank, "slb001", None), Ok(()));
        assert_eq!(method(PushKind::Bank, "m17", None), Err((Code::PaymentMethodInvalid, "m.provider".to_owned())));
        assert_eq!(method(PushKind::MobileMoney, "m99", Some(&phone)), Err((Code::PaymentMethodInvalid, "m.provider".to_owned())));
        assert_eq!(method(PushKind::MobileMoney, "m17", None), Err((Code::ParameterInvalid, "m.phone".to_owned())));
        assert_eq!(method(PushKind::Wallet, "dw001", Some(&phone)), Err((Code::ParameterInvalid, "m.phone".to_owned())));
    }

    #[test]
    fn a_page_offers_whom_its_options_leave() {
        let names = |options: &PaymentOptions| offered(PushKind::MobileMoney, options).map(|provider| provider.id).collect::<Vec<_>>();
        assert_eq!(names(&PaymentOptions::default()), ["m17", "m18"]);
        let options = |option| PaymentOptions { mobile_money: option, ..PaymentOptions::default() };
        let name = || vec!["m17".to_owned()];
        assert_eq!(names(&options(ProviderOption { enabled_providers: name(), ..ProviderOption::default() })), ["m17"]);
        assert_eq!(names(&options(ProviderOption { disabled_providers: name(), ..ProviderOption::default() })), ["m18"]);
        assert!(names(&options(ProviderOption { disable: true, ..ProviderOption::default() })).is_empty());
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_a_phone_in_one_spelling_or_none(text in "\\PC{0,24}") {
            if let Ok(phone) = Phone::parse(&text) {
                prop_assert_eq!(Phone::parse(phone.reveal()), Ok(phone.clone()));
                prop_assert!(phone.reveal().len() <= 16);
                let hidden = phone.masked();
                prop_assert_eq!(hidden.chars().filter(char::is_ascii_digit).count(), SHOWN);
            }
        }
    }
}
