//! `/v1/ledger…`: what was earned, owed and given back.

mod export;

use crate::{
    auth::{Caller, CheckoutsRead},
    bounds,
    context::ApiContext,
    problem::Problem,
    respond::List,
    routes::paging::page,
    strict::{Limit, Query},
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        id::{CheckoutId, CustomerId},
        ledger::LedgerKind,
        ledger_view::{Balance, LedgerRecord},
        time::Timestamp,
    },
    ports::store::{BalancesOf, LedgerFilter},
};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(transactions)).routes(routes!(balances))
}

/// How transactions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// A page.
    Json,
    /// All of them, one row for each entry.
    Csv,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only for this checkout.
    checkout: Option<CheckoutId>,
    /// Only for checkouts of this customer, and for its balance.
    customer: Option<CustomerId>,
    /// Only for checkouts and balances of this family's customers, as it is now.
    family: Option<String>,
    /// Only with an entry in this account, such as `revenue`.
    account: Option<String>,
    /// Only of this kind.
    kind: Option<LedgerKind>,
    /// Only from then on.
    from: Option<Timestamp>,
    /// Only before then.
    to: Option<Timestamp>,
    /// `json` or `csv`; goes before `Accept`.
    #[param(inline)]
    format: Option<Format>,
    /// 1 to 100; 20 when left out. Not for CSV.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<Limit>,
    /// `next_cursor` of the page before. Not for CSV.
    cursor: Option<String>,
}

impl Filter {
    fn narrowing(&self) -> Result<LedgerFilter, Problem> {
        bounds::optional(self.family.as_ref(), 64, "family")?;
        if let Some(account) = &self.account {
            bounds::token(account, 128, "account")?;
        }
        if self.from.zip(self.to).is_some_and(|(from, to)| from > to) {
            return Err(Problem::invalid("to", "is not before from"));
        }
        Ok(LedgerFilter {
            checkout: self.checkout.clone(),
            customer: self.customer.clone(),
            family: self.family.clone(),
            account: self.account.clone(),
            kind: self.kind,
            from: self.from,
            to: self.to,
        })
    }
}

/// Transactions, newest first. As CSV all of them, one row for each entry.
#[utoipa::path(
    get,
    path = "/v1/ledger/transactions",
    tag = "ledger",
    params(Filter, ("Accept" = Option<String>, Header, description = "`text/csv` for an export")),
    responses(
        (status = 200, description = "A page, or an export", content((List<LedgerRecord> = "application/json"), (String = "text/csv"))),
    ),
)]
async fn transactions(
    caller: Caller<CheckoutsRead>,
    Query(filter): Query<Filter>,
    headers: HeaderMap,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let narrowing = filter.narrowing()?;
    let as_csv = filter.format.map_or_else(|| prefers_csv(&headers), |format| format == Format::Csv);
    let mut response = if as_csv {
        for (given, param) in [(filter.limit.is_some(), "limit"), (filter.cursor.is_some(), "cursor")] {
            if given {
                return Err(Problem::invalid(param, "is for pages: an export as CSV is whole; narrow it with from and to"));
            }
        }
        export::answer(ctx, caller.shared_scope(), narrowing).await?
    } else {
        let page = page(filter.limit.unwrap_or_default(), filter.cursor)?;
        let found = ctx.store().ledger_transactions(caller.scope(), &narrowing, &page).await?;
        List::of(found, |record| record).into_response()
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Only of this customer's checkouts and balance.
    customer: Option<CustomerId>,
    /// Only of the checkouts and balances of this family's customers, as it is now. Not with `customer`.
    family: Option<String>,
}

/// The sum of every account in every currency, by account.
#[utoipa::path(
    get,
    path = "/v1/ledger/balances",
    tag = "ledger",
    params(Whose),
    responses(
        (status = 200, description = "All balances", body = List<Balance>),
    ),
)]
async fn balances(
    caller: Caller<CheckoutsRead>,
    Query(whose): Query<Whose>,
    State(ctx): State<ApiContext>,
) -> Result<List<Balance>, Problem> {
    bounds::optional(whose.family.as_ref(), 64, "family")?;
    let of = match (&whose.customer, &whose.family) {
        (None, None) => BalancesOf::Everybody,
        (Some(customer), None) => BalancesOf::Customer(customer),
        (None, Some(family)) => BalancesOf::Family(family),
        (Some(_), Some(_)) => return Err(Problem::invalid("family", "give either customer or family")),
    };
    Ok(List::whole(ctx.store().ledger_balances(caller.scope(), of).await?))
}

/// Whether `Accept` names `text/csv`, and JSON not with a greater weight.
fn prefers_csv(headers: &HeaderMap) -> bool {
    let weight = |wanted: &str| {
        let texts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = texts.flat_map(|text| text.split(','));
        let weights = ranges.filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next()?.eq_ignore_ascii_case(wanted);
            let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            named.then(|| q.map_or(1.0, |q| q.parse().unwrap_or(0.0)))
        });
        weights.fold(0.0, f32::max)
    };
    let csv = weight("text/csv");
    csv > 0.0 && csv >= weight("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_for_those_who_ask_for_it() {
        let asked = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            prefers_csv(&headers)
        };
        assert!(asked("text/csv") && asked("Text/CSV; charset=utf-8; q=0.9, */*;q=0.1") && asked("application/json;q=0.5, text/csv"));
        assert!(!asked("*/*") && !asked("application/json, text/csv;q=0.5") && !asked("text/csv;q=0") && !asked("text/*"));
        assert!(!prefers_csv(&HeaderMap::new()));
    }
}
