//! Heads as lists of names and values: order, case and duplicates as they stood on the wire.
//!
//! **Invariant:** never loses a line: what is no `name: value` stands as a name without a value.

use std::borrow::Cow;

use crate::exchange::{Head, HeaderList};

/// One header line, before redaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) name: Cow<'a, [u8]>,
    pub(super) value: Cow<'a, [u8]>,
}

/// The header lines of a head, the first line excluded.
pub(super) fn lines(head: &Head) -> Vec<Line<'_>> {
    match head {
        Head::Wire(bytes) => wire_lines(bytes),
        Head::Decoded(headers) => decoded_lines(headers),
    }
}

/// The header lines of a decoded head.
pub(super) fn decoded_lines(headers: &HeaderList) -> Vec<Line<'_>> {
    headers
        .iter()
        .map(|(name, value)| Line {
            name: name.into(),
            value: value.into(),
        })
        .collect()
}

/// Most heads have fewer.
const USUAL_LINES: usize = 24;

/// Splits the raw head of an HTTP/1 message (RFC 9112 §5).
fn wire_lines(head: &[u8]) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::with_capacity(USUAL_LINES);
    let ends = memchr::memchr_iter(b'\n', head).chain([head.len()]);
    let mut start = 0;
    for (n, end) in ends.enumerate() {
        let line = head.get(start..end).unwrap_or_default();
        start = end + 1;
        if n == 0 {
            continue;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        match (line.first(), lines.last_mut()) {
            // A folded line goes on with the one before, joined by a space (RFC 9112 §5.2).
            (Some(b' ' | b'\t'), Some(last)) => {
                let value = last.value.to_mut();
                value.push(b' ');
                value.extend_from_slice(trim(line));
            }
            _ => lines.push(split(line)),
        }
    }
    lines
}

fn split(line: &[u8]) -> Line<'_> {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let (name, rest) = line.split_at(colon);
    let value = rest.get(1..).unwrap_or_default();
    Line {
        name: name.into(),
        value: trim(value).into(),
    }
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

/// The first value of a header, whatever its case.
pub(super) fn value<'a>(lines: &'a [Line<'_>], name: &str) -> Option<&'a [u8]> {
    lines
        .iter()
        .find(|line| line.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|line| &*line.value)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn order_case_duplicates_and_odd_lines_stay_as_they_stood() {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nX-B: 2\r\nx-a:\t 1 \t\r\nX-B:\r\nodd line\r\nFold: a\r\n  b\r\nBare: lf\nL: caf\xe9\r\n\r\n";

        let read: Vec<(String, String)> = lines(&Head::Wire(Bytes::from_static(head)))
            .iter()
            .map(|line| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (text(&line.name), text(&line.value))
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
