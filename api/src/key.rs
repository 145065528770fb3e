//! API keys: how they look, how they are made, and the hash under which the store knows them.

use boxoffice_common::domain::{id::Entropy, scope::Mode, secret::Secret};
use sha2::{Digest, Sha256};

/// A new key, to be shown once and kept as its hash.
#[derive(Debug)]
pub struct NewKey {
    /// What the client sends.
    pub secret: Secret<String>,
    /// SHA-256 of it, hex: what the store keeps.
    pub hash: String,
    /// Its first characters, to tell keys apart.
    pub hint: String,
}

/// Makes a key of 200 random bits: `bo_test_…` or `bo_live_…`.
pub fn generate(mode: Mode, entropy: &Entropy) -> NewKey {
    let mut random = [0u8; 25];
    entropy.fill(&mut random);
    let mut text = prefix(mode).to_owned();
    data_encoding::BASE32_NOPAD.encode_append(&random, &mut text);
    text.make_ascii_lowercase();
    from_text(text)
}

/// A key of the caller's choice, such as the demo's `bo_test_demo`.
pub fn from_text(text: String) -> NewKey {
    NewKey { hash: hash(&text), hint: text.chars().take(12).collect(), secret: Secret::new(text) }
}

/// SHA-256, hex. A key has enough random bits that a slow hash would protect nothing.
pub fn hash(key: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(key.as_bytes()))
}

/// What keys of a mode begin with.
pub const fn prefix(mode: Mode) -> &'static str {
    match mode {
        Mode::Test => "bo_test_",
        Mode::Live => "bo_live_",
    }
}

/// The mode that a text claims, when it looks like a key at all: what does not is never looked up.
pub fn mode_of(text: &str) -> Option<Mode> {
    let mode = [Mode::Test, Mode::Live].into_iter().find(|mode| text.starts_with(prefix(*mode)))?;
    let rest = text.strip_prefix(prefix(mode))?;
    let fits = (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    fits.then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_mode_and_is_known_by_its_hash() {
        let entropy = Entropy::from_seed(1);
        let (test, live) = (generate(Mode::Test, &entropy), generate(Mode::Live, &entropy));
        assert_eq!(mode_of(test.secret.reveal()), Some(Mode::Test));
        assert_eq!(mode_of(live.secret.reveal()), Some(Mode::Live));
        assert_eq!(hash(test.secret.reveal()), test.hash);
        assert_ne!(test.hash, live.hash);
        assert_eq!(test.secret.reveal().len(), 48);
        assert!(!format!("{test:?}").contains(test.secret.reveal()));
    }

    #[test]
    fn what_does_not_look_like_a_key_is_not_one() {
        assert_eq!(mode_of("bo_test_demo"), Some(Mode::Test));
        for text in ["", "bo_test_", "bo_prod_x", "sk_test_x", "bo_test_a b", &format!("bo_live_{}", "x".repeat(65))] {
            assert_eq!(mode_of(text), None, "{text}");
        }
    }
}
