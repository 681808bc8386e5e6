//! Who a member is, as LinkedIn gave it at sign-in: name, portrait, locale.
//!
//! **Invariant:** bounded: a name is one line, a portrait at most 256 KiB and one of four kinds of
//! picture, told by its bytes and not by what the server called it.
//! **Neighbours:** `oauth::userinfo` asks, `sealing` seals it with the member's data key.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Of a portrait this much is kept; LinkedIn's are 100 pixels wide and some KiB long.
pub(super) const LONGEST_PORTRAIT: usize = 256 * 1024;
/// Of a name or locale this many characters.
const LONGEST_LINE: usize = 200;

/// Who a member is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The whole name.
    pub name: Option<String>,
    /// The given name.
    pub given_name: Option<String>,
    /// The family name.
    pub family_name: Option<String>,
    /// Such as `en_US`.
    pub locale: Option<String>,
    /// The portrait; none where LinkedIn gave none, or not one that is kept.
    #[serde(skip)]
    pub portrait: Option<Portrait>,
}

/// A member's portrait.
#[derive(Clone, PartialEq, Eq)]
pub struct Portrait {
    bytes: Bytes,
    media_type: &'static str,
}

impl std::fmt::Debug for Portrait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Portrait({}, {} bytes)",
            self.media_type,
            self.bytes.len()
        )
    }
}

impl Portrait {
    /// A portrait, if the bytes are one of the pictures that browsers show without danger.
    pub(super) fn new(bytes: Bytes) -> Option<Self> {
        if bytes.len() > LONGEST_PORTRAIT {
            return None;
        }
        let media_type = media_type(&bytes)?;
        Some(Self { bytes, media_type })
    }

    /// The picture's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// `image/jpeg`, `image/png`, `image/gif` or `image/webp`.
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

/// One short line of what came from outside; none if nothing is left.
pub(super) fn line(text: Option<String>) -> Option<String> {
    let text = text?;
    let shown = text.trim().chars().filter(|c| !c.is_control());
    let line: String = shown.take(LONGEST_LINE).collect();
    (!line.is_empty()).then_some(line)
}

impl Profile {
    /// For sealing: the text's length, the text as JSON, the portrait.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let portrait = self.portrait.as_ref().map(Portrait::bytes);
        let portrait = portrait.map_or(&[][..], |bytes| bytes);
        let length = u32::try_from(text.len()).unwrap_or_default();
        let mut bytes = Vec::with_capacity(4 + text.len() + portrait.len());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&text);
        bytes.extend_from_slice(portrait);
        bytes
    }

    /// What [`Profile::to_bytes`] made.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (text, portrait) = rest.split_at_checked(length)?;
        let mut profile: Self = serde_json::from_slice(text).ok()?;
        profile.portrait = Portrait::new(Bytes::copy_from_slice(portrait));
        Some(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_comes_back_as_it_was_kept() {
        let portrait = Portrait::new(Bytes::from_static(b"\x89PNG\r\n\x1a\nrest"));
        assert!(portrait.is_some());
        let profile = Profile {
            name: Some("Ada Lovelace".to_owned()),
            portrait,
            ..Profile::default()
        };
        assert_eq!(Profile::from_bytes(&profile.to_bytes()), Some(profile));
        let bare = Profile::default();
        assert_eq!(Profile::from_bytes(&bare.to_bytes()), Some(bare));
        assert_eq!(Profile::from_bytes(b"\0\0\0\x09{}"), None);
        assert_eq!(Profile::from_bytes(b""), None);
    }

    #[test]
    fn a_picture_is_told_by_its_bytes() {
        for (why, bytes, expected) in [
            ("jpeg", &b"\xff\xd8\xff\xe0"[..], Some("image/jpeg")),
            ("png", &b"\x89PNG\r\n\x1a\n"[..], Some("image/png")),
            ("gif", &b"GIF89a"[..], Some("image/gif")),
            ("webp", &b"RIFF\0\0\0\0WEBPVP8 "[..], Some("image/webp")),
            ("a page", &b"<svg onload=alert(1)>"[..], None),
            ("nothing", &b""[..], None),
        ] {
            let portrait = Portrait::new(Bytes::from_static(bytes));
            assert_eq!(portrait.map(|p| p.media_type()), expected, "{why}");
        }
        let mut long = vec![0; LONGEST_PORTRAIT + 1];
        long[..3].copy_from_slice(b"\xff\xd8\xff");
        assert_eq!(Portrait::new(long.into()), None);
    }

    #[test]
    fn a_line_is_short_and_has_no_control_characters() {
        assert_eq!(
            line(Some(" A\u{1b}[31mda\n".to_owned())).as_deref(),
            Some("A[31mda")
        );
        assert_eq!(line(Some("\n".to_owned())), None);
        assert_eq!(
            line(Some("x".repeat(999))).map(|l| l.len()),
            Some(LONGEST_LINE)
        );
    }
}
