//! The configuration as it came out, printed as the file one would have to write; and the shipped
//! file, which is the same with every key explained.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;

use super::{check::Values, keys, kind::Checked};

/// The whole configuration in YAML, defaults included. Secrets are no part of it.
pub(super) fn text(values: &Values) -> String {
    let mut page = Page::default();
    let mut is_listed = false;
    for key in keys::all() {
        if let Some((list, _)) = key.path.split_once(".*.") {
            if !is_listed {
                is_listed = true;
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
        if !remark.is_empty() {
            self.line(parts.len(), remark);
        }
        self.line(parts.len(), &format!("{name}: {value}"));
    }

    fn list(&mut self, list: &str, values: &Values) {
        self.sections.clear();
        self.line(0, &format!("{list}:"));
        for n in 0..values.applications().len() {
            let mut lead = "- ";
            for key in keys::all() {
                let Some(rest) = key.path.strip_prefix(&format!("{list}.*.")) else {
                    continue;
                };
                match values.value(&format!("{list}.{n}.{rest}")) {
                    Some(Checked::Null) | None => {}
                    Some(value) => {
                        self.line(1, &format!("{lead}{rest}: {}", show(value)));
                        lead = "  ";
                    }
                }
            }
            self.line(1, "  # client_secret: [hidden]");
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
        match key.path.strip_prefix("applications.*.") {
            Some(rest) => page.application_key(rest, key),
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
    fn application_key(&mut self, rest: &str, key: &keys::Key) {
        if self.sections != ["applications"] {
            self.line(0, "applications:");
            self.sections = vec!["applications".into()];
        }
        let lead = if rest == "name" { "- " } else { "  " };
        self.line(2, &remark(key));
        match rest {
            "name" => self.line(1, &format!("{lead}name: {}", key.default)),
            "client_id_env" => self.line(1, &format!("{lead}{rest}: LINKEDIN_CLIENT_ID")),
            // Both have a default for each application.
            "scopes" | "native_pkce" => self.line(1, &format!("{lead}{rest}: {}", key.default)),
            "client_secret_env" => self.line(1, &format!("{lead}{rest}: LINKEDIN_CLIENT_SECRET")),
            _ => self.line(1, &format!("{lead}# {rest}: {}", key.default)),
        }
    }
}
