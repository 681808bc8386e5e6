//! One `--allow 'METHOD /path/**'` rule, decided on the raw bytes of the path.
//!
//! **Invariant:** rules only allow; what matches none is refused. Nothing is decoded, so a path
//! spelt otherwise than the rule is refused rather than guessed at.

use std::{fmt, str::FromStr};

use http::Method;

/// One `--allow 'METHOD /path/**'` rule.
///
/// `*` as the method is any method; `*` in the path is one segment; `/**` at its end is everything
/// below it and the path itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    method: Option<Method>,
    segments: Vec<Segment>,
    is_open_ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Exactly(Box<str>),
    Any,
}

/// Text that is no [`Rule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// Not two words.
    #[error("a rule is a method and a path, such as 'GET /rest/posts/**'")]
    Shape,
    /// The method cannot be one.
    #[error("the method is one in capitals, such as GET, or * for all")]
    Method,
    /// The path does not begin with a slash, or has a query.
    #[error("the path begins with / and has no query")]
    Path,
    /// A star beside other characters, or `**` before the end.
    #[error("* stands for one whole segment, ** only for the rest at the end")]
    Star,
    /// It could never match.
    #[error("a path with .., //, a backslash or an escaped slash or dot is always refused")]
    Ambiguous,
}

impl Rule {
    /// Whether the rule covers `method` on `path`; a query behind the path is not looked at.
    pub fn allows(&self, method: &Method, path: &str) -> bool {
        if self.method.as_ref().is_some_and(|only| only != method) {
            return false;
        }
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let Some(path) = path.strip_prefix('/') else {
            return false;
        };
        let mut asked = path.split('/');
        let begins_right = self.segments.iter().all(|segment| match asked.next() {
            Some(asked) => segment.matches(asked),
            None => false,
        });
        begins_right && (self.is_open_ended || asked.next().is_none())
    }
}

impl Segment {
    fn matches(&self, asked: &str) -> bool {
        match self {
            Self::Exactly(text) => **text == *asked,
            Self::Any => !asked.is_empty(),
        }
    }
}

/// Whether two readers of the path could come to different resources: dot segments, empty
/// segments, backslashes, escaped dots, slashes and backslashes.
pub(super) fn is_ambiguous(path: &str) -> bool {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let escaped = |window: &[u8]| match window {
        [b'%', high, low] => matches!(
            (*high, low.to_ascii_lowercase()),
            (b'2', b'e' | b'f') | (b'5', b'c')
        ),
        _ => false,
    };
    path.contains("..")
        || path.contains("//")
        || path.contains('\\')
        || path.split('/').any(|segment| segment == ".")
        || path.as_bytes().windows(3).any(escaped)
}

impl FromStr for Rule {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let (method, path) = text.trim().split_once(' ').ok_or(BadRule::Shape)?;
        let path = path.trim();
        let method = match method {
            "*" => None,
            _ if !method.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                return Err(BadRule::Method);
            }
            _ => Some(method.parse().map_err(|_| BadRule::Method)?),
        };
        let rest = path.strip_prefix('/').ok_or(BadRule::Path)?;
        if rest.contains(['?', '#', ' ']) {
            return Err(BadRule::Path);
        }
        if is_ambiguous(path) {
            return Err(BadRule::Ambiguous);
        }
        let (rest, is_open_ended) = match path.strip_suffix("/**") {
            Some(before) => (before.strip_prefix('/'), true),
            None => (Some(rest), false),
        };
        let segments = rest.map(|rest| rest.split('/').map(segment).collect());
        Ok(Self {
            method,
            segments: segments.transpose()?.unwrap_or_default(),
            is_open_ended,
        })
    }
}

fn segment(text: &str) -> Result<Segment, BadRule> {
    match text {
        "*" => Ok(Segment::Any),
        _ if text.contains('*') => Err(BadRule::Star),
        _ => Ok(Segment::Exactly(text.into())),
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method.as_ref().map_or("*", Method::as_str))?;
        f.write_str(" ")?;
        for segment in &self.segments {
            match segment {
                Segment::Exactly(text) => write!(f, "/{text}")?,
                Segment::Any => f.write_str("/*")?,
            }
        }
        if self.is_open_ended {
            f.write_str("/**")?;
        }
        Ok(())
    }
}
