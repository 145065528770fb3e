//! The truth. It speaks in transitions; each method is one transaction, and a lost race is a value, not an error.
//!
//! | file | owns |
//! |---|---|
//! | `checkouts` | checkouts and everything that moves with them |
//! | `attempts` | attempts by time, whichever checkouts they are of |
//! | `balances` | what customers have to pay with |
//! | `catalogue` | what is sold, and to whom |
//! | `jobs` | work that takes long |
//! | `keys` | API keys |
//! | `deliveries` | webhook endpoints, secrets, deliveries |
//! | `memberships`, `payment_methods` | what customers have bought, and saved, to pay with |
//! | `ledger` | the ledger as people read it |
//! | `numbers` | numbers for things whose ids are none |
//! | `provider_accounts` | accounts with payment providers, which of them a charge goes to, and how they do |
//! | `provider_events` | what providers tell us of their own accord |
//! | `settings` | how a tenant presents itself, and where its days are counted |
//! | `subscriptions` | what sold plans have become |
//! | `tickets` | tickets, and what they are signed with |
//! | `unanswered` | what was asked for without a key, and not answered yet |
//! | `upkeep` | migrations, the audit, what is forgotten |
//! | `waiting` | waiting lists |
//! | `paging`, `error` | what all of them share |

mod attempts;
mod balances;
mod catalogue;
mod checkouts;
mod deliveries;
mod error;
mod jobs;
mod keys;
mod ledger;
mod memberships;
mod numbers;
mod paging;
mod payment_methods;
mod provider_accounts;
mod provider_events;
mod settings;
mod subscriptions;
mod tickets;
mod unanswered;
mod upkeep;
mod waiting;

pub use attempts::*;
pub use balances::*;
pub use catalogue::*;
pub use checkouts::*;
pub use deliveries::*;
pub use error::*;
pub use jobs::*;
pub use keys::*;
pub use ledger::*;
pub use memberships::*;
pub use numbers::*;
pub use paging::*;
pub use payment_methods::*;
pub use provider_accounts::*;
pub use provider_events::*;
pub use settings::*;
pub use subscriptions::*;
pub use tickets::*;
pub use unanswered::*;
pub use upkeep::*;
pub use waiting::*;

/// The truth as a whole.
pub trait Store:
    CheckoutStore
    + AttemptStore
    + BalanceStore
    + CatalogueStore
    + JobStore
    + KeyStore
    + DeliveryStore
    + LedgerStore
    + MembershipStore
    + NumberStore
    + PaymentMethodStore
    + ProviderAccountStore
    + ProviderEventStore
    + SettingsStore
    + SubscriptionStore
    + TicketStore
    + UnansweredStore
    + UpkeepStore
    + WaitingStore
{
}

impl<
    T: CheckoutStore
        + AttemptStore
        + BalanceStore
        + CatalogueStore
        + JobStore
        + KeyStore
        + DeliveryStore
        + LedgerStore
        + MembershipStore
        + NumberStore
        + PaymentMethodStore
        + ProviderAccountStore
        + ProviderEventStore
        + SettingsStore
        + SubscriptionStore
        + SubscriptionStore
        + TicketStore
        + UnansweredStore
        + UpkeepStore
        + WaitingStore,
> Store for T
{
}
