//! The tree against the table of keys: every problem of single keys at once.

use std::collections::{BTreeMap, BTreeSet};

use strsim::normalized_damerau_levenshtein;

use super::{
    file::{Entry, Node, Value},
    keys::{self, Key},
    kind::{Checked, show},
    problem::{Place, Problem},
};

/// Longest list of applications or webhooks; far beyond any real one.
const MAX_ITEMS: usize = 1000;

/// What the file, the environment and the defaults came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    given: BTreeMap<String, (Place, Checked)>,
    pub(super) problems: Vec<Problem>,
    spoiled: BTreeSet<String>,
    items: BTreeMap<String, Vec<Place>>,
}

impl Values {
    /// Checks `root`. What is not given takes its default; what is wrong is missing afterwards.
    pub(super) fn check(root: &Node) -> Self {
        let mut values = Self::default();
        values.walk(root, "");
        values.fill();
        values
    }

    /// The value of `path`; none if there is a problem with it, and only then.
    pub(super) fn value(&self, path: &str) -> Option<&Checked> {
        self.given.get(path).map(|(_, checked)| checked)
    }

    /// Where the value of `path` came from.
    pub(super) fn place(&self, path: &str) -> Place {
        self.given
            .get(path)
            .map_or(Place::Default, |(place, _)| place.clone())
    }

    /// Whether `path` was given, but wrong.
    pub(super) fn is_spoiled(&self, path: &str) -> bool {
        self.spoiled.contains(path)
    }

    /// Where each item of a list of sections stands.
    pub(super) fn items(&self, list: &str) -> &[Place] {
        self.items.get(list).map_or(&[], Vec::as_slice)
    }

    fn walk(&mut self, node: &Node, path: &str) {
        match &node.value {
            Value::Section(entries) => {
                let mut seen: BTreeMap<&str, &Entry> = BTreeMap::new();
                for entry in entries {
                    let child = join(path, &entry.key);
                    if let Some(first) = seen.insert(&entry.key, entry) {
                        self.problems.push(duplicate(&child, first, entry));
                    } else {
                        self.entry(entry, path, &child);
                    }
                }
            }
            // A section whose keys are all commented out is null in YAML.
            Value::Null => {}
            other => self.problems.push(
                Problem::new(&node.place, path, format!("{} is no section", show(other)))
                    .hint("a section is written as a key, a colon, and its keys indented below"),
            ),
        }
    }

    fn entry(&mut self, entry: &Entry, parent: &str, path: &str) {
        if let Some(key) = find(path) {
            self.leaf(key, path, entry);
        } else if has_below(path, ".*.") {
            self.list(&entry.node, path);
        } else if has_below(path, ".") {
            self.walk(&entry.node, path);
        } else {
            self.problems.push(unknown(entry, parent, path));
        }
    }

    fn list(&mut self, node: &Node, path: &str) {
        match &node.value {
            Value::List(items) if items.len() <= MAX_ITEMS => {
                for (n, item) in items.iter().enumerate() {
                    let child = format!("{path}.{n}");
                    self.walk(item, &child);
                    self.fill_item(&child);
                }
                let places = items.iter().map(|item| item.place.clone()).collect();
                self.items.insert(path.to_owned(), places);
            }
            Value::Raw(text) if text == "[]" => {}
            Value::Null => {}
            other => self.problems.push(
                Problem::new(&node.place, path, format!("{} is no list", show(other)))
                    .hint("a list has one dash for each item: `- name: default`"),
            ),
        }
    }

    fn leaf(&mut self, key: &Key, path: &str, entry: &Entry) {
        let node = &entry.node;
        let is_null = match &node.value {
            Value::Null => true,
            Value::Raw(text) => text.is_empty() || text == "null",
            _ => false,
        };
        let checked = match (is_null, key.takes_null()) {
            (true, true) => Ok(Checked::Null),
            (true, false) => Err("has no value".to_owned()),
            (false, _) => key.kind.check(node),
        };
        match checked {
            Ok(checked) => {
                let place = entry_place(entry);
                self.given.insert(path.to_owned(), (place, checked));
            }
            Err(wrong) => {
                self.spoiled.insert(path.to_owned());
                self.problems.push(
                    Problem::new(&entry_place(entry), path, wrong)
                        .allowed(key.kind.allowed())
                        .hint(format!("the default is {}; {}", key.default, key.reason)),
                );
            }
        }
    }

