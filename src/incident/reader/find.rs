//! Finding one record by its id, or the beginning of it.
//!
//! **Invariant:** segments of the time that the id tells of are looked at first; all the others are, too.

use super::{Filter, Incidents, Record, view::Wanted};
use crate::incident::segment::Stamp;

/// Shortest beginning of an id that is looked for.
const SHORTEST_PREFIX: usize = 8;
/// Characters of a whole id.
const WHOLE: usize = 36;
/// Ids that are named when a prefix fits several.
const MAX_AMBIGUOUS: usize = 16;

/// What looking for an id came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// This one.
    One(Box<Record>),
    /// Several ids begin so: the newest of them.
    Ambiguous(Vec<String>),
    /// No line has it.
    Nothing,
    /// None that could be read has it: so many segments cannot be opened.
    Unreadable(u64),
}

impl Incidents {
    /// The record whose id begins with `prefix`, of at least eight characters. Reads files: not
    /// for an async worker.
    pub fn find(&self, prefix: &str) -> Found {
        let prefix = prefix.to_ascii_lowercase();
        if !begins_id(&prefix) {
            return Found::Nothing;
        }
        let mut stamps = self.segments(&Filter::default());
        stamps.reverse();
        // The id tells when the exchange began; its line is hardly ever written much later.
        let is_near =
            |stamp: &Stamp| near(&prefix).is_none_or(|range| range.contains(&stamp.start_secs));
        let (near, far): (Vec<Stamp>, Vec<Stamp>) = stamps.into_iter().partition(is_near);
        let unread = match self.find_in(&near, &prefix) {
            Found::Nothing => 0,
            Found::Unreadable(unread) => unread,
            found => return found,
        };
        match self.find_in(&far, &prefix) {
            Found::Nothing if unread > 0 => Found::Unreadable(unread),
            Found::Unreadable(also) => Found::Unreadable(unread + also),
            found => found,
        }
    }

    /// Looks through `stamps`, the newest first.
    fn find_in(&self, stamps: &[Stamp], prefix: &str) -> Found {
        let filter = Filter {
            id_prefix: Some(prefix.to_owned()),
            ledger: true,
            ..Filter::default()
        };
        let wanted = Wanted {
            filter: &filter,
            after: None,
            limit: if prefix.len() == WHOLE {
                1
            } else {
                MAX_AMBIGUOUS
            },
            patience: usize::MAX,
            look_first: 0,
        };
        let mut found: Vec<Record> = Vec::new();
        let mut unread = 0;
        for stamp in stamps {
            let view = match self.view(*stamp) {
                Ok(Some(view)) => view,
                Ok(None) => continue,
                Err(_) => {
                    unread += 1;
                    continue;
                }
            };
            for record in view.gather(wanted).records {
                if !found.iter().any(|known| known.id() == record.id()) {
                    found.push(record);
                }
            }
            if found.len() >= wanted.limit {
                break;
            }
        }
        found.truncate(MAX_AMBIGUOUS);
        match found.len() {
            0 if unread > 0 => Found::Unreadable(unread),
            0 => Found::Nothing,
            1 => found
                .pop()
                .map_or(Found::Nothing, |one| Found::One(Box::new(one))),
            _ => Found::Ambiguous(
                found
                    .iter()
                    .filter_map(|one| Some(one.id()?.to_owned()))
                    .collect(),
            ),
        }
    }
}

/// Whether this is an exchange's id, or its beginning of eight characters or more.
pub fn begins_id(text: &str) -> bool {
    let is_of_id = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    (SHORTEST_PREFIX..=WHOLE).contains(&text.len()) && text.bytes().enumerate().all(is_of_id)
}

/// When segments begin that may hold an exchange whose id begins so.
fn near(prefix: &str) -> Option<std::ops::Range<i64>> {
    const DAY: i64 = 86_400;
    let digits: String = prefix
        .chars()
        .filter(|digit| *digit != '-')
        .take(12)
        .collect();
    let missing = 12_u32.checked_sub(u32::try_from(digits.len()).ok()?)?;
    let millis = i64::from_str_radix(&digits, 16)
        .ok()?
        .checked_shl(4 * missing)?;
    let spread = 1_i64.checked_shl(4 * missing)?;
    Some(millis / 1_000 - DAY..(millis + spread) / 1_000 + 2 * DAY)
}
