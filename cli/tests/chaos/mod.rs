//! What the crash tests share: a whole boxoffice whose processes can die, shoppers who never give up, and the reckoning afterwards.
//!
//! | file | owns |
//! |---|---|
//! | `process` | one process that dies and comes back, and what it logged over all its lives |
//! | `site` | one installation: its folder, its environment, its processes' recipes, its books |
//! | `order` | what is bought, and what may become of it |
//! | `page` | the customer at the payment page |
//! | `shop` | the client: posts until it is answered |
//! | `crowd` | many shoppers at once |
//! | `subscribers` | customers whose subscriptions renew meanwhile |
//! | `reckoning` | the promises, held against every account that there is |

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

pub mod crowd;
pub mod order;
pub mod page;
pub mod process;
pub mod reckoning;
pub mod shop;
pub mod site;
pub mod subscribers;

use std::time::{Duration, Instant};

/// How long the slowest recovery may take on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
pub const POLL: Duration = Duration::from_millis(50);

/// Looks again and again until `look` finds something. Panics with `what` when it does not in time.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, patience: Duration, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "within {} s: {what}", patience.as_secs());
        tokio::time::sleep(POLL).await;
    }
}
