//! The caller's request as a command line: curl, through a gateway, with a key of one's own.
//!
//! Base URL and key are the variables `LINKGATE_URL` and `LINKGATE_KEY`. What the log does not keep
//! (cookies, a body whose time is over) is left out, and a comment says so.
//!
//! **Invariant:** a shell expands nothing but the two variables, whatever stands in the record; no line
//! holds a token.

use data_encoding::BASE64;
use serde_json::Value;

use super::{
    case::{self, Body},
    quote,
};
use crate::incident::{
    page::shown,
    reader::{self, Record, header},
};

/// A script: one command for each record.
pub(super) fn write(records: &[Record]) -> String {
    let mut script = String::from(
        "#!/bin/sh\n# Replays callers' requests through a Linkgate gateway. Set LINKGATE_URL (such as http://127.0.0.1:8080)\n# and LINKGATE_KEY (a key that covers the member) first. Writes are done again!\n",
    );
    for record in records {
        script.push('\n');
        script.push_str(&command(record));
    }
    script
}

/// Said by curl itself or by the gateway, or good for one connection only.
const LEFT_OUT: [&str; 17] = [
    "authorization",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "linkgate-application",
    "linkgate-member",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "http2-settings",
];
/// What curl sends of its own accord unless it is told not to.
const CURLS_OWN: [&str; 3] = ["accept", "content-type", "user-agent"];

/// The command under way: what is remarked, and curl's options.
struct Command {
    remarks: Vec<String>,
    options: Vec<String>,
}

fn command(record: &Record) -> String {
    let none = Value::Null;
    let request = record.json().get("request").unwrap_or(&none);
    let is_latin1 = request.get("latin1").and_then(Value::as_bool) == Some(true);
    let mut command = Command {
        remarks: Vec::new(),
        options: Vec::new(),
    };
    command.remarks.push(format!(
        "incident {}: {} {}",
        shown(record.id().unwrap_or("-")),
        shown(record.time().unwrap_or("-")),
        shown(record.verdict().unwrap_or_default())
    ));
    command.method(record.method().unwrap_or("GET"));
    command.target(record.url().unwrap_or("/"));
    command.key(record);
    command.headers(request, is_latin1);
    let input = command.body(request);
    let remarks: String = command
        .remarks
        .iter()
        .map(|remark| format!("# {remark}\n"))
        .collect();
    format!("{remarks}{input}curl {}\n", command.options.join(" \\\n  "))
}

impl Command {
    fn option(&mut self, name: &str, word: &str) {
        self.options.push(format!("{name} {word}"));
    }

    fn remark(&mut self, remark: &str) {
        self.remarks.push(remark.to_owned());
    }

    fn method(&mut self, method: &str) {
        self.options
            .push("--silent --show-error --include".to_owned());
        match quote::word(method.as_bytes()) {
            // With any other option curl would wait for a body that never comes.
            Some(_) if method == "HEAD" => self.options.push("--head".to_owned()),
            Some(word) => self.option("--request", &word),
            None => self.remark("its method cannot be typed"),
        }
    }

    fn target(&mut self, target: &str) {
        let (target, is_cut) = without_token(target);
        if is_cut {
            self.remark("left out: the argument oauth2_access_token; the key stands in a header");
        }
        if target.contains("[redacted:") {
            self.remark("a part of its URL is redacted: LinkedIn will answer otherwise");
        }
        let is_ordinary = |byte: u8| byte.is_ascii_graphic() && !b"#\\\"<>^`{|}".contains(&byte);
        let word = quote::word(target.as_bytes()).unwrap_or_else(|| "''".to_owned());
        if target.starts_with('/') && target.bytes().all(is_ordinary) {
            self.option("--url", &format!("\"${{LINKGATE_URL:?}}\"{word}"));
        } else {
            self.option("--url", "\"${LINKGATE_URL:?}\"");
            self.option("--request-target", &word);
        }
        self.options.push("--path-as-is --globoff".to_owned());
    }

