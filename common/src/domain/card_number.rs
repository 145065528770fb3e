//! Card numbers in places where none may stand: a request that holds one is refused before anything is kept or logged.

use serde_json::Value;

const MIN_DIGITS: usize = 13;
const MAX_DIGITS: usize = 19;

/// Where the first card number stands in `value`, as a path like `metadata.notes[0]` (`body` for the root). For a key
/// that is one, the object that has the key: the path itself never shows a card number.
///
/// A card number is 13 to 19 digits in the range and the lengths of an issuer, with a right check digit (ISO/IEC 7812-1,
/// annex B), in one piece or in groups with a single blank or dash between them. Digits that touch a letter or follow a
/// `+` (a phone number) are none, nor are UUIDs.
pub fn find_card_number(value: &Value) -> Option<String> {
    let mut path = Path::default();
    search(value, &mut path).then(|| path.finish())
}

/// Whether `text` holds a card number.
pub fn holds_card_number(text: &str) -> bool {
    if text.len() < MIN_DIGITS || text.bytes().filter(u8::is_ascii_digit).take(MIN_DIGITS).count() < MIN_DIGITS {
        return false;
    }
    if text.len() == 36 && uuid::Uuid::try_parse(text).is_ok() {
        return false;
    }
    Runs::new(text).any(|run| run.holds_card_number())
}

/// The way to where the search is; parts are taken off again where nothing was found.
#[derive(Default)]
struct Path(String);

impl Path {
    fn within(&mut self, part: std::fmt::Arguments<'_>, search: impl FnOnce(&mut Self) -> bool) -> bool {
        use std::fmt::Write as _;
        let before = self.0.len();
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(part);
        let found = search(self);
        if !found {
            self.0.truncate(before);
        }
        found
    }

    fn finish(self) -> String {
        match self.0.trim_start_matches('.') {
            "" => "body".to_owned(),
            path => path.to_owned(),
        }
    }
}

/// Depth-first; on a find the path stays where it was found. As deep as the value, which the parser bounds (128).
fn search(value: &Value, path: &mut Path) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::String(text) => holds_card_number(text),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            // However it was written (`4.2e15`), a float is looked at as the whole number that it is.
            Some(float) => float.abs() >= 1e12 && float.abs() < 1e19 && holds_card_number(&format!("{float:.0}")),
            None => number.as_u64().is_some_and(|whole| whole >= 1_000_000_000_000) && holds_card_number(&number.to_string()),
        },
        Value::Array(items) => {
            items.iter().enumerate().any(|(index, item)| path.within(format_args!("[{index}]"), |path| search(item, path)))
        }
        Value::Object(fields) => {
            fields.keys().any(|key| holds_card_number(key))
                || fields.iter().any(|(key, item)| path.within(format_args!(".{key}"), |path| search(item, path)))
        }
    }
}

/// Digits with at most one separator between any two of them, in groups.
#[derive(Default)]
struct Run {
    digits: Vec<u8>,
    /// How many digits each group has.
    groups: Vec<usize>,
    /// The first group touches a letter or a plus.
    glued_before: bool,
    /// The last group touches a letter.
    glued_after: bool,
}

impl Run {
    /// Tries each row of groups that has the right number of digits: a security code or a date may stand beside the card
    /// number. No row is longer than 19 digits, so this is linear in the length of the run.
    fn holds_card_number(&self) -> bool {
        let first = usize::from(self.glued_before);
        let last = self.groups.len().saturating_sub(usize::from(self.glued_after));
        let mut start = self.groups.iter().take(first).sum::<usize>();
        for from in first..last {
            let (mut len, mut smallest, mut largest) = (0, usize::MAX, 0);
            for &group in self.groups.iter().take(last).skip(from) {
                len += group;
                (smallest, largest) = (smallest.min(group), largest.max(group));
                if len > MAX_DIGITS {
                    break;
                }
                let digits = self.digits.get(start..start + len).unwrap_or_default();
                let like_a_card = len >= MIN_DIGITS && are_like_a_card(smallest, largest);
                if like_a_card && is_of_an_issuer(digits) && has_right_check_digit(digits) {
                    return true;
                }
            }
            start += self.groups.get(from).copied().unwrap_or(0);
        }
        false
    }
}

/// Cards are written 4-4-4-4, 4-6-5, 4-6-4, 4-4-4-4-3; dates are not, having groups of two among groups of four. Equal
/// groups of any size are suspicious all the same.
fn are_like_a_card(smallest: usize, largest: usize) -> bool {
    smallest == largest || smallest >= 3
}

/// The ranges and lengths in use (issuers' public tables). Narrow on purpose: times in milliseconds and dates written as
/// one number fall outside.
fn is_of_an_issuer(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(4).fold(0u32, |prefix, &digit| prefix * 10 + u32::from(digit));
    let len = digits.len();
    match prefix {
        2200..=2204 => (16..=19).contains(&len),
        2221..=2720 => len == 16,
        3000..=3059 | 3090..=3099 | 3600..=3699 | 3800..=3999 => (14..=19).contains(&len),
        3400..=3499 | 3700..=3799 => len == 15,
        3528..=3589 => (16..=19).contains(&len),
        4000..=4999 => matches!(len, 13 | 16 | 18 | 19),
        5100..=5599 => len == 16,
        5000..=5099 | 5600..=6999 => true,
        _ => false,
    }
}

