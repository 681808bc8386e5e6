//! A member's browser, as far as a story needs one: cookies, addresses, forms; it follows nothing by
//! itself.
//!
//! **Invariant:** everything it was ever shown by the door is searched for the sandbox's canary (codes
//! hold one) when it is dropped.

use std::{collections::BTreeMap, net::SocketAddr, sync::Mutex};

use super::{Connection, Reply, canary};

/// A browser with its cookies.
#[derive(Default)]
pub(crate) struct Visitor {
    cookies: BTreeMap<String, String>,
    seen: Mutex<Vec<u8>>,
}

/// What a page's form would send.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Visitor {
    /// One GET.
    pub(crate) async fn get(&mut self, url: &str) -> Reply {
        self.ask("GET", url, "").await
    }

    /// One POST of a form.
    pub(crate) async fn post(&mut self, url: &str, fields: &[(String, String)]) -> Reply {
        let pairs = fields.iter().map(|(n, v)| format!("{n}={}", escaped(v)));
        let body = pairs.collect::<Vec<_>>().join("&");
        self.ask("POST", url, &body).await
    }

    async fn ask(&mut self, method: &str, url: &str, body: &str) -> Reply {
        let (address, target) = place(url);
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n");
        if !cookies.is_empty() {
            head += &format!("Cookie: {}\r\n", cookies.join("; "));
        }
        if method == "POST" {
            let length = body.len();
            head += &format!(
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n"
            );
        }
        let reply = Connection::to(address)
            .await
            .ask(format!("{head}\r\n{body}"))
            .await;
        for (_, value) in reply
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case("set-cookie"))
        {
            let pair = value.split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        if target.starts_with("/connect/") {
            let mut seen = self.seen.lock().unwrap();
            seen.extend_from_slice(&reply.raw_head);
            seen.extend_from_slice(&reply.body);
        }
        reply
    }

    /// The same browser in another window.
    pub(crate) fn other_window(&self) -> Self {
        Self {
            cookies: self.cookies.clone(),
            seen: Mutex::default(),
        }
    }

    /// The one cookie it has.
    pub(crate) fn cookie(&self) -> &str {
        self.cookies.values().next().expect("a cookie")
    }

    /// Forgets all cookies, as a browser does that keeps none.
    pub(crate) fn forget_cookies(&mut self) {
        self.cookies.clear();
    }

    /// Opens a link and presses the button: where LinkedIn's consent page is.
    pub(crate) async fn go_to_linkedin(&mut self, link: &str) -> String {
        let page = self.get(link).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let form = form(&page, link);
        let sent = self.post(&form.action, &form.fields).await;
        assert_eq!(sent.status, 303, "{}", sent.text());
        sent.header("location").unwrap().to_owned()
    }

    /// Decides at LinkedIn: where LinkedIn sends the member back.
    pub(crate) async fn decide(&mut self, consent: &str, member: &str, decision: &str) -> String {
        let url = format!("{consent}&sandbox_member={member}&sandbox_decision={decision}");
        let sent = self.get(&url).await;
        assert_eq!(sent.status, 302, "{}", sent.text());
        sent.header("location").unwrap().to_owned()
    }

    /// Comes back from LinkedIn: the page that says what came of it.
    pub(crate) async fn come_back(&mut self, callback: &str) -> Reply {
        let sent = self.get(callback).await;
        assert_eq!(sent.status, 303, "{}", sent.text());
        let location = sent.header("location").unwrap();
        let (address, _) = place(callback);
        self.get(&format!("http://{address}{location}")).await
    }

    /// The whole way, as `member`, who allows it.
    pub(crate) async fn sign_in(&mut self, link: &str, member: &str) -> Reply {
        let consent = self.go_to_linkedin(link).await;
        let callback = self.decide(&consent, member, "allow").await;
        self.come_back(&callback).await
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let leaks = canary::leaks(&self.seen.lock().unwrap());
        assert!(leaks.is_empty(), "the door showed a canary: {leaks:?}");
    }
}

/// Address and target of `http://ADDRESS/…`.
fn place(url: &str) -> (SocketAddr, String) {
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("{url}"));
    let (authority, target) = rest.split_once('/').unwrap_or((rest, ""));
    (authority.parse().unwrap(), format!("/{target}"))
}

/// The first form of a page that was got from `url`.
pub(crate) fn form(page: &Reply, url: &str) -> Form {
    let text = page.text();
    let (_, rest) = text.split_once("<form ").expect("a form");
    let (form, _) = rest.split_once("</form>").expect("its end");
    let (address, _) = place(url);
    let inputs = form.split("<input ").skip(1);
    Form {
        action: format!("http://{address}{}", attribute(form, "action")),
        fields: inputs
            .map(|input| (attribute(input, "name"), attribute(input, "value")))
            .collect(),
    }
}

fn attribute(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("{name}=\"")).unwrap();
    rest.split('"').next().unwrap().replace("&amp;", "&")
}

/// As it stands in a query.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
