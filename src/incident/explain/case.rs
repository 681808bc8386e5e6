//! An incident as rules ask about it.
//!
//! **Invariant:** shows what stands in the record and nothing else; whatever stands there, nothing here panics.

use serde_json::Value;

use super::Around;
use crate::incident::reader::{Record, header};

/// Longest piece of foreign text in a finding.
const LONGEST: usize = 400;

/// One incident under examination.
pub(super) struct Case<'a> {
    pub(super) record: &'a Record,
    pub(super) around: &'a Around,
    /// LinkedIn's last answer, if its body was opened.
    said: Option<Value>,
    /// The body of that answer as text.
    text: Option<&'a str>,
}

impl<'a> Case<'a> {
    pub(super) fn of(record: &'a Record, around: &'a Around) -> Self {
        let is_own = record.text("/code").is_some();
        let last = record.attempts().last();
        let of_attempt = || last?.pointer("/body/text")?.as_str();
        let text = match record.text("/answer/body/text") {
            Some(text) if !is_own => Some(text),
            _ => of_attempt(),
        };
        Self {
            record,
            around,
            said: text.and_then(|text| serde_json::from_str(text).ok()),
            text,
        }
    }

    /// Status of the final answer.
    pub(super) fn status(&self) -> Option<u16> {
        self.record.status()
    }

    /// Whether the final answer is LinkedIn's own, with this status.
    pub(super) fn is_answered(&self, status: u16) -> bool {
        self.code().is_none() && self.status() == Some(status)
    }

    /// Our own problem code.
    pub(super) fn code(&self) -> Option<&'a str> {
        self.record.text("/code")
    }

    /// LinkedIn's `serviceErrorCode` or `code`.
    pub(super) fn linkedin_code(&self) -> Option<&'a str> {
        self.record.text("/linkedin_code")
    }

    /// What LinkedIn's error is about, taken from its message.
    pub(super) fn about(&self) -> Option<&'a str> {
        self.record.text("/linkedin_about")
    }

    /// LinkedIn's message, if its body was opened.
    pub(super) fn message(&self) -> Option<&str> {
        let message = self.said.as_ref()?.get("message")?.as_str()?;
        Some(cut(message))
    }

    /// The body of LinkedIn's answer, if it was opened.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.text
    }

    /// Our own sentence about it.
    pub(super) fn verdict(&self) -> &'a str {
        self.record.verdict().unwrap_or_default()
    }

    /// Path and query as they went to LinkedIn, else as the caller sent them.
    pub(super) fn target(&self) -> &'a str {
        let last = self.record.attempts().last();
        let sent = last.and_then(|attempt| attempt.pointer("/sent/url")?.as_str());
        match sent.filter(|url| !url.is_empty()) {
            Some(url) => without_origin(url),
            None => without_origin(self.record.url().unwrap_or_default()),
        }
    }

    pub(super) fn path(&self) -> &'a str {
        self.target().split('?').next().unwrap_or_default()
    }

    pub(super) fn query(&self) -> &'a str {
        self.target().split_once('?').map_or("", |(_, query)| query)
    }

    /// A header of the caller's request.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        header(self.record.json().get("request")?, name)
    }

    /// A header of LinkedIn's last answer.
    pub(super) fn answered_header(&self, name: &str) -> Option<&'a str> {
        header(self.record.attempts().last()?, name)
    }

    /// Whether LinkedIn was asked to change something (a tunnelled query is a read).
    pub(super) fn is_write(&self) -> bool {
        let method = self.record.method().unwrap_or_default();
        let over = self.header("x-http-method-override").unwrap_or(method);
        let restli = self.header("x-restli-method").unwrap_or_default();
        let is_delete =
            restli.eq_ignore_ascii_case("DELETE") || restli.eq_ignore_ascii_case("BATCH_DELETE");
        !matches!(method, "GET" | "HEAD" | "OPTIONS")
            && (is_delete || !over.eq_ignore_ascii_case("GET"))
    }

    /// `LinkedIn answered 403, code 100: …`, for evidence.
    pub(super) fn answered(&self) -> Option<String> {
        let status = self.record.attempts().last()?.get("status")?.as_u64()?;
        let code = self.linkedin_code();
        let code = code.map_or_else(String::new, |code| format!(", code {}", cut(code)));
        let message = self.message().map(|message| format!(": {message}"));
        Some(format!(
            "LinkedIn answered {status}{code}{}",
            message.unwrap_or_default()
        ))
    }
}

/// Path and query of a target in any of its forms.
fn without_origin(url: &str) -> &str {
    let rest = url.split_once("://").map(|(_, rest)| rest);
    match rest {
        // The scheme of a URL in an argument is none of the target's.
        Some(rest) if !url.starts_with('/') => rest
            .find(['/', '?'])
            .and_then(|at| rest.get(at..))
            .unwrap_or("/"),
        _ => url,
    }
}

/// `text`, no longer than is good for a finding.
pub(super) fn cut(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(LONGEST)
        .map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::without_origin;

    #[test]
    fn a_target_is_path_and_query_in_every_form() {
        for (url, target) in [
            ("https://api.linkedin.com/rest/posts?q=a", "/rest/posts?q=a"),
            ("/rest/posts?u=https://x/y", "/rest/posts?u=https://x/y"),
            (
                "/https://api.linkedin.com/v2/me",
                "/https://api.linkedin.com/v2/me",
            ),
            ("https://api.linkedin.com", "/"),
            ("", ""),
        ] {
            assert_eq!(without_origin(url), target);
        }
    }
}
