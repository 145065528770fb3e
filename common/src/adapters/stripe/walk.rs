//! Stripe's own book, page by page from the newest on.

use super::{
    answer::{Intent, List, Metadata, Refund, Via, key, money},
    provider::StripeProvider,
    request::FEE,
    verdict::{Done, Said},
    wire::is_plain_id,
};
use crate::{
    domain::{
        provider_book::{BookRow, BookStatus},
        time::Timestamp,
    },
    ports::provider_book::{BookError, BookPage, ProviderBook},
};
use async_trait::async_trait;
use http::StatusCode;
use serde::de::DeserializeOwned;
use stripe_client_core::{RequestBuilder, StripeRequest};
use stripe_core::{
    payment_intent::ListPaymentIntent,
    refund::{ListRefund, RetrieveRefund},
};
use stripe_types::RangeQueryTs;

/// How many rows a page has at the most: a payment with its fee has about 10 kB, and an answer at most 1 MiB.
pub const PAGE: u32 = 50;

#[async_trait]
impl ProviderBook for StripeProvider {
    async fn payments(&self, since: Timestamp, after: Option<&str>) -> Result<BookPage, BookError> {
        let mut list = ListPaymentIntent::new().limit(i64::from(PAGE)).created(from(since)).expand(vec![format!("data.{FEE}")]);
        if let Some(after) = after {
            list = list.starting_after(after);
        }
        let page = self.page::<Intent>(list.build()).await?;
        let next = page.data.last().filter(|_| page.has_more).map(|intent| intent.id.clone());
        Ok(BookPage { rows: page.data.into_iter().map(payment).collect(), next })
    }

    async fn refunds(&self, since: Timestamp, after: Option<&str>) -> Result<BookPage, BookError> {
        let mut list = ListRefund::new().limit(i64::from(PAGE)).created(from(since));
        if let Some(after) = after {
            list = list.starting_after(after);
        }
        let page = self.page::<Refund>(list.build()).await?;
        let next = page.data.last().filter(|_| page.has_more).map(|refund| refund.id.clone());
        Ok(BookPage { rows: page.data.into_iter().map(refund).collect(), next })
    }

    async fn payment(&self, id: &str) -> Result<Option<BookRow>, BookError> {
        if !is_plain_id(id) {
            return Ok(None);
        }
        Ok(one(self.calls().intent(id).await)?.map(payment))
    }

    async fn refund(&self, _payment: &str, id: &str) -> Result<Option<BookRow>, BookError> {
        if !is_plain_id(id) {
            return Ok(None);
        }
        Ok(one(self.calls().get::<Refund>(RetrieveRefund::new(id).build()).await)?.map(refund))
    }
}

impl StripeProvider {
    async fn page<T: DeserializeOwned>(&self, list: RequestBuilder) -> Result<List<T>, BookError> {
        read(self.calls().get(list).await)
    }
}

fn read<T>(said: Said<T>) -> Result<T, BookError> {
    match said {
        Said::Done(Done { object, .. }) => Ok(object),
        Said::NotSent { cause, retry_after } => Err(BookError { cause, retry_after }),
        Said::Unknown(unknown) => Err(BookError { cause: unknown.cause, retry_after: None }),
        Said::Refused(refused) => {
            let cause = format!("answered {} {}", refused.status.as_u16(), refused.problem.reason());
            Err(BookError { cause, retry_after: None })
        }
    }
}

fn one<T>(said: Said<T>) -> Result<Option<T>, BookError> {
    match said {
        Said::Refused(refused) if refused.status == StatusCode::NOT_FOUND => Ok(None),
        said => read(said).map(Some),
    }
}

fn from(since: Timestamp) -> RangeQueryTs {
    RangeQueryTs::gte(since.seconds().max(0))
}

fn written(metadata: Option<&Metadata>, key: &str) -> Option<String> {
    metadata?.get(key).map(str::to_owned)
}

fn at(created: Option<i64>) -> Timestamp {
    Timestamp::from_millis(created.unwrap_or(0).saturating_mul(1000))
}

