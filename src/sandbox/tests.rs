//! Stories and faults over real sockets.

mod http1;
mod http2;
mod stories;

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::{Options, Sandbox};

/// What a raw connection brought.
#[derive(Debug)]
struct Raw {
    text: String,
    ended: Option<io::ErrorKind>,
}

impl Raw {
    fn head(&self) -> &str {
        self.text
            .split_once("\r\n\r\n")
            .map_or(&self.text, |(head, _)| head)
    }

    fn body(&self) -> &str {
        self.text
            .split_once("\r\n\r\n")
            .map_or("", |(_, body)| body)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.body()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn status(&self) -> u16 {
        self.text
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head().split("\r\n").skip(1).find_map(|line| {
            let (header, value) = line.split_once(": ")?;
            header.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Writes these bytes and reads until the end, an error, or a silence of `patience`.
fn raw(sandbox: &Sandbox, bytes: &[u8], patience: Duration) -> Raw {
    let mut socket = TcpStream::connect(sandbox.address()).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    // A peer that closes early may refuse the rest.
    drop(socket.write_all(bytes));
    let mut read = Vec::new();
    let mut chunk = [0; 65_536];
    let ended = loop {
        match socket.read(&mut chunk) {
            Ok(0) => break None,
            Ok(length) => read.extend_from_slice(&chunk[..length]),
            Err(error) => break Some(error.kind()),
        }
    };
    Raw {
        text: String::from_utf8_lossy(&read).into_owned(),
        ended,
    }
}

/// A request with the headers of a versioned call.
fn request(sandbox: &Sandbox, line: &str, more: &str, body: &str) -> Raw {
    let token = sandbox.sign_in("ada").access_token;
    raw(
        sandbox,
        rest(&token, line, more, body).as_bytes(),
        Duration::from_secs(5),
    )
}

fn rest(token: &str, line: &str, more: &str, body: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer {token}\r\nLinkedIn-Version: 202609\r\n\
         X-Restli-Protocol-Version: 2.0.0\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

const POST: &str = r#"{"author":"urn:li:person:ada","commentary":"hello"}"#;

fn quiet() -> Sandbox {
    Sandbox::start_with(Options {
        tls_listen: None,
        ..Options::default()
    })
    .unwrap()
}
