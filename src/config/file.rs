//! The YAML file as a tree whose every value knows its line.
//!
//! **Invariant:** nothing is judged here but YAML's own syntax: duplicates, unknown keys and wrong
//! types stay in the tree, so that `check` can report all of them at once.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Spanned, options::DuplicateKeyPolicy};

use super::problem::{Place, Problem};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A key of a section and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) key: String,
    pub(super) node: Node,
}

/// What YAML made of a value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(u64),
    /// Negative integers and fractions: no key takes the former, few the latter.
    Number(f64),
    Text(String),
    /// Text whose type the key decides: from the environment, or a default.
    Raw(String),
    List(Vec<Node>),
    Section(Vec<Entry>),
}

impl Node {
    /// An empty section, for a file that says nothing.
    pub(super) fn empty() -> Self {
        Self {
            place: Place::Default,
            value: Value::Section(Vec::new()),
        }
    }
}

/// Parses the file's text; an empty file is an empty section.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > 1024 * 1024 {
        return Err(Problem::new(&Place::Default, "", "larger than 1 MiB"));
    }
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
    let parsed: Option<Spanned<Loose>> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| {
            let place = error
                .location()
                .map_or(Place::Default, |at| Place::Line(at.line()));
            let first = error.to_string();
            let first = first.lines().next().unwrap_or_default().to_owned();
            Problem::new(&place, "", format!("not YAML: {first}"))
                .hint("mind indentation with spaces, a space after each colon, and closed quotes")
        })?;
    Ok(
        parsed.map_or_else(Node::empty, |root| match Node::from(root) {
            Node {
                value: Value::Null, ..
            } => Node::empty(),
            node => node,
        }),
    )
}

/// The shape that serde fills; [`Node`] is the one we work with.
enum Loose {
    Plain(Value),
    List(Vec<Spanned<Self>>),
    Section(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl From<Spanned<Loose>> for Node {
    fn from(spanned: Spanned<Loose>) -> Self {
        let value = match spanned.value {
            Loose::Plain(value) => value,
            Loose::List(list) => Value::List(list.into_iter().map(Self::from).collect()),
            Loose::Section(entries) => Value::Section(
                entries
                    .into_iter()
                    .map(|(key, node)| Entry {
                        place: Place::Line(key.referenced.line()),
                        key: key.value,
                        node: Self::from(node),
                    })
                    .collect(),
            ),
        };
        Self {
            place: Place::Line(spanned.referenced.line()),
            value,
        }
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a section")
    }

    fn visit_unit<E: Error>(self) -> Result<Loose, E> {
        Ok(Loose::Plain(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Loose, E> {
        Ok(Loose::Plain(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Loose, E> {
        Ok(Loose::Plain(Value::Bool(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Loose, E> {
        Ok(Loose::Plain(Value::Integer(value)))
    }

    #[expect(clippy::cast_precision_loss, reason = "only shown in a problem's text")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Loose, E> {
        Ok(Loose::Plain(
            u64::try_from(value).map_or(Value::Number(value as f64), Value::Integer),
        ))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Loose, E> {
        Ok(Loose::Plain(Value::Number(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Loose, E> {
        Ok(Loose::Plain(Value::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Loose::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Loose, A::Error> {
        let mut section = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            section.push(entry);
        }
        Ok(Loose::Section(section))
    }
}

/// A file without `applications` means the one of the shipped file.
pub(super) fn imply_application(root: &mut Node) {
    let Value::Section(entries) = &mut root.value else {
        return;
    };
    let is_given =
        |entry: &Entry| entry.key == "applications" && !matches!(entry.node.value, Value::Null);
    if entries.iter().any(is_given) {
        return;
    }
    entries.retain(|entry| entry.key != "applications");
    let entry = |key: &str, value: Value| Entry {
        place: Place::Default,
        key: key.to_owned(),
        node: Node {
            place: Place::Default,
            value,
        },
    };
    let implied = [
        ("client_id_env", "LINKEDIN_CLIENT_ID"),
        ("client_secret_env", "LINKEDIN_CLIENT_SECRET"),
    ];
    let application = Node {
        place: Place::Default,
        value: Value::Section(
            implied
                .into_iter()
                .map(|(key, name)| entry(key, Value::Text(name.to_owned())))
                .collect(),
        ),
    };
    entries.push(entry("applications", Value::List(vec![application])));
}
