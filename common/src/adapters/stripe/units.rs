//! Amounts as Stripe counts them, which is not always in the minor units of ISO 4217.
//!
//! Source: <https://docs.stripe.com/currencies#zero-decimal>, and the special cases behind it.

use crate::domain::money::{Amount, Currency};

/// How many decimal digits Stripe's unit of a currency has, where they are not those of ISO 4217: the ariary is counted in wholes, the
/// Icelandic króna and the Ugandan shilling in hundredths of which there are none.
const OTHER_DIGITS: [(&str, u32); 3] = [("isk", 2), ("mga", 0), ("ugx", 2)];

/// The currencies of three decimals, of which Stripe takes amounts that end in 0.
const TENS_ONLY: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// `amount` as Stripe counts it; `None` where Stripe cannot count it.
pub(super) fn to_stripe(currency: Currency, amount: Amount) -> Option<i64> {
    let (ours, theirs) = digits(currency);
    let (minor, factor) = (amount.minor(), 10i64.pow(ours.abs_diff(theirs)));
    if TENS_ONLY.contains(&currency.as_str()) && minor % 10 != 0 {
        return None;
    }
    if theirs >= ours { minor.checked_mul(factor) } else { (minor % factor == 0).then(|| minor / factor) }
}

/// An amount of Stripe's in our minor units; `None` where we cannot count it, as with a part of a króna.
pub(super) fn from_stripe(currency: Currency, units: i64) -> Option<Amount> {
    let (ours, theirs) = digits(currency);
    let factor = 10i64.pow(ours.abs_diff(theirs));
    let minor = if ours >= theirs { units.checked_mul(factor) } else { (units % factor == 0).then(|| units / factor) };
    minor.map(Amount::from_minor)
}

fn digits(currency: Currency) -> (u32, u32) {
    let ours = currency.exponent();
    let theirs = OTHER_DIGITS.iter().find(|(code, _)| *code == currency.as_str()).map_or(ours, |(_, digits)| *digits);
    (ours, theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(code: &str, minor: i64) -> Option<i64> {
        to_stripe(Currency::parse(code).unwrap(), Amount::from_minor(minor))
    }

    #[test]
    fn most_currencies_are_counted_as_we_do() {
        for (code, minor) in [("usd", 1500), ("eur", 1), ("jpy", 1500), ("krw", 7), ("huf", 150_000), ("kwd", 12_340)] {
            assert_eq!(there(code, minor), Some(minor), "{code}");
            assert_eq!(from_stripe(Currency::parse(code).unwrap(), minor), Some(Amount::from_minor(minor)), "{code}");
        }
    }

    #[test]
    fn the_special_ones_are_converted_or_refused() {
        assert_eq!(there("isk", 500), Some(50_000));
        assert_eq!(there("ugx", 5), Some(500));
        assert_eq!(there("mga", 500), Some(5));
        assert_eq!(there("mga", 510), None);
        assert_eq!(there("kwd", 12_345), None);
        assert_eq!(there("ugx", i64::MAX), None);
        let isk = Currency::parse("isk").unwrap();
        assert_eq!(from_stripe(isk, 50_000), Some(Amount::from_minor(500)));
        assert_eq!(from_stripe(isk, 50_050), None);
        assert_eq!(from_stripe(Currency::parse("mga").unwrap(), 5), Some(Amount::from_minor(500)));
    }
}
