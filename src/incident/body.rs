//! Bodies on their way into a record: unpacked, redacted, and what the record says about them.
//!
//! **Invariant:** bytes that could not be searched for secrets are not kept. Unpacking is bounded: a
//! bomb costs [`MAX_UNPACKED`] bytes, whatever it claims to hold.

use std::{
    collections::VecDeque,
    hash::{BuildHasher as _, RandomState},
    io::Read,
};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use serde::Serialize;
use serde_json::Value;

use super::redact::{End, Redactor};
use crate::exchange::KeptBody;

mod about;

/// Most bytes that a packed body is unpacked to.
const MAX_UNPACKED: u64 = 1 << 20;
/// Most bytes it is unpacked to, as a multiple of its own.
const MAX_RATIO: u64 = 100;
/// Encodings on top of each other that are unpacked.
const MAX_LAYERS: usize = 3;

/// What a record says about a body, and until it is sealed the body itself.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct BodyNote {
    /// Bytes that passed.
    pub(super) bytes: u64,
    /// Of those, bytes that were kept by the path.
    pub(super) captured: u64,
    /// Whether more passed than was kept.
    pub(super) truncated: bool,
    /// Whether its end was seen.
    pub(super) complete: bool,
    /// Where the bytes are: segment, offset, length.
    #[serde(rename = "ref")]
    pub(super) reference: Option<String>,
    /// Whether `ref` holds the unpacked form of a body with a `Content-Encoding`.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) decoded: bool,
    /// Where the packed form is, if nothing in it had to be redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) raw_ref: Option<String>,
    /// Why there is no `ref` although bytes passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) withheld: Option<String>,
    /// What `ref` shall hold.
    #[serde(skip)]
    pub(super) text: Option<Vec<u8>>,
    /// What `raw_ref` shall hold.
    #[serde(skip)]
    pub(super) raw: Option<Vec<u8>>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands references over"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Whether the bodies of this exchange can be sealed, and so kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Sealed,
    Nothing,
}

/// Redacts a body for keeping. `encoding` is its `Content-Encoding`.
pub(super) fn note(
    body: &KeptBody,
    encoding: &[u8],
    redactor: &Redactor<'_>,
    keep: Keep,
) -> BodyNote {
    let bytes = body.text();
    let mut note = BodyNote {
        bytes: body.bytes,
        captured: bytes.len() as u64,
        truncated: body.truncated,
        complete: body.complete,
        ..BodyNote::default()
    };
    if bytes.is_empty() {
        return note;
    }
    if keep == Keep::Nothing {
        note.withheld = Some("no member or application whose key could seal it".into());
        return note;
    }
    let end = if body.truncated || !body.complete {
        End::Cut
    } else {
        End::Whole
    };
    match unpack(&bytes, encoding) {
        Unpacked::Plain => note.text = Some(redactor.text(&bytes, end).into_owned()),
        Unpacked::Opaque(why) => note.withheld = Some(why),
        Unpacked::Text { text, is_whole } => {
            let end = if is_whole { End::Whole } else { End::Cut };
            let clean = redactor.text(&text, end);
            let is_clean =
                is_whole && *clean == *text && *redactor.text(&bytes, End::Whole) == *bytes;
            note.text = Some(clean.into_owned());
            note.decoded = true;
            note.raw = is_clean.then(|| bytes.into_owned());
        }
    }
    note
}

/// Longest code that is taken from an answer.
const LONGEST_CODE: usize = 64;

/// What LinkedIn's error body says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorSaid {
    /// `serviceErrorCode`, else `code`, else that of the first refused input; whichever its API uses.
    pub(super) code: Option<String>,
    /// What the error is about, where its message has a known form: a resource, a URN, a field, a limit.
    pub(super) about: Option<String>,
}

/// What the last errors said of themselves: they come in runs, and to parse one takes half of what the line does.
#[derive(Debug, Default)]
pub(super) struct Errors {
    hasher: RandomState,
    /// By the hashes of their texts, under a key that nobody knows: the texts are not kept.
    last: VecDeque<(u64, ErrorSaid)>,
}

/// Errors that are remembered …
const MAX_KNOWN: usize = 8;
/// … unless they are longer.
const LONGEST_KNOWN: usize = 4_096;

impl Errors {
    /// Reads an error's body, if it can be read at all. `encoding` is its `Content-Encoding`.
    pub(super) fn said(&mut self, body: &KeptBody, encoding: &[u8]) -> ErrorSaid {
        let text = body.text();
        if !encoding.is_empty() || text.len() > LONGEST_KNOWN {
            return error_said(body, encoding);
        }
        let hash = self.hasher.hash_one(&*text);
        let known = self.last.iter().find(|(known, _)| *known == hash);
        if let Some((_, said)) = known {
            return said.clone();
        }
        let said = error_said(body, encoding);
        if self.last.len() >= MAX_KNOWN {
            self.last.pop_front();
        }
        self.last.push_back((hash, said.clone()));
        said
    }
}

fn error_said(body: &KeptBody, encoding: &[u8]) -> ErrorSaid {
    let bytes = body.text();
    let text = match unpack(&bytes, encoding) {
        Unpacked::Plain => bytes,
        Unpacked::Text { text, .. } => text.into(),
        Unpacked::Opaque(_) => return ErrorSaid::default(),
    };
    let Ok(error) = serde_json::from_slice::<Value>(&text) else {
        return ErrorSaid::default();
    };
    let first_input = error.pointer("/errorDetails/inputErrors/0");
    let code = |said: &Value, name| match said.get(name)? {
        Value::String(code) => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    };
    let code = code(&error, "serviceErrorCode")
        .or_else(|| code(&error, "code"))
        .or_else(|| code(first_input?, "code"))
        .filter(|code| !code.is_empty() && code.len() <= LONGEST_CODE);
    ErrorSaid {
        code,
        about: about::of(&error),
    }
}

