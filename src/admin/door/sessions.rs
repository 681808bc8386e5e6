//! Who is signed in: sessions of browsers, each begun with an operator's token.
//!
//! **Invariant:** a session's id (256 random bits) is kept as a hash only; the map never holds more than
//! [`MOST`] sessions, nor one token more than [`MOST_OF_ONE`].

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use data_encoding::BASE64URL_NOPAD;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{keyring::random_bytes, secret::Secret};

/// Sessions in all; beyond, the one that was idle for longest ends.
const MOST: usize = 1024;
/// Sessions begun with one token, so that one operator cannot end the others' sessions.
const MOST_OF_ONE: usize = 16;
/// What the form token of a session is derived for.
const FORM_LABEL: &[u8] = b"linkgate form token v1\0";

/// Names a session without being its id.
pub(super) type Digest = [u8; 32];

struct Session {
    /// Id of the operator's token.
    token: Arc<str>,
    begun: Instant,
    used: Instant,
}

/// All sessions.
pub(super) struct Sessions {
    idle: Duration,
    life: Duration,
    all: HashMap<Digest, Session>,
}

impl Sessions {
    /// None yet; each will end after `idle` without a request, and after `life` in any case.
    pub(super) fn new(idle: Duration, life: Duration) -> Self {
        let all = HashMap::new();
        Self { idle, life, all }
    }

    /// Begins a session for an operator's token; returns its id, which stands nowhere else.
    pub(super) fn begin(&mut self, token: &Arc<str>, now: Instant) -> Secret<String> {
        let (idle, life) = (self.idle, self.life);
        self.all.retain(|_, one| one.is_alive(idle, life, now));
        let of_token = |one: &Session| one.token == *token;
        if self.all.values().filter(|one| of_token(one)).count() >= MOST_OF_ONE {
            self.end_idlest(of_token);
        }
        if self.all.len() >= MOST {
            self.end_idlest(|_| true);
        }
        let random = Zeroizing::new(random_bytes::<32>());
        let id = Secret::new(BASE64URL_NOPAD.encode(&*random));
        let session = Session {
            token: Arc::clone(token),
            begun: now,
            used: now,
        };
        self.all.insert(sha256(&[id.expose().as_bytes()]), session);
        id
    }

    fn end_idlest(&mut self, among: impl Fn(&Session) -> bool) {
        let candidates = self.all.iter().filter(|(_, one)| among(one));
        let idlest = candidates.min_by_key(|(_, one)| one.used);
        if let Some(digest) = idlest.map(|(digest, _)| *digest) {
            self.all.remove(&digest);
        }
    }

    /// The id of the token that this session was begun with, while it lasts; counts as its use.
    pub(super) fn find(&mut self, id: &str, now: Instant) -> Option<Arc<str>> {
        let token = self.look_up(id, now)?;
        if let Some(session) = self.all.get_mut(&digest_of(id)) {
            session.used = now;
        }
        Some(token)
    }

    /// The same where nobody is at the browser: no use of it.
    pub(super) fn look_up(&mut self, id: &str, now: Instant) -> Option<Arc<str>> {
        let digest = digest_of(id);
        let session = self.all.get(&digest)?;
        if !session.is_alive(self.idle, self.life, now) {
            self.all.remove(&digest);
            return None;
        }
        Some(Arc::clone(&session.token))
    }

    /// Whether a session is not over; no use of it.
    pub(super) fn lasts(&self, session: &Digest, now: Instant) -> bool {
        let found = self.all.get(session);
        found.is_some_and(|one| one.is_alive(self.idle, self.life, now))
    }

    /// Ends a session.
    pub(super) fn end(&mut self, id: &str) {
        self.all.remove(&digest_of(id));
    }
}

impl Session {
    fn is_alive(&self, idle: Duration, life: Duration, now: Instant) -> bool {
        now.duration_since(self.used) < idle && now.duration_since(self.begun) < life
    }
}

/// What the forms of this session's pages carry. Derived, so that nothing more is kept; the id cannot be
/// had from it.
pub(super) fn form_token(id: &str) -> String {
    BASE64URL_NOPAD.encode(&sha256(&[FORM_LABEL, id.as_bytes()]))
}

/// By what a session is kept.
pub(super) fn digest_of(id: &str) -> Digest {
    sha256(&[id.as_bytes()])
}

fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let digest = context.finish();
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);
    const LIFE: Duration = Duration::from_secs(100);

    fn token(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn a_session_ends_when_idle_and_at_the_end_of_its_life() {
        let mut sessions = Sessions::new(IDLE, LIFE);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let id = sessions.begin(&token("a"), start);
        let id = id.expose();
        for (seconds, alive, why) in [
            (29, true, "used in time"),
            (58, true, "idle time begins anew"),
            (87, true, "again"),
            (100, false, "but its life is over"),
            (101, false, "for ever"),
        ] {
            assert_eq!(sessions.find(id, at(seconds)).is_some(), alive, "{why}");
        }
        let watching = sessions.begin(&token("a"), at(150));
        for (seconds, alive) in [(170, true), (179, true), (180, false)] {
            let found = sessions.look_up(watching.expose(), at(seconds));
            assert_eq!(found.is_some(), alive, "no use of it, {seconds}");
        }
        let idle = sessions.begin(&token("a"), at(200));
        assert_eq!(sessions.find(idle.expose(), at(230)), None);
        assert_eq!(sessions.all.len(), 0);
    }

    #[test]
    fn an_id_is_known_while_its_session_lasts_and_kept_nowhere() {
        let mut sessions = Sessions::new(IDLE, LIFE);
        let now = Instant::now();
        let (first, second) = (
            sessions.begin(&token("a"), now),
            sessions.begin(&token("b"), now),
        );
        assert_ne!(first.expose(), second.expose());
        assert_eq!(first.expose().len(), 43, "256 bits");
        assert_eq!(sessions.find("unknown", now), None);
        assert_ne!(form_token(first.expose()), form_token(second.expose()));
        assert_ne!(form_token(first.expose()), *first.expose());

        sessions.end(first.expose());

        assert_eq!(sessions.find(first.expose(), now), None);
        assert_eq!(sessions.find(second.expose(), now), Some(token("b")));
        let kept: Vec<&Digest> = sessions.all.keys().collect();
        assert!(
            kept.iter()
                .all(|kept| BASE64URL_NOPAD.encode(*kept) != *second.expose())
        );
    }

    #[test]
    fn however_many_begin_the_map_is_bounded_and_no_token_crowds_out_another() {
        let mut sessions = Sessions::new(IDLE, LIFE);
        let now = Instant::now();
        let first = sessions.begin(&token("first"), now);

        for _ in 0..10_000 {
            sessions.begin(&token("greedy"), now);
        }
        assert_eq!(sessions.all.len(), MOST_OF_ONE + 1);
        assert!(sessions.find(first.expose(), now).is_some());

        for n in 0..3_000 {
            sessions.begin(&token(&n.to_string()), now);
        }
        assert_eq!(sessions.all.len(), MOST);
    }
}
