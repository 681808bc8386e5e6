//! The operators' door over real sockets: who gets in, what each may do, and what another site's page cannot.

use std::time::Duration;

use linkgate::{
    admin::{self, Admin, ConnectLink, ConnectLinks, NotReady, Parts, Source},
    keyring::{KeyRing, LiveSecrets},
    operators::{Operators, Role},
    sandbox::Sandbox,
    web,
};

use crate::support::{Connection, Gateway, Reply, gateway::name};

mod commands;
mod desk;
mod forms;
mod guessing;
mod incidents;
mod pages;
mod rights;
mod signatures;

/// What the link function gives in place of a signed link.
const LINK: &str = "http://127.0.0.1:8082/connect/go/linkfor-";

struct Ready;

impl Source for Ready {
    fn not_ready(&self) -> Vec<NotReady> {
        Vec::new()
    }

    fn metrics(&self) -> String {
        "linkgate_build_info 1\n".into()
    }
}

/// A gateway with members, and the door before them.
struct House {
    gateway: Gateway,
    admin: Admin,
    operators: Operators,
    /// Everything that was answered, for the search at the end.
    seen: std::sync::Mutex<Vec<u8>>,
    /// Tokens and session ids, none of which may show in an answer's body.
    secrets: std::sync::Mutex<Vec<String>>,
}

impl House {
    async fn open(linkedin: &Sandbox) -> Self {
        Self::with(linkedin, |_| ()).await
    }

    async fn with(linkedin: &Sandbox, tune: impl FnOnce(&mut admin::Settings)) -> Self {
        let gateway = Gateway::before(linkedin).with_door(|_| ());
        let gateway = gateway.with_all(["ada", "grace"]).start().await;
        let clock = gateway.clock.clone();
        let operators = Operators::new(clock.clone(), LiveSecrets::new(KeyRing::random()));
        let mut settings = admin::Settings {
            web: web::Settings {
                listen: ([127, 0, 0, 1], 0).into(),
                hosts: Vec::new(),
                max_connections: 64,
            },
            public_url: None,
            session_idle: Duration::from_secs(1800),
            session_life: Duration::from_secs(43_200),
            support_sees_bodies: false,
        };
        tune(&mut settings);
        let parts = Parts {
            source: Ready,
            operators: operators.clone(),
            credentials: gateway.credentials.clone(),
            clock,
            links: ConnectLinks::given_by(|member| {
                Some(ConnectLink {
                    url: format!("{LINK}{member}"),
                    ends_at: 4_000_000_000,
                    warning: Some("it ends <earlier> tokens".to_owned()),
                })
            }),
            incidents: gateway.incidents(),
            callers: gateway.callers.clone(),
            marks: gateway.store.clone(),
            redaction: gateway.redaction.clone(),
        };
        Self {
            gateway,
            admin: Admin::start(settings, parts).await.unwrap(),
            operators,
            seen: std::sync::Mutex::default(),
            secrets: std::sync::Mutex::default(),
        }
    }

    /// Makes a token that is in force.
    fn token(&self, role: Role) -> String {
        self.token_until(role, None)
    }

    fn token_until(&self, role: Role, expires_at: Option<i64>) -> String {
        let (text, operator) = self.operators.create(name("olga"), role, expires_at);
        self.operators.insert(operator);
        self.secrets.lock().unwrap().push(text.to_string());
        text.to_string()
    }

    fn host(&self) -> String {
        self.admin.local_addr().to_string()
    }

    /// Sends a request with these header lines.
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let host = self.host();
        self.ask_host(&host, method, path, headers, body).await
    }

    async fn ask_host(
        &self,
        host: &str,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Reply {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        let mut connection = Connection::to(self.admin.local_addr()).await;
        connection.send(request).await;
        let reply = match method {
            "HEAD" => connection.reply_to_head().await,
            _ => connection.reply().await,
        };
        assert_guarded(&reply);
        self.seen.lock().unwrap().extend_from_slice(&reply.body);
        reply
    }

    /// A form of our own page.
    async fn post(&self, path: &str, cookie: &str, fields: &str) -> Reply {
        let headers = format!("{}{}", self.own(), with_cookie(cookie));
        self.ask("POST", path, &headers, fields).await
    }

    /// What a browser says about a form of our own page.
    fn own(&self) -> String {
        format!(
            "Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n",
            self.host()
        )
    }

    /// Signs in and gives the cookie, `name=value`.
    async fn sign_in(&self, token: &str) -> String {
        let reply = self.post("/sign-in", "", &format!("token={token}")).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        self.cookie_of(&reply)
    }

    fn cookie_of(&self, reply: &Reply) -> String {
        let set = reply.header("set-cookie").expect("a cookie is set");
        let cookie = set.split(';').next().unwrap().to_owned();
        let id = cookie.split('=').nth(1).unwrap().to_owned();
        self.secrets.lock().unwrap().push(id);
        cookie
    }

    /// A page of a session.
    async fn page(&self, path: &str, cookie: &str) -> Reply {
        self.ask("GET", path, &with_cookie(cookie), "").await
    }

    /// The form token that stands on a session's pages.
    async fn form_token(&self, cookie: &str) -> String {
        let text = self.page("/", cookie).await.text();
        let (_, rest) = text.split_once("name=\"form_token\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let seen = self.seen.lock().unwrap();
        let leaks = crate::support::canary::leaks(&seen);
        assert!(leaks.is_empty(), "the canary leaked: {leaks:?}");
        for secret in self.secrets.lock().unwrap().iter() {
            let found = memchr::memmem::find(&seen, secret.as_bytes());
            assert!(found.is_none(), "a token or session id was shown");
        }
    }
}

fn with_cookie(cookie: &str) -> String {
    match cookie {
        "" => String::new(),
        cookie => format!("Cookie: {cookie}\r\n"),
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// What every answer carries, whatever it is.
fn assert_guarded(reply: &Reply) {
    let header = |name: &str| reply.header(name).unwrap_or_default().to_owned();
    let told = reply.raw_head_text();
    assert_eq!(header("x-frame-options"), "DENY", "{told}");
    assert_eq!(header("x-content-type-options"), "nosniff", "{told}");
    let referrer = match reply.status {
        421 => "no-referrer",
        _ => "same-origin",
    };
    assert_eq!(header("referrer-policy"), referrer, "{told}");
    let policy = header("content-security-policy");
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{told}");
    }
    // The style sheet, the icon and the script, which say nothing of anybody.
    let is_ours = ["text/css", "image/svg+xml", "text/javascript"]
        .map(|kind| header("content-type").starts_with(kind));
    assert!(
        is_ours.contains(&true) || header("cache-control") == "no-store",
        "{told}"
    );
    assert_eq!(reply.header("access-control-allow-origin"), None, "{told}");
}
