//! Where bodies are: sealed, one behind the other, apart from the records.
//!
//! An entry is the length of what follows (4 bytes, big-endian) and the sealed body. A record names it as
//! `segment:offset:length`, length being that of the body itself; the same words are the sealed
//! text's associated data, so that no entry opens in another's place.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use super::{
    body::BodyNote,
    segment::{Holds, Stamp},
};
use crate::keyring::{DataKey, Unsealable};

/// The folder of the bodies, inside the log's.
pub(super) const FOLDER: &str = "bodies";

/// Bytes that say how long an entry is.
const LENGTH: usize = 4;

/// Longest entry that is read back, in bytes.
const MAX_ENTRY: u32 = 64 << 20;

/// Why a body cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum NoBody {
    /// Not a place of a body.
    #[error("`{0}` is no place of a body")]
    Misnamed(String),
    /// Its time was over, or it was dropped for space.
    #[error("the body is no longer kept")]
    Gone,
    /// The segment cannot be read there.
    #[error("the body cannot be read")]
    Unreadable(#[from] io::Error),
    /// Another key, or damage.
    #[error(transparent)]
    Sealed(#[from] Unsealable),
}

/// Entries that wait to be written behind each other.
#[derive(Debug)]
pub(super) struct Shelf {
    segment: String,
    /// Length of the segment before `bytes`.
    length: u64,
    bytes: Vec<u8>,
}

impl Shelf {
    /// Of a segment of that length; `bytes` is a buffer that served before.
    pub(super) fn new(segment: String, length: u64, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self {
            segment,
            length,
            bytes,
        }
    }

    /// The buffer, to serve again.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// Seals the bodies of one record with `key`; equal ones share a place.
    pub(super) fn put<'a>(
        &mut self,
        bodies: impl Iterator<Item = &'a mut BodyNote>,
        key: &DataKey,
    ) {
        let mut known: Vec<(Vec<u8>, String)> = Vec::new();
        let mut place = |shelf: &mut Self, text: Vec<u8>| {
            let same = known.iter().find(|(earlier, _)| *earlier == text);
            if let Some((_, reference)) = same {
                return reference.clone();
            }
            let reference = shelf.seal(&text, key);
            known.push((text, reference.clone()));
            reference
        };
        for body in bodies {
            body.reference = body.text.take().map(|text| place(self, text));
            body.raw_ref = body.raw.take().map(|raw| place(self, raw));
        }
    }

    fn seal(&mut self, text: &[u8], key: &DataKey) -> String {
        let offset = self.length + self.bytes.len() as u64;
        let reference = format!("{}:{offset}:{}", self.segment, text.len());
        let start = self.bytes.len() + LENGTH;
        self.bytes.extend_from_slice(&[0; LENGTH]);
        key.seal_to(text, &associated(&reference), &mut self.bytes);
        // Known once it is sealed.
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(start - LENGTH..start) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        reference
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Segment, offset and length that a record names.
pub(super) fn place(reference: &str) -> Option<(Stamp, u64, u64)> {
    let mut parts = reference.split(':');
    let stamp = Stamp::parse(Holds::Bodies, parts.next()?)?;
    let (offset, length) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some((stamp, offset, length))
}

fn associated(reference: &str) -> String {
    format!("body:{reference}")
}

/// Reads and opens the body at `reference` below the log's `folder`.
pub(super) fn open(folder: &Path, reference: &str, key: &DataKey) -> Result<Vec<u8>, NoBody> {
    let misnamed = || NoBody::Misnamed(reference.to_owned());
    // Only what reads as a stamp becomes part of a path.
    let (stamp, offset, _length) = place(reference).ok_or_else(misnamed)?;
    let path = folder.join(FOLDER).join(stamp.file_name(Holds::Bodies));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(NoBody::Gone),
        Err(error) => return Err(error.into()),
    };
    let mut length = [0; LENGTH];
    file.read_exact_at(&mut length, offset)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_ENTRY {
        return Err(NoBody::Sealed(Unsealable));
    }
    let mut sealed = vec![0; length as usize];
    file.read_exact_at(
        &mut sealed,
        offset.checked_add(LENGTH as u64).ok_or_else(misnamed)?,
    )?;
    Ok(key.open(&sealed, &associated(reference))?)
}
