//! Signatures as Standard Webhooks 1.0 has them: HMAC-SHA256 over `id.timestamp.body`, one for each live secret.
//!
//! Spec: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use crate::domain::{id::Entropy, secret::Secret, time::Timestamp};
use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::Duration;

/// The header with the event's id, the same at every try.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the time of this try, seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures: `v1,<base64>`, separated by blanks.
pub const SIGNATURE_HEADER: &str = "webhook-signature";
/// How far a timestamp may be off before a receiver refuses it.
pub const TOLERANCE: Duration = Duration::from_secs(300);

const PREFIX: &str = "whsec_";
const SECRET_BYTES: usize = 32;
/// As many signatures as a receiver looks at: two secrets live during a rotation, so anything beyond this is an attack.
const MAX_SIGNATURES: usize = 16;

/// A stored secret that is not `whsec_` and the Base64 of 24 to 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signing secret is not whsec_ followed by the Base64 of 24 to 64 bytes")]
pub struct BadSecret;

/// Why a message is not genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// None of the signatures is ours.
    #[error("no signature matches")]
    Signature,
    /// Too old, or from the future: perhaps replayed.
    #[error("the timestamp is not within the tolerance")]
    Timestamp,
    /// The secret to verify with cannot be used.
    #[error(transparent)]
    Secret(#[from] BadSecret),
}

/// A new secret: `whsec_` and 32 random bytes in Base64.
pub fn generate_secret(entropy: &Entropy) -> Secret<String> {
    let mut bytes = [0u8; SECRET_BYTES];
    entropy.fill(&mut bytes);
    Secret::new(format!("{PREFIX}{}", BASE64.encode(&bytes)))
}

/// The value of [`SIGNATURE_HEADER`] for a message: one signature for each secret, in their order.
pub fn sign(secrets: &[Secret<String>], id: &str, at: Timestamp, body: &[u8]) -> Result<String, BadSecret> {
    if secrets.is_empty() {
        return Err(BadSecret);
    }
    let one = |secret| mac(secret, id, &at.seconds().to_string(), body).map(signature_text);
    secrets.iter().map(one).collect::<Result<Vec<_>, _>>().map(|signatures| signatures.join(" "))
}

/// The header of events in Monime's format: `t={seconds},v1={base64}`, a `v1` for each live secret.
pub const MONIME_HEADER: &str = "monime-signature";

/// The value of [`MONIME_HEADER`]: HMAC-SHA256 over `{seconds}_{body}`, one for each secret, in their order. The key is the secret's text
/// as it stands.
pub fn sign_monime(secrets: &[Secret<String>], at: Timestamp, body: &[u8]) -> Result<String, BadSecret> {
    let seconds = at.seconds().to_string();
    let mut value = format!("t={seconds}");
    for secret in secrets {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).map_err(|_| BadSecret)?;
        for part in [seconds.as_bytes(), b"_", body] {
            mac.update(part);
        }
        value.push_str(",v1=");
        value.push_str(&BASE64.encode(&mac.finalize().into_bytes()));
    }
    if secrets.is_empty() { Err(BadSecret) } else { Ok(value) }
}

/// What a receiver does: compares in constant time, then looks at the age. `timestamp` and `signatures` are the headers.
pub fn verify(
    secret: &Secret<String>,
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), Forged> {
    let mac = mac(secret, id, timestamp, body)?;
    let is_ours = |signature: &str| {
        let bytes = signature.strip_prefix("v1,").and_then(|text| BASE64.decode(text.as_bytes()).ok());
        bytes.is_some_and(|bytes| mac.clone().verify_slice(&bytes).is_ok())
    };
    if !signatures.split(' ').take(MAX_SIGNATURES).any(is_ours) {
        return Err(Forged::Signature);
    }
    let sent = timestamp.parse::<i64>().map_err(|_| Forged::Timestamp)?;
    let off = Duration::from_secs(sent.abs_diff(now.seconds()));
    if off <= tolerance { Ok(()) } else { Err(Forged::Timestamp) }
}

/// HMAC-SHA256 of a text that is no message, in lower-case hex: what the query of a redirect is signed with.
pub fn sign_text(secret: &Secret<String>, text: &str) -> Result<String, BadSecret> {
    let mut mac = keyed(secret)?;
    mac.update(text.as_bytes());
    Ok(HEXLOWER.encode(&mac.finalize().into_bytes()))
}

