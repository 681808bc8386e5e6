//! EXPORTS: an incident as someone else takes it: LinkedIn's support, a HAR viewer, a shell, a program.
//!
//! A form writes [`Document`]s from records; what they say goes through the redaction door once more, and
//! what is found there is not handed out at all. Bodies stand in an export where the records have their
//! `text` or `base64`; else it says that they were not opened, or are not kept.
//!
//! **Invariant:** [`export`] is the only way out, and nothing leaves it that the door did not see. The same
//! records, circumstances and form give the same bytes.
//! **Neighbours:** `reader` brings the records, `redact` searches; the commands and the API hand out.

use std::{fmt, str::FromStr};

use super::{
    reader::Record,
    redact::{Find, Redaction, finds},
};

mod archive;
mod case;
mod curl;
mod har;
mod inspection;
mod json;
mod quote;
#[cfg(test)]
mod tests;
mod ticket;

use inspection::Inspection;

/// Records of one export at most.
pub const MOST_RECORDS: usize = 100;
/// Bytes of opened bodies in one export at most, all records together, as the records hold them.
pub const MOST_BODIES: usize = 64 << 20;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The text for the form of LinkedIn's support.
    Ticket,
    /// HAR 1.2: an entry for each trip to LinkedIn.
    Har,
    /// A shell's lines that replay the callers' requests.
    Curl,
    /// The records as they stand: a JSON array.
    Json,
    /// All of them in one archive, a folder for each incident.
    Zip,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ticket, Self::Har, Self::Curl, Self::Json, Self::Zip];
    /// Those that are text.
    const TEXTS: [Self; 4] = [Self::Ticket, Self::Har, Self::Curl, Self::Json];

    /// The word that stands in commands and URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Har => "har",
            Self::Curl => "curl",
            Self::Json => "json",
            Self::Zip => "zip",
        }
    }

    /// For the `Content-Type` of an answer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Ticket | Self::Curl => "text/plain; charset=utf-8",
            Self::Har | Self::Json => "application/json",
            Self::Zip => "application/zip",
        }
    }

    /// What the name of such a file ends in, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Ticket => "txt",
            Self::Har => "har",
            Self::Curl => "sh",
            Self::Json => "json",
            Self::Zip => "zip",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an export is one of ticket, har, curl, json and zip")]
pub struct UnknownForm;

impl FromStr for Form {
    type Err = UnknownForm;

    fn from_str(text: &str) -> Result<Self, UnknownForm> {
        let mut all = Self::ALL.into_iter();
        all.find(|form| form.as_str() == text).ok_or(UnknownForm)
    }
}

/// Who says whether a text holds a secret.
pub trait Door {
    /// What is found in `text`; nothing: it may leave. Blocks.
    ///
    /// # Errors
    /// [`NotAsked`]: nothing leaves then either.
    fn finds(&self, text: &[u8]) -> Result<Vec<Find>, NotAsked>;
}

/// The whole door, in the gateway: every live secret by its fingerprint, and all that is shaped like one.
impl Door for Redaction {
    fn finds(&self, text: &[u8]) -> Result<Vec<Find>, NotAsked> {
        Ok(self.finds(text))
    }
}

/// The door where no gateway runs: `lgk_…`, `lgo_…`, `AQ…`, `Bearer …` and the like, in any coding.
#[derive(Clone, Copy, Debug)]
pub struct ByShape;

impl Door for ByShape {
    fn finds(&self, text: &[u8]) -> Result<Vec<Find>, NotAsked> {
        Ok(finds(text, None))
    }
}

/// The door could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody could say whether the export holds a secret: {0}")]
pub struct NotAsked(pub String);

/// What stands in an export beside the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// When it is made, in Unix microseconds.
    pub now_micros: i64,
    /// What LinkedIn said of tokens when it was asked for this export.
    pub standings: Vec<Standing>,
}

