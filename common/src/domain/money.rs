//! Money: integer minor units with checked arithmetic, and the currency beside the amount.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// What went wrong with an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The sum does not fit. Bounded well below `i64` so that a thousand of them still add up.
    #[error("the amount is out of range")]
    OutOfRange,
    /// Not an ISO 4217 code that we know.
    #[error("not an ISO 4217 currency code in use")]
    UnknownCurrency,
    /// Not an amount in major units of this currency.
    #[error("not a decimal amount of this currency")]
    NotDecimal,
}

/// An amount in the minor units of a currency that stands beside it. May be negative in the ledger only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(value_type = i64, examples(1500))]
#[serde(transparent)]
pub struct Amount(i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The most that one checkout may come to: 10^12 minor units.
    pub const MAX: Self = Self(1_000_000_000_000);

    /// Any amount, as the store and the ledger keep them.
    pub const fn from_minor(minor: i64) -> Self {
        Self(minor)
    }

    /// Minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// The sum, within `±MAX`.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_add(other.0).map(Self).ok_or(MoneyError::OutOfRange)?.in_range()
    }

    /// The difference, within `±MAX`.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_sub(other.0).map(Self).ok_or(MoneyError::OutOfRange)?.in_range()
    }

    /// So many of it, within `±MAX`.
    pub fn times(self, count: u32) -> Result<Self, MoneyError> {
        self.0.checked_mul(i64::from(count)).map(Self).ok_or(MoneyError::OutOfRange)?.in_range()
    }

    /// `self * bp / 10_000`, rounded half away from zero. `bp` is in basis points.
    pub fn basis_points(self, bp: u32) -> Result<Self, MoneyError> {
        let product = i128::from(self.0) * i128::from(bp);
        let rounded = (product.abs() + 5_000) / 10_000 * product.signum();
        i64::try_from(rounded).map(Self).map_err(|_| MoneyError::OutOfRange)?.in_range()
    }

    /// The opposite.
    pub const fn negated(self) -> Self {
        Self(-self.0)
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    fn in_range(self) -> Result<Self, MoneyError> {
        if self.0.unsigned_abs() <= Self::MAX.0.unsigned_abs() { Ok(self) } else { Err(MoneyError::OutOfRange) }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An ISO 4217 code in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, min_length = 3, max_length = 3, examples("usd"))]
pub struct Currency([u8; 3]);

