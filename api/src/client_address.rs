//! Where a request comes from.

use crate::context::ApiContext;
use axum::extract::FromRequestParts;
use boxoffice_common::domain::network::Client;
use http::{HeaderName, request::Parts};
use std::{convert::Infallible, net::IpAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of the connection, as the server that took it puts it into each request.
#[derive(Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Who asks, as far as it is known.
pub(crate) struct ClientAddress(pub(crate) Client);

impl FromRequestParts<ApiContext> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, ctx: &ApiContext) -> Result<Self, Infallible> {
        let Some(Peer(peer)) = parts.extensions.get::<Peer>() else { return Ok(Self(Client::Hidden)) };
        // What is not even text is as good as a name that nobody can read: nothing to its left counts.
        let forwarded: Vec<&str> = parts.headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or("?")).collect();
        Ok(Self(ctx.config().trusted_proxies.client(*peer, &forwarded)))
    }
}
