//! What was asked, summed up while it is read: SHA-256 of method, path and body.

use axum::{body::Body, extract::Request};
use data_encoding::HEXLOWER;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};

/// The sum of a request that is being read.
pub(super) struct Checksum(Arc<Mutex<Sha256>>);

impl Checksum {
    /// Of the method, a blank, the path without its query, a line break and, as far as an answer took a look at it, the body. What is refused
    /// before its body is read is refused for what stands in front of it.
    pub(super) fn of(request: &mut Request) -> Self {
        let head = Sha256::new().chain_update(request.method().as_str()).chain_update(" ");
        let sum = Arc::new(Mutex::new(head.chain_update(request.uri().path()).chain_update("\n")));
        let heard = Arc::clone(&sum);
        let body = std::mem::take(request.body_mut()).into_data_stream();
        *request.body_mut() = Body::from_stream(body.inspect_ok(move |chunk| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).update(chunk);
        }));
        Self(sum)
    }

    /// In lower-case hexadecimal digits.
    pub(super) fn text(&self) -> String {
        HEXLOWER.encode(&self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_counts_as_far_as_it_was_read() {
        let of = |text: &str| HEXLOWER.encode(&Sha256::digest(text));
        let mut request = Request::post("/v1/x?query=1").body(Body::from("{\"a\": 1}")).unwrap();
        let sum = Checksum::of(&mut request);
        assert_eq!(sum.text(), of("POST /v1/x\n"));
        let read = axum::body::to_bytes(request.into_body(), 100).await.unwrap();
        assert_eq!((&read[..], sum.text()), (&b"{\"a\": 1}"[..], of("POST /v1/x\n{\"a\": 1}")));
    }
}
