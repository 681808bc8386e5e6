//! The header lists: what describes one hop only, what is ours, what never goes to LinkedIn.

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, Entry, HOST, TE, TRANSFER_ENCODING},
};

mod present;
mod spare;

pub(crate) use present::Present;
pub(crate) use spare::SpareMaps;

/// Names the exchange in every answer.
pub(crate) static LINKGATE_EXCHANGE: HeaderName = HeaderName::from_static("linkgate-exchange");
/// `unknown` on answers to writes whose fate is open.
pub(crate) static LINKGATE_OUTCOME: HeaderName = HeaderName::from_static("linkgate-outcome");
/// Names the member a call is for.
pub(crate) static LINKGATE_MEMBER: HeaderName = HeaderName::from_static("linkgate-member");
/// Names the application a call is for.
pub(crate) static LINKGATE_APPLICATION: HeaderName =
    HeaderName::from_static("linkgate-application");
/// Where the time went (Server Timing, W3C).
pub(crate) static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// Says that the answer is the gateway's own (RFC 9209).
pub(crate) static PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
/// Query tunnelling (linkedin.md §6.3).
pub(crate) static METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
/// The Rest.li method of a tunnelled or batch call.
pub(crate) static RESTLI_METHOD: HeaderName = HeaderName::from_static("x-restli-method");

/// Names that stand in nearly every call (linkedin.md §6).
static LINKEDIN_VERSION: HeaderName = HeaderName::from_static("linkedin-version");
static RESTLI_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("x-restli-protocol-version");

/// The same name, for another map: one that was read from the wire is allocated when it is copied (250
/// instructions), which those that LinkedIn's callers send need not be.
pub(crate) fn copied(name: &HeaderName) -> HeaderName {
    match name.as_str() {
        "linkedin-version" => LINKEDIN_VERSION.clone(),
        "x-restli-protocol-version" => RESTLI_PROTOCOL_VERSION.clone(),
        _ => name.clone(),
    }
}

/// What becomes of one of the caller's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Sent on unchanged.
    Kept,
    /// Not sent; recorded.
    Dropped,
    /// LinkedIn's own host stands here.
    Host,
    /// The member's token stands here.
    Token,
    /// The body's framing stands here.
    Framing,
}

/// Decides on one header; `connection` lists the names that `Connection` marks as one hop's.
pub(crate) fn fate(name: &HeaderName, connection: &HopNames<'_>) -> Fate {
    if name == HOST {
        Fate::Host
    } else if name == AUTHORIZATION {
        Fate::Token
    } else if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
        Fate::Framing
    } else if is_dropped(name.as_str()) || connection.names(name) {
        Fate::Dropped
    } else {
        Fate::Kept
    }
}

/// One hop's own headers, and those that speak of us rather than of the call (docs/contract.md: "Not sent
/// to LinkedIn").
fn is_dropped(name: &str) -> bool {
    match name {
        // RFC 9110 §7.6.1; `keep-alive` and `proxy-connection` are older than it.
        "connection"
        | "keep-alive"
        | "proxy-connection"
        | "te"
        | "trailer"
        | "upgrade"
        | "proxy-authorization"
        | "proxy-authenticate"
        | "http2-settings"
        | "expect"
        | "via"
        | "forwarded"
        | "x-real-ip"
        | "traceparent"
        | "tracestate"
        | "baggage" => true,
        _ => is_ours(name) || name.starts_with("x-forwarded-"),
    }
}

/// `Linkgate-*`, also in the spelling with `_` that some servers read as `-` (CVE-2025-64484).
fn is_ours(name: &str) -> bool {
    name.strip_prefix("linkgate")
        .is_some_and(|rest| rest.starts_with(['-', '_']))
}

/// The names listed in `Connection` headers.
#[derive(Debug)]
pub(crate) struct HopNames<'a>(Option<&'a HeaderMap>);

impl<'a> HopNames<'a> {
    /// Reads the `Connection` headers of `headers`, if there are any.
    pub(crate) fn of(headers: &'a HeaderMap, are_present: bool) -> Self {
        Self(are_present.then_some(headers))
    }

