//! What a catalogue object must hold to be kept. Everything behind a PUT relies on it and does not check again.

use super::{
    catalogue::{Product, PromoCode, Session},
    error::{Code, CodedError},
    money::Amount,
    time::Timestamp,
};
use std::collections::HashSet;

/// The longest name of anything, in characters.
pub const MAX_NAME_CHARS: usize = 200;
/// The longest name of a seat or a tag, in characters.
pub const MAX_LABEL_CHARS: usize = 32;
/// The most places of a session, pieces of a product, and uses of a promo code are `u32`; places have this bound.
pub const MAX_PLACES: usize = 100_000;
/// The most entries in a list of ids or variants.
pub const MAX_LIST: usize = 1_000;
/// The most pricing plans of a session.
pub const MAX_PRICING_PLANS: usize = 20;
/// All of it, in basis points: the highest tax and the highest discount.
pub const WHOLE_BP: u32 = 10_000;
/// The highest age that a limit may name, in years.
pub const MAX_AGE: u32 = 150;

impl Session {
    /// Whether it can be kept; `parameter_invalid` with the field in `param` when not.
    pub fn check(&self) -> Result<(), CodedError> {
        check_name(&self.name, "name")?;
        check_price(self.unit_amount, "unit_amount")?;
        check_tax(self.tax_rate_bp)?;
        check_window(Some(self.starts_at), self.ends_at, "ends_at")?;
        check_window(self.sales_start_at, self.sales_end_at, "sales_end_at")?;
        check_at_least_one(self.purchase_limit, "purchase_limit")?;
        if let Some(tag) = &self.required_tag {
            check_label(tag, "required_tag")?;
        }
        for (age, param) in [(self.min_age, "min_age"), (self.max_age, "max_age")] {
            ensure(age.is_none_or(|age| age <= MAX_AGE), param, || format!("an age is at most {MAX_AGE}"))?;
        }
        let in_order = self.min_age.zip(self.max_age).is_none_or(|(min, max)| min <= max);
        ensure(in_order, "max_age", || "is below min_age".to_owned())?;
        check_list(self.compatible_memberships.len(), "compatible_memberships")?;
        self.check_pricing_plans()?;
        self.check_places()
    }

    fn check_pricing_plans(&self) -> Result<(), CodedError> {
        ensure(self.pricing_plans.len() <= MAX_PRICING_PLANS, "pricing_plans", || format!("has at most {MAX_PRICING_PLANS} entries"))?;
        let mut seen = HashSet::new();
        for (index, plan) in self.pricing_plans.iter().enumerate() {
            let param = format!("pricing_plans[{index}]");
            ensure(seen.insert(&plan.id), &format!("{param}.id"), || "this pricing plan stands here twice".to_owned())?;
            check_name(&plan.name, &format!("{param}.name"))?;
            check_price(plan.unit_amount, &format!("{param}.unit_amount"))?;
        }
        Ok(())
    }

    fn check_places(&self) -> Result<(), CodedError> {
        match (self.capacity, &self.seats) {
            (Some(_), Some(_)) => Err(wrong("seats", "give either capacity or seats")),
            (None, None) => Err(wrong("capacity", "give either capacity or seats")),
            (Some(capacity), None) => {
                let fits = usize::try_from(capacity).is_ok_and(|capacity| capacity <= MAX_PLACES);
                ensure(fits, "capacity", || format!("a session has at most {MAX_PLACES} places"))
            }
            (None, Some(seats)) => check_seats(seats),
        }
    }
}

fn check_seats(seats: &[String]) -> Result<(), CodedError> {
    ensure((1..=MAX_PLACES).contains(&seats.len()), "seats", || format!("a session has 1 to {MAX_PLACES} named seats"))?;
    let mut seen = HashSet::with_capacity(seats.len());
    for (index, seat) in seats.iter().enumerate() {
        // The text of the field is made only for a seat that is wrong: there may be 100,000.
        if !is_label(seat) || !seen.insert(seat.as_str()) {
            let param = format!("seats[{index}]");
            check_label(seat, &param)?;
            return Err(wrong(&param, "this seat stands here twice"));
        }
    }
    Ok(())
}

impl Product {
    /// Whether it can be kept; `parameter_invalid` with the field in `param` when not.
    pub fn check(&self) -> Result<(), CodedError> {
        check_name(&self.name, "name")?;
        check_price(self.unit_amount, "unit_amount")?;
        check_tax(self.tax_rate_bp)?;
        check_list(self.variants.len(), "variants")?;
        let mut seen = HashSet::new();
        for (index, variant) in self.variants.iter().enumerate() {
            let param = format!("variants[{index}]");
            ensure(seen.insert(&variant.id), &format!("{param}.id"), || "this variant stands here twice".to_owned())?;
            check_name(&variant.name, &format!("{param}.name"))?;
            if let Some(amount) = variant.unit_amount {
                check_price(amount, &format!("{param}.unit_amount"))?;
            }
        }
        Ok(())
    }
}

