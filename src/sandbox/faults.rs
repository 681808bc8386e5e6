//! Faults on demand: what shall go wrong, where, and how often.
//!
//! **Invariant:** a request meets at most one fault, the first in the list that fits and has not
//! been used up; `share` is spread evenly (0.1: every tenth call), so a test can count on it.
//! **Neighbours:** `conversation` carries faults out, `h1` and `h2` those that live on the wire.

use std::fmt;
use std::time::Duration;

use super::answer::Shape;

/// What names a fault that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(pub u64);

/// Which requests a fault meets: a method or any, and the beginning of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    method: Option<String>,
    path_prefix: String,
}

impl From<&str> for Route {
    /// `"POST /rest/posts"`, `"/rest"`, `"*"`, or `"token"` for the token endpoint.
    fn from(text: &str) -> Self {
        let text = text.trim();
        if text == "token" {
            return Self::from("POST /oauth/v2/accessToken");
        }
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method.to_ascii_uppercase()), path.trim()),
            None => (None, text),
        };
        let path_prefix = if path == "*" {
            String::new()
        } else {
            path.to_owned()
        };
        Self {
            method: method.filter(|method| method != "*"),
            path_prefix,
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.as_deref().unwrap_or("*");
        let path = if self.path_prefix.is_empty() {
            "*"
        } else {
            &self.path_prefix
        };
        write!(formatter, "{method} {path}")
    }
}

impl Route {
    fn fits(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted == method)
            && path.starts_with(&self.path_prefix)
    }
}

/// How often a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// This many times.
    Count(u64),
    /// Until it is cleared.
    Always,
}

/// What goes wrong.
///
/// "Committed" means: LinkedIn did what was asked, the answer is what suffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An error of this status, nothing committed.
    Status {
        /// The status.
        status: u16,
        /// The value of `Retry-After`, if there is one.
        retry_after: Option<String>,
        /// The form of its body.
        shape: Shape,
    },
    /// Committed, then an error of this status.
    StatusAfterCommit {
        /// The status.
        status: u16,
    },
    /// A wait before the body is read.
    DelayBefore(Duration),
    /// Committed, a wait, then the true answer.
    DelayAfter(Duration),
    /// Never answered, nothing committed.
    HangBefore,
    /// Committed, never answered.
    HangAfter,
    /// The connection is closed before the body is read.
    CloseBefore,
    /// Committed, then the connection is closed without a byte.
    CloseAfterCommit,
    /// The connection is reset (RST) before the body is read.
    ResetBefore,
    /// Committed, then the connection is reset without a byte.
    ResetAfterCommit,
    /// Committed, then half of the answer's head and a close.
    HalfHead,
    /// Committed, then the head, half of the body, and a close.
    HalfBody,
    /// Committed, then bytes that are no HTTP, and a close.
    Garbage,
    /// LinkedIn's HTML error page, nothing committed.
    HtmlPage {
        /// The status.
        status: u16,
    },
    /// HTTP/2: GOAWAY that leaves this stream unprocessed. HTTP/1: like [`Kind::CloseBefore`].
    GoAway,
    /// HTTP/2: `RST_STREAM` with `REFUSED_STREAM`. HTTP/1: like [`Kind::CloseBefore`].
    RefusedStream,
    /// Committed; `Content-Length` promises more bytes than come before the close.
    BadContentLength,
    /// Committed; the answer's head is larger than anyone should accept.
    HugeHead,
    /// Committed; the body comes slowly.
    SlowBody {
        /// Bytes a second.
        bytes_per_sec: u64,
    },
    /// Committed; the head and the first bytes come, then nothing.
    StallBody,
    /// An informational answer comes before the true one.
    Informational(u16),
    /// `101 Switching Protocols`, nothing committed.
    SwitchingProtocols,
    /// `302` to this place, nothing committed.
    Redirect {
        /// The `Location`.
        location: String,
    },
    /// Answered before the request's body is read, nothing committed.
    EarlyAnswer {
        /// The status.
        status: u16,
    },
}

impl Kind {
    /// A status in LinkedIn's own words, without `Retry-After`.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: None,
            shape: Shape::Natural,
        }
    }
}

/// Something that shall go wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Which requests meet it.
    pub route: Route,
    /// How often.
    pub times: Times,
    /// The fraction of the fitting calls that meet it; `None`: each.
    pub share: Option<f64>,
    /// Only this member's calls.
    pub member: Option<String>,
    /// What goes wrong.
    pub kind: Kind,
}

impl Fault {
    /// Happens once, on this route.
    #[must_use]
    pub fn on(route: &str, kind: Kind) -> Self {
        Self {
            route: Route::from(route),
            times: Times::Count(1),
            share: None,
            member: None,
            kind,
        }
    }

