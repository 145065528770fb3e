//! A listening server and its end. Everything about a connection is bounded: how many there are, how long a client may
//! take to say what it wants, how much of it is kept, and how long it is heard out after its answer.

use crate::{
    exit::{Failure, io},
    linger::{Lingering, Rest},
};
use axum::Router;
use boxoffice_api::Peer;
use hyper::{
    Request,
    body::Incoming,
    header,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How long requests under way may take after a stop was asked for.
const GRACE: Duration = Duration::from_secs(10);
/// Connections at once; more wait in the kernel's line.
const MAX_CONNECTIONS: usize = 25_000;
/// Connections in the kernel's line, as far as `net.core.somaxconn` lets us. One that finds no room there tries again after a
/// second: the usual 128 are too few when the sale of a popular session opens.
const MAX_IN_LINE: u32 = 4096;
/// How long a client may take over a request's head, or keep an idle connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// The most of a request's head.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// A pause after the system could not accept (out of files): trying at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let listener = socket.listen(MAX_IN_LINE)?;
            let url = format!("http://{}", listener.local_addr()?);
            Ok(Self { listener, url })
        };
        bound.await.map_err(io(format!("listening on {address}")))
    }

    /// Serves until `stop`, then finishes what is under way, for a bounded time.
    pub fn serve(self, router: Router, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(async move {
            let connections = GracefulShutdown::new();
            let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
            while let Some((stream, peer)) = stop.run_until_cancelled(accept(&self.listener)).await {
                let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await else { break };
                // Small answers are not held back to be sent together.
                let _ = stream.set_nodelay(true);
                let router = TowerToHyperService::new(router.clone());
                let service = service_fn(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(Peer(peer.ip()));
                    let expects = request.headers().contains_key(header::EXPECT);
                    router.call(request.map(|body| Rest::new(body, expects)))
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_PATIENCE)
                    .max_buf_size(MAX_HEAD_BYTES)
                    .serve_connection(TokioIo::new(Lingering::new(stream)), service);
                let connection = connections.watch(connection);
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::trace!(%error, "a connection ended");
                    }
                    drop(place);
                });
            }
            drop(self.listener);
            if tokio::time::timeout(GRACE, connections.shutdown()).await.is_err() {
                tracing::warn!("some requests were cut off");
            }
        })
    }
}

/// The next connection. A failure to accept passes.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::debug!(%error, "could not accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
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