/// Codes in use (ISO 4217 list one) and the digits of their minor units, in order: looked up with every order that is read.
#[rustfmt::skip]
const CODES: [([u8; 3], u32); 156] = [
    (*b"aed", 2), (*b"afn", 2), (*b"all", 2), (*b"amd", 2), (*b"ang", 2), (*b"aoa", 2), (*b"ars", 2), (*b"aud", 2),
    (*b"awg", 2), (*b"azn", 2), (*b"bam", 2), (*b"bbd", 2), (*b"bdt", 2), (*b"bgn", 2), (*b"bhd", 3), (*b"bif", 0),
    (*b"bmd", 2), (*b"bnd", 2), (*b"bob", 2), (*b"brl", 2), (*b"bsd", 2), (*b"btn", 2), (*b"bwp", 2), (*b"byn", 2),
    (*b"bzd", 2), (*b"cad", 2), (*b"cdf", 2), (*b"chf", 2), (*b"clp", 0), (*b"cny", 2), (*b"cop", 2), (*b"crc", 2),
    (*b"cup", 2), (*b"cve", 2), (*b"czk", 2), (*b"djf", 0), (*b"dkk", 2), (*b"dop", 2), (*b"dzd", 2), (*b"egp", 2),
    (*b"ern", 2), (*b"etb", 2), (*b"eur", 2), (*b"fjd", 2), (*b"fkp", 2), (*b"gbp", 2), (*b"gel", 2), (*b"ghs", 2),
    (*b"gip", 2), (*b"gmd", 2), (*b"gnf", 0), (*b"gtq", 2), (*b"gyd", 2), (*b"hkd", 2), (*b"hnl", 2), (*b"htg", 2),
    (*b"huf", 2), (*b"idr", 2), (*b"ils", 2), (*b"inr", 2), (*b"iqd", 3), (*b"irr", 2), (*b"isk", 0), (*b"jmd", 2),
    (*b"jod", 3), (*b"jpy", 0), (*b"kes", 2), (*b"kgs", 2), (*b"khr", 2), (*b"kmf", 0), (*b"kpw", 2), (*b"krw", 0),
    (*b"kwd", 3), (*b"kyd", 2), (*b"kzt", 2), (*b"lak", 2), (*b"lbp", 2), (*b"lkr", 2), (*b"lrd", 2), (*b"lsl", 2),
    (*b"lyd", 3), (*b"mad", 2), (*b"mdl", 2), (*b"mga", 2), (*b"mkd", 2), (*b"mmk", 2), (*b"mnt", 2), (*b"mop", 2),
    (*b"mru", 2), (*b"mur", 2), (*b"mvr", 2), (*b"mwk", 2), (*b"mxn", 2), (*b"myr", 2), (*b"mzn", 2), (*b"nad", 2),
    (*b"ngn", 2), (*b"nio", 2), (*b"nok", 2), (*b"npr", 2), (*b"nzd", 2), (*b"omr", 3), (*b"pab", 2), (*b"pen", 2),
    (*b"pgk", 2), (*b"php", 2), (*b"pkr", 2), (*b"pln", 2), (*b"pyg", 0), (*b"qar", 2), (*b"ron", 2), (*b"rsd", 2),
    (*b"rub", 2), (*b"rwf", 0), (*b"sar", 2), (*b"sbd", 2), (*b"scr", 2), (*b"sdg", 2), (*b"sek", 2), (*b"sgd", 2),
    (*b"shp", 2), (*b"sle", 2), (*b"sll", 2), (*b"sos", 2), (*b"srd", 2), (*b"ssp", 2), (*b"stn", 2), (*b"svc", 2),
    (*b"syp", 2), (*b"szl", 2), (*b"thb", 2), (*b"tjs", 2), (*b"tmt", 2), (*b"tnd", 3), (*b"top", 2), (*b"try", 2),
    (*b"ttd", 2), (*b"twd", 2), (*b"tzs", 2), (*b"uah", 2), (*b"ugx", 0), (*b"usd", 2), (*b"uyu", 2), (*b"uzs", 2),
    (*b"ves", 2), (*b"vnd", 0), (*b"vuv", 0), (*b"wst", 2), (*b"xaf", 0), (*b"xcd", 2), (*b"xof", 0), (*b"xpf", 0),
    (*b"yer", 2), (*b"zar", 2), (*b"zmw", 2), (*b"zwl", 2),
];

impl Currency {
    /// US dollars.
    pub const USD: Self = Self(*b"usd");

