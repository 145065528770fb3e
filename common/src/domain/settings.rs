//! What a tenant says of itself: how it is shown to its customers, where its days are counted, and how it is paid outside.

use super::{
    error::{Code, CodedError},
    id::CatalogueId,
    scope::Mode,
    time_zone::TimeZone,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{fmt, net::IpAddr};

/// The longest display name, characters.
pub const MAX_NAME: usize = 100;
/// The most origins that may embed the hosted page.
pub const MAX_ORIGINS: usize = 20;
/// The most ways of its own to be paid outside.
pub const MAX_METHODS: usize = 50;
/// The longest name of one, characters.
const MAX_METHOD_NAME: usize = 100;
/// The longest origin, bytes.
const MAX_ORIGIN: usize = 300;

/// A tenant's settings in one mode. All of it is for its customers to see.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What customers know the tenant as, 1 to 100 characters; the tenant's own id is shown when left out.
    #[serde(default)]
    #[schema(max_length = 100)]
    pub name: Option<String>,
    /// The colour of its pages.
    #[serde(default)]
    pub color: Option<Color>,
    /// Where its days are counted: ages, and every date that is printed.
    #[serde(default)]
    #[schema(default = "UTC")]
    pub time_zone: TimeZone,
    /// Where customers can ask.
    #[serde(default)]
    #[schema(max_length = 254)]
    pub support_email: Option<String>,
    /// The sites whose pages may embed the hosted page, at most 20.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub embed_origins: Vec<Origin>,
    /// What a client of another API calls the tenant by: then no other company is taken from it.
    #[serde(default)]
    pub company_id: Option<CompanyId>,
    /// Its own ways to be paid outside, at most 50, for clients that name them by an id.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub custom_payment_methods: Vec<CustomPaymentMethod>,
}

/// A way of a tenant's own to be paid outside: cash at the desk, an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomPaymentMethod {
    /// The client's own, each once.
    pub id: CatalogueId,
    /// What it is called in checkouts, in the ledger and on receipts, 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Whether whoever is paid so has to say something about it.
    #[serde(default)]
    pub note_required: bool,
}

impl Settings {
    /// What depends on the mode: plain http, on the loopback, is for tests.
    pub fn check(&self, mode: Mode) -> Result<(), CodedError> {
        let invalid = |param: String, words: String| Err(CodedError::new(Code::ParameterInvalid, words).at(param));
        if self.embed_origins.len() > MAX_ORIGINS {
            return invalid("embed_origins".to_owned(), format!("has at most {MAX_ORIGINS} origins"));
        }
        if self.custom_payment_methods.len() > MAX_METHODS {
            return invalid("custom_payment_methods".to_owned(), format!("has at most {MAX_METHODS} methods"));
        }
        for (at, method) in self.custom_payment_methods.iter().enumerate() {
            let length = method.name.chars().count();
            if !(1..=MAX_METHOD_NAME).contains(&length) || method.name.chars().any(char::is_control) {
                let words = format!("is 1 to {MAX_METHOD_NAME} characters, none of them for control");
                return invalid(format!("custom_payment_methods[{at}].name"), words);
            }
            if self.custom_payment_methods.iter().take(at).any(|before| before.id == method.id) {
                return invalid(format!("custom_payment_methods[{at}].id"), "stands there twice".to_owned());
            }
        }
        match self.embed_origins.iter().position(|origin| mode == Mode::Live && !origin.is_https()) {
            Some(at) => invalid(format!("embed_origins[{at}]"), "is an https origin; http is for tests on the loopback".to_owned()),
            None => Ok(()),
        }
    }
}

impl Settings {
    /// The tenant's own way to be paid that has this id, for a payment with such a note.
    ///
    /// Errors: `payment_method_invalid`, also where the method needs a note.
    pub fn custom_payment_method(&self, id: &str, note: Option<&str>) -> Result<&CustomPaymentMethod, CodedError> {
        let refuse = |words: &str| CodedError::new(Code::PaymentMethodInvalid, words);
        let found = self.custom_payment_methods.iter().find(|method| method.id.as_str() == id);
        let found = found.ok_or_else(|| refuse("there is no such custom payment method"))?;
        if found.note_required && note.is_none_or(str::is_empty) {
            return Err(refuse("this custom payment method needs a note"));
        }
        Ok(found)
    }
}

