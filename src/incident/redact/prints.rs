//! Fingerprints of secrets that come again: a caller's key stands in every exchange of that caller.
//!
//! To make one takes an HMAC, several blocks of SHA-256; to look it up one short hash.
//!
//! **Invariant:** keeps no secret, only its hash under a key that nobody knows, and what may be read in any record.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, PoisonError},
};

use crate::keyring::{Fingerprint, KeyRing};

/// Fingerprints that are remembered; with one more all are forgotten.
const MAX_KNOWN: usize = 1_024;

/// What was made before.
#[derive(Debug, Default)]
pub(super) struct Prints {
    hasher: RandomState,
    known: Mutex<HashMap<u64, Fingerprint>>,
}

impl Prints {
    /// The fingerprint that `ring`, always the same, makes of `secret`.
    pub(super) fn of(&self, secret: &[u8], ring: &KeyRing) -> Fingerprint {
        let hash = self.hasher.hash_one(secret);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fingerprint) = known.get(&hash) {
            return fingerprint.clone();
        }
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        let fingerprint = ring.fingerprint(secret);
        known.insert(hash, fingerprint.clone());
        fingerprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_the_ring_says_and_is_bounded() {
        let (prints, ring) = (Prints::default(), KeyRing::random());

        for n in 0..MAX_KNOWN + 10 {
            let secret = format!("secret {}", n / 2);
            let expected = ring.fingerprint(secret.as_bytes());
            assert_eq!(prints.of(secret.as_bytes(), &ring), expected);
        }
        for n in 0..MAX_KNOWN {
            prints.of(format!("another {n}").as_bytes(), &ring);
        }

        assert!(prints.known.lock().unwrap().len() <= MAX_KNOWN);
    }
}
