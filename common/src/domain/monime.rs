//! A checkout on our page as clients of Monime's API know it: a checkout session. One shape for answers and for events.

use super::{
    checkout::Checkout,
    event::EventType,
    hosted::Looks,
    id::{CheckoutId, EventId, LineId},
    line::{About, Item, Line},
    money::Amount,
    settings::Color,
    state::Status,
    time::Timestamp,
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value, json};

/// The key of a checkout's metadata under which is kept what only they know of. It does not show in theirs.
pub const RESERVED: &str = "monime";
/// In what stands there: the account that the money is for.
pub const FINANCIAL_ACCOUNT: &str = "financialAccountId";
/// The version of their API whose shape this is.
const API_VERSION: &str = "caph.2025-08-23";
/// What a session is called in their events.
const OBJECT: &str = "checkout_session";

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MonimeStatus)]
pub enum SessionStatus {
    /// Not paid yet.
    Pending,
    /// Paid.
    Completed,
    /// It came to nothing before its time was over: called off, or tried too often.
    Cancelled,
    /// Its time was over first.
    Expired,
}

impl SessionStatus {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Completed, Self::Cancelled, Self::Expired];

    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// What they say of a checkout that is `status`.
    pub const fn of(status: Status) -> Self {
        match status {
            Status::Queued | Status::Processing | Status::AwaitingPayment | Status::Reconciling | Status::NeedsReview => Self::Pending,
            Status::Succeeded => Self::Completed,
            Status::Failed | Status::Canceled => Self::Cancelled,
            Status::Expired => Self::Expired,
        }
    }

    /// Where the checkouts stand that they say this of.
    pub fn statuses(self) -> Vec<Status> {
        Status::ALL.into_iter().filter(|status| Self::of(*status) == self).collect()
    }
}

/// What they call an event about a session; `None`: they are not told of it.
pub const fn event_name(event: EventType) -> Option<&'static str> {
    match event {
        EventType::CheckoutSucceeded => Some("checkout_session.completed"),
        EventType::CheckoutFailed | EventType::CheckoutCanceled => Some("checkout_session.cancelled"),
        EventType::CheckoutExpired => Some("checkout_session.expired"),
        _ => None,
    }
}

/// A session.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MonimeCheckoutSession)]
pub struct Session<'a> {
    id: &'a CheckoutId,
    name: Option<&'a str>,
    reference: Option<&'a str>,
    description: Option<&'a str>,
    status: SessionStatus,
    /// Our page; nothing where the checkout is paid otherwise.
    redirect_url: Option<String>,
    cancel_url: Option<&'a str>,
    success_url: Option<&'a str>,
    /// Ours: echoed.
    callback_state: Option<&'a str>,
    line_items: LineItems<'a>,
    financial_account_id: Option<&'a str>,
    branding_options: Branding,
    expire_time: Timestamp,
    create_time: Timestamp,
    #[schema(value_type = Object)]
    ownership_graph: Value,
    #[schema(value_type = Object)]
    metadata: Metadata<'a>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MonimeLineItems)]
struct LineItems<'a> {
    data: Vec<LineItem<'a>>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MonimeLineItem)]
struct LineItem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a LineId,
    name: &'a str,
    price: Price,
    quantity: u32,
    reference: Option<&'a str>,
    description: Option<&'a str>,
    images: &'a [String],
}

/// What one costs, minor units.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MonimePrice)]
struct Price {
    /// ISO 4217, in upper case.
    currency: String,
    value: Amount,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MonimeBranding)]
struct Branding {
    primary_color: Option<Color>,
}

