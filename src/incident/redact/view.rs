//! The same text as a reader would decode it, with the way back to the bytes that stand there.
//!
//! A secret may stand percent-encoded, JSON-escaped, or both, and in either case every character
//! may or may not be escaped. So a text is searched as it stands and as it decodes.
//!
//! **Invariant:** `starts` has one more entry than `bytes`, never falls, and ends at the raw length.

use std::borrow::Cow;

/// A text, and where each of its bytes came from.
#[derive(Debug)]
pub(super) struct View<'t> {
    pub(super) bytes: Cow<'t, [u8]>,
    /// None where every byte came from its own place.
    starts: Option<Vec<usize>>,
}

impl<'t> View<'t> {
    /// The text as it stands.
    pub(super) fn raw(text: &'t [u8]) -> Self {
        Self {
            bytes: Cow::Borrowed(text),
            starts: None,
        }
    }

    /// Where a range of this view begins and ends in the raw text.
    pub(super) fn raw_range(&self, start: usize, end: usize) -> (usize, usize) {
        (self.start_of(start), self.start_of(end))
    }

    /// Where the byte at `place` came from; behind the last one, the raw text's end.
    fn start_of(&self, place: usize) -> usize {
        match &self.starts {
            None => place.min(self.bytes.len()),
            Some(starts) => {
                let last = starts.last().copied().unwrap_or_default();
                starts.get(place).copied().unwrap_or(last)
            }
        }
    }

    /// This view decoded once more; none if there is nothing to decode.
    fn decoded(&self, lead: u8, unescape: fn(&[u8]) -> Option<Escape>) -> Option<View<'static>> {
        memchr::memchr(lead, &self.bytes)?;
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut starts = Vec::with_capacity(self.bytes.len() + 1);
        let mut place = 0;
        let mut is_changed = false;
        while let Some((byte, after)) = self.bytes.get(place..).and_then(<[u8]>::split_first) {
            let start = self.start_of(place);
            let escape = (*byte == lead).then(|| unescape(after)).flatten();
            place += 1 + escape.as_ref().map_or(0, |escape| escape.length);
            let Some(escape) = escape else {
                bytes.push(*byte);
                starts.push(start);
                continue;
            };
            is_changed = true;
            let mut buffer = [0; 4];
            for byte in escape.meaning.encode(&mut buffer) {
                bytes.push(*byte);
                starts.push(start);
            }
        }
        starts.push(self.start_of(self.bytes.len()));
        is_changed.then_some(View {
            bytes: Cow::Owned(bytes),
            starts: Some(starts),
        })
    }
}

/// Whether `text` may read otherwise than it stands.
pub(super) fn is_escaped(text: &[u8]) -> bool {
    memchr::memchr2(b'%', b'\\', text).is_some()
}

/// All ways to read `text`: as it stands first, then decoded up to two deep.
pub(super) fn views(text: &[u8]) -> Vec<View<'_>> {
    let raw = View::raw(text);
    let percent = raw.decoded(b'%', percent);
    let json = raw.decoded(b'\\', json);
    if percent.is_none() && json.is_none() {
        return vec![raw];
    }
    let deeper: Vec<View<'_>> = percent
        .iter()
        .chain(&json)
        .flat_map(|view| {
            [
                view.decoded(b'%', self::percent),
                view.decoded(b'\\', self::json),
            ]
        })
        .flatten()
        .collect();
    [Some(raw), percent, json]
        .into_iter()
        .flatten()
        .chain(deeper)
        .collect()
}

/// What an escape stands for, and its bytes after the first.
struct Escape {
    meaning: Meaning,
    length: usize,
}

enum Meaning {
    Byte(u8),
    Char(char),
}

impl Meaning {
    fn encode<'a>(&self, buffer: &'a mut [u8; 4]) -> &'a [u8] {
        match self {
            Self::Byte(byte) => {
                let [first, ..] = buffer;
                *first = *byte;
                std::slice::from_ref(first)
            }
            Self::Char(char) => char.encode_utf8(buffer).as_bytes(),
        }
    }
}

/// What follows a `%`: two hexadecimal digits (RFC 3986 §2.1).
fn percent(after: &[u8]) -> Option<Escape> {
    let byte = u8::try_from(hex(after, 2)?).ok()?;
    Some(Escape {
        meaning: Meaning::Byte(byte),
        length: 2,
    })
}

/// What follows a `\` in a JSON string (RFC 8259 §7).
fn json(after: &[u8]) -> Option<Escape> {
    let (kind, rest) = after.split_first()?;
    let byte = match kind {
        b'"' | b'\\' | b'/' | b'\'' => *kind,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let meaning = Meaning::Char(char::from_u32(hex(rest, 4)?)?);
            return Some(Escape { meaning, length: 5 });
        }
        _ => return None,
    };
    Some(Escape {
        meaning: Meaning::Byte(byte),
        length: 1,
    })
}

fn hex(text: &[u8], digits: usize) -> Option<u32> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    text.get(..digits)?
        .iter()
        .try_fold(0, |sum, byte| Some(sum * 16 + digit(byte)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_read_a_text_leads_back_to_its_bytes() {
        for (why, text, read, range) in [
            ("as it stands", &b"x abc y"[..], "abc", (2, 5)),
            ("percent", b"x %61b%63 y", "abc", (2, 9)),
            ("percent twice", b"x %2561bc y", "abc", (2, 9)),
            ("json", br"x a\u0062c y", "abc", (2, 10)),
            ("json in json", br"x a\\u0062c y", "abc", (2, 11)),
            ("percent in json", br"x a\u002562c y", "abc", (2, 12)),
            ("json in percent", br"x a%5Cu0062c y", "abc", (2, 12)),
        ] {
            let found = views(text).into_iter().find_map(|view| {
                let start = memchr::memmem::find(&view.bytes, read.as_bytes())?;
                Some(view.raw_range(start, start + read.len()))
            });
            assert_eq!(found, Some(range), "{why}");
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [&b"100%"[..], b"%zz %4", br"\x \u12 \ud800 \", b"\xff%\\"] {
            assert_eq!(views(text).len(), 1, "{}", text.escape_ascii());
        }
    }
}
