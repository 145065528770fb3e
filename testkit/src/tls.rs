//! A certification authority of a test's own, and a listener that speaks TLS with a certificate of it.

use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long a client may take over its handshake: others wait for it.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// Whom its certificates are for.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A certification authority that nobody trusts who was not told to.
pub struct PrivateCa {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl PrivateCa {
    /// Makes one.
    pub fn new() -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).map_err(io::Error::other)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// Its own certificate, for those who are to trust it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server's side, with a fresh certificate for this machine's loopback address.
    fn server(&self) -> io::Result<ServerConfig> {
        // Another part of the process may have installed it already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let params = CertificateParams::new(NAMES.map(str::to_owned)).map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).map_err(io::Error::other)
    }
}

/// Accepts connections and shakes hands on each; whoever fails at that is forgotten.
pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    pub(crate) fn new(tcp: TcpListener, ca: &PrivateCa) -> io::Result<Self> {
        Ok(Self { tcp, acceptor: TlsAcceptor::from(Arc::new(ca.server()?)) })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.tcp).await;
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_WITHIN, self.acceptor.accept(stream)).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