/// Luhn. All zeros cannot get here: the first digit is 2 to 6.
fn has_right_check_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| match (index % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) if digit < 5 => digit * 2,
            (_, digit) => digit * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The runs of digits in a text.
struct Runs<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    before: Option<char>,
}

impl<'a> Runs<'a> {
    fn new(text: &'a str) -> Self {
        Self { chars: text.chars().peekable(), before: None }
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        while self.chars.peek().is_some_and(|c| !c.is_ascii_digit()) {
            self.before = self.chars.next();
        }
        self.chars.peek()?;
        let glued_before = self.before.is_some_and(|c| c.is_alphabetic() || c == '+');
        let mut run = Run { glued_before, ..Run::default() };
        let mut group = 0;
        while let Some(&c) = self.chars.peek() {
            match c.to_digit(10) {
                Some(digit) => {
                    run.digits.push(u8::try_from(digit).unwrap_or(0));
                    group += 1;
                }
                None if group > 0 && is_separator(c) => run.groups.push(std::mem::take(&mut group)),
                None => break,
            }
            self.before = self.chars.next();
        }
        if group > 0 {
            run.groups.push(group);
            run.glued_after = self.chars.peek().is_some_and(|c| c.is_alphabetic());
        }
        Some(run)
    }
}

/// Blanks and dashes, also those that come with text copied from a page.
fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '\u{2010}'..='\u{2013}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn card_numbers_are_found_however_they_are_written() {
        for text in [
            "4242424242424242",
            "4242 4242 4242 4242",
            "5555-5555-5555-4444",
            "378282246310005",
            "3782 822463 10005",
            "3056 930902 5904",
            "6011111111111117",
            "3566002020360505",
            "2223003122003222",
            "6200000000000005",
            "4222222222222",
            "card 4242424242424242.",
            "(4242424242424242)",
            "pan=4242424242424242&cvc=123",
            "card_4242424242424242",
            "4242 4242 4242 4242 12/30 123",
            "4242424242424242 123",
            "Ada 27 4242-4242-4242-4242",
            "4242\u{a0}4242\u{a0}4242\u{a0}4242",
            "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
            "42 42 42 42 42 42 42 42",
            "x1 4242424242424242",
            "4242424242424242 1x",
            "é 4242424242424242 é",
        ] {
            assert!(holds_card_number(text), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "",
            "4242424242424241",
            "424242424242",
            "42424242424242424242424",
            "x4242424242424242",
            "4242424242424242x",
            "4242  4242  4242  4242",
            "1699999999999",
            "2033000000000",
            "20261120101530",
            "20261120101530123",
            "2026-11-20 10-15-30",
            "2026-11-20T10:15:30.123Z",
            "+49 1512 3456789 01",
            "52345678-1234-4123-8123-412345678901",
            "chk_01jd5x3v8r9k2m4n6p8q0s2t4w",
            "0000000000000000",
            "+1 (415) 555-0132",
            "9780306406157",
        ] {
            assert!(!holds_card_number(text), "{text}");
        }
    }

    #[test]
    fn the_path_says_where_and_never_shows_the_number() {
        let at = |value: Value| find_card_number(&value);
        assert_eq!(at(json!({"a": 1, "metadata": {"note": ["x", "4242424242424242"]}})).as_deref(), Some("metadata.note[1]"));
        assert_eq!(at(json!({"lines": [{"name": "ok"}, {"name": "4242 4242 4242 4242"}]})).as_deref(), Some("lines[1].name"));
        assert_eq!(at(json!({"reference": 4242424242424242u64})).as_deref(), Some("reference"));
        assert_eq!(at(json!({"reference": 4242424242424242.0})).as_deref(), Some("reference"));
        assert_eq!(at(json!({"metadata": {"4242424242424242": true}})).as_deref(), Some("metadata"));
        assert_eq!(at(json!({"4242424242424242": {"deep": 1}})).as_deref(), Some("body"));
        assert_eq!(at(json!("4242424242424242")).as_deref(), Some("body"));
        assert_eq!(at(json!({"a": [1, 2.5, null, true, -4242424242424242i64, "tok_visa"], "b": {"c": "fine"}})), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
            holds_card_number(&text);
        }

        #[test]
        fn a_number_with_its_check_digit_is_found_anywhere(body in "4[0-9]{14}", before in "[a-z]{0,5}[ :.]", after in "([ ,][a-z]{0,5})?") {
            let complete = (0..10).map(|digit| format!("{body}{digit}")).find(|number| has_right_check_digit(&number.bytes().map(|b| b - b'0').collect::<Vec<_>>()));
            let text = format!("{before}{}{after}", complete.unwrap());
            prop_assert!(holds_card_number(&text));
        }

        #[test]
        fn ids_of_ours_are_never_taken_for_cards(seed: u64, ms in 0i64..4_000_000_000_000) {
            let entropy = crate::domain::id::Entropy::from_seed(seed);
            let id = crate::domain::id::CheckoutId::generate(&entropy, crate::domain::time::Timestamp::from_millis(ms));
            prop_assert!(!holds_card_number(id.as_str()));
        }
    }
}
