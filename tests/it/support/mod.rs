//! What every story needs: a gateway before the sandbox, callers, and waiting without sleeping.
//!
//! **Invariant:** when a [`Gateway`](gateway::Gateway) is dropped, everything it wrote is searched for the
//! sandbox's canary: each story is a leak test for free.

pub(crate) mod archive;
pub(crate) mod authority;
pub(crate) mod caller;
pub(crate) mod canary;
pub(crate) mod certificate;
pub(crate) mod disk;
pub(crate) mod gateway;
pub(crate) mod grants;
pub(crate) mod http2;
pub(crate) mod mint;
pub(crate) mod peer;
pub(crate) mod posts;
pub(crate) mod process;
pub(crate) mod visitor;

pub(crate) use archive::unpacked;
pub(crate) use authority::Authority;
pub(crate) use caller::{Connection, Reply};
pub(crate) use gateway::Gateway;
pub(crate) use peer::Peer;
pub(crate) use posts::post_saying;
pub(crate) use visitor::Visitor;

/// How large the storms are that a binary plays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    /// Calls whose records are compared with the wire.
    pub(crate) failing_calls: usize,
    /// Rounds that end with SIGKILL.
    pub(crate) kills: usize,
    /// Rounds of renewals that end with SIGKILL, with refresh tokens that rotate and that do not.
    pub(crate) renewal_kills: usize,
    /// Grants that expire in one minute.
    pub(crate) grants: usize,
    /// `renewal.max_per_second` for them.
    pub(crate) renewals_per_second: u32,
    /// Failed answers that are held by a frozen disk.
    pub(crate) held_calls: usize,
    /// Whether bounds on time are held, for which the machine must be one's own.
    pub(crate) is_timed: bool,
}

/// Waits until `is_so`, looking every few milliseconds, for at most ten seconds.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while !is_so() {
        assert!(tokio::time::Instant::now() < limit, "still waiting: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await; // looked at again, not relied on
    }
}
