//! Ids that sort by creation: a prefix, a counter and noise, all letters and digits.

use std::hash::{BuildHasher, Hasher, RandomState};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes ids and secrets. Two stand-ins never make the same ones.
#[derive(Debug)]
pub(super) struct Ids {
    noise: RandomState,
    count: u64,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self { noise: RandomState::new(), count: 0 }
    }

    /// `pi` → `pi_3` + 24 characters, greater than every id of that kind before.
    pub(super) fn next(&mut self, prefix: &str) -> String {
        self.count += 1;
        let mut id = String::with_capacity(prefix.len() + 26);
        id.push_str(prefix);
        id.push_str("_3");
        push(&mut id, self.count, 8);
        self.noise(&mut id, 16);
        id
    }

    /// A secret's characters.
    pub(super) fn secret(&mut self, length: usize) -> String {
        self.count += 1;
        let mut text = String::with_capacity(length);
        self.noise(&mut text, length);
        text
    }

    fn noise(&self, to: &mut String, length: usize) {
        let end = to.len() + length;
        let mut round = 0;
        while to.len() < end {
            let mut hasher = self.noise.build_hasher();
            hasher.write_u64(self.count);
            hasher.write_u64(round);
            push(to, hasher.finish(), (end - to.len()).min(10));
            round += 1;
        }
    }
}

/// The last `width` digits of `number` in base 62.
fn push(to: &mut String, mut number: u64, width: usize) {
    let mut digits = [b'0'; 10];
    for digit in digits.iter_mut().rev() {
        *digit = usize::try_from(number % 62).ok().and_then(|n| DIGITS.get(n)).copied().unwrap_or(b'0');
        number /= 62;
    }
    to.extend(digits.iter().skip(10_usize.saturating_sub(width)).map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_as_they_were_made_and_never_repeat() {
        let mut ids = Ids::new();
        let made: Vec<String> = (0..5000).map(|_| ids.next("pi")).collect();
        assert!(made.is_sorted() && made.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(made.iter().all(|id| id.len() == 28 && id.starts_with("pi_3")), "{:?}", made.first());
        assert_eq!(ids.secret(25).len(), 25);
    }
}
