//! Searching without replacing: what an export is asked about before it is handed out.
//!
//! A text is read as it stands, percent- and JSON-decoded, and every stretch of it that could be base64 or
//! hex is decoded and read again: an export repeats what a caller or LinkedIn sent, in whatever coding.
//!
//! **Invariant:** memory is bounded by [`WINDOW`]; a find tells what was found, and never the secret.
//! **Neighbours:** `shape` knows what secrets look like, `view` decodes; `incident::export` asks.

use std::sync::LazyLock;

use data_encoding::{BASE64_NOPAD, Encoding, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};

use super::{marks, shape, view};
use crate::keyring::LiveSecrets;

/// How much is read at once.
const WINDOW: usize = 256 << 10;
/// How much of it is read again with the next: longer than any secret in any coding.
const OVERLAP: usize = 16 << 10;
/// Finds that are told; one is enough to refuse.
pub const MOST_FINDS: usize = 16;
/// Shorter stretches of base64 or hex hold no secret.
const SHORTEST_CODED: usize = 14;
/// Shorter stretches of hex hold no secret: the shortest shape has ten characters.
const SHORTEST_HEX: usize = 20;

/// A secret, or what looks like one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Find {
    /// What it is.
    pub what: What,
    /// Its fingerprint, if it is a secret that is alive.
    pub fingerprint: Option<String>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A token, key or secret that is alive in this gateway.
    Live,
    /// Shaped like a token of LinkedIn's.
    Token,
    /// Shaped like a key or an operator's token.
    Key,
    /// A signed token, or what follows `Bearer` or `Basic`.
    Credentials,
}

impl What {
    fn of(text: &[u8]) -> Self {
        match text {
            [b'l', b'g', b'k' | b'o', b'_', ..] => Self::Key,
            [b'A', b'Q', ..] => Self::Token,
            _ => Self::Credentials,
        }
    }

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "a secret that is alive",
            Self::Token => "what looks like a token of LinkedIn's",
            Self::Key => "what looks like a key of this gateway's",
            Self::Credentials => "what looks like credentials",
        }
    }
}

/// Every kind of secret in `text`: by shape, and by fingerprint if it is known which are `live`.
pub fn finds(text: &[u8], live: Option<&LiveSecrets>) -> Vec<Find> {
    let mut search = Search {
        live,
        known: shape::Known::default(),
        finds: Vec::new(),
    };
    let mut from = 0;
    while search.finds.len() < MOST_FINDS {
        let to = text.len().min(from + WINDOW);
        search.window(text.get(from..to).unwrap_or_default());
        if to == text.len() {
            break;
        }
        from = to - OVERLAP;
    }
    search.finds.truncate(MOST_FINDS);
    search.finds
}

struct Search<'a> {
    live: Option<&'a LiveSecrets>,
    known: shape::Known,
    finds: Vec<Find>,
}

impl Search<'_> {
    fn window(&mut self, text: &[u8]) {
        for view in view::views(text) {
            self.look(&view.bytes);
            for coded in coded(&view.bytes) {
                for piece in decoded(coded) {
                    for view in view::views(&piece) {
                        self.look(&view.bytes);
                    }
                }
            }
        }
    }

    /// Looks at a text as it stands.
    fn look(&mut self, text: &[u8]) {
        let marks = marks(text);
        let is_mark = |start, end| marks.iter().any(|mark| mark.0 <= start && end <= mark.1);
        let mut finds = Vec::new();
        if let Some(live) = self.live {
            shape::scan_live(text, live, &self.known, |start, end, fingerprint| {
                if !is_mark(start, end) {
                    finds.push(Find {
                        what: What::Live,
                        fingerprint: Some(fingerprint.to_string()),
                    });
                }
            });
        }
        shape::scan(text, false, |start, end| {
            if !is_mark(start, end) {
                finds.push(Find {
                    what: What::of(text.get(start..end).unwrap_or_default()),
                    fingerprint: None,
                });
            }
        });
        for find in finds {
            if self.finds.len() < MOST_FINDS && !self.finds.contains(&find) {
                self.finds.push(find);
            }
        }
    }
}

/// The stretches of either base64 alphabet (hex is a part of both).
fn coded(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_coded = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    text.split(move |byte| !is_coded(byte))
        .filter(|run| run.len() >= SHORTEST_CODED)
}

/// What a stretch means, from each place where a group of characters may begin.
fn decoded(run: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let base64 = (0..4).filter_map(move |skipped| LOOSE.decode(groups(run, skipped, 4)).ok());
    // Hex may touch what is base64 and no hex, as in `/41...` or `x41...`.
    let hex = run
        .split(|byte| !byte.is_ascii_hexdigit())
        .filter(|digits| digits.len() >= SHORTEST_HEX)
        .flat_map(|digits| {
            let pairs = move |skipped| HEXLOWER_PERMISSIVE.decode(groups(digits, skipped, 2)).ok();
            (0..2).filter_map(pairs)
        });
    base64.chain(hex)
}

