//! Free text: what a word is, and when a line holds what was asked for.
//!
//! A line holds a text if the text stands in it, in any case, and begins where a word begins. A word is a run
//! of ASCII letters and digits and of anything beyond ASCII. So all words of the text but its last stand in
//! the line whole, and the last one begins a word of it: that is what an index of words can answer.
//!
//! **Invariant:** a line that holds a text has every word of [`Text::words`]; the index and a plain reader
//! ask the same question of the same bytes.
//!
//! **Neighbours:** `reader::filter` asks; `index::build` gathers the words of lines.

use std::borrow::Cow;

use memchr::memmem;

use super::texts::Texts;
use crate::incident::line::{self, is_unsafe};

/// Bytes of a word that the index keeps; a longer word is known by its beginning.
const LONGEST: usize = 32;
/// Words of a question that the index is asked for; the line answers for the rest.
const MOST_ASKED: usize = 16;

/// What stands in nearly every line, being a field's name or constant: no word of the index.
const EVERYWHERE: &[&str] = &[
    "0",
    "1",
    "2",
    "a",
    "age",
    "answer",
    "answered",
    "application",
    "attempts",
    "body",
    "bytes",
    "caller",
    "captured",
    "client",
    "code",
    "config",
    "connected",
    "connection",
    "detail",
    "ended",
    "error",
    "fabric",
    "false",
    "fault",
    "first",
    "gateway",
    "headers",
    "http",
    "https",
    "id",
    "instance",
    "key",
    "kind",
    "li",
    "linkedin",
    "member",
    "method",
    "ms",
    "n",
    "name",
    "null",
    "outcome",
    "ref",
    "request",
    "reused",
    "secs",
    "sent",
    "seq",
    "signature",
    "started",
    "status",
    "then",
    "time",
    "timings",
    "token",
    "took",
    "true",
    "truncated",
    "url",
    "urn",
    "uuid",
    "v",
    "verdict",
    "version",
    "x",
];

/// `text` in lower case, letter by letter.
pub(in crate::incident) fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).collect()
}

/// A line in lower case. It is UTF-8, if it is one of ours.
pub(in crate::incident) fn lower_line(line: &[u8]) -> Cow<'_, [u8]> {
    if line.is_ascii() {
        return Cow::Owned(line.to_ascii_lowercase());
    }
    Cow::Owned(lower(&String::from_utf8_lossy(line)).into_bytes())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// The runs of word bytes in what is in lower case already.
fn runs(lowered: &str) -> impl Iterator<Item = &str> {
    lowered
        .split(|character: char| character.is_ascii() && !character.is_ascii_alphanumeric())
        .filter(|run| !run.is_empty())
}

/// A word as the index knows it.
fn kept(word: &str) -> &str {
    let end = word.floor_char_boundary(LONGEST);
    word.get(..end).unwrap_or(word)
}

/// The words of lines that follow each other, each once.
///
/// Lines say the same things over and over: what stands between two brackets (a header line, mostly), and in what is new
/// of that between two commas (a field, mostly), is split into words only where it is new among them, and a word is
/// written down once for all of them. No word holds a bracket or a comma.
#[derive(Debug)]
pub(super) struct Gathered {
    stretches: Texts,
    fields: Texts,
    /// Those that stand everywhere come first, so that they are found there.
    words: Texts,
    /// A field in lower case.
    lowered: Vec<u8>,
}

impl Default for Gathered {
    fn default() -> Self {
        let mut gathered = Self {
            stretches: Texts::default(),
            fields: Texts::default(),
            words: Texts::default(),
            lowered: Vec::new(),
        };
        gathered.clear();
        gathered
    }
}

impl Gathered {
    /// Adds the words of a line.
    pub(super) fn take(&mut self, line: &[u8]) {
        let ends = memchr::memchr_iter(b'[', line).chain([line.len()]);
        let mut start = 0;
        for end in ends {
            let stretch = line.get(start..end).unwrap_or_default();
            start = end + 1;
            if self.stretches.add(stretch) {
                self.split(stretch);
            }
        }
    }

