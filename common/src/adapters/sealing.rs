//! Secrets at rest: sealed with ChaCha20-Poly1305 (RFC 8439) under a key from the environment, bound to the row that they stand in.
//!
//! Sealed text is `v1.<key id>.<Base64 of nonce and ciphertext>`. The first key seals, all open: that is how a key is replaced.

use crate::domain::secret::Secret;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use sha2::{Digest, Sha256};
use std::fmt;

/// The variable that keys come from.
pub const VARIABLE: &str = "BOXOFFICE_SECRETS_KEY";
/// A key's length, bytes.
const KEY_BYTES: usize = 32;
/// The most keys at once: one that seals, and those that still open.
const MAX_KEYS: usize = 10;
/// How sealed text begins.
const VERSION: &str = "v1";

/// Keys that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// One of them is no key.
    #[error(
        "must be the Base64 of 32 bytes, as `boxoffice providers new-key` makes them; several, comma-separated, the one that seals first"
    )]
    Form,
    /// More than anybody rotates.
    #[error("has at most {MAX_KEYS} keys: drop the oldest, after `boxoffice providers reseal`")]
    TooMany,
}

/// Why sealed text does not open, in words that say what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// There is no key at all.
    #[error("this process has no BOXOFFICE_SECRETS_KEY")]
    NoKey,
    /// The key that sealed it is not there.
    #[error("it was sealed with the key {0}, which is not in BOXOFFICE_SECRETS_KEY")]
    KeyMissing(String),
    /// Damaged, or from another row.
    #[error("it is damaged, or was sealed for another account")]
    Damaged,
}

/// No randomness, or nothing that could be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no randomness to seal with")]
pub struct NotSealed;

/// Seals and opens.
pub struct Sealer {
    /// The first seals.
    first: SealingKey,
    others: Vec<SealingKey>,
    /// Not the engine's seeded source: a nonce that comes twice gives the plaintext away, and a seed that comes twice repeats it.
    random: SystemRandom,
}

struct SealingKey {
    id: String,
    key: LessSafeKey,
}

impl SealingKey {
    fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.trim().as_bytes()).ok().filter(|bytes| bytes.len() == KEY_BYTES)?;
        let hash = Sha256::new().chain_update(b"boxoffice sealing key ").chain_update(&bytes).finalize();
        let id = hash.get(..4).map(|start| HEXLOWER.encode(start))?;
        Some(Self { id, key: LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok()?) })
    }
}

impl Sealer {
    /// Reads `BOXOFFICE_SECRETS_KEY`.
    pub fn parse(text: &Secret<String>) -> Result<Self, BadKeys> {
        let keys = text.reveal().split(',').map(|key| SealingKey::parse(key).ok_or(BadKeys::Form)).collect::<Result<Vec<_>, _>>()?;
        if keys.len() > MAX_KEYS {
            return Err(BadKeys::TooMany);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(BadKeys::Form)?;
        Ok(Self { first, others: keys.collect(), random: SystemRandom::new() })
    }

    /// A new key, as the variable has it.
    pub fn generate_key() -> Result<Secret<String>, NotSealed> {
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NotSealed)?;
        Ok(Secret::new(BASE64.encode(&bytes)))
    }

    /// Which key seals: a part of its hash, which may be shown.
    pub fn key_id(&self) -> &str {
        &self.first.id
    }

    /// Seals. It opens only with the same `bound_to`.
    pub fn seal(&self, plain: &Secret<String>, bound_to: &str) -> Result<Secret<String>, NotSealed> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| NotSealed)?;
        let mut sealed = plain.reveal().clone().into_bytes();
        let bound_to = Aad::from(bound_to.as_bytes());
        self.first.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound_to, &mut sealed).map_err(|_| NotSealed)?;
        let bytes = [&nonce[..], &sealed].concat();
        Ok(Secret::new(format!("{VERSION}.{}.{}", self.first.id, BASE64URL_NOPAD.encode(&bytes))))
    }

    /// Opens what was sealed with any of the keys, for just this.
    pub fn open(&self, sealed: &Secret<String>, bound_to: &str) -> Result<Secret<String>, NotOpened> {
        let (id, text) = parts(sealed.reveal()).ok_or(NotOpened::Damaged)?;
        let mut keys = std::iter::once(&self.first).chain(&self.others);
        let key = keys.find(|key| key.id == id).ok_or_else(|| NotOpened::KeyMissing(id.to_owned()))?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NotOpened::Damaged)?;
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(NotOpened::Damaged)?;
        let (nonce, mut rest) = (Nonce::assume_unique_for_key(*nonce), rest.to_vec());
        let plain = key.key.open_in_place(nonce, Aad::from(bound_to.as_bytes()), &mut rest).map_err(|_| NotOpened::Damaged)?;
        String::from_utf8(plain.to_vec()).map(Secret::new).map_err(|_| NotOpened::Damaged)
    }

    /// Whether it was sealed with the key that seals now.
    pub fn is_current(&self, sealed: &Secret<String>) -> bool {
        parts(sealed.reveal()).is_some_and(|(id, _)| id == self.first.id)
    }
}

