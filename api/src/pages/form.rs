//! Who may send the form, and what it says.
//!
//! Nothing here is done for a browser because of who it is: no cookie, no session. The link alone entitles, and it is as long as a key.
//! So what a forged request could abuse is little, and three things keep even that away, none of which needs a cookie (a frame on
//! another site may have none):
//!
//! - the form carries an HMAC, keyed with the link's token, over what it is for: the checkout, the attempt, and to pay or to cancel;
//! - a browser that says (`Sec-Fetch-Site`, else `Origin`) that another site sends the form is refused;
//! - the form is for one attempt by its number, so that the same form twice is one payment.

use axum::extract::rejection::FormRejection;
use boxoffice_common::domain::{
    card_number::holds_card_number,
    hosted::{Hosted, PaymentOptions},
    id::CheckoutId,
    push::{self, PushKind, PushMethod},
    secret::Secret,
};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, header};
use serde::Deserialize;
use sha2::Sha256;

/// What the form is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Intent {
    Pay,
    Cancel,
    /// To have the question that a provider asks taken back, and pay in another way.
    Another,
}

/// How it is to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(super) enum Method {
    #[default]
    Card,
    MobileMoney,
    Bank,
    Wallet,
}

impl Method {
    /// `None`: by card.
    pub(super) const fn push(self) -> Option<PushKind> {
        match self {
            Self::Card => None,
            Self::MobileMoney => Some(PushKind::MobileMoney),
            Self::Bank => Some(PushKind::Bank),
            Self::Wallet => Some(PushKind::Wallet),
        }
    }
}

/// The form as it comes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Submitted {
    pub(super) intent: Intent,
    /// The attempt that it was made for.
    pub(super) n: u32,
    form: String,
    /// By card when left out.
    #[serde(default)]
    pub(super) method: Method,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    phone: Secret<String>,
    #[serde(default)]
    pub(super) card: String,
    #[serde(default)]
    token: Secret<String>,
}

/// Why a form is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Another site sends it.
    FromElsewhere,
    /// It was not made here, or not for this.
    NotOurs,
    /// It cannot be read.
    Unreadable,
}

impl From<FormRejection> for Refused {
    fn from(_: FormRejection) -> Self {
        Self::Unreadable
    }
}

/// What is wrong with the card that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadCard {
    /// Nothing was chosen.
    None,
    /// A saved card that is not there, or not any more.
    Gone,
    /// Another token was chosen, and none typed in.
    Empty,
    /// A card number. It is forgotten at once.
    Number,
    /// Not a token.
    NoToken,
}

/// What is wrong with what was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// A way to pay that the page does not offer.
    Method,
    /// A card.
    Card(BadCard),
    /// Nobody was chosen of those whom the page offers.
    Provider(PushKind),
    /// Not a telephone number; who was chosen with it.
    Phone(&'static str),
}

/// The proof that a form was made here for this intent.
pub(super) fn proof(hosted: &Hosted, checkout: &CheckoutId, n: u32, intent: Intent) -> String {
    mac(hosted, checkout, n, intent).map(|mac| BASE64URL_NOPAD.encode(&mac.finalize().into_bytes())).unwrap_or_default()
}

fn mac(hosted: &Hosted, checkout: &CheckoutId, n: u32, intent: Intent) -> Option<Hmac<Sha256>> {
    // A key of any length is taken: there is always one.
    let mut mac = Hmac::<Sha256>::new_from_slice(hosted.token.reveal().as_bytes()).ok()?;
    mac.update(format!("boxoffice form v1\n{checkout}\n{n}\n{intent:?}").as_bytes());
    Some(mac)
}

impl Submitted {
    /// Whether it was made here, for this checkout and this intent.
    pub(super) fn check(&self, hosted: &Hosted, checkout: &CheckoutId) -> Result<(), Refused> {
        let proof = BASE64URL_NOPAD.decode(self.form.as_bytes()).map_err(|_| Refused::NotOurs)?;
        let mac = mac(hosted, checkout, self.n, self.intent).ok_or(Refused::NotOurs)?;
        mac.verify_slice(&proof).map_err(|_| Refused::NotOurs)
    }

    /// Who is to ask the customer, of those whom the page offers.
    pub(super) fn push(&self, kind: PushKind, options: &PaymentOptions) -> Result<PushMethod, Bad> {
        let mut offered = push::offered(kind, options).peekable();
        offered.peek().ok_or(Bad::Method)?;
        let provider = offered.find(|provider| provider.id == self.provider).ok_or(Bad::Provider(kind))?;
        let phone = Some(&self.phone).filter(|_| kind == PushKind::MobileMoney);
        // That the provider is known is known already.
        PushMethod::new(kind, provider.id.to_owned(), phone, "form").map_err(|_| Bad::Phone(provider.id))
    }

    /// The token to charge: of the card that was chosen, or the one that was typed in.
    pub(super) fn card(&self, offered: &[&str]) -> Result<Secret<String>, BadCard> {
        match self.card.as_str() {
            "" => Err(BadCard::None),
            "other" => {
                let token = self.token.reveal().trim();
                if token.is_empty() {
                    return Err(BadCard::Empty);
                }
                if holds_card_number(token) {
                    return Err(BadCard::Number);
                }
                let fits = token.len() <= 255 && token.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
                if fits { Ok(Secret::new(token.to_owned())) } else { Err(BadCard::NoToken) }
            }
            card => offered.iter().find(|token| **token == card).map(|token| Secret::new((*token).to_owned())).ok_or(BadCard::None),
        }
    }
}