impl PromoCode {
    /// Whether it can be kept; `parameter_invalid` with the field in `param` when not.
    pub fn check(&self) -> Result<(), CodedError> {
        match (self.percent_off_bp, self.amount_off) {
            (Some(_), Some(_)) => return Err(wrong("amount_off", "give either percent_off_bp or amount_off")),
            (None, None) => return Err(wrong("percent_off_bp", "give either percent_off_bp or amount_off")),
            (Some(bp), None) => {
                ensure((1..=WHOLE_BP).contains(&bp), "percent_off_bp", || format!("is 1 to {WHOLE_BP} basis points"))?;
            }
            (None, Some(amount)) => {
                check_price(amount, "amount_off")?;
                ensure(!amount.is_zero(), "amount_off", || "takes nothing off".to_owned())?;
                ensure(self.currency.is_some(), "currency", || "is required with amount_off".to_owned())?;
            }
        }
        check_window(self.starts_at, self.ends_at, "ends_at")?;
        check_at_least_one(self.max_uses, "max_uses")?;
        check_list(self.applies_to.len(), "applies_to")
    }
}

/// 1 to [`MAX_NAME_CHARS`] characters, not all of them blank, no control characters.
pub(super) fn check_name(name: &str, param: &str) -> Result<(), CodedError> {
    let fits = name.len() <= MAX_NAME_CHARS * 4 && (1..=MAX_NAME_CHARS).contains(&name.chars().count());
    ensure(fits, param, || format!("a name has 1 to {MAX_NAME_CHARS} characters"))?;
    ensure(!name.trim().is_empty(), param, || "a name is not blank".to_owned())?;
    ensure(!name.chars().any(char::is_control), param, || "a name has no control characters".to_owned())
}

fn check_label(label: &str, param: &str) -> Result<(), CodedError> {
    ensure(is_label(label), param, || format!("has 1 to {MAX_LABEL_CHARS} visible characters, without blanks"))
}

/// 1 to [`MAX_LABEL_CHARS`] visible characters: two labels that look alike must not differ by something unseen.
fn is_label(label: &str) -> bool {
    label.len() <= MAX_LABEL_CHARS * 4 && (1..=MAX_LABEL_CHARS).contains(&label.chars().count()) && label.chars().all(is_visible)
}

fn is_visible(c: char) -> bool {
    let unseen = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !c.is_whitespace() && !unseen
}

pub(super) fn check_price(amount: Amount, param: &str) -> Result<(), CodedError> {
    ensure((Amount::ZERO..=Amount::MAX).contains(&amount), param, || format!("is 0 to {} minor units", Amount::MAX))
}

pub(super) fn check_tax(rate_bp: u32) -> Result<(), CodedError> {
    ensure(rate_bp <= WHOLE_BP, "tax_rate_bp", || format!("is at most {WHOLE_BP} basis points"))
}

fn check_window(start: Option<Timestamp>, end: Option<Timestamp>, param: &str) -> Result<(), CodedError> {
    ensure(start.zip(end).is_none_or(|(start, end)| end >= start), param, || "ends before it starts".to_owned())
}

fn check_at_least_one(limit: Option<u32>, param: &str) -> Result<(), CodedError> {
    ensure(limit != Some(0), param, || "is at least 1; leave it out for no limit".to_owned())
}

fn check_list(len: usize, param: &str) -> Result<(), CodedError> {
    ensure(len <= MAX_LIST, param, || format!("has at most {MAX_LIST} entries"))
}

pub(super) fn ensure(holds: bool, param: &str, message: impl FnOnce() -> String) -> Result<(), CodedError> {
    if holds { Ok(()) } else { Err(wrong(param, message())) }
}

