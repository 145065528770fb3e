//! Currencies: decimal places, least amounts, and the fee. Sources: <https://docs.stripe.com/currencies>, <https://stripe.com/pricing>.

use super::refusal::Refusal;

/// The greatest amount of a charge, in minor units.
const MAX_AMOUNT: i64 = 99_999_999;
const ZERO_DECIMAL: [&str; 16] =
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"];
const THREE_DECIMAL: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];
const OTHERS: &str = "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc cve czk \
     dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr isk jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl \
     mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd \
     std szl thb tjs top try ttd twd tzs uah uyu uzs wst xcd yer zar zmw";
/// The least amounts that are published, in minor units.
const LEAST: [(&str, i64); 25] = [
    ("aed", 200),
    ("aud", 50),
    ("bgn", 100),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17500),
    ("inr", 50),
    ("jpy", 50),
    ("mxn", 1000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1000),
    ("usd", 50),
    ("zar", 800),
];

/// A currency of the API, lower case.
pub(super) fn currency(text: &str) -> Result<String, Refusal> {
    let currency = text.to_ascii_lowercase();
    let known = ZERO_DECIMAL.contains(&currency.as_str())
        || THREE_DECIMAL.contains(&currency.as_str())
        || OTHERS.split_ascii_whitespace().any(|known| known == currency);
    if known {
        return Ok(currency);
    }
    Err(Refusal::invalid(format!("Invalid currency: {text}. Stripe currently supports these currencies: usd, eur, …")).param("currency"))
}

/// Refuses an amount that cannot be charged in that currency.
pub(super) fn chargeable(amount: i64, currency: &str) -> Result<(), Refusal> {
    let least = LEAST.iter().find(|(known, _)| *known == currency).map_or(1, |(_, least)| *least);
    if amount < 1 {
        return Err(Refusal::parameter("amount", "parameter_invalid_integer", "This value must be greater than or equal to 1."));
    }
    if amount < least {
        let message = format!("Amount must be at least {least} in the smallest unit of {currency}");
        return Err(Refusal::parameter("amount", "amount_too_small", message));
    }
    if amount > MAX_AMOUNT {
        return Err(Refusal::parameter("amount", "amount_too_large", "Amount must be no more than 99999999"));
    }
    if THREE_DECIMAL.contains(&currency) && amount % 10 != 0 {
        let message = format!("The amount must be evenly divisible by 10 for {currency}");
        return Err(Refusal::parameter("amount", "parameter_invalid_integer", message));
    }
    Ok(())
}

/// The fee of a charge: 2.9 % and 30 cents (or as much in other minor units), rounded half up.
pub(super) fn fee(amount: i64, currency: &str) -> i64 {
    let fixed = if THREE_DECIMAL.contains(&currency) { 300 } else { 30 };
    amount.saturating_mul(29).saturating_add(500) / 1000 + fixed
}

/// What a dispute costs: 15.00.
pub(super) fn dispute_fee(currency: &str) -> i64 {
    match currency {
        currency if ZERO_DECIMAL.contains(&currency) => 1500,
        currency if THREE_DECIMAL.contains(&currency) => 15_000,
        _ => 1500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_limits_by_currency() {
        for (amount, currency) in [(50, "usd"), (30, "gbp"), (50, "jpy"), (99_999_999, "usd"), (5120, "kwd"), (1, "xof")] {
            assert!(chargeable(amount, currency).is_ok(), "{amount} {currency}");
        }
        for (amount, currency) in [(49, "usd"), (0, "usd"), (-5, "usd"), (100_000_000, "usd"), (5123, "kwd"), (49, "jpy")] {
            assert!(chargeable(amount, currency).is_err(), "{amount} {currency}");
        }
        assert_eq!(currency("USD").unwrap(), "usd");
        assert!(currency("xyz").is_err());
    }

    #[test]
    fn fees_are_rounded_half_up() {
        assert_eq!((fee(1000, "usd"), fee(50, "usd"), fee(1999, "eur")), (59, 31, 88));
    }
}
