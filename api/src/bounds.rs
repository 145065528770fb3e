//! Bounds of texts in requests: what passed here is passed on unchecked.

use crate::problem::Problem;
use boxoffice_common::domain::{customer::Customer, line::About, time::Timestamp};
use serde_json::{Map, Value};

/// The longest URL, bytes.
const MAX_URL: usize = 2_048;
/// The most keys of a metadata object.
const MAX_METADATA_KEYS: usize = 50;
/// The most providers that a list of them names.
const MAX_PROVIDERS: usize = 50;
/// The most pictures of a line.
const MAX_IMAGES: usize = 10;
/// The longest metadata object as JSON, bytes.
const MAX_METADATA: usize = 16 * 1024;

/// 1 to `longest` characters, none of them a control character.
pub fn text(value: &str, longest: usize, param: &str) -> Result<(), Problem> {
    let fits = !value.is_empty() && value.len() <= longest * 4 && value.chars().count() <= longest;
    if !fits {
        return Err(Problem::invalid(param, format!("has 1 to {longest} characters")));
    }
    if value.chars().any(char::is_control) { Err(Problem::invalid(param, "has no control characters")) } else { Ok(()) }
}

/// The same for an optional one.
pub fn optional(value: Option<&String>, longest: usize, param: &str) -> Result<(), Problem> {
    value.map_or(Ok(()), |value| text(value, longest, param))
}

/// Something before and behind an `@`, at most 254 characters.
pub fn optional_email(value: Option<&String>, param: &str) -> Result<(), Problem> {
    let Some(email) = value else { return Ok(()) };
    text(email, 254, param)?;
    let parts = email.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if parts && !email.contains(char::is_whitespace) { Ok(()) } else { Err(Problem::invalid(param, "is an e-mail address")) }
}

/// 1 to `longest` visible ASCII characters: an opaque token.
pub fn token(value: &str, longest: usize, param: &str) -> Result<(), Problem> {
    let fits = (1..=longest).contains(&value.len()) && value.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    if fits { Ok(()) } else { Err(Problem::invalid(param, format!("is 1 to {longest} visible ASCII characters"))) }
}

/// An `http` or `https` URL for a browser to go to. Braces for `{CHECKOUT_ID}` are allowed.
pub fn browser_url(value: Option<&String>, param: &str) -> Result<(), Problem> {
    let Some(value) = value else { return Ok(()) };
    let wrong = || Problem::invalid(param, format!("is an http or https URL of at most {MAX_URL} bytes"));
    if value.len() > MAX_URL || value.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong());
    }
    let url = url::Url::parse(value).map_err(|_| wrong())?;
    let plain = matches!(url.scheme(), "http" | "https") && url.host().is_some() && url.username().is_empty() && url.password().is_none();
    if plain { Ok(()) } else { Err(wrong()) }
}

/// Names of providers in a list of them.
pub fn providers(list: &[String], param: &str) -> Result<(), Problem> {
    if list.len() > MAX_PROVIDERS {
        return Err(Problem::invalid(param, format!("has at most {MAX_PROVIDERS} providers")));
    }
    list.iter().enumerate().try_for_each(|(index, provider)| token(provider, 64, &format!("{param}[{index}]")))
}

/// What a client says of a line of its own; `within` is where the line stands.
pub fn about(about: &About, within: &str) -> Result<(), Problem> {
    optional(about.description.as_ref(), 1_000, &format!("{within}.description"))?;
    optional(about.reference.as_ref(), 255, &format!("{within}.reference"))?;
    if about.images.len() > MAX_IMAGES {
        return Err(Problem::invalid(format!("{within}.images"), format!("has at most {MAX_IMAGES} addresses")));
    }
    for (index, image) in about.images.iter().enumerate() {
        let at = format!("{within}.images[{index}]");
        browser_url(Some(image), &at)?;
        if !image.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:")) {
            return Err(Problem::invalid(at, "is an https URL"));
        }
    }
    Ok(())
}

/// The client's own object.
pub fn metadata(value: &Map<String, Value>) -> Result<(), Problem> {
    if value.len() > MAX_METADATA_KEYS {
        return Err(Problem::invalid("metadata", format!("has at most {MAX_METADATA_KEYS} keys")));
    }
    let length = if value.is_empty() { 0 } else { serde_json::to_string(value).map_or(usize::MAX, |text| text.len()) };
    if length > MAX_METADATA { Err(Problem::invalid("metadata", format!("has at most {MAX_METADATA} bytes"))) } else { Ok(()) }
}

/// A customer; `within` is where it stands: empty, or such as `customer.`.
pub fn customer(customer: &Customer, within: &str) -> Result<(), Problem> {
    let at = |field: &str| format!("{within}{field}");
    optional(customer.external_id.as_ref(), 255, &at("external_id"))?;
    optional(customer.name.as_ref(), 200, &at("name"))?;
    optional(customer.family.as_ref(), 64, &at("family"))?;
    optional_email(customer.email.as_ref(), &at("email"))?;
    if customer.tags.len() > 100 {
        return Err(Problem::invalid(at("tags"), "has at most 100 tags"));
    }
    for (index, tag) in customer.tags.iter().enumerate() {
        text(tag, 32, &at(&format!("tags[{index}]")))?;
    }
    metadata(&customer.metadata)
}

/// A customer's date of birth has come. Apart from the rest, because it changes with time: a key that was answered before gets its
/// answer first.
pub fn born(customer: &Customer, now: Timestamp, within: &str) -> Result<(), Problem> {
    match customer.date_of_birth.filter(|date| date.is_to_come(now)) {
        None => Ok(()),
        Some(_) => Err(Problem::invalid(format!("{within}date_of_birth"), "is not in the future")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_urls_are_http_and_carry_no_credentials() {
        let ok = |url: &str| browser_url(Some(&url.to_owned()), "success_url").is_ok();
        assert!(ok("https://shop.example/thanks?c={CHECKOUT_ID}") && ok("http://localhost:3000/"));
        for bad in ["", "javascript:alert(1)", "ftp://x/", "/relative", "https://", "https://a:b@x/", "https://x/\u{7f}", "https://x/ y"] {
            assert!(!ok(bad), "{bad}");
        }
        assert!(!ok(&format!("https://x/{}", "y".repeat(2_048))));
    }

    #[test]
    fn metadata_is_bounded_in_keys_and_bytes() {
        let object =
            |keys: usize, length: usize| (0..keys).map(|n| (n.to_string(), Value::from("x".repeat(length)))).collect::<Map<_, _>>();
        assert!(metadata(&object(50, 100)).is_ok());
        assert!(metadata(&object(51, 1)).is_err() && metadata(&object(2, 9_000)).is_err());
    }
}
