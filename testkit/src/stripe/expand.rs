//! `expand[]`: ids replaced by their objects. <https://docs.stripe.com/api/expanding_objects>.

use super::{account::Account, form::Params, refusal::Refusal};
use serde_json::{Value, json};

/// Paths have at most four levels.
const MAX_LEVELS: usize = 4;
/// Everything that can be expanded somewhere.
const EXPANDABLE: [&str; 14] = [
    "balance_transaction",
    "balance_transactions",
    "charge",
    "customer",
    "data",
    "failure_balance_transaction",
    "invoice",
    "latest_charge",
    "line_items",
    "payment_intent",
    "payment_method",
    "refunds",
    "review",
    "source",
];

fn not_expandable(path: &str) -> Refusal {
    Refusal::invalid(format!("This property cannot be expanded ({path}).")).code("property_not_expandable").param("expand")
}

/// Refuses paths that lead nowhere, before anything is executed.
pub(super) fn check(params: &Params) -> Result<(), Refusal> {
    for path in params.list("expand") {
        let levels: Vec<&str> = path.split('.').collect();
        if levels.len() > MAX_LEVELS + usize::from(path.starts_with("data.")) {
            return Err(Refusal::invalid("You cannot expand more than 4 levels of a property.").param("expand"));
        }
        if levels.iter().any(|level| !EXPANDABLE.contains(level)) {
            return Err(not_expandable(path));
        }
    }
    Ok(())
}

impl Account {
    /// Replaces what `expand[]` names in an answer.
    pub(super) fn expand(&self, answer: &mut Value, params: &Params) -> Result<(), Refusal> {
        for path in params.list("expand") {
            let levels: Vec<&str> = path.split('.').collect();
            if !self.expand_path(answer, &levels) {
                return Err(not_expandable(path).executed());
            }
        }
        Ok(())
    }

    /// `false`: there is no such property.
    fn expand_path(&self, object: &mut Value, levels: &[&str]) -> bool {
        let Some((first, rest)) = levels.split_first() else { return true };
        if let (Value::Array(items), "data") = (object.get("data").cloned().unwrap_or_default(), *first) {
            let mut items = items;
            let all = items.iter_mut().all(|item| self.expand_path(item, rest));
            if let Some(data) = object.get_mut("data") {
                *data = Value::Array(items);
            }
            return all;
        }
        let included = self.included(object, first);
        let Some(members) = object.as_object_mut() else { return false };
        if let Some(included) = included {
            members.insert((*first).to_owned(), included);
        }
        let Some(found) = members.get_mut(*first) else { return false };
        let whole = found.as_str().and_then(|id| self.show(id));
        match whole {
            Some(whole) => *found = whole,
            None if found.is_null() => return true,
            None if found.is_string() => return false,
            None => {}
        }
        self.expand_path(found, rest)
    }

    /// Lists that are only in an object when they are asked for.
    fn included(&self, object: &Value, name: &str) -> Option<Value> {
        let id = object.get("id")?.as_str()?;
        match (object.get("object")?.as_str()?, name) {
            ("checkout.session", "line_items") => {
                let lines = self.sessions.get(id)?.show_lines();
                Some(json!({ "object": "list", "data": lines, "has_more": false, "url": format!("/v1/checkout/sessions/{id}/line_items") }))
            }
            ("charge", "refunds") => {
                let refunds: Vec<Value> =
                    self.refunds.values().rev().filter(|refund| refund.charge == id).take(10).map(|refund| refund.show()).collect();
                Some(json!({ "object": "list", "data": refunds, "has_more": false, "url": format!("/v1/charges/{id}/refunds") }))
            }
            _ => None,
        }
    }
}