/// What a body's bytes are.
#[derive(Debug, PartialEq, Eq)]
enum Unpacked {
    /// Not packed.
    Plain,
    /// Unpacked, as far as it went; whole if every byte was used.
    Text { text: Vec<u8>, is_whole: bool },
    /// Packed in a way that cannot be looked into.
    Opaque(String),
}

fn unpack(bytes: &[u8], encoding: &[u8]) -> Unpacked {
    let named = String::from_utf8_lossy(encoding).to_ascii_lowercase();
    let mut layers: Vec<&str> = named
        .split(',')
        .map(str::trim)
        .filter(|layer| !layer.is_empty() && *layer != "identity")
        .collect();
    if layers.is_empty() && bytes.starts_with(&[0x1f, 0x8b]) {
        layers.push("gzip");
    }
    if layers.is_empty() {
        return Unpacked::Plain;
    }
    if layers.len() > MAX_LAYERS {
        return Unpacked::Opaque("too many content encodings".into());
    }
    let mut text = bytes.to_vec();
    let mut is_whole = true;
    // The last one named was put on last (RFC 9110 §8.4).
    for layer in layers.into_iter().rev() {
        match unpack_layer(&text, layer) {
            Some((unpacked, whole)) => {
                text = unpacked;
                is_whole &= whole;
            }
            None => return Unpacked::Opaque("its content encoding could not be undone".into()),
        }
    }
    Unpacked::Text { text, is_whole }
}

/// Unpacks one layer, and says whether it ended well and used every byte.
fn unpack_layer(bytes: &[u8], encoding: &str) -> Option<(Vec<u8>, bool)> {
    match encoding {
        "gzip" | "x-gzip" => read_bounded(MultiGzDecoder::new(bytes), bytes.len(), |_| true),
        "deflate" => {
            // Some send the bare stream in place of the zlib format (RFC 9110 §8.4.1.2).
            let used = |total: u64| total == bytes.len() as u64;
            let zlib = read_bounded(ZlibDecoder::new(bytes), bytes.len(), |z| used(z.total_in()));
            zlib.or_else(|| {
                read_bounded(DeflateDecoder::new(bytes), bytes.len(), |z| {
                    used(z.total_in())
                })
            })
        }
        "br" => {
            let brotli = brotli_decompressor::Decompressor::new(bytes, 4_096);
            // It does not tell whether bytes follow its end, so the packed form is never kept.
            read_bounded(brotli, bytes.len(), |_| false)
        }
        _ => None,
    }
}

/// Reads as far as it goes and is allowed; none if not one byte came out of it.
fn read_bounded<R: Read>(
    mut packed: R,
    length: usize,
    used_all: impl FnOnce(&R) -> bool,
) -> Option<(Vec<u8>, bool)> {
    let limit = MAX_UNPACKED.min((length as u64).saturating_mul(MAX_RATIO));
    let mut text = Vec::new();
    let outcome = packed.by_ref().take(limit).read_to_end(&mut text);
    let is_at_end = outcome.is_ok() && matches!(packed.read(&mut [0]), Ok(0));
    let is_whole = is_at_end && used_all(&packed);
    (!text.is_empty() || is_whole).then_some((text, is_whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_comes_again_says_what_it_said() {
        let mut errors = Errors::default();
        let packed = [&[0x1f, 0x8b][..], br#"{"code":"X"}"#].concat();
        for _ in 0..2 {
            for n in 0..2 * MAX_KNOWN {
                for text in [
                    format!("{{\"code\":\"E{n}\"}}").into_bytes(),
                    packed.clone(),
                ] {
                    let mut body = KeptBody::default();
                    body.note(&text.into(), 1_000);
                    for encoding in [&b""[..], b"gzip"] {
                        for _ in 0..2 {
                            let expected = error_said(&body, encoding);
                            assert_eq!(errors.said(&body, encoding), expected);
                        }
                    }
                }
            }
        }
        assert_eq!(errors.last.len(), MAX_KNOWN);
    }

    #[test]
    fn linkedins_code_is_read_from_every_shape_of_error() {
        for (why, text, code) in [
            (
                "classic",
                r#"{"message":"m","serviceErrorCode":65600,"status":401}"#,
                Some("65600"),
            ),
            (
                "both",
                r#"{"serviceErrorCode":65601,"code":"REVOKED_ACCESS_TOKEN"}"#,
                Some("65601"),
            ),
            (
                "no number",
                r#"{"status":426,"code":"NONEXISTENT_VERSION"}"#,
                Some("NONEXISTENT_VERSION"),
            ),
            (
                "of an input",
                r#"{"errorDetails":{"inputErrors":[{"code":"DUPLICATE_POST"}]}}"#,
                Some("DUPLICATE_POST"),
            ),
            ("none", r#"{"message":"m","status":500}"#, None),
            ("empty", r#"{"code":""}"#, None),
            ("no object", r#"["code"]"#, None),
            ("odd", r#"{"code":{"code":1}}"#, None),
            ("page", "<html>", None),
            ("nothing", "", None),
        ] {
            let mut body = KeptBody::default();
            body.note(&text.into(), 1_000);
            assert_eq!(error_said(&body, b"").code.as_deref(), code, "{why}");
        }
        let mut long = KeptBody::default();
        long.note(
            &format!("{{\"code\":\"{}\"}}", "x".repeat(65)).into(),
            1_000,
        );
        assert_eq!(error_said(&long, b"").code, None);
    }
}
