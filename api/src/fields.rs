//! From checked JSON to a request's type. A `serde` deserializer of our own, because the stock one cannot say *what kind*
//! of mistake was made where, repeats the client's values in its errors, and takes an array for an object.

use crate::problem::Problem;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde_json::{Map, Value};
use std::fmt;

/// Turns checked JSON into `T`; what does not fit is named with its path.
pub fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    T::deserialize(Field(value)).map_err(Problem::from)
}

/// A mistake, and the path to it, filled in on the way out. It never holds a value of the request: that may be secret.
#[derive(Debug)]
struct Mistake {
    code: &'static str,
    detail: String,
    path: String,
}

impl Mistake {
    fn new(code: &'static str, detail: impl Into<String>, field: &str) -> Self {
        Self { code, detail: detail.into(), path: field.to_owned() }
    }

    fn within(mut self, segment: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{segment}{dot}{}", self.path);
        self
    }
}

impl From<Mistake> for Problem {
    fn from(mistake: Mistake) -> Self {
        Self::Parameter { code: mistake.code, detail: mistake.detail, param: Some(mistake.path).filter(|path| !path.is_empty()) }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(detail: T) -> Self {
        Self::new("parameter_invalid", detail.to_string(), "")
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("parameter_invalid", format!("must be {}", plain_words(&expected.to_string())), "")
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("parameter_invalid", format!("must be {}", plain_words(&expected.to_string())), "")
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::new("parameter_invalid", format!("must be {}", plain_words(&expected.to_string())), "")
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new("parameter_invalid", format!("must be one of {}", expected.join(", ")), "")
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::new("parameter_unknown", "this field is not known here", field)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("parameter_missing", "this field is required", field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("duplicate_key", "given twice", field)
    }
}

fn plain_words(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" => "a whole number, not negative, within its bounds".to_owned(),
        "i32" | "i64" => "a whole number within its bounds".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        text if text.starts_with("struct ") => "an object".to_owned(),
        text => text.to_owned(),
    }
}

struct Field(Value);

impl Field {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(_) => Unexpected::Other("number"),
            Value::String(_) => Unexpected::Other("string"),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }
}

impl<'de> Deserializer<'de> for Field {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_u64(value),
                (None, Some(value), _) => visitor.visit_i64(value),
                (None, None, Some(value)) => visitor.visit_f64(value),
                (None, None, None) => Err(de::Error::custom("not a number that we can handle")),
            },
            Value::String(value) => visitor.visit_string(value),
            Value::Array(items) => visitor.visit_seq(Items { rest: items.into_iter(), index: 0 }),
            Value::Object(map) => visitor.visit_map(Entries { rest: map.into_iter(), value: None, key: String::new() }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Mistake> {
        if self.0.is_object() { self.deserialize_any(visitor) } else { Err(de::Error::invalid_type(self.unexpected(), &visitor)) }
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(variant.into_deserializer()),
            _ => Err(de::Error::custom("must be a string")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Items {
    rest: std::vec::IntoIter<Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        let Some(item) = self.rest.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Field(item)).map(Some).map_err(|mistake| mistake.within(&format!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Entries {
    rest: <Map<String, Value> as IntoIterator>::IntoIter,
    value: Option<Value>,
    key: String,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        self.key.clone_from(&key);
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let value = self.value.take().unwrap_or(Value::Null);
        seed.deserialize(Field(value)).map_err(|mistake| mistake.within(&self.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        lines: Vec<Inner>,
        kind: Option<Color>,
        #[serde(default)]
        metadata: Map<String, Value>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        quantity: u32,
        name: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Color {
        Red,
    }

    fn refusal(value: Value) -> (&'static str, String, String) {
        match typed::<Outer>(value).unwrap_err() {
            Problem::Parameter { code, detail, param } => (code, param.unwrap_or_default(), detail),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_path() {
        for (value, code, param) in [
            (json!({"lines": [{"quantity": 1}, {"quantity": "two"}]}), "parameter_invalid", "lines[1].quantity"),
            (json!({"lines": [{"quantity": -1}]}), "parameter_invalid", "lines[0].quantity"),
            (json!({"lines": [{"quantity": 1.5}]}), "parameter_invalid", "lines[0].quantity"),
            (json!({"lines": [{"quantity": 4_294_967_296u64}]}), "parameter_invalid", "lines[0].quantity"),
            (json!({"lines": [{"quantity": 1, "name": 5}]}), "parameter_invalid", "lines[0].name"),
            (json!({"lines": [{"quantity": 1, "colour": 1}]}), "parameter_unknown", "lines[0].colour"),
            (json!({"lines": [], "x": 1}), "parameter_unknown", "x"),
            (json!({"lines": [{}]}), "parameter_missing", "lines[0].quantity"),
            (json!({}), "parameter_missing", "lines"),
            (json!({"lines": {}}), "parameter_invalid", "lines"),
            (json!({"lines": [[1, "an array is no object"]]}), "parameter_invalid", "lines[0]"),
            (json!({"lines": [], "kind": "blue"}), "parameter_invalid", "kind"),
            (json!({"lines": [], "kind": 1}), "parameter_invalid", "kind"),
            (json!({"lines": [], "metadata": []}), "parameter_invalid", "metadata"),
            (json!([]), "parameter_invalid", ""),
        ] {
            let found = refusal(value.clone());
            assert_eq!((found.0, found.1.as_str()), (code, param), "{value}");
        }
    }

    #[test]
    fn what_is_right_is_read_whole() {
        let outer: Outer =
            typed(json!({"lines": [{"quantity": 2, "name": "x"}], "kind": "red", "metadata": {"a": [1, {"b": null}]}})).unwrap();
        assert_eq!((outer.lines[0].quantity, outer.lines[0].name.as_deref(), outer.kind.is_some()), (2, Some("x"), true));
        assert_eq!(Value::Object(outer.metadata), json!({"a": [1, {"b": null}]}));
    }

    #[test]
    fn an_error_never_repeats_the_value() {
        for value in [json!({"lines": [{"quantity": "tok_x"}]}), json!({"lines": [], "kind": "tok_x"}), json!({"lines": "tok_x"})] {
            let (_, _, detail) = refusal(value);
            assert!(!detail.contains("tok_x"), "{detail}");
        }
    }
}