    fn split(&mut self, stretch: &[u8]) {
        for field in stretch.split(|byte| *byte == b',') {
            if !self.fields.add(field) {
                continue;
            }
            if !field.is_ascii() {
                let lowered = lower_line(field);
                for word in runs(&String::from_utf8_lossy(&lowered)) {
                    self.words.add(kept(word).as_bytes());
                }
                continue;
            }
            self.lowered.clear();
            self.lowered
                .extend(field.iter().map(u8::to_ascii_lowercase));
            let words = self.lowered.split(|byte| !byte.is_ascii_alphanumeric());
            for word in words.filter(|word| !word.is_empty()) {
                self.words.add(word.get(..LONGEST).unwrap_or(word));
            }
        }
    }

    /// What was gathered.
    pub(super) fn text(&self) -> &str {
        let everywhere: usize = EVERYWHERE.iter().map(|word| word.len() + 1).sum();
        let words = self.words.bytes().get(everywhere..).unwrap_or_default();
        // Whole characters of texts that were made valid.
        std::str::from_utf8(words).unwrap_or_default()
    }

    /// Bytes that it holds, roughly.
    pub(super) fn held(&self) -> usize {
        self.stretches.bytes().len()
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) {
        for texts in [&mut self.stretches, &mut self.fields, &mut self.words] {
            texts.clear();
        }
        for word in EVERYWHERE {
            self.words.add(word.as_bytes());
        }
    }
}

/// A word that a line must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::incident) struct Word {
    /// In lower case; letters and digits only, as far as ASCII goes.
    pub(in crate::incident) text: String,
    /// Whether a word that only begins so will do.
    pub(in crate::incident) is_beginning: bool,
}

/// A text that is looked for in lines.
#[derive(Clone, Debug)]
pub(in crate::incident) struct Text {
    /// In lower case, and once more as JSON writes it, where that differs.
    needles: Vec<String>,
}

impl Text {
    pub(in crate::incident) fn new(text: &str) -> Self {
        let plain = lower(text);
        let escaped = line::said(&plain);
        let mut needles = vec![plain];
        if needles.first() != Some(&escaped) {
            needles.push(escaped);
        }
        Self { needles }
    }

    /// Whether `line`, in lower case, holds it.
    pub(in crate::incident) fn is_in(&self, line: &[u8]) -> bool {
        self.needles
            .iter()
            .any(|needle| begins_a_word(line, needle))
    }

    /// Words that a line must have to hold it; none if that says nothing.
    pub(in crate::incident) fn words(&self) -> Vec<Word> {
        let text = self.needles.first().map_or("", String::as_str);
        // Its escape joins the word behind it.
        match text.contains(is_unsafe) {
            true => Vec::new(),
            false => asked(text, true),
        }
    }
}

fn begins_a_word(line: &[u8], needle: &str) -> bool {
    let is_anchored = needle.bytes().next().is_some_and(is_word);
    let finder = memmem::Finder::new(needle);
    let mut from = 0;
    while let Some(place) = line.get(from..).and_then(|rest| finder.find(rest)) {
        let before = (from + place)
            .checked_sub(1)
            .and_then(|before| line.get(before));
        if !is_anchored || before.is_none_or(|before| !is_word(*before)) {
            return true;
        }
        from += place + 1;
    }
    false
}

/// Words of a line in which `value` stands as a whole value.
pub(in crate::incident) fn of_value(value: &str) -> Vec<Word> {
    if !is_plain(value) {
        return Vec::new();
    }
    asked(&lower(value), false)
}

/// Words of a line in which a value begins so.
pub(in crate::incident) fn of_beginning(value: &str) -> Vec<Word> {
    if !is_plain(value) {
        return Vec::new();
    }
    asked(&lower(value), true)
}

/// Words of a line in which `part` stands anywhere: its first may be the end of a longer word.
pub(in crate::incident) fn of_part(part: &str) -> Vec<Word> {
    if !is_plain(part) {
        return Vec::new();
    }
    let lowered = lower(part);
    let anchored = match lowered.find(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()) {
        Some(place) => lowered.get(place..).unwrap_or_default(),
        None => "",
    };
    asked(anchored, true)
}

/// Stands in JSON as it is.
fn is_plain(value: &str) -> bool {
    !value.contains(|c| is_unsafe(c) || matches!(c, '"' | '\\'))
}

