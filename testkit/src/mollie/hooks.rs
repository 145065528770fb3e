//! Webhooks as the payment's `webhookUrl` gets them: a form with the payment's id, told again until it is taken
//! (docs.mollie.com/reference/webhooks).

use super::{Shared, lock};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// When a webhook that was not taken is told again, minutes after the try before: ten tries in all.
const INTERVALS: [u32; 9] = [1, 2, 4, 8, 16, 29, 60, 120, 1320];
/// How long a try may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// One to be told.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    pub(super) url: String,
    pub(super) id: String,
    pub(super) body: Option<SignedEvent>,
}

/// The body and signature of a next-generation webhook.
#[derive(Debug, Clone)]
pub(super) struct SignedEvent {
    pub(super) body: String,
    pub(super) signature: String,
}

/// Tells whatever is due, until the stand-in is gone.
pub(super) async fn run(shared: Weak<Shared>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Ok(client) = reqwest::Client::builder().no_proxy().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build() else {
        return;
    };
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let waiting = std::mem::take(&mut lock(&strong.book).hooks);
        let (held, changed, pace) = (strong.holds_webhooks(), strong.changed.subscribe(), strong.settings.minute);
        for hook in waiting {
            if held {
                lock(&strong.held).push(hook);
            } else {
                tokio::spawn(tell(client.clone(), hook, pace, Arc::downgrade(&strong)));
            }
        }
        let is_idle = lock(&strong.book).hooks.is_empty();
        drop(strong);
        let mut changed = changed;
        if is_idle && tokio::time::timeout(Duration::from_millis(200), changed.changed()).await.is_ok_and(|changed| changed.is_err()) {
            return;
        }
    }
}

async fn tell(client: reqwest::Client, hook: Hook, minute: Duration, shared: Weak<Shared>) {
    for wait in INTERVALS.map(Some).into_iter().chain([None]) {
        let request = client.post(&hook.url).header("User-Agent", "Mollie HTTP client/1.0");
        let request = match &hook.body {
            Some(event) => request
                .header("Content-Type", "application/json")
                .header("X-Mollie-Signature", format!("sha256={}", event.signature))
                .body(event.body.clone()),
            None => request.header("Content-Type", "application/x-www-form-urlencoded").body(format!("id={}", hook.id)),
        };
        let taken = request.send().await.is_ok_and(|answer| answer.status().is_success());
        let Some(shared) = shared.upgrade() else { return };
        shared.told.send_modify(|told| told.push((hook.id.clone(), taken)));
        drop(shared);
        let Some(wait) = wait.filter(|_| !taken) else { return };
        tokio::time::sleep(minute * wait).await;
    }
}