    /// Whether `Connection` names `name`. What we put in ourselves cannot be named away.
    pub(crate) fn names(&self, name: &HeaderName) -> bool {
        self.listed()
            .any(|listed| listed.eq_ignore_ascii_case(name.as_str()))
    }

    fn listed(&self) -> impl Iterator<Item = &'a str> {
        let values = self
            .0
            .into_iter()
            .flat_map(|headers| headers.get_all(CONNECTION));
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
    }
}

/// Takes one hop's headers out of LinkedIn's answer; the others keep their order, which
/// `HeaderMap::remove` would not. Keeps `Trailer` where the caller takes trailers.
///
/// A plain `Connection: keep-alive` stays where our own answer may say the same: in the middle of the
/// headers taking it out means building them anew, a tenth of all that an exchange costs.
///
/// `before` sees them whole, if any is taken out.
pub(crate) fn strip_hop(headers: &mut HeaderMap, ours: OurHop, before: impl FnOnce(&HeaderMap)) {
    let connection = single(headers, &CONNECTION);
    let is_plain = matches!(connection, Ok(Some(value)) if value.as_bytes().eq_ignore_ascii_case(b"keep-alive"));
    let names_others = !is_plain && connection != Ok(None);
    let listed: Vec<HeaderName> = HopNames::of(headers, names_others)
        .listed()
        .filter_map(|name| name.parse().ok())
        .collect();
    let stays = |name: &HeaderName| match name.as_str() {
        "content-length" => true,
        "transfer-encoding" => ours.knows_chunks,
        "trailer" => ours.takes_trailers,
        "connection" => is_plain && ours.keeps_alive,
        name if is_never_passed_on(name) => false,
        _ => !listed.contains(name),
    };
    let Some(first) = headers.keys().position(|name| !stays(name)) else {
        return;
    };
    before(headers);
    // LinkedIn ends with `Connection` (linkedin.md §5.1): what stands last leaves no gap to close.
    if first + 1 == headers.keys().len()
        && let Some(last) = headers.keys().nth(first).cloned()
    {
        headers.remove(last);
        return;
    }
    let all = std::mem::take(headers);
    headers.reserve(all.len());
    let mut all = all.into_iter().peekable();
    // A name is given with its first value alone; it is moved, as a copy of one would be allocated.
    while let Some((Some(name), value)) = all.next() {
        let mut more = std::iter::from_fn(|| all.next_if(|(name, _)| name.is_none()));
        if !stays(&name) {
            more.by_ref().for_each(drop);
        } else if let Entry::Vacant(place) = headers.entry(name) {
            let mut place = place.insert_entry(value);
            more.for_each(|(_, value)| place.append(value));
        }
    }
}

/// The caller's connection, as far as its answer's headers speak of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OurHop {
    /// The caller said that it takes trailers.
    pub(crate) takes_trailers: bool,
    /// It stays open, and the caller's HTTP knows that as `keep-alive`.
    pub(crate) keeps_alive: bool,
    /// Its HTTP knows `Transfer-Encoding`; HTTP/2 does not (RFC 9113 §8.2.2).
    pub(crate) knows_chunks: bool,
}

impl OurHop {
    /// The connection on which a request of this version and these headers came.
    pub(crate) fn of(version: Version, headers: &HeaderMap, present: Present) -> Self {
        Self {
            takes_trailers: present.te && takes_trailers(headers),
            keeps_alive: version == Version::HTTP_11
                && !HopNames::of(headers, present.connection)
                    .listed()
                    .any(|option| option.eq_ignore_ascii_case("close")),
            knows_chunks: version != Version::HTTP_2,
        }
    }
}

/// One hop's own headers in answers, and those that only we may set.
fn is_never_passed_on(name: &str) -> bool {
    matches!(
        name,
        "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "te"
            | "upgrade"
            | "linkgate-exchange"
            | "linkgate-outcome"
    )
}

/// Whether the caller said that it takes trailers (`TE: trailers`, RFC 9110 §10.1.4).
fn takes_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value
                .split(',')
                .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
        })
}

