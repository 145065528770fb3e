//! One attempt at a provider, under a lease.

use crate::{WorkerContext, lane::StepError};
use boxoffice_common::{
    domain::{
        attempt::{Attempt, Outcome},
        begin::Action,
        checkout::Checkout,
        routing::Routing,
        settle::Settlement,
    },
    failpoint, retry,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// With less time than this left under the lease nothing is sent any more. A send that outlives its lease all the same runs beside
/// its successor's under the same key, which the provider answers as one.
const MARGIN: Duration = Duration::from_millis(250);

/// This worker's right to send, counted on its own monotonic clock from before the store granted it. The clock goes on
/// while the process is stopped.
pub(crate) struct Lease {
    pub(crate) token: String,
    pub(crate) ends: Instant,
}

/// Sends the attempt, or looks it up, and says what came of it.
pub(crate) async fn act(
    context: &WorkerContext,
    checkout: Box<Checkout>,
    n: u32,
    action: Action,
    lease: &Lease,
    routing: Arc<Routing>,
) -> Result<Settlement, StepError> {
    let Some(attempt) = checkout.attempts.iter().find(|attempt| attempt.n == n) else {
        return Err(StepError::Malformed(format!("no attempt {n}")));
    };
    let found = context.registry.provider(&attempt.provider, attempt.request.account.as_ref(), &checkout.scope).await;
    // Only now: the store may have been asked.
    let in_time = Instant::now() + MARGIN < lease.ends;
    let outcome = match found {
        _ if !in_time => {
            // Given back, not left to run out: a store that was slow to answer is no death, and nothing was sent under this
            // lease. If somebody else has it by now, this changes nothing.
            tracing::warn!(attempt = n, "the lease is over before anything was sent");
            Outcome::NotSent { cause: "the lease was over before anything was sent".to_owned(), retry_after: None }
        }
        // Given back, too.
        Err(error) => {
            tracing::warn!(attempt = n, %error, "the account that it goes to cannot be read");
            Outcome::NotSent { cause: "its account could not be read".to_owned(), retry_after: None }
        }
        Ok(None) => {
            Outcome::NotSent { cause: format!("{} is not set up here, or its account does not work", attempt.provider), retry_after: None }
        }
        Ok(Some(provider)) => {
            failpoint::cross("charge.before_send").await?;
            let began = Instant::now();
            let outcome = match action {
                Action::Send => provider.send(&attempt.request).await,
                Action::LookUp | Action::LastLook => provider.look_up(attempt).await,
            };
            failpoint::cross("charge.after_send").await?;
            metrics::histogram!("boxoffice_provider_seconds", "provider" => provider.name()).record(began.elapsed().as_secs_f64());
            outcome
        }
    };
    tracing::debug!(attempt = n, outcome = outcome.name(), "answered");
    metrics::counter!("boxoffice_attempts_total", "kind" => attempt.request.kind.as_str(), "outcome" => outcome.name()).increment(1);
    let retry_in = retry_in(attempt, &outcome);
    let (is_last_look, lease_token) = (action == Action::LastLook, lease.token.clone());
    Ok(Settlement { checkout: checkout.id.clone(), n, lease_token, outcome, retry_in, is_last_look, routing, known: Some(checkout) })
}

/// When to try again, where that is what follows.
fn retry_in(attempt: &Attempt, outcome: &Outcome) -> Duration {
    let next = attempt.tries.saturating_add(1);
    match outcome {
        Outcome::NotSent { retry_after, .. } => retry::REFUSED.wait(next, *retry_after),
        Outcome::RequiresAction { .. } | Outcome::RequiresForm { .. } | Outcome::Pending { .. } => retry::POLL.wait(next, None),
        Outcome::Unknown(_) | Outcome::Approved(_) | Outcome::Authorized(_) | Outcome::Declined(_) => retry::RECONCILE.wait(next, None),
    }
}