/// The words of a question in lower case; `is_open`: its last word may go on.
fn asked(lowered: &str, is_open: bool) -> Vec<Word> {
    let goes_on = is_open && lowered.bytes().next_back().is_some_and(is_word);
    let runs: Vec<&str> = runs(lowered).collect();
    let last = runs.len().saturating_sub(1);
    let mut words = Vec::new();
    for (n, run) in runs.into_iter().enumerate() {
        let text = kept(run);
        let is_beginning = goes_on && n == last && text == run;
        let is_unknown = match is_beginning {
            true => EVERYWHERE.iter().any(|word| word.starts_with(text)),
            false => EVERYWHERE.binary_search(&text).is_ok(),
        };
        if is_unknown {
            continue;
        }
        words.push(Word {
            text: text.to_owned(),
            is_beginning,
        });
    }
    words.truncate(MOST_ASKED);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[Word]) -> Vec<String> {
        let shown =
            |word: &Word| format!("{}{}", word.text, if word.is_beginning { "*" } else { "" });
        words.iter().map(shown).collect()
    }

    #[test]
    fn the_words_that_stand_everywhere_are_sorted() {
        assert!(EVERYWHERE.is_sorted(), "a binary search finds none else");
    }

    #[test]
    fn a_text_is_found_where_a_word_begins() {
        for (why, text, line, found) in [
            ("whole", "try later", "they said Try LATER.", true),
            (
                "a word's beginning",
                "try lat",
                "they said try later.",
                true,
            ),
            ("not its end", "ry later", "they said try later.", false),
            ("not in its middle", "ATE", "later", false),
            ("begins with none", "/rest/po", "get /rest/posts", true),
            ("the second place", "ab ab", "xab ab ab", true),
            ("beyond ASCII", "ÜBER", "schön über", true),
            ("a letter beyond ASCII is one", "ber", "schön über", false),
            (
                "as JSON writes it",
                "said \"no\"",
                r#"they said \"no\""#,
                true,
            ),
            (
                "escaped for its own sake",
                "a\u{200d}b",
                r"they said a\u200db",
                true,
            ),
            (
                "the same, as it was written once",
                "a\u{200d}b",
                "they said a\u{200d}b",
                true,
            ),
            ("not there", "posts", "get /rest", false),
        ] {
            let line = lower_line(line.as_bytes()).into_owned();
            assert_eq!(Text::new(text).is_in(&line), found, "{why}");
        }
    }

    #[test]
    fn a_question_asks_for_whole_words_and_the_beginning_of_its_last() {
        let long = "y".repeat(40);
        let cut = "y".repeat(32);
        for (why, asked, expected) in [
            (
                "text",
                Text::new("GET /rest/Po").words(),
                vec!["get", "rest", "po*"],
            ),
            ("closed", Text::new("posts?").words(), vec!["posts"]),
            ("escaped", Text::new("one a\u{200d}b").words(), vec![]),
            (
                "what stands everywhere",
                Text::new("member ada").words(),
                vec!["ada*"],
            ),
            (
                "may be the beginning of that",
                Text::new("ada mem").words(),
                vec!["ada"],
            ),
            ("long", Text::new(&long).words(), vec![&*cut]),
            ("value", of_value("AAYF+Ds9=="), vec!["aayf", "ds9"]),
            ("value that JSON changes", of_value("a\"b"), vec![]),
            ("id", of_beginning("019a-0f"), vec!["019a", "0f*"]),
            ("part", of_part("sts/71x"), vec!["71x*"]),
            ("part of a word", of_part("info"), vec![]),
            (
                "part that begins one",
                of_part("/v2/user"),
                vec!["v2", "user*"],
            ),
        ] {
            assert_eq!(words(&asked), expected, "{why}");
        }
    }

    #[test]
    fn words_of_lines_stand_once_and_without_what_every_line_has() {
        let mut gathered = Gathered::default();
        for line in [
            &br#"{"kind":"failed","verdict":"Failed, FAILED","member":{"name":"ada"}}"#[..],
            br#"{"kind":"failed","verdict":"said \"no\"","member":{"name":"ada"},"seq":77}"#,
        ] {
            gathered.take(line);
        }

        assert_eq!(gathered.text(), "failed ada said no 77 ");
    }
}