    /// Happens `count` times.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self {
            times: Times::Count(count),
            ..self
        }
    }

    /// Happens until it is cleared.
    #[must_use]
    pub fn always(self) -> Self {
        Self {
            times: Times::Always,
            ..self
        }
    }

    /// Happens to this fraction of the calls, evenly spread.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        Self {
            share: Some(share),
            ..self
        }
    }

    /// Happens to this member's calls only.
    #[must_use]
    pub fn for_member(self, member: &str) -> Self {
        Self {
            member: Some(member.to_owned()),
            ..self
        }
    }
}

/// The faults that are set, in the order in which they are asked.
#[derive(Debug, Default)]
pub(crate) struct FaultList {
    entries: Vec<Entry>,
    last_id: u64,
}

#[derive(Debug)]
struct Entry {
    id: FaultId,
    fault: Fault,
    debt: f64,
    met: u64,
}

/// One fault as the control endpoint lists it.
#[derive(Debug, Clone)]
pub struct FaultState {
    /// Its name.
    pub id: FaultId,
    /// What was asked for; `times` counts down.
    pub fault: Fault,
    /// How often it has happened.
    pub met: u64,
}

impl FaultList {
    /// Sets one more fault.
    pub(crate) fn set(&mut self, fault: Fault) -> FaultId {
        self.last_id += 1;
        let id = FaultId(self.last_id);
        self.entries.push(Entry {
            id,
            fault,
            debt: 0.0,
            met: 0,
        });
        id
    }

    /// Forgets all faults.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Forgets one fault.
    pub(crate) fn remove(&mut self, id: FaultId) {
        self.entries.retain(|entry| entry.id != id);
    }

    /// The faults and what is left of them.
    pub(crate) fn list(&self) -> Vec<FaultState> {
        self.entries
            .iter()
            .map(|entry| FaultState {
                id: entry.id,
                fault: entry.fault.clone(),
                met: entry.met,
            })
            .collect()
    }

    /// Whether any fault waits for a certain member on this route.
    pub(crate) fn waits_for_member(&self, method: &str, path: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.fault.member.is_some() && entry.fault.route.fits(method, path))
    }

    /// What goes wrong with this request, if anything does; a used-up fault stays listed at zero.
    pub(crate) fn choose(
        &mut self,
        method: &str,
        path: &str,
        member: Option<&str>,
    ) -> Option<Kind> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.iter_mut().find_map(|entry| {
            let fits = entry.fault.route.fits(method, path)
                && entry
                    .fault
                    .member
                    .as_deref()
                    .is_none_or(|wanted| Some(wanted) == member);
            (fits && entry.is_due()).then(|| entry.fault.kind.clone())
        })
    }
}

impl Entry {
    fn is_due(&mut self) -> bool {
        if self.fault.times == Times::Count(0) {
            return false;
        }
        if let Some(share) = self.fault.share {
            self.debt += share;
            // The sum of ten times 0.1 stays a little below one.
            if self.debt < 1.0 - 1e-9 {
                return false;
            }
            self.debt -= 1.0;
        }
        if let Times::Count(left) = &mut self.fault.times {
            *left -= 1;
        }
        self.met += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_used_up_after_its_times_and_only_on_its_route() {
        let mut faults = FaultList::default();
        faults.set(Fault::on("GET /rest/posts", Kind::status(503)).times(2));
        assert_eq!(faults.choose("POST", "/rest/posts", None), None);
        assert_eq!(faults.choose("GET", "/v2/me", None), None);
        assert!(faults.choose("GET", "/rest/posts/urn", None).is_some());
        assert!(faults.choose("GET", "/rest/posts", Some("ada")).is_some());
        assert_eq!(faults.choose("GET", "/rest/posts", None), None);
        assert_eq!(faults.list().first().map(|state| state.met), Some(2));
    }

    #[test]
    fn a_share_of_a_tenth_is_every_tenth_call() {
        let mut faults = FaultList::default();
        faults.set(Fault::on("*", Kind::status(503)).share(0.1).always());
        let met: Vec<usize> = (1..=30)
            .filter(|_| faults.choose("GET", "/v2/me", None).is_some())
            .collect();
        assert_eq!(met, [10, 20, 30]);
    }

    #[test]
    fn a_members_fault_spares_the_others() {
        let mut faults = FaultList::default();
        faults.set(
            Fault::on("token", Kind::HangBefore)
                .for_member("ada")
                .always(),
        );
        let path = "/oauth/v2/accessToken";
        assert_eq!(faults.choose("POST", path, Some("grace")), None);
        assert_eq!(faults.choose("POST", path, None), None);
        assert_eq!(
            faults.choose("POST", path, Some("ada")),
            Some(Kind::HangBefore)
        );
        assert!(faults.waits_for_member("POST", path));
    }
}