    /// Reads a code, in lower or upper case.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let mut code: [u8; 3] = text.as_bytes().try_into().map_err(|_| MoneyError::UnknownCurrency)?;
        code.make_ascii_lowercase();
        CODES.binary_search_by_key(&code, |(known, _)| *known).map(|_| Self(code)).map_err(|_| MoneyError::UnknownCurrency)
    }

    /// The code in lower case.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("xxx")
    }

    /// How many decimal digits the minor unit has: JPY 0, USD 2, KWD 3.
    pub fn exponent(self) -> u32 {
        let found = CODES.binary_search_by_key(&self.0, |(known, _)| *known).ok().and_then(|at| CODES.get(at));
        found.map_or(2, |(_, digits)| *digits)
    }

    /// `amount` in major units with all its digits: `12.50`, `1250`, `1.250`.
    pub fn decimal(self, amount: Amount) -> String {
        let digits = self.exponent();
        let unit = 10u64.pow(digits);
        let (sign, minor) = (if amount.minor() < 0 { "-" } else { "" }, amount.minor().unsigned_abs());
        match digits {
            0 => format!("{sign}{minor}"),
            width => format!("{sign}{}.{:0width$}", minor / unit, minor % unit, width = width as usize),
        }
    }

    /// Reads major units: `12.50`, `12.5` and `12` are all right, more digits than the currency has are not, unless they are zeros.
    pub fn amount(self, decimal: &str) -> Result<Amount, MoneyError> {
        let (sign, digits) = decimal.strip_prefix('-').map_or((1, decimal), |digits| (-1, digits));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let are_digits = |text: &str| (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(part) {
            return Err(MoneyError::NotDecimal);
        }
        let width = self.exponent() as usize;
        let (minor, beyond) = part.split_at(part.len().min(width));
        if beyond.bytes().any(|byte| byte != b'0') {
            return Err(MoneyError::NotDecimal);
        }
        let minor: i64 = format!("{whole}{minor:0<width$}").parse().map_err(|_| MoneyError::OutOfRange)?;
        Amount::from_minor(sign * minor).in_range()
    }

    /// `amount` as people read it on pages, receipts and paper: `USD 1,234.50`, with as many decimals as the currency has.
    pub fn told(self, amount: Amount) -> String {
        let decimal = self.decimal(amount);
        let (whole, rest) = decimal.split_at(decimal.find('.').unwrap_or(decimal.len()));
        let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
        let mut grouped = String::with_capacity(decimal.len() + 8);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        // A no-break space: a price is not torn apart.
        format!("{}\u{a0}{sign}{grouped}{rest}", self.as_str().to_ascii_uppercase())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&std::borrow::Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_an_amount_with_the_digits_of_its_currency_and_grouped() {
        let told = |code, minor| Currency::parse(code).unwrap().told(Amount::from_minor(minor)).replace('\u{a0}', " ");
        assert_eq!((told("usd", 1500), told("usd", 123_456_789)), ("USD 15.00".to_owned(), "USD 1,234,567.89".to_owned()));
        assert_eq!((told("jpy", 1500), told("kwd", 1500)), ("JPY 1,500".to_owned(), "KWD 1.500".to_owned()));
        assert_eq!(
            (told("usd", 0), told("usd", -100_000), told("eur", -5)),
            ("USD 0.00".to_owned(), "USD -1,000.00".to_owned(), "EUR -0.05".to_owned())
        );
    }

    #[test]
    fn each_currency_has_its_own_exponent() {
        let show = |code: &str, minor| Currency::parse(code).unwrap().decimal(Amount::from_minor(minor));
        assert_eq!(show("JPY", 1250), "1250");
        assert_eq!(show("usd", 1250), "12.50");
        assert_eq!(show("usd", -5), "-0.05");
        assert_eq!(show("kwd", 1250), "1.250");
        assert_eq!(Currency::parse("zzz"), Err(MoneyError::UnknownCurrency));
        assert_eq!(Currency::parse("us"), Err(MoneyError::UnknownCurrency));
    }

    #[test]
    fn major_units_are_read_as_they_are_written() {
        let read = |code: &str, text: &str| Currency::parse(code).unwrap().amount(text).map(Amount::minor);
        for (code, text, minor) in [
            ("usd", "12.50", 1250),
            ("usd", "12.5", 1250),
            ("usd", "12", 1200),
            ("usd", "12.500", 1250),
            ("usd", "-0.05", -5),
            ("usd", "0", 0),
            ("jpy", "1250", 1250),
            ("jpy", "1250.00", 1250),
            ("kwd", "1.25", 1250),
        ] {
            assert_eq!(read(code, text), Ok(minor), "{text} {code}");
        }
        for text in ["", ".", "1.", ".5", "1.005", "1,5", "+1", "1e2", "--1", "١", " 1", "NaN", "0x1"] {
            assert_eq!(read("usd", text), Err(MoneyError::NotDecimal), "{text}");
        }
        assert_eq!(read("jpy", "1.5"), Err(MoneyError::NotDecimal));
        assert_eq!(read("usd", "10000000000.01"), Err(MoneyError::OutOfRange));
        assert_eq!(read("usd", "99999999999999999999"), Err(MoneyError::OutOfRange));
    }

    #[test]
    fn the_codes_are_in_order() {
        assert!(CODES.is_sorted_by_key(|(code, _)| *code));
    }

    #[test]
    fn nothing_overflows() {
        assert_eq!(Amount::MAX.plus(Amount::from_minor(1)), Err(MoneyError::OutOfRange));
        assert_eq!(Amount::from_minor(i64::MAX).times(2), Err(MoneyError::OutOfRange));
        assert_eq!(Amount::from_minor(i64::MAX).basis_points(u32::MAX), Err(MoneyError::OutOfRange));
    }

    #[test]
    fn basis_points_round_half_away_from_zero() {
        let of = |minor, bp| Amount::from_minor(minor).basis_points(bp).unwrap().minor();
        assert_eq!((of(1500, 1000), of(5, 1000), of(4, 1000), of(-5, 1000)), (150, 1, 0, -1));
    }
}
