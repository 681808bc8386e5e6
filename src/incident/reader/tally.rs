//! Counting lines, whichever way they come: read, or from the index.
//!
//! **Invariant:** memory is bounded by [`MOST_NAMES`], whatever callers send; lines are counted in the order
//! of their numbers, so that which names are told apart does not depend on the way.
//!
//! **Neighbours:** `signatures` and `stats` say what is counted; `view` brings the lines.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
};

use super::{
    Filter, Incidents, Order,
    view::{Seen, View},
};
use crate::incident::index::{
    row::{FIELDS, Field, Numbers},
    snapshot::Unusable,
};

/// Names of one field that are told apart; what comes beyond is one name, [`OTHERS`].
pub(super) const MOST_NAMES: usize = 10_000;
/// Pairs of names that are told apart.
const MOST_PAIRS: usize = 4 << 20;
/// What has no place of its own.
pub(super) const OTHERS: &str = "(others)";

/// Number of a name among all that were met; 0 is none.
pub(super) type NameId = usize;

/// Something that counts lines.
pub(super) trait Count {
    /// The fields whose names it wants.
    const FIELDS: &'static [Field];

    /// One line. Fields that were not asked for have no name.
    fn take(&mut self, numbers: &Numbers, names: &[NameId; FIELDS]);
}

/// The names met in one field.
#[derive(Debug)]
pub(super) struct Names {
    numbers: HashMap<String, NameId>,
    texts: Vec<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            // 0 is none.
            texts: vec![String::new()],
        }
    }
}

impl Names {
    fn number_of(&mut self, text: &str) -> NameId {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // The one behind the last is for all others.
        let is_full = self.texts.len() > MOST_NAMES;
        let text = if is_full { OTHERS } else { text };
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len();
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// The name with this number.
    pub(super) fn text(&self, number: NameId) -> &str {
        self.texts.get(number).map_or("", String::as_str)
    }
}

/// All names that were met, by [`Field::place`].
pub(super) type AllNames = [Names; FIELDS];

/// What counting came to.
#[derive(Debug)]
pub(super) struct Counted<C> {
    pub(super) count: C,
    pub(super) names: AllNames,
    pub(super) skipped: u64,
}

impl Incidents {
    /// Counts every line that `filter` lets through, in the order of writing.
    pub(super) fn count<C: Count>(&self, filter: &Filter, begin: impl Fn() -> C) -> Counted<C> {
        let filter = Filter {
            order: Order::OldestFirst,
            ..filter.clone()
        };
        let (views, unreadable) = self.views(&filter);
        let mut views: Vec<View> = views.into_iter().map(|(_, view)| view).collect();
        loop {
            let mut counted = Counted {
                count: begin(),
                names: AllNames::default(),
                skipped: unreadable,
            };
            // A damaged index may show in the middle: then all is counted anew without it, once a segment.
            let failed = views.iter().enumerate().find_map(|(n, view)| {
                let skipped = counted.take(view, &filter).map_err(|why| (n, why));
                match skipped {
                    Ok(skipped) => {
                        counted.skipped += skipped;
                        None
                    }
                    Err(failed) => Some(failed),
                }
            });
            let Some((n, why)) = failed else {
                return counted;
            };
            let view = views.remove(n);
            views.insert(n, view.without_index(&why));
        }
    }
}

impl<C: Count> Counted<C> {
    fn take(&mut self, view: &View, filter: &Filter) -> Result<u64, Unusable> {
        let mut known = C::FIELDS
            .iter()
            .map(|field| Known::of(view, *field))
            .collect::<Result<Vec<Known>, Unusable>>()?;
        let Self { names, count, .. } = self;
        view.each(filter, |seen| {
            let mut ids = [0; FIELDS];
            for known in &mut known {
                let n = known.field.place();
                let (Some(id), Some(names)) = (ids.get_mut(n), names.get_mut(n)) else {
                    continue;
                };
                *id = match &seen {
                    Seen::Line(row) => {
                        let text = row.names.get(n).copied().flatten();
                        text.map_or(0, |text| names.number_of(text))
                    }
                    Seen::Indexed(_, local) => known.id(local.get(n).copied().unwrap_or(0), names),
                };
            }
            match &seen {
                Seen::Line(row) => count.take(&row.numbers, &ids),
                Seen::Indexed(numbers, _) => count.take(numbers, &ids),
            }
        })
    }
}

/// The names of a field as a segment's index numbers them.
#[derive(Debug)]
struct Known {
    field: Field,
    texts: Vec<String>,
    /// What each is among all, once it was met: so in the order of lines.
    met: Vec<NameId>,
}

impl Known {
    fn of(view: &View, field: Field) -> Result<Self, Unusable> {
        let texts = view.names(field)?;
        Ok(Self {
            field,
            met: vec![0; texts.len()],
            texts,
        })
    }

    fn id(&mut self, local: u64, names: &mut Names) -> NameId {
        let place = usize::try_from(local)
            .ok()
            .and_then(|local| local.checked_sub(1));
        let Some(place) = place else { return 0 };
        match (self.met.get_mut(place), self.texts.get(place)) {
            (Some(met), Some(text)) if *met == 0 => {
                *met = names.number_of(text);
                *met
            }
            (Some(met), _) => *met,
            _ => 0,
        }
    }
}

/// Pairs of small numbers, each counted once.
#[derive(Debug, Default)]
pub(super) struct Pairs(HashSet<u64, BuildHasherDefault<Mix>>);

impl Pairs {
    /// Whether the pair is new; never beyond [`MOST_PAIRS`].
    pub(super) fn insert(&mut self, one: NameId, other: NameId) -> bool {
        if self.0.len() >= MOST_PAIRS {
            return false;
        }
        let (one, other) = (one as u64, other as u64);
        self.0.insert((one << 32) | (other & 0xffff_ffff))
    }
}

/// Spreads a number over all bits. The numbers are our own, so nobody can choose them to collide.
#[derive(Debug, Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