/// The key's id, and what was sealed with it.
fn parts(sealed: &str) -> Option<(&str, &str)> {
    let (version, rest) = sealed.split_once('.')?;
    let (id, text) = rest.split_once('.')?;
    // The id is shown to operators: a damaged row must not put anything else in its place.
    let is_id = id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (version == VERSION && is_id).then_some((id, text))
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer {{ seals with {}, opens with {} more }}", self.first.id, self.others.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(keys: &[&Secret<String>]) -> Sealer {
        let texts: Vec<&str> = keys.iter().map(|key| key.reveal().as_str()).collect();
        Sealer::parse(&Secret::new(texts.join(","))).unwrap()
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_place_alone() {
        let key = Sealer::generate_key().unwrap();
        let sealer = sealer(&[&key]);
        let sealed = sealer.seal(&secret("sk_test_planted"), "pac_1/stripe/studio/test").unwrap();
        assert_eq!(sealer.open(&sealed, "pac_1/stripe/studio/test").unwrap().reveal(), "sk_test_planted");
        for elsewhere in ["pac_2/stripe/studio/test", "pac_1/mollie/studio/test", "pac_1/stripe/studio/live", ""] {
            assert_eq!(sealer.open(&sealed, elsewhere).unwrap_err(), NotOpened::Damaged, "{elsewhere}");
        }
        assert!(sealed.reveal().starts_with(&format!("v1.{}.", sealer.key_id())) && !sealed.reveal().contains("planted"));
    }

    #[test]
    fn the_same_is_never_sealed_to_the_same() {
        let sealer = sealer(&[&Sealer::generate_key().unwrap()]);
        let texts: std::collections::BTreeSet<String> =
            (0..100).map(|_| sealer.seal(&secret("x"), "here").unwrap().reveal().clone()).collect();
        assert_eq!(texts.len(), 100);
    }

    #[test]
    fn any_changed_byte_keeps_it_shut() {
        let sealer = sealer(&[&Sealer::generate_key().unwrap()]);
        let sealed = sealer.seal(&secret("sk_test_planted"), "here").unwrap();
        for at in 0..sealed.reveal().len() {
            let mut bytes = sealed.reveal().clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(sealer.open(&secret(std::str::from_utf8(&bytes).unwrap()), "here").is_err(), "byte {at}");
        }
        for bad in ["", "v1", "v1.", "v1.00000000", "v1.00000000.", "v2.00000000.AAAA", "v1.a,b'c--.AAAA"] {
            assert!(sealer.open(&secret(bad), "here").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_new_key_in_front_seals_and_the_old_one_still_opens() {
        let (old, new) = (Sealer::generate_key().unwrap(), Sealer::generate_key().unwrap());
        let before = sealer(&[&old]).seal(&secret("x"), "here").unwrap();
        let both = sealer(&[&new, &old]);
        let after = both.seal(&secret("x"), "here").unwrap();
        assert!(both.is_current(&after) && !both.is_current(&before));
        assert_eq!(both.open(&before, "here").unwrap().reveal(), "x");
        let without = sealer(&[&new]);
        assert_eq!(without.open(&after, "here").unwrap().reveal(), "x");
        assert_eq!(without.open(&before, "here").unwrap_err(), NotOpened::KeyMissing(sealer(&[&old]).key_id().to_owned()));
    }

    #[test]
    fn keys_are_32_bytes_in_base64_and_never_shown() {
        let key = Sealer::generate_key().unwrap();
        for bad in ["", "secret", "c2hvcnQ=", &format!("{},", key.reveal()), &key.reveal()[1..]] {
            let error = Sealer::parse(&secret(bad)).unwrap_err();
            assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
        }
        let many = [key.reveal().as_str(); MAX_KEYS + 1].join(",");
        assert_eq!(Sealer::parse(&secret(&many)).unwrap_err(), BadKeys::TooMany);
        let shown = format!("{:?} {key:?}", sealer(&[&key]));
        assert!(!shown.contains(key.reveal().as_str()), "{shown}");
    }
}
