//! Values that are secret because of how they look, or because they are alive somewhere.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{LazyLock, Mutex, PoisonError},
};

use memchr::memmem;

use crate::{
    bearer,
    keyring::{Fingerprint, LiveSecrets},
};

/// LinkedIn's tokens and codes: `AQ`, then at least this many characters of the base64url alphabet.
const SHORTEST_TOKEN: usize = 40;

/// Our keys and operators' tokens: their prefix, then at least this many.
const SHORTEST_KEY: usize = 6;

/// What a cut-off end must show of either shape to count.
const SHORTEST_CUT: usize = 10;

/// A run shorter than this is not looked up among live secrets.
const SHORTEST_RUN: usize = 20;

/// How many separators inside a run a live secret may have, before only whole runs are tried.
const SEPARATORS: usize = 8;

/// What shapes begin with, and how much must follow. Made once: making one takes longer than most searches.
static LEADS: LazyLock<Vec<(memmem::Finder<'static>, usize)>> = LazyLock::new(|| {
    let ours = bearer::PREFIXES.map(|prefix| (memmem::Finder::new(prefix), SHORTEST_KEY));
    let theirs = (memmem::Finder::new("AQ"), SHORTEST_TOKEN);
    ours.into_iter().chain([theirs]).collect()
});

/// What a signed token begins with.
static JWT: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("eyJ"));

/// Calls `found` with the range of everything in `text` that is shaped like a secret.
///
/// `is_cut` says that the text was cut off at its end: the beginning of a shape counts there.
pub(super) fn scan(text: &[u8], is_cut: bool, mut found: impl FnMut(usize, usize)) {
    for (lead, shortest) in LEADS.iter() {
        let mut free_from = 0;
        for start in lead.find_iter(text) {
            // Inside a run that was judged as a whole: nothing new, and no second walk over it.
            if start < free_from {
                continue;
            }
            let body = start + lead.needle().len();
            let end = run_end(text, body, is_word);
            let needed = match is_cut && end == text.len() {
                true => SHORTEST_CUT.min(*shortest),
                false => *shortest,
            };
            if end - body >= needed {
                found(start, end);
                free_from = end;
            }
        }
    }
    jwt(text, &mut found);
    scheme(text, &mut found);
}

/// A signed token of JOSE (RFC 7515 §3.1), as LinkedIn's `id_token` is.
fn jwt(text: &[u8], found: &mut impl FnMut(usize, usize)) {
    let mut free_from = 0;
    for start in JWT.find_iter(text) {
        // A later start in the same run has fewer parts.
        if start < free_from {
            continue;
        }
        let end = run_end(text, start, |byte| is_word(byte) || byte == b'.');
        free_from = end;
        let run = text.get(start..end).unwrap_or_default();
        let parts = run.split(|byte| *byte == b'.');
        if parts.filter(|part| part.len() >= 10).count() >= 3 {
            found(start, end);
        }
    }
}

/// `Bearer …` and `Basic …` inside a text, such as an error page that repeats the request.
fn scheme(text: &[u8], found: &mut impl FnMut(usize, usize)) {
    for start in memchr::memchr2_iter(b'B', b'b', text) {
        let rest = text.get(start..).unwrap_or_default();
        let scheme = ["bearer", "basic"].into_iter().find(|scheme| {
            rest.get(..scheme.len())
                .is_some_and(|word| word.eq_ignore_ascii_case(scheme.as_bytes()))
        });
        let Some(scheme) = scheme else { continue };
        let gap = start + scheme.len();
        let value = run_end(text, gap, |byte| matches!(byte, b' ' | b'\t' | b':' | b'+'));
        let end = run_end(text, value, is_token);
        let digits = text.get(value..end).unwrap_or_default();
        if value > gap && end - value >= SHORTEST_RUN && digits.iter().any(u8::is_ascii_digit) {
            found(value, end);
        }
    }
}

/// Runs that were looked up already and are alive nowhere: texts say the same things over and over, and each
/// look takes a keyed hash.
#[derive(Debug, Default)]
pub(super) struct Known {
    hasher: RandomState,
    dead: Mutex<Dead>,
}

/// By hash, as of one state of the live secrets.
#[derive(Debug, Default)]
struct Dead {
    generation: u64,
    runs: HashSet<u64>,
    /// Whole texts in which nobody's secret stands, whoever asks.
    clean: HashSet<u64>,
}

