//! `state`: what a member takes to LinkedIn and brings back.
//!
//! **Invariant:** sealed, so that nobody reads or makes one; good once, for ten minutes, and only
//! beside the cookie of the browser it was made for. It is sealed with a key of this process: one that
//! a restart overtook is unknown afterwards, so that none is ever taken twice.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::link::{Link, LinkId};
use crate::keyring::{DataKey, KeyRing, random_bytes};

/// LinkedIn's pages take a minute or two; a password may have to be looked for.
const LASTING_SECS: i64 = 600;
/// What it is sealed for.
const PLACE: &str = "connect state v1";
/// States that are kept as spent; each was made for a form that was sent.
const KEPT: usize = 65_536;
/// Of these, by one link, so that whoever has it fills nobody else's place: a member tries a few times.
const KEPT_OF_A_LINK: usize = 16;
/// Longest text that is looked at; with a long return URL a state has about 3,000 characters.
const LONGEST: usize = 8_192;

/// What a state says.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct State {
    id: [u8; 16],
    ends_at: i64,
    /// The browser it was made for: `Browser::to_text`.
    pub(super) browser: String,
    /// The link the member came by, signed.
    pub(super) link: String,
    /// Where the member goes in the end; checked already.
    pub(super) return_to: Option<String>,
    /// PKCE verifier, where the application has it.
    pub(super) verifier: Option<String>,
}

/// Why a state is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// Its ten minutes are over.
    Ended,
    /// It was taken before.
    Spent,
    /// Too many others were taken in the last minutes, by this link or by all.
    Full,
}

/// Makes states and takes each once.
pub(super) struct States {
    key: DataKey,
    spent: Mutex<Spent>,
    kept: usize,
}

/// The ids of states that were taken, with the time at which each would have ended. None is forgotten
/// before that time, whoever else needs room: it could be taken again.
#[derive(Default)]
struct Spent {
    by_link: HashMap<LinkId, Vec<([u8; 16], i64)>>,
    /// Of all links.
    count: usize,
}

impl Spent {
    fn of(&self, link: LinkId) -> &[([u8; 16], i64)] {
        self.by_link.get(&link).map_or(&[], Vec::as_slice)
    }

    fn forget_ended(&mut self, now: i64) {
        self.by_link.retain(|_, states| {
            states.retain(|(_, ends_at)| *ends_at > now);
            !states.is_empty()
        });
        self.count = self.by_link.values().map(Vec::len).sum();
    }

    fn forget_ended_of(&mut self, link: LinkId, now: i64) {
        if let Some(states) = self.by_link.get_mut(&link) {
            let before = states.len();
            states.retain(|(_, ends_at)| *ends_at > now);
            self.count -= before - states.len();
        }
    }

    fn keep(&mut self, link: LinkId, state: &State) {
        let states = self.by_link.entry(link).or_default();
        states.push((state.id, state.ends_at));
        self.count += 1;
    }
}

impl States {
    pub(super) fn new(ring: &KeyRing) -> Self {
        Self::keeping(ring, KEPT)
    }

    fn keeping(ring: &KeyRing, kept: usize) -> Self {
        Self {
            key: ring.new_data_key(),
            spent: Mutex::default(),
            kept,
        }
    }

    /// A state for one trip to LinkedIn, beginning now.
    pub(super) fn make(
        &self,
        now: i64,
        browser: String,
        link: String,
        return_to: Option<String>,
        verifier: Option<String>,
    ) -> String {
        let state = State {
            id: random_bytes(),
            ends_at: now.saturating_add(LASTING_SECS),
            browser,
            link,
            return_to,
            verifier,
        };
        // Nothing in it can fail to be written.
        let plain = Zeroizing::new(serde_json::to_vec(&state).unwrap_or_default());
        BASE64URL_NOPAD.encode(&self.key.seal(&plain, PLACE))
    }

    /// What [`States::make`] made; it is not spent by being read.
    pub(super) fn read(&self, text: &str) -> Option<State> {
        if text.len() > LONGEST {
            return None;
        }
        let sealed = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let plain = Zeroizing::new(self.key.open(&sealed, PLACE).ok()?);
        serde_json::from_slice(&plain).ok()
    }