/// Whether the browser says that a page of ours sends the form. With `no-referrer` it calls the origin of a form `null`, so
/// `Sec-Fetch-Site` is asked first; a browser that tells neither is older than both.
pub(super) fn is_from_here(headers: &HeaderMap, origin: &str) -> bool {
    let text = |name| headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    text(header::ORIGIN.as_str())
        .is_none_or(|sent| sent == "null" || url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == sent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_common::domain::{hosted::Hosted, id::Entropy};

    fn form(card: &str, token: &str) -> Submitted {
        Submitted {
            intent: Intent::Pay,
            n: 1,
            form: String::new(),
            method: Method::Card,
            provider: String::new(),
            phone: Secret::default(),
            card: card.to_owned(),
            token: Secret::new(token.to_owned()),
        }
    }

    #[test]
    fn a_form_is_good_for_its_checkout_its_attempt_and_its_intent_alone() {
        let entropy = Entropy::from_seed(1);
        let page = || Hosted::new(Default::default(), Default::default(), "https://pay.example", &entropy);
        let (ours, other) = (page(), page());
        let [id, another] = ["chk_1", "chk_2"].map(|id| CheckoutId::parse(id).unwrap());
        let submitted = Submitted { form: proof(&ours, &id, 1, Intent::Pay), ..form("tok_visa", "") };
        assert_eq!(submitted.check(&ours, &id), Ok(()));
        assert_eq!(submitted.check(&other, &id), Err(Refused::NotOurs));
        assert_eq!(submitted.check(&ours, &another), Err(Refused::NotOurs));
        for changed in [Submitted { n: 2, ..form("", "") }, Submitted { intent: Intent::Cancel, ..form("", "") }, form("", "")] {
            let changed = Submitted {
                form: if changed.n == 1 && changed.intent == Intent::Pay { "AAAA".to_owned() } else { submitted.form.clone() },
                ..changed
            };
            assert_eq!(changed.check(&ours, &id), Err(Refused::NotOurs));
        }
    }

    #[test]
    fn a_card_is_one_that_is_offered_or_a_token_that_is_typed_in_and_never_a_number() {
        let card = |card, token| form(card, token).card(&["tok_visa"]).map(|token| token.reveal().clone());
        assert_eq!(card("tok_visa", ""), Ok("tok_visa".to_owned()));
        assert_eq!(card("other", "  tok_slow "), Ok("tok_slow".to_owned()));
        assert_eq!(card("", "tok_slow"), Err(BadCard::None));
        assert_eq!(card("tok_of_nobody", ""), Err(BadCard::None));
        assert_eq!(card("other", " "), Err(BadCard::Empty));
        assert_eq!(card("other", "4242 4242 4242 4242"), Err(BadCard::Number));
        assert_eq!(card("other", "4242424242424242"), Err(BadCard::Number));
        assert_eq!(card("other", "tok visa"), Err(BadCard::NoToken));
        assert_eq!(card("other", &"x".repeat(256)), Err(BadCard::NoToken));
    }

    #[test]
    fn who_asks_the_customer_is_one_whom_the_page_offers_and_asks_on_a_phone() {
        let asks = |kind, provider: &str, phone: &str, options: &PaymentOptions| {
            let submitted = Submitted { provider: provider.to_owned(), phone: Secret::new(phone.to_owned()), ..form("", "") };
            submitted.push(kind, options).map(|push| push.provider)
        };
        let (money, bank, wallet) = (PushKind::MobileMoney, PushKind::Bank, PushKind::Wallet);
        let all = PaymentOptions::default();
        assert_eq!(asks(money, "m17", " +232 76 000 001", &all), Ok("m17".to_owned()));
        assert_eq!(asks(bank, "slb001", "", &all), Ok("slb001".to_owned()));
        for phone in ["076000001", "", "+23276", "+44444444444444444", "+2327600000x"] {
            assert_eq!(asks(money, "m17", phone, &all), Err(Bad::Phone("m17")), "{phone}");
        }
        assert_eq!(asks(money, "", "+23276000001", &all), Err(Bad::Provider(money)));
        assert_eq!(asks(wallet, "slb001", "", &all), Err(Bad::Provider(wallet)));
        let some: PaymentOptions = serde_json::from_str(
            r#"{"mobile_money": {"disabled_providers": ["m17"]}, "bank": {"disable": true}, "wallet": {"enabled_providers": ["w99"]}}"#,
        )
        .unwrap();
        assert_eq!(asks(money, "m17", "+23276000001", &some), Err(Bad::Provider(money)));
        assert_eq!(asks(money, "m18", "+23276000001", &some), Ok("m18".to_owned()));
        assert_eq!(asks(bank, "slb001", "", &some), Err(Bad::Method));
        assert_eq!(asks(wallet, "dw001", "", &some), Err(Bad::Method));
    }

    #[test]
    fn another_site_may_not_send_the_form() {
        let says = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect();
            is_from_here(&headers, "https://pay.example")
        };
        assert!(says(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(says(&[("origin", "https://pay.example")]) && says(&[("origin", "null")]) && says(&[]));
        for site in ["cross-site", "same-site", "?"] {
            assert!(!says(&[("sec-fetch-site", site), ("origin", "https://pay.example")]), "{site}");
        }
        assert!(!says(&[("origin", "https://evil.example")]) && !says(&[("origin", "https://pay.example.evil.example")]));
    }
}
