//! One word of a POSIX shell, whatever bytes are in it.
//!
//! **Invariant:** the shell makes of a word exactly the bytes that went in, and expands nothing; a terminal
//! that shows the word finds no control character in it.

use crate::incident::line::is_unsafe;

/// `bytes` as one word; none if it holds a NUL, which no argument can.
pub(super) fn word(bytes: &[u8]) -> Option<String> {
    if bytes.contains(&0) {
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(is_plain) => Some(single(text)),
        // A substitution takes line ends off the end.
        _ if bytes.ends_with(b"\n") => None,
        _ => Some(format!("\"$(printf '{}')\"", octal(bytes))),
    }
}

/// Shown as it is: a line's end is no harm inside quotes.
pub(super) fn is_plain(character: char) -> bool {
    matches!(character, '\n' | '\t') || !is_unsafe(character)
}

fn single(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What printf(1) prints as `bytes`, inside single quotes.
fn octal(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        // A hyphen first would be an option.
        let is_letter = byte.is_ascii_graphic() && !b"\\%'-".contains(byte) || *byte == b' ';
        if is_letter {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("\\{byte:03o}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_exactly_the_bytes_that_went_in() {
        for bytes in [
            &b""[..],
            b"plain",
            b"it's $HOME `id` $(id) \"x\" \\n !! ~ * ; & | < > #",
            b"two\nlines\n",
            b"'",
            b"''\\''",
            b"-n",
            b"-n \x1b[31m",
            b"%s %d \\ \x07",
            b"caf\xe9 \xff\xfe",
            "ü 😀 \u{202e}evil \u{85}".as_bytes(),
            b"\x01'\x02\"$x\x7f",
        ] {
            let word = word(bytes).unwrap();
            let script = format!("printf %s {word}");
            let ran = Command::new("sh").arg("-c").arg(&script).output().unwrap();
            assert!(ran.status.success(), "{script}: {ran:?}");
            assert_eq!(ran.stdout, bytes, "{script}");
            assert!(word.chars().all(is_plain), "{word:?}");
        }
    }

    #[test]
    fn what_no_argument_can_hold_is_no_word() {
        assert_eq!(word(b"a\0b"), None);
        assert_eq!(word(b"\x01\n"), None);
    }
}
