//! A listening server and its end.

use crate::exit::{Failure, io};
use axum::{Router, serve::ListenerExt};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// How long requests under way may take after a stop was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// A bound address, not yet serving.
pub struct Listening {
    listener: TcpListener,
    /// `http://host:port`.
    pub url: String,
}

impl Listening {
    /// Binds.
    pub async fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let url = format!("http://{}", listener.local_addr()?);
            Ok(Self { listener, url })
        };
        bound.await.map_err(io(format!("listening on {address}")))
    }

    /// Serves until `stop`, then finishes what is under way, for a bounded time.
    pub fn serve(self, router: Router, stop: CancellationToken) -> JoinHandle<()> {
        let listener = self.listener.tap_io(|stream| {
            // Small answers are not held back to be sent together.
            let _ = stream.set_nodelay(true);
        });
        tokio::spawn(async move {
            let ended = stop.clone();
            let server = axum::serve(listener, router).with_graceful_shutdown(async move { ended.cancelled().await });
            let server = async { server.await };
            let too_long = async {
                stop.cancelled().await;
                tokio::time::sleep(GRACE).await;
            };
            tokio::select! {
                result = server => if let Err(error) = result { tracing::error!(%error, "the server ended") },
                () = too_long => tracing::warn!("some requests were cut off"),
            }
        })
    }
}

/// Waits for SIGTERM or SIGINT.
pub async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        // Without signals there is nothing to wait for but the end.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping; a second signal stops at once");
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
}
