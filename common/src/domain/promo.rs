//! Promo codes: which of them can be used, and what they take off which line.

use super::{
    catalogue::PromoCode,
    error::{Code, CodedError},
    id::CatalogueId,
    line::Line,
    money::{Amount, Currency},
    pricing::{Shelf, out_of_range},
    time::Timestamp,
};

/// The code that a customer typed, where it can be used now and for this currency.
pub(super) fn find_promo<'a>(
    code: &CatalogueId,
    currency: Currency,
    shelf: &'a Shelf,
    now: Timestamp,
) -> Result<&'a PromoCode, CodedError> {
    let promo = shelf.promo_codes.get(code).ok_or_else(|| bad_promo("no such promo code"))?;
    check_promo_open(promo, now)?;
    let right_currency = match (promo.amount_off, promo.currency) {
        (Some(_), own) => own == Some(currency),
        (None, own) => own.is_none_or(|own| own == currency),
    };
    if right_currency { Ok(promo) } else { Err(bad_promo("this promo code is for another currency")) }
}

/// Whether a promo code can be used at `now`, its count of uses aside.
pub(super) fn check_promo_open(promo: &PromoCode, now: Timestamp) -> Result<(), CodedError> {
    let begun = promo.starts_at.is_none_or(|start| now >= start);
    let ended = promo.ends_at.is_some_and(|end| now >= end);
    if !promo.active || !begun || ended { Err(bad_promo("this promo code cannot be used now")) } else { Ok(()) }
}

/// A promo code that cannot be used.
pub(super) fn bad_promo(message: &str) -> CodedError {
    CodedError::new(Code::PromoCodeInvalid, message).at("promo_code")
}

/// Gives each line its share of the discount; says what the discount is.
pub(super) fn apply_promo(promo: &PromoCode, lines: &mut [Line]) -> Result<Amount, CodedError> {
    let everything = promo.applies_to.is_empty();
    let applies = |line: &Line| everything || line.item.entity().is_some_and(|id| promo.applies_to.contains(id));
    let mut lines: Vec<&mut Line> = lines.iter_mut().filter(|line| applies(line)).collect();
    if lines.is_empty() {
        return Err(bad_promo("this promo code is for nothing in this checkout"));
    }
    let sum = |base: Amount, line: &&mut Line| base.plus(line.amount);
    let base = lines.iter().try_fold(Amount::ZERO, sum).map_err(|error| out_of_range(error, "lines"))?;
    let discount = match (promo.percent_off_bp, promo.amount_off) {
        (Some(bp), None) => base.basis_points(bp).unwrap_or(base),
        (None, Some(off)) => off,
        (Some(_), Some(_)) | (None, None) => return Err(bad_promo("this promo code takes nothing off")),
    };
    let discount = discount.clamp(Amount::ZERO, base);
    let amounts: Vec<Amount> = lines.iter().map(|line| line.amount).collect();
    for (line, share) in lines.iter_mut().zip(shares(discount, &amounts, base)) {
        line.discount_amount = share;
    }
    Ok(discount)
}

/// Splits `whole` over `parts` in proportion, by largest remainder: the shares sum to `whole` exactly, and none exceeds
/// its part. Needs `0 <= whole <= base`, and `base` the sum of `parts`, none of them negative.
fn shares(whole: Amount, parts: &[Amount], base: Amount) -> Vec<Amount> {
    debug_assert!(whole >= Amount::ZERO && whole <= base);
    let base = i128::from(base.minor()).max(1);
    let product = |part: &Amount| i128::from(whole.minor()) * i128::from(part.minor());
    let mut shares: Vec<i128> = parts.iter().map(|part| product(part) / base).collect();
    let mut by_remainder: Vec<(i128, usize)> = parts.iter().enumerate().map(|(index, part)| (product(part) % base, index)).collect();
    // The largest remainder first; among equals the earlier line, so that the same cart always splits the same way.
    by_remainder.sort_by_key(|&(remainder, index)| (std::cmp::Reverse(remainder), index));
    // What rounding down left over is less than the number of lines with a remainder, so nobody gets two.
    let left_over = usize::try_from(i128::from(whole.minor()) - shares.iter().sum::<i128>()).unwrap_or(0);
    for &(_, index) in by_remainder.iter().take(left_over) {
        if let Some(share) = shares.get_mut(index) {
            *share += 1;
        }
    }
    // Each share is at most its part, so it fits.
    shares.into_iter().map(|share| Amount::from_minor(i64::try_from(share).unwrap_or(0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_sum_to_the_whole_and_fit_their_parts(parts in prop::collection::vec(0i64..=20_000_000_000, 1..=50), part in 0u32..=10_000) {
            let base: i64 = parts.iter().sum();
            let whole = Amount::from_minor(i64::try_from(i128::from(base) * i128::from(part) / 10_000).unwrap());
            let parts: Vec<Amount> = parts.into_iter().map(Amount::from_minor).collect();
            let shares = shares(whole, &parts, Amount::from_minor(base));
            prop_assert_eq!(shares.iter().map(|share| share.minor()).sum::<i64>(), whole.minor());
            for (share, part) in shares.iter().zip(&parts) {
                prop_assert!(*share >= Amount::ZERO && share <= part);
            }
        }
    }
}
