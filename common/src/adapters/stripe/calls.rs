//! The calls that one request of the engine's takes: together they have one time limit.

use super::{
    answer::{Intent, Session},
    page_request,
    request::FEE,
    transport::StripeConnection,
    verdict::{Said, judge},
};
use serde::de::DeserializeOwned;
use stripe_client_core::{RequestBuilder, StripeRequest};
use stripe_core::payment_intent::RetrievePaymentIntent;
use tokio::time::Instant;

/// What the calls for one request share.
pub(super) struct Calls<'a> {
    connection: &'a StripeConnection,
    /// Our account with Stripe, by our own id.
    pub(super) account: &'a str,
    /// The account's key for browsers, where it has one.
    pub(super) publishable_key: Option<&'a str>,
    deadline: Instant,
}

impl<'a> Calls<'a> {
    /// From now on, within the connection's time limit.
    pub(super) fn new(connection: &'a StripeConnection, account: &'a str, publishable_key: Option<&'a str>) -> Self {
        Self { connection, account, publishable_key, deadline: connection.deadline() }
    }

    /// Asks for something to be done, under a key.
    pub(super) async fn post<T: DeserializeOwned>(&self, built: RequestBuilder, key: &str) -> Said<T> {
        judge(self.connection.call(built, Some(key), self.deadline).await)
    }

    /// Looks.
    pub(super) async fn get<T: DeserializeOwned>(&self, built: RequestBuilder) -> Said<T> {
        judge(self.connection.call(built, None, self.deadline).await)
    }

    /// A payment as it is now.
    pub(super) async fn intent(&self, id: &str) -> Said<Intent> {
        self.get(RetrievePaymentIntent::new(id).expand(vec![FEE.to_owned()]).build()).await
    }

    /// A session as it is now, with its payment.
    pub(super) async fn session(&self, id: &str) -> Said<Session> {
        self.get(page_request::retrieve(id)).await
    }
}
