//! An exchange's own secrets, in every form in which they could stand somewhere.
//!
//! There are nine forms of each secret and a hundred short texts in an exchange, and hardly any form stands in any
//! text. So of a form only its beginning is made, and a text is looked at once in ten bytes: where none of the
//! beginnings can end, the search leaps (Wu and Manber, 1994). The whole form is made where its beginning was found.
//!
//! **Invariant:** what is found is what a search for each whole form at each place would find.

use std::{cell::OnceCell, fmt};

use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL, Encoding, HEXLOWER, HEXUPPER};

use super::prints::Prints;
use crate::keyring::{Fingerprint, KeyRing};

/// Shorter than this a secret would be found in everything.
const SHORTEST_SECRET: usize = 4;

/// The shortest piece of base64 that is looked for: shorter ones occur by chance.
const SHORTEST_PIECE: usize = 8;

/// How much of a secret at a cut-off end counts as that secret.
const SHORTEST_PREFIX: usize = 12;

/// Bytes of a secret that the beginnings of its forms are made of.
const BEGINNING: usize = 12;
/// Bytes of a form that are its beginning, at most; that much comes of [`BEGINNING`] in any form.
const HEAD: usize = 12;

/// How a secret may be written, where decoding the text does not undo it.
#[derive(Clone, Copy)]
enum Form {
    Plain,
    HexLower,
    HexUpper,
    /// With so many bytes before it.
    Base64(usize),
    Base64Url(usize),
}

const FORMS: [Form; 9] = [
    Form::Plain,
    Form::HexLower,
    Form::HexUpper,
    Form::Base64(0),
    Form::Base64(1),
    Form::Base64(2),
    Form::Base64Url(0),
    Form::Base64Url(1),
    Form::Base64Url(2),
];

/// One of the exchange's secrets, and its fingerprint where that was made already: a token's costs 17 blocks of
/// SHA-256.
pub(in crate::incident) struct Own {
    pub(in crate::incident) secret: Bytes,
    pub(in crate::incident) fingerprint: Option<Fingerprint>,
}

/// The same, once.
struct Secret {
    bytes: Bytes,
    fingerprint: OnceCell<Fingerprint>,
}

/// One form of one secret.
struct Needle {
    form: Form,
    /// Whose form it is, by its place.
    secret: usize,
    head: [u8; HEAD],
    head_length: usize,
    /// The form itself, once it is asked for.
    whole: OnceCell<Vec<u8>>,
}

/// A place where a needle was found, in the text that was searched.
pub(super) struct Hit<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) fingerprint: &'a Fingerprint,
}

/// All forms of an exchange's secrets, looked for in one pass.
pub(super) struct Needles<'r> {
    ring: &'r KeyRing,
    prints: &'r Prints,
    secrets: Vec<Secret>,
    all: Vec<Needle>,
    /// How far the search may go on from a pair of bytes before one of the beginnings can end.
    leaps: Box<[u8]>,
    /// Bytes of the shortest beginning.
    window: usize,
}

/// Pairs that share a place leap as the shorter one does.
const LEAPS: usize = 1 << 12;

impl fmt::Debug for Needles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needles({})", self.secrets.len())
    }
}

/// All forms of all `secrets` that cannot be had by decoding the text.
pub(super) fn needles<'r>(secrets: Vec<Own>, ring: &'r KeyRing, prints: &'r Prints) -> Needles<'r> {
    let mut known: Vec<Secret> = Vec::with_capacity(secrets.len());
    for own in secrets {
        let fingerprint = own.fingerprint.map(OnceCell::from).unwrap_or_default();
        match known.iter_mut().find(|known| known.bytes == own.secret) {
            Some(known) if known.fingerprint.get().is_none() => known.fingerprint = fingerprint,
            None if own.secret.len() >= SHORTEST_SECRET => known.push(Secret {
                bytes: own.secret,
                fingerprint,
            }),
            Some(_) | None => {}
        }
    }
    let mut all = Vec::with_capacity(known.len() * FORMS.len());
    for (n, secret) in known.iter().enumerate() {
        let needle = |form| Needle::of(form, n, &secret.bytes);
        all.extend(FORMS.into_iter().filter_map(needle));
    }
    let (leaps, window) = leaps(&all);
    Needles {
        ring,
        prints,
        secrets: known,
        all,
        leaps,
        window,
    }
}

