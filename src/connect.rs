//! THE MEMBERS' DOOR: a link, LinkedIn's consent, and back.
//!
//! Read `link` (what opens the door), `start` (who asks for what), `state` (what goes to LinkedIn and
//! comes back), `callback` (what came of it) and `ending` (in words), and you have followed one
//! member. `awaited` tells those who wait, `returning` where a member may be sent in the end.
//!
//! **Invariant:** a code is exchanged only for the browser that was sent for it; no page, log line or
//! redirect of ours holds a code or a state; nobody is shown but the one who has just signed in, and
//! only to their own browser.
//! **Neighbours:** `credentials` exchanges the code and keeps the grant; `web` is the listener; `app`
//! gives our links to the path and to commands.

use std::{fmt, io, sync::Arc, time::Duration};

use axum::Router;
use data_encoding::BASE64URL_NOPAD;
use tokio::sync::Semaphore;

use crate::{
    clock::Clock,
    credentials::Credentials,
    dial::BaseUrl,
    exchange::Member,
    keyring::KeyRing,
    web::{self, Listener},
};

mod awaited;
mod browser;
mod callback;
mod done;
mod ending;
mod link;
mod page;
mod rate;
mod returning;
mod start;
mod state;

pub use awaited::Progress;
pub use returning::{BadReturnUrl, ReturnUrl};

use awaited::Awaited;
use done::Finished;
use link::Link;
use rate::Rate;
use state::States;

/// Sign-ins whose code is being exchanged, at most; further ones are told to come again.
const EXCHANGES: usize = 64;

/// The door's side of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its listener.
    pub listener: web::Settings,
    /// The door as members' browsers see it; the redirect URI is this and `/connect/callback`.
    pub public_url: BaseUrl,
    /// Where LinkedIn's consent page is: forms may lead there.
    pub oauth_url: BaseUrl,
    /// Who asks, in the members' words.
    pub title: String,
    /// Where members may be sent after signing in.
    pub return_urls: Vec<ReturnUrl>,
    /// How long a link lasts that stands in an answer, or that an operator's page gave.
    pub link_time: Duration,
    /// How long a link lasts that a command printed.
    pub command_link_time: Duration,
}

/// What the door stands on.
#[derive(Clone, Debug)]
pub struct Foundations {
    /// Exchanges codes and keeps grants.
    pub credentials: Credentials,
    /// Signs links.
    pub ring: KeyRing,
    /// The time of day, at which links end.
    pub clock: Clock,
}

/// The door. Cheap to clone; makes links whether or not its listener is open.
#[derive(Clone)]
pub struct Connect(Arc<Door>);

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connect({})", self.0.settings.public_url)
    }
}

struct Door {
    settings: Settings,
    credentials: Credentials,
    ring: KeyRing,
    clock: Clock,
    states: States,
    finished: Finished,
    awaited: Awaited,
    exchanges: Arc<Semaphore>,
    rate: Rate,
}

/// A link that an operator hands to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedLink {
    /// What the member opens.
    pub url: String,
    /// When the link ends, in Unix seconds.
    pub ends_at: i64,
    /// What signing in would end, for people.
    pub warning: Option<String>,
}

/// A link whose end somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitedLink {
    /// What the member opens.
    pub url: String,
    /// Asks for its end: [`Connect::progress`].
    pub id: String,
    /// When the link ends, in Unix seconds.
    pub ends_at: i64,
    /// What signing in would end, for people.
    pub warning: Option<String>,
}

impl Connect {
    /// A door that is not open yet.
    pub fn new(settings: Settings, on: Foundations) -> Self {
        Self(Arc::new(Door {
            states: States::new(&on.ring),
            settings,
            credentials: on.credentials,
            ring: on.ring,
            clock: on.clock,
            finished: Finished::default(),
            awaited: Awaited::default(),
            exchanges: Arc::new(Semaphore::new(EXCHANGES)),
            rate: Rate::default(),
        }))
    }

    /// Opens the listener, on the runtime that calls.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn open(&self) -> io::Result<Listener> {
        Listener::start(self.0.settings.listener.clone(), "connect", self.routes()).await
    }

    /// A link by which the member signs in, for `connect_url`. None where nobody can sign in: an
    /// application's own token, or an application without scopes. Waits for nothing.
    pub fn link(&self, member: &Member) -> Option<String> {
        let door = &*self.0;
        let link = door.new_link(member, door.settings.link_time)?;
        Some(door.url_of(&link))
    }

    /// The same to hand to a member later, so with what the one who hands it should know.
    pub fn handed_link(&self, member: &Member) -> Option<HandedLink> {
        let door = &*self.0;
        let link = door.new_link(member, door.settings.link_time)?;
        Some(HandedLink {
            url: door.url_of(&link),
            ends_at: link.ends_at,
            warning: door.credentials.would_end_earlier(member),
        })
    }

    /// A link whose end can be asked for. None as with [`Connect::link`].
    pub fn awaited_link(&self, member: &Member) -> Option<AwaitedLink> {
        let door = &*self.0;
        let link = door.new_link(member, door.settings.command_link_time)?;
        door.awaited.expect(&link, door.now());
        Some(AwaitedLink {
            url: door.url_of(&link),
            id: link.id.to_string(),
            ends_at: link.ends_at,
            warning: door.credentials.would_end_earlier(member),
        })
    }

    /// How far the sign-in by an awaited link is; none if no such link is awaited here.
    pub fn progress(&self, id: &str) -> Option<Progress> {
        self.0.awaited.progress(id.parse().ok()?, self.0.now())
    }

    /// Resolves once no code is being exchanged. Bound it: LinkedIn may hang.
    pub async fn drain(&self) {
        let all = u32::try_from(EXCHANGES).unwrap_or(u32::MAX);
        drop(self.0.exchanges.acquire_many(all).await);
    }

    /// Everything stands below `/connect`; where something in front of us does not cut the path of
    /// `connect.public_url` off, below that, too.
    fn routes(&self) -> Router {
        let place = self.0.settings.public_url.path();
        let routes = Router::new()
            .merge(start::routes())
            .merge(callback::routes())
            .merge(done::routes())
            .merge(web::page::routes());
        let mut router = Router::new().nest("/connect", routes.clone());
        if !place.is_empty() {
            router = router.nest(&format!("{place}/connect"), routes);
        }
        router
            .fallback(page::nothing_here)
            .method_not_allowed_fallback(page::nothing_here)
            .with_state(self.clone())
    }
}

impl Door {
    fn now(&self) -> i64 {
        self.clock.seconds()
    }

    fn new_link(&self, member: &Member, lasting: Duration) -> Option<Link> {
        member.name.as_ref()?;
        if self.credentials.scopes(&member.application).is_empty() {
            return None;
        }
        Some(Link::new(member, self.now(), lasting))
    }

    /// `{public_url}/connect`.
    fn place(&self) -> String {
        format!("{}/connect", self.settings.public_url)
    }

    fn url_of(&self, link: &Link) -> String {
        format!("{}/start/{}", self.place(), link.signed(&self.ring))
    }

    fn redirect_uri(&self) -> String {
        format!("{}/callback", self.place())
    }

    /// The same as browsers see it on this host: for the addresses in our own pages.
    fn path(&self) -> String {
        format!("{}/connect", self.settings.public_url.path())
    }
}

/// Bytes as they stand in addresses and cookies.
fn encoded(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// What [`encoded`] made of `N` bytes.
fn decoded<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok()
}
