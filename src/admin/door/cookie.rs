//! The cookie that carries a session's id.
//!
//! **Invariant:** no script reads it and no other site's request carries it (`HttpOnly`,
//! `SameSite=Strict`); over https no other host or plain connection can set or see it (`__Host-`,
//! `Secure`). Two cookies of its name are none: nobody can slip a second one in.

use http::{HeaderMap, HeaderValue, header::COOKIE};

use crate::{dial::BaseUrl, secret::Secret};

/// Over https, as `admin.public_url` says.
const SECURE_NAME: &str = "__Host-linkgate_session";
/// On plain http, which is for loopback: browsers keep no `Secure` cookie from there.
const PLAIN_NAME: &str = "linkgate_session";

/// How the cookie is named and guarded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookie {
    is_secure: bool,
}

impl Cookie {
    /// For browsers that reach the listener by `public_url`; none: by plain http.
    pub(super) fn new(public_url: Option<&BaseUrl>) -> Self {
        let is_secure = public_url.is_some_and(BaseUrl::is_tls);
        Self { is_secure }
    }

    fn name(self) -> &'static str {
        match self.is_secure {
            true => SECURE_NAME,
            false => PLAIN_NAME,
        }
    }

    /// The value of the one cookie of this name.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<&str> {
        let all = headers.get_all(COOKIE).iter();
        let pairs = all
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'));
        let mut ours = pairs.filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.name()).then_some(value)
        });
        let first = ours.next()?;
        ours.next().is_none().then_some(first)
    }

    /// Sets it; it ends with the browser, or earlier with the session.
    pub(super) fn set(self, id: &Secret<String>) -> HeaderValue {
        self.header(id.expose(), "")
    }

    /// Takes it away.
    pub(super) fn clear(self) -> HeaderValue {
        self.header("", "; Max-Age=0")
    }

    fn header(self, value: &str, end: &str) -> HeaderValue {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let name = self.name();
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{end}");
        let header = HeaderValue::from_str(&text);
        // An id is base64url, which a header takes.
        let mut header = header.unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_guarded_as_the_way_to_the_listener_allows() {
        let https: BaseUrl = "https://ops.example".parse().unwrap();
        let http: BaseUrl = "http://127.0.0.1:8081".parse().unwrap();
        let id = Secret::from("id");
        for (url, expected) in [
            (
                Some(&https),
                "__Host-linkgate_session=id; Path=/; HttpOnly; SameSite=Strict; Secure",
            ),
            (
                Some(&http),
                "linkgate_session=id; Path=/; HttpOnly; SameSite=Strict",
            ),
            (
                None,
                "linkgate_session=id; Path=/; HttpOnly; SameSite=Strict",
            ),
        ] {
            let set = Cookie::new(url).set(&id);
            assert_eq!(set.to_str().unwrap(), expected);
            assert!(set.is_sensitive());
            let clear = Cookie::new(url).clear();
            assert!(clear.to_str().unwrap().ends_with("; Max-Age=0"));
        }
    }

    #[test]
    fn one_cookie_of_its_name_is_read_and_two_are_none() {
        let cookie = Cookie::new(None);
        for (lines, expected) in [
            (&["linkgate_session=a"][..], Some("a")),
            (&["x=1; linkgate_session=a; y=2"], Some("a")),
            (&["x=1", "linkgate_session=a"], Some("a")),
            (&["linkgate_session=a; linkgate_session=b"], None),
            (&["linkgate_session=a", "linkgate_session=a"], None),
            (&["__Host-linkgate_session=a"], None),
            (&["linkgate_session"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, line.parse().unwrap());
            }
            assert_eq!(cookie.read(&headers), expected, "{lines:?}");
        }
    }
}
