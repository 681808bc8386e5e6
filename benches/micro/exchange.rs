//! Whole calls through a gateway of its own, one at a time over one connection, to an origin that answers at
//! once: what a body costs that is kept for a second attempt, and what a call costs that the table of
//! repetitions is asked about.
//!
//! Threads wake each other here, so only differences between the lines say something of the gateway.

use std::{
    hint::black_box,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    thread,
};

use criterion::Criterion;
use linkgate::{
    app::{App, MemberNamed, Order, Reply, TokenText},
    config::{Config, Environment},
};

const BODY: usize = 10 * 1024;

/// Reads, writes that are kept for a second attempt, writes that are not, and writes that failed.
pub(crate) fn calls(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let origin = origin();
    let mut group = criterion.benchmark_group("call");
    for (title, method, path, length, keep_bytes) in [
        ("read", "GET", "/rest/good", 0, 65_536),
        ("write of 10 KiB, kept", "POST", "/rest/good", BODY, 65_536),
        ("write of 10 KiB, not kept", "POST", "/rest/good", BODY, 0),
        (
            "write of 10 KiB, 500, not sent again, captured",
            "POST",
            "/rest/bad",
            BODY,
            65_536,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), origin, keep_bytes);
        let (app, key) = runtime.block_on(async {
            let app = App::start(config).await.unwrap();
            let key = prepared(&app).await;
            (app, key)
        });
        let mut caller = BufReader::new(TcpStream::connect(app.callers_address()).unwrap());
        caller.get_ref().set_nodelay(true).unwrap();
        let body = "x".repeat(length);
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}~ada\r\nLinkedIn-Version: 202609\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        group.bench_function(title, |bench| {
            bench.iter(|| {
                caller
                    .get_mut()
                    .write_all(black_box(request.as_bytes()))
                    .unwrap();
                message(&mut caller).unwrap()
            });
        });
        drop(caller);
        runtime.block_on(app.stop());
    }
    group.finish();
}

fn config(folder: &Path, origin: SocketAddr, keep_bytes: usize) -> Config {
    std::fs::write(folder.join("secret"), "secret").unwrap();
    let text = format!(
        "gateway: {{ listen: '127.0.0.1:0', threads: 1 }}\n\
         admin: {{ listen: '127.0.0.1:0' }}\n\
         linkedin: {{ api_url: 'http://{origin}', oauth_url: 'http://{origin}/oauth', uploads_url: 'http://{origin}' }}\n\
         retry: {{ keep_body_bytes: {keep_bytes} }}\n\
         applications: [{{ name: default, client_id: bench, client_secret_file: secret }}]\n"
    );
    Config::from_text(&text, &folder.join("config.yaml"), &Environment::default()).unwrap()
}

/// One member and a key.
async fn prepared(app: &App) -> String {
    let desk = app.desk();
    let answer = r#"{"access_token":"AQVbench","expires_in":5000000}"#.to_owned();
    let member = MemberNamed {
        name: "ada".to_owned(),
        application: None,
    };
    desk.execute(Order::ImportMember {
        member,
        answer: TokenText(answer.into()),
    })
    .await;
    let made = desk.execute(Order::CreateKey {
        caller: "bench".to_owned(),
        members: Vec::new(),
        any_member: true,
        allow: Vec::new(),
        expires_secs: None,
        application: None,
    });
    let Reply::Done(made) = made.await else {
        panic!("no key was made")
    };
    made.get("key")
        .and_then(|key| key.as_str())
        .unwrap()
        .to_owned()
}

/// Answers 500 where the path says so, else 200, with 1 KiB.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                let mut caller = BufReader::new(stream);
                while let Some(first) = message(&mut caller) {
                    let status = if first.contains("/rest/bad") {
                        "500 Oops"
                    } else {
                        "200 OK"
                    };
                    let answer = format!(
                        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n\r\n{:1024}",
                        "{}"
                    );
                    caller.get_mut().write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    address
}

/// Reads one request or answer; its first line, or none when the other side has closed.
fn message(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    while stream.read_line(&mut line).ok()? > 2 {
        if first.is_empty() {
            first.clone_from(&line);
        }
        let field = line.split_once(':');
        if let Some((_, value)) =
            field.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    stream.read_exact(&mut vec![0; length]).ok()?;
    Some(first).filter(|first| !first.is_empty())
}
