//! What is wrong with a configuration, said so that it can be put right at once.
//!
//! **Invariant:** a problem never shows the value of a secret.

use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of the file, counted from 1.
    Line(u64),
    /// An environment variable.
    Variable(String),
    /// Nobody gave it: the built-in default, or a matter of the file as a whole.
    Default,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Which key: `gateway.max_connections`; empty if it is the file as a whole.
    pub key: String,
    /// What is wrong, the value included where it is no secret.
    pub wrong: String,
    /// What would be right; empty where the hint says it all.
    pub allowed: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl Problem {
    pub(super) fn new(place: &Place, key: &str, wrong: impl Into<String>) -> Self {
        Self {
            place: place.clone(),
            key: key.to_owned(),
            wrong: wrong.into(),
            allowed: String::new(),
            hint: String::new(),
        }
    }

    pub(super) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = allowed.into();
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// Everything that is wrong with one configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The file, as it was named.
    pub file: String,
    /// At least one, in the order of the file.
    pub list: Vec<Problem>,
}

impl Problems {
    pub(super) fn one(file: &str, problem: Problem) -> Self {
        Self {
            file: file.to_owned(),
            list: vec![problem],
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            match &problem.place {
                Place::Line(line) => write!(f, "{}:{line}: ", self.file)?,
                Place::Variable(name) => write!(f, "{name}: ")?,
                Place::Default => write!(f, "{}: ", self.file)?,
            }
            if !problem.key.is_empty() {
                write!(f, "{}: ", problem.key)?;
            }
            writeln!(f, "{}", problem.wrong)?;
            if !problem.allowed.is_empty() {
                writeln!(f, "    allowed: {}", problem.allowed)?;
            }
            if !problem.hint.is_empty() {
                writeln!(f, "    hint: {}", problem.hint)?;
            }
        }
        let count = self.list.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{count} {noun} in the configuration")
    }
}