/// What follows `skipped` characters, in groups. A last character alone says nothing.
fn groups(run: &[u8], skipped: usize, group: usize) -> &[u8] {
    let rest = run.get(skipped..).unwrap_or_default();
    let cut = usize::from(rest.len() % group == 1);
    rest.get(..rest.len() - cut).unwrap_or_default()
}

/// Base64 in either alphabet, whatever its last bits are.
static LOOSE: LazyLock<Encoding> = LazyLock::new(|| {
    let mut loose = BASE64_NOPAD.specification();
    loose.check_trailing_bits = false;
    loose.translate.from.push_str("-_");
    loose.translate.to.push_str("+/");
    loose.encoding().unwrap_or(BASE64_NOPAD)
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::KeyRing;

    const TOKEN: &str = "AQXdSP_W41_UPs5ioT_t8HESyODB4FqbkJ8LrV_5mff4gPODzOYR";

    fn base64(shift: usize, secret: &str) -> String {
        data_encoding::BASE64.encode(format!("{}{secret}", &"zzz"[..shift]).as_bytes())
    }

    #[test]
    fn what_looks_like_a_secret_is_found_in_every_coding() {
        let each = |form: &dyn Fn(u8) -> String| TOKEN.bytes().map(form).collect::<String>();
        for (why, text) in [
            ("plain", TOKEN.to_owned()),
            ("in a sentence", format!("it said {TOKEN}.")),
            ("percent", each(&|byte| format!("%{byte:02X}"))),
            ("json escapes", each(&|byte| format!("\\u{byte:04x}"))),
            ("percent twice", each(&|byte| format!("%25{byte:02x}"))),
            ("hex", each(&|byte| format!("{byte:02x}"))),
            (
                "hex, shifted",
                format!("a{}", each(&|byte| format!("{byte:02X}"))),
            ),
            (
                "hex in a path",
                format!("/x/{}/", each(&|byte| format!("{byte:02x}"))),
            ),
            (
                "hex between dashes",
                format!("a-{}_b", each(&|byte| format!("{byte:02x}"))),
            ),
            (
                "hex after a letter",
                format!("0x{}z", each(&|byte| format!("{byte:02X}"))),
            ),
            ("base64", base64(0, TOKEN)),
            ("base64, shifted by one", base64(1, TOKEN)),
            ("base64, shifted by two", base64(2, TOKEN)),
            ("base64 in percent", base64(1, TOKEN).replace('=', "%3D")),
            (
                "base64url",
                data_encoding::BASE64URL_NOPAD.encode(TOKEN.as_bytes()),
            ),
            ("percent in base64", base64(0, &TOKEN.replace('_', "%5f"))),
        ] {
            let found = finds(format!("{{\"a\":\"{text}\"}}").as_bytes(), None);
            assert!(
                found.iter().any(|find| find.what == What::Token),
                "{why}: {found:?}"
            );
        }
    }

    #[test]
    fn each_shape_is_named_and_what_is_none_is_let_through() {
        for (text, what) in [
            ("lgk_abcdef012345", Some(What::Key)),
            ("lgo_abcdef012345", Some(What::Key)),
            ("Bearer abcdefghijklmnopqrstuvw1", Some(What::Credentials)),
            ("Bearer [redacted:0123456789abcdef]", None),
            ("Bearer $LINKGATE_KEY", None),
            ("[redacted:0123456789abcdef]", None),
            ("AAYFBPDs9ZaGJ88vWwff2w==", None),
            ("urn:li:share:7106697166089269248", None),
            ("019ab1c2-3d4e-7f50-8a6b-9c0d1e2f3a4b", None),
            ("", None),
        ] {
            let found = finds(text.as_bytes(), None);
            assert_eq!(found.first().map(|find| find.what), what, "{text}");
        }
    }

    #[test]
    fn what_is_alive_is_found_whatever_it_looks_like() {
        let live = LiveSecrets::new(KeyRing::random());
        let secret = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY";
        let fingerprint = live.add(secret.as_bytes());
        for text in [
            secret.to_owned(),
            format!("x={secret}&y"),
            base64(1, &format!(" {secret} ")),
        ] {
            let found = finds(text.as_bytes(), Some(&live));
            let expected = Find {
                what: What::Live,
                fingerprint: Some(fingerprint.to_string()),
            };
            assert_eq!(found, [expected], "{text}");
            assert!(finds(text.as_bytes(), None).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_long_text_is_read_to_its_end_and_across_its_windows() {
        for place in [0, WINDOW - 20, WINDOW - OVERLAP, 3 * WINDOW + 7] {
            let mut text = vec![b'.'; 3 * WINDOW + 100];
            text[place..place + TOKEN.len()].copy_from_slice(TOKEN.as_bytes());

            assert_eq!(finds(&text, None).len(), 1, "{place}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for text in [
            &b"\xff\xfe%"[..],
            b"====",
            b"AQ",
            b"%%%%%%%%%%%%%%%%%%%%",
            b"a",
        ] {
            assert!(finds(text, None).is_empty());
        }
    }
}
