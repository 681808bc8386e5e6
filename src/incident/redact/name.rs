//! Values that are secret because of the name they stand under.
//!
//! Names are looked for in queries, forms and JSON alike, by the punctuation that follows a name,
//! so that a half-broken body is searched like a whole one.

/// Field names whose values are secret; compared in lower case, without `-`, `_` and `.`.
const SECRET_NAMES: [&str; 26] = [
    "accesstoken",
    "apikey",
    "assertion",
    "authorization",
    "authtoken",
    "bearertoken",
    "clientassertion",
    "clientsecret",
    "code",
    "codeverifier",
    "cookie",
    "idtoken",
    "idtokenhint",
    "liat",
    "oauth2accesstoken",
    "oauthtoken",
    "password",
    "passwd",
    "proxyauthorization",
    "refreshtoken",
    "secret",
    "secretkey",
    "sessiontoken",
    "setcookie",
    "token",
    "ut", // the right to upload, in LinkedIn's upload URLs
];

/// Longest name that is worth comparing.
pub(super) const LONGEST_NAME: usize = 48;

/// An authorization code has at least this many characters; error codes in words are not codes.
const SHORTEST_CODE: usize = 16;

/// Calls `found` with the range of every value that stands under a secret name in `text`.
pub(super) fn scan(text: &[u8], mut found: impl FnMut(usize, usize)) {
    let mut assigned_up_to = 0;
    for place in memchr::memchr2_iter(b'=', b':', text) {
        let is_assignment = text.get(place) == Some(&b'=');
        let value = match is_assignment {
            // What is assigned inside an assigned value ends where that ends.
            true if place < assigned_up_to => None,
            true => assigned(text, place),
            false => field(text, place),
        };
        if let Some((start, end)) = value.filter(|(start, end)| start < end) {
            if is_assignment {
                assigned_up_to = end;
            }
            found(start, end);
        }
    }
}

/// `name=value` of a query or form; the value ends at `&`, white space, quotes or angle brackets.
fn assigned(text: &[u8], equals: usize) -> Option<(usize, usize)> {
    let (_, name) = name_before(text, equals)?;
    secret_name(name)?;
    let start = equals + 1;
    let ends = |byte: &u8| matches!(byte, b'&' | b'"' | b'<' | b'>' | 0..=b' ');
    Some((start, end_of(text, start, ends)))
}

/// `"name": "value"` of JSON, in either kind of quotes.
fn field(text: &[u8], colon: usize) -> Option<(usize, usize)> {
    let before = text.get(..colon)?.trim_ascii_end();
    let (quote, before) = before.split_last()?;
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let (open, name) = name_before(text, before.len())?;
    if open != Some(*quote) {
        return None;
    }
    let is_code = secret_name(name)? == "code";
    let after = text.get(colon + 1..)?;
    let start = text.len() - after.trim_ascii_start().len();
    let (start, end) = match text.get(start) {
        Some(quote @ (b'"' | b'\'')) => (start + 1, string_end(text, start + 1, *quote)),
        _ => {
            let ends = |byte: &u8| {
                matches!(
                    byte,
                    b',' | b'}' | b']' | b'{' | b'[' | b'"' | b'\'' | 0..=b' '
                )
            };
            (start, end_of(text, start, ends))
        }
    };
    let value = text.get(start..end)?;
    let is_secret = !is_word(value) && (!is_code || is_authorization_code(value));
    is_secret.then_some((start, end))
}

fn is_word(value: &[u8]) -> bool {
    matches!(value, b"null" | b"true" | b"false")
}

/// LinkedIn's error bodies have `"code": "REVOKED_ACCESS_TOKEN"`, which support must see.
fn is_authorization_code(value: &[u8]) -> bool {
    let has = |kind: fn(&u8) -> bool| value.iter().any(kind);
    value.len() >= SHORTEST_CODE && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

/// The name that ends at `end`, and the byte before it.
fn name_before(text: &[u8], end: usize) -> Option<(Option<u8>, &[u8])> {
    let before = text.get(..end)?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let length = before
        .iter()
        .rev()
        .take(LONGEST_NAME + 1)
        .take_while(|byte| is_name(byte))
        .count();
    let (rest, name) = before.split_at_checked(end - length)?;
    Some((rest.last().copied(), name))
}

/// The secret name that `name` spells.
pub(super) fn secret_name(name: &[u8]) -> Option<&'static str> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return None;
    }
    let plain = || {
        let letters = name.iter().filter(|byte| !b"_-.".contains(byte));
        letters.map(u8::to_ascii_lowercase)
    };
    SECRET_NAMES
        .into_iter()
        .find(|secret| secret.bytes().eq(plain()))
}

fn end_of(text: &[u8], start: usize, ends: impl Fn(&u8) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(ends).unwrap_or(rest.len())
}

/// The end of a JSON string's inside: its closing quote, or where the text breaks off.
fn string_end(text: &[u8], start: usize, quote: u8) -> usize {
    let mut is_escaped = false;
    let closes = |byte: &u8| {
        let closes = *byte == quote && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        closes
    };
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(closes).unwrap_or(rest.len())
}
