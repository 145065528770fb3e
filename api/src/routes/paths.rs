//! Ids in paths.

use crate::problem::Problem;
use axum::extract::{FromRequestParts, Path};
use boxoffice_common::domain::{
    card_number::holds_card_number,
    error::{Code, CodedError},
};
use http::request::Parts;
use serde::de::{DeserializeOwned, IntoDeserializer, value::Error as ValueError};

/// An id of something that should be there: what cannot be an id is as good as missing (404).
pub struct Known<T>(pub T);

/// An id for something to put there: what cannot be an id is refused (400).
pub struct New<T>(pub T);

/// An owner's id and the id of something of his that should be there.
pub struct KnownOf<O, T>(pub O, pub T);

/// An owner's id, and an id for something of his to put there.
pub struct NewOf<O, T>(pub O, pub T);

impl<O: DeserializeOwned + Send, T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for KnownOf<O, T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((owner, id)) = Path::from_request_parts(parts, state).await.map_err(|_| Problem::NotFound)?;
        Ok(Self(owner, id))
    }
}

impl<O: DeserializeOwned + Send, T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for NewOf<O, T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((owner, id)) = Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| Problem::NotFound)?;
        let owner = O::deserialize(owner.into_deserializer()).map_err(|_: ValueError| Problem::NotFound)?;
        refuse_card_number(&id)?;
        let id = T::deserialize(id.into_deserializer()).map_err(|_: ValueError| wrong_id())?;
        Ok(Self(owner, id))
    }
}

fn wrong_id() -> Problem {
    Problem::invalid("id", "an id is 1 to 64 of A-Z a-z 0-9 _ -")
}

fn refuse_card_number(id: &str) -> Result<(), Problem> {
    if holds_card_number(id) {
        return Err(CodedError::new(Code::CardNumberRefused, "this looks like a card number").at("id").into());
    }
    Ok(())
}

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
        let Path(id) = Path::<T>::from_request_parts(parts, state).await.map_err(|_| wrong_id())?;
        refuse_card_number(id.as_ref())?;
        Ok(Self(id))
    }
}
