//! The rules, free of I/O: states, money, pricing, eligibility, claims, ledger, and the objects they speak of.

pub mod attempt;
pub mod begin;
pub mod bought_membership;
pub mod card_number;
pub mod catalogue;
pub mod catalogue_check;
pub mod checkout;
pub mod claim;
pub mod customer;
pub mod delivery;
pub mod effects;
pub mod eligibility;
pub mod ends;
pub mod error;
pub mod event;
pub mod hosted;
pub mod id;
pub mod ledger;
pub mod ledger_view;
pub mod membership;
pub mod money;
pub mod order;
pub mod pricing;
pub mod redeem;
pub mod refund;
pub mod refund_credits;
pub mod refund_membership;
pub mod refund_part;
pub mod saga;
pub mod scope;
pub mod seat_check;
pub mod secret;
pub mod settings;
pub mod settle;
pub mod span;
pub mod state;
pub mod tender;
pub mod ticket;
pub mod ticket_code;
pub mod time;
pub mod time_zone;
pub mod timeline;
pub mod view;
pub mod waiting;

#[cfg(test)]
mod trials;
