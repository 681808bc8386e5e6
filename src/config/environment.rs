//! `LINKGATE__SECTION__KEY`: the environment laid over the tree.
//!
//! **Invariant:** this is the only place in the crate that reads the process's environment.

use std::collections::BTreeMap;

use super::{
    file::{Entry, Node, Value},
    problem::{Place, Problem},
};

const PREFIX: &str = "LINKGATE__";

/// The variables of the process, or those of a test.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own; variables that are no UTF-8 are left out.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// One variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Lays every `LINKGATE__…` variable over `root`.
    pub(super) fn override_values(&self, root: &mut Node) -> Vec<Problem> {
        let mut overrides: Vec<(Vec<Part>, &String, &String)> = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((parts(name.strip_prefix(PREFIX)?), name, value)))
            .collect();
        overrides.sort();
        overrides
            .into_iter()
            .filter_map(|(parts, name, value)| set(root, &parts, name, value).err())
            .collect()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let pairs = variables.into_iter();
        Self(
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// One step into the tree. Places sort by number, so that item 2 is made before item 10.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Item(usize),
    Entry(String),
}

fn parts(rest: &str) -> Vec<Part> {
    rest.to_ascii_lowercase()
        .split("__")
        .map(|part| {
            part.parse()
                .map_or_else(|_| Part::Entry(part.to_owned()), Part::Item)
        })
        .collect()
}

fn set(node: &mut Node, parts: &[Part], name: &str, value: &str) -> Result<(), Problem> {
    let place = Place::Variable(name.to_owned());
    let Some((part, rest)) = parts.split_first() else {
        *node = Node {
            place,
            value: Value::Raw(value.to_owned()),
        };
        return Ok(());
    };
    if matches!(node.value, Value::Null) {
        node.value = match part {
            Part::Item(_) => Value::List(Vec::new()),
            Part::Entry(_) => Value::Section(Vec::new()),
        };
    }
    let next = match (&mut node.value, part) {
        (Value::List(list), Part::Item(n)) => item(list, *n, &place),
        (Value::Section(entries), Part::Entry(key)) => {
            if rest.is_empty() {
                drop_rivals(entries, key);
            }
            Some(entry(entries, key, &place))
        }
        _ => None,
    };
    let Some(next) = next else {
        return Err(Problem::new(&place, "", "does not fit the file's shape")
            .hint("lists take places counted from 0 without gaps, sections take keys"));
    };
    set(next, rest, name, value)
}

fn item<'a>(list: &'a mut Vec<Node>, n: usize, place: &Place) -> Option<&'a mut Node> {
    if n == list.len() {
        list.push(missing(place));
    }
    list.get_mut(n)
}

fn entry<'a>(entries: &'a mut Vec<Entry>, key: &str, place: &Place) -> &'a mut Node {
    let at = entries.iter().rposition(|entry| entry.key == key);
    let at = at.unwrap_or_else(|| {
        entries.push(Entry {
            place: place.clone(),
            key: key.to_owned(),
            node: missing(place),
        });
        entries.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
    &mut entries[at].node
}

fn missing(place: &Place) -> Node {
    Node {
        place: place.clone(),
        value: Value::Null,
    }
}

/// `client_id` from the environment takes the place of the file's `client_id_env`, and so on: all
/// three say the same thing.
fn drop_rivals(entries: &mut Vec<Entry>, key: &str) {
    let stem = |key: &str| {
        let bare = key
            .strip_suffix("_env")
            .or_else(|| key.strip_suffix("_file"));
        bare.unwrap_or(key).to_owned()
    };
    let is_rival = |other: &str| other != key && stem(other) == stem(key);
    entries.retain(|entry| !is_rival(&entry.key));
}
