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

/// Codes in use (ISO 4217 list one), two minor digits each.
const TWO_DIGITS: &str = "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd btn bwp byn bzd cad \
    cdf chf cny cop crc cup cve czk dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gtq gyd hkd hnl htg huf idr ils \
    inr irr jmd kes kgs khr kpw kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mru mur mvr mwk mxn myr mzn nad ngn \
    nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sdg sek sgd shp sle sll sos srd ssp stn svc syp szl \
    thb tjs tmt top try ttd twd tzs uah usd uyu uzs ves wst xcd yer zar zmw zwl";
const NO_DIGITS: &str = "bif clp djf gnf isk jpy kmf krw pyg rwf ugx vnd vuv xaf xof xpf";
const THREE_DIGITS: &str = "bhd iqd jod kwd lyd omr tnd";

impl Currency {
    /// Reads a code, in lower or upper case.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let lower = text.to_ascii_lowercase();
        let bytes: [u8; 3] = lower.as_bytes().try_into().map_err(|_| MoneyError::UnknownCurrency)?;
        let known = [TWO_DIGITS, NO_DIGITS, THREE_DIGITS].iter().any(|list| list.split(' ').any(|code| code == lower));
        if known { Ok(Self(bytes)) } else { Err(MoneyError::UnknownCurrency) }
    }

    /// The code in lower case.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("xxx")
    }

    /// How many decimal digits the minor unit has: JPY 0, USD 2, KWD 3.
    pub fn exponent(self) -> u32 {
        let is_in = |list: &str| list.split(' ').any(|code| code == self.as_str());
        if is_in(NO_DIGITS) {
            0
        } else if is_in(THREE_DIGITS) {
            3
        } else {
            2
        }
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
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
