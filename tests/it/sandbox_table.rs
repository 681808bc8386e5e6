//! The sandbox against linkedin.md: one row of the table for every row there.
//!
//! **Neighbours:** `wire` is the test's own HTTP/1.1 client, which knows nothing of the sandbox.

use linkgate::sandbox::Sandbox;
use std::io::{Read, Write};

#[test]
fn a_post_is_created_over_a_plain_socket() {
    let sandbox = Sandbox::start();
    let token = sandbox.sign_in("ada");
    let mut socket = std::net::TcpStream::connect(sandbox.address()).unwrap();
    let body = r#"{"author":"urn:li:person:x","commentary":"hi"}"#;
    write!(
        socket,
        "POST /rest/posts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nLinkedIn-Version: 202609\r\nX-Restli-Protocol-Version: 2.0.0\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        token.access_token,
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    println!("{answer}");
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"));
    assert_eq!(sandbox.counts().posts_created, 1);
}
