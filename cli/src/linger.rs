//! Nobody loses an answer because it came before the request's end.
//!
//! A refusal (401, 413, 415, 429, …) is often ready while its client is still sending. If the socket is closed at that moment, the
//! kernel answers what is still coming with a reset, and a reset throws away what the client has not read yet: the answer. If the
//! connection is kept, but the rest is not read, the client's next request on it is lost. So what nobody wants is read and thrown
//! away, piece by piece, within bounds of bytes and of time: [`Rest`] does that for a request's body, and [`Lingering`] for
//! whatever comes after our last word.

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep, timeout},
};

/// The most that is thrown away, bytes. More than kernels keep on the way (10 MiB with Linux's defaults): a client that has handed
/// its whole body over, and so may send its next request, is always read to the body's end.
const MAX_REST: usize = 16 * 1024 * 1024;
/// How long the rest of a body may take.
const REST_WITHIN: Duration = Duration::from_secs(5);
/// How long a client may take to hang up after our last word.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a client may leave our answers unread before its connection is given to somebody else.
const UNREAD: Duration = Duration::from_secs(30);
/// Thrown away at once, bytes.
const PIECE: usize = 8 * 1024;

/// A request's body. What its handler leaves of it is read on and thrown away while the answer is on its way.
pub struct Rest {
    body: Option<Incoming>,
    /// The client waits to be told to go on, and was not: it sends nothing, and must not be made to.
    holds_back: bool,
}

impl Rest {
    /// Of a request that says `Expect: 100-continue`, or does not.
    pub fn new(body: Incoming, expects: bool) -> Self {
        Self { body: Some(body), holds_back: expects }
    }
}

impl Body for Rest {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        this.holds_back = false;
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            this.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !self.holds_back && !body.is_end_stream()) else { return };
        // Outside a runtime nothing is served any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // Where this gives up, the body is dropped, and the connection ends.
                let _ = timeout(REST_WITHIN, discard(body)).await;
            });
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut left = MAX_REST;
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// A connection that is closed only when its client has hung up, or could have; or when it does not read what it is told.
pub struct Lingering {
    stream: TcpStream,
    /// How long nothing may go out that is to go out.
    unread: Duration,
    /// Since nothing goes out.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Since our last word.
    farewell: Option<Pin<Box<Sleep>>>,
    left: usize,
}

impl Lingering {
    /// Around a connection.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, unread: UNREAD, stalled: None, farewell: None, left: MAX_REST }
    }

    /// What came of a write, unless nothing has gone out for too long.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let unread = self.unread;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(unread))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, farewell, left, .. } = self.get_mut();
        let farewell = match farewell {
            Some(farewell) => farewell,
            None => {
                ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                farewell.insert(Box::pin(sleep(FAREWELL)))
            }
        };
        loop {
            if farewell.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut piece));
            let length = piece.filled().len();
            *left = left.saturating_sub(length);
            if read.is_err() || length == 0 || *left == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    async fn pair(unread: Duration) -> (Lingering, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (server, client) = tokio::join!(listener.accept(), client);
        (Lingering { unread, ..Lingering::new(server.unwrap().0) }, client.unwrap())
    }

    #[tokio::test]
    async fn who_never_reads_loses_the_connection_and_who_reads_slowly_keeps_it() {
        let endless = vec![0u8; 64 << 20];
        let (mut server, _client) = pair(Duration::from_millis(200)).await;
        let written = timeout(Duration::from_secs(20), server.write_all(&endless)).await.expect("it has an end");
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);

        let (mut server, mut client) = pair(Duration::from_millis(500)).await;
        let reading = tokio::spawn(async move {
            let (mut read, mut piece) = (0, vec![0u8; 4 << 20]);
            while read < 64 << 20 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                read += client.read(&mut piece).await.unwrap();
            }
            read
        });
        server.write_all(&endless).await.unwrap();
        assert_eq!(reading.await.unwrap(), 64 << 20);
    }
}
