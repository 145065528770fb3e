//! Every provider that this process can use: the sandbox, and the accounts that tenants have with others.
//!
//! | file | owns |
//! |---|---|
//! | `registry` | who is asked for a provider, a source of events, or where a charge goes |
//! | `opened` | an account as this process works with it, and what stays of it when it changes |
//! | `factory` | what makes a provider of an account and its credentials |
//! | `office` | adding and changing accounts, and sealing what is secret of them |
//! | `lately` | what was read of the store lately |

mod factory;
mod lately;
mod office;
mod opened;
mod registry;

pub use factory::{AccountAdapter, CheckFailed, NotBuilt, NotIdentified, ProviderFactories, ProviderFactory};
pub use office::{AccountEdit, AccountError, AccountOffice, NewProviderAccount, Resealed};
pub use opened::OpenedAccount;
pub use registry::{MAX_TRIED, ProviderRegistry};
