//! Finds the sandbox's canary in whatever was written, in every coding a leak could hide in.

use std::{io::Read as _, path::Path};

use linkgate::sandbox::CANARY;

/// The places in `bytes` where the canary shows: plain (also percent- and JSON-escaped, which leave
/// letters and digits alone), base64 in three alignments, inside gzip members.
pub(crate) fn leaks(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for (coding, needle) in needles() {
        if memchr::memmem::find(bytes, &needle).is_some() {
            found.push(coding);
        }
    }
    for at in memchr::memmem::find_iter(bytes, b"\x1f\x8b\x08") {
        let mut plain = Vec::new();
        let member = flate2::read::GzDecoder::new(&bytes[at..])
            .take(4 << 20)
            .read_to_end(&mut plain);
        if (member.is_ok() || !plain.is_empty())
            && memchr::memmem::find(&plain, CANARY.as_bytes()).is_some()
        {
            found.push(format!("gzip member at {at}"));
        }
    }
    found
}

fn needles() -> Vec<(String, Vec<u8>)> {
    let percent: String = CANARY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let unicode: String = CANARY
        .bytes()
        .map(|byte| format!("\\u{byte:04x}"))
        .collect();
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut needles = vec![
        ("plain".to_owned(), CANARY.into()),
        ("percent".to_owned(), percent.into_bytes()),
        ("json escapes".to_owned(), unicode.into_bytes()),
        ("hex".to_owned(), hex.into_bytes()),
    ];
    for shift in 0..3 {
        let mut padded = vec![b'x'; shift];
        padded.extend_from_slice(CANARY.as_bytes());
        let text = data_encoding::BASE64_NOPAD.encode(&padded);
        // The first characters also hold the padding, the last ones what would follow.
        let stable = &text[(shift * 8).div_ceil(6)..text.len() - 1];
        needles.push((
            format!("base64, alignment {shift}"),
            stable.as_bytes().to_vec(),
        ));
    }
    needles
}

/// Every leak in the files below `folder`.
pub(crate) fn leaks_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(leaks_below(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.extend(
                leaks(&bytes)
                    .into_iter()
                    .map(|leak| format!("{}: {leak}", path.display())),
            );
        }
    }
    found
}

#[test]
fn a_planted_canary_is_found_in_every_coding() {
    use std::io::Write as _;
    let secret = format!("AQX1234{CANARY}abcdef");
    let mut gzip = flate2::write::GzEncoder::new(b"before".to_vec(), flate2::Compression::best());
    gzip.write_all(secret.as_bytes()).unwrap();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let base64 = |shift: usize| {
        data_encoding::BASE64.encode(format!("{}{secret}", &"zzz"[..shift]).as_bytes())
    };
    for (coding, bytes) in [
        ("plain", secret.clone().into_bytes()),
        ("percent", percent.into_bytes()),
        ("base64", base64(0).into_bytes()),
        ("base64", base64(1).into_bytes()),
        ("base64", base64(2).into_bytes()),
        ("gzip", gzip.finish().unwrap()),
    ] {
        assert!(
            leaks(&bytes).iter().any(|leak| leak.starts_with(coding)),
            "{coding}"
        );
    }
    assert!(leaks(b"nothing here").is_empty());
}