fn payment(intent: Intent) -> BookRow {
    let (status, units) = match intent.status.as_str() {
        "succeeded" => (BookStatus::Moved, intent.amount_received.unwrap_or(intent.amount)),
        "requires_capture" => (BookStatus::Promised, intent.amount_capturable.unwrap_or(intent.amount)),
        "canceled" => (BookStatus::Failed, intent.amount),
        // On Stripe's page a customer may try again: its session says how that ended.
        "requires_payment_method" if intent.last_payment_error.is_some() && intent.metadata().via() != Some(Via::Page) => {
            (BookStatus::Failed, intent.amount)
        }
        _ => (BookStatus::Open, intent.amount),
    };
    BookRow {
        reference: written(intent.metadata.as_ref(), key::REFERENCE),
        key: written(intent.metadata.as_ref(), key::KEY),
        account: written(intent.metadata.as_ref(), key::ACCOUNT),
        payment: None,
        money: money(&intent.currency, units),
        status,
        created_at: at(intent.created),
        fee: intent.fee(),
        id: intent.id,
    }
}

fn refund(refund: Refund) -> BookRow {
    let status = match refund.status.as_deref() {
        Some("succeeded" | "pending") | None => BookStatus::Moved,
        Some("failed" | "canceled") => BookStatus::Failed,
        Some(_) => BookStatus::Open,
    };
    BookRow {
        reference: written(refund.metadata.as_ref(), key::REFERENCE),
        key: written(refund.metadata.as_ref(), key::KEY),
        account: written(refund.metadata.as_ref(), key::ACCOUNT),
        payment: refund.payment_intent.as_ref().map(|intent| intent.id().to_owned()),
        money: money(&refund.currency, refund.amount),
        status,
        created_at: at(refund.created),
        fee: None,
        id: refund.id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::{Amount, Currency};

    #[test]
    fn payments_and_refunds_become_rows() {
        let text = r#"{"id":"pi_1","status":"succeeded","amount":1500,"amount_received":1500,"currency":"usd","created":1800000000,
            "metadata":{"reference":"chk_1","key":"chk_1_1","account":"pac_1"},
            "latest_charge":{"balance_transaction":{"fee":74,"currency":"usd"}}}"#;
        let row = payment(serde_json::from_str(text).unwrap());
        assert_eq!((row.id.as_str(), row.reference.as_deref(), row.key.as_deref()), ("pi_1", Some("chk_1"), Some("chk_1_1")));
        assert_eq!((row.account.as_deref(), row.status), (Some("pac_1"), BookStatus::Moved));
        assert_eq!(row.money, Some((Amount::from_minor(1500), Currency::USD)));
        assert_eq!((row.fee.unwrap().amount.minor(), row.created_at), (74, Timestamp::from_millis(1_800_000_000_000)));
        let text = r#"{"id":"re_1","status":"failed","amount":500,"currency":"usd","created":1800000001,"payment_intent":"pi_1"}"#;
        let row = refund(serde_json::from_str(text).unwrap());
        assert_eq!((row.payment.as_deref(), row.status, row.reference), (Some("pi_1"), BookStatus::Failed, None));
    }

    #[test]
    fn each_status_of_a_payment_has_its_place() {
        let with = |status: &str, more: &str| {
            let text = format!(r#"{{"id":"pi_1","status":"{status}","amount":1,"currency":"xyz"{more}}}"#);
            payment(serde_json::from_str(&text).unwrap())
        };
        assert_eq!(with("requires_capture", "").status, BookStatus::Promised);
        assert_eq!(with("canceled", "").status, BookStatus::Failed);
        assert_eq!(with("requires_payment_method", "").status, BookStatus::Open);
        assert_eq!(with("requires_payment_method", r#","last_payment_error":{"code":"card_declined"}"#).status, BookStatus::Failed);
        let on_the_page = r#","last_payment_error":{"code":"card_declined"},"metadata":{"via":"page"}"#;
        assert_eq!(with("requires_payment_method", on_the_page).status, BookStatus::Open);
        assert_eq!((with("processing", "").status, with("processing", "").money), (BookStatus::Open, None));
    }
}
