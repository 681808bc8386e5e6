//! A row as one piece of memory: of a million grants that rest, each has a dozen fields that are none and half a dozen
//! pieces of text and sealed bytes, which took a quarter more when each was a field and an allocation.
//!
//! **Invariant:** what is unpacked is what was packed; equal rows are packed equally.

use std::borrow::Cow;

use crate::{keyring::Tag, store::Row};

/// Numbers that every row has, numbers that it may have, texts and sealed bytes that it may have.
const NUMBERS: usize = 3;
const MAYBE_NUMBERS: usize = 8;
const PIECES: usize = 7;

/// A packed row: a bit for each field that may be missing; the numbers; the pieces' lengths; the pieces.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::credentials) struct Packed(Box<[u8]>);

/// Its parts.
struct Parts<'a> {
    numbers: [i64; NUMBERS],
    maybe: [Option<i64>; MAYBE_NUMBERS],
    pieces: [Option<&'a [u8]>; PIECES],
}

impl Packed {
    pub(super) fn new(row: &Row) -> Self {
        Parts {
            numbers: [row.version, row.acquired_at, row.renewals],
            maybe: [
                row.ended_at,
                row.issued_at,
                row.access_expires_at,
                row.refresh_expires_at,
                row.renewed_at,
                row.used_at,
                row.access_tag.map(Tag::to_stored),
                row.refresh_tag.map(Tag::to_stored),
            ],
            pieces: [
                Some(&row.access),
                row.refresh.as_deref(),
                Some(row.state.as_bytes()),
                Some(row.scopes.as_bytes()),
                row.urn.as_deref().map(str::as_bytes),
                row.profile.as_deref(),
                row.verdict.as_deref().map(str::as_bytes),
            ],
        }
        .packed()
    }

    /// The row.
    pub(super) fn unpacked(&self) -> Row {
        let Parts {
            numbers: [version, acquired_at, renewals],
            maybe,
            pieces,
        } = self.parts();
        let [
            ended_at,
            issued_at,
            access_expires_at,
            refresh_expires_at,
            ..,
        ] = maybe;
        let [.., renewed_at, used_at, access_tag, refresh_tag] = maybe;
        let [access, refresh, state, scopes, urn, profile, verdict] = pieces;
        Row {
            version,
            access: access.unwrap_or_default().to_vec(),
            refresh: refresh.map(<[u8]>::to_vec),
            state: match state {
                Some(b"live") => Cow::Borrowed("live"),
                state => Cow::Owned(text(state.unwrap_or_default()).to_owned()),
            },
            ended_at,
            acquired_at,
            issued_at,
            access_expires_at,
            refresh_expires_at,
            scopes: text(scopes.unwrap_or_default()).to_owned(),
            urn: urn.map(text).map(str::to_owned),
            renewals,
            renewed_at,
            used_at,
            profile: profile.map(<[u8]>::to_vec),
            verdict: verdict.map(text).map(str::to_owned),
            access_tag: access_tag.map(Tag::from_stored),
            refresh_tag: refresh_tag.map(Tag::from_stored),
        }
    }

    /// LinkedIn's URN of the member, in place.
    pub(super) fn urn(&self) -> Option<&str> {
        let [_, _, _, _, urn, ..] = self.parts().pieces;
        urn.map(text)
    }

    fn parts(&self) -> Parts<'_> {
        let mut rest = Rest(&self.0);
        let present = u16::from_le_bytes(rest.array());
        let has = |bit: usize| present & (1 << bit) != 0;
        let numbers = std::array::from_fn(|_| i64::from_le_bytes(rest.array()));
        let maybe = std::array::from_fn(|n| has(n).then(|| i64::from_le_bytes(rest.array())));
        let lengths: [Option<u32>; PIECES] = std::array::from_fn(|n| {
            has(MAYBE_NUMBERS + n).then(|| u32::from_le_bytes(rest.array()))
        });
        Parts {
            numbers,
            maybe,
            pieces: lengths.map(|length| length.map(|length| rest.take(length as usize))),
        }
    }
}

impl Parts<'_> {
    fn packed(&self) -> Packed {
        let flags = self.maybe.iter().map(Option::is_some);
        let flags = flags.chain(self.pieces.iter().map(Option::is_some));
        let present = flags.enumerate().fold(0_u16, |present, (bit, is_there)| {
            present | (u16::from(is_there) << bit)
        });
        let pieces = || self.pieces.iter().flatten();
        let fixed = 2 + 8 * (NUMBERS + MAYBE_NUMBERS) + 4 * PIECES;
        let length = pieces().map(|piece| piece.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(fixed + length);
        bytes.extend_from_slice(&present.to_le_bytes());
        for number in self.numbers.iter().chain(self.maybe.iter().flatten()) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for piece in pieces() {
            // SQLite holds no value of 4 GiB.
            let length = u32::try_from(piece.len()).unwrap_or_default();
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        pieces().for_each(|piece| bytes.extend_from_slice(piece));
        Packed(bytes.into_boxed_slice())
    }
}

/// What is still to be read. There is always enough, since [`Parts::packed`] wrote it.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.take(N);
        taken.try_into().unwrap_or([0; N])
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(length).unwrap_or_default();
        self.0 = rest;
        taken
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    fn rows() -> impl Strategy<Value = Row> {
        let state = prop_oneof![Just("live".to_owned()), ".{0,20}"];
        let numbers = any::<([i64; 3], [Option<i64>; 8])>();
        let sealed = (vec(any::<u8>(), 0..50), option::of(vec(any::<u8>(), 0..50)));
        let texts = (
            state,
            ".{0,20}",
            option::of(".{0,20}"),
            option::of(".{0,9}"),
        );
        let profile = option::of(vec(any::<u8>(), 0..50));
        (numbers, sealed, texts, profile).prop_map(|((numbers, maybe), sealed, texts, profile)| {
            let (state, scopes, urn, verdict) = texts;
            Row {
                version: numbers[0],
                access: sealed.0,
                refresh: sealed.1,
                state: state.into(),
                ended_at: maybe[0],
                acquired_at: numbers[1],
                issued_at: maybe[1],
                access_expires_at: maybe[2],
                refresh_expires_at: maybe[3],
                scopes,
                urn,
                renewals: numbers[2],
                renewed_at: maybe[4],
                used_at: maybe[5],
                profile,
                verdict,
                access_tag: maybe[6].map(Tag::from_stored),
                refresh_tag: maybe[7].map(Tag::from_stored),
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_unpacked_is_what_was_packed(row in rows(), other in rows()) {
            let packed = Packed::new(&row);

            prop_assert_eq!(packed.urn(), row.urn.as_deref());
            prop_assert_eq!(packed.unpacked(), row.clone());
            prop_assert_eq!(packed == Packed::new(&other), row == other);
        }
    }
}
