//! The key ring: sealing what rests on disk, and fingerprints that name a secret without showing it.

use std::{fmt, sync::Arc};

/// A short keyed fingerprint of a secret (HMAC-SHA-256, 16 hex digits): equal secrets have equal
/// fingerprints in all records, and nobody without the key can test a guess.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(Arc<str>);

impl Fingerprint {
    /// The text that stands in records: 16 hex digits.
    pub fn as_arc(&self) -> &Arc<str> {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key for one member's (or application's) rows and bodies; stored only wrapped by the ring.
/// Forgetting a member is deleting this one small key.
#[derive(Clone, Debug)]
pub struct DataKey;

/// The operator's keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyRing;

/// Something sealed did not open: wrong key, wrong place, or damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed data does not open: wrong key, moved or damaged")]
pub struct Unsealable;

impl KeyRing {
    /// A ring with one random key, for tests and the demo.
    pub fn random() -> Self {
        todo!()
    }
    /// The keyed fingerprint of `secret`.
    pub fn fingerprint(&self, secret: &[u8]) -> Fingerprint {
        todo!("{secret:?}")
    }
    /// A new random data key.
    pub fn new_data_key(&self) -> DataKey {
        todo!()
    }
    /// Wraps a data key for storage; `place` names whose it is.
    pub fn wrap(&self, key: &DataKey, place: &str) -> Vec<u8> {
        todo!("{key:?}{place}")
    }
    /// Opens a wrapped data key.
    ///
    /// # Errors
    /// [`Unsealable`].
    pub fn unwrap(&self, wrapped: &[u8], place: &str) -> Result<DataKey, Unsealable> {
        todo!("{wrapped:?}{place}")
    }
}

impl DataKey {
    /// Seals `plain` (XChaCha20-Poly1305, random nonce); `place` is the associated data.
    pub fn seal(&self, plain: &[u8], place: &str) -> Vec<u8> {
        todo!("{plain:?}{place}")
    }
    /// Opens what [`DataKey::seal`] made for the same place.
    ///
    /// # Errors
    /// [`Unsealable`].
    pub fn open(&self, sealed: &[u8], place: &str) -> Result<Vec<u8>, Unsealable> {
        todo!("{sealed:?}{place}")
    }
}

/// Fingerprints of all secrets that are alive (tokens, refresh tokens, keys, client secrets):
/// the redaction door asks it about every token-shaped run of text. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LiveSecrets;

impl LiveSecrets {
    /// An empty set whose fingerprints are made with `ring`.
    pub fn new(ring: KeyRing) -> Self {
        todo!("{ring:?}")
    }
    /// Adds a secret by its value; only the fingerprint is kept.
    pub fn add(&self, secret: &[u8]) -> Fingerprint {
        todo!("{secret:?}")
    }
    /// Forgets a secret that is dead for good.
    pub fn remove(&self, fingerprint: &Fingerprint) {
        todo!("{fingerprint:?}")
    }
    /// The fingerprint of `text` if it is a live secret.
    pub fn find(&self, text: &[u8]) -> Option<Fingerprint> {
        todo!("{text:?}")
    }
}
