//! How Stripe signs its events: `Stripe-Signature: t={seconds},v1={hex}`, HMAC-SHA256 over `{seconds}.{body}`, one `v1` for each live secret.
//!
//! Source: <https://docs.stripe.com/webhooks/signature>.

use crate::domain::{secret::Secret, time::Timestamp};
use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::Duration;

/// The header with time and signatures.
pub(super) const HEADER: &str = "stripe-signature";
/// How far the time may be off, either way.
pub(super) const TOLERANCE: Duration = Duration::from_secs(300);
/// As many signatures as are looked at: two secrets live during a rotation, so anything beyond this is an attack.
const MAX_SIGNATURES: usize = 16;

/// Why an event is not genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Forged {
    #[error("the header is not t=…,v1=…")]
    Malformed,
    #[error("no signature matches")]
    Signature,
    #[error("the timestamp is not within the tolerance")]
    Timestamp,
}

/// Whether any of our secrets has signed just this, just now. Compares in constant time.
pub(super) fn verify(secrets: &[Secret<String>], header: &str, body: &[u8], now: Timestamp) -> Result<(), Forged> {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let mut times = parts().filter(|(name, _)| *name == "t").map(|(_, value)| value);
    let (Some(time), None) = (times.next(), times.next()) else { return Err(Forged::Malformed) };
    let sent = time.parse::<i64>().map_err(|_| Forged::Malformed)?;
    let signatures: Vec<Vec<u8>> = parts()
        .filter(|(name, _)| *name == "v1")
        .take(MAX_SIGNATURES)
        .filter_map(|(_, value)| HEXLOWER_PERMISSIVE.decode(value.as_bytes()).ok())
        .collect();
    // Before anything is computed: anybody may send a body and a header, and what is old or not signed at all is not worth a hash.
    let off = Duration::from_secs(sent.abs_diff(now.seconds()));
    if off > TOLERANCE {
        return Err(Forged::Timestamp);
    }
    if signatures.is_empty() {
        return Err(Forged::Signature);
    }
    let is_signed_with = |secret: &Secret<String>| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else { return false };
        for part in [time.as_bytes(), b".", body] {
            mac.update(part);
        }
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    };
    if secrets.iter().any(is_signed_with) { Ok(()) } else { Err(Forged::Signature) }
}

#[cfg(test)]
pub(super) fn sign(secret: &str, at: Timestamp, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{}.{body}", at.seconds()).as_bytes());
    format!("t={},v1={}", at.seconds(), data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_492_774_577_000);
    const BODY: &str = r#"{"id":"evt_1"}"#;

    fn secrets(texts: &[&str]) -> Vec<Secret<String>> {
        texts.iter().map(|text| Secret::new((*text).to_owned())).collect()
    }

    fn check(header: &str, body: &str) -> Result<(), Forged> {
        verify(&secrets(&["whsec_new", "whsec_old"]), header, body.as_bytes(), NOW)
    }

    #[test]
    fn a_known_value_comes_out() {
        // Worked out with `openssl dgst -sha256 -hmac`.
        let expected = "t=1492774577,v1=0ff2f5a68c790e641710ef579f8bab873bd43994ccf50908722ddbee71686a50";
        assert_eq!(sign("whsec_new", NOW, BODY), expected);
    }

    #[test]
    fn both_secrets_of_a_rotation_are_good_in_either_order_and_with_spaces() {
        let (new, old) = (sign("whsec_new", NOW, BODY), sign("whsec_old", NOW, BODY));
        let old_part = old.split_once(',').unwrap().1;
        for header in
            [new.clone(), old.clone(), format!("{new},{old_part}"), new.replace(",v1", ",v0=00,v1=zz,v1=00, v1"), new.replace(',', ", ")]
        {
            assert_eq!(check(&header, BODY), Ok(()), "{header}");
        }
        assert_eq!(check(&sign("whsec_other", NOW, BODY), BODY), Err(Forged::Signature));
        assert_eq!(verify(&[], &new, BODY.as_bytes(), NOW), Err(Forged::Signature));
    }

    #[test]
    fn what_was_changed_cut_or_is_of_another_time_is_refused() {
        let header = sign("whsec_new", NOW, BODY);
        assert_eq!(check(&header, r#"{"id":"evt_2"}"#), Err(Forged::Signature));
        assert_eq!(check(&header.replace("1492774577", "1492774578"), BODY), Err(Forged::Signature));
        assert_eq!(check(&header.replace("v1=", "v0="), BODY), Err(Forged::Signature));
        for bad in ["", "t=", "v1=00", "t=x,v1=00", "t=1,t=2,v1=00", header.trim_start_matches("t=")] {
            assert_eq!(check(bad, BODY), Err(Forged::Malformed), "{bad}");
        }
        let at = |seconds: i64| Timestamp::from_millis(NOW.millis() + 1000 * seconds);
        for (off, verdict) in [(300, Ok(())), (-300, Ok(())), (301, Err(Forged::Timestamp)), (-301, Err(Forged::Timestamp))] {
            assert_eq!(check(&sign("whsec_new", at(off), BODY), BODY), verdict, "{off}");
        }
        let past_the_bound = format!("t=1492774577,{}{}", "v1=00,".repeat(16), header.split_once(',').unwrap().1);
        assert_eq!(check(&past_the_bound, BODY), Err(Forged::Signature));
    }
}