fn keyed(secret: &Secret<String>) -> Result<Hmac<Sha256>, BadSecret> {
    let text = secret.reveal().strip_prefix(PREFIX).ok_or(BadSecret)?;
    let key = BASE64.decode(text.as_bytes()).map_err(|_| BadSecret)?;
    if !(24..=64).contains(&key.len()) {
        return Err(BadSecret);
    }
    Hmac::<Sha256>::new_from_slice(&key).map_err(|_| BadSecret)
}

fn mac(secret: &Secret<String>, id: &str, timestamp: &str, body: &[u8]) -> Result<Hmac<Sha256>, BadSecret> {
    let mut mac = keyed(secret)?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    Ok(mac)
}

fn signature_text(mac: Hmac<Sha256>) -> String {
    format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_614_265_330_000);
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn published() -> Secret<String> {
        Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())
    }

    fn check(secret: &Secret<String>, timestamp: &str, signatures: &str, body: &[u8]) -> Result<(), Forged> {
        verify(secret, ID, timestamp, signatures, body, NOW, TOLERANCE)
    }

    #[test]
    fn the_published_example_of_the_specification_comes_out() {
        let signature = sign(&[published()], ID, NOW, BODY).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(check(&published(), "1614265330", &signature, BODY), Ok(()));
    }

    #[test]
    fn during_a_rotation_both_secrets_verify() {
        let entropy = Entropy::from_seed(1);
        let (new, old, other) = (generate_secret(&entropy), generate_secret(&entropy), generate_secret(&entropy));
        assert_eq!(new.reveal().len(), PREFIX.len() + 44);
        let signatures = sign(&[new.clone(), old.clone()], ID, NOW, BODY).unwrap();
        assert_eq!(signatures.split(' ').count(), 2);
        assert_eq!(check(&new, "1614265330", &signatures, BODY), Ok(()));
        assert_eq!(check(&old, "1614265330", &signatures, BODY), Ok(()));
        assert_eq!(check(&other, "1614265330", &signatures, BODY), Err(Forged::Signature));
    }

    #[test]
    fn what_was_changed_or_is_too_old_is_refused() {
        let signature = sign(&[published()], ID, NOW, BODY).unwrap();
        assert_eq!(check(&published(), "1614265330", &signature, b"{}"), Err(Forged::Signature));
        assert_eq!(check(&published(), "1614265331", &signature, BODY), Err(Forged::Signature));
        assert_eq!(check(&published(), "1614265330", "", BODY), Err(Forged::Signature));
        assert_eq!(check(&published(), "1614265330", signature.trim_start_matches("v1,"), BODY), Err(Forged::Signature));
        let at = |seconds: u64| Timestamp::from_millis(NOW.millis() - 1000 * i64::try_from(seconds).unwrap());
        for (age, verdict) in [(300, Ok(())), (301, Err(Forged::Timestamp))] {
            let signature = sign(&[published()], ID, at(age), BODY).unwrap();
            assert_eq!(check(&published(), &at(age).seconds().to_string(), &signature, BODY), verdict);
        }
    }

    #[test]
    fn monimes_signature_has_the_secret_as_it_stands_and_one_part_for_each() {
        let signed = sign_monime(&[published()], NOW, BODY).unwrap();
        assert_eq!(signed, "t=1614265330,v1=o+w2hr0VAnXu6HgATL/PtMTQ6w4cHyGs9YrnlVoO7pQ=");
        let other = Secret::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned());
        let both = sign_monime(&[other, published()], NOW, BODY).unwrap();
        assert!(both.split(',').count() == 3 && both.ends_with(signed.split_once(',').unwrap().1), "{both}");
        assert_eq!(sign_monime(&[], NOW, BODY), Err(BadSecret));
    }

    #[test]
    fn a_secret_that_is_none_signs_nothing() {
        for bad in ["", "whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(sign(&[Secret::new(bad.to_owned())], ID, NOW, BODY), Err(BadSecret), "{bad}");
        }
        assert_eq!(sign(&[], ID, NOW, BODY), Err(BadSecret));
    }
}
