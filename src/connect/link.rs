//! The link that opens the door: signed, it names member and application, and it ends.
//!
//! **Invariant:** it opens the door to LinkedIn's consent and nothing else: whoever has it sees who
//! asks for what, and no profile. Nothing in it can be changed without the key ring.

use std::{fmt, str::FromStr, time::Duration};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

use crate::{
    exchange::{Member, Name},
    keyring::{KeyRing, SIGNATURE_BYTES, random_bytes},
};

/// What links are signed for; the number changes with what they say.
const LABEL: &str = "connect link v1";
/// Two names of 64 characters, a number, an id and a signature are shorter.
const LONGEST_TOKEN: usize = 400;

/// Names a link, for those who wait for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LinkId([u8; 8]);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for LinkId {
    type Err = BadLink;

    fn from_str(text: &str) -> Result<Self, BadLink> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let id = bytes.and_then(|bytes| bytes.try_into().ok());
        id.map(Self).ok_or(BadLink::NotOurs)
    }
}

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Who may sign in by it.
    pub(super) member: Member,
    pub(super) id: LinkId,
    /// In Unix seconds.
    pub(super) ends_at: i64,
}

/// Why a link opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadLink {
    /// Changed, cut, or made with keys that are gone.
    NotOurs,
    /// Its time is over.
    Ended,
}

impl Link {
    /// A new one, with an id of its own.
    pub(super) fn new(member: &Member, now: i64, lasting: Duration) -> Self {
        let lasting = i64::try_from(lasting.as_secs()).unwrap_or(i64::MAX);
        Self {
            member: member.clone(),
            id: LinkId(random_bytes()),
            ends_at: now.saturating_add(lasting),
        }
    }

    /// The text that stands in its address: only characters that need no escaping.
    pub(super) fn signed(&self, ring: &KeyRing) -> String {
        let name = self.member.name.as_ref().map_or("", Name::as_str);
        let application = &self.member.application;
        // No name holds a colon.
        let said = format!("{}:{}:{application}:{name}", self.ends_at, self.id);
        let mut token = said.into_bytes();
        let signature = ring.sign(LABEL, &token);
        token.extend_from_slice(&signature);
        BASE64URL_NOPAD.encode(&token)
    }

    /// What [`Link::signed`] made, if its time is not over.
    pub(super) fn open(token: &str, ring: &KeyRing, now: i64) -> Result<Self, BadLink> {
        let link = Self::read(token, ring).ok_or(BadLink::NotOurs)?;
        match link.ends_at > now {
            true => Ok(link),
            false => Err(BadLink::Ended),
        }
    }

    /// The same, over or not: for a member who was sent to LinkedIn in time.
    pub(super) fn read(token: &str, ring: &KeyRing) -> Option<Self> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
        let (said, signature) = bytes.split_last_chunk::<SIGNATURE_BYTES>()?;
        if !ring.verify(LABEL, said, signature) {
            return None;
        }
        let mut parts = std::str::from_utf8(said).ok()?.split(':');
        let (ends_at, id) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let member = Member {
            application: parts.next()?.parse().ok()?,
            name: Some(parts.next()?.parse().ok()?),
        };
        Some(Self {
            member,
            id,
            ends_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Member {
        Member {
            application: "default".parse().unwrap(),
            name: Some("ada".parse().unwrap()),
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_link_says_what_it_said_when_it_was_made_and_ends() {
        let ring = KeyRing::random();
        let link = Link::new(&ada(), 1_000, HOUR);
        let token = link.signed(&ring);

        assert!(
            token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert_eq!(Link::open(&token, &ring, 1_000 + 3_599), Ok(link.clone()));
        assert_eq!(
            Link::open(&token, &ring, 1_000 + 3_600),
            Err(BadLink::Ended)
        );
        assert_eq!(Link::read(&token, &ring), Some(link.clone()));
        assert_eq!(link.id.to_string().parse(), Ok(link.id));
        assert_ne!(Link::new(&ada(), 1_000, HOUR).id, link.id);
    }

    #[test]
    fn whatever_was_changed_in_a_link_it_opens_nothing() {
        let ring = KeyRing::random();
        let link = Link::new(&ada(), 1_000, HOUR);
        let token = link.signed(&ring);
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).unwrap();

        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1;
            let bent = BASE64URL_NOPAD.encode(&bent);
            assert_eq!(
                Link::open(&bent, &ring, 1_000),
                Err(BadLink::NotOurs),
                "byte {at}"
            );
        }
        // Signed as another's, or for another purpose, with the very same words.
        let said = &bytes[..bytes.len() - SIGNATURE_BYTES];
        let elsewhere = [said, &ring.sign("connect form v1", said)].concat();
        let long = "A".repeat(100_000);
        for (why, token) in [
            ("another ring's", link.signed(&KeyRing::random())),
            ("another purpose", BASE64URL_NOPAD.encode(&elsewhere)),
            ("cut", token[..token.len() - 1].to_owned()),
            ("padded", format!("{token}=")),
            ("longer", format!("{token}AAAA")),
            ("empty", String::new()),
            (
                "only a signature",
                BASE64URL_NOPAD.encode(&ring.sign(LABEL, b"")),
            ),
            ("endless", long),
        ] {
            assert_eq!(
                Link::open(&token, &ring, 1_000),
                Err(BadLink::NotOurs),
                "{why}"
            );
        }
    }

    #[test]
    fn a_link_for_one_application_or_member_is_none_for_another() {
        let ring = KeyRing::random();
        let mut other = ada();
        other.application = "ads".parse().unwrap();

        let token = Link::new(&other, 0, HOUR).signed(&ring);

        assert_eq!(Link::open(&token, &ring, 0).unwrap().member, other);
        assert_ne!(token, Link::new(&ada(), 0, HOUR).signed(&ring));
    }
}
