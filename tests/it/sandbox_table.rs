//! The sandbox against linkedin.md: one row here for every row there.
//!
//! **Neighbours:** `client` is the table's own HTTP/1.1 client, which knows nothing of the sandbox.

mod client;
mod head;
mod refusals;
mod row;
mod token_endpoint;
mod trouble;

use linkgate::sandbox::{Application, Options, Sandbox};
use row::{Row, row};

const REDIRECT: &str = "http://127.0.0.1:8082/connect/callback";
const TOKEN: &str = "/oauth/v2/accessToken";

/// Everything the rows need from a sandbox that runs.
struct World {
    sandbox: Sandbox,
    id: String,
    secret: String,
}

impl World {
    fn new() -> Self {
        let poor = Application {
            application_tokens: false,
            scopes: vec![String::from("openid")],
            ..Application::new("78poorapp")
        };
        let sandbox = Sandbox::start_with(Options {
            rotate_refresh_tokens: true,
            applications: vec![Application::default(), poor],
            ..Options::default()
        })
        .unwrap();
        let (id, secret) = (sandbox.client_id(), sandbox.client_secret());
        Self {
            sandbox,
            id,
            secret,
        }
    }

    /// The application's credentials as a Basic header.
    fn basic(&self) -> String {
        let text = format!("{}:{}", self.id, self.secret);
        format!("Basic {}", data_encoding::BASE64.encode(text.as_bytes()))
    }

    fn token_of(&self, member: &str) -> String {
        self.sandbox.sign_in(member).access_token
    }

    /// A token with these scopes only.
    fn narrow(&self, member: &str, scopes: &[&str]) -> String {
        self.sandbox
            .sign_in_to(&self.id, member, scopes)
            .access_token
    }

    /// A code a member has just consented to.
    fn code(&self, more: &str) -> String {
        let target = format!(
            "/oauth/v2/authorization?response_type=code&client_id={}&redirect_uri={REDIRECT}\
             &scope=openid%20profile&state=s&sandbox_decision=allow{more}",
            self.id
        );
        let head = format!("GET {target} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n");
        let answer = client::call(self.sandbox.address(), &head, "");
        let location = answer.header("location").unwrap();
        let rest = location.strip_prefix(&format!("{REDIRECT}?code=")).unwrap();
        rest.strip_suffix("&state=s").unwrap().to_owned()
    }

    fn exchange(&self, why: &'static str, code: &str) -> Row {
        row(why, "POST", TOKEN).form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &self.id),
            ("client_secret", &self.secret),
            ("redirect_uri", REDIRECT),
        ])
    }

    fn refresh(&self, why: &'static str, refresh_token: &str) -> Row {
        row(why, "POST", TOKEN).form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("client_id", &self.id),
            ("client_secret", &self.secret),
        ])
    }

    fn all_hold(&self, rows: Vec<Row>, at_least: usize) {
        assert!(rows.len() >= at_least, "{} rows", rows.len());
        for row in rows {
            row.holds(&self.sandbox);
        }
    }
}
