//! What is asked of Mollie, in its own words. The same request is written the same way every time: Mollie refuses another body under the same
//! key.

use super::base::is_id;
use crate::domain::attempt::MoneyRequest;
use serde::Serialize;

/// What a charge is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means<'a> {
    /// A token of Mollie Components.
    Token(&'a str),
    /// A mandate of a customer's.
    Saved {
        /// `cst_…`.
        customer: &'a str,
        /// `mdt_…`.
        mandate: &'a str,
    },
    /// Whatever the customer chooses on Mollie's page.
    Page,
}

impl<'a> Means<'a> {
    /// What this charge is made with, or the code of a no that needs no asking.
    pub(super) fn of(request: &'a MoneyRequest) -> Result<Self, &'static str> {
        if request.push.is_some() || request.intent.is_some() {
            return Err("method_not_accepted");
        }
        match request.visit.as_ref().and_then(|visit| visit.page.as_ref()) {
            // Mollie's page stands alone.
            Some(page) if page.is_embedded => return Err("embedded_page_not_supported"),
            Some(_) => return Ok(Self::Page),
            None => {}
        }
        let token = request.token.as_ref().map(|token| token.reveal().as_str()).filter(|token| !token.is_empty());
        let token = token.ok_or("invalid_token")?;
        match token.split_once(':') {
            Some((customer, mandate)) if is_id(customer, "cst_") && is_id(mandate, "mdt_") => Ok(Self::Saved { customer, mandate }),
            Some(_) => Err("invalid_token"),
            // Another provider's token is nobody's business here.
            None if !is_id(token, "tkn_") => Err("invalid_token"),
            // Whoever is not there cannot confirm anything on a page.
            None if request.visit.is_none() => Err("no_return_url"),
            None => Ok(Self::Token(token)),
        }
    }
}

/// What a card can be charged with again.
pub(super) fn saved(customer: &str, mandate: &str) -> Option<String> {
    (is_id(customer, "cst_") && is_id(mandate, "mdt_")).then(|| format!("{customer}:{mandate}"))
}

#[derive(Serialize)]
struct MoneyBody {
    currency: String,
    value: String,
}

#[derive(Serialize)]
struct MetadataBody<'a> {
    reference: &'a str,
    key: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PaymentBody<'a> {
    amount: MoneyBody,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<&'a str>,
    metadata: MetadataBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mandate_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capture_mode: Option<&'a str>,
}

#[derive(Serialize)]
struct PartBody<'a> {
    amount: MoneyBody,
    description: String,
    metadata: MetadataBody<'a>,
}

fn money(request: &MoneyRequest) -> MoneyBody {
    MoneyBody { currency: request.currency.as_str().to_ascii_uppercase(), value: request.currency.decimal(request.amount) }
}

fn metadata(request: &MoneyRequest) -> MetadataBody<'_> {
    MetadataBody { reference: request.reference.as_str(), key: &request.key }
}

/// The body of `POST /v2/payments`. `customer` is whom the card is to be kept for.
pub(super) fn payment(
    request: &MoneyRequest,
    means: Means<'_>,
    customer: Option<&str>,
    webhook_url: Option<&str>,
) -> Result<Vec<u8>, serde_json::Error> {
    let visit = request.visit.as_ref();
    let title = visit.and_then(|visit| visit.page.as_ref()).map(|page| page.title.as_str()).filter(|title| !title.is_empty());
    let (customer_id, mandate_id, sequence_type) = match (means, customer) {
        (Means::Saved { customer, mandate }, _) => (Some(customer), Some(mandate), Some("recurring")),
        (Means::Token(_) | Means::Page, Some(customer)) => (Some(customer), None, Some("first")),
        (Means::Token(_) | Means::Page, None) => (None, None, None),
    };
    let body = PaymentBody {
        amount: money(request),
        description: title.unwrap_or(request.reference.as_str()),
        redirect_url: visit.map(|visit| visit.return_url.as_str()),
        webhook_url,
        metadata: metadata(request),
        // On the page only a card can be kept; without that the customer chooses.
        method: (means != Means::Page || customer.is_some()).then_some("creditcard"),
        card_token: if let Means::Token(token) = means { Some(token) } else { None },
        customer_id,
        mandate_id,
        sequence_type,
        capture_mode: request.capture_later.then_some("manual"),
    };
    serde_json::to_vec(&body)
}

/// The body of `POST /v2/customers`: nobody by name. It is only what a mandate hangs on.
pub(super) fn customer(request: &MoneyRequest) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct CustomerBody<'a> {
        metadata: MetadataBody<'a>,
    }
    serde_json::to_vec(&CustomerBody { metadata: metadata(request) })
}

/// The body of a capture or a refund. The key in the description keeps two that are alike apart: Mollie takes the same refund twice in short
/// succession for a mistake.
pub(super) fn part(request: &MoneyRequest) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&PartBody { amount: money(request), description: request.key.clone(), metadata: metadata(request) })
}
