//! The names under which a caller may address us: our own, and the API's.
//!
//! **Invariant:** this decides who is answered, never who is connected to: LinkedIn's address comes
//! from the configuration alone.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, header::HOST};

use crate::dial::BaseUrl;

use super::super::failure::Failure;

/// The accepted names.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// Host names without port, lower case.
    names: Vec<String>,
    /// The API's own authorities, for `/https://…` paths.
    api: Vec<String>,
}

impl Hosts {
    /// `localhost`, the configured names, and the API's. IP addresses need no entry.
    pub(crate) fn new(configured: &[String], listen: SocketAddr, api: &BaseUrl) -> Self {
        let api = vec![
            api.authority().as_str().to_ascii_lowercase(),
            "api.linkedin.com".to_owned(),
        ];
        let mut names: Vec<String> = configured
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        names.extend(["localhost".to_owned(), listen.ip().to_string()]);
        names.extend(api.iter().map(|authority| name_of(authority).to_owned()));
        Self { names, api }
    }

    /// Whether `authority` (`host[:port]`) is one of ours, or the API's. User information never is.
    pub(crate) fn are_ours(&self, authority: &str) -> bool {
        if authority.contains('@') || !port_is_plain(authority) {
            return false;
        }
        let name = name_of(authority);
        let bare = name.trim_matches(['[', ']']);
        bare.parse::<IpAddr>().is_ok()
            || self
                .names
                .iter()
                .any(|ours| ours.eq_ignore_ascii_case(name))
    }

    /// The rest of `path` after `/https://API` or `/http://API`, which a client writes that puts its
    /// absolute URL behind our base URL.
    pub(crate) fn strip_api<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path
            .strip_prefix("/https://")
            .or_else(|| path.strip_prefix("/http://"))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        self.api
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(authority))
            .then_some(rest)
    }
}

/// The host of `host[:port]`, brackets of an IPv6 address included.
fn name_of(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority.ends_with(']') => authority.get(..colon).unwrap_or(authority),
        _ => authority,
    }
}

fn port_is_plain(authority: &str) -> bool {
    let port = authority
        .get(name_of(authority).len()..)
        .unwrap_or_default();
    port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.parse::<u16>().is_ok())
}

/// The one `Host` header, as text.
pub(super) fn host_of(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut values = headers.get_all(HOST).iter();
    let Some(host) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Failure::Malformed("it has more than one Host"));
    }
    let host = host
        .to_str()
        .map_err(|_| Failure::Malformed("its Host is no text"))?;
    if host.is_empty() {
        Err(Failure::Malformed("its Host is empty"))
    } else {
        Ok(Some(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        let api = "https://api.linkedin.com".parse().unwrap();
        Hosts::new(
            &["Gateway.internal".to_owned()],
            "127.0.0.1:8080".parse().unwrap(),
            &api,
        )
    }

    #[test]
    fn foreign_names_are_told_from_ours() {
        for (why, authority, expected) in [
            ("loopback", "localhost:8080", true),
            ("an address", "10.1.2.3:8080", true),
            ("IPv6", "[::1]:8080", true),
            ("configured, other case", "gateway.INTERNAL", true),
            ("the API's own", "api.linkedin.com", true),
            ("another site", "evil.example", false),
            ("a suffix", "xapi.linkedin.com", false),
            ("user information", "localhost@evil.example", false),
            ("a port that is none", "localhost:80x", false),
            ("an empty port", "localhost:", false),
        ] {
            assert_eq!(hosts().are_ours(authority), expected, "{why}");
        }
    }

    #[test]
    fn an_absolute_url_behind_our_base_url_is_understood() {
        assert_eq!(
            hosts().strip_api("/https://api.linkedin.com/v2/me?a=b"),
            Some("/v2/me?a=b")
        );
        assert_eq!(hosts().strip_api("/https://evil.example/v2/me"), None);
        assert_eq!(hosts().strip_api("/v2/me"), None);
    }
}
