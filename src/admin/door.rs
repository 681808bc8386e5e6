//! THE OPERATORS' DOOR: who asks, whether they may, and whether it was they who asked.
//!
//! A visitor shows a session's cookie (a person at a browser) or an operator's token as bearer (a program).
//! Everything behind the door passes [`guard`], in this order: who is it · did their own page send it
//! (changes of a session only) · may their role do it.
//!
//! **Invariant:** no handler behind the door runs without a [`Visitor`]; no change runs for a role that
//! may not make it, nor for a request that another site's page could have made; nothing here writes a
//! token or a session's id anywhere.
//! **Neighbours:** `operators` knows the tokens, [`sessions`] who is signed in, [`throttle`] who guesses.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, Method, header::AUTHORIZATION};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Settings;
use crate::{
    incident::page::shown,
    operators::{Operator, Operators, UnknownToken},
    secret::Secret,
    web::Peer,
};

mod cookie;
mod form;
mod origin;
mod refusal;
mod sessions;
mod stay;
mod throttle;

pub(super) use form::{FIELD as FORM_FIELD, Form};
pub(super) use refusal::Refusal;
pub(super) use stay::Stay;

use cookie::Cookie;
use origin::Origins;
use sessions::Sessions;
use throttle::Throttle;

/// The way out.
pub(super) const SIGN_OUT: &str = "/sign-out";
/// Where support decides about signatures of incidents.
pub(super) const MARK: &str = "/signatures/mark";
/// The paths that every role may post to behind the door.
const EVERYBODYS: [&str; 2] = [SIGN_OUT, MARK];
/// Where rows come from by themselves: browsers ask again and again, whether anybody looks or not.
pub(super) const TAIL: &str = "/incidents/tail";

/// The door. Cheap to clone.
#[derive(Clone)]
pub(super) struct Door(Arc<Inner>);

struct Inner {
    operators: Operators,
    sessions: Mutex<Sessions>,
    throttle: Mutex<Throttle>,
    cookie: Cookie,
    origins: Origins,
}

/// Who came through the door; stands in the request's extensions.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// Whose token it is.
    pub(super) operator: Arc<Operator>,
    /// What the forms of a session's pages carry; none for a program.
    pub(super) form_token: Option<Arc<str>>,
    /// For answers that go on.
    pub(super) stay: Stay,
}

impl Visitor {
    /// Notes in the operations log what they looked at or did, on one line whatever they wrote.
    pub(super) fn did(&self, action: &str, about: impl std::fmt::Display) {
        let about = shown(&about.to_string());
        let Operator { name, role, id, .. } = &*self.operator;
        info!(operator = %name, role = role.as_str(), token = %id, action, %about, "at the operators' door");
    }
}

impl Door {
    pub(super) fn new(settings: &Settings, operators: Operators) -> Self {
        Self(Arc::new(Inner {
            operators,
            sessions: Mutex::new(Sessions::new(settings.session_idle, settings.session_life)),
            throttle: Mutex::new(Throttle::new(Instant::now())),
            cookie: Cookie::new(settings.public_url.as_ref()),
            origins: Origins::new(settings.public_url.as_ref()),
        }))
    }

    /// Checks a token from `peer`. A right one passes whatever came from there before: behind a proxy all
    /// visitors share one address, and 256 random bits need no throttle to be beyond guessing.
    ///
    /// # Errors
    /// [`Refusal::WrongToken`], or [`Refusal::Throttled`] in its place where too many came before.
    fn check(&self, peer: IpAddr, token: &[u8]) -> Result<Arc<Operator>, Refusal> {
        let checked = self.0.operators.check(token);
        let now = Instant::now();
        let mut throttle = lock(&self.0.throttle);
        match checked {
            Ok(operator) => {
                throttle.succeeded(peer);
                Ok(operator)
            }
            Err(UnknownToken) => {
                throttle.may_fail(peer, now).map_err(Refusal::Throttled)?;
                if let Some(failures) = throttle.failed(peer, now) {
                    warn!(%peer, failures, "a wrong operator token was presented");
                }
                Err(Refusal::WrongToken)
            }
        }
    }