fn wrong(param: &str, message: impl Into<String>) -> CodedError {
    CodedError::new(Code::ParameterInvalid, message).at(param)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The valid object with these fields replaced; what its check says, as the `param`.
    fn session(changes: Value) -> Option<String> {
        let valid = json!({"name": "Yoga", "starts_at": "2030-01-01T10:00:00Z", "capacity": 20, "unit_amount": 1500, "currency": "usd"});
        param(serde_json::from_value::<Session>(merged(valid, changes)).unwrap().check())
    }

    fn product(changes: Value) -> Option<String> {
        let valid = json!({"name": "Mat", "unit_amount": 2500, "currency": "usd"});
        param(serde_json::from_value::<Product>(merged(valid, changes)).unwrap().check())
    }

    fn promo(changes: Value) -> Option<String> {
        param(serde_json::from_value::<PromoCode>(merged(json!({}), changes)).unwrap().check())
    }

    fn merged(mut valid: Value, changes: Value) -> Value {
        valid.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        valid
    }

    fn param(checked: Result<(), CodedError>) -> Option<String> {
        checked.err().map(|error| {
            assert_eq!(error.code, Code::ParameterInvalid);
            error.param.unwrap()
        })
    }

    #[test]
    fn a_session_that_makes_sense_is_kept() {
        for good in [
            json!({}),
            json!({"capacity": 0}),
            json!({"capacity": 100_000, "purchase_limit": 1, "min_age": 18, "max_age": 18, "required_tag": "vip"}),
            json!({"capacity": null, "seats": ["A1", "É2"], "ends_at": "2030-01-01T10:00:00Z", "tax_rate_bp": 10_000}),
            json!({"unit_amount": 1_000_000_000_000i64, "name": "é".repeat(200)}),
            json!({"class": "ballet", "pricing_plans": (0..20).map(|n| json!({"id": format!("pp_{n}"), "name": "Adult", "unit_amount": n})).collect::<Vec<_>>()}),
        ] {
            assert_eq!(session(good.clone()), None, "{good}");
        }
    }

    #[test]
    fn a_session_that_makes_no_sense_is_refused_at_its_field() {
        for (bad, field) in [
            (json!({"name": ""}), "name"),
            (json!({"name": " \u{a0}"}), "name"),
            (json!({"name": "a\nb"}), "name"),
            (json!({"name": "x".repeat(201)}), "name"),
            (json!({"unit_amount": -1}), "unit_amount"),
            (json!({"unit_amount": 1_000_000_000_001i64}), "unit_amount"),
            (json!({"tax_rate_bp": 10_001}), "tax_rate_bp"),
            (json!({"ends_at": "2030-01-01T09:59:59Z"}), "ends_at"),
            (json!({"sales_start_at": "2029-01-02T00:00:00Z", "sales_end_at": "2029-01-01T00:00:00Z"}), "sales_end_at"),
            (json!({"capacity": null}), "capacity"),
            (json!({"capacity": 100_001}), "capacity"),
            (json!({"seats": ["A1"]}), "seats"),
            (json!({"capacity": null, "seats": []}), "seats"),
            (json!({"capacity": null, "seats": ["A1", "A2", "A1"]}), "seats[2]"),
            (json!({"capacity": null, "seats": ["A1", ""]}), "seats[1]"),
            (json!({"capacity": null, "seats": ["A 1"]}), "seats[0]"),
            (json!({"capacity": null, "seats": ["A1\u{200b}"]}), "seats[0]"),
            (json!({"capacity": null, "seats": ["x".repeat(33)]}), "seats[0]"),
            (json!({"capacity": null, "seats": (0..100_001).map(|n| n.to_string()).collect::<Vec<_>>()}), "seats"),
            (json!({"purchase_limit": 0}), "purchase_limit"),
            (json!({"required_tag": ""}), "required_tag"),
            (json!({"min_age": 19, "max_age": 18}), "max_age"),
            (json!({"min_age": 151}), "min_age"),
            (json!({"pricing_plans": vec![json!({"id": "pp", "name": "Adult", "unit_amount": 0}); 2]}), "pricing_plans[1].id"),
            (json!({"pricing_plans": vec![json!({"id": "pp", "name": "Adult", "unit_amount": 0}); 21]}), "pricing_plans"),
            (json!({"pricing_plans": [{"id": "pp", "name": " ", "unit_amount": 0}]}), "pricing_plans[0].name"),
            (json!({"pricing_plans": [{"id": "pp", "name": "Adult", "unit_amount": -1}]}), "pricing_plans[0].unit_amount"),
        ] {
            assert_eq!(session(bad.clone()).as_deref(), Some(field), "{field}");
        }
    }

    #[test]
    fn a_product_is_kept_or_refused_at_its_field() {
        let variants = |second: &str| json!([{"id": "s", "name": "Small"}, {"id": second, "name": "Large", "unit_amount": 0}]);
        assert_eq!(product(json!({"variants": variants("l"), "stock": 0})), None);
        for (bad, field) in [
            (json!({"name": ""}), "name"),
            (json!({"unit_amount": -5}), "unit_amount"),
            (json!({"tax_rate_bp": 4_000_000}), "tax_rate_bp"),
            (json!({"variants": variants("s")}), "variants[1].id"),
            (json!({"variants": [{"id": "s", "name": ""}]}), "variants[0].name"),
            (json!({"variants": [{"id": "s", "name": "S", "unit_amount": -1}]}), "variants[0].unit_amount"),
        ] {
            assert_eq!(product(bad).as_deref(), Some(field));
        }
    }

    #[test]
    fn a_promo_code_takes_off_either_a_part_or_an_amount() {
        assert_eq!(promo(json!({"percent_off_bp": 10_000, "max_uses": 1})), None);
        assert_eq!(promo(json!({"amount_off": 500, "currency": "usd"})), None);
        for (bad, field) in [
            (json!({}), "percent_off_bp"),
            (json!({"percent_off_bp": 0}), "percent_off_bp"),
            (json!({"percent_off_bp": 10_001}), "percent_off_bp"),
            (json!({"percent_off_bp": 1, "amount_off": 1}), "amount_off"),
            (json!({"amount_off": 0, "currency": "usd"}), "amount_off"),
            (json!({"amount_off": -1, "currency": "usd"}), "amount_off"),
            (json!({"amount_off": 1}), "currency"),
            (json!({"percent_off_bp": 1, "max_uses": 0}), "max_uses"),
            (json!({"percent_off_bp": 1, "starts_at": "2030-01-02T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"}), "ends_at"),
        ] {
            assert_eq!(promo(bad).as_deref(), Some(field));
        }
    }
}
