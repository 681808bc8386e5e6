//! Why an incident happened, in sentences, and what to do about it.
//!
//! Each rule looks at one common cause and knows nothing of the others; a record meets as many as apply, the
//! telling ones first. A record that meets none is explained by whose fault it was.
//!
//! **Invariant:** every incident has at least one finding. A finding quotes what stands in the record handed
//! over, and so shows no more than its reader may see: of bodies only those that were opened for it.
//! **Neighbours:** `cli::incidents`, the API and the pages ask [`Incidents::explain`]; what a problem code means
//! stands in [`advice`](super::advice), for the record's own `try` too.

use serde::Serialize;

use super::reader::{Incidents, Record};

mod around;
mod case;
mod encoding;
mod ending;
mod ours;
mod outage;
mod permission;
mod post;
mod rest;
mod size;
mod skew;
#[cfg(test)]
mod tests;
mod throttle;
mod token;
mod version;

pub use around::Around;

use case::Case;

/// What one rule found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name, such as `version_sunset`: stable, for programs.
    pub rule: &'static str,
    /// What is so, in one or two sentences.
    pub says: String,
    /// What it was seen by, a line each.
    pub evidence: Vec<String>,
    /// What to do about it.
    #[serde(rename = "try")]
    pub what_to_try: String,
}

impl Finding {
    fn new(rule: &'static str, says: impl Into<String>, what_to_try: impl Into<String>) -> Self {
        Self {
            rule,
            says: says.into(),
            evidence: Vec::new(),
            what_to_try: what_to_try.into(),
        }
    }

    /// Seen by `line`.
    fn seen(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// Seen by this as well, if there is any.
    fn seen_if(self, line: Option<impl Into<String>>) -> Self {
        match line {
            Some(line) => self.seen(line),
            None => self,
        }
    }
}

/// Looks at one cause.
type Rule = fn(&Case<'_>) -> Option<Finding>;

/// In the order in which findings are shown: the ones that say most first.
const RULES: &[Rule] = &[
    outage::outage,
    version::missing,
    version::sunset,
    encoding::protocol_header,
    encoding::list,
    encoding::urn,
    size::query,
    size::head,
    size::content_length,
    permission::missing,
    throttle::throttled,
    post::duplicate,
    token::misconfigured,
    token::verification,
    token::restricted,
    token::lag,
    token::revoked,
    token::expired,
    token::invalid,
    token::empty,
    token::other_application,
    post::unknown_fate,
    ours::problem,
    ending::caller_left,
    ending::cut_off,
    ending::recovered,
    rest::field,
    rest::not_found,
    rest::no_json,
    outage::server_error,
    skew::clock,
];

/// Why `record` happened, with what happened `around` it.
pub fn explain(record: &Record, around: &Around) -> Vec<Finding> {
    if !record.is_incident() {
        return vec![rest::note(record)];
    }
    let case = Case::of(record, around);
    let mut findings: Vec<Finding> = RULES.iter().filter_map(|rule| rule(&case)).collect();
    if findings.iter().all(|finding| finding.rule == skew::RULE) {
        findings.insert(0, rest::by_fault(&case));
    }
    findings
}

impl Incidents {
    /// Why `record` happened, the telling causes first; at least one. Looks around in the log: not for an
    /// async worker. Bodies are quoted where `record` holds them opened.
    pub fn explain(&self, record: &Record) -> Vec<Finding> {
        explain(record, &self.around(record))
    }
}
