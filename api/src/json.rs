//! Reading JSON with suspicion: duplicate keys, depth, NUL characters and long strings are refused wherever they stand.

use crate::problem::Problem;
use boxoffice_common::domain::error::{Code, CodedError};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};
use std::{cell::RefCell, fmt};

/// The deepest nesting that is read.
pub const MAX_DEPTH: u8 = 32;
/// The longest string that is read, bytes.
pub const MAX_STRING: usize = 16 * 1024;
/// The longest key that is read, bytes.
pub const MAX_KEY: usize = 255;

/// Reads a document, or says what is wrong with it and where.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::Malformed("the body is not UTF-8".to_owned()))?;
    let finding = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Node { depth: 0, finding: &finding }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match (value, finding.into_inner()) {
        (Ok(value), _) => Ok(value),
        (Err(_), Some(finding)) => Err(finding.into()),
        (Err(error), None) => Err(Problem::Malformed(format!("not JSON at line {} column {}", error.line(), error.column()))),
    }
}

/// What was found, and the path to it, filled in on the way out.
#[derive(Debug)]
struct Finding {
    what: What,
    path: String,
}

#[derive(Debug, Clone, Copy)]
enum What {
    DuplicateKey,
    TooDeep,
    Nul,
    TooLong,
}

impl Finding {
    fn within(&mut self, segment: &str) {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{segment}{dot}{}", self.path);
    }
}

impl From<Finding> for Problem {
    fn from(finding: Finding) -> Self {
        let (code, detail) = match finding.what {
            What::DuplicateKey => ("duplicate_key", "the same key stands here twice".to_owned()),
            What::TooDeep => ("json_too_deep", format!("nested deeper than {MAX_DEPTH} levels")),
            What::Nul => ("parameter_invalid", "a NUL character is not allowed".to_owned()),
            What::TooLong => ("parameter_invalid", format!("a string may have {MAX_STRING} bytes at most, and a key {MAX_KEY}")),
        };
        Self::Parameter { code, detail, param: Some(finding.path).filter(|path| !path.is_empty()) }
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    depth: u8,
    finding: &'a RefCell<Option<Finding>>,
}

impl Node<'_> {
    fn found<E: serde::de::Error>(self, what: What) -> E {
        self.finding.borrow_mut().get_or_insert(Finding { what, path: String::new() });
        E::custom("refused")
    }

    fn within(self, segment: impl FnOnce() -> String) {
        if let Some(finding) = self.finding.borrow_mut().as_mut() {
            finding.within(&segment());
        }
    }

    fn check<E: serde::de::Error>(self, text: &str, longest: usize) -> Result<(), E> {
        if text.len() > longest {
            return Err(self.found(What::TooLong));
        }
        if text.as_bytes().contains(&0) { Err(self.found(What::Nul)) } else { Ok(()) }
    }

    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.found(What::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.check(value, MAX_STRING)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        loop {
            match items.next_element_seed(inner) {
                Ok(Some(item)) => list.push(item),
                Ok(None) => return Ok(Value::Array(list)),
                Err(error) => {
                    self.within(|| format!("[{}]", list.len()));
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.check::<A::Error>(&key, MAX_KEY)?;
            if map.contains_key(&key) {
                let error = self.found(What::DuplicateKey);
                self.within(|| key);
                return Err(error);
            }
            match entries.next_value_seed(inner) {
                Ok(value) => map.insert(key, value),
                Err(error) => {
                    self.within(|| key);
                    return Err(error);
                }
            };
        }
        Ok(Value::Object(map))
    }
}

/// SHA-256 (hex) of the canonical form: keys sorted, no spaces. Two bodies with the same meaning have the same hash.
pub fn canonical_hash(value: &Value) -> String {
    let mut text = Vec::with_capacity(512);
    write_canonical(value, &mut text);
    data_encoding::HEXLOWER.encode(&Sha256::digest(&text))
}

/// Whether a map's order is its keys' order depends on a feature of `serde_json` that any crate in the build can turn
/// on, so we sort ourselves. The depth is bounded by [`parse`].
fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (n, (key, item)) in entries.into_iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                // Writing to a Vec cannot fail.
                let _ = serde_json::to_writer(&mut *out, key);
                out.push(b':');
                write_canonical(item, out);
            }
            out.push(b'}');
        }
        scalar => {
            let _ = serde_json::to_writer(&mut *out, scalar);
        }
    }
}

/// Refuses a document in which a card number stands, wherever it stands.
pub fn refuse_card_numbers(value: &Value) -> Result<(), Problem> {
    match boxoffice_common::domain::card_number::find_card_number(value) {
        None => Ok(()),
        Some(path) => {
            Err(CodedError::new(Code::CardNumberRefused, "this looks like a card number; send a provider's token").at(path).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(text: &str) -> (&'static str, Option<String>) {
        match parse(text.as_bytes()).unwrap_err() {
            Problem::Parameter { code, param, .. } => (code, param),
            other => (other.code(), None),
        }
    }

    #[test]
    fn a_duplicate_key_is_refused_wherever_it_stands() {
        assert_eq!(refusal(r#"{"a":1,"a":1}"#), ("duplicate_key", Some("a".to_owned())));
        assert_eq!(refusal(r#"{"a":[{"b":1},{"b":{"c":1,"c":2}}]}"#), ("duplicate_key", Some("a[1].b.c".to_owned())));
        assert_eq!(refusal(r#"{"a":1,"\u0061":2}"#), ("duplicate_key", Some("a".to_owned())));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(32).as_bytes()).is_ok());
        assert_eq!(refusal(&nested(33)).0, "json_too_deep");
        assert_eq!(refusal(&nested(100_000)).0, "json_too_deep");
    }

    #[test]
    fn nul_and_long_strings_are_refused() {
        assert_eq!(refusal(r#"{"a":"x\u0000y"}"#), ("parameter_invalid", Some("a".to_owned())));
        assert_eq!(refusal(&format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_STRING + 1))).0, "parameter_invalid");
        assert_eq!(refusal(&format!(r#"{{"{}":1}}"#, "x".repeat(MAX_KEY + 1))).0, "parameter_invalid");
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for text in ["", "{", "{}x", "{'a':1}", "[1,]", "NaN", "1e999", "\u{feff}{}", r#"{"a":"\ud800"}"#] {
            assert_eq!(refusal(text).0, "json_malformed", "{text}");
        }
        assert!(matches!(parse(b"{\"a\":\"\xff\"}"), Err(Problem::Malformed(_))));
    }

    #[test]
    fn the_hash_does_not_see_order_and_spaces_but_sees_values() {
        let hash = |text: &str| canonical_hash(&parse(text.as_bytes()).unwrap());
        assert_eq!(hash(r#"{"a":1,"b":{"c":[1,"x"],"d":null}}"#), hash(r#" { "b" : {"d":null, "c":[1,"\u0078"]}, "a":1 } "#));
        assert_ne!(hash(r#"{"a":[1,2]}"#), hash(r#"{"a":[2,1]}"#));
        assert_ne!(hash(r#"{"a":"1"}"#), hash(r#"{"a":1}"#));
        assert_eq!(canonical_hash(&json!({})), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
