//! Headers as they were decoded, in one piece of memory: a copy of a map takes an allocation and an end of it, on
//! another thread, for each name that is not a well-known one.
//!
//! **Invariant:** nothing is lost: every line in the map's order, values byte for byte.

use bytes::Bytes;
use http::HeaderMap;

/// A list of names and values. Cheap to clone.
///
/// `name:value` and a line's end each: neither stands in a name, nor the latter in a value (RFC 9110 §5.1, §5.5).
#[derive(Clone, Debug, Default)]
pub struct HeaderList(Bytes);

impl HeaderList {
    /// The lines of `headers`.
    pub fn of(headers: &HeaderMap) -> Self {
        let length = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            name.as_str().len() + value.len() + 2
        };
        let mut list = Vec::with_capacity(headers.iter().map(length).sum());
        for (name, value) in headers {
            list.extend_from_slice(name.as_str().as_bytes());
            list.push(b':');
            list.extend_from_slice(value.as_bytes());
            list.push(b'\n');
        }
        Self(list.into())
    }

    /// Its names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (name, behind) = split_at(rest, b':')?;
            let (value, behind) = split_at(behind, b'\n')?;
            rest = behind;
            Some((name, value))
        })
    }

    /// The lines as they stand.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What stands before and behind the first `sign`.
fn split_at(text: &[u8], sign: u8) -> Option<(&[u8], &[u8])> {
    let (before, from) = text.split_at_checked(memchr::memchr(sign, text)?)?;
    Some((before, from.get(1..)?))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn every_line_comes_back_in_its_order_and_byte_for_byte() {
        let lines = [
            ("x-b", &b"2"[..]),
            ("x-a", b""),
            ("date", b"Mon, 23 Nov 2026 10:00:00 GMT"),
            ("x-b", b" \tcaf\xe9: 1 "),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_static(name);
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }

        let list = HeaderList::of(&headers);

        let read: Vec<_> = list.iter().collect();
        let kept: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
            .collect();
        assert_eq!(read, kept);
        assert_eq!(read.len(), lines.len());
        assert_eq!(HeaderList::of(&HeaderMap::new()).iter().count(), 0);
    }
}
