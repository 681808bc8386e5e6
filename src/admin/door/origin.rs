//! Whether a browser says that a request comes from a page of this listener.
//!
//! **Invariant:** a request that says nothing about where it comes from is not taken for our own.

use http::{HeaderMap, HeaderName, Uri, header};

use crate::dial::BaseUrl;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where our own pages come from.
#[derive(Clone, Debug)]
pub(super) struct Origins {
    public: Option<Origin>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    is_tls: bool,
    host: String,
    port: u16,
}

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let is_tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let default = if is_tls { 443 } else { 80 };
        Some(Self {
            is_tls,
            host: uri.host()?.to_ascii_lowercase(),
            port: uri.port_u16().unwrap_or(default),
        })
    }
}

impl Origins {
    /// Of a listener that browsers reach by `public_url`, or by the name they put into `Host`.
    pub(super) fn new(public_url: Option<&BaseUrl>) -> Self {
        let public = public_url.and_then(|url| Origin::of(&url.to_string().parse().ok()?));
        Self { public }
    }

    /// Whether the browser names our own page as the sender: by `Origin`, which must be ours, and by
    /// `Sec-Fetch-Site`, which must be `same-origin`. One of them must be there.
    pub(super) fn is_own(&self, headers: &HeaderMap) -> bool {
        let site = one(headers, &FETCH_SITE);
        let origin = one(headers, &header::ORIGIN);
        match (site, origin) {
            (Said::Nothing, Said::Nothing) | (Said::Twice, _) | (_, Said::Twice) => false,
            (Said::Once(site), _) if site != "same-origin" => false,
            (_, Said::Once(origin)) => self.is_ours(origin, headers),
            (Said::Once(_), Said::Nothing) => true,
        }
    }

    fn is_ours(&self, origin: &str, headers: &HeaderMap) -> bool {
        let Some(origin) = origin.parse().ok().as_ref().and_then(Origin::of) else {
            return false;
        };
        if self.public.as_ref() == Some(&origin) {
            return true;
        }
        let Said::Once(host) = one(headers, &header::HOST) else {
            return false;
        };
        let scheme = if origin.is_tls { "https" } else { "http" };
        let Some(asked) = format!("{scheme}://{host}").parse().ok() else {
            return false;
        };
        let asked = Origin::of(&asked);
        // Who asks for the public name must also come by its scheme: plain http is another's to change.
        let is_public_name = |origin: &Origin| {
            let public = self.public.as_ref();
            public.is_some_and(|public| public.host == origin.host)
        };
        !is_public_name(&origin) && asked.as_ref() == Some(&origin)
    }
}

/// What a request says in a header that stands once.
enum Said<'a> {
    Nothing,
    Once(&'a str),
    Twice,
}

fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Said<'h> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Said::Nothing,
        (Some(value), None) => Said::Once(value.to_str().unwrap_or("?")),
        (Some(_), Some(_)) => Said::Twice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `origin` and `site` may be empty: not sent.
    fn is_own(public: &str, host: &str, origin: &str, site: &str) -> bool {
        let public = public.parse::<BaseUrl>().ok();
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, host.parse().unwrap());
        for (name, value) in [(header::ORIGIN, origin), (FETCH_SITE, site)] {
            for value in value.split_whitespace() {
                headers.append(&name, value.parse().unwrap());
            }
        }
        Origins::new(public.as_ref()).is_own(&headers)
    }

    /// Why, the public URL, and what the browser says: Host, Origin, Sec-Fetch-Site.
    type Row = (&'static str, &'static str, [&'static str; 3]);

    const PLAIN: &str = "";
    const PROXIED: &str = "https://ops.example";
    const DIRECT: &str = "127.0.0.1:8081";
    const OURS: &str = "http://127.0.0.1:8081";
    const EVIL: &str = "https://evil.example";

    const OWN: &[Row] = &[
        ("our page", PLAIN, [DIRECT, OURS, "same-origin"]),
        ("without fetch metadata", PLAIN, [DIRECT, OURS, ""]),
        ("without origin", PLAIN, [DIRECT, "", "same-origin"]),
        ("v6", PLAIN, ["[::1]:8081", "http://[::1]:8081", ""]),
        (
            "the scheme's port",
            PLAIN,
            ["localhost", "http://localhost:80", ""],
        ),
        (
            "behind a proxy",
            PROXIED,
            ["ops.example", PROXIED, "same-origin"],
        ),
        ("which changes the host", PROXIED, [DIRECT, PROXIED, ""]),
        ("through a tunnel", PROXIED, [DIRECT, OURS, ""]),
    ];

    const FOREIGN: &[Row] = &[
        ("says nothing", PLAIN, [DIRECT, "", ""]),
        ("another site", PLAIN, [DIRECT, EVIL, "cross-site"]),
        ("another site, no metadata", PLAIN, [DIRECT, EVIL, ""]),
        (
            "another port",
            PLAIN,
            [DIRECT, "http://127.0.0.1:8082", "same-site"],
        ),
        (
            "another port, no metadata",
            PLAIN,
            [DIRECT, "http://127.0.0.1:8082", ""],
        ),
        (
            "they contradict each other",
            PLAIN,
            [DIRECT, OURS, "cross-site"],
        ),
        ("typed by hand", PLAIN, [DIRECT, "", "none"]),
        ("hidden", PLAIN, [DIRECT, "null", ""]),
        (
            "hidden, but the same",
            PLAIN,
            [DIRECT, "null", "same-origin"],
        ),
        (
            "two origins",
            PLAIN,
            [DIRECT, "http://127.0.0.1:8081 http://x", ""],
        ),
        ("two sites", PLAIN, [DIRECT, "", "same-origin same-origin"]),
        (
            "in plain text",
            PROXIED,
            ["ops.example", "http://ops.example", ""],
        ),
        (
            "a name alike",
            PROXIED,
            ["ops.example", "https://ops.example.evil", ""],
        ),
        ("no scheme", PLAIN, [DIRECT, DIRECT, ""]),
        ("a file", PLAIN, [DIRECT, "file://", ""]),
    ];

    #[test]
    fn only_our_own_pages_are_ours() {
        let own = OWN.iter().map(|row| (row, true));
        let foreign = FOREIGN.iter().map(|row| (row, false));
        for ((why, public, [host, origin, site]), expected) in own.chain(foreign) {
            assert_eq!(is_own(public, host, origin, site), expected, "{why}");
        }
    }
}
