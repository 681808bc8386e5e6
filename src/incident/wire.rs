//! Heads as lists of names and values: order, case and duplicates as they stood on the wire.
//!
//! **Invariant:** never loses a line: what is no `name: value` stands as a name without a value.

use std::{borrow::Cow, ops::Range};

use crate::exchange::{Head, HeaderList};

/// One header line, before redaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) name: &'a [u8],
    /// Borrowed from where it stands, unless the line was folded.
    pub(super) value: Cow<'a, [u8]>,
    /// Where the line stands in the list.
    pub(super) place: Range<usize>,
}

/// All header lines of a head, the first line excluded.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines<'a> {
    /// As they stand, one behind the other.
    pub(super) list: &'a [u8],
    pub(super) all: Vec<Line<'a>>,
}

impl Lines<'_> {
    /// The first value of a header, whatever its case.
    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        let found = self.all.iter().find(|line| line.is_called(name));
        found.map(|line| &*line.value)
    }
}

impl Line<'_> {
    fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The header lines of a head.
pub(super) fn lines(head: &Head) -> Lines<'_> {
    match head {
        Head::Wire(bytes) => {
            let mut all = Vec::with_capacity(USUAL_LINES);
            let walk = Walk::over(bytes);
            let list = walk.list;
            all.extend(walk);
            Lines { list, all }
        }
        Head::Decoded(headers) => decoded_lines(headers),
    }
}

/// The header lines of a decoded head.
pub(super) fn decoded_lines(headers: &HeaderList) -> Lines<'_> {
    let mut all = Vec::with_capacity(USUAL_LINES);
    all.extend(decoded(headers));
    Lines {
        list: headers.as_bytes(),
        all,
    }
}

/// The first value of a header, whatever its case, of a head of which nothing else is asked.
pub(super) fn value<'a>(head: &'a Head, name: &str) -> Option<Cow<'a, [u8]>> {
    let is_it = |line: &Line<'_>| line.is_called(name);
    let found = match head {
        Head::Wire(bytes) => Walk::over(bytes).find(is_it),
        Head::Decoded(headers) => decoded(headers).find(is_it),
    };
    found.map(|line| line.value)
}

fn decoded(headers: &HeaderList) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    headers.iter().map(move |(name, value)| {
        // With the colon and the line's end.
        let end = start + name.len() + value.len() + 2;
        Line {
            name,
            value: value.into(),
            place: std::mem::replace(&mut start, end)..end,
        }
    })
}

/// Most heads have no more. So many fit into the largest piece that allocators have at hand (mimalloc's fast way ends at
/// 1,024 bytes).
const USUAL_LINES: usize = 18;
const _: () = assert!(USUAL_LINES * size_of::<Line<'_>>() <= 1_024);

/// Splits the raw head of an HTTP/1 message (RFC 9112 §5).
struct Walk<'a> {
    list: &'a [u8],
    at: usize,
    /// The line at `at` and its end, once it was looked for.
    ahead: Option<(&'a [u8], usize)>,
}

impl<'a> Walk<'a> {
    fn over(head: &'a [u8]) -> Self {
        let first = memchr::memchr(b'\n', head).map_or(head.len(), |end| end + 1);
        Self {
            list: head.get(first..).unwrap_or_default(),
            at: 0,
            ahead: None,
        }
    }

    /// The next line that is not empty, and where it ends.
    fn peek(&mut self) -> Option<(&'a [u8], usize)> {
        while self.ahead.is_none() {
            let rest = self.list.get(self.at..).filter(|rest| !rest.is_empty())?;
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest.get(..length).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let end = self.list.len().min(self.at + length + 1);
            match line.is_empty() {
                true => self.at = end,
                false => self.ahead = Some((line, end)),
            }
        }
        self.ahead
    }

    /// Goes on behind the line that was peeked.
    fn pass(&mut self, end: usize) {
        self.at = end;
        self.ahead = None;
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let (line, end) = self.peek()?;
        let start = self.at;
        self.pass(end);
        let (name, value) = split(line);
        let mut line = Line {
            name,
            value: value.into(),
            place: start..end,
        };
        // A folded line goes on with the one before, joined by a space (RFC 9112 §5.2).
        while let Some((more @ [b' ' | b'\t', ..], end)) = self.peek() {
            let value = line.value.to_mut();
            value.push(b' ');
            value.extend_from_slice(trim(more));
            self.pass(end);
            line.place.end = end;
        }
        Some(line)
    }
}

fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let (name, rest) = line.split_at(colon);
    (name, trim(rest.get(1..).unwrap_or_default()))
}

/// Optional white space is space and tab (RFC 9110 §5.6.3).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn order_case_duplicates_and_odd_lines_stay_as_they_stood() {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nX-B: 2\r\nx-a:\t 1 \t\r\nX-B:\r\nodd line\r\nFold: a\r\n  b\r\nBare: lf\nL: caf\xe9\r\n\r\n";

        let read: Vec<(String, String)> = lines(&Head::Wire(Bytes::from_static(head)))
            .all
            .iter()
            .map(|line| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (text(line.name), text(&line.value))
            })
            .collect();

        let expected = [
            ("Host", "x"),
            ("X-B", "2"),
            ("x-a", "1"),
            ("X-B", ""),
            ("odd line", ""),
            ("Fold", "a b"),
            ("Bare", "lf"),
            ("L", "caf\u{fffd}"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read, expected);
    }

    #[test]
    fn a_line_stands_where_its_place_says() {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nFold: a\r\n  b\r\n\n\tc\r\nBare: lf\nEnd: 1";
        let mut headers = http::HeaderMap::new();
        headers.insert("x-a", "1".parse().unwrap());
        headers.insert("x-b", " 2".parse().unwrap());
        let decoded = HeaderList::of(&headers);

        let stands = |lines: &Lines<'_>| -> Vec<String> {
            let text = |line: &Line<'_>| lines.list[line.place.clone()].escape_ascii().to_string();
            lines.all.iter().map(text).collect()
        };

        let head = Head::Wire(Bytes::from_static(head));
        let expected = [
            r"Host: x\r\n",
            r"Fold: a\r\n  b\r\n\n\tc\r\n",
            r"Bare: lf\n",
            "End: 1",
        ];
        assert_eq!(stands(&lines(&head)), expected);
        assert_eq!(stands(&decoded_lines(&decoded)), [r"x-a:1\n", r"x-b: 2\n"]);
        assert_eq!(value(&head, "fold").unwrap(), &b"a b c"[..]);
        assert_eq!(value(&Head::Decoded(decoded), "X-B").unwrap(), &b" 2"[..]);
        assert_eq!(value(&head, "x-none"), None);
    }

    #[test]
    fn any_bytes_are_split_without_a_panic() {
        for head in [
            &b""[..],
            b"\n",
            b"\r\n\r\n",
            b" \n folded first\n",
            b":\n::\n\xff",
        ] {
            lines(&Head::Wire(Bytes::from_static(head)));
        }
    }
}
