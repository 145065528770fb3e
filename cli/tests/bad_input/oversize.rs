//! More than anybody wants to hear, over plain TCP, from clients that look for the answer only when they have sent everything.

use crate::support::system::System;
use std::{
    fmt::{Display, Formatter, Result as Shown},
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Sent at once.
const PIECE: usize = 16 * KIB;
/// How often each case is tried: an answer is lost in a race.
const ROUNDS: usize = 5;
/// Nobody waits longer for a server.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request that is refused before its end.
#[derive(Debug, Clone)]
struct Case {
    path: &'static str,
    key: String,
    kind: &'static str,
    length: usize,
    chunked: bool,
    status: u16,
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> Shown {
        write!(f, "{} {} of {} KiB, chunked: {}, to be refused with {}", self.path, self.kind, self.length / KIB, self.chunked, self.status)
    }
}

impl Case {
    fn head(&self, more: &str) -> String {
        let Self { path, key, kind, length, .. } = self;
        let framing = if self.chunked { "transfer-encoding: chunked".to_owned() } else { format!("content-length: {length}") };
        format!(
            "POST {path} HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {key}\r\nidempotency-key: k\r\ncontent-type: {kind}\r\n{framing}\r\n{more}\r\n"
        )
    }

    /// Sends all of it.
    fn send(&self, stream: &mut TcpStream) {
        stream.write_all(self.head("").as_bytes()).unwrap();
        let mut left = self.length;
        while left > 0 {
            let piece = vec![b' '; left.min(PIECE)];
            left -= piece.len();
            let framed = if self.chunked { [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat() } else { piece };
            stream.write_all(&framed).unwrap_or_else(|error| panic!("{self}: {left} bytes unsent: {error}"));
        }
        if self.chunked {
            stream.write_all(b"0\r\n\r\n").unwrap();
        }
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads one answer: its status, and all of it.
fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return (head.split(' ').nth(1).unwrap().parse().unwrap(), text);
            }
        }
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).unwrap_or_else(|error| panic!("no answer: {error}; {text}"));
        assert!(length > 0, "the connection ended before the answer did: {text}");
        read.extend_from_slice(&piece[..length]);
    }
}

/// Runs something that blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn server() -> (System, String, String) {
    let system = System::embedded_bare(&[("BOXOFFICE_RATE_LIMIT", "0")]).await;
    let address = system.server.base_url().strip_prefix("http://").unwrap().to_owned();
    let key = system.shop().key().to_owned();
    (system, address, key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_while_still_sending_gets_the_answer_and_the_next_one() {
    let (system, address, key) = server().await;
    let (json, buy) = ("application/json", "/v1/checkouts");
    let refusals = [(buy, &*key, json, 413), (buy, "nobody", json, 401), (buy, &*key, "text/plain", 415), ("/nowhere", &*key, json, 404)];
    let mut tried = Vec::new();
    for (path, key, kind, status) in refusals {
        for (length, chunked) in [64 * KIB, 300 * KIB, 3 * MIB, 8 * MIB].into_iter().flat_map(|length| [(length, false), (length, true)]) {
            if status != 413 || length > 256 * KIB {
                tried.push(Case { path, key: key.to_owned(), kind, length, chunked, status });
            }
        }
    }
    assert_eq!(tried.len(), 30);
    for case in tried {
        println!("{case}");
        let address = address.clone();
        let story = move || {
            for _ in 0..ROUNDS {
                let mut stream = connect(&address);
                case.send(&mut stream);
                let (status, text) = answer(&mut stream);
                assert_eq!(status, case.status, "{case}: {text}");
                // Who is told that this is the end makes a new connection; who is not may go on.
                let ends = text.contains("connection: close");
                assert_eq!(ends, status == 413, "{text}");
                if ends {
                    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "more than an answer");
                } else {
                    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: shop\r\n\r\n").unwrap();
                    assert_eq!(answer(&mut stream).0, 200, "{case}");
                }
            }
        };
        blocking(story).await;
    }
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_long_is_answered_however_long_it_is() {
    let (system, address, _) = server().await;
    let story = move || {
        for length in [40 * KIB, 400 * KIB, 4 * MIB].into_iter().flat_map(|length| [length; ROUNDS]) {
            let mut stream = connect(&address);
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: shop\r\nx: ").unwrap();
            for _ in 0..length / PIECE {
                stream.write_all(&[b'x'; PIECE]).unwrap();
            }
            assert_eq!(answer(&mut stream).0, 431, "{length} bytes");
        }
    };
    blocking(story).await;
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_before_sending_is_answered_without_being_told_to_go_on() {
    let (system, address, key) = server().await;
    let case = Case { path: "/v1/checkouts", key, kind: "application/json", length: 8 * MIB, chunked: false, status: 413 };
    let story = move || {
        let mut stream = connect(&address);
        stream.write_all(case.head("expect: 100-continue\r\n").as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).0, case.status);
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "more than an answer");
    };
    blocking(story).await;
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_heard_for_ever() {
    let (system, address, key) = server().await;
    let endless = Case { path: "/v1/checkouts", key, kind: "application/json", length: 1024 * MIB, chunked: false, status: 413 };
    let (silent, its_address) = (endless.clone(), address.clone());
    // Says that much is to come, and then nothing more: it has its answer, and is hung up on.
    let silent = blocking(move || {
        let mut stream = connect(&its_address);
        stream.write_all(silent.head("").as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).0, silent.status);
        let answered = Instant::now();
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "more than an answer");
        assert!(answered.elapsed() < Duration::from_secs(30), "{:?}", answered.elapsed());
    });
    // Sends, and does not stop.
    let talking = blocking(move || {
        let mut stream = connect(&address);
        stream.write_all(endless.head("").as_bytes()).unwrap();
        let mut sent = 0;
        let error = loop {
            match stream.write(&[b' '; PIECE]) {
                Ok(length) => sent += length,
                Err(error) => break error,
            }
            assert!(sent < 128 * MIB, "it is still listened to");
        };
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    });
    tokio::join!(silent, talking);
    system.finish().await;
}
