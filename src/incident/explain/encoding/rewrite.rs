//! How a value must stand in a URL under Rest.li 2.0.
//!
//! **Invariant:** what stands right comes out as it went in, byte for byte; no input panics, and nesting is
//! followed no deeper than [`DEEPEST`].

/// Nesting beyond this is none of LinkedIn's.
const DEEPEST: u32 = 8;
/// A value that is longer is not looked at.
const LONGEST: usize = 16 * 1024;

/// A value that stands wrong, and how it must stand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) sent: String,
    pub(super) right: String,
    /// A list or record; else a URN.
    pub(super) is_structure: bool,
}

/// Whether the value, however encoded, is a list or a record.
pub(super) fn is_structure(value: &str) -> bool {
    let plain = plain(value);
    is_list(&plain) || is_record(&plain)
}

/// What is wrong with the value of an argument, or a segment of a path; none if nothing is.
pub(super) fn argument(value: &str) -> Option<Wrong> {
    if value.len() > LONGEST {
        return None;
    }
    let plain = plain(value);
    let is_structure = is_list(&plain) || is_record(&plain);
    let is_urn = plain.starts_with("urn:");
    if !is_structure && !is_urn {
        return None;
    }
    let right = written(&plain, DEEPEST);
    (!right.eq_ignore_ascii_case(value)).then(|| Wrong {
        sent: value.to_owned(),
        right,
        is_structure,
    })
}

fn is_list(plain: &str) -> bool {
    plain.starts_with("List(") && plain.ends_with(')')
}

fn is_record(plain: &str) -> bool {
    plain.starts_with('(') && plain.ends_with(')') && plain.contains(':')
}

/// Decoded until nothing of a structure or URN is encoded any more: twice, for who encodes twice.
fn plain(value: &str) -> String {
    let mut plain = value.to_owned();
    for _ in 0..3 {
        let lower = plain.to_ascii_lowercase();
        let is_encoded = ["%3a", "%28", "%29", "%2c", "%25"]
            .iter()
            .any(|sign| lower.contains(sign));
        if !is_encoded {
            break;
        }
        plain = decoded(&plain);
    }
    plain
}

/// One layer of percent-encoding off; a broken escape stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// As Rest.li 2.0 writes it.
fn written(plain: &str, depth: u32) -> String {
    let inside = |prefix: usize| {
        plain
            .get(prefix..plain.len().saturating_sub(1))
            .unwrap_or("")
    };
    if depth > 0 && is_list(plain) {
        let items = apart(inside(5))
            .into_iter()
            .map(|item| written(item, depth - 1));
        return format!("List({})", items.collect::<Vec<_>>().join(","));
    }
    if depth > 0 && is_record(plain) {
        let fields = apart(inside(1)).into_iter().map(|field| {
            let (name, value) = field.split_once(':').unwrap_or((field, ""));
            format!("{}:{}", encoded(name), written(value, depth - 1))
        });
        return format!("({})", fields.collect::<Vec<_>>().join(","));
    }
    encoded(plain)
}

/// Splits at the commas that stand in no parentheses.
fn apart(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_i64, 0);
    for (at, sign) in text.char_indices() {
        match sign {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth <= 0 => {
                parts.push(text.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

/// Everything but the unreserved characters (RFC 3986 §2.3) and the few that clients leave raw with good
/// reason: `$`, `*`, `!`, `~` of projections, `+` and `@`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~$*!+@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_wrong_is_written_right_and_what_stands_right_is_left_alone() {
        let urns = "List(urn%3Ali%3Aorganization%3A1,urn%3Ali%3Aorganization%3A2)";
        for (why, sent, right) in [
            ("right", urns, None),
            ("numbers", "List(1,2)", None),
            ("empty list", "List()", None),
            ("record", "(start:(year:2026,month:1,day:1))", None),
            ("lower-case digits", "urn%3ali%3aperson%3a1", None),
            ("no structure", "search", None),
            ("text in parentheses", "(draft)", None),
            (
                "parentheses encoded",
                "List%28urn%3Ali%3Aorganization%3A1%2Curn%3Ali%3Aorganization%3A2%29",
                Some(urns),
            ),
            (
                "everything raw",
                "List(urn:li:organization:1,urn:li:organization:2)",
                Some(urns),
            ),
            (
                "everything encoded twice",
                "List%2528urn%253Ali%253Aorganization%253A1%252Curn%253Ali%253Aorganization%253A2%2529",
                Some(urns),
            ),
            (
                "only the URNs twice",
                "List(urn%253Ali%253Aorganization%253A1)",
                Some("List(urn%3Ali%3Aorganization%3A1)"),
            ),
            ("raw URN", "urn:li:person:1", Some("urn%3Ali%3Aperson%3A1")),
            (
                "URN with parts of its own",
                "List(urn:li:ad:(urn:li:x:1,2))",
                Some("List(urn%3Ali%3Aad%3A%28urn%3Ali%3Ax%3A1%2C2%29)"),
            ),
            (
                "record, encoded",
                "%28start%3A%28year%3A2026%29%29",
                Some("(start:(year:2026))"),
            ),
        ] {
            let found = argument(sent).map(|wrong| wrong.right);
            assert_eq!(found.as_deref(), right, "{why}");
            if let Some(right) = right {
                assert_eq!(argument(right), None, "{why}: what is right must stay so");
            }
        }
    }

    #[test]
    fn no_input_panics() {
        for odd in [
            "",
            "(",
            ")",
            "List(",
            "List()",
            "%",
            "%3",
            "%zz",
            "()",
            "(:)",
            "List(,)",
            "((((((((((((((((((:))",
            "urn:",
            "é:(é,é)",
            "(é:é)",
            "List(é%3A%ff)",
        ] {
            argument(odd);
            is_structure(odd);
        }
    }
}
