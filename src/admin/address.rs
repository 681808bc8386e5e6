//! A member in a URL: `{application}/{name}`, `~` in the name's place for the application's own token.
//!
//! **Invariant:** every member has one address, and a browser leaves it as it is: a name of dots alone, which
//! would be taken for a step up, gets a `~` in front, a character that no name has.

use crate::exchange::{Member, Name};

/// The two segments of a member's address.
pub(super) fn of(member: &Member) -> String {
    let name = member.name.as_ref().map_or("~".to_owned(), segment);
    format!("{}/{name}", segment(&member.application))
}

/// The member of an address; none if it is none.
pub(super) fn member(application: &str, name: &str) -> Option<Member> {
    Some(Member {
        application: parse(application)?,
        name: match name {
            "~" => None,
            name => Some(parse(name)?),
        },
    })
}

/// The member of these names, as lists give them.
pub(super) fn named(application: &str, name: &str) -> Option<Member> {
    Some(Member {
        application: application.parse().ok()?,
        name: Some(name.parse().ok()?),
    })
}

/// The member of an address in one piece, as a cursor carries it.
pub(super) fn member_of(text: &str) -> Option<Member> {
    let (application, name) = text.split_once('/')?;
    member(application, name)
}

fn segment(name: &Name) -> String {
    match name.as_str() {
        "." | ".." => format!("~{name}"),
        name => name.to_owned(),
    }
}

fn parse(segment: &str) -> Option<Name> {
    match segment {
        "." | ".." => None,
        "~." | "~.." => segment.strip_prefix('~')?.parse().ok(),
        name => name.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_has_an_address_that_leads_back() {
        for (application, name, expected) in [
            ("default", Some("ada"), "default/ada"),
            ("default", None, "default/~"),
            ("default", Some("_"), "default/_"),
            ("default", Some(".."), "default/~.."),
            ("..", Some("a.b"), "~../a.b"),
            (".", None, "~./~"),
        ] {
            let one = Member {
                application: application.parse().unwrap(),
                name: name.map(|name| name.parse().unwrap()),
            };
            assert_eq!(of(&one), expected);
            assert_eq!(member_of(expected), Some(one));
        }
        for text in [
            "",
            "default",
            "default/",
            "/ada",
            "a b/c",
            "default/a/b",
            "default/~~",
            "default/~ada",
            "default/..",
        ] {
            assert_eq!(member_of(text), None, "{text:?}");
        }
    }
}