/// How far a search for `all` leaps, and the bytes of their shortest beginning.
fn leaps(all: &[Needle]) -> (Box<[u8]>, usize) {
    let window = all.iter().map(|needle| needle.head_length).min();
    let window = window.unwrap_or(0);
    // A pair that is in no beginning: the next one starts behind its first byte.
    let longest = u8::try_from(window.saturating_sub(1)).unwrap_or(0);
    let mut leaps = vec![longest; LEAPS].into_boxed_slice();
    for needle in all {
        let head = needle.head.get(..window).unwrap_or_default();
        let pairs = head.iter().zip(head.iter().skip(1));
        // What a pair's end is away from that of the beginning.
        let to_end = (0..window.saturating_sub(1)).rev();
        for ((first, second), to_end) in pairs.zip(to_end) {
            if let Some(leap) = leaps.get_mut(pair(*first, *second)) {
                *leap = u8::try_from(to_end).unwrap_or(0).min(*leap);
            }
        }
    }
    (leaps, window)
}

impl Needles<'_> {
    /// Calls `found` with every place where one of the forms stands in `text`.
    pub(super) fn hits(&self, text: &[u8], mut found: impl FnMut(&Hit<'_>)) {
        let Some(before_pair) = self.window.checked_sub(2) else {
            return;
        };
        // Up to where each form was found already: it does not overlap with itself.
        let mut free_from = Vec::new();
        let mut start = 0;
        while let Some([first, second]) = text.get(start + before_pair..start + self.window) {
            let leap = self.leaps.get(pair(*first, *second)).copied().unwrap_or(0);
            if leap > 0 {
                start += usize::from(leap);
                continue;
            }
            self.hits_at(text, start, &mut free_from, &mut found);
            start += 1;
        }
    }

    fn hits_at(
        &self,
        text: &[u8],
        start: usize,
        free_from: &mut Vec<usize>,
        found: &mut impl FnMut(&Hit<'_>),
    ) {
        let rest = text.get(start..).unwrap_or_default();
        // What is written alike in two forms is found as the first of them.
        let mut told = None;
        for (n, needle) in self.all.iter().enumerate() {
            if !rest.starts_with(needle.head()) || !rest.starts_with(self.whole(needle)) {
                continue;
            }
            let end = start + self.whole(needle).len();
            free_from.resize(self.all.len(), 0);
            let Some(free_from) = free_from.get_mut(n).filter(|from| **from <= start) else {
                continue;
            };
            *free_from = end;
            if told.replace(end) != Some(end) {
                self.tell(needle, text, (start, end), &mut *found);
            }
        }
    }

    /// Calls `found` with every form whose beginning stands at the cut-off end of `text`.
    pub(super) fn cut_hits(&self, text: &[u8], mut found: impl FnMut(&Hit<'_>)) {
        for needle in &self.all {
            let form = self.whole(needle);
            let longest = form.len().min(text.len());
            let length = (SHORTEST_PREFIX..=longest).rev().find(|length| {
                form.get(..*length)
                    .is_some_and(|prefix| text.ends_with(prefix))
            });
            if let Some(length) = length {
                let place = (text.len() - length, text.len());
                self.tell(needle, text, place, &mut found);
            }
        }
    }

    /// The fingerprint of `secret`, if it is one of these.
    pub(super) fn fingerprint(&self, secret: &[u8]) -> Option<&Fingerprint> {
        let own = self.secrets.iter().find(|own| own.bytes == secret)?;
        Some(self.fingerprint_of(own))
    }

    fn fingerprint_of<'s>(&self, secret: &'s Secret) -> &'s Fingerprint {
        let make = || self.prints.of(&secret.bytes, self.ring);
        secret.fingerprint.get_or_init(make)
    }

    fn whole<'n>(&'n self, needle: &'n Needle) -> &'n [u8] {
        let secret = self.secrets.get(needle.secret);
        let bytes: &[u8] = secret.map_or(&[], |secret| &secret.bytes);
        match needle.form {
            // A token of 1,000 bytes, mostly.
            Form::Plain => bytes,
            form => needle.whole.get_or_init(|| form.of(bytes)),
        }
    }

    fn tell(
        &self,
        needle: &Needle,
        text: &[u8],
        (start, end): (usize, usize),
        found: &mut impl FnMut(&Hit<'_>),
    ) {
        let Some(secret) = self.secrets.get(needle.secret) else {
            return;
        };
        let (start, end) = match needle.form {
            Form::Base64(_) | Form::Base64Url(_) => with_neighbours(text, start, end),
            Form::Plain | Form::HexLower | Form::HexUpper => (start, end),
        };
        found(&Hit {
            start,
            end,
            fingerprint: self.fingerprint_of(secret),
        });
    }
}

/// Where a pair of bytes has its leap.
fn pair(first: u8, second: u8) -> usize {
    (usize::from(first) ^ (usize::from(second) << 4)) % LEAPS
}

impl Needle {
    /// None if the form is too short to be looked for.
    fn of(form: Form, secret: usize, bytes: &[u8]) -> Option<Self> {
        if form.length(bytes.len()) < form.shortest() {
            return None;
        }
        let (head, head_length) = form.head_of(bytes);
        Some(Self {
            form,
            secret,
            head,
            head_length,
            whole: OnceCell::new(),
        })
    }

    fn head(&self) -> &[u8] {
        self.head.get(..self.head_length).unwrap_or_default()
    }
}

impl Form {
    fn shortest(self) -> usize {
        match self {
            Self::Base64(_) | Self::Base64Url(_) => SHORTEST_PIECE,
            Self::Plain | Self::HexLower | Self::HexUpper => SHORTEST_SECRET,
        }
    }

    /// Bytes of this form of a secret of `length` bytes.
    fn length(self, length: usize) -> usize {
        match self {
            Self::Plain => length,
            Self::HexLower | Self::HexUpper => length * 2,
            Self::Base64(shift) | Self::Base64Url(shift) => {
                let (first, last) = own_digits(shift, length);
                last.saturating_sub(first)
            }
        }
    }

    /// The beginning of this form, and its length: made of that of the secret, without an allocation, since eighteen
    /// are made for each exchange.
    fn head_of(self, secret: &[u8]) -> ([u8; HEAD], usize) {
        let beginning = secret.get(..BEGINNING).unwrap_or(secret);
        // Hexadecimal digits take most of it.
        let mut room = [0; 2 * BEGINNING];
        let own = match self {
            Self::Plain => beginning,
            Self::HexLower => encoded(&HEXLOWER, beginning, &mut room),
            Self::HexUpper => encoded(&HEXUPPER, beginning, &mut room),
            // Both alphabets write a beginning as the beginning of what they write.
            Self::Base64(shift) | Self::Base64Url(shift) => {
                let mut shifted = [0; BEGINNING + 2];
                let length = shift + beginning.len();
                for (to, from) in shifted.iter_mut().skip(shift).zip(beginning) {
                    *to = *from;
                }
                let alphabet = match self {
                    Self::Base64(_) => &BASE64,
                    _ => &BASE64URL,
                };
                let shifted = shifted.get(..length).unwrap_or_default();
                let (first, last) = own_digits(shift, beginning.len());
                let digits = encoded(alphabet, shifted, &mut room);
                digits.get(first..last).unwrap_or_default()
            }
        };
        let mut head = [0; HEAD];
        for (to, from) in head.iter_mut().zip(own) {
            *to = *from;
        }
        (head, own.len().min(HEAD))
    }

    fn of(self, secret: &[u8]) -> Vec<u8> {
        let (alphabet, shift) = match self {
            Self::Plain => return secret.to_vec(),
            Self::HexLower => return HEXLOWER.encode(secret).into_bytes(),
            Self::HexUpper => return HEXUPPER.encode(secret).into_bytes(),
            Self::Base64(shift) => (BASE64, shift),
            Self::Base64Url(shift) => (BASE64URL, shift),
        };
        let shifted: Vec<u8> = std::iter::repeat_n(0, shift)
            .chain(secret.iter().copied())
            .collect();
        let (first, last) = own_digits(shift, secret.len());
        let encoded = alphabet.encode(&shifted);
        let own = encoded.as_bytes().get(first..last);
        own.unwrap_or_default().to_vec()
    }
}

/// `text` in another alphabet, written to `room`.
fn encoded<'r>(alphabet: &Encoding, text: &[u8], room: &'r mut [u8]) -> &'r [u8] {
    let room = room.get_mut(..alphabet.encode_len(text.len()));
    let room = room.unwrap_or_default();
    if room.len() == alphabet.encode_len(text.len()) {
        alphabet.encode_mut(text, room);
    }
    room
}

