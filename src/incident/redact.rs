//! THE DOOR: what may never leave in a record, a body or an export, and what stands in its place.
//!
//! Secrets are found by name (`Authorization`, `client_secret`, …), by value (the exchange's own
//! secrets in every encoding, and every live secret), and by shape (`AQ…`, `lgk_…`, `lgo_…`). In their place
//! stands a keyed fingerprint, so that two records can still be compared.
//!
//! **Invariant:** no bytes make it panic; what came out goes through again unchanged; what is not
//! part of a secret stays byte for byte.

use std::{
    borrow::Cow,
    ops::Range,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;

use crate::keyring::{Fingerprint, KeyRing, LiveSecrets};

mod find;
mod name;
mod needle;
mod prints;
mod shape;
#[cfg(test)]
mod tests;
mod view;

pub use find::{Find, MOST_FINDS, What, finds};
pub(super) use needle::Own;

use needle::Needles;
use prints::Prints;
use view::View;

/// What redaction knows beyond one exchange. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Redaction {
    ring: KeyRing,
    live: LiveSecrets,
    known: Arc<shape::Known>,
    prints: Arc<Prints>,
}

impl Redaction {
    /// The door for records whose fingerprints are made with `ring`.
    pub fn new(ring: KeyRing, live: LiveSecrets) -> Self {
        Self {
            ring,
            live,
            known: Arc::default(),
            prints: Arc::default(),
        }
    }

    /// What of `text` must not be handed out: an export is asked about before it leaves.
    pub fn finds(&self, text: &[u8]) -> Vec<Find> {
        finds(text, Some(&self.live))
    }

    /// Another number whenever a secret became alive.
    pub fn generation(&self) -> u64 {
        self.live.generation()
    }

    /// The door for one exchange with these secrets of its own.
    pub fn of(&self, secrets: &[Bytes]) -> Redactor<'_> {
        let own = |secret: &Bytes| Own {
            secret: secret.clone(),
            fingerprint: None,
        };
        self.of_own(secrets.iter().map(own).collect())
    }

    /// The same, where the fingerprints of some are known.
    pub(super) fn of_own(&self, secrets: Vec<Own>) -> Redactor<'_> {
        Redactor {
            redaction: self,
            own: needle::needles(secrets, &self.ring, &self.prints),
        }
    }
}

/// The door for one exchange.
#[derive(Debug)]
pub struct Redactor<'a> {
    redaction: &'a Redaction,
    own: Needles<'a>,
}

/// Replacing can bring a new name to light (`…=`); it comes to rest after one or two rounds.
const MAX_ROUNDS: usize = 8;

/// Whether a text goes on beyond what we have of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This is all of it.
    Whole,
    /// It was cut off at its end, maybe in the middle of a secret.
    Cut,
}

/// A stretch of raw text that must go.
struct Span {
    start: usize,
    end: usize,
    rank: Rank,
    fingerprint: Fingerprint,
}

/// Which fingerprint stands where several spans meet: the one that says most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Shape,
    Name,
    Live,
    Own,
}

