//! Ids that are numbers: theirs as they come, and numbers for ours.
//!
//! A catalogue object, a customer or a membership that is called by a number is the one whose id is just that number. What we have made
//! ourselves has an id that is none: it is given a number when it is first told of, and is found by it.

use crate::{context::ApiContext, problem::Problem};
use boxoffice_common::{
    domain::scope::Scope,
    ports::store::{NUMBERS, Numbered},
};
use serde::{Deserialize, Deserializer, de::Visitor};
use std::fmt;

/// The greatest integer that every JSON client reads exactly.
const MAX_EXACT: u64 = (1 << 53) - 1;
/// The longest id.
const MAX_LENGTH: usize = 64;

/// An id as a client sends it: a number, or its digits. Ids of ours are taken, too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, utoipa::ToSchema)]
#[schema(as = MomenceId, value_type = u64)]
pub(super) struct Id(String);

impl Id {
    /// As our ids are written.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or its digits")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Id, E> {
                Ok(Id(number.to_string()))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Id, E> {
                u64::try_from(number).map(|number| Id(number.to_string())).map_err(|_| E::custom("an id is not negative"))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Id, E> {
                let fits = (1..=MAX_LENGTH).contains(&text.len());
                let is_id = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
                if fits && is_id { Ok(Id(text.to_owned())) } else { Err(E::custom("an id is a whole number, or its digits")) }
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// The number that an id is, where it is one that every client reads and that we give to nothing of ours.
fn own_number(id: &str) -> Option<u64> {
    let number: u64 = id.parse().ok()?;
    let is_given_here = u32::try_from(number).is_ok_and(|number| NUMBERS.contains(&number));
    (number <= MAX_EXACT && number.to_string() == id && !is_given_here).then_some(number)
}

/// The numbers of these, in their order.
pub(super) async fn numbers<'i>(
    ctx: &ApiContext,
    scope: &Scope,
    kind: Numbered,
    ids: impl IntoIterator<Item = &'i str>,
) -> Result<Vec<u64>, Problem> {
    let ids: Vec<&str> = ids.into_iter().collect();
    let ours: Vec<String> = ids.iter().filter(|id| own_number(id).is_none()).map(|id| (*id).to_owned()).collect();
    let mut given = ctx.store().numbers_of(scope, kind, &ours).await?.into_iter();
    let number = |id: &&str| own_number(id).or_else(|| given.next().map(u64::from)).ok_or(Problem::Internal);
    ids.iter().map(number).collect()
}

/// The id that such a number, or such an id, stands for.
pub(super) async fn meant(ctx: &ApiContext, scope: &Scope, kind: Numbered, id: &str) -> Result<String, Problem> {
    let number = id.parse().ok().filter(|number| NUMBERS.contains(number));
    let numbered = match number {
        Some(number) => ctx.store().numbered(scope, kind, number).await?,
        None => None,
    };
    Ok(numbered.unwrap_or_else(|| id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_id_is_a_number_or_its_digits() {
        let read = |value: Value| serde_json::from_value::<Id>(value).ok().map(|id| id.0);
        for (value, id) in
            [(json!(101), "101"), (json!("101"), "101"), (json!("bmb_1"), "bmb_1"), (json!(u64::MAX), "18446744073709551615")]
        {
            assert_eq!(read(value).as_deref(), Some(id));
        }
        for bad in [json!(-1), json!(1.5), json!(""), json!("a b"), json!("x".repeat(65)), json!(true), json!([1]), json!({"id": 1})] {
            assert_eq!(read(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn a_number_is_told_as_it_is_only_where_every_client_reads_it_back() {
        assert_eq!((own_number("101"), own_number("0"), own_number("9007199254740991")), (Some(101), Some(0), Some(MAX_EXACT)));
        for other in ["", "0101", "+1", "-1", "9007199254740992", "1500000000", "bmb_1", "١"] {
            assert_eq!(own_number(other), None, "{other}");
        }
    }
}
