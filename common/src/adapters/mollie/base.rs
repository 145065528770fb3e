//! Mollie's address, and what may stand in a path there.

/// Where Mollie is, unless `BOXOFFICE_MOLLIE_URL` says otherwise.
pub const MOLLIE_URL: &str = "https://api.mollie.com/";

/// The longest id of Mollie's that we take; theirs have about 25 characters.
const MAX_ID: usize = 64;

/// Whether a text may stand for an id in a path and in the store: `prefix`, and then letters, digits and `_`.
pub(super) fn is_id(text: &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    (1..=MAX_ID).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_lead_elsewhere() {
        assert!(is_id("tr_5B8cwPMGnU6qLbRvo7qEZo", "tr_"));
        for bad in ["tr_", "tr_a/refunds", "tr_a?x", "re_5B8", "tr_é", "tr_..", &format!("tr_{}", "a".repeat(65))] {
            assert!(!is_id(bad, "tr_"), "{bad}");
        }
    }
}