/// The base64 digits that a secret of `length` bytes alone decides when `shift` bytes stand before it: every digit
/// carries 6 bits, and those begun by the bytes before, and an unfinished last one, vary.
fn own_digits(shift: usize, length: usize) -> (usize, usize) {
    ((shift * 8).div_ceil(6), (shift + length) * 8 / 6)
}

/// Takes in the base64 digits at both ends that carry some of the secret's bits.
fn with_neighbours(text: &[u8], start: usize, end: usize) -> (usize, usize) {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let before = start.checked_sub(1).and_then(|before| text.get(before));
    let start = start - usize::from(before.is_some_and(is_base64));
    let end = end + usize::from(text.get(end).is_some_and(is_base64));
    (start, end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The plain way: every whole form, at every place.
    fn slow(secrets: &[Bytes], text: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for secret in secrets
            .iter()
            .filter(|secret| secret.len() >= SHORTEST_SECRET)
        {
            for form in FORMS {
                let whole = form.of(secret);
                if whole.len() < form.shortest() {
                    continue;
                }
                let mut free_from = 0;
                for start in 0..text.len() {
                    if start >= free_from && text[start..].starts_with(&whole) {
                        free_from = start + whole.len();
                        found.push(match form {
                            Form::Base64(_) | Form::Base64Url(_) => {
                                with_neighbours(text, start, free_from)
                            }
                            _ => (start, free_from),
                        });
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn fast(secrets: &[Bytes], text: &[u8]) -> Vec<(usize, usize)> {
        let own = |secret: &Bytes| Own {
            secret: secret.clone(),
            fingerprint: None,
        };
        let (ring, prints) = (KeyRing::random(), Prints::default());
        let needles = needles(secrets.iter().map(own).collect(), &ring, &prints);
        let mut found = Vec::new();
        needles.hits(text, |hit| found.push((hit.start, hit.end)));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Few letters, so that secrets meet, overlap and begin alike.
    fn letters(lengths: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(&b"AQab0-"[..]), lengths)
    }

    proptest! {
        #[test]
        fn the_leaping_search_finds_what_the_plain_one_does(
            secrets in prop::collection::vec(letters(0..40), 0..4),
            pieces in prop::collection::vec((letters(0..9), 0_usize..4, 0_usize..9), 0..6),
        ) {
            let secrets: Vec<Bytes> = secrets.into_iter().map(Bytes::from).collect();
            let mut text = Vec::new();
            for (filler, secret, form) in pieces {
                text.extend(filler);
                if let Some(secret) = secrets.get(secret) {
                    text.extend(FORMS[form].of(secret));
                }
            }
            prop_assert_eq!(fast(&secrets, &text), slow(&secrets, &text));
        }
    }

    #[test]
    fn the_beginning_of_a_form_is_that_of_the_whole() {
        let secret = b"wJalrXUtnFEMI-K7MDENG";
        for form in FORMS {
            for length in SHORTEST_SECRET..secret.len() {
                let whole = form.of(&secret[..length]);
                let (head, head_length) = form.head_of(&secret[..length]);
                let head = &head[..head_length];
                assert!(whole.starts_with(head), "{head:?} of {whole:?}");
                assert!(
                    head.len() + 1 >= whole.len().min(HEAD),
                    "{head:?} of {whole:?}"
                );
            }
        }
    }

    #[test]
    fn a_form_that_overlaps_itself_is_found_once() {
        let secrets = [Bytes::from_static(b"abab")];

        assert_eq!(
            fast(&secrets, b"abababab ababab"),
            [(0, 4), (4, 8), (9, 13)]
        );
    }
}
