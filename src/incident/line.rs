//! One value, one line of JSON.
//!
//! **Invariant:** a line holds no line break and nothing else that is [`is_unsafe`] as such, so that neither a
//! reader by lines nor a terminal can be fooled by what a caller sent.
//!
//! **Neighbours:** `page` and `export` escape the same characters in their own ways; `index::words` looks for
//! text as it is written here.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

mod json;

pub(super) use json::MADE;

use json::Json;

/// Longest line that a reader takes, in bytes; the writer shortens a record that would be longer.
pub(super) const MAX_LINE: usize = 4 << 20;

/// Appends `value` as one line, its line break included.
pub(super) fn push(out: &mut Vec<u8>, value: &impl Serialize) -> serde_json::Result<()> {
    let length = out.len();
    if let Err(error) = value.serialize(&mut Json::to(out)) {
        out.truncate(length);
        return Err(error);
    }
    out.push(b'\n');
    Ok(())
}

/// What stands between the quotes where a line says `text`.
pub(super) fn said(text: &str) -> String {
    let mut line = Vec::new();
    // A text writes without error, and in UTF-8.
    push(&mut line, &text).unwrap_or_default();
    let line = String::from_utf8(line).unwrap_or_default();
    let said = line
        .strip_prefix('"')
        .and_then(|line| line.strip_suffix("\"\n"));
    said.unwrap_or_default().to_owned()
}

/// `serde_json` escapes what JSON demands; this also escapes what is unsafe.
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut rest = fragment;
        while let Some(place) = rest.find(is_unsafe) {
            let (good, bad) = rest.split_at(place);
            let mut characters = bad.chars();
            CompactFormatter.write_string_fragment(writer, good)?;
            if let Some(character) = characters.next() {
                write!(writer, "\\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

/// Whether a terminal would obey or hide it, or a reader take it for a line's end. Each has four digits in JSON.
pub(super) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Line and paragraph ends, joiners, directions of writing, and the byte order mark.
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_on_one_line_and_comes_back() {
        let text =
            "a\nb\r\u{1b}[31m\u{85}\u{7f}\u{2028}\u{2029}\u{202e}\u{200d}\u{feff}\0\"\\ ü 😀";
        let mut line = Vec::new();

        push(&mut line, &text).unwrap();

        let written = std::str::from_utf8(&line).unwrap();
        assert!(
            !written.trim_end_matches('\n').contains(is_unsafe),
            "{written}"
        );
        assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
    }
}
