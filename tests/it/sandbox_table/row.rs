//! A row of the table: why, what is sent, what must come back.

use linkgate::sandbox::{Fault, Kind, Sandbox, Shape};
use serde_json::Value;

use super::client::{self, Answer};

/// What must be true of an answer.
enum Demand {
    Field(&'static str, Value),
    Header(&'static str, String),
    HeaderBegins(&'static str, &'static str),
    NoHeader(&'static str),
    Contains(&'static str),
    Empty,
    Check(fn(&Answer)),
}

/// What is done to the sandbox before the request.
type Before = Box<dyn FnOnce(&Sandbox)>;

/// One row.
pub(super) struct Row {
    why: &'static str,
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    bare: bool,
    fault: Option<Fault>,
    before: Option<Before>,
    status: u16,
    demands: Vec<Demand>,
}

/// A row that sends this.
pub(super) fn row(why: &'static str, method: &'static str, target: impl Into<String>) -> Row {
    Row {
        why,
        method,
        target: target.into(),
        headers: Vec::new(),
        body: String::new(),
        bare: false,
        fault: None,
        before: None,
        status: 200,
        demands: Vec::new(),
    }
}

impl Row {
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn bearer(self, token: &str) -> Self {
        self.with("Authorization", format!("Bearer {token}"))
    }

    /// The headers of a versioned call.
    pub(super) fn rest(self, token: &str) -> Self {
        self.bearer(token)
            .with("LinkedIn-Version", "202609")
            .with("X-Restli-Protocol-Version", "2.0.0")
    }

    pub(super) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn form(self, fields: &[(&str, &str)]) -> Self {
        let text: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        self.with("Content-Type", "application/x-www-form-urlencoded")
            .body(text.join("&"))
    }

    /// Without `Content-Length`.
    pub(super) fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    pub(super) fn fault(mut self, kind: Kind) -> Self {
        self.fault = Some(Fault::on("*", kind));
        self
    }

    pub(super) fn fault_shape(self, status: u16, shape: Shape) -> Self {
        self.fault(Kind::Status {
            status,
            retry_after: None,
            shape,
        })
    }

    pub(super) fn before(mut self, what: impl FnOnce(&Sandbox) + 'static) -> Self {
        self.before = Some(Box::new(what));
        self
    }

    pub(super) fn gives(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(super) fn field(mut self, pointer: &'static str, value: impl Into<Value>) -> Self {
        self.demands.push(Demand::Field(pointer, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.demands.push(Demand::Header(name, value.into()));
        self
    }

    pub(super) fn header_begins(mut self, name: &'static str, start: &'static str) -> Self {
        self.demands.push(Demand::HeaderBegins(name, start));
        self
    }

    pub(super) fn no_header(mut self, name: &'static str) -> Self {
        self.demands.push(Demand::NoHeader(name));
        self
    }

    pub(super) fn contains(mut self, text: &'static str) -> Self {
        self.demands.push(Demand::Contains(text));
        self
    }

    pub(super) fn empty(mut self) -> Self {
        self.demands.push(Demand::Empty);
        self
    }

    pub(super) fn check(mut self, check: fn(&Answer)) -> Self {
        self.demands.push(Demand::Check(check));
        self
    }

    /// Sends the request and holds the answer against the demands.
    pub(super) fn holds(self, sandbox: &Sandbox) {
        if let Some(before) = self.before {
            before(sandbox);
        }
        if let Some(fault) = self.fault {
            sandbox.fault(fault);
        }
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: sandbox\r\n",
            self.method, self.target
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.bare {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("Connection: close\r\n");
        let answer = client::call(sandbox.address(), &head, &self.body);
        assert_eq!(answer.status, self.status, "{}: {answer:?}", self.why);
        for demand in &self.demands {
            demand.hold(self.why, &answer);
        }
    }
}

impl Demand {
    fn hold(&self, why: &str, answer: &Answer) {
        match self {
            Self::Field(pointer, value) => {
                let json: Value = serde_json::from_str(&answer.body)
                    .unwrap_or_else(|error| panic!("{why}: {error}: {answer:?}"));
                assert_eq!(
                    json.pointer(pointer),
                    Some(value),
                    "{why}: {pointer} in {json}"
                );
            }
            Self::Header(name, value) => {
                assert_eq!(
                    answer.header(name),
                    Some(value.as_str()),
                    "{why}: {answer:?}"
                );
            }
            Self::HeaderBegins(name, start) => {
                let value = answer.header(name).unwrap_or_default();
                assert!(value.starts_with(start), "{why}: {name}: {value}");
            }
            Self::NoHeader(name) => assert_eq!(answer.header(name), None, "{why}: {name}"),
            Self::Contains(text) => assert!(answer.body.contains(text), "{why}: {answer:?}"),
            Self::Empty => assert_eq!(answer.body, "", "{why}"),
            Self::Check(check) => check(answer),
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
