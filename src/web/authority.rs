//! By which names the listener may be addressed: a page of somewhere else, whose name was pointed at
//! this address (DNS rebinding), is refused by the name it still carries.

use std::net::IpAddr;

use http::{HeaderMap, Uri, Version, header::HOST, uri::Authority};

/// Whether the request names us: by an IP address, `localhost` or one of `hosts`.
pub(super) fn is_ours(version: Version, uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> bool {
    let mut named = headers.get_all(HOST).iter();
    let authority = match (uri.authority(), named.next(), named.next()) {
        (_, _, Some(_)) => return false,
        (Some(authority), _, None) => Some(authority.clone()),
        (None, Some(value), None) => value.to_str().ok().and_then(|text| text.parse().ok()),
        // HTTP/1.0 has no Host, and no browser speaks it; health checks do.
        (None, None, None) => return version == Version::HTTP_10,
    };
    authority.is_some_and(|authority: Authority| is_name_ours(authority.host(), hosts))
}

fn is_name_ours(host: &str, hosts: &[String]) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_ours() {
        let hosts = ["ops.example".to_owned()];
        for (host, ours) in [
            ("127.0.0.1:8081", true),
            ("[::1]:8081", true),
            ("10.1.2.3", true),
            ("LocalHost:8081", true),
            ("ops.example", true),
            ("OPS.example:8081", true),
            ("evil.example", false),
            ("ops.example.evil.example", false),
            ("user@ops.example", true),
            ("127.0.0.1.evil.example", false),
            ("", false),
            ("a b", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);

            let found = is_ours(Version::HTTP_11, &Uri::from_static("/"), &headers, &hosts);

            assert_eq!(found, ours, "{host:?}");
        }
    }
}