/// The one value of a header; an error if there are two that differ.
pub(crate) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Differ> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.any(|other| Some(other) != first) {
        Err(Differ)
    } else {
        Ok(first)
    }
}

/// A header stands there twice with different values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Differ;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_name_is_the_same() {
        for name in ["linkedin-version", "x-restli-protocol-version", "host", "x"] {
            let name: HeaderName = name.parse().unwrap();
            assert_eq!(copied(&name), name);
        }
    }

    #[test]
    fn each_header_meets_its_fate() {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("close, X-Hop"));
        let connection = HopNames::of(&headers, true);
        for (why, name, expected) in [
            ("LinkedIn's host replaces ours", "host", Fate::Host),
            ("the token replaces the key", "authorization", Fate::Token),
            ("framing is ours to set", "content-length", Fate::Framing),
            ("framing is ours to set", "transfer-encoding", Fate::Framing),
            ("RFC 9110 §7.6.1", "connection", Fate::Dropped),
            ("named by Connection", "x-hop", Fate::Dropped),
            ("h2c", "http2-settings", Fate::Dropped),
            ("ours", "linkgate-member", Fate::Dropped),
            ("ours, with underscores", "linkgate_member", Fate::Dropped),
            ("proxy trail", "x-forwarded-for", Fate::Dropped),
            ("trace", "traceparent", Fate::Dropped),
            ("answered by us", "expect", Fate::Dropped),
            ("learning partners need it", "referer", Fate::Kept),
            ("cookies pass", "cookie", Fate::Kept),
            ("versioning", "linkedin-version", Fate::Kept),
            ("the caller's own id", "x-request-id", Fate::Kept),
        ] {
            assert_eq!(
                fate(&name.parse().unwrap(), &connection),
                expected,
                "{name}: {why}"
            );
        }
    }

    const CLOSES: OurHop = OurHop {
        takes_trailers: false,
        keeps_alive: false,
        knows_chunks: true,
    };
    const STAYS: OurHop = OurHop {
        keeps_alive: true,
        ..CLOSES
    };

    fn left(headers: &[(&'static str, &'static str)], ours: OurHop) -> Vec<String> {
        let pair = |(name, value): &(&'static str, &'static str)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        let mut map = HeaderMap::new();
        headers.iter().map(pair).for_each(|(name, value)| {
            map.append(name, value);
        });
        strip_hop(&mut map, ours, |_| {});
        map.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn an_answer_loses_its_hop_headers_and_no_other() {
        let headers = [
            ("connection", "keep-alive, x-hop"),
            ("keep-alive", "timeout=5"),
            ("x-hop", "1"),
            ("x-li-uuid", "AAY="),
            ("set-cookie", "a=1"),
            ("content-length", "3"),
        ];

        for ours in [STAYS, CLOSES] {
            assert_eq!(
                left(&headers, ours),
                ["x-li-uuid", "set-cookie", "content-length"]
            );
        }
    }

    #[test]
    fn an_answer_for_http2_loses_its_coding_too() {
        let headers = [("a", "1"), ("transfer-encoding", "chunked"), ("b", "2")];
        let http2 = OurHop {
            knows_chunks: false,
            ..CLOSES
        };

        assert_eq!(left(&headers, http2), ["a", "b"]);
        assert_eq!(left(&headers, CLOSES), ["a", "transfer-encoding", "b"]);
    }

    #[test]
    fn a_plain_keep_alive_stays_where_it_is_true_of_our_connection_too() {
        let headers = [("server", "x"), ("connection", "Keep-Alive"), ("date", "x")];

        assert_eq!(left(&headers, STAYS), ["server", "connection", "date"]);
        assert_eq!(left(&headers, CLOSES), ["server", "date"]);
        for other in ["close", "keep-alive, close", "x-hop", ""] {
            let headers = [("server", "x"), ("connection", other), ("date", "x")];
            assert_eq!(left(&headers, STAYS), ["server", "date"], "{other}");
        }
    }
}