    /// Takes it: the first time only. `link` is the one that it names.
    pub(super) fn take(&self, state: &State, link: LinkId, now: i64) -> Result<(), NotTaken> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.of(link).iter().any(|(id, _)| *id == state.id) {
            return Err(NotTaken::Spent);
        }
        if state.ends_at <= now {
            return Err(NotTaken::Ended);
        }
        spent.forget_ended_of(link, now);
        if spent.of(link).len() >= KEPT_OF_A_LINK {
            return Err(NotTaken::Full);
        }
        if spent.count >= self.kept {
            spent.forget_ended(now);
        }
        if spent.count >= self.kept {
            return Err(NotTaken::Full);
        }
        spent.keep(link, state);
        Ok(())
    }
}

impl State {
    /// The link the member came by; one that ended in the meantime counts all the same.
    pub(super) fn link(&self, ring: &KeyRing) -> Option<Link> {
        Link::read(&self.link, ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(n: u8) -> LinkId {
        format!("{n:016x}").parse().unwrap()
    }

    fn made(states: &States, now: i64) -> State {
        let text = states.make(now, "browser".into(), "link".into(), None, None);
        states.read(&text).unwrap()
    }

    #[test]
    fn a_state_comes_back_as_it_was_made_and_is_taken_once() {
        let states = States::new(&KeyRing::random());
        let (url, verifier) = (Some("https://app/".to_owned()), Some("v".to_owned()));
        let text = states.make(0, "b".into(), "l".into(), url.clone(), verifier.clone());

        let state = states.read(&text).unwrap();

        assert_eq!((&*state.browser, &*state.link), ("b", "l"));
        assert_eq!((&state.return_to, &state.verifier), (&url, &verifier));
        assert_eq!(states.take(&state, link(1), 599), Ok(()));
        assert_eq!(states.take(&state, link(1), 599), Err(NotTaken::Spent));
        assert_eq!(
            states.take(&states.read(&text).unwrap(), link(1), 0),
            Err(NotTaken::Spent)
        );
    }

    #[test]
    fn a_state_ends_after_ten_minutes() {
        let states = States::new(&KeyRing::random());

        assert_eq!(
            states.take(&made(&states, 0), link(1), 600),
            Err(NotTaken::Ended)
        );
    }

    #[test]
    fn a_state_shows_nothing_and_bears_no_change() {
        let ring = KeyRing::random();
        let states = States::new(&ring);
        let text = states.make(
            0,
            "browser".into(),
            "link".into(),
            None,
            Some("verifier".into()),
        );
        let sealed = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();

        for needle in [&b"browser"[..], b"link", b"verifier"] {
            assert!(memchr::memmem::find(&sealed, needle).is_none());
        }
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(
                states.read(&BASE64URL_NOPAD.encode(&bent)).is_none(),
                "byte {at}"
            );
        }
        assert!(States::new(&ring).read(&text).is_none(), "another process");
        for text in ["", "A", "state", &"A".repeat(100_000)] {
            assert!(states.read(text).is_none());
        }
    }

    #[test]
    fn what_was_spent_is_kept_within_bounds_and_never_forgotten_too_soon() {
        let states = States::keeping(&KeyRing::random(), 2);
        let take = |state: &State, by: u8, now| states.take(state, link(by), now);
        let (first, second) = (made(&states, 0), made(&states, 100));
        take(&first, 1, 100).unwrap();
        take(&second, 2, 100).unwrap();

        assert_eq!(take(&made(&states, 100), 3, 100), Err(NotTaken::Full));
        assert_eq!(
            take(&made(&states, 600), 3, 600),
            Ok(()),
            "the first is over"
        );
        assert_eq!(take(&second, 2, 600), Err(NotTaken::Spent));
    }

    #[test]
    fn one_link_spends_its_own_room_and_no_others() {
        let states = States::new(&KeyRing::random());
        let take = |by: u8, now| states.take(&made(&states, now), link(by), now);
        let first = made(&states, 0);
        states.take(&first, link(1), 0).unwrap();
        for _ in 1..KEPT_OF_A_LINK {
            assert_eq!(take(1, 0), Ok(()));
        }

        assert_eq!(take(1, 0), Err(NotTaken::Full));
        assert_eq!(take(2, 0), Ok(()), "another link");
        assert_eq!(states.take(&first, link(1), 0), Err(NotTaken::Spent));
        assert_eq!(take(1, 600), Ok(()), "those before are over");
        assert_eq!(states.spent.lock().unwrap().count, 2);
    }
}
