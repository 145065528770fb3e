//! A connection that can end amid an answer, at a chosen byte.

use super::{faults::Boundary, lock};
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The order to cut the next answer of a connection.
#[derive(Debug, Clone, Copy)]
struct Plan {
    boundary: Boundary,
    body: usize,
}

/// What the handler of a connection's requests holds to cut it.
#[derive(Debug, Clone, Default)]
pub(super) struct Shears(Arc<Mutex<Option<Plan>>>);

impl Shears {
    /// The next answer, with a body of so many bytes, ends at `boundary`.
    pub(super) fn cut(&self, boundary: Boundary, body: usize) {
        *lock(&self.0) = Some(Plan { boundary, body });
    }
}

/// The connection. An answer that will be cut is gathered first, since only a whole one shows where its parts end.
#[derive(Debug)]
pub(super) struct CutStream {
    inner: TcpStream,
    shears: Shears,
    gathered: Vec<u8>,
    sent: usize,
    ends: bool,
}

impl CutStream {
    pub(super) fn new(inner: TcpStream, shears: Shears) -> Self {
        Self { inner, shears, gathered: Vec::new(), sent: 0, ends: false }
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.gathered.get(self.sent..).filter(|rest| !rest.is_empty()) {
            self.sent += ready!(Pin::new(&mut self.inner).poll_write(context, rest))?;
        }
        ready!(Pin::new(&mut self.inner).poll_shutdown(context))?;
        Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "cut as ordered")))
    }
}

/// How many bytes of an answer go out. `None`: it is not whole yet.
fn cut_at(answer: &[u8], plan: Plan) -> Option<usize> {
    let end_of = |what: &[u8]| answer.windows(what.len()).position(|window| window == what).map(|at| at + what.len());
    let (line, head) = (end_of(b"\r\n")?, end_of(b"\r\n\r\n")?);
    let whole = head + plan.body;
    if answer.len() < whole {
        return None;
    }
    Some(match plan.boundary {
        Boundary::StatusLine => line / 2,
        Boundary::Headers => line.midpoint(head),
        Boundary::BeforeBody => head,
        Boundary::Body => head + plan.body / 2,
        Boundary::BeforeLastByte => whole - 1,
        Boundary::Byte(count) => count.min(whole - 1),
    })
}

impl AsyncRead for CutStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.ends {
            return self.poll_end(context).map_ok(|()| 0);
        }
        let plan = *lock(&self.shears.0);
        let Some(plan) = plan else { return Pin::new(&mut self.inner).poll_write(context, bytes) };
        self.gathered.extend_from_slice(bytes);
        if let Some(count) = cut_at(&self.gathered, plan) {
            self.gathered.truncate(count);
            self.ends = true;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ends { self.poll_end(context) } else { Pin::new(&mut self.inner).poll_flush(context) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_where_it_was_ordered() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody";
        let at = |boundary| cut_at(answer, Plan { boundary, body: 4 }).map(|count| &answer[..count]);
        assert_eq!(at(Boundary::StatusLine).unwrap(), b"HTTP/1.1");
        assert!(at(Boundary::Headers).unwrap().starts_with(b"HTTP/1.1 200 OK\r\ncont"));
        assert!(at(Boundary::BeforeBody).unwrap().ends_with(b"\r\n\r\n"));
        assert!(at(Boundary::Body).unwrap().ends_with(b"\r\n\r\nbo"));
        assert!(at(Boundary::BeforeLastByte).unwrap().ends_with(b"\r\n\r\nbod"));
        assert_eq!(at(Boundary::Byte(1)).unwrap(), b"H");
        assert_eq!(at(Boundary::Byte(10_000)), at(Boundary::BeforeLastByte));
        assert_eq!(cut_at(&answer[..20], Plan { boundary: Boundary::StatusLine, body: 4 }), None, "it is not whole yet");
    }
}
