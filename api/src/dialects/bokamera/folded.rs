//! Bodies of which the field names are read in any case.

use crate::{context::ApiContext, fields::typed, json, problem::Problem, strict::Strict};
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The names that are documented, as they are.
const NAMES: [&str; 11] = [
    "ArticleId",
    "ArticleTypeId",
    "Articles",
    "CancelUrl",
    "CompanyId",
    "ConfirmationUrl",
    "CountryCode",
    "InternalReferenceId",
    "Quantity",
    "SessionId",
    "UiMode",
];

/// A body, as strictly read as any other, with its documented fields under their documented names.
pub(super) struct Folded<T> {
    /// What is asked.
    pub(super) value: T,
    /// SHA-256 of the canonical form, hex: the same in whatever case the names came.
    pub(super) hash: String,
}

impl<T: DeserializeOwned> FromRequest<ApiContext> for Folded<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, ctx: &ApiContext) -> Result<Self, Problem> {
        let Strict { value, .. } = Strict::<Value>::from_request(request, ctx).await?;
        let value = fold(value)?;
        let hash = json::canonical_hash(&value);
        Ok(Self { value: typed(value)?, hash })
    }
}

/// The depth was bounded when it was read.
fn fold(value: Value) -> Result<Value, Problem> {
    match value {
        Value::Array(items) => items.into_iter().map(fold).collect::<Result<Vec<_>, _>>().map(Value::Array),
        Value::Object(map) => {
            let mut folded = Map::with_capacity(map.len());
            for (name, value) in map {
                let name = NAMES
                    .iter()
                    .find(|known| known.eq_ignore_ascii_case(&name))
                    .map_or_else(|| name.to_lowercase(), |known| (*known).to_owned());
                if folded.contains_key(&name) {
                    let detail = "the same field stands here twice, whatever the case".to_owned();
                    return Err(Problem::Parameter { code: "duplicate_key", detail, param: Some(name) });
                }
                folded.insert(name, fold(value)?);
            }
            Ok(Value::Object(folded))
        }
        scalar => Ok(scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_the_same_in_any_case_also_within_others() {
        let documented = json!({"CompanyId": "x", "Articles": [{"ArticleId": 1}], "UiMode": "hosted", "later": {"é": 1}});
        for other in [
            json!({"companyId": "x", "articles": [{"articleid": 1}], "UIMODE": "hosted", "Later": {"É": 1}}),
            json!({"COMPANYID": "x", "ARTICLES": [{"ARTICLEID": 1}], "uiMode": "hosted", "LATER": {"é": 1}}),
        ] {
            assert_eq!(fold(other).unwrap(), documented);
        }
    }

    #[test]
    fn a_field_that_is_given_twice_is_refused_wherever_it_stands() {
        for (body, name) in [
            (json!({"CompanyId": "x", "companyid": "y"}), "CompanyId"),
            (json!({"Articles": [{"Quantity": 1, "QUANTITY": 2}]}), "Quantity"),
            (json!({"later": {"Thing": 1, "thing": 2}}), "thing"),
        ] {
            let problem = fold(body).unwrap_err();
            assert_eq!((problem.code(), problem.param()), ("duplicate_key", Some(name)));
        }
    }
}
