//! Which secrets are alive, by fingerprint: what the redaction door asks about token-shaped text.
//!
//! **Invariant:** holds no secret, only keyed tags; a guess cannot be tested without the ring.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
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
    /// What was alive at the start, in order: two for each grant, 8 bytes each, and put there without a lock.
    first: OnceLock<Box<[Tag]>>,
    /// What came since, and what of the first ones is over: whether it is alive. Of the first ones it keeps what is over until
    /// the next start, 16 bytes each.
    since: DashMap<Tag, bool, RandomState>,
    /// Rises with every secret that was not alive before.
    generation: AtomicU64,
}

impl fmt::Debug for LiveSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveSecrets({})", self.0.len())
    }
}

impl LiveSecrets {
    /// An empty set whose fingerprints are made with `ring`.
    pub fn new(ring: KeyRing) -> Self {
        Self(Arc::new(Live {
            ring,
            first: OnceLock::new(),
            since: DashMap::default(),
            generation: AtomicU64::new(0),
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
        let added = match self.0.since.entry(tag) {
            Entry::Occupied(place) if *place.get() => return,
            Entry::Occupied(mut place) => {
                place.insert(true);
                place.into_ref()
            }
            Entry::Vacant(_) if self.0.was_there(tag) => return,
            Entry::Vacant(place) => place.insert(true),
        };
        self.0.generation.fetch_add(1, Ordering::Release);
        drop(added);
    }

    /// Adds very many at once: those that a start finds. A second time they are added one by one. For while nobody else
    /// adds: [`LiveSecrets::add_tag`] of one of these may return before the generation rises.
    pub fn add_first(&self, mut tags: Vec<Tag>) {
        tags.sort_unstable();
        tags.dedup();
        if let Err(tags) = self.0.first.set(tags.into_boxed_slice()) {
            tags.iter().for_each(|tag| self.add_tag(*tag));
            return;
        }
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// Whether those that a start finds were added.
    pub fn has_first(&self) -> bool {
        self.0.first.get().is_some()
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
        let Some(tag) = fingerprint.tag() else {
            return;
        };
        match self.0.was_there(tag) {
            true => drop(self.0.since.insert(tag, false)),
            false => drop(self.0.since.remove(&tag)),
        }
    }

    /// The fingerprint of `text` if it is a live secret.
    pub fn find(&self, text: &[u8]) -> Option<Fingerprint> {
        let tag = self.0.ring.tag(text);
        self.0.has(tag).then(|| tag.into())
    }
}

impl Live {
    fn was_there(&self, tag: Tag) -> bool {
        let first = self.first.get();
        first.is_some_and(|first| first.binary_search(&tag).is_ok())
    }

    fn has(&self, tag: Tag) -> bool {
        match self.since.get(&tag) {
            Some(is_alive) => *is_alive,
            None => self.was_there(tag),
        }
    }

    /// How many were ever alive, about.
    fn len(&self) -> usize {
        self.first.get().map_or(0, |first| first.len()) + self.since.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_alive_at_the_start_dies_and_comes_back_as_any_other() {
        let live = LiveSecrets::new(KeyRing::random());
        let tags = [b"old" as &[u8], b"older"].map(|secret| live.0.ring.tag(secret));
        live.add(b"early");
        let before = live.generation();

        live.add_first([tags[1], tags[0], tags[1]].into());

        assert!(live.generation() > before);
        let known = |secrets: [&[u8]; 4]| secrets.map(|secret| live.find(secret).is_some());
        let all: [&[u8]; 4] = [b"old", b"older", b"early", b"never"];
        assert_eq!(known(all), [true, true, true, false]);
        let before = live.generation();
        let old = live.add(b"old");
        assert_eq!(live.generation(), before, "it was alive");

        live.remove(&old);
        assert_eq!(known(all), [false, true, true, false]);
        live.add(b"old");
        assert_eq!(known(all), [true, true, true, false]);
        assert!(live.generation() > before, "it was dead");
    }

    #[test]
    fn a_start_that_finds_nobody_was_the_start_all_the_same() {
        let live = LiveSecrets::new(KeyRing::random());
        live.add(b"early");
        assert!(!live.has_first());

        live.add_first(Vec::new());

        assert!(live.has_first());
    }

    #[test]
    fn first_ones_that_come_twice_are_all_alive() {
        let live = LiveSecrets::new(KeyRing::random());

        for secret in [b"a", b"b"] {
            live.add_first(vec![live.0.ring.tag(secret)]);
        }

        assert!(live.find(b"a").is_some() && live.find(b"b").is_some());
    }
}
