//! What a key takes: one value checked by itself.

use std::net::SocketAddr;

use crate::{dial::BaseUrl, exchange::Name};

use super::file::{Node, Value};

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number and its unit.
    Count(u64, u64, &'static str),
    /// A fraction between 0 and 1, both excluded.
    Share,
    /// `IP:PORT`.
    Address,
    /// [`BaseUrl`].
    Url,
    /// Free text.
    Text,
    /// [`Name`].
    Name,
    /// A path; relative ones start at the file's folder.
    Path,
    /// The name of an environment variable.
    Variable,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of these words.
    Words(&'static [&'static str]),
}

/// A value that passed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Checked {
    Null,
    Switch(bool),
    Count(u64),
    Share(f64),
    Address(SocketAddr),
    Url(BaseUrl),
    Text(String),
    Texts(Vec<String>),
}

impl Kind {
    /// What is allowed, in words.
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Switch => "true or false".into(),
            Self::Count(min, max, unit) => format!("{min} to {max} {unit}"),
            Self::Share => "a fraction above 0 and below 1, such as 0.1".into(),
            Self::Address => "an IP address and a port, such as 127.0.0.1:8080".into(),
            Self::Url => "https://HOST[:PORT][/PATH], or http:// on a loopback address".into(),
            Self::Text => "text of 1 to 1024 characters".into(),
            Self::Name => "1 to 64 characters of A-Z a-z 0-9 . _ -".into(),
            Self::Path => "a path".into(),
            Self::Variable => "the name of an environment variable, such as MY_SECRET".into(),
            Self::Word(words) => words.join(", "),
            Self::Texts => "a list of texts, such as [a, b]".into(),
            Self::Words(words) => format!("a list of {}", words.join(", ")),
        }
    }

    /// Checks `node`; the error says what is wrong with it.
    pub(super) fn check(self, node: &Node) -> Result<Checked, String> {
        match (self, &node.value) {
            (Self::Texts, Value::List(list)) => texts(list),
            (Self::Words(words), Value::List(list)) => words_of(list, words),
            (Self::Switch, Value::Bool(on)) => Ok(Checked::Switch(*on)),
            (Self::Count(min, max, _), Value::Integer(n)) => count(*n, min, max),
            (Self::Share, Value::Number(n)) => share(*n),
            (_, Value::Raw(text)) => self.read(text),
            (
                Self::Switch | Self::Count(..) | Self::Share | Self::Texts | Self::Words(_),
                other,
            ) => Err(format!("{} is of the wrong type", show(other))),
            (_, Value::Text(text)) => self.read(text),
            (_, other @ (Value::Integer(_) | Value::Number(_) | Value::Bool(_))) => {
                Err(format!("{} is no text: put it in quotes", show(other)))
            }
            (_, other) => Err(format!("{} is of the wrong type", show(other))),
        }
    }

    fn read(self, text: &str) -> Result<Checked, String> {
        let bad = || format!("{text:?} is not that");
        match self {
            Self::Switch => text.parse().map(Checked::Switch).map_err(|_| bad()),
            Self::Count(min, max, _) => match text.parse() {
                Ok(n) => count(n, min, max),
                Err(_) => Err(format!("{text:?} is no whole number")),
            },
            Self::Share => text.parse().map_err(|_| bad()).and_then(share),
            Self::Address => text.parse().map(Checked::Address).map_err(|_| bad()),
            Self::Url => text
                .parse()
                .map(Checked::Url)
                .map_err(|error| format!("{text:?}: {error}")),
            Self::Name if text.parse::<Name>().is_err() => Err(bad()),
            Self::Variable if !is_variable(text) => Err(bad()),
            Self::Word(words) if !words.contains(&text) => Err(bad()),
            Self::Texts => Ok(Checked::Texts(separated(text))),
            Self::Words(words) => all_in(separated(text), words),
            Self::Text | Self::Name | Self::Path | Self::Variable | Self::Word(_) => {
                if (1..=1024).contains(&text.len()) && !text.contains(char::is_control) {
                    Ok(Checked::Text(text.to_owned()))
                } else {
                    Err("is empty, too long, or holds control characters".into())
                }
            }
        }
    }
}

fn texts(list: &[Node]) -> Result<Checked, String> {
    let text = |node: &Node| match &node.value {
        Value::Text(text) | Value::Raw(text) if !text.is_empty() => Ok(text.clone()),
        other => Err(format!("{} in the list is no text", show(other))),
    };
    list.iter()
        .map(text)
        .collect::<Result<_, _>>()
        .map(Checked::Texts)
}

fn words_of(list: &[Node], words: &[&str]) -> Result<Checked, String> {
    match texts(list)? {
        Checked::Texts(list) => all_in(list, words),
        other => Ok(other),
    }
}

/// `a, b` or `[a, b]`, as it stands in a variable or as a default.
fn separated(text: &str) -> Vec<String> {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let is_empty = inner.is_some_and(|inner| inner.trim().is_empty());
    let parts = inner.unwrap_or(text).split(',').map(str::trim);
    parts.filter(|_| !is_empty).map(str::to_owned).collect()
}

fn all_in(list: Vec<String>, words: &[&str]) -> Result<Checked, String> {
    match list.iter().find(|text| !words.contains(&text.as_str())) {
        Some(stranger) => Err(format!("{stranger:?} is none of them")),
        None => Ok(Checked::Texts(list)),
    }
}

fn count(n: u64, min: u64, max: u64) -> Result<Checked, String> {
    if (min..=max).contains(&n) {
        Ok(Checked::Count(n))
    } else {
        Err(format!("{n} is out of range"))
    }
}

fn share(n: f64) -> Result<Checked, String> {
    if n > 0.0 && n < 1.0 {
        Ok(Checked::Share(n))
    } else {
        Err(format!("{n} is out of range"))
    }
}

fn is_variable(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A value as a problem shows it.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(on) => on.to_string(),
        Value::Integer(n) => n.to_string(),
        Value::Number(n) => n.to_string(),
        Value::Text(text) | Value::Raw(text) => format!("{text:?}"),
        Value::List(_) => "a list".into(),
        Value::Section(_) => "a section".into(),
    }
}
