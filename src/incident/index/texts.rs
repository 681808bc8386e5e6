//! A set of short texts that lie behind each other in one buffer: none has a piece of memory of its own.
//!
//! The words of lines are looked up by the hundred for each line. A set of the standard library's, with an allocation
//! for each text and a hasher for each look, took half of the index's time.
//!
//! **Invariant:** two texts are the same only if all their bytes are; the hash but says where to look.
//!
//! **Neighbours:** `words` gathers in it.

use std::hash::{BuildHasher as _, RandomState};

/// Places at the beginning; twice as many as the different texts of 16 usual lines.
const PLACES: usize = 2_048;

/// The set.
#[derive(Debug)]
pub(super) struct Texts {
    /// Where the hashes begin, which nobody knows: no caller can choose texts that meet in one place.
    seed: u64,
    /// The texts, a space behind each.
    bytes: Vec<u8>,
    /// A power of two of them, at most half of them taken.
    places: Vec<Place>,
    taken: usize,
}

/// Where a text stands; none has the length 0.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    hash: u32,
    start: u32,
    length: u32,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            seed: RandomState::new().hash_one(0),
            bytes: Vec::new(),
            places: vec![Place::default(); PLACES],
            taken: 0,
        }
    }
}

impl Texts {
    /// Adds `text`, and says whether it was not there. An empty one always is.
    pub(super) fn add(&mut self, text: &[u8]) -> bool {
        let (Ok(start), Ok(length)) = (u32::try_from(self.bytes.len()), u32::try_from(text.len()))
        else {
            // Beyond 4 GiB: said once more than needed, and not kept.
            return true;
        };
        if length == 0 {
            return false;
        }
        let hash = hash(self.seed, text);
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(place) = self.places.get(at).filter(|place| place.length > 0) {
            if (place.hash, place.length) == (hash, length) && self.text_at(*place) == text {
                return false;
            }
            at = (at + 1) & mask;
        }
        self.bytes.extend_from_slice(text);
        self.bytes.push(b' ');
        if let Some(place) = self.places.get_mut(at) {
            *place = Place {
                hash,
                start,
                length,
            };
        }
        self.taken += 1;
        if self.taken * 2 > self.places.len() {
            self.grow();
        }
        true
    }

    /// All texts, in the order in which they came, a space behind each.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Begins anew. What grew beyond the usual is given back.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.truncate(PLACES);
        self.places.shrink_to(PLACES);
        self.places.fill(Place::default());
        self.taken = 0;
    }

    fn text_at(&self, place: Place) -> &[u8] {
        let (start, length) = (place.start as usize, place.length as usize);
        self.bytes.get(start..start + length).unwrap_or_default()
    }

    fn grow(&mut self) {
        let mut places = vec![Place::default(); self.places.len() * 2];
        let mask = places.len() - 1;
        for place in self.places.iter().filter(|place| place.length > 0) {
            let mut at = place.hash as usize & mask;
            while places.get(at).is_some_and(|taken| taken.length > 0) {
                at = (at + 1) & mask;
            }
            if let Some(free) = places.get_mut(at) {
                *free = *place;
            }
        }
        self.places = places;
    }
}

/// Eight bytes at once; the last eight overlap with those before. Texts that differ are compared byte by byte, so that
/// no better one is needed.
fn hash(seed: u64, text: &[u8]) -> u32 {
    let mut state = seed ^ text.len() as u64;
    if let Some(last) = text.last_chunk::<8>() {
        let (words, _rest) = text.as_chunks::<8>();
        for word in words {
            state = fold(state ^ u64::from_le_bytes(*word));
        }
        state = fold(state ^ u64::from_le_bytes(*last));
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let both =
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
        state = fold(state ^ both);
    } else {
        let few = text.iter().fold(0, |few, byte| few << 8 | u64::from(*byte));
        state = fold(state ^ few);
    }
    let [low, high] = [state & u64::from(u32::MAX), state >> 32];
    u32::try_from(low ^ high).unwrap_or_default()
}

fn fold(word: u64) -> u64 {
    // Any odd number with as many ones as zeroes: both halves of the product count.
    let product = u128::from(word) * 0x9e37_79b9_7f4a_7c15_u128;
    let [low, high] = [product & u128::from(u64::MAX), product >> 64];
    u64::try_from(low ^ high).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_says_what_a_set_of_the_standard_library_says(
            texts in prop::collection::vec("[a-c]{0,20}", 0..200),
        ) {
            let (mut ours, mut theirs) = (Texts::default(), HashSet::new());
            for round in 0..2 {
                for text in &texts {
                    let is_new = !text.is_empty() && theirs.insert(text.clone());
                    prop_assert_eq!(ours.add(text.as_bytes()), is_new, "{} in round {}", text, round);
                }
            }
            let all: String = ours.bytes().iter().copied().map(char::from).collect();
            prop_assert_eq!(all.split_terminator(' ').count(), theirs.len());
            prop_assert!(all.split_terminator(' ').all(|text| theirs.contains(text)));
        }
    }

    #[test]
    fn many_are_kept_apart_and_what_they_took_is_given_back() {
        // Of so many, ten have their hash in common with another.
        const MANY: usize = 300_000;
        let mut texts = Texts::default();

        let added = |texts: &mut Texts| {
            let all = (0..MANY).map(|n| format!("{n:08}"));
            all.filter(|text| texts.add(text.as_bytes())).count()
        };
        assert_eq!(added(&mut texts), MANY);
        assert_eq!(added(&mut texts), 0);
        assert!(texts.places.len() >= 2 * MANY);
        texts.clear();

        assert_eq!((texts.places.len(), texts.bytes().len()), (PLACES, 0));
        assert!(texts.add(b"1"));
        assert!(!texts.add(b"1"));
    }
}
