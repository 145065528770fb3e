//! What Momence's clients are told.

use boxoffice_common::domain::{
    bought_membership::Credited,
    incompatibility::Incompatibility,
    membership::{Membership, MembershipType},
    span::{Span, Unit},
    time::Timestamp,
};
use serde::Serialize;

/// What a cart comes to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomencePrices)]
pub(super) struct Prices {
    /// Major units.
    #[schema(examples("12.50"))]
    pub(super) total_in_currency: String,
    pub(super) items_with_prices: Vec<ItemPrice>,
}

/// What an item comes to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomenceItemPrice)]
pub(super) struct ItemPrice {
    /// The client's own name for it.
    pub(super) id: String,
    /// What a checkout demands as `attemptedPriceInCurrency`.
    pub(super) price_in_currency_with_tax: String,
    pub(super) price_in_currency_without_tax: String,
    pub(super) tax_in_currency: String,
}

/// What was bought, in the order of the items.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomencePurchase)]
pub(super) struct Purchase {
    pub(super) purchased_items: Vec<Purchased>,
}

/// Of the types that are published these are sold here.
#[derive(Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[schema(as = MomencePurchasedItem)]
pub(super) enum Purchased {
    /// A place.
    Session {
        /// What cancels it.
        session_booking_id: u64,
    },
    /// A membership, to pay with from now on.
    Membership {
        /// What pays.
        bought_membership_id: u64,
    },
}

/// Every membership of a member's.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MomenceCompatibleMemberships)]
pub(super) struct Compatibles<'a> {
    pub(super) items: Vec<Compatible<'a>>,
}

/// One, and why it would not pay.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomenceCompatibleMembership)]
pub(super) struct Compatible<'a> {
    pub(super) bought_membership: Bought<'a>,
    /// Left out where it would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) incompatibility: Option<&'static str>,
}

/// A membership that a member has.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomenceBoughtMembership)]
pub(super) struct Bought<'a> {
    id: u64,
    /// `subscription` or `package-events`.
    #[serde(rename = "type")]
    kind: &'static str,
    start_date: Option<Timestamp>,
    end_date: Option<Timestamp>,
    event_credits_left: Option<u32>,
    event_credits_total: Option<u32>,
    /// Null: memberships here have no money in them.
    money_credits_left: Option<u32>,
    /// Null.
    money_credits_total: Option<u32>,
    /// Null where it is not in the catalogue any more.
    membership: Option<Origin<'a>>,
}

/// A membership of the catalogue's. What there is no such thing of here is null, false or 0.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomenceMembership)]
struct Origin<'a> {
    id: u64,
    name: &'a str,
    description: Option<&'a str>,
    /// `subscription` or `package-events`.
    #[serde(rename = "type")]
    kind: &'static str,
    location_id: Option<u64>,
    disabled: bool,
    auto_renewing: bool,
    minimum_auto_renews: Option<u32>,
    event_credits: Option<u32>,
    money_credits: Option<u32>,
    duration: Option<u32>,
    /// `days`, `months` or `years`.
    duration_unit: Option<&'static str>,
    is_activated_on_first_use: bool,
    activation_deadline_in_days: Option<u32>,
    has_free_trial: bool,
    free_trial_duration_in_days: u32,
    contract_agreement: Option<&'a str>,
    order: u32,
    is_intro_offer: bool,
    usage_limit_for_sessions: Option<u32>,
    usage_limit_for_appointments: Option<u32>,
    combined_usage_limit_enabled: bool,
    combined_usage_limit: Option<u32>,
    usage_limit_renewal_enabled: bool,
    usage_limit_renewal_duration: Option<u32>,
    usage_limit_renewal_duration_unit: Option<&'static str>,
    usage_limit_rollover_enabled: bool,
    usage_limit_rollover_mode: Option<&'static str>,
    usage_limit_rollover_expiration_duration: Option<u32>,
    usage_limit_rollover_expiration_duration_unit: Option<&'static str>,
}

const fn type_of(kind: MembershipType) -> &'static str {
    match kind {
        MembershipType::Pack => "package-events",
        MembershipType::Subscription => "subscription",
    }
}

