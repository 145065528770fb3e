//! Search over PaymentIntents: <https://docs.stripe.com/search>. It is behind by as much as the account's pace says.

use super::{account::Account, form::Params, intents::Intent, lists::limit, refusal::Refusal};
use serde_json::{Value, json};

/// More clauses than the real search takes.
const MAX_CLAUSES: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Exact,
    Like,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// `field`, or `metadata['key']`, an operator and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    negated: bool,
    field: String,
    key: Option<String>,
    operator: Operator,
    /// `None`: `null`, the field is not there.
    value: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Query {
    clauses: Vec<Clause>,
    any: bool,
}

/// Reads a quoted text from the front, with its escapes.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => value.push(chars.next()?.1),
            char if char == quote => return Some((value, text.get(at + 1..)?)),
            char => value.push(char),
        }
    }
    None
}

fn clause(text: &str) -> Option<(Clause, &str)> {
    let (negated, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (field, rest) = text.split_at(text.find(|char: char| !char.is_ascii_alphanumeric() && char != '_' && char != '.')?);
    let (key, rest) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (key, rest) = quoted(rest)?;
            (Some(key), rest.strip_prefix(']')?)
        }
        None => (None, rest),
    };
    let operators = [
        (">=", Operator::GreaterOrEqual),
        ("<=", Operator::LessOrEqual),
        (">", Operator::Greater),
        ("<", Operator::Less),
        (":", Operator::Exact),
        ("~", Operator::Like),
    ];
    let (operator, rest) = operators.iter().find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)))?;
    let (value, rest) = if rest.starts_with(['\'', '"']) {
        let (value, rest) = quoted(rest)?;
        (Some(value), rest)
    } else {
        let (value, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        ((value != "null").then(|| value.to_owned()), rest)
    };
    Some((Clause { negated, field: field.to_owned(), key, operator, value }, rest))
}

fn parse(text: &str) -> Option<Query> {
    let (first, mut rest) = clause(text.trim())?;
    let (mut clauses, mut word) = (vec![first], None);
    while !rest.trim().is_empty() {
        let (next, after) =
            ["AND", "OR"].iter().find_map(|word| Some((*word, strip_word(rest.trim_start(), word)?))).unwrap_or(("AND", rest.trim_start()));
        // One query has either ANDs or ORs.
        if *word.get_or_insert(next) != next || clauses.len() >= MAX_CLAUSES {
            return None;
        }
        let (another, after) = clause(after.trim_start())?;
        clauses.push(another);
        rest = after;
    }
    Some(Query { clauses, any: word == Some("OR") })
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    (head.eq_ignore_ascii_case(word) && text.get(word.len()..)?.starts_with(char::is_whitespace)).then(|| text.get(word.len()..)).flatten()
}

impl Clause {
    /// Whether the search knows the field.
    fn is_known(&self) -> bool {
        match self.field.as_str() {
            "metadata" => self.key.is_some(),
            "amount" | "created" | "currency" | "customer" | "status" => self.key.is_none(),
            _ => false,
        }
    }

    fn fits(&self, intent: &Intent) -> bool {
        let text = match self.field.as_str() {
            "metadata" => self.key.as_ref().and_then(|key| intent.metadata.get(key)).map(String::as_str),
            "currency" => Some(intent.currency.as_str()),
            "customer" => intent.customer.as_deref(),
            "status" => Some(intent.status.as_str()),
            "amount" => return self.fits_number(intent.amount),
            _ => return self.fits_number(intent.created),
        };
        let fits = match (&self.value, text) {
            (None, text) => text.is_none(),
            (Some(_), None) => false,
            (Some(value), Some(text)) if self.operator == Operator::Like => text.to_lowercase().contains(&value.to_lowercase()),
            (Some(value), Some(text)) => text.eq_ignore_ascii_case(value),
        };
        fits != self.negated
    }

    fn fits_number(&self, number: i64) -> bool {
        let Some(value) = self.value.as_ref().and_then(|value| value.parse::<i64>().ok()) else { return false };
        let fits = match self.operator {
            Operator::Exact | Operator::Like => number == value,
            Operator::Less => number < value,
            Operator::LessOrEqual => number <= value,
            Operator::Greater => number > value,
            Operator::GreaterOrEqual => number >= value,
        };
        fits != self.negated
    }
}

impl Account {
    /// `GET /v1/payment_intents/search`.
    pub(super) fn search_intents(&self, params: &Params) -> Result<Value, Refusal> {
        params.only(&["query", "limit", "page"])?;
        let text = params.required("query")?;
        let limit = limit(params)?;
        let query = parse(text).filter(|query| query.clauses.iter().all(Clause::is_known));
        let query = query.ok_or_else(|| {
            Refusal::invalid(format!("We were unable to parse your search query: {text}. See https://stripe.com/docs/search."))
                .param("query")
        })?;
        let until = self.clock.now_ms().saturating_sub(self.pace.search_lag_ms);
        let after = params.text("page");
        let fits = |intent: &Intent| {
            let mut clauses = query.clauses.iter();
            intent.created_ms <= until
                && if query.any { clauses.any(|clause| clause.fits(intent)) } else { clauses.all(|clause| clause.fits(intent)) }
        };
        let newest = self.intents.iter().rev().skip_while(|(id, _)| after.is_some_and(|after| *id >= after));
        let mut data: Vec<Value> = newest.filter(|(_, intent)| fits(intent)).take(limit + 1).map(|(_, intent)| intent.show()).collect();
        let has_more = data.len() > limit;
        data.truncate(limit);
        let next = data.last().filter(|_| has_more).and_then(|last| last.get("id")).cloned();
        Ok(json!({
            "object": "search_result", "data": data, "has_more": has_more, "next_page": next, "url": "/v1/payment_intents/search",
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_queries_are_read() {
        let one = parse("metadata['checkout']:'co_1'").unwrap();
        let expected = Clause {
            negated: false,
            field: "metadata".to_owned(),
            key: Some("checkout".to_owned()),
            operator: Operator::Exact,
            value: Some("co_1".to_owned()),
        };
        assert_eq!(one, Query { clauses: vec![expected], any: false });
        let two = parse(r#"status:"succeeded" AND -metadata["a"]:null AND amount>=1000"#).unwrap();
        assert_eq!(two.clauses.len(), 3);
        assert!(two.clauses[1].negated && two.clauses[1].value.is_none());
        assert_eq!((two.clauses[2].operator, two.clauses[2].value.as_deref()), (Operator::GreaterOrEqual, Some("1000")));
        assert!(parse("currency:'usd' OR currency:'eur'").unwrap().any);
        for text in ["", "metadata[a]:'b'", "status", "status:'open", "a:'1' AND b:'2' OR c:'3'"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
