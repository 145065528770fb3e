//! What differs from run to run, made steady: so that the rest of an answer can be held against one that was looked at once.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// The same answer with made-up ids, times, tokens and ports named by the order in which they appear: `chk_#1`, `<time>`.
///
/// What is the same twice is called the same, so that a snapshot shows what refers to what. Ids that tests choose themselves stay.
pub fn steady(answer: &Value) -> Value {
    Names::default().value(answer)
}

#[derive(Default)]
struct Names {
    seen: HashMap<String, String>,
    counts: HashMap<String, usize>,
}

impl Names {
    fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(values) => values.iter().map(|value| self.value(value)).collect(),
            Value::Object(fields) => {
                // In one order, whichever order a map of JSON keeps in this build.
                let fields = fields.iter().collect::<BTreeMap<_, _>>().into_iter().map(|(name, value)| (name.clone(), self.value(value)));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        if is_time(text) {
            return "<time>".to_owned();
        }
        if is_date(text) {
            return "<date>".to_owned();
        }
        // Word by word: ids and secrets stand in addresses and sentences, too.
        let mut steady = String::new();
        let mut word = String::new();
        for letter in text.chars().chain([' ']) {
            if letter.is_ascii_alphanumeric() || letter == '_' || letter == '-' {
                word.push(letter);
                continue;
            }
            steady.push_str(&self.word(&word, steady.ends_with(':')));
            word.clear();
            steady.push(letter);
        }
        steady.pop();
        steady
    }

    fn word(&mut self, word: &str, behind_colon: bool) -> String {
        if behind_colon && (4..=5).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit()) {
            return "<port>".to_owned();
        }
        let (kind, random) = word.rsplit_once('_').unwrap_or(("", word));
        // 256 bits in base64url may have an underscore anywhere.
        let kind = if word.len() == 43 {
            "secret_".to_owned()
        } else if is_ulid(random) {
            if kind.is_empty() { "ulid_".to_owned() } else { format!("{kind}_") }
        } else if is_providers(random) {
            // `ch_6_7170956b38676d76`: the number counts its book's charges.
            format!("{}_", kind.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '_'))
        } else if random.len() >= 32 {
            "secret_".to_owned()
        } else {
            return word.to_owned();
        };
        if let Some(name) = self.seen.get(word) {
            return name.clone();
        }
        let count = self.counts.entry(kind.clone()).or_default();
        *count += 1;
        let name = format!("{kind}#{count}");
        self.seen.insert(word.to_owned(), name.clone());
        name
    }
}

/// 26 letters of Crockford's base32, in either case, with a digit first: no word of ours is like that.
fn is_ulid(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_digit() || (byte.is_ascii_alphabetic() && !b"ilouILOU".contains(&byte));
    text.len() == 26 && text.as_bytes().first().is_some_and(u8::is_ascii_digit) && text.bytes().all(is_letter)
}

/// What the sandbox's ids end in.
fn is_providers(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_time(text: &str) -> bool {
    let (date, rest) = text.split_at_checked(10).unwrap_or(("", ""));
    is_date(date) && rest.len() >= 9 && rest.starts_with(['T', ' ']) && rest.bytes().skip(1).all(|byte| b"0123456789:.+-Z".contains(&byte))
}

fn is_date(text: &str) -> bool {
    let pattern = b"dddd-dd-dd";
    text.len() == pattern.len()
        && text.bytes().zip(pattern).all(|(byte, wanted)| if *wanted == b'd' { byte.is_ascii_digit() } else { byte == *wanted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_from_run_to_run_is_named_and_the_rest_stays() {
        let answer = json!({
            "id": "chk_01KAJQ5Z7V8W9XYZ0123456789", "again": ["chk_01KAJQ5Z7V8W9XYZ0123456789", "chk_01KAJQ5Z7V8W9XYZ012345678A"],
            "made": "2026-11-21T22:47:04.123Z", "old": "2023-12-05 14:30:41", "day": "2026-11-21", "amount": 1500, "none": null,
            "url": "http://127.0.0.1:41234/pay/chk_01KAJQ5Z7V8W9XYZ0123456789.abcdefghijklmnopqrstuvwxyzABCDEFGHIJ", "name": "Tai_chi: 20 of 50",
            "session": "ses_demo_yoga", "charge": "ch_6_7170956b38676d76", "token": "OzhhwcKGBYKSN_OxNCEO5ncEbCp6j5jd_U9CpaxFQ8E",
        });
        let expected = json!({
            "id": "chk_#1", "again": ["chk_#1", "chk_#2"],
            "made": "<time>", "old": "<time>", "day": "<date>", "amount": 1500, "none": null,
            "url": "http://127.0.0.1:<port>/pay/chk_#1.secret_#2", "name": "Tai_chi: 20 of 50",
            "session": "ses_demo_yoga", "charge": "ch_#1", "token": "secret_#1",
        });
        assert_eq!(steady(&answer), expected);
    }
}