const fn duration(span: Span) -> (u32, &'static str) {
    match span.unit {
        Unit::Day => (span.count, "days"),
        Unit::Week => (span.count.saturating_mul(7), "days"),
        Unit::Month => (span.count, "months"),
        Unit::Year => (span.count, "years"),
    }
}

impl<'a> Bought<'a> {
    /// By the numbers of both; `origin` as it is in the catalogue now.
    pub(super) fn of(credited: &Credited, id: u64, origin: Option<(&'a Membership, u64)>) -> Self {
        let bought = &credited.bought;
        let of_pack = |credits: Option<u32>| credits.filter(|_| bought.kind == MembershipType::Pack);
        Self {
            id,
            kind: type_of(bought.kind),
            start_date: Some(bought.valid_from),
            end_date: bought.valid_until,
            event_credits_left: of_pack(credited.left()),
            event_credits_total: of_pack(bought.credits),
            money_credits_left: None,
            money_credits_total: None,
            membership: origin.map(|(membership, id)| Origin::of(membership, id)),
        }
    }
}

impl<'a> Origin<'a> {
    fn of(membership: &'a Membership, id: u64) -> Self {
        let (duration, duration_unit) = membership.valid_for.map(duration).unzip();
        let (pack, subscription) = match membership.kind {
            MembershipType::Pack => (membership.credits, None),
            MembershipType::Subscription => (None, membership.credits),
        };
        Self {
            id,
            name: &membership.name,
            description: None,
            kind: type_of(membership.kind),
            location_id: None,
            disabled: !membership.active,
            // A membership of ours is bought once; what renews itself is a plan.
            auto_renewing: false,
            minimum_auto_renews: None,
            event_credits: pack,
            money_credits: None,
            duration,
            duration_unit,
            is_activated_on_first_use: false,
            activation_deadline_in_days: None,
            has_free_trial: false,
            free_trial_duration_in_days: 0,
            contract_agreement: None,
            order: 0,
            is_intro_offer: false,
            usage_limit_for_sessions: subscription,
            usage_limit_for_appointments: None,
            combined_usage_limit_enabled: false,
            combined_usage_limit: None,
            usage_limit_renewal_enabled: false,
            usage_limit_renewal_duration: None,
            usage_limit_renewal_duration_unit: None,
            usage_limit_rollover_enabled: false,
            usage_limit_rollover_mode: None,
            usage_limit_rollover_expiration_duration: None,
            usage_limit_rollover_expiration_duration_unit: None,
        }
    }
}

/// Why a membership does not pay, in their words.
pub(super) const fn incompatibility(reason: Incompatibility, kind: MembershipType) -> &'static str {
    match (reason, kind) {
        (Incompatibility::OtherSessions, _) => "session-membership-excluded",
        (Incompatibility::NoPlaces, _) => "session-bought-membership-invalid-type",
        (Incompatibility::Upcoming, _) => "session-bought-membership-starts-later",
        (Incompatibility::Frozen, _) => "session-bought-membership-frozen",
        (Incompatibility::Ended, _) => "session-bought-membership-disabled",
        (Incompatibility::Expired | Incompatibility::EndsBefore, MembershipType::Pack) => "session-bought-membership-pack-will-expire",
        (Incompatibility::Expired | Incompatibility::EndsBefore, MembershipType::Subscription) => "session-bought-membership-will-expire",
        (Incompatibility::NoCreditsLeft | Incompatibility::TooFewCreditsLeft, MembershipType::Pack) => {
            "session-bought-membership-no-event-credits-left"
        }
        (Incompatibility::NoCreditsLeft | Incompatibility::TooFewCreditsLeft, MembershipType::Subscription) => {
            "session-bought-membership-usage-limit-reached"
        }
        (
            Incompatibility::NotThere
            | Incompatibility::NotNeeded
            | Incompatibility::SubscriptionAndPack
            | Incompatibility::SeveralSubscriptions
            | Incompatibility::NamedTwice,
            _,
        ) => "unknown",
    }
}
