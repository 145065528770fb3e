//! Ids in paths.

use crate::problem::Problem;
use axum::extract::{FromRequestParts, Path};
use boxoffice_common::domain::{
    card_number::holds_card_number,
    error::{Code, CodedError},
};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// An id of something that should be there: what cannot be an id is as good as missing (404).
pub struct Known<T>(pub T);

/// An id for something to put there: what cannot be an id is refused (400).
pub struct New<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Known<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::from_request_parts(parts, state).await.map_err(|_| Problem::NotFound)?;
        Ok(Self(id))
    }
}

impl<T: DeserializeOwned + AsRef<str> + Send, S: Send + Sync> FromRequestParts<S> for New<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let wrong = |_| Problem::invalid("id", "an id is 1 to 64 of A-Z a-z 0-9 _ -");
        let Path(id) = Path::<T>::from_request_parts(parts, state).await.map_err(wrong)?;
        if holds_card_number(id.as_ref()) {
            return Err(CodedError::new(Code::CardNumberRefused, "this looks like a card number").at("id").into());
        }
        Ok(Self(id))
    }
}
