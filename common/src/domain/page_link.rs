//! Links to the pages of a sale that customers keep: its receipt, its tickets. Whoever has one sees the page, so none can be guessed.
//!
//! A link's token is the id's own characters and a MAC over what it leads to, under a key that follows from the oldest ticket key of its
//! tenant and mode. A ticket's has its serial in it: whoever passed a ticket on does not see the new code.

use super::{
    id::{CheckoutId, TicketId},
    scope::Scope,
    secret::Secret,
    ticket::Ticket,
};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How much of the MAC is in a token, bytes.
const MAC_BYTES: usize = 20;
/// Longer texts are no tokens of ours, bytes.
const MAX_TOKEN: usize = 120;
/// What parts this use of the seed from any other one.
const LABEL: &[u8] = b"boxoffice page links 1";

/// What makes and checks the tokens of one tenant and mode.
#[derive(Debug, Clone)]
pub struct PageKey(Secret<Vec<u8>>);

impl PageKey {
    /// Follows from a stored seed.
    pub fn from_seed(seed: &Secret<String>) -> Self {
        Self(Secret::new(mac(seed.reveal().as_bytes(), LABEL)))
    }

    /// The token of a checkout's receipt.
    pub fn receipt(&self, scope: &Scope, checkout: &CheckoutId) -> String {
        let own = own_part(checkout.as_str(), CheckoutId::PREFIX);
        self.token(own, &format!("receipt\n{scope}\n{checkout}"))
    }

    /// The token of a ticket as it is now.
    pub fn ticket(&self, ticket: &Ticket) -> String {
        let own = own_part(ticket.id.as_str(), TicketId::PREFIX);
        self.token(own, &format!("ticket\n{}\n{}\n{}", ticket.scope, ticket.id, ticket.serial))
    }

    fn token(&self, own: &str, about: &str) -> String {
        let mut mac = mac(self.0.reveal(), about.as_bytes());
        mac.truncate(MAC_BYTES);
        format!("{own}-{}", BASE64URL_NOPAD.encode(&mac))
    }
}

/// Whether `shown` is `ours`; takes as long wherever they differ.
pub fn is_same(shown: &str, ours: &str) -> bool {
    shown.as_bytes().ct_eq(ours.as_bytes()).into()
}

/// The checkout that a receipt's token is about. Whether it is genuine is yet to be seen.
pub fn checkout_of(token: &str) -> Option<CheckoutId> {
    claimed(token, CheckoutId::PREFIX).and_then(|id| CheckoutId::parse(id).ok())
}

/// The ticket that a ticket's token is about. Whether it is genuine is yet to be seen.
pub fn ticket_of(token: &str) -> Option<TicketId> {
    claimed(token, TicketId::PREFIX).and_then(|id| TicketId::parse(id).ok())
}

fn claimed(token: &str, prefix: &str) -> Option<String> {
    let (own, _) = token.split_once('-').filter(|(own, _)| token.len() <= MAX_TOKEN && !own.is_empty())?;
    Some(format!("{prefix}_{own}"))
}

fn own_part<'i>(id: &'i str, prefix: &str) -> &'i str {
    id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).unwrap_or(id)
}

/// A key may have any length.
fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{id::Entropy, ticket::tests::ticket, ticket_code::TicketKey};

    fn key(seed: u64) -> PageKey {
        PageKey::from_seed(&TicketKey::new_seed(&Entropy::from_seed(seed)))
    }

    #[test]
    fn a_token_leads_back_to_what_it_is_about_and_cannot_be_made_without_the_key() {
        let (key, ticket) = (key(1), ticket());
        let (receipt, own) = (key.receipt(&ticket.scope, &ticket.checkout), key.ticket(&ticket));
        assert_eq!((checkout_of(&receipt), ticket_of(&own)), (Some(ticket.checkout.clone()), Some(ticket.id.clone())));
        assert!(is_same(&receipt, &key.receipt(&ticket.scope, &ticket.checkout)));
        assert!(receipt.len() >= 26 + 1 + 27, "{receipt}");
        let live = Scope::new("demo", crate::domain::scope::Mode::Live).unwrap();
        for other in [self::key(2).receipt(&ticket.scope, &ticket.checkout), key.receipt(&live, &ticket.checkout), own] {
            assert!(!is_same(&other, &receipt));
        }
        for bad in ["", "-", "x", "é-x", &"x".repeat(1_000)] {
            assert_eq!(checkout_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_ticket_that_was_passed_on_has_another_link() {
        let (key, ticket) = (key(1), ticket());
        let passed_on = Ticket { serial: 2, ..ticket.clone() };
        assert!(!is_same(&key.ticket(&ticket), &key.ticket(&passed_on)));
    }

    #[test]
    fn the_key_is_not_the_seed_and_shows_neither() {
        let seed = TicketKey::new_seed(&Entropy::from_seed(1));
        let key = PageKey::from_seed(&seed);
        assert_ne!(key.0.reveal().as_slice(), seed.reveal().as_bytes());
        assert!(format!("{key:?}").contains("redacted"));
    }
}