    /// The key, and for whom.
    fn key(&mut self, record: &Record) {
        let application = record.application();
        let own = application.filter(|_| record.member().is_none());
        let suffix = own.and_then(|own| quote::word(format!("~/{own}").as_bytes()));
        self.option(
            "--header",
            &format!(
                "\"Authorization: Bearer ${{LINKGATE_KEY:?}}\"{}",
                suffix.unwrap_or_default()
            ),
        );
        if let Some(member) = record.member() {
            self.header("Linkgate-Member", member.as_bytes());
            if let Some(application) = application {
                self.header("Linkgate-Application", application.as_bytes());
            }
        }
    }

    fn headers(&mut self, request: &Value, is_latin1: bool) {
        for (name, value) in reader::headers(request) {
            let lower = name.to_ascii_lowercase();
            if LEFT_OUT.contains(&lower.as_str()) {
                continue;
            }
            if value.contains("[redacted:") {
                self.remark(&format!(
                    "left out: {}, whose value is not kept",
                    shown(name)
                ));
                continue;
            }
            let bytes = match is_latin1 {
                true => latin1(value),
                false => value.as_bytes().to_vec(),
            };
            self.header(name, &bytes);
        }
        if !request.get("headers").is_some_and(Value::is_array) {
            self.remark("its headers are not kept");
        }
        for own in CURLS_OWN {
            if header(request, own).is_none() {
                self.option("--header", &format!("'{own}:'"));
            }
        }
    }

    fn header(&mut self, name: &str, value: &[u8]) {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_sendable = !name.is_empty()
            && name.bytes().all(is_token)
            && !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        // `name:` would take a header away; `name;` sends it without a value.
        let line = match value {
            [] => format!("{name};").into_bytes(),
            value => [name.as_bytes(), b": ", value].concat(),
        };
        match quote::word(&line).filter(|_| is_sendable) {
            Some(word) => self.option("--header", &word),
            None => self.remark(&format!("left out: {}, which is no header", shown(name))),
        }
    }

    /// Adds the body; what feeds it to curl stands before the command.
    fn body(&mut self, request: &Value) -> String {
        if case::is_cut(request) {
            self.remark("only the beginning of its body was kept");
        }
        let input = match Body::of(request) {
            Body::Empty => return String::new(),
            Body::Unopened => {
                self.remark(&format!("left out: its body, {}", case::UNOPENED));
                return String::new();
            }
            Body::Gone => {
                self.remark("left out: its body, which is not kept any more");
                return String::new();
            }
            Body::Withheld(why) => {
                self.remark(&format!(
                    "left out: its body, which was not kept: {}",
                    shown(why)
                ));
                return String::new();
            }
            Body::Text(text) => text_input(text),
            Body::Binary(base64) => base64_input(base64),
        };
        self.option("--header", "'expect:'");
        self.option("--data-binary", "@-");
        input
    }
}

/// A text is printed as it is, if a terminal may see it and the shell keeps it.
fn text_input(text: &str) -> String {
    match quote::word(text.as_bytes()).filter(|_| text.chars().all(quote::is_plain)) {
        Some(word) => format!("printf %s {word} |\n"),
        None => base64_input(&BASE64.encode(text.as_bytes())),
    }
}

fn base64_input(base64: &str) -> String {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    let base64: String = base64.chars().filter(|letter| letter.is_ascii()).collect();
    match base64.bytes().all(is_base64) {
        true => format!("printf %s {base64} | base64 --decode |\n"),
        false => "printf '' |\n".to_owned(),
    }
}

/// Without the argument in which a caller may give its key, and whether there was one.
fn without_token(target: &str) -> (String, bool) {
    let Some((path, query)) = target.split_once('?') else {
        return (target.to_owned(), false);
    };
    let is_token = |part: &&str| part.split('=').next() == Some("oauth2_access_token");
    let kept: Vec<&str> = query.split('&').filter(|part| !is_token(part)).collect();
    let is_cut = kept.len() < query.split('&').count();
    match kept.is_empty() {
        true => (path.to_owned(), is_cut),
        false => (format!("{path}?{}", kept.join("&")), is_cut),
    }
}

/// The bytes that were read as ISO 8859-1; what is beyond it was no part of that.
fn latin1(value: &str) -> Vec<u8> {
    let bytes: Option<Vec<u8>> = value
        .chars()
        .map(|letter| u8::try_from(u32::from(letter)).ok())
        .collect();
    bytes.unwrap_or_else(|| value.as_bytes().to_vec())
}
