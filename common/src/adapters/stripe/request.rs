//! Our requests, built from the generated types, and made the same byte for byte whenever the same thing is asked.
//!
//! The generated types keep metadata in a map without an order, so the pairs of a body are put in order before it goes out: under its key a
//! request may differ in nothing.

use super::answer::{Via, key};
use crate::domain::{attempt::MoneyRequest, money::Currency};
use std::collections::HashMap;
use stripe_client_core::{RequestBuilder, StripeRequest};
use stripe_core::{
    customer::CreateCustomer,
    payment_intent::{
        CancelPaymentIntent, CapturePaymentIntent, CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods,
        CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects, CreatePaymentIntentOffSession,
    },
    refund::CreateRefund,
};
use stripe_payment::payment_method::AttachPaymentMethod;
use stripe_shared::{PaymentIntentCaptureMethod, PaymentIntentSetupFutureUsage};

/// So that the fee is known at once.
pub(super) const FEE: &str = "latest_charge.balance_transaction";

/// What a customer's card is charged with, as its token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `pm_…`, or one of the older kinds that are taken in its place.
    Method(&'a str),
    /// `tok_…`: a card that becomes a method with the payment.
    Card(&'a str),
    /// `ctoken_…`: a method and what was agreed on with it.
    Confirmation(&'a str),
    /// `cus_…:pm_…`, our own form for a method that was saved with its customer.
    Saved { customer: &'a str, method: &'a str },
}

impl<'a> Token<'a> {
    /// Tells which; `None` when it is no token of Stripe's.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let is = |text: &str, prefixes: &[&str]| {
            super::wire::is_plain_id(text) && prefixes.iter().any(|prefix| text.len() > prefix.len() && text.starts_with(prefix))
        };
        if let Some((customer, method)) = text.split_once(':') {
            return (is(customer, &["cus_"]) && is(method, &["pm_", "card_", "src_"])).then_some(Self::Saved { customer, method });
        }
        match text {
            _ if is(text, &["pm_", "card_", "src_"]) => Some(Self::Method(text)),
            _ if is(text, &["tok_"]) => Some(Self::Card(text)),
            _ if is(text, &["ctoken_"]) => Some(Self::Confirmation(text)),
            _ => None,
        }
    }

    /// Whether it can be charged again as it is.
    pub(super) const fn is_saved(self) -> bool {
        matches!(self, Self::Saved { .. })
    }
}

/// Create and confirm in one request. `amount` is in Stripe's units; `keeper` is the customer that the card is to be kept with.
pub(super) fn charge(request: &MoneyRequest, token: Token<'_>, amount: i64, keeper: Option<&str>, account: &str) -> RequestBuilder {
    let capture = if request.capture_later { PaymentIntentCaptureMethod::Manual } else { PaymentIntentCaptureMethod::Automatic };
    let visit = request.visit.as_ref().filter(|_| !request.off_session);
    let mut methods = CreatePaymentIntentAutomaticPaymentMethods::new(true);
    if visit.is_none() {
        // Nobody can be sent anywhere.
        methods.allow_redirects = Some(CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects::Never);
    }
    let via = if visit.is_some() { Via::Visit } else { Via::Token };
    let mut charge = CreatePaymentIntent::new(amount, currency(request.currency))
        .automatic_payment_methods(methods)
        .capture_method(capture)
        .confirm(true)
        .expand(vec![FEE.to_owned()])
        .metadata(metadata(request, account, Some(via)));
    charge = match visit {
        Some(visit) => charge.return_url(visit.return_url.clone()),
        None if request.off_session => charge.off_session(CreatePaymentIntentOffSession::Bool(true)),
        // What needs the customer is a no then, and leaves nothing behind that could still be confirmed.
        None => charge.error_on_requires_action(true),
    };
    if let Some(customer) = keeper {
        charge = charge.customer(customer).setup_future_usage(PaymentIntentSetupFutureUsage::OffSession);
    }
    match token {
        Token::Method(method) => fixed(charge.payment_method(method).build()),
        Token::Saved { customer, method } => fixed(charge.customer(customer).payment_method(method).build()),
        Token::Confirmation(token) => fixed(charge.confirmation_token(token).build()),
        // The generated type has no place for a card's token.
        Token::Card(token) => {
            let card = [("payment_method_data[type]", "card"), ("payment_method_data[card][token]", token)];
            fixed(with(charge.build(), &card))
        }
    }
}

/// Takes `amount` of what was authorised.
pub(super) fn capture(intent: &str, amount: i64) -> RequestBuilder {
    fixed(CapturePaymentIntent::new(intent).amount_to_capture(amount).expand(vec![FEE.to_owned()]).build())
}

/// Gives up a payment.
pub(super) fn cancel(intent: &str) -> RequestBuilder {
    fixed(CancelPaymentIntent::new(intent).build())
}

/// Gives back `amount` of a payment.
pub(super) fn refund(request: &MoneyRequest, intent: &str, amount: i64, account: &str) -> RequestBuilder {
    fixed(CreateRefund::new().payment_intent(intent).amount(amount).metadata(metadata(request, account, None)).build())
}

/// A customer to keep a card with. Stripe learns no more of him than our own id.
pub(super) fn customer(label: &str, account: &str) -> RequestBuilder {
    let metadata = HashMap::from([(key::REFERENCE.to_owned(), label.to_owned()), (key::ACCOUNT.to_owned(), account.to_owned())]);
    fixed(CreateCustomer::new().metadata(metadata).build())
}

/// Keeps a method with a customer.
pub(super) fn attach(method: &str, customer: &str) -> RequestBuilder {
    fixed(AttachPaymentMethod::new(method).customer(customer).build())
}

/// Makes a method of a card's token. The generated type has no place for one.
pub(super) fn method_of(token: &str) -> RequestBuilder {
    let empty = RequestBuilder::new(stripe_client_core::StripeMethod::Post, "/payment_methods");
    fixed(with(empty, &[("type", "card"), ("card[token]", token)]))
}

/// What an object says of us: whose it is, and under which key.
pub(super) fn metadata(request: &MoneyRequest, account: &str, via: Option<Via>) -> HashMap<String, String> {
    let mut pairs = HashMap::from([
        (key::REFERENCE.to_owned(), request.reference.to_string()),
        (key::KEY.to_owned(), request.key.clone()),
        (key::ACCOUNT.to_owned(), account.to_owned()),
    ]);
    if let Some(via) = via {
        pairs.insert(key::VIA.to_owned(), via.as_str().to_owned());
    }
    if request.keep_card {
        pairs.insert(key::KEEP.to_owned(), "1".to_owned());
    }
    pairs
}

pub(super) fn currency(currency: Currency) -> stripe_types::Currency {
    match currency.as_str().parse() {
        Ok(known) => known,
        Err(never) => match never {},
    }
}

/// With more pairs in its body.
fn with(mut built: RequestBuilder, pairs: &[(&str, &str)]) -> RequestBuilder {
    let more = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    built.body = Some(match built.body.filter(|body| !body.is_empty()) {
        Some(body) => format!("{body}&{more}"),
        None => more,
    });
    built
}

/// With the pairs of its body in order.
pub(super) fn fixed(mut built: RequestBuilder) -> RequestBuilder {
    built.body = built.body.map(|body| {
        let mut pairs: Vec<&str> = body.split('&').collect();
        pairs.sort_unstable();
        pairs.join("&")
    });
    built
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
