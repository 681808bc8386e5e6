//! Header lines as a record writes them, remembered.
//!
//! Forty header lines of an exchange stood in the one before as well. What comes out of the redaction door for such a
//! line, as JSON, is kept by the line; only this exchange's own secrets are looked for again, in all lines at once.
//!
//! **Invariant:** a line is taken from here only if nothing in it depends on the exchange it stands in: no form of its
//! secrets, nothing that may read otherwise than it stands. What became alive since voids everything. Bounded.
//!
//! **Neighbours:** `pen` asks; `redact` decides.

use std::{borrow::Cow, cell::RefCell, collections::HashMap, hash::BuildHasher, sync::Arc};

use foldhash::quality::RandomState;
use serde::{Serialize, Serializer};

use super::pen::readable;
use crate::incident::{
    line::{self, MADE},
    redact::{End, OwnPlaces, Redaction, Redactor, is_searched},
    wire::{Line, Lines},
};

/// Lines that are remembered; with one more all are forgotten.
const MAX_KNOWN: usize = 4_096;
/// Longer ones are hardly ever said twice.
const LONGEST_KNOWN: usize = 256;

/// What we call the exchange in our answer.
const ID: &[u8] = b"linkgate-exchange";

/// One header line, redacted: `["name","value"]`.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    json: Arc<str>,
    /// Whether it is not UTF-8 and is shown as ISO 8859-1.
    pub(super) latin1: bool,
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_newtype_struct(MADE, &*self.json)
    }
}

impl Shown {
    fn of(name: &[u8], value: &[u8]) -> Self {
        let ((name, name_is_latin1), (value, value_is_latin1)) = (readable(name), readable(value));
        Self {
            json: json(&name, &value),
            latin1: name_is_latin1 || value_is_latin1,
        }
    }

    /// With no more than `longest` characters of either.
    pub(super) fn shorten(&mut self, longest: usize) {
        let read = serde_json::from_str::<(String, String)>(&self.json);
        let cut = |text: String| text.chars().take(longest).collect::<String>();
        let (name, value) = read.unwrap_or_default();
        self.json = json(&cut(name), &cut(value));
    }
}

fn json(name: &str, value: &str) -> Arc<str> {
    let mut json = Vec::with_capacity(name.len() + value.len() + 16);
    // Two texts write without error, in UTF-8, and as JSON.
    line::push(&mut json, &(name, value)).unwrap_or_default();
    json.pop();
    String::from_utf8(json).unwrap_or_default().into()
}

/// What header lines become.
#[derive(Debug, Default)]
pub(in crate::incident) struct Heads {
    hasher: RandomState,
    known: RefCell<Known>,
}

/// As of one state of the live secrets, by the lines' hashes.
#[derive(Debug)]
struct Known {
    generation: u64,
    lines: HashMap<u64, Remembered, RandomState>,
    /// Hashes of lines that were said lately, each in its place: each exchange has two or three that are its own and come
    /// never again, and would push out those that do.
    said: Box<[u64]>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            generation: 0,
            lines: HashMap::default(),
            said: vec![0; MAX_KNOWN].into(),
        }
    }
}

impl Known {
    /// Whether a line of this hash was said lately, before this time.
    fn is_said_again(&mut self, hash: u64) -> bool {
        let place = usize::try_from(hash).unwrap_or_default() % MAX_KNOWN;
        let before = self.said.get_mut(place);
        before.is_some_and(|before| std::mem::replace(before, hash) == hash)
    }
}

/// The line stands here as well: a hash that is fast to make does not prove it (`SipHash`, which does, took a tenth of
/// the writer's instructions).
#[derive(Debug)]
struct Remembered {
    /// Name and value with a colon between, which stands in no name.
    text: Box<[u8]>,
    shown: Shown,
}

impl Remembered {
    fn of(line: &Line<'_>, shown: Shown) -> Self {
        let text = [line.name, b":", &*line.value].concat().into();
        Self { text, shown }
    }

    fn is_of(&self, line: &Line<'_>) -> bool {
        let value = self.text.strip_prefix(line.name);
        let value = value.and_then(|rest| rest.strip_prefix(b":"));
        value == Some(&*line.value)
    }
}

impl Heads {
    /// `lines` of the exchange `id` as they may be written.
    pub(super) fn shown(
        &self,
        lines: &Lines<'_>,
        id: &str,
        redactor: &Redactor<'_>,
        redaction: &Redaction,
    ) -> Vec<Shown> {
        let own = redactor.own_places(lines.list);
        let lines = lines.all.iter();
        let shown = lines.map(|line| self.line(line, (&own, id), redactor, redaction));
        shown.collect()
    }

    fn line(
        &self,
        line: &Line<'_>,
        (own, id): (&OwnPlaces, &str),
        redactor: &Redactor<'_>,
        redaction: &Redaction,
    ) -> Shown {
        let (name, value) = (line.name, &*line.value);
        let is_short = name.len() + value.len() <= LONGEST_KNOWN;
        // A folded line reads otherwise than it stands.
        let is_plain = matches!(line.value, Cow::Borrowed(_));
        if !is_short || !is_plain || own.touch(&line.place, [name, value]) {
            return fresh(line, redactor).0;
        }
        // The record says it already; to the door it would look like a secret.
        if *value == *id.as_bytes() && *name == *ID {
            return Shown::of(name, value);
        }
        let hash = self.hasher.hash_one((name, value));
        let generation = redaction.generation();
        let mut known = self.known.borrow_mut();
        if known.generation != generation || known.lines.len() >= MAX_KNOWN {
            known.generation = generation;
            known.lines.clear();
        }
        if let Some(same) = known.lines.get(&hash).filter(|known| known.is_of(line)) {
            return same.shown.clone();
        }
        let (shown, is_steady) = fresh(line, redactor);
        // A secret that became alive meanwhile was maybe not seen.
        let is_worth_it = is_steady && known.is_said_again(hash);
        if is_worth_it && redaction.generation() == generation {
            let remembered = Remembered::of(line, shown.clone());
            known.lines.insert(hash, remembered);
        }
        shown
    }
}

