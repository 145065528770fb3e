//! What sessions, products, memberships, plans and promo codes have in common: an id of the client's own, and a document.

use crate::{
    auth::{AnyKey, Caller, CatalogWrite},
    context::ApiContext,
    problem::Problem,
    respond::{List, json_text, unless_known, with_etag},
    routes::{
        paging::Paging,
        paths::{Known, New},
    },
    strict::{Query, Strict},
};
use axum::response::Response;
use boxoffice_common::{
    domain::{
        catalogue::{Kind, Product, PromoCode, Session},
        error::CodedError,
        id::CatalogueId,
        membership::Membership,
        plan::Plan,
    },
    ports::store::{CatalogueRow, Page, Put},
};
use http::{HeaderMap, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// A kind of catalogue object.
pub trait CatalogueObject: DeserializeOwned + Serialize + Send + 'static {
    /// The kind.
    const KIND: Kind;

    /// The id in the body, which may be left out.
    fn id_mut(&mut self) -> &mut Option<CatalogueId>;

    /// The rules of the kind.
    fn check(&self) -> Result<(), CodedError>;

    /// What can be claimed of it: places, stock, uses. `None` for no limit.
    fn capacity(&self) -> Option<u32>;

    /// The names of its places, where they have names.
    fn seats(&self) -> Option<&[String]> {
        None
    }

    /// The field that says the capacity.
    const CAPACITY_FIELD: &'static str;

    /// The client's own object.
    fn metadata(&self) -> &serde_json::Map<String, serde_json::Value>;
}

macro_rules! catalogue_object {
    ($type:ty, $kind:ident, $field:literal, |$object:ident| $capacity:expr) => {
        const KIND: Kind = Kind::$kind;
        const CAPACITY_FIELD: &'static str = $field;

        fn id_mut(&mut self) -> &mut Option<CatalogueId> {
            &mut self.id
        }

        fn check(&self) -> Result<(), CodedError> {
            <$type>::check(self)
        }

        fn capacity(&self) -> Option<u32> {
            let $object = self;
            $capacity
        }

        fn metadata(&self) -> &serde_json::Map<String, serde_json::Value> {
            &self.metadata
        }
    };
}

impl CatalogueObject for Session {
    catalogue_object!(Session, Session, "capacity", |session| Some(session.places()));

    fn seats(&self) -> Option<&[String]> {
        self.seats.as_deref()
    }
}

impl CatalogueObject for Product {
    catalogue_object!(Product, Product, "stock", |product| product.stock);
}

impl CatalogueObject for Membership {
    // It never runs out.
    catalogue_object!(Membership, Membership, "credits", |_membership| None);
}

impl CatalogueObject for Plan {
    // It never runs out.
    catalogue_object!(Plan, Plan, "interval_count", |_plan| None);
}

impl CatalogueObject for PromoCode {
    catalogue_object!(PromoCode, PromoCode, "max_uses", |code| code.max_uses);
}

/// Creates (201) or replaces (200).
pub async fn put<T: CatalogueObject>(
    caller: Caller<CatalogWrite>,
    New(id): New<CatalogueId>,
    ctx: &ApiContext,
    Strict { value: mut object, .. }: Strict<T>,
) -> Result<Response, Problem> {
    // The id stands in the path; the document is kept without it.
    if object.id_mut().take().is_some_and(|other| other != id) {
        return Err(Problem::invalid("id", "is not the id in the path"));
    }
    object.check()?;
    crate::bounds::metadata(object.metadata())?;
    let doc = serde_json::to_string(&object).map_err(|_| Problem::Internal)?;
    let put = ctx.store().put(caller.scope(), T::KIND, &id, &doc, object.capacity(), object.seats()).await?;
    let (status, row) = match put {
        Put::Created(row) => (StatusCode::CREATED, row),
        Put::Replaced(row) => (StatusCode::OK, row),
        Put::CapacityTooSmall { taken } => {
            let detail = format!("{taken} are sold or held, or a seat that is left out is: nothing was changed");
            return Err(Problem::Conflict { code: "capacity_too_small", detail, param: Some(T::CAPACITY_FIELD) });
        }
    };
    ctx.aftermath().restocked(caller.scope(), T::KIND, &id).await;
    Ok(show(status, &row))
}

/// One.
pub async fn get<T: CatalogueObject>(
    caller: Caller<AnyKey>,
    Known(id): Known<CatalogueId>,
    headers: &HeaderMap,
    ctx: &ApiContext,
) -> Result<Response, Problem> {
    let row = ctx.store().get(caller.scope(), T::KIND, &id).await?.ok_or(Problem::NotFound)?;
    Ok(unless_known(headers, row.version, || show(StatusCode::OK, &row)))
}

/// A page, by id.
pub async fn list<T: CatalogueObject>(
    caller: Caller<AnyKey>,
    paging: Query<Paging>,
    ctx: &ApiContext,
) -> Result<List<Box<RawValue>>, Problem> {
    shown(ctx.store().list(caller.scope(), T::KIND, &paging.page()?).await?)
}

/// A page of documents, as it is shown.
pub fn shown(page: Page<CatalogueRow>) -> Result<List<Box<RawValue>>, Problem> {
    let data = page.data.iter().map(|row| RawValue::from_string(document(row))).collect::<Result<_, _>>().map_err(|error| {
        tracing::error!(%error, "a catalogue document cannot be read");
        Problem::Internal
    })?;
    Ok(List::with_cursor(data, page.next_cursor))
}

/// The object as the client put it, with its id. The document is JSON that we wrote: it is not read again to be shown.
fn document(row: &CatalogueRow) -> String {
    let rest = row.doc.trim_start().strip_prefix('{').unwrap_or("}");
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    format!("{{\"id\":\"{}\"{comma}{rest}", row.id)
}

fn show(status: StatusCode, row: &CatalogueRow) -> Response {
    with_etag(row.version, json_text(status, document(row)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_common::domain::time::Timestamp;

    #[test]
    fn a_document_is_shown_with_its_id() {
        let shown = |doc: &str| {
            let (at, id) = (Timestamp::default(), CatalogueId::parse("ses_1").unwrap());
            let row = CatalogueRow { kind: Kind::Session, id, doc: doc.to_owned(), version: 1, created_at: at, updated_at: at };
            serde_json::from_str::<serde_json::Value>(&document(&row)).unwrap()
        };
        assert_eq!(shown(r#"{"name":"x","n":{"a":1}}"#), serde_json::json!({"id": "ses_1", "name": "x", "n": {"a": 1}}));
        assert_eq!(shown("{}"), serde_json::json!({"id": "ses_1"}));
        assert_eq!(shown(" { } "), serde_json::json!({"id": "ses_1"}));
    }
}