/// A company, by a GUID that somebody else has given it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, format = "uuid", examples("6f9619ff-8b86-d011-b42d-00c04fc964ff"))]
pub struct CompanyId(uuid::Uuid);

impl CompanyId {
    /// Reads 32 hexadecimal digits in any case, with or without dashes, also in braces.
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(Self)
    }
}

impl Serialize for CompanyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.hyphenated())
    }
}

impl<'de> Deserialize<'de> for CompanyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("is a GUID"))
    }
}

/// A colour, `#rrggbb`, kept in lower case.
#[derive(Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^#[0-9A-Fa-f]{6}$", examples("#7a1f5c"))]
pub struct Color([u8; 3]);

impl Color {
    /// Reads `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rgb = [0; 3];
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        data_encoding::HEXLOWER_PERMISSIVE.decode_mut(digits.as_bytes(), &mut rgb).ok()?;
        Some(Self(rgb))
    }

    /// Red, green, blue.
    pub const fn rgb(self) -> [u8; 3] {
        self.0
    }

    /// Whether black is easier to read on it than white: the greater contrast ratio of the two (WCAG 2.2), never below 4.5.
    pub fn wants_dark_text(self) -> bool {
        // Luminance in 1/10,000,000 of white's. The ratio to black is (l + 0.05) / 0.05, that to white 1.05 / (l + 0.05).
        let [red, green, blue] = self.0.map(linear);
        let luminance = 2_126 * red + 7_152 * green + 722 * blue;
        // (l + 0.05)^2 > 1.05 * 0.05, from which l > 0.17913.
        luminance > 1_791_300
    }
}

/// A channel without its gamma, in thousandths.
fn linear(channel: u8) -> u32 {
    let value = f32::from(channel) / 255.0;
    let linear = if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
    (linear * 1_000.0).round() as u32
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl fmt::Debug for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Color {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Color {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("is a colour, written #rrggbb"))
    }
}

/// The origin of a site, `https://shop.example` or, for tests, `http://localhost:3000`: safe to stand in a header as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, examples("https://shop.example"))]
pub struct Origin(String);