/// `line` through the door, and whether it comes out so for whoever it is: of a text that was changed that is not sure.
fn fresh(line: &Line<'_>, redactor: &Redactor<'_>) -> (Shown, bool) {
    let name = redactor.text(line.name, End::Whole);
    let value = redactor.header(line.name, &line.value);
    let is_same = *value == *line.value || !is_searched(line.name);
    (Shown::of(&name, &value), *name == *line.name && is_same)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        exchange::Head,
        incident::wire,
        keyring::{KeyRing, LiveSecrets},
    };

    const SECRETS: [&str; 4] = [
        "AQXdSP_W41_UPs5ioT_t8HESyODB4FqbkJ8LrV_5mff4gPODzOYR",
        "wJalrXUtnFEMI-K7MDENG-bPxRfiCY",
        "lgk_abcdef01_0123456789abcdef",
        "opaque secret",
    ];
    const NAMES: [&str; 8] = [
        "Host",
        "Authorization",
        "Cookie",
        "set-cookie",
        "X-Li-Route-Key",
        "x-api-key",
        "X-Any",
        "wJalrXUtnFEMI-K7MDENG-bPxRfiCY",
    ];

    fn head(name: &str, value: &str) -> Head {
        Head::Wire(format!("GET / HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\n\r\n").into())
    }

    fn value() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(&SECRETS[..]).prop_map(str::to_owned),
            prop::sample::select(
                &[
                    "Bearer ", "; ", "a=", "lidc=", "code=", "%41", "~ada", "\\u0041", "é", "x"
                ][..]
            )
            .prop_map(str::to_owned),
            "[ -~]{0,6}",
        ];
        prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_remembered_line_is_what_the_door_would_say_now(
            lines in prop::collection::vec((prop::sample::select(&NAMES[..]), value()), 1..4),
            turns in prop::collection::vec((0_usize..4, 0_usize..SECRETS.len(), 0_usize..5), 1..12),
        ) {
            let ring = KeyRing::random();
            let live = LiveSecrets::new(ring.clone());
            let redaction = Redaction::new(ring.clone(), live.clone());
            let heads = Heads::default();
            for (which, own, alive) in turns {
                if let Some(secret) = SECRETS.get(alive) {
                    live.add(secret.as_bytes());
                }
                let redactor = redaction.of(&[Bytes::from_static(SECRETS[own].as_bytes())]);
                let (name, value) = &lines[which % lines.len()];
                let head = head(name, value);
                let lines = wire::lines(&head);

                let shown = heads.shown(&lines, "019a", &redactor, &redaction);

                // A door that remembers nothing.
                let plain = Redaction::new(ring.clone(), live.clone());
                let plain = plain.of(&[Bytes::from_static(SECRETS[own].as_bytes())]);
                prop_assert_eq!(shown.len(), 2);
                for (line, shown) in lines.all.iter().zip(shown) {
                    let (expected, _) = fresh(line, &plain);
                    prop_assert_eq!(&shown.json, &expected.json);
                    prop_assert_eq!(shown.latin1, expected.latin1);
                }
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let ring = KeyRing::random();
        let redaction = Redaction::new(ring.clone(), LiveSecrets::new(ring));
        let redactor = redaction.of(&[]);
        let heads = Heads::default();

        for n in 0..MAX_KNOWN + 10 {
            let head = head("x-n", &n.to_string());
            for _ in 0..2 {
                heads.shown(&wire::lines(&head), "", &redactor, &redaction);
            }
        }

        // The last ten, and the Host of all.
        assert!(heads.known.borrow().lines.len() <= 12);
    }

    #[test]
    fn what_is_said_once_pushes_nothing_out() {
        let ring = KeyRing::random();
        let redaction = Redaction::new(ring.clone(), LiveSecrets::new(ring));
        let redactor = redaction.of(&[]);
        let heads = Heads::default();

        for n in 0..2 * MAX_KNOWN {
            let head = head("x-n", &n.to_string());
            heads.shown(&wire::lines(&head), "", &redactor, &redaction);
        }

        assert_eq!(heads.known.borrow().lines.len(), 1, "the Host");
    }

    #[test]
    fn the_exchanges_id_stands_as_it_is_and_any_other_is_looked_at() {
        let ring = KeyRing::random();
        let live = LiveSecrets::new(ring.clone());
        let redaction = Redaction::new(ring, live.clone());
        let redactor = redaction.of(&[]);
        let heads = Heads::default();
        let [id, other] = ["01a22ddb-c700-7cc0-ab48", "01a22ddb-c700-7cc0-ab49"];
        live.add(other.as_bytes());

        let said = |name, value| {
            let head = head(name, value);
            let shown = heads.shown(&wire::lines(&head), id, &redactor, &redaction);
            shown.last().unwrap().json.to_string()
        };

        let ours = format!(r#"["linkgate-exchange","{id}"]"#);
        assert_eq!(said("linkgate-exchange", id), ours);
        assert!(!said("linkgate-exchange", other).contains(other));
        assert!(!said("x-any", other).contains(other));
    }
}
