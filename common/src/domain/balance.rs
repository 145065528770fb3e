//! Balances: what a tenant owes its customers, and they pay with.
//!
//! A balance is the sum of its moves in one currency, never a number that is kept. What a checkout that is under way is to pay with is
//! a move of its own that is held: booked with the sale, released when there is none. Always: whoever takes from a balance holds its
//! customer's lock and reads the sum behind it. *Because* of two who read before either writes, both would take.

use super::{
    checkout::Checkout,
    claim::ClaimState,
    error::{Code, CodedError},
    id::{AdjustmentId, CustomerId},
    ledger::Entry,
    leg::Tender,
    money::{Amount, Currency},
    order::Order,
    scope::Scope,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The account that stands for all balances: what is owed to customers, so that it is credited with what they are given.
pub const ACCOUNT: &str = "tender:balance";

/// Why a balance is changed by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Given away; with a negative amount, taken back.
    Gift,
    /// The customer paid it in, outside.
    Deposit,
    /// A mistake is mended.
    Correction,
    /// Paid out to the customer, outside: a negative amount.
    Payout,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Gift, Self::Deposit, Self::Correction, Self::Payout];

    /// As it stands in JSON, in the store, and in the ledger as the type of its entries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gift => "gift",
            Self::Deposit => "deposit",
            Self::Correction => "correction",
            Self::Payout => "payout",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Where the other side of it is booked.
    pub const fn account(self) -> &'static str {
        match self {
            Self::Gift => "gifts",
            Self::Deposit => "deposits",
            Self::Correction => "corrections",
            Self::Payout => "payouts",
        }
    }

    const fn allows(self, amount: Amount) -> bool {
        match self {
            Self::Gift | Self::Correction => true,
            Self::Deposit => amount.minor() > 0,
            Self::Payout => amount.minor() < 0,
        }
    }
}

/// A change by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = BalanceAdjustment)]
pub struct Adjustment {
    /// Its id.
    pub id: AdjustmentId,
    /// `balance_adjustment`.
    pub object: &'static str,
    /// Whose balance.
    pub customer: CustomerId,
    /// Minor units; negative: taken from the customer.
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// Why.
    pub reason: Reason,
    /// For people.
    pub note: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// What an [`Adjustment`] says in `object`.
pub const ADJUSTMENT: &str = "balance_adjustment";

impl Adjustment {
    /// Whether a balance of which `available` is neither spent nor held can be changed so, and comes to what we can count.
    ///
    /// Errors: `parameter_invalid`, `balance_insufficient`, `amount_out_of_range`.
    pub fn check(&self, available: Amount) -> Result<(), CodedError> {
        let refuse = |code, words: String| Err(CodedError::new(code, words).at("amount"));
        if self.amount.is_zero() || !self.reason.allows(self.amount) {
            let words = if self.amount.is_zero() {
                "is not nothing".to_owned()
            } else {
                format!("has the wrong sign for {}", self.reason.as_str())
            };
            return refuse(Code::ParameterInvalid, words);
        }
        match available.plus(self.amount) {
            Ok(left) if left < Amount::ZERO => refuse(Code::BalanceInsufficient, insufficient(available, self.currency)),
            Ok(_) => Ok(()),
            Err(error) => refuse(Code::AmountOutOfRange, error.to_string()),
        }
    }

    /// The sides of its ledger transaction: what is owed to the customer, against why.
    pub fn entries(&self) -> Vec<Entry> {
        let entry = |account: &str, amount, about: &str| Entry {
            account: account.to_owned(),
            amount,
            detail: self.reason.as_str().to_owned(),
            entity: Some(about.to_owned()),
        };
        vec![entry(self.reason.account(), self.amount, self.id.as_str()), entry(ACCOUNT, self.amount.negated(), self.customer.as_str())]
    }
}

/// What a customer has in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CustomerBalance {
    /// Which currency.
    pub currency: Currency,
    /// Minor units. Never negative.
    pub amount: Amount,
    /// What checkouts under way are to pay with.
    pub held: Amount,
    /// What is left.
    pub available: Amount,
}

/// Whose balance, in which currency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BalanceKey {
    /// Of which tenant and mode.
    pub scope: Scope,
    /// Whose.
    pub customer: CustomerId,
    /// In which currency.
    pub currency: Currency,
}

/// The state of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveState {
    /// For a checkout that is under way.
    Held,
    /// For good.
    Booked,
    /// It was held, and counts for nothing.
    Released,
}

impl MoveState {
    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Booked => "booked",
            Self::Released => "released",
        }
    }
}

/// One summand of a balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceMove {
    /// Whose.
    pub customer: CustomerId,
    /// What made it: a checkout, a refund or an adjustment.
    pub source: String,
    /// Tells several of one source apart: the place of the leg.
    pub n: usize,
    /// Minor units; negative: less for the customer.
    pub amount: Amount,
    /// Whether it counts for good.
    pub state: MoveState,
}

