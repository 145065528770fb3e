//! What ClassManager's clients ask for: enrolments and trials, read as far as that needs no look at the store.

use crate::{
    bounds,
    fields::typed,
    json::{parse, refuse_card_numbers},
    problem::Problem,
};
use boxoffice_common::domain::{
    error::{Code, CodedError},
    id::{CatalogueId, PaymentIntentId},
    pricing::MAX_LINES,
};
use serde::Deserialize;
use std::time::Duration;
use time::{Date, Month, Time};

/// The longest basket that a quote's address may carry, bytes.
const MAX_ITEMS: usize = 16 * 1024;

/// A basket, and what pays it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerCheckoutRequest)]
pub(super) struct CheckoutRequest {
    /// What was authorised for it; `null` where nothing is due.
    #[schema(required, min_length = 1)]
    payment_intent_id: Option<String>,
    pub(super) items: Items,
}

/// Places in classes, and trials of them; together at most 50.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = ClassManagerItems)]
pub(super) struct Items {
    #[schema(max_items = 50)]
    enrolments: Vec<Enrolment>,
    #[schema(max_items = 50)]
    trials: Vec<Trial>,
}

/// A place in a class itself.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerEnrolment)]
struct Enrolment {
    class_id: String,
    student_id: String,
    pricing_plan_id: String,
}

/// A place in one occurrence of a class.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClassManagerTrial)]
struct Trial {
    class_id: String,
    student_id: String,
    /// Where the tenant is.
    #[schema(format = Date)]
    trial_at: String,
    /// `09:00` or `09:00:00`, where the tenant is.
    #[schema(pattern = "^[0-9]{2}:[0-9]{2}(:[0-9]{2})?$")]
    time: String,
}

/// One place that is asked for.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) class: CatalogueId,
    pub(super) student: String,
    pub(super) kind: Kind,
    /// Where it stands in the request: `items.trials[0]`.
    pub(super) param: String,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Under a pricing plan.
    Enrolment(CatalogueId),
    /// In the occurrence that starts then.
    Trial {
        date: Date,
        time: Time,
        /// How exactly the time was said.
        within: Duration,
    },
}

impl CheckoutRequest {
    pub(super) fn intent(&self) -> Result<Option<PaymentIntentId>, Problem> {
        let read = |text: &String| {
            let missing = || CodedError::new(Code::ResourceMissing, "there is no such payment intent").at("paymentIntentId");
            PaymentIntentId::parse(text.as_str()).map_err(|_| missing().into())
        };
        self.payment_intent_id.as_ref().map(read).transpose()
    }
}

impl Items {
    /// From the query of a quote: JSON as a checkout's `items`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > MAX_ITEMS {
            return Err(Problem::invalid("items", format!("has at most {MAX_ITEMS} bytes")));
        }
        let value = parse(text.as_bytes())?;
        refuse_card_numbers(&value)?;
        typed(serde_json::Map::from_iter([("items".to_owned(), value)]).into()).map(|Wrapped { items }| items)
    }

    /// Enrolments first, then trials.
    pub(super) fn places(&self) -> Result<Vec<Place>, Problem> {
        if self.enrolments.len().saturating_add(self.trials.len()) > MAX_LINES {
            return Err(Problem::invalid("items", format!("a basket has at most {MAX_LINES} enrolments and trials")));
        }
        let enrolments = self.enrolments.iter().enumerate().map(|(at, enrolment)| enrolment.place(format!("items.enrolments[{at}]")));
        let trials = self.trials.iter().enumerate().map(|(at, trial)| trial.place(format!("items.trials[{at}]")));
        enrolments.chain(trials).collect()
    }
}

#[derive(Deserialize)]
struct Wrapped {
    items: Items,
}

impl Enrolment {
    fn place(&self, param: String) -> Result<Place, Problem> {
        bounds::text(&self.student_id, 255, &format!("{param}.studentId"))?;
        let class = catalogued(&self.class_id, "class", &param, "classId")?;
        let plan = catalogued(&self.pricing_plan_id, "pricing plan", &param, "pricingPlanId")?;
        Ok(Place { class, student: self.student_id.clone(), kind: Kind::Enrolment(plan), param })
    }
}

