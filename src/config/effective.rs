//! The configuration as it came out, printed as the file one would have to write; and the shipped
//! file, which is the same with every key explained.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;

use super::{check::Values, keys, kind::Checked};

/// The whole configuration in YAML, defaults included. Secrets are no part of it.
pub(super) fn text(values: &Values) -> String {
    let mut page = Page::default();
    let mut listed = "";
    for key in keys::all() {
        if let Some((list, _)) = key.path.split_once(".*.") {
            if listed != list {
                listed = list;
                page.list(list, values);
            }
        } else if let Some(value) = values.value(key.path) {
            page.key(key.path, &show(value), "");
        }
    }
    page.text
}

/// The first digits of the configuration's SHA-256: two records with the same digits were made
/// under the same configuration.
pub(super) fn hash(effective: &str) -> String {
    let digest = digest::digest(&digest::SHA256, effective.as_bytes());
    HEXLOWER.encode(digest.as_ref()).chars().take(12).collect()
}

#[derive(Default)]
struct Page {
    text: String,
    sections: Vec<String>,
}

impl Page {
    fn key(&mut self, path: &str, value: &str, remark: &str) {
        let name = self.open(path);
        let depth = self.sections.len();
        if !remark.is_empty() {
            self.line(depth, remark);
        }
        self.line(depth, &format!("{name}: {value}"));
    }

    /// Opens the sections above `path`; returns its last part.
    fn open<'a>(&mut self, path: &'a str) -> &'a str {
        let mut parts: Vec<&str> = path.split('.').collect();
        let name = parts.pop().unwrap_or_default();
        let shared = parts
            .iter()
            .zip(&self.sections)
            .take_while(|(a, b)| *a == b)
            .count();
        for (depth, section) in parts.iter().enumerate().skip(shared) {
            self.line(depth, &format!("{section}:"));
        }
        self.sections = parts.iter().map(|part| (*part).to_owned()).collect();
        name
    }

    fn list(&mut self, list: &str, values: &Values) {
        let name = self.open(list);
        let depth = self.sections.len();
        let items = values.items(list).len();
        let empty = if items == 0 { " []" } else { "" };
        self.line(depth, &format!("{name}:{empty}"));
        for n in 0..items {
            self.item(&format!("{list}.*."), &format!("{list}.{n}."), values);
        }
    }

    fn item(&mut self, pattern: &str, item: &str, values: &Values) {
        let depth = self.sections.len() + 1;
        let mut lead = "- ";
        let mut hidden = Vec::new();
        for key in keys::all() {
            let Some(rest) = key.path.strip_prefix(pattern) else {
                continue;
            };
            match values.value(&format!("{item}{rest}")) {
                Some(Checked::Null) | None => {}
                Some(value) => {
                    self.line(depth, &format!("{lead}{rest}: {}", show(value)));
                    lead = "  ";
                    hidden.extend(keys::secret(key));
                }
            }
        }
        for secret in hidden {
            let name = secret.strip_prefix(pattern).unwrap_or(secret);
            self.line(depth, &format!("  # {name}: [hidden]"));
        }
    }

    fn line(&mut self, depth: usize, line: &str) {
        let indent = "  ".repeat(depth);
        // Writing to a String cannot fail.
        writeln!(self.text, "{indent}{line}").unwrap_or_default();
    }
}

fn show(value: &Checked) -> String {
    match value {
        Checked::Null => "null".into(),
        Checked::Switch(on) => on.to_string(),
        Checked::Count(n) => n.to_string(),
        Checked::Share(share) => share.to_string(),
        Checked::Address(address) => address.to_string(),
        Checked::Url(url) => url.to_string(),
        Checked::Text(text) => quoted(text),
        Checked::Texts(texts) => {
            let all: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            format!("[{}]", all.join(", "))
        }
    }
}

/// Text as it may stand in YAML: quoted unless it is plain beyond doubt.
fn quoted(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-/:".contains(c))
        && !text.ends_with(':')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

/// The shipped `config.yaml`.
#[cfg(test)]
pub(super) fn shipped() -> String {
    let mut page = Page::default();
    page.text.push_str(HEAD);
    for key in keys::all() {
        let section = key.path.split('.').next().unwrap_or_default();
        if page.sections.first().is_none_or(|open| open != section) {
            page.text.push('\n');
        }
        match key.path.split_once(".*.") {
            Some((list, rest)) => page.item_key(list, rest, key),
            None => page.key(key.path, key.default, &remark(key)),
        }
    }
    page.text
}

#[cfg(test)]
const HEAD: &str = "\
# Linkgate's configuration: every key with its default, what it takes, and why one would change it.
# A test holds this file equal to the defaults, so a line that is left out means what it says here.
# Each key can also be set as LINKGATE__SECTION__KEY; lists as LINKGATE__APPLICATIONS__0__CLIENT_ID.
# Relative paths start at this file's folder. `linkgate check` says what is wrong, all at once.
";

#[cfg(test)]
fn remark(key: &keys::Key) -> String {
    format!("# {} ({})", key.reason, key.kind.allowed())
}

#[cfg(test)]
impl Page {
    /// One key of a list's items: of the one application there is by default, or of a webhook that one
    /// would add.
    fn item_key(&mut self, list: &str, rest: &str, key: &keys::Key) {
        let is_there = list == "applications";
        let name = self.open(list);
        let depth = self.sections.len();
        if rest == "name" {
            let empty = if is_there { "" } else { " []" };
            self.line(depth, &format!("{name}:{empty}"));
        }
        let given = match rest {
            "name" if is_there => key.default,
            "client_id_env" => "LINKEDIN_CLIENT_ID",
            "client_secret_env" => "LINKEDIN_CLIENT_SECRET",
            _ if is_there && !key.takes_null() => key.default,
            _ => "",
        };
        let lead = if rest == "name" { "- " } else { "  " };
        if is_there {
            self.sections.push(name.to_owned());
        }
        self.line(depth + 1 + usize::from(is_there), &remark(key));
        let line = match given {
            "" if is_there => format!("{lead}# {rest}: {}", key.default),
            "" => format!("# {lead}{rest}: {}", key.default),
            given => format!("{lead}{rest}: {given}"),
        };
        self.line(depth + 1, &line);
    }
}