/// What LinkedIn's introspection said of the token that is in use now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose token; none: the application's own.
    pub member: Option<String>,
    /// The application's name.
    pub application: String,
    /// `active`, `expired`, `revoked` or `unknown`.
    pub status: String,
    /// The fingerprint of the token that was asked about, if it is known.
    pub fingerprint: Option<String>,
    /// When LinkedIn was asked, in Unix microseconds.
    pub asked_micros: i64,
}

/// Why there is no export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The door found something.
    #[error("{}", told(.finds, .places))]
    Secret {
        /// What.
        finds: Vec<Find>,
        /// Where in the records, as far as it can be told by shape: `ID attempts.0.headers.3.1`.
        places: Vec<String>,
    },
    /// The door could not be asked.
    #[error(transparent)]
    NotAsked(#[from] NotAsked),
    /// A note of the log about itself has nothing to export.
    #[error("line {0} is a note of the log about itself, and no incident")]
    Note(u64),
    /// More than [`MOST_RECORDS`], or none.
    #[error("an export takes from 1 to {MOST_RECORDS} incidents, not {0}")]
    Count(usize),
    /// The records' bodies hold more than [`MOST_BODIES`].
    #[error("the bodies of these incidents are more than {} MiB: ask for fewer incidents", MOST_BODIES >> 20)]
    TooLarge,
    /// It could not be written down.
    #[error("the export could not be made: {0}")]
    Unwritable(String),
}

fn told(finds: &[Find], places: &[String]) -> String {
    let finds: Vec<String> = finds
        .iter()
        .map(|find| match &find.fingerprint {
            Some(fingerprint) => format!("{} (fingerprint {fingerprint})", find.what.as_str()),
            None => find.what.as_str().to_owned(),
        })
        .collect();
    let places = match places {
        [] => String::new(),
        places => format!(", in {}", places.join(", ")),
    };
    format!(
        "nothing was exported: it holds {}{places}",
        finds.join(" and ")
    )
}

/// How much of bodies the records of one export hold, while they are opened one by one.
#[derive(Debug, Default)]
pub struct Weight(usize);

impl Weight {
    /// Counts the bodies of `record` in.
    ///
    /// # Errors
    /// [`Refused::TooLarge`]: the rest need not be opened.
    pub fn add(&mut self, record: &Record) -> Result<(), Refused> {
        let fields = case::bodies(record).flat_map(case::opened);
        let bytes: usize = fields.map(|(_, text)| text.len()).sum();
        self.0 = self.0.saturating_add(bytes);
        match self.0 > MOST_BODIES {
            true => Err(Refused::TooLarge),
            false => Ok(()),
        }
    }
}

/// One file of an export.
struct Document {
    name: String,
    bytes: Vec<u8>,
}

/// `records` in this form, if the door lets it through. Reads no file, but may block where the door does.
///
/// # Errors
/// [`Refused`]; nothing of the export is to be had then.
pub fn export(
    records: &[Record],
    form: Form,
    door: &dyn Door,
    beside: &Circumstances,
) -> Result<Vec<u8>, Refused> {
    if records.is_empty() || records.len() > MOST_RECORDS {
        return Err(Refused::Count(records.len()));
    }
    if let Some(note) = records.iter().find(|record| !record.is_incident()) {
        return Err(Refused::Note(note.seq().unwrap_or_default()));
    }
    let mut weight = Weight::default();
    records.iter().try_for_each(|record| weight.add(record))?;
    if form == Form::Zip {
        return archive::write(records, door, beside);
    }
    let document = written(records, form, beside)?;
    Inspection::new(records, door).pass(&document, records)?;
    Ok(document.bytes)
}

/// The records in a form that is text, before the door has seen it.
fn written(records: &[Record], form: Form, beside: &Circumstances) -> Result<Document, Refused> {
    let bytes = match form {
        Form::Ticket => ticket::write(records, beside).into_bytes(),
        Form::Har => har::write(records)?,
        Form::Curl => curl::write(records).into_bytes(),
        Form::Json => json::write(records)?,
        Form::Zip => return Err(Refused::Unwritable("an archive is no text".into())),
    };
    Ok(Document {
        name: format!("{form}.{}", form.extension()),
        bytes,
    })
}