impl Redactor<'_> {
    /// `text` with every secret replaced.
    pub fn text<'t>(&self, text: &'t [u8], end: End) -> Cow<'t, [u8]> {
        let mut text = Cow::Borrowed(text);
        for _ in 0..MAX_ROUNDS {
            let spans = self.spans(&text, end);
            if spans.is_empty() {
                break;
            }
            text = Cow::Owned(replace(&text, spans));
        }
        text
    }

    /// Where this exchange's own secrets may have a say in what becomes of `list`, whose pieces are then looked at one
    /// by one: searching all at once takes half the instructions of searching each.
    pub(super) fn own_places(&self, list: &[u8]) -> OwnPlaces {
        let mut secrets = Vec::new();
        self.own.hits(list, |hit| secrets.push(hit.start..hit.end));
        OwnPlaces {
            secrets,
            is_escaped: view::is_escaped(list),
        }
    }

    /// The value of the header `name` with every secret replaced.
    pub fn header<'t>(&self, name: &[u8], value: &'t [u8]) -> Cow<'t, [u8]> {
        match Treatment::of(name) {
            Treatment::Credentials => self.credentials(value),
            Treatment::Cookies => Cow::Owned(self.pairs(value, usize::MAX)),
            Treatment::SetCookie => Cow::Owned(self.pairs(value, 1)),
            Treatment::Whole => Cow::Owned(self.mark(value)),
            Treatment::Text => self.text(value, End::Whole),
        }
    }

    /// `Bearer …`: the scheme stays, and of a key that names a member the name.
    fn credentials<'t>(&self, value: &'t [u8]) -> Cow<'t, [u8]> {
        let space = memchr::memchr(b' ', value);
        let (scheme, rest) = value.split_at(space.map_or(0, |space| space + 1));
        let is_known = ["basic", "bearer", "digest", "negotiate", "token"]
            .iter()
            .any(|known| scheme.trim_ascii().eq_ignore_ascii_case(known.as_bytes()));
        let (scheme, rest) = if is_known {
            (scheme, rest)
        } else {
            (&b""[..], value)
        };
        let named = memchr::memchr(b'~', rest);
        let is_key = rest.starts_with(b"lgk_")
            || is_marked(rest.get(..named.unwrap_or(0)).unwrap_or_default());
        let cut = named.filter(|_| is_key).unwrap_or(rest.len());
        let (secret, member) = rest.split_at(cut);
        let mut out = scheme.to_vec();
        if self.is_clean(member) {
            out.extend(self.mark(secret));
            out.extend_from_slice(member);
        } else {
            out.extend(self.mark(rest));
        }
        Cow::Owned(out)
    }

    /// `a=b; c=d`: the names stay, and all that comes after the first `secret_pairs`.
    fn pairs(&self, value: &[u8], secret_pairs: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(value.len());
        for (n, pair) in value.split(|byte| *byte == b';').enumerate() {
            if n > 0 {
                out.push(b';');
            }
            if n >= secret_pairs {
                out.extend_from_slice(&self.text(pair, End::Whole));
                continue;
            }
            let name = pair
                .iter()
                .position(|byte| *byte == b'=')
                .map_or(0, |at| at + 1);
            let (name, secret) = pair.split_at(name);
            if self.is_clean(name) {
                out.extend_from_slice(name);
                out.extend(self.mark(secret));
            } else {
                out.extend(self.mark(pair));
            }
        }
        out
    }

    fn is_clean(&self, text: &[u8]) -> bool {
        *self.text(text, End::Whole) == *text
    }

    /// The mark that stands for `secret`.
    fn mark(&self, secret: &[u8]) -> Vec<u8> {
        if secret.trim_ascii().is_empty() || is_marked(secret) {
            return secret.into();
        }
        match self.own.fingerprint(secret) {
            Some(own) => marker(own),
            None => marker(&self.redaction.ring.fingerprint(secret)),
        }
    }

    fn spans(&self, text: &[u8], end: End) -> Vec<Span> {
        // Headers say the same things in every exchange: only this one's own secrets are looked for again.
        let known = match end {
            End::Whole => self.redaction.known.knows(text, &self.redaction.live),
            End::Cut => Err(None),
        };
        let mut spans = Vec::new();
        if known.is_ok() && !view::is_escaped(text) {
            self.scan_own(&View::raw(text), end, &mut spans);
            return spans;
        }
        let marks = marks(text);
        let mut is_clean = marks.is_empty();
        for view in view::views(text) {
            self.scan_own(&view, end, &mut spans);
            self.scan(&view, end, &mut spans);
            is_clean &= spans.is_empty();
        }
        if let (true, Err(Some(asked))) = (is_clean, known) {
            self.redaction.known.is_clean(asked);
        }
        spans.retain(|span| {
            let stands_in_mark = |mark: &(usize, usize)| mark.0 <= span.start && span.end <= mark.1;
            span.start < span.end && !marks.iter().any(stands_in_mark)
        });
        spans
    }

    /// This exchange's own secrets.
    fn scan_own(&self, view: &View<'_>, end: End, spans: &mut Vec<Span>) {
        let text = &*view.bytes;
        let mut own = |hit: &needle::Hit<'_>| {
            let (start, end) = view.raw_range(hit.start, hit.end);
            spans.push(Span {
                start,
                end,
                rank: Rank::Own,
                fingerprint: hit.fingerprint.clone(),
            });
        };
        self.own.hits(text, &mut own);
        if end == End::Cut {
            self.own.cut_hits(text, &mut own);
        }
    }

    /// Secrets by name, by shape, and those that are alive.
    fn scan(&self, view: &View<'_>, end: End, spans: &mut Vec<Span>) {
        let text = &*view.bytes;
        let mut note = |start, end, rank, fingerprint: Fingerprint| {
            let (start, end) = view.raw_range(start, end);
            spans.push(Span {
                start,
                end,
                rank,
                fingerprint,
            });
        };
        shape::scan_live(
            text,
            &self.redaction.live,
            &self.redaction.known,
            |start, end, fingerprint| {
                note(start, end, Rank::Live, fingerprint);
            },
        );
        let of = |start, end| {
            let value = text.get(start..end).unwrap_or_default();
            self.redaction.ring.fingerprint(value)
        };
        name::scan(text, |start, end| {
            note(start, end, Rank::Name, of(start, end));
        });
        shape::scan(text, end == End::Cut, |start, end| {
            note(start, end, Rank::Shape, of(start, end));
        });
    }
}

