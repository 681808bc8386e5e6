//! Which secrets are alive, by fingerprint: what the redaction door asks about token-shaped text.
//!
//! **Invariant:** holds no secret, only keyed tags; a guess cannot be tested without the ring.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dashmap::{DashMap, Entry};

use super::{Fingerprint, KeyRing};

/// Fingerprints of all secrets that are alive (tokens, refresh tokens, keys, client secrets):
/// the redaction door asks it about every token-shaped run of text. Cheap to clone.
#[derive(Clone)]
pub struct LiveSecrets(Arc<Live>);

struct Live {
    ring: KeyRing,
    tags: DashMap<u64, Fingerprint>,
    /// Rises with every secret that was not alive before.
    generation: AtomicU64,
}

impl fmt::Debug for LiveSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveSecrets({})", self.0.tags.len())
    }
}

impl LiveSecrets {
    /// An empty set whose fingerprints are made with `ring`.
    pub fn new(ring: KeyRing) -> Self {
        let tags = DashMap::new();
        let generation = AtomicU64::new(0);
        Self(Arc::new(Live {
            ring,
            tags,
            generation,
        }))
    }

    /// Adds a secret by its value; only the fingerprint is kept.
    pub fn add(&self, secret: &[u8]) -> Fingerprint {
        let tag = self.0.ring.tag(secret);
        self.insert(tag, || Fingerprint::from_tag(tag))
    }

    /// Adds a secret that is known by its fingerprint alone, such as a caller's key after a restart.
    pub fn add_known(&self, fingerprint: &Fingerprint) {
        if let Some(tag) = tag_of(fingerprint) {
            self.insert(tag, || fingerprint.clone());
        }
    }

    /// The tag first, then the generation, and both before anybody else who adds the same goes on.
    fn insert(&self, tag: u64, fingerprint: impl FnOnce() -> Fingerprint) -> Fingerprint {
        match self.0.tags.entry(tag) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                let added = place.insert(fingerprint());
                self.0.generation.fetch_add(1, Ordering::Release);
                added.clone()
            }
        }
    }

    /// Another number whenever a secret became alive: until then, what was no live secret is none.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// The fingerprint of `secret`, which is not added.
    pub fn fingerprint(&self, secret: &[u8]) -> Fingerprint {
        self.0.ring.fingerprint(secret)
    }

    /// Forgets a secret that is dead for good.
    pub fn remove(&self, fingerprint: &Fingerprint) {
        if let Some(tag) = tag_of(fingerprint) {
            self.0.tags.remove(&tag);
        }
    }

    /// The fingerprint of `text` if it is a live secret.
    pub fn find(&self, text: &[u8]) -> Option<Fingerprint> {
        let tag = self.0.ring.tag(text);
        self.0.tags.get(&tag).map(|found| found.clone())
    }
}

fn tag_of(fingerprint: &Fingerprint) -> Option<u64> {
    u64::from_str_radix(fingerprint.as_arc(), 16).ok()
}
