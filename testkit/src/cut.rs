//! A listener whose connections can be cut by whoever answers on them: the client sees the answer break off, or never begin.

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// What a connection may still write, bytes; shared with the handlers on it, which are told of it as their connection's info.
#[derive(Debug, Clone)]
pub struct Scissors(Arc<AtomicUsize>);

impl Scissors {
    /// Lets so many more bytes through, and then ends the connection.
    pub fn cut_after(&self, bytes: usize) {
        self.0.store(bytes, Ordering::SeqCst);
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn wrote(&self, bytes: usize) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| (left != usize::MAX).then(|| left.saturating_sub(bytes)));
    }
}

impl Default for Scissors {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }
}

impl Connected<IncomingStream<'_, CutListener>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, CutListener>) -> Self {
        stream.io().scissors.clone()
    }
}

/// Accepts connections with scissors.
#[derive(Debug)]
pub struct CutListener(pub TcpListener);

impl Listener for CutListener {
    type Io = CutStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (tcp, address) = Listener::accept(&mut self.0).await;
        (CutStream { tcp, scissors: Scissors::default() }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// A connection with scissors.
#[derive(Debug)]
pub struct CutStream {
    tcp: TcpStream,
    scissors: Scissors,
}

impl AsyncRead for CutStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let left = self.scissors.left().min(buf.len());
        if left == 0 && !buf.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let (now, _) = buf.split_at(left);
        let written = Pin::new(&mut self.tcp).poll_write(cx, now);
        if let Poll::Ready(Ok(bytes)) = written {
            self.scissors.wrote(bytes);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, extract::ConnectInfo};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn an_answer_breaks_off_where_it_was_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(async |ConnectInfo(scissors): ConnectInfo<Scissors>, uri: http::Uri| {
            scissors.cut_after(uri.path().trim_start_matches('/').parse().unwrap());
            "a long answer"
        });
        let service = app.into_make_service_with_connect_info::<Scissors>();
        let server = tokio::spawn(async move { axum::serve(CutListener(listener), service).await.unwrap() });
        for bytes in [0, 1, 17, 100_000] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let ask = format!("GET /{bytes} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(ask.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let whole = answer.ends_with(b"a long answer");
            assert!(if bytes == 100_000 { whole } else { answer.len() == bytes }, "{bytes}: {}", answer.len());
        }
        server.abort();
    }
}