    fn fill(&mut self) {
        for key in keys::all().filter(|key| !key.path.contains('*')) {
            self.fill_one(key, key.path);
        }
    }

    fn fill_item(&mut self, item: &str) {
        for key in keys::all() {
            if let Some((list, rest)) = key.path.split_once(".*.")
                && item
                    .rsplit_once('.')
                    .is_some_and(|(owner, _)| owner == list)
            {
                self.fill_one(key, &format!("{item}.{rest}"));
            }
        }
    }

    fn fill_one(&mut self, key: &Key, path: &str) {
        if self.given.contains_key(path) || self.spoiled.contains(path) {
            return;
        }
        let raw = Node {
            place: Place::Default,
            value: Value::Raw(key.default.to_owned()),
        };
        let checked = if key.takes_null() {
            Ok(Checked::Null)
        } else {
            key.kind.check(&raw)
        };
        match checked {
            Ok(checked) => {
                self.given
                    .insert(path.to_owned(), (Place::Default, checked));
            }
            Err(wrong) => self
                .problems
                .push(Problem::new(&Place::Default, path, wrong)),
        }
    }
}

/// The key that `path` names, list places taken as `*`.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    let pattern = pattern(path);
    keys::all().find(|key| key.path == pattern)
}

fn pattern(path: &str) -> String {
    let is_place = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    path.split('.')
        .map(|part| if is_place(&part) { "*" } else { part })
        .collect::<Vec<_>>()
        .join(".")
}

fn has_below(path: &str, separator: &str) -> bool {
    let prefix = pattern(path) + separator;
    keys::all().any(|key| key.path.starts_with(&prefix))
}

fn entry_place(entry: &Entry) -> Place {
    match &entry.node.place {
        Place::Variable(name) => Place::Variable(name.clone()),
        _ => entry.place.clone(),
    }
}

fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}

fn duplicate(path: &str, first: &Entry, second: &Entry) -> Problem {
    let line = match first.place {
        Place::Line(line) => format!(" (first on line {line})"),
        _ => String::new(),
    };
    Problem::new(
        &second.place,
        path,
        format!("stands here a second time{line}"),
    )
    .hint("keep one of the two")
}

fn unknown(entry: &Entry, parent: &str, path: &str) -> Problem {
    let problem = Problem::new(&entry_place(entry), path, "there is no such key");
    match entry.key.as_str() {
        "client_secret" | "proxy_authorization" | "secret" | "old_secret" => problem.hint(format!(
            "a secret never stands in the file itself: name a variable with {0}_env or a file with {0}_file, and change the secret if this file was shared",
            entry.key
        )),
        _ => problem.hint(suggestion(&entry.key, parent)),
    }
}

/// The key of this very name in another section; else the nearest of the same section.
fn suggestion(wrong: &str, parent: &str) -> String {
    let prefix = if parent.is_empty() {
        String::new()
    } else {
        pattern(parent) + "."
    };
    let siblings: BTreeSet<&str> = keys::all()
        .filter_map(|key| key.path.strip_prefix(&prefix))
        .filter_map(|rest| rest.split('.').next())
        .collect();
    let elsewhere = keys::all().find(|key| key.path.rsplit('.').next() == Some(wrong));
    if let Some(key) = elsewhere {
        return format!("did you mean {}?", key.path);
    }
    let near = siblings
        .iter()
        .map(|sibling| (normalized_damerau_levenshtein(wrong, sibling), sibling))
        .filter(|(likeness, _)| *likeness > 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, sibling)) => format!("did you mean {prefix}{sibling}?"),
        None => format!("known here: {}", Vec::from_iter(siblings).join(", ")),
    }
}
