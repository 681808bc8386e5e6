//! Finds secrets in whatever was written, in every coding a leak could hide in: the sandbox's canary, which
//! stands in all that LinkedIn gives out, and any other secret a story names.

use std::{io::Read as _, io::Write as _, path::Path};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use linkgate::sandbox::CANARY;

/// Bytes of an unpacked gzip member that are searched.
const UNPACKED_BYTES: u64 = 4 << 20;

/// The secrets that are looked for, in all their codings.
pub(crate) struct Hunt {
    secrets: Vec<Secret>,
}

struct Secret {
    name: String,
    plain: Vec<u8>,
    codings: Vec<(String, Vec<u8>)>,
}

impl Hunt {
    /// For the canary.
    pub(crate) fn for_canary() -> Self {
        let secrets = vec![Secret::new("canary", CANARY)];
        Self { secrets }
    }

    /// For this one too.
    pub(crate) fn and(mut self, name: &str, secret: &str) -> Self {
        assert!(
            secret.len() >= 12,
            "{name} is too short to be told from chance"
        );
        self.secrets.push(Secret::new(name, secret));
        self
    }

    /// The places in `bytes` where a secret shows: plain, percent- or JSON-escaped, as hex, base64 in three
    /// alignments and two alphabets, inside gzip members.
    pub(crate) fn leaks(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for secret in &self.secrets {
            for (coding, needle) in &secret.codings {
                if memchr::memmem::find(bytes, needle).is_some() {
                    found.push(format!("{coding}: {}", secret.name));
                }
            }
        }
        for at in memchr::memmem::find_iter(bytes, b"\x1f\x8b\x08") {
            let mut plain = Vec::new();
            // What was unpacked before an error counts too.
            flate2::read::GzDecoder::new(&bytes[at..])
                .take(UNPACKED_BYTES)
                .read_to_end(&mut plain)
                .ok();
            for secret in &self.secrets {
                if memchr::memmem::find(&plain, &secret.plain).is_some() {
                    found.push(format!("gzip member at {at}: {}", secret.name));
                }
            }
        }
        found
    }

    /// Every leak in the files below `folder`.
    pub(crate) fn leaks_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let Ok(entries) = std::fs::read_dir(folder) else {
            return found;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                found.extend(self.leaks_below(&path));
            } else if let Ok(bytes) = std::fs::read(&path) {
                let named = |leak| format!("{}: {leak}", path.display());
                found.extend(self.leaks(&bytes).into_iter().map(named));
            }
        }
        found
    }

    /// What leaks would look like: each secret in each coding, and which it is.
    pub(crate) fn plants(&self) -> Vec<(String, Vec<u8>)> {
        let mut plants = Vec::new();
        for secret in &self.secrets {
            for (coding, bytes) in planted(&String::from_utf8_lossy(&secret.plain)) {
                plants.push((format!("{coding}: {}", secret.name), bytes));
            }
        }
        plants
    }
}

impl Secret {
    fn new(name: &str, plain: &str) -> Self {
        let each = |form: &dyn Fn(u8) -> String| plain.bytes().map(form).collect::<String>();
        let percent = each(&|byte| format!("%{byte:02X}"));
        let mut codings = vec![
            ("plain".to_owned(), plain.into()),
            ("percent".to_owned(), percent.to_lowercase().into()),
            ("percent".to_owned(), percent.into_bytes()),
            (
                "json escapes".to_owned(),
                each(&|byte| format!("\\u{byte:04x}")).into(),
            ),
            ("hex".to_owned(), each(&|byte| format!("{byte:02x}")).into()),
        ];
        for shift in 0..3 {
            let mut padded = vec![b'x'; shift];
            padded.extend_from_slice(plain.as_bytes());
            let text = BASE64URL_NOPAD.encode(&padded);
            // The first characters also hold the padding, the last ones what would follow.
            let stable = &text[(shift * 8).div_ceil(6)..text.len() - 1];
            let name = format!("base64, alignment {shift}");
            let other = stable.replace('-', "+").replace('_', "/");
            codings.push((name.clone(), stable.as_bytes().to_vec()));
            codings.push((name, other.into_bytes()));
        }
        Self {
            name: name.to_owned(),
            plain: plain.into(),
            codings,
        }
    }
}

/// `secret` as a careless writer would leave it.
pub(crate) fn planted(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(b"before".to_vec(), flate2::Compression::best());
    gzip.write_all(secret.as_bytes()).unwrap();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let escaped: String = secret
        .bytes()
        .map(|byte| format!("\\u{byte:04x}"))
        .collect();
    let base64 = |shift: usize| BASE64.encode(format!("{}{secret}!", &"zzz"[..shift]).as_bytes());
    vec![
        ("plain", secret.into()),
        ("percent", percent.into_bytes()),
        ("json escapes", escaped.into_bytes()),
        ("base64, alignment 0", base64(0).into_bytes()),
        ("base64, alignment 1", base64(1).into_bytes()),
        ("base64, alignment 2", base64(2).into_bytes()),
        ("gzip", gzip.finish().unwrap()),
    ]
}

/// The places in `bytes` where the canary shows.
pub(crate) fn leaks(bytes: &[u8]) -> Vec<String> {
    Hunt::for_canary().leaks(bytes)
}

/// Every canary in the files below `folder`.
pub(crate) fn leaks_below(folder: &Path) -> Vec<String> {
    Hunt::for_canary().leaks_below(folder)
}

#[test]
fn a_planted_canary_is_found_in_every_coding() {
    let secret = format!("AQX1234{CANARY}abcdef");
    for (coding, bytes) in planted(&secret) {
        assert!(
            leaks(&bytes).iter().any(|leak| {
                // Where in a longer secret it stands decides about the alignment.
                leak.starts_with(coding.split(',').next().unwrap_or(coding))
            }),
            "{coding}"
        );
    }
    assert!(leaks(b"nothing here").is_empty());
}
