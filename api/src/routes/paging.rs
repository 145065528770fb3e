//! Pages of lists.

use crate::{
    problem::Problem,
    strict::{Limit, Query},
};
use boxoffice_common::ports::store::PageRequest;
use serde::Deserialize;

/// The query of a list that cannot be narrowed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// 1 to 100; 20 when left out.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Query<Paging> {
    /// The page that is asked for.
    pub fn page(self) -> Result<PageRequest, Problem> {
        page(self.0.limit, self.0.cursor)
    }
}

/// A page; a cursor is one that we gave out, and opaque.
pub fn page(limit: Limit, cursor: Option<String>) -> Result<PageRequest, Problem> {
    let ours = |cursor: &String| (1..=256).contains(&cursor.len()) && cursor.bytes().all(|byte| byte.is_ascii_graphic());
    if cursor.as_ref().is_some_and(|cursor| !ours(cursor)) {
        return Err(Problem::invalid("cursor", "is the next_cursor of the page before"));
    }
    Ok(PageRequest { limit: limit.0, after: cursor })
}
