//! Native routes, a file for each resource.

pub mod balances;
pub mod bought_memberships;
pub mod catalogue;
pub mod checkouts;
pub mod customers;
pub mod deliveries;
pub mod health;
pub mod jobs;
pub mod ledger;
pub mod memberships;
pub mod paging;
pub mod paths;
pub mod payment_methods;
pub mod plans;
pub mod preferred_wait;
pub mod products;
pub mod promo_codes;
pub mod provider_events;
pub mod refunds;
pub mod sandbox;
pub mod sessions;
pub mod settings;
pub mod subscriptions;
pub mod tickets;
pub mod waiting_list;
pub mod webhook_endpoints;
