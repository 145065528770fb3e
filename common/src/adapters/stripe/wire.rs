//! What a request to Stripe is made of: the address, the key's header, and ids.

use crate::domain::secret::Secret;
use http::HeaderValue;

/// Where Stripe is.
pub const STRIPE_URL: &str = "https://api.stripe.com/";

/// The longest id of Stripe's that we take. They say 255 for theirs.
const MAX_ID: usize = 255;

/// Why a text is no key of Stripe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a secret or restricted key of Stripe's: they begin with sk_ or rk_")]
pub struct BadKey;

/// The header that proves who we are.
pub(super) fn authorization(key: &Secret<String>) -> Result<HeaderValue, BadKey> {
    let text = key.reveal();
    let is_key = (text.starts_with("sk_") || text.starts_with("rk_")) && is_plain_id(text);
    let mut value = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| BadKey)?;
    value.set_sensitive(true);
    if is_key { Ok(value) } else { Err(BadKey) }
}

/// Whether a text may stand for an id in a path, in a log and in the store: letters, digits, `_` and `-`, and not too many of them.
pub(super) fn is_plain_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_key_and_shows_itself_nowhere() {
        let header = authorization(&Secret::new("sk_test_4eC39".to_owned())).unwrap();
        assert!(header.is_sensitive() && !format!("{header:?}").contains("4eC39"));
        for bad in ["", "pk_test_1", "sk_test 1", "sk_test\n", "whsec_1"] {
            assert_eq!(authorization(&Secret::new(bad.to_owned())), Err(BadKey), "{bad:?}");
        }
    }
}
