//! An exchange's own secrets, in every form in which they could stand somewhere.

use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL, Encoding, HEXLOWER, HEXUPPER};
use memchr::memmem;

use crate::keyring::{Fingerprint, KeyRing};

/// Shorter than this a secret would be found in everything.
const SHORTEST_SECRET: usize = 4;

/// The shortest piece of base64 that is looked for: shorter ones occur by chance.
const SHORTEST_PIECE: usize = 8;

/// How much of a form is searched for before the rest is compared.
const LEAD: usize = 24;

/// How much of a secret at a cut-off end counts as that secret.
const SHORTEST_PREFIX: usize = 12;

/// One form of one secret.
#[derive(Debug)]
pub(super) struct Needle {
    form: Vec<u8>,
    /// Finds the beginning of `form`: making one for a whole token takes longer than most searches.
    finder: memmem::Finder<'static>,
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

/// All forms of all `secrets` that cannot be had by decoding the text.
pub(super) fn needles(secrets: &[Bytes], ring: &KeyRing) -> Vec<Needle> {
    let mut needles: Vec<Needle> = Vec::new();
    for secret in secrets
        .iter()
        .filter(|secret| secret.len() >= SHORTEST_SECRET)
    {
        let fingerprint = ring.fingerprint(secret);
        for (form, is_base64) in forms(secret) {
            if needles.iter().any(|known| known.form == form) {
                continue;
            }
            let lead = form.get(..LEAD).unwrap_or(&form);
            needles.push(Needle {
                finder: memmem::Finder::new(lead).into_owned(),
                form,
                is_base64,
                fingerprint: fingerprint.clone(),
            });
        }
    }
    needles
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
    /// Where this form stands in `text`.
    pub(super) fn hits<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = Hit<'a>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            loop {
                let rest = text
                    .get(from..)
                    .filter(|rest| rest.len() >= self.form.len())?;
                let start = from + self.finder.find(rest)?;
                let is_whole = text.get(start..)?.starts_with(&self.form);
                // A beginning that went on otherwise may overlap with the true one.
                from = start + if is_whole { self.form.len() } else { 1 };
                if is_whole {
                    return Some(self.hit(text, start, start + self.form.len()));
                }
            }
        })
    }

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
    pub(super) fn cut_hit(&self, text: &[u8]) -> Option<Hit<'_>> {
        let form = self.form.as_slice();
        let longest = form.len().min(text.len());
        let length = (SHORTEST_PREFIX..=longest).rev().find(|length| {
            form.get(..*length)
                .is_some_and(|prefix| text.ends_with(prefix))
        })?;
        Some(self.hit(text, text.len() - length, text.len()))
    }
}
