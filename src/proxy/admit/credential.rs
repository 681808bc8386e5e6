//! What the caller presents: the key where a LinkedIn client puts its token, and the member's name.

use http::{HeaderMap, header::AUTHORIZATION};
use memchr::memchr;

use crate::{
    callers::{Covers, Key},
    exchange::{Member, Name},
};

use super::super::{
    failure::Failure,
    headers::{LINKGATE_APPLICATION, LINKGATE_MEMBER, Present, single},
};
use super::target::Target;

/// What was presented, not yet believed.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// `lgk_…` without its `~NAME`.
    pub(super) key: &'a [u8],
    name: Option<Name>,
    application: Option<Name>,
    /// `~/APPLICATION`: the application's own token.
    wants_own_token: bool,
    default_application: &'a Name,
}

/// Reads key and member from the request.
pub(super) fn read<'a>(
    headers: &'a HeaderMap,
    present: Present,
    target: &'a Target,
    default_application: &'a Name,
) -> Result<Asked<'a>, Failure> {
    let presented = presented(headers, target)?;
    let (key, suffix) = match memchr(b'~', presented) {
        Some(at) => presented.split_at(at),
        None => (presented, &b""[..]),
    };
    let named = Named::in_suffix(suffix)?;
    let name = header_name(headers, &LINKGATE_MEMBER)?;
    let application = match present.linkgate_application {
        true => header_name(headers, &LINKGATE_APPLICATION)?,
        false => None,
    };
    let wants_own_token = named.wants_own_token;
    if wants_own_token && name.is_some() {
        return Err(Failure::MemberAmbiguous(
            "a member and the application's own token",
        ));
    }
    Ok(Asked {
        key,
        name: same(named.name, name)?,
        application: same(named.application, application)?,
        wants_own_token,
        default_application,
    })
}

/// The text after `Bearer`, or the query argument's value; never both (docs/contract.md §4).
fn presented<'a>(headers: &'a HeaderMap, target: &'a Target) -> Result<&'a [u8], Failure> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let header = values.next();
    if values.next().is_some() {
        return Err(Failure::Malformed("it has more than one Authorization"));
    }
    match (header, &target.token_argument) {
        (Some(_), Some(_)) => Err(Failure::Malformed(
            "it has both Authorization and oauth2_access_token",
        )),
        (Some(value), None) => bearer(value.as_bytes()).ok_or(Failure::CallerUnknown),
        (None, Some(argument)) => Ok(argument),
        (None, None) => Err(Failure::CallerUnknown),
    }
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && rest.starts_with(b" ") && !token.is_empty())
        .then_some(token)
}

#[derive(Debug, Default)]
struct Named {
    name: Option<Name>,
    application: Option<Name>,
    wants_own_token: bool,
}

impl Named {
    /// Reads `~NAME`, `~NAME/APPLICATION` or `~/APPLICATION`.
    fn in_suffix(suffix: &[u8]) -> Result<Self, Failure> {
        let Some(text) = suffix.strip_prefix(b"~") else {
            return Ok(Self::default());
        };
        let malformed = Failure::Malformed("the text after ~ is no member's name");
        let text = std::str::from_utf8(text).map_err(|_| malformed.clone())?;
        let (name, application) = match text.split_once('/') {
            Some((name, application)) => (name, Some(application)),
            None => (text, None),
        };
        let parse = |text: &str| text.parse().map_err(|_| malformed.clone());
        Ok(Self {
            name: if name.is_empty() && application.is_some() {
                None
            } else {
                Some(parse(name)?)
            },
            wants_own_token: name.is_empty(),
            application: application.map(parse).transpose()?,
        })
    }
}

fn header_name(headers: &HeaderMap, header: &http::HeaderName) -> Result<Option<Name>, Failure> {
    let value = single(headers, header).map_err(|_| Failure::MemberAmbiguous("two members"))?;
    let Some(value) = value else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim);
    let name = text.and_then(|text| text.parse().ok());
    name.map(Some).ok_or(Failure::Malformed(
        "a Linkgate-Member or -Application header is no name",
    ))
}

fn same(one: Option<Name>, other: Option<Name>) -> Result<Option<Name>, Failure> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(Failure::MemberAmbiguous(
            "two different members or applications",
        )),
        (one, other) => Ok(one.or(other)),
    }
}

impl Asked<'_> {
    /// The member that is meant, given the key's own.
    pub(super) fn member(self, key: &Key) -> Result<Member, Failure> {
        let default = || self.default_application.clone();
        if self.wants_own_token {
            let application = self.application.clone().unwrap_or_else(default);
            return Ok(Member {
                application,
                name: None,
            });
        }
        let own = match &key.covers {
            Covers::Members(members) => members.as_slice(),
            Covers::AnyMember => &[],
        };
        match self.name {
            None => only_one(own, self.application.as_ref()),
            Some(name) => {
                let application = self.application.clone().unwrap_or_else(|| {
                    // A key made for this member under one application means that one.
                    let mut fitting = own
                        .iter()
                        .filter(|member| member.name.as_ref() == Some(&name));
                    match (fitting.next(), fitting.next()) {
                        (Some(member), None) => member.application.clone(),
                        _ => default(),
                    }
                });
                Ok(Member {
                    application,
                    name: Some(name),
                })
            }
        }
    }
}

fn only_one(own: &[Member], application: Option<&Name>) -> Result<Member, Failure> {
    let mut fitting = own
        .iter()
        .filter(|member| application.is_none_or(|a| *a == member.application));
    match (fitting.next(), fitting.next()) {
        (Some(member), None) => Ok(member.clone()),
        _ => Err(Failure::MemberNotNamed),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn named(suffix: &str) -> Result<(Option<String>, Option<String>, bool), Failure> {
        let named = Named::in_suffix(suffix.as_bytes())?;
        let text = |name: Option<Name>| name.map(|name| name.to_string());
        Ok((
            text(named.name),
            text(named.application),
            named.wants_own_token,
        ))
    }

    #[test]
    fn the_suffix_names_member_and_application() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(named(""), Ok((None, None, false)));
        assert_eq!(named("~ada"), Ok((some("ada"), None, false)));
        assert_eq!(named("~ada/ads"), Ok((some("ada"), some("ads"), false)));
        assert_eq!(named("~/ads"), Ok((None, some("ads"), true)));
        for bad in ["~", "~a b", "~ada/", "~/", "~ada/x/y", "~a%20"] {
            assert!(named(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case_and_nothing_else() {
        for (value, expected) in [
            ("Bearer lgk_a", Some(&b"lgk_a"[..])),
            ("bearer lgk_a", Some(b"lgk_a")),
            ("BEARER  lgk_a ", Some(b"lgk_a")),
            ("Basic lgk_a", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearerlgk_a", None),
        ] {
            let value = HeaderValue::from_static(value);
            assert_eq!(bearer(value.as_bytes()), expected, "{value:?}");
        }
    }
}
