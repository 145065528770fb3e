//! The requests about Stripe's own page to pay on: Checkout Sessions.

use super::{
    answer::Via,
    request::{currency, fixed, metadata},
};
use crate::domain::attempt::{MoneyRequest, ProviderPage, Visit};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionCustomerCreation, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
    CreateCheckoutSessionPaymentIntentData, CreateCheckoutSessionPaymentIntentDataCaptureMethod,
    CreateCheckoutSessionPaymentIntentDataSetupFutureUsage, ExpireCheckoutSession, ProductData, RetrieveCheckoutSession,
};
use stripe_client_core::{RequestBuilder, StripeRequest};
use stripe_shared::{CheckoutSessionMode, CheckoutSessionUiMode};

/// A session with one line for the whole amount, in Stripe's units. It ends when our page does; `is_open_ended`: after Stripe's own 24 hours.
pub(super) fn session(
    request: &MoneyRequest,
    visit: &Visit,
    page: &ProviderPage,
    amount: i64,
    account: &str,
    is_open_ended: bool,
) -> RequestBuilder {
    let metadata = metadata(request, account, Some(Via::Page));
    let mut price = CreateCheckoutSessionLineItemsPriceData::new(currency(request.currency));
    price.unit_amount = Some(amount);
    price.product_data = Some(ProductData::new(page.title.clone()));
    let mut line = CreateCheckoutSessionLineItems::new();
    line.price_data = Some(price);
    line.quantity = Some(1);
    let mut payment = CreateCheckoutSessionPaymentIntentData::new();
    payment.metadata = Some(metadata.clone());
    payment.capture_method = Some(if request.capture_later {
        CreateCheckoutSessionPaymentIntentDataCaptureMethod::Manual
    } else {
        CreateCheckoutSessionPaymentIntentDataCaptureMethod::Automatic
    });
    if request.keep_card {
        payment.setup_future_usage = Some(CreateCheckoutSessionPaymentIntentDataSetupFutureUsage::OffSession);
    }
    let mut session = CreateCheckoutSession::new()
        .client_reference_id(request.reference.to_string())
        .line_items(vec![line])
        .metadata(metadata)
        .mode(CheckoutSessionMode::Payment)
        .payment_intent_data(payment);
    if request.keep_card {
        session = session.customer_creation(CreateCheckoutSessionCustomerCreation::Always);
    }
    if !is_open_ended {
        session = session.expires_at(page.expires_at.seconds());
    }
    session = if page.is_embedded {
        session.ui_mode(CheckoutSessionUiMode::EmbeddedPage).return_url(visit.return_url.clone())
    } else {
        let session = session.ui_mode(CheckoutSessionUiMode::HostedPage);
        session.success_url(visit.return_url.clone()).cancel_url(visit.cancel_url())
    };
    fixed(session.build())
}

/// Ends a session before its time.
pub(super) fn expire(session: &str) -> RequestBuilder {
    fixed(ExpireCheckoutSession::new(session).build())
}

/// A session with its payment, if it has one.
pub(super) fn retrieve(session: &str) -> RequestBuilder {
    let expand = ["payment_intent", "payment_intent.latest_charge.balance_transaction"].map(str::to_owned);
    RetrieveCheckoutSession::new(session).expand(expand.to_vec()).build()
}