impl Trial {
    fn place(&self, param: String) -> Result<Place, Problem> {
        bounds::text(&self.student_id, 255, &format!("{param}.studentId"))?;
        let class = catalogued(&self.class_id, "class", &param, "classId")?;
        let date = date(&self.trial_at).ok_or_else(|| Problem::invalid(format!("{param}.trialAt"), "is a date such as 2035-08-20"))?;
        let (time, within) = time_of_day(&self.time).ok_or_else(|| Problem::invalid(format!("{param}.time"), "is a time such as 09:00"))?;
        Ok(Place { class, student: self.student_id.clone(), kind: Kind::Trial { date, time, within }, param })
    }
}

/// What cannot be an id is as good as missing.
fn catalogued(text: &str, what: &str, param: &str, field: &str) -> Result<CatalogueId, Problem> {
    let missing = || CodedError::new(Code::ResourceMissing, format!("there is no such {what}")).at(format!("{param}.{field}"));
    CatalogueId::parse(text).map_err(|_| missing().into())
}

/// `YYYY-MM-DD`.
fn date(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text, '-', [4, 2, 2])?;
    Date::from_calendar_date(i32::from(year), Month::try_from(u8::try_from(month).ok()?).ok()?, u8::try_from(day).ok()?).ok()
}

/// `HH:MM`, which is any second of that minute, or `HH:MM:SS`.
fn time_of_day(text: &str) -> Option<(Time, Duration)> {
    let small = |number: u16| u8::try_from(number).ok();
    let ([hour, minute, second], within) = match numbers(text, ':', [2, 2]) {
        Some([hour, minute]) => ([hour, minute, 0], 60),
        None => (numbers(text, ':', [2, 2, 2])?, 1),
    };
    Some((Time::from_hms(small(hour)?, small(minute)?, small(second)?).ok()?, Duration::from_secs(within)))
}

/// So many numbers of so many digits.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[u16; N]> {
    let mut parts = text.split(between);
    let mut read = [0; N];
    for (slot, digits) in read.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_at_a_date_and_a_time() {
        let told = |text: &str| time_of_day(text).map(|(time, within)| (time.to_string(), within.as_secs()));
        assert_eq!(told("09:00"), Some(("9:00:00.0".to_owned(), 60)));
        assert_eq!(told("23:59:58"), Some(("23:59:58.0".to_owned(), 1)));
        for bad in ["", "9:00", "24:00", "09:60", "09:00:", "09:00:00:00", "+9:00", "09-00", "09:00Z"] {
            assert_eq!(told(bad), None, "{bad}");
        }
        assert_eq!(date("2024-08-20").map(|date| date.to_string()).as_deref(), Some("2024-08-20"));
        for bad in ["", "2024-8-20", "2024-02-30", "2024-13-01", "20240820", "2024-08-20T00:00:00Z", "-024-08-20"] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_basket_is_read_with_the_place_of_each_mistake() {
        let param = |text: &str| {
            Items::parse(text)
                .and_then(|items| items.places())
                .map(|places| places.len())
                .map_err(|problem| problem.param().map(str::to_owned))
        };
        let enrolment = r#"{"classId": "cls_1", "studentId": "stu_1", "pricingPlanId": "pp_1", "more": 1}"#;
        let trial = r#"{"classId": "cls_1", "studentId": "stu_1", "trialAt": "2035-08-20", "time": "09:00"}"#;
        let basket = |enrolments: &str, trials: &str| format!(r#"{{"enrolments": [{enrolments}], "trials": [{trials}]}}"#);
        assert_eq!(param(&basket(enrolment, trial)), Ok(2));
        assert_eq!(param(&basket("", "")), Ok(0));
        let at = |param: &str| Err(Some(param.to_owned()));
        assert_eq!(param("{}"), at("items.enrolments"));
        assert_eq!(param("[]"), at("items"));
        assert_eq!(param(&basket("", &trial.replace("09:00", "9am"))), at("items.trials[0].time"));
        assert_eq!(param(&basket("", &trial.replace("-20", "-32"))), at("items.trials[0].trialAt"));
        assert_eq!(param(&basket(&enrolment.replace("cls_1", "c/s"), "")), at("items.enrolments[0].classId"));
        assert_eq!(param(&basket(&enrolment.replace("stu_1", ""), "")), at("items.enrolments[0].studentId"));
        assert_eq!(param(&basket(&[enrolment; 51].join(","), "")), at("items"));
        assert_eq!(param(&format!("\"{}\"", "x".repeat(MAX_ITEMS))), at("items"));
    }
}
