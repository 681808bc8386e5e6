//! An exchange's own secrets, in every form in which they could stand somewhere.

use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL, Encoding, HEXLOWER, HEXUPPER};

use crate::keyring::{Fingerprint, KeyRing};

/// Shorter than this a secret would be found in everything.
const SHORTEST_SECRET: usize = 4;

/// The shortest piece of base64 that is looked for: shorter ones occur by chance.
const SHORTEST_PIECE: usize = 8;

/// How much of a secret at a cut-off end counts as that secret.
const SHORTEST_PREFIX: usize = 12;

/// One form of one secret.
#[derive(Debug)]
pub(super) struct Needle {
    form: Vec<u8>,
    /// Base64 shares its first and last characters with the neighbouring bytes.
    is_base64: bool,
    fingerprint: Fingerprint,
}

/// A place where a needle was found, in the text that was searched.
pub(super) struct Hit<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) fingerprint: &'a Fingerprint,
}

/// All forms of an exchange's secrets, looked for in one pass.
///
/// There are some thirty forms and a hundred short texts in an exchange: a search for each form in each text takes
/// longer than all else that is done for a record.
#[derive(Debug)]
pub(super) struct Needles {
    all: Vec<Needle>,
    /// One bit for each pair of bytes with which a form begins.
    leads: Vec<u64>,
    shortest: usize,
}

/// All forms of all `secrets` that cannot be had by decoding the text.
pub(super) fn needles(secrets: &[Bytes], ring: &KeyRing) -> Needles {
    let mut all: Vec<Needle> = Vec::new();
    for secret in secrets
        .iter()
        .filter(|secret| secret.len() >= SHORTEST_SECRET)
    {
        let fingerprint = ring.fingerprint(secret);
        for (form, is_base64) in forms(secret) {
            if all.iter().any(|known| known.form == form) {
                continue;
            }
            all.push(Needle {
                form,
                is_base64,
                fingerprint: fingerprint.clone(),
            });
        }
    }
    Needles::of(all)
}

impl Needles {
    fn of(all: Vec<Needle>) -> Self {
        let mut leads = vec![0; (1 << 16) / 64];
        for needle in &all {
            if let [first, second, ..] = needle.form.as_slice() {
                let (word, bit) = lead(*first, *second);
                if let Some(word) = leads.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        let shortest = all.iter().map(|needle| needle.form.len()).min();
        Self {
            all,
            leads,
            shortest: shortest.unwrap_or(usize::MAX),
        }
    }

    /// Calls `found` with every place where one of the forms stands in `text`.
    pub(super) fn hits(&self, text: &[u8], mut found: impl FnMut(&Hit<'_>)) {
        if text.len() < self.shortest {
            return;
        }
        // Up to where each form was found already: it does not overlap with itself.
        let mut free_from = Vec::new();
        for (start, (first, second)) in text.iter().zip(text.iter().skip(1)).enumerate() {
            let (word, bit) = lead(*first, *second);
            if self.leads.get(word).is_none_or(|leads| leads & bit == 0) {
                continue;
            }
            let rest = text.get(start..).unwrap_or_default();
            for (n, needle) in self.all.iter().enumerate() {
                if !rest.starts_with(&needle.form) {
                    continue;
                }
                free_from.resize(self.all.len(), 0);
                if let Some(free_from) = free_from.get_mut(n).filter(|from| **from <= start) {
                    *free_from = start + needle.form.len();
                    found(&needle.hit(text, start, *free_from));
                }
            }
        }
    }

    /// Calls `found` with every form whose beginning stands at the cut-off end of `text`.
    pub(super) fn cut_hits(&self, text: &[u8], mut found: impl FnMut(&Hit<'_>)) {
        for hit in self.all.iter().filter_map(|needle| needle.cut_hit(text)) {
            found(&hit);
        }
    }
}

/// The word and the bit of a pair of bytes.
fn lead(first: u8, second: u8) -> (usize, u64) {
    let pair = u16::from_le_bytes([first, second]);
    (usize::from(pair >> 6), 1 << (pair & 63))
}

fn forms(secret: &[u8]) -> impl Iterator<Item = (Vec<u8>, bool)> {
    let plain = [
        secret.to_vec(),
        HEXLOWER.encode(secret).into_bytes(),
        HEXUPPER.encode(secret).into_bytes(),
    ];
    let pieces = [BASE64, BASE64URL]
        .into_iter()
        .flat_map(|alphabet| (0..3).map(move |shift| (alphabet.clone(), shift)))
        .filter_map(|(alphabet, shift)| base64_piece(&alphabet, secret, shift))
        .map(|piece| (piece, true))
        .collect::<Vec<_>>();
    plain.into_iter().map(|form| (form, false)).chain(pieces)
}

/// The base64 characters that `secret` alone decides when `shift` bytes stand before it.
fn base64_piece(alphabet: &Encoding, secret: &[u8], shift: usize) -> Option<Vec<u8>> {
    let shifted: Vec<u8> = std::iter::repeat_n(0, shift)
        .chain(secret.iter().copied())
        .collect();
    let encoded = alphabet.encode(&shifted).into_bytes();
    // Every character carries 6 bits: those begun by the bytes before, and an unfinished last one, vary.
    let first = (shift * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    let piece = encoded.get(first..last)?;
    (piece.len() >= SHORTEST_PIECE).then(|| piece.to_vec())
}

impl Needle {
    fn hit(&self, text: &[u8], start: usize, end: usize) -> Hit<'_> {
        let (start, end) = self.with_neighbours(text, start, end);
        Hit {
            start,
            end,
            fingerprint: &self.fingerprint,
        }
    }

    /// Takes in the base64 characters at both ends that carry some of the secret's bits.
    fn with_neighbours(&self, text: &[u8], start: usize, end: usize) -> (usize, usize) {
        if !self.is_base64 {
            return (start, end);
        }
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
        let before = start.checked_sub(1).and_then(|before| text.get(before));
        let start = start - usize::from(before.is_some_and(is_base64));
        let end = end + usize::from(text.get(end).is_some_and(is_base64));
        (start, end)
    }

    /// Where `text` ends in the beginning of this form, because it was cut off there.
    fn cut_hit(&self, text: &[u8]) -> Option<Hit<'_>> {
        let form = self.form.as_slice();
        let longest = form.len().min(text.len());
        let length = (SHORTEST_PREFIX..=longest).rev().find(|length| {
            form.get(..*length)
                .is_some_and(|prefix| text.ends_with(prefix))
        })?;
        Some(self.hit(text, text.len() - length, text.len()))
    }
}
