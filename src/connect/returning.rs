//! Where a member may be sent after signing in: the operator's list, and nothing that only looks
//! like it.
//!
//! **Invariant:** scheme, host and port of an accepted URL are those of an entry, byte for byte.

use std::{fmt, str::FromStr};

use http::Uri;

use crate::dial::BaseUrl;

/// Longest URL a member is sent to; it travels inside the state.
const LONGEST: usize = 1024;

/// One entry of `connect.return_urls`: an absolute https URL (http on loopback), without query.
///
/// It stands for itself, with or without a query; one that ends with `/` also for everything below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnUrl(String);

/// Why a text is no [`ReturnUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReturnUrl {
    /// Not an absolute URL we could send anybody to.
    #[error("{0}")]
    Url(#[from] crate::dial::BadBaseUrl),
    /// A path is needed to tell the host from what follows.
    #[error("needs a path: https://app.example/ at least")]
    NoPath,
    /// Something that browsers read in more than one way.
    #[error("has a path that browsers may read in another way")]
    Odd,
}

impl FromStr for ReturnUrl {
    type Err = BadReturnUrl;

    fn from_str(text: &str) -> Result<Self, BadReturnUrl> {
        let _checked: BaseUrl = text.parse()?;
        let has_path = text
            .split_once("://")
            .is_some_and(|(_, rest)| rest.contains('/'));
        match (has_path, is_plain(text)) {
            (false, _) => Err(BadReturnUrl::NoPath),
            (true, false) => Err(BadReturnUrl::Odd),
            (true, true) => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for ReturnUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ReturnUrl {
    /// Whether a member may be sent to `url`.
    pub(super) fn accepts(&self, url: &str) -> bool {
        let Some(rest) = url.strip_prefix(&self.0) else {
            return false;
        };
        let is_below = rest.is_empty() || rest.starts_with('?') || self.0.ends_with('/');
        is_below && url.len() <= LONGEST && is_plain(url) && url.parse::<Uri>().is_ok()
    }
}

/// Only characters that no browser rewrites, and no step up in the path.
fn is_plain(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default();
    let is_step = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    url.bytes().all(|b| b.is_ascii_graphic())
        && !url.contains(['\\', '#', '"', '<', '>', '`'])
        && !path.split('/').any(is_step)
}

/// `url` with what came of the sign-in: `linkgate_result=connected`, or the code of a refusal.
pub(super) fn with_result(url: &str, result: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}linkgate_result={result}")
}

/// The host, for people.
pub(super) fn host(url: &str) -> String {
    let uri = url.parse::<Uri>().ok();
    uri.and_then(|uri| uri.host().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_an_absolute_https_url_with_a_path() {
        for (text, is_entry) in [
            ("https://app.example/", true),
            ("https://app.example/linked", true),
            ("https://app.example:8443/a/b/", true),
            ("http://127.0.0.1:3000/", true),
            ("http://localhost/cb", true),
            ("http://app.example/", false),
            ("https://app.example", false),
            ("https://app.example/?a=b", false),
            ("https://app.example/#a", false),
            ("https://me@app.example/", false),
            ("https://app.example/a/../b", false),
            ("https://app.example/%2E%2e/b", false),
            ("javascript:alert(1)", false),
            ("/relative", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<ReturnUrl>().is_ok(), is_entry, "{text}");
        }
    }

    const EXACT: &str = "https://app.example/linked";
    const BELOW: &str = "https://app.example/in/";
    const ROOT: &str = "https://app.example/";

    /// Why, the entry, the URL a member would be sent to, whether that is done.
    #[rustfmt::skip]
    const ROWS: &[(&str, &str, &str, bool)] = &[
        ("the entry", EXACT, EXACT, true),
        ("with a query", EXACT, "https://app.example/linked?user=1&x=(2)", true),
        ("longer path", EXACT, "https://app.example/linked/more", false),
        ("longer word", EXACT, "https://app.example/linkedin", false),
        ("below", BELOW, "https://app.example/in/a/b?c=d", true),
        ("the place itself", BELOW, BELOW, true),
        ("without its slash", BELOW, "https://app.example/in", false),
        ("up and out", BELOW, "https://app.example/in/../x", false),
        ("up and out, escaped", BELOW, "https://app.example/in/%2e%2E/x", false),
        ("up at the end", BELOW, "https://app.example/in/..", false),
        ("dots in a query", BELOW, "https://app.example/in/?a=..", true),
        ("backslash", BELOW, "https://app.example/in/\\evil.example", false),
        ("another host", EXACT, "https://evil.example/linked", false),
        ("host goes on", ROOT, "https://app.example.evil/", false),
        ("user info", ROOT, "https://app.example@evil/", false),
        ("another port", EXACT, "https://app.example:444/linked", false),
        ("another scheme", EXACT, "http://app.example/linked", false),
        ("another case", EXACT, "https://APP.example/linked", false),
        ("no scheme", EXACT, "//app.example/linked", false),
        ("script", EXACT, "javascript:alert(1)", false),
        ("fragment", EXACT, "https://app.example/linked?#x", false),
        ("space before", EXACT, " https://app.example/linked", false),
        ("line end", EXACT, "https://app.example/linked?a\r\nb", false),
        ("not ascii", EXACT, "https://app.example/linked?\u{e4}", false),
        ("empty", EXACT, "", false),
    ];

    #[test]
    fn a_member_is_sent_to_an_entry_or_below_it_and_nowhere_else() {
        let long = format!("{BELOW}{}", "a".repeat(2_000));
        let rows = ROWS.iter().copied();
        for (why, entry, url, accepted) in rows.chain([("too long", BELOW, &*long, false)]) {
            let entry: ReturnUrl = entry.parse().unwrap();
            assert_eq!(entry.accepts(url), accepted, "{why}: {url}");
        }
    }

    #[test]
    fn the_result_is_one_more_argument() {
        assert_eq!(
            with_result("https://a/", "connected"),
            "https://a/?linkgate_result=connected"
        );
        assert_eq!(
            with_result("https://a/?b=c", "x"),
            "https://a/?b=c&linkgate_result=x"
        );
        assert_eq!(host("https://app.example:8443/a"), "app.example");
    }
}