/// What each leg takes from the balance of the order's customer: its place, and how much.
pub fn spent(order: &Order) -> impl Iterator<Item = (usize, Amount)> {
    let legs = order.legs.iter().enumerate();
    legs.filter(|(_, leg)| matches!(leg.tender, Tender::Balance {}) && !leg.amount.is_zero()).map(|(at, leg)| (at, leg.amount))
}

/// The balance that an order pays with, if it does.
pub fn key(scope: &Scope, order: &Order) -> Option<BalanceKey> {
    spent(order).next()?;
    Some(BalanceKey { scope: scope.clone(), customer: order.customer.clone()?, currency: order.currency })
}

/// Whether there is as much as the checkout is to pay with. `available` holds what was read under the locks.
///
/// Errors: `balance_insufficient`, at `payment`.
pub fn check(checkout: &Checkout, available: &HashMap<BalanceKey, Amount>) -> Result<(), CodedError> {
    let refuse = |words: String| Err(CodedError::new(Code::BalanceInsufficient, words).at("payment"));
    let wanted = spent(&checkout.order).map(|(_, amount)| amount).try_fold(Amount::ZERO, Amount::plus);
    let left = key(&checkout.scope, &checkout.order).and_then(|key| available.get(&key)).copied().unwrap_or(Amount::ZERO);
    match wanted {
        Ok(wanted) if wanted <= left => Ok(()),
        Ok(_) => refuse(insufficient(left, checkout.order.currency)),
        Err(error) => refuse(error.to_string()),
    }
}

/// Takes it out of what is there, for whoever is decided next.
pub fn take(checkout: &Checkout, available: &mut HashMap<BalanceKey, Amount>) {
    let Some(left) = key(&checkout.scope, &checkout.order).and_then(|key| available.get_mut(&key)) else { return };
    for (_, amount) in spent(&checkout.order) {
        // Checked before: it does not fall below zero.
        *left = left.minus(amount).unwrap_or(Amount::ZERO);
    }
}

/// The moves of a checkout whose claims come into being in `state`.
pub fn moves(checkout: &Checkout, state: ClaimState) -> Vec<BalanceMove> {
    let Some(customer) = &checkout.order.customer else { return Vec::new() };
    let state = match state {
        ClaimState::Held => MoveState::Held,
        ClaimState::Sold => MoveState::Booked,
        ClaimState::Released => MoveState::Released,
    };
    let one = |(n, amount): (usize, Amount)| BalanceMove {
        customer: customer.clone(),
        source: checkout.id.to_string(),
        n,
        amount: amount.negated(),
        state,
    };
    spent(&checkout.order).map(one).collect()
}

/// In words: how much is there.
pub fn insufficient(available: Amount, currency: Currency) -> String {
    format!("the customer's balance has {available} minor units ({} {currency}) to spend", currency.decimal(available))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Entropy;

    fn adjustment(reason: Reason, amount: i64) -> Adjustment {
        let now = Timestamp::from_millis(1_000_000);
        Adjustment {
            id: AdjustmentId::generate(&Entropy::from_seed(1), now),
            object: ADJUSTMENT,
            customer: CustomerId::parse("cus_ada").unwrap(),
            amount: Amount::from_minor(amount),
            currency: Currency::parse("usd").unwrap(),
            reason,
            note: None,
            created_at: now,
        }
    }

    fn check(reason: Reason, amount: i64, available: i64) -> Result<(), Code> {
        adjustment(reason, amount).check(Amount::from_minor(available)).map_err(|error| error.code)
    }

    #[test]
    fn nobody_is_left_with_less_than_nothing_or_more_than_can_be_counted() {
        assert_eq!(check(Reason::Gift, 1, 0), Ok(()));
        assert_eq!(check(Reason::Correction, -500, 500), Ok(()));
        assert_eq!(check(Reason::Correction, -501, 500), Err(Code::BalanceInsufficient));
        assert_eq!(check(Reason::Gift, i64::MIN, 500), Err(Code::AmountOutOfRange));
        assert_eq!(check(Reason::Gift, Amount::MAX.minor(), 1), Err(Code::AmountOutOfRange));
    }

    #[test]
    fn each_reason_has_its_sign() {
        for (reason, more, less) in
            [(Reason::Gift, true, true), (Reason::Deposit, true, false), (Reason::Correction, true, true), (Reason::Payout, false, true)]
        {
            assert_eq!((check(reason, 5, 100).is_ok(), check(reason, -5, 100).is_ok()), (more, less), "{reason:?}");
            assert_eq!(check(reason, 0, 100), Err(Code::ParameterInvalid));
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
    }

    #[test]
    fn what_a_customer_is_given_is_owed_to_him() {
        for amount in [1_000, -300] {
            let entries = adjustment(Reason::Gift, amount).entries();
            assert_eq!(entries.iter().map(|entry| entry.amount.minor()).sum::<i64>(), 0);
            let owed = entries.iter().find(|entry| entry.account == ACCOUNT).unwrap();
            assert_eq!((owed.amount.minor(), owed.entity.as_deref()), (-amount, Some("cus_ada")));
        }
    }
}