    /// Signs in with an operator's token; returns the cookie to set. The session that the browser had
    /// before ends, so that an id which someone else planted or saw is worth nothing.
    ///
    /// # Errors
    /// [`Refusal::CrossSite`], [`Refusal::WrongToken`], [`Refusal::Throttled`].
    pub(super) fn sign_in(
        &self,
        headers: &HeaderMap,
        peer: Option<Peer>,
        token: &Secret<String>,
    ) -> Result<http::HeaderValue, Refusal> {
        if !self.0.origins.is_own(headers) {
            return Err(Refusal::CrossSite);
        }
        let peer = address(peer);
        let operator = self.check(peer, token.expose().as_bytes())?;
        let mut sessions = lock(&self.0.sessions);
        if let Some(before) = self.0.cookie.read(headers) {
            sessions.end(before);
        }
        let id = sessions.begin(&operator.id, Instant::now());
        drop(sessions);
        let Operator {
            name,
            role,
            id: token,
            ..
        } = &*operator;
        info!(operator = %name, role = role.as_str(), %token, %peer, action = "sign in", "at the operators' door");
        Ok(self.0.cookie.set(&id))
    }

    /// Ends the session; returns the cookie that clears the browser's.
    pub(super) fn sign_out(&self, headers: &HeaderMap) -> http::HeaderValue {
        if let Some(id) = self.0.cookie.read(headers) {
            lock(&self.0.sessions).end(id);
        }
        self.0.cookie.clear()
    }

    /// Who sends a request with these headers; a session counts as used unless the request `is_tail`.
    ///
    /// # Errors
    /// [`Refusal::NotSignedIn`], [`Refusal::WrongToken`], [`Refusal::Throttled`].
    pub(super) fn visitor(
        &self,
        headers: &HeaderMap,
        peer: Option<Peer>,
        is_tail: bool,
    ) -> Result<Visitor, Refusal> {
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        match (shown.next(), shown.next()) {
            (None, _) => self
                .of_session(headers, is_tail)
                .ok_or(Refusal::NotSignedIn),
            (Some(value), None) => {
                let token = bearer(value.as_bytes()).ok_or(Refusal::WrongToken)?;
                let operator = self.check(address(peer), token)?;
                Ok(Visitor {
                    stay: self.stay(&operator, None),
                    operator,
                    form_token: None,
                })
            }
            (Some(_), Some(_)) => Err(Refusal::WrongToken),
        }
    }

    fn of_session(&self, headers: &HeaderMap, is_tail: bool) -> Option<Visitor> {
        let id = self.0.cookie.read(headers)?;
        let mut sessions = lock(&self.0.sessions);
        let now = Instant::now();
        let token = match is_tail {
            true => sessions.look_up(id, now),
            false => sessions.find(id, now),
        }?;
        let Some(operator) = self.0.operators.alive(&token) else {
            // Revoked or over: the session ends with its token.
            sessions.end(id);
            return None;
        };
        Some(Visitor {
            stay: self.stay(&operator, Some(sessions::digest_of(id))),
            operator,
            form_token: Some(sessions::form_token(id).into()),
        })
    }

    fn stay(&self, operator: &Operator, session: Option<sessions::Digest>) -> Stay {
        Stay {
            door: self.clone(),
            token: Arc::clone(&operator.id),
            session,
        }
    }

    /// Lets a request through with its [`Visitor`], or says why not.
    async fn admit(&self, mut request: Request) -> Result<Request, Refusal> {
        let peer = request.extensions().get::<Peer>().copied();
        let is_tail = request.uri().path() == TAIL;
        let visitor = self.visitor(request.headers(), peer, is_tail)?;
        if is_change(request.method()) {
            if let Some(expected) = visitor.form_token.clone() {
                if !self.0.origins.is_own(request.headers()) {
                    return Err(Refusal::CrossSite);
                }
                request = form::carrying(request, &expected).await?;
            }
            let may =
                visitor.operator.role.may_change() || EVERYBODYS.contains(&request.uri().path());
            if !may {
                visitor.did("refused", request.uri().path());
                return Err(Refusal::Role);
            }
        }
        request.extensions_mut().insert(visitor);
        Ok(request)
    }
}

/// The layer around everything behind the door.
pub(super) async fn guard(State(door): State<Door>, request: Request, next: Next) -> Response {
    let asked = refusal::Asked::of(&request);
    match door.admit(request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.answer(&asked),
    }
}

fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked("bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| rest.trim_ascii())
}

/// The other end's address; unspecified where a test calls without a connection.
fn address(peer: Option<Peer>) -> IpAddr {
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip())
}

/// What stands behind these locks is whole between any two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
