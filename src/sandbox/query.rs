//! Query strings and form bodies: `name=value` pairs, percent-decoded.
//!
//! **Invariant:** bytes that are no valid encoding stay as they came; nothing here can fail.

/// The value of the first pair with this name, decoded.
pub(crate) fn value(query: &str, name: &str) -> Option<String> {
    raw_pairs(query)
        .find(|(key, _)| decode(key) == name)
        .map(|(_, text)| decode(text))
}

/// The pairs as they stand, not decoded.
pub(crate) fn raw_pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Form decoding: `+` is a space, `%41` is `A`; a broken escape stays.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            (other, _) => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 §2.3.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_escape_stays_as_it_came() {
        assert_eq!(decode("a%2Fb+c%zz%4"), "a/b c%zz%4");
        assert_eq!(
            value("a=1&q=search%3A1&q=2", "q").as_deref(),
            Some("search:1")
        );
        assert_eq!(decode(&encode("urn:li:share:1 é")), "urn:li:share:1 é");
    }
}
