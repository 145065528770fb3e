//! What a payment is made up of: the methods that a client names, and what of the total each of them pays.

use super::{
    error::{Code, CodedError},
    leg::{Leg, Tender},
    money::{Amount, MoneyError},
};

/// The most methods that one payment is split over.
pub const MAX_METHODS: usize = 5;

/// A method as a client asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub tender: Tender,
    /// What it is to pay, minor units. Of one method at the most it may be left out: that one pays the rest.
    pub amount: Option<Amount>,
    /// Where it stands in the request, for errors: `payment.methods[0]`.
    pub param: String,
}

/// The legs of a payment of `total`, in the order of the methods. They come to the total exactly, and none is for nothing unless
/// nothing is due.
///
/// Errors: `payment_amount_mismatch`, `payment_method_invalid`, `parameter_invalid`.
pub fn legs(asked: &[Asked], total: Amount) -> Result<Vec<Leg>, CodedError> {
    if !(1..=MAX_METHODS).contains(&asked.len()) {
        return Err(CodedError::new(Code::ParameterInvalid, format!("name 1 to {MAX_METHODS} methods")).at("payment.methods"));
    }
    let is_alone = asked.len() == 1;
    let named = asked.iter().filter_map(|method| method.amount).try_fold(Amount::ZERO, Amount::plus).map_err(out_of_range)?;
    let rest = total.minus(named).map_err(out_of_range)?;
    let mut takes_rest = asked.iter().filter(|method| method.amount.is_none());
    if let (Some(_), Some(second)) = (takes_rest.next(), takes_rest.next()) {
        return Err(CodedError::new(Code::ParameterInvalid, "only one method can pay the rest: name its amount")
            .at(format!("{}.amount", second.param)));
    }
    check_one_balance(asked)?;
    check_one_push(asked)?;
    let mut legs = Vec::with_capacity(asked.len());
    for method in asked {
        let amount = method.amount.unwrap_or(rest);
        let mismatch = |words: String| {
            let at = if is_alone || method.amount.is_none() { format!("{}.amount", method.param) } else { "payment.methods".to_owned() };
            CodedError::new(Code::PaymentAmountMismatch, words).at(at)
        };
        if matches!(method.tender, Tender::Free {}) && !(is_alone && total.is_zero()) {
            let words = if is_alone { format!("{total} minor units are due") } else { "free pays for nothing: leave it out".to_owned() };
            return Err(CodedError::new(Code::PaymentMethodInvalid, words).at(&method.param));
        }
        if is_alone && amount != total {
            return Err(mismatch(format!("{amount} is not the total, which is {total} minor units")));
        }
        // Places that cost nothing are paid for with credits all the same.
        let is_for_nothing = amount.is_zero() && matches!(method.tender, Tender::Membership { .. });
        if !is_alone && amount <= Amount::ZERO && !is_for_nothing {
            let words = if method.amount.is_some() {
                "a method pays more than nothing".to_owned()
            } else {
                format!("the others pay {named} of {total} minor units: nothing is left for it")
            };
            return Err(CodedError::new(Code::PaymentAmountMismatch, words).at(format!("{}.amount", method.param)));
        }
        legs.push(Leg { amount, tender: method.tender.clone() });
    }
    let sum = legs.iter().map(|leg| leg.amount).try_fold(Amount::ZERO, Amount::plus).map_err(out_of_range)?;
    if sum != total {
        let words = format!("the methods pay {sum}, and the total is {total} minor units");
        return Err(CodedError::new(Code::PaymentAmountMismatch, words).at("payment.methods"));
    }
    Ok(legs)
}

/// A customer has one balance in a currency: named twice, one of the two is a mistake.
fn check_one_balance(asked: &[Asked]) -> Result<(), CodedError> {
    let second = asked.iter().filter(|method| matches!(method.tender, Tender::Balance {})).nth(1);
    second.map_or(Ok(()), |twice| Err(CodedError::new(Code::ParameterInvalid, "the balance pays once").at(format!("{}.type", twice.param))))
}

/// What is taken at the customer's word cannot be promised until another is asked, too: two of them would leave one with money that
/// has to go back.
fn check_one_push(asked: &[Asked]) -> Result<(), CodedError> {
    let second = asked.iter().filter(|method| method.tender.is_push()).nth(1);
    let words = "mobile money, a bank or a wallet pays once in a payment: such money cannot be promised first";
    second.map_or(Ok(()), |twice| Err(CodedError::new(Code::PaymentMethodInvalid, words).at(format!("{}.type", twice.param))))
}

