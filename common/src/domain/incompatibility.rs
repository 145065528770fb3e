//! Why a membership does not pay: one list of reasons, told by the API beside the code.

use super::error::{Code, CodedError};
use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $code:ident, $words:literal;)*) => {
        /// Why a membership does not pay for what is bought. What its owner could not tell apart is not told apart here either.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[schema(as = MembershipIncompatibility)]
        pub enum Incompatibility { $($(#[$doc])* #[serde(rename = $text)] $name,)* }

        impl Incompatibility {
            /// Every reason, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it stands in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The code of a request or a checkout that it ends.
            pub const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)* }
            }

            const fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

reasons! {
    /// Not there, or somebody else's.
    NotThere = "not_there", MembershipIncompatible, "the customer has no such membership";
    /// Nothing in the checkout is a place.
    NoPlaces = "no_places", MembershipIncompatible, "a membership pays for places in sessions, and there are none in this checkout";
    /// The sessions do not name it among those that pay for them.
    OtherSessions = "other_sessions", MembershipIncompatible, "this membership does not pay for this session";
    /// Not good yet.
    Upcoming = "upcoming", MembershipIncompatible, "this membership is not good yet";
    /// It is frozen now.
    Frozen = "frozen", MembershipIncompatible, "this membership is frozen";
    /// Its time is over.
    Expired = "expired", MembershipIncompatible, "this membership has expired";
    /// Its price went back.
    Ended = "ended", MembershipIncompatible, "this membership was given back";
    /// Good now, and over when the session starts.
    EndsBefore = "ends_before", MembershipIncompatible, "this membership is not good any more when the session starts";
    /// The memberships that are named before it pay for all that it could.
    NotNeeded = "not_needed", MembershipIncompatible, "the memberships before it pay for everything that it could";
    /// A subscription and a pack.
    SubscriptionAndPack = "subscription_and_pack", MembershipIncompatible, "a subscription pays beside no other membership: not beside a pack";
    /// More than one subscription.
    SeveralSubscriptions = "several_subscriptions", MembershipIncompatible, "a subscription pays beside no other membership: not beside another one";
    /// The same one, once more.
    NamedTwice = "named_twice", ParameterInvalid, "this membership is named twice";
    /// All of its credits are used or held.
    NoCreditsLeft = "no_credits_left", MembershipInsufficient, "this membership has no credits left";
    /// It has fewer credits left than it would have to pay, and nothing else pays.
    TooFewCreditsLeft = "too_few_credits_left", MembershipInsufficient, "not so many credits are left";
}

impl From<Incompatibility> for CodedError {
    fn from(reason: Incompatibility) -> Self {
        Self { reason: Some(reason), ..Self::new(reason.code(), reason.words()) }
    }
}
