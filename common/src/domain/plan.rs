//! Plans as they are sold: what a subscription costs, how often, and how it begins.

use super::{
    catalogue_check::{check_name, check_price, check_tax, ensure},
    error::CodedError,
    id::CatalogueId,
    membership::Terms,
    money::{Amount, Currency, MoneyError},
    schedule::{ANCHOR_DAYS, Schedule},
    span::Unit,
    time::Timestamp,
    time_zone::TimeZone,
};
use serde::{Deserialize, Serialize};

/// The longest trial, days.
pub const MAX_TRIAL_DAYS: u32 = 730;

/// The most units of a period: about five years of each.
pub const fn max_interval_count(interval: Unit) -> u32 {
    match interval {
        Unit::Day => 1_825,
        Unit::Week => 260,
        Unit::Month => 60,
        Unit::Year => 5,
    }
}

/// What the period costs that is shorter because of an anchor day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proration {
    /// As much as a whole one.
    #[default]
    None,
    /// In proportion to its length, in milliseconds, rounded down.
    FirstPeriod,
}

/// Whether a plan is on sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// On sale.
    #[default]
    Active,
    /// Not sold any more. Its subscriptions go on.
    Archived,
}

/// What customers subscribe to: a price that is due again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The client's own id; taken from the path when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CatalogueId>,
    /// Shown to customers.
    pub name: String,
    /// The price of a period, minor units, tax not included.
    pub unit_amount: Amount,
    /// The price's currency.
    pub currency: Currency,
    /// Tax on top, in basis points.
    #[serde(default)]
    pub tax_rate_bp: u32,
    /// What periods are counted in.
    pub interval: Unit,
    /// How many of them a period has.
    #[serde(default = "one")]
    pub interval_count: u32,
    /// How many days at the beginning cost nothing.
    #[serde(default)]
    pub trial_days: u32,
    /// Of a plan by months: the day on which periods begin, 1 to 31; the last one of a month that has no such day. Left out, they begin
    /// on the day of the sale.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 31)]
    pub anchor_day: Option<u32>,
    /// What the first period costs, which an anchor day makes shorter.
    #[serde(default)]
    pub proration: Proration,
    /// A membership that each paid period gives, good for that period.
    #[serde(default)]
    pub membership: Option<CatalogueId>,
    /// Whether it is on sale.
    #[serde(default)]
    pub status: PlanStatus,
    /// The client's own.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

const fn one() -> u32 {
    1
}

/// A membership that each paid period gives, as it was when the plan was sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Given {
    /// Which.
    pub membership: CatalogueId,
    /// What it is good for, in each period.
    pub terms: Terms,
}

/// What was agreed on when a plan was sold. It stays as it is, whatever becomes of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlanTerms {
    /// The price of a period, minor units, tax not included.
    pub unit_amount: Amount,
    /// Tax on top, in basis points.
    pub tax_rate_bp: u32,
    /// What periods are counted in.
    pub interval: Unit,
    /// How many of them a period has.
    pub interval_count: u32,
    /// The day on which periods begin.
    pub anchor_day: Option<u32>,
    /// What a period costs that an anchor day makes shorter.
    pub proration: Proration,
    /// Where days are counted.
    pub time_zone: TimeZone,
    /// What each paid period gives.
    pub gives: Option<Given>,
}

impl Plan {
    /// Whether it can be kept; `parameter_invalid` with the field in `param` when not.
    pub fn check(&self) -> Result<(), CodedError> {
        check_name(&self.name, "name")?;
        check_price(self.unit_amount, "unit_amount")?;
        check_tax(self.tax_rate_bp)?;
        let total = self.unit_amount.basis_points(self.tax_rate_bp).and_then(|tax| self.unit_amount.plus(tax));
        ensure(total.is_ok(), "unit_amount", || "comes with its tax to more than we handle".to_owned())?;
        let most = max_interval_count(self.interval);
        ensure((1..=most).contains(&self.interval_count), "interval_count", || format!("is 1 to {most} for this interval"))?;
        ensure(self.trial_days <= MAX_TRIAL_DAYS, "trial_days", || format!("is at most {MAX_TRIAL_DAYS}"))?;
        let is_day = self.anchor_day.is_none_or(|day| ANCHOR_DAYS.contains(&day));
        ensure(is_day, "anchor_day", || format!("is {} to {}", ANCHOR_DAYS.start(), ANCHOR_DAYS.end()))?;
        let has_days = self.anchor_day.is_none() || self.interval == Unit::Month;
        ensure(has_days, "anchor_day", || "is for plans by months".to_owned())?;
        let has_part = self.proration == Proration::None || self.anchor_day.is_some();
        ensure(has_part, "proration", || "is for plans with an anchor_day: the others have no shorter period".to_owned())
    }

