//! Path and query for LinkedIn: the caller's bytes, with one argument cut out.
//!
//! Rest.li keys hold percent-escapes and raw parentheses side by side (linkedin.md §6.5): nothing is
//! decoded, encoded or tidied here.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{Uri, uri::PathAndQuery};
use memchr::memmem;

use super::super::failure::Failure;
use super::hosts::Hosts;

const ARGUMENT: &str = "oauth2_access_token=";
/// Built once: making a searcher costs more than a search with it.
static FIND_ARGUMENT: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(ARGUMENT));

/// Where the request goes, and the token argument that was cut out.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) path_and_query: PathAndQuery,
    pub(super) token_argument: Option<Bytes>,
}

impl Target {
    pub(super) fn of(uri: &Uri, hosts: &Hosts) -> Result<Self, Failure> {
        let whole = uri
            .path_and_query()
            .ok_or(Failure::Malformed("it has no path"))?;
        let text = whole.as_str();
        if !text.starts_with('/') {
            return Err(Failure::Malformed("its target is no path"));
        }
        // Not `all`: a look at every byte, whatever the others are, is made for many at once.
        let is_visible = |byte: u8| matches!(byte, 0x21..=0x7e);
        if !text
            .bytes()
            .fold(true, |so_far, byte| so_far & is_visible(byte))
        {
            return Err(Failure::Malformed(
                "its target has bytes that must be percent-encoded",
            ));
        }
        let stripped = hosts.strip_api(text);
        let rest = stripped.unwrap_or(text);
        let Some((before, token, after)) = find_argument(rest)? else {
            let path_and_query = match stripped {
                None => whole.clone(),
                Some(rest) => parse(rest.to_owned())?,
            };
            return Ok(Self {
                path_and_query,
                token_argument: None,
            });
        };
        let token_argument = Some(Bytes::copy_from_slice(token.as_bytes()));
        Ok(Self {
            path_and_query: parse(join(before, after))?,
            token_argument,
        })
    }
}

fn parse(text: String) -> Result<PathAndQuery, Failure> {
    let text = match text.as_bytes().first() {
        Some(b'/') => text,
        _ => format!("/{text}"),
    };
    PathAndQuery::try_from(text).map_err(|_| Failure::Malformed("its target is no path"))
}

/// What stands before the argument (with its `?` or `&`), its value, and what follows.
fn find_argument(text: &str) -> Result<Option<(&str, &str, &str)>, Failure> {
    // Most have nothing like it, which one search tells.
    if FIND_ARGUMENT.find(text.as_bytes()).is_none() {
        return Ok(None);
    }
    let Some(question) = text.find('?') else {
        return Ok(None);
    };
    let mut found = None;
    let mut start = question + 1;
    while start <= text.len() {
        let rest = text.get(start..).unwrap_or_default();
        let length = rest.find('&').unwrap_or(rest.len());
        let argument = rest.get(..length).unwrap_or_default();
        if let Some(value) = argument.strip_prefix(ARGUMENT) {
            if found.is_some() {
                return Err(Failure::MemberAmbiguous("two access tokens"));
            }
            let before = text.get(..start).unwrap_or_default();
            found = Some((before, value, rest.get(length..).unwrap_or_default()));
        }
        start += length + 1;
    }
    Ok(found)
}

/// Joins what stood around the argument, with one `&` (or the `?`) less.
fn join(before: &str, after: &str) -> String {
    match after.strip_prefix('&') {
        Some(rest) => format!("{before}{rest}"),
        None => before.trim_end_matches(['?', '&']).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<Target, Failure> {
        let api = "https://api.linkedin.com".parse().unwrap();
        let hosts = Hosts::new(&[], "127.0.0.1:8080".parse().unwrap(), &api);
        Target::of(&text.parse().unwrap(), &hosts)
    }

    #[test]
    fn path_and_query_stay_byte_for_byte() {
        for text in [
            "/rest/adAnalytics?q=analytics&accounts=List(urn%3Ali%3AsponsoredAccount%3A1)",
            "/v2/people/(id:abc)?projection=(id,first~name!,x*)",
            "/a//b/../c/%2e%2E/%2f?x=%0d%0a",
            "/v2/me?",
            "/x?fields=a,b$c;d|e{f}",
        ] {
            assert_eq!(target(text).unwrap().path_and_query.as_str(), text);
        }
    }

    #[test]
    fn the_token_argument_is_cut_out_with_one_ampersand() {
        for (text, expected) in [
            ("/v2/me?oauth2_access_token=K", "/v2/me"),
            ("/v2/me?oauth2_access_token=K&a=b", "/v2/me?a=b"),
            ("/v2/me?a=b&oauth2_access_token=K", "/v2/me?a=b"),
            ("/v2/me?a=b&oauth2_access_token=K&c=d", "/v2/me?a=b&c=d"),
            (
                "/https://api.linkedin.com/v2/me?oauth2_access_token=K",
                "/v2/me",
            ),
        ] {
            let target = target(text).unwrap();
            assert_eq!(target.path_and_query.as_str(), expected, "{text}");
            assert_eq!(target.token_argument.as_deref(), Some(&b"K"[..]), "{text}");
        }
    }

    #[test]
    fn targets_that_two_servers_could_read_differently_are_refused() {
        assert!(target("*").is_err());
        assert!(target("/v2/mé").is_err());
        assert!(target("/a?oauth2_access_token=1&oauth2_access_token=2").is_err());
    }
}