impl Origin {
    /// Reads scheme, host and port; a slash behind them is all that may follow. No wildcards, no credentials.
    pub fn parse(text: &str) -> Option<Self> {
        let url = url::Url::parse(text).ok().filter(|_| text.len() <= MAX_ORIGIN)?;
        let alone = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let nobody = url.username().is_empty() && url.password().is_none();
        let host = url.host_str()?;
        // A URL's host may hold what separates words in a header: only what a DNS name or an address has is let through.
        let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte));
        let secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        (alone && nobody && plain && secure).then(|| Self(url.origin().ascii_serialization()))
    }

    /// `https://shop.example`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what comes from there is what was sent there.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("is an origin, such as https://shop.example, without a path");
        Self::parse(&String::deserialize(deserializer)?).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_six_digits_and_black_or_white_can_be_read_on_it() {
        assert_eq!(Color::parse("#7A1f5c").map(|color| color.to_string()).as_deref(), Some("#7a1f5c"));
        for bad in ["", "#", "7a1f5c", "#7a1f5", "#7a1f5c0", "#7a1f5g", "red", "#7a1f5c;", "#ééé", "# 7a1f5"] {
            assert_eq!(Color::parse(bad), None, "{bad}");
        }
        let dark_text = |text: &str| Color::parse(text).unwrap().wants_dark_text();
        assert!(dark_text("#ffffff") && dark_text("#ffcc00") && dark_text("#00ff00") && dark_text("#777777"));
        assert!(!dark_text("#000000") && !dark_text("#7a1f5c") && !dark_text("#0000ff") && !dark_text("#757575"));
    }

    #[test]
    fn a_company_is_the_same_however_its_guid_is_written() {
        let plain = CompanyId::parse("6f9619ff-8b86-d011-b42d-00c04fc964ff").unwrap();
        for same in ["6F9619FF-8B86-D011-B42D-00C04FC964FF", "6f9619ff8b86d011b42d00c04fc964ff", "{6f9619ff-8b86-d011-b42d-00c04fc964ff}"] {
            assert_eq!(CompanyId::parse(same), Some(plain), "{same}");
        }
        assert_eq!(serde_json::to_string(&plain).unwrap(), "\"6f9619ff-8b86-d011-b42d-00c04fc964ff\"");
        for bad in ["", "6f9619ff", "company", "6f9619ff-8b86-d011-b42d-00c04fc964fg", " 6f9619ff-8b86-d011-b42d-00c04fc964ff"] {
            assert_eq!(CompanyId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn whatever_the_colour_its_text_has_a_contrast_of_at_least_four_and_a_half() {
        let luminance = |color: Color| {
            let [red, green, blue] = color.rgb().map(|channel| {
                let value = f64::from(channel) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            });
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        for step in 0..=0x00ff_ffff_u32 / 97 {
            let [_, red, green, blue] = (step * 97).to_be_bytes();
            let color = Color([red, green, blue]);
            let background = luminance(color) + 0.05;
            let contrast = if color.wants_dark_text() { background / 0.05 } else { 1.05 / background };
            assert!(contrast >= 4.5, "{color}: {contrast}");
        }
    }

    #[test]
    fn an_origin_is_secure_or_on_the_loopback_and_nothing_but_an_origin() {
        let read = |text: &str| Origin::parse(text).map(|origin| origin.0);
        assert_eq!(read("https://Shop.example/").as_deref(), Some("https://shop.example"));
        assert_eq!(read("https://shop.example:8443").as_deref(), Some("https://shop.example:8443"));
        assert_eq!(read("https://shop.example:443").as_deref(), Some("https://shop.example"));
        assert_eq!(read("https://bücher.example").as_deref(), Some("https://xn--bcher-kva.example"));
        for local in ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080", "http://shop.localhost"] {
            assert_eq!(read(local).as_deref(), Some(local));
        }
        for bad in [
            "",
            "*",
            "'none'",
            "https:",
            "https://*.example",
            "http://shop.example",
            "http://10.0.0.1",
            "https://shop.example/page",
            "https://shop.example?x",
            "https://shop.example#x",
            "https://a:b@shop.example",
            "https://shop.example;script-src",
            "data:x",
            "https://shop.example, https://other.example",
            "https://shop.example'",
            "javascript:alert(1)",
            "http://localhost.example",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_tenants_own_ways_to_be_paid_are_found_by_id_and_each_is_there_once() {
        let method = |id: &str, name: &str, note_required| CustomPaymentMethod {
            id: CatalogueId::parse(id).unwrap(),
            name: name.to_owned(),
            note_required,
        };
        let settings = |methods: Vec<CustomPaymentMethod>| Settings { custom_payment_methods: methods, ..Settings::default() };
        let both = settings(vec![method("1", "Cash", false), method("2", "Invoice", true)]);
        assert_eq!(both.check(Mode::Live), Ok(()));
        assert_eq!(both.custom_payment_method("1", None).unwrap().name, "Cash");
        assert_eq!(both.custom_payment_method("2", Some("May")).unwrap().name, "Invoice");
        for (id, note) in [("2", None), ("2", Some("")), ("3", Some("x")), ("", None)] {
            assert_eq!(both.custom_payment_method(id, note).unwrap_err().code, Code::PaymentMethodInvalid, "{id}");
        }
        let wrong = |methods| settings(methods).check(Mode::Test).unwrap_err().param.unwrap();
        assert_eq!(wrong(vec![method("1", "Cash", false), method("1", "Bar", false)]), "custom_payment_methods[1].id");
        assert_eq!(wrong(vec![method("1", "", false)]), "custom_payment_methods[0].name");
        assert_eq!(wrong(vec![method("1", &"x".repeat(101), false)]), "custom_payment_methods[0].name");
        assert_eq!(wrong((0..51).map(|at| method(&at.to_string(), "Cash", false)).collect()), "custom_payment_methods");
    }

    #[test]
    fn plain_http_is_for_tests() {
        let settings = |origins: &[&str]| Settings {
            embed_origins: origins.iter().filter_map(|text| Origin::parse(text)).collect(),
            ..Settings::default()
        };
        let local = settings(&["https://shop.example", "http://localhost:3000"]);
        assert_eq!(local.check(Mode::Test), Ok(()));
        assert_eq!(local.check(Mode::Live).unwrap_err().param.as_deref(), Some("embed_origins[1]"));
        assert_eq!(settings(&["https://shop.example"; 20]).check(Mode::Live), Ok(()));
        assert_eq!(settings(&["https://shop.example"; 21]).check(Mode::Live).unwrap_err().param.as_deref(), Some("embed_origins"));
    }
}
