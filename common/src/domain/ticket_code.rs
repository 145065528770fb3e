//! What a ticket's code says, and who can tell that it is genuine: anybody with the public key, without asking us.
//!
//! A code is a JSON Web Signature (RFC 7515, compact) by Ed25519 (RFC 8037): `header.payload.signature`, each part in Base64 for URLs. Its
//! keys sign nothing else, ever. The page for those who verify: docs/tickets.md.

use super::{
    id::{CatalogueId, Entropy, TicketId},
    secret::Secret,
    ticket::Ticket,
};
use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Longer texts are no codes of ours, bytes.
pub const MAX_CODE: usize = 1_024;
/// How much of a key's thumbprint is its name, characters: enough to tell a tenant's few keys apart, and short in a QR code.
const KEY_ID: usize = 8;
const SEED_BYTES: usize = 32;
const ALGORITHM: &str = "EdDSA";

/// What a code says. The names are short because a camera has to read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The ticket.
    #[serde(rename = "t")]
    pub ticket: TicketId,
    /// The session that it lets in to.
    #[serde(rename = "s")]
    pub session: CatalogueId,
    /// The seat's name, where places have names.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
    /// The serial: a lower one than another code's of the same ticket is dead.
    #[serde(rename = "n")]
    pub serial: u32,
}

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
}

/// Why a text is no code of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ticket code, or not signed by a key of this tenant and mode")]
pub struct BadCode;

/// A key that cannot be used: damaged in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ticket key is not the Base64 of 32 bytes")]
pub struct BadKey;

/// A key that signs codes.
pub struct TicketKey {
    id: String,
    pair: Ed25519KeyPair,
}

impl TicketKey {
    /// What to keep of a new key: 32 random bytes in Base64.
    pub fn new_seed(entropy: &Entropy) -> Secret<String> {
        let mut seed = [0u8; SEED_BYTES];
        entropy.fill(&mut seed);
        Secret::new(BASE64URL_NOPAD.encode(&seed))
    }