/// Theirs, without what is ours to remember.
#[derive(Debug)]
struct Metadata<'a>(&'a Map<String, Value>);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0.iter().filter(|(key, _)| *key != RESERVED) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'a> Session<'a> {
    /// A checkout as they see it.
    pub fn of(checkout: &'a Checkout) -> Self {
        let order = &checkout.order;
        let looks = order.hosted().map(|(_, hosted)| &hosted.looks);
        let said = |what: fn(&Looks) -> &Option<String>| looks.and_then(|looks| what(looks).as_deref());
        let currency = order.currency.as_str().to_ascii_uppercase();
        let financial_account_id = order.metadata.get(RESERVED).and_then(|theirs| theirs.get(FINANCIAL_ACCOUNT)?.as_str());
        Self {
            id: &checkout.id,
            name: said(|looks| &looks.title),
            reference: order.reference.as_deref(),
            description: said(|looks| &looks.description),
            status: SessionStatus::of(checkout.status),
            redirect_url: checkout.hosted_url(),
            cancel_url: order.cancel_url.as_deref(),
            success_url: order.success_url.as_deref(),
            callback_state: order.callback_state.as_deref(),
            line_items: LineItems { data: order.lines.iter().map(|line| LineItem::of(line, &currency)).collect() },
            financial_account_id,
            branding_options: Branding { primary_color: looks.and_then(|looks| looks.color) },
            expire_time: checkout.expires_at,
            create_time: checkout.created_at,
            ownership_graph: ownership(checkout),
            metadata: Metadata(&order.metadata),
        }
    }

    /// As it was when it was made, whatever has become of it: what a repeated request is answered.
    pub fn as_made(self) -> Self {
        Self { status: SessionStatus::Pending, ..self }
    }
}

impl<'a> LineItem<'a> {
    fn of(line: &'a Line, currency: &str) -> Self {
        let about = if let Item::Custom(about) = &line.item { Some(about) } else { None };
        let said = |what: fn(&About) -> &Option<String>| about.and_then(|about| what(about).as_deref());
        Self {
            kind: line.item.type_name(),
            id: &line.id,
            name: &line.name,
            price: Price { currency: currency.to_owned(), value: line.unit_amount },
            quantity: line.quantity,
            reference: said(|about| &about.reference),
            description: said(|about| &about.description),
            images: about.map_or(&[], |about| &about.images),
        }
    }
}

/// Whose it is: the space's, which is the tenant's.
fn ownership(checkout: &Checkout) -> Value {
    let tenant = json!({"id": checkout.scope.tenant(), "type": "business", "metadata": {}, "owner": {}});
    let owner = match &checkout.order.space {
        Some(space) => json!({"id": space, "type": "space", "metadata": {}, "owner": tenant}),
        None => tenant,
    };
    json!({ "owner": owner })
}

/// An event as they know it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionEvent<'a> {
    api_version: &'static str,
    event: Happened<'a>,
    object: Subject<'a>,
    data: Session<'a>,
}

#[derive(Debug, Serialize)]
struct Happened<'a> {
    id: &'a EventId,
    name: &'a str,
    timestamp: Timestamp,
}

#[derive(Debug, Serialize)]
struct Subject<'a> {
    id: &'a CheckoutId,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl<'a> SessionEvent<'a> {
    /// What happened to a checkout, by its name of theirs.
    pub fn new(id: &'a EventId, name: &'a str, timestamp: Timestamp, checkout: &'a Checkout) -> Self {
        Self {
            api_version: API_VERSION,
            event: Happened { id, name, timestamp },
            object: Subject { id: &checkout.id, kind: OBJECT },
            data: Session::of(checkout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_checkout_is_in_one_of_their_states_and_is_found_by_it() {
        let found: Vec<Status> = SessionStatus::ALL.into_iter().flat_map(SessionStatus::statuses).collect();
        assert_eq!(found.len(), Status::ALL.len());
        for status in Status::ALL {
            assert!(found.contains(&status), "{status}");
        }
        for status in SessionStatus::ALL {
            assert_eq!(SessionStatus::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert_eq!(SessionStatus::parse("paid"), None);
    }

    #[test]
    fn they_are_told_of_each_end_and_of_nothing_else() {
        for event in EventType::ALL {
            let end = Status::ALL.into_iter().find(|status| status.is_terminal() && EventType::of(*status) == Some(event));
            let name = end.map(|status| format!("{OBJECT}.{}", SessionStatus::of(status).as_str()));
            assert_eq!(event_name(event), name.as_deref(), "{event:?}");
        }
    }

    #[test]
    fn what_is_ours_to_remember_is_not_in_their_metadata() {
        let Value::Object(kept) = json!({"a": 1, RESERVED: {FINANCIAL_ACCOUNT: "fac-1"}, "b": {RESERVED: 2}}) else { panic!() };
        assert_eq!(serde_json::to_value(Metadata(&kept)).unwrap(), json!({"a": 1, "b": {RESERVED: 2}}));
    }
}