    /// What is agreed on when it is sold in this time zone. `gives`: what is known of its membership.
    pub fn terms(&self, time_zone: &TimeZone, gives: Option<Given>) -> PlanTerms {
        PlanTerms {
            unit_amount: self.unit_amount,
            tax_rate_bp: self.tax_rate_bp,
            interval: self.interval,
            interval_count: self.interval_count,
            anchor_day: self.anchor_day,
            proration: self.proration,
            time_zone: time_zone.clone(),
            gives,
        }
    }

    /// When the first paid period begins of what is sold at `now`: behind the trial, at the same time of day.
    pub fn starts_at(&self, time_zone: &TimeZone, now: Timestamp) -> Timestamp {
        if self.trial_days == 0 {
            return now;
        }
        let (interval, interval_count) = (Unit::Day, self.trial_days);
        Schedule { interval, interval_count, anchor_day: None, time_zone: time_zone.clone(), starts_at: now }.boundary(1)
    }
}

impl PlanTerms {
    /// Its calendar when the first paid period begins then.
    pub fn schedule(&self, starts_at: Timestamp) -> Schedule {
        let Self { interval, interval_count, anchor_day, .. } = *self;
        Schedule { interval, interval_count, anchor_day, time_zone: self.time_zone.clone(), starts_at }
    }

    /// What period `k` of that calendar costs, tax not included.
    pub fn price(&self, schedule: &Schedule, k: u32) -> Result<Amount, MoneyError> {
        match self.proration {
            Proration::None => Ok(self.unit_amount),
            Proration::FirstPeriod => schedule.prorated(self.unit_amount, k),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error::Code;
    use serde_json::{Value, json};

    fn plan(changes: &Value) -> Plan {
        let mut object = json!({"name": "Monthly", "unit_amount": 4900, "currency": "usd", "interval": "month"});
        object.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_plan_is_kept_or_refused_at_its_field() {
        for good in [
            json!({}),
            json!({"unit_amount": 0, "trial_days": 730, "interval_count": 60}),
            json!({"anchor_day": 31, "proration": "first_period"}),
            json!({"interval": "day", "interval_count": 1825}),
            json!({"interval": "year", "membership": "mem_1", "status": "archived"}),
        ] {
            assert_eq!(plan(&good).check(), Ok(()), "{good}");
        }
        for (bad, field) in [
            (json!({"name": ""}), "name"),
            (json!({"unit_amount": -1}), "unit_amount"),
            (json!({"tax_rate_bp": 10_001}), "tax_rate_bp"),
            (json!({"unit_amount": Amount::MAX, "tax_rate_bp": 1}), "unit_amount"),
            (json!({"interval_count": 0}), "interval_count"),
            (json!({"interval_count": 61}), "interval_count"),
            (json!({"trial_days": 731}), "trial_days"),
            (json!({"anchor_day": 0}), "anchor_day"),
            (json!({"anchor_day": 32}), "anchor_day"),
            (json!({"anchor_day": 1, "interval": "year"}), "anchor_day"),
            (json!({"proration": "first_period"}), "proration"),
        ] {
            let refused = plan(&bad).check().unwrap_err();
            assert_eq!((refused.code, refused.param.as_deref()), (Code::ParameterInvalid, Some(field)), "{bad}");
        }
    }

    #[test]
    fn a_trial_ends_at_the_same_time_of_day_where_the_tenant_is() {
        let (zone, now) = (TimeZone::parse("Europe/Berlin").unwrap(), Timestamp::parse("2027-03-20T12:00:00Z").unwrap());
        assert_eq!(plan(&json!({"trial_days": 14})).starts_at(&zone, now).to_rfc3339(), "2027-04-03T11:00:00.000Z");
        assert_eq!(plan(&json!({})).starts_at(&zone, now), now);
    }

    #[test]
    fn only_a_plan_that_says_so_costs_less_for_a_shorter_period() {
        let now = Timestamp::parse("2027-01-16T12:00:00Z").unwrap();
        let cost = |changes: Value, k| {
            let terms = plan(&changes).terms(&TimeZone::default(), None);
            terms.price(&terms.schedule(now), k).unwrap().minor()
        };
        assert_eq!(cost(json!({"anchor_day": 1}), 1), 4900);
        assert_eq!(cost(json!({"anchor_day": 1, "proration": "first_period"}), 1), 2450);
        assert_eq!(cost(json!({"anchor_day": 1, "proration": "first_period"}), 2), 4900);
    }
}
