//! `application/x-www-form-urlencoded`, for forms that hold secrets and for query strings.

use zeroize::Zeroizing;

/// The fields, everything but unreserved characters escaped.
pub(super) fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    // Room for every byte escaped: a text that grew would leave unwiped copies behind.
    let room = fields
        .iter()
        .map(|(name, value)| name.len() + 3 * value.len() + 2);
    let mut form = Zeroizing::new(String::with_capacity(room.sum()));
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    form.push(char::from(byte));
                }
                _ => {
                    form.push('%');
                    for half in [byte >> 4, byte & 15] {
                        let digit = char::from_digit(u32::from(half), 16).unwrap_or('0');
                        form.push(digit.to_ascii_uppercase());
                    }
                }
            }
        }
    }
    form
}