impl Dead {
    /// Forgets what a new secret, or too much of it, made worthless.
    fn refresh(&mut self, generation: u64) {
        let is_full = self.runs.len() >= MAX_KNOWN || self.clean.len() >= MAX_KNOWN;
        if self.generation != generation || is_full {
            self.generation = generation;
            self.runs.clear();
            self.clean.clear();
        }
    }
}

/// Runs, and texts, that are remembered; with one more all are forgotten.
const MAX_KNOWN: usize = 8_192;
/// Longer texts are hardly ever said twice. LinkedIn's errors are shorter, and come in runs.
const LONGEST_KNOWN: usize = 2_048;

/// A text by its hash, and the live secrets as they were when it was asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    hash: u64,
    generation: u64,
}

impl Known {
    /// Whether `text` is known to hold nobody's secret; else what [`Known::is_clean`] takes, if it is worth it.
    pub(super) fn knows(&self, text: &[u8], live: &LiveSecrets) -> Result<(), Option<Asked>> {
        if text.len() > LONGEST_KNOWN {
            return Err(None);
        }
        let asked = Asked {
            hash: self.hasher.hash_one(text),
            generation: live.generation(),
        };
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        dead.refresh(asked.generation);
        match dead.clean.contains(&asked.hash) {
            true => Ok(()),
            false => Err(Some(asked)),
        }
    }

    /// The text that was asked about turned out to hold none.
    pub(super) fn is_clean(&self, asked: Asked) {
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        if dead.generation == asked.generation {
            dead.clean.insert(asked.hash);
        }
    }

    /// The fingerprint of `run` if it is a live secret.
    fn find(&self, run: &[u8], live: &LiveSecrets) -> Option<Fingerprint> {
        let hash = self.hasher.hash_one(run);
        let generation = live.generation();
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        dead.refresh(generation);
        if dead.runs.contains(&hash) {
            return None;
        }
        let found = live.find(run);
        if found.is_none() {
            dead.runs.insert(hash);
        }
        found
    }
}

/// Calls `found` with the range and fingerprint of every live secret in `text`.
pub(super) fn scan_live(
    text: &[u8],
    live: &LiveSecrets,
    known: &Known,
    mut found: impl FnMut(usize, usize, Fingerprint),
) {
    if text.len() < SHORTEST_RUN {
        return;
    }
    let mut start = 0;
    while start < text.len() {
        let end = run_end(text, start, is_token);
        if end - start >= SHORTEST_RUN {
            for (from, to) in candidates(text, start, end) {
                let fingerprint = text.get(from..to).and_then(|run| known.find(run, live));
                if let Some(fingerprint) = fingerprint {
                    found(from, to, fingerprint);
                }
            }
        }
        start = run_end(text, end, |byte| !is_token(byte)).max(start + 1);
    }
}

/// Where a secret could begin and end in a run: at separators, since a run may be a whole URL.
fn candidates(text: &[u8], start: usize, end: usize) -> impl Iterator<Item = (usize, usize)> {
    let separates = |place: usize| text.get(place).is_some_and(|byte| !is_word(*byte));
    let starts: Vec<usize> = (start..end)
        .filter(|place| *place == start || separates(place - 1))
        .collect();
    let ends: Vec<usize> = (start + 1..=end)
        .filter(|place| *place == end || separates(*place))
        .collect();
    let first = starts.iter().take(SEPARATORS).map(|from| (*from, end));
    let whole: Vec<(usize, usize)> = first.collect();
    let inner = starts.into_iter().flat_map(move |from| {
        let next = ends.partition_point(|to| *to <= from);
        let reached = ends.get(next..).unwrap_or_default().iter();
        let pairs = reached.take(SEPARATORS).map(|to| (from, *to));
        pairs.collect::<Vec<_>>()
    });
    whole
        .into_iter()
        .chain(inner)
        .filter(|(from, to)| to - from >= SHORTEST_RUN)
}

/// The end of the run from `start` on whose bytes all are `wanted`.
fn run_end(text: &[u8], start: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| wanted(**byte)).count()
}

/// The base64url alphabet.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// What any token may be made of: base64url, base64, `b64token` (RFC 6750 §2.1), percent-encoding.
fn is_token(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=' | b'%')
}