fn out_of_range(error: MoneyError) -> CodedError {
    CodedError::new(Code::AmountOutOfRange, error.to_string()).at("payment.methods")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::Secret;
    use proptest::prelude::*;

    fn asked(amounts: &[Option<i64>]) -> Vec<Asked> {
        let method = |(at, amount): (usize, &Option<i64>)| Asked {
            tender: Tender::card(Secret::new("tok_visa".to_owned())),
            amount: amount.map(Amount::from_minor),
            param: format!("payment.methods[{at}]"),
        };
        amounts.iter().enumerate().map(method).collect()
    }

    fn split(amounts: &[Option<i64>], total: i64) -> Result<Vec<i64>, (Code, String)> {
        let legs = legs(&asked(amounts), Amount::from_minor(total)).map_err(|error| (error.code, error.param.unwrap_or_default()))?;
        Ok(legs.iter().map(|leg| leg.amount.minor()).collect())
    }

    #[test]
    fn one_method_may_pay_the_rest_and_all_together_pay_the_total() {
        assert_eq!(split(&[None], 1500), Ok(vec![1500]));
        assert_eq!(split(&[Some(1000), None], 1500), Ok(vec![1000, 500]));
        assert_eq!(split(&[None, Some(1), Some(2)], 1500), Ok(vec![1497, 1, 2]));
        assert_eq!(split(&[Some(1000), Some(500)], 1500), Ok(vec![1000, 500]));
        assert_eq!(split(&[None], 0), Ok(vec![0]));
    }

    #[test]
    fn what_does_not_add_up_is_refused_at_its_place() {
        let mismatch = |at: &str| Err((Code::PaymentAmountMismatch, at.to_owned()));
        assert_eq!(split(&[Some(1499)], 1500), mismatch("payment.methods[0].amount"));
        assert_eq!(split(&[Some(1000), Some(499)], 1500), mismatch("payment.methods"));
        assert_eq!(split(&[Some(1500), None], 1500), mismatch("payment.methods[1].amount"));
        assert_eq!(split(&[Some(2000), None], 1500), mismatch("payment.methods[1].amount"));
        assert_eq!(split(&[Some(1501), Some(-1)], 1500), mismatch("payment.methods[1].amount"));
        assert_eq!(split(&[None, None], 1500), Err((Code::ParameterInvalid, "payment.methods[1].amount".to_owned())));
        assert_eq!(split(&[], 1500), Err((Code::ParameterInvalid, "payment.methods".to_owned())));
        assert_eq!(split(&[Some(1); 6], 6), Err((Code::ParameterInvalid, "payment.methods".to_owned())));
        assert_eq!(split(&[Some(i64::MAX), Some(i64::MAX)], 1), Err((Code::AmountOutOfRange, "payment.methods".to_owned())));
    }

    #[test]
    fn free_pays_for_nothing_and_alone() {
        let free = || Asked { tender: Tender::Free {}, amount: None, param: "payment.methods[0]".to_owned() };
        assert_eq!(legs(&[free()], Amount::ZERO).unwrap().len(), 1);
        assert_eq!(legs(&[free()], Amount::from_minor(1)).unwrap_err().code, Code::PaymentMethodInvalid);
        let with_card = [free(), asked(&[Some(1)]).remove(0)];
        assert_eq!(legs(&with_card, Amount::from_minor(1)).unwrap_err().code, Code::PaymentMethodInvalid);
    }

    #[test]
    fn free_with_anything_beside_it_or_an_amount_is_refused_also_when_nothing_is_due() {
        let free = |amount: Option<i64>, at: usize| Asked {
            tender: Tender::Free {},
            amount: amount.map(Amount::from_minor),
            param: format!("payment.methods[{at}]"),
        };
        let cash = |amount: Option<i64>| Asked { tender: Tender::Custom { name: "cash".to_owned(), note: None }, ..free(amount, 1) };
        let code = |asked: &[Asked], total| legs(asked, Amount::from_minor(total)).unwrap_err().code;
        assert_eq!(legs(&[free(Some(0), 0)], Amount::ZERO).unwrap().len(), 1);
        assert_eq!(code(&[free(Some(5), 0)], 0), Code::PaymentAmountMismatch);
        assert_eq!(code(&[free(Some(0), 0), free(None, 1)], 0), Code::PaymentMethodInvalid);
        assert_eq!(code(&[free(Some(0), 0), cash(None)], 0), Code::PaymentMethodInvalid);
        assert_eq!(code(&[cash(Some(5)), free(None, 1)], 5), Code::PaymentMethodInvalid);
        assert_eq!(code(&[cash(Some(0)), Asked { param: "payment.methods[0]".to_owned(), ..cash(None) }], 5), Code::PaymentAmountMismatch);
    }

    #[test]
    fn a_balance_pays_once() {
        let balance = |amount: Option<i64>, at: usize| Asked {
            tender: Tender::Balance {},
            amount: amount.map(Amount::from_minor),
            param: format!("payment.methods[{at}]"),
        };
        let refused = legs(&[balance(Some(5), 0), balance(None, 1)], Amount::from_minor(10)).unwrap_err();
        assert_eq!((refused.code, refused.param.as_deref()), (Code::ParameterInvalid, Some("payment.methods[1].type")));
        assert_eq!(legs(&[balance(Some(5), 0), asked(&[None]).remove(0)], Amount::from_minor(10)).unwrap().len(), 2);
    }

    proptest! {
        #[test]
        fn legs_come_to_the_total_or_are_refused(amounts in prop::collection::vec(prop::option::of(-5i64..2_000), 1..6), total in 0i64..5_000) {
            if let Ok(amounts) = split(&amounts, total) {
                prop_assert_eq!(amounts.iter().sum::<i64>(), total);
                prop_assert!(amounts.len() == 1 || amounts.iter().all(|&amount| amount > 0));
            }
        }
    }
}