    /// The key of a seed.
    pub fn from_seed(seed: &Secret<String>) -> Result<Self, BadKey> {
        let seed = BASE64URL_NOPAD.decode(seed.reveal().as_bytes()).map_err(|_| BadKey)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| BadKey)?;
        let id = key_id(pair.public_key().as_ref());
        Ok(Self { id, pair })
    }

    /// For whoever verifies.
    pub fn public(&self) -> PublicKey {
        PublicKey {
            kty: "OKP",
            crv: "Ed25519",
            alg: ALGORITHM,
            usage: "sig",
            kid: self.id.clone(),
            x: BASE64URL_NOPAD.encode(self.pair.public_key().as_ref()),
        }
    }

    /// The code of a ticket as it is now.
    pub fn code(&self, ticket: &Ticket) -> String {
        let header = Header { alg: ALGORITHM, kid: &self.id };
        let claims =
            Claims { ticket: ticket.id.clone(), session: ticket.session.clone(), seat: ticket.seat.clone(), serial: ticket.serial };
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = BASE64URL_NOPAD.encode(self.pair.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Texts and numbers: they can always be written.
fn part(value: &impl Serialize) -> String {
    BASE64URL_NOPAD.encode(serde_json::to_string(value).unwrap_or_default().as_bytes())
}

/// A public key as a JSON Web Key (RFC 7517, RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = TicketKey)]
pub struct PublicKey {
    /// `OKP`.
    pub kty: &'static str,
    /// `Ed25519`.
    pub crv: &'static str,
    /// `EdDSA`.
    pub alg: &'static str,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// Which key, as the codes' headers name it.
    pub kid: String,
    /// The key itself, Base64 for URLs.
    pub x: String,
}

/// The beginning of the thumbprint of RFC 7638.
fn key_id(public: &[u8]) -> String {
    let json = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, BASE64URL_NOPAD.encode(public));
    BASE64URL_NOPAD.encode(&Sha256::digest(json.as_bytes())).chars().take(KEY_ID).collect()
}

/// What a code says, if one of these keys has signed it. A door does the same: it needs no more than this.
pub fn verify(code: &str, keys: &[PublicKey]) -> Result<Claims, BadCode> {
    let code = Some(code).filter(|code| code.len() <= MAX_CODE).ok_or(BadCode)?;
    let (signed, signature) = code.rsplit_once('.').ok_or(BadCode)?;
    let (header, payload) = signed.split_once('.').ok_or(BadCode)?;
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| BadCode);
    let header = decode(header)?;
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| BadCode)?;
    // The algorithm is ours to choose, never the code's.
    let key = keys.iter().find(|key| key.kid == header.kid).filter(|_| header.alg == ALGORITHM).ok_or(BadCode)?;
    let public = UnparsedPublicKey::new(&ED25519, decode(&key.x)?);
    public.verify(signed.as_bytes(), &decode(signature)?).map_err(|_| BadCode)?;
    serde_json::from_slice(&decode(payload)?).map_err(|_| BadCode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ticket::tests::ticket;

    fn key(seed: u64) -> TicketKey {
        TicketKey::from_seed(&TicketKey::new_seed(&Entropy::from_seed(seed))).unwrap()
    }

    #[test]
    fn a_code_is_verified_by_the_public_key_alone() {
        let (key, ticket) = (key(1), ticket());
        let code = key.code(&ticket);
        let claims = verify(&code, &[key.public()]).unwrap();
        let said = Claims { ticket: ticket.id, session: ticket.session, seat: ticket.seat, serial: 1 };
        assert_eq!(claims, said);
        assert!(code.len() < 300 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{code}");
    }

    #[test]
    fn a_code_of_which_any_character_is_changed_is_none() {
        let (key, ticket) = (key(1), ticket());
        let code = key.code(&ticket);
        for at in 0..code.len() {
            for other in ['A', 'B', '.'] {
                let mut tampered: Vec<char> = code.chars().collect();
                if tampered[at] != other {
                    tampered[at] = other;
                    assert_eq!(verify(&tampered.into_iter().collect::<String>(), &[key.public()]), Err(BadCode), "character {at}");
                }
            }
        }
        let long = "x".repeat(100_000);
        for bad in ["", ".", "..", "a.b.c", &code[1..], &format!("{code}A"), &format!("{code}."), &long] {
            assert_eq!(verify(bad, &[key.public()]), Err(BadCode));
        }
    }

    #[test]
    fn a_code_of_another_key_is_none_and_neither_is_one_without_a_signature() {
        let (ours, theirs, ticket) = (key(1), key(2), ticket());
        assert_eq!(verify(&theirs.code(&ticket), &[ours.public()]), Err(BadCode));
        assert_eq!(verify(&ours.code(&ticket), &[]), Err(BadCode));
        assert!(verify(&ours.code(&ticket), &[theirs.public(), ours.public()]).is_ok());
        // Another's signature under our key's name, and the old tricks with `alg`.
        let renamed = PublicKey { kid: theirs.public().kid, ..ours.public() };
        assert_eq!(verify(&theirs.code(&ticket), &[renamed]), Err(BadCode));
        let code = ours.code(&ticket);
        let (signed, _) = code.rsplit_once('.').unwrap();
        let payload = signed.split_once('.').unwrap().1;
        for alg in ["none", "HS256", "ES256"] {
            let header = part(&Header { alg, kid: &ours.id });
            assert_eq!(verify(&format!("{header}.{payload}."), &[ours.public()]), Err(BadCode));
        }
    }

    #[test]
    fn a_key_is_named_by_its_thumbprint_and_never_shows_its_seed() {
        // RFC 8037, appendix A: the key, its thumbprint, and a signature by it.
        let seed = Secret::new("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".to_owned());
        let key = TicketKey::from_seed(&seed).unwrap();
        assert_eq!(key.public().x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.public().kid, "kPrK_qmx");
        let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(BASE64URL_NOPAD.encode(key.pair.sign(signed.as_bytes()).as_ref()), signature);
        assert!(!format!("{key:?} {seed:?}").contains("nWGxne"));
        for bad in ["", "AAAA", "not base64!"] {
            assert_eq!(TicketKey::from_seed(&Secret::new(bad.to_owned())).unwrap_err(), BadKey);
        }
    }
}