/// What [`Redactor::own_places`] found in a list.
#[derive(Debug)]
pub(super) struct OwnPlaces {
    secrets: Vec<Range<usize>>,
    is_escaped: bool,
}

impl OwnPlaces {
    /// Whether the exchange's own secrets may have a say in the piece of the list at `place`, or in `texts` that were
    /// taken from it: one of them stands there, or it may read otherwise than it stands.
    pub(super) fn touch(&self, place: &Range<usize>, texts: [&[u8]; 2]) -> bool {
        let stands = |secret: &Range<usize>| secret.start < place.end && place.start < secret.end;
        self.secrets.iter().any(stands)
            || (self.is_escaped && texts.into_iter().any(view::is_escaped))
    }
}

/// How a header's value is redacted.
enum Treatment {
    Credentials,
    Cookies,
    SetCookie,
    Whole,
    Text,
}

impl Treatment {
    fn of(name: &[u8]) -> Self {
        let mut lower = [0; name::LONGEST_NAME + 2];
        let Some(lower) = lower.get_mut(..name.len()) else {
            return Self::Text;
        };
        for (to, from) in lower.iter_mut().zip(name) {
            *to = match from {
                b'_' => b'-',
                other => other.to_ascii_lowercase(),
            };
        }
        match &*lower {
            b"authorization" | b"proxy-authorization" => Self::Credentials,
            b"cookie" => Self::Cookies,
            b"set-cookie" => Self::SetCookie,
            // LinkedIn's route key is the value of its `lidc` cookie.
            b"x-li-route-key" | b"csrf-token" | b"x-csrf-token" => Self::Whole,
            other if is_secret_header(other) => Self::Whole,
            _ => Self::Text,
        }
    }
}

/// Whether the value of a header is redacted as any text is: by what stands in it, not by the header's name alone.
pub(super) fn is_searched(name: &[u8]) -> bool {
    matches!(Treatment::of(name), Treatment::Text)
}

/// `Access-Token`, `X-Api-Key`, …: the names that are secret in bodies are in headers too.
fn is_secret_header(name: &[u8]) -> bool {
    let plain = name.strip_prefix(b"x-").unwrap_or(name);
    name::secret_name(plain).is_some_and(|secret| secret != "code")
}

const MARK_START: &[u8] = b"[redacted:";
/// Made once: making one takes longer than most searches.
static MARKS: LazyLock<memchr::memmem::Finder<'static>> =
    LazyLock::new(|| memchr::memmem::Finder::new(MARK_START));
/// Digits of a fingerprint.
const MARK_DIGITS: usize = 16;

fn marker(fingerprint: &Fingerprint) -> Vec<u8> {
    format!("[redacted:{fingerprint}]").into_bytes()
}

/// Whether `text` is one mark and nothing else.
fn is_marked(text: &[u8]) -> bool {
    let digits = text
        .strip_prefix(MARK_START)
        .and_then(|rest| rest.strip_suffix(b"]"));
    digits.is_some_and(|digits| {
        digits.len() == MARK_DIGITS && digits.iter().all(u8::is_ascii_hexdigit)
    })
}

/// Where marks stand already.
fn marks(text: &[u8]) -> Vec<(usize, usize)> {
    let length = MARK_START.len() + MARK_DIGITS + 1;
    MARKS
        .find_iter(text)
        .map(|start| (start, start + length))
        .filter(|(start, end)| text.get(*start..*end).is_some_and(is_marked))
        .collect()
}

/// Replaces all spans; those that overlap become one.
fn replace(text: &[u8], mut spans: Vec<Span>) -> Vec<u8> {
    spans.sort_by_key(|span| (span.start, span.end));
    let mut out = Vec::with_capacity(text.len());
    let mut done = 0;
    let mut spans = spans.into_iter().peekable();
    while let Some(mut whole) = spans.next() {
        while let Some(next) = spans.next_if(|next| next.start < whole.end) {
            whole.end = whole.end.max(next.end);
            if next.rank >= whole.rank {
                whole.rank = next.rank;
                whole.fingerprint = next.fingerprint;
            }
        }
        out.extend_from_slice(text.get(done..whole.start).unwrap_or_default());
        out.extend(marker(&whole.fingerprint));
        done = whole.end;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    out
}
