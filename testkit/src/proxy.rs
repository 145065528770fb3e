//! A TCP proxy that cuts its connections at a chosen step, or lets nothing through them any more.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// On which side of a request the connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never sees the request.
    BeforeRequest,
    /// The server acts on the request, and its answer is lost.
    BeforeAnswer,
}

struct Plan {
    /// Requests until the cut; `None`: nothing is cut.
    left: Option<usize>,
    cut: Cut,
}

struct Shared {
    plan: Mutex<Plan>,
    cut: AtomicBool,
    /// Changes with every cut: all connections end.
    ended: watch::Sender<u64>,
    /// Changes when all connections fall silent.
    silent: watch::Sender<u64>,
}

/// Forwards to a server, and ends all its connections when the chosen request comes by.
pub struct CuttingProxy {
    url: String,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

impl CuttingProxy {
    /// Listens on a free port of the loopback and forwards to the server in `url` (`scheme://user@host:port/…`).
    pub async fn start(url: &str) -> io::Result<Self> {
        let mut parsed = url::Url::parse(url).map_err(io::Error::other)?;
        let host = parsed.host_str().unwrap_or("127.0.0.1").to_owned();
        let port = parsed.port().ok_or_else(|| io::Error::other("the address has no port"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        parsed.set_host(Some("127.0.0.1")).map_err(io::Error::other)?;
        parsed.set_port(Some(listener.local_addr()?.port())).map_err(|()| io::Error::other("no port can be set"))?;
        let shared = Arc::new(Shared {
            plan: Mutex::new(Plan { left: None, cut: Cut::BeforeRequest }),
            cut: AtomicBool::new(false),
            ended: watch::channel(0).0,
            silent: watch::channel(0).0,
        });
        let accepting = tokio::spawn(accept(listener, (host, port), Arc::clone(&shared)));
        Ok(Self { url: parsed.into(), shared, accepting })
    }

    /// The proxy's own address, in the form of the server's.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Cuts at request number `step` from now, counted from 0 over all connections. Once.
    pub fn cut_at(&self, step: usize, cut: Cut) {
        self.shared.cut.store(false, Ordering::SeqCst);
        *self.shared.plan.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Plan { left: Some(step), cut };
    }

    /// Nothing comes through the connections that there are any more, in neither direction, and none of them ends: as if the
    /// server's host were gone. New ones are forwarded.
    pub fn fall_silent(&self) {
        self.shared.silent.send_modify(|count| *count += 1);
    }

    /// Whether the last plan came to its cut.
    pub fn was_cut(&self) -> bool {
        self.shared.cut.load(Ordering::SeqCst)
    }
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: (String, u16), shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, shared) = (server.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let (mut ended, silent) = (shared.ended.subscribe(), shared.silent.subscribe());
            if let Ok(upstream) = TcpStream::connect(server).await {
                tokio::select! {
                    _ = forward(client, upstream, &shared, silent) => {}
                    _ = ended.changed() => {}
                }
            }
        });
    }
}

async fn forward(client: TcpStream, server: TcpStream, shared: &Shared, mut silent: watch::Receiver<u64>) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut request, mut answer) = (vec![0u8; 65536], vec![0u8; 65536]);
    let mut lose_answer = false;
    loop {
        tokio::select! {
            _ = silent.changed() => std::future::pending().await,
            read = from_client.read(&mut request) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                match shared.due() {
                    Some(Cut::BeforeRequest) => return shared.end(),
                    Some(Cut::BeforeAnswer) => lose_answer = true,
                    None => {}
                }
                to_server.write_all(request.get(..read).unwrap_or_default()).await?;
            }
            read = from_server.read(&mut answer) => {
                let read = read?;
                if lose_answer {
                    return shared.end();
                }
                if read == 0 {
                    return Ok(());
                }
                to_client.write_all(answer.get(..read).unwrap_or_default()).await?;
            }
        }
    }
}

impl Shared {
    /// Counts a request; answers how to cut when it is the chosen one.
    fn due(&self) -> Option<Cut> {
        let mut plan = self.plan.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match plan.left {
            Some(0) => {
                plan.left = None;
                self.cut.store(true, Ordering::SeqCst);
                Some(plan.cut)
            }
            Some(left) => {
                plan.left = Some(left - 1);
                None
            }
            None => None,
        }
    }

    fn end(&self) -> io::Result<()> {
        self.ended.send_modify(|count| *count += 1);
        Ok(())
    }
}
