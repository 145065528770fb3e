//! Lists: newest first, a page at a time (docs.mollie.com/reference/pagination).

use super::call::{Call, Refusal, Reply};
use serde_json::{Value, json};

/// The most items of a page.
const MOST: usize = 250;

/// A page of `all`, which is newest first, as `from`, `limit` and `sort` of the query say.
pub(super) fn page(call: &Call, base: &str, name: &str, mut all: Vec<(&str, Value)>) -> Result<Reply, Refusal> {
    let limit = match call.query("limit").map(str::parse::<usize>) {
        None => 50,
        Some(Ok(limit)) if (1..=MOST).contains(&limit) => limit,
        Some(_) => return Err(Refusal::new(400, "Bad Request", "The limit is not within 1 and 250.")),
    };
    match call.query("sort").unwrap_or("desc") {
        "desc" => {}
        "asc" => all.reverse(),
        _ => return Err(Refusal::new(400, "Bad Request", "The sort is neither asc nor desc.")),
    }
    let start = match call.query("from") {
        None => 0,
        Some(from) => {
            let found = all.iter().position(|(id, _)| *id == from);
            found.ok_or_else(|| Refusal::new(400, "Bad Request", "The from value is not a valid ID."))?
        }
    };
    let next = all.get(start + limit).map(|(id, _)| (*id).to_owned());
    let items: Vec<Value> = all.into_iter().skip(start).take(limit).map(|(_, item)| item).collect();
    let sort = call.query("sort").map(|sort| format!("&sort={sort}")).unwrap_or_default();
    let next = next.map(|id| json!({"href": format!("{base}{}?from={id}&limit={limit}{sort}", call.path), "type": "application/hal+json"}));
    Ok(Reply::ok(json!({
        "count": items.len(),
        "_embedded": {name: items},
        "_links": {
            "self": {"href": format!("{base}{}", call.path), "type": "application/hal+json"},
            "previous": null,
            "next": next,
        },
    })))
}
