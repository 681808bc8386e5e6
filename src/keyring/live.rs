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
use foldhash::fast::RandomState;

use super::{Fingerprint, KeyRing, Tag};

/// Fingerprints of all secrets that are alive (tokens, refresh tokens, keys, client secrets):
/// the redaction door asks it about every token-shaped run of text. Cheap to clone.
#[derive(Clone)]
pub struct LiveSecrets(Arc<Live>);

struct Live {
    ring: KeyRing,
    /// Numbers and not their texts: two for each grant, 20 bytes each in place of 100.
    tags: DashMap<Tag, (), RandomState>,
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
        let tags = DashMap::default();
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
        self.add_tag(tag);
        tag.into()
    }

    /// Adds a secret that is known by its fingerprint alone, such as a caller's key after a restart.
    pub fn add_known(&self, fingerprint: &Fingerprint) {
        if let Some(tag) = fingerprint.tag() {
            self.add_tag(tag);
        }
    }

    /// The same by the fingerprint's number. The tag first, then the generation, and both before anybody
    /// else who adds the same goes on.
    pub fn add_tag(&self, tag: Tag) {
        if let Entry::Vacant(place) = self.0.tags.entry(tag) {
            let _added = place.insert(());
            self.0.generation.fetch_add(1, Ordering::Release);
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
        if let Some(tag) = fingerprint.tag() {
            self.0.tags.remove(&tag);
        }
    }

    /// The fingerprint of `text` if it is a live secret.
    pub fn find(&self, text: &[u8]) -> Option<Fingerprint> {
        let tag = self.0.ring.tag(text);
        self.0.tags.contains_key(&tag).then(|| tag.into())
    }
}
